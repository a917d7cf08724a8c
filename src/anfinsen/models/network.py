"""The network: one body, many heads. A forward pass computes the states once and asks any heads.

    Network = encoder (tokens -> states) + { task name: head (states -> outputs) }

It computes on one device and is given tensors; what a head's outputs mean is the task's business.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol, cast

import torch
from torch import Tensor, nn

from anfinsen.models.encoder import Encoder
from anfinsen.models.heads import HeadKind, make_head
from anfinsen.models.windows import read_in_windows

if TYPE_CHECKING:
    from anfinsen.models.graph import Net


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


class Network(nn.Module):
    """A body and its heads."""

    def __init__(self, body: nn.Module, heads: Mapping[str, HeadShape]) -> None:
        super().__init__()
        self.body = body
        self.shapes = dict(heads)
        dim = cast(Body, body).dim
        self.heads = nn.ModuleDict({name: _make_head(shape, dim) for name, shape in heads.items()})

    def forward(self, row: Row, task: str) -> Tensor:
        """The outputs of one task's head: (B, size), (R, size), or (len(chosen), size)."""
        states, lengths = self.states(row.tokens, row.lengths)
        if row.chosen is not None:
            states = states[row.chosen]
        return self.ask(task, states, lengths, row.conditions, row.net)

    def states(self, tokens: Tensor, lengths: Sequence[int]) -> tuple[Tensor, list[int]]:
        """Residue states (R, C) of a packed row and the residues' lengths."""
        body = cast(Body, self.body)
        return read_in_windows(body.residues, tokens, lengths, body.longest)

    def ask(
        self, task: str, states: Tensor, lengths: Sequence[int], conditions: Tensor, net: Net | None = None
    ) -> Tensor:
        """One head on states that are already there; `net` are the residue graphs, for a head that reads them."""
        if self.shapes[task].kind == "graph":
            return cast(Tensor, self.heads[task](states, lengths, conditions, net))
        return cast(Tensor, self.heads[task](states, lengths, conditions))


def _make_head(shape: HeadShape, dim: int) -> nn.Module:
    if shape.kind == "graph":
        from anfinsen.models.graph import GraphHead  # PyTorch Geometric takes seconds to import

        return GraphHead(dim, shape.size)
    return make_head(shape.kind, dim, shape.size, shape.conditions)


class NativeBody(nn.Module):
    """Our own encoder as a backbone: <cls> and <eos> around each sequence, stripped again."""

    def __init__(self, encoder: nn.Module, dim: int, longest: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.dim = dim
        self.longest = longest - 2

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
