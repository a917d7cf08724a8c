"""A sweep that was interrupted ends as one that was not; what is tried, chosen and refused is what the space says."""

from __future__ import annotations

import math
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from anfinsen.cli.scaling import crew
from anfinsen.errors import AnfinsenError, ConfigError, MissingExtraError, UsageError
from anfinsen.training import study
from anfinsen.training.recipe import Recipe
from anfinsen.training.space import Range, space_of, usual_space, with_settings
from anfinsen.training.study import Journal, Swept, Tried
from anfinsen.training.sweep import sweep

optuna_is_here = pytest.mark.skipif(find_spec("optuna") is None, reason="the extra 'sweep' is not installed")

SPACE: dict[str, Any] = {
    "mode": ["frozen", "full"],
    "train": {"learning_rate": {"low": 1e-4, "high": 1e-1, "log": True}, "warmup": {"low": 0, "high": 200}},
}


class Killed(BaseException):
    """What stands for a power cut."""


def bowl(recipe: Recipe) -> float:
    """A loss whose smallest value lies at a learning rate of 0.005, frozen, without warm-up."""
    place = (math.log10(recipe.train.learning_rate) + 2.3) ** 2
    return place + (recipe.mode == "full") + recipe.train.warmup / 1000


@optuna_is_here
def test_a_sweep_that_is_killed_goes_on_as_if_nothing_had_happened(tmp_path: Path) -> None:
    recipe = Recipe.build({"sweep": SPACE})
    whole = sweep(recipe, tmp_path / "whole", 9, lambda one, folder: bowl(one))
    folders: list[str] = []

    def fragile(one: Recipe, folder: Path) -> float:
        folders.append(folder.name)
        if len(folders) in (1, 3, 8):
            raise Killed
        return bowl(one)

    for _ in range(3):
        with pytest.raises(Killed):
            sweep(recipe, tmp_path / "torn", 9, fragile)
    assert sweep(recipe, tmp_path / "torn", 9, fragile) == whole
    # the trial that was torn is asked for again in its own folder, where its training goes on
    assert folders == [f"trial-{number}" for number in (0, 0, 1, 1, 2, 3, 4, 5, 5, 6, 7, 8)]


@optuna_is_here
def test_what_was_under_way_on_several_workers_is_asked_for_again_and_what_was_stopped_is_never_the_best(
    tmp_path: Path,
) -> None:
    recipe = Recipe.build({"sweep": SPACE})
    journal = Journal(tmp_path, recipe)
    asked = [journal.ask() for _ in range(4)]
    journal.keep(1, 0.5)
    journal.keep(3, 0.4, is_whole=False)
    again = Journal(tmp_path, recipe)
    assert [again.ask(), again.ask()] == [asked[0], asked[2]]
    number, _ = again.ask()
    for one, valid in ((0, 0.9), (2, None), (number, 0.7)):
        again.keep(one, valid)
    swept = again.swept()
    assert [(one.number, one.valid, one.is_whole) for one in swept.trials] == [
        (0, 0.9, True), (1, 0.5, True), (2, None, True), (3, 0.4, False), (4, 0.7, True)
    ]  # fmt: skip
    assert swept.best.number == 1 and Journal(tmp_path, recipe).swept() == swept


@optuna_is_here
def test_trial_zero_is_the_recipe_and_the_best_on_validation_is_chosen(tmp_path: Path) -> None:
    recipe = Recipe.build({"sweep": SPACE, "train": {"learning_rate": 0.5}})  # outside its own range
    told: list[Tried] = []
    swept = sweep(recipe, tmp_path, 6, lambda one, folder: bowl(one), tell=told.append)
    assert tuple(told) == swept.trials
    assert swept.trials[0].settings == {"mode": "frozen", "train.learning_rate": 0.5, "train.warmup": 100}
    assert swept.best.valid == min(one.valid for one in swept.trials if one.valid is not None)
    more = sweep(recipe, tmp_path, 7, lambda one, folder: bowl(one))  # the same folder goes on
    assert more.trials[:6] == swept.trials
    assert len(more.trials) == 7


