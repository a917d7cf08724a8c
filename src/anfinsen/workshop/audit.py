"""A table of one's own, read again after a bundle has learnt from it: to compare it, or to teach a student with it.

    table + recipe of the bundle -> read and dealt again -> hashes -> findings       verify BUNDLE --data TABLE
                                                         -> the task, with its rows  distill BUNDLE TABLE

No network is asked and no residue is kept in a bundle: its hashes are enough to tell.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from anfinsen.errors import AnfinsenError, UsageError
from anfinsen.hub.bundle import Bundle
from anfinsen.tables.offered import is_table
from anfinsen.tables.rows import Whole
from anfinsen.tasks import Task
from anfinsen.training.audit import Finding, compared
from anfinsen.training.recipe import Recipe
from anfinsen.training.run import Lesson
from anfinsen.workshop.plan import Pace, Plan, read_and_deal

RECIPE = "recipe"


def look_at(table: str, bundle: Bundle, name: str) -> Iterator[Finding]:
    """Whether a task of one's own was trained on the rows of `table`, dealt as its recipe deals them."""
    record = bundle.records[name]
    if record.custom is None:
        raise UsageError(f"'{name}' was not trained on a table of one's own.", remedy="Leave the table out.")
    if not Path(table).is_file() or not is_table(table):
        raise UsageError(f"There is no table '{table}'.", remedy="Give the CSV, TSV, Parquet or FASTA file.")
    if RECIPE not in bundle.provenance or not record.data_sha256:
        yield Finding(f"data of {name}", None, "The bundle keeps no recipe or no hash of its table.")
        return
    recipe = _recipe_of(bundle)
    if name not in recipe.tasks:
        yield Finding(f"data of {name}", None, "It was trained before the recipe that the bundle keeps.")
        return
    try:
        plan = _planned(table, recipe, bundle, name)
        lesson = Lesson(plan.task(plan.last()), recipe)
    except AnfinsenError as error:
        yield Finding(f"data of {name}", False, f"The table '{table}' cannot be the one it learnt from: {error}")
        return
    yield from compared(lesson, record, name, f"'{table}'")


def task_again(table: str | Path | Whole, bundle: Bundle, name: str) -> tuple[Task, Recipe]:
    """A task of one's own with the rows of `table`, dealt once, and the recipe that deals them so."""
    if bundle.records[name].custom is None or RECIPE not in bundle.provenance:
        raise UsageError(f"'{name}' was not trained on a table of one's own.", remedy="Leave the table out.")
    recipe = _recipe_of(bundle)
    recipe = recipe.replaced(table=recipe.table.replaced(folds=0).model_dump())
    plan = _planned(table, recipe, bundle, name)
    return plan.task(plan.deal.rounds[0]), recipe


def _planned(table: str | Path | Whole, recipe: Recipe, bundle: Bundle, name: str) -> Plan:
    # what was asked about rows without an answer was answered when it was trained
    found, dealt = read_and_deal(table, recipe, may_drop=True)
    custom = bundle.records[name].custom
    assert custom is not None  # both callers have looked
    return Plan(found, custom, name, dealt, recipe, bundle, (), Pace(0.0, 0, 0))


def _recipe_of(bundle: Bundle) -> Recipe:
    """The recipe that a bundle keeps; a student's says more than is needed to deal a table."""
    kept = json.loads(bundle.provenance[RECIPE])
    return Recipe.build({key: value for key, value in kept.items() if key in Recipe.model_fields})
