"""Suggested molecules: they exist, they are like the seed, no rule is broken, and the same question has one answer."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from rdkit import Chem, DataStructs
from rdkit.Chem import rdFingerprintGenerator
from typer.testing import CliRunner

from anfinsen.cli import app
from anfinsen.drug.evolution import PIECES, STEPS, changed_atoms, vary
from anfinsen.drug.molecule import Molecule
from anfinsen.drug.reading import read_molecules
from anfinsen.inference import redesign
from anfinsen.inference.redesign import HYPOTHESIS, Redesigner
from anfinsen.inference.screening import open_predictor
from anfinsen.reading.readers import read_examples

EXAMPLES = Path(__file__).parents[2] / "examples"
SEED = "COc1cc2ncnc(Nc3ccc(F)c(Cl)c3)c2cc1OC"


def tanimoto(one: str, other: str) -> float:
    maker = rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=2048)
    return float(
        DataStructs.TanimotoSimilarity(*(maker.GetFingerprint(Chem.MolFromSmiles(text)) for text in (one, other)))
    )


def test_children_are_molecules_in_their_standard_form_and_drawn_by_a_seed() -> None:
    found = vary([SEED], 120, 3)
    assert found == vary([SEED], 120, 3) and found != vary([SEED], 120, 4)
    assert len({smiles for smiles, _, _ in found}) == len(found) == 120
    assert all(Chem.MolToSmiles(Chem.MolFromSmiles(smiles)) == smiles and "." not in smiles for smiles, _, _ in found)
    patterns = [Chem.MolFromSmarts(text) for text in ("[N,O]-!@[N,O;!$([N+])]", "[O;X1-]")]
    assert not any(Chem.MolFromSmiles(smiles).HasSubstructMatch(one) for smiles, _, _ in found for one in patterns)


@pytest.mark.parametrize(
    ("seed", "step", "child"),
    [
        ("Cc1ccccc1", "methyl to trifluoromethyl", "FC(F)(F)c1ccccc1"),
        ("O=C(O)c1ccccc1", "acid to tetrazole", "c1ccc(-c2nnn[nH]2)cc1"),
        ("CC(=O)Nc1ccccc1", "amide turned round", "CNC(=O)c1ccccc1"),
        ("COC(=O)c1ccccc1", "ester to amide", "CNC(=O)c1ccccc1"),
        ("c1ccccc1", "ring carbon to nitrogen", "c1ccncc1"),
        ("Clc1ccccc1", "halogen to nitrile", "N#Cc1ccccc1"),
    ],
)
def test_a_step_does_what_its_name_says(seed: str, step: str, child: str) -> None:
    assert (child, 0, step) in vary([seed], 400, 1)


def test_every_step_and_piece_can_be_read_and_has_its_reason() -> None:
    assert all(step.reason and Chem.MolFromSmarts(step.pattern.split(">>")[0]) for step in STEPS.values())
    assert all(Chem.MolFromSmiles(piece) is not None for piece in PIECES)


def test_what_changed_is_what_is_marked() -> None:
    marks = changed_atoms("c1ccccc1C", "Fc1ccccc1C")
    assert marks == [1.0] + [0.0] * 7


def test_a_search_keeps_its_rules_and_repeats_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redesign, "CHILDREN", 60)
    (example,) = read_examples(str(EXAMPLES / "egfr.fasta"))
    (seed,) = read_molecules(SEED, is_judged=True)
    assert isinstance(seed, Molecule)
    predictor = open_predictor()
    found, again = (
        Redesigner(predictor, example.protein, seed, alike=0.5).search(4, 1)  # type: ignore[union-attr]
        for _ in range(2)
    )
    assert [one.idea.molecule.smiles for one in found.suggestions] == [
        one.idea.molecule.smiles for one in again.suggestions
    ]
    assert found.suggestions and found.judged == 60 and sum(found.passed_over.values()) > 0
    lows = [one.idea.answer["low"] for one in found.suggestions]
    assert lows == sorted(lows, reverse=True)
    for one in found.suggestions:
        molecule = one.idea.molecule
        assert (
            tanimoto(molecule.smiles, seed.smiles) == pytest.approx(one.idea.alike, abs=1e-3) and one.idea.alike >= 0.5
        )
        assert {alert.name for alert in molecule.alerts} <= {alert.name for alert in seed.alerts}
        assert molecule.properties["synthesis"] <= seed.properties["synthesis"] + 1
        assert one.low < one.gain < one.high and one.claim.endswith(HYPOTHESIS) and one.reason.endswith(".")
        assert one.gain == pytest.approx(one.idea.answer["value"] - found.seed.answer["value"])


def test_the_command_says_hypothesis_and_shows_the_seeds_alerts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redesign, "CHILDREN", 60)
    seed = tmp_path / "seed.smi"
    seed.write_text("COc1cc2ncnc(Nc3ccc([N+](=O)[O-])cc3)c2cc1OC.Cl nitro\n", encoding="utf-8")
    words = [
        "propose-drug",
        "--target",
        str(EXAMPLES / "egfr.fasta"),
        "--seed",
        str(seed),
        "--out",
        str(tmp_path / "o"),
    ]
    result = CliRunner().invoke(app, [*words, "--rounds", "1", "--count", "2", "--threads", "1"])
    assert result.exit_code == 0, result.output
    assert HYPOTHESIS in " ".join(result.output.split()) and "A salt was removed" in result.output
    with (tmp_path / "o" / "suggestions.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 and list(rows[0])[:5] == ["protein", "drug", "pkd", "low", "high"]
    page = (tmp_path / "o" / "report.html").read_text(encoding="utf-8")
    assert page.count("<figure><svg") == 3 and "nitro_group" in page and "<script" not in page


def test_a_seed_that_is_no_molecule_is_refused_without_a_search(tmp_path: Path) -> None:
    words = ["propose-drug", "--target", str(EXAMPLES / "egfr.fasta"), "--seed", "C" * 20_000, "--out", str(tmp_path)]
    result = CliRunner().invoke(app, words)
    assert result.exit_code != 0 and "20,000 characters" in str(result.exception)
