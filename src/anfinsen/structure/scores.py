"""How alike two structures of one chain are: RMSD, TM-score and lDDT-CA.

    RMSD       ångström between the CA atoms after the best superposition; one wrong tail spoils it
    TM-score   0 to 1 over the whole chain, above 0.5 the same fold; after the superposition that makes it largest
    lDDT-CA    0 to 1 a residue, no superposition: are the distances to what was near still right

Both structures have the same L residues; a residue that the reference does not show is left out, one that the model
does not place counts as wrong (for the RMSD: is left out). RMSD and lDDT are biotite's; the TM-score
and the search for its superposition are written here, after Zhang and Skolnick 2004 (Proteins 57:702), because
biotite's takes the superposition as given. lDDT: Mariani et al. 2013 (Bioinformatics 29:2722).
"""

from __future__ import annotations

import math
import warnings

import biotite.structure as space
import numpy
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from anfinsen.errors import UndefinedScoreError
from anfinsen.structure.geometry import Points

Floats = NDArray[numpy.float64]

RADIUS = 15.0
"""Ångström within which lDDT looks at distances."""
_FAR = 1e4
_ROUNDS = 20
_SHORTEST = 4


def rmsd(reference: Points, model: Points) -> float:
    """Root mean square distance of the CA atoms after the best superposition, in ångström.

    >>> corner = numpy.array([[0.0, 0, 0], [3, 0, 0], [3, 3, 0], [3, 3, 3]])
    >>> round(rmsd(corner, corner[:, [1, 2, 0]] + 5), 6)
    0.0
    """
    fixed, mobile = _pairs(reference, model)
    moved, _ = space.superimpose(fixed, mobile)
    return float(space.rmsd(fixed, moved))


def tm_score(reference: Points, model: Points) -> float:
    """The TM-score of a model, normalised by the residues that the reference shows."""
    length = int(numpy.sum(~numpy.isnan(reference).any(-1)))
    fixed, mobile = _pairs(reference, model)
    scale = tm_scale(length)
    best = 0.0
    for chosen in _starts(len(fixed)):
        best = max(best, _climb(fixed, mobile, chosen, scale))
    return float(best / length)


def tm_scale(length: int) -> float:
    """The distance in ångström at which a residue counts half, d0 of the TM-score."""
    return max(0.5, 1.24 * math.cbrt(max(length - 15, 0)) - 1.8)


def lddt(reference: Points, model: Points) -> Floats:
    """lDDT-CA of each residue, (L,), 0 to 1; NaN where the reference shows nothing or nothing lies near."""
    is_seen = ~numpy.isnan(reference).any(-1)
    scores = numpy.full(len(reference), numpy.nan)
    if is_seen.sum() < 2:
        return scores
    chain = space.AtomArray(int(is_seen.sum()))
    chain.coord = numpy.asarray(reference)[is_seen].astype(numpy.float32)
    chain.res_id[:] = numpy.arange(len(chain))
    chain.atom_name[:], chain.element[:] = "CA", "C"
    placed = numpy.asarray(model, dtype=numpy.float64)[is_seen].copy()
    lost = numpy.flatnonzero(numpy.isnan(placed).any(-1))
    placed[lost] = _FAR * (1.0 + numpy.arange(len(lost)))[:, None]
    scores[is_seen] = space.lddt(chain, placed.astype(numpy.float32), aggregation="residue", inclusion_radius=RADIUS)
    return scores


def mean_lddt(reference: Points, model: Points) -> float:
    """lDDT-CA of the whole chain: the mean over its residues."""
    scores = lddt(reference, model)
    if numpy.isnan(scores).all():
        raise UndefinedScoreError(
            "lDDT does not exist for this chain: no two of its residues are near each other.",
            remedy="Leave the chain out.",
        )
    return float(numpy.nanmean(scores))


def _pairs(reference: Points, model: Points) -> tuple[Floats, Floats]:
    """The residues that both show, (N, 3) and (N, 3)."""
    known = ~(numpy.isnan(reference).any(-1) | numpy.isnan(model).any(-1))
    if known.sum() < 3:
        raise UndefinedScoreError(
            f"The two structures share {int(known.sum())} residues; a superposition needs 3.",
            remedy="Leave the chain out.",
        )
    return numpy.asarray(reference, numpy.float64)[known], numpy.asarray(model, numpy.float64)[known]


def _starts(length: int) -> list[NDArray[numpy.intp]]:
    """Pieces of the chain from which the search starts: the whole, its halves, quarters, ..., overlapping by half."""
    pieces, size = [], length
    while True:
        step = max(1, size // 2)
        begins = sorted({*range(0, length - size + 1, step), length - size})
        pieces += [numpy.arange(begin, begin + size) for begin in begins]
        if size <= _SHORTEST:
            return pieces
        size = max(_SHORTEST, size // 2)


def _climb(fixed: Floats, mobile: Floats, chosen: NDArray[numpy.intp], scale: float) -> float:
    """The largest sum of the TM-score that is reached by superposing again what came near, from one start."""
    best = 0.0
    near = min(max(scale, 4.5), 8.0)
    for turn in range(_ROUNDS):
        apart = numpy.linalg.norm(_superposed(fixed, mobile, chosen) - fixed, axis=-1)
        best = max(best, float((1 / (1 + (apart / scale) ** 2)).sum()))
        cutoff = near - 1.0 if turn == 0 else near + 1.0
        following = (apart < cutoff).nonzero()[0]
        while len(following) < min(3, len(fixed)):
            cutoff += 0.5
            following = (apart < cutoff).nonzero()[0]
        if turn and numpy.array_equal(following, chosen):
            break
        chosen = following
    return best


def _superposed(fixed: Floats, mobile: Floats, chosen: NDArray[numpy.intp]) -> Floats:
    """`mobile` turned and moved so that its chosen residues lie best on those of `fixed`."""
    here, there = fixed[chosen].mean(0), mobile[chosen].mean(0)
    turn = _rotation(fixed[chosen] - here, mobile[chosen] - there)
    moved: Floats = (mobile - there) @ turn.T + here
    return moved


def _rotation(fixed: Floats, mobile: Floats) -> Floats:
    """The rotation that lays `mobile` on `fixed`, (3, 3)."""
    with warnings.catch_warnings():
        # atoms in a line leave the turn about it open: any of them is as good as the others
        warnings.filterwarnings("ignore", message="Optimal rotation is not uniquely", category=UserWarning)
        found: Floats = Rotation.align_vectors(fixed, mobile)[0].as_matrix()
    return found
