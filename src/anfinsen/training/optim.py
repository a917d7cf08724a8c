"""Optimisers and the learning-rate schedule.

Hidden matrices are updated by Muon (momentum made orthogonal; Jordan et al. 2024), everything else by
AdamW. Here it is decided which weight goes to which.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Literal

import torch
from torch import Tensor, nn

from anfinsen.distributed.strategy import piece, whole

OptimizerName = Literal["muon", "adamw"]


def make_optimizers(
    network: nn.Module, name: OptimizerName, learning_rate: float, weight_decay: float
) -> list[torch.optim.Optimizer]:
    """Optimisers for all weights that may move; one `learning_rate` serves AdamW and Muon."""
    hidden, other, plain = [], [], []
    for path, weight in network.named_parameters():
        if not weight.requires_grad:
            continue
        if weight.ndim < 2 or "embed" in path:
            plain.append(weight)
        elif name == "muon" and weight.ndim == 2 and "blocks" in path:
            hidden.append(weight)
        else:
            other.append(weight)
    groups = [{"params": other, "weight_decay": weight_decay}, {"params": plain, "weight_decay": 0.0}]
    optimizers: list[torch.optim.Optimizer] = [
        torch.optim.AdamW([group for group in groups if group["params"]], lr=learning_rate, betas=(0.9, 0.98))
    ]
    if hidden:
        optimizers.append(Muon(hidden, lr=learning_rate, weight_decay=weight_decay))
    return optimizers


class Muon(torch.optim.Muon):
    """PyTorch's Muon, with the matrices of one shape made orthogonal in one go, and on a CPU in fp32.

    The library's goes matrix by matrix in bf16, which on a CPU without fast bf16 took as long as the whole
    forward and backward pass. Updates are as large as AdamW's (Liu et al. 2025, arXiv 2502.16982). Of a matrix that is
    cut into pieces (FSDP) the whole is gathered to be made orthogonal.
    """

    def __init__(self, weights: list[nn.Parameter], *, lr: float, weight_decay: float) -> None:
        super().__init__(weights, lr=lr, weight_decay=weight_decay, adjust_lr_fn="match_rms_adamw")

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]  # no line search, so no closure
        """Move every weight that has a gradient."""
        for group in self.param_groups:
            alike: dict[torch.Size, list[nn.Parameter]] = defaultdict(list)
            for weight in group["params"]:
                if weight.grad is not None:
                    alike[weight.shape].append(weight)
            for shape, weights in alike.items():
                moved = orthogonal(
                    torch.stack([whole(self._nesterov(weight, group["momentum"])) for weight in weights])
                )
                rate = group["lr"] * 0.2 * max(shape) ** 0.5
                for weight, update in zip(weights, moved, strict=True):
                    weight.mul_(1 - group["lr"] * group["weight_decay"])
                    weight.sub_(piece(update.to(weight.dtype), weight), alpha=rate)

    def _nesterov(self, weight: nn.Parameter, momentum: float) -> Tensor:
        assert weight.grad is not None
        state = self.state[weight]
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(weight)
        state["momentum_buffer"].lerp_(weight.grad, 1 - momentum)
        return weight.grad.lerp(state["momentum_buffer"], momentum)


def orthogonal(matrices: Tensor, steps: int = 5) -> Tensor:
    """About U V^T of each matrix U S V^T, by Newton and Schulz's iteration: (B, m, n) -> (B, m, n).

    The coefficients are Jordan's: singular values end between about 0.7 and 1.2, which is enough.
    """
    wide = matrices.mT if matrices.shape[-2] > matrices.shape[-1] else matrices
    wide = wide if wide.device.type == "cpu" else wide.bfloat16()
    wide = wide / wide.norm(dim=(-2, -1), keepdim=True).clamp(min=1e-7)
    for _ in range(steps):
        gram = wide @ wide.mT
        wide = torch.baddbmm(wide, torch.baddbmm(gram, gram, gram, beta=-4.7750, alpha=2.0315), wide, beta=3.4445)
    return wide.mT if matrices.shape[-2] > matrices.shape[-1] else wide


def schedule(step: int, *, steps: int, warmup: int, decay: float) -> float:
    """The share of the full learning rate at a step: a linear rise, a plateau, a linear fall to zero.

    The fall takes the last `decay` share of all steps. A plateau lets a run be given more steps after it has
    begun without having wasted any (Hagele et al. 2024, arXiv 2405.18392).

    >>> [round(schedule(step, steps=10, warmup=2, decay=0.4), 2) for step in (0, 1, 5, 8, 9)]
    [0.5, 1.0, 1.0, 0.5, 0.25]
    """
    left = (steps - step) / max(1.0, decay * steps)
    return max(0.0, min(1.0, (step + 1) / max(1, warmup), left))
