"""A request's sequences, judged by the readers that judge files: accepted, refused with a place, or merged.

It opens no file: text goes through the FASTA reader as bytes, a list as records. What was accepted is packed as plain
JSON for the store and for the child that answers. It knows no network.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy

from anfinsen.data.example import Example
from anfinsen.errors import InputError, UnknownNameError, UsageError
from anfinsen.limits import LIMITS, Limits
from anfinsen.reading.raw import RawRecord, place, refuse_name
from anfinsen.reading.readers import Merged, read_examples, read_records
from anfinsen.reading.tables import refuse_impossible
from anfinsen.serve.contract import Chain, Item, Proteins, Question
from anfinsen.serve.problem import Refused, of_record, refuse
from anfinsen.structure.backbone import Backbone
from anfinsen.structure.formats import read_chains
from anfinsen.structure.protein import Message, Protein

_STRUCTURE = re.compile(r"\s*(?:#[^\n]*\s+)*(?:data_|(?:HEADER|TITLE|COMPND|REMARK|CRYST1|MODEL|ATOM|HETATM) )")
"""How the text of an mmCIF or PDB file begins, and no FASTA does."""
_NAMED = re.compile(r"\s*(?:#[^\n]*\s+)*(?:data_([\w-]{1,40})|HEADER.{56}(\w{4})\b)")
"""Where such a text says what it is called: the block of an mmCIF file, the code in the head of a PDB file."""
Menu = Mapping[str, Mapping[str, Any]]
"""The tasks that are answered, by name, as `menu.entry` tells them."""


@dataclass
class Read:
    """What became of each record."""

    examples: list[Example] = field(default_factory=list)
    refused: list[InputError] = field(default_factory=list)
    merged: list[Merged] = field(default_factory=list)

    @property
    def residues(self) -> int:
        """Residues of everything that was accepted."""
        return sum(example.residues for example in self.examples)


def read(asked: Proteins, *, limits: Limits = LIMITS) -> Read:
    """Judge every record; raises `Refused` where nothing is left, or where it is too much for one request."""
    strict = limits.model_copy(update={"records": limits.request_records})
    found = Read()
    for record in _records(asked, strict):
        if isinstance(record, Example):
            found.examples.append(record)
        elif isinstance(record, Merged):
            found.merged.append(record)
        else:
            found.refused.append(record)
    if found.residues > limits.request_residues:
        raise refuse(
            413,
            "too_large",
            "sequences",
            f"{found.residues:,} residues came; one request holds {limits.request_residues:,} at most.",
            "Ask in several requests, or use the command line: anfinsen predict FILE.",
        )
    if not found.examples:
        problems = [of_record(error) for error in found.refused]
        raise Refused(422, problems[0], refused=problems)
    return found


def _records(asked: Proteins, limits: Limits) -> Iterator[Example | InputError | Merged]:
    if isinstance(asked.sequences, str):
        text = asked.sequences.encode("utf-8", "surrogatepass")  # half a character becomes bytes that are refused
        if _STRUCTURE.match(asked.sequences):
            for chain in read_chains(_name_of(asked.sequences), text, limits=limits):
                yield _without_file(chain if isinstance(chain, InputError) else Example(chain))
            return
        for record in read_examples(io.BytesIO(text), limits=limits):
            yield _without_file(record)
        return
    items = asked.sequences
    if not items:
        raise InputError("The list of sequences is empty.", remedy="Give at least one sequence.")
    if len(items) > limits.records:
        raise InputError(
            f"{len(items):,} records came; the limit is {limits.records:,}.", remedy="Ask in several requests."
        )
    paired = [isinstance(item, Chain) and item.partner is not None for item in items]
    if any(paired) and not all(paired):
        row = paired.index(False) + 1
        raise InputError(
            f"Record {row} is one protein, while others are pairs.",
            remedy="Ask about proteins and pairs apart.",
            row=row,
        )
    if any(paired):
        yield from (_pair(row, item, limits) for row, item in enumerate(items, 1) if isinstance(item, Chain))
    else:
        yield from read_records((_raw(row, item, limits) for row, item in enumerate(items, 1)), limits=limits)


def _name_of(structure: str) -> str:
    """What a structure is called; nobody told a file's name.

    >>> _name_of("data_5PTI\\nloop_"), _name_of("ATOM      1  N   ALA A   1")
    ('5PTI', 'structure')
    """
    named = _NAMED.match(structure)
    return "structure" if named is None else named[1] or named[2]


def _without_file(record: Example | InputError | Merged) -> Example | InputError | Merged:
    """The same record; there is only one text, so nobody has to be told which."""
    if isinstance(record, Example):
        return replace(record, protein=replace(record.protein, source=""))
    if isinstance(record, InputError):
        record.file = ""
        return record
    return replace(record, file="")


def _raw(row: int, item: Item, limits: Limits, letter: str = "") -> RawRecord | InputError:
    if isinstance(item, str):
        return RawRecord(row, f"query-{row}{letter}", item)
    try:
        for name, kind in ((item.id, "id"), (item.description, "description")):
            refuse_name(name, kind, limits)
        for condition, number in item.conditions.items():
            refuse_impossible(number, condition, f"for '{condition}'")
    except InputError as error:
        return place(error, file="", row=row, record=item.id)
    return RawRecord(row, item.id or f"query-{row}{letter}", item.sequence, item.description, dict(item.conditions))


def _pair(row: int, item: Chain, limits: Limits) -> Example | InputError:
    """Two proteins as one example; refused with the first that is refused."""
    found: list[Example] = []
    for chain, letter in ((item, "a"), (item.partner, "b")):
        assert chain is not None  # only pairs come here
        (one,) = read_records([_raw(row, chain, limits, letter)], limits=limits)
        if not isinstance(one, Example):
            assert isinstance(one, InputError)  # a single record has no twin
            return one
        found.append(one)
    return replace(found[0], partner=found[1].protein, conditions={**found[1].conditions, **found[0].conditions})


def under(examples: Iterable[Example], asked: Question, tasks: Sequence[str], menu: Menu) -> list[Example]:
    """The examples with the request's conditions; a name that no asked task knows is refused."""
    known = {one["name"] for task in tasks for one in menu[task]["conditions"]}
    found = list(examples)
    for name in {*asked.conditions, *(name for example in found for name in example.conditions)}:
        if name not in known:
            raise UnknownNameError("condition of these tasks", name, known)
    for name, number in asked.conditions.items():
        refuse_impossible(number, name, f"for '{name}'")
    return [replace(example, conditions={**asked.conditions, **example.conditions}) for example in found]


