"""The body of a bundle on disk: our own encoder as a `transformers` folder, or the name of a public checkpoint.

A public checkpoint that is not ESM-2 (ProtBERT, ProtT5) is never copied: the bundle names it, and opening the
bundle loads it by that name. What adapters have taught it stands in corrections.safetensors.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import cast

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from anfinsen.data.alphabet import TOKENS
from anfinsen.models.adapters import corrected, corrections
from anfinsen.models.backbones import PublicBody, load_body
from anfinsen.models.encoder import Encoder
from anfinsen.models.fast import FastBody
from anfinsen.models.frozen import FrozenBody
from anfinsen.models.heads import MaskedHead
from anfinsen.models.network import NativeBody
from anfinsen.models.public import from_public, to_public

BODY_FILES = ("config.json", "vocab.txt", "model.safetensors")
CORRECTIONS = "corrections.safetensors"
"""What a public body has learnt; only where it has."""


def bare(body: nn.Module) -> nn.Module:
    """The body itself, without the memory that a frozen training puts around it, or the form for inference."""
    while isinstance(body, FrozenBody | FastBody):
        body = body.body
    return body


def write_body(folder: Path, body: nn.Module, masked_head: MaskedHead | None) -> str:
    """Write the encoder's files; or nothing, and return the name of the public checkpoint that stands for them."""
    body = bare(body)
    if isinstance(body, PublicBody):
        if learnt := corrections(body):
            save_file(halved(learnt), folder / CORRECTIONS)
        return body.name
    encoder = cast(Encoder, cast(NativeBody, body).encoder)
    config, weights = to_public(encoder, masked_head)
    (folder / "config.json").write_text(json.dumps(config, indent=1), encoding="utf-8")
    (folder / "vocab.txt").write_text("\n".join(TOKENS) + "\n", encoding="utf-8")
    save_file(halved(weights), folder / "model.safetensors", metadata={"format": "pt"})
    return ""


def read_body(folder: Path, backbone: str) -> tuple[nn.Module, MaskedHead | None]:
    """The body of a bundle and, of our own encoder, the head that guesses masked residues."""
    if backbone:
        body = load_body(backbone, TOKENS)
        has_learnt = (folder / CORRECTIONS).is_file()
        return corrected(body, widened(load_file(folder / CORRECTIONS))) if has_learnt else body, None
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    encoder, head = from_public(config, widened(load_file(folder / "model.safetensors")))
    return NativeBody(encoder, encoder.config.dim, encoder.config.longest), head


def halved(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors in half precision, for the disk."""
    return {name: (t.half() if t.is_floating_point() else t).contiguous() for name, t in tensors.items()}


def widened(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors in single precision, for computing."""
    return {name: t.float() if t.dtype == torch.float16 else t for name, t in tensors.items()}


@torch.no_grad()
def round_weights(module: nn.Module) -> None:
    """Round weights to what half precision holds, so that what is judged and calibrated is what is stored."""
    for weight in module.parameters():
        weight.copy_(weight.half().float())


def body_hash(body: nn.Module) -> str:
    """SHA-256 of a body's weights as half precision holds them, by their names: the same before and after a save."""
    digest = hashlib.sha256()
    for name, weight in sorted(bare(body).state_dict().items()):
        digest.update(name.encode())
        stored = weight.half() if weight.is_floating_point() else weight
        digest.update(stored.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def file_hash(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
