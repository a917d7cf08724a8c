"""What the cells of an answer column mean: a number, a class, several labels, a letter or a number a residue.

    cells -> guess_kind -> read_answers -> one value a row, or the sentence that says why there is none

The kind is guessed only where the cells leave no doubt; where they do not, the refusal says what was seen and which
word decides. Nothing is mended in silence: a unit that is taken off and a decimal comma that is read are told. It
knows no file, no sequence but its length, and no model.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

from anfinsen.data.example import Value
from anfinsen.errors import UsageError, suggest
from anfinsen.reading.raw import printable

Kind = Literal["number", "label", "labels", "tokens", "values"]
KINDS: tuple[Kind, ...] = get_args(Kind)
NOTHING = ("", "na", "n/a", "nan", "null", "none", "-", "?")
"""Cells, in lower case, that say that nobody knows."""
MOSTLY = 0.9
"""Share of the cells from which a kind is beyond doubt."""
_FEW_NUMBERS = 10
"""Up to so many different whole numbers may be classes."""
_MANY_TEXTS = 20
_TOKENS = 30
"""More different letters a residue than that are text."""
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
_WITH_UNIT = re.compile(r"([+-]?(?:\d[\d.,]*|[.,]\d+)(?:[eE][+-]?\d+)?)\s*(%|°?[^\W\d_][^\d<>=]*)?")
_LIMIT = re.compile(r"[<>≤≥~]\s*=?\s*[\d.,]+.*")
_PARTS = re.compile(r"[;,\s]+")


@dataclass(frozen=True)
class Answers:
    """One value a row, None where it was refused; `refusals` has the reason and the remedy by row."""

    kind: Kind
    values: tuple[Value | None, ...]
    unit: str = ""
    refusals: dict[int, tuple[str, str]] = field(default_factory=dict)
    missing: tuple[int, ...] = ()
    told: tuple[str, ...] = ()


def is_missing(cell: str) -> bool:
    """Whether a cell says that nobody knows."""
    return cell.strip().lower() in NOTHING


def guess_kind(cells: Sequence[str], lengths: Sequence[int], column: str, chosen: str = "") -> Kind:
    """The kind of answer in a column, as it is said or as the cells leave no doubt; else a refusal with both ways."""
    if chosen:
        if chosen not in KINDS:
            raise UsageError(f"There is no kind of answer '{chosen}'.", remedy=suggest(chosen, KINDS))
        return next(kind for kind in KINDS if kind == chosen)
    known = [(cell.strip(), length) for cell, length in zip(cells, lengths, strict=True) if not is_missing(cell)]
    if not known:
        raise UsageError(
            f"The column '{printable(column)}' is empty in all {len(cells):,} rows.",
            remedy="Name the column with the answers: --label NAME.",
        )
    if _share(len(cell) == length and cell.isalpha() for cell, length in known) > 0.5:
        return "tokens"
    if _share(_count(cell) > 1 and _count(cell) == length for cell, length in known) > 0.5:
        return "values"
    texts = [cell for cell, _ in known]
    numeric = _share(_is_quantity(cell) for cell in texts)
    if numeric >= MOSTLY:
        return _number_or_label(texts, column)
    if numeric > 1 - MOSTLY:
        text = next(cell for cell in texts if not _is_quantity(cell))
        raise UsageError(
            f"The column '{printable(column)}' holds {round(numeric * len(texts)):,} numbers and "
            f"{round((1 - numeric) * len(texts)):,} texts such as '{printable(text)}'.",
            remedy="Say which it is: --kind number refuses the texts, --kind label takes all for classes.",
        )
    if any(";" in cell for cell in texts):
        return "labels"
    different = len(set(texts))
    if different > _MANY_TEXTS and different > len(texts) / 2:
        raise UsageError(
            f"The column '{printable(column)}' holds {different:,} different texts in {len(texts):,} rows, such as "
            f"'{printable(texts[0])}': that is no set of classes.",
            remedy="Name another column with --label NAME, or say --kind label if it is one.",
        )
    return "label"


def _number_or_label(texts: Sequence[str], column: str) -> Kind:
    different = sorted(set(texts))
    if len(different) <= 2:
        return "label"
    is_whole = all(re.fullmatch(r"[+-]?\d+", cell) for cell in different)
    if not is_whole or len(different) > _FEW_NUMBERS or len(texts) < 3 * len(different):
        return "number"
    shown = ", ".join(sorted(different, key=int))
    raise UsageError(
        f"The column '{printable(column)}' holds {len(different)} different whole numbers ({shown}): classes, or a "
        "quantity?",
        remedy="Say --kind label or --kind number.",
    )


def read_answers(cells: Sequence[str], lengths: Sequence[int], kind: Kind, column: str) -> Answers:
    """The value of each row; a row without one has its reason and its remedy."""
    missing = tuple(row for row, cell in enumerate(cells) if is_missing(cell))
    reader = {"number": _numbers, "label": _label, "labels": _labels, "tokens": _tokens, "values": _residue_numbers}
    found = reader[kind](cells, lengths, printable(column))
    why = (f"The cell in column '{printable(column)}' is empty: there is no answer to learn from.", "Fill it in.")
    refusals = {**found.refusals, **dict.fromkeys(missing, why)}
    values = tuple(None if row in refusals else value for row, value in enumerate(found.values))
    return Answers(kind, values, found.unit, refusals, missing, found.told)


# Numbers --------------------------------------------------------------------------------------------------------------


def _numbers(cells: Sequence[str], lengths: Sequence[int], column: str) -> Answers:
    parts = [_WITH_UNIT.fullmatch(cell.strip()) for cell in cells]
    units = Counter((part[2] or "").strip() for part in parts if part)
    unit = units.most_common(1)[0][0] if units else ""
    commas = _decimal_commas([part[1] for part in parts if part])
    values: list[Value | None] = []
    refusals: dict[int, tuple[str, str]] = {}
    for row, (cell, part) in enumerate(zip(cells, parts, strict=True)):
        value = None
        try:
            value = _number(cell.strip(), part, unit, commas, column)
        except _Refused as refused:
            refusals[row] = (refused.reason, refused.remedy)
        values.append(value)
    told: list[str] = []
    if unit:
        told.append(f"The unit '{unit}' was taken off {units[unit]:,} numbers in column '{column}'.")
    if commas:
        told.append(f"The numbers in column '{column}' have a decimal comma; 1,5 was read as 1.5.")
    return Answers("number", tuple(values), unit, refusals, told=tuple(told))


class _Refused(Exception):
    """One cell that is no answer."""

    def __init__(self, reason: str, remedy: str) -> None:
        self.reason, self.remedy = reason, remedy
        super().__init__(reason)


def _number(cell: str, part: re.Match[str] | None, unit: str, commas: bool, column: str) -> float:
    shown = f"'{printable(cell)}' in column '{column}'"
    if _LIMIT.fullmatch(cell):
        raise _Refused(
            f"{shown} is a limit, not a number.", "Write the number that was measured, or leave the row out."
        )
    if cell.lower().lstrip("+-") in ("inf", "infinity"):
        raise _Refused(f"{shown} is infinite.", "Write the number that was measured, or leave the row out.")
    if part is None:
        raise _Refused(f"{shown} is no number.", "Write a number such as 37.5, or leave the row out.")
    text, own = part[1], (part[2] or "").strip()
    if own != unit:
        said, others = f"is in {own}" if own else "has no unit", f"are in {unit}" if unit else "have no unit"
        raise _Refused(f"{shown} {said}; most other rows {others}.", "Write all rows in one unit.")
    if "," in text and not commas:
        if _NUMBER.fullmatch(text.replace(",", ".", 1)):
            point = text.replace(",", ".", 1)
            raise _Refused(f"{shown} has a comma: {point}, or thousands?", f"Write it as {point} or without the comma.")
        raise _Refused(f"{shown} has commas.", "Write it without them.")
    text = text.replace(",", ".")
    if not _NUMBER.fullmatch(text) or not math.isfinite(float(text)):
        raise _Refused(f"{shown} is no number.", "Write a number such as 37.5, or leave the row out.")
    return float(text)


def _decimal_commas(texts: Sequence[str]) -> bool:
    """Whether commas are decimal beyond doubt: no point anywhere, and one that can mean no thousands."""
    with_comma = [text for text in texts if "," in text]
    return (
        bool(with_comma)
        and not any("." in text for text in texts)
        and all(text.count(",") == 1 for text in with_comma)
        and any(len(text.partition(",")[2]) != 3 or text.lstrip("+-").startswith("0,") for text in with_comma)
    )


def _is_quantity(cell: str) -> bool:
    part = _WITH_UNIT.fullmatch(cell)
    infinite = cell.lower().lstrip("+-") in ("inf", "infinity")
    return infinite or bool(_LIMIT.fullmatch(cell)) or (part is not None and len((part[2] or "").split()) <= 2)


# Classes, labels, residues --------------------------------------------------------------------------------------------


def _label(cells: Sequence[str], lengths: Sequence[int], column: str) -> Answers:
    spelled, told = _one_spelling(cell.strip() for cell in cells if not is_missing(cell))
    return Answers("label", tuple(spelled.get(cell.strip(), cell.strip()) for cell in cells), told=told)


def _labels(cells: Sequence[str], lengths: Sequence[int], column: str) -> Answers:
    every = [part.strip() for cell in cells if not is_missing(cell) for part in cell.split(";") if part.strip()]
    spelled, told = _one_spelling(every)
    values = []
    for cell in cells:
        names = [part.strip() for part in cell.split(";") if part.strip()]
        values.append(tuple(dict.fromkeys(spelled.get(name, name) for name in names)))
    return Answers("labels", tuple(values), told=told)


def _one_spelling(names: Iterable[str]) -> tuple[dict[str, str], tuple[str, ...]]:
    """Names that differ only in capitals are one class; the commonest spelling stands for all."""
    counts = Counter(names)
    groups: dict[str, list[str]] = {}
    for name, _ in counts.most_common():
        groups.setdefault(name.casefold(), []).append(name)
    merged = [group for group in groups.values() if len(group) > 1]
    told = tuple(
        f"The class '{printable(group[0])}' is also written '{printable(group[1])}'; they were read as one."
        for group in merged
    )
    return {name: group[0] for group in merged for name in group}, told


def _tokens(cells: Sequence[str], lengths: Sequence[int], column: str) -> Answers:
    refusals = {}
    for row, (cell, length) in enumerate(zip(cells, lengths, strict=True)):
        if len(cell.strip()) != length:
            reason = f"The sequence has {length} residues, but column '{column}' has {len(cell.strip())} letters."
            refusals[row] = (reason, "Give one letter for each residue; nothing is padded.")
    letters = {letter for row, cell in enumerate(cells) if row not in refusals for letter in cell.strip()}
    if len(letters) > _TOKENS:
        raise UsageError(
            f"The column '{column}' holds {len(letters)} different letters a residue; the most is {_TOKENS}.",
            remedy="Name another column with --label NAME.",
        )
    return Answers("tokens", tuple(cell.strip() for cell in cells), refusals=refusals)


def _residue_numbers(cells: Sequence[str], lengths: Sequence[int], column: str) -> Answers:
    refusals: dict[int, tuple[str, str]] = {}
    values: list[Value | None] = []
    for row, (cell, length) in enumerate(zip(cells, lengths, strict=True)):
        parts = [part for part in _PARTS.split(cell.strip().strip("[]")) if part]
        wrong = next((part for part in parts if not (is_missing(part) or _NUMBER.fullmatch(part))), None)
        if wrong is not None:
            refusals[row] = (
                f"'{printable(wrong)}' in column '{column}' is no number.",
                "Write nan where it is unknown.",
            )
        elif len(parts) != length:
            reason = f"The sequence has {length} residues, but column '{column}' has {len(parts)} numbers."
            refusals[row] = (reason, "Give one number for each residue; nothing is padded.")
        values.append(None if row in refusals else tuple(math.nan if is_missing(p) else float(p) for p in parts))
    return Answers("values", tuple(values), refusals=refusals)


def _count(cell: str) -> int:
    """Numbers in a cell, 0 where one part of it is none."""
    parts = [part for part in _PARTS.split(cell.strip("[]")) if part]
    return len(parts) if all(is_missing(part) or _NUMBER.fullmatch(part) for part in parts) else 0


def _share(found: Iterable[bool]) -> float:
    every = list(found)
    return sum(every) / max(1, len(every))
