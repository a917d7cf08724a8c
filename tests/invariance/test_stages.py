"""Heat stages rise, stop on a plateau, drop what did not help, and go on from any place where they were killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch
from torch import nn

from anfinsen.data.batch import Stream
from anfinsen.data.example import Example
from anfinsen.errors import ConfigError, StoppedError, UsageError
from anfinsen.hub.body import bare
from anfinsen.models.adapters import AdapterConfig, adapted, merged
from anfinsen.models.encoder import Encoder, EncoderConfig
from anfinsen.models.frozen import FrozenBody
from anfinsen.models.network import NativeBody, Network
from anfinsen.structure.protein import Protein
from anfinsen.tasks import TASKS
from anfinsen.tasks.ask import validation_loss
from anfinsen.training.engine import Course, TrainConfig, Trainer
from anfinsen.training.gradients import Gradients
from anfinsen.training.heat import Heat, plateau
from anfinsen.training.recipe import Recipe
from anfinsen.training.stages import Outcome, Result, at_heat, climb, ladder

TASK = TASKS["localization"]
SCHEMA = {
    "step": int,
    "steps": int,
    "task": str,
    "heat": str,
    "loss": float,
    "right": float,
    "chance": float,
    "learning_rate": float,
    "rate_share": float,
    "gradient_norm": float,
    "gradients": dict,
    "moving": int,
    "weights": int,
    "proteins": int,
    "tokens": int,
    "seconds": float,
    "epoch": int,
}
SOMETIMES = {"start", "valid", "best", "best_step", "clipped", "plateau", "stopped", "sentences"}


class Killed(Exception):
    """Stands for kill -9."""


def examples(count: int, seed: int) -> list[Example]:
    """Proteins whose class can be read from their composition."""
    generator = numpy.random.default_rng(seed)
    made = []
    for index in range(count):
        shares = numpy.ones(20)
        shares[2 * (index % 10) : 2 * (index % 10) + 2] = 6
        letters = generator.choice(list("ACDEFGHIKLMNPQRSTVWY"), size=int(generator.integers(12, 30)), p=shares / 30)
        made.append(Example(Protein(f"p{index}", "".join(letters)), TASK.target.labels[index % 10]))
    return made


def make() -> Network:
    torch.manual_seed(3)
    shape = EncoderConfig(layers=2, dim=8, heads=2, inner_dim=16)
    return Network(NativeBody(Encoder(shape), 8, 64), {TASK.name: TASK.shape})


def rise(folder: Path, *, kill: tuple[str, int] = ("", 0)) -> tuple[Network, list[Outcome]]:
    """The real engine on a tiny network, killed at a step of a stage if wanted; step 0 is between the stages."""
    network = make()
    loop = TrainConfig(steps=9, tokens=400, learning_rate=1e-2, warmup=2, judge_every=2, save_every=3)
    recipe = Recipe(train=loop)
    known, unknown = examples(20, 1), examples(20, 2)

    def watch(record: dict[str, Any]) -> None:
        if "loss" in record and (record["heat"], record["step"]) == kill:
            raise Killed

    def learn(heat: Heat, place: Path) -> Result:
        if kill == (heat, 0):
            raise Killed
        at, body = at_heat(recipe, heat), bare(network.body)
        if heat == "cold":
            network.body = FrozenBody(body)
        else:
            body.requires_grad_(True)
            network.body = adapted(body, AdapterConfig(dim=2)) if heat == "warm" else body
        courses = [Course(TASK, Stream(known, budget=400, seed=1))]
        trainer = Trainer(
            network, courses, at.train, place, judge=lambda net: validation_loss(net, TASK, unknown), watch=[watch]
        )
        trainer.fit()
        network.body = merged(bare(network.body))
        return Result(trainer.best, trainer.best_step)

    stages = ladder(1)
    return network, climb(network, stages, folder, learn, seed=1, origin="x", tell=lambda record: None)


def weights(network: nn.Module) -> dict[str, torch.Tensor]:
    return {name: weight.detach() for name, weight in network.named_parameters()}


def told(folder: Path) -> dict[str, list[dict[str, Any]]]:
    return {
        path.parent.name: [
            {key: value for key, value in json.loads(line).items() if key != "seconds"}
            for line in path.read_text().splitlines()
        ]
        for path in sorted(folder.rglob("events.jsonl"))
    }


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Network, list[Outcome], Path]:
    folder = tmp_path_factory.mktemp("whole")
    return (*rise(folder), folder)


def test_the_stages_rise_and_each_starts_from_the_best_before(whole: tuple[Network, list[Outcome], Path]) -> None:
    _, outcomes, folder = whole
    assert [outcome.heat for outcome in outcomes] == ["cold", "warm", "hot"]
    events = told(folder)
    assert list(events) == ["1-cold", "2-warm", "3-hot"]
    assert [events[name][0]["heat"] for name in events] == ["cold", "warm", "hot"]
    # small steps in the last digits: the frozen body's states are kept in half precision
    assert events["2-warm"][0]["start"] == pytest.approx(outcomes[0].valid, abs=1e-2)
    moving = [events[name][0]["moving"] for name in events]
    assert moving[0] < moving[1] < moving[2] == events["3-hot"][0]["weights"]
    assert list(events["1-cold"][0]["gradients"]) == ["heads"]
    assert set(events["2-warm"][0]["gradients"]) == {"block 1", "block 2", "heads"}
    assert set(events["3-hot"][0]["gradients"]) == {"embed", "block 1", "block 2", "rest", "heads"}
    assert json.loads((folder / "stages.json").read_text())[0]["sentence"] == outcomes[0].sentence


def test_every_event_has_the_same_fields(whole: tuple[Network, list[Outcome], Path]) -> None:
    for line in (whole[2] / "1-cold" / "events.jsonl").read_text().splitlines():
        record = json.loads(line)
        assert {key: type(record[key]) for key in SCHEMA} == SCHEMA
        assert set(record) <= set(SCHEMA) | SOMETIMES


@pytest.mark.parametrize("kill", [("cold", 4), ("warm", 0), ("warm", 5), ("hot", 5)])
def test_a_run_killed_in_any_stage_goes_on_bit_for_bit(
    whole: tuple[Network, list[Outcome], Path], tmp_path: Path, kill: tuple[str, int]
) -> None:
    with pytest.raises(Killed):
        rise(tmp_path, kill=kill)
    network, outcomes = rise(tmp_path)
    assert outcomes == whole[1]
    for name, weight in weights(whole[0]).items():
        assert torch.equal(weight, weights(network)[name]), name
    assert told(tmp_path) == told(whole[2])


def scripted(folder: Path, results: dict[str, Result]) -> tuple[nn.Linear, list[Outcome]]:
    """A climb whose stages set the one weight to their own loss."""
    network = nn.Linear(1, 1, bias=False)

    def learn(heat: Heat, place: Path) -> Result:
        with torch.no_grad():
            network.weight.fill_(results[heat].valid)
        return results[heat]

    stages: tuple[Heat, ...] = tuple(results)  # type: ignore[assignment]
    return network, climb(network, stages, folder, learn, seed=1, origin="x", tell=lambda record: None)


def test_a_stage_that_hurt_is_said_and_dropped(tmp_path: Path) -> None:
    results = {"cold": Result(1.51, 40), "warm": Result(1.534, 20), "hot": Result(1.25, 30)}
    network, outcomes = scripted(tmp_path, results)
    assert [outcome.kept for outcome in outcomes] == [True, False, True]
    assert [outcome.sentence for outcome in outcomes] == [
        "Cold is over: its best loss on proteins it never trains on is 1.510.",
        "Warm has not helped: its best loss on proteins it never trains on was 1.534, after 1.510 at cold. What it "
        "learnt is dropped, the weights of cold stay.",
        "Hot has helped: its best loss on proteins it never trains on is 1.250, 0.260 below that of cold.",
    ]
    assert network.weight.item() == 1.25


def test_the_weights_before_a_useless_last_stage_are_the_ones_that_stay(tmp_path: Path) -> None:
    network, outcomes = scripted(tmp_path, {"cold": Result(0.5, 9), "hot": Result(0.4999, 0)})
    assert outcomes[-1].sentence == (
        "Hot has not helped: no step of it was better than its start, after 0.500 at cold. What it learnt is dropped, "
        "the weights of cold stay."
    )
    assert network.weight.item() == 0.5


def test_stages_of_another_training_are_refused(tmp_path: Path) -> None:
    scripted(tmp_path, {"cold": Result(0.5, 9)})
    with pytest.raises(UsageError, match="holds another training: other data, settings or another start"):
        climb(
            nn.Linear(1, 1), ("cold",), tmp_path, lambda *_: Result(0, 0), seed=1, origin="y", tell=lambda record: None
        )


@pytest.mark.parametrize(
    ("tasks", "stages", "sentence"),
    [
        (
            1,
            ("hot", "cold"),
            "The stages hot, cold do not rise. Name each once, in this order: cold, warm, hot, blazing.",
        ),
        (
            1,
            ("cold", "blazing"),
            "The stage 'blazing' teaches several tasks at once, and one is named. Use 'hot' instead.",
        ),
        (2, ("hot",), "The stage 'hot' teaches one task, several are named. Use 'blazing' instead."),
    ],
)
def test_stages_that_cannot_be_are_refused(tasks: int, stages: tuple[Heat, ...], sentence: str) -> None:
    with pytest.raises(ConfigError) as error:
        ladder(tasks, stages)
    assert str(error.value) == sentence


@pytest.mark.parametrize("shift", [0.0, -5.0])
@pytest.mark.parametrize(
    ("losses", "is_flat"),
    [
        ([2.0], False),
        ([2.0, 1.0, 1.0], False),
        ([2.0, 1.0, 0.99, 0.985, 0.981], True),
        ([2.0, 1.0, 0.99, 0.985, 0.97], False),
        ([2.0, 2.1, 2.2, 2.3], True),
        ([2.0, 1.0, 1.5, 1.2, 0.9], False),
    ],
)
def test_a_plateau_is_a_small_share_of_the_whole_gain(losses: list[float], is_flat: bool, shift: float) -> None:
    """The rule at 2 % over 3 looks; adding a constant to a loss changes nothing, as its zero means nothing."""
    assert (plateau([loss + shift for loss in losses], looks=3, percent=2) is not None) == is_flat


def test_a_run_stops_on_its_plateau_and_says_so(tmp_path: Path) -> None:
    losses = iter([2.0, 1.0, 0.995, 0.994, 0.993, 0.992])
    loop = TrainConfig(steps=90, tokens=400, judge_every=1, plateau=2, plateau_looks=3)
    courses = [Course(TASK, Stream(examples(20, 1), budget=400, seed=1))]
    trainer = Trainer(make(), courses, loop, tmp_path, judge=lambda network: next(losses))
    trainer.fit()
    last = told(tmp_path)[tmp_path.name][-1]
    assert (last["step"], last["stopped"]) == (4, "plateau")
    assert last["sentences"][-1] == (
        "It stops here: the last 3 looks gained only 0.007 of the 1.007 gained in all, no more than 2 %: a plateau. "
        "Kept are the weights of step 4, whose loss of 0.993 was the best on proteins it never trains on."
    )


def test_the_norm_by_layer_is_that_of_pytorch() -> None:
    network = make()
    batch = TASK.collate(examples(6, 1))
    TASK.loss(network(batch, TASK.name), batch)[0].backward()
    own = {name: weight.grad.clone() / 6 for name, weight in network.named_parameters() if weight.grad is not None}
    expected = nn.utils.get_total_norm(list(own.values()))
    heads = nn.utils.get_total_norm([grad for name, grad in own.items() if name.startswith("heads.")])
    norm, layers = Gradients(network).clip(0.01, divide_by=6)
    assert norm == pytest.approx(float(expected), rel=1e-5)
    assert layers["heads"] == pytest.approx(float(heads), rel=1e-5)
    after = nn.utils.get_total_norm([weight.grad for weight in network.parameters() if weight.grad is not None])
    assert float(after) == pytest.approx(0.01, rel=1e-3)


STOPPABLE = """
import sys, time
from pathlib import Path
sys.path.insert(0, {folder!r})
import test_stages as own
from anfinsen.cli import main
import anfinsen.cli as cli
def slowly(record):
    if record["step"] == 3:
        print("running", flush=True)
    time.sleep(0.05)
