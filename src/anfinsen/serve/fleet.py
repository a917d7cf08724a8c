"""A crew of more than one: the proteins of a batch are dealt among replicas on a cluster, each with a child of its own.

    batch -> a share for each replica -> its child, as here -> replies, in order

What needs the store, and every closer look, is answered by a child of this machine, as without a cluster. A replica
that dies is a child that died: the desk asks again. It knows no job and no route.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from anfinsen.distributed.serving import LostReplica, Replicas
from anfinsen.errors import AnfinsenError
from anfinsen.serve.crew import COMMAND, Crew, WorkerDied

if TYPE_CHECKING:
    from anfinsen.distributed.ray import Cluster


class Fleet(Crew):
    """One child here, and as many replicas as the cluster has workers."""

    def __init__(self, opening: Mapping[str, Any], cluster: Cluster, command: Sequence[str] = COMMAND) -> None:
        super().__init__(opening, command)
        self._cluster, self.hands = cluster, cluster.workers
        self._replicas: Replicas | None = None

    def start(self) -> dict[str, Any]:
        """The menu of the child here, when the replicas answer by the same model."""
        menu = super().start()
        if self._replicas is None:
            opening = {**self._opening, "threads": 1}
            self._replicas = Replicas(self._cluster, partial(Hand, opening, menu["model"], self._command))
        return menu

    def ask(self, message: Mapping[str, Any], count: int, seconds: float) -> Iterator[dict[str, Any]]:
        """The replies, as of a crew of one."""
        if message["kind"] != "answer" or self._replicas is None:
            yield from super().ask(message, count, seconds)
            return
        proteins = message["proteins"]
        shares = [proteins[at :: self.hands] for at in range(min(self.hands, count))]
        waiting = self._replicas.ask([({**message, "proteins": share}, seconds) for share in shares])
        told = [_told(wait) for wait in waiting]
        for at in range(count):
            replies, death = told[at % len(told)]
            if at // len(told) >= len(replies):
                raise WorkerDied(death["text"], is_late=death["is_late"])
            yield replies[at // len(told)]

    def kill(self) -> None:
        """End what the replicas compute now."""
        if self._replicas is not None:
            self._replicas.stop()

    def stop(self) -> None:
        """End the child and what is under way; the replicas stay for the next question."""
        self.kill()
        super().stop()

    def close(self) -> None:
        """End the child and the replicas, which would outlive this process on a cluster that others began."""
        super().close()
        if self._replicas is not None:
            self._replicas.close()
            self._replicas = None


Told = tuple[list[dict[str, Any]], dict[str, Any]]
"""Replies, and how the child died where they are too few."""


class Hand:
    """What answers in a replica: a crew of one."""

    def __init__(self, opening: Mapping[str, Any], model: Mapping[str, str], command: Sequence[str]) -> None:
        self._crew = Crew(opening, command)
        found = self._crew.start()["model"]
        if found != model:
            self._crew.stop()
            raise AnfinsenError(f"A replica has {found['name']} {found['sha256'][:8]}, which is another model.")

    def answer(self, message: tuple[Mapping[str, Any], float]) -> Told:
        """The replies to a message that may take so many seconds."""
        asked, seconds = message
        replies: list[dict[str, Any]] = []
        try:
            replies.extend(self._crew.ask(asked, len(asked["proteins"]), seconds))
        except WorkerDied as death:
            return replies, {"text": str(death), "is_late": death.is_late}
        return replies, {}

    def stop(self) -> None:
        """End what is computed now."""
        self._crew.kill()


def _told(wait: Callable[[], Told]) -> Told:
    try:
        return wait()
    except LostReplica as lost:
        return [], {"text": str(lost), "is_late": False}
