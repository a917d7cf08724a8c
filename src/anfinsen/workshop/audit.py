"""A table of one's own, compared with what a bundle keeps of the one it learnt from: the same rows, dealt the same?

    table + recipe of the bundle -> read and dealt again -> hashes -> findings

No network is asked and no residue is kept in a bundle: its hashes are enough to tell.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from anfinsen.data.offered import is_table
from anfinsen.errors import AnfinsenError, UsageError
from anfinsen.hub.bundle import Bundle
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
    recipe = Recipe.model_validate_json(bundle.provenance[RECIPE])
    if name not in recipe.tasks:
        yield Finding(f"data of {name}", None, "It was trained before the recipe that the bundle keeps.")
        return
    try:
        # what was asked about rows without an answer was answered when it was trained
        found, dealt = read_and_deal(table, recipe, may_drop=True)
        plan = Plan(found, record.custom, name, dealt, recipe, bundle, (), Pace(0.0, 0, 0))
        lesson = Lesson(plan.task(plan.last()), recipe)
    except AnfinsenError as error:
        yield Finding(f"data of {name}", False, f"The table '{table}' cannot be the one it learnt from: {error}")
        return
    yield from compared(lesson, record, name, f"'{table}'")
