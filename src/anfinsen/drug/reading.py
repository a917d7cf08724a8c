"""Molecules from files and lines: which text may be a formula at all, decided before any chemistry is done.

    .smi, .smiles, .txt   one formula a line, then optionally blanks or a tab and a name; '#' begins a remark
    .sdf, .mol            records that end with '$$$$'
    one bare formula      'CC(=O)Oc1ccccc1C(=O)O', without a name

A formula is one word of ASCII signs. RDKit would read 'CCÖ' as 'CC' and 'CCO ethanol' as 'CCO' without a word; here
the first is refused with the sign and its place, and a name is a name only where a file has a column for it.
"""

from __future__ import annotations

import io
import re
import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from anfinsen.drug.molecule import Formula, Molecule, read_formulas
from anfinsen.errors import InputError, UsageError
from anfinsen.intake import Line, lines, opened, refuse_noise
from anfinsen.limits import LIMITS, Limits
from anfinsen.structure.protein import Message

SDF, MOL = (".sdf", ".sd"), (".mol",)
LINES = (".smi", ".smiles", ".ism", ".txt")
RECORD_END = "$$$$"
_BLOCK_BYTES = 1_000_000
"""Bytes of one SDF record; more is no small molecule."""
_SIGNS = re.compile(r"[A-Za-z0-9@+\-\[\]()\\/%=#$:.~*<>,;!&?^_{}|']")
_PLAIN = re.compile(r"[A-Za-z0-9@+\-\[\]()\\/%=#$:.~]+")
"""A formula in which every sign is one that SMILES has; what is wrong with any other is then looked for."""
_FOREIGN = re.compile(r"[<>,;!&?^_{}|']")
_HEADERS = {"smiles", "canonical_smiles", "isomeric_smiles"}
_PEPTIDE = re.compile(r"[CNSPFIK]{6,}")

Record = Molecule | InputError


class Place(NamedTuple):
    """Where a molecule stands: its file, which record of it, and on which line that begins, both from 1."""

    file: str = ""
    row: int | None = None
    line: int | None = None


def read_molecules(source: str | Path, *, is_judged: bool = False, limits: Limits = LIMITS) -> Iterator[Record]:
    """Every molecule of a file, or of one bare formula, in order; a record that is refused comes as its InputError."""
    yield from _told_apart(_studied(formulas(source, limits), is_judged))


def formulas(source: str | Path, limits: Limits = LIMITS) -> Iterator[Formula | InputError]:
    """The formulas of a source as they stand, before any chemistry."""
    path = Path(source)
    if isinstance(source, str) and not _is_file(source):
        yield _placed(str(source), "molecule-1", Place(row=1), limits)
        return
    suffix = next((one.lower() for one in reversed(path.suffixes) if one.lower() != ".gz"), "")
    with opened(path, file=path.name, limits=limits) as reader:
        refuse_noise(reader.peek(4096)[:4096], path.name)
        if suffix in SDF + MOL:
            yield from _blocks(reader, path.name, limits)
        elif suffix in LINES:
            yield from _lines(reader, path.name, limits)
        else:
            raise UsageError(
                f"'{path.name}' may be a table, but its ending does not say that it holds molecules.",
                remedy=f"Give it one of the endings {', '.join(LINES + SDF + MOL)}.",
            )


def check_formula(text: str, limits: Limits = LIMITS) -> str:
    """The formula without the blanks around it; refuses what cannot be one, with the place of the sign (from 1).

    >>> check_formula(" CCO ")
    'CCO'
    """
    formula = text.strip()
    if not formula:
        raise InputError("The formula is empty.", remedy="Write a molecule as SMILES, such as CCO for ethanol.")
    if len(formula) > limits.smiles_characters:
        raise InputError(
            f"The formula has {len(formula):,} characters; the limit is {limits.smiles_characters:,}.",
            remedy="Give a small molecule, of at most "
            f"{limits.heavy_atoms} atoms besides hydrogen; larger ones can crash its reader.",
        )
    if _PLAIN.fullmatch(formula):
        return formula
    for at, sign in enumerate(formula, 1):
        if sign.isspace():
            raise InputError(
                "A blank or line end stands within the formula; what follows would be lost.",
                remedy="Give the formula alone, or a file with the name in a second column.",
                position=at,
            )
        if not sign.isascii() or not _SIGNS.match(sign):
            name = unicodedata.name(sign, "no character")
            raise InputError(
                f"The formula holds {sign if sign.isprintable() else 'a sign'!r} (U+{ord(sign):04X}, {name.lower()}), "
                "which no SMILES has.",
                remedy="Write the formula in ASCII signs.",
                position=at,
            )
    if ">" in formula:
        raise InputError("This is a reaction, not a molecule.", remedy="Give one of its molecules.")
    if "*" in formula:
        raise InputError(
            "It holds '*', which stands for any atom.", remedy="Write the one molecule that is meant.",
            position=formula.index("*") + 1,
        )  # fmt: skip
    if found := _FOREIGN.search(formula):
        raise InputError(
            f"The formula holds '{found[0]}', which SMILES does not use.",
            remedy="Patterns (SMARTS) are no molecules: write the molecule.",
            position=found.start() + 1,
        )
    return formula


def _is_file(text: str) -> bool:
    """Whether a text names a file: one that is there, or one that was meant, by its ending."""
    if not text.strip():
        return False
    try:
        return Path(text).is_file() or Path(text).suffix.lower() in (*LINES, *SDF, *MOL, ".gz", ".csv", ".parquet")
    except (OSError, ValueError):
        return False


