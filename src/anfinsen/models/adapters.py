"""Adapters (LoRA): a large body learns by small corrections, and is a plain body again when it has learnt.

    states -> W x  becomes  W x + (alpha / dim) B A x        W rests; A (dim, in) and B (out, dim) learn

Every product inside the blocks gets such a pair. B begins at zero, so nothing changes at first. With dim 8 some 3 %
of the weights move, which needs less memory and forgets less than training all of them; in the end the correction
is added into W, and nobody can see from outside that there were adapters (Hu et al. 2022, arXiv 2106.09685).
The adapters are those of `peft`, which is imported when one is asked for, not before.
"""

from __future__ import annotations

from pydantic import Field
from torch import nn

from anfinsen.config import Config

PRODUCTS = ("qkv", "mix", "widen", "narrow")
"""The products of a block of our own encoder that are adapted."""


class AdapterConfig(Config):
    """The size of the adapters."""

    dim: int = Field(8, ge=1)
    """Width of each correction (its rank): how much an adapter can learn, and how much it costs."""
    alpha: int = Field(16, ge=1)
    """Strength: a correction counts alpha / dim times."""
    dropout: float = Field(0.05, ge=0, lt=1)
    """Share of a product's inputs that its adapter does not see while it learns."""


def adapted(body: nn.Module, config: AdapterConfig) -> nn.Module:
    """The same body, changed in place: its weights rest, and every product of its blocks has an adapter that learns."""
    from peft import LoraConfig, inject_adapter_in_model

    lora = LoraConfig(r=config.dim, lora_alpha=config.alpha, lora_dropout=config.dropout, target_modules=list(PRODUCTS))
    return inject_adapter_in_model(lora, body)


def is_adapted(body: nn.Module) -> bool:
    """Whether a body has adapters that are not yet merged."""
    return hasattr(body, "peft_config")


def merged(body: nn.Module) -> nn.Module:
    """The same body with its adapters added into its weights and gone; a body without adapters stays as it is."""
    if not is_adapted(body):
        return body
    from peft.tuners.lora import LoraLayer

    for path, layer in list(body.named_modules()):
        if isinstance(layer, LoraLayer):
            layer.merge(safe_merge=True)
            parent, _, name = path.rpartition(".")
            setattr(body.get_submodule(parent), name, layer.get_base_layer())
    del body.peft_config
    return body.requires_grad_(True)
