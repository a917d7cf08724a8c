"""Structure files of other people's test folders: each gives the right chains or the right refusal, and biotite agrees.

The files are public but not part of this project; the tests that need them run where the shared data are.
"""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Iterator
from pathlib import Path

import biotite.structure as theirs
import numpy
import pytest
from biotite.structure.io import pdb, pdbx

from anfinsen.data.example import Example
from anfinsen.errors import InputError
from anfinsen.reading.readers import read_examples
from anfinsen.sets.catalog import data_folder
from anfinsen.structure.protein import Protein

FOLDER = data_folder() / "parser_inputs"
FILES = FOLDER / "files"
FOLDER_BAD = Path(__file__).parent.parent / "bad"
needs_files = pytest.mark.skipif(not FILES.is_dir(), reason="the folder parser_inputs is not on this machine")

# chain, residues, first and last author number, origin; or the refusal
ANSWERS = {
    "104D_v23.pdb": ["refused: no protein: chain A (DNA or RNA), chain B (DNA or RNA)."],
    "1MOM_min.cif": ["refused: The file has no atoms."],
    "1SSU_mod.cif": ["refused: The sequence has 1 residue", "refused: The sequence has 1 residue"],
    "1a4w.cif": ["L 26 1A..14K experimental", "H 248 16..244 experimental", "refused: The sequence has 9 residues"],
    "1a4w.pdb": ["L 26 1A..14K experimental", "H 248 16..244 experimental", "refused: The sequence has 9 residues"],
    "1bju.pdb": ["A 223 16..245 experimental"],
    "1fbl.cif.gz": ["A 367 100..466 experimental"],
    "1fbl.pdb.gz": ["A 367 100..466 experimental"],
    "1j59.pdb": ["A 199 9..207 experimental", "B 197 9..205 experimental"],
    "1o1z.cif": ["A 226 -3..222 experimental"],
    "1o1z.pdb": ["A 226 -3..222 experimental"],
    "1orc.pdb": ["A 64 3..61 experimental"],
    "1pfe.cif.gz": ["refused: The sequence has 8 residues"],
    "1qxb.cif": ["refused: no protein: chain A (DNA or RNA), chain B (DNA or RNA), 2 small molecules or ions (BDR)."],
    "1stp_v4.cif": ["A 121 13..133 experimental"],
    "1stp_v5.cif": ["A 121 13..133 experimental"],
    "2W83.cif.gz": [
        "A 161 12..172 experimental",
        "B 161 12..172 experimental",
        "C 67 386..452 experimental",
        "D 62 391..452 experimental",
        "E 162 11..172 experimental",
    ],
    "2W83.pdb.gz": [
        "A 161 12..172 experimental",
        "B 161 12..172 experimental",
        "C 67 386..452 experimental",
        "D 62 391..452 experimental",
        "E 162 11..172 experimental",
    ],
    "2efj.pdb": ["A 348 3..379 experimental"],
    "2n0n_M1.pdb": ["A 11 1..11 experimental"],
    "388d_v23.pdb": [
        "refused: no protein: chain A (DNA or RNA), chain B (DNA or RNA), 5 small molecules or ions (FLO, MO6), "
        "171 waters."
    ],
    "388d_v30.pdb": [
        "refused: no protein: chain A (DNA or RNA), chain B (DNA or RNA), 1 small molecule or ion (MG), 177 waters."
    ],
    "3JQH.cif": ["A 23 1..23 experimental"],
    "3c5f_raw.pdb.gz": ["A 326 250..575 unknown", "B 326 250..575 unknown"],
    "3cdl.pdb": ["A 187 3..199 experimental", "B 188 3..200 experimental"],
    "3cfy.pdb": ["A 130 1..130 experimental"],
    "3gf2A_to_2yr2B.cif.gz": ["A 141 6..146 unknown"],
    "3kh0.pdb": ["refused: The file has no atoms."],
    "3o9p.cif.gz": ["A 509 7..515 unknown"],
    "3p4j.pdb": [
        "refused: no protein: chain A (DNA or RNA), chain B (DNA or RNA), 1 small molecule or ion (SPM), 128 waters."
    ],
    "3pxf.pdb": ["A 302 -3..298 experimental"],
    "3tah.pdb": ["A 260 0..259 experimental", "B 264 -1..262 experimental"],
    "4CUP.cif": ["A 115 1856..1970 experimental"],
    "4a10_short.pdb.gz": ["A 16 1..16 experimental"],
    "4alw.pdb": ["A 273 34..306 experimental"],
    "4b19_raw.pdb.gz": ["A 30 1..30 unknown"],
    "4gxy.pdb": ["refused: no protein: chain A (DNA or RNA), 11 small molecules or ions (IRI, B1Z, MG), 1 water."],
    "4lup_phaser_output.pdb.gz": ["A 106 1..106 unknown", "B 106 1..106 unknown"],
    "4lup_phenix_output.cif.gz": ["A 91 5..95 experimental", "C 94 3..96 experimental"],
    "4lup_phenix_output.pdb.gz": ["A 91 5..95 unknown", "C 94 3..96 unknown"],
    "4p5j.cif": ["refused: no protein: chain A (DNA or RNA), 15 small molecules or ions (IRI, MG, SPM), 126 waters."],
    "4p5j.pdb": ["refused: no protein: chain A (DNA or RNA), 15 small molecules or ions (IRI, MG, SPM), 126 waters."],
    "5i55.cif": ["A 22 1..22 experimental"],
    "5pti.cif": ["A 58 1..58 experimental"],
    "5pti_old.pdb": ["A 58 1..58 experimental"],
    "5ugo.pdb": ["A 326 10..335 experimental"],
    "6WQA.cif": ["A 391 -2..308 unknown"],
    "HEM.pdb": ["refused: no protein: 1 small molecule or ion (HEM)."],
    "a.004.005.004_1hw5b_unbound_out.pdb": ["B 68 138..205 unknown"],
    "altloc.cif": ["refused: The sequence has 1 residue"],
    "atp.cif.gz": ["refused: no protein: 1 small molecule or ion (ATP)."],
    "cc12-hkl.cif": ["refused: The file has no atoms."],
    "difficult_mmcif_quoting.cif": ["refused: no protein: chain B (DNA or RNA)."],
    "disordered.pdb": ["refused: The sequence has 6 residues"],
    "hetatm.pdb": ["refused: no protein: 1 small molecule or ion (LIG)."],
    "ligandTest.pdb.gz": ["A 141 1..141 experimental"],
    "misc.cif": ["refused: The file has no atoms."],
    "pdb1gdr.ent": ["pdb1gdr 105 1..115 unknown"],
    "pdb6flr_B234.pdb": ["refused: The sequence has 1 residue"],
    "pocket21_atm.cif": ["refused: The sequence has 8 residues", "refused: The sequence has 8 residues"],
    "pocket21_atm.pdb": ["refused: The sequence has 8 residues", "refused: The sequence has 8 residues"],
    "pocket39_atm.cif": ["refused: The sequence has 4 residues", "refused: The sequence has 5 residues"],
    "pocket39_atm.pdb": ["refused: The sequence has 4 residues", "refused: The sequence has 5 residues"],
    "r5wkdsf.ent": ["refused: The file holds the reflections that were measured on a crystal, not the structure."],
    "res_ids.cif": ["refused: The sequence has 3 residues"],
    "rnase_refmac_output.pdb.gz": ["A 96 1..96 unknown", "B 96 1..96 unknown"],
}


