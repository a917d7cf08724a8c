"""Structure files as proteins: PDB, mmCIF and BinaryCIF, read by gemmi after strict checks.

    bytes -> child process: strict checks -> gemmi -> chains -> plain values -> Protein, Protein, ...

gemmi forgives much (a coordinate 'xx.xxx' becomes 0, an error page becomes a structure without atoms), so
what it would forgive is looked for first. Sequences, author numbering, backbones and what must be told come
out. Knows no sequence policy (lengths, rare letters): `data` applies it.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import gemmi
import msgpack

from anfinsen.errors import InputError
from anfinsen.limits import LIMITS, Limits
from anfinsen.sandbox import MEGABYTE, run_limited
from anfinsen.structure.backbone import Backbone, Origin
from anfinsen.structure.chains import Found, find_chains, info
from anfinsen.structure.protein import Message, Protein

STRUCTURE_ENDINGS = (".pdb", ".ent", ".cif", ".mmcif", ".bcif")

_NUMBER = re.compile(r"\s*[+-]?(?:\d+\.?\d*|\.\d+)(?:\(\d+\))?\s*")
_AXES = "xyz"
_PLACE = re.compile(r"^string:(\d+):\d+(?:\(\d+\))?:")
"""How gemmi writes the place of a mistake: line, column and byte."""
_CATEGORIES = (
    "entry", "entity", "entity_poly", "entity_poly_seq", "struct_asym", "struct", "exptl", "ma_qa_metric", "atom_site",
)  # fmt: skip
_FORECAST = re.compile(
    r"\b(ALPHA-?FOLD|ESM-?FOLD|COLAB-?FOLD|ROSETTAFOLD|OPENFOLD|OMEGAFOLD|BOLTZ|CHAI-1)", re.IGNORECASE
)
_READ_ERRORS = (ValueError, RuntimeError, IndexError, KeyError, TypeError, AttributeError, OverflowError)


def read_chains(source: str | Path, content: bytes, *, limits: Limits = LIMITS) -> Iterator[Protein | InputError]:
    """The protein chains of a structure file's unpacked `content`, each with the id 'FILE:CHAIN', in order.

    `source` is the file's name, for ids and errors. A file that cannot be read is one InputError. The bytes are
    parsed by a child process with limits of its own.
    """
    file = str(source)
    try:
        rows = run_limited(
            parse,
            file,
            content,
            limits.model_dump(),
            seconds=limits.parser_seconds,
            megabytes=limits.parser_bytes / MEGABYTE,
        )
    except InputError as error:
        error.file = file
        yield error
        return
    for row in rows:
        yield _unpacked(row)


def parse(file: str, content: bytes, limits: dict[str, float]) -> list[dict[str, Any]]:
    """The chains of a structure file as plain values, for the child process; raises an InputError."""
    structure, told, origin = _parse(content, file, Limits.model_validate(limits))
    found = find_chains(structure, _stem(file), file, origin)
    if not found.proteins:
        raise InputError(
            f"The file has no protein chain; it holds {found.others or 'nothing that is known'}.",
            remedy="Give a structure with a protein in it.",
        )
    return [_packed(protein) for protein in _with_messages(found, told)]


def _packed(protein: Protein) -> dict[str, Any]:
    messages = [(message.level, message.text, message.position) for message in protein.messages]
    backbone = None if protein.backbone is None else vars(protein.backbone)
    return vars(protein) | {"messages": messages, "backbone": backbone}


def _unpacked(row: dict[str, Any]) -> Protein:
    messages = tuple(Message(*message) for message in row["messages"])
    numbering = None if row["numbering"] is None else tuple(row["numbering"])
    backbone = None if row["backbone"] is None else Backbone(**row["backbone"])
    return Protein(**row | {"messages": messages, "numbering": numbering, "backbone": backbone})


def _with_messages(found: Found, told: tuple[Message, ...]) -> Iterator[Protein]:
    left_out = (Message("info", f"Left out, as they are no protein: {found.others}."),) if found.others else ()
    for number, protein in enumerate(found.proteins):
        messages = told + (left_out if number == 0 else ()) + protein.messages
        yield replace(protein, row=number + 1, messages=messages)


Parsed = tuple[gemmi.Structure, tuple[Message, ...], Origin]
"""A structure, what must be told of it, and where it comes from."""


def _parse(content: bytes, file: str, limits: Limits) -> Parsed:
    if file.lower().removesuffix(".gz").endswith(".bcif"):
        return _from_block(_binary_block(content, limits), limits, ())
    text = content.removeprefix(b"\xef\xbb\xbf").decode("ascii", "replace").replace("\ufffd", "?")
    if "\0" in text:
        raise InputError(
            "This is not text: it holds a NUL byte.", remedy="Give PDB or mmCIF text, or BinaryCIF as .bcif."
        )
    if not text.strip():
        raise InputError("The file is empty.", remedy="Give a file with at least one record.")
    return _from_cif(text, limits) if _is_cif(text) else _from_pdb(text, limits)


def _is_cif(text: str) -> bool:
    """By content, not by ending: structure files are often misnamed."""
    first = next((line for line in text.splitlines() if line.strip() and not line.startswith("#")), "")
    return first.lower().startswith("data_")


def _from_pdb(text: str, limits: Limits) -> Parsed:
    lines = text.splitlines()
    atoms = [(number, line) for number, line in enumerate(lines, 1) if line.startswith(("ATOM  ", "HETATM"))]
    _refuse_count(len(atoms), limits)
    for number, line in atoms:
        for axis, name in enumerate(_AXES):
            value = line[30 + 8 * axis : 38 + 8 * axis]
            if not _NUMBER.fullmatch(value):
                raise InputError(
                    f"Line {number}: the {name} coordinate came as '{value.strip()}'.",
                    remedy="Columns 31 to 54 must hold three numbers such as 12.345.",
                )
    told: tuple[Message, ...] = ()
    try:
        structure = gemmi.read_pdb_string(text)
    except _READ_ERRORS as error:
        # Before 1996 columns 73-80 held the entry's name and a line number; today they hold segment and charge.
        if "charge" not in str(error):
            raise _unreadable("PDB", error) from None
        structure = _old_pdb(text)
        told = (Message("mended", "This is an old PDB file: its line labels in columns 73 to 80 were left out."),)
    head = "\n".join(line for line in lines[:500] if line.startswith(("HEADER", "TITLE", "REMARK", "COMPND")))
    origin, remarks = _origin(structure, head, is_model=False)
    return structure, told + _models(structure) + remarks, origin


def _old_pdb(text: str) -> gemmi.Structure:
    try:
        return gemmi.read_pdb_string(text, max_line_length=72)
    except _READ_ERRORS as error:
        raise _unreadable("PDB", error) from None


def _from_cif(text: str, limits: Limits) -> Parsed:
    try:
        document = gemmi.cif.read_string(text)
    except _READ_ERRORS as error:
        raise _unreadable("mmCIF", error) from None
    blocks = [
        block for block in document if block.find_loop("_atom_site.Cartn_x") or block.find_pair("_atom_site.Cartn_x")
    ]
    if not blocks:
        _refuse_reflections(document)
        _refuse_count(0, limits)
    told: tuple[Message, ...] = ()
    if len(document) > 1:
        told = (
            Message(
                "info", f"The file has {len(document)} data blocks; '{blocks[0].name}', the first with atoms, was read."
            ),
        )
    return _from_block(blocks[0], limits, told)


def _from_block(block: gemmi.cif.Block, limits: Limits, told: tuple[Message, ...]) -> Parsed:
    table = block.find("_atom_site.", [f"Cartn_{axis}" for axis in _AXES])
    _refuse_count(len(table), limits)
    for number, row in enumerate(table, 1):
        for name, value in zip(_AXES, row, strict=True):
            if not _NUMBER.fullmatch(value):
                raise InputError(
                    f"Atom {number}: the {name} coordinate came as '{value}'.",
                    remedy="_atom_site.Cartn_x, y and z must hold numbers such as 12.345.",
                )
    try:
        structure = gemmi.make_structure_from_block(block)
    except _READ_ERRORS as error:
        raise _unreadable("mmCIF", error) from None
    is_model = bool(block.find_values("_ma_qa_metric.id"))
    origin, remarks = _origin(structure, info(structure, "_struct.title"), is_model=is_model)
    return structure, told + _models(structure) + remarks, origin


def _binary_block(content: bytes, limits: Limits) -> gemmi.cif.Block:
    """The categories that we need of a BinaryCIF file, as text, so that one path serves all formats."""
    from biotite import DeserializationError, InvalidFileError
    from biotite.structure.io import pdbx

    try:
        _refuse_bomb(msgpack.unpackb(content), limits)
        source = pdbx.BinaryCIFFile.read(io.BytesIO(content)).block
        block = gemmi.cif.Block("bcif")
        for name in _CATEGORIES:
            if name in source:
                arrays = {key: column.as_array(str, masked_value="?") for key, column in source[name].items()}
                loop = block.init_loop(f"_{name}.", list(arrays))
                loop.set_all_values([[_cif_text(str(value)) for value in array] for array in arrays.values()])
    except (*_READ_ERRORS, msgpack.UnpackException, InvalidFileError, DeserializationError) as error:
        raise _unreadable("BinaryCIF", error) from None
    return block


def _cif_text(value: str) -> str:
    return value if value in ("?", ".") else gemmi.cif.quote(value)


def _refuse_bomb(node: object, limits: Limits) -> None:
    """Refuse a packed column that says it grows beyond the atom limit; run lengths can claim any size."""
    if isinstance(node, dict):
        size = node.get("srcSize", node.get("rowCount", 0))
        if not isinstance(size, int) or size > 20 * limits.atoms:
            raise InputError("A column of the BinaryCIF file is too large.", remedy="Give the structure as mmCIF.")
        for value in node.values():
            _refuse_bomb(value, limits)
    elif isinstance(node, list):
        for value in node:
            _refuse_bomb(value, limits)


def _refuse_reflections(document: gemmi.cif.Document) -> None:
    if any(block.find_values("_refln.index_h") for block in document):
        raise InputError(
            "The file holds the reflections that were measured on a crystal, not the structure.",
            remedy="Give the file of coordinates of the same entry.",
        )


def _refuse_count(atoms: int, limits: Limits) -> None:
    if atoms == 0:
        raise InputError("The file has no atoms.", remedy="Give a PDB, mmCIF or BinaryCIF file of a structure.")
    if atoms > limits.atoms:
        raise InputError(
            f"The file has {atoms:,} atoms; the limit is {limits.atoms:,}.",
            remedy="Give the chains you need in a file of their own.",
        )


def _unreadable(kind: str, error: Exception) -> InputError:
    detail = _PLACE.sub(r"line \1:", " ".join(str(error).split()))[:200].rstrip(".")
    return InputError(f"The {kind} file cannot be read: {detail}.", remedy="Download it again, or mend that place.")


def _models(structure: gemmi.Structure) -> tuple[Message, ...]:
    text = f"The file has {len(structure)} models; the first was read."
    return (Message("info", text),) if len(structure) > 1 else ()


def _origin(structure: gemmi.Structure, head: str, *, is_model: bool) -> tuple[Origin, tuple[Message, ...]]:
    """Whether the structure was measured or computed, and what a user must be told of it."""
    method = info(structure, "_exptl.method").upper()
    if method and "THEORETICAL" not in method:
        return "experimental", ()
    named = _FORECAST.search(head)
    sign = named.group() if named else "it says so" if is_model or method else _confidence_sign(structure)
    if not sign:
        return "unknown", ()
    text = f"This looks like a predicted structure ({sign}): its B-factors are confidences (pLDDT), not mobility."
    return "predicted", (Message("warning", text),)


def _confidence_sign(structure: gemmi.Structure) -> str:
    """Why the B-factors look like pLDDT: one value for all atoms of a residue, different between residues."""
    values: list[float] = []
    for residue in (residue for model in structure for chain in model for residue in chain if len(residue) >= 4):
        factors = {round(atom.b_iso, 2) for atom in residue}
        if len(factors) > 1:
            return ""
        values += factors
    if len(values) < 10 or len(set(values)) < 3 or min(values) < 0 or max(values) > 100:
        return ""
    return f"each residue has one B-factor, from {min(values):g} to {max(values):g}"


def _stem(file: str) -> str:
    name = Path(file).name
    for ending in (".gz", *STRUCTURE_ENDINGS):
        name = name[: -len(ending)] if name.lower().endswith(ending) else name
    return name or "structure"
