"""Whatever bytes come, a reader gives records, refusals of ours, or one error of ours: never another exception."""

from __future__ import annotations

import gzip
import io
from collections.abc import Callable
from pathlib import Path

import polars
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from anfinsen.data.example import Example
from anfinsen.errors import AnfinsenError, InputError
from anfinsen.reading.letters import mend
from anfinsen.reading.readers import Merged, read_examples

CORPUS = Path(__file__).parent.parent / "bad"
FUZZ = settings(max_examples=300, deadline=None)
signs = some.text(
    some.sampled_from(list(">\n\r\t ACDEFGHIKLMNPQRSTVWYXBZJUO*-.0123456789;,\"'=()[]#@ab\0é\ufeff\u202e")),
    max_size=300,
)
cells = some.sampled_from(
    ["id", "sequence", "seq", "ogt", "ph", "MKTAYIAKQR", "NA", "37,5", "1e999", '"', '""', "", "=1", "\r", "\0", "é"]
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz")


def survives(source: Path | io.BytesIO) -> None:
    """Read to the end and hold every item to the contract."""
    try:
        for found in read_examples(source):
            assert isinstance(found, Example | InputError | Merged)
            if isinstance(found, Example):
                letters = found.protein.sequence
                assert letters.isascii() and letters.isalpha() and letters.isupper() and 10 <= len(letters) <= 100_000
                assert all(letter.isprintable() for letter in found.protein.id)
            elif isinstance(found, InputError):
                speaks(found)
    except AnfinsenError as error:
        speaks(error)


def speaks(error: AnfinsenError) -> None:
    """An error has a reason, a remedy, and can be printed."""
    assert error.reason and error.remedy
    str(error).encode("utf-8")


def mutations(file: str) -> some.SearchStrategy[bytes]:
    """A file of the corpus with a few bytes or lines changed, doubled or cut."""
    original = (CORPUS / file).read_bytes()

    def change(places: list[tuple[int, int, bytes]]) -> bytes:
        content = original
        for at, length, new in places:
            start = at % (len(content) + 1)
            content = content[:start] + new + content[start + length :]
        return content

    piece = some.one_of(
        some.binary(max_size=4), some.sampled_from([b"nan", b"\n", b"?", b"*****", b"1e9", b"MODEL", b"TER\n", b"'"])
    )
    return some.lists(some.tuples(some.integers(0, 10**6), some.integers(0, 40), piece), max_size=4).map(change)


@FUZZ
@given(some.binary(max_size=2_000), some.booleans())
def test_any_bytes(content: bytes, is_packed: bool) -> None:
    survives(io.BytesIO(gzip.compress(content) if is_packed else content))


@FUZZ
@given(signs)
def test_any_text(text: str) -> None:
    survives(io.BytesIO(text.encode()))


@FUZZ
@given(
    some.lists(some.lists(cells, max_size=5), max_size=6),
    some.sampled_from([",", ";", "\t"]),
    some.sampled_from([".csv", ".tsv"]),
    some.sampled_from(["utf-8", "latin-1"]),
)
def test_any_table(folder: Path, rows: list[list[str]], mark: str, ending: str, encoding: str) -> None:
    path = folder / f"table{ending}"
    path.write_text("\n".join(mark.join(row) for row in rows), encoding=encoding, newline="")
    survives(path)


def mutate(file: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """The fuzzing decorator for one file of the corpus."""
    return lambda test: FUZZ(given(content=mutations(file))(test))


@mutate("good.pdb")
def test_damaged_pdb(folder: Path, content: bytes) -> None:
    (folder / "a.pdb").write_bytes(content)
    survives(folder / "a.pdb")


@mutate("good.cif")
def test_damaged_cif(folder: Path, content: bytes) -> None:
    (folder / "a.cif").write_bytes(content)
    survives(folder / "a.cif")


@mutate("good.bcif")
def test_damaged_bcif(folder: Path, content: bytes) -> None:
    (folder / "a.bcif").write_bytes(content)
    survives(folder / "a.bcif")


@mutate("packed_two_members.fasta.gz")
def test_damaged_gzip(folder: Path, content: bytes) -> None:
    (folder / "a.fasta.gz").write_bytes(content)
    survives(folder / "a.fasta.gz")


@FUZZ
@given(places=some.lists(some.tuples(some.integers(0, 10**6), some.integers(0, 255)), min_size=1, max_size=4))
def test_damaged_parquet(folder: Path, places: list[tuple[int, int]]) -> None:
    path, whole = folder / "a.parquet", folder / "whole.parquet"
    if not whole.exists():
        polars.DataFrame(
            {"id": ["a", "b"], "sequence": ["MKTAYIAKQRQ", "GDSLWEPRNMHV"], "ph": [7.0, None]}
        ).write_parquet(whole)
    content = bytearray(whole.read_bytes())
    for at, value in places:
        content[at % len(content)] = value
    path.write_bytes(content)
    survives(path)


@FUZZ
@given(some.text(max_size=200), some.booleans())
def test_mend_gives_clean_residues_or_a_refusal(text: str, remove_gaps: bool) -> None:
    try:
        sequence, _ = mend(text, remove_gaps=remove_gaps)
    except InputError as error:
        speaks(error)
    else:
        assert mend(sequence)[0] == sequence
        assert set(sequence) <= set("ABCDEFGHIKLMNOPQRSTUVWXYZ")
