"""Drugs at the door: what may be a molecule, what is said of it, and the command that ranks drugs."""

from __future__ import annotations

import csv
import gzip
from dataclasses import replace
from pathlib import Path

import numpy
import pytest
from typer.testing import CliRunner

from anfinsen.cli import app
from anfinsen.drug.drawing import draw
from anfinsen.drug.molecule import Molecule, parts_of, without_atoms
from anfinsen.drug.reading import read_molecules
from anfinsen.errors import BundleError, InputError, UsageError
from anfinsen.explain.binding import reason
from anfinsen.hub.affinity import AffinityBundle
from anfinsen.inference.affinity import AffinityPredictor
from anfinsen.inference.embedder import Embedder
from anfinsen.reading.kept import Shelf
from anfinsen.reading.library import read_library
from anfinsen.reading.readers import read_examples
from anfinsen.report.drug import track

EXAMPLES = Path(__file__).parents[2] / "examples"


def read(text: str) -> Molecule | InputError:
    (found,) = read_molecules(text)
    return found


@pytest.mark.parametrize(
    ("formula", "reason"),
    [
        ("", "The formula is empty."),
        ("CCÖ", "The formula holds 'Ö' (U+00D6, latin capital letter o with diaeresis), which no SMILES has."),
        ("CCO\nCCC", "A blank or line end stands within the formula; what follows would be lost."),
        ("CCO ethanol", "A blank or line end stands within the formula; what follows would be lost."),
        ("C" * 20_000, "The formula has 20,000 characters; the limit is 2,000."),
        ("C" * 1_999, "It has 1,999 atoms besides hydrogen; the limit is 150."),
        ("[Pt]", "It holds no carbon."),
        ("[H][H]", "It has no atom but hydrogen."),
        ("C*", "It holds '*', which stands for any atom."),
        ("CCO>>CC=O", "This is a reaction, not a molecule."),
        ("CC(C)(C)(C)C", "It is no possible molecule: atom 2 has more bonds than its element can form."),
        ("C1CC", "'C1CC' is no SMILES: rings, brackets or elements do not add up."),
    ],
)
def test_what_is_no_molecule_is_refused_with_its_reason(formula: str, reason: str) -> None:
    found = read(formula)
    assert isinstance(found, InputError)
    assert found.reason == reason and found.remedy


@pytest.mark.parametrize(
    ("formula", "standard", "told"),
    [
        ("CC(=O)[O-].[Na+]", "CC(=O)O", "A salt was removed; left out: sodium ([Na+])."),
        ("CCO.CCCN", "CCCN", "It is a mixture; only the largest organic part is judged; left out: CCO."),
        ("CCO.CCO", "CCO", "The same molecule was written 2 times; it is read once."),
        ("[13CH3]CO", "CCO", "Isotope marks were taken off (13C): models do not tell them apart."),
        ("CC[Hg]Cl", "C[CH2][Hg][Cl]", "It holds a metal (Hg): outside training, so treat it as a guess."),
        ("CCNCPSC", "CCNCPSC", "These letters could also be a peptide; they were read as SMILES, as a drug."),
    ],
)
def test_every_change_is_told(formula: str, standard: str, told: str) -> None:
    found = read(formula)
    assert isinstance(found, Molecule)
    assert found.smiles == standard and told in [message.text for message in found.messages]


def test_one_bad_record_of_a_file_costs_itself_alone(tmp_path: Path) -> None:
    lines = tmp_path / "drugs.smi"
    lines.write_text("CCO ethanol\n# a remark\nC1CC broken\nCC(=O)Oc1ccccc1C(=O)O\taspirin\n", encoding="utf-8")
    first, second, third = read_molecules(lines, is_judged=True)
    assert isinstance(first, Molecule) and first.id == "ethanol"
    assert isinstance(second, InputError) and second.place() == "drugs.smi, line 3 (broken)"
    assert isinstance(third, Molecule) and third.properties["weight"] == pytest.approx(180.16, abs=0.01)
    assert [alert.name for alert in third.alerts] == ["phenol_ester"]
    lines.write_text("CCO x\nOCC x\nCCN x\n", encoding="utf-8")
    *same, other = read_molecules(lines)
    assert all(isinstance(one, Molecule) for one in same) and isinstance(other, InputError)
    assert (other.line, other.reason) == (3, "The name 'x' stands for another molecule on line 1.")
    lines.rename(tmp_path / "drugs.csv")
    with pytest.raises(UsageError, match=r"ending does not say that it holds molecules"):
        list(read_molecules(tmp_path / "drugs.csv"))


def test_a_refusal_names_the_line_of_its_file_whatever_stands_before_it(tmp_path: Path) -> None:
    lines = "\ufeffsmiles name\r\n\r\n# a remark\r\nCCO one\r\n\r\nC1CC two\r\nCCÖ three\r\n"
    ends = "a\n\n\nM  END\n$$$$\nb\n\n\n  3  2\n"
    cells = 'id,smiles\n\n"two\nlines",CCO\nbroken,C1CC\nragged,C,C\nopen,"CC\nlast,CC*\n'
    (tmp_path / "drugs.smi").write_text(lines, encoding="utf-8")
    (tmp_path / "packed.smi.gz").write_bytes(gzip.compress(lines.encode()))
    (tmp_path / "drugs.sdf").write_text(ends, encoding="utf-8")
    (tmp_path / "drugs.csv").write_text(cells, encoding="utf-8")
    for name in ("drugs.smi", "packed.smi.gz"):
        refused = [one for one in read_molecules(tmp_path / name) if isinstance(one, InputError)]
        assert [(one.row, one.line, one.record) for one in refused] == [(2, 6, "two"), (3, 7, "three")]
        assert [one.place() for one in refused] == [f"{name}, line 6 (two)", f"{name}, line 7 (three), position 3"]
    assert [one.line for one in read_molecules(tmp_path / "drugs.sdf") if isinstance(one, InputError)] == [1, 6]
    found = [one for one in Shelf(None).read(list(read_library(tmp_path / "drugs.csv"))) if isinstance(one, InputError)]
    assert [(one.row, one.line) for one in found] == [(1, 3), (2, 5), (3, 6), (4, 7), (5, 8)]


