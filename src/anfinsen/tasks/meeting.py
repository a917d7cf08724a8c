"""What a model of pairs remembers: which known proteins meet, and how much that tells of a pair that is asked.

    training pairs -> conjoint triads, hashes, places, who meets whom -> three judges, one for each question:
        both known   neither new, though the pair is      circles, places and what like pairs do
        one known    one protein was never seen           what is usual for the other, places, what like pairs do
        none known   neither was ever seen                places and what like pairs do

Each judge is a logistic regression that was shown pairs posed as its question poses them: without the pair itself, or
without every pair of one of its proteins, or of both. It keeps numbers of chains and no sequences.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy
from numpy.typing import NDArray

from anfinsen.data.draw import draw_places
from anfinsen.data.example import Example
from anfinsen.data.triads import WIDTH, triads
from anfinsen.models.acquaintance import CIRCLES, LIKENESS, PLACES, Acquaintances, Asked, Flags, Floats, Places
from anfinsen.models.likeness import nearness, usual_scale
from anfinsen.structure.protein import Protein

QUESTIONS = ("none known", "one known", "both known")
"""The three questions, by how many of the two proteins are known."""
PlacesOf = Mapping[str, Floats]
"""The chance that a protein works in each room of the cell (C,), by the hash of its residues."""
_WEIGHTS = len(LIKENESS) + len(PLACES) + len(CIRCLES) + 1
_PARTS, _HIDDEN, _DEALS = 10, 3, 2
"""Parts of the pairs, parts of the proteins, and how often both are dealt."""
_SHARP = 3.0
"""The power of a likeness."""
_STEP = 1e-5
"""A profile and a place are kept in steps of so much."""
_BYTES = 8
_SEED = 1


@dataclass(frozen=True)
class Judges:
    """For each question the weights of its clues, the last one being the constant: (3, clues + 1)."""

    weights: Floats

    def judge(self, known: int, clues: Floats) -> Floats:
        """The log-odds that pairs meet, from clues (..., C) of a question: (...)."""
        row = self.weights[known]
        found: Floats = clues @ row[: clues.shape[-1]] + row[-1]
        return found


class Meeting:
    """Known proteins (K), known pairs (P, 2) and whether they meet, with the judges."""

    def __init__(
        self,
        hashes: Places,
        doubles: Flags,
        profiles: Floats,
        places: Floats,
        pairs: Places,
        meets: Flags,
        judges: Judges,
    ) -> None:
        self.hashes, self.doubles, self.profiles, self.places = hashes, doubles, profiles, places
        self.pairs, self.meets, self.judges = pairs, meets, judges
        self._place = {int(key): at for at, key in enumerate(hashes.tolist())}

    def __len__(self) -> int:
        """Known pairs."""
        return len(self.pairs)

    @classmethod
    def fit(cls, examples: Sequence[Example], yes: str, places: PlacesOf | None = None) -> Meeting:
        """Remember pairs whose answer is known; `yes` is the answer of those that meet, `places` of their proteins."""
        known = [example for example in examples if example.partner is not None and example.value is not None]
        chains = list({chain.sha256: chain for example in known for chain in example.chains}.values())
        place = {chain.sha256: at for at, chain in enumerate(chains)}
        pairs = numpy.array([[place[chain.sha256] for chain in one.chains] for one in known], dtype=numpy.int64)
        meets = numpy.array([example.value == yes for example in known], dtype=numpy.bool_)
        profiles = _rounded(triads([chain.sequence for chain in chains]))
        where = _rounded(placed(chains, places))
        blank = Judges(numpy.zeros((len(QUESTIONS), _WEIGHTS)))
        hashes = numpy.array([hashed(chain) for chain in chains], dtype=numpy.int64)
        names: dict[str, set[str]] = {}
        for one in known:
            for chain in one.chains:
                names.setdefault(chain.sha256, set()).add(chain.id)
        doubles = numpy.array([len(names[chain.sha256]) > 1 for chain in chains], dtype=numpy.bool_)
        first = cls(hashes, doubles, profiles, where, pairs.reshape(-1, 2), meets, blank)
        return cls(hashes, doubles, profiles, where, first.pairs, meets, _learned(first))

    @cached_property
    def known(self) -> Acquaintances:
        """Who meets whom."""
        return Acquaintances(self.pairs, self.meets, self.places, self.doubles)

    @cached_property
    def _scaling(self) -> tuple[Floats, Floats, float, Floats]:
        middle, spread = self.profiles.mean(0), self.profiles.std(0) + 1e-6
        scaled = (self.profiles - middle) / spread
        drawn = scaled[draw_places(len(scaled), 1000, seed=_SEED, in_order=False)]
        return middle, spread, usual_scale(drawn) / _SHARP if len(drawn) > 1 else 1.0, scaled

    def asked(self, chains: Sequence[Protein], places: Floats | None = None) -> Asked:
        """Some proteins (m) among the known ones, and where they work (m, C) if this memory was told of places."""
        where = numpy.zeros((len(chains), 0)) if places is None or not self.places.shape[1] else places
        own = numpy.array([self._place.get(hashed(chain), -1) for chain in chains], dtype=numpy.int64)
        middle, spread, scale, scaled = self._scaling
        likeness = nearness((triads([c.sequence for c in chains]) - middle) / spread, scaled, scale)
        return Asked(own, likeness, where.astype(numpy.float32))

    def votes(self, one: Asked, other: Asked, *, is_grid: bool = False) -> tuple[Floats, Places]:
        """The log-odds of pairs in the same row (P,), or of all with all (m, n); and how many of the two are known."""
        return self._votes(self.known, one, other, is_grid=is_grid)

    def recalled(self, one: Asked, other: Asked) -> NDArray[numpy.int64]:
        """What is known of the very pairs in the same row: 1 they meet, 0 they do not, -1 nothing: (P,)."""
        seen = {frozenset(pair): int(meets) for pair, meets in zip(self.pairs.tolist(), self.meets, strict=True)}
        asked = zip(one.own.tolist(), other.own.tolist(), strict=True)
        return numpy.array([seen.get(frozenset(pair), -1) for pair in asked], dtype=numpy.int64)

    def _votes(self, known: Acquaintances, one: Asked, other: Asked, *, is_grid: bool = False) -> tuple[Floats, Places]:
        clues = clues_of(known, one, other, is_grid=is_grid)
        met = known.knows(one).astype(numpy.int64), known.knows(other).astype(numpy.int64)
        count = met[0][:, None] + met[1][None] if is_grid else met[0] + met[1]
        found = numpy.where(count == 0, self.judges.judge(0, clues), self.judges.judge(1, clues))
        if is_grid:
            rows, columns = numpy.flatnonzero(met[0]), numpy.flatnonzero(met[1])
            if len(rows) and len(columns):
                place = numpy.ix_(rows, columns)
                circles = known.circle_clues(one.own[rows][:, None], other.own[columns][None])
                found[place] = self.judges.judge(2, numpy.concatenate((clues[place], circles), -1))
        elif (both := numpy.flatnonzero(count == 2)).size:
            circles = known.circle_clues(one.own[both], other.own[both])
            found[both] = self.judges.judge(2, numpy.concatenate((clues[both], circles), -1))
        return found.astype(numpy.float32), count

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Arrays of integers, as a head's memory keeps them."""
        return {
            "hashes": self.hashes,
            "doubles": self.doubles.astype(numpy.uint8),
            "profiles": numpy.round(self.profiles / _STEP).astype(numpy.int32),
            "places": numpy.round(self.places / _STEP).astype(numpy.int32),
            "pairs": self.pairs.astype(numpy.int32),
            "meets": self.meets.astype(numpy.uint8),
            "judges": self.judges.weights.astype(numpy.float32).view(numpy.int32),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Meeting:
        """The other way; of empty arrays a memory that knows nobody."""
        profiles = arrays["profiles"].reshape(-1, WIDTH).astype(numpy.float32) * numpy.float32(_STEP)
        rooms = arrays["places"].size // max(len(profiles), 1)
        places = arrays["places"].reshape(len(profiles), rooms).astype(numpy.float32) * numpy.float32(_STEP)
        judges = arrays["judges"].astype(numpy.int32).view(numpy.float32).reshape(len(QUESTIONS), -1)
        pairs = arrays["pairs"].reshape(-1, 2).astype(numpy.int64)
        hashes, doubles = arrays["hashes"].astype(numpy.int64), arrays["doubles"] > 0
        return cls(hashes, doubles, profiles, places, pairs, arrays["meets"] > 0, Judges(judges))


def hashed(chain: Protein) -> int:
    """How a protein is recognised: 63 bits of the hash of its residues."""
    return int.from_bytes(bytes.fromhex(chain.sha256)[:_BYTES], "big") >> 1


def placed(chains: Iterable[Protein], places: PlacesOf | None) -> Floats:
    """The places of some proteins: (m, C), or (m, 0) where none are told."""
    rows = [() if places is None else places[chain.sha256] for chain in chains]
    found: Floats = numpy.array(rows, dtype=numpy.float32).reshape(len(rows), -1)
    return found


def clues_of(known: Acquaintances, one: Asked, other: Asked, *, is_grid: bool = False) -> Floats:
    """The clues that every pair has, of `LIKENESS` and of `PLACES`: (P, 7), or (m, n, 7) of everyone with everyone."""
    parts = (known.likeness_clues(one, other, is_grid=is_grid), known.place_clues(one, other, is_grid=is_grid))
    return numpy.concatenate(parts, -1)


def _rounded(rows: Floats) -> Floats:
    """What is left of numbers once they are kept in steps."""
    kept: Floats = (numpy.round(rows / _STEP) * _STEP).astype(numpy.float32)
    return kept


# How the judges learn ------------------------------------------------------------------------------------------------


def posed(count: int, pairs: Places) -> Iterator[tuple[int, Places, Places, Flags]]:
    """How many proteins are known, which pairs may be remembered, which are asked, and which proteins are hidden."""
    generator = numpy.random.default_rng(_SEED)
    for _ in range(_DEALS):
        part = generator.integers(0, _PARTS, len(pairs))
        for number in range(_PARTS):
            yield 2, part != number, numpy.flatnonzero(part == number), numpy.zeros(count, dtype=numpy.bool_)
        of_protein = generator.permutation(count) % _HIDDEN
        for number in range(_HIDDEN):
            hidden = of_protein == number
            new = hidden[pairs].sum(1)
            for known in (1, 0):
                yield known, new == 0, numpy.flatnonzero(new == 2 - known), hidden


def _learned(memory: Meeting) -> Judges:
    """Three judges from pairs that are posed as they will be asked."""
    found: dict[int, list[tuple[Floats, Flags]]] = {number: [] for number in range(len(QUESTIONS))}
    _, _, scale, scaled = memory._scaling
    likeness = nearness(scaled, scaled, scale)
    everyone = numpy.arange(len(memory.hashes))
    for number, kept, held, hidden in posed(len(memory.hashes), memory.pairs):
        if not kept.any() or not len(held):
            continue
        known = Acquaintances(memory.pairs[kept], memory.meets[kept], memory.places, memory.doubles)
        asked = Asked(numpy.where(hidden, -1, everyone), likeness, memory.places)
        one, other = (asked.part(memory.pairs[held, side]) for side in (0, 1))
        clues = clues_of(known, one, other)
        if number == 2:
            both = known.knows(one) & known.knows(other)
            held, clues = held[both], clues[both]
            circles = known.circle_clues(memory.pairs[held, 0], memory.pairs[held, 1])
            clues = numpy.concatenate((clues, circles), 1)
        found[number].append((clues, memory.meets[held]))
    weights = numpy.zeros((len(QUESTIONS), _WEIGHTS))
    for number, rows in found.items():
        if not rows:
            continue
        clues, truth = (numpy.concatenate(part) for part in zip(*rows, strict=True))
        if min(truth.sum(), (~truth).sum()) > 0:
            weights[number] = _straight(clues, truth, weights.shape[1])
    return Judges(weights.astype(numpy.float32))


def _straight(clues: Floats, truth: Flags, width: int) -> Floats:
    """The weights of a logistic regression on clues in their own units, the constant last: (width,)."""
    from sklearn.linear_model import LogisticRegression

    middle, spread = clues.mean(0), clues.std(0) + 1e-6
    model = LogisticRegression(max_iter=1000).fit((clues - middle) / spread, truth)
    row = numpy.zeros(width)
    row[: clues.shape[1]] = model.coef_[0] / spread
    row[-1] = float(model.intercept_[0]) - float((model.coef_[0] / spread) @ middle)
    return row
