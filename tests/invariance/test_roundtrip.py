"""What is written in any format comes back the same: sequences, ids, conditions, author numbers."""

from __future__ import annotations

import csv
import gzip
import io
from pathlib import Path

import biotite.structure
import gemmi
import polars
import pytest
from biotite.structure.io import pdb, pdbx
from hypothesis import assume, given, settings
from hypothesis import strategies as some

from anfinsen.data.alphabet import RESIDUES
from anfinsen.data.example import Example
from anfinsen.reading.readers import read_examples, read_proteins
from anfinsen.structure.formats import read_chains
from anfinsen.structure.protein import Protein

sequences = some.text(RESIDUES, min_size=10, max_size=120).filter(
    lambda text: sum(letter in "ACGTUN" for letter in text) < 0.9 * len(text) or len(text) < 30
)
ids = some.text(some.characters(categories=("L", "N", "P", "S")), min_size=1, max_size=20)
tables = some.dictionaries(ids, some.tuples(sequences, some.floats(-50, 150)), min_size=1, max_size=8)
QUICK = settings(max_examples=100, deadline=None)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("roundtrip")


@QUICK
@given(tables, some.integers(1, 70), some.sampled_from(["\n", "\r\n", "\r"]), some.booleans())
def test_fasta(rows: dict[str, tuple[str, float]], width: int, end: str, is_packed: bool) -> None:
    text = ""
    for name, (sequence, _) in rows.items():
        lines = [sequence[at : at + width] for at in range(0, len(sequence), width)]
        text += end.join([f">{name} described", *lines, ""])
    content = gzip.compress(text.encode()) if is_packed else text.encode()
    found = list(read_proteins(io.BytesIO(content)))
    assert all(isinstance(protein, Protein) for protein in found)
    assert {p.id: p.sequence for p in found if isinstance(p, Protein)} == {name: row[0] for name, row in rows.items()}


@QUICK
@given(tables, some.sampled_from([",", ";", "\t"]))
def test_csv(folder: Path, rows: dict[str, tuple[str, float]], mark: str) -> None:
    path = folder / "table.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, delimiter=mark)
        writer.writerow(["id", "sequence", "ogt"])
        writer.writerows([name, *row] for name, row in rows.items())
    check(list(read_examples(path)), rows)


@settings(max_examples=30, deadline=None)
@given(tables)
def test_parquet(folder: Path, rows: dict[str, tuple[str, float]]) -> None:
    path = folder / "table.parquet"
    columns = {
        "id": list(rows),
        "sequence": [row[0] for row in rows.values()],
        "ogt": [row[1] for row in rows.values()],
    }
    polars.DataFrame(columns).write_parquet(path)
    check(list(read_examples(path)), rows)


def check(found: list[object], rows: dict[str, tuple[str, float]]) -> None:
    examples = [example for example in found if isinstance(example, Example)]
    assert len(examples) == len(found)
    came = {e.protein.id: (e.protein.sequence, e.conditions["growth_temperature"]) for e in examples}
    assert came == rows


def build(sequence: str, first: int, code: str) -> gemmi.Structure:
    """A straight chain whose third residue has an insertion code."""
    chain = gemmi.Chain("A")
    number = first
    for at, letter in enumerate(sequence):
        residue = gemmi.Residue()
        residue.name = gemmi.expand_one_letter(letter, gemmi.ResidueKind.AA)
        number += at != 2 or not code
        residue.seqid = gemmi.SeqId(number, code if at == 2 and code else " ")
        for name, along in (("N", 0.0), ("CA", 1.2), ("C", 2.4)):
            atom = gemmi.Atom()
            atom.name, atom.element, atom.pos = name, gemmi.Element(name[0]), gemmi.Position(3.6 * at + along, 0, 0)
            residue.add_atom(atom)
        chain.add_residue(residue)
    structure = gemmi.Structure()
    structure.add_model(gemmi.Model(1))
    structure[0].add_chain(chain)
    structure.setup_entities()
    structure.assign_label_seq_id()
    return structure


@QUICK
@given(sequences, some.integers(-20, 900), some.sampled_from(["", "A", "B"]), some.sampled_from(["pdb", "cif", "bcif"]))
def test_structures_and_biotite_agrees(sequence: str, first: int, code: str, ending: str) -> None:
    assume(len(sequence) < 60)
    structure = build(sequence, first, code)
    expected = tuple(str(residue.seqid) for residue in structure[0][0])
    text = structure.make_pdb_string() if ending == "pdb" else structure.make_mmcif_document().as_string()
    content = as_binary(text) if ending == "bcif" else text.encode()
    (protein,) = read_chains(f"made.{ending}", content)
    assert isinstance(protein, Protein)
    assert (protein.id, protein.sequence, protein.numbering) == ("made:A", sequence, expected)
    assert [message for message in protein.messages if message.level == "warning"] == []
    if ending == "pdb":
        atoms = pdb.PDBFile.read(io.StringIO(text)).get_structure(model=1)
        names = biotite.structure.get_residues(atoms)[1]
        assert gemmi.one_letter_code([str(name) for name in names]) == sequence


def as_binary(text: str) -> bytes:
    """The same mmCIF as BinaryCIF, written by biotite."""
    block = pdbx.BinaryCIFBlock()
    for name, category in pdbx.CIFFile.read(io.StringIO(text)).block.items():
        columns = {
            key: pdbx.BinaryCIFColumn(pdbx.BinaryCIFData(column.as_array(str))) for key, column in category.items()
        }
        block[name] = pdbx.BinaryCIFCategory(columns)
    file, buffer = pdbx.BinaryCIFFile(), io.BytesIO()
    file["made"] = block
    file.write(buffer)
    return buffer.getvalue()
