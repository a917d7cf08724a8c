"""Messages along the edges of a residue graph, passed by PyTorch Geometric.

It stands apart from `graph`, since to import that library takes longer than all else that an answer needs.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import cast

from torch import Tensor

with warnings.catch_warnings():
    # on import it compiles a class of its pooling by torch.jit, which PyTorch has begun to retire
    warnings.simplefilter("ignore", DeprecationWarning)
    from torch_geometric.nn import MessagePassing

Tell = Callable[..., Tensor]
"""What the two ends of each edge bring, and the edge -> what the first tells the second."""


class Messages(MessagePassing):  # type: ignore[misc]
    """Every residue hears the mean of what its neighbours tell it. It has no weights: what is told, it is given."""

    def __init__(self) -> None:
        super().__init__(aggr="mean", node_dim=0)

    def forward(
        self, tell: Tell, edges: Tensor, hear: Tensor, call: Tensor, vectors: Tensor, cross: Tensor, along: Tensor
    ) -> Tensor:
        """What each residue hears; `hear`, `call` and `vectors` are of residues, `cross` and `along` of edges."""
        heard = self.propagate(edges, tell=tell, hear=hear, call=call, vectors=vectors, cross=cross, along=along)
        return cast(Tensor, heard)

    def message(
        self, tell: Tell, hear_i: Tensor, call_j: Tensor, vectors_j: Tensor, cross: Tensor, along: Tensor
    ) -> Tensor:
        """What residue j tells residue i."""
        return tell(hear_i, call_j, vectors_j, cross, along)


MESSAGES = Messages()
"""One serves every network."""
