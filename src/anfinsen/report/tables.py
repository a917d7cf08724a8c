"""Predictions as tables: predictions.jsonl for machines, CSV for people, and the records that were refused.

Columns follow from the kind of each answer, so a new task needs no change here. Every table is written beside
its place and renamed when it is whole. Cells that a spreadsheet would run as a formula get a leading apostrophe
(OWASP, CSV injection); numbers are left alone. It knows no model and no task.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from anfinsen.errors import InputError
from anfinsen.inference.prediction import Prediction
from anfinsen.report.answer import called, kind_of
from anfinsen.structure.protein import Message
from anfinsen.targets.base import Answer

Cell = str | int | float | None
Row = dict[str, Cell]

REFUSED_COLUMNS = ("file", "record", "row", "position", "reason", "remedy")
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
_LONGEST_STEM = 60


def write_csv(path: str | Path, predictions: Iterable[Prediction], *, raw: bool = False) -> None:
    """Write predictions.csv, one row a protein; `raw` leaves text as it is, for machines only."""
    rows: list[Row] = []
    columns: dict[str, dict[str, None]] = {}
    for prediction in predictions:
        row: Row = {"id": prediction.id, "length": len(prediction.sequence), "sha256": prediction.sha256}
        if prediction.partner is not None:
            row["partner"] = prediction.partner.id
            columns.setdefault("", {})["partner"] = None
        for name, value in prediction.conditions.items():
            row[name] = value
            columns.setdefault("", {})[name] = None
        for task, answer in prediction.answers.items():
            cells = answer_cells(task, answer)
            columns.setdefault(task, {}).update(dict.fromkeys(cells))
            row |= cells
        rows.append(row | {"warnings": _warnings(prediction.messages)})
    conditions = columns.pop("", {})
    header = [
        "id",
        "length",
        "sha256",
        *conditions,
        *(name for group in columns.values() for name in group),
        "warnings",
    ]
    write_table(Path(path), header, rows, raw=raw)


def write_residues(folder: str | Path, prediction: Prediction, *, raw: bool = False) -> Path | None:
    """Write one row a residue into `folder`; None, and no file, if no answer of this protein is per residue."""
    tracks: dict[str, Sequence[Cell]] = {}
    for task, answer in prediction.answers.items():
        tracks |= residue_columns(task, answer)
    if not tracks:
        return None
    rows: list[Row] = []
    for place, residue in enumerate(prediction.sequence):
        author = prediction.numbering[place] if prediction.numbering else str(place + 1)
        number: Cell = int(author) if re.fullmatch(r"-?[0-9]+", author) else author
        row: Row = {"position": place + 1, "author_number": number, "residue": residue}
        rows.append(row | {name: track[place] if place < len(track) else None for name, track in tracks.items()})
    path = Path(folder) / f"{safe_name(prediction.id, prediction.sha256)}.csv"
    write_table(path, ["position", "author_number", "residue", *tracks], rows, raw=raw)
    return path


def write_refused(
    path: str | Path, refused: Iterable[InputError], *, raw: bool = False, has_lines: bool = False
) -> None:
    """Write refused.csv: each record that was left out, where (`has_lines`: on which line), why, and what to do."""
    columns = (*REFUSED_COLUMNS[:3], "line", *REFUSED_COLUMNS[3:]) if has_lines else REFUSED_COLUMNS
    rows = ({column: getattr(error, column) for column in columns} for error in refused)
    write_table(Path(path), columns, rows, raw=raw)


def answer_cells(task: str, answer: Answer) -> Row:
    """One answer as flat cells, named after the task."""
    kind = kind_of(answer)
    cells: Row
    if kind == "label":
        cells = {task: answer["label"], f"{task}_probability": answer["probability"]}
        cells[f"{task}_set"] = "; ".join(answer.get("set", ()))
        if "cut" in answer:
            cells[f"{task}_cut"] = answer["cut"]
    elif kind == "labels":
        cells = {task: "; ".join(str(label["label"]) for label in answer["labels"])}
        cells[f"{task}_probability"] = "; ".join(f"{label['probability']:.4g}" for label in answer["labels"])
    elif kind == "number":
        cells = {task: answer["value"], f"{task}_low": answer.get("low"), f"{task}_high": answer.get("high")}
        cells[f"{task}_unit"] = answer.get("unit", "")
    elif kind == "tokens":
        cells = {task: answer["tokens"]}
        if "segments" in answer:
            places = (f"{one['letter']} {one['start']}-{one['end']}" for one in answer["segments"])
            cells[f"{task}_segments"] = "; ".join(places)
    elif kind == "tracks":
        cells = {task: answer["tokens"]} | {f"{task}_{name}": sum(said) for name, said in called(answer).items()}
    elif kind == "values":
        known = [value for value in answer["values"] if value is not None]
        mean = round(sum(known) / len(known), 6) if known else None
        cells = {f"{task}_mean": mean, f"{task}_min": min(known, default=None), f"{task}_max": max(known, default=None)}
    else:
        cells = {task: json.dumps({key: value for key, value in answer.items() if key != "reach"})}
    reach = answer.get("reach") or {}
    far = reach.get("far")
    cells[f"{task}_far"] = None if far is None else str(bool(far)).lower()
    cells[f"{task}_nearest_identity"] = reach.get("nearest_identity")
    return cells


def residue_columns(task: str, answer: Answer) -> dict[str, Sequence[Cell]]:
    """The columns of an answer per residue, each with L cells; none for an answer about the whole protein."""
    kind = kind_of(answer)
    if kind == "values":
        return {task: answer["values"]} | {f"{task}_{end}": answer[end] for end in ("low", "high") if end in answer}
    if kind not in ("tokens", "tracks"):
        return {}
    return {task: answer["tokens"]} | {
        f"{task}_{letter}": track for letter, track in answer.get("probabilities", {}).items()
    }


def safe_name(name: str, sha256: str = "") -> str:
    """A file name for any id: readable, the same for the same protein, never a path, never a device's name.

    >>> safe_name("../../etc/passwd").rpartition("-")[0], safe_name("sp|P01308|INS_HUMAN").rpartition("-")[0]
    ('etc_passwd', 'sp_P01308_INS_HUMAN')
    """
    stem = re.sub(r"[^A-Za-z0-9-]+", "_", name)[:_LONGEST_STEM].strip("_-") or "protein"
    suffix = hashlib.sha256(f"{name}\n{sha256}".encode("utf-8", "backslashreplace")).hexdigest()[:10]
    return f"{stem}-{suffix}"


@contextmanager
def written_beside(path: Path) -> Iterator[IO[str]]:
    """A text file that takes its place only when it is whole; what stood there before stays until then."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".writing-{os.getpid()}-{path.name}")
    try:
        with beside.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def write_table(path: Path, header: Sequence[str], rows: Iterable[Mapping[str, Cell]], *, raw: bool) -> None:
    """Write a table; text that a spreadsheet would run as a formula is made harmless unless `raw`."""
    with written_beside(path) as file:
        # the line end of RFC 4180: with a bare \n the module would leave cells that hold a \r without quotes
        writer = csv.writer(file, lineterminator="\r\n")
        writer.writerow([_guard(name, raw) for name in header])
        for row in rows:
            writer.writerow([_guard(row.get(name), raw) for name in header])


def _guard(cell: Cell, raw: bool) -> Cell:
    """Text that a spreadsheet would take for a formula, made harmless."""
    if raw or not isinstance(cell, str) or not cell.startswith(_FORMULA_STARTS):
        return cell
    return f"'{cell}"


def _warnings(messages: Sequence[Message]) -> str:
    """What was mended and what must be minded, in one cell; notes for information are left to the report."""
    told = [message for message in messages if message.level != "info"]
    return " | ".join(f"{m.level}{f' at {m.position}' if m.position is not None else ''}: {m.text}" for m in told)