@optuna_is_here
def test_a_training_that_runs_away_is_a_result(tmp_path: Path) -> None:
    recipe = Recipe.build({"sweep": SPACE})

    def wild(one: Recipe, folder: Path) -> float:
        if folder.name == "trial-0":
            raise AnfinsenError("At step 3 the loss is no longer a number: the training has run away.")
        return math.nan if folder.name == "trial-1" else bowl(one)

    swept = sweep(recipe, tmp_path / "a", 3, wild)
    assert [one.valid is None for one in swept.trials] == [True, True, False]
    assert swept.best.number == 2
    assert "where the recipe as it came ran away" in swept.sentence()
    with pytest.raises(AnfinsenError, match="All 2 trials ran away"):
        sweep(recipe, tmp_path / "b", 2, lambda one, folder: math.inf)

    def wrong(one: Recipe, folder: Path) -> float:
        raise UsageError("The table has too few examples.")

    with pytest.raises(UsageError):
        sweep(recipe, tmp_path / "c", 2, wrong)


@optuna_is_here
def test_a_folder_holds_one_sweep(tmp_path: Path) -> None:
    sweep(Recipe.build({"sweep": SPACE}), tmp_path, 1, lambda one, folder: 1.0)
    with pytest.raises(UsageError, match="holds another sweep: another recipe"):
        sweep(Recipe.build({"sweep": {"mode": ["frozen", "lora"]}}), tmp_path, 1, lambda one, folder: 1.0)


def test_without_optuna_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(study, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError) as error:
        sweep(Recipe(), tmp_path, 1, lambda one, folder: 1.0)
    assert str(error.value) == (
        "This needs the package 'optuna', which is not installed. Install it with: pip install 'anfinsen[sweep]'"
    )


def test_without_ray_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtraError) as error:
        crew("ray", 2)
    assert str(error.value) == (
        "This needs the package 'ray', which is not installed. Install it with: pip install 'anfinsen[ray]'"
    )
    with pytest.raises(UsageError, match=r"--workers says how many, and not where\. Say --on ray too\."):
        crew(None, 2)


def test_the_sentence_says_whether_the_recipe_was_best() -> None:
    first, second = Tried(0, {}, 0.52), Tried(1, {"mode": "lora"}, 0.41)
    assert Swept((first,), first).sentence() == (
        "Of 1 trial, the recipe as it came was best on the validation proteins (loss 0.5200): keep it."
    )
    assert Swept((first, second), second).sentence() == (
        "Of 2 trials, number 1 was best on the validation proteins: a loss of 0.4100, where the recipe as it came "
        "reached 0.5200. The best of many is partly luck; what it is worth, the test split says."
    )


def test_the_table_sweep_is_read_key_by_key() -> None:
    space = space_of(Recipe.build({"sweep": SPACE}))
    assert space == {
        "mode": ("frozen", "full"),
        "train.learning_rate": Range(low=1e-4, high=1e-1, log=True),
        "train.warmup": Range(low=0, high=200),
    }
    assert space_of(Recipe()) == usual_space(Recipe())
    assert with_settings(Recipe(), {"train.warmup": 7, "mode": "full"}).train.warmup == 7


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        (
            {"train": {"learning_rat": {"low": 1, "high": 2}}},
            "[sweep], train: there is no setting 'learning_rat'. Did you mean 'learning_rate'?",
        ),
        ({"mode": ["frozn"]}, "[sweep]: 'mode' came as 'frozn': input should be 'frozen', 'lora' or 'full'."),
        ({"train": {"warmup": {"low": 5, "high": 5}}}, "[sweep]: 'train.warmup' goes from 5 to 5."),
        (
            {"train": {"seed": {"low": 0, "high": 5, "log": True}}},
            "[sweep]: 'train.seed' goes from 0 to 5 by logarithm.",
        ),
        ({"train": {"warmup": {"low": 5, "hihg": 9}}}, "[sweep] train.warmup: there is no setting 'hihg'."),
        ({"train": {"warmup": 5}}, "[sweep]: 'train.warmup' came as 5, which leaves nothing to try."),
        ({"mode": {"deep": [1]}}, "[sweep]: 'mode' in 'mode.deep' is a single setting."),
    ],
)
def test_a_wrong_space_is_answered_before_anything_is_trained(table: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError) as error:
        space_of(Recipe.build({"sweep": table}))
    assert str(error.value).startswith(sentence)
