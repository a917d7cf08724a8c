"""On how many processes a training runs changes nothing but the order of sums; a checkpoint opens under any strategy.

This file is also what the processes run: `python test_strategies.py FOLDER` is one of two that train in every way.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy
import pytest
import torch

from anfinsen.data.batch import Stream
from anfinsen.data.example import Example
from anfinsen.distributed.processes import start, take_part
from anfinsen.distributed.strategy import Strategy
from anfinsen.errors import UnknownNameError, UsageError
from anfinsen.models.encoder import Encoder, EncoderConfig
from anfinsen.models.network import NativeBody, Network
from anfinsen.structure.protein import Protein
from anfinsen.tasks import TASKS
from anfinsen.training.engine import Course, TrainConfig, Trainer

STEPS, HALF = 12, 6
WAYS = [("ddp", "adamw"), ("ddp", "muon"), ("fsdp", "adamw"), ("fsdp", "muon")]
ZERO = [("zero1", "adamw"), ("zero2", "adamw"), ("zero3", "adamw")]

pytestmark = pytest.mark.distributed


def trainer(
    folder: Path, strategy: Strategy | None, optimizer: str, steps: int = STEPS, *, alone: bool = False
) -> Trainer:
    """A small encoder that learns two tasks, or one alone; a moving average, looks at validation, parts of a group."""
    torch.manual_seed(3)
    generator = numpy.random.default_rng(0)
    letters = numpy.array(list("ACDEFGHIKLMNPQRSTVWY"))
    tasks = [TASKS["localization"], TASKS["masked"]][: 1 if alone else 2]
    places = tasks[0].target.classes  # type: ignore[attr-defined]
    chains = ["".join(generator.choice(letters, size=int(generator.integers(12, 60)))) for _ in range(40)]
    examples = [Example(Protein(f"p{at}", chain), places[at % 10]) for at, chain in enumerate(chains)]
    shape = EncoderConfig(layers=2, dim=16, heads=2, inner_dim=32)
    network = Network(NativeBody(Encoder(shape), 16, 64), {task.name: task.shape for task in tasks})
    for module in network.modules():
        if isinstance(module, torch.nn.Dropout):  # what is hidden differs from process to process
            module.p = 0.0
    masked = [Example(example.protein) for example in examples]
    courses = [
        # some groups hold one protein, so that a process has nothing of its own to read
        Course(tasks[0], Stream(examples, budget=90, seed=5), share=2),
        *(Course(task, Stream(masked, budget=300, seed=5, prepare=task.prepare, window=40)) for task in tasks[1:]),
    ]
    settings = {"tokens": 300, "warmup": 3, "average": 0.9, "accumulate": 2, "judge_every": 5, "save_every": 3}
    config = TrainConfig.build({**settings, "steps": steps, "decay": 0.0, "optimizer": optimizer})

    def judge(judged: torch.nn.Module) -> float:
        batch = tasks[0].collate(examples[:4])
        with torch.no_grad():
            loss, known = tasks[0].loss(judged(batch, tasks[0].name), batch)
        return float(loss) / known

    return Trainer(network, courses, config, folder, judge=judge, strategy=strategy)


def told(folder: Path) -> list[dict[str, float]]:
    records = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]
    return [record for record in records if "note" not in record]


def main(folder: Path, names: Sequence[str]) -> None:
    """Train in every way that is named, half of the way first, so that the other half is a resumed run.

    Where a file 'die' lies in the folder, the first process is killed after step 8, once.
    """
    for name, optimizer in (name.split("-") for name in names):
        place, strategy = folder / f"{name}-{optimizer}", take_part(name, None)
        for steps in (HALF, STEPS):
            ready = trainer(place, strategy, optimizer, steps, alone=name.startswith("zero"))
            measured = partial(measure, ready, place / "held.json")
            ready.watch = [partial(die, folder / "die"), measured]
            network = ready.fit()
        if strategy.leads:
            ends = {key: weight.flatten().tolist() for key, weight in network.state_dict().items()}
            (place / "weights.json").write_text(json.dumps(ends))


def measure(ready: Trainer, file: Path, record: dict[str, object]) -> None:
    """What the first process holds and should hold, between two steps."""
    if record["step"] == HALF and "loss" in record:
        held = ready.strategy.held(ready.network, ready.optimizers)
        file.write_text(json.dumps([held, ready.strategy.footprint(ready.standing["moving"])]))


def die(sign: Path, record: dict[str, object]) -> None:
    if record["step"] == 8 and sign.exists():
        sign.unlink()
        os.kill(os.getpid(), signal.SIGKILL)


def trained(folder: Path, ways: Sequence[tuple[str, str]], *, alone: bool) -> Path:
    """The folder with runs on two processes, and beside them on one."""
    names = [f"{name}-{optimizer}" for name, optimizer in ways]
    assert start([sys.executable, __file__, str(folder), *names], 2) == 0
    for optimizer in {optimizer for _, optimizer in ways}:
        for steps in (HALF, STEPS):
            trainer(folder / f"one-{optimizer}", None, optimizer, steps, alone=alone).fit()
    return folder


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(tmp_path_factory.mktemp("runs"), WAYS, alone=False)


@pytest.fixture(scope="module")
def zero_runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if find_spec("deepspeed") is None:
        pytest.skip("DeepSpeed is not installed")
    return trained(tmp_path_factory.mktemp("zero"), ZERO, alone=True)


@pytest.fixture
def folder(request: pytest.FixtureRequest, name: str) -> Path:
    found: Path = request.getfixturevalue("zero_runs" if name.startswith("zero") else "runs")
    return found


@pytest.mark.parametrize(("name", "optimizer"), WAYS + ZERO)
def test_two_processes_go_the_way_of_one(folder: Path, name: str, optimizer: str) -> None:
    ours, theirs = (told(folder / f"{each}-{optimizer}") for each in (name, "one"))
    assert [record["step"] for record in ours] == list(range(1, STEPS + 1))
    for one, other in zip(ours, theirs, strict=True):
        assert set(one) == set(other)
        for key in {"loss", "valid", "gradient_norm", "right", "learning_rate"} & set(other):
            assert one[key] == pytest.approx(other[key], rel=1e-5, abs=1e-6), (key, one["step"])
        assert (one["proteins"], one["tokens"]) == (other["proteins"], other["tokens"])
        if one["gradients"]:
            assert one["gradients"] == pytest.approx(other["gradients"], rel=1e-4, abs=1e-6)


@pytest.mark.parametrize(("name", "optimizer"), WAYS + ZERO)
def test_a_checkpoint_of_two_processes_opens_on_one(folder: Path, name: str, optimizer: str) -> None:
    alone = name.startswith("zero")
    opened = trainer(folder / f"{name}-{optimizer}", None, optimizer, STEPS + 4, alone=alone)
    assert opened.resume() and opened.step == STEPS
    plain = trainer(folder / f"one-{optimizer}", None, optimizer, STEPS + 4, alone=alone)
    assert plain.resume()
    torch.testing.assert_close(opened.network.state_dict(), plain.network.state_dict(), rtol=1e-4, atol=1e-5)
    for one, other in zip(opened.optimizers, plain.optimizers, strict=True):
        for key, moments in other.state_dict()["state"].items():
            torch.testing.assert_close(one.state_dict()["state"][key], moments, rtol=1e-3, atol=1e-6)
    ends = json.loads((folder / f"{name}-{optimizer}" / "weights.json").read_text())
    best = opened.best_weights
    assert {key: best[key].flatten().tolist() for key in best} == {key: ends[key] for key in best}


@pytest.mark.parametrize(("name", "optimizer"), [WAYS[0], WAYS[3], ZERO[1]])
def test_a_run_on_two_processes_that_is_killed_goes_on_bit_for_bit(
    folder: Path, tmp_path: Path, name: str, optimizer: str
) -> None:
    command = [sys.executable, __file__, str(tmp_path), f"{name}-{optimizer}"]
    (tmp_path / "die").touch()
    assert start(command, 2) != 0
    assert not (tmp_path / "die").exists(), "nobody was killed, so this test means nothing"
    assert start(command, 2) == 0
    weights = Path(f"{name}-{optimizer}") / "weights.json"
    assert (tmp_path / weights).read_bytes() == (folder / weights).read_bytes()


@pytest.mark.parametrize(("name", "optimizer"), [WAYS[0], WAYS[2], *ZERO])
def test_a_process_holds_what_the_arithmetic_says(folder: Path, name: str, optimizer: str) -> None:
    held, said = json.loads((folder / f"{name}-{optimizer}" / "held.json").read_text())
    # pieces are padded to equal length, which counts in a network as small as this one
    assert held[0] == pytest.approx(said[0], rel=0.02)
    assert held[2] == pytest.approx(said[2], rel=0.02)


def test_parts_are_dealt_in_order_and_a_missing_one_counts_for_nothing() -> None:
    dealt = []
    for rank in range(3):
        strategy = Strategy()
        strategy.rank, strategy.size = rank, 3
        dealt.append(list(strategy.share(["a", "b", "c", "d"])))
    assert dealt == [
        [("a", True), ("b", True)],
        [("c", True), ("d", True)],
        [("a", False), ("a", False)],
    ]


def test_a_wrong_strategy_is_answered_with_the_choices() -> None:
    with pytest.raises(UnknownNameError, match=r"There is no strategy called 'fdsp'\. Did you mean 'fsdp'\?"):
        take_part("fdsp", 2)
    with pytest.raises(UsageError, match=r"'ddp' needs to know on how many processes\."):
        take_part("ddp", None)


def test_a_process_that_fails_ends_the_run_with_its_words(capfd: pytest.CaptureFixture[str]) -> None:
    code = "import os, sys; sys.exit('no room' if os.environ['RANK'] == '1' else 0)"
    assert start([sys.executable, "-c", code], 2) == 1
    assert "no room" in capfd.readouterr().err


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