def proteins(name: str) -> Iterator[Protein]:
    for found in read_examples(FILES / name):
        if isinstance(found, Example):
            yield found.protein


def told(found: object) -> str:
    if isinstance(found, InputError):
        short = found.reason.replace("The file has no protein chain; it holds ", "no protein: ")
        return "refused: " + short.replace("; the shortest that is answered has 10.", "")
    assert isinstance(found, Example)
    protein = found.protein
    assert protein.numbering is not None and protein.backbone is not None
    assert len(protein.backbone) == len(protein.numbering) == len(protein)
    assert len(protein.backbone.breaks) == len(protein) - 1
    chain = protein.id.rpartition(":")[2]
    return f"{chain} {len(protein)} {protein.numbering[0]}..{protein.numbering[-1]} {protein.backbone.origin}"


@needs_files
@pytest.mark.parametrize("name", ANSWERS)
def test_a_file_gives_the_right_chains_or_the_right_refusal(name: str) -> None:
    assert [told(found) for found in read_examples(FILES / name)] == ANSWERS[name]


@needs_files
def test_every_file_is_in_the_table() -> None:
    assert sorted(ANSWERS) == sorted(path.name for path in FILES.iterdir())


def read_by_biotite(name: str) -> theirs.AtomArray:
    """The first model with the more frequent place of each residue, by biotite."""
    content = (FILES / name).read_bytes()
    text = (gzip.decompress(content) if name.endswith(".gz") else content).decode("latin-1")
    if name.removesuffix(".gz").endswith(".cif"):
        blocks = pdbx.CIFFile.read(io.StringIO(text))
        (block, *_) = (one for one in blocks.values() if "atom_site" in one)
        return pdbx.get_structure(block, model=1, altloc="occupancy")
    return pdb.PDBFile.read(io.StringIO(text)).get_structure(model=1, altloc="occupancy")