def test_an_sdf_record_says_what_its_smiles_says(tmp_path: Path) -> None:
    atoms = "".join(f"    0.0000    0.0000    0.0000 {symbol:<3} 0  0\n" for symbol in "CCO")
    counts = "  3  2  0  0  0  0            999 V2000\n"
    block = f"ethanol\n  made by hand\n\n{counts}{atoms}  1  2  1  0\n  2  3  1  0\nM  END\n"
    path = tmp_path / "drugs.sdf"
    path.write_text(f"{block}$$$$\ncut\n\n\n  3  2\n$$$$\n", encoding="utf-8")
    good, bad = read_molecules(path)
    alone = read("OCC")
    assert isinstance(good, Molecule) and isinstance(alone, Molecule) and isinstance(bad, InputError)
    assert good.smiles == alone.smiles and (good.fragments == alone.fragments).all()
    assert bad.reason == "The record does not end with 'M  END': it was cut off." and bad.record == "cut"


def test_a_drawing_shows_weights_and_no_text() -> None:
    found = read("CC(=O)Oc1ccccc1C(=O)O")
    assert isinstance(found, Molecule) and len(without_atoms(found)) == found.heavy_atoms == 13
    plain, weighed = draw(found.smiles), draw(found.smiles, [1.0] + [0.0] * 12)
    assert plain.startswith("<svg") and "<script" not in plain and weighed.count("ellipse") > plain.count("ellipse")
    assert track(numpy.array([1.0, 1.0, -0.5])).count("<rect") == 2


def test_the_command_ranks_kinase_drugs_above_aspirin(tmp_path: Path) -> None:
    drugs = tmp_path / "drugs.smi"
    drugs.write_text((EXAMPLES / "kinase_drugs.smi").read_text(encoding="utf-8") + "CCÖ x\n", encoding="utf-8")
    words = ["affinity", "--protein", str(EXAMPLES / "egfr.fasta"), "--drug", str(drugs), "--out", str(tmp_path / "o")]
    result = CliRunner().invoke(app, [*words, "--reasons", "1", "--threads", "1", "--explain", "--pocket", "743,745"])
    assert result.exit_code == 3, result.output
    said = " ".join(result.output.split())
    assert "The pocket of EGFR is taken to be A743, K745." in said and "Taking away in order of weight:" in said
    with (tmp_path / "o" / "affinity.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0])[:5] == ["protein", "drug", "pkd", "low", "high"]
    assert {rows[0]["drug"], rows[1]["drug"]} == {"erlotinib", "gefitinib"} and rows[2]["drug"] == "aspirin"
    assert all(float(row["low"]) < float(row["pkd"]) < float(row["high"]) for row in rows)
    assert [row["measured"] for row in rows] == ["true", "true", "false"] and rows[2]["far"] == "true"
    assert {row["nearest_protein"] for row in rows} == {"EGFR"} and rows[0]["drug_likeness"] == "1.0"
    page = (tmp_path / "o" / "report.html").read_text(encoding="utf-8")
    assert "This very pair was seen in training." in page and "<script" not in page and page.count("<svg") == 2
    with (tmp_path / "o" / "reasons.csv").open(encoding="utf-8", newline="") as file:
        reasons = list(csv.DictReader(file))
    assert {row["drug"] for row in reasons} == {rows[0]["drug"]} and [row["kind"] for row in reasons].count(
        "residue"
    ) == 1210
    assert "Taking away in order of weight" in page and "The pocket of EGFR is taken to be A743, K745." in page
    assert "How good such answers are" in page and "the protein is new" in page and "drug only 0." in page
    assert "drugs.smi" in (tmp_path / "o" / "refused.csv").read_text(encoding="utf-8")


def test_a_reason_has_a_weight_for_each_atom_and_residue_and_says_how_far_to_believe_it() -> None:
    (example,) = read_examples(str(EXAMPLES / "egfr.fasta"))
    found = read("COc1cc2ncnc(Nc3ccc(F)c(Cl)c3)c2cc1OCCCN1CCOCC1")
    assert not isinstance(example, InputError) and isinstance(found, Molecule)
    predictor = AffinityPredictor.load()
    quick, judged = (reason(predictor, example.protein, found, orders=orders) for orders in (0, 20))  # type: ignore[union-attr]
    assert len(judged.atoms.weights) == found.heavy_atoms and len(judged.residues.weights) == 1210
    assert (quick.atoms.weights == judged.atoms.weights).all() and not quick.is_judged and judged.is_judged
    atoms, residues = (one.faithfulness for one in (judged.atoms, judged.residues))
    assert atoms is not None and residues is not None and atoms.low < atoms.high and residues.is_faithful
    *aromatic, morpholine = (judged.atoms.weights[part] for part in parts_of(found) if len(part) > 5)
    assert numpy.concatenate(aromatic).mean() > morpholine.mean(), "the quinazoline holds on, the morpholine dissolves"


def test_states_of_another_language_model_than_it_learnt_from_are_refused() -> None:
    embedded = AffinityBundle.load()
    stranger = replace(embedded, record=embedded.record.replaced(backbone_sha256="0"))
    with pytest.raises(BundleError, match="learnt from the states of another language model than 'anfinsen-xs'"):
        AffinityPredictor(stranger, Embedder.load(per="residue"))
