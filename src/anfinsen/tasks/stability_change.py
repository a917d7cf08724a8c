"""Stability change: does a mutation make the protein firmer or looser, and by how much?

A folded protein is only a little more stable than an unfolded one, by the strength of a few hydrogen bonds. The change
that a mutation makes to that difference is called ddG. Here it is the free energy of unfolding of the wild type less
that of the variant, in kcal/mol: NEGATIVE MEANS MORE STABLE, positive means less stable, as in the tables that it is
learned from. Going back from the variant to the wild type must change the sign and nothing else; here it does so by
construction, because all that is added up are differences between the two residues, and the network that tells
helix from strand around them does not see the residues themselves.

It has the words, the target and the JSON of any other task, and stands apart from them in one way: it is a question
about a protein AND a variant. A file of proteins alone has no answer to it, so it is no head that `predict` could ask
of every protein, and it is not registered; `anfinsen scan` and `anfinsen propose` ask it. What is learned are the few
dozen weights in stability_change.json, written by `benchmarks/mutations.py`, which also prints how they were chosen.

Data: S2648 (Dehouck et al. 2009), PTmul (Montanucci et al. 2019), FireProtDB (Stourac et al. 2021). Whole families of
proteins are kept for the test. Antisymmetry after Fariselli et al. 2015 (INPS, Bioinformatics 31:2816).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cache

import numpy
from numpy.typing import NDArray

from anfinsen.data.substitutions import Surroundings, Weights, ends_of, state_terms
from anfinsen.data.variants import Variant
from anfinsen.sets.assays import STABILITY
from anfinsen.targets.base import Answer, Number
from anfinsen.tasks.base import Condition, Task

WEIGHTS = "stability_change.json"
SMALL = 0.5
"""Kcal/mol below which a change is called small: about what two laboratories differ by."""
GAIN = -0.5
"""The ddG below which a variant is said to gain stability; such answers have an interval of their own."""


def _say(answer: Answer) -> str:
    value, low, high = answer["value"], answer["low"], answer["high"]
    firmer = "more" if value < 0 else "less"
    kind = "hardly changes its stability" if abs(value) < SMALL else f"makes it {firmer} stable"
    sure = "" if low > 0 or high < 0 else " The range holds zero, so even the direction is uncertain."
    return (
        f"The mutation {kind}: ddG {value:+.1f} kcal/mol (nine times in ten between {low:+.1f} and {high:+.1f}; "
        f"negative means more stable).{sure}"
    )


STABILITY_CHANGE = Task(
    name="stability-change",
    title="Stability change",
    question="Does the mutation make it more or less stable?",
    explanation=(
        "A weighted sum of what the mutant residue has more than the wild type: size, love of oil, and how well it "
        "suits the helix or strand that the network expects there. Negative ddG means more stable."
    ),
    target=Number(unit="kcal/mol"),
    table=STABILITY[0],
    metrics=("pearson", "spearman", "rmse"),
    say=_say,
    conditions=(
        Condition("ph", "", "the pH of the measurement", 7.0, 1.0),
        Condition("temperature", "°C", "the temperature of the measurement", 25.0, 25.0),
    ),
    terms={
        "ddG": "How much stability a mutation costs, in kcal/mol: negative makes the protein more stable, positive "
        "less. Two laboratories often differ by half a kcal/mol.",
        "antisymmetric": "The way back changes the sign and nothing else: what a mutation costs, its reversal gives.",
    },
    limits="Learned from some 130 families of small soluble proteins; its range is wider than most single mutations. "
    "It hardly knows where in the protein a residue stands, so it ranks kinds of change better than places.",
)


@cache
def stability_weights() -> Weights:
    """The fitted weights."""
    return Weights.read("anfinsen.tasks", WEIGHTS)


def stability_changes(
    variants: Sequence[Variant],
    around: Surroundings,
    conditions: Mapping[str, float] | None = None,
    *,
    weights: Weights | None = None,
) -> NDArray[numpy.float64]:
    """The ddG of V variants in kcal/mol, (V,); `around` has one place for each of their substitutions, in order.

    The residues that a variant changes must have been hidden together when their surroundings were asked.
    """
    told = conditions or {}
    joined = tuple(one for variant in variants for one in variant)
    terms = state_terms(*ends_of(joined), around, told.get("ph"), told.get("temperature"))
    owner = numpy.repeat(numpy.arange(len(variants)), [len(variant) for variant in variants])
    return numpy.bincount(owner, (weights or stability_weights())(terms), minlength=len(variants)).astype(numpy.float64)


def stability_answer(ddg: float, changes: int) -> Answer:
    """One ddG as a JSON answer; the interval of a variant widens with the root of its number of substitutions."""
    about, outputs = stability_weights().about, numpy.array([ddg, 0.5 * math.log(changes)])
    quantile = about["quantile_of_gains" if ddg < GAIN else "quantile"]
    return STABILITY_CHANGE.target.answer(outputs, {"quantile": float(quantile)})


def record_of_gains() -> str:
    """How often variants that were said to gain stability did, among proteins that the weights had not seen."""
    about = stability_weights().about
    return (
        f"Of {about['said_to_gain']} measured variants of unseen proteins that were said to gain {-GAIN:g} kcal/mol or "
        f"more, {about['share_that_gained']:.0%} did gain."
    )
