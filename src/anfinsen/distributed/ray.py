"""Long jobs on a Ray cluster (an extra): blocks go out, answers come back in the order of the blocks, each once.

    driver: blocks -> object store -> workers, each with a model of its own -> object store -> driver: answers, in order

A worker that dies is started again and its block given out again; a block that kills its worker again and again ends
the job with a sentence. The driver keeps few blocks a worker under way, so memory does not grow with the file. What is
done is written by the caller as it comes, so a driver that dies has lost only what was under way.

A training (`start`) is N members that find each other as under torchrun. If one is lost all begin again from the last
checkpoint, so a machine that is taken back costs at most one interval between two saves.

The cluster is the one that RAY_ADDRESS names, else one on this machine, which ends with the job. This file knows
neither proteins nor models: what a worker does is a function that `make` makes on it.
"""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import sys
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from functools import cache
from importlib import import_module
from typing import Any, Generic, NamedTuple, TypeVar

from anfinsen.errors import AnfinsenError, MissingExtraError, UsageError

Block = TypeVar("Block")
Answer = TypeVar("Answer")
AHEAD = 2
"""Blocks under way for each worker: one that it reads, one that waits."""
_TRIES = 2
_ADDRESS = "RAY_ADDRESS"
_KNOCK = 10.0
"""Seconds in which a cluster must take a connection."""
_SAID = 4000
"""Letters of what a training said that are shown."""
_DEATH_SIGNAL = 1
"""PR_SET_PDEATHSIG of Linux."""


class Cluster:
    """Workers of a Ray cluster; use it as a context, so that a cluster of this machine ends with it."""

    def __init__(self, workers: int) -> None:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        os.environ.setdefault(
            "RAY_worker_niceness", "0"
        )  # Ray's own is 15, for which all else on a machine comes first
        ray = part_of_ray()
        self.workers = workers
        self._is_ours = not ray.is_initialized()
        if self._is_ours:
            # 'local', since without a word Ray would join whatever cluster was last begun on this machine
            address = os.environ.get(_ADDRESS) or "local"
            here = {"num_cpus": workers, "include_dashboard": False} if address == "local" else {}
            _knock(address)
            ray.init(address=address, log_to_driver=False, logging_level="ERROR", **here)
        cores = int(ray.cluster_resources().get("CPU", 0))
        if cores < workers:
            self.close()
            raise UsageError(
                f"{workers} workers were asked for, and the cluster has {cores} cores.",
                remedy="Ask for fewer, or wait until more machines have joined.",
            )

    def __enter__(self) -> Cluster:
        return self

    def __exit__(self, *ended: object) -> None:
        self.close()

    def close(self) -> None:
        """End the cluster if it was started here."""
        ray = part_of_ray()
        if self._is_ours:
            ray.shutdown()

    def map(
        self, make: Callable[[], Callable[[Block], Answer]], blocks: Iterable[Block]
    ) -> Iterator[tuple[Block, Answer]]:
        """Each block with its answer, in order; `make` makes the function that answers, once on each worker."""
        ray = part_of_ray()
        actor: Any = ray.remote(num_cpus=1, max_restarts=-1, max_task_retries=_TRIES)(_Worker)
        given = ray.put(make)  # once, however many workers there are: it may hold what all of them read
        team = _Team([actor.remote(given) for _ in range(self.workers)])
        waiting: deque[tuple[Block, Any]] = deque()
        try:
            for block in blocks:
                waiting.append((block, team.give(block)))
                if len(waiting) == AHEAD * self.workers:
                    first, answer = waiting.popleft()
                    yield first, _got(answer)
            while waiting:
                first, answer = waiting.popleft()
                yield first, _got(answer)
        finally:
            for one in team.actors:
                ray.kill(one)

    def start(self, command: Sequence[str], *, tell: Callable[[str], None]) -> int:
        """Run a command once on each worker, as members of one training; the exit code of the first.

        If one of them dies the others are ended and all begin again, from the checkpoint that they find.
        """
        ray = part_of_ray()
        for attempt in range(_TRIES + 1):
            actor: Any = ray.remote(num_cpus=1, max_restarts=0)(_Member)
            members = [actor.remote() for _ in range(self.workers)]
            try:
                address, port = ray.get(members[0].address.remote())
                shared = {"WORLD_SIZE": str(self.workers), "MASTER_ADDR": address, "MASTER_PORT": str(port)}
                ended = [
                    member.run.remote(list(command), {**shared, "RANK": str(rank), "LOCAL_RANK": "0"})
                    for rank, member in enumerate(members)
                ]
                code, said = _first_failure(ray, ended)
            except ray.exceptions.RayActorError:
                code, said = -1, "A worker was lost."
            finally:
                for member in members:
                    ray.kill(member)
            if code >= 0:
                tell(said)
                return int(code)
            if attempt < _TRIES:
                tell(f"{said} The training goes on from its last checkpoint.")
        raise AnfinsenError(f"{_TRIES + 1} times a worker was lost.", remedy="The same command goes on from there.")


