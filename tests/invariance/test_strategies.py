"""On how many processes a training runs changes nothing but the order of sums; a checkpoint opens under any strategy.

This file is also what the processes run: `python test_strategies.py FOLDER WAY...` is one of two that train in every
way that is named. To start two takes seconds, so all ways are trained by the same two.
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

from anfinsen.bench.stages import weighed
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
ZERO = [("zero1", "adamw"), ("zero2", "adamw"), ("zero3", "adamw")] if find_spec("deepspeed") else []
CHANGING = (("one", 2), ("ddp", 4), ("fsdp", 6), *((name, 7 + at) for at, (name, _) in enumerate(ZERO)), ("one", STEPS))
"""A run that is computed in one way until a step, and then in another."""
KILLED = [("ddp", "adamw"), ("fsdp", "muon"), *ZERO[1:]]

pytestmark = pytest.mark.distributed


def trainer(
    folder: Path, strategy: Strategy | None, optimizer: str, steps: int = STEPS, *, alone: bool = False
) -> Trainer:
    """A small encoder that learns two tasks, or masked residues alone; a moving average, looks, parts of a group."""
    torch.manual_seed(3)
    generator = numpy.random.default_rng(0)
    letters = numpy.array(list("ACDEFGHIKLMNPQRSTVWY"))
    places, masked = TASKS["localization"], TASKS["masked"]
    tasks = [masked] if alone else [places, masked]
    names = places.target.classes  # type: ignore[attr-defined]
    chains = ["".join(generator.choice(letters, size=int(generator.integers(12, 60)))) for _ in range(40)]
    examples = [Example(Protein(f"p{at}", chain), names[at % 10]) for at, chain in enumerate(chains)]
    shape = EncoderConfig(layers=2, dim=16, heads=2, inner_dim=32)
    network = Network(NativeBody(Encoder(shape), 16, 64), {task.name: task.shape for task in tasks})
    for module in network.modules():
        if isinstance(module, torch.nn.Dropout):  # what is hidden differs from process to process
            module.p = 0.0
    bare = [Example(example.protein) for example in examples]
    # some groups hold one protein, so that a process has nothing of its own to read
    first = Course(places, Stream(examples, budget=90, seed=5), share=2)
    second = Course(masked, Stream(bare, budget=300, seed=5, prepare=masked.prepare, window=40))
    settings = {"tokens": 300, "warmup": 3, "average": 0.9, "accumulate": 2, "judge_every": 5, "save_every": 3}
    config = TrainConfig.build({**settings, "steps": steps, "decay": 0.0, "optimizer": optimizer})

    def judge(judged: torch.nn.Module) -> float:
        posed = [tasks[0].pose(example, at) for at, example in enumerate(bare[:4] if alone else examples[:4])]
        batch = tasks[0].collate(posed)
        with torch.no_grad():
            loss, known = tasks[0].loss(judged(batch, tasks[0].name), batch)
        return float(loss) / known

    return Trainer(network, [second] if alone else [first, second], config, folder, judge=judge, strategy=strategy)


def told(folder: Path) -> list[dict[str, float]]:
    records = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]
    return [record for record in records if "note" not in record]


def main(folder: Path, names: Sequence[str]) -> None:
    """Train in every way that is named, half of the way first, so that the other half is a resumed run.

    Where a file 'die' lies in the folder, the first process is killed after step 8, once.
    """
    for name, optimizer in (name.split("-") for name in names if name != "changing"):
        place, strategy = folder / f"{name}-{optimizer}", take_part(name, None)
        for steps in (HALF, STEPS):
            ready = trainer(place, strategy, optimizer, steps, alone=name.startswith("zero"))
            ready.watch = [partial(die, folder / "die")]
            held = weighed(ready)
            network = ready.fit()
        if strategy.leads:
            ends = {key: weight.flatten().tolist() for key, weight in network.state_dict().items()}
            (place / "weights.json").write_text(json.dumps(ends))
            said = strategy.footprint(ready.standing["moving"])
            (place / "held.json").write_text(json.dumps([[max(one) for one in zip(*held, strict=True)], said]))
    for name, steps in CHANGING[1:-1] if "changing" in names else ():
        trainer(folder / "changing", take_part(name, None), "adamw", steps, alone=True).fit()


def die(sign: Path, record: dict[str, object]) -> None:
    if record["step"] == 8 and sign.exists():
        sign.unlink()
        os.kill(os.getpid(), signal.SIGKILL)


def alone(name: str, optimizer: str) -> str:
    """The folder of the run on one process that learns what this one learns."""
    return "alone" if name.startswith("zero") else f"one-{optimizer}"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs on two processes, and beside them on one."""
    folder = tmp_path_factory.mktemp("runs")
    trainer(folder / "changing", None, "adamw", CHANGING[0][1], alone=True).fit()
    names = [f"{name}-{optimizer}" for name, optimizer in WAYS + ZERO]
    assert start([sys.executable, __file__, str(folder), *names, "changing"], 2) == 0
    trainer(folder / "changing", None, "adamw", STEPS, alone=True).fit()
    for place, optimizer in (("one-adamw", "adamw"), ("one-muon", "muon"), ("alone", "adamw")):
        for steps in (HALF, STEPS):
            trainer(folder / place, None, optimizer, steps, alone=place == "alone").fit()
    return folder


