"""The machine: device, precision, threads, seeds. The only file that asks for CUDA."""

from __future__ import annotations

import os
import platform
import random
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from importlib import metadata
from typing import Literal

import numpy
import torch

Precision = Literal["fp32", "bf16"]


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
