"""A small molecule as the rest of the house knows it, and the one door to the process that reads it.

    formulas -> a limited child process (`sandbox`) with RDKit -> `Molecule`, or an `InputError` with its reason

RDKit is written in C++ and a formula can crash it (a chain of 20,000 carbons ends the process), so this process never
imports it. Formulas go over in groups; where one kills the child, each is asked alone and it alone is refused.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any, Literal

import numpy
from numpy.typing import NDArray

from anfinsen.drug.features import elements, fragments_hidden, pieces
from anfinsen.errors import InputError
from anfinsen.sandbox import run_limited
from anfinsen.structure.protein import Message

GROUP = 50
"""Formulas that go over to the child at once."""

Kind = Literal["smiles", "block"]
"""A written formula, or one record of an SDF file."""


@dataclass(frozen=True)
class Formula:
    """A molecule as it was given: its text, its name, and where it stood.

    `row` counts records and `line` the lines of the file, both from 1; a table of bytes, as Parquet is, has no lines.
    """

    text: str
    id: str
    kind: Kind = "smiles"
    source: str = ""
    row: int | None = None
    messages: tuple[Message, ...] = ()
    line: int | None = None

    @property
    def place(self) -> dict[str, Any]:
        """Where it stood, in the words of an `InputError`."""
        return {"file": self.source, "row": self.row, "line": self.line, "record": self.id}


@dataclass(frozen=True)
class Alert:
    """A fragment that is known for trouble: the list that names it, its name, and the atoms it covers, from 0."""

    catalog: str
    name: str
    atoms: tuple[int, ...]


@dataclass(frozen=True)
class Molecule:
    """One standardised molecule of A heavy atoms in the order in which `smiles` writes them.

    `given` is the text as it came, None where that was an SDF record; `messages` say what was changed.
    """

    id: str
    smiles: str
    given: str | None
    heavy_atoms: int
    fragments: NDArray[numpy.int32]
    """(K, 2) number of a fragment and how often it occurs."""
    properties: Mapping[str, float] = field(default_factory=dict)
    """Drug-likeness and what it rests on, by the names in `properties.MEANINGS`; empty unless asked for."""
    alerts: tuple[Alert, ...] = ()
    source: str = ""
    row: int | None = None
    messages: tuple[Message, ...] = ()
    line: int | None = None

    @property
    def is_unusual(self) -> bool:
        """Whether it holds a metal, on which no model here was trained."""
        return any("outside training" in message.text for message in self.messages)


def read_formulas(
    formulas: Iterable[Formula], *, is_judged: bool = False, children: int = 1
) -> Iterator[Molecule | InputError]:
    """Each formula as a molecule or its refusal, in order; `is_judged` adds properties and alerts.

    With more than one of `children` so many processes read at the same time, a few groups ahead of the asker.
    """
    left = iter(formulas)
    if children == 1:
        while group := list(islice(left, GROUP)):
            yield from _read_group(group, is_judged)
        return
    waiting: deque[Future[list[Molecule | InputError]]] = deque()
    with ThreadPoolExecutor(children, thread_name_prefix="molecules") as threads:
        while True:
            while len(waiting) < 2 * children and (group := list(islice(left, GROUP))):
                waiting.append(threads.submit(_read_group, group, is_judged))
            if not waiting:
                return
            yield from waiting.popleft().result()


def _read_group(group: Sequence[Formula], is_judged: bool) -> list[Molecule | InputError]:
    try:
        found = _ask(group, is_judged)
    except InputError as error:  # one of them broke the child: find out which
        found = [_ask_alone(one, is_judged) for one in group] if len(group) > 1 else [error]
    return [_molecule(formula, answer) for formula, answer in zip(group, found, strict=True)]


def _ask(group: Sequence[Formula], is_judged: bool) -> list[Any]:
    from anfinsen.drug.standardise import study

    answers: list[Any] = run_limited(study, [[one.text, one.kind] for one in group], is_judged)
    return answers


def _ask_alone(formula: Formula, is_judged: bool) -> Any:
    try:
        return _ask([formula], is_judged)[0]
    except InputError as error:
        return error


def _molecule(formula: Formula, answer: Any) -> Molecule | InputError:
    if isinstance(answer, InputError):
        return InputError(answer.reason, remedy=answer.remedy, **formula.place)
    if "reason" in answer:
        return InputError(answer["reason"], remedy=answer["remedy"], position=answer.get("position"), **formula.place)
    told = tuple(Message(level, text) for level, text in answer["messages"])
    return Molecule(
        id=formula.id,
        smiles=answer["smiles"],
        given=formula.text if formula.kind == "smiles" else None,
        heavy_atoms=answer["heavy_atoms"],
        fragments=answer["fragments"],
        properties=answer["properties"],
        alerts=tuple(Alert(catalog, name, tuple(atoms)) for catalog, name, atoms in answer["alerts"]),
        source=formula.source,
        row=formula.row,
        messages=formula.messages + told,
        line=formula.line,
    )


def without_atoms(molecule: Molecule, hidden: Sequence[Sequence[int]] | None = None) -> list[Molecule]:
    """The molecule without the fragments that hold any of some atoms, for each such set; each atom alone if none is."""
    sets = [[at] for at in range(molecule.heavy_atoms)] if hidden is None else [list(map(int, one)) for one in hidden]
    left: list[NDArray[numpy.int32]] = run_limited(fragments_hidden, molecule.smiles, sets)
    return [replace(molecule, fragments=fragments) for fragments in left]


def elements_of(molecule: Molecule) -> list[str]:
    """The element of each of its atoms."""
    found: list[str] = run_limited(elements, molecule.smiles)
    return found


def parts_of(molecule: Molecule) -> list[NDArray[numpy.int64]]:
    """The atoms of each ring system and of each chain between or beside rings, in the order of their first atoms."""
    return [numpy.array(piece, dtype=numpy.int64) for piece in run_limited(pieces, molecule.smiles)]