def test_all_strategies_are_there() -> None:
    if not ZERO:
        pytest.skip("DeepSpeed is not installed, so ZeRO is not tested: pip install 'anfinsen[deepspeed]'")


@pytest.mark.parametrize(("name", "optimizer"), WAYS + ZERO)
def test_two_processes_go_the_way_of_one(folder: Path, name: str, optimizer: str) -> None:
    ours, theirs = (told(folder / each) for each in (f"{name}-{optimizer}", alone(name, optimizer)))
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
    is_zero = name.startswith("zero")
    opened = trainer(folder / f"{name}-{optimizer}", None, optimizer, STEPS + 4, alone=is_zero)
    assert opened.resume() and opened.step == STEPS
    plain = trainer(folder / alone(name, optimizer), None, optimizer, STEPS + 4, alone=is_zero)
    assert plain.resume()
    torch.testing.assert_close(opened.network.state_dict(), plain.network.state_dict(), rtol=1e-4, atol=1e-5)
    for one, other in zip(opened.optimizers, plain.optimizers, strict=True):
        for key, moments in other.state_dict()["state"].items():
            torch.testing.assert_close(one.state_dict()["state"][key], moments, rtol=1e-3, atol=1e-6)
    ends = json.loads((folder / f"{name}-{optimizer}" / "weights.json").read_text())
    best = opened.best_weights
    assert {key: best[key].flatten().tolist() for key in best} == {key: ends[key] for key in best}


def test_a_run_may_change_its_strategy_and_its_number_of_processes_again_and_again(folder: Path) -> None:
    ours, theirs = told(folder / "changing"), told(folder / "alone")
    assert [record["step"] for record in ours] == list(range(1, STEPS + 1))
    for one, other in zip(ours, theirs, strict=True):
        for key in ("loss", "gradient_norm"):
            assert one[key] == pytest.approx(other[key], rel=1e-5, abs=1e-6), (key, one["step"])


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs of which the first process was killed in each way, and which went on."""
    folder = tmp_path_factory.mktemp("killed")
    command = [sys.executable, __file__, str(folder)]
    names = [f"{name}-{optimizer}" for name, optimizer in KILLED]
    for name in names:
        (folder / "die").touch()
        assert start([*command, name], 2) != 0
        assert not (folder / "die").exists(), "nobody was killed, so this test means nothing"
    assert start([*command, *names], 2) == 0
    return folder


@pytest.mark.parametrize(("name", "optimizer"), KILLED)
def test_a_run_on_two_processes_that_is_killed_goes_on_bit_for_bit(
    folder: Path, killed: Path, name: str, optimizer: str
) -> None:
    weights = Path(f"{name}-{optimizer}") / "weights.json"
    assert (killed / weights).read_bytes() == (folder / weights).read_bytes()


@pytest.mark.parametrize(("name", "optimizer"), [WAYS[0], WAYS[2], *ZERO])
def test_a_process_holds_what_the_arithmetic_says(folder: Path, name: str, optimizer: str) -> None:
    held, said = json.loads((folder / f"{name}-{optimizer}" / "held.json").read_text())
    # pieces are padded to equal length, and a weight that two share is in both: it counts in a network this small
    assert held == pytest.approx(said, rel=0.08)


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
