"""A library of molecules as a stream of shards: so many rows at a time, each read once, none kept.

    .smi .smiles .txt (.gz)   a formula and a name a line         .sdf .mol (.gz)   records that end with '$$$$'
    .csv .tsv (.gz), .parquet a table with a column of formulas, found by its name or given

The rows of a shard are the same whatever was read before, so that a stopped screen goes on at a border between two.
Chemistry is not done here: a row is a `Formula`, or an `InputError` with its row and reason.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

from anfinsen.drug.molecule import Formula
from anfinsen.drug.reading import SDF, Place, formulas, named_formula
from anfinsen.errors import InputError, UsageError, suggest
from anfinsen.intake import opened, refuse_noise
from anfinsen.limits import LIMITS, Limits
from anfinsen.reading.delimited import read_cells
from anfinsen.reading.raw import printable
from anfinsen.reading.tables import ID_COLUMNS, opened_parquet

SHARD = 4096
"""Rows of a shard."""
SMILES_COLUMNS = ("smiles", "canonical_smiles", "isomeric_smiles", "smiles_isomeric", "smiles_canonical", "drug")
"""Columns, in lower case, in which formulas are looked for, the likeliest first."""
NAME_COLUMNS = (*ID_COLUMNS, "drug_id", "zinc_id", "chembl_id", "molecule_chembl_id", "title", "compound")
"""Columns, in lower case, in which names are looked for."""
TABLES = (".csv", ".tsv", ".parquet")
_CHUNK = 1 << 20

Row = Formula | InputError


def read_library(source: str | Path, *, column: str | None = None, limits: Limits = LIMITS) -> Iterator[Row]:
    """Every row of a library, in order, before any chemistry."""
    path = Path(source)
    suffix = _suffix(path)
    if suffix not in TABLES or not path.suffix:
        yield from formulas(source, limits.replaced(records=limits.library_records))
    elif suffix == ".parquet":
        yield from _parquet(path, column, limits)
    else:
        yield from _delimited(path, column, limits, tabs=suffix == ".tsv")


def shards(rows: Iterator[Row], size: int = SHARD) -> Iterator[list[Row]]:
    """The rows in shards of `size`; the last one is what is left."""
    while shard := list(islice(rows, size)):
        yield shard


def fingerprint(source: str | Path) -> str:
    """The hash of a library's bytes, or of a bare formula: what tells one library from another."""
    digest = hashlib.sha256()
    try:
        with Path(source).open("rb") as file:
            while part := file.read(_CHUNK):
                digest.update(part)
    except OSError:
        digest.update(str(source).encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def count_rows(source: str | Path) -> int:
    """About how many rows a library has, without reading them: lines, records or what a Parquet file says."""
    path = Path(source)
    if not path.is_file():
        return 1
    suffix = _suffix(path)
    if suffix == ".parquet":
        with opened_parquet(path) as table:
            return int(table.metadata.num_rows)
    mark = b"$$$$" if suffix in SDF else b"\n"
    total, last = 0, b""
    limits = LIMITS
    with opened(path, file=path.name, limits=limits) as reader:
        while part := reader.read1(_CHUNK):
            total += part.count(mark)
            last = part[-1:] or last
    return total + (mark == b"\n" and last != b"\n")


def _suffix(path: Path) -> str:
    return next((one.lower() for one in reversed(path.suffixes) if one.lower() != ".gz"), "")


def _delimited(path: Path, column: str | None, limits: Limits, *, tabs: bool) -> Iterator[Row]:
    with opened(path, file=path.name, limits=limits) as reader:
        refuse_noise(reader.peek(4096)[:4096], path.name)
        rows = read_cells(reader, file=path.name, tabs=tabs, limits=limits)
        formula, name = _columns(next(rows).cells, column, path.name)
        for row, cells, refusal, _, line in rows:
            at = Place(path.name, row, line)
            called = cells[name].strip() if name is not None and name < len(cells) else ""
            if refusal is not None:
                named = printable(called) or f"molecule-{row}"
                yield InputError(refusal.reason, remedy=refusal.remedy, record=named, **at._asdict())
            else:
                yield named_formula(cells[formula], called, at, limits)


def _parquet(path: Path, column: str | None, limits: Limits) -> Iterator[Row]:
    with opened_parquet(path) as table:
        names = [str(name) for name in table.schema_arrow.names]
        formula, name = _columns(names, column, path.name)
        wanted = [names[formula], *([names[name]] if name is not None else [])]
        row = 0
        for batch in table.iter_batches(batch_size=SHARD, columns=wanted, use_threads=False):
            texts = batch.column(wanted[0]).to_pylist()
            called = batch.column(wanted[1]).to_pylist() if name is not None else [""] * len(texts)
            for text, one in zip(texts, called, strict=True):
                row += 1
                given = "" if text is None else str(text)
                yield named_formula(given, "" if one is None else str(one), Place(path.name, row), limits)


def _columns(names: Sequence[str], chosen: str | None, file: str) -> tuple[int, int | None]:
    """Which column holds the formulas, and which the names."""
    folded = [name.strip().lower() for name in names]
    name = next((folded.index(one) for one in NAME_COLUMNS if one in folded), None)
    if chosen is not None:
        if chosen.strip().lower() not in folded:
            raise UsageError(f"{file} has no column '{printable(chosen)}'.", remedy=suggest(chosen, names))
        return folded.index(chosen.strip().lower()), name
    for one in SMILES_COLUMNS:
        if one in folded:
            return folded.index(one), name
    raise UsageError(
        f"{file} has no column of formulas; it has {', '.join(map(printable, names))}.",
        remedy=f"Call it {SMILES_COLUMNS[0]}, or name it: --column NAME.",
    )
