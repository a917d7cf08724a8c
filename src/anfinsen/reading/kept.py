"""Molecules that were read once are kept on the disk: the next screen of the same library does no chemistry again.

    rows of a shard -> hash of their formulas and of what reads them -> HASH.parquet there?  -> molecules from it
                                                                        not there?  -> read, written beside, renamed

What is kept is what the reader made: standard formulas, fragments, remarks and refusals. Names and rows are not kept,
they come from the asker, so two libraries with the same formulas share a file. A damaged file is read
anew and replaced. It knows no protein and no model.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy
import pyarrow
from pyarrow import parquet

from anfinsen.data.address import cache_folder
from anfinsen.drug.features import BITS
from anfinsen.drug.molecule import Formula, Molecule, read_formulas
from anfinsen.errors import InputError
from anfinsen.structure.protein import Message

_RECIPE = f"2 {BITS} {version('rdkit')}"
"""Changed whenever a molecule is read in another way, so that no old one is taken for a new one."""
_SCHEMA = pyarrow.schema(
    {
        "smiles": pyarrow.string(), "told": pyarrow.string(), "heavy_atoms": pyarrow.int32(),
        "fragments": pyarrow.binary(),
    }
)  # fmt: skip

Read = Molecule | InputError


class Shelf:
    """Where molecules are kept, and who reads those that are not there yet."""

    def __init__(self, folder: Path | None, children: int = 1) -> None:
        self.folder, self.children = folder, children
        self.found = 0
        """Molecules that were already there."""

    def read(self, rows: Sequence[Formula | InputError]) -> list[Read]:
        """Each row as a molecule or its refusal, in order."""
        asked = [row for row in rows if isinstance(row, Formula)]
        studied = iter(self._studied(asked))
        return [next(studied) if isinstance(row, Formula) else row for row in rows]

    def _studied(self, asked: Sequence[Formula]) -> list[Read]:
        if self.folder is None or not asked:
            return list(read_formulas(asked, children=self.children))
        path = self.folder / f"{_key(asked)}.parquet"
        try:
            kept = parquet.read_table(path, schema=_SCHEMA, use_threads=False).to_pylist()
        except (OSError, pyarrow.ArrowException):
            kept = []
        if len(kept) == len(asked):
            self.found += len(asked)
            return [_opened(formula, row) for formula, row in zip(asked, kept, strict=True)]
        found = list(read_formulas(asked, children=self.children))
        self._keep(path, asked, found)
        return found

    def _keep(self, path: Path, asked: Sequence[Formula], found: Sequence[Read]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        rows = [_closed(formula, one) for formula, one in zip(asked, found, strict=True)]
        beside = path.with_name(f".writing-{os.getpid()}-{path.name}")
        try:
            table = pyarrow.Table.from_pylist(rows, schema=_SCHEMA)
            parquet.write_table(table, beside, compression="zstd", use_dictionary=False, write_statistics=False)
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)


def kept_folder() -> Path:
    """Where molecules are kept unless another folder is named: beside the files from elsewhere."""
    return cache_folder() / "molecules"


def _key(asked: Sequence[Formula]) -> str:
    digest = hashlib.sha256(_RECIPE.encode())
    for formula in asked:
        digest.update(f"\n{formula.kind} {len(formula.text)} {formula.text}".encode())
    return digest.hexdigest()[:40]


def _closed(formula: Formula, one: Read) -> dict[str, Any]:
    if isinstance(one, InputError):
        return {"told": json.dumps([one.reason, one.remedy, one.position])}
    own = one.messages[len(formula.messages) :]
    told = json.dumps([[message.level, message.text] for message in own])
    numbers = {"heavy_atoms": one.heavy_atoms, "fragments": one.fragments.tobytes()}
    return {"smiles": one.smiles, "told": told} | numbers


def _opened(formula: Formula, row: dict[str, Any]) -> Read:
    told = json.loads(row["told"])
    if row["smiles"] is None:
        reason, remedy, position = told
        return InputError(reason, remedy=remedy, position=position, **formula.place)
    return Molecule(
        id=formula.id,
        smiles=row["smiles"],
        given=formula.text if formula.kind == "smiles" else None,
        heavy_atoms=row["heavy_atoms"],
        fragments=numpy.frombuffer(row["fragments"], numpy.int32).reshape(-1, 2),
        source=formula.source,
        row=formula.row,
        messages=(*formula.messages, *(Message(level, text) for level, text in told)),
        line=formula.line,
    )
