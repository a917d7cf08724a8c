"""The benchmark of drugs on tables made here: every split has its rows, its probes beside it, and its names."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy
import polars
import pytest

from anfinsen.bench import binders, drug, screening, unseen
from anfinsen.bench.suite import suites
from anfinsen.data.example import Example
from anfinsen.hub.bundle import Bundle
from anfinsen.hub.record import Score
from anfinsen.inference.screening import open_predictor
from anfinsen.models.network import Network
from anfinsen.reading.readers import read_examples
from anfinsen.sets.binders import COLUMNS, fep_series
from anfinsen.sets.screening import Target
from anfinsen.structure.protein import Protein
from anfinsen.training.affinity import AffinityConfig
from anfinsen.training.affinity_network import NetworkConfig

PROBES = {"drug only", "protein only", "nearest neighbour", "KronRLS", "KronRLS, likeness squared"}
NAME = "anfinsen-tiny affinity"
EXAMPLES = Path(__file__).parents[2] / "examples"


def write(folder: Path, **tables: dict[str, list]) -> None:
    folder.mkdir()
    for name, columns in tables.items():
        polars.DataFrame(columns).write_parquet(folder / f"{name}.parquet")


@pytest.fixture
def tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Aromatic drugs bind proteins rich in W, chains bind those rich in K: who binds whom is told by both sides."""
    draw = numpy.random.default_rng(6)
    smiles = [f"c1ccc({'C' * (at + 1)}O)cc1" for at in range(12)] + [f"{'C' * (at + 3)}N" for at in range(12)]
    chains = ["".join(draw.choice([*"ACDEFGHIKLMNPQRSTVWY", *("WK"[at % 2] * 12)], 60)) for at in range(16)]
    one, other = (side.ravel() for side in numpy.indices((24, 16)))
    binds = (one < 12) == (other % 2 == 0)
    value = 6 + 2.0 * binds + draw.normal(0, 0.2, len(one))
    ids = {"drug_id": [f"d{at}" for at in range(24)], "smiles_canonical": smiles, "smiles_isomeric": smiles}
    pairs = {"drug_idx": one, "target_idx": other}
    measured = {**pairs, "affinity": value, "fold": draw.integers(-1, 5, len(one))}
    for name in ("davis", "kiba"):
        targets = {"target_id": [f"t{at}" for at in range(16)], "sequence": chains}
        write(tmp_path / f"dta_{name}", pairs=measured, drugs=ids, targets=targets)
    kinds = {column: draw.choice(["train", "test"], len(one), p=[0.7, 0.3]) for column in COLUMNS.values()}
    cold = numpy.where((one % 4 == 0) & (other % 8 < 2), "target_test", "source_train")
    labels = {**pairs, "label": binds.astype(int), **kinds, "drugban_cluster": cold}
    write(
        tmp_path / "dti_biosnap", pairs=labels, drugs={"smiles": [*smiles[:-1], "[Na]"]}, targets={"sequence": chains}
    )
    rows = {"SMILES": [smiles[at] for at in one] + ["CCCCCCCCCCCCCCCO"] * 2, "Protein": [chains[at] for at in other]}
    rows |= {"Protein": [*rows["Protein"], chains[0], "MKWVTFISLLKKK"], "Y": [*binds.astype(int).tolist(), 0, 1]}
    write(tmp_path / "dti_bindingdb_partial", random_val=rows, cluster_target_test=rows)
    like = [f"{'C' * (at + 2)}Cl" for at in range(6)]
    energies = {"smiles": like * 2, "system": ["a"] * 6 + ["b"] * 6, "dG_kcal_mol": [-at / 2 for at in range(12)]}
    folds = {"system": ["a", "a", "b"], "seq": ["MK", *chains[:2]], "length": [2, 60, 60]}
    write(tmp_path / "fep_benchmark", ligands=energies, proteins=folds)
    monkeypatch.setenv("ANFINSEN_DATA", str(tmp_path))
    small = NetworkConfig(steps=20, width=8, size=16, rounds=1, rarest=1)
    quick = partial(AffinityConfig, trees=20, doubts=5, parts=3, drug_axes=3, protein_axes=4, network=small)
    monkeypatch.setattr(drug, "AffinityConfig", quick)
    monkeypatch.setattr(unseen, "AffinityConfig", quick)
    return tmp_path


def figures(rows: list[Score], split: str, metric: str) -> dict[str, float]:
    return {row.model: row.value for row in rows if (row.split, row.metric, row.published) == (split, metric, False)}


def test_each_split_of_affinities_has_its_name_its_probes_and_published_figures(
    tables: Path, tiny_network: Network
) -> None:
    told: list[str] = []
    rows = drug.davis_rows(Bundle("anfinsen-tiny", tiny_network), limit=None, tell=told.append)
    splits = {"davis", "davis-cold-drug", "davis-cold-target", "davis-both-cold"}
    assert {row.split for row in rows} == splits and {row.suite for row in rows} == {"drug"}
    for split in splits:
        found = figures(rows, split, "CI")
        assert set(found) >= PROBES | {NAME, "mean"} and found["mean"] == 0.5
        assert figures(rows, split, "coverage").keys() == {NAME}
        assert (f"{NAME}{drug.ALONE}" in found) == (f"{NAME}{drug.WITHOUT}" in found) == (split == "davis")
    assert figures(rows, "davis", "CI")[NAME] > figures(rows, "davis", "CI")["drug only"] + 0.1
    assert {row.model for row in rows if row.published} == {"DeepDTA", "GraphDTA", "MSGNN-DTA"}
    assert {row.split for row in rows if row.published} == {"davis"}
    ends = [(row.low, row.high) for row in rows if not row.published]
    assert numpy.isfinite(numpy.array(ends, dtype=float)).all(), "who says the same of all has no rm2 and no row"
    assert sum("better than KronRLS, paired" in sentence for sentence in told) == 12
    assert sum("better than KronRLS, likeness squared, paired" in sentence for sentence in told) == 12


