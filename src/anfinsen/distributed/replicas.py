"""DDP: every process holds all weights and reads its share of each group; gradients are summed between them.

The processes are started by `torchrun` on any number of machines, or by `anfinsen train --processes N` on this one;
either way they find each other by the variables that torchrun sets. Exchanges go by NCCL between accelerators and by
Gloo between CPUs.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta

import torch
from torch import Tensor, nn
from torch import distributed as group
from torch.optim import Optimizer

from anfinsen import runtime
from anfinsen.distributed.strategy import Make, Strategy
from anfinsen.errors import UsageError

_PATIENCE = timedelta(minutes=30)
"""How long a process waits for the others, such as for one that still reads its table."""


class Replicas(Strategy):
    """DDP."""

    name = "ddp"

    def __init__(self, device: torch.device | None = None) -> None:
        super().__init__(device or own_device())
        join(self.device)
        self.rank, self.size = group.get_rank(), group.get_world_size()
        self._replica: nn.parallel.DistributedDataParallel | None = None

    def wrap(self, network: nn.Module, make: Make) -> tuple[nn.Module, list[Optimizer]]:
        network.to(self.device)
        # a step asks one head; the others have no gradient in it. Gradients lie where they are sent from, not twice
        self._replica = nn.parallel.DistributedDataParallel(
            network, find_unused_parameters=True, gradient_as_bucket_view=True
        )
        return self._replica, make(network)

    def ready(self, *, is_last: bool) -> None:
        assert self._replica is not None
        self._replica.require_backward_grad_sync = is_last

    def backward(self, loss: Tensor) -> None:
        # gradients are averaged over the processes; the loss is a sum over the whole group
        (loss * self.size).backward()

    def save(self, write: Callable[[], object]) -> None:
        if self.leads:
            write()
        self.highest(0)

    def total(self, values: Sequence[float]) -> list[float]:
        sums = torch.tensor(values, dtype=torch.float64, device=self.device)
        group.all_reduce(sums)
        return [float(each) for each in sums.tolist()]

    def agree(self, value: float) -> float:
        said = torch.tensor([value], dtype=torch.float64, device=self.device)
        group.broadcast(said, src=0)
        return float(said)

    def highest(self, value: int) -> int:
        said = torch.tensor([value], device=self.device)
        group.all_reduce(said, op=group.ReduceOp.MAX)
        return int(said)

    def streams(self, streams: Mapping[str, Tensor]) -> dict[str, Tensor]:
        found: dict[str, Tensor] = {}
        for name, stream in streams.items():
            own = stream.to(self.device)
            everyone = [torch.empty_like(own) for _ in range(self.size)]
            group.all_gather(everyone, own)
            found |= {f"{rank}.{name}" if rank else name: each.cpu() for rank, each in enumerate(everyone)}
        return found

    def close(self) -> None:
        if group.is_initialized():
            group.destroy_process_group()


def join(device: torch.device) -> None:
    """Meet the other processes of this run."""
    if group.is_initialized():
        return
    missing = [name for name in ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT") if name not in os.environ]
    if missing:
        raise UsageError(
            f"This process is none of several: {', '.join(missing)} is not set.",
            remedy="Say how many with --processes, or start the command by torchrun.",
        )
    group.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=_PATIENCE)


def own_device() -> torch.device:
    """The accelerator of this process among those of its machine, else the CPU."""
    device = runtime.pick_device()
    if device.type != "cuda":
        return device
    device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")) % torch.cuda.device_count())
    torch.cuda.set_device(device)
    return device
