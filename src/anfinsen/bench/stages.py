"""What each stage of a long job costs, for `anfinsen bench scale`: its driver, what travels, a process of a training.

    reading    seconds an item: a file, read and checked                                    (microseconds_per_item)
    driver     seconds an item: reading, answers that are there at once, writing them       (microseconds_per_item)
    sent, back bytes an item that go to a worker and return                                 (bytes_per_item)
    ddp ...    bytes a weight of one process of two, and what arithmetic says          (held_, said_bytes_per_weight)

The driver is measured by a job whose answers were computed before: what is left is what no worker can take over.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from importlib.util import find_spec
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from statistics import median
from typing import Any

from anfinsen.data.batch import Stream
from anfinsen.data.example import Example
from anfinsen.distributed.processes import start, take_part
from anfinsen.distributed.strategy import Footprint, Strategy
from anfinsen.errors import AnfinsenError
from anfinsen.hub.bundle import Bundle
from anfinsen.hub.record import Score
from anfinsen.inference.embedder import Embedder, embed_file
from anfinsen.inference.screening import Part, Screener, open_predictor
from anfinsen.models.network import Network
from anfinsen.reading.kept import Shelf
from anfinsen.reading.library import SHARD, read_library, shards
from anfinsen.reading.readers import read_examples, read_proteins
from anfinsen.structure.protein import Protein
from anfinsen.tasks import TASKS
from anfinsen.training.engine import Course, TrainConfig, Trainer

TOKENS = 4096
"""Tokens of a step of the pre-training."""
WAYS = ("ddp", "fsdp", "zero1", "zero2", "zero3")
_REPEATS = 5
_SAMPLE = 192
"""Proteins that are asked again and again; molecules are twice as many."""

Tell = Callable[[str], None]


def score(task: str, metric: str, model: str, values: Sequence[float], count: int) -> Score:
    """A row: the median of some rounds, with the lowest and the highest."""
    place = {"suite": "scale", "task": task, "dataset": TASKS["masked"].table.name, "split": "valid"}
    figures = {"value": median(values), "low": min(values), "high": max(values), "n": count}
    return Score.build({**place, "metric": metric, "model": model, **figures})


def driver_rows(folder: Path, tasks: Sequence[str]) -> list[Score]:
    """What reading and the whole driver cost of those of `embed` and `screen` that are asked."""
    rows: list[Score] = []
    for task, stages in (("embed", _embedding), ("screen", _screening)):
        if task not in tasks:
            continue
        with tempfile.TemporaryDirectory(dir=folder) as place:
            count, read, drive, (sent, back) = stages(folder, Path(place))
            for name, do in (("reading", read), ("driver", drive)):
                # what a job or a file costs once is the start's, so it is taken off
                taken = [(_seconds(do, True) - _seconds(do, False)) / (count - 1) * 1e6 for _ in range(_REPEATS)]
                rows.append(score(task, "microseconds_per_item", name, [max(0.1, one) for one in taken], count))
            for name, block in (("sent", sent), ("back", back)):
                rows.append(score(task, "bytes_per_item", name, [len(ForkingPickler.dumps(block)) / count], count))
    return rows


Do = Callable[[bool], object]
"""Does a stage for one item, or (True) for all."""
Stages = tuple[int, Do, Do, tuple[object, object]]
"""How many items; what reads them; what drives them through a job; a block with its answers."""


def _embedding(folder: Path, place: Path) -> Stages:
    chains = (folder / "sequences.txt").read_text(encoding="ascii").splitlines()[:_SAMPLE]
    records = [f">p{at}\n{chain}\n" for at, chain in enumerate(chains)]
    sources = _written(place, "fasta", records)
    embedder = Embedder.load(folder / "bundle")
    examples = [one for one in read_examples(str(sources[True])) if isinstance(one, Example)]
    known = {one.protein.sequence: each for one, each in zip(examples, embedder.embed(examples), strict=True)}

    def replay(blocks: Iterable[list[Example]]) -> Iterator[tuple[list[Example], list[Any]]]:
        for block in blocks:
            yield block, [known[one.protein.sequence] for one in block]

    def read(every: bool) -> object:
        return list(read_examples(str(sources[every])))

    def drive(every: bool) -> None:
        out = place / "states.h5"
        out.unlink(missing_ok=True)
        embed_file(read_examples(str(sources[every])), embedder, out, over=replay)

    return len(examples), read, drive, (examples, list(known.values()))


def _screening(folder: Path, place: Path) -> Stages:
    (target,) = (one for one in read_proteins(folder / "target.fasta") if isinstance(one, Protein))
    lines = (folder / "True.smi").read_text(encoding="ascii").splitlines()[: 2 * _SAMPLE]
    sources = _written(place, "smi", [f"{line}\n" for line in lines])
    screener = Screener(open_predictor(), target, Shelf(None))
    (rows,) = shards(read_library(sources[True]), SHARD)
    block = Part.of(0, rows)
    table = screener.answer(block)

    def replay(parts: Iterable[Part]) -> Iterator[tuple[Part, Any]]:
        return ((part, table[: len(part.rows)]) for part in parts)

    def read(every: bool) -> object:
        return list(read_library(sources[every]))

    def drive(every: bool) -> None:
        with tempfile.TemporaryDirectory(dir=place) as out:
            list(screener.run(str(sources[every]), Path(out), over=replay))

    return len(rows), read, drive, (block, table)


def _written(place: Path, ending: str, records: Sequence[str]) -> dict[bool, Path]:
    """The files of one record and (True) of all."""
    sources = {every: place / f"{every}.{ending}" for every in (False, True)}
    for every, path in sources.items():
        path.write_text("".join(records if every else records[:1]), encoding="ascii")
    return sources


def _seconds(do: Do, every: bool) -> float:
    began = time.perf_counter()
    do(every)
    return time.perf_counter() - began


# A process of a training --------------------------------------------------------------------------------------------


def memory_rows(folder: Path, tell: Tell) -> list[Score]:
    """Bytes a weight that the first of two processes holds at most, under each strategy, beside the arithmetic."""
    ways = WAYS if find_spec("deepspeed") else tuple(way for way in WAYS if not way.startswith("zero"))
    if len(ways) < len(WAYS):
        tell("ZeRO does not take part; install it to see it: pip install 'anfinsen[deepspeed]'.")
    code = start([sys.executable, "-m", "anfinsen.bench.stages", str(folder), *ways], 2)
    if code:
        raise AnfinsenError(f"The training on 2 processes ended with {code}.")
    rows = []
    for way in ways:
        held, said, weights = json.loads((folder / f"{way}.json").read_text(encoding="utf-8"))
        tell(
            f"{way}: each of two processes holds {sum(held) / 1e6:,.1f} MB of weights, gradients and moments; "
            f"arithmetic says {sum(said) / 1e6:,.1f} MB."
        )
        for name, parts in (("held", held), ("said", said)):
            rows.append(score("pretrain", f"{name}_bytes_per_weight", way, [sum(parts) / weights], weights))
    return rows


def learn(folder: Path, steps: int) -> None:
    """Some steps of masked residues, as one process of a training; the weights are thrown away."""
    strategy = take_part(None, None)
    with tempfile.TemporaryDirectory() as place:
        _trainer(folder, Path(place), strategy, steps=steps, tokens=TOKENS, optimizer="muon").fit()
    strategy.close()


def weigh(folder: Path, ways: Sequence[str]) -> None:
    """Two small steps in each way, as one process of two; what the first one holds is left in the folder."""
    for way in ways:
        strategy = take_part(way, None)
        with tempfile.TemporaryDirectory() as place:
            trainer = _trainer(folder, Path(place), strategy, steps=4, tokens=2048, optimizer="adamw", accumulate=2)
            held = weighed(trainer)
            trainer.fit()
        if strategy.leads:
            weights = trainer.standing["moving"]
            most = [max(each) for each in zip(*held, strict=True)]
            (folder / f"{way}.json").write_text(json.dumps([most, strategy.footprint(weights), weights]))


def weighed(trainer: Trainer) -> list[Footprint]:
    """What this process holds between two parts and before each move, in a list that fills as it trains."""
    held: list[Footprint] = []
    strategy = trainer.strategy

    def first(do: Callable[..., object], *given: object, **named: object) -> object:
        if trainer.step > 0:  # moments are there from the first move on
            held.append(strategy.held(trainer.network, trainer.optimizers))
        return do(*given, **named)

    for name in ("ready", "clip"):
        setattr(strategy, name, partial(first, getattr(type(strategy), name).__get__(strategy)))
    return held


def _trainer(folder: Path, place: Path, strategy: Strategy, **settings: Any) -> Trainer:
    task = TASKS["masked"]
    chains = (folder / "sequences.txt").read_text(encoding="ascii").splitlines()
    examples = [Example(Protein(f"p{at}", chain)) for at, chain in enumerate(chains)]
    config = TrainConfig(save_every=settings["steps"], **settings)
    stream = Stream(examples, budget=config.tokens, seed=1, prepare=task.prepare, window=256)
    network = Network(Bundle.load(folder / "bundle").network.body, {task.name: task.shape}).requires_grad_(True)
    return Trainer(network, [Course(task, stream)], config, place, strategy=strategy)


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    weigh(Path(sys.argv[1]), sys.argv[2:])
