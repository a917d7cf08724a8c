"""Residues as small rigid bodies: where each stands and how it is turned gives N, CA, C and CB, and nothing else.

    frames (..., L, 9)  place of CA (3) and two vectors that say how the residue is turned (6)
        -> spread   N, CA, C, CB of each residue, with ideal bonds and the left hand of nature by construction
        -> torsions phi and psi between neighbours, as cosine and sine
    torsions (L, 2)     -> chain_of  the chain that has them, frame by frame

What lies within a residue can neither stretch nor flip, so an optimiser that moves frames keeps every residue an
L-amino acid; what lies between two of them (the peptide bond) is its business. Tensors in, tensors out; L residues.
Lengths and angles: Engh and Huber 1991, Acta Cryst. A47:392.
"""

from __future__ import annotations

import math
from itertools import pairwise

import numpy
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import normalize

from anfinsen.structure.geometry import Points, place_atom, place_beta

Floats = NDArray[numpy.float32]

N_CA, CA_C, C_N, C_O = 1.458, 1.525, 1.329, 1.231
"""Bond lengths of the backbone in ångström."""
N_CA_C, CA_C_N, C_N_CA, CA_C_O = (math.radians(degrees) for degrees in (111.0, 117.2, 121.7, 120.1))
"""Bond angles of the backbone in radians."""
SIZE = 9
"""Numbers of a frame."""


def _template() -> Tensor:
    """N, CA, C and CB of a residue whose CA stands at the origin with C along the first axis, (4, 3)."""
    nitrogen = numpy.array([N_CA * math.cos(N_CA_C), N_CA * math.sin(N_CA_C), 0.0])
    alpha, carbon = numpy.zeros(3), numpy.array([CA_C, 0.0, 0.0])
    atoms = numpy.stack([nitrogen, alpha, carbon, place_beta(nitrogen, alpha, carbon)])
    return torch.from_numpy(atoms.astype(numpy.float32))


RESIDUE = _template()
"""N, CA, C, CB within a residue, (4, 3)."""


def turns(frames: Tensor) -> Tensor:
    """How each residue is turned, as rotation matrices with its axes as rows: (..., L, 3, 3)."""
    first = normalize(frames[..., 3:6], dim=-1)
    second = frames[..., 6:9] - (first * frames[..., 6:9]).sum(-1, keepdim=True) * first
    second = normalize(second, dim=-1)
    return torch.stack([first, second, torch.linalg.cross(first, second)], dim=-2)


def spread(frames: Tensor) -> Tensor:
    """N, CA, C and CB of each residue, (..., L, 4, 3)."""
    return frames[..., None, :3] + RESIDUE.to(frames) @ turns(frames)


def oxygens(atoms: Tensor) -> Tensor:
    """O of each residue but the last, (..., L - 1, 3), in the plane of its peptide bond."""
    alpha, carbon, following = atoms[..., :-1, 1, :], atoms[..., :-1, 2, :], atoms[..., 1:, 0, :]
    forward = normalize(carbon - alpha, dim=-1)
    aside = carbon - following
    aside = normalize(aside - (aside * forward).sum(-1, keepdim=True) * forward, dim=-1)
    return carbon + C_O * (-math.cos(CA_C_O) * forward + math.sin(CA_C_O) * aside)


def dihedral(first: Tensor, second: Tensor, third: Tensor, fourth: Tensor) -> tuple[Tensor, Tensor]:
    """Cosine and sine of the angle by which four atoms turn around the middle bond; shapes (..., 3) to (...)."""
    axis = third - second
    before, after = torch.linalg.cross(second - first, axis), torch.linalg.cross(axis, fourth - third)
    lengths = (before.norm(dim=-1) * after.norm(dim=-1)).clamp_min(1e-6)
    cosine = (before * after).sum(-1) / lengths
    sine = (torch.linalg.cross(before, after) * axis).sum(-1) / (lengths * axis.norm(dim=-1).clamp_min(1e-6))
    return cosine, sine


def torsions(atoms: Tensor) -> tuple[Tensor, Tensor]:
    """Cosine and sine of phi of residues 1 to L - 1 and psi of residues 0 to L - 2: each (..., L - 1, 2)."""
    nitrogen, alpha, carbon = atoms[..., 0, :], atoms[..., 1, :], atoms[..., 2, :]
    here, there = slice(None, -1), slice(1, None)
    phi = dihedral(carbon[..., here, :], nitrogen[..., there, :], alpha[..., there, :], carbon[..., there, :])
    psi = dihedral(nitrogen[..., here, :], alpha[..., here, :], carbon[..., here, :], nitrogen[..., there, :])
    return torch.stack([phi[0], psi[0]], -1), torch.stack([phi[1], psi[1]], -1)


def chain_of(angles: Floats) -> Floats:
    """N, CA and C of the chain with these phi and psi, (L, 3, 3), every peptide bond flat and trans.

    `angles` is (L, 2) in radians; the first phi and the last psi place no atom.
    """
    atoms: list[Points] = list(RESIDUE[:3].numpy().astype(numpy.float64))
    for before, after in pairwise(angles):
        for length, angle, turn in ((C_N, CA_C_N, before[1]), (N_CA, C_N_CA, math.pi), (CA_C, N_CA_C, after[0])):
            first, second, third = atoms[-3:]
            atoms.append(place_atom(first, second, third, length, angle, float(turn)))
    return numpy.stack(atoms).reshape(-1, 3, 3).astype(numpy.float32)


def frames_of(atoms: Floats) -> Tensor:
    """The frames of residues whose N, CA and C are known, (L, 3, 3) to (L, 9)."""
    nitrogen, alpha, carbon = torch.from_numpy(atoms).unbind(-2)
    return torch.cat([alpha, normalize(carbon - alpha, dim=-1), normalize(nitrogen - alpha, dim=-1)], dim=-1)


def frames_along(trace: Floats) -> Tensor:
    """Frames for a trace of CA atoms, (L, 3) to (L, 9): C looks to the next residue, N to the one before."""
    places = torch.from_numpy(trace.astype(numpy.float32))
    steps = places[1:] - places[:-1]
    onward, back = torch.cat([steps, steps[-1:]]), -torch.cat([steps[:1], steps])
    return torch.cat([places, normalize(onward, dim=-1), normalize(back, dim=-1)], dim=-1)
