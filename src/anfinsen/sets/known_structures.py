"""Structures that are already known: traces of the training chains, lent to a protein that is their relative.

    training chains -> KnownStructures -> search(sequence) -> Template, Template, ...: whose CB atoms stand where

Every chain is aligned with the asked one (see `alignment`); the few of the best score are told, doubtful ones too, with
their E-values. The bank travels with the package: CA traces in steps of a twentieth of an ångström, a byte an axis, and
residues in five bits. CB is placed from the trace, as `folds` places it where only CA is known. Only chains of the
training split are in it, and none whose coordinates were rebuilt. It knows no model.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Self

import numpy
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from anfinsen.errors import BundleError
from anfinsen.kinship.alignment import MATRIX, Aligner, trace_of
from anfinsen.kinship.blosum import as_biotite, e_value
from anfinsen.kinship.homology import DOUBTFUL, Library
from anfinsen.sets.folds import betas_from_alphas
from anfinsen.structure.lending import Template
from anfinsen.structure.protein import Protein

BANK = Path(__file__).parent.parent / "weights" / "known-structures.safetensors"
"""The bank that comes with the package."""
MOST = 4
"""Templates that are told of one protein."""
PER_ANGSTROM = 20
WINDOW = 11
"""Residues over which the fit of an alignment is averaged."""
UNALIGNED = -2.0
"""What a residue without a partner adds to that average, in BLOSUM62's half bits."""

Floats = NDArray[numpy.floating[Any]]
Steps = NDArray[numpy.int32]


class KnownStructures:
    """Chains with their CA traces, in grid points of 1 / `PER_ANGSTROM` ångström."""

    def __init__(self, library: Library, traces: Sequence[Steps]) -> None:
        self.library, self.traces = library, tuple(traces)

    def __len__(self) -> int:
        """How many chains it holds."""
        return len(self.traces)

    @classmethod
    def of(cls, chains: Sequence[Protein]) -> Self:
        """The bank of some chains, each with its backbone."""
        traces = []
        for chain in chains:
            assert chain.backbone is not None  # only chains with coordinates are asked to lend them
            traces.append(numpy.rint(chain.backbone.alphas * PER_ANGSTROM).astype(numpy.int32))
        return cls(Library.of(chains, [() for _ in chains]), traces)

    @classmethod
    def load(cls, path: Path = BANK) -> Self:
        """Read a bank, that of the package if none is named."""
        try:
            arrays = load_file(path)
            library = Library.from_arrays(arrays)
            steps = arrays["steps"].astype(numpy.int32)
            steps[arrays["far_at"]] = arrays["far_steps"]
        except (OSError, KeyError, ValueError, SafetensorError) as error:
            raise BundleError(f"'{path}' is no bank of structures: {error}.", remedy="Install it again.") from None
        ends = numpy.cumsum([len(chain) for chain in library.chains])[:-1]
        return cls(library, [part.cumsum(0, dtype=numpy.int32) for part in numpy.split(steps, ends)])

    def save(self, path: Path) -> None:
        """Write the bank as small arrays: steps from residue to residue, those that no byte holds apart."""
        steps = numpy.concatenate([numpy.diff(trace, axis=0, prepend=trace[:1]) for trace in self.traces])
        far = numpy.flatnonzero(numpy.abs(steps).max(1) > numpy.iinfo(numpy.int8).max)
        near = steps.copy()
        near[far] = 0
        arrays = self.library.to_arrays() | {
            "steps": near.astype(numpy.int8),
            "far_at": far.astype(numpy.int32),
            "far_steps": steps[far].astype(numpy.int32),
        }
        save_file(arrays, path)

    def search(self, sequence: str, most: int = MOST) -> list[Template]:
        """The chains that align best with a sequence, at most `most`, the best first."""
        if not len(self):
            return []
        scores = self._aligner.scores(sequence)
        surprise = e_value(scores.astype(numpy.float64), len(sequence), self.library.residues)
        best = [int(place) for place in numpy.argsort(-scores, kind="stable")[:most]]
        return [self._template(sequence, one, float(surprise[one])) for one in best if surprise[one] <= DOUBTFUL]

    def _template(self, sequence: str, place: int, e_value: float) -> Template:
        """What one chain lends to a sequence."""
        other = self.library.chains[place]
        trace = trace_of(sequence, other)
        ours, theirs = trace[(trace >= 0).all(1)].T
        codes = as_biotite(sequence).code[ours], as_biotite(other).code[theirs]
        fit = numpy.full(len(sequence), UNALIGNED)
        fit[ours] = MATRIX.score_matrix()[codes]
        alphas, betas = numpy.full((2, len(sequence), 3), numpy.nan, dtype=numpy.float32)
        trace_in_space = self.traces[place].astype(numpy.float32) / PER_ANGSTROM
        alphas[ours], betas[ours] = trace_in_space[theirs], betas_from_alphas(trace_in_space)[theirs]
        middle = (WINDOW - 1) // 2
        smooth = numpy.convolve(fit, numpy.full(WINDOW, 1 / WINDOW))[middle : middle + len(sequence)]
        identity = float((codes[0] == codes[1]).sum() / max(1, len(trace)))
        return Template(self.library.ids[place], identity, len(ours) / len(sequence), e_value, alphas, betas, smooth)

    @cached_property
    def _aligner(self) -> Aligner:
        return Aligner(self.library.chains)


@cache
def known_structures() -> KnownStructures:
    """The bank that comes with the package, read once."""
    return KnownStructures.load()
