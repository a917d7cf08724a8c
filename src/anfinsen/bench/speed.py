"""How fast states are made on this CPU, beside what others offer: `anfinsen bench speed`.

    256 real proteins -> six rounds, in each every contender once -> medians of the ratios inside a round
                      -> each alone in a process of its own -> its peak memory

Contenders have the same weights and the same proteins, drawn by lot from the corpus's valid split in file order, and
take turns, so that a machine that is busy for a while is unfair to nobody. A ratio is taken inside a round; of six, the
lowest and the highest hold the true median in 97 of 100 cases, which is the interval that is printed.
`gemm_share` is the share of the machine's own rate of matrix products: what the encoder's products and attention
count, over the time, over the best rate of any library on the same shapes, measured in the same rounds.
`cosine` and `max_abs_error` tell how far states are from those of `transformers` in fp32.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import cast

import numpy
import torch

from anfinsen import runtime
from anfinsen.bench.contenders import CONTENDERS, FIRST, Contender, Read, States
from anfinsen.data.draw import draw
from anfinsen.errors import AnfinsenError
from anfinsen.hub.body import bare, write_body
from anfinsen.hub.bundle import Bundle
from anfinsen.hub.record import Score
from anfinsen.models.encoder import Encoder, EncoderConfig
from anfinsen.models.network import NativeBody
from anfinsen.models.product import Product, ways
from anfinsen.tasks import TASKS

PROTEINS = 256
ROUNDS = 6
"""Of six, the lowest and the highest hold the median with probability 1 - 2 / 2^6 = 0.97."""
COMPARED = 32
"""Proteins whose residue states are compared one by one."""
WARM_UP = 16
"""Proteins that each contender reads before the clock starts."""
_SEED = 256
_PRODUCT_TOKENS = 2048
"""Tokens of each core in a measured product."""
_TABLE = TASKS["masked"].table.name
_SEQUENCES = "sequences.txt"

Tell = Callable[[str], None]


def speed_rows(bundle: Bundle, *, limit: int | None, tell: Tell) -> list[Score]:
    """All rows of the speed benchmark for our own encoder; `limit` takes fewer proteins, for a quick look."""
    body = bare(bundle.network.body)
    if not isinstance(body, NativeBody):
        tell("speed is passed over: the body is not our own encoder, and there is nothing to compare.")
        return []
    sequences = _proteins(limit or PROTEINS)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_body(folder, body, None)
        (folder / _SEQUENCES).write_text("\n".join(sequences), encoding="utf-8")
        for one in CONTENDERS:
            if not one.is_installed:
                tell(f"{one.name} does not take part; install {' and '.join(one.packages)} to see it.")
        present = [one for one in CONTENDERS if one.is_installed]
        readers = {one.name: one.open(folder) for one in present}
        rows = _Rows(bundle.label, len(sequences))
        rows.add_deviations(present, readers, sequences)
        rows.add_times(present, *_rounds(present, readers, sequences, cast(Encoder, body.encoder).config, tell))
        for one in present:
            tell(f"{one.name} runs alone, for its memory.")
            rows.add(one, "peak_mb", [_peak_alone(one, folder)])
    return rows.rows


class _Rows:
    """The rows so far."""

    def __init__(self, model: str, count: int) -> None:
        self.rows: list[Score] = []
        self._model = model
        self._count = count

    def add(self, one: Contender, metric: str, values: Sequence[float]) -> None:
        """The median of some rounds, with the lowest and the highest where there are enough of them."""
        figures: dict[str, object] = {"value": median(values), "n": self._count}
        if len(values) >= ROUNDS:
            figures |= {"low": min(values), "high": max(values)}
        place = {"suite": "speed", "task": "embed", "dataset": _TABLE, "split": one.precision, "metric": metric}
        self.rows.append(Score.build({**place, "model": self._model if one.is_ours else one.name, **figures}))

    def add_deviations(self, present: Sequence[Contender], readers: dict[str, Read], sequences: Sequence[str]) -> None:
        """How far the states are from those of the first contender."""
        few = sequences[:COMPARED]
        means, residues = readers[FIRST](sequences, "protein"), readers[FIRST](few, "residue")
        for one in present:
            if one.name != FIRST:
                read = readers[one.name]
                self.add(one, "cosine", [_least_cosine(read(sequences, "protein"), means)])
                self.add(one, "max_abs_error", [_largest_difference(read(few, "residue"), residues)])

    def add_times(
        self, present: Sequence[Contender], seconds: dict[str, list[float]], rates: dict[str, list[float]], work: _Work
    ) -> None:
        """Residues a second, the ratio to the first contender, and the share of the machine's own rate."""
        for one in present:
            taken = seconds[one.name]
            self.add(one, "residues_per_second", [work.residues / each for each in taken])
            self.add(one, "ratio", [first / each for first, each in zip(seconds[FIRST], taken, strict=True)])
            shares = [work.flops / each / rate for each, rate in zip(taken, rates[one.precision], strict=True)]
            self.add(one, "gemm_share", shares)


