"""The network: one body, many heads. A forward pass computes the states once and asks any heads.

    Network = encoder (tokens -> states) + { task name: head (states -> outputs) }
                                         + { task name: listener (outputs, evidence of a family -> outputs) }, of some

It computes on one device and is given tensors; what a head's outputs mean is the task's business.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol, cast

import torch
from torch import Tensor, nn

from anfinsen.models.encoder import Encoder
from anfinsen.models.folding import FoldingHead
from anfinsen.models.graph import GraphHead, Net
from anfinsen.models.heads import HeadKind, make_head
from anfinsen.models.pair_trunk import TrunkConfig
from anfinsen.models.pairing import PairingHead
from anfinsen.models.windows import read_in_windows

PAIRS: HeadKind = "residue-pairs"
"""The kind of a head that answers for every two residues, and may read attention maps."""


class Row(Protocol):
    """What a network reads from a batch: a packed row of tokens and the conditions."""

    tokens: Tensor
    """(T,) token numbers, special tokens included."""
    lengths: Sequence[int]
    """Tokens of each sequence."""
    conditions: Tensor
    """(B, K), NaN where unknown."""
    chosen: Tensor | None
    """Residues that alone are asked, as indices into the packed residues, or None for all."""

    @property
    def net(self) -> Net | None:
        """The residue graphs of the batch, for heads that read them."""
        ...


class Body(Protocol):
    """A backbone: anything that turns a packed row into residue states."""

    dim: int
    """Width of a state."""
    longest: int
    """Most residues in one window."""

    def residues(self, tokens: Tensor, lengths: Sequence[int]) -> tuple[Tensor, list[int]]:
        """One state a residue (R, dim), special tokens stripped, and the residues' lengths."""
        ...


class HeadShape(NamedTuple):
    """What is needed to build a head."""

    kind: HeadKind
    size: int
    conditions: int = 0
    trunk: TrunkConfig | None = None
    """Of a head for pairs of residues."""
    members: int = 1
    """Of a head on residue graphs: how many networks answer together."""
    nodes: int = 0
    """Of a head on residue graphs: the numbers that it reads of each residue, the first of those there are."""


class Network(nn.Module):
    """A body and its heads."""

    def __init__(self, body: nn.Module, heads: Mapping[str, HeadShape]) -> None:
        super().__init__()
        self.body = body
        self.shapes = dict(heads)
        self.heads = nn.ModuleDict({name: _make_head(shape, cast(Body, body)) for name, shape in heads.items()})
        self.listeners = nn.ModuleDict()

    def forward(self, row: Row, task: str) -> Tensor:
        """The outputs of one task's head: (B, size), (R, size), (len(chosen), size), or a row for each two residues."""
        if self.shapes[task].kind == PAIRS:
            states, lengths, maps = self.states_and_maps(row.tokens, row.lengths)
            return self.ask(task, states, lengths, row.conditions, maps=maps)
        states, lengths = self.states(row.tokens, row.lengths)
        if row.chosen is not None:
            states = states[row.chosen]
        return self.ask(task, states, lengths, row.conditions, row.net)

    def states(self, tokens: Tensor, lengths: Sequence[int]) -> tuple[Tensor, list[int]]:
        """Residue states (R, C) of a packed row and the residues' lengths."""
        body = cast(Body, self.body)
        return read_in_windows(body.residues, tokens, lengths, body.longest)

    def states_and_maps(
        self, tokens: Tensor, lengths: Sequence[int]
    ) -> tuple[Tensor, list[int], Sequence[Tensor] | None]:
        """The states, and each chain's attention maps (K, L, L) from the same pass; None of a body that gives none.

        Maps of a chain that is longer than a window are of the whole chain: rotary positions have no longest input.
        """
        if not attention_maps_of(self.body):
            return *self.states(tokens, lengths), None
        states, residues, maps = cast(NativeBody, self.body).with_maps(tokens, lengths)
        if max(residues, default=0) > cast(Body, self.body).longest:
            states, residues = self.states(tokens, lengths)
        return states, residues, maps

    def reads_maps(self, tasks: Sequence[str]) -> bool:
        """Whether one of these tasks has a head that reads attention maps."""
        return any(self.shapes[task].kind == PAIRS for task in tasks)

    def ask(
        self,
        task: str,
        states: Tensor,
        lengths: Sequence[int],
        conditions: Tensor,
        net: Net | None = None,
        maps: Sequence[Tensor] | None = None,
    ) -> Tensor:
        """One head on states that are already there.

        `net` are the residue graphs and `maps` the attention maps of each chain, for the heads that read them.
        """
        if self.shapes[task].kind == PAIRS:
            return cast(Tensor, self.heads[task](states, lengths, conditions, maps))
        if self.shapes[task].kind == "graph":
            return cast(Tensor, self.heads[task](states, lengths, conditions, net))
        return cast(Tensor, self.heads[task](states, lengths, conditions))

    def hear(self, task: str, outputs: Tensor, evidence: Tensor) -> Tensor:
        """A head's outputs for the residues of one chain (L, size), corrected by evidence of its family (L, E)."""
        return cast(Tensor, self.listeners[task](outputs, evidence, [len(outputs)]))


def _make_head(shape: HeadShape, body: Body) -> nn.Module:
    if shape.kind == "graph":
        return GraphHead(body.dim, shape.size, nodes=shape.nodes, members=shape.members)
    if shape.kind == PAIRS:
        return FoldingHead(body.dim, shape.size, shape.trunk, attention_maps_of(body))
    if shape.kind == "pairing":
        return PairingHead(body.dim, shape.size, shape.conditions)
    return make_head(shape.kind, body.dim, shape.size, shape.conditions)


def attention_maps_of(body: object) -> int:
    """How many attention maps a body gives beside its states; none of most."""
    return int(getattr(body, "maps", 0))


class NativeBody(nn.Module):
    """Our own encoder as a backbone: <cls> and <eos> around each sequence, stripped again."""

    def __init__(self, encoder: nn.Module, dim: int, longest: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.dim = dim
        self.longest = longest - 2

    @property
    def maps(self) -> int:
        """How many attention maps it has: one for each head of each layer."""
        config = cast(Encoder, self.encoder).config
        return config.layers * config.heads

    def with_maps(self, tokens: Tensor, lengths: Sequence[int]) -> tuple[Tensor, list[int], list[Tensor]]:
        """Residue states (R, C), the residues' lengths, and each chain's attention maps (K, L, L)."""
        states, maps = cast(Encoder, self.encoder).with_attentions(tokens, lengths)
        inside = [one[:, 1:-1, 1:-1] for one in maps]
        return states[residue_places(lengths, states.device)], [length - 2 for length in lengths], inside

    def residues(self, tokens: Tensor, lengths: Sequence[int], layer: int | None = None) -> tuple[Tensor, list[int]]:
        """Residue states (R, C) and lengths; of the last layer after its norm, or after `layer` blocks."""
        encoder = cast(Encoder, self.encoder)
        states = encoder(tokens, lengths) if layer is None else encoder.layers(tokens, lengths)[layer]
        return states[residue_places(lengths, states.device)], [length - 2 for length in lengths]


def residue_places(lengths: Sequence[int], device: torch.device | None = None) -> Tensor:
    """Where the residues of a packed row stand, without first and last token of each sequence: (R,)."""
    ends = torch.tensor(lengths).cumsum(0)
    keep = torch.ones(int(ends[-1]) if len(lengths) else 0, dtype=torch.bool)
    keep[ends - 1] = False
    keep[ends - torch.tensor(lengths)] = False
    return keep.nonzero()[:, 0].to(device)
