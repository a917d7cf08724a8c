"""What makes a score look better than it is: twins across a split, repeated pairs, labels that contradict each other.

Each finding is a plain sentence with its numbers and examples. An error means that the score of this split would
not be worth printing; a warning, that it must be read with care. Rows are counted from 1 as the file has them.
Shortcuts to the label stand in `kinship.shortcuts`. It knows columns and relatives, no file and no model.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy
from numpy.typing import NDArray

from anfinsen.kinship.relatives import Nearest, Relatives, Tell
from anfinsen.kinship.splits import TEST, TRAIN, Split, pair_classes
from anfinsen.reading.raw import printable

BANDS = ("<30", "30-50", "50-90", ">90")
"""Identity in percent to the nearest training protein; 90 itself belongs to the last band, 30 to the second."""
TWIN, KIN = 0.9, 0.3
_EDGES = (0.3, 0.5, 0.9)
_SHOWN = 3
_SAME_NUMBER = 0.5

Level = Literal["error", "warning", "info"]
Floats = NDArray[numpy.float64]


@dataclass(frozen=True)
class Finding:
    """One sentence about a split; `name` says which test it is, `share` how many of the test rows it concerns."""

    level: Level
    name: str
    text: str
    share: float | None = None

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class Rows:
    """How rows are named in a sentence: their numbers in the file and their ids, where there are any."""

    numbers: Sequence[int]
    ids: Sequence[str] | None = None

    def __call__(self, place: int) -> str:
        """A row in words: 'row 3 (P12345)'."""
        name = printable(self.ids[place].strip()) if self.ids is not None else ""
        return f"row {self.numbers[place]}" + (f" ({name})" if name else "")


def band_of(identity: Floats) -> NDArray[numpy.str_]:
    """The band of each test protein by its identity (0 to 1, 0 where no relative was found) to training.

    >>> band_of(numpy.array([0.0, 0.3, 0.72, 0.9])).tolist()
    ['<30', '30-50', '50-90', '>90']
    """
    # an identity is a ratio of counts: 9/10 must not fall below 0.9 by a rounding
    return numpy.array(BANDS)[numpy.searchsorted(_EDGES, identity + 1e-9, side="right")]


def twins(
    split: Split, relatives: Relatives, rows: Rows, *, tell: Tell = lambda done, total: None, noun: str = "test protein"
) -> tuple[Nearest, list[Finding]]:
    """The nearest training protein of each test protein, and what follows: 90 % or more is an error, 30 a warning."""
    test, train = split.rows(TEST), split.rows(TRAIN)
    nearest = relatives.nearest(test, train, tell=tell)
    same = relatives.chain_of[test] == relatives.chain_of[nearest.place]
    is_same = same & (nearest.place >= 0)
    bands = band_of(nearest.identity)
    found: list[Finding] = []
    groups: tuple[tuple[Level, str, NDArray[numpy.bool_], str], ...] = (
        ("error", "identical", is_same, "stand in training with the very same residues"),
        ("error", "twins", (bands == ">90") & ~is_same, "have a training twin of 90 % identity or more"),
        ("warning", "relatives at 50", bands == "50-90", "have a training relative of 50 to 90 % identity"),
        ("warning", "relatives at 30", bands == "30-50", "have a training relative of 30 to 50 % identity"),
    )
    for level, name, mask, what in groups:
        if count := int(mask.sum()):
            shown = _twin_examples(mask, nearest, test, rows)
            text = f"{_share(count, len(test), noun)} {_agree(what, count)}: {shown}."
            found.append(Finding(level, name, text, count / len(test)))
    if not found:
        text = f"None of the {len(test):,} {noun}s has a training relative of 30 % identity or more that was found."
        found.append(Finding("info", "twins", text, 0.0))
    return nearest, found


def conflicts(
    sequences: Sequence[str],
    labels: Sequence[str],
    rows: Rows,
    *,
    given: Sequence[Sequence[str]] = (),
    noun: str = "residues",
) -> list[Finding]:
    """The same residues (under the same conditions `given`) with different labels, both rows named.

    Numbers contradict each other where they differ by more than half of the standard deviation of all.
    """
    numbers = as_numbers(labels)
    limit = _SAME_NUMBER * float(numpy.nanstd(numbers)) if numbers is not None else 0.0
    first: dict[tuple[str, ...], list[int]] = defaultdict(list)
    pairs: list[tuple[int, int]] = []
    for place, sequence in enumerate(sequences):
        if not labels[place].strip():
            continue
        key = (sequence, *(column[place] for column in given))
        for other in first[key]:
            if numbers is not None:
                differs = abs(numbers[place] - numbers[other]) > limit
            else:
                differs = labels[place].strip() != labels[other].strip()
            if differs:
                pairs.append((other, place))
                break
        else:
            first[key].append(place)
    if not pairs:
        return []
    shown = "; ".join(
        f"{rows(one)} says '{printable(labels[one])}' and {rows(other)} says '{printable(labels[other])}'"
        for one, other in pairs[:_SHOWN]
    )
    text = (
        f"{len(pairs):,} row{'s have' if len(pairs) > 1 else ' has'} the {noun} of an earlier row and another label: "
        f"{shown}{_more(len(pairs))}. Keep one, or give the median."
    )
    return [Finding("warning", "conflicts", text)]


def shared_ids(ids: Sequence[str], sequences: Sequence[str], rows: Rows) -> list[Finding]:
    """Ids that stand for more than one sequence."""
    first: dict[str, int] = {}
    pairs = []
    for place, name in enumerate(ids):
        other = first.setdefault(name.strip(), place)
        if name.strip() and sequences[other] != sequences[place]:
            pairs.append((other, place))
    if not pairs:
        return []
    one, other = pairs[0]
    count = len({ids[place].strip() for _, place in pairs})
    text = f"{count:,} ids stand for more than one sequence, such as " if count > 1 else ""
    text = text or "1 id stands for more than one sequence: "
    text += f"'{printable(ids[one].strip())}' in rows {rows.numbers[one]} and {rows.numbers[other]}."
    return [Finding("warning", "shared ids", text)]


# Pairs ----------------------------------------------------------------------------------------------------------------


def repeated_pairs(split: Split, a: Sequence[str], b: Sequence[str], rows: Rows) -> list[Finding]:
    """Test pairs that stand in training too, also mirrored (A-B and B-A)."""
    train: dict[tuple[str, str], int] = {}
    for place in split.rows(TRAIN).tolist():
        train.setdefault((a[place], b[place]), place)
    found = []
    for name, turned, what in (
        ("repeated pairs", False, "stand in training too"),
        ("mirrored pairs", True, "stand in training with their partners exchanged"),
    ):
        hits = []
        for place in split.rows(TEST).tolist():
            pair = (b[place], a[place]) if turned else (a[place], b[place])
            if pair in train and not (turned and a[place] == b[place]):
                hits.append((place, train[pair]))
        if hits:
            count = len(split.rows(TEST))
            shown = "; ".join(f"{rows(place)} and {rows(other)}" for place, other in hits[:_SHOWN])
            text = f"{_share(len(hits), count, 'test pair')} {_agree(what, len(hits))}: {shown}{_more(len(hits))}."
            found.append(Finding("error", name, text, len(hits) / count))
    return found


def new_partners(split: Split, a: Sequence[str], b: Sequence[str]) -> Finding:
    """How many test pairs are C1, C2 and C3."""
    classes = Counter(pair_classes(split.names, a, b)[split.rows(TEST)].tolist())
    text = (
        f"Of {len(split.rows(TEST)):,} test pairs, {classes['C1']:,} have both partners in training (C1), "
        f"{classes['C2']:,} one (C2) and {classes['C3']:,} none (C3): a score speaks for the frequent kind."
    )
    return Finding("info", "new partners", text)


# Words ----------------------------------------------------------------------------------------------------------------


def _twin_examples(mask: NDArray[numpy.bool_], nearest: Nearest, test: NDArray[numpy.int64], rows: Rows) -> str:
    places = numpy.flatnonzero(mask)
    worst = places[numpy.argsort(-nearest.identity[places], kind="stable")][:_SHOWN]
    shown = [
        f"{rows(int(test[at]))} and {rows(int(nearest.place[at]))} ({_floor(nearest.identity[at])} %)"
        for at in worst.tolist()
    ]
    return "; ".join(shown) + _more(len(places))


def _floor(identity: float) -> int:
    """Percent, rounded down: what is not identical is not called 100 %."""
    return int(100 * identity + 1e-6)


def _share(count: int, total: int, noun: str) -> str:
    return f"{count:,} of {total:,} {noun}s ({count / total:.0%})"


def _agree(what: str, count: int) -> str:
    """'have' or 'has' and 'stand' or 'stands', by the count."""
    return what if count > 1 else re.sub("^stand", "stands", re.sub("^have", "has", what))


def _more(count: int) -> str:
    return f"; and {count - _SHOWN:,} more" if count > _SHOWN else ""


def as_numbers(cells: Sequence[str]) -> Floats | None:
    """The cells as numbers, NaN where empty; None where one is text."""
    try:
        found = numpy.array([float(cell) if cell.strip() else numpy.nan for cell in cells])
    except ValueError:
        return None
    return found if numpy.isfinite(found[~numpy.isnan(found)]).all() and not numpy.isnan(found).all() else None