def test_binders_are_scored_on_every_split_and_what_is_missing_is_told(tables: Path, tiny_network: Network) -> None:
    told: list[str] = []
    rows = binders.biosnap_rows(Bundle("anfinsen-tiny", tiny_network), limit=None, tell=told.append)
    assert {row.split for row in rows} == {f"biosnap-{kind}" for kind in COLUMNS}
    assert figures(rows, "biosnap-random", "AUROC").keys() == PROBES | {NAME}
    assert figures(rows, "biosnap-random", "AUROC")[NAME] > 0.9
    assert any(sentence.startswith("1 drugs (16 pairs) are refused") for sentence in told)
    assert any("share a drug or a protein with the test and are left out" in sentence for sentence in told)


def test_models_answer_other_tables_about_strangers_beside_weight_and_fat(tables: Path, tiny_network: Network) -> None:
    assert [(one.name, len(one.smiles), len(one.protein)) for one in fep_series(5)] == [("a", 6, 60), ("b", 6, 60)]
    told: list[str] = []
    rows = unseen.unseen_rows(Bundle("anfinsen-tiny", tiny_network), limit=None, tell=told.append)
    ranks = figures(rows, "fep-unseen", "Spearman")
    assert {f"{NAME}, learnt from {name}" for name in ("Davis", "KIBA", "BIOSNAP")} <= set(ranks)
    assert ranks["molecular weight"] == pytest.approx(1) and ranks["drug only, KIBA"] <= 1
    assert {row.n for row in rows if row.split == "fep-unseen"} == {2}
    outside = [row for row in rows if row.dataset == "bindingdb"]
    assert {row.split for row in outside} == {"bindingdb-random", "bindingdb-cluster"}
    assert {row.n for row in outside} == {18}, "sixteen pairs with a drug that was refused there, two with a new drug"


def test_series_of_a_taught_protein_are_kept_apart_from_those_of_a_new_one(tables: Path) -> None:
    draw, series = numpy.random.default_rng(9), fep_series(5)
    chain = series[0].protein.sequence
    stranger = Protein("stranger", "".join(draw.choice([*"ACDEFGHIKLMNPQRSTVWY"], 60)))
    assert unseen.known_proteins(series, [Protein("mutant", f"MK{chain[2:]}"), stranger]) == {"a"}
    assert unseen.known_proteins(series, [stranger]) == set()
    ligands, told = unseen.read_known([text for one in series for text in one.smiles]), list[str]()
    rows = unseen.fep_rows(series * 2, ligands, {"weight": [numpy.arange(6.0)] * 4}, set(), {"a"}, told.append)
    assert {row.split: row.n for row in rows} == {"fep-unseen": 4, "fep-new-protein": 2}
    assert all(row.value == pytest.approx(1) for row in rows)


def test_the_suite_holds_every_study_of_affinity_and_screening() -> None:
    names = {one.name for one in suites()["drug"]}
    assert {"affinity-davis", "affinity-kiba", "affinity-biosnap", "affinity-unseen", "screen", "screen-rate"} <= names


def test_a_screen_is_judged_without_the_binders_that_it_knows() -> None:
    (egfr,) = (one for one in read_examples(str(EXAMPLES / "egfr.fasta")) if isinstance(one, Example))
    known = ["COc1cc2ncnc(Nc3ccc(F)c(Cl)c3)c2cc1OCCCN1CCOCC1", "C#Cc1cccc(Nc2ncnc3cc(OCCOC)c(OCCOC)cc23)c1"]
    quinazolines = [
        f"COc1cc2ncnc(Nc3cccc({halogen})c3)c2cc1O{'C' * at}" for halogen in ("Br", "I") for at in range(1, 5)
    ]
    others = [f"{'C' * (at + 3)}Nc1ccsc1" for at in range(8)]
    smiles = (*known, *quinazolines, *others)
    active = numpy.arange(len(smiles)) < len(known) + len(quinazolines)
    stranger = Protein("stranger", "MKTAYIAKQRQISFVKSHFSRQ" * 3)
    targets = [Target(one.id, one, True, smiles, active, numpy.ones(len(smiles))) for one in (egfr.protein, stranger)]
    found, foreign = screening.judge(targets, open_predictor(), "anfinsen-tiny screen")
    assert not found.kept[:2].any() and found.kept[10:].all() and found.kept[2:10].sum() >= len(quinazolines) - 5
    assert set(found.said) == {
        "anfinsen-tiny screen", "affinity", "likeness to 5 known", "like any drug", "random", "properties alone",
    }  # fmt: skip
    assert found.score("AUROC", "anfinsen-tiny screen") == 1.0 and len(found.binders) > 10
    assert (found.said["like any drug"] >= found.said["anfinsen-tiny screen"] - 1e-3).all()
    assert not len(foreign.binders) and foreign.kept.sum() == len(smiles) - 5
    assert (foreign.said["anfinsen-tiny screen"] == foreign.said["affinity"]).all()
