"""What of a molecule and of a protein holds an affinity up, and whether that can be believed.

    an atom, a ring or chain of atoms, or a stretch of residues is taken away -> the answer is asked again
      -> what falls by much held the answer up -> credits of atoms (A,) and of residues (L,), in units of the affinity
      -> taken away, and put back alone, the most credited first -> how far the credits can be believed

It is asked of the judge that knows neither side, since one that recognises the drug by name needs no atom. It is the
model's reason and not the protein's: nobody showed the model a binding site. An atom's credit is the mean of what is
lost without it alone and of its share of what is lost without its whole ring or chain, since a model that still sees
the rest of a ring hardly misses one atom. How it is judged says `faithfulness`.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy
from numpy.typing import NDArray

from anfinsen.drug.features import fingerprints
from anfinsen.drug.molecule import Molecule, parts_of, without_atoms
from anfinsen.explain.faithfulness import ORDERS, Faithfulness, judge, ranked, shuffled
from anfinsen.inference.affinity import AffinityPredictor
from anfinsen.kinship.profile import profiles
from anfinsen.structure.protein import Protein

STRETCH = 16
"""Residues that are taken away together."""
_NONE = numpy.zeros(0, dtype=numpy.int64)

Floats = NDArray[numpy.float64]
Places = NDArray[numpy.int64]
Sets = Sequence[Places]
Ask = Callable[[Sets], Floats]
"""Sets of what is taken away -> the answer without each of them."""


@dataclass(frozen=True)
class Credits:
    """What held the answer up, and how far that can be believed."""

    weights: Floats
    """(n,) what the answer loses without each atom or residue, in units of the affinity."""
    faithfulness: Faithfulness | None = None
    """How they stand beside random orders; none where nobody asked."""


@dataclass(frozen=True)
class Reason:
    """What held one answer up: credits of atoms (A,) and of residues (L,)."""

    atoms: Credits
    residues: Credits

    @property
    def is_judged(self) -> bool:
        """Whether it was held against random orders."""
        return self.atoms.faithfulness is not None

    def sentence(self) -> str:
        """Whether to believe the picture; empty where nobody asked."""
        said = [
            f"{what} {'can be believed' if faith.is_faithful else 'are no better than chance'} "
            f"(deletion score {faith.score:.2f}, chance reaches {faith.high:.2f})"
            for what, one in (("the coloured atoms", self.atoms), ("the coloured stretches", self.residues))
            if (faith := one.faithfulness) is not None
        ]
        return f"Taking away in order of weight: {'; '.join(said)}." if said else ""


def reason(predictor: AffinityPredictor, protein: Protein, molecule: Molecule, *, orders: int = ORDERS) -> Reason:
    """What of the molecule and of the protein held the answer up, judged against so many random orders, or none."""
    ask_atoms, ask_residues = _askers(predictor, protein, molecule)
    every = [numpy.array([at]) for at in range(molecule.heavy_atoms)]
    cuts = [numpy.arange(cut, min(cut + STRETCH, len(protein))) for cut in range(0, len(protein), STRETCH)]
    views = [_spread(_lost(ask_atoms, sets), sets, molecule.heavy_atoms) for sets in (every, parts_of(molecule))]
    atoms, stretches = (views[0] + views[1]) / 2, _lost(ask_residues, cuts)
    faiths = [
        believe({"": weights}, sets, ask, orders)[""] if orders else None
        for weights, sets, ask in ((atoms, every, ask_atoms), (stretches, cuts, ask_residues))
    ]
    return Reason(Credits(atoms, faiths[0]), Credits(_spread(stretches, cuts, len(protein)), faiths[1]))


def believe(views: Mapping[str, Floats], sets: Sets, ask: Ask, orders: int = ORDERS) -> dict[str, Faithfulness]:
    """How far each view's credits of n sets (n,) can be believed."""

    def without(hidden: NDArray[numpy.bool_]) -> Floats:
        return ask([numpy.concatenate([*itertools.compress(sets, one), _NONE]) for one in hidden])

    return judge(without, len(sets), {name: ranked(view) for name, view in views.items()}, shuffled(len(sets), orders))


def _lost(ask: Ask, sets: Sets) -> Floats:
    """What the answer loses without each of some sets (n,)."""
    said = ask([_NONE, *sets])
    lost: Floats = said[0] - said[1:]
    return lost


def _spread(lost: Floats, sets: Sets, count: int) -> Floats:
    """What is lost without a set, in equal shares upon its members: (count,)."""
    weights = numpy.zeros(count)
    for one, members in zip(lost.tolist(), sets, strict=True):
        weights[members] = one / len(members)
    return weights


def _askers(predictor: AffinityPredictor, protein: Protein, molecule: Molecule) -> tuple[Ask, Ask]:
    """How to ask for the affinity without some atoms, and without some residues."""
    bundle = predictor.bundle
    (states,) = predictor.states([protein])

    def likeness_of(molecules: Sequence[Molecule], words: Floats, means: Floats) -> Floats:
        strangers = [numpy.full(count, -1, dtype=numpy.int64) for count in (len(molecules), len(words))]
        sides = bundle.model.likeness(fingerprints(molecules), words, means, *strangers)
        grid = numpy.indices((len(molecules), len(words))).reshape(2, -1).T
        return bundle.model.predict(*sides, grid).value

    def side(hidden: Sets) -> tuple[Floats, Floats]:
        texts, means = [], []
        for gone in hidden:
            letters = numpy.array(list(protein.sequence))
            letters[gone] = "X"
            texts.append("".join(letters))
            kept = numpy.delete(states, gone, 0)
            # with every residue gone the protein is like an average one: states are centred
            means.append(kept.mean(0) if len(kept) else numpy.zeros(states.shape[1]))
        return profiles(texts, bundle.word_weights).astype(numpy.float64), numpy.stack(means).astype(numpy.float64)

    whole = side([_NONE])

    def without_atom_sets(hidden: Sets) -> Floats:
        return likeness_of(without_atoms(molecule, [one.tolist() for one in hidden]), *whole)

    def without_residues(hidden: Sets) -> Floats:
        return likeness_of([molecule], *side(hidden))

    return without_atom_sets, without_residues
