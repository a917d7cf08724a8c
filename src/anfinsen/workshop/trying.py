"""Other settings and other seeds on a table of one's own: the table is dealt once, and its test rows wait for the end.

table -> plan, dealt once -> trials on the training rows, judged by the validation rows -> the best settings
                                                              -> fit with them: the card, the only look at the test
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from anfinsen.errors import UsageError
from anfinsen.training.space import with_settings
from anfinsen.training.study import Swept
from anfinsen.training.trial import Trials
from anfinsen.workshop.fitting import Fitted, fit
from anfinsen.workshop.plan import Plan

DEAL_ONCE = "table.folds=0"
"""The setting by which a table is dealt once: were its rows the test in turn, none would be left to look at once."""


def trials_of(plan: Plan) -> Trials:
    """Trials on the one round of a plan."""
    if plan.deal.is_folded:
        raise UsageError("A table that is tried with many settings is dealt once.", remedy=f"Say --set {DEAL_ONCE}.")
    (one,) = plan.deal.rounds
    return Trials([plan.task(one)], plan.start)


def fit_best(plan: Plan, swept: Swept, out: Path) -> Fitted:
    """The plan carried out with the best settings, in a folder of its own."""
    return fit(replace(plan, recipe=with_settings(plan.recipe, swept.best.settings).replaced(sweep={})), out / "best")
