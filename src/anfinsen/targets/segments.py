"""Letters that must make sense together: stretches of a chain that obey a grammar.

    Segments   one of K letters for every residue, decoded by a grammar   logits (R, K)  ->
               {"tokens", "probabilities", "sets", "segments": [{"letter", "start", "end"}]}

A helix that crosses a membrane is a dozen residues long at least, and what leaves the inside arrives at the outside.
Letters chosen one by one break such rules; the path through the grammar that the network finds likeliest does not
(Viterbi 1967; for membrane proteins Krogh et al. 2001, J Mol Biol 305:567; Bernhofer & Rost 2022). A grammar is a list
of stages; each has a letter, its lengths and the stages that may follow. Every beginning of a stage that is marked
`costly` is paid for. How dear it is belongs to the calibration, and so does how far the odds between the letters of
`sides` are trusted: a network that sees the membrane well and the sides badly must not miss a crossing for their sake.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import groupby

import numpy

from anfinsen.data.example import Example
from anfinsen.targets.base import UNKNOWN, Answer, Calibration, Floats, Tokens, softmax

PRICES = (0.0, 1.0, 2.0, 3.0, 4.5, 6.0, 9.0, 13.0, 18.0, 25.0, 35.0)
"""Prices of a beginning that the calibration chooses from, as natural logarithms of odds."""
TRUSTS = (1.0, 0.3, 0.1, 0.03)
"""Powers to which the odds between sides are raised, of which the calibration chooses one."""
TOLERANCE, SHARED = 5, 0.5
"""A segment is found if both ends are at most so many residues off and it shares so much of both together."""
_FLOOR = 1e-6
_NEVER = -1e9


@dataclass(frozen=True)
class Stage:
    """A kind of stretch: its letter, its lengths, what may follow, and whether a chain may begin so.

    Where a stage has a `most`, its lengths are weighed by a normal curve (`mean`, `spread`); without one any length
    from `least` on is as good as another.
    """

    name: str
    letter: str
    follow: tuple[str, ...] = ()
    least: int = 1
    most: int | None = None
    mean: float = 0.0
    spread: float = 1.0
    begins: bool = False
    costly: bool = False

    @property
    def steps(self) -> int:
        """Steps of the walk: each length of a bounded stage is one, of an endless one the last repeats."""
        return self.most or self.least

    def weight(self, length: int) -> float:
        """The logarithm of how usual a length is, up to a constant of the stage."""
        return 0.0 if self.most is None else -0.5 * ((length - self.mean) / self.spread) ** 2


@dataclass(frozen=True)
class Segment:
    """A stretch of one letter, its first and last residue counted from 1."""

    letter: str
    start: int
    end: int


@dataclass(frozen=True)
class Grammar:
    """Stages as a graph of steps, S in all: the k-th step of a stage stands for its k-th residue."""

    stages: tuple[Stage, ...]

    @cached_property
    def _first(self) -> dict[str, int]:
        ends = numpy.cumsum([0] + [stage.steps for stage in self.stages]).tolist()
        return {stage.name: end for stage, end in zip(self.stages, ends, strict=False)}

    @cached_property
    def letters(self) -> list[str]:
        """The letter of each step, (S,)."""
        return [stage.letter for stage in self.stages for _ in range(stage.steps)]

    def _moves(self, price: float) -> tuple[Floats, Floats, Floats]:
        """Scores of beginning in a step (S,), of going from a step to another (S, S), and of ending in one (S,)."""
        size = len(self.letters)
        begin, go, end = numpy.full(size, _NEVER), numpy.full((size, size), _NEVER), numpy.full(size, _NEVER)
        dear = {stage.name: -price if stage.costly else 0.0 for stage in self.stages}
        for stage in self.stages:
            first = self._first[stage.name]
            last = first + stage.steps - 1
            for step in range(first, last):
                go[step, step + 1] = 0.0
            if stage.most is None:
                go[last, last] = 0.0
            for length in range(stage.least, stage.steps + 1):
                step = first + length - 1
                end[step] = stage.weight(length)
                for name in stage.follow:
                    go[step, self._first[name]] = dear[name] + stage.weight(length)
            if stage.begins:
                begin[first] = dear[stage.name]
        return begin, go, end

    def decode(self, scores: Floats, letters: Sequence[str], price: float) -> str:
        """The likeliest legal string for log-probabilities (L, K) of the letters.

        A chain too short for any legal string is spelled by the likeliest letter of a stage that may be that short.
        """
        begin, go, end = self._moves(price)
        # most steps are reached from one other: of each only those are compared that lead to it
        legal = go > _NEVER / 2
        sources = numpy.argsort(~legal, axis=0, kind="stable")[: legal.sum(0).max()].T  # (S, W)
        costs = numpy.take_along_axis(go.T, sources, axis=1)
        each = scores[:, [letters.index(letter) for letter in self.letters]]  # (L, S)
        came = numpy.zeros(each.shape, dtype=numpy.int64)
        best, steps = begin + each[0], numpy.arange(each.shape[1])
        for place in range(1, len(each)):
            ways = best[sources] + costs
            chosen = ways.argmax(1)
            came[place] = sources[steps, chosen]
            best = ways[steps, chosen] + each[place]
        step = int((best + end).argmax())
        path = [step]
        for place in range(len(each) - 1, 0, -1):
            step = int(came[place, step])
            path.append(step)
        return "".join(self.letters[step] for step in reversed(path))


@dataclass(frozen=True)
class Segments(Tokens):
    """One letter for every residue by a grammar.

    `crossing` are the letters whose segments count, `sides` those of which the odds are hardest to learn, `alike`
    other spellings in the table ('h' for 'H').
    """

    grammar: Grammar = field(default_factory=lambda: Grammar(()))
    crossing: str = ""
    sides: str = ""
    alike: tuple[tuple[str, str], ...] = ()

    def read(self, value: str) -> str:
        """A true string in the letters of the target."""
        for theirs, ours in self.alike:
            value = value.replace(theirs, ours)
        return value

    def answer(self, outputs: Floats, calibration: Calibration) -> Answer:
        probabilities = softmax(outputs / calibration.get("temperature", 1.0))
        tokens = self._decode(probabilities, calibration.get("price", 0.0), calibration.get("trust", 1.0))
        answer: Answer = {
            "tokens": tokens,
            "probabilities": {
                letter: [round(float(share), 4) for share in probabilities[:, number]]
                for number, letter in enumerate(self.letters)
            },
            "segments": [
                {"letter": one.letter, "start": one.start, "end": one.end}
                for one in segments(tokens)
                if one.letter in self.crossing
            ],
        }
        if "threshold" in calibration:
            inside = probabilities >= calibration["threshold"]
            answer["sets"] = [
                "".join(letter for letter, is_in in zip(self.letters, row, strict=True) if is_in or letter == said)
                for row, said in zip(inside, tokens, strict=True)
            ]
        return answer

    def calibrate(self, outputs: Sequence[Floats], examples: Sequence[Example]) -> Calibration:
        """Temperature and threshold as of single letters; the price of a segment and the trust in the odds between
        sides at which segments have the best F1."""
        calibration = super().calibrate(outputs, examples)
        shares = [softmax(output / calibration["temperature"]) for output in outputs]
        truths = [self._spelled(example) for example in examples]
        columns = [self.letters.index(letter) for letter in self.crossing]
        # where neither the truth nor the network sees a segment, nothing changes anything
        asked = [
            at
            for at, (share, truth) in enumerate(zip(shares, truths, strict=True))
            if share[:, columns].sum(1).max() > 0.5 or set(truth) & set(self.crossing)
        ]
        if not asked:
            return calibration | {"price": 0.0, "trust": 1.0}
        scores = numpy.zeros((len(TRUSTS) if self.sides else 1, len(PRICES)))
        for (row, column), _ in numpy.ndenumerate(scores):
            said = [self._decode(shares[at], PRICES[column], TRUSTS[row]) for at in asked]
            counts = [matched(truths[at], one, self.crossing) for at, one in zip(asked, said, strict=True)]
            found, given, real = numpy.sum(counts, axis=0)
            scores[row, column] = 2 * found / max(given + real, 1)
        # of several that are as good the most trust, and of prices the middle one
        row = int(scores.max(1).argmax())
        best = numpy.flatnonzero(scores[row] == scores.max())
        return calibration | {"price": PRICES[int(best[len(best) // 2])], "trust": TRUSTS[row]}

    def _decode(self, probabilities: Floats, price: float, trust: float) -> str:
        if not len(probabilities):
            return ""
        scores = numpy.log(numpy.maximum(probabilities, _FLOOR))
        sides = [self.letters.index(letter) for letter in self.sides]
        if sides:
            outside = numpy.logaddexp.reduce(scores[:, sides], axis=1, keepdims=True)
            scores[:, sides] = outside + trust * (scores[:, sides] - outside)
        return self.grammar.decode(scores, self.letters, price)

    def _spelled(self, example: Example) -> str:
        """The true letters, '?' where unknown."""
        return "".join(self.letters[number] if number != UNKNOWN else "?" for number in self.encode(example))


def segments(tokens: str) -> list[Segment]:
    """The stretches of equal letters in order.

    >>> segments("11HHH2")[1]
    Segment(letter='H', start=3, end=5)
    """
    found, place = [], 0
    for letter, group in groupby(tokens):
        length = len(list(group))
        found.append(Segment(letter, place + 1, place + length))
        place += length
    return found


def is_found(true: Segment, said: Segment) -> bool:
    """Whether a said segment is a true one: the same letter, both ends near, at least half shared."""
    shared = min(true.end, said.end) - max(true.start, said.start) + 1
    whole = max(true.end, said.end) - min(true.start, said.start) + 1
    near = max(abs(true.start - said.start), abs(true.end - said.end)) <= TOLERANCE
    return true.letter == said.letter and near and shared >= SHARED * whole


def matched(true: str, said: str, crossing: str) -> tuple[int, int, int]:
    """How many segments of the letters in `crossing` are found, said and true; unknown places ('?') are left out.

    A said segment of which most residues are unknown is not held against the answer.
    """
    real = [one for one in segments(true) if one.letter in crossing]
    given = [
        one
        for one in segments(said)
        if one.letter in crossing and true[one.start - 1 : one.end].count("?") * 2 <= one.end - one.start + 1
    ]
    found = sum(any(is_found(one, other) for other in given) for one in real)
    return found, len(given), len(real)


def fitting(true: str, said: str, crossing: str) -> bool:
    """Whether all segments are found and none is said that is not there."""
    found, given, real = matched(true, said, crossing)
    return found == given == real
