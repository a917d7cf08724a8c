"""Interaction: whether two proteins hold each other.

Hardly any protein works alone: it meets others, for a moment or for life, and a cell is the web of who meets whom.
Here two chains are laid side by side. The network asks which stretch of one speaks to which stretch of the other, and
its memory asks what is known of the two and of proteins like them: who meets the one, who is friend of whose friend,
and whether both work in the same room of the cell.

Most of what is published on such data is memory. In the yeast pairs of Guo et al. 2008 (Nucleic Acids Research
36:3025) every negative pair joins two separate circles of the proteins that meet, so a rule that reads no chain at all
answers 95 in 100 pairs of a random fold. Of two proteins that were never seen it knows nothing, and that is what a
laboratory asks. So an answer says how many of the two are known, and has a range that is wider where less is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import cast

import numpy
import polars
from numpy.typing import NDArray
from torch import Tensor, nn

from anfinsen.data.example import Example
from anfinsen.errors import UnknownNameError
from anfinsen.models.network import HeadShape
from anfinsen.models.recall import Recall
from anfinsen.sets.catalog import Table
from anfinsen.structure.protein import Protein
from anfinsen.targets.base import SHIFT, Answer, Calibration, Floats, Label
from anfinsen.tasks.base import Published, Task
from anfinsen.tasks.meeting import QUESTIONS, Meeting

NO, YES = "apart", "interact"
KNOWN = "known"
"""Under what name an answer says how many of the two proteins were in training."""
ODDS = "odds"
"""How many times likelier a pair is to meet than a pair of the table that taught, before anything is read of it."""
_NETWORK, _MEMORY, _CONSTANT = "network", "memory", "constant"
_KNOTS = tuple(numpy.linspace(-6.0, 6.0, 25).tolist())
_FEWEST = 30
_PROTEIN_IN, _PAIR_IN = 6, 16
_WIDTH = 2
_LEAST = 1e-300


def odds_where(share: float, taught: float) -> float:
    """The `ODDS` where `share` of the pairs that are asked about meet, and `taught` of those that taught.

    >>> odds_where(0.5, 0.5), odds_where(0.2, 0.5)
    (1.0, 0.25)
    """
    return share / (1 - share) * (1 - taught) / taught


@dataclass(frozen=True)
class Verdict(Label):
    """Two voices as one yes or no: the network's, and the memory's with how many of the two proteins it knows.

    How much each counts is learnt for each of the three questions on pairs that neither has seen. The range is what
    two isotonic regressions say that were told the pair does not meet, and that it does (Venn-Abers: Vovk & Petej
    2014, UAI).
    """

    def loss(self, outputs: Tensor, target: Tensor) -> tuple[Tensor, int]:
        return super().loss(outputs[:, :_WIDTH], target)

    def answer(self, outputs: Floats, calibration: Calibration) -> Answer:
        voices = _voices(numpy.asarray(outputs)[None])
        share, low, high = (float(end[0]) for end in self.chances(*voices, calibration))
        # the chance is what it is: of the calibration only what makes a set of it is still to be read
        rest = {key: value for key, value in calibration.items() if key != "temperature" and not key.startswith(SHIFT)}
        found = super().answer(numpy.log(numpy.clip([1 - share, share], _LEAST, 1)), rest)
        return {**found, "range": [low, high], KNOWN: int(voices[2][0])}

    def joined(self, network: Floats, memory: Floats, known: Floats, calibration: Calibration) -> Floats:
        """The log-odds of a yes out of both voices, before the calibration; of any shape."""
        said = numpy.array(network, dtype=numpy.float64)
        for number in range(len(QUESTIONS)):
            there = known == number
            one, other, constant = (calibration.get(f"{name} {number}", usual) for name, usual in _USUAL.items())
            said[there] = one * network[there] + other * memory[there] + constant
        return said

    def chances(
        self, network: Floats, memory: Floats, known: Floats, calibration: Calibration
    ) -> tuple[Floats, Floats, Floats]:
        """The chance that pairs meet, and the ends of its range, of any shape."""
        scaled = self._log_odds(self.joined(network, memory, known, calibration), calibration)
        share = 1 / (1 + numpy.exp(-scaled))
        low, high = numpy.zeros(scaled.shape), numpy.ones(scaled.shape)
        for number in numpy.unique(known).tolist():
            ends = [[calibration.get(f"{end} {number:g} {at}") for at in range(len(_KNOTS))] for end in ("low", "high")]
            there = known == number
            if all(value is not None for part in ends for value in part):
                low[there], high[there] = (numpy.interp(scaled[there], _KNOTS, numpy.array(part)) for part in ends)
        odds = calibration.get(ODDS, 1.0)
        low, high = numpy.minimum(low, share), numpy.maximum(high, share)
        return moved(share, odds), moved(low, odds), moved(high, odds)

    def _log_odds(self, joined: Floats, calibration: Calibration) -> Floats:
        ends = self._scaled(numpy.stack((-joined / 2, joined / 2), -1), calibration)
        found: Floats = ends[..., 1] - ends[..., 0]
        return found

    def calibrate(self, outputs: Sequence[Floats], examples: Sequence[Example]) -> Calibration:
        truth = numpy.array([example.value == YES for example in examples])
        network, memory, known = _voices(numpy.stack(outputs))
        weights: Calibration = {}
        for number in range(len(QUESTIONS)):
            chosen = known == number
            if min(truth[chosen].sum(), (~truth[chosen]).sum()) >= _FEWEST:
                weights |= _fitted(network[chosen], memory[chosen], truth[chosen], number)
        joined = self.joined(network, memory, known, weights)
        calibration = weights | super().calibrate(list(numpy.stack((-joined / 2, joined / 2), 1)), examples)
        said = self._log_odds(joined, calibration)
        for number in numpy.unique(known).tolist():
            calibration |= _ends(said[known == number], truth[known == number], int(number))
        return calibration


def moved(chance: Floats, odds: float) -> Floats:
    """Chances, of any shape, where pairs are so many times likelier to meet than where the chances were found.

    >>> moved(numpy.array([0.5, 0.9]), 0.1).round(3).tolist()
    [0.091, 0.474]
    """
    found: Floats = chance * odds / (1 - chance + chance * odds)
    return found


def _voices(rows: Floats) -> tuple[Floats, Floats, Floats]:
    """Network, memory and how many are known, of outputs (B, 2), or (B, 4) with the memory's; -1 known without it."""
    network = (rows[:, 1] - rows[:, 0]).astype(numpy.float64)
    if rows.shape[1] == _WIDTH:
        return network, numpy.zeros(len(rows)), numpy.full(len(rows), -1.0)
    return network, rows[:, _WIDTH].astype(numpy.float64), rows[:, _WIDTH + 1].astype(numpy.float64)


