"""`anfinsen fold`: from a file of sequences to structures, tables, a page, and a list of what was refused."""

from __future__ import annotations

import csv
import json
import xml.etree.ElementTree as tree
from pathlib import Path

import numpy
import pytest
import torch
from typer.testing import CliRunner

import anfinsen
from anfinsen.cli import app
from anfinsen.drawing.fold import chain_picture, confidence_strip, contact_map, error_map, legend
from anfinsen.errors import InputError
from anfinsen.hub.bundle import Bundle
from anfinsen.hub.record import TaskRecord
from anfinsen.inference.fold import Fold
from anfinsen.models.encoder import Encoder, EncoderConfig
from anfinsen.models.network import HeadShape, NativeBody, Network
from anfinsen.reading.readers import read_proteins
from anfinsen.sets.coordinates import called
from anfinsen.sets.known_structures import known_structures
from anfinsen.structure.confidence import BANDS
from anfinsen.structure.lending import KEYS, START
from anfinsen.tasks import TASKS

SEQUENCE = "MKELLKKAEELGVSPEELKKVLEA"


pytestmark = pytest.mark.usefixtures("short_search")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle that folds, with random weights."""
    torch.manual_seed(1)
    config, shape = EncoderConfig(layers=1, dim=16, heads=2, inner_dim=32), TASKS["contacts"].shape
    heads = {"masked": HeadShape("masked", config.vocabulary), "contacts": shape}
    network = Network(NativeBody(Encoder(config), config.dim, config.longest), heads).eval()
    records = {
        "masked": TaskRecord(kind="masked", size=config.vocabulary),
        "contacts": TaskRecord(kind=shape.kind, size=shape.size),
    }
    place = tmp_path_factory.mktemp("bundle") / "tiny-fold"
    Bundle("tiny-fold", network, records).save(place)
    return place


@pytest.fixture(scope="module")
def answer(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    here = tmp_path_factory.mktemp("fold")
    text = f">one <b>bold</b>\n{SEQUENCE}\n>long\n{'MKTAYIAKQR' * 120}\n>unknown\nMKV{'X' * 60}KLMAAAA\n"
    (here / "a.fasta").write_text(text)
    result = CliRunner().invoke(
        app, ["fold", str(here / "a.fasta"), "--out", str(here / "out"), "--bundle", str(folder), "--threads", "1"]
    )
    assert result.exit_code == 3, result.output
    assert "pLDDT is" in result.output and "Refused" in result.output
    return here / "out"


def test_every_file_of_a_fold_is_there_and_can_be_read(answer: Path) -> None:
    (line,) = map(json.loads, (answer / "folds.jsonl").read_text().splitlines())
    place = answer / line["folder"]
    names = {"model.cif", "model.pdb", "pae.json", "contacts.csv", "distogram.npz", "chain.svg"}
    assert {path.name for path in place.iterdir()} == names
    for name in ("model.cif", "model.pdb"):
        (protein,) = read_proteins(str(place / name))
        assert not isinstance(protein, InputError) and protein.sequence == SEQUENCE
        assert protein.backbone is not None and protein.backbone.origin == "predicted"
        assert numpy.allclose(protein.backbone.confidence, line["plddt"], atol=0.011)
    (matrix,) = json.loads((place / "pae.json").read_text())
    assert numpy.array(matrix["predicted_aligned_error"]).shape == (len(SEQUENCE),) * 2
    arrays = numpy.load(place / "distogram.npz")
    assert numpy.allclose(arrays["probabilities"].astype(float).sum(-1), 1, atol=0.01)
    assert sum(line["bands"].values()) == pytest.approx(1, abs=1e-3) and line["sentence"] and line["messages"]
    tree.parse(place / "chain.svg")


def test_what_is_not_folded_is_listed_with_a_remedy(answer: Path) -> None:
    with (answer / "refused.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["record"] for row in rows] == ["long", "unknown"]
    assert all(row["reason"] and row["remedy"] for row in rows)


def test_the_page_asks_nothing_of_anybody_and_says_what_it_is(answer: Path) -> None:
    page = (answer / "fold.html").read_text()
    assert "default-src &#39;none&#39;" in page and "<script" not in page and "<b>bold</b>" not in page
    assert page.count("<svg") == 5 and "nobody has measured it" in page
    assert all(one.word in page and one.colour in page for one in BANDS)
    assert "http" not in page.replace("http://www.w3.org/2000/svg", "").replace("http-equiv", "")


def test_the_door_folds_one_or_many_and_company_changes_nothing(folder: Path) -> None:
    alone = anfinsen.fold(SEQUENCE, bundle=folder)
    assert isinstance(alone, Fold)
    both = anfinsen.fold([SEQUENCE[:12], SEQUENCE], bundle=folder)
    assert isinstance(both, list)
    assert numpy.allclose(alone.backbone.alphas, both[1].backbone.alphas, atol=1e-3)
    with pytest.raises(InputError, match="Fold its domains"):
        anfinsen.fold(SEQUENCE * 200, bundle=folder)


def test_a_fold_names_the_structure_that_it_leans_on_and_without_templates_it_leans_on_none(
    folder: Path, tmp_path: Path
) -> None:
    near = known_structures().library
    asked = min((chain for chain in near.chains if len(chain) > 35), key=len)
    bundle = Bundle.load(folder)
    record = bundle.records["contacts"]
    bundle.records["contacts"] = record.replaced(calibration=dict(zip(KEYS, START, strict=True)))
    bundle.save(tmp_path / "fitted")
    (tmp_path / "a.fasta").write_text(f">one\n{asked}\n")
    told = {}
    for name, words in (("with", []), ("without", ["--no-templates"])):
        out = tmp_path / name
        words = ["fold", str(tmp_path / "a.fasta"), "--out", str(out), "--bundle", str(tmp_path / "fitted"), *words]
        assert CliRunner().invoke(app, words).exit_code == 0
        (line,) = map(json.loads, (out / "folds.jsonl").read_text().splitlines())
        told[name] = line, (out / line["folder"] / "model.cif").read_text(), (out / "fold.html").read_text()
    line, text, page = told["with"]
    best = line["templates"][0]
    assert best["id"] in near.ids and best["identity"] == best["coverage"] == 1.0
    sentence = f"It leans on the measured structure {called(best['id'])} (identity 100% over 100% of its residues)."
    assert sentence in line["sentence"] and sentence in text and sentence in page and "Homology model" in text
    line, text, page = told["without"]
    assert line["templates"] == [] and "leans on the measured" not in line["sentence"] + text + page
    assert "Ab initio model" in text


def test_every_picture_is_whole_and_has_words_for_those_who_cannot_see_it(folder: Path) -> None:
    found = anfinsen.fold(SEQUENCE, bundle=folder)
    assert isinstance(found, Fold)
    for draw in (chain_picture, confidence_strip, contact_map, error_map):
        root = tree.fromstring(str(draw(found)))
        assert root.find("{*}title") is not None and root.find("{*}desc").text  # type: ignore[union-attr]
    assert all(one.word in str(legend()) for one in BANDS)


def test_a_homodimer_comes_back_as_two_chains(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "a.fasta").write_text(f">one\n{SEQUENCE[:15]}\n")
    words = ["fold", str(tmp_path / "a.fasta"), "--out", str(tmp_path / "out"), "--bundle", str(folder), "--homodimer"]
    assert CliRunner().invoke(app, words).exit_code == 0
    (line,) = map(json.loads, (tmp_path / "out" / "folds.jsonl").read_text().splitlines())
    assert line["chains"] == [15, 15]
    chains = list(read_proteins(str(tmp_path / "out" / line["folder"] / "model.cif")))
    assert [one.sequence for one in chains if not isinstance(one, InputError)] == [SEQUENCE[:15]] * 2
