"""How far every two residues are apart and how the chain turns: the target of a fold.

    Distances   (L * L, B) -> {"contacts": [[i, j, probability], ...], "confidence": [one a residue]}

What is learnt of a chain, from its backbone: for each pair of residues the bin of the distance between their CB atoms
(of glycine where CB would be), and for each residue phi, psi and how right the distances around it are. Outputs are a
row for each pair (i, j); the row of a residue with itself holds its own numbers (see `models.folding`).

The confidence is taught on the lDDT (Mariani et al. 2013, Bioinformatics 29:2722) of the expected distances: over the
true neighbours of a residue within 15 Å, the share whose expected distance is within 0.5, 1, 2 and 4 Å of the true one.

`Distances.distogram` gives what a fold is made from; the JSON answer holds its contacts.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from anfinsen.data.draw import draw_places
from anfinsen.data.example import Example
from anfinsen.models.folding import PHI, PSI, SURE
from anfinsen.models.heads import HeadKind
from anfinsen.structure.backbone import Backbone
from anfinsen.structure.distogram import EDGES, Distogram, centres
from anfinsen.structure.geometry import CONTACT, beta_carbons, distances
from anfinsen.targets.base import Answer, Calibration, Floats, Target, fit_temperature, softmax

LEAST = 0.15
"""Contacts of a smaller probability are left out of an answer."""
SHORT, MEDIUM, LONG = 6, 12, 24
"""Separations from which a contact is called short, medium and long range; nearer pairs touch in every protein."""
INCLUSION = 15.0
"""Ångström around a residue within which its lDDT looks."""
TOLERANCES = (0.5, 1.0, 2.0, 4.0)
"""Ångström by which a distance may be wrong, each a quarter of an lDDT."""
NEAR_WEIGHT = 0.3
"""How much a pair nearer than `SHORT` along the chain counts beside a farther one."""
CONTACT_WEIGHT, TORSION_WEIGHT, CONFIDENCE_WEIGHT = 5.0, 0.3, 0.1
"""How much the question 'contact or not', the torsions and the confidence count beside the distances."""
_FITTED_ON = 200_000
_ROW, _COLUMN, _FIRST, _SECOND = range(4)


@dataclass(frozen=True)
class Distances(Target):
    """The distance of every two residues, the torsions and the confidence of each."""

    kind: ClassVar[str] = "distances"
    per_pair: ClassVar[bool] = True
    head: ClassVar[HeadKind] = "residue-pairs"

    @property
    def size(self) -> int:
        return len(EDGES) + 1

    def encode(self, example: Example) -> NDArray[Any]:
        """For each pair i, j and the distance in ångström, NaN where unknown: (L * L, 4).

        Where i is j, phi and psi in radians stand in place of the distance.
        """
        length = len(example.protein)
        rows = numpy.full((length, length, 4), numpy.nan, dtype=numpy.float32)
        rows[..., _ROW], rows[..., _COLUMN] = numpy.indices((length, length))
        backbone = example.protein.backbone
        if backbone is not None:
            rows[..., _FIRST] = distances(betas_of(backbone))
            itself = numpy.arange(length)
            rows[itself, itself, _FIRST:] = torsions_of(backbone)
        return rows.reshape(-1, 4)

    def loss(self, outputs: Tensor, target: Tensor) -> tuple[Tensor, int]:
        """What the distances, the contacts, the torsions and the confidence are wrong by, a mean over known pairs
        that is summed over them."""
        is_self = target[:, _ROW] == target[:, _COLUMN]
        known = ~is_self & ~target[:, _FIRST].isnan()
        count = int(known.sum())
        logits, apart = outputs[known].float(), target[known, _FIRST]
        separation = (target[known, _ROW] - target[known, _COLUMN]).abs()
        if count == 0:
            return outputs.sum() * 0.0, 0
        edges = torch.from_numpy(EDGES).to(logits)
        weight = torch.where(separation < SHORT, NEAR_WEIGHT, 1.0)
        surprise = functional.cross_entropy(logits, torch.bucketize(apart, edges, right=True), reduction="none")
        whole = (weight * surprise).sum() / weight.sum()
        whole = whole + CONTACT_WEIGHT * _contact_loss(logits, apart, separation >= SHORT)
        whole = whole + TORSION_WEIGHT * _torsion_loss(outputs[is_self].float(), target[is_self])
        whole = whole + CONFIDENCE_WEIGHT * _confidence_loss(outputs, target, is_self, known)
        return whole * count, count

    def distogram(self, outputs: Floats, calibration: Calibration) -> Distogram:
        """What is believed of one protein from its rows, (L * L, B)."""
        length = math.isqrt(len(outputs))
        grid = outputs.reshape(length, length, -1)
        probabilities = softmax(grid / calibration.get("temperature", 1.0))
        itself = grid[numpy.arange(length), numpy.arange(length)].astype(numpy.float64)
        probabilities[numpy.arange(length), numpy.arange(length)] = numpy.eye(self.size)[0]
        vectors = numpy.stack((itself[:, PHI], itself[:, PSI]), axis=1)  # (L, 2, 2): kappa cos, kappa sin
        return Distogram(
            probabilities,
            EDGES,
            numpy.arctan2(vectors[..., 1], vectors[..., 0]),
            numpy.linalg.norm(vectors, axis=-1),
            1 / (1 + numpy.exp(-itself[:, SURE])),
        )

    def answer(self, outputs: Floats, calibration: Calibration) -> Answer:
        believed = self.distogram(outputs, calibration)
        shares = believed.contacts
        one, other = numpy.nonzero(numpy.triu(shares > LEAST, SHORT))
        assert believed.confidence is not None  # our own distogram always has it
        return {
            "contacts": [
                [int(i) + 1, int(j) + 1, round(float(shares[i, j]), 4)] for i, j in zip(one, other, strict=True)
            ],
            "confidence": [round(float(share), 4) for share in believed.confidence],
        }

    def calibrate(self, outputs: Sequence[Floats], examples: Sequence[Example]) -> Calibration:
        """The temperature of the distances of pairs at least `SHORT` apart, over a draw of them."""
        logits, truths = [], []
        for output, example in zip(outputs, examples, strict=True):
            rows = self.encode(example)
            far = rows[:, _COLUMN] - rows[:, _ROW] >= SHORT
            known = numpy.flatnonzero(far & ~numpy.isnan(rows[:, _FIRST]))
            most = max(1, _FITTED_ON // len(examples))
            known = known[draw_places(len(known), most, in_order=False)]
            logits.append(output[known])
            truths.append(numpy.searchsorted(EDGES, rows[known, _FIRST], side="right"))
        found, truth = numpy.concatenate(logits), numpy.concatenate(truths)
        temperature = fit_temperature(found, truth) if len(truth) else 1.0
        return {"temperature": temperature, "n": float(len(examples))}


def betas_of(backbone: Backbone) -> NDArray[numpy.float32]:
    """CB of each residue, (L, 3), NaN where neither seen nor to be placed: a CA does not stand in for it."""
    placed = beta_carbons(backbone.atom("N"), backbone.alphas, backbone.atom("C"), backbone.atom("CB"))
    return placed.astype(numpy.float32)


def torsions_of(backbone: Backbone) -> NDArray[numpy.float32]:
    """Phi and psi of each residue in radians, (L, 2), NaN at the ends, beside a break and where an atom is missing."""
    from biotite.structure import dihedral

    nitrogen, alpha, carbon = (backbone.atom(name).astype(numpy.float64) for name in ("N", "CA", "C"))
    found = numpy.full((len(backbone), 2), numpy.nan, dtype=numpy.float32)
    with numpy.errstate(invalid="ignore"):
        found[1:, 0] = dihedral(carbon[:-1], nitrogen[1:], alpha[1:], carbon[1:])
        found[:-1, 1] = dihedral(nitrogen[:-1], alpha[:-1], carbon[:-1], nitrogen[1:])
    found[1:][backbone.breaks, 0] = numpy.nan
    found[:-1][backbone.breaks, 1] = numpy.nan
    return found


# The parts of the loss, each a mean -----------------------------------------------------------------------------------


def _contact_loss(logits: Tensor, apart: Tensor, asked: Tensor) -> Tensor:
    """Contact or not, of the pairs that are asked: the surprise of the summed bins below 8 Å."""
    if not bool(asked.any()):
        return logits.sum() * 0.0
    inside = int(numpy.searchsorted(EDGES, CONTACT, side="right"))
    logits, touching = logits[asked], (apart[asked] < CONTACT).float()
    odds = logits[:, :inside].logsumexp(-1) - logits[:, inside:].logsumexp(-1)
    return functional.binary_cross_entropy_with_logits(odds, touching)


def _torsion_loss(outputs: Tensor, target: Tensor) -> Tensor:
    """The surprise of a von Mises distribution around each known angle."""
    total, known = outputs.new_zeros(()), 0
    for place, vectors in ((_FIRST, outputs[:, PHI]), (_SECOND, outputs[:, PSI])):
        angle = target[:, place]
        is_known = ~angle.isnan()
        angle, vector = angle[is_known], vectors[is_known]
        kappa = vector.square().sum(-1).add(1e-6).sqrt()
        log_bessel = torch.special.i0e(kappa).log() + kappa
        along = vector[:, 0] * angle.cos() + vector[:, 1] * angle.sin()
        total = total + (log_bessel - along + math.log(2 * math.pi)).sum()
        known += len(angle)
    return total / max(1, known)


def _confidence_loss(outputs: Tensor, target: Tensor, is_self: Tensor, known: Tensor) -> Tensor:
    """The surprise at the lDDT that the expected distances of this very step reach, residue by residue."""
    truth, is_known = lddt_of(outputs.detach(), target, known)
    guess = outputs[is_self][:, SURE].float()[is_known]
    if not len(guess):
        return outputs.sum() * 0.0
    return functional.binary_cross_entropy_with_logits(guess, truth[is_known])


def lddt_of(outputs: Tensor, target: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
    """The lDDT of each residue's expected distances, (R,), and whether it has any neighbour to be judged by, (R,)."""
    _, row = torch.unique_consecutive(target[:, _ROW], return_inverse=True)
    middles = torch.from_numpy(centres(EDGES)).to(outputs)
    near = known & (target[:, _FIRST] < INCLUSION)
    expected = outputs[near].softmax(-1) @ middles
    wrong = (expected - target[near, _FIRST]).abs()
    right = torch.stack([(wrong < tolerance).to(outputs) for tolerance in TOLERANCES]).mean(0)
    count = int(row.max()) + 1 if len(row) else 0
    hits = outputs.new_zeros(count).index_add(0, row[near], right)
    judged = outputs.new_zeros(count).index_add(0, row[near], torch.ones_like(right))
    return hits / judged.clamp(min=1), judged > 0
