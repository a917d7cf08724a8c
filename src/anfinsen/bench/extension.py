"""From the measured costs of each stage to jobs that nobody has run: UniRef50, and 1,000 GPUs; arithmetic, no more.

    a job on n workers of one core   start + max(items x driver, work / (n x rate))
    an array of n parts              start + items x reading + work / (n x rate)       each part passes over the file
    a step of a training on n        computing / n + 2 (n - 1) / n x 4 bytes x weights / bandwidth    (a ring, nothing
                                     hidden behind the backward pass)

Where it breaks first is the n at which the stage that cannot be shared takes as long as the one that is shared. What a
GPU does was not measured: its numbers are named here and are guesses from data sheets.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from anfinsen.bench.stages import TOKENS, WAYS
from anfinsen.distributed.cloud import FORWARD, TRAINING, duration, read_prices
from anfinsen.hub.record import Score

PLAIN = "plain"
CONTENDERS = (PLAIN, "workers-1", "workers-2")
TASKS_OF_SCALE = {"embed": "residues", "screen": "molecules", "pretrain": "residues"}
"""What is measured, and what is counted."""
SEQUENCES, RESIDUES = 60e6, 1.7e10
"""UniRef50: sequences, and residues in them (283 a sequence)."""
WEIGHTS = 2_666_496
"""Weights of the embedded body, which all of this is about."""
GPU = "g6.xlarge"
"""The machine with one GPU whose rate is guessed in the table of prices."""
SUSTAINED, NETWORK = 3e14, 4e10
"""Operations a second of a large training card (a third of an H100's dense bf16 peak), and its bytes a second to the
others (400 Gbit/s at four fifths). Nobody has measured them with Anfinsen."""
STEP = 2e6
"""Tokens of a step of a large pre-training."""
CORES, CARDS = (1, 2, 32, 100, 1000), (8, 64, 200, 1000)


@dataclass(frozen=True)
class Measured:
    """The rows of `anfinsen bench scale`, asked by task, metric and who."""

    rows: Sequence[Score]

    def row(self, task: str, metric: str, model: str) -> Score | None:
        """A row, or None where it was not measured."""
        asked = (task, metric, model)
        return next((one for one in self.rows if (one.task, one.metric, one.model) == asked), None)

    def value(self, task: str, metric: str, model: str) -> float:
        """A figure that is there."""
        found = self.row(task, metric, model)
        if found is None:
            raise KeyError((task, metric, model))
        return found.value

    def has(self, *tasks: str) -> bool:
        """Whether two workers and the stages of these tasks were measured."""
        return all(self.row(task, "steady_per_s", "workers-2") for task in tasks)


def sentences(measured: Measured) -> list[str]:
    """What follows from the rows: who wins below which size, and what breaks first."""
    said = [verdict(measured, task) for task in TASKS_OF_SCALE if measured.row(task, "steady_per_s", PLAIN)]
    said += [
        f"{task}: the driver of a cluster carries about {carried(measured, task):,.0f} workers of one core."
        for task in ("embed", "screen")
        if measured.has(task) and measured.row(task, "microseconds_per_item", "driver")
    ]
    if measured.has("pretrain"):
        said.append(_exchange(measured))
    return said


def verdict(measured: Measured, task: str) -> str:
    """Below which size the plain run wins against two workers, in a sentence."""
    unit = TASKS_OF_SCALE[task]
    if not measured.has(task):
        return f"{task}: only the plain run was there."
    (plain, plain_rate), (two, two_rate) = (
        (measured.value(task, "startup_s", name), measured.value(task, "steady_per_s", name))
        for name in (PLAIN, "workers-2")
    )
    if two_rate <= plain_rate:
        return (
            f"{task}: the plain run wins at any size on this machine: it reads {plain_rate:,.0f} {unit} a second, two "
            f"workers {two_rate:,.0f}. Workers pay on more machines than one."
        )
    size = max(0.0, two - plain) / (1 / plain_rate - 1 / two_rate)
    return f"{task}: below {size:,.0f} {unit} the plain run wins, above it two workers."


# A job on a cluster -------------------------------------------------------------------------------------------------


def carried(measured: Measured, task: str) -> float:
    """How many workers of one core keep the driver busy all the time."""
    rate = measured.value(task, "steady_per_s", "workers-1") / (RESIDUES / SEQUENCES if task == "embed" else 1)
    return 1e6 / measured.value(task, "microseconds_per_item", "driver") / rate


@dataclass(frozen=True)
class Embedding:
    """UniRef50, embedded by workers of so many residues a second each."""

    measured: Measured
    rate: float

    @property
    def work(self) -> float:
        """Seconds of one worker."""
        return RESIDUES / self.rate

    def _stage(self, name: str) -> float:
        return SEQUENCES * self.measured.value("embed", "microseconds_per_item", name) / 1e6

    def on_cluster(self, workers: float) -> float:
        """Seconds on a Ray cluster."""
        start = self.measured.value("embed", "startup_s", "workers-2")
        return start + max(self._stage("driver"), self.work / workers)

    def in_parts(self, parts: float) -> float:
        """Seconds as an array of parts of one file."""
        return self.measured.value("embed", "startup_s", PLAIN) + self._stage("reading") + self.work / parts

    @property
    def breaks(self) -> tuple[float, float]:
        """At how many workers the driver is as slow as they are, and at how many parts a pass over the file is."""
        return self.work / self._stage("driver"), self.work / self._stage("reading")


def _shown(seconds: float, work: float, count: float) -> str:
    return f"{duration(seconds / 3600)} ({work / count / seconds:.0%})"


def cluster_lines(measured: Measured) -> Iterator[str]:
    """The table of UniRef50 on cores, and on GPUs, with where each way breaks first."""
    core = Embedding(measured, measured.value("embed", "steady_per_s", "workers-1"))
    gpu = Embedding(measured, read_prices().machine(GPU).gflops * 1e9 / (FORWARD * WEIGHTS))
    yield "| workers of | how many | on Ray | as an array of parts |"
    yield "|---|---|---|---|"
    for name, one in (("one core, measured", core), ("one GPU, guessed", gpu)):
        for count in CORES if one is core else (1, *CARDS[:1], CARDS[-1]):
            there = _shown(one.on_cluster(count), one.work, count), _shown(one.in_parts(count), one.work, count)
            yield f"| {name} | {count:,} | {' | '.join(there)} |"
    yield ""
    yield (
        "In brackets the share of the workers' time that is work. "
        f"A core reads {core.rate:,.0f} residues a second as a worker; a GPU ({GPU}) would read {gpu.rate:,.0f} by its "
        f"data sheet. On Ray **the driver breaks first**, at {core.breaks[0]:,.0f} cores or {gpu.breaks[0]:,.1f} GPUs; "
        f"an array of parts at {core.breaks[1]:,.0f} cores or {gpu.breaks[1]:,.1f} GPUs, where each part's pass over "
        "the whole file takes as long as its work: split the file first, and parts share nothing. "
        f"With 1,000 GPUs there are {duration(gpu.work / 1000 / 3600)} of work for each, less than a queue takes to "
        "start it."
    )
    yield ""
    yield "| stage of a job on Ray | embed, a protein | screen, a molecule |"
    yield "|---|---|---|"
    for stage, metric, unit in (
        ("reading and checking", "reading", "µs"), ("the whole driver", "driver", "µs"),
        ("to a worker", "sent", "bytes"), ("back", "back", "bytes"),
    ):  # fmt: skip
        kind = "microseconds_per_item" if unit == "µs" else "bytes_per_item"
        cells = [measured.row(task, kind, metric) for task in ("embed", "screen")]
        yield f"| {stage} | {' | '.join(f'{one.value:,.0f} {unit}' if one else 'not measured' for one in cells)} |"


# A training ---------------------------------------------------------------------------------------------------------


def crowded() -> float:
    """On how many cards the exchange of a large step takes as long as its computing, whatever the weights."""
    return TRAINING * STEP * NETWORK / (8 * SUSTAINED)


def working(cards: int, hidden: float = 0.0) -> float:
    """The share of a large step that is computing, with so much of the exchange hidden behind the backward pass."""
    computing = TRAINING * STEP / (cards * SUSTAINED)
    return computing / (computing + (1 - hidden) * 8 * (cards - 1) / cards / NETWORK)


def _exchange(measured: Measured) -> str:
    alone, together = (TOKENS / measured.value("pretrain", "steady_per_s", name) for name in CONTENDERS[1:])
    lost = together - alone / 2
    if lost <= 0:
        return "pretrain: two processes lose no time that could be measured by their exchange."
    bandwidth = 4 * WEIGHTS / lost
    return (
        f"pretrain: a step of {TOKENS:,} tokens takes one process {alone:.2f} s and two {together:.2f} s, so the "
        f"exchange and the waiting cost {lost:.2f} s, as if gradients went at {bandwidth / 1e6:,.0f} MB a second; with "
        f"steps as small as these that is as much as the computing at {2 * alone / (2 * lost):,.0f} processes."
    )


def training_lines(measured: Measured) -> Iterator[str]:
    """The measured exchange, and the table of a large step on cards."""
    yield _exchange(measured)
    yield ""
    yield "| cards | share of the step that is computing | with two thirds of the exchange hidden |"
    yield "|---|---|---|"
    for cards in CARDS:
        yield f"| {cards:,} | {working(cards):.0%} | {working(cards, 2 / 3):.0%} |"
    yield ""
    yield (
        f"A step of {STEP:,.0f} tokens, whatever the weights; {SUSTAINED:.0e} operations and {NETWORK:.0e} bytes a "
        f"second a card are guesses from data sheets. **The exchange of gradients breaks first**: it takes as long as "
        f"the computing on {crowded():,.0f} cards. For 1,000 cards at one half a step must have "
        f"{STEP * 1000 / crowded() / 1e6:,.0f} million tokens, beyond which a language model learns less from each "
        "token, or gradients must travel in bf16, which this version does not do."
    )


# The page -----------------------------------------------------------------------------------------------------------


def measured_lines(measured: Measured) -> Iterator[str]:
    """The table of throughput, the sentence of each task, and what a process of a training holds."""
    yield "| task | run | a second, start included | start, s | a second, without it | efficiency |"
    yield "|---|---|---|---|---|---|"
    for task, unit in TASKS_OF_SCALE.items():
        for name in CONTENDERS:
            found = [measured.row(task, metric, name) for metric in (f"{unit}_per_s", "startup_s", "steady_per_s")]
            if all(found):
                cells = [_figure(one, 1 if one.metric == "startup_s" else 0) for one in found if one]
                share = measured.row(task, "efficiency", name)
                yield f"| {task}, {unit} | {name} | {' | '.join(cells)} | {_figure(share, 2) if share else ''} |"
    yield ""
    for task in TASKS_OF_SCALE:
        if measured.row(task, "steady_per_s", PLAIN):
            yield f"- {verdict(measured, task)}"
    yield ""
    yield "| a process of two | bytes a weight, measured | by arithmetic |"
    yield "|---|---|---|"
    for way in WAYS:
        if held := measured.row("pretrain", "held_bytes_per_weight", way):
            said = measured.value("pretrain", "said_bytes_per_weight", way)
            yield f"| `{way}` | {held.value:.1f} | {said:.1f} |"


def _figure(row: Score, digits: int) -> str:
    def text(value: float | None) -> str:
        return f"{value:,.{digits}f}"

    return text(row.value) if row.low == row.high else f"{text(row.value)} ({text(row.low)} to {text(row.high)})"


PARTS = {"measured": measured_lines, "uniref50": cluster_lines, "cards": training_lines}
"""The parts of docs/scale.md that are written from the rows, by their marks."""
NOT_YET = "Not measured yet: `anfinsen bench scale --write`, then `python benchmarks/scale.py`."


def written(part: str, measured: Measured) -> str:
    """One part of the page, or a word that its rows are not there."""
    needed = {"measured": ("embed",), "uniref50": ("embed",), "cards": ("pretrain",)}[part]
    return "\n".join(PARTS[part](measured)) if measured.has(*needed) else NOT_YET
