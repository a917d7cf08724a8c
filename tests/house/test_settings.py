"""One truth for settings: the class, the TOML file and the flags; a wrong name is answered with the right one."""

from __future__ import annotations

from pathlib import Path

import pytest

from anfinsen.errors import ConfigError, UnknownNameError
from anfinsen.limits import Limits
from anfinsen.models.adapters import AdapterConfig
from anfinsen.models.encoder import EncoderConfig
from anfinsen.tasks import TASKS
from anfinsen.training.apprentice import MatchConfig
from anfinsen.training.distill import Distillation
from anfinsen.training.engine import TrainConfig
from anfinsen.training.recipe import Recipe

RECIPES = sorted((Path(__file__).parents[2] / "recipes").glob("*.toml"))


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_every_recipe_is_valid_and_names_tasks_that_exist(path: Path) -> None:
    recipe = Recipe.read(path)
    assert recipe.tasks
    for name in recipe.tasks:
        assert name in TASKS


@pytest.mark.parametrize(
    "config", [EncoderConfig, TrainConfig, AdapterConfig, MatchConfig, Distillation, Recipe, Limits]
)
def test_every_setting_has_a_help_text(config: type[EncoderConfig]) -> None:
    for name, field in config.model_fields.items():
        assert field.description, f"{config.__name__}.{name}"


def test_a_change_on_the_command_line_wins_over_the_file() -> None:
    recipe = Recipe.read(RECIPES[0], ("train.steps=7", "name=other"))
    assert recipe.train.steps == 7
    assert recipe.name == "other"


def test_a_wrong_key_is_answered_with_the_one_that_was_meant() -> None:
    with pytest.raises(ConfigError) as told:
        Recipe.read(None, ("nmae=x",))
    assert str(told.value).startswith("the settings: there is no setting 'nmae'. Did you mean 'name'? Known: ")


def test_a_wrong_value_is_answered_with_what_the_setting_means() -> None:
    with pytest.raises(ConfigError) as told:
        TrainConfig.build({"steps": "many"}, source="my.toml")
    assert str(told.value) == (
        "my.toml: 'steps' came as 'many': input should be a valid integer, unable to parse string as an integer. "
        "steps: Optimiser steps in all."
    )


def test_a_wrong_task_lists_the_choices() -> None:
    with pytest.raises(UnknownNameError) as told:
        TASKS["localisation"]
    assert str(told.value).startswith("There is no task called 'localisation'. Did you mean 'localization'? Known: ")


def test_a_wrong_key_within_a_table_is_answered_too() -> None:
    with pytest.raises(ConfigError) as told:
        Recipe.read(None, ("train.step=5",))
    assert str(told.value).startswith("the settings, train: there is no setting 'step'. Did you mean 'steps'?")


def test_heads_that_do_not_fit_the_width_are_refused() -> None:
    with pytest.raises(ConfigError) as told:
        EncoderConfig.build({"dim": 32, "heads": 3}, source="my.toml")
    assert str(told.value) == "my.toml: dim 32 is not an even multiple of heads 3."
