"""The machine: device, precision, threads, seeds. The only file that asks for CUDA."""

from __future__ import annotations

import os
import platform
import random
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache, partial
from importlib import metadata
from pathlib import Path
from typing import Literal, TypeVar

import numpy
import torch

Precision = Literal["fp32", "bf16"]
Part = TypeVar("Part")
Outcome = TypeVar("Outcome")


def pick_device(name: str = "auto") -> torch.device:
    """The device to compute on: the one named, else an accelerator, else the CPU."""
    if name != "auto":
        return torch.device(name)
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def precision(name: Precision, device: torch.device) -> AbstractContextManager[object]:
    """Mixed precision for the forward pass; weights and optimiser state stay in fp32."""
    return torch.autocast(device.type, torch.bfloat16) if name == "bf16" else nullcontext()


def use_threads(count: int | None) -> None:
    """Limit the compute threads of this process; None leaves PyTorch's choice."""
    if count is not None:
        torch.set_num_threads(count)


def threads() -> int:
    """How many compute threads this process may use."""
    return torch.get_num_threads()


@contextmanager
def one_core() -> Iterator[None]:
    """One compute thread meanwhile: work of many small products is slower on several, which wait for each other."""
    before = threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def in_parallel(work: Callable[[Part], Outcome], parts: Sequence[Part]) -> list[Outcome]:
    """What `work` makes of each part, in order, without gradients: one core a part, as many at a time as there are
    threads.

    Cores that share one product wait for each other after it; cores that each have a part do not. A single part, or
    a single thread, is worked on here by whatever threads there are.
    """
    if len(parts) < 2 or threads() < 2:
        return [work(part) for part in parts]
    return list(_pool(os.getpid(), threads()).map(partial(_without_gradients, work), parts))


@cache
def _pool(process: int, count: int) -> ThreadPoolExecutor:
    """Threads that wait for work; a forked process has none of its parent's, hence its number."""
    return ThreadPoolExecutor(count, thread_name_prefix="anfinsen", initializer=partial(torch.set_num_threads, 1))


@torch.no_grad()
def _without_gradients(work: Callable[[Part], Outcome], part: Part) -> Outcome:
    return work(part)


def peak_megabytes() -> float:
    """The most memory that this process has held so far, in millions of bytes; nothing is known on Windows (NaN)."""
    status = Path("/proc/self/status")
    if status.exists():  # on Linux the other figure below is inherited from the process that started this one
        (line,) = (line for line in status.read_text(encoding="ascii").splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024 / 1e6
    if sys.platform == "win32":
        return float("nan")
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def free_memory() -> int | None:
    """Bytes of memory that are free for a new task; None where the system does not tell."""
    told = Path("/proc/meminfo")
    if not told.exists():
        return None
    (line,) = (line for line in told.read_text(encoding="ascii").splitlines() if line.startswith("MemAvailable:"))
    return int(line.split()[1]) * 1024


def seed_everything(seed: int) -> None:
    """Seed every global random stream that the project draws from."""
    random.seed(seed)
    numpy.random.seed(seed % 2**32)
    torch.manual_seed(seed)


def random_streams(device: torch.device) -> dict[str, torch.Tensor]:
    """The state of every random stream that a training on `device` draws from."""
    streams = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        streams["cuda"] = torch.cuda.get_rng_state(device)
    return streams


def restore_random_streams(streams: Mapping[str, torch.Tensor], device: torch.device) -> None:
    """Go on drawing from where the streams were."""
    torch.set_rng_state(streams["cpu"])
    if device.type == "cuda" and "cuda" in streams:
        torch.cuda.set_rng_state(streams["cuda"], device)


def describe() -> dict[str, str]:
    """What `anfinsen doctor` prints: versions and the machine, no path and no name of a person."""
    packages = ("anfinsen", "torch", "transformers", "numpy", "polars", "biotite", "gemmi", "safetensors")
    versions = {name: _version(name) for name in packages}
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cores": str(os.cpu_count() or 1),
        "device": str(pick_device()),
        **versions,
    }


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"
