"""The routes that look closer at a protein: its mutations, a hidden residue, reasons, a fold, and what binds to it.

Each is answered while the asker waits, by the same child as everything else and between two batches of its jobs; so
each is limited to what takes seconds. The words of the house stand here too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Literal

from fastapi import FastAPI
from pydantic import Field

from anfinsen.limits import Limits
from anfinsen.report.glossary import TERMS
from anfinsen.serve.contract import Conditions, Proteins, Question
from anfinsen.serve.desk import Desk
from anfinsen.serve.problem import refuse
from anfinsen.serve.reading import packed, read, under

PROTEINS = 8
"""Proteins that are looked at together where several make sense: the chains of a structure, targets of a drug."""


class OneProtein(Proteins):
    """A protein to look at closely."""

    conditions: Conditions = {}
    """The pH and the temperature (°C) at which stability is asked, as 'ph' and 'temperature'."""


class Place(Proteins):
    """A residue of a protein."""

    position: Annotated[int, Field(ge=1)]
    """Which residue, counted from 1."""


class Why(Proteins):
    """An answer that is to be explained."""

    task: str
    """The task whose answer it is."""
    residue: Annotated[int, Field(ge=1)] | None = None
    """Of a task with an answer for every residue: only this residue's."""
    conditions: Conditions = {}
    """Under which conditions the answer was given."""


class Pair(Proteins):
    """Two proteins that may meet: two records, or one with a partner."""

    expected: Annotated[float, Field(gt=0, lt=1)] | None = None
    """The share of all pairs that you ask about and expect to meet, such as 0.01; left out, that of training."""


class Drugs(Proteins):
    """Drugs and the proteins that they may hold."""

    drugs: Annotated[str, Field(max_length=200_000, examples=["CC(=O)Oc1ccccc1C(=O)O aspirin"])]
    """One SMILES a line, each with a name behind it if you like."""


class Library(Proteins):
    """A small library of molecules and the one protein that they are ranked against."""

    library: Annotated[str, Field(max_length=5_000_000, examples=["CC(=O)Oc1ccccc1C(=O)O aspirin\nCCO ethanol\n"])]
    """One SMILES a line, each with a name behind it if you like."""
    known: Annotated[str, Field(max_length=200_000)] = ""
    """Molecules that are known to bind, one a line, beside those that come along for the protein and its relatives."""
    by: Literal["affinity", "likeness"] | None = None
    """What is ranked by: likeness to what is known to bind, or the low end of the affinity's range where none is."""
    keep: Annotated[int, Field(ge=1, le=1_000)] = 100
    """How many of the best are told."""


Told = dict[str, Any]
NEEDED = {"ph", "temperature"}
Look = Callable[..., Awaitable[Told]]


def _looker(desk: Desk) -> Look:
    """What every look has in common: the question is read and limited, and the child is asked."""
    limits = desk.limits

    async def look(what: str, asked: Proteins, most: int = 1, **about: Any) -> Told:
        if what not in desk.looks:
            raise refuse(404, "no_model", "this server", "It has no model for this.", f"See: anfinsen {what} --help.")
        found = read(asked, limits=limits)
        examples, length = found.examples, found.residues
        if isinstance(asked, Question):
            examples = under(examples, asked, (about["task"],), desk.menu)
        if len(examples) > most:
            which = "one protein" if most == 1 else f"{most} proteins at most"
            raise refuse(
                422, "usage", "sequences", f"{len(examples)} proteins came; this asks about {which}.", "Ask in turns."
            )
        if length > limits.look_residues:
            raise refuse(
                413,
                "too_large",
                "sequences",
                f"{length:,} residues came; {limits.look_residues:,} are looked at closely here.",
                "Use the command line, which has no such limit.",
            )
        message = {"what": what, "proteins": [packed(example) for example in examples], "about": about}
        return await asyncio.wrap_future(desk.look(message))

    return look