_USUAL: Mapping[str, float] = {_NETWORK: 1.0, _MEMORY: 1.0, _CONSTANT: 0.0}


def _fitted(network: Floats, memory: Floats, truth: NDArray[numpy.bool_], known: int) -> Calibration:
    """How much each voice counts; one that is worse than silence is left out, not heard the wrong way round."""
    from sklearn.linear_model import LogisticRegression

    voices = {_NETWORK: network, _MEMORY: memory}
    while voices:
        model = LogisticRegression(max_iter=1000).fit(numpy.stack(list(voices.values()), 1), truth)
        worst = min(range(len(voices)), key=lambda at: float(model.coef_[0][at]))
        if model.coef_[0][worst] >= 0:
            break
        voices.pop(list(voices)[worst])
    found = {f"{name} {known}": 0.0 for name in (_NETWORK, _MEMORY)}
    if not voices:
        share = truth.mean()
        return {**found, f"{_CONSTANT} {known}": float(numpy.log(share / (1 - share)))}
    found |= {f"{name} {known}": float(weight) for name, weight in zip(voices, model.coef_[0], strict=True)}
    return {**found, f"{_CONSTANT} {known}": float(model.intercept_[0])}


def _ends(said: Floats, truth: NDArray[numpy.bool_], known: int) -> Calibration:
    """Both ends of the range at each knot: isotonic regressions with one more pair, said to stay apart or to meet."""
    from sklearn.isotonic import IsotonicRegression

    if len(said) < _FEWEST:
        return {}
    found: Calibration = {}
    for end, last in (("low", 0.0), ("high", 1.0)):
        for at, knot in enumerate(_KNOTS):
            line = IsotonicRegression(out_of_bounds="clip").fit(numpy.append(said, knot), numpy.append(truth, last))
            found[f"{end} {known} {at}"] = float(line.predict([knot])[0])
    return found


@dataclass(frozen=True)
class PairTable(Table):
    """A table of pairs of names beside a table of sequences; `column` deals them."""

    sequences: str = ""

    def rows(self) -> polars.DataFrame:
        """Every pair: a, b, label and what deals them."""
        return polars.concat([polars.read_parquet(path) for path in self.paths()])

    def proteins(self) -> dict[str, Protein]:
        """The proteins by name."""
        (path,) = replace(self, files=self.sequences).paths()
        return _proteins(path)

    def pairs(self, rows: polars.DataFrame) -> list[Example]:
        """Rows as examples, with our names of the two answers."""
        known = self.proteins()
        return [
            Example(known[a], YES if label else NO, partner=known[b])
            for a, b, label in rows.select("a", "b", "label").iter_rows()
        ]


@cache
def _proteins(path: Path) -> dict[str, Protein]:
    rows = polars.read_parquet(path).select("id", "sequence")
    return {name: Protein(name, sequence, source=path.name) for name, sequence in rows.iter_rows()}


