"""What attention says about contacts: for every pair of residues, one number from each head of each layer.

    maps of all heads -> without <cls> and <eos> -> A + Aᵀ -> less the average product -> evidence, (L, L) a head

A head that has learnt which residues belong together looks from each to the other. A residue that everybody looks at
says nothing about a pair, and the average product correction takes that out (Dunn et al. 2008, Bioinformatics 24:333).
Source: Rao et al. 2021, "Transformer protein language models are unsupervised structure learners", ICLR.
"""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor

from anfinsen.models.encoder import Encoder


def symmetrise(maps: Tensor) -> Tensor:
    """Each map and its mirror image, added: (..., L, L)."""
    return maps + maps.transpose(-1, -2)


def correct(maps: Tensor) -> Tensor:
    """Each map less what its rows and columns alone make expect, rows x columns / total: (..., L, L)."""
    rows, columns = maps.sum(-1, keepdim=True), maps.sum(-2, keepdim=True)
    return maps - rows * columns / rows.sum(-2, keepdim=True)


def evidence(encoder: Encoder, tokens: Tensor) -> Iterator[Tensor]:
    """The corrected map of each head of each layer for one protein, (L, L) without <cls> and <eos>, one after another.

    Shapes: tokens (L + 2,). Rotary positions have no longest input, so a protein is read in one piece, longer than
    the training windows or not.
    """
    (maps,) = encoder.attentions(tokens, [len(tokens)])
    return (correct(symmetrise(one[1:-1, 1:-1])) for one in maps)
