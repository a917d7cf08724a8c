"""The bad-input corpus: each file of tests/bad gives exactly what its manifest says, sentence by sentence.

Inputs that would be large on disk (bombs, long lines, many records) are made here.
"""

from __future__ import annotations

import gzip
import io
import os
import threading
import tomllib
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from anfinsen.data.example import Example
from anfinsen.errors import AnfinsenError, InputError, UsageError
from anfinsen.limits import LIMITS
from anfinsen.reading.readers import Merged, read_examples, read_proteins
from anfinsen.structure.protein import Protein

CORPUS = Path(__file__).parent.parent / "bad"
CASES: list[dict[str, Any]] = tomllib.loads((CORPUS / "manifest.toml").read_text(encoding="utf-8"))["case"]
SEQUENCE = "MKTAYIAKQRQISFVKSHFSRQLEERLGLIEVQ"


def describe(found: Example | InputError | Merged) -> dict[str, Any]:
    """What came out, in the words of the manifest; None and empty things are left out."""
    if isinstance(found, Merged):
        return {"outcome": "merged", "row": found.row, "id": found.record, "into": found.into}
    if isinstance(found, InputError):
        told = {
            "row": found.row,
            "id": found.record,
            "position": found.position,
            "sentence": f"{found.reason} {found.remedy}",
        }
        return {"outcome": "refused"} | {key: value for key, value in told.items() if value}
    protein = found.protein
    plain = tuple(str(number) for number in range(1, len(protein) + 1))
    told = {
        "messages": [f"{message.level}: {message.text}" for message in protein.messages],
        "conditions": dict(found.conditions),
        "numbering": " ".join(protein.numbering) if protein.numbering and protein.numbering != plain else "",
    }
    outcome = "mended" if any(message.level == "mended" for message in protein.messages) else "accepted"
    head = {"outcome": outcome, "row": protein.row, "id": protein.id, "sequence": protein.sequence}
    return head | {key: value for key, value in told.items() if value}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["file"])
