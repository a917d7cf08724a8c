"""Weights in and out in the public layout: the names and the config that `transformers` gives to ESM-2.

    ours                              public
    embed                             esm.embeddings.word_embeddings
    blocks.0.qkv  (one product)       esm.encoder.layer.0.attention.self.{query,key,value}  (three)
    ...                               ...
    MaskedHead                        lm_head.*, its last product left out where it is the embedding itself ("tied")

It is given and gives dictionaries of tensors and knows no file. Two traps of real checkpoints are met here: ESM-2
was trained with rotary frequencies rounded to half precision and keeps them among its weights, and newer releases
of `transformers` write a LayerNorm's weight and bias as gamma and beta. ESM-2: Lin et al. 2023, Science 379:1123.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeVar, get_args

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from anfinsen.errors import BundleError, ConfigError
from anfinsen.models.attention import RotaryPrecision, rotary_frequencies
from anfinsen.models.encoder import Encoder, EncoderConfig
from anfinsen.models.heads import MaskedHead

Names = dict[str, tuple[str, ...]]
Module = TypeVar("Module", bound=nn.Module)

PUBLIC_DEFAULTS: Mapping[str, Any] = {
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "intermediate_size": 3072,
    "max_position_embeddings": 1026,
    "layer_norm_eps": 1e-12,
    "token_dropout": False,
    "emb_layer_norm_before": None,
    "tie_word_embeddings": True,
    "position_embedding_type": "absolute",
    "rope_theta": 10_000.0,
    "is_decoder": False,
    "is_folding_model": False,
    "add_cross_attention": False,
}
"""What `transformers` takes where a config.json is silent; these are not our defaults."""

_IN_BLOCK: Names = {
    "attention_norm": ("attention.LayerNorm",),
    "qkv": ("attention.self.query", "attention.self.key", "attention.self.value"),
    "mix": ("attention.output.dense",),
    "feed_norm": ("LayerNorm",),
    "widen": ("intermediate.dense",),
    "narrow": ("output.dense",),
}
_TIED = "lm_head.decoder.weight"
_EMBEDDING = "embeddings.word_embeddings.weight"
_IN_HEAD: Names = {
    "dense.weight": ("lm_head.dense.weight",),
    "dense.bias": ("lm_head.dense.bias",),
    "norm.weight": ("lm_head.layer_norm.weight",),
    "norm.bias": ("lm_head.layer_norm.bias",),
    "decode.weight": (_TIED,),
    "decode.bias": ("lm_head.bias",),
}
_UNUSED = re.compile(r"(pooler|contact_head)\.|embeddings\.(position_ids|position_embeddings\.weight)$")
_SAME_MODEL = "Check that the config.json and the weights are of the same model."
_FREQUENCIES = "rotary_embeddings.inv_freq"


class Shape(NamedTuple):
    """What a public config says about the encoder and about the head."""

    encoder: EncoderConfig
    is_tied: bool


def to_public(encoder: Encoder, masked_head: MaskedHead | None) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """A config.json and the weights that plain `EsmForMaskedLM.from_pretrained` opens; copies, on the CPU."""
    config = encoder.config
    if masked_head is not None and masked_head.norm.eps != config.norm_eps:
        raise BundleError(
            f"The head's norm adds {masked_head.norm.eps} to the variance and the encoder's {config.norm_eps}; "
            "the public layout holds one figure for both.",
            remedy=f"Build the head with norm_eps={config.norm_eps}.",
        )
    tensors = {f"esm.{name}": part for name, part in _split(encoder, _encoder_names(config))}
    if config.rotary_precision != "fp32":  # full precision is what everybody computes where nothing is stored
        frequencies = rotary_frequencies(config.dim // config.heads, config.rotary_precision)
        for layer in range(config.layers):
            tensors[f"esm.encoder.layer.{layer}.attention.self.{_FREQUENCIES}"] = frequencies.clone()
    is_tied = masked_head is None or torch.equal(masked_head.decode.weight, encoder.embed.weight)
    if masked_head is not None:
        tensors |= {name: part for name, part in _split(masked_head, _IN_HEAD) if not (is_tied and name == _TIED)}
    return _public_config(config, is_tied, "EsmModel" if masked_head is None else "EsmForMaskedLM"), tensors


def from_public(config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> tuple[Encoder, MaskedHead | None]:
    """The encoder and, where the weights hold one, its head; every weight is copied to fp32.

    Raises `BundleError` for another architecture and for weights that are unknown, missing or of another size.
    """
    shape, is_tied = read_config(config)
    found: dict[str, Tensor] = {}
    frequencies: list[Tensor] = []
    for name, tensor in tensors.items():
        plain = name.removeprefix("esm.")
        if plain.endswith(_FREQUENCIES):
            frequencies.append(tensor)
        elif not _UNUSED.match(plain):
            found[re.sub(r"\.gamma$", ".weight", re.sub(r"\.beta$", ".bias", plain))] = tensor
    shape = shape.replaced(rotary_precision=_rounding(frequencies, shape.dim // shape.heads))
    encoder = _filled(lambda: Encoder(shape), _encoder_names(shape), found)
    head: MaskedHead | None = None
    if any(name.startswith("lm_head.") for name in found):
        stored = found.get(_TIED)
        is_tied = is_tied and (stored is None or torch.equal(stored.float(), encoder.embed.weight))
        if is_tied:
            found[_TIED] = encoder.embed.weight
        head = _filled(lambda: MaskedHead(shape.dim, shape.vocabulary, shape.norm_eps), _IN_HEAD, found)
        if is_tied:
            head.decode.weight = encoder.embed.weight
    if found:
        raise BundleError(
            f"The weights hold {_listed(found)}, which an ESM-2 encoder of {shape.layers} layers does not have.",
            remedy=_SAME_MODEL,
        )
    return encoder, head


def read_config(config: Mapping[str, Any]) -> Shape:
    """Our configuration from a public one, and whether the head's last product is the embedding itself."""
    given = {key: value for key, value in config.items() if value is not None}
    values = {**PUBLIC_DEFAULTS, **given}
    if values["position_embedding_type"] == "absolute":
        raise BundleError(
            "This model learnt a vector for each position, as ESM-1b did; our encoder turns positions, as ESM-2 does.",
            remedy="Load it with load_body, which runs it through transformers.",
        )
    only = {"model_type": "esm", "position_embedding_type": "rotary", "hidden_act": "gelu", "rope_theta": 10_000.0}
    only |= dict.fromkeys(("is_decoder", "is_folding_model", "add_cross_attention"), False)
    for key, expected in only.items():
        if values.get(key, expected) != expected:
            raise BundleError(
                f"config.json says {key} = {values[key]!r}; our encoder knows {expected!r} only.",
                remedy="Give an ESM-2 checkpoint.",
            )
    for key in ("vocab_size", "mask_token_id", "pad_token_id"):
        if key not in values:
            raise BundleError(
                f"config.json does not say '{key}'.", remedy="Add it; ESM-2 has 33, 32 and 1 for the three."
            )
    shape = {
        "layers": values["num_hidden_layers"],
        "dim": values["hidden_size"],
        "heads": values["num_attention_heads"],
        "inner_dim": values["intermediate_size"],
        "vocabulary": values["vocab_size"],
        "longest": values["max_position_embeddings"],
        "norm_eps": values["layer_norm_eps"],
        "token_dropout": values["token_dropout"],
        "norm_first": bool(values["emb_layer_norm_before"]),
        "mask_token": values["mask_token_id"],
        "pad_token": values["pad_token_id"],
    }
    try:
        encoder = EncoderConfig.build(shape, source="config.json")
    except ConfigError as error:
        raise BundleError(f"It describes no encoder. {error.reason}", remedy="Get the checkpoint again.") from None
    return Shape(encoder, bool(values["tie_word_embeddings"]))


