"""Which rows are trained on, which stop the training, and which judge it: the kinds of split.

    random      any row anywhere: honest only where new proteins will be as like the old ones as these are
    cluster     families of relatives stay together: how good on proteins of another family (the default)
    column      your own column: names of splits, or groups that stay together
    time        the oldest rows are trained on, the newest judge
    cold-a/b    no partner in column a (or b) occurs in two splits: a new protein, a new drug (C2)
    cold-pair   both partners are new; rows that mix old and new are left out (C3)
    partners    one deal for all three: test pairs of which none, one and both partners are new, each scored apart

C1, C2 and C3 say how many partners of a test pair are new: none, one, both (Park & Marcotte 2012, Nature Methods
9:1134). It knows rows, groups and shares, no sequence and no file.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy
from numpy.typing import NDArray

from anfinsen.errors import UsageError, suggest

TRAIN, VALID, TEST = NAMES = ("train", "valid", "test")
LEFT_OUT = "left out"
KINDS = ("cluster", "random", "column", "time", "cold-a", "cold-b", "cold-pair")
SHARES = (0.8, 0.1, 0.1)
_SPELLINGS = {
    "train": TRAIN,
    "training": TRAIN,
    "valid": VALID,
    "val": VALID,
    "validation": VALID,
    "dev": VALID,
    "test": TEST,
    "testing": TEST,
}
_DATE = re.compile(r"\d{4}(-\d{2}(-\d{2}([T ].*)?)?)?")
_SMALL = 4
"""A group of more than a quarter of a split goes to another one while it can: one family is no test."""

Shares = tuple[float, float, float]
Places = NDArray[numpy.int64]
Record = Mapping[str, object]


@dataclass(frozen=True)
class Split:
    """The split of each row, the kind of split, and a record of what was done, for whoever reads the result."""

    names: NDArray[numpy.str_]
    kind: str
    record: Record = field(default_factory=dict)
    told: tuple[str, ...] = ()

    def rows(self, name: str) -> Places:
        """The places of the rows of one split."""
        return numpy.flatnonzero(self.names == name)

    def counts(self) -> dict[str, int]:
        """How many rows each split has, rows left out last."""
        found = Counter(self.names.tolist())
        return {name: found[name] for name in (*NAMES, LEFT_OUT) if found[name] or name != LEFT_OUT}

    def __str__(self) -> str:
        counts = ", ".join(f"{name} {count:,}" for name, count in self.counts().items())
        return f"{self.kind} split of {len(self.names):,} rows: {counts}."


def read_shares(text: str) -> Shares:
    """Shares of train, valid and test, as in '0.8,0.1,0.1'.

    >>> read_shares("0.8,0.1,0.1")
    (0.8, 0.1, 0.1)
    """
    try:
        shares = tuple(float(part) for part in text.split(","))
    except ValueError:
        shares = ()
    if len(shares) != len(NAMES) or not all(0 < share < 1 for share in shares) or abs(sum(shares) - 1) > 0.005:
        raise UsageError(
            f"The shares came as '{text}'; three numbers between 0 and 1 that add up to 1 are expected.",
            remedy="Write the shares of train, valid and test, as in --shares 0.8,0.1,0.1.",
        )
    return shares[0], shares[1], shares[2]


def random_split(count: int, *, shares: Shares = SHARES, seed: int = 1) -> Split:
    """Each row by itself, at random."""
    return _made(group_split(range(count), shares=shares, seed=seed), "random", {}, ())


def group_split(
    groups: Sequence[Hashable], *, shares: Shares = SHARES, seed: int = 1, kind: str = "column", noun: str = "group"
) -> Split:
    """Rows of one group stay together; groups are dealt at random until the shares are met as nearly as they can be.

    A group larger than a quarter of the validation or test split goes to training where it can. Raises UsageError
    where a split would stay empty.
    """
    number = {group: at for at, group in enumerate(dict.fromkeys(groups))}
    member = numpy.array([number[group] for group in groups], dtype=numpy.int64)
    sizes = numpy.bincount(member, minlength=len(number))
    names = numpy.array(NAMES)[_deal(sizes, shares, seed)[member]]
    plural = "families" if noun == "family" else f"{noun}s"
    told: tuple[str, ...] = ()
    largest = int(sizes.max(initial=0))
    if largest > shares[0] * len(groups) and len(number) > 1:
        told = (
            f"The largest {noun} has {largest:,} of {len(groups):,} rows, more than the {shares[0]:.0%} asked for "
            "training, so the shares could not be met.",
        )
    elif largest > 0.2 * len(groups) and len(number) > 1:
        told = (f"The largest {noun} has {largest:,} of {len(groups):,} rows and stays together.",)
    _must_hold_all(
        names,
        f"The {len(groups):,} rows make {len(number):,} {plural if len(number) != 1 else noun} that "
        f"stay{'s' if len(number) == 1 else ''} together",
        "Add rows, or take another kind of split: --by random says less about new proteins."
        if noun != "family"
        else "Add other proteins, raise --identity, or take --by random, which says less about new proteins.",
    )
    record = {"seed": seed, "shares": list(shares), plural: len(number), f"largest {noun}": largest}
    return _made(Split(names, kind), kind, record, told)


def own_split(values: Sequence[str], *, shares: Shares = SHARES, seed: int = 1) -> Split:
    """Your own column: names of splits (train, val, test and their spellings), or groups that stay together."""
    folded = [value.strip().lower() for value in values]
    if "" in folded:
        raise UsageError(
            f"The split column is empty in {folded.count('')} of {len(values):,} rows, such as row "
            f"{folded.index('') + 1}.",
            remedy="Fill it, or take the rows out.",
        )
    if set(folded) <= set(_SPELLINGS):
        return _made(Split(numpy.array([_SPELLINGS[value] for value in folded]), "column"), "column", {}, ())
    return group_split(folded, shares=shares, seed=seed)


def time_split(values: Sequence[str], *, shares: Shares = SHARES) -> Split:
    """The oldest rows train, the newest test; rows of one moment stay together. Numbers, or dates as 2024-05-31."""
    moments = [_moment(value, row) for row, value in enumerate(values, 1)]
    kinds = {type(moment) for moment in moments}
    if len(kinds) > 1:
        raise UsageError("The time column mixes numbers and dates.", remedy="Write all as 2024-05-31, or all as 2024.")
    order = sorted(range(len(moments)), key=moments.__getitem__)
    names = numpy.full(len(moments), TEST, dtype="<U8")
    first = 0
    for _, count in sorted(Counter(moments).items()):
        middle = (first + count / 2) / len(moments)
        name = TRAIN if middle <= shares[0] else VALID if middle <= shares[0] + shares[1] else TEST
        names[[order[at] for at in range(first, first + count)]] = name
        first += count
    told_of = f"The time column has {len(set(moments))} different moments"
    _must_hold_all(names, told_of, "Take a column with finer times, or another kind of split.")
    ends = {name: [values[at] for at in order if names[at] == name] for name in NAMES}
    told = (
        f"Training ends with {ends[TRAIN][-1]}, validation with {ends[VALID][-1]}; the test begins with "
        f"{ends[TEST][0]}.",
    )
    return _made(Split(names, "time"), "time", {"shares": list(shares)}, told)


def cold_pair_split(
    a: Sequence[Hashable], b: Sequence[Hashable], *, shares: Shares = SHARES, seed: int = 1, same: bool = False
) -> Split:
    """Both partners of a test pair are new (C3); pairs that join two splits are left out.

    `same` says that both columns hold one kind of partner (protein and protein), so that nobody is in training on
    one side and in the test on the other. Partners are dealt by the square roots of the shares, so that the pairs
    that stay have about the shares asked for.
    """
    roots = [math.sqrt(share) for share in shares]
    by_partner = (roots[0] / sum(roots), roots[1] / sum(roots), roots[2] / sum(roots))
    sides = [tuple(dict.fromkeys([*a, *b]))] * 2 if same else [tuple(dict.fromkeys(side)) for side in (a, b)]
    dealt = []
    for at, partners in enumerate(sides):
        # dealt by partners, not by pairs: a partner of a thousand pairs counts once
        split = group_split(partners, shares=by_partner, seed=seed + (0 if same else at), noun="partner")
        dealt.append(dict(zip(partners, split.names.tolist(), strict=True)))
    pairs = [(dealt[0][one], dealt[1][other]) for one, other in zip(a, b, strict=True)]
    names = numpy.array([one if one == other else LEFT_OUT for one, other in pairs])
    left = int((names == LEFT_OUT).sum())
    told_of = f"With both partners new, {left:,} of {len(names):,} pairs join two splits"
    _must_hold_all(names, told_of, "Add pairs, or take --by cold-a or --by cold-b.")
    largest = max(count for side in (a, b) for count in Counter(side).values())
    told = (
        f"{left:,} of {len(names):,} pairs ({left / len(names):.0%}) join a partner of one split with a partner of "
        "another and were left out: that is the price of a test in which both are new. The largest "
        f"family or partner is in {largest:,} pairs.",
    )
    return _made(Split(names, "cold-pair"), "cold-pair", {"seed": seed, "shares": list(shares), LEFT_OUT: left}, told)


PARTNER_SHARES = (0.7, 0.1, 0.2)
"""Shares of the partners, not of the pairs, that train, that stop the training, and that are new in the test."""
_KNOWN_TOGETHER = 0.1


def partner_split(
    a: Sequence[Hashable], b: Sequence[Hashable], *, shares: Shares = PARTNER_SHARES, seed: int = 1
) -> Split:
    """Test pairs of all three classes at once: C1, C2 and C3 (see `pair_classes`), for partners of one kind.

    Partners are dealt, not pairs. Pairs of two training partners train, but for a tenth that is kept for the test (C1);
    pairs with a test partner are the test (C2, C3), others with a validation partner stop the training. Only pairs of
    a validation and a test partner are left out. Pairs that join the same two partners stay together.
    """
    partners = tuple(dict.fromkeys([*a, *b]))
    dealt = dict(
        zip(partners, group_split(partners, shares=shares, seed=seed, noun="partner").names.tolist(), strict=True)
    )
    joined = [frozenset((one, other)) for one, other in zip(a, b, strict=True)]
    names = numpy.array([_pair_name({dealt[one] for one in pair}) for pair in joined], dtype="<U8")
    together = list(dict.fromkeys(pair for pair, name in zip(joined, names.tolist(), strict=True) if name == TRAIN))
    drawn = numpy.random.default_rng(seed).permutation(len(together))[: round(_KNOWN_TOGETHER * len(together))]
    kept = {together[at] for at in drawn.tolist()}
    names[[pair in kept for pair in joined]] = TEST
    told_of = f"There are {len(partners):,} different partners in {len(names):,} pairs"
    _must_hold_all(names, told_of, "Add pairs, or say --set table.by=random, which says nothing about new proteins.")
    left = int((names == LEFT_OUT).sum())
    record = {"kind": "partners", "seed": seed, "shares": list(shares), "partners": len(partners), LEFT_OUT: left}
    return _made(Split(names, "partners"), "partners", record, ())


def _pair_name(roles: set[str]) -> str:
    if roles == {VALID, TEST}:
        return LEFT_OUT
    return TEST if TEST in roles else VALID if VALID in roles else TRAIN


def pair_classes(names: NDArray[numpy.str_], a: Sequence[Hashable], b: Sequence[Hashable]) -> NDArray[numpy.str_]:
    """C1, C2 or C3 for each test pair: none, one or both of its partners do not occur in training; '' elsewhere."""
    train = numpy.flatnonzero(names == TRAIN)
    is_same = not set(a).isdisjoint(b)
    known = [{side[row] for row in train.tolist()} for side in (a, b)]
    if is_same:
        known = [known[0] | known[1]] * 2
    classes = [
        f"C{1 + (one not in known[0]) + (other not in known[1])}" if name == TEST else ""
        for name, one, other in zip(names.tolist(), a, b, strict=True)
    ]
    return numpy.array(classes)


def refuse_kind(kind: str) -> None:
    """Refuse a kind of split that does not exist."""
    if kind not in KINDS:
        raise UsageError(f"There is no split by '{kind}'.", remedy=suggest(kind, KINDS))


def _must_hold_all(names: NDArray[numpy.str_], told: str, remedy: str) -> None:
    """Refuse a split of which a part is empty; `told` says how that came."""
    missing = [name for name in NAMES if name not in names]
    if missing:
        raise UsageError(f"{told}, and nothing is left for {' and '.join(missing)}.", remedy=remedy)


def _made(split: Split, kind: str, record: Record, told: tuple[str, ...]) -> Split:
    return Split(split.names, kind, {"kind": kind, **split.record, **record, "rows": split.counts()}, told)


def _deal(sizes: NDArray[numpy.integer], shares: Shares, seed: int) -> Places:
    """A split for each group, large groups first, by what each split still needs."""
    total = int(sizes.sum())
    quota = numpy.array([0, max(1, round(shares[1] * total)), max(1, round(shares[2] * total))])
    quota[0] = total - quota.sum()
    room = quota.astype(float)
    small = numpy.array([total, max(1, quota[1] // _SMALL), max(1, quota[2] // _SMALL)])
    generator = numpy.random.default_rng(seed)
    order = generator.permutation(len(sizes))
    order = order[numpy.argsort(-sizes[order], kind="stable")]
    chosen = numpy.zeros(len(sizes), dtype=numpy.int64)
    for group in order.tolist():
        size = sizes[group]
        fits = (size <= room) & (size <= small)
        if not fits.any():
            fits = size <= room
        if not fits.any():
            fits = room == room.max()
        weights = numpy.where(fits, numpy.maximum(room, 1e-9), 0.0)
        chosen[group] = generator.choice(len(NAMES), p=weights / weights.sum())
        room[chosen[group]] -= size
    return chosen


def _moment(value: str, row: int) -> float | str:
    text = value.strip()
    if _DATE.fullmatch(text) and "-" in text:
        return text
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise UsageError(
            f"'{text}' in row {row} of the time column is neither a number nor a date.",
            remedy="Write it as 2024-05-31, or as a number.",
        )
    return number
