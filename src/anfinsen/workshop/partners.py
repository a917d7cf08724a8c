"""Who is trained on, who stops the training and who judges it, for a table of pairs.

Three questions hide in a table of pairs, from easy to hard: does a known protein go with another known one (C1), with
a new one (C2), do two new ones go together (C3)? Families of relatives are dealt, so that 'new' means a family that
training has never met, and each class is scored apart: the hardest that has pairs enough is the headline, the others
stand beside it. What leaks, and how far counting partners would come, is told. It knows no network.
"""

from __future__ import annotations

import numpy
from numpy.typing import NDArray

from anfinsen.errors import UsageError
from anfinsen.kinship.clusters import find_families
from anfinsen.kinship.leaks import Finding, Rows, new_partners, repeated_pairs
from anfinsen.kinship.relatives import Relatives
from anfinsen.kinship.shortcuts import degree_shortcuts, telling_columns
from anfinsen.kinship.splits import TEST, TRAIN, VALID, Split, group_split, pair_classes, partner_split, random_split
from anfinsen.tables.labelled import Labelled, TableConfig
from anfinsen.workshop.dealing import Deal, Places, Round, Tell, refuse_twins

CLASSES = {
    "C3": "test, both partners new (C3)",
    "C2": "test, one partner new (C2)",
    "C1": "test, both partners known (C1)",
}
"""How the test pairs of each class are called, the hardest first."""
HEADLINE, FEWEST = 30, 10
"""Pairs that the headline's class should have; pairs below which a class has no score of its own."""

Families = NDArray[numpy.int64]


def deal_pairs(found: Labelled, config: TableConfig, *, seed: int, tell: Tell = lambda w, d, t: None) -> Deal:
    """One round, with a test of up to three classes."""
    if not 0.2 <= config.identity <= 1:
        raise UsageError(
            f"The identity came as {config.identity:g}; a share from 0.2 to 1 is expected.",
            remedy="Write 30 % as table.identity=0.3.",
        )
    if config.folds:
        raise UsageError("Pairs are dealt once, and folds were asked for.", remedy="Leave table.folds out.")

    def watched(done: int, total: int) -> None:
        tell("looking for relatives", done, total)

    families, _ = find_families(Relatives(found.chains()), config.identity, tell=watched)
    a, b = families[: len(found)], families[len(found) :]
    split = _split(found, config, a, b, seed)
    test = split.rows(TEST)
    classes = pair_classes(split.names, a.tolist(), b.tolist())[test]
    parts = _parts(found, test, classes, whole=None if split.kind == "partners" else split.kind)
    findings = _findings(found, split)
    if split.kind == "column" and config.leaks == "refuse":
        refuse_twins(findings)
    counts = ", ".join(f"{int((classes == name).sum()):,} {name}" for name in sorted(CLASSES))
    sentence = " ".join(
        [
            f"{split} The {len(set(families.tolist())):,} families of relatives decide who is new: the test has "
            f"{counts} (C1: both partners known, C2: one new, C3: both new).",
            *split.told,
            f"The headline is '{parts[0][0]}'.",
        ]
    )
    (name, _), band = parts[0], dict(zip(test.tolist(), classes.tolist(), strict=True))
    one = Round(split.rows(TRAIN), split.rows(VALID), test)
    return Deal((one,), name, sentence, tuple(findings), band, tuple(parts))


def _split(found: Labelled, config: TableConfig, a: Families, b: Families, seed: int) -> Split:
    if found.splits is None:
        if config.by == "random":
            return random_split(len(found), shares=config.shares, seed=seed)
        return partner_split(a.tolist(), b.tolist(), seed=seed)
    names = numpy.array(found.splits)
    if VALID in names:
        return Split(names, "column")
    train = numpy.flatnonzero(names == TRAIN)
    groups = [frozenset((int(a[row]), int(b[row]))) for row in train]
    part = group_split(groups, shares=(0.7, 0.15, 0.15), seed=seed, noun="pair of families")
    names[train[part.rows(VALID)]] = VALID
    told = f"It has no validation rows, so {len(part.rows(VALID)):,} training rows stop the training instead."
    return Split(names, "column", told=(told,))


def _parts(
    found: Labelled, test: Places, classes: NDArray[numpy.str_], *, whole: str | None
) -> list[tuple[str, Places]]:
    """The parts of the test that are scored apart, by their places in it, the headline first."""
    values = [found.examples[row].value for row in test.tolist()]

    def tells(places: Places) -> bool:
        return len(places) >= FEWEST and len({values[at] for at in places.tolist()}) > 1

    parts = [(name, numpy.flatnonzero(classes == short)) for short, name in CLASSES.items()]
    parts = [(name, places) for name, places in parts if tells(places)]
    every = numpy.arange(len(test))
    if whole is not None:
        name = "test, pairs dealt at random" if whole == "random" else "test, your split"
        return [(name, every), *(one for one in parts if len(one[1]) < len(every))]
    if not parts:
        raise UsageError(
            f"With partners of new families apart, the {len(test):,} test pairs are too few of every class to be "
            f"judged by: at least {FEWEST} of one class with different answers are needed.",
            remedy="Add pairs, or say --set table.by=random, which says nothing about new proteins.",
        )
    wide = [one for one in parts if len(one[1]) >= HEADLINE]
    first = wide[0] if wide else max(parts, key=lambda one: len(one[1]))
    return [first, *(one for one in parts if one[0] != first[0])]


def _findings(found: Labelled, split: Split) -> list[Finding]:
    """Pairs that return, partners that are new, and what counting them would reach."""
    chains = found.chains()
    a, b = chains[: len(found)], chains[len(found) :]
    values = [str(example.value) for example in found.examples]
    names = [" with ".join(chain.id for chain in example.chains) for example in found.examples]
    rows = Rows(found.numbers, names)
    findings = [*repeated_pairs(split, a, b, rows), new_partners(split, a, b), *degree_shortcuts(split, a, b, values)]
    return findings + telling_columns(found.others or {}, values, found.label)
