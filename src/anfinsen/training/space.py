"""What a sweep may try: the table [sweep] of a recipe, key by key.

    [sweep]
    mode = ["frozen", "lora"]                                          choices
    train.learning_rate = { low = 3e-4, high = 1e-2, log = true }      a range; log: small and large ones alike often
    train.warmup = { low = 0, high = 200 }                             whole numbers, where both ends are whole

A key is any setting of the recipe; a wrong one is answered before anything is trained.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

from anfinsen.config import Config
from anfinsen.errors import ConfigError
from anfinsen.training.recipe import Recipe


class Range(Config):
    """The numbers from low to high."""

    low: int | float
    """The smallest number."""
    high: int | float
    """The largest number."""
    log: bool = False
    """Whether what counts is how many times larger, as with learning rates."""


Settings = dict[str, Any]
"""What one trial tries: dotted keys of the recipe -> values."""
Space = dict[str, Range | tuple[Any, ...]]
"""What may be tried: dotted keys of the recipe -> a range or some choices."""


def space_of(recipe: Recipe) -> Space:
    """The recipe's table [sweep], or the usual one where it has none; each value is tried for size."""
    space = _flat(recipe.sweep) or usual_space(recipe)
    for key, values in space.items():
        for value in (values.low, values.high) if isinstance(values, Range) else values:
            with_settings(recipe, {key: value})
    return space


def usual_space(recipe: Recipe) -> Space:
    """Learning rate and weight decay around the recipe's own; for an encoder of ours frozen against LoRA too."""
    rate, pull = recipe.train.learning_rate, max(recipe.train.weight_decay, 1e-3)
    space: Space = {
        "train.learning_rate": Range(low=rate / 5, high=rate * 5, log=True),
        "train.weight_decay": Range(low=pull / 10, high=pull * 10, log=True),
    }
    if not recipe.backbone and find_spec("peft") is not None:
        space["mode"] = tuple(dict.fromkeys((recipe.mode, "frozen", "lora")))
    return space


def with_settings(recipe: Recipe, settings: Mapping[str, Any]) -> Recipe:
    """The recipe with some settings changed by their dotted keys."""
    values = recipe.model_dump()
    for key, value in settings.items():
        *tables, name = key.split(".")
        inner = values
        for table in tables:
            inner = inner.setdefault(table, {})
            if not isinstance(inner, dict):
                raise ConfigError(f"[sweep]: '{table}' in '{key}' is a single setting.", remedy="Name it alone.")
        inner[name] = value
    return Recipe.build(values, source="[sweep]")


def setting(recipe: Recipe, key: str) -> Any:
    """The recipe's own value of a dotted key; None where it has none."""
    value: Any = recipe.model_dump()
    for name in key.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _flat(table: Mapping[str, Any], before: str = "") -> Space:
    space: Space = {}
    for name, value in table.items():
        key = before + name
        if isinstance(value, Mapping) and not {"low", "high"} & set(value):
            space |= _flat(value, f"{key}.")
        elif isinstance(value, Mapping):
            space[key] = _range(Range.build(value, source=f"[sweep] {key}"), key)
        elif isinstance(value, list | tuple) and value:
            space[key] = tuple(value)
        else:
            raise ConfigError(
                f"[sweep]: '{key}' came as {value!r}, which leaves nothing to try.",
                remedy="Give choices, such as [0.01, 0.1], or a range, such as { low = 0.01, high = 0.1 }.",
            )
    return space


def _range(found: Range, key: str) -> Range:
    if not found.low < found.high or (found.log and found.low <= 0):
        raise ConfigError(
            f"[sweep]: '{key}' goes from {found.low:g} to {found.high:g}{' by logarithm' if found.log else ''}.",
            remedy="Let low be smaller than high, and above zero where log = true.",
        )
    return found