def test_file_gives_what_the_manifest_says(case: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(CORPUS)
    options = {key: case[key] for key in ("column", "remove_gaps") if key in case}
    came: list[dict[str, Any]] = []
    try:
        for found in read_examples(case["file"], **options):
            place = found.protein.source if isinstance(found, Example) else found.file
            assert place == case["file"]
            came.append(describe(found))
    except AnfinsenError as error:
        sentence = f"{error.reason} {error.remedy}"
        came.append({"outcome": "raised", "kind": type(error).__name__, "sentence": sentence})
    assert came == case["record"]


def test_every_file_of_the_corpus_is_in_the_manifest() -> None:
    assert sorted(case["file"] for case in CASES) == sorted(
        path.name for path in CORPUS.iterdir() if path.suffix != ".toml"
    )


@contextmanager
def memory_below(limit: int) -> Iterator[None]:
    """Fail when Python sets aside more than `limit` bytes at once inside the block."""
    tracemalloc.start()
    try:
        yield
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < limit


def proteins(text: str | bytes, **options: Any) -> list[Protein | InputError]:
    content = text if isinstance(text, bytes) else text.encode()
    return list(read_proteins(io.BytesIO(content), **options))


@pytest.mark.parametrize("length", [10, 512, 1_022, 1_023, 1_024, 5_000, 34_350, 100_000])
def test_long_proteins_are_read_whole_up_to_titin_and_beyond(length: int) -> None:
    sequence = (SEQUENCE * (length // 33 + 1))[:length]
    (protein,) = proteins(f">a\n{sequence}\n")
    assert isinstance(protein, Protein)
    assert protein.sequence == sequence


def test_a_protein_over_the_limit_is_refused_with_the_limit_and_the_next_one_is_read() -> None:
    refused, good = proteins(f">a\n{'M' * 100_001}\n>b\n{SEQUENCE}\n")
    assert str(refused) == (
        "the given text, record 1 (a): The sequence has 100,001 residues; the longest that is answered has 100,000. "
        "Cut it into domains and give them as records of their own."
    )
    assert isinstance(good, Protein)


def test_a_line_without_end_costs_no_memory() -> None:
    text = io.BytesIO(b">a\n" + b"M" * 30_000_000 + b"\n>b\n" + SEQUENCE.encode())
    with memory_below(5_000_000):
        refused, good = read_proteins(text)
    assert isinstance(refused, InputError)
    assert refused.reason == (
        "The record has 30,000,000 characters; the longest protein that is answered has 100,000 residues."
    )
    assert isinstance(good, Protein)


@pytest.mark.parametrize("name", ["bomb.fasta.gz", "bomb.csv.gz", "bomb.pdb.gz"])
def test_a_bomb_is_refused_before_it_unfolds(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(gzip.compress(b"id,sequence\n" + b"A" * 100_000_000))
    with memory_below(20_000_000), pytest.raises(InputError) as error:
        list(read_examples(path))
    assert error.value.reason == "The file grows more than 200 times when it is unpacked, which is the limit."
    assert error.value.remedy == "Unpack it yourself if you trust it, and give the unpacked file."


def test_unpacked_size_is_limited(tmp_path: Path) -> None:
    path = tmp_path / "large.fasta.gz"
    path.write_bytes(gzip.compress(os.urandom(40_000).hex().encode()))
    with pytest.raises(InputError, match=r"The file holds more than 50,000 bytes once unpacked, which is the limit\."):
        list(read_examples(path, limits=LIMITS.replaced(unpacked_bytes=50_000)))


def test_a_structure_file_over_the_limits_is_refused() -> None:
    path = CORPUS / "good.pdb"
    (atoms,) = read_proteins(path, limits=LIMITS.replaced(atoms=40))
    assert isinstance(atoms, InputError)
    assert atoms.reason == "The file has 48 atoms; the limit is 40."
    with pytest.raises(InputError, match=r"The file holds more than 1,000 bytes, which is the limit for a structure\."):
        list(read_proteins(path, limits=LIMITS.replaced(upload_bytes=1_000)))


def test_memory_does_not_grow_with_the_text() -> None:
    record = SEQUENCE * 60
    text = io.BytesIO("".join(f">r{number}\n{record}\n" for number in range(5_000)).encode())
    with memory_below(4_000_000):
        count = sum(isinstance(protein, Protein) for protein in read_proteins(text))
    assert count == 5_000


def test_more_records_than_the_limit_are_not_read() -> None:
    found = read_examples(
        io.BytesIO(b">a\nMKTAYIAKQR\n>b\nMKTAYIAKQR\n>c\nMKTAYIAKQR\n"), limits=LIMITS.replaced(records=2)
    )
    assert [describe(next(found))["outcome"], describe(next(found))["outcome"]] == ["accepted", "accepted"]
    with pytest.raises(InputError) as error:
        next(found)
    assert str(error.value) == "the given text: The file has more than 2 records, which is the limit. Split it."


def test_a_cell_over_the_limit_is_refused_and_the_next_row_is_read(tmp_path: Path) -> None:
    path = tmp_path / "notes.csv"
    path.write_text(
        f"id,sequence,note\na,{SEQUENCE},{'x' * 70_000}\nb,{SEQUENCE},\nc,{'M' * 400_000},\nd,{SEQUENCE},\n"
    )
    cell, good, row, last = read_proteins(path)
    assert isinstance(cell, InputError)
    assert cell.reason == "The cell in column 'note' has 70,000 bytes; the limit is 65,536."
    assert isinstance(row, InputError)
    assert row.reason == "The row has 400,003 characters."
    assert isinstance(good, Protein)
    assert isinstance(last, Protein)


def test_a_bare_sequence_is_a_source() -> None:
    (protein,) = read_proteins(SEQUENCE)
    assert isinstance(protein, Protein)
    assert (protein.id, protein.sequence, protein.source) == ("query", SEQUENCE, "")


@pytest.mark.parametrize(
    "source", ["missing.fasta", "mysequences", "MKT", "CC(=O)Oc1ccccc1C(=O)O", "../../etc/nothing", "a\0b"]
)
def test_what_is_neither_file_nor_sequence_is_refused(source: str) -> None:
    with pytest.raises(UsageError) as error:
        list(read_proteins(source))
    assert str(error.value) == (
        f"There is no file '{source}', and it is no sequence. "
        "Give the path of a file, '-' for standard input, or at least 10 residues in capitals."
    )


def test_a_missing_structure_and_a_folder_are_refused(tmp_path: Path) -> None:
    for name in ("missing.pdb", "missing.fasta", "missing.parquet", "missing.csv"):
        with pytest.raises(UsageError) as error:
            list(read_proteins(Path(name)))
        assert str(error.value) == f"There is no file '{name}'. Give the path of a file."
    with pytest.raises(UsageError, match=r"is a folder\. Give the path of one file in it\."):
        list(read_proteins(tmp_path))


def test_standard_input_is_read_and_left_open(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.TextIOWrapper(io.BytesIO(f">a\n{SEQUENCE}\n".encode()))
    monkeypatch.setattr("sys.stdin", stream)
    (protein,) = read_proteins("-")
    assert isinstance(protein, Protein)
    assert (protein.id, protein.source) == ("a", "standard input")
    assert not stream.buffer.closed


def test_a_pipe_is_a_source(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(f">a\n{SEQUENCE}\n".encode(),))
    writer.start()
    (protein,) = read_proteins(pipe)
    writer.join()
    assert isinstance(protein, Protein)


def test_twins_are_told_where_only_proteins_are_asked_for() -> None:
    told: list[Merged] = []
    found = proteins(">a\nMKTAYIAKQR\n>a\nMKTAYIAKQR\n", on_merged=told.append)
    assert len(found) == 1
    assert [str(merged) for merged in told] == [
        "the given text, record 2 (a): The same record stands in row 1; it is answered once."
    ]


def test_a_reading_that_is_stopped_early_closes_its_file(tmp_path: Path) -> None:
    path = tmp_path / "a.fasta"
    path.write_text(f">a\n{SEQUENCE}\n>b\n{SEQUENCE}\n")
    found = read_proteins(path)
    next(found)
    del found  # a file left open is a ResourceWarning, and warnings are errors
    path.unlink()
