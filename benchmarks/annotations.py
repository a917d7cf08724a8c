"""Make again the lists that tasks keep of their tables: the names that can be said, and the proteins that judge.

    python benchmarks/annotations.py [--check] [--only NAME ...]

    ec.txt         the enzyme numbers of the training table, with the words for them that stand there now
    ec_split.txt   the enzymes that are not trained on
    go.txt         the terms that a training family holds
    go_rare.txt    the terms that only the families that judge hold
    go_split.txt   the proteins with terms that are not trained on
    disorder       the ids in the file of that task, which a person puts there: they are printed

Who judges stands in files, because a better search for relatives must not move it: run this to see how the lists were
made, or where a table has changed. The words for enzyme numbers were written by hand and are kept, not made. The terms
and enzyme numbers are those of the families that train, before some of their proteins are taken for validation. It
takes about two minutes of one core. With --check nothing is written: it says what differs from the lists that lie in
the package, and the exit code is 1 where anything does.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import unified_diff
from pathlib import Path
from textwrap import fill

import numpy
import polars
from numpy.typing import NDArray

import anfinsen
from anfinsen.kinship.clusters import cluster_split
from anfinsen.kinship.relatives import Relatives
from anfinsen.kinship.splits import TEST, TRAIN, VALID, group_split
from anfinsen.targets.hierarchy import Hierarchy
from anfinsen.tasks import TASKS

HOUSE = Path(anfinsen.__file__).parent / "tasks"
IDENTITY, SEED = 0.3, 1
ENZYME_SHARES, ONTOLOGY_SHARES, DISORDER_SHARES = (0.88, 0.06, 0.06), (0.72, 0.13, 0.15), (0.7, 0.15, 0.15)
"""Training, validation and test; of the enzymes the share for the test is trained on, since a test is given."""
NEAR = 6
"""Per cent of the training proteins that are taken for validation whatever their family: they know near relatives."""
LEVELS = 4
ASPECTS = ("go_mf", "go_cc")
SHOWN = 10
"""Lines of a difference that are shown."""

ENZYMES = (
    "Enzyme classes of the training proteins, parents first: number, place of its parent, what it does, training "
    "proteins"
)
TERMS = (
    "Gene Ontology terms (CC BY 4.0) of the training proteins, parents first: term, places of its parents, name, "
    "proteins in the training set of TALE"
)
RARE = (
    "Terms that no training protein holds, though one that judges does: they cannot be learnt, and count in the scores"
)
JUDGES = (
    "Proteins that are not trained on: id, split, identity of the nearest training protein found (0: none). Families "
    "at 30 % identity dealt by group_split (seed 1), then 6 % of the rest at random to valid."
)

Names = NDArray[numpy.str_]
Lists = dict[str, str]
"""The text of each list by its name."""


def main() -> int:
    """Make the lists that are asked for, and write, print or compare them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--only", nargs="*", choices=list(MAKERS), default=list(MAKERS))
    asked = parser.parse_args()
    is_same = True
    for task in asked.only:
        for name, text in MAKERS[task]().items():
            path = HOUSE / name
            committed = path.read_text(encoding="utf-8") if path.suffix else kept_ids(task)
            print(f"{name}: {'as committed' if text == committed else told(committed, text)}", flush=True)
            is_same &= text == committed
            if not asked.check and path.suffix:
                path.write_text(text, encoding="utf-8")
            elif not asked.check:
                print(text)
    return int(asked.check and not is_same)


def told(committed: str, made: str) -> str:
    """How two texts differ: the count of lines, and the first of them."""
    lines = list(unified_diff(committed.splitlines(), made.splitlines(), "committed", "made", lineterm="", n=0))[2:]
    changes = [line for line in lines if not line.startswith("@@")]
    return "\n  ".join([f"{len(changes)} lines differ", *(change[:120] for change in changes[:SHOWN])])


# Enzymes -------------------------------------------------------------------------------------------------------------


def make_enzymes() -> Lists:
    """The names of the training enzymes, and who judges."""
    rows = read("ec")
    numbers = [str(cell).split(";") for cell in rows["ec"]]
    is_given = (rows["split"] != TRAIN).to_numpy()
    known = [numbers[at] for at in numpy.flatnonzero(~is_given)]
    kept = Hierarchy.read("ec.txt")
    relatives = Relatives(rows["sequence"].to_list())
    own = relatives.families(IDENTITY)[~is_given]
    dealt = group_split(own.tolist(), shares=ENZYME_SHARES, seed=SEED, kind="cluster", noun="family").names
    names = numpy.full(len(rows), TEST, dtype=dealt.dtype)
    names[~is_given] = numpy.where(dealt == VALID, VALID, TRAIN)
    return {
        "ec.txt": enzyme_names(known, dict(zip(kept.names, kept.titles, strict=True))),
        "ec_split.txt": judges(rows["id"].to_list(), with_near(names), relatives),
    }