@needs_files
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", [name for name, rows in ANSWERS.items() if "refused" not in rows[0]])
def test_every_residue_stands_where_biotite_finds_it(name: str) -> None:
    try:
        atoms = read_by_biotite(name)
    except (ValueError, TypeError, KeyError, IndexError, theirs.BadStructureError) as error:
        pytest.skip(f"biotite does not read it: {error}")
    compared = 0
    for protein in proteins(name):
        assert protein.backbone is not None and protein.numbering is not None
        chain = protein.id.rpartition(":")[2] if ":" in protein.id else ""
        own = atoms[atoms.chain_id == chain] if chain else atoms
        for column, atom in enumerate(("N", "CA", "C", "O", "CB")):
            picked = own[(own.atom_name == atom) & (own.element != "CA")]
            where = {
                f"{number}{code}".strip(): place
                for number, code, place in zip(picked.res_id, picked.ins_code, picked.coord, strict=True)
            }
            for number, place in zip(protein.numbering, protein.backbone.points[:, column], strict=True):
                assert (number in where) == (not numpy.isnan(place).any()), (protein.id, number, atom)
                if number in where:
                    assert place == pytest.approx(where[number], abs=1e-3), (protein.id, number, atom)
                    compared += 1
    assert compared > 30


@needs_files
def test_alternate_locations_and_models_are_told_where_the_manifest_has_them() -> None:
    with (FOLDER / "manifest.csv").open(encoding="utf-8", newline="") as rows:
        manifest = {row["file"]: row for row in csv.DictReader(rows)}
    for name, row in manifest.items():
        texts = " ".join(message.text for protein in proteins(name) for message in protein.messages)
        if texts and row["parse_ok"] == "True":
            assert (f"has {row['models']} models" in texts) == (int(row["models"]) > 1), name
            assert ("MSE, a modified residue, was read as M" in texts) == (row["mse"] == "True"), name
            if "more than one place" in texts or "in parts of the crystal" in texts:
                assert row["altloc"] == "True", name


def test_a_pdb_file_and_its_mmcif_twin_give_the_same_chains() -> None:
    one, two = (
        [found.protein for found in read_examples(FOLDER_BAD / f"good.{kind}") if isinstance(found, Example)]
        for kind in ("pdb", "cif")
    )
    for first, second in zip(one, two, strict=True):
        assert first.backbone is not None and second.backbone is not None
        assert first.sequence == second.sequence
        assert numpy.allclose(first.backbone.points, second.backbone.points, atol=1e-3, equal_nan=True)


def test_of_two_places_the_more_frequent_is_read_whole() -> None:
    (found,) = read_examples(FOLDER_BAD / "alternate_locations.pdb")
    (plain,) = read_examples(FOLDER_BAD / "good.pdb")
    assert isinstance(found, Example) and isinstance(plain, Example)
    backbone, other = found.protein.backbone, plain.protein.backbone
    assert backbone is not None and other is not None
    moved = backbone.points - other.points
    assert moved[2, 1:4, 1] == pytest.approx(0.5)
    assert moved[2, 0] == pytest.approx(0.0)
    assert numpy.nanmax(numpy.abs(numpy.delete(moved, 2, axis=0))) == pytest.approx(0.0)


@pytest.mark.parametrize("name", ["predicted_shares.pdb", "predicted_b_factors.pdb"])
def test_confidences_come_out_from_0_to_100_however_they_were_written(name: str) -> None:
    (found,) = read_examples(FOLDER_BAD / name)
    assert isinstance(found, Example) and found.protein.backbone is not None
    assert found.protein.backbone.origin == "predicted"
    confidence = found.protein.backbone.confidence
    assert confidence is not None and confidence.dtype == numpy.float32
    assert (confidence[0], 88.0 <= confidence[-1] <= 89.0) == (50.0, True)


def test_a_break_stands_where_the_chain_is_interrupted() -> None:
    (found,) = read_examples(FOLDER_BAD / "gap.pdb")
    assert isinstance(found, Example) and found.protein.backbone is not None
    backbone = found.protein.backbone
    assert backbone.breaks.sum() == 1
    at = int(backbone.breaks.nonzero()[0][0])
    assert backbone.pieces.tolist() == [0] * (at + 1) + [1] * (len(backbone) - at - 1)
    assert backbone.cut(at, at + 2).breaks.tolist() == [True]
    assert not backbone.cut(0, at + 1).breaks.any()