@dataclass(frozen=True)
class InteractionTask(Task):
    """Interaction, whose training pairs are dealt by their proteins."""

    @property
    def shape(self) -> HeadShape:
        """A head that lays chains side by side."""
        return HeadShape("pairing", self.target.size)

    def examples(self, split: str) -> list[Example]:
        """The pairs of one split; some stay out of training, to stop and to calibrate by (see `is_held`)."""
        if split not in self.table.splits:
            raise UnknownNameError(f"split of {self.table.name}", split, self.table.splits)
        table = cast(PairTable, self.table)
        rows = table.rows()
        found = table.pairs(rows.filter(polars.col(table.split_column).is_in(table.splits[split])))
        if split not in ("train", "valid"):
            return found
        return [example for example in found if is_held(example) == (split == "valid")]

    def pose(self, example: Example, index: int) -> Example:
        """A protein that is asked about alone is asked about itself."""
        return example if example.partner is not None else replace(example, partner=example.protein)

    def remember(self, head: nn.Module, train: Sequence[Example]) -> None:
        """Put the training pairs into the head's memory."""
        cast(Recall, head.memory).keep(Meeting.fit(train, YES).to_arrays())

    def consult(self, head: nn.Module, examples: Sequence[Example], outputs: Sequence[Floats]) -> list[Floats]:
        """The network's outputs with the memory's vote behind them, and how many of the two it knows."""
        memory = cast(Recall, head.memory)
        if not memory.arrays()["pairs"].size:
            return [row[:_WIDTH] for row in outputs]
        meeting, rows = memory.read(Meeting.from_arrays), numpy.stack(outputs)
        places = numpy.split(rows[:, _WIDTH:], 2, 1)
        one, other = (meeting.asked([pair.chains[at] for pair in examples], places[at]) for at in (0, -1))
        votes, known = meeting.votes(one, other)
        return list(numpy.column_stack((rows[:, :_WIDTH], votes, known)).astype(numpy.float32))


def is_held(example: Example) -> bool:
    """Whether a pair stays out of training: those of one protein in six do, and of the others one in sixteen."""
    names = sorted(chain.sha256 for chain in example.chains)
    return any(_lot(name) % _PROTEIN_IN == 0 for name in names) or _lot(" ".join(names)) % _PAIR_IN == 0


def _lot(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")


_WORDS = (
    "Neither of them was in training, and of such pairs it knows hardly more than a coin does: treat it as a guess",
    "One of them was in training",
    "Both were seen",
)


def _say(answer: Answer) -> str:
    share, (low, high), known = answer["probabilities"][YES], answer["range"], answer[KNOWN]
    verb = "may well interact" if share >= 0.5 else "probably do not interact"
    if low < 0.5 < high or (known == 0 and share >= 0.5):
        verb = "may or may not interact"
    said = f"They {verb}: a chance of {share:.0%}, and pairs with such a score met in {low:.0%} to {high:.0%}"
    return f"{said}. {_WORDS[known]}." if known >= 0 else f"{said}."


__all__ = ["KNOWN", "NO", "TASK", "YES", "InteractionTask", "PairTable", "Verdict", "is_held"]

GUO = PairTable(
    "ppi/guo_yeast_pairs.parquet",
    sequences="ppi/guo_yeast_seqs.parquet",
    value="label",
    split_column="strict",
    splits={"train": ("train",), "valid": ("train",), "guo-C2": ("C2",), "guo-C3": ("C3",)},
    title="Yeast pairs that meet (DIP) and that were presumed not to (Guo et al. 2008)",
    source="github.com/muhaochen/seq_ppi",
    licence="Apache-2.0 repository; sequences UniProt CC BY 4.0",
)

TASK = InteractionTask(
    name="interaction",
    title="Interaction",
    question="Do these two proteins interact?",
    explanation=(
        "The network lays both chains side by side and looks for stretches of one that speak to stretches of the "
        "other. Its memory adds what is known of these proteins and of proteins like them. Which comes first makes no "
        "difference."
    ),
    target=Verdict((NO, YES)),
    table=GUO,
    metrics=("accuracy", "auroc", "mcc"),
    tests=("guo-C2", "guo-C3"),
    say=_say,
    of_pairs=True,
    group="function",
    published=(
        Published("PIPR, random folds", "accuracy", 0.971, "guo-5fold", "Chen et al. 2019; recalled in the data notes"),
    ),
    terms={
        "interaction": "Two proteins hold each other, directly or in one complex, long enough to be seen in an "
        "experiment.",
        "C1, C2, C3": "Of a test pair both, one or none of the two proteins was in training. Only C3 asks what a "
        "laboratory with a new protein asks.",
        "circle": "Proteins that are joined by pairs known to meet, friends of friends included.",
    },
    limits=(
        "Learned from pairs of baker's yeast. Negative pairs are presumed and not measured, and chosen so that knowing "
        "the other pairs tells most of them. Of two new proteins it knows hardly more than chance."
    ),
)
