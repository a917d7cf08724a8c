"""Who is trained on, who stops the training and who judges it, for a table of one's own.

    one round      train | valid | test, where the table is large or brings its own split
    five rounds    each protein is once in the test, so that thirty rows give a score over thirty, not over three

In both, families of relatives stay together, unless it is asked otherwise or the table has a split of its own. A round
never trains on a relative of its test that was found. What leaks all the same is told. It knows no network.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy
from numpy.typing import NDArray

from anfinsen.errors import UsageError
from anfinsen.kinship.clusters import cluster_split, find_families
from anfinsen.kinship.leaks import BANDS, Finding, Rows, band_of, shared_ids, twins
from anfinsen.kinship.relatives import Relatives
from anfinsen.kinship.shortcuts import telling_columns, telling_ids
from anfinsen.kinship.splits import TEST, TRAIN, VALID, Split, group_split, random_split
from anfinsen.tables.labelled import Labelled, TableConfig
from anfinsen.wording import counted

FOLDS, FOLD_ROWS = 5, 200
"""Tables of up to so many rows are dealt into so many parts, each of which is the test once."""
_WIDE = 60
"""From so many rows on, a tenth of them is enough to stop a training by; below, a fifth."""
_AGAIN = 5

Places = NDArray[numpy.int64]
Tell = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Round:
    """The rows of one training, by their places in the table."""

    train: Places
    stop: Places
    test: Places


@dataclass(frozen=True)
class Deal:
    """The rounds, how they are called, and what leaks; `band` is each row's identity band to what judged it.

    `parts` are what of the test is scored apart, the headline first, by places among the rows that are judged; where
    there are none, all of them are scored together.
    """

    rounds: tuple[Round, ...]
    name: str
    sentence: str
    findings: tuple[Finding, ...]
    band: dict[int, str]
    parts: tuple[tuple[str, Places], ...] = ()

    def scored(self) -> list[tuple[str, Places]]:
        """The names of the parts that are scored, the headline first, and their places among the judged rows."""
        return list(self.parts) or [(self.name, numpy.arange(len(self.tested())))]

    @property
    def is_folded(self) -> bool:
        """Whether each row is once in the test."""
        return len(self.rounds) > 1

    def tested(self) -> Places:
        """The rows that are judged, in the order of the rounds."""
        return numpy.concatenate([one.test for one in self.rounds])


def deal(found: Labelled, config: TableConfig, *, seed: int, once: bool, tell: Tell = lambda w, d, t: None) -> Deal:
    """Deal the rows; `once` keeps small tables to one round where none was asked for (training takes long)."""
    if not 0.2 <= config.identity <= 1:
        raise UsageError(
            f"The identity came as {config.identity:g}; a share from 0.2 to 1 is expected.",
            remedy="Write 30 % as table.identity=0.3.",
        )
    relatives = Relatives([example.protein.sequence for example in found.examples])
    folds = config.folds
    if folds is None:
        folds = FOLDS if len(found) <= FOLD_ROWS and not once and found.splits is None else 0
    if folds == 1 or folds < 0:
        raise UsageError(f"The folds came as {folds}.", remedy="Give 0 to deal once, or 2 or more.")
    if folds and found.splits is not None:
        raise UsageError("The table has a split of its own, and folds were asked for.", remedy="Leave one of them out.")
    if folds:
        rounds, name, sentence = _folds(found, relatives, config, folds, seed)
        findings, band = _fold_leaks(rounds, relatives, found)
    else:
        split = _one_split(found, relatives, config, seed, tell)
        rounds = (Round(split.rows(TRAIN), split.rows(VALID), split.rows(TEST)),)
        name = {"cluster": "test, new families", "random": "test, dealt at random"}.get(split.kind, "test, your split")
        sentence = " ".join([str(split), *split.told])
        nearest, findings = twins(split, relatives, _rows(found))
        band = dict(zip(split.rows(TEST).tolist(), band_of(nearest.identity).tolist(), strict=True))
        if found.splits is not None and config.leaks == "refuse":
            refuse_twins(findings)
    return Deal(tuple(rounds), name, sentence, (*findings, *_label_leaks(found)), band)


def _rows(found: Labelled) -> Rows:
    return Rows(found.numbers, [_own_name(example.protein.id) for example in found.examples])


def _own_name(name: str) -> str:
    return "" if name.startswith("row-") else name


def _one_split(found: Labelled, relatives: Relatives, config: TableConfig, seed: int, tell: Tell) -> Split:
    if found.splits is None:
        if config.by == "random":
            return random_split(len(found), shares=config.shares, seed=seed)
        return cluster_split(
            relatives,
            config.identity,
            shares=config.shares,
            seed=seed,
            tell=lambda done, total: tell("looking for relatives", done, total),
        )
    names = numpy.array(found.splits)
    if VALID in names:
        return Split(names, "column")
    families, _ = find_families(relatives, config.identity)
    train = numpy.flatnonzero(names == TRAIN)
    part = group_split([int(families[row]) for row in train], shares=(0.7, 0.15, 0.15), seed=seed, noun="family")
    names[train[part.rows(VALID)]] = VALID
    told = f"It has no validation rows, so {len(part.rows(VALID)):,} training rows stop the training instead."
    return Split(names, "column", told=(told,))


def refuse_twins(findings: Sequence[Finding]) -> None:
    """Refuse a split of one's own in which the test stands in training."""
    errors = [finding for finding in findings if finding.level == "error"]
    if errors:
        raise UsageError(
            f"The split of your own leaks: {errors[0]}",
            remedy="Take the split column out (families of relatives are dealt then), or go on all the same with "
            "--set table.leaks=allow.",
        )


