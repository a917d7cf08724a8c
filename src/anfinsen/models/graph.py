"""A network on residue graphs: messages along edges, while it learns by PyTorch Geometric (see `messages`).

    states (N, D) -> multi-scale -> scalars (N, C) and vectors (N, V, 3) -> layers of messages -> scalars (N, C)

    nodes         what surrounds each residue (see `structure.surroundings`) is added to its scalars; what is linear in
                  it takes no detour through messages
    multi-scale   a residue's own state, the mean of its surroundings along the chain, the mean of the whole protein
    message       from j to i: a network of both ends' scalars and the edge's numbers; for vectors it says how much of
                  j's vectors, and of the direction from j to i, to add
    update        scalars learn the lengths of vectors, vectors are scaled by scalars: nothing else is ever done to them

Scalars stay the same when the protein is turned or moved, vectors turn with it; no layer sees a coordinate, only
differences. Where no position is known the direction is zero and scalars alone speak. Nodes may come in any order.
After Schütt et al. 2021 (PaiNN, ICML) and Jing et al. 2021 (GVP, ICLR). It knows no protein and no task.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, cast

import numpy
import torch
from torch import Tensor, nn

from anfinsen.structure.graph import FEATURES, along_chain, join
from anfinsen.structure.surroundings import DIRECTIONS, KINDS_OF_RESIDUES, NODES, surroundings

WINDOW = 15
"""Residues of the middle scale."""
UNHEARD = 0.3
"""Share of proteins, and of the numbers of the others, whose states are hidden while the network learns."""
QUIET = 0.1
"""How loud the states are at first, as a share of what is usual."""
_EPSILON = 1e-6


class Net(Protocol):
    """What the network reads of a graph, as tensors."""

    @property
    def edges(self) -> Tensor:
        """From and to, (2, E)."""
        ...

    @property
    def features(self) -> Tensor:
        """Numbers of each edge, (E, F)."""
        ...

    @property
    def positions(self) -> Tensor:
        """In ångström, (N, 3), NaN where unknown."""
        ...

    @property
    def directions(self) -> Tensor:
        """Unit vectors of each node, (N, K, 3)."""
        ...

    @property
    def nodes(self) -> Tensor:
        """Numbers of each node, (N, M)."""
        ...


class Multiscale(nn.Module):
    """Residue, surroundings and whole protein as one vector a residue: (N, D) -> (N, C).

    A language model's states are wide, and a few hundred proteins are soon learnt by heart from them. So what they say
    begins `QUIET`, and in training it is silent for a share `UNHEARD` of the proteins and of its own numbers: the
    network must first do what it can without them.
    """

    def __init__(self, dim: int, width: int, window: int = WINDOW, scales: int = 3) -> None:
        super().__init__()
        self.window = window
        self.scales = scales
        self.norm = nn.LayerNorm(dim)
        self.mix = nn.Linear(scales * dim, width)
        with torch.no_grad():
            self.mix.weight.mul_(QUIET)
            self.mix.bias.zero_()

    def forward(self, states: Tensor, lengths: Sequence[int]) -> Tensor:
        """`lengths` are the residues of each protein, in order."""
        states = self.norm(states)
        chains, count = states.split(list(lengths)), torch.tensor(lengths, device=states.device)
        parts = [states]
        if self.scales > 1:
            parts.append(torch.cat([window_mean(one, self.window) for one in chains]))
        if self.scales > 2:
            parts.append(torch.stack([one.mean(0) for one in chains]).repeat_interleave(count, dim=0))
        every = torch.cat(parts, dim=-1)
        if not self.training:
            return cast(Tensor, self.mix(every))
        # one draw a protein: thousands of residues times hundreds of numbers would cost more than all the rest
        shown = (torch.rand(len(lengths), every.shape[1], device=states.device) >= UNHEARD) / (1 - UNHEARD)
        heard = torch.rand(len(lengths), 1, device=states.device) >= UNHEARD
        told = self.mix(every * shown.repeat_interleave(count, dim=0))
        return cast(Tensor, told * heard.repeat_interleave(count, dim=0))


def window_mean(states: Tensor, window: int) -> Tensor:
    """The mean over the `window` residues around each, fewer at the ends: (L, D) -> (L, D)."""
    half = window // 2
    length = len(states)
    total = torch.cat([states.new_zeros(1, states.shape[1]), states.cumsum(0)])
    places = torch.arange(length, device=states.device)
    begin, end = (places - half).clamp(min=0), (places + half + 1).clamp(max=length)
    return (total[end] - total[begin]) / (end - begin)[:, None]


class Interaction(nn.Module):
    """One round of messages: every residue hears its neighbours, as scalars (N, C) and vectors (N, V, 3)."""

    def __init__(self, width: int, vectors: int, features: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.width, self.vectors = width, vectors
        self.hear, self.call = nn.Linear(width, width), nn.Linear(width, width, bias=False)
        self.cross = nn.Linear(features, width, bias=False)
        self.drop = nn.Dropout(dropout)
        # the identity keeps the last layer's number, under which trained weights are stored
        self.speak = nn.Sequential(nn.SiLU(), nn.Identity(), nn.Linear(width, width + 2 * vectors))
        self.turn = nn.Linear(vectors, 2 * vectors, bias=False)
        self.learn = nn.Sequential(
            nn.Linear(width + vectors, width), nn.SiLU(), nn.Dropout(dropout), nn.Linear(width, width + vectors)
        )
        self.before, self.between = nn.LayerNorm(width), nn.LayerNorm(width)

    def forward(
        self, scalars: Tensor, vectors: Tensor, edges: Tensor, features: Tensor, along: Tensor
    ) -> tuple[Tensor, Tensor]:
        """`along` are unit vectors of the edges, (E, 3)."""
        ready = self.drop(self.before(scalars))  # residues, of which there are fourteen times fewer than edges
        heard = self.heard(edges, self.hear(ready), self.call(ready), vectors, self.cross(features), along)
        told, turned = heard.split([self.width, 3 * self.vectors], dim=-1)
        scalars, vectors = scalars + told, vectors + turned.view(-1, self.vectors, 3)
        mixed = self.turn(vectors.transpose(1, 2)).transpose(1, 2)  # (N, 2V, 3): channels are mixed, axes never
        one, two = mixed.chunk(2, dim=1)
        lengths = (one.square().sum(-1) + _EPSILON).sqrt()
        added, gate = self.learn(torch.cat([self.between(scalars), lengths], dim=-1)).split(
            [self.width, self.vectors], dim=-1
        )
        return scalars + added, vectors + torch.tanh(gate)[..., None] * two

    def heard(self, edges: Tensor, hear: Tensor, call: Tensor, vectors: Tensor, cross: Tensor, along: Tensor) -> Tensor:
        """The mean of what its neighbours tell each residue, scalars and vectors in a row, (N, C + 3V).

        PyTorch Geometric passes the messages while the network learns. Answers are summed here, because to import that
        library takes longer than all else of an answer; a test holds both to the same numbers.
        """
        if torch.is_grad_enabled():
            from anfinsen.models.messages import MESSAGES

            return cast(Tensor, MESSAGES(self.tell, edges, hear, call, vectors, cross, along))
        source, target = edges
        told = self.tell(hear[target], call[source], vectors[source], cross, along)
        silence = told.new_zeros(len(hear), told.shape[1])
        return silence.scatter_reduce(0, target[:, None].expand_as(told), told, "mean", include_self=False)

    def tell(self, hear: Tensor, call: Tensor, vectors: Tensor, cross: Tensor, along: Tensor) -> Tensor:
        """What each edge's first end, which brings `call` and `vectors`, tells its second, which brings `hear`.

        What each end brings is computed once a residue, not once an edge: the sum is that of one layer over all three.
        """
        scalars, kept, pointed = self.speak(hear + call + cross).split([self.width, self.vectors, self.vectors], dim=-1)
        turned = kept[..., None] * vectors + pointed[..., None] * along[:, None]
        return torch.cat([scalars, turned.flatten(1)], dim=-1)


class GraphNetwork(nn.Module):
    """States of N residues and their graph in, (N, size) out; the same however the protein is turned."""

    def __init__(
        self,
        dim: int,
        size: int,
        features: int,
        *,
        nodes: int = NODES,
        directions: int = DIRECTIONS,
        width: int = 64,
        vectors: int = 4,
        layers: int = 2,
        scales: int = 3,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.enter = Multiscale(dim, width, scales=scales)
        self.see = nn.Linear(nodes, width)
        self.direct = nn.Linear(nodes, size)
        nn.init.zeros_(self.direct.weight)
        nn.init.zeros_(self.direct.bias)
        self.point = nn.Linear(directions, vectors, bias=False)
        self.rounds = nn.ModuleList(Interaction(width, vectors, features, dropout) for _ in range(layers))
        self.leave = nn.Sequential(nn.LayerNorm(width), nn.Dropout(dropout), nn.Linear(width, size))

    def forward(self, states: Tensor, net: Net, lengths: Sequence[int]) -> Tensor:
        """One row of outputs a residue, (N, size)."""
        scalars, _ = self.describe(states, net, lengths)
        plain = self.direct(self._seen(net).to(scalars.dtype))
        return cast(Tensor, self.leave(scalars) + plain)

    def _seen(self, net: Net) -> Tensor:
        """As many numbers of each residue as were there when the network was made, (N, M)."""
        return net.nodes[:, : self.see.in_features]

    def describe(self, states: Tensor, net: Net, lengths: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Scalars (N, C), which no rotation changes, and vectors (N, V, 3), which turn with the protein."""
        entered = self.enter(states, lengths)
        scalars = entered + self.see(self._seen(net).to(entered.dtype))
        vectors = self.point(net.directions.to(scalars.dtype).transpose(1, 2)).transpose(1, 2)
        along = edge_directions(net.positions, net.edges).to(scalars.dtype)
        features = net.features.to(scalars.dtype)
        for one in self.rounds:
            scalars, vectors = cast(Any, one)(scalars, vectors, net.edges, features, along)
        return scalars, vectors


