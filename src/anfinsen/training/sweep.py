"""A sweep: many trainings with different settings, of which the validation proteins choose one.

    recipe + space -> trial 0: the recipe as it is
                   -> trial 1, 2 ...: what the results so far make promising (TPE, Bergstra et al. 2011, NeurIPS)
                   -> the best on validation -> ONE look at the test split

Trying many settings on the test split and printing the best is how results come out too good; here the test split
is opened once, by the winner. The study lies in the run's folder as a journal: a sweep that was stopped goes on, the
trial in which it was stopped too, and ends as if nothing had happened, because what a trial tries depends on its
number and on the results before it alone. It runs in this process, one trial after another, by Optuna (an extra).
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from anfinsen.errors import AnfinsenError, MissingExtraError, UsageError
from anfinsen.training.recipe import Recipe
from anfinsen.training.space import Range, Settings, Space, setting, space_of, with_settings

if TYPE_CHECKING:
    from optuna import Study
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial

Try = Callable[[Recipe, Path], float]
"""Trains by a recipe in a folder and gives the validation loss; lower is better."""
Tell = Callable[["Tried"], None]
"""Told each trial as it ends."""
JOURNAL = "study.log"
_NUMBER, _TRIED, _ORIGIN = "number", "tried", "origin"
_STARTUP = 5


@dataclass(frozen=True)
class Tried:
    """One trial that came to an end: its number, its settings and its validation loss, None where it ran away."""

    number: int
    settings: Settings
    valid: float | None

    @property
    def folder(self) -> str:
        """The name of its folder within the sweep's."""
        return f"trial-{self.number}"


@dataclass(frozen=True)
class Swept:
    """A sweep that is over; trial 0 is the recipe as it came."""

    trials: tuple[Tried, ...]
    best: Tried

    def sentence(self) -> str:
        """What came of it, in plain words."""
        count = f"{len(self.trials)} trial{'s' if len(self.trials) > 1 else ''}"
        if not self.best.number:
            return (
                f"Of {count}, the recipe as it came was best on the validation proteins (loss {self.best.valid:.4f}): "
                "keep it."
            )
        first = self.trials[0].valid
        before = "ran away" if first is None else f"reached {first:.4f}"
        return (
            f"Of {count}, number {self.best.number} was best on the validation proteins: a loss of "
            f"{self.best.valid:.4f}, where the recipe as it came {before}. The best of many is partly luck; what it "
            "is worth, the test split says."
        )


def sweep(recipe: Recipe, folder: Path, trials: int, attempt: Try, *, tell: Tell = lambda tried: None) -> Swept:
    """Run trials in `folder` until there are `trials` of them, those of earlier calls included, and choose the best.

    `tell` hears of every trial, at once of those that had ended before.
    """
    if find_spec("optuna") is None:
        raise MissingExtraError("optuna", "sweep")
    import optuna

    space = space_of(recipe)
    plain = recipe.replaced(sweep={})
    study = _open(folder, plain, space)
    distributions = {key: _distribution(values) for key, values in space.items()}
    ended = _ended(study)
    for tried in ended:
        tell(tried)
    while len(ended) < trials:
        number = len(ended)
        # made anew for each trial: a sweep that was interrupted must not try other things than one that was not
        study.sampler = optuna.samplers.TPESampler(seed=recipe.train.seed + number, n_startup_trials=_STARTUP)
        asked = study.ask(distributions) if number else None
        settings = asked.params if asked is not None else {key: setting(plain, key) for key in space}
        valid = _attempt(attempt, with_settings(plain, settings), folder / f"trial-{number}")
        tried = Tried(number, settings, valid)
        _keep(study, asked.number if asked is not None else None, tried, distributions)
        ended.append(tried)
        tell(tried)
    finished = [tried for tried in ended if tried.valid is not None]
    if not finished:
        raise AnfinsenError(
            f"All {len(ended)} trials ran away: none has a loss that is a number.",
            remedy="Lower train.learning_rate and its range in [sweep], and use a new --out.",
        )
    return Swept(tuple(ended), min(finished, key=lambda tried: tried.valid or 0.0))


def _attempt(attempt: Try, recipe: Recipe, folder: Path) -> float | None:
    """The loss of one trial; a training that runs away is a result too, and the sweep goes on."""
    try:
        valid = attempt(recipe, folder)
    except AnfinsenError as error:
        if type(error) is not AnfinsenError:  # a wrong call, a stop by the user: not this trial's doing
            raise
        return None
    return valid if math.isfinite(valid) else None


def _open(folder: Path, recipe: Recipe, space: Space) -> Study:
    """The study in the folder's journal, a new one if there is none; what was under way when it was stopped is dropped.

    The trial's training is not lost by that: it is asked for again, and goes on in its folder.
    """
    import optuna
    from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock, JournalStorage

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    folder.mkdir(parents=True, exist_ok=True)
    file = str(folder / JOURNAL)
    storage = JournalStorage(JournalFileBackend(file, lock_obj=JournalFileOpenLock(file)))
    study = optuna.create_study(storage=storage, study_name="sweep", load_if_exists=True)
    words = [recipe.model_dump(mode="json"), {key: _words(values) for key, values in space.items()}]
    origin = hashlib.sha256(json.dumps(words, sort_keys=True).encode()).hexdigest()
    if study.user_attrs.setdefault(_ORIGIN, origin) != origin:
        raise UsageError(
            f"'{folder}' holds another sweep: another recipe or another space.",
            remedy="Give a new folder with --out, or repeat the old command to go on with the old sweep.",
        )
    study.set_user_attr(_ORIGIN, origin)
    for trial in study.get_trials(states=[optuna.trial.TrialState.RUNNING]):
        study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
    return study


def _keep(study: Study, place: int | None, tried: Tried, distributions: dict[str, BaseDistribution]) -> None:
    """Write the end of a trial into the journal, in one entry: a trial is there wholly or not at all."""
    from optuna.trial import TrialState, create_trial

    if place is not None:  # what was asked is replaced by what came of it
        study.tell(place, state=TrialState.FAIL)
    inside = {key: value for key, value in tried.settings.items() if _holds(distributions[key], value)}
    study.add_trial(
        create_trial(
            state=TrialState.FAIL if tried.valid is None else TrialState.COMPLETE,
            value=tried.valid,
            params=inside,
            distributions={key: distributions[key] for key in inside},
            user_attrs={_NUMBER: tried.number, _TRIED: tried.settings},
        )
    )


def _ended(study: Study) -> list[Tried]:
    found = [trial for trial in study.get_trials() if _NUMBER in trial.user_attrs]
    return sorted(map(_read, found), key=lambda tried: tried.number)


def _read(trial: FrozenTrial) -> Tried:
    return Tried(trial.user_attrs[_NUMBER], trial.user_attrs[_TRIED], trial.value)


def _distribution(values: Range | tuple[object, ...]) -> BaseDistribution:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if not isinstance(values, Range):
        return CategoricalDistribution(list(values))  # type: ignore[arg-type]  # whatever TOML can hold
    if isinstance(values.low, int) and isinstance(values.high, int):
        return IntDistribution(values.low, values.high, log=values.log)
    return FloatDistribution(float(values.low), float(values.high), log=values.log)


def _holds(distribution: BaseDistribution, value: object) -> bool:
    """Whether a value is one that the space has; the recipe's own may lie outside."""
    try:
        return bool(distribution._contains(distribution.to_internal_repr(value)))
    except (ValueError, TypeError):
        return False


def _words(values: Range | tuple[object, ...]) -> object:
    return values.model_dump() if isinstance(values, Range) else list(values)
