"""Work on strangers' bytes in a child process that may use so much memory and time, and may die.

    run_limited(function, *args) -> pack -> pipe -> child: limits, function(*args) -> pipe -> unpack -> its result

A parser written in C can crash, hang or ask for all memory on a few bytes, and no `except` catches that. Here the child
pays: it may write no file, its memory and computing time are limited by the system, and when it dies the caller gets an
`InputError`, one sentence. Children are kept and used again, so that thousands of files cost one start.

What passes between the two is plain: None, numbers, text, bytes, lists (a tuple arrives as a list), dictionaries and
arrays of numbers. Nothing is unpickled, so that a child which a stranger took over cannot take over its parent.
Weaknesses: memory and time are not limited on Windows (a wall clock is), and the child may read files and speak to the
network as its parent may. It knows nothing of what is read.
"""

from __future__ import annotations

import atexit
import math
import os
import signal
import struct
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import msgpack
import numpy

from anfinsen import errors
from anfinsen.errors import AnfinsenError, InputError
from anfinsen.limits import LIMITS

MEGABYTE = 1_000_000
CHILDREN = 4
"""Children at the same time; who asks for one more waits."""
USES = 2_000
"""Calls after which a child is replaced, should a parser leak."""
GROWN = 500 * MEGABYTE
"""Bytes by which a child may have grown before it is replaced."""
PATIENCE = 5
"""Seconds by the wall for each second of computing, after which a child that has not computed meanwhile is given up.

One that has computed, if slowly, only waits for its turn on a busy machine: the system ends it by its own clock.
"""

_HEAD = struct.Struct("<Q")
_ARRAY = 1
_START = "from anfinsen.sandbox import serve; serve()"


def run_limited(
    function: Callable[..., Any],
    *args: Any,
    seconds: float = LIMITS.parser_seconds,
    megabytes: float = LIMITS.parser_bytes / MEGABYTE,
) -> Any:
    """What `function(*args)` gives, computed by a child within `seconds` of computing and `megabytes` of memory.

    `function` is found by its module and name, so it is no lambda. Raises the `AnfinsenError` that it raises, an
    `InputError` where the child breaks a limit or dies, and a `RuntimeError` with the child's traceback for any other
    exception, which is a fault of ours.

    >>> run_limited(math.gcd, 12, 18)
    6
    """
    asked = _pack([function.__module__, function.__qualname__, list(args), seconds, megabytes])
    pool = _pool(os.getpid())
    child = pool.borrow()
    try:
        kind, *found = child.ask(asked, seconds, megabytes)
    except BaseException:
        child.end()
        raise
    finally:
        pool.put_back(child)
    if kind == "result":
        return found[0]
    if kind == "refused":
        raise _refusal(*found)
    if kind == "memory":
        raise _too_much_memory(megabytes)
    raise RuntimeError(found[0])


# The parent's side ---------------------------------------------------------------------------------------------------


class _Child:
    """One child process and the two pipes to it."""

    def __init__(self) -> None:
        spread = {"PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        self._process = subprocess.Popen(
            [sys.executable, "-c", _START],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=os.environ | spread,
        )
        self._uses = 0
        self.is_spent = False

    def ask(self, asked: bytes, seconds: float, megabytes: float) -> list[Any]:
        """Send one call and wait for the answer, as [kind, ...]."""
        self._uses += 1
        done, late = threading.Event(), threading.Event()
        threading.Thread(target=self._watch, args=(done, late, PATIENCE * seconds), daemon=True).start()
        try:
            assert self._process.stdin is not None
            assert self._process.stdout is not None
            with suppress(BrokenPipeError):
                _send(self._process.stdin, asked)
            answer = _receive(self._process.stdout, int(2 * megabytes * MEGABYTE))
        finally:
            done.set()
        try:
            kind, grown, *found = _unpack(answer or b"")
            self.is_spent = self._uses >= USES or grown > GROWN or kind == "memory"
        except (ValueError, TypeError, msgpack.UnpackException):  # no answer, or nonsense
            raise self._death(seconds, is_late=late.is_set()) from None
        return [kind, *found]

    def _watch(self, done: threading.Event, late: threading.Event, patience: float) -> None:
        """Kill the process once it has slept through a whole `patience`."""
        before = _computed(self._process.pid)
        while not done.wait(patience):
            now = _computed(self._process.pid)
            if now <= before:
                late.set()
                self._process.kill()
                return
            before = now

    def _death(self, seconds: float, *, is_late: bool) -> InputError:
        """The sentence for a child that is no more."""
        self._process.kill()
        code = self._process.wait()
        if is_late or code == -getattr(signal, "SIGXCPU", 0):
            return InputError(
                f"Reading it took more than {seconds:g} seconds, which is the limit.", remedy="Give a smaller one."
            )
        name = f"signal {-code}" if code < 0 else f"exit code {code}"
        return InputError(
            f"The program that reads it broke down ({name}).",
            remedy="It is damaged, or too large for its reader: get it again, or leave it out.",
        )

    def end(self) -> None:
        """Kill the process, if it lives, and close its pipes."""
        self.is_spent = True
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            with suppress(OSError):
                if pipe is not None:
                    pipe.close()


