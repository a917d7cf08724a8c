"""Proteins longer than a body's longest input are read in overlapping windows, never cut.

Each window gets the first and last token of the protein (<cls>, <eos>); of two windows that overlap, each
residue keeps the state of the one in which it stands further from the edge. This works on packed rows of
tokens, so training, prediction and benchmarks all treat long proteins the same way.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

OVERLAP = 256
"""Residues that two neighbouring windows share, at most half a window."""

Residues = Callable[[Tensor, Sequence[int]], tuple[Tensor, list[int]]]


def windows_of(length: int, longest: int) -> list[tuple[int, int]]:
    """Starts and ends of the windows over `length` residues, each at most `longest` long.

    >>> windows_of(10, 20), windows_of(30, 20)
    ([(0, 10)], [(0, 20), (10, 30)])
    """
    if length <= longest:
        return [(0, length)]
    overlap = min(OVERLAP, longest // 2)
    count = -(-(length - overlap) // (longest - overlap))
    starts = [round(index * (length - longest) / (count - 1)) for index in range(count)]
    return [(start, start + longest) for start in starts]


def read_in_windows(
    residues: Residues, tokens: Tensor, lengths: Sequence[int], longest: int
) -> tuple[Tensor, list[int]]:
    """Residue states (R, C) and lengths of a packed row whose proteins may be of any length.

    `lengths` count tokens, two of them special; `longest` counts residues.
    """
    if max(lengths) - 2 <= longest:
        return residues(tokens, lengths)
    rows: list[Tensor] = []
    plans: list[list[tuple[int, int]]] = []
    for row in tokens.split(list(lengths)):
        first, inside, last = row[:1], row[1:-1], row[-1:]
        plans.append(windows_of(len(inside), longest))
        rows += [torch.cat((first, inside[start:end], last)) for start, end in plans[-1]]
    states, _ = residues(torch.cat(rows), [len(row) for row in rows])
    pieces = iter(states.split([len(row) - 2 for row in rows]))
    stitched = [part for plan in plans for part in _stitch([next(pieces) for _ in plan], plan)]
    return torch.cat(stitched), [length - 2 for length in lengths]


def _stitch(pieces: Sequence[Tensor], plan: Sequence[tuple[int, int]]) -> list[Tensor]:
    """Cut each pair of neighbouring windows in the middle of what they share."""
    seams = [(plan[index][1] + plan[index + 1][0]) // 2 for index in range(len(plan) - 1)]
    begins = [0, *seams]
    ends = [*seams, plan[-1][1]]
    return [
        piece[begin - start : end - start]
        for piece, (start, _), begin, end in zip(pieces, plan, begins, ends, strict=True)
    ]
