"""A run that was stopped and resumed is the run that was never stopped, bit for bit, on a CPU."""

from __future__ import annotations

import json
from pathlib import Path

import numpy
import pytest
import torch

from anfinsen.data.batch import Stream
from anfinsen.data.example import Example
from anfinsen.errors import AnfinsenError, CheckpointError, UsageError
from anfinsen.models.encoder import Encoder, EncoderConfig
from anfinsen.models.network import NativeBody, Network
from anfinsen.structure.protein import Protein
from anfinsen.tasks import TASKS
from anfinsen.training import checkpoint
from anfinsen.training.engine import Course, TrainConfig, Trainer

STEPS = 24


def proteins(count: int = 30) -> list[Example]:
    generator = numpy.random.default_rng(0)
    letters = numpy.array(list("ACDEFGHIKLMNPQRSTVWY"))
    places = TASKS["localization"].target.classes  # type: ignore[attr-defined]
    return [
        Example(
            Protein(f"p{i}", "".join(generator.choice(letters, size=int(generator.integers(12, 60))))), places[i % 10]
        )
        for i in range(count)
    ]


def make(folder: Path, **changes: object) -> Trainer:
    torch.manual_seed(3)
    shape = EncoderConfig(layers=2, dim=16, heads=2, inner_dim=32)
    tasks = [TASKS["localization"], TASKS["masked"]]
    network = Network(NativeBody(Encoder(shape), 16, 64), {task.name: task.shape for task in tasks})
    examples = proteins()
    masked = [Example(example.protein) for example in examples]
    courses = [
        Course(tasks[0], Stream(examples, budget=300, seed=5), share=2),
        Course(tasks[1], Stream(masked, budget=200, seed=5, prepare=tasks[1].prepare, window=40), share=1),
    ]
    settings = {
        "steps": STEPS,
        "tokens": 300,
        "warmup": 3,
        "average": 0.9,
        "optimizer": "muon",
        "judge_every": 5,
        "save_every": 1,
        "accumulate": 2,
    }
    config = TrainConfig.build({**settings, **changes})
    looks: list[int] = []

    def judge(network: torch.nn.Module) -> float:
        looks.append(1)
        return float(sum(weight.detach().abs().sum() for weight in network.parameters()))

    return Trainer(network, courses, config, folder, judge=judge)


def weights(trainer: Trainer) -> dict[str, torch.Tensor]:
    return {name: weight.detach().clone() for name, weight in trainer.network.named_parameters()}


def told(folder: Path) -> list[dict[str, object]]:
    records = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]
    return [{key: value for key, value in record.items() if key != "seconds"} for record in records]


@pytest.mark.parametrize("stop", [1, 7, 13, 23])
def test_a_resumed_run_equals_an_unbroken_one(tmp_path: Path, stop: int) -> None:
    whole = make(tmp_path / "whole")
    whole.fit()
    broken = make(tmp_path / "broken")
    broken.look()
    broken.network.train()
    for _ in range(stop):
        record = broken.train_step()
        if broken.step % 5 == 0:
            record |= broken.look()
        broken._tell(record)
    broken.save()
    resumed = make(tmp_path / "broken")
    resumed.fit()
    for name, weight in weights(whole).items():
        assert torch.equal(weight, weights(resumed)[name]), name
    assert told(tmp_path / "whole") == told(tmp_path / "broken")


def test_splitting_a_step_into_parts_changes_nothing(tmp_path: Path) -> None:
    # without dropout, since each part draws its own
    runs = []
    for parts in (1, 4):
        trainer = make(tmp_path / str(parts), accumulate=parts, optimizer="adamw", average=0.0)
        for module in trainer.network.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
        for _ in range(6):
            trainer.train_step()
        runs.append(weights(trainer))
    for name, weight in runs[0].items():
        assert torch.allclose(weight, runs[1][name], atol=1e-5), name


