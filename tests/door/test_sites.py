"""`anfinsen sites`, from the command line to the files, with a model too small to be right."""

from __future__ import annotations

import csv
import re
from dataclasses import replace
from io import StringIO
from pathlib import Path
from types import SimpleNamespace

import numpy
import pytest
import torch
from biotite.structure.io.pdb import PDBFile
from click.testing import Result
from typer.testing import CliRunner

from anfinsen.cli import app
from anfinsen.drawing.scene import chimerax_script, picture, pymol_script, strips
from anfinsen.hub.bundle import Bundle
from anfinsen.hub.record import TaskRecord
from anfinsen.inference.sites import SiteFinder, say
from anfinsen.models.encoder import Encoder, EncoderConfig
from anfinsen.models.network import NativeBody, Network
from anfinsen.sets.known_sites import Comparison, KnownSite
from anfinsen.structure.backbone import Backbone, from_alphas
from anfinsen.structure.protein import Protein
from anfinsen.tasks.ligand_sites import DRUG, LETTERS, TASK

KINDS = list(LETTERS)
FLOPPY = "MGSGSDPNGTSPGDSNGPTSGNDPSGTNPGSDGNPTGSDNGPSTGDPNSGT"
"""A chain that nobody folds."""


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(1)
    shape = EncoderConfig(layers=1, dim=32, heads=2, inner_dim=64)
    network = Network(NativeBody(Encoder(shape), shape.dim, shape.longest), {TASK.name: TASK.shape}).eval()
    calibration = {"temperature": 1.0} | {f"threshold {kind}": 0.5 for kind in KINDS}
    record = TaskRecord(kind="graph", size=len(KINDS), labels=tuple(KINDS), calibration=calibration)
    folder = tmp_path_factory.mktemp("model") / "tiny"
    Bundle("tiny", network, {TASK.name: record}).save(folder)
    return folder


def hollow() -> numpy.ndarray:
    """A ball of CA atoms with a hole, along a path that visits neighbours."""
    steps = numpy.arange(-15.2, 15.3, 3.8)
    rows = [
        (x, y if index % 2 else -y, z)
        for index, x in enumerate(steps)
        for y in steps
        for z in (steps if y > 0 else -steps)
    ]
    points = numpy.array(rows) + numpy.random.default_rng(1).normal(scale=0.1, size=(len(rows), 3))
    inside = numpy.linalg.norm(points, axis=1) < 15.5
    is_hole = (numpy.linalg.norm(points[:, 1:], axis=1) < 5.5) & (points[:, 0] > 0)
    return points[inside & ~is_hole].astype(numpy.float32)


def hollow_pdb(path: Path) -> list[str]:
    """The ball as a file whose numbers begin at -2 and have an insertion code; the numbers."""
    points = hollow()
    named = [str(at - 2) for at in range(len(points))]
    named[11] = f"{named[10]}A"
    lines = []
    for at, (name, (x, y, z)) in enumerate(zip(named, points, strict=True), 1):
        number, code = re.fullmatch(r"(-?\d+)(\w?)", name).groups()  # type: ignore[union-attr]
        lines.append(
            f"ATOM  {at:5d}  CA  ALA B{number:>4}{code or ' '}   {x:8.3f}{y:8.3f}{z:8.3f}  1.00 20.00           C"
        )
    path.write_text("\n".join([*lines, "TER", "END"]) + "\n")
    return named


