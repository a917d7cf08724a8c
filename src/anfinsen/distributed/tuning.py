"""Trainings that compete on a Ray cluster (an extra), by Ray Tune: the driver asks, workers try, the worse stop early.

    ask -> question -> worker: looks ... looks -> its last value -> told
                               |__ far behind the others at the same look: stopped (ASHA, Li et al. 2020, MLSys)

Who searches is the caller: Tune calls `ask` whenever a worker is free and `told` whenever one has ended. It decides
who runs where and who is stopped, and starts a trial again whose worker was lost. Nothing of what Tune keeps is needed
to go on: the caller keeps what was asked and told. This file knows neither proteins nor models.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from typing import Any

from anfinsen.distributed.ray import Cluster, part_of_ray
from anfinsen.errors import AnfinsenError

Question = dict[str, Any]
Attempt = Callable[[Question, Callable[[float], None]], float | None]
"""Answers a question by its value, lower being better, None for none at all; tells its value so far at each look."""

_REDUCTION = 3
"""Of so many that come to a rung the best one goes on; rungs lie so many times as many looks apart."""
_RUNGS, _GRACE = 2, 2
"""How many rungs lie below a whole trial, and the looks that everyone is given."""
_TRIES = 2
_VALUE, _WHOLE = "value", "whole"
_NONE = 1e30
"""What stands for no value: a number, since ranks are made of it."""


def tune(
    cluster: Cluster,
    make: Callable[[], Attempt],
    ask: Callable[[], Question],
    told: Callable[[Question, float | None, bool], None],
    *,
    count: int,
    looks: int,
) -> None:
    """Have `count` questions tried, as many at a time as there are workers; `looks` are those of a whole trial.

    `told` hears the question, its value and whether it was tried to its end.
    """
    if count <= 0:
        return
    os.environ.update(TUNE_DISABLE_AUTO_CALLBACK_LOGGERS="1", RAY_CHDIR_TO_TRIAL_DIR="0")
    engine, schedulers = part_of_ray("tune"), part_of_ray("tune.schedulers")
    first = max(_GRACE, looks // _REDUCTION**_RUNGS)
    halving = schedulers.ASHAScheduler(
        max_t=max(looks, first),
        grace_period=first,
        reduction_factor=_REDUCTION,
        stop_last_trials=False,  # after its last look a training is still to be judged and written
    )
    with tempfile.TemporaryDirectory(prefix="anfinsen-") as folder:
        found = engine.Tuner(
            engine.with_resources(engine.with_parameters(_trial, make=make), {"cpu": 1}),
            tune_config=engine.TuneConfig(
                metric=_VALUE,
                mode="min",
                search_alg=_search(ask, told),
                scheduler=halving,
                num_samples=count,
                max_concurrent_trials=cluster.workers,
                trial_dirname_creator=lambda trial: str(trial.trial_id),
            ),
            run_config=engine.RunConfig(
                name="tune",
                storage_path=folder,
                verbose=0,
                failure_config=engine.FailureConfig(max_failures=_TRIES),
            ),
        ).fit()
    for error in found.errors:
        cause = getattr(error, "cause", error)
        if isinstance(cause, AnfinsenError):
            raise cause
        raise AnfinsenError(
            f"A trial failed {_TRIES + 1} times: {str(cause).strip().splitlines()[-1]}",
            remedy="The same command goes on from there; with --workers 1 there is more memory for each.",
        )


def _trial(config: Question, make: Callable[[], Attempt]) -> None:
    """One trial, on a worker."""
    report = part_of_ray("tune").report

    def tell(value: float | None, *, is_whole: bool = False) -> None:
        report({_VALUE: _NONE if value is None else value, _WHOLE: is_whole})

    tell(make()(config["question"], tell), is_whole=True)


def _search(ask: Callable[[], Question], told: Callable[[Question, float | None, bool], None]) -> Any:
    """What Tune calls a search, though it only passes on."""
    base: Any = part_of_ray("tune.search").Searcher

    class Search(base):  # type: ignore[misc]
        asked: dict[str, Question] = {}

        def suggest(self, trial_id: str) -> Question:
            self.asked[trial_id] = ask()
            return {"question": self.asked[trial_id]}

        def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
            question = self.asked.pop(trial_id)
            if result is not None and not error:
                value = result[_VALUE]
                told(question, None if value >= _NONE else value, bool(result[_WHOLE]))

        def save(self, checkpoint_path: str) -> None: ...

        def restore(self, checkpoint_path: str) -> None: ...

    return Search(metric=_VALUE, mode="min")
