"""Long proteins: every residue gets a state, from a window in which it does not stand at an edge."""

from __future__ import annotations

from itertools import pairwise

import torch
from hypothesis import given
from hypothesis import strategies as st

from anfinsen.data.batch import pack
from anfinsen.models.windows import read_in_windows, windows_of


@given(length=st.integers(1, 5000), longest=st.integers(8, 1024))
def test_windows_cover_a_protein_without_a_gap(length: int, longest: int) -> None:
    windows = windows_of(length, longest)
    assert windows[0][0] == 0
    assert windows[-1][1] == length
    assert all(end - start <= longest for start, end in windows)
    for (_, end), (start, _) in pairwise(windows):
        assert start < end


@given(st.lists(st.integers(1, 200), min_size=1, max_size=4), st.integers(8, 64))
def test_a_body_that_looks_at_single_residues_gives_the_same_through_windows(lengths: list[int], longest: int) -> None:
    def residues(tokens: torch.Tensor, counts: list[int]) -> tuple[torch.Tensor, list[int]]:
        assert max(counts) - 2 <= longest
        inside = [row[1:-1] for row in tokens.split(counts)]
        return torch.cat(inside)[:, None].float(), [len(row) for row in inside]

    letters = "ACDEFGHIKLMNPQRSTVWY" * 10
    tokens, counts = pack([letters[:length] for length in lengths])
    states, found = read_in_windows(residues, tokens, counts, longest)
    expected = torch.cat([row[1:-1] for row in tokens.split(counts)])
    assert found == lengths
    assert torch.equal(states[:, 0], expected.float())