def _public_config(config: EncoderConfig, is_tied: bool, architecture: str) -> dict[str, Any]:
    return {
        **PUBLIC_DEFAULTS,
        "architectures": [architecture],
        "model_type": "esm",
        "dtype": "float32",
        "hidden_act": "gelu",
        "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
        "initializer_range": 0.02,
        "hidden_size": config.dim,
        "num_hidden_layers": config.layers,
        "num_attention_heads": config.heads,
        "intermediate_size": config.inner_dim,
        "max_position_embeddings": config.longest,
        "layer_norm_eps": config.norm_eps,
        "position_embedding_type": "rotary",
        "token_dropout": config.token_dropout,
        "emb_layer_norm_before": config.norm_first,
        "tie_word_embeddings": is_tied,
        "vocab_size": config.vocabulary,
        "mask_token_id": config.mask_token,
        "pad_token_id": config.pad_token,
        # as in ESM-2's own config.json: only a folding model names its letters here, others in vocab.txt
        "vocab_list": None,
    }


def _encoder_names(config: EncoderConfig) -> Names:
    """Each of the encoder's weights and the public one, or three, that it is made of."""
    modules: Names = {"last_norm": ("encoder.emb_layer_norm_after",)}
    if config.norm_first:
        modules["first_norm"] = ("embeddings.layer_norm",)
    for layer in range(config.layers):
        for ours, public in _IN_BLOCK.items():
            modules[f"blocks.{layer}.{ours}"] = tuple(f"encoder.layer.{layer}.{name}" for name in public)
    names: Names = {"embed.weight": (_EMBEDDING,)}
    for ours, public in modules.items():
        for kind in ("weight", "bias"):
            names[f"{ours}.{kind}"] = tuple(f"{name}.{kind}" for name in public)
    return names