def run():
    loop = own.TrainConfig(steps=2000, tokens=400, save_every=1000)
    courses = [own.Course(own.TASK, own.Stream(own.examples(20, 1), budget=400, seed=1))]
    own.Trainer(own.make(), courses, loop, Path(sys.argv[1]), watch=[slowly]).fit()
cli.app = run
main()
"""


@pytest.mark.skipif(os.name != "posix", reason="only there can a process be asked to stop")
def test_a_process_that_is_asked_to_stop_saves_says_so_and_exits_143(tmp_path: Path) -> None:
    script = STOPPABLE.format(folder=str(Path(__file__).parent))
    child = subprocess.Popen(
        [sys.executable, "-c", script, "run"], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert child.stdout is not None and child.stdout.readline() == "running\n"
    child.send_signal(signal.SIGTERM)
    _, said = child.communicate(timeout=60)
    assert child.returncode == 143
    (saved,) = (tmp_path / "run" / "checkpoints").glob("step-*")
    at = int(saved.name.removeprefix("step-"))
    assert 3 <= at < 1000
    assert " ".join(said.split()) == (
        f"Stopped after step {at}, as asked. Everything learnt so far is saved in 'run'. The same command goes on "
        f"from there."
    )
    loop = TrainConfig(steps=at, tokens=400, save_every=1000)
    courses = [Course(TASK, Stream(examples(20, 1), budget=400, seed=1))]
    resumed = Trainer(make(), courses, loop, tmp_path / "run")
    assert resumed.resume() and resumed.step == at
    assert [record["step"] for record in told(tmp_path)["run"]] == list(range(1, at + 1))


def test_ctrl_c_finishes_the_step_and_what_goes_on_is_the_same_run(tmp_path: Path) -> None:
    def fit(folder: Path, stop_at: int = 0) -> Network:
        def watch(record: dict[str, Any]) -> None:
            if record["step"] == stop_at:
                signal.raise_signal(signal.SIGINT)

        network = make()
        courses = [Course(TASK, Stream(examples(20, 1), budget=400, seed=1))]
        Trainer(network, courses, TrainConfig(steps=9, tokens=400, save_every=50), folder, watch=[watch]).fit()
        return network

    whole = fit(tmp_path / "whole")
    with pytest.raises(StoppedError) as stopped:
        fit(tmp_path / "broken", stop_at=4)
    assert stopped.value.exit_code == 130
    assert str(stopped.value) == (
        f"Stopped after step 4, as asked. Everything learnt so far is saved in '{tmp_path / 'broken'}'. "
        "The same command goes on from there."
    )
    for name, weight in weights(fit(tmp_path / "broken")).items():
        assert torch.equal(weight, weights(whole)[name]), name
    assert told(tmp_path)["broken"] == told(tmp_path)["whole"]


def test_outside_the_main_thread_a_run_leaves_signals_alone(tmp_path: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    from anfinsen.training.interruption import Interruption

    before = signal.getsignal(signal.SIGTERM)

    def opened() -> object:
        with Interruption():
            return signal.getsignal(signal.SIGTERM)

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(opened).result() is before
    with Interruption() as asked:
        assert signal.getsignal(signal.SIGTERM) != before
        signal.raise_signal(signal.SIGTERM)
        assert asked.number == signal.SIGTERM
        assert signal.getsignal(signal.SIGTERM) is before  # who asks twice is obeyed at once
    error = asked.stop(7, tmp_path)
    assert isinstance(error, StoppedError) and error.exit_code == 143
