"""What more workers are worth: the plain run beside one and two workers, start-up included: `anfinsen bench scale`.

    one item, and all -> a process of its own for each contender, in turns -> seconds
    embed      plain: anfinsen embed           workers-1, workers-2: the same --on ray --workers 1, 2
    screen     plain: anfinsen screen          workers-1, workers-2: the same --on ray --workers 1, 2
    pretrain   plain: steps of masked residues workers-1, workers-2: the same by DDP on 1 and 2 processes

A worker computes on one core; the plain run uses all cores that it is given, as a user would have it. The run of one
item is the start; what the larger run takes beyond it gives the rate without the start. `residues_per_s`
(`molecules_per_s` of a screen) is of the larger size with the start, `steady_per_s` without it, `startup_s` the start.
`efficiency` is the steady rate over so many times that of one worker. Intervals are the lowest and the highest round.

Beside them stand the costs of the stages of a job and what a process of a training holds (see `stages`), from which
`extension` says how far this goes.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from anfinsen.bench.extension import PLAIN, Measured, sentences
from anfinsen.bench.stages import TOKENS, driver_rows, learn, memory_rows, score
from anfinsen.data.draw import draw
from anfinsen.distributed.processes import COMMAND, start
from anfinsen.errors import AnfinsenError, MissingDataError
from anfinsen.hub.body import bare
from anfinsen.hub.bundle import Bundle
from anfinsen.hub.record import Score
from anfinsen.models.network import Network
from anfinsen.sets.screening import load_targets
from anfinsen.tasks import TASKS

PROTEINS, MOLECULES, STEPS = 1024, 8192, 6
"""The larger sizes. Jobs deal 256 proteins or 4,096 molecules at a time, so two workers have equally many blocks."""
ROUNDS = 3
CREWS = {"workers-1": 1, "workers-2": 2}
_SEED = 4096

Tell = Callable[[str], None]
Run = Callable[[bool, int], float]
"""Runs one item or (True) all, on so many workers, 0 for the plain run; seconds."""


@dataclass(frozen=True)
class Job:
    """One verb with what it is given."""

    task: str
    unit: str
    """What is counted."""
    items: int
    """Proteins or molecules, or steps."""
    units: tuple[int, int]
    """How many in one item and in all."""
    run: Run
    needs_ray: bool = True


def scale_rows(bundle: Bundle, *, limit: int | None, tell: Tell) -> list[Score]:
    """All rows of the benchmark; `limit` takes fewer items and one round, for a quick look."""
    rounds = ROUNDS if limit is None else 1
    rows: list[Score] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        Bundle("scaled", Network(bare(bundle.network.body), {})).save(folder / "bundle")
        chains = _proteins(limit or PROTEINS)
        (folder / "sequences.txt").write_text("\n".join(chains), encoding="ascii")
        jobs = [_embed(folder, chains)]
        try:
            jobs.append(_screen(folder, limit or MOLECULES))
        except MissingDataError as error:
            tell(f"screen is passed over: {error}")
        jobs.append(_pretrain(folder, 2 if limit else STEPS))
        for job in jobs:
            rows += figures(job, _rounds(job, rounds, tell))
        tell("The costs of each stage, and what a process holds.")
        rows += driver_rows(folder, [job.task for job in jobs])
        rows += memory_rows(folder, tell)
    for sentence in sentences(Measured(rows)):
        tell(sentence)
    return rows


Seconds = dict[str, list[tuple[float, float]]]
"""Of each contender, the seconds for one item and for all in each round."""


def figures(job: Job, taken: Seconds) -> list[Score]:
    """The rows of one job from its seconds."""
    rows = []
    steady = {name: [_steady(job, *each) for each in rounds] for name, rounds in taken.items()}
    for name, rounds in taken.items():
        rows.append(
            score(job.task, f"{job.unit}_per_s", name, [job.units[1] / large for _, large in rounds], job.items)
        )
        rows.append(score(job.task, "steady_per_s", name, steady[name], job.items))
        rows.append(score(job.task, "startup_s", name, [small for small, _ in rounds], job.items))
    for name, workers in CREWS.items():
        if name in taken:
            shares = [many / one / workers for many, one in zip(steady[name], steady["workers-1"], strict=True)]
            rows.append(score(job.task, "efficiency", name, shares, job.items))
    return rows


def _steady(job: Job, small: float, large: float) -> float:
    return (job.units[1] - job.units[0]) / max(large - small, 1e-3)


def _rounds(job: Job, rounds: int, tell: Tell) -> Seconds:
    crews = {PLAIN: 0, **CREWS}
    if job.needs_ray and find_spec("ray") is None:
        tell(f"{job.task}: Ray does not take part; install it to see it: pip install 'anfinsen[ray]'.")
        crews = {PLAIN: 0}
    taken: Seconds = {name: [] for name in crews}
    for number in range(rounds):
        for name, workers in crews.items():
            taken[name].append((job.run(False, workers), job.run(True, workers)))
        now = ", ".join(f"{name}: {taken[name][-1][1]:.1f} s ({taken[name][-1][0]:.1f} s the start)" for name in crews)
        tell(f"{job.task}, round {number + 1} of {rounds}. {now}.")
    return taken


# The jobs -----------------------------------------------------------------------------------------------------------


def _proteins(count: int) -> list[str]:
    """Sequences drawn by lot from the valid split, always the same."""
    drawn = draw(TASKS["masked"].examples("valid"), count, seed=_SEED, in_order=False)
    return [example.protein.sequence for example in drawn]


def _embed(folder: Path, chains: Sequence[str]) -> Job:
    for is_large in (False, True):
        part = chains if is_large else chains[:1]
        text = "".join(f">p{at}\n{chain}\n" for at, chain in enumerate(part))
        (folder / f"{is_large}.fasta").write_text(text, encoding="ascii")

    def run(is_large: bool, workers: int) -> float:
        out = folder / "states.h5"
        out.unlink(missing_ok=True)
        words = ["embed", str(folder / f"{is_large}.fasta"), "--out", str(out), "--bundle", str(folder / "bundle")]
        return _timed([*COMMAND, *words, *_crew(workers)])

    return Job("embed", "residues", len(chains), (len(chains[0]), sum(map(len, chains))), run)


def _screen(folder: Path, count: int) -> Job:
    targets, _ = load_targets("dude")
    smiles = [one for target in targets for one in target.smiles]
    chosen = draw(smiles, count, seed=_SEED, in_order=False)
    (folder / "target.fasta").write_text(f">target\n{targets[0].protein.sequence}\n", encoding="ascii")
    for is_large in (False, True):
        (folder / f"{is_large}.smi").write_text("\n".join(chosen if is_large else chosen[:1]), encoding="ascii")

    def run(is_large: bool, workers: int) -> float:
        with tempfile.TemporaryDirectory(dir=folder) as fresh:  # nothing that was read before is found again
            words = ["screen", "--target", str(folder / "target.fasta"), "--library", str(folder / f"{is_large}.smi")]
            words += ["--out", f"{fresh}/out", "--kept", f"{fresh}/kept", "--top", "1", "--keep", "100"]
            return _timed([*COMMAND, *words, *_crew(workers)], may_refuse=True)

    return Job("screen", "molecules", len(chosen), (1, len(chosen)), run)


def _pretrain(folder: Path, steps: int) -> Job:
    def run(is_large: bool, workers: int) -> float:
        command = [sys.executable, "-m", "anfinsen.bench.scale", str(folder), str(steps if is_large else 1)]
        if not workers:
            return _timed(command)
        began = time.perf_counter()
        alone = os.environ.get("OMP_NUM_THREADS")
        os.environ["OMP_NUM_THREADS"] = "1"
        try:
            code = start(command, workers)
        finally:
            os.environ.pop("OMP_NUM_THREADS") if alone is None else os.environ.update(OMP_NUM_THREADS=alone)
        if code:
            raise AnfinsenError(f"The training on {workers} processes ended with {code}.")
        return time.perf_counter() - began

    return Job("pretrain", "residues", steps, (TOKENS, steps * TOKENS), run, needs_ray=False)


def _crew(workers: int) -> list[str]:
    return ["--on", "ray", "--workers", str(workers)] if workers else []


def _timed(command: Sequence[str], *, may_refuse: bool = False) -> float:
    """Seconds of a command; `may_refuse` some of its records, which is the exit code 3."""
    began = time.perf_counter()
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode not in ((0, 3) if may_refuse else (0,)):
        raise AnfinsenError(f"A contender failed: {(ended.stderr.strip().splitlines() or ['nothing was said'])[-1]}")
    return time.perf_counter() - began


if __name__ == "__main__":
    learn(Path(sys.argv[1]), int(sys.argv[2]))
