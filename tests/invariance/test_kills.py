"""A training that is killed at any moment loses at most the work since its last save, and never opens a torn file."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy
import pytest
import torch

from anfinsen.errors import CheckpointError
from anfinsen.training import checkpoint

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork a process to be killed")


def killed(work: Callable[[int], None], saves: int, share: float) -> int:
    """Fork a child that does `work`; kill it with signal 9 after `saves` saves and a `share` of the time of one more.

    The last step that it told of; moments are counted in saves, since on a busy machine seconds mean nothing.
    """
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        try:
            work(writer)
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb", buffering=0) as pipe:
        began = time.perf_counter()
        told = b"".join(pipe.read(4) for _ in range(saves))
        time.sleep((time.perf_counter() - began) / saves * share)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        return int.from_bytes((told + pipe.read())[-4:], "big")


@pytest.mark.parametrize("kills", [20, pytest.param(200, marks=pytest.mark.slow)])
def test_a_kill_at_any_moment_of_a_save_loses_at_most_that_save(tmp_path: Path, kills: int) -> None:
    generator = numpy.random.default_rng(kills)
    done = torn = 0

    def save_on(writer: int) -> None:
        for step in range(done + 1, sys.maxsize):
            checkpoint.save(tmp_path, step, {"weights": torch.full((64, 256), float(step))}, {"step": step})
            os.write(writer, step.to_bytes(4, "big"))

    for _ in range(kills):
        told = killed(save_on, int(generator.integers(1, 4)), float(generator.uniform(0, 1.5)))
        torn += any(tmp_path.glob(".writing-*"))
        path, passed = checkpoint.newest(tmp_path)
        assert path is not None and passed == []
        done = int(path.name.removeprefix("step-"))
        assert told <= done <= told + 1
        tensors, state = checkpoint.load(path)
        assert state == {"step": done}
        assert torch.equal(tensors["weights"], torch.full((64, 256), float(done)))
    assert torn, "no kill fell into a save, so this test means nothing"
    checkpoint.save(tmp_path, done + 1, {"weights": torch.zeros(1)}, {})
    assert len(list(tmp_path.iterdir())) == 2, "a torn folder stays"


def saved(folder: Path, steps: int = 2) -> Path:
    for step in range(1, steps + 1):
        last = checkpoint.save(folder, step, {"weights": torch.arange(40.0)}, {"step": step})
    return last


@pytest.mark.parametrize("name", [checkpoint.TENSORS, checkpoint.STATE, checkpoint.MANIFEST])
def test_a_flipped_bit_or_a_cut_anywhere_is_refused_by_name(tmp_path: Path, name: str) -> None:
    last = saved(tmp_path)
    whole = (last / name).read_bytes()
    generator = numpy.random.default_rng(1)
    for place in generator.integers(0, len(whole), size=40):
        flipped = bytearray(whole)
        flipped[place] ^= 1 << int(generator.integers(8))
        for content in (bytes(flipped), whole[:place]):
            (last / name).write_bytes(content)
            with pytest.raises(CheckpointError, match=r"^step-00000002/\S+ is damaged: "):
                checkpoint.load(last)
            path, (sentence,) = checkpoint.newest(tmp_path)
            assert path is not None and path.name == "step-00000001"
            assert sentence.endswith(" Delete that folder; the checkpoint before it is used.")
    (last / name).write_bytes(whole)
    assert checkpoint.newest(tmp_path) == (last, [])


def test_a_missing_file_is_named_and_an_empty_manifest_is_too(tmp_path: Path) -> None:
    last = saved(tmp_path)
    (last / checkpoint.MANIFEST).write_text("[]")
    with pytest.raises(CheckpointError) as told:
        checkpoint.load(last)
    assert told.value.reason == "step-00000002/manifest.json is damaged: it holds no hashes."
    (last / checkpoint.STATE).unlink()
    with pytest.raises(CheckpointError) as told:
        checkpoint.load(last)
    assert str(told.value) == (
        "step-00000002 is incomplete: state.json is missing. Delete that folder; the checkpoint before it is used."
    )


def test_when_nothing_whole_is_left_it_says_that_it_begins_again(tmp_path: Path) -> None:
    saved(tmp_path)
    for folder in tmp_path.iterdir():
        (folder / checkpoint.STATE).write_text("{}")
    path, passed = checkpoint.newest(tmp_path)
    assert path is None
    assert passed[-1] == "No whole checkpoint is left, so the training begins again."
    assert len(passed) == 3