def add_looking_closer(app: FastAPI, desk: Desk) -> None:
    """Every closer look."""
    look = _looker(desk)
    _add_inside(app, desk, look)
    _add_binding(app, desk.limits, look)

    @app.get("/v1/terms", tags=["Service"], summary="Every word that needs explaining.")
    def terms() -> dict[str, str]:
        """The general terms; those of a task stand with the task."""
        return dict(TERMS)


def _add_inside(app: FastAPI, desk: Desk, look: Look) -> None:
    @app.post("/v1/scan", tags=["Look closer"], summary="What would every substitution do?")
    async def scan(asked: OneProtein) -> Told:
        """Scores (L, 20), 0 for the wild type and lower the more harm is expected; ddG (L, 20) in kcal/mol."""
        for name in asked.conditions:
            if name not in NEEDED:
                raise refuse(422, "unknown_name", f"conditions.{name}", f"There is no '{name}' here.", "Known: ph, "
                             "temperature.")  # fmt: skip
        return await look("scan", asked, conditions=asked.conditions)

    @app.post("/v1/hidden", tags=["Look closer"], summary="Which residue does the language model expect here?")
    async def hidden(asked: Place) -> Told:
        """The chance of each of the twenty residues at a place that the model does not see."""
        return await look("hidden", asked, position=asked.position)

    @app.post("/v1/explain", tags=["Look closer"], summary="Which residues does an answer rest on?")
    async def explain(asked: Why) -> Told:
        """Credits of the residues by two methods, whether they can be believed, and substitutions that change it."""
        if asked.task not in desk.menu:
            raise refuse(422, "unknown_name", "task", "There is no such task on this server.", "See /v1/tasks.")
        question = Question(sequences=asked.sequences, conditions=asked.conditions)
        return await look("explain", question, task=asked.task, residue=asked.residue)

    @app.post("/v1/fold", tags=["Look closer"], summary="What does it look like in space?")
    async def fold(asked: Proteins) -> Told:
        """A model as ModelCIF with a pLDDT for each residue, a sentence on how far to trust it, and what is wrong."""
        return await look("fold", asked)


def _add_binding(app: FastAPI, limits: Limits, look: Look) -> None:
    @app.post("/v1/sites", tags=["Look closer"], summary="Where could something bind?")
    async def sites(asked: Proteins) -> Told:
        """Chances of each residue by kind of ligand, and ranked pockets; a sequence alone is folded first.

        Each answer says on what it stands: a structure, a fold, predicted contacts, or the sequence.
        """
        return await look("sites", asked, most=PROTEINS)

    @app.post("/v1/interact", tags=["Look closer"], summary="Do two proteins meet?")
    async def interact(asked: Pair) -> Told:
        """A chance with its range, how many of the two are known, and the map between both chains as the reason."""
        return await look("interact", asked, most=2, expected=asked.expected)

    @app.post("/v1/affinity", tags=["Look closer"], summary="How tightly do drugs hold a protein?")
    async def affinity(asked: Drugs) -> Told:
        """pKd with its interval for every pair, the drugs' chemistry, and drawings of what holds."""
        drugs = _lines(asked.drugs, limits.look_drugs, "drugs", "Rank them: POST /v1/screen.")
        return await look("affinity", asked, most=PROTEINS, drugs=drugs)

    @app.post("/v1/screen", tags=["Look closer"], summary="Which molecules of a library should be tried first?")
    async def screen(asked: Library) -> Told:
        """The best of the library with pKd and range, each with its family; what is far from training is a guess."""
        command = "Use the command line: anfinsen screen --target FILE --library FILE."
        library = _lines(asked.library, limits.look_library, "library", command)
        known = _lines(asked.known, limits.look_drugs, "known", "Give the most telling ones.")
        return await look("screen", asked, library=library, known=known, by=asked.by, keep=asked.keep)


def _lines(text: str, most: int, where: str, remedy: str) -> str:
    """The lines of a text that hold something; refused where they are too many."""
    lines = [line for line in text.splitlines() if line.strip()]
    if len(lines) > most:
        raise refuse(413, "too_large", where, f"{len(lines):,} molecules came; {most:,} are answered here.", remedy)
    return "\n".join(lines) + "\n"
