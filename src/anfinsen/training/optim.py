"""Optimisers and the learning-rate schedule.

Hidden matrices are updated by Muon (momentum made orthogonal; Jordan et al. 2024), everything else by
AdamW. Both come from PyTorch; here it is only decided which weight goes to which.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import nn

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
        # match_rms_adamw: updates as large as AdamW's (Liu et al. 2025, arXiv 2502.16982)
        optimizers.append(
            torch.optim.Muon(hidden, lr=learning_rate, weight_decay=weight_decay, adjust_lr_fn="match_rms_adamw")
        )
    return optimizers


def schedule(step: int, *, steps: int, warmup: int, decay: float) -> float:
    """The share of the full learning rate at a step: a linear rise, a plateau, a linear fall to zero.

    The fall takes the last `decay` share of all steps. A plateau lets a run be given more steps after it has
    begun without having wasted any (Hagele et al. 2024, arXiv 2405.18392).

    >>> [round(schedule(step, steps=10, warmup=2, decay=0.4), 2) for step in (0, 1, 5, 8, 9)]
    [0.5, 1.0, 1.0, 0.5, 0.25]
    """
    left = (steps - step) / max(1.0, decay * steps)
    return max(0.0, min(1.0, (step + 1) / max(1, warmup), left))
