"""The routes that look closer at one protein: mutations, a hidden residue, reasons, drugs; and the words of the house.

Each is answered while the asker waits, by the same child as everything else and between two batches of its jobs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import FastAPI
from pydantic import Field

from anfinsen.report.glossary import TERMS
from anfinsen.serve.contract import Conditions, Proteins, Question
from anfinsen.serve.desk import Desk
from anfinsen.serve.problem import refuse
from anfinsen.serve.reading import packed, read, under


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


class Drugs(Proteins):
    """Drugs and the proteins that they may hold."""

    drugs: Annotated[str, Field(max_length=200_000, examples=["CC(=O)Oc1ccccc1C(=O)O aspirin"])]
    """One SMILES a line, each with a name behind it if you like."""


Told = dict[str, Any]
NEEDED = {"ph", "temperature"}


Look = Callable[..., Awaitable[Told]]


def _looker(desk: Desk) -> Look:
    """What every look has in common: the question is read and limited, and the child is asked."""
    limits = desk.limits

    async def look(what: str, asked: Proteins, most: int = 1, **about: Any) -> Told:
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
    limits, look = desk.limits, _looker(desk)

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
        if "fold" not in desk.looks:
            raise refuse(404, "no_folder", "this server", "It has no model that folds.", "See: anfinsen fold --help.")
        return await look("fold", asked)

    @app.post("/v1/affinity", tags=["Look closer"], summary="How tightly do drugs hold a protein?")
    async def affinity(asked: Drugs) -> Told:
        """pKd with its interval for every pair, the drugs' chemistry, and drawings of what holds."""
        lines = [line for line in asked.drugs.splitlines() if line.strip()]
        if len(lines) > limits.look_drugs:
            raise refuse(
                413,
                "too_large",
                "drugs",
                f"{len(lines):,} molecules came; {limits.look_drugs} are answered here.",
                "Use the command line: anfinsen affinity --protein FILE --drug FILE.",
            )
        return await look("affinity", asked, most=8, drugs="\n".join(lines) + "\n")

    @app.get("/v1/terms", tags=["Service"], summary="Every word that needs explaining.")
    def terms() -> dict[str, str]:
        """The general terms; those of a task stand with the task."""
        return dict(TERMS)
