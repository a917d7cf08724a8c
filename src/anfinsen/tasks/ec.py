"""What reaction a protein speeds up, if it is an enzyme: its EC number, to as many levels as are certain.

Enzymes are proteins that make a chemical reaction fast enough for life. Each known reaction has a number of four
parts, given by the Enzyme Commission: the first says what kind of reaction it is (1 oxidoreductase, 2 transferase,
3 hydrolase, 4 lyase, 5 isomerase, 6 ligase, 7 translocase), the next two narrow it down, the last names the very
reaction. 3.4.21.4, for example, is trypsin: a hydrolase (3) of peptide bonds (3.4) with a serine at work (3.4.21).
Here a number is said only as far as it is certain: 3.4.-.- means that the rest is open.

Data: Swiss-Prot enzymes clustered at 10 % identity, and the 392 enzymes that were new to Swiss-Prot after them
(CLEAN, Yu et al. 2023, Science 379:1358). Of our validation proteins one half are of families of their own, the
other half are drawn at random, so that validation knows near and far relatives as the test does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from anfinsen.data.example import Example
from anfinsen.sets.catalog import Table
from anfinsen.targets.annotation import GAINS, LEVELS, level_of, shortened
from anfinsen.targets.base import Answer
from anfinsen.targets.hierarchy import Hierarchy, read_split
from anfinsen.targets.tree import UNKNOWN_NAME, Tree
from anfinsen.tasks.base import Published
from anfinsen.tasks.recall import RecallingTask

NEAR = 0.4
"""Identity of the nearest training protein from which homology alone is usually enough."""
BELOW, ABOVE = "below-40-identity", "from-40-identity"
_HIERARCHY = Hierarchy.read("ec.txt")
_BY_LEVEL = tuple(f" level {level}" for level in range(1, LEVELS + 1))


@dataclass(frozen=True)
class EnzymeTask(RecallingTask):
    """Enzyme numbers, with a validation split of our own and the test by the identity of the nearest enzyme."""

    def examples(self, split: str) -> list[Example]:
        """The examples of one split; the two parts of the test by identity have names of their own."""
        held = read_split("ec_split.txt")
        rows = self.table.load("test" if split in (BELOW, ABOVE) else "train" if split == "valid" else split)
        return [_numbered(example) for example in rows if _belongs(held, example.protein.id, split)]


def _belongs(held: Mapping[str, tuple[str, float]], name: str, split: str) -> bool:
    """Whether a protein of the right table is in a split."""
    if split in (BELOW, ABOVE):
        return (held[name][1] < NEAR) == (split == BELOW)
    return split == "test" or (name in held) == (split == "valid")


def _numbered(example: Example) -> Example:
    """The enzyme numbers of an example one by one; the table joins them by ';'."""
    return replace(example, value=tuple(str(example.value).split(";")))


def _say(answer: Answer) -> str:
    said = str(answer["said"])
    if said == UNKNOWN_NAME:
        return "Unknown: not even the kind of reaction is more likely right than wrong, if it is an enzyme at all."
    titles = [_HIERARCHY.titles[_HIERARCHY.place[name]] for name in _path(said)]
    narrower = "; ".join(title for title in titles[1:] if title)
    left_open = "" if level_of(said) == LEVELS else "; what stands as '-' is open"
    return (
        f"If it is an enzyme, it is most likely {titles[0]}{f': it {narrower}' if narrower else ''} "
        f"(EC {said}{left_open}). {_behind(answer)}"
    )


def _path(said: str) -> list[str]:
    """A number and all that it is a part of, the widest first."""
    return [shortened(said, level) for level in range(1, level_of(said) + 1)]


def _behind(answer: Answer) -> str:
    """Who knows it: a relative, the network, or both."""
    identity = (answer.get("kin") or {}).get("identity")
    relative = f"a known enzyme, {100 * identity:.0f}% identical," if identity else "a remote known enzyme"
    sentences = {
        "homology": f"A relative says so, {relative.rstrip(',')}; the network alone would have said something else.",
        "both": f"The network and {relative} agree on it.",
        "network": "The network alone says so: no known relative of that kind was found.",
    }
    return sentences.get(str(answer.get("source")), "The network alone says so.")


TASK = EnzymeTask(
    name="ec",
    title="Enzyme number",
    question="Which reaction does it speed up?",
    explanation=(
        "The network gives the protein a place in a space in which each kind of reaction has its centre, and reads off "
        "the nearest. It is also aligned with every enzyme that was learnt from; how much the two count has been "
        "learnt on enzymes that neither had seen. A number is said only as far as it is more likely right than wrong."
    ),
    target=Tree(_HIERARCHY.names, hierarchy=_HIERARCHY),
    hierarchy=_HIERARCHY,
    sharpness=6.0,
    table=Table(
        "ec/ec_clean.parquet",
        value="ec",
        splits={
            "train": ("train",),
            "valid": ("train",),
            "test": ("test_new392",),
            BELOW: ("test_new392",),
            ABOVE: ("test_new392",),
        },
        title="Swiss-Prot enzymes clustered at 10 % identity, tested on 392 newer ones",
        source="github.com/tttianhao/CLEAN",
        licence="Non-exclusive research use licence of the repository; sequences UniProt CC BY 4.0",
    ),
    tests=("test", BELOW, ABOVE),
    metrics=(
        "F1",
        "F1 by protein",
        *(f"accuracy{level}" for level in _BY_LEVEL),
        *(f"{gain}{part}" for gain in GAINS for part in ("", " over levels", *_BY_LEVEL)),
    ),
    say=_say,
    published=(
        Published("CLEAN, ESM-1b, trained on split100 (227 thousand enzymes)", "F1", 0.497, "test", "Yu et al. 2023"),
    ),
    terms={
        "enzyme": "A protein that makes a chemical reaction fast enough for life. It is not used up by it.",
        "EC number": "Four numbers that name the reaction of an enzyme, from the kind of reaction to the reaction "
        "itself. A '-' stands for what is not known.",
        "oxidoreductase": "An enzyme that moves electrons from one molecule to another; EC numbers that begin with 1.",
        "transferase": "An enzyme that moves a chemical group to another molecule; EC numbers that begin with 2.",
        "hydrolase": "An enzyme that cuts a bond with the help of water; EC numbers that begin with 3.",
        "lyase": "An enzyme that cuts or makes a bond without water or electrons changing hands; EC numbers that begin "
        "with 4.",
        "isomerase": "An enzyme that rearranges a molecule without adding or taking anything; EC numbers that begin "
        "with 5.",
        "ligase": "An enzyme that joins two molecules and pays with ATP; EC numbers that begin with 6.",
        "translocase": "An enzyme that moves something across a membrane; EC numbers that begin with 7.",
        "homology": "Descent from a common ancestor. Proteins that are alike in sequence nearly always are homologous, "
        "and often do the same.",
    },
    limits="It was taught with enzymes only and takes every protein for one: ask it of proteins that are enzymes. Of "
    "the whole enzyme numbers of newer enzymes it can know only those that its 6,569 training enzymes hold, about six "
    "in ten.",
)