def call(source: object, out: Path, *flags: str) -> Result:
    return CliRunner().invoke(app, ["sites", str(source), "--out", str(out), *flags])


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_a_structure_gives_residues_pockets_scripts_and_a_page(bundle: Path, tmp_path: Path) -> None:
    named = hollow_pdb(tmp_path / "ball.pdb")
    out = tmp_path / "out"
    result = call(tmp_path / "ball.pdb", out, "--bundle", str(bundle))
    assert result.exit_code == 0, result.output
    assert (
        "by its structure" in result.output or "from its structure" in result.output
    ) and "Pocket 1:" in result.output
    residues, pockets = rows(out / "sites.csv"), rows(out / "pockets.csv")
    assert [row["author_number"] for row in residues] == [f"'{one}" if one[0] == "-" else one for one in named]
    assert all(0 <= float(row[kind]) <= 1 for row in residues for kind in KINDS)
    best = pockets[0]
    assert best["rank"] == "1" and best["novel"] in ("true", "false") and best["sentence"].startswith("Pocket 1: ")
    lined = {row["residue"] + row["author_number"].lstrip("'") for row in residues if "1" in row["pockets"].split("; ")}
    assert set(best["residues"].split()) == lined and lined
    assert numpy.linalg.norm([float(best["x"]) - 7, float(best["y"]), float(best["z"])]) < 6
    (file,) = out.glob("*.sites.pdb")
    atoms = PDBFile.read(StringIO(file.read_text())).get_structure(model=1, extra_fields=["b_factor"])
    chain = atoms[atoms.chain_id == "B"]
    assert [f"{one.res_id}{one.ins_code}" for one in chain] == named
    shares = [float(row[DRUG]) for row in residues]
    assert chain.b_factor == pytest.approx(100 * numpy.array(shares), abs=0.02)
    assert set(atoms[atoms.res_name == "STP"].res_id) == {int(row["rank"]) for row in pockets}
    page = (out / "report.html").read_text()
    assert "<script" not in page and "<svg" in page and "pocket" in page
    again = tmp_path / "again"
    assert call(tmp_path / "ball.pdb", again, "--bundle", str(bundle)).exit_code == 0
    assert (again / "pockets.csv").read_bytes() == (out / "pockets.csv").read_bytes()


def test_a_sequence_gives_residues_and_says_why_there_is_no_pocket(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "two.fasta").write_text(f">good\n{FLOPPY}\n>bad\nMKT*AYI1\n")
    result = call(tmp_path / "two.fasta", tmp_path / "out", "--bundle", str(bundle))
    assert result.exit_code == 3, result.output
    said = " ".join(result.output.split())
    assert "No structure was given, and the predicted fold is too unsure (pLDDT about " in said
    page = (tmp_path / "out" / "report.html").read_text()
    assert "only its contacts are heard" in said and "only its contacts are heard" in page
    assert rows(tmp_path / "out" / "pockets.csv") == [] and len(rows(tmp_path / "out" / "sites.csv")) == len(FLOPPY)
    assert len(rows(tmp_path / "out" / "refused.csv")) == 1
    assert not list((tmp_path / "out").glob("*.pml"))


class Folder:
    """Believes what it is told to believe, as surely as it is told, leaning on what it is told to lean on."""

    name = "stub"

    def __init__(self, sure: float, backbone: Backbone, templates: tuple[str, ...] = ()) -> None:
        self.sure, self.backbone, self.templates = sure, backbone, templates

    def memory(self, length: int) -> int:
        return 0

    def believed(self, protein: Protein) -> tuple[SimpleNamespace, tuple[str, ...]]:
        contacts = numpy.zeros((len(protein), len(protein)))
        contacts[2, 30] = contacts[30, 2] = 0.9
        alone = 0.3 if self.templates else self.sure / 100
        return SimpleNamespace(contacts=contacts, confidence=numpy.full(len(protein), alone)), self.templates

    def built(self, protein: Protein, believed: SimpleNamespace, templates: tuple[str, ...]) -> SimpleNamespace:
        sure = numpy.full(len(protein), self.sure, dtype=numpy.float32)
        backbone = replace(self.backbone, origin="predicted", confidence=sure)
        return SimpleNamespace(backbone=backbone, plddt=sure, say=lambda: f"Its mean pLDDT is {self.sure:.0f}.")