def test_three_epochs_show_every_protein_once_each_and_in_another_order() -> None:
    stream = Stream(proteins(), budget=200, seed=1)
    orders = []
    for epoch in range(3):
        seen: list[str] = []
        while len(seen) < 30:
            seen += [example.protein.id for example in stream.next()]
        assert sorted(seen) == sorted(example.protein.id for example in stream.examples)
        assert stream.epoch == epoch
        orders.append(seen)
    assert len({tuple(order) for order in orders}) == 3


def test_a_damaged_checkpoint_is_refused_and_the_one_before_it_is_used(tmp_path: Path) -> None:
    trainer = make(tmp_path)
    for _ in range(3):
        trainer.train_step()
        trainer.save()
    folder = tmp_path / "checkpoints"
    last = sorted(folder.glob("step-*"))[-1]
    content = bytearray((last / checkpoint.TENSORS).read_bytes())
    content[len(content) // 2] ^= 1
    (last / checkpoint.TENSORS).write_bytes(content)
    with pytest.raises(CheckpointError, match=r"its hash is not the one in manifest\.json"):
        checkpoint.load(last)
    path, passed = checkpoint.newest(folder)
    assert path is not None and path.name == "step-00000002"
    assert passed == [
        "step-00000003/tensors.safetensors is damaged: its hash is not the one in manifest.json. "
        "Delete that folder; the checkpoint before it is used."
    ]


def test_after_damage_the_repeated_steps_replace_the_damaged_ones(tmp_path: Path) -> None:
    trainer = make(tmp_path)
    for _ in range(4):
        trainer.train_step()
        trainer.save()
    folder = tmp_path / "checkpoints"
    for damaged in folder.glob("step-*"):
        (damaged / checkpoint.STATE).write_text("{}")
    again = make(tmp_path)
    assert not again.resume()
    again.train_step()
    again.save()
    path, _ = checkpoint.newest(folder)
    assert path is not None
    assert path.name == "step-00000001"


def test_a_folder_of_another_training_is_refused(tmp_path: Path) -> None:
    trainer = make(tmp_path)
    trainer.train_step()
    trainer.save()
    other = make(tmp_path)
    other.origin = "other data"
    with pytest.raises(UsageError, match="holds another training: other data, settings or another start"):
        other.resume()


def test_a_run_that_runs_away_stops_with_a_sentence(tmp_path: Path) -> None:
    trainer = make(tmp_path)
    with torch.no_grad():
        for weight in trainer.network.parameters():
            weight.fill_(float("inf"))
    with pytest.raises(AnfinsenError, match="At step 1 the loss is no longer a number"):
        trainer.train_step()


def test_records_of_steps_that_are_done_again_do_not_stand_twice(tmp_path: Path) -> None:
    trainer = make(tmp_path, save_every=2, steps=5)
    for step in range(1, 4):
        trainer._tell(trainer.train_step())
        if step == 2:
            trainer.save()
    with (tmp_path / "events.jsonl").open("a") as file:
        file.write('{"step": 4, "lo')  # killed in the middle of a line
    make(tmp_path, save_every=2, steps=5).fit()
    assert [record["step"] for record in told(tmp_path)] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("missing", [checkpoint.TENSORS, checkpoint.STATE, checkpoint.MANIFEST])
def test_a_checkpoint_without_one_of_its_files_is_no_checkpoint(tmp_path: Path, missing: str) -> None:
    trainer = make(tmp_path)
    trainer.train_step()
    trainer.save()
    (tmp_path / "checkpoints" / "step-00000001" / missing).unlink()
    assert checkpoint.newest(tmp_path / "checkpoints")[0] is None


def test_a_crash_while_writing_leaves_the_old_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = make(tmp_path)
    trainer.train_step()
    trainer.save()
    trainer.train_step()

    def full(path: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint, "_flush", full)
    with pytest.raises(OSError, match="No space left"):
        trainer.save()
    path, passed = checkpoint.newest(tmp_path / "checkpoints")
    assert path is not None and path.name == "step-00000001" and passed == []
