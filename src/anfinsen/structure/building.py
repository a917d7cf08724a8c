"""From a distogram and torsions to a backbone in space: N, CA, C, O and CB of every residue.

    expected distances -> multidimensional scaling -> a trace and its mirror image, or one with a relative's distances
    predicted torsions -> the chain that has them
        -> rigid residues move until they satisfy distances, torsions and bonds without clashes (Adam)
        -> the best, made ideal (L-BFGS) -> Backbone

Distances do not know left from right. Residues here are L-amino acids by construction and torsions have a sign, so a
mirrored start stays worse than its twin and is dropped; where torsions are unsure it may win, and only a relative's
structure tells. Of a long thin chain most distances are beyond the last bin, and the chain of the torsions is the
better start; a relative's structure tells what lies there. Restrained optimisation as of Yang et al. 2020 (PNAS
117:1496), on rigid residues as of Jumper et al. 2021 (Nature 596:583). No network and no file is known here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy
import torch
from numpy.typing import NDArray
from scipy.sparse.csgraph import shortest_path
from torch import Tensor

from anfinsen import runtime
from anfinsen.structure.backbone import Backbone
from anfinsen.structure.distogram import Distogram, centres
from anfinsen.structure.frames import C_N, chain_of, dihedral, frames_along, frames_of, oxygens, spread, torsions
from anfinsen.structure.geometry import distances
from anfinsen.structure.scores import rmsd
from anfinsen.structure.wishes import Wishes

Floats = NDArray[numpy.floating[Any]]

STAGES = ((8.0, 1.0, 60), (4.0, 3.0, 70), (2.0, 10.0, 70))
"""Width of the wishes in ångström, weight of the bonds and steps of one stage after the other."""
CLOSE = 0.05
"""How far, relative to the better one, the mirror image may be behind and still be settled before they are compared."""
LAST_WIDTH, LAST_BONDS, LAST_STEPS = 1.0, (30.0, 300.0), 80
TURNED = 1.0
"""What the torsions count beside the distances."""
PUSH = 10.0
"""What a clash counts, per square ångström."""
TIES = (
    (2, 0, C_N),
    (1, 0, 2.425),
    (2, 1, 2.431),
    (1, 1, 3.801),
)
"""Atoms (of N, CA, C) of a residue and of the next, and how far they are apart across a flat trans peptide bond."""
FLAT = 0.2
"""What a peptide bond that is not flat counts beside the lengths of `TIES`."""
MENDS = 2
"""How often strained places are shaken and settled again."""
MOST_STRETCHED, MOST_BENT = 0.03, math.radians(25)
"""How far a peptide bond may differ from its length, in ångström, and from flat, in radians, before it is strained."""
RADII = {"N": 1.45, "CA": 1.8, "C": 1.65, "CB": 1.75, "O": 1.45}
"""Half the distance to which two atoms of a kind may come; below that they clash."""
_RADII = torch.tensor(list(RADII.values()))
_NEAR, _SOON, _EVERY = 9.0, 1.5, 20


@dataclass(frozen=True)
class Built:
    """A backbone with what is needed to judge how it was made."""

    backbone: Backbone
    """N, CA, C, O and CB of each residue; no CB for glycine."""
    loss: float
    """What it lost in the end; the lower the better it suits its distogram."""
    losses: tuple[float, ...]
    """What each start had lost before one was chosen: two traces, and without a relative the chain of the torsions."""


@runtime.one_core()
@torch.enable_grad()
def build(distogram: Distogram, sequence: str, like: Floats | None = None) -> Built:
    """The backbone that suits a distogram best, of a chain of L residues; the same for the same input.

    `like` are CA atoms of a relative, (L, 3), NaN where it has none: they tell left from right, and far from farther.
    """
    wishes, springs = Wishes(distogram), Springs(distogram, sequence)
    frames = torch.stack(_starts(distogram, like))
    for width, bonds, steps in STAGES:
        wishes.narrow(width)
        frames = _anneal(frames, wishes, springs, bonds, steps, pace=0.18 * width**0.5)
    losses = springs.loss(frames, wishes, STAGES[-1][1]).detach()
    wishes.narrow(LAST_WIDTH)
    hopeful = losses <= losses.min() + CLOSE * losses.min().abs()

    def springs_loss(one: Tensor) -> float:
        return float(springs.loss(one, wishes, LAST_BONDS[-1]).detach())

    settled = [_settle(one[None], wishes, springs) for one in frames[hopeful]]
    frames, loss = _mend(min(settled, key=springs_loss), wishes, springs)
    return Built(springs.backbone(frames[0]), loss, tuple(losses.tolist()))


class Springs:
    """What holds a chain together and apart: torsions, peptide bonds and the room that atoms take."""

    def __init__(self, distogram: Distogram, sequence: str) -> None:
        self.is_glycine = torch.tensor([letter == "G" for letter in sequence])
        angles = torch.from_numpy(numpy.asarray(distogram.torsions, numpy.float32))
        angles = torch.stack([angles[1:, 0], angles[:-1, 1]], -1)  # (L - 1, 2): phi of the next, psi of this
        kappa = torch.from_numpy(numpy.asarray(distogram.sureness, numpy.float32))
        self.kappa = torch.stack([kappa[1:, 0], kappa[:-1, 1]], -1).clamp_max(20.0)
        self.cosine, self.sine = angles.cos(), angles.sin()
        self.pairs = torch.empty(2, 0, dtype=torch.long)
        self.least = torch.empty(0)

    def betas(self, atoms: Tensor) -> Tensor:
        """The atom that a distogram speaks of: CB, of glycine where it would be; (S, L, 4, 3) to (S, L, 3)."""
        return atoms[..., 3, :]

    def loss(self, frames: Tensor, wishes: Wishes, bonds: float) -> Tensor:
        """What each structure is to lose, (S, L, 9) to (S,)."""
        atoms = spread(frames)
        cosine, sine = torsions(atoms)
        turned = (self.kappa * (1 - cosine * self.cosine - sine * self.sine)).sum((-1, -2))
        flat = dihedral(atoms[:, :-1, 1], atoms[:, :-1, 2], atoms[:, 1:, 0], atoms[:, 1:, 1])[0]
        tied = FLAT * (1 + flat).sum(-1)
        for one, other, length in TIES:
            apart = (atoms[:, :-1, one] - atoms[:, 1:, other]).norm(dim=-1)
            tied = tied + ((apart - length) ** 2).sum(-1)
        return TURNED * turned + bonds * tied + PUSH * self._clashes(atoms) - wishes.reward(self.betas(atoms))

    def look_around(self, frames: Tensor) -> None:
        """Remember which atoms are so near in any structure that they may soon clash."""
        with torch.no_grad():
            alphas = frames[..., :3]
            first, second = (torch.cdist(alphas, alphas) < _NEAR).any(0).triu(2).nonzero().T
            one, other = torch.arange(5).repeat_interleave(5), torch.arange(5).repeat(5)
            pairs = torch.stack([first[:, None] * 5 + one, second[:, None] * 5 + other]).flatten(1)
            least = (_RADII[one] + _RADII[other]).expand(len(first), 25).flatten()
            apart = self._apart(_with_oxygen(spread(frames)), pairs)
            kept = (apart < least + _SOON).any(0)
            kept &= ~(self.is_glycine.repeat_interleave(5) & (torch.arange(5 * len(self.is_glycine)) % 5 == 3))[
                pairs
            ].any(0)
            self.pairs, self.least = pairs[:, kept], least[kept]

    def _clashes(self, atoms: Tensor) -> Tensor:
        apart = self._apart(_with_oxygen(atoms), self.pairs)
        return ((self.least - apart).clamp_min(0.0) ** 2).sum(-1)

    @staticmethod
    def _apart(atoms: Tensor, pairs: Tensor) -> Tensor:
        flat = atoms.flatten(1, 2)
        apart: Tensor = torch.linalg.vector_norm(flat[:, pairs[0]] - flat[:, pairs[1]], dim=-1)
        return apart

    def strained(self, frames: Tensor) -> Tensor:
        """Residues next to a peptide bond that is torn, squeezed or not flat, (L,)."""
        atoms = spread(frames)
        nitrogen, alpha, carbon = atoms[:, 0], atoms[:, 1], atoms[:, 2]
        flat = dihedral(alpha[:-1], carbon[:-1], nitrogen[1:], alpha[1:])[0]
        length = (carbon[:-1] - nitrogen[1:]).norm(dim=-1)
        links = (flat > -math.cos(MOST_BENT)) | ((length - C_N).abs() > MOST_STRETCHED)
        found = torch.zeros(len(frames), dtype=torch.bool)
        for shift in (-1, 0, 1, 2):
            reached = links.nonzero()[:, 0] + shift
            found[reached.clamp(0, len(frames) - 1)] = True
        return found

    def backbone(self, frames: Tensor) -> Backbone:
        """The five atoms of each residue, moved so that the middle of the chain is the origin."""
        with torch.no_grad():
            atoms = spread(frames)
            last = _last_oxygen(atoms[-1])
            points = torch.cat([atoms[:, :3], torch.cat([oxygens(atoms), last[None]])[:, None], atoms[:, 3:]], 1)
            places: NDArray[numpy.float32] = (points - points[:, 1].mean(0)).numpy()
        places[self.is_glycine.numpy(), 4] = numpy.nan
        return Backbone(places, numpy.zeros(max(0, len(places) - 1), dtype=bool), "predicted")


def _with_oxygen(atoms: Tensor) -> Tensor:
    """N, CA, C, CB and O of each residue, (S, L, 5, 3); the last O, which nothing places, lies on its C."""
    return torch.cat([atoms, torch.cat([oxygens(atoms), atoms[:, -1:, 2]], 1)[:, :, None]], 2)


def _last_oxygen(atoms: Tensor) -> Tensor:
    """O of the last residue: opposite to its N, as in a strand."""
    nitrogen, alpha, carbon = atoms[:3]
    following = carbon + (carbon - alpha) * 0.4 + (nitrogen - alpha) * 0.8
    return oxygens(torch.stack([atoms, atoms + (following - nitrogen)]))[0]


# Starts --------------------------------------------------------------------------------------------------------------


def _starts(distogram: Distogram, like: Floats | None) -> list[Tensor]:
    """Where the search begins: the trace that the distances draw, its mirror image, and the chain of the torsions.

    Where a relative is known, the trace and one with its distances too, each in the hand that resembles it more.
    """
    if like is None:
        chain = chain_of(numpy.asarray(distogram.torsions, numpy.float32))
        return [*map(frames_along, _hands(scaled(distogram))), frames_of(chain)]
    traces = scaled(distogram), scaled(distogram, like)
    return [frames_along(min(_hands(trace), key=lambda hand: rmsd(like, hand))) for trace in traces]


def _hands(trace: Floats) -> list[Floats]:
    return [trace, trace * numpy.array([1, 1, -1], trace.dtype)]


def scaled(distogram: Distogram, like: Floats | None = None) -> Floats:
    """A trace whose distances are as near as three dimensions allow to the expected ones, (L, 3), left or right.

    Between residues that a relative has, (L, 3) with NaN where it has none, its distances are taken: they reach beyond
    the last bin.
    """
    known = distogram.probabilities[..., -1] < 0.5
    shares = numpy.where(known[..., None], distogram.probabilities, 0.0)[..., :-1]
    expected = (shares @ centres(distogram.edges)[:-1]) / numpy.maximum(shares.sum(-1), 1e-6)
    lent = distances(numpy.full((len(distogram), 3), numpy.nan) if like is None else like)
    is_lent = ~numpy.isnan(lent)
    steps = numpy.where(known, expected, numpy.where(is_lent, lent, 0.0))
    numpy.fill_diagonal(steps, 0.0)
    along = numpy.arange(len(distogram) - 1)
    steps[along, along + 1] = steps[along + 1, along] = 3.8
    apart = shortest_path(steps, directed=False)
    apart = numpy.where(known | is_lent, apart, 0.8 * apart)  # a way through the chain is longer than the straight line
    apart = numpy.where(is_lent, lent, apart)
    centred = numpy.eye(len(apart)) - 1.0 / len(apart)
    values, vectors = numpy.linalg.eigh(-0.5 * centred @ apart**2 @ centred)
    trace: Floats = vectors[:, -3:] * numpy.sqrt(numpy.maximum(values[-3:], 1e-3))
    return trace


# The search ----------------------------------------------------------------------------------------------------------


def _anneal(frames: Tensor, wishes: Wishes, springs: Springs, bonds: float, steps: int, pace: float) -> Tensor:
    places, turned = frames[..., :3].clone().requires_grad_(), frames[..., 3:].clone().requires_grad_()
    optimiser = torch.optim.Adam([{"params": [places], "share": 1.0}, {"params": [turned], "share": 0.2}])
    for step in range(steps):
        now = torch.cat([places, turned], -1)
        if step % _EVERY == 0:
            springs.look_around(now)
        for group in optimiser.param_groups:  # slower towards the end of a stage, so that bonds come to rest
            group["lr"] = group["share"] * pace * (1 - 0.95 * step / steps)
        optimiser.zero_grad()
        springs.loss(now, wishes, bonds).sum().backward()
        optimiser.step()
    return torch.cat([places, turned], -1).detach()


def _mend(frames: Tensor, wishes: Wishes, springs: Springs) -> tuple[Tensor, float]:
    """A structure with its strained places shaken and settled again, as far as that makes it better, and its loss."""
    loss = float(springs.loss(frames, wishes, LAST_BONDS[-1]).detach())
    for attempt in range(MENDS):
        strained = springs.strained(frames[0])
        if not strained.any():
            break
        shaken = _shake(frames, strained, attempt)
        shaken = _anneal(shaken, wishes, springs, STAGES[-1][1], STAGES[-1][2], pace=0.1)
        best = springs.loss(shaken, wishes, LAST_BONDS[0]).detach().argmin()
        shaken = _settle(shaken[best : best + 1], wishes, springs)
        after = float(springs.loss(shaken, wishes, LAST_BONDS[-1]).detach())
        if after < loss:
            frames, loss = shaken, after
    return frames, loss


def _shake(frames: Tensor, strained: Tensor, seed: int) -> Tensor:
    """Four copies in which strained residues are turned at random, so that they may find another way to be joined."""
    noise = torch.randn(4, *frames.shape[1:], generator=torch.Generator().manual_seed(seed))
    return frames + strained[:, None] * noise * 0.6


def _settle(frames: Tensor, wishes: Wishes, springs: Springs) -> Tensor:
    frames = frames.clone().requires_grad_()
    for bonds in LAST_BONDS:
        springs.look_around(frames)
        optimiser = torch.optim.LBFGS(
            [frames], max_iter=LAST_STEPS, history_size=20, line_search_fn="strong_wolfe", tolerance_change=1e-5
        )

        def closure(bonds: float = bonds, optimiser: torch.optim.LBFGS = optimiser) -> Tensor:
            optimiser.zero_grad()
            total = springs.loss(frames, wishes, bonds).sum()
            total.backward()
            return total

        optimiser.step(closure)
    return frames.detach()