# Folds ----------------------------------------------------------------------------------------------------------------


def _folds(
    found: Labelled, relatives: Relatives, config: TableConfig, folds: int, seed: int
) -> tuple[tuple[Round, ...], str, str]:
    """Twice as many parts as folds: two of them are the test, one or two stop the training, the others train."""
    by_family = config.by == "cluster"
    families = find_families(relatives, config.identity)[0] if by_family else numpy.arange(len(found))
    noun = "families" if by_family else "proteins"
    for _ in range(_AGAIN):
        if len(set(families.tolist())) < 2 * folds:
            raise UsageError(
                f"The {len(found):,} rows make {len(set(families.tolist())):,} {noun} of relatives that stay together; "
                f"{2 * folds} are needed for {folds} folds.",
                remedy="Add other proteins, say --set table.folds=2, or --set table.by=random, which says less about "
                "new proteins.",
            )
        part = _parts(families, _strata(found), 2 * folds, seed)
        rounds = tuple(_round(part, at, folds, wide=len(found) >= _WIDE or folds < FOLDS) for at in range(folds))
        missed = False
        for one in rounds:
            nearest = relatives.nearest(one.test, numpy.concatenate([one.train, one.stop]))
            for at in numpy.flatnonzero((nearest.place >= 0) & (nearest.identity >= config.identity)).tolist():
                if by_family:
                    families[families == families[one.test[at]]] = families[nearest.place[at]]
                    missed = True
        if not missed:
            break
    largest = max(Counter(families.tolist()).values())
    what = "families of relatives stay together" if by_family else "each protein by itself, at random"
    sentence = (
        f"in {folds} rounds, each of which puts other rows aside, learns from the rest and is asked about those, so "
        f"that each of the {len(found):,} rows is asked once by a network that has not seen it; {what}"
    ) + (
        f" ({len(set(families.tolist())):,} families, the largest has {counted(largest, 'row')})." if by_family else "."
    )
    return rounds, f"{folds} folds of {noun}", sentence


def _round(part: Places, at: int, folds: int, *, wide: bool) -> Round:
    test = [2 * at, 2 * at + 1]
    stop = [(2 * at + 2) % (2 * folds)] if wide else [(2 * at + 2) % (2 * folds), (2 * at + 3) % (2 * folds)]
    is_test, is_stop = numpy.isin(part, test), numpy.isin(part, stop)
    return Round(numpy.flatnonzero(~is_test & ~is_stop), numpy.flatnonzero(is_stop), numpy.flatnonzero(is_test))


def _parts(families: Places, strata: Places, count: int, seed: int) -> Places:
    """A part for each row: families whole, large ones first, each where its classes are fewest, then where room is."""
    order = numpy.random.default_rng(seed).permutation(numpy.unique(families))
    sizes = Counter(families.tolist())
    held = numpy.zeros((count, int(strata.max()) + 1))
    part = numpy.zeros(len(families), dtype=numpy.int64)
    for family in sorted(order.tolist(), key=lambda name: -sizes[name]):
        rows = numpy.flatnonzero(families == family)
        wanted = numpy.bincount(strata[rows], minlength=held.shape[1])
        load = held @ wanted + 1e-3 * held.sum(1) * len(rows) + 1e-6 * numpy.arange(count)
        load = load + 1e3 * numpy.maximum(0, held.sum(1) + len(rows) - 1.5 * len(families) / count)
        chosen = int(load.argmin())
        part[rows] = chosen
        held[chosen] += wanted
    return part


def _strata(found: Labelled) -> Places:
    """Rows of alike answers: classes, fifths of numbers, or all one."""
    values = [example.value for example in found.examples]
    if found.kind == "label":
        return numpy.unique([str(value) for value in values], return_inverse=True)[1].astype(numpy.int64)
    if found.kind == "number":
        numbers = numpy.array([float(value) for value in values])  # type: ignore[arg-type]
        ranks = numpy.argsort(numpy.argsort(numbers, kind="stable"), kind="stable")
        return (5 * ranks // len(numbers)).astype(numpy.int64)
    return numpy.zeros(len(values), dtype=numpy.int64)


def _fold_leaks(rounds: Sequence[Round], relatives: Relatives, found: Labelled) -> tuple[list[Finding], dict[int, str]]:
    identity = numpy.zeros(len(found))
    for one in rounds:
        identity[one.test] = relatives.nearest(one.test, numpy.concatenate([one.train, one.stop])).identity
    bands = band_of(identity)
    counts = Counter(bands.tolist())
    related = len(found) - counts[BANDS[0]]
    if not related:
        text = f"None of the {len(found):,} proteins is asked of a network that has learned from a relative of it "
        findings = [Finding("info", "twins", text + "(30 % identity or more).", 0.0)]
    else:
        text = f"{related:,} of {len(found):,} proteins ({related / len(found):.0%}) are asked of a network that has "
        text += "learned from a relative of them (30 % identity or more): new proteins will do worse."
        findings = [Finding("error" if counts[BANDS[-1]] else "warning", "relatives", text, related / len(found))]
    return findings, dict(enumerate(bands.tolist()))


def _label_leaks(found: Labelled) -> list[Finding]:
    """Ids and other columns that give the answer away."""
    names = [example.protein.id for example in found.examples]
    findings = shared_ids(names, [example.protein.sequence for example in found.examples], _rows(found))
    if found.kind not in ("label", "number"):
        return findings
    values = [str(example.value) for example in found.examples]
    findings += telling_columns(found.others or {}, values, found.label)
    if any(_own_name(name) for name in names):
        findings += telling_ids(names, values)
    return findings