class _Pool:
    """At most `CHILDREN` children, started when they are needed and kept."""

    def __init__(self) -> None:
        self._places = threading.BoundedSemaphore(CHILDREN)
        self._idle: list[_Child] = []
        self._owner = os.getpid()
        atexit.register(self.close)

    def borrow(self) -> _Child:
        """A child that nobody else asks, an idle one if there is one."""
        self._places.acquire()
        try:
            return self._idle.pop()
        except IndexError:
            return self._start()

    def _start(self) -> _Child:
        try:
            return _Child()
        except OSError:
            self._places.release()
            raise

    def put_back(self, child: _Child) -> None:
        """Keep a child for the next call, or end it."""
        if child.is_spent:
            child.end()
        else:
            self._idle.append(child)
        self._places.release()

    def close(self) -> None:
        """End every idle child; a process that was forked off leaves its parent's children alone."""
        while self._owner == os.getpid() and self._idle:
            self._idle.pop().end()


@cache
def _pool(process: int) -> _Pool:
    """The children of this process; one that was forked off starts its own, hence its number."""
    return _Pool()


def _refusal(name: str, reason: str, remedy: str, place: dict[str, Any]) -> AnfinsenError:
    if name == "InputError":
        return InputError(reason, remedy=remedy, **place)
    kind = getattr(errors, name, AnfinsenError)
    try:
        error = kind(reason, remedy=remedy)
    except TypeError:  # an error whose sentence is made from other arguments
        error = AnfinsenError(reason, remedy=remedy)
    assert isinstance(error, AnfinsenError)
    return error


def _too_much_memory(megabytes: float) -> InputError:
    return InputError(
        f"Reading it needs more than {megabytes:,.0f} megabytes of memory, which is the limit.",
        remedy="Give a smaller one.",
    )


# The child's side ----------------------------------------------------------------------------------------------------


def serve() -> None:
    """Answer calls from standard input until it ends; what a parser prints goes nowhere."""
    source, sink = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1):
        os.dup2(nowhere, stream)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, whose end ends this loop
    rest = _held()
    while (asked := _receive(source, None)) is not None:
        module, name, args, seconds, megabytes = _unpack(asked)
        kind, *found = _answer(module, name, args, seconds, megabytes)
        try:
            packed = _pack([kind, max(0, _held() - rest), *found])
        except (TypeError, MemoryError) as error:
            packed = _pack(["fault", 0, f"{module}.{name} gave what cannot be passed on: {error}"])
        _send(sink, packed)


def _answer(module: str, name: str, args: list[Any], seconds: float, megabytes: float) -> list[Any]:
    try:
        function = _find(module, name)
        _limit(seconds, int(megabytes * MEGABYTE))
        return ["result", function(*args)]
    except AnfinsenError as error:
        place = {key: value for key, value in vars(error).items() if key in ("file", "row", "position", "record")}
        return ["refused", type(error).__name__, error.reason, error.remedy, place]
    except MemoryError:
        return ["memory"]
    except Exception:  # noqa: BLE001 - the parent raises it again
        import traceback

        return ["fault", traceback.format_exc()]


def _find(module: str, name: str) -> Callable[..., Any]:
    found: Any = import_module(module)
    for part in name.split("."):
        found = getattr(found, part)
    assert callable(found)
    return found  # type: ignore[no-any-return]


def _limit(seconds: float, size: int) -> None:
    """Let this process compute `seconds` more, hold `size` bytes more, and write nothing."""
    if sys.platform == "win32":
        return
    import resource

    used = resource.getrusage(resource.RUSAGE_SELF)
    spent = used.ru_utime + used.ru_stime
    for kind, soft in (
        (resource.RLIMIT_CPU, math.ceil(spent + seconds)),
        (resource.RLIMIT_AS, _held() + size),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        _, hard = resource.getrlimit(kind)
        with suppress(ValueError, OSError):  # some systems, such as macOS, refuse a limit of memory
            resource.setrlimit(kind, (soft if hard == resource.RLIM_INFINITY else min(soft, hard), hard))


def _held() -> int:
    """Bytes of address space that this process holds; 0 where the system does not tell."""
    status = Path("/proc/self/statm")
    return int(status.read_text(encoding="ascii").split()[0]) * os.sysconf("SC_PAGE_SIZE") if status.exists() else 0


def _computed(process: int) -> int:
    """How long a process has computed, in ticks of the system's clock; 0 where the system does not tell."""
    try:
        # what stands before the last bracket is the program's name, which may hold blanks
        after = Path(f"/proc/{process}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
    except OSError:
        return 0
    return int(after[11]) + int(after[12])


# The wire ------------------------------------------------------------------------------------------------------------


def _send(sink: Any, content: bytes) -> None:
    sink.write(_HEAD.pack(len(content)))
    sink.write(content)
    sink.flush()


def _receive(source: Any, largest: int | None) -> bytes | None:
    """One message; None where the other side is gone or talks nonsense."""
    head = source.read(_HEAD.size)
    if len(head) < _HEAD.size:
        return None
    (size,) = _HEAD.unpack(head)
    if largest is not None and size > largest:
        return None
    content: bytes = source.read(size)
    return content if len(content) == size else None


def _pack(value: Any) -> bytes:
    packed: bytes = msgpack.packb(value, default=_pack_array)
    return packed


def _pack_array(value: Any) -> Any:
    if isinstance(value, numpy.generic):
        return value.item()
    if not isinstance(value, numpy.ndarray) or value.dtype.kind not in "biuf":
        raise TypeError(f"no {type(value).__name__} passes between processes; make it numbers, text or lists")
    head = [value.dtype.str, list(value.shape), numpy.ascontiguousarray(value).tobytes()]
    return msgpack.ExtType(_ARRAY, msgpack.packb(head))


def _unpack(content: bytes) -> Any:
    return msgpack.unpackb(content, ext_hook=_unpack_array, strict_map_key=False)


def _unpack_array(code: int, content: bytes) -> Any:
    name, shape, values = msgpack.unpackb(content)
    return numpy.frombuffer(values, numpy.dtype(name)).reshape(shape).copy()
