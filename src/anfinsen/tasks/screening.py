"""Screening: the words of the question, and the scores of a ranking that should put a few binders first.

A library holds a million molecules and a laboratory can try a hundred, so only the top of a ranking counts. Scores of
screening therefore look at the top. The lists by which they are judged hold binders that were measured and decoys that
were mostly presumed not to bind; decoys differ from drugs in simple properties, so beside every score stands a probe
that sees the molecule alone, and one that copies known binders.

    AUROC    how often a binder is ranked above a decoy
    BEDROC   the same with weight on the top: half of it is earned in the first 3.5 % (Truchon & Bayly 2007)
    EF1      how many times more binders the first hundredth holds than a random hundredth

Where decoys were drawn, each stands for so many, and the scores count it so. Ties are shared out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy
from numpy.typing import NDArray

from anfinsen.errors import UndefinedScoreError
from anfinsen.targets.metrics import LEVEL, Estimate

Floats = NDArray[numpy.float64]
Flags = NDArray[numpy.bool_]

NAME = "screen"
QUESTION = "Which molecules of the library should be tried first?"
ALPHA = 20.0
"""How strongly BEDROC looks at the top."""
TOP = 0.01
"""The share of a library in which enrichment is counted."""
TERMS: Mapping[str, str] = {
    "lower bound": "The low end of the range that holds the true affinity nine times in ten. "
    "Ranking by it puts a sure good binder above an unsure better one; where it means 'hardly any binding', "
    "the predicted value decides.",
    "family": "Molecules that share more than half of their fragments with a better ranked one. "
    "Trying one of each family first teaches more than trying the ten best brothers.",
    "decoy": "A molecule that is presumed not to bind, chosen to look like the binders. "
    "Few decoys were ever measured, so a ranking judged by them is judged by presumption.",
    "off-target": "A protein that a drug should leave alone. "
    "Binding it as tightly as the target foretells side effects.",
    "BEDROC": "How early a ranking names what binds, from 0 to 1. "
    "Half of it is earned in the first 3.5 %; a random order has about 0.06.",
    "known binder": "A molecule that is known to bind the target or a protein like it, given or one of those that come "
    "along without their names. What is like one tends to bind too; what is new in kind is missed.",
    "likeness": "The share of fragments that two molecules have in common (Tanimoto, ECFP4), from 0 to 1. "
    "Two molecules drawn at random share about a tenth.",
}
"""Every word that a bench biologist may not know, in two sentences."""
HONEST = (
    "Likeness finds more of what is known and nothing of a new kind. On public lists it put binders before presumed "
    "decoys far more often than affinity did, before measured non-binders little more often than chance, and five "
    "known ligands of the target did better on every list: give yours (--known FILE). The affinities were learnt from "
    "kinases and kinase inhibitors; for any other protein they are guesses."
)
"""What must be known before a ranking is believed."""


def say(hit: Mapping[str, Any]) -> str:
    """What a molecule has of the known binder that it is most like, as a sentence.

    >>> say({"known_ligand": "gefitinib", "known_likeness": 0.437, "known_itself": False})
    'Likeness 0.44 to gefitinib.'
    """
    itself = "A known binder itself. " if hit["known_itself"] else ""
    return f"{itself}Likeness {hit['known_likeness']:.2f} to {hit['known_ligand']}."


def area(active: Flags, score: Floats, weight: Floats) -> float:
    """AUROC of weighted molecules, all (N,); a higher score is ranked first.

    >>> area(numpy.array([True, False]), numpy.array([2.0, 1.0]), numpy.ones(2))
    1.0
    """
    before, group, of = _groups(score, weight, active)
    others = weight[~active].sum()
    # decoys that an active beats: all but those before it, and half of those beside it
    beaten = others - before[of] - 0.5 * group[of]
    return float((beaten[active] * weight[active]).sum() / (others * weight[active].sum()))


def bedroc(active: Flags, score: Floats, weight: Floats, alpha: float = ALPHA) -> float:
    """BEDROC of weighted molecules, all (N,), from 0 to 1."""
    total, share = weight.sum(), weight[active].sum() / weight.sum()
    before, group, of = _groups(score, weight)
    step = alpha / total
    # the mean of exp(-alpha rank / total) over the places that a group of equals takes
    mean = numpy.exp(-step * before) * -numpy.expm1(-step * group) / (group * numpy.expm1(step))
    found = float((mean[of][active] * weight[active]).sum() / weight[active].sum())
    found /= -numpy.expm1(-alpha) / (total * numpy.expm1(step))
    most = numpy.expm1(-alpha * share) / (share * numpy.expm1(-alpha))
    least = numpy.expm1(alpha * share) / (share * numpy.expm1(alpha))
    return float((found - least) / (most - least))


def enrichment(active: Flags, score: Floats, weight: Floats, share: float = TOP) -> float:
    """How many times more actives the first `share` holds than a random share would."""
    total = weight.sum()
    cut = numpy.ceil(total * share - 1e-9)
    before, group, of = _groups(score, weight)
    inside = numpy.clip((cut - before) / group, 0, 1)[of]
    hits = (inside[active] * weight[active]).sum()
    return float(hits / cut * total / weight[active].sum())


SCORES: Mapping[str, Callable[[Any, Any, Any], float]] = {"AUROC": area, "BEDROC": bedroc, "EF1": enrichment}
"""The scores, the headline first."""
MOST: Mapping[str, float] = {"AUROC": 1.0, "BEDROC": 1.0, "EF1": 1 / TOP}
"""The best that each score can be."""


def measure_targets(values: Sequence[float], most: float = 1.0) -> Estimate:
    """The mean of a score over targets with its 95 % interval (Student's t), cut at 0 and `most`, its possible ends."""
    from scipy.stats import t as student

    if len(values) < 2:
        raise UndefinedScoreError("One target has no interval.")
    found = numpy.asarray(values, dtype=numpy.float64)
    reach = float(student.ppf((1 + LEVEL) / 2, len(found) - 1) * found.std(ddof=1) / len(found) ** 0.5)
    middle = float(found.mean())
    return Estimate(middle, max(middle - reach, 0.0), min(middle + reach, most), len(found))


def _groups(score: Floats, weight: Floats, left_out: Flags | None = None) -> tuple[Floats, Floats, NDArray[Any]]:
    """Of each group of equal scores the weight before it and in it, and each molecule's group; some may not count."""
    if not len(score) or (left_out is not None and (left_out.all() or not left_out.any())):
        raise UndefinedScoreError("There is no ranking of one class alone.")
    _, of = numpy.unique(-score, return_inverse=True)
    group: Floats = numpy.bincount(of, weight if left_out is None else weight * ~left_out).astype(numpy.float64)
    return numpy.cumsum(group) - group, group, of
