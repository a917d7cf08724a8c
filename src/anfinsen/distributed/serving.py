"""Replicas that answer on a Ray cluster (an extra), by Ray Serve: whoever is free is asked, who dies is replaced.

    message -> the handle -> a replica that is free -> its `answer` -> back

There is no second way in: Serve's own door stays shut, and who may ask is settled by whoever holds the `Replicas`. This
file knows neither proteins nor models.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable
from concurrent.futures import CancelledError
from typing import Any, Protocol

from anfinsen.distributed.ray import Cluster, part_of_ray
from anfinsen.errors import AnfinsenError


class Answerer(Protocol):
    """What answers in a replica."""

    def answer(self, message: Any) -> Any:
        """One message."""

    def stop(self) -> None:
        """End what is computed now; the next message is answered again."""


class LostReplica(Exception):
    """A replica ended, or was told to, before it had answered."""


class Replicas:
    """One replica for each worker of a cluster, each with what `make` makes there."""

    def __init__(self, cluster: Cluster, make: Callable[[], Answerer]) -> None:
        serve = part_of_ray("serve")
        logging.getLogger("ray.serve").setLevel(logging.ERROR)
        self.count = cluster.workers
        self._name = f"anfinsen-{secrets.token_hex(4)}"
        deployment = serve.deployment(
            _Replica,
            name="anfinsen",
            num_replicas=self.count,
            max_ongoing_requests=1,
            ray_actor_options={"num_cpus": 1},
            graceful_shutdown_timeout_s=1,
        )
        try:
            serve.start(proxy_location="Disabled")
            self._handle = serve.run(deployment.bind(make), name=self._name, route_prefix=None)
        except RuntimeError as error:
            self.close()
            raise AnfinsenError(
                f"The replicas could not be started: {str(error).strip().splitlines()[-1]}",
                remedy="Look at the log of the cluster; most often a model is not where all machines see it.",
            ) from None
        self._asked: list[Any] = []

    def ask(self, messages: list[Any]) -> list[Callable[[], Any]]:
        """Send messages, each to a replica that is free; of each a function that waits for its answer."""
        self._asked = [self._handle.remote(message) for message in messages]
        return [lambda asked=asked: _waited(asked) for asked in self._asked]  # type: ignore[misc]

    def stop(self) -> None:
        """End what was asked and is not answered; whoever waits is told that the replica was lost."""
        for asked in self._asked:
            asked.cancel()

    def close(self) -> None:
        """End the replicas."""
        part_of_ray("serve").delete(self._name)


class _Replica:
    """One of them."""

    def __init__(self, make: Callable[[], Answerer]) -> None:
        self.inner = make()

    async def __call__(self, message: Any) -> Any:
        try:
            return await asyncio.to_thread(self.inner.answer, message)
        except asyncio.CancelledError:
            self.inner.stop()
            raise


def _waited(asked: Any) -> Any:
    of_ray, of_serve = part_of_ray("exceptions"), part_of_ray("serve.exceptions")
    try:
        return asked.result()
    except (of_ray.RayActorError, of_ray.TaskCancelledError, of_serve.RayServeException, CancelledError) as error:
        raise LostReplica("its replica was ended, or the machine was lost") from error