class _Member:
    """One process of a training, run by a worker; it ends with its worker."""

    def address(self) -> tuple[str, int]:
        """Where the others may find the first one."""
        with closing(socket.socket()) as found:
            found.bind(("", 0))
            return str(part_of_ray().util.get_node_ip_address()), int(found.getsockname()[1])

    def run(self, command: list[str], environment: dict[str, str]) -> tuple[int, str]:
        """The command's exit code and what it said last; of a signal's victim the code is below 0."""
        ended = subprocess.run(
            command, env={**os.environ, **environment}, capture_output=True, text=True, check=False, preexec_fn=_follow
        )
        return ended.returncode, (ended.stdout + ended.stderr)[-_SAID:]


def _follow() -> None:
    """Ask the kernel to end this process with the one that started it: an orphan would go on writing checkpoints."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_DEATH_SIGNAL, signal.SIGKILL)


def _first_failure(ray: Any, ended: list[Any]) -> tuple[int, str]:
    """The first member's end; of a training that fails the end of the one that failed first."""
    first = ended[0]
    while ended:
        (one,), ended = ray.wait(ended, num_returns=1)
        code, said = ray.get(one)
        if code:
            return code, said
    found: tuple[int, str] = ray.get(first)
    return found


class _Worker(Generic[Block, Answer]):
    """One process of the cluster with a function of its own, made when it is first needed."""

    def __init__(self, make: Callable[[], Callable[[Block], Answer]]) -> None:
        self.answer = cache(make)

    def do(self, block: Block) -> Answer | _Refusal:
        """One block."""
        try:
            return self.answer()(block)
        except AnfinsenError as error:
            return _Refusal(type(error), str(error), vars(error))


class _Refusal(NamedTuple):
    """An error on its way from a worker: an exception itself does not travel whole."""

    kind: type[AnfinsenError]
    text: str
    told: dict[str, Any]


class _Team:
    """Workers with what each has under way; the next block goes to the one with the least."""

    def __init__(self, actors: Sequence[Any]) -> None:
        self.actors = actors
        self.under_way: list[list[Any]] = [[] for _ in actors]

    def give(self, block: object) -> Any:
        ray = part_of_ray()
        for place, answers in enumerate(self.under_way):
            if answers:
                self.under_way[place] = ray.wait(answers, num_returns=len(answers), timeout=0)[1]
        place = min(range(len(self.actors)), key=lambda at: len(self.under_way[at]))
        answer = self.actors[place].do.remote(block)
        self.under_way[place].append(answer)
        return answer


def _knock(address: str) -> None:
    """Refuse an address 'HOST:PORT' where nobody answers: Ray would ask for minutes, and end with a traceback."""
    host, colon, port = address.rpartition(":")
    if "/" in host or not colon or not port.isdecimal():
        return
    try:
        socket.create_connection((host, int(port)), timeout=_KNOCK).close()
    except OSError as error:
        raise UsageError(
            f"No Ray cluster answers at '{address}': {error.strerror or error}.",
            remedy=f"Look at {_ADDRESS}; without it a cluster is started on this machine.",
        ) from None


def part_of_ray(name: str = "") -> Any:
    """The package or a part of it, whose types not everybody has."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what Ray asks of other packages in an old way is not ours to mend
            return import_module(f"ray.{name}" if name else "ray")
    except ImportError:
        raise MissingExtraError(f"ray.{name}" if name else "ray", "ray") from None


def _got(answer: Any) -> Any:
    ray = part_of_ray()
    try:
        found = ray.get(answer)
    except ray.exceptions.RayActorError:
        raise AnfinsenError(
            f"A block ended its worker {_TRIES + 1} times, most likely for want of memory.",
            remedy="Give each worker more memory, or take fewer workers a machine; what is done is kept.",
        ) from None
    if isinstance(found, _Refusal):
        error = found.kind.__new__(found.kind, found.text)
        vars(error).update(found.told)
        raise error
    return found