def _split(module: nn.Module, names: Names) -> list[tuple[str, Tensor]]:
    """Public names and copies of the weights, one product cut into three where the public layout has three."""
    weights = module.state_dict()
    return [
        (name, part.detach().to("cpu", torch.float32, copy=True).contiguous())
        for ours, public in names.items()
        for name, part in zip(public, weights[ours].chunk(len(public)), strict=True)
    ]


class _Undrawn(TorchFunctionMode):
    """New weights are not drawn: they are replaced at once, and a large encoder would draw for many seconds."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = {"tensor": args[0] if args else None, **(kwargs or {})}
        return given["tensor"] if func.__name__ in ("normal_", "uniform_") else func(*args, **(kwargs or {}))


def _filled(build: Callable[[], Module], names: Names, found: dict[str, Tensor]) -> Module:
    """A module with its weights taken out of `found`."""
    with torch.device("meta"), _Undrawn():
        module = build()
    absent = [name for public in names.values() for name in public if name not in found]
    if absent:
        raise BundleError(f"The weights lack {_listed(absent)}.", remedy="Fetch or write the model again.")
    weights = {}
    for ours, whole in module.state_dict().items():
        parts = [found.pop(name) for name in names[ours]]
        expected = (whole.shape[0] // len(parts), *whole.shape[1:])
        for name, part in zip(names[ours], parts, strict=True):
            if tuple(part.shape) != expected:
                raise BundleError(
                    f"The weight '{name}' has the shape {tuple(part.shape)}, where config.json asks for {expected}.",
                    remedy=_SAME_MODEL,
                )
        weights[ours] = torch.cat([part.detach().float() for part in parts])  # always a copy
    module.load_state_dict(weights, assign=True)
    return module


def _rounding(stored: list[Tensor], head_dim: int) -> RotaryPrecision:
    """How the stored rotary frequencies are rounded; full precision where none are stored."""
    precision: RotaryPrecision
    for precision in get_args(RotaryPrecision):
        expected = rotary_frequencies(head_dim, precision)
        if all(
            one.shape == expected.shape and torch.allclose(one.float().cpu(), expected, rtol=1e-6, atol=0.0)
            for one in stored
        ):
            return precision
    raise BundleError(
        f"The rotary frequencies among the weights are not those of heads of width {head_dim}, at any precision.",
        remedy="Give an ESM-2 checkpoint; its positions turn by 10000^(-2i / width).",
    )


def _listed(names: Mapping[str, Tensor] | list[str]) -> str:
    first = next(iter(names))
    return f"'{first}'" + (f" and {len(names) - 1} more" if len(names) > 1 else "")