class _Work:
    """What there is to do: residues, and the floating-point operations of products and attention."""

    def __init__(self, config: EncoderConfig, sequences: Sequence[str]) -> None:
        lengths = numpy.array([len(sequence) for sequence in sequences]) + 2
        linear = 2 * (4 * config.dim**2 + 2 * config.dim * config.inner_dim)
        self.residues = int((lengths - 2).sum())
        self.flops = config.layers * float(linear * lengths.sum() + 4 * config.dim * (lengths**2).sum())


def _rounds(
    present: Sequence[Contender],
    readers: dict[str, Read],
    sequences: Sequence[str],
    config: EncoderConfig,
    tell: Tell,
) -> tuple[dict[str, list[float]], dict[str, list[float]], _Work]:
    """Seconds of each contender and rates of products (operations a second) in each round."""
    seconds: dict[str, list[float]] = {one.name: [] for one in present}
    rates: dict[str, list[float]] = {"fp32": [], "bf16": []}
    for one in present:
        readers[one.name](sequences[:WARM_UP], "protein")
    for number in range(ROUNDS):
        for precision, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
            rates[precision].append(product_rate(config, dtype))
        for one in present:
            start = time.perf_counter()
            readers[one.name](sequences, "protein")
            seconds[one.name].append(time.perf_counter() - start)
        now = ", ".join(f"{one.name}: {seconds[one.name][-1]:.1f} s" for one in present)
        tell(f"Round {number + 1} of {ROUNDS}. {now}.")
    return seconds, rates, _Work(config, sequences)


def product_rate(config: EncoderConfig, dtype: torch.dtype) -> float:
    """Operations a second of the encoder's own products by the best library and the best use of the cores.

    Either all cores share each product, or each core has products of its own.
    """
    cores = runtime.threads()
    total, taken = 0.0, 0.0
    for outer, inner in (
        (3 * config.dim, config.dim),
        (config.dim, config.dim),
        (config.inner_dim, config.dim),
        (config.dim, config.inner_dim),
    ):
        row = torch.randn(cores * _PRODUCT_TOKENS, inner).to(dtype)
        parts = row.split(_PRODUCT_TOKENS // 4)
        products = [Product(torch.randn(outer, inner), torch.randn(outer), way) for way in ways(outer, inner, dtype)]
        total += 2.0 * len(row) * outer * inner
        taken += min(_seconds(product, row, parts) for product in products for _ in range(3))
    return total / taken


def _seconds(product: Product, row: torch.Tensor, parts: Sequence[torch.Tensor]) -> float:
    start = time.perf_counter()
    product(row)
    middle = time.perf_counter()
    runtime.in_parallel(product, parts)
    return min(middle - start, time.perf_counter() - middle)


def _proteins(count: int) -> list[str]:
    """Sequences drawn by lot from the valid split, always the same, in file order."""
    return [example.protein.sequence for example in draw(TASKS["masked"].examples("valid"), count, seed=_SEED)]


def _least_cosine(states: States, others: States) -> float:
    one, other = (torch.from_numpy(numpy.stack(each)).double() for each in (states, others))
    return float(torch.nn.functional.cosine_similarity(one, other).min())


def _largest_difference(states: States, others: States) -> float:
    return max(float(numpy.abs(one - other).max()) for one, other in zip(states, others, strict=True))


# One contender alone ------------------------------------------------------------------------------------------------


def _peak_alone(one: Contender, folder: Path) -> float:
    """Megabytes that a process needs at most that does nothing but this."""
    command = [sys.executable, "-m", "anfinsen.bench.speed", "--one", one.name, str(folder), str(runtime.threads())]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise AnfinsenError(f"{one.name} could not run alone: {ended.stderr.strip().splitlines()[-1]}")
    return float(json.loads(ended.stdout.splitlines()[-1])["peak_mb"])


def _alone(name: str, folder: str, threads: str) -> None:
    runtime.use_threads(int(threads))
    (one,) = (each for each in CONTENDERS if each.name == name)
    sequences = (Path(folder) / _SEQUENCES).read_text(encoding="utf-8").splitlines()
    one.open(Path(folder))(sequences, "protein")
    sys.stdout.write(json.dumps({"peak_mb": runtime.peak_megabytes()}) + "\n")


if __name__ == "__main__":
    _alone(*sys.argv[2:])
