"""Affinity elsewhere: models that learnt from one table answer others, about things that none of them has met.

    FEP benchmark   66 series of like molecules, each on one protein: does the model rank a series? Spearman in each
                    series, then the mean over the series; the interval draws series again
    BindingDB       two test parts of another table: does the molecule bind at all? AUROC, AUPR

Molecules that a table of training holds are left out of the series, and pairs whose two sides it knows out of
BindingDB. Everything else is answered as if both sides were new. A protein may stand in a table all the same, so the
series of which no table holds the protein or a twin have rows of their own (fep-new-protein). The rivals: heavier
molecules bind more tightly (weight, atoms), and fatter ones do (logP).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy
from numpy.typing import NDArray
from scipy.stats import spearmanr

from anfinsen.bench.binders import binder_rows
from anfinsen.bench.drug import MODEL, SUITE, Floats, named, probes
from anfinsen.bench.study import Question, Tell
from anfinsen.drug.features import fingerprints
from anfinsen.drug.molecule import Formula, Molecule, read_formulas
from anfinsen.hub.bundle import Bundle
from anfinsen.hub.record import Score
from anfinsen.inference.embedder import Embedder
from anfinsen.kinship.profile import near_twins
from anfinsen.models.binding import BindingModel
from anfinsen.sets.affinity import DAVIS, FAMILY, KIBA
from anfinsen.sets.binders import Series, bindingdb, biosnap, fep_series
from anfinsen.structure.protein import Protein
from anfinsen.targets.metrics import LEVEL, Estimate
from anfinsen.tasks.affinity import NAME
from anfinsen.training.affinity import AffinityConfig, fit
from anfinsen.training.affinity_bundle import Prepared, prepare

TABLES = {"Davis": DAVIS.load, "KIBA": KIBA.load, "BIOSNAP": biosnap}
"""The tables that are learnt from, whole."""
QUICK = ("Davis",)
"""What a quick look learns from."""
_FEP, _BINDINGDB = "fep", "bindingdb"
_FEWEST = 5
_RESAMPLES = 1000
_ONE_SIDED = ("drug only", "nearest neighbour", "KronRLS")

Asked = Callable[[Sequence[Protein], Sequence[Molecule], NDArray[numpy.int64]], dict[str, Floats]]
"""Proteins, molecules, pairs (P, 2) of a molecule and a protein -> what the model and its rivals say, each (P,)."""


def unseen_rows(bundle: Bundle, *, limit: int | None, tell: Tell) -> list[Score]:
    """The rows of both tables; a quick look (`limit`) learns from Davis alone."""
    embedder = Embedder(bundle.network, name=bundle.label, sha256="", per="protein")
    series = fep_series(_FEWEST)
    ligands = read_known([text for one in series for text in one.smiles], is_judged=True)
    said: dict[str, list[Floats]] = {}
    rows: list[Score] = []
    met: set[str] = set()
    kin: set[str] = set()
    for name in QUICK if limit else TABLES:
        ready = prepare(TABLES[name](), embedder, tell)
        there = known_proteins(series, ready.found.proteins)
        kin |= there
        tell(f"{_FEP}: {len(there)} of {len(series)} series are of a protein that {name} holds, or of a twin of it.")
        asked = stranger(ready, embedder, tell)
        met |= {molecule.smiles for molecule in ready.molecules}
        for who, values in _ranked(series, ligands, asked, f"{bundle.label} affinity, learnt from {name}").items():
            said[who if who.startswith(bundle.label) else f"{who}, {name}"] = values
        if name == "BIOSNAP":
            rows += _bindingdb_rows(ready, asked, f"{bundle.label} affinity, learnt from {name}", tell)
    said |= _simple(series, ligands)
    return [*fep_rows(series, ligands, said, met, kin, tell), *rows]


def stranger(ready: Prepared, embedder: Embedder, tell: Tell) -> Asked:
    """A model that learnt from a whole table, asked as if it knew neither side."""
    found = ready.found
    config = AffinityConfig()
    model: BindingModel = fit(
        ready.sides, found.drug, found.protein, found.value, config=config, regimes=("both new",), tell=tell
    )

    def answer(
        proteins: Sequence[Protein], molecules: Sequence[Molecule], pairs: NDArray[numpy.int64]
    ) -> dict[str, Floats]:
        nobody = [numpy.full(len(side), -1, dtype=numpy.int64) for side in (molecules, proteins)]
        sides = model.likeness(fingerprints(molecules), *ready.numbers_of(proteins, embedder), *nobody)
        return {MODEL: model.predict(*sides, pairs).value, **probes(model, *sides, pairs)}

    return answer


def read_known(smiles: Sequence[str], *, is_judged: bool = False) -> dict[str, Molecule]:
    """The molecules by the formulas as they were given; refused ones are not among them."""
    texts = list(dict.fromkeys(smiles))
    found = read_formulas([Formula(text, text[:40]) for text in texts], is_judged=is_judged)
    return {text: one for text, one in zip(texts, found, strict=True) if isinstance(one, Molecule)}


def known_proteins(series: Sequence[Series], taught: Sequence[Protein]) -> set[str]:
    """The names of the series whose protein is a taught one, or its mutant, its piece or a twin of 90 % identity."""
    chains = [one.protein.sequence for one in series] + list({protein.sequence for protein in taught})
    groups = near_twins(chains, FAMILY).tolist()
    known = set(groups[len(series) :])
    return {one.name for one, group in zip(series, groups, strict=False) if group in known}


def fep_rows(
    series: Sequence[Series],
    ligands: Mapping[str, Molecule],
    said: Mapping[str, Sequence[Floats]],
    met: set[str],
    kin: set[str],
    tell: Tell,
) -> list[Score]:
    """The mean over the series of the Spearman within each, for everyone who answered; then of new proteins alone."""
    kept = [[text in ligands and ligands[text].smiles not in met for text in one.smiles] for one in series]
    long = [at for at, mask in enumerate(kept) if sum(mask) >= _FEWEST]
    count = sum(sum(kept[at]) for at in long)
    tell(f"{_FEP}: {len(long)} series, {count:,} molecules that no table of training holds.")
    new = [at for at in long if series[at].name not in kin]
    tell(f"{_FEP}: {len(new)} of them are of a protein that no table of training holds, nor a twin of it.")
    rows = []
    for split, places in ((f"{_FEP}-unseen", long), (f"{_FEP}-new-protein", new)):
        question = Question(SUITE, NAME, _FEP, split, "Spearman")
        for who, values in said.items() if len(places) > 1 else ():
            each = [_spearman(series[at].tightness[kept[at]], values[at][kept[at]]) for at in places]
            rows.append(question.row(who, mean_of(each)))
    return rows


def mean_of(values: Sequence[float], seed: int = 1) -> Estimate:
    """The mean of some numbers, with the 95 % interval from drawing them again."""
    known = numpy.array(values)
    drawn = numpy.random.default_rng(seed).integers(0, len(known), (_RESAMPLES, len(known)))
    low, high = numpy.quantile(known[drawn].mean(1), ((1 - LEVEL) / 2, (1 + LEVEL) / 2))
    return Estimate(float(known.mean()), float(low), float(high), len(known))


def _spearman(truth: Floats, said: Floats) -> float:
    """Spearman, 0 where all answers are the same: who does not rank has ranked nothing rightly."""
    if numpy.ptp(said) == 0 or numpy.ptp(truth) == 0:
        return 0.0
    return float(spearmanr(truth, said).statistic)


def _ranked(
    series: Sequence[Series], ligands: Mapping[str, Molecule], asked: Asked, name: str
) -> dict[str, list[Floats]]:
    proteins = [one.protein for one in series]
    texts = list(ligands)
    place = {text: at for at, text in enumerate(texts)}
    pairs = [(place[text], at) for at, one in enumerate(series) for text in one.smiles if text in place]
    found = named(asked(proteins, list(ligands.values()), numpy.array(pairs)), name)
    kept = [who for who in found if who.startswith(name) or who in _ONE_SIDED]
    by_pair = {who: dict(zip(pairs, found[who].tolist(), strict=True)) for who in kept}
    return {
        who: [numpy.array([values.get((place.get(text, -1), at), 0.0) for text in one.smiles]) for at, one in
              enumerate(series)]
        for who, values in by_pair.items()
    }  # fmt: skip


def _simple(series: Sequence[Series], ligands: Mapping[str, Molecule]) -> dict[str, list[Floats]]:
    """What needs no model: weight, atoms, and how fat a molecule is."""

    def listed(value: Callable[[Molecule], float]) -> list[Floats]:
        return [
            numpy.array([value(ligands[text]) if text in ligands else 0.0 for text in one.smiles]) for one in series
        ]

    return {
        "molecular weight": listed(lambda molecule: molecule.properties["weight"]),
        "heavy atoms": listed(lambda molecule: float(molecule.heavy_atoms)),
        "logP": listed(lambda molecule: molecule.properties["logp"]),
    }


def _bindingdb_rows(ready: Prepared, asked: Asked, name: str, tell: Tell) -> list[Score]:
    rows = []
    formulas = {molecule.smiles for molecule in ready.molecules}
    chains = {protein.sequence for protein in ready.found.proteins}
    for part in ("random", "cluster"):
        found = bindingdb(part)
        molecules = read_known(found.smiles)
        place = {text: at for at, text in enumerate(molecules)}
        is_new = numpy.array([
            (one := molecules.get(found.smiles[drug])) is not None
            and not (one.smiles in formulas and found.proteins[protein].sequence in chains)
            for drug, protein in zip(found.drug, found.protein, strict=True)
        ])  # fmt: skip
        drug, protein, truth = found.drug[is_new], found.protein[is_new], found.value[is_new]
        tell(f"{_BINDINGDB}, {part}: {len(truth):,} pairs; {int((~is_new).sum()):,} refused or known are left out.")
        pairs = numpy.array([(place[found.smiles[one]], other) for one, other in zip(drug, protein, strict=True)])
        said = named(asked(found.proteins, list(molecules.values()), pairs), name)
        rows += binder_rows(_BINDINGDB, part, truth, said, drug, protein)
    return rows
