"""A server whose proteins are dealt among replicas answers as one with a single child; who dies fails one job only.

The replicas are threads of this process here, each with a child of its own; `test_ray` has those of a cluster.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

pytest.importorskip("fastapi")

from starlette.testclient import TestClient

from anfinsen.serve import desk as desk_room
from anfinsen.serve import fleet as fleet_room
from anfinsen.serve.app import make_app
from anfinsen.serve.desk import Desk
from anfinsen.serve.fleet import Fleet, Hand
from anfinsen.serve.store import Store

DEADLY, SLOW = "W" * 12, "G" * 12
CHILD = f"""
import json, os, sys, time
for line in sys.stdin:
    asked = json.loads(line)
    if asked["kind"] == "open":
        task = {{"name": "size", "title": "Size", "question": "How long?", "explanation": "Counts.", "limits": "",
                "terms": {{}}, "of_pairs": False, "conditions": [], "answer": {{"type": "object"}}}}
        model = {{"name": "fake", "sha256": "0" * 64, "version": "0"}}
        print(json.dumps({{"kind": "menu", "model": model, "tasks": [task]}}), flush=True)
    for one in asked.get("proteins", []):
        (chain,) = one["chains"]
        if chain["sequence"] == "{DEADLY}":
            os.kill(os.getpid(), 9)
        if chain["sequence"] == "{SLOW}":
            time.sleep(600)
        line = json.dumps({{"id": chain["id"], "answers": {{"size": {{"child": os.getpid()}}}}}}) + "\\n"
        card = {{"title": chain["id"], "length": 1, "messages": [], "answers": []}}
        print(json.dumps({{"line": line, "card": card}}), flush=True)
"""


class Threads:
    """Stands for `Replicas`: as many hands as there are workers, each asked by a thread of its own."""

    def __init__(self, cluster: Any, make: Callable[[], Hand]) -> None:
        self.hands = [make() for _ in range(cluster.workers)]
        self.pool = ThreadPoolExecutor(cluster.workers)

    def ask(self, messages: list[Any]) -> list[Callable[[], Any]]:
        pairs = zip(self.hands, messages, strict=False)
        return [self.pool.submit(hand.answer, message).result for hand, message in pairs]

    def stop(self) -> None:
        for hand in self.hands:
            hand.stop()

    def close(self) -> None:
        for hand in self.hands:
            hand._crew.stop()
        self.pool.shutdown()


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    monkeypatch.setattr(fleet_room, "Replicas", Threads)
    monkeypatch.setattr(desk_room, "GRACE_SECONDS", 0.1)
    store = Store(tmp_path)
    fleet = Fleet({"store": str(store.path)}, cast(Any, SimpleNamespace(workers=3)), (sys.executable, "-c", CHILD))
    desk = Desk(store, fleet)
    desk.open()
    with TestClient(make_app(desk), base_url="http://127.0.0.1") as client:
        yield client
    assert fleet._replicas is None, "the replicas outlive the server"


def asked(client: TestClient, chains: list[str]) -> Any:
    return client.post("/v1/predict", json={"sequences": "".join(f">p{at}\n{one}\n" for at, one in enumerate(chains))})


def chains(count: int) -> list[str]:
    return ["MKTAYIAKQRQISFVKSHFSRQ" + "ACDEFGHIKL"[at] for at in range(count)]


def test_answers_come_in_the_order_asked_from_every_replica(client: TestClient) -> None:
    told = asked(client, chains(8)).json()["predictions"]
    assert [one["id"] for one in told] == [f"p{at}" for at in range(8)]
    children = [one["answers"]["size"]["child"] for one in told]
    assert len(set(children)) == 3 and children == (children[:3] * 3)[:8]


def test_what_kills_its_child_fails_with_a_sentence_and_the_next_question_is_answered(client: TestClient) -> None:
    failed = asked(client, [*chains(4), DEADLY])
    assert failed.status_code == 503 and "signal 9, SIGKILL" in failed.json()["error"]["reason"]
    assert len(asked(client, chains(4)).json()["predictions"]) == 4


def test_a_cancelled_job_is_ended_where_it_is_computed(client: TestClient) -> None:
    slow = client.post("/v1/jobs", json={"sequences": f">slow\n{SLOW}\n"}).json()["links"]["job"]
    while client.get(slow).json()["state"] != "running":
        time.sleep(0.01)
    assert client.post(f"{slow}/cancel").json()["state"] == "cancelled"
    assert len(asked(client, chains(3)).json()["predictions"]) == 3
