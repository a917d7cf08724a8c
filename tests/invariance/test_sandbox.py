"""Whatever a child does (hang, grow, crash, write), its parent lives, and says in one sentence what happened."""

from __future__ import annotations

import copy
import ctypes
import hashlib
import math
import os
import shutil
import threading
import time
from pathlib import Path
from typing import Any

import numpy
import pytest

from anfinsen import sandbox
from anfinsen.errors import InputError
from anfinsen.reading.letters import mend
from anfinsen.sandbox import run_limited


@pytest.mark.parametrize(
    "value",
    [None, True, 3, 2.5, "é", b"\0\xff", [1, [2, "a"]], {"a": {"b": 1}}, {1: "a"}],
    ids=str,
)
def test_plain_values_go_there_and_come_back(value: Any) -> None:
    assert run_limited(copy.copy, value) == value


def test_arrays_keep_their_numbers_their_shape_and_their_kind() -> None:
    for kind in ("f4", "i2", "?", "u8"):
        given = numpy.arange(6).reshape(2, 3).astype(kind)
        found = run_limited(numpy.transpose, given)
        assert found.dtype == given.dtype and (found == given.T).all()


def test_one_child_answers_call_after_call() -> None:
    assert len({run_limited(os.getpid) for _ in range(5)}) == 1
    assert run_limited(os.getpid) != os.getpid()


def test_a_refusal_of_ours_comes_back_with_its_place() -> None:
    with pytest.raises(InputError) as here:
        mend("MKTAYIAK*QRQISFVK")
    with pytest.raises(InputError) as there:
        run_limited(mend, "MKTAYIAK*QRQISFVK")
    assert (str(there.value), there.value.position) == (str(here.value), here.value.position)


def test_another_exception_is_a_fault_and_shows_the_childs_traceback() -> None:
    with pytest.raises(RuntimeError, match="ValueError: math domain error"):
        run_limited(math.sqrt, -1.0)
    with pytest.raises(RuntimeError, match="no object passes between processes"):
        run_limited(object)


@pytest.mark.parametrize(
    ("function", "argument", "sentence"),
    [
        (ctypes.string_at, 0, "The program that reads it broke down (signal 11)."),
        (os._exit, 3, "The program that reads it broke down (exit code 3)."),
        (time.sleep, 60, "Reading it took more than 0.1 seconds, which is the limit. Give a smaller one."),
        (bytes, 500_000_000, "Reading it needs more than 200 megabytes of memory, which is the limit."),
    ],
    ids=["crash", "exit", "hang", "memory"],
)
def test_a_child_that_dies_is_one_sentence_and_the_next_call_is_answered(
    function: Any, argument: int, sentence: str
) -> None:
    seconds = 0.1 if function is time.sleep else 10
    with pytest.raises(InputError) as error:
        run_limited(function, argument, seconds=seconds, megabytes=200)
    assert str(error.value).startswith(sentence)
    assert run_limited(math.gcd, 12, 18) == 6


def test_computing_without_end_is_stopped_by_the_clock_of_the_processor() -> None:
    with pytest.raises(InputError, match=r"Reading it took more than 0.4 seconds, which is the limit\."):
        run_limited(pow, 3, 30_000_000, seconds=0.4)


def test_a_child_on_a_busy_machine_is_waited_for_while_it_computes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "PATIENCE", 0.02)  # so that who may compute ten seconds is given up after 0.2 of sleep
    asked = hashlib.pbkdf2_hmac, "sha256", b"", b"", 1_500_000
    assert run_limited(*asked, seconds=10) == hashlib.pbkdf2_hmac(*asked[1:])
    with pytest.raises(InputError, match=r"Reading it took more than 10 seconds"):
        run_limited(time.sleep, 60, seconds=10)


def test_a_child_cannot_write_a_file(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("something")
    with pytest.raises(RuntimeError, match="File too large"):
        run_limited(shutil.copyfile, str(tmp_path / "a.txt"), str(tmp_path / "b.txt"))
    assert (tmp_path / "b.txt").read_bytes() == b""


@pytest.mark.parametrize(
    "answer", [b"\xc1", b"\x01", b"\x91\xa6result", b"\x93\x01\xa4much\x01", b"\x92\xa6result\xc1"]
)
def test_nonsense_from_a_child_is_not_believed(answer: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    wire = len(answer).to_bytes(8, "little") + answer
    monkeypatch.setattr(sandbox, "_START", f"import sys; sys.stdout.buffer.write({wire!r})")
    child = sandbox._Child()
    with pytest.raises(InputError, match=r"The program that reads it broke down"):
        child.ask(b"", 10, 1)
    child.end()


def test_threads_share_a_few_children() -> None:
    found: list[int] = []
    threads = [threading.Thread(target=lambda: found.append(run_limited(os.getpid))) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 12 and len(set(found)) <= sandbox.CHILDREN
