"""The gradient by layer: how hard the error pulls at each part of a network, measured while it is clipped.

Every gradient is read once for its norm; the norm of the whole is the norm of the layers' norms. Layers are called
`embed`, `block 1` to `block n` (as `anfinsen embed --layer` counts them), `heads`, and `rest` for what stands
between, such as the last normalisation.
"""

from __future__ import annotations

import re

import torch
from torch import nn

from anfinsen.distributed.strategy import whole

_BLOCK = re.compile(r"\b(?:blocks?|layers?)\.(\d+)\.")


def layer_of(name: str) -> str:
    """The layer that a weight belongs to, by its name.

    >>> [layer_of(name) for name in ("encoder.embed.weight", "encoder.blocks.0.mix.bias", "heads.ec.out.bias")]
    ['embed', 'block 1', 'heads']
    """
    if "heads." in name:
        return "heads"
    if found := _BLOCK.search(name):
        return f"block {int(found[1]) + 1}"
    return "embed" if "embed" in name else "rest"


class Gradients:
    """The gradients of all weights of a network that may move, by layer."""

    def __init__(self, network: nn.Module) -> None:
        self.layers: dict[str, list[nn.Parameter]] = {}
        for name, weight in network.named_parameters():
            if weight.requires_grad:
                self.layers.setdefault(layer_of(name), []).append(weight)

    def clip(self, largest: float, *, divide_by: int = 1) -> tuple[float, dict[str, float]]:
        """Divide all gradients, cut their norm to `largest`; the norm before the cut, whole and by layer."""
        pulled = {name: [w for w in weights if w.grad is not None] for name, weights in self.layers.items()}
        pulled = {name: weights for name, weights in pulled.items() if weights}
        if not pulled:
            return 0.0, {}
        for weights in pulled.values():
            for weight in weights:
                assert weight.grad is not None
                weight.grad.div_(divide_by)
        norms = torch.stack([whole(nn.utils.get_total_norm([w.grad for w in part])) for part in pulled.values()])  # type: ignore[misc]
        norm = torch.linalg.vector_norm(norms)
        nn.utils.clip_grads_with_norm_([w for part in pulled.values() for w in part], largest, norm)
        total, *parts = torch.cat([norm[None], norms]).tolist()
        return total, dict(zip(pulled, parts, strict=True))
