"""What more workers are worth: the plain run beside one and two workers, start-up included: `anfinsen bench scale`.

    proteins, a quarter of them and all -> a process of its own for each contender, in turns -> seconds
    embed      plain: anfinsen embed           workers-1, workers-2: the same --on ray --workers 1, 2
    pretrain   plain: steps of masked residues workers-1, workers-2: the same by DDP on 1 and 2 processes

A worker computes on one core; the plain run uses all cores that it is given, as a user would have it. Of two sizes the
difference gives the rate without the start, and the start itself; from these follows below which size the plain run
wins. `residues_per_s` is of the larger size with the start, `steady_per_s` without it, `startup_s` the start.
`efficiency` is the steady rate of two workers over twice that of one. Intervals are the lowest and the highest round.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from statistics import median

import numpy

from anfinsen.data.batch import Stream
from anfinsen.data.example import Example
from anfinsen.distributed.processes import COMMAND, start, take_part
from anfinsen.errors import AnfinsenError
from anfinsen.hub.body import bare
from anfinsen.hub.bundle import Bundle
from anfinsen.hub.record import Score
from anfinsen.models.network import Network
from anfinsen.structure.protein import Protein
from anfinsen.tasks import TASKS
from anfinsen.training.engine import Course, TrainConfig, Trainer

PROTEINS = 4096
"""Proteins of the larger size."""
ROUNDS = 5
STEPS = 24
"""Steps of the larger pre-training."""
TOKENS = 8192
_SEED = 4096
_PLAIN = "plain"

Tell = Callable[[str], None]
Run = Callable[[bool], float]
"""Runs one contender on the smaller or (True) the larger size; seconds."""


def scale_rows(network: Network, model: str, *, limit: int | None, tell: Tell) -> list[Score]:
    """All rows of the benchmark; `limit` takes fewer proteins and two rounds, for a quick look."""
    proteins = _proteins(limit or PROTEINS)
    rounds = ROUNDS if limit is None else 2
    rows: list[Score] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        Bundle("scaled", Network(bare(network.body), {})).save(folder / "bundle")
        for task, contenders in (("embed", _embedders(folder, proteins)), ("pretrain", _trainings(folder, proteins))):
            if task == "embed" and find_spec("ray") is None:
                tell("Ray does not take part; install it to see it: pip install 'anfinsen[ray]'.")
                contenders = {_PLAIN: contenders[_PLAIN]}
            small, large = _sizes(task, proteins)
            taken = _rounds(task, contenders, rounds, tell)
            rows += figures(task, taken, small, large, len(proteins))
            tell(verdict(task, taken, small, large))
    return rows


Seconds = dict[str, list[tuple[float, float]]]
"""Of each contender, the seconds for the smaller and the larger size in each round."""


def figures(task: str, taken: Seconds, small: int, large: int, count: int) -> list[Score]:
    """The rows of one task from its seconds; `small` and `large` are residues."""
    rows = []

    def add(metric: str, model: str, values: Sequence[float]) -> None:
        figures = {"value": median(values), "low": min(values), "high": max(values), "n": count}
        place = {"suite": "scale", "task": task, "dataset": TASKS["masked"].table.name, "split": "valid"}
        rows.append(Score.build({**place, "metric": metric, "model": model, **figures}))

    for name, rounds in taken.items():
        add("residues_per_s", name, [large / second for _, second in rounds])
        add("steady_per_s", name, [_steady(small, large, *each) for each in rounds])
        add("startup_s", name, [_start(small, large, *each) for each in rounds])
    if {"workers-1", "workers-2"} <= set(taken):
        both = zip(taken["workers-1"], taken["workers-2"], strict=True)
        add("efficiency", "workers-2", [_steady(small, large, *b) / _steady(small, large, *a) / 2 for a, b in both])
    return rows


def verdict(task: str, taken: Seconds, small: int, large: int) -> str:
    """Below which size the plain run wins against two workers, in a sentence."""
    if "workers-2" not in taken:
        return f"{task}: only the plain run was there."
    plain, two = (
        (median(_start(small, large, *r) for r in taken[name]), median(_steady(small, large, *r) for r in taken[name]))
        for name in (_PLAIN, "workers-2")
    )
    if two[1] <= plain[1]:
        return (
            f"{task}: the plain run wins at any size on this machine: it reads {plain[1]:,.0f} residues a second, two "
            f"workers {two[1]:,.0f}. Workers pay on more machines than one."
        )
    size = max(0.0, two[0] - plain[0]) / (1 / plain[1] - 1 / two[1])
    return f"{task}: below {size:,.0f} residues the plain run wins, above it two workers."


def _steady(small: int, large: int, first: float, second: float) -> float:
    return (large - small) / max(second - first, 1e-3)


def _start(small: int, large: int, first: float, second: float) -> float:
    return max(0.0, first - small / _steady(small, large, first, second))


def _proteins(count: int) -> list[str]:
    """Sequences drawn by lot from the valid split, always the same."""
    examples = TASKS["masked"].examples("valid")
    chosen = numpy.random.default_rng(_SEED).permutation(len(examples))[:count]
    return [examples[int(place)].protein.sequence for place in chosen]


def _sizes(task: str, proteins: Sequence[str]) -> tuple[int, int]:
    """Residues of the two sizes."""
    if task == "pretrain":
        return STEPS // 4 * TOKENS, STEPS * TOKENS
    return sum(map(len, proteins[: len(proteins) // 4])), sum(map(len, proteins))


def _rounds(task: str, contenders: dict[str, Run], rounds: int, tell: Tell) -> Seconds:
    taken: Seconds = {name: [] for name in contenders}
    for number in range(rounds):
        for name, run in contenders.items():
            taken[name].append((run(False), run(True)))
        now = ", ".join(f"{name}: {taken[name][-1][1]:.1f} s" for name in contenders)
        tell(f"{task}, round {number + 1} of {rounds}. {now}.")
    return taken


def _embedders(folder: Path, proteins: Sequence[str]) -> dict[str, Run]:
    for is_large in (False, True):
        part = proteins if is_large else proteins[: len(proteins) // 4]
        text = "".join(f">p{at}\n{sequence}\n" for at, sequence in enumerate(part))
        (folder / f"{is_large}.fasta").write_text(text, encoding="ascii")

    def run(more: Sequence[str], is_large: bool) -> float:
        out = folder / "states.h5"
        out.unlink(missing_ok=True)
        command = [*COMMAND, "embed", str(folder / f"{is_large}.fasta"), "--out", str(out)]
        return _timed([*command, "--bundle", str(folder / "bundle"), *more])

    return {
        _PLAIN: lambda is_large: run((), is_large),
        "workers-1": lambda is_large: run(("--on", "ray", "--workers", "1"), is_large),
        "workers-2": lambda is_large: run(("--on", "ray", "--workers", "2"), is_large),
    }


def _trainings(folder: Path, proteins: Sequence[str]) -> dict[str, Run]:
    (folder / "sequences.txt").write_text("\n".join(proteins), encoding="ascii")

    def run(processes: int, is_large: bool) -> float:
        steps = STEPS if is_large else STEPS // 4
        command = [sys.executable, "-m", "anfinsen.bench.scale", str(folder), str(steps)]
        if not processes:
            return _timed(command)
        began = time.perf_counter()
        threads = os.environ.get("OMP_NUM_THREADS")
        os.environ["OMP_NUM_THREADS"] = "1"
        try:
            code = start(command, processes)
        finally:
            os.environ.pop("OMP_NUM_THREADS") if threads is None else os.environ.update(OMP_NUM_THREADS=threads)
        if code:
            raise AnfinsenError(f"The training on {processes} processes ended with {code}.")
        return time.perf_counter() - began

    return {
        _PLAIN: lambda is_large: run(0, is_large),
        "workers-1": lambda is_large: run(1, is_large),
        "workers-2": lambda is_large: run(2, is_large),
    }


def _timed(command: Sequence[str]) -> float:
    began = time.perf_counter()
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise AnfinsenError(f"A contender failed: {ended.stderr.strip().splitlines()[-1]}")
    return time.perf_counter() - began


def _pretrain(folder: Path, steps: int) -> None:
    """Some steps of masked residues, as one process of a training; the weights are thrown away."""
    strategy = take_part(None, None)
    task = TASKS["masked"]
    chains = (folder / "sequences.txt").read_text(encoding="ascii").splitlines()
    examples = [Example(Protein(f"p{at}", chain)) for at, chain in enumerate(chains)]
    stream = Stream(examples, budget=TOKENS, seed=1, prepare=task.prepare, window=256)
    config = TrainConfig(steps=steps, tokens=TOKENS, optimizer="muon", save_every=steps)
    body = Bundle.load(folder / "bundle").network.body
    network = Network(body, {task.name: task.shape}).requires_grad_(True)
    with tempfile.TemporaryDirectory() as place:
        Trainer(network, [Course(task, stream)], config, Path(place), strategy=strategy).fit()
    strategy.close()


if __name__ == "__main__":
    _pretrain(Path(sys.argv[1]), int(sys.argv[2]))