def chosen(asked: Question, examples: Sequence[Example], menu: Menu) -> tuple[str, ...]:
    """The tasks that are asked, in the menu's order; all that fit where none is named."""
    of_pairs = examples[0].partner is not None
    for name in asked.tasks:
        if name not in menu:
            raise UnknownNameError("task on this server", name, menu)
        if menu[name]["of_pairs"] != of_pairs:
            one, other = ("single proteins", "pairs") if of_pairs else ("pairs", "single proteins")
            raise UsageError(
                f"'{name}' is asked of {one}, and {other} came.", remedy="Ask another task, see /v1/tasks."
            )
    fitting = [name for name, entry in menu.items() if entry["of_pairs"] == of_pairs]
    if not fitting:
        raise UsageError(
            "No task on this server is asked of what came.", remedy="See /v1/tasks for what is asked here."
        )
    return tuple(name for name in fitting if name in asked.tasks or not asked.tasks)


def packed(example: Example) -> dict[str, Any]:
    """An accepted example as JSON."""
    chains = [
        {
            "id": chain.id,
            "sequence": chain.sequence,
            "description": chain.description,
            "row": chain.row,
            "messages": [message.to_json() for message in chain.messages],
            "numbering": chain.numbering,
            "backbone": None if chain.backbone is None else _packed_backbone(chain.backbone),
        }
        for chain in example.chains
    ]
    return {"chains": chains, "conditions": dict(example.conditions)}


def unpacked(values: Mapping[str, Any]) -> Example:
    """The same example again."""
    chains = [
        Protein(
            one["id"],
            one["sequence"],
            one["description"],
            row=one["row"],
            messages=tuple(Message(m["level"], m["text"], m.get("position")) for m in one["messages"]),
            numbering=None if one.get("numbering") is None else tuple(one["numbering"]),
            backbone=None if one.get("backbone") is None else _unpacked_backbone(one["backbone"]),
        )
        for one in values["chains"]
    ]
    return Example(chains[0], conditions=values["conditions"], partner=chains[1] if len(chains) > 1 else None)


def _packed_backbone(backbone: Backbone) -> dict[str, Any]:
    """Coordinates in thousandths of an ångström, as files give them; None where a file does not tell."""
    points = numpy.round(backbone.points.astype(numpy.float64), 3)
    told = points.astype(object)
    told[numpy.isnan(points)] = None
    return {
        "points": told.tolist(),
        "breaks": backbone.breaks.tolist(),
        "origin": backbone.origin,
        "confidence": None if backbone.confidence is None else backbone.confidence.tolist(),
    }


def _unpacked_backbone(values: Mapping[str, Any]) -> Backbone:
    sure = values["confidence"]
    return Backbone(
        numpy.array(values["points"], dtype=numpy.float32),
        numpy.array(values["breaks"], dtype=numpy.bool_),
        values["origin"],
        None if sure is None else numpy.array(sure, dtype=numpy.float32),
    )
