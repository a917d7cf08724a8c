"""Which residues an answer rests on: two views of the same question, both by Captum.

- Integrated gradients (Sundararajan et al. 2017, arXiv 1703.01365): the chain is brought from all hidden to all seen
  in small steps, and each residue is credited with what its own arrival adds. All credits together are the whole way
  from the hidden chain's number to this one (completeness), up to `gap`.
- Occlusion: each residue is hidden alone, and credited with what the number loses.

Positive: the residue speaks for the answer. Both show what the network leaned on, not what biology leans on.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy
import torch
from captum.attr import IntegratedGradients, Occlusion
from numpy.typing import NDArray

from anfinsen.explain.lens import Lens

STEPS = 64
"""Steps from the hidden chain to the whole one; more make the sum more exact."""

Credits = NDArray[numpy.float64]


@dataclass(frozen=True)
class Attribution:
    """Credits (L,) of the residues, in the unit of the number; `value` of the chain and `hidden` of the hidden one."""

    value: float
    hidden: float
    gradients: Credits
    occlusion: Credits
    gap: float
    """What the credits of integrated gradients sum to, less what they should (value - hidden)."""


def attribute(lens: Lens, *, steps: int = STEPS) -> Attribution:
    """Both views of one protein."""
    dim = lens.embedded.shape[-1]
    gradients, delta = IntegratedGradients(lens).attribute(
        lens.embedded,
        baselines=lens.hidden,
        n_steps=steps,
        internal_batch_size=lens.together,
        return_convergence_delta=True,
    )
    with torch.no_grad():
        occluded = Occlusion(lens).attribute(
            lens.embedded,
            sliding_window_shapes=(1, dim),
            baselines=lens.hidden,
            perturbations_per_eval=lens.together,
        )
    return Attribution(
        value=float(lens.of(lens.embedded)[0]),
        hidden=float(lens.of(lens.hidden)[0]),
        gradients=gradients.detach().sum(-1)[0].double().numpy(),
        # every channel of a residue carries the loss of the whole residue
        occlusion=occluded.mean(-1)[0].double().numpy(),
        gap=float(delta[0]),
    )