def edge_directions(positions: Tensor, edges: Tensor) -> Tensor:
    """Unit vectors from the first to the second end of each edge, (E, 3); zero where an end is unknown."""
    apart = (positions[edges[1]] - positions[edges[0]]).nan_to_num()
    return apart / (apart.square().sum(-1, keepdim=True) + _EPSILON).sqrt()


class GraphHead(nn.Module):
    """One vector a residue from its neighbourhood in the fold: (R, C) and the graph -> (R, size).

    Of a protein without a structure the graph is the chain alone. Convolutions along the chain beside it, as
    `ResidueHead` has them, learnt a few hundred chains by heart and made it worse.

    Where few chains are known, what one network takes for a rule another has not seen: several `members` answer by the
    mean of what they say. They learn apart: each step of a training is given to one of them, drawn by lot.
    """

    def __init__(
        self, dim: int, size: int, features: int = FEATURES, *, nodes: int = NODES, scales: int = 3, members: int = 1
    ) -> None:
        super().__init__()
        make = partial(GraphNetwork, dim, size, features, nodes=nodes, scales=scales)
        self.fold = make()
        self.others = nn.ModuleList(make() for _ in range(members - 1))

    def forward(self, states: Tensor, lengths: Sequence[int], conditions: Tensor, net: Net | None = None) -> Tensor:
        """Where no graph is given, nothing is known but the states and how long each chain is."""
        graph = net or bare_chains(lengths, states.device)
        asked = [self.fold, *self.others]
        if self.training and len(asked) > 1:
            asked = [asked[int(torch.randint(len(asked), ()))]]
        return torch.stack([one(states, graph, lengths) for one in asked]).mean(0)


@dataclass(frozen=True, eq=False)
class BareChains:
    """Chains as graphs whose residues have neither a place nor a kind."""

    edges: Tensor
    features: Tensor
    positions: Tensor
    directions: Tensor
    nodes: Tensor


def bare_chains(lengths: Sequence[int], device: torch.device) -> BareChains:
    """The graphs of chains of which nothing is known but their lengths."""
    graph = join([along_chain(length) for length in lengths])
    unknown = [numpy.zeros((length, KINDS_OF_RESIDUES), dtype=numpy.float32) for length in lengths]
    nodes = numpy.concatenate([surroundings(kinds, None) for kinds in unknown])
    arrays = (graph.edges, graph.features, graph.positions, graph.directions, nodes)
    return BareChains(*(torch.from_numpy(array).to(device) for array in arrays))
