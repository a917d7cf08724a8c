"""Heat stages: a training that begins cold and rises heat by heat, each from the best of the one before.

    cold -> warm -> hot        one question
    cold -> warm -> blazing    several questions

    run/heat/1-cold/    the stage's own checkpoints and events.jsonl
             1-cold/result/   its best weights, when it is over
             stages.json      what each stage brought

A stage is over when its validation loss lies on a plateau (see `heat`), at the latest after `train.steps`. A stage
whose best is no better than the best before it has not helped: it is said, and its weights are dropped. A run that is
killed in any stage goes on there, bit for bit; stages that are over are not done again. It knows how to rise, not how
to train: that is the caller's `learn`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from torch import Tensor, nn

from anfinsen.errors import ConfigError, UsageError
from anfinsen.runtime import seed_everything
from anfinsen.training import checkpoint
from anfinsen.training.engine import Watch
from anfinsen.training.heat import HEATS, Heat
from anfinsen.training.narrator import figure
from anfinsen.training.recipe import Mode, Recipe

MODES: dict[Heat, Mode] = {"cold": "frozen", "warm": "lora", "hot": "full", "blazing": "full"}
RATES: dict[Heat, float] = {"cold": 1.0, "warm": 0.5, "hot": 0.2, "blazing": 0.2}
"""Share of the recipe's learning rate: a body that was pre-trained for long is moved more carefully than a new head."""
PLATEAU = 2.0
"""Percent of a stage's whole gain below which its last looks are a plateau, where the recipe names none."""
SKIPPED = "Warm is skipped: its adapters need the package 'peft', which is not installed."


class Result(NamedTuple):
    """What one stage reached: the best validation loss and its step; step 0 is the start."""

    valid: float
    step: int


@dataclass(frozen=True)
class Outcome:
    """What became of one stage, as stages.json keeps it."""

    heat: Heat
    valid: float
    step: int
    kept: bool
    sentence: str


Learn = Callable[[Heat, Path], Result]
"""Trains the network at a heat in a folder, going on with what was begun there, and leaves the best weights in it."""


def ladder(tasks: int, stages: Sequence[Heat] = ()) -> tuple[Heat, ...]:
    """The heats of a training, in their order; those that fit the number of tasks if none are named.

    >>> ladder(1), ladder(3)
    (('cold', 'warm', 'hot'), ('cold', 'warm', 'blazing'))
    """
    top: Heat = "hot" if tasks == 1 else "blazing"
    if not stages:
        return ("cold", "warm", top)
    if list(stages) != sorted(set(stages), key=HEATS.index):
        raise ConfigError(
            f"The stages {', '.join(stages)} do not rise.", remedy=f"Name each once, in this order: {', '.join(HEATS)}."
        )
    wrong = "blazing" if tasks == 1 else "hot"
    if wrong in stages:
        fits = (
            "teaches several tasks at once, and one is named" if tasks == 1 else "teaches one task, several are named"
        )
        raise ConfigError(f"The stage '{wrong}' {fits}.", remedy=f"Use '{top}' instead.")
    return tuple(stages)


def at_heat(recipe: Recipe, heat: Heat) -> Recipe:
    """The recipe of one stage."""
    loop = recipe.train
    plateau = loop.plateau or PLATEAU
    slower = loop.replaced(learning_rate=loop.learning_rate * RATES[heat], plateau=plateau)
    return recipe.replaced(mode=MODES[heat], stages=(), train=slower)


def climb(
    network: nn.Module, stages: Sequence[Heat], folder: Path, learn: Learn, *, seed: int, origin: str, tell: Watch
) -> list[Outcome]:
    """Rise through `stages` in `folder`; the network ends with the weights of the best one."""
    outcomes: list[Outcome] = []
    for number, heat in enumerate(stages, 1):
        place = folder / f"{number}-{heat}"
        if heat == "warm" and find_spec("peft") is None:
            tell({"step": 0, "heat": heat, "sentences": [SKIPPED]})
            continue
        before = _weights(network)
        result = _recall(network, place / "result", origin)
        if result is None:
            # whatever a stage draws at random does not depend on whether the one before was run or recalled
            seed_everything(seed)
            result = learn(heat, place)
            state = {"origin": origin, **result._asdict()}
            checkpoint.save(place / "result", result.step, _weights(network), state, keep=1)
        outcomes.append(_judged(heat, result, outcomes))
        if not outcomes[-1].kept:
            network.load_state_dict(before, strict=False)
        text = json.dumps([asdict(outcome) for outcome in outcomes], indent=1)
        (folder / "stages.json").write_text(text, encoding="utf-8")
        tell({"step": result.step, "heat": heat, "sentences": [outcomes[-1].sentence]})
    return outcomes


def _judged(heat: Heat, result: Result, before: Sequence[Outcome]) -> Outcome:
    """Whether a stage has helped, in a sentence."""
    name = heat.capitalize()
    best = next((outcome for outcome in reversed(before) if outcome.kept), None)
    on = "on proteins it never trains on"
    if best is None:
        sentence = f"{name} is over: its best loss {on} is {figure(result.valid)}."
        return Outcome(heat, result.valid, result.step, True, sentence)
    if result.step and result.valid < best.valid:
        gain = f"{figure(best.valid - result.valid)} below that of {best.heat}"
        sentence = f"{name} has helped: its best loss {on} is {figure(result.valid)}, {gain}."
        return Outcome(heat, result.valid, result.step, True, sentence)
    why = f"its best loss {on} was {figure(result.valid)}" if result.step else "no step of it was better than its start"
    sentence = (
        f"{name} has not helped: {why}, after {figure(best.valid)} at {best.heat}. What it learnt is dropped, "
        f"the weights of {best.heat} stay."
    )
    return Outcome(heat, result.valid, result.step, False, sentence)


def _recall(network: nn.Module, place: Path, origin: str) -> Result | None:
    """The result of a stage that is over, with its weights put into the network; None where there is none."""
    path, _ = checkpoint.newest(place)
    if path is None:
        return None
    weights, state = checkpoint.load(path)
    if state["origin"] != origin:
        raise UsageError(
            f"'{place.parent}' holds another training: other data, settings or another start.",
            remedy="Give a new folder with --out, or repeat the old command to go on with the old training.",
        )
    network.load_state_dict(weights, strict=False)
    return Result(state["valid"], state["step"])


def _weights(network: nn.Module) -> dict[str, Tensor]:
    return {name: weight.detach().clone() for name, weight in network.named_parameters()}