def enzyme_names(proteins: Iterable[Collection[str]], titles: Mapping[str, str]) -> str:
    """All numbers of the proteins and what they are parts of, the widest first; `titles` say what some of them do.

    Raises ValueError where no protein holds a number that has a title: the title would be lost.
    """
    counts: Counter[tuple[str, ...]] = Counter()
    for numbers in proteins:
        parts = [tuple(number.split(".")) for number in numbers]
        counts.update({part[:level] for part in parts for level in range(1, LEVELS + 1)})
    order = sorted(counts, key=lambda part: (len(part), [place_of(one) for one in part]))
    place = {part: at for at, part in enumerate(order)}
    name = {part: ".".join((*part, *"-" * (LEVELS - len(part)))) for part in order}
    lost = sorted({one for one, title in titles.items() if title} - set(name.values()))
    if lost:
        raise ValueError(f"No training protein holds {', '.join(lost)} now: take the words for it out of ec.txt first.")
    lines = []
    for part in order:
        above = str(place[part[:-1]]) if len(part) > 1 else ""
        lines.append(f"{name[part]}\t{above}\t{titles.get(name[part], '')}\t{counts[part]}")
    return listed(ENZYMES, lines)


def place_of(part: str) -> tuple[bool, int]:
    """Where one of the four numbers stands among its like; preliminary ones ('n7') come last."""
    return (False, int(part)) if part.isdigit() else (True, int(part[1:]))


# Terms of the Gene Ontology ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Term:
    """What the ontology says of one term, with its count in the training set of TALE."""

    name: str
    parents: tuple[str, ...]
    count: int


def make_terms() -> Lists:
    """The terms of the families that train and of those that judge, and who judges."""
    rows = read("go")
    (path,) = TASKS["go"].table.paths()
    known = {
        go: Term(name, split_cell(parents), count)
        for go, name, parents, count in polars.read_parquet(path.with_name("go_terms.parquet"))
        .select("go", "name", "parents", "train_count")
        .iter_rows()
    }
    held = [{term for cell in cells for term in split_cell(cell)} for cells in rows.select(ASPECTS).iter_rows()]
    relatives = Relatives(rows["sequence"].to_list())
    families = relatives.families(IDENTITY).tolist()
    names = group_split(families, shares=ONTOLOGY_SHARES, seed=SEED, kind="cluster", noun="family").names
    common = {term for terms, name in zip(held, names, strict=True) if name == TRAIN for term in terms}
    return {
        **term_names(common, set().union(*held), known),
        "go_split.txt": judges(rows["id"].to_list(), with_near(names), relatives),
    }


def term_names(common: Collection[str], every: Collection[str], known: Mapping[str, Term]) -> Lists:
    """The common terms, then the other ones, whose parents may stand in either list: each after its parents."""
    place: dict[str, int] = {}

    def add(go: str) -> None:
        if go not in place:
            for parent in known[go].parents:
                add(parent)
            place[go] = len(place)

    for go in sorted(common):
        add(go)
    first = len(place)
    for go in sorted(every):
        add(go)
    lines = []
    for go in place:
        term = known[go]
        above = " ".join(str(place[parent]) for parent in term.parents)
        lines.append(f"{go}\t{above}\t{term.name}\t{term.count}")
    return {"go.txt": listed(TERMS, lines[:first]), "go_rare.txt": listed(RARE, lines[first:])}


def split_cell(cell: str | None) -> tuple[str, ...]:
    """The entries of a cell, which ';' parts; none where it is empty."""
    return tuple(entry for entry in (cell or "").split(";") if entry)


# Disorder ------------------------------------------------------------------------------------------------------------


def make_disorder() -> Lists:
    """The ids that decide when to stop, then those that judge, as `anfinsen split --by cluster` deals them."""
    rows = read("disorder")
    split = cluster_split(Relatives(rows["sequence"].to_list()), IDENTITY, shares=DISORDER_SHARES, seed=SEED)
    ids = rows["id"].to_numpy()
    return {"disorder": in_blocks(ids[split.rows(VALID)], ids[split.rows(TEST)])}


def kept_ids(task: str) -> str:
    """The same ids as the task has them."""
    table = TASKS[task].table
    judging = [split for split in table.splits if split != TRAIN]
    return in_blocks(*([example.protein.id for example in table.load(split)] for split in judging))


def in_blocks(*ids: Iterable[str]) -> str:
    """Each set of ids as a block of lines in the alphabet's order."""
    return "\n\n".join(fill(" ".join(sorted(one)), 116, initial_indent="    ", subsequent_indent="    ") for one in ids)


# What the lists have in common ---------------------------------------------------------------------------------------


def read(task: str) -> polars.DataFrame:
    """The whole table of a task, in its order."""
    return polars.concat([polars.read_parquet(path) for path in TASKS[task].table.paths()])


def with_near(names: Names) -> Names:
    """The split of each protein, after some that were to train are taken for validation."""
    rows = numpy.flatnonzero(names == TRAIN)
    taken = numpy.random.default_rng(SEED).permutation(rows)[: len(rows) * NEAR // 100]
    dealt = names.copy()
    dealt[taken] = VALID
    return dealt


def judges(ids: Sequence[str], names: Names, relatives: Relatives) -> str:
    """Who is not trained on, with the identity of the nearest protein that is."""
    asked = numpy.flatnonzero(names != TRAIN)
    nearest = relatives.nearest(asked, numpy.flatnonzero(names == TRAIN))
    lines = [f"{ids[int(at)]}\t{names[at]}\t{one:.3f}" for at, one in zip(asked, nearest.identity, strict=True)]
    return listed(JUDGES, lines)


def listed(remark: str, lines: Iterable[str]) -> str:
    """The text of a list: a remark, then its lines."""
    return "".join(f"{line}\n" for line in (f"# {remark}", *lines))


MAKERS: dict[str, Callable[[], Lists]] = {"ec": make_enzymes, "go": make_terms, "disorder": make_disorder}
"""What makes the lists of each task."""


if __name__ == "__main__":
    sys.exit(main())