def test_a_sequence_is_folded_and_only_a_fold_that_is_sure_has_pockets(bundle: Path) -> None:
    shape = from_alphas(hollow())
    protein = Protein("query", "G" * len(shape))
    told = {}
    for sure in (85.0, 65.0, 55.0, 40.0):
        finder = SiteFinder(Bundle.load(bundle), Known(), builder=Folder(sure, shape))  # type: ignore[arg-type]
        (told[sure],) = finder.find([protein])
    leaning = Folder(85.0, shape, ("1abc:A",))
    (leant,) = SiteFinder(Bundle.load(bundle), Known(), builder=leaning).find([protein])  # type: ignore[arg-type]
    assert leant.ground == "fold" and leant.sites
    (told[0.0],) = SiteFinder(Bundle.load(bundle), Known()).find([protein])  # type: ignore[arg-type]
    assert {sure: found.ground for sure, found in told.items()} == {
        85.0: "fold", 65.0: "fold", 55.0: "contacts", 40.0: "contacts", 0.0: "sequence"
    }  # fmt: skip
    assert {sure: bool(found.sites) for sure, found in told.items()} == {
        85.0: True,
        65.0: True,
        55.0: False,
        40.0: False,
        0.0: False,
    }
    (note,) = (one.text for one in told[85.0].messages if one.text.startswith("No structure was given"))
    assert note.startswith("No structure was given: it was folded first. Its mean pLDDT is 85. On 20 chains folded ")
    assert any("(mean pLDDT 65): its pockets are guesses" in one.text for one in told[65.0].messages)
    assert "(pLDDT about 55, 60 is asked)" in told[55.0].messages[-1].text
    assert told[0.0].messages[-1].text.startswith("No structure was given and none was predicted.")
    here, there = (told[sure].answer["probabilities"] for sure in (40.0, 0.0))
    assert here[DRUG] != there[DRUG] and here["ZN"] == there["ZN"]


def test_what_cannot_be_done_is_said_in_words(tmp_path: Path) -> None:
    result = call(tmp_path / "nothing.pdb", tmp_path / "out", "--bundle", str(tmp_path / "no-model"))
    assert result.exit_code == 1 and "There is no folder" in str(result.exception)


class Known:
    """A library that knows one site, around the first residues."""

    def compare(self, sequence: str) -> Comparison:
        site = KnownSite("1abc:A", "HEM", 0.6, frozenset(range(len(sequence))))
        return Comparison(1, "1abc:A", 0.6, (site,) if sequence[0] == "A" else ())


def ball(letter: str, confidence: float | None = None) -> Protein:
    backbone = from_alphas(hollow(), "experimental" if confidence is None else "predicted")
    sure = None if confidence is None else numpy.full(len(backbone), confidence, dtype=numpy.float32)
    return Protein(
        "ball:A", letter * len(backbone), backbone=Backbone(backbone.points, backbone.breaks, backbone.origin, sure)
    )


def test_a_likely_pocket_is_known_new_or_not_trusted(bundle: Path) -> None:
    finder = SiteFinder(Bundle.load(bundle), Known())  # type: ignore[arg-type]
    answer = {
        "probabilities": {kind: [{DRUG: 0.9, "ZN": 0.95}.get(kind, 0.0)] * len(hollow()) for kind in KINDS},
        "thresholds": dict.fromkeys(KINDS, 0.5),
        "ground": "structure",
        "reach": {"far": False},
    }
    balls, alone = (ball("A"), ball("G"), ball("G", 45.0)), numpy.full(len(hollow()), 0.5)
    known, new, unsure = (finder.judge(one, answer, alone) for one in balls)
    assert known.sites[0].known is not None and not known.sites[0].is_novel
    assert "HEM sits there in 1ABC, chain A (60% identical)" in say(known.sites[0], known.protein)
    assert new.sites[0].is_novel and "it may be new" in say(new.sites[0], new.protein)
    assert new.sites[0].kind == "ZN"
    assert not unsure.sites[0].is_novel and unsure.sites[0].is_doubtful
    texts = [message.text for message in unsure.messages if message.level == "warning"]
    assert any("unsure of itself (mean pLDDT 45)" in text for text in texts)
    script, other = pymol_script(known, "x.pdb"), chimerax_script(known, "x.pdb")
    for line in script.splitlines():
        assert re.match(r"(#|load |hide |show |set |spectrum |select |color |deselect$|orient )", line), line
    for line in other.splitlines():
        assert re.match(r"(#|open |hide |cartoon |color |name |style |transparency |view$)", line), line
    assert re.search(r"select pocket_1, sites and chain A and resi \d+(\+\d+)+$", script, re.MULTILINE)
    assert re.search(r"name pocket_1 /A:\d+(,\d+)+$", other, re.MULTILINE)
    drawn = picture(known)
    assert drawn is not None and str(drawn).count("<text") == min(5, len(known.sites)) and "Zinc" in strips(known)
    assert picture(replace(known, protein=replace(known.protein, backbone=None))) is None