def _placed(text: str, name: str, at: Place, limits: Limits) -> Formula | InputError:
    try:
        formula = check_formula(text, limits)
    except InputError as error:
        return InputError(error.reason, remedy=error.remedy, position=error.position, record=name, **at._asdict())
    told: tuple[Message, ...] = ()
    if _PEPTIDE.fullmatch(formula):
        told = (Message("warning", "These letters could also be a peptide; they were read as SMILES, as a drug."),)
    return Formula(formula, name, "smiles", at.file, at.row, told, at.line)


def _lines(reader: io.BufferedReader, file: str, limits: Limits) -> Iterator[Formula | InputError]:
    row = 0
    for number, line in enumerate(lines(reader, limits.smiles_characters + limits.header_bytes), 1):
        text = line.text.removeprefix("\ufeff") if number == 1 else line.text
        if not text.strip() or text.lstrip().startswith("#"):
            continue
        formula, _, name = text.strip().replace("\t", " ", 1).partition(" ")
        if number == 1 and formula.lower() in _HEADERS:
            continue
        row += 1
        if row > limits.records:
            raise UsageError(
                f"{file} holds more than {limits.records:,} molecules.", remedy="Split it into smaller files."
            )
        yield _named(line, formula, name.strip(), Place(file, row, number), limits)


def _named(line: Line, formula: str, name: str, at: Place, limits: Limits) -> Formula | InputError:
    if line.length > len(line.text):
        whole = f"The line has {line.length:,} characters; a formula may have {limits.smiles_characters:,}."
        remedy, shown = "Give small molecules, one a line.", f"molecule-{at.row}"
        return InputError(whole, remedy=remedy, record=shown, **at._asdict())
    return named_formula(formula, name, at, limits)


def named_formula(text: str, name: str, at: Place, limits: Limits = LIMITS) -> Formula | InputError:
    """One row of a file as a formula with its name, or as its refusal; a nameless one is called after its row."""
    called = name or f"molecule-{at.row}"
    if bad := next((sign for sign in called if unicodedata.category(sign) in ("Cc", "Cf", "Cs", "Zl", "Zp")), ""):
        return InputError(
            f"The name holds U+{ord(bad):04X}, which cannot be shown.",
            remedy="Write the name in letters, digits and signs, as UTF-8 text.",
            record=f"molecule-{at.row}",
            **at._asdict(),
        )
    return _placed(text, called[: limits.header_bytes], at, limits)


def _blocks(reader: io.BufferedReader, file: str, limits: Limits) -> Iterator[Formula | InputError]:
    block: list[str] = []
    row, size, first = 1, 0, 1
    for number, line in enumerate(lines(reader, limits.cell_bytes), 1):
        if line.text.rstrip() == RECORD_END:
            yield _block(block, size, Place(file, row, first))
            block, row, size, first = [], row + 1, 0, number + 1
        elif size <= _BLOCK_BYTES:
            size += line.length + 1
            block.append(line.text)
    if any(line.strip() for line in block):
        yield _block(block, size, Place(file, row, first))
    elif row == 1:
        raise InputError("The file is empty.", remedy="Give a file with at least one record.", file=file)


def _block(block: list[str], size: int, at: Place) -> Formula | InputError:
    first = "".join(letter for letter in (block[0] if block else "").strip() if letter.isprintable())
    name = first[:60] or f"molecule-{at.row}"
    if size > _BLOCK_BYTES:
        reason, remedy = f"The record has more than {_BLOCK_BYTES:,} bytes.", "Give small molecules only."
        return InputError(reason, remedy=remedy, record=name, **at._asdict())
    text = "\n".join(block)
    end = text.find("M  END")
    if end < 0:
        reason, remedy = "The record does not end with 'M  END': it was cut off.", "Export the file again."
        return InputError(reason, remedy=remedy, record=name, **at._asdict())
    table = "\n".join(["", "", "", *text[: end + 6].split("\n")[3:]]) + "\n"  # names and remarks stay with us
    return Formula(table, name, "block", at.file, at.row, line=at.line)


def _studied(found: Iterable[Formula | InputError], is_judged: bool) -> Iterator[Record]:
    """Formulas as molecules, refusals in their places."""
    waiting: list[Formula | InputError] = []
    for one in found:
        waiting.append(one)
        if len(waiting) >= 200:
            yield from _flush(waiting, is_judged)
            waiting = []
    yield from _flush(waiting, is_judged)


def _told_apart(records: Iterable[Record]) -> Iterator[Record]:
    """A name that stood for another molecule is refused, for an answer is known by its name."""
    first: dict[str, Molecule] = {}
    for one in records:
        if isinstance(one, Molecule) and first.setdefault(one.id, one).smiles != one.smiles:
            reason = f"The name '{one.id}' stands for another molecule on line {first[one.id].line}."
            remedy, at = "Give each molecule a name of its own.", Place(one.source, one.row, one.line)
            yield InputError(reason, remedy=remedy, record=one.id, **at._asdict())
        else:
            yield one


def _flush(waiting: list[Formula | InputError], is_judged: bool) -> Iterator[Record]:
    molecules = read_formulas((one for one in waiting if isinstance(one, Formula)), is_judged=is_judged)
    for one in waiting:
        yield one if isinstance(one, InputError) else next(molecules)
