"""Adapters (LoRA): a large body learns by small corrections, and is a plain body again when it has learnt.

    states -> W x  becomes  W x + (alpha / dim) B A x        W rests; A (dim, in) and B (out, dim) learn

Every product inside the blocks gets such a pair. B begins at zero, so nothing changes at first. With dim 8 some 3 %
of the weights move, which needs less memory and forgets less than training all of them; in the end the correction
is added into W, and nobody can see from outside that there were adapters (Hu et al. 2022, arXiv 2106.09685).
The adapters are those of `peft`, which is imported when one is asked for, not before.

Somebody else's body (ProtBERT, ProtT5) is never copied into a bundle. There W stays the public one, and what was learnt
stays beside it as `Corrected`: two thin matrices a product, which a bundle keeps as corrections.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import cast

from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from anfinsen.config import Config
from anfinsen.errors import BundleError, ConfigError
from anfinsen.models.backbones import PublicBody

PRODUCTS = ("qkv", "mix", "widen", "narrow")
"""The products of a block of our own encoder that are adapted; of other bodies, every one."""
DOWN, UP = ".down", ".up"


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

    if corrections(body):
        raise ConfigError(
            "This body has learnt corrections already, and they cannot be corrected once more.",
            remedy="Begin with the checkpoint itself, or train a head alone with --mode frozen.",
        )
    products = list(PRODUCTS)
    if isinstance(body, PublicBody):
        # what stands in no block, such as a head for contacts, is not read
        inside = re.compile(r"\.(layer|block)\.\d+\.")
        products = [n for n, one in body.named_modules() if isinstance(one, nn.Linear) and inside.search(n)]
    lora = LoraConfig(r=config.dim, lora_alpha=config.alpha, lora_dropout=config.dropout, target_modules=products)
    return inject_adapter_in_model(lora, body)


def is_adapted(body: nn.Module) -> bool:
    """Whether a body has adapters that are not yet merged."""
    return hasattr(body, "peft_config")


def merged(body: nn.Module) -> nn.Module:
    """The same body with its adapters added into its weights and gone; a body without adapters stays as it is.

    In a public body they stay beside the weights instead, rounded to what half precision holds.
    """
    if not is_adapted(body):
        return body
    from peft.tuners.lora import LoraLayer

    for path, layer in list(body.named_modules()):
        if not isinstance(layer, LoraLayer):
            continue
        if isinstance(body, PublicBody):
            (name,) = layer.active_adapters
            down, up = (cast(Tensor, pair[name].weight).detach() for pair in (layer.lora_A, layer.lora_B))
            up = up * layer.scaling[name]
            _put(body, path, Corrected(layer.get_base_layer(), down.half().float(), up.half().float()))
        else:
            layer.merge(safe_merge=True)
            _put(body, path, layer.get_base_layer())
    del body.peft_config
    return body.requires_grad_(True)


class Corrected(nn.Module):
    """A product of a public body and what was learnt beside it: W x + B A x; A is `down`, B is `up`."""

    def __init__(self, product: nn.Module, down: Tensor, up: Tensor) -> None:
        super().__init__()
        self.product = product
        self.down, self.up = nn.Parameter(down.clone()), nn.Parameter(up.clone())

    @property
    def weight(self) -> Tensor:
        """The public weight, which some bodies look at before they multiply."""
        weight = self.product.weight
        assert isinstance(weight, Tensor)
        return weight

    def forward(self, rows: Tensor) -> Tensor:
        """The corrected product of some rows."""
        plain: Tensor = self.product(rows)
        return plain + functional.linear(functional.linear(rows, self.down), self.up)


def corrections(body: nn.Module) -> dict[str, Tensor]:
    """What a public body has learnt, by the places of its products; nothing for a body that has learnt nothing."""
    found = {path: module for path, module in body.named_modules() if isinstance(module, Corrected)}
    pairs = ((path + end, part) for path, one in found.items() for end, part in ((DOWN, one.down), (UP, one.up)))
    return {name: part.detach() for name, part in pairs}


def corrected(body: nn.Module, learnt: Mapping[str, Tensor]) -> nn.Module:
    """The same body with corrections put beside its products; raises `BundleError` where one has no place."""
    for name, down in learnt.items():
        path, end = name.rpartition(".")[0], f".{name.rpartition('.')[2]}"
        if end != DOWN:
            continue
        try:
            product = body.get_submodule(path)
            fits = isinstance(product, nn.Linear) and (down.shape[1], learnt[path + UP].shape[0]) == (
                product.in_features,
                product.out_features,
            )
        except (AttributeError, KeyError):
            fits = False
        if not fits:
            raise BundleError(
                f"The corrections of '{path}' do not fit its backbone.",
                remedy="Get the bundle again, and the checkpoint that it names.",
            )
        _put(body, path, Corrected(product, down, learnt[path + UP]))
    return body


def _put(body: nn.Module, path: str, module: nn.Module) -> None:
    parent, _, name = path.rpartition(".")
    setattr(body.get_submodule(parent), name, module)
