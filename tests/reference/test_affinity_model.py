"""The affinity model's parts against other people's: ridge, trees, splits, and the bundle's round trip."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy
import pytest
from sklearn.decomposition import KernelPCA
from sklearn.ensemble import HistGradientBoostingRegressor

from anfinsen.bench.drug import answers, probes
from anfinsen.errors import BundleError
from anfinsen.hub.affinity import AffinityBundle, AffinityRecord
from anfinsen.hub.record import Score
from anfinsen.models.binding import REGIMES
from anfinsen.models.likeness import Axes
from anfinsen.models.memory import Likeness, Memory, kron_ridge
from anfinsen.models.trees import Trees
from anfinsen.sets.affinity import SPLITS, Affinities, drug_groups, protein_groups, split
from anfinsen.sets.binders import biosnap, biosnap_split
from anfinsen.sets.catalog import data_folder
from anfinsen.structure.protein import Protein
from anfinsen.training.affinity import AffinityConfig, Sides, deal, fit
from anfinsen.training.affinity_bundle import Prepared

DRAW = numpy.random.default_rng(5)


def likeness(count: int) -> numpy.ndarray:
    points = DRAW.normal(size=(count, 4)).astype(numpy.float32)
    points /= numpy.linalg.norm(points, axis=1, keepdims=True)
    return points @ points.T


def test_the_ridge_solves_the_kronecker_system_whether_all_pairs_are_known_or_not() -> None:
    ways = ((6, 7), 1.0), ((6, 7), 0.7), ((40, 50), 0.02), ((50, 40), 0.02)  # all known, some, few of either shape
    for shape, share in ways:
        drugs, proteins = likeness(shape[0]), likeness(shape[1])
        values = DRAW.normal(size=shape).astype(numpy.float32)
        known = (DRAW.random(shape) < share).astype(numpy.float32)
        weights = kron_ridge(values * known, known, drugs, proteins, hold=0.3, steps=500)
        flat = known.ravel() > 0
        system = numpy.kron(drugs, proteins)[flat][:, flat] + 0.3 * numpy.eye(int(flat.sum()))
        assert weights.ravel()[flat] == pytest.approx(numpy.linalg.solve(system, values.ravel()[flat]), abs=2e-3)
        assert not weights[known == 0].any()


def test_trees_as_arrays_say_what_scikit_learn_says_with_gaps_too() -> None:
    rows = DRAW.normal(size=(400, 5)).astype(numpy.float32)
    rows[DRAW.random(rows.shape) < 0.2] = numpy.nan
    truth = numpy.nan_to_num(rows[:, 0]) * 2 + DRAW.normal(size=400) * 0.1
    grown = HistGradientBoostingRegressor(max_iter=30, random_state=0).fit(rows, truth)
    assert Trees.grown(grown).predict(rows) == pytest.approx(grown.predict(rows), abs=1e-4)


def test_axes_are_those_of_kernel_pca() -> None:
    for count in (12, 200):  # all directions, and these alone
        alike = likeness(count)
        theirs = KernelPCA(3, kernel="precomputed").fit_transform(alike)
        assert numpy.abs(Axes.fit(alike, 3).place(alike)) == pytest.approx(numpy.abs(theirs), abs=1e-3)


def affinities() -> Affinities:
    chains = ["".join(DRAW.choice(list("ACDEFGHIKLMNPQRSTVWY"), 120)) for _ in range(24)]
    chains[1] = chains[0][:60] + "W" + chains[0][61:]  # a mutant
    drug, protein = (part.ravel() for part in numpy.indices((20, 24)))
    flat = tuple(f"C{at // 2}" for at in range(20))  # two hands of each drug
    proteins = tuple(Protein(f"p{at}", chain) for at, chain in enumerate(chains))
    names = tuple(f"d{at}" for at in range(20))
    value = DRAW.normal(6, 1, len(drug)) + (drug % 5)
    return Affinities(names, names, flat, proteins, drug, protein, value, DRAW.integers(-1, 5, len(drug)))


FOUND = affinities()


def sides(found: Affinities) -> Sides:
    groups = drug_groups(found), protein_groups(found)
    fragments = (DRAW.random((len(found.drug_ids), 64)) < 0.3).astype(numpy.float32)
    profiles = DRAW.random((len(found.proteins), 30)).astype(numpy.float32)
    profiles /= numpy.linalg.norm(profiles, axis=1, keepdims=True)
    return Sides(fragments, profiles, DRAW.normal(size=(len(found.proteins), 6)).astype(numpy.float32), *groups)


@pytest.mark.parametrize("kind", SPLITS)
def test_a_cold_side_shares_nothing_with_training(kind: str) -> None:
    dealt, groups = split(FOUND, kind), (drug_groups(FOUND), protein_groups(FOUND))
    assert groups[1][0] == groups[1][1] and len(set(groups[0].tolist())) == 10
    assert (split(FOUND, kind).names == dealt.names).all()
    train, test = dealt.rows("train"), dealt.rows("test")
    assert len(train) and len(test)
    for group, places, cold in zip(groups, (FOUND.drug, FOUND.protein), ("drug", "target"), strict=True):
        shared = set(group[places[train]].tolist()) & set(group[places[test]].tolist())
        assert not shared if kind in (f"cold-{cold}", "both-cold") else shared


@pytest.mark.parametrize("regime", REGIMES)
def test_no_posed_pair_finds_itself_or_its_new_side_in_the_memory(regime: str) -> None:
    known, pairs = sides(FOUND), numpy.stack((FOUND.drug, FOUND.protein), 1)
    posed = []
    for _, source, held in deal(regime, pairs, known, AffinityConfig(parts=3)):  # type: ignore[arg-type]
        assert not set(source.tolist()) & set(held.tolist())
        if regime in ("new drug", "both new"):
            assert not set(known.drug_groups[pairs[source, 0]]) & set(known.drug_groups[pairs[held, 0]])
        if regime in ("new protein", "both new"):
            assert not set(known.protein_groups[pairs[source, 1]]) & set(known.protein_groups[pairs[held, 1]])
        posed += held.tolist()
    assert sorted(posed) == list(range(len(pairs)))


def test_a_model_learns_its_drugs_and_survives_its_folder(tmp_path: Path) -> None:
    known = sides(FOUND)
    config = AffinityConfig(parts=3, trees=30, doubts=5, drug_axes=3, protein_axes=4)
    model = fit(known, FOUND.drug, FOUND.protein, FOUND.value, config=config)
    words = numpy.zeros(30, numpy.float32)
    record = AffinityRecord(
        name="tiny", table="t", unit="pKd", licence="none", backbone_sha256="", drugs={}, proteins={}, trained_on=480,
        data_sha256="", settings={},
    )  # fmt: skip
    bundle = AffinityBundle(record, model, words, words, words)
    bundle.save(tmp_path / "one")
    opened = AffinityBundle.load(tmp_path / "one")
    pairs = numpy.stack((FOUND.drug, FOUND.protein), 1)[::7]
    whole = numpy.arange(20), numpy.arange(24)
    strangers = tuple(numpy.full(len(one), -1) for one in whole)
    widths = []
    for owns in (whole, strangers):
        said = [
            one.predict(*one.likeness(known.fragments, known.profiles, known.states, *owns), pairs)
            for one in (model, opened.model)
        ]
        assert said[0].value == pytest.approx(said[1].value, abs=0.2) and said[0].regime.max() == said[1].regime.min()
        widths.append(said[1].reach.mean())
    assert numpy.corrcoef(said[0].value, FOUND.value[::7])[0, 1] > 0
    assert widths[1] > widths[0], "an answer about two strangers deserves a wider interval"
    figure = Score(
        suite="drug", task="affinity", dataset="t", split="t", metric="CI", model=opened.label, value=0.9, low=0.8,
        high=0.95, n=480,
    )  # fmt: skip
    for value in (0.5, 0.9):  # a newer answer to the same question takes the place of the older one
        opened = opened.with_scores([figure.replaced(value=value), figure.replaced(suite="sequence")])
    opened.save(tmp_path / "one")
    assert AffinityBundle.load(tmp_path / "one").records["affinity"].scores == (figure,) and figure.is_ours
    card = (tmp_path / "one" / "README.md").read_text(encoding="utf-8")
    assert f"| t | CI | {opened.label} | 0.900 | 0.800 to 0.950 | 480 |" in card
    damaged = tmp_path / "one" / "affinity.safetensors"
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"?")
    with pytest.raises(BundleError, match="is damaged"):
        AffinityBundle.load(tmp_path / "one")


def test_targets_that_share_a_sequence_are_also_judged_by_it_alone() -> None:
    chains = list(FOUND.proteins)
    chains[3] = Protein("phosphorylated", chains[2].sequence)
    shared = Affinities(**{**vars(FOUND), "proteins": tuple(chains)})
    dealt = split(shared, "official")
    blank = numpy.zeros(0, numpy.float32)
    ready = Prepared(shared, numpy.arange(len(shared.value)), sides(shared), (), blank, blank, blank)
    said, inside = answers(
        ready, numpy.flatnonzero(dealt.names != "test"), dealt.rows("test"), "both known", lambda sentence: None
    )
    assert {"drug only", "protein only", "nearest neighbour", "KronRLS", "mean", "model"} < set(said)
    differs = said["model"] != said["model, by sequence"]
    assert differs.any() and set(shared.protein[dealt.rows("test")][differs].tolist()) == {3}
    assert inside.shape == said["model"].shape


def test_probes_see_one_side_and_treat_both_sides_alike() -> None:
    known = sides(FOUND)
    config = AffinityConfig(parts=3, trees=5, doubts=2, drug_axes=2, protein_axes=4)
    model = fit(known, FOUND.drug, FOUND.protein, FOUND.value, config=config, regimes=("both known",))
    own = numpy.arange(20), numpy.arange(24)
    drugs, proteins = model.likeness(known.fragments, known.profiles, known.states, *own)
    pairs = numpy.argwhere(numpy.ones((20, 24)))
    said = {name: value.reshape(20, 24) for name, value in probes(model, drugs, proteins, pairs).items()}
    assert numpy.ptp(said["drug only"], axis=1).max() == 0 == numpy.ptp(said["protein only"], axis=0).max()
    old = model.memory
    turned = replace(model, memory=Memory(old.values.T, old.known.T, old.mean, old.ridge.transpose(0, 2, 1)))
    mirrored = probes(turned, Likeness(proteins.kinds[:1], own[1]), Likeness(drugs.kinds, own[0]), pairs[:, ::-1])
    for one, other in (("drug only", "protein only"), ("protein only", "drug only"), ("KronRLS", "KronRLS")):
        assert mirrored[one].reshape(20, 24) == pytest.approx(said[other], abs=1e-4)
    assert said["nearest neighbour"] == pytest.approx(FOUND.value.reshape(20, 24), abs=1e-4), "the pair itself"


def test_a_table_without_some_drugs_keeps_the_pairs_of_the_others() -> None:
    kept, rows = FOUND.of_drugs(numpy.array([2, 5]))
    assert kept.drug_ids == ("d2", "d5") and set(FOUND.drug[rows].tolist()) == {2, 5}
    assert [kept.drug_ids[at] for at in kept.drug] == [FOUND.drug_ids[at] for at in FOUND.drug[rows]]
    assert (kept.value == FOUND.value[rows]).all()


@pytest.mark.skipif(not data_folder().is_dir(), reason="the public tables are not on this machine")
def test_both_sides_of_the_cluster_split_of_biosnap_are_new() -> None:
    found = biosnap()
    dealt = biosnap_split(found, "cluster")
    taught, asked = dealt.rows("train"), dealt.rows("test")
    assert len(asked) == 907 and len(taught) > 10_000
    for side in (found.drug, found.protein):
        assert not set(side[taught].tolist()) & set(side[asked].tolist())
