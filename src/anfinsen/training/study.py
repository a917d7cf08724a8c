"""The journal of a sweep: what was tried, what came of it, and what is tried next.

    ask    the next number and its settings: those of the recipe for 0, then what the results so far make promising
           (TPE, Bergstra et al. 2011, NeurIPS)
    keep   what came of it, in one entry: a trial is there wholly or not at all

It lies in the sweep's folder, so a sweep that was stopped goes on, here or on a cluster: what had been asked for and
had not ended is asked for again, with the same number and settings, and its training goes on in its folder. By Optuna
(an extra).
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from anfinsen.errors import AnfinsenError, MissingExtraError, UsageError
from anfinsen.training.recipe import Recipe
from anfinsen.training.space import Range, Settings, Space, setting, space_of

if TYPE_CHECKING:
    from optuna import Study
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial

JOURNAL = "study.log"
_NUMBER, _TRIED, _WHOLE, _ORIGIN = "number", "tried", "whole", "origin"
_STARTUP = 5
_Asked = tuple[int | None, Settings]
"""The place in the study of what was asked for, None of the recipe itself, and what it tries."""


def folder_of(number: int) -> str:
    """The name of a trial's folder within the sweep's."""
    return f"trial-{number}"


@dataclass(frozen=True)
class Tried:
    """One trial that came to an end: its number, its settings and its validation loss, None where it ran away."""

    number: int
    settings: Settings
    valid: float | None
    is_whole: bool = True
    """False where others were so much better at the same point that it was not trained to its end."""

    @property
    def folder(self) -> str:
        """The name of its folder within the sweep's."""
        return folder_of(self.number)


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


class Journal:
    """The trials of one sweep; a folder holds one."""

    def __init__(self, folder: Path, recipe: Recipe) -> None:
        if find_spec("optuna") is None:
            raise MissingExtraError("optuna", "sweep")
        self.plain = recipe.replaced(sweep={})
        self._space = space_of(recipe)
        self._study = _open(folder, self.plain, self._space)
        self._distributions = {key: _distribution(values) for key, values in self._space.items()}
        ended = [trial for trial in self._study.get_trials() if _TRIED in trial.user_attrs]
        self.ended = sorted(map(_read, ended), key=lambda tried: tried.number)
        self._begun = self._left_open()
        self._asked: dict[int, _Asked] = {}

    def ask(self) -> tuple[int, Settings]:
        """A number that has neither ended nor been asked for, the smallest, and what it is to try."""
        taken = {tried.number for tried in self.ended} | set(self._asked)
        number = next(number for number in count() if number not in taken)
        begun = self._begun.pop(number) if number in self._begun else None
        self._asked[number] = begun or self._suggested(number)
        return number, self._asked[number][1]

    def keep(self, number: int, valid: float | None, *, is_whole: bool = True) -> Tried:
        """Write down what came of a number that was asked for."""
        from optuna.trial import TrialState, create_trial

        place, settings = self._asked.pop(number)
        tried = Tried(number, settings, valid, is_whole)
        if place is not None:  # what was asked is replaced by what came of it
            self._study.tell(place, state=TrialState.FAIL)
        inside = {key: value for key, value in settings.items() if _holds(self._distributions[key], value)}
        self._study.add_trial(
            create_trial(
                state=TrialState.FAIL if valid is None else TrialState.COMPLETE,
                value=valid,
                params=inside,
                distributions={key: self._distributions[key] for key in inside},
                user_attrs={_NUMBER: number, _TRIED: settings, _WHOLE: is_whole},
            )
        )
        self.ended.append(tried)
        return tried

    def swept(self) -> Swept:
        """The best of the trials that came to their end."""
        finished = [tried for tried in self.ended if tried.valid is not None and tried.is_whole]
        if not finished:
            raise AnfinsenError(
                f"All {len(self.ended)} trials ran away: none has a loss that is a number.",
                remedy="Lower train.learning_rate and its range in [sweep], and use a new --out.",
            )
        trials = sorted(self.ended, key=lambda tried: tried.number)
        return Swept(tuple(trials), min(finished, key=lambda tried: tried.valid or 0.0))

    def _suggested(self, number: int) -> _Asked:
        import optuna

        if not number:
            return None, {key: setting(self.plain, key) for key in self._space}
        # made anew for each trial: a sweep that was interrupted must not try other things than one that was not
        seed = self.plain.train.seed + number
        self._study.sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=_STARTUP)
        asked = self._study.ask(self._distributions)
        asked.set_user_attr(_NUMBER, number)
        return asked.number, dict(asked.params)

    def _left_open(self) -> dict[int, _Asked]:
        """What was under way when the sweep was stopped, by its number; what had no number yet is dropped."""
        from optuna.trial import TrialState

        begun: dict[int, _Asked] = {}
        for trial in self._study.get_trials(states=[TrialState.RUNNING]):
            if _NUMBER in trial.user_attrs:
                begun[trial.user_attrs[_NUMBER]] = trial.number, dict(trial.params)
            else:
                self._study.tell(trial.number, state=TrialState.FAIL)
        return begun


def _open(folder: Path, recipe: Recipe, space: Space) -> Study:
    """The study in the folder's journal, a new one if there is none."""
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
    return study


def _read(trial: FrozenTrial) -> Tried:
    told = trial.user_attrs
    return Tried(told[_NUMBER], told[_TRIED], trial.value, told.get(_WHOLE, True))


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
