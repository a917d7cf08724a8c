"""Who competes in the speed benchmark: ways of making states of proteins with the very same weights on disk.

    folder with a model, sequences  ->  one mean state a protein, (C,), in the order given
                                        or all residue states (L, C) of each

`transformers` is called as its pages show, with its attention kernel (sdpa) and padded batches of eight; the time of
its tokenizer is not counted, ours is. ONNX Runtime and OpenVINO take part where they are installed; they get the same
padded batches, sorted by length, and the graph that `transformers` makes.
"""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import numpy
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from anfinsen import runtime
from anfinsen.data.batch import pack
from anfinsen.data.example import Example
from anfinsen.structure.protein import Protein

Per = Literal["protein", "residue"]
States = list[NDArray[numpy.float32]]
Read = Callable[[Sequence[str], Per], States]
"""Sequences -> one array each, in order."""
Forward = Callable[[Tensor, Tensor], Tensor]
"""Token numbers and mask, both (B, L) -> states (B, L, C)."""

BATCH = 8
"""Proteins of a padded batch."""
FIRST = "transformers, batch 8, file order"
"""What most people run today; every other is named as a multiple of it."""


@dataclass(frozen=True)
class Contender:
    """One way, by its name, the kind of number it multiplies, and the packages it needs."""

    name: str
    precision: Literal["fp32", "bf16"]
    open: Callable[[Path], Read]
    packages: tuple[str, ...] = ()
    is_ours: bool = False

    @property
    def is_installed(self) -> bool:
        """Whether its packages are here."""
        return all(find_spec(package) is not None for package in self.packages)


def _open_ours(precision: Literal["fp32", "bf16"], folder: Path) -> Read:
    from anfinsen.hub.body import read_body
    from anfinsen.inference.embedder import Embedder
    from anfinsen.models.network import Network

    body, _ = read_body(folder, "")
    network = Network(body, {})
    embedders = {
        per: Embedder(network, name="", sha256="", per=per, device="cpu", precision=precision)
        for per in ("protein", "residue")
    }

    def read(sequences: Sequence[str], per: Per) -> States:
        proteins = (Example(Protein(id="", sequence=sequence)) for sequence in sequences)
        return list(embedders[per].embed(proteins))

    return read


def _open_transformers(in_order: bool, folder: Path) -> Read:
    return partial(_padded, _Bare(_public_model(folder)), in_order)


def _open_onnx(folder: Path) -> Read:
    onnxruntime = import_module("onnxruntime")
    file = folder / "model.onnx"
    if not file.exists():
        names = ["tokens", "mask", "states"]
        axes = {name: {0: "proteins", 1: "length"} for name in names}
        graph = _Bare(_public_model(folder))
        with _unwarned():
            torch.onnx.export(
                graph, _sample(), file, dynamo=False, input_names=names[:2], output_names=names[2:], dynamic_axes=axes
            )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = runtime.threads()
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])

    def forward(tokens: Tensor, mask: Tensor) -> Tensor:
        (states,) = session.run(None, {"tokens": tokens.numpy(), "mask": mask.numpy()})
        return torch.from_numpy(states)

    return partial(_padded, forward, False)


def _open_openvino(folder: Path) -> Read:
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # nobody is told that it is used
    openvino = import_module("openvino")
    with _unwarned():
        graph = openvino.convert_model(_Bare(_public_model(folder)), example_input=_sample())
    settings = {"INFERENCE_PRECISION_HINT": "bf16", "INFERENCE_NUM_THREADS": runtime.threads()}
    compiled = openvino.compile_model(graph, "CPU", settings)

    def forward(tokens: Tensor, mask: Tensor) -> Tensor:
        return torch.from_numpy(compiled((tokens.numpy(), mask.numpy()))[0])

    return partial(_padded, forward, False)


CONTENDERS = (
    Contender(FIRST, "fp32", partial(_open_transformers, True)),
    Contender("transformers, batch 8, sorted by length", "fp32", partial(_open_transformers, False)),
    Contender("ONNX Runtime, batch 8, sorted by length", "fp32", _open_onnx, ("onnxruntime", "onnx")),
    Contender("OpenVINO, batch 8, sorted by length", "bf16", _open_openvino, ("openvino",)),
    Contender("anfinsen fp32", "fp32", partial(_open_ours, "fp32"), is_ours=True),
    Contender("anfinsen bf16", "bf16", partial(_open_ours, "bf16"), is_ours=True),
)


class _Bare(nn.Module):
    """A public model that takes and gives tensors, as those who trace it need."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """(B, L) twice -> (B, L, C)."""
        states: Tensor = self.model(input_ids=tokens, attention_mask=mask).last_hidden_state
        return states


@contextmanager
def _unwarned() -> Iterator[None]:
    """Without what a tracer says about code that is not ours; that the graph is right is measured."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _sample() -> tuple[Tensor, Tensor]:
    """Two short proteins and their mask, with which a model is traced."""
    return torch.randint(4, 24, (2, 12)), torch.ones(2, 12, dtype=torch.long)


def _public_model(folder: Path) -> nn.Module:
    from transformers import EsmModel
    from transformers.utils import logging as narration

    narration.set_verbosity(logging.ERROR)
    narration.disable_progress_bar()  # type: ignore[no-untyped-call]
    model: Any = EsmModel.from_pretrained(
        folder,
        use_safetensors=True,
        local_files_only=True,
        dtype=torch.float32,
        attn_implementation="sdpa",
        add_pooling_layer=False,
    )
    return model.eval()  # type: ignore[no-any-return]


@torch.inference_mode()
def _padded(forward: Forward, in_order: bool, sequences: Sequence[str], per: Per) -> States:
    """Batches of eight, each padded to its longest; in the order given, or sorted by length."""
    order = range(len(sequences)) if in_order else sorted(range(len(sequences)), key=lambda at: len(sequences[at]))
    found: dict[int, NDArray[numpy.float32]] = {}
    for group in _groups(order):
        tokens, lengths = pack([sequences[at] for at in group])
        padded = pad_sequence(list(tokens.split(lengths)), batch_first=True, padding_value=1)
        mask = (torch.arange(padded.shape[1]) < torch.tensor(lengths)[:, None]).long()
        for at, states, length in zip(group, forward(padded, mask), lengths, strict=True):
            residues = states[1 : length - 1]  # (L, C)
            found[at] = (residues.mean(0) if per == "protein" else residues).numpy()
    return [found[at] for at in range(len(sequences))]


def _groups(order: Sequence[int]) -> Iterator[Sequence[int]]:
    return (order[start : start + BATCH] for start in range(0, len(order), BATCH))
