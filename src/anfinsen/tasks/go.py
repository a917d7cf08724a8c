"""What a protein does and in which part of the cell it does it, in the words of the Gene Ontology.

Biologists have agreed on some forty thousand terms for what proteins do ('zinc ion binding') and where they are at
work ('nucleolus'), and on which of them stand under which: a zinc ion is a metal ion, the nucleolus is in the nucleus.
A protein holds many terms at once, and with each of them all that stand above it. Here two of the ontology's three
aspects are asked: molecular function (MF) and cellular component (CC).

Data: 2,710 Swiss-Prot proteins with their terms (the test part of TALE's set; Cao & Shen 2021, Bioinformatics
37:2825), dealt by ourselves: no test protein has a relative of 30 % identity among the training proteins. Of our
validation proteins some are dealt so too, the others at random, so that validation knows near relatives as well.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars

from anfinsen.data.example import Example
from anfinsen.sets.catalog import Table
from anfinsen.structure.protein import Protein
from anfinsen.targets.annotation import ASPECTS, GAINS, aspect_of
from anfinsen.targets.base import Answer
from anfinsen.targets.hierarchy import Hierarchy, read_split
from anfinsen.targets.terms import CALLED, Terms
from anfinsen.tasks.recall import RecallingTask

BELOW = "below-40-identity"
_MOST = 3
_HIERARCHY = Hierarchy.read("go.txt")
_COLUMNS = ("go_mf", "go_cc")


@dataclass(frozen=True)
class OntologyTask(RecallingTask):
    """Terms of two aspects, in a split of our own by families of relatives."""

    def examples(self, split: str) -> list[Example]:
        """The examples of one split; all test proteins are below 40 % identity, so that is another name for them."""
        held = read_split("go_split.txt")
        wanted = "test" if split == BELOW else split
        (path,) = self.table.paths()
        found = []
        for number, row in enumerate(polars.read_parquet(path).iter_rows(named=True), 1):
            if held.get(row["id"], ("train", 0.0))[0] == wanted:
                terms = tuple(term for column in _COLUMNS for term in (row[column] or "").split(";") if term)
                found.append(Example(Protein(row["id"], row["sequence"], source=self.table.files, row=number), terms))
        return found


def _say(answer: Answer) -> str:
    does, where = (_narrowest(answer, aspect) for aspect in ASPECTS)
    if not does and not where:
        return "Nothing narrower than the widest terms is more likely right than wrong."
    parts = [f"it does: {', '.join(does)}"] if does else []
    parts += [f"it is found at: {', '.join(where)}"] if where else []
    return f"Most likely {'; '.join(parts)}."


def _narrowest(answer: Answer, aspect: str) -> list[str]:
    """The names of the likely terms of an aspect below which nothing is likely, at most `_MOST`."""
    said = [_HIERARCHY.place[one["label"]] for one in answer["labels"] if one["probability"] >= CALLED]
    above = {parent for at in said for parent in _HIERARCHY.parents[at]}
    ends = [at for at in said if at not in above and aspect_of(_HIERARCHY.names[at]) == aspect]
    return [_HIERARCHY.titles[at] for at in ends[:_MOST]]


TASK = OntologyTask(
    name="go",
    title="What it does (Gene Ontology)",
    question="What does it do, and in which part of the cell?",
    explanation=(
        "The network gives the protein a place in a space in which each term of the Gene Ontology has its centre; "
        "known proteins that are alike in sequence are looked up as well. How much the two count has been learnt on "
        "proteins that neither had seen. A wide term is never less likely than a narrower one below it."
    ),
    target=Terms(_HIERARCHY.names, hierarchy=_HIERARCHY),
    hierarchy=_HIERARCHY,
    table=Table(
        "go/go_swissprot2020.parquet",
        splits={"train": ("train",), "valid": ("valid",), "test": ("test",), BELOW: ("test",)},
        title="2,710 Swiss-Prot proteins with Gene Ontology terms, split by families of relatives",
        source="github.com/Shen-Lab/TALE",
        licence="MIT repository; sequences UniProt CC BY 4.0; Gene Ontology CC BY 4.0",
    ),
    tests=("test", BELOW),
    metrics=("Fmax", "Fmax MF", "Fmax CC", "Smin MF", "Smin CC", *GAINS),
    say=_say,
    terms={
        "Gene Ontology": "A dictionary on which biologists have agreed: terms for what proteins do and where, and "
        "which term stands under which.",
        "molecular function": "What a protein does by itself, such as binding zinc or cutting a sugar.",
        "cellular component": "Where in the cell a protein works, or of which machine it is a part.",
        "homology": "Descent from a common ancestor. Proteins that are alike in sequence nearly always are homologous, "
        "and often do the same.",
        "Fmax": "Precision and recall of all terms taken together, at the threshold where that is best. 1 is perfect.",
    },
    leads=True,
    limits="Taught with 1,835 proteins, so it knows few narrow terms: of those that new proteins hold, it has never "
    "seen about one in ten. A missing term says nothing: nobody has looked for most functions of most proteins.",
)
