"""`anfinsen serve`: answers, jobs and refusals over HTTP, and each row of the security table that applies."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import sys
import threading
import time
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import hypothesis
import jsonschema_rs
import pytest
import schemathesis
import torch
import uvicorn
from starlette.testclient import TestClient

from anfinsen.errors import AnfinsenError, UsageError
from anfinsen.hub.bundle import Bundle
from anfinsen.hub.record import TaskRecord
from anfinsen.inference.jobs import run_job
from anfinsen.inference.predictor import Predictor
from anfinsen.limits import LIMITS, Limits
from anfinsen.models.encoder import Encoder, EncoderConfig
from anfinsen.models.network import NativeBody, Network
from anfinsen.reading.readers import read_examples
from anfinsen.serve.app import make_app
from anfinsen.serve.crew import Crew
from anfinsen.serve.desk import Desk
from anfinsen.serve.guard import Rate, is_local
from anfinsen.serve.menu import entry
from anfinsen.serve.run import Settings, open_desk, run, token_for
from anfinsen.serve.store import Store
from anfinsen.tasks import TASKS

BAD = Path(__file__).parents[1] / "bad"
ASKED = ("localization", "melting-temperature", "secondary-structure")
HERE = "http://127.0.0.1"
TOKEN = "a-token-of-this-test-0123456789"
FASTA = ">one first of all\nMKTAYIAKQRQISFVKSHFSRQ\n>two\nMKWVTFISLLFLFSSAYSRG\n"
DEADLY, SLOW = "WWWWWWWWWWWW", "GGGGGGGGGGGG"
UNLIMITED = LIMITS.replaced(requests_per_minute=1_000_000, user_jobs=100)
CANARY = "canary-51f0"
KNOWN = "Did you mean 'sequences'? Known: conditions, sequences, tasks."

WORKER = f"""
import json, os, sys, time
for line in sys.stdin:
    asked = json.loads(line)
    if asked["kind"] == "open":
        task = {{"name": "size", "title": "Size", "question": "How long?", "explanation": "Counts.", "limits": "",
                "terms": {{}}, "of_pairs": False, "conditions": [], "answer": {{"type": "object"}}}}
        replies = [{{"kind": "menu", "model": {{"name": "fake", "sha256": "0" * 64, "version": "0"}}, "tasks": [task],
                    "looks": ["scan", "hidden", "explain", "fold", "sites", "affinity", "screen"]}}]
    elif asked["kind"] == "report":
        replies = [{{"html": "<p>report</p>"}}]
    elif asked["kind"] == "look":
        replies = [{{"told": {{}}}}]
    else:
        replies = []
        for one in asked["proteins"]:
            (chain,) = one["chains"]
            if chain["sequence"] == "{DEADLY}":
                os.kill(os.getpid(), 9)
            if chain["sequence"] == "{SLOW}":
                time.sleep(60)
            line = json.dumps({{"id": chain["id"], "length": len(chain["sequence"]), "answers": {{}}}}) + "\\n"
            card = {{"title": chain["id"], "length": 1, "messages": [], "answers": []}}
            print(json.dumps({{"line": line, "card": card}}), flush=True)
            with open(asked_log, "a") as log:
                log.write(chain["id"] + "\\n")
    if asked["kind"] == "open":
        asked_log = asked["store"] + ".log"
    for reply in replies:
        print(json.dumps(reply), flush=True)
"""


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(1)
    shape = EncoderConfig(layers=1, dim=32, heads=2, inner_dim=64)
    tasks = [TASKS[name] for name in ASKED]
    network = Network(NativeBody(Encoder(shape), shape.dim, shape.longest), {task.name: task.shape for task in tasks})
    records = {
        task.name: TaskRecord(
            kind=task.shape.kind,
            size=task.shape.size,
            labels=task.target.labels,
            conditions=tuple(one.name for one in task.conditions),
        )
        for task in tasks
    }
    folder = tmp_path_factory.mktemp("served") / "bundle"
    Bundle("tiny", network.eval(), records).save(folder)
    return folder


@pytest.fixture(scope="module")
def desk(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """A desk with a real child, asked by all tests of this file that need true answers."""
    settings = Settings(bundle=bundle, state=tmp_path_factory.mktemp("served") / "state", threads=1)
    made = open_desk(settings, UNLIMITED)
    yield made
    made.close()
    made.store.close()


@pytest.fixture(scope="module")
def client(desk: Desk) -> TestClient:
    # no `with`: the desk outlives this client
    return TestClient(make_app(desk), base_url=HERE, raise_server_exceptions=False)


def fake(folder: Path, limits: Limits = UNLIMITED) -> Desk:
    """A desk whose child loads no model, dies of one sequence and sleeps over another."""
    store = Store(folder)
    desk = Desk(store, Crew({"store": str(store.path)}, (sys.executable, "-c", WORKER)), limits)
    desk.open()
    return desk


@contextmanager
def served(folder: Path, limits: Limits = UNLIMITED, token: str = "") -> Iterator[TestClient]:
    with TestClient(make_app(fake(folder, limits), token=token), base_url=HERE) as client:
        yield client


def ended(client: TestClient, job: dict[str, Any], seconds: float = 60) -> dict[str, Any]:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        now = client.get(job["links"]["job"]).json()
        if now["state"] in ("done", "failed", "cancelled"):
            return now  # type: ignore[no-any-return]
        time.sleep(0.02)
    pytest.fail(f"the job did not end: {now}")


def events(text: str) -> list[tuple[str, str, Any]]:
    """(event, id, data) of a stream."""
    found = []
    for block in text.strip().split("\n\n"):
        parts = dict(line.split(": ", 1) for line in block.split("\n") if ": " in line and not line.startswith(":"))
        if "data" in parts:
            found.append((parts.get("event", ""), parts.get("id", ""), json.loads(parts["data"])))
    return found


# Answers -------------------------------------------------------------------------------------------------------------


def test_answers_are_those_of_predictions_jsonl_to_the_byte(client: TestClient, bundle: Path, tmp_path: Path) -> None:
    source = tmp_path / "in.fasta"
    source.write_text(FASTA, encoding="utf-8")
    run_job(read_examples(source), Predictor.load(bundle), tmp_path / "out")
    written = (tmp_path / "out" / "predictions.jsonl").read_text(encoding="utf-8")
    direct = client.post("/v1/predict", json={"sequences": FASTA})
    assert direct.status_code == 200, direct.text
    assert direct.json()["predictions"] == [json.loads(line) for line in written.splitlines()]
    job = client.post("/v1/jobs", json={"sequences": FASTA}).json()
    assert ended(client, job)["state"] == "done"
    assert client.get(job["links"]["answers"]).text == written


def test_what_is_asked_directly_is_not_kept(client: TestClient, desk: Desk) -> None:
    def count() -> int:
        return int(desk.store._one("SELECT COUNT(*) FROM job")[0])

    before = count()
    assert client.post("/v1/predict", json={"sequences": FASTA}).status_code == 200
    assert count() == before


def test_a_list_gives_the_answers_of_a_text(client: TestClient) -> None:
    text = client.post("/v1/predict", json={"sequences": FASTA}).json()["predictions"]
    chains = [{"id": one["id"], "sequence": one["sequence"], "description": one.get("description", "")} for one in text]
    assert client.post("/v1/predict", json={"sequences": chains}).json()["predictions"] == text
    bare = client.post("/v1/predict", json={"sequences": [one["sequence"] for one in text]}).json()["predictions"]
    assert [one["id"] for one in bare] == ["query-1", "query-2"]
    assert [one["answers"] for one in bare] == [one["answers"] for one in text]


def test_a_condition_changes_the_answer_and_stands_in_it(client: TestClient) -> None:
    asked = {"sequences": FASTA, "tasks": ["melting-temperature"]}
    plain, warm = (
        client.post("/v1/predict", json=asked | more).json()["predictions"]
        for more in ({}, {"conditions": {"growth_temperature": 70}})
    )
    assert warm[0]["conditions"] == {"growth_temperature": 70} and "conditions" not in plain[0]
    assert warm[0]["answers"] != plain[0]["answers"]


def test_every_task_of_the_bundle_has_a_route_of_its_own(client: TestClient) -> None:
    together = client.post("/v1/predict", json={"sequences": FASTA}).json()["predictions"]
    assert {task["name"] for task in client.get("/v1/tasks").json()["tasks"]} == set(ASKED)
    for name in ASKED:
        alone = client.post(f"/v1/predict/{name}", json={"sequences": FASTA}).json()["predictions"]
        assert [one["answers"] for one in alone] == [{name: one["answers"][name]} for one in together]


def test_the_description_names_the_tasks_and_real_answers_fit_it(client: TestClient) -> None:
    page = client.get("/openapi.json").json()
    parts = page["components"]["schemas"]
    assert parts["Question"]["properties"]["tasks"]["items"]["enum"] == sorted(ASKED)
    assert set(parts["Question"]["properties"]["conditions"]["properties"]) == {"growth_temperature", "ph"}
    for name in ASKED:
        assert page["paths"][f"/v1/predict/{name}"]["post"]["summary"] == TASKS[name].question
    schema = {"$ref": "#/components/schemas/Answered", "components": page["components"]}
    answered = client.post("/v1/predict", json={"sequences": FASTA}).json()
    jsonschema_rs.validator_for(schema).validate(answered)
    answered["predictions"][0]["answers"]["localization"]["probability"] = "high"
    assert not jsonschema_rs.validator_for(schema).is_valid(answered)
    operations = [operation for path in page["paths"].values() for operation in path.values()]
    assert all(operation["summary"] for operation in operations)


@pytest.mark.parametrize("name", [name for name in TASKS if TASKS[name].target.head != "masked"])
def test_any_task_tells_itself(name: str) -> None:
    told = entry(TASKS[name])
    json.dumps(told, allow_nan=False)
    assert told["answer"]["properties"].keys() - {"reach"}
    jsonschema_rs.validator_for(told["answer"]).validate(told["answer"]["example"])


# Refusals ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "status", "error"),
    [
        (b"{", 400, {"code": "json", "where": "the body", "reason": "The body is not valid JSON."}),
        (b"[" * 100_000, 400, {}),
        (b"", 422, {"code": "shape", "where": "the body", "reason": "The request has no body."}),
        ({}, 422, {"code": "shape", "where": "sequences", "reason": "'sequences' is missing."}),
        (
            {"sequence": FASTA, "sequences": FASTA},
            422,
            {"where": "sequence", "reason": "There is no 'sequence' in a request.", "remedy": KNOWN},
        ),
        ({"sequences": 7}, 422, {"where": "sequences", "code": "shape"}),
        ({"sequences": []}, 422, {"reason": "The list of sequences is empty."}),
        ({"sequences": [{"id": "a"}]}, 422, {"where": "sequences.1.sequence", "reason": "'sequence' is missing."}),
        (
            {"sequences": FASTA, "tasks": ["localisation"]},
            422,
            {
                "code": "unknown_name",
                "reason": "There is no task on this server called 'localisation'.",
                "remedy": f"Did you mean 'localization'? Known: {', '.join(sorted(ASKED))}.",
            },
        ),
        ({"sequences": FASTA, "conditions": {"heat": 1}}, 422, {"code": "unknown_name"}),
        (
            {"sequences": FASTA, "conditions": {"growth_temperature": 310}},
            422,
            {
                "reason": "310 for 'growth_temperature' is outside -50 to 150 °C: is it in kelvin?",
                "remedy": "Write it in degrees Celsius: 36.85.",
            },
        ),
        (b'{"sequences": "MKTAYIAKQRQISFVKSHFSRQ", "conditions": {"ph": NaN}}', 422, {"where": "conditions.ph"}),
        (
            {"sequences": [{"id": "a", "sequence": "MKTAYIAKQRQISFVKSHFSRQ", "conditions": {"ph": 99}}]},
            422,
            {"where": "record 1 (a)", "row": 1, "record": "a"},
        ),
        (
            {"sequences": [{"id": "a\nb", "sequence": "MKTAYIAKQRQISFVKSHFSRQ"}]},
            422,
            {"where": "record 1 (a�b)", "remedy": "Write the name in letters, digits and signs, as UTF-8 text."},
        ),
        ({"sequences": ["MKTAYIAKQRQISFVKSHFSRQ", "\ud800" + "MKTAYIAKQRQ"]}, 200, None),
        ({"sequences": "\ud800"}, 422, {}),
        (
            {"sequences": [{"sequence": "MKTAYIAKQRQ", "partner": {"sequence": "MKTAYIAKQRQ"}}, "MKTAYIAKQRQ"]},
            422,
            {"reason": "Record 2 is one protein, while others are pairs."},
        ),
        (
            {"sequences": [{"sequence": "MKTAYIAKQRQ", "partner": {"sequence": "MKTAYIAKQRQ"}}]},
            422,
            {"reason": "No task on this server is asked of what came."},
        ),
    ],
    ids=range(18),
)  # fmt: skip
def test_a_wrong_request_is_told_where_and_what_to_do(client: TestClient, body: Any, status: int, error: Any) -> None:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    answer = client.post("/v1/predict", content=content, headers={"Content-Type": "application/json"})
    assert answer.status_code == status, answer.text
    assert "Traceback" not in answer.text
    if error is not None:
        told = answer.json()["error"]
        assert {"code", "where", "reason", "remedy"} <= told.keys() and all(
            told[key] for key in ("where", "reason", "remedy")
        )
        assert told | error == told


CASES = tomllib.loads((BAD / "manifest.toml").read_text(encoding="utf-8"))["case"]


def texts() -> Iterator[Any]:
    """The cases whose file can be pasted: FASTA that is UTF-8, read as it is."""
    for case in CASES:
        is_fasta = case["file"].endswith((".fasta", ".txt")) and set(case) == {"file", "record"}
        # only a file is read twice to know an alignment; and text that is a structure needs no ending to be one
        if not is_fasta or case["file"] in ("alignment.fasta", "structure_text.fasta"):
            continue
        try:
            yield pytest.param((BAD / case["file"]).read_bytes().decode(), case["record"], id=case["file"])
        except UnicodeDecodeError:
            continue


@pytest.mark.parametrize(("text", "records"), list(texts()))
def test_the_bad_corpus_is_refused_in_the_same_words(client: TestClient, text: str, records: list[Any]) -> None:
    answer = client.post("/v1/check", json={"sequences": text})
    if records[-1]["outcome"] == "raised":
        assert answer.status_code == 422
        assert f"{answer.json()['error']['reason']} {answer.json()['error']['remedy']}" == records[-1]["sentence"]
        return
    told = answer.json()
    refused = [one for one in records if one["outcome"] == "refused"]
    assert [f"{one['reason']} {one['remedy']}" for one in told["refused"]] == [one["sentence"] for one in refused]
    assert [one.get("position") for one in told["refused"]] == [one.get("position") for one in refused]
    fine = [one for one in records if one["outcome"] in ("accepted", "mended")]
    assert [one["id"] for one in told["accepted"]] == [one["id"] for one in fine]
    said = [[f"{m['level']}: {m['text']}" for m in one["messages"]] for one in told["accepted"]]
    assert said == [one.get("messages", []) for one in fine]


def test_one_refused_record_does_not_stop_the_others(client: TestClient) -> None:
    told = client.post("/v1/predict", json={"sequences": FASTA + ">bad\nMKT*AYIAKQRQISF\n"}).json()
    assert [one["id"] for one in told["predictions"]] == ["one", "two"]
    (problem,) = told["refused"]
    assert (problem["row"], problem["record"], problem["position"]) == (3, "bad", 4)
    assert problem["where"] == "record 3 (bad), position 4"


# Jobs ----------------------------------------------------------------------------------------------------------------


def test_a_job_has_an_address_events_answers_a_report_and_the_request_that_remakes_it(client: TestClient) -> None:
    asked = {"sequences": FASTA, "tasks": ["localization"], "conditions": {}}
    begun = client.post("/v1/jobs", json=asked)
    job = begun.json()
    assert begun.status_code == 201 and begun.headers["Location"] == job["links"]["job"]
    assert re.fullmatch(r"[0-9a-f]{32}", job["id"])
    told = events(client.get(job["links"]["events"]).text)
    assert [kind for kind, _, _ in told][-1] == "job" and told[-1][2]["state"] == "done"
    proteins = [(id, data) for kind, id, data in told if kind == "protein"]
    assert [id for id, _ in proteins] == ["1", "2"] and proteins[0][1]["title"] == "one"
    assert proteins[0][1]["answers"][0]["sentence"].startswith("Most likely it works ")
    missed = events(client.get(job["links"]["events"], headers={"Last-Event-ID": "1"}).text)
    assert [data["title"] for kind, _, data in missed if kind == "protein"] == ["two"]
    report = client.get(job["links"]["report"])
    assert report.status_code == 200 and "Where in the cell does it work?" in report.text
    assert "sandbox" in report.headers["Content-Security-Policy"]
    again = client.post("/v1/jobs", json=client.get(job["links"]["request"]).json()).json()
    ended(client, again)
    assert client.get(again["links"]["answers"]).text == client.get(job["links"]["answers"]).text
    assert client.delete(job["links"]["job"]).status_code == 204
    assert {client.get(link).status_code for name, link in job["links"].items() if name != "page"} == {404}


def test_what_was_not_read_as_it_stands_is_told_with_its_place(client: TestClient) -> None:
    job = client.post("/v1/jobs", json={"sequences": ["MKTAYIAKQRXXISFVKUHFSRQ"]}).json()
    (card,) = (data for kind, _, data in events(client.get(job["links"]["events"]).text) if kind == "protein")
    assert card["marks"] == [
        {"from": 11, "to": 12, "word": "X, an unknown residue"},
        {"from": 18, "to": 18, "word": "U, selenocysteine"},
    ]
    assert "Unknown or rare residues: 11, 12, 18." in client.get(job["links"]["report"]).text


def test_a_killed_child_fails_its_job_with_a_sentence_and_the_next_job_runs(tmp_path: Path) -> None:
    with served(tmp_path) as client:
        good = client.post("/v1/jobs", json={"sequences": FASTA}).json()
        deadly = client.post("/v1/jobs", json={"sequences": [DEADLY]}).json()
        beside = client.post("/v1/jobs", json={"sequences": FASTA}).json()
        told = ended(client, deadly)
        assert (told["state"], told["sentence"]) == (
            "failed",
            "The process that computes ended while it answered this job, 2 times: it died (signal 9, SIGKILL).",
        )
        assert ended(client, good)["state"] == ended(client, beside)["state"] == "done"
        after = client.post("/v1/predict", json={"sequences": FASTA})
        assert after.status_code == 200 and len(after.json()["predictions"]) == 2
        failed = client.post("/v1/predict", json={"sequences": [DEADLY]})
        assert failed.status_code == 503 and "signal 9" in failed.json()["error"]["reason"]
        assert client.get("/v1/health").json()["restarts"] >= 3


def test_a_child_that_was_killed_while_nobody_asked_is_started_again(tmp_path: Path) -> None:
    desk = fake(tmp_path)
    with TestClient(make_app(desk), base_url=HERE) as client:
        assert desk.crew.pid is not None
        os.kill(desk.crew.pid, signal.SIGKILL)
        assert len(client.post("/v1/predict", json={"sequences": FASTA}).json()["predictions"]) == 2


def test_a_job_that_takes_too_long_fails_and_keeps_what_it_has(tmp_path: Path) -> None:
    with served(tmp_path, UNLIMITED.model_copy(update={"job_minutes": 0.01})) as client:
        job = client.post("/v1/jobs", json={"sequences": [{"id": "a", "sequence": "MKTAYIAKQRQ"}, SLOW]}).json()
        told = ended(client, job)
        assert (told["state"], told["answered"]) == ("failed", 1)
        assert told["sentence"] == "It ran for 0.01 minutes, which is the limit. What it answered is kept."


def test_a_question_that_takes_longer_goes_on_as_a_job(tmp_path: Path) -> None:
    with served(tmp_path, UNLIMITED.replaced(direct_seconds=0)) as client:
        answer = client.post("/v1/predict", json={"sequences": [SLOW]})
        assert answer.status_code == 202 and answer.headers["Location"] == answer.json()["links"]["job"]
        told = client.post(f"{answer.headers['Location']}/cancel").json()
        assert (told["state"], told["sentence"]) == ("cancelled", "It was cancelled.")


def test_jobs_survive_a_restart_and_are_answered_exactly_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("anfinsen.serve.desk.GRACE_SECONDS", 0.1)
    many = [{"id": f"p{at}", "sequence": "MKTAYIAKQRQ" + "ACDEFGHIKL"[at]} for at in range(10)]
    first = fake(tmp_path)
    client = TestClient(make_app(first), base_url=HERE)
    jobs = [
        client.post("/v1/jobs", json={"sequences": [*many[:5], {"id": f"slow{n}", "sequence": SLOW}]}).json()
        for n in range(2)
    ]
    jobs += [client.post("/v1/jobs", json={"sequences": many}).json() for _ in range(3)]
    time.sleep(0.3)
    first.close()
    first.store.close()
    states = []
    second = fake(tmp_path)
    for job in jobs[:2]:
        second.cancel(job["id"])
    with TestClient(make_app(second), base_url=HERE) as client:
        for job in jobs[2:]:
            states.append(ended(client, job)["state"])
            lines = [json.loads(line)["id"] for line in client.get(job["links"]["answers"]).text.splitlines()]
            assert lines == [one["id"] for one in many]
        assert client.get(jobs[0]["links"]["job"]).json()["state"] == "cancelled"
    assert states == ["done"] * 3


def test_jobs_take_turns_so_that_a_short_one_does_not_wait_for_a_long_one(tmp_path: Path) -> None:
    desk = fake(tmp_path)
    with TestClient(make_app(desk), base_url=HERE) as client:
        blocking = client.post("/v1/jobs", json={"sequences": [SLOW]}).json()
        time.sleep(0.2)
        long = client.post(
            "/v1/jobs",
            json={
                "sequences": ["MKTAYIAKQRQ" * 100] * 1
                + [f"MKTAYIAKQRQ{a}{b}" for a in "ACDEFGHIKL" for b in "ACDEFGHIKL"]
            },
        ).json()
        short = client.post("/v1/jobs", json={"sequences": [{"id": "short", "sequence": "MKTAYIAKQRQ"}]}).json()
        client.post(blocking["links"]["job"] + "/cancel")
        desk.crew._process.kill()  # type: ignore[union-attr]
        assert [ended(client, job)["state"] for job in (short, long)] == ["done", "done"]
        order = Path(f"{desk.store.path}.log").read_text(encoding="utf-8").split()
        assert order.index("short") < 32 < len(order)


# Limits and walls ----------------------------------------------------------------------------------------------------


def test_limits_are_told_as_they_are(client: TestClient) -> None:
    told = {one["name"]: one for one in client.get("/v1/limits").json()}
    assert set(told) == set(Limits.model_fields)
    assert told["keep_days"] == {
        "name": "keep_days",
        "value": 30,
        "meaning": Limits.model_fields["keep_days"].description,
    }


@pytest.mark.parametrize(
    ("limit", "value", "path", "status", "code"),
    [
        ("request_bytes", 40, "/v1/jobs", 413, "too_large"),
        ("request_residues", 30, "/v1/jobs", 413, "too_large"),
        ("direct_residues", 30, "/v1/predict", 413, "too_large"),
        ("request_records", 1, "/v1/jobs", 422, "input"),
        ("queue_jobs", 0, "/v1/jobs", 429, "queue_full"),
        ("user_jobs", 0, "/v1/jobs", 429, "queue_full"),
    ],
)
def test_more_than_a_limit_is_refused(
    tmp_path: Path, limit: str, value: int, path: str, status: int, code: str
) -> None:
    with served(tmp_path, UNLIMITED.replaced(**{limit: value})) as client:
        answer = client.post(path, json={"sequences": FASTA})
        assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
        assert ("Retry-After" in answer.headers) == (status == 429)


def test_a_closer_look_has_limits_of_its_own_and_a_model_or_says_so(tmp_path: Path) -> None:
    with served(tmp_path, UNLIMITED.replaced(look_library=1, look_drugs=1, look_residues=30)) as client:
        one = {"sequences": ["MKTAYIAKQRQ"]}
        told = {
            "library": client.post("/v1/screen", json=one | {"library": "C\nCC\n"}),
            "known": client.post("/v1/screen", json=one | {"library": "C\n", "known": "C\nCC\n"}),
            "drugs": client.post("/v1/affinity", json=one | {"drugs": "C\nCC\n"}),
            "sequences": client.post("/v1/sites", json={"sequences": ["MKTAYIAKQRQ" * 3]}),
        }
        assert {name: (one.status_code, one.json()["error"]["where"]) for name, one in told.items()} == {
            name: (413, name) for name in told
        }
        assert "anfinsen screen" in told["library"].json()["error"]["remedy"]
        assert client.post("/v1/screen", json=one | {"library": "C\n\n"}).json() == {}
        many = client.post("/v1/scan", json={"sequences": ["MKTAYIAKQRQ", "MKTAYIAKQRR"]}).json()
        assert many["error"]["reason"] == "2 proteins came; this asks about one protein."
        lacking = client.post("/v1/interact", json=one)
        assert (lacking.status_code, lacking.json()["error"]["code"]) == (404, "no_model")


def test_so_many_requests_a_minute_and_no_more(tmp_path: Path) -> None:
    with served(tmp_path, LIMITS.replaced(requests_per_minute=3)) as client:
        codes = [client.get("/v1/tasks").status_code for _ in range(4)]
        assert codes == [200, 200, 200, 429]
        assert 1 <= int(client.get("/v1/tasks").headers["Retry-After"]) <= 60
        free = ("/v1/health", "/", "/limits", f"/r/{'0' * 32}")  # who walks through the app sees its pages all the same
        assert [client.get(path).status_code for path in free] == [200] * len(free)
    now = 0.0
    rate = Rate(2, clock=lambda: now)
    assert [rate.wait("a"), rate.wait("a"), rate.wait("b")] == [0, 0, 0]
    now = 20.0
    assert rate.wait("a") == 40
    now = 60.5
    assert rate.wait("a") == 0


def test_a_token_opens_everything_and_nothing_opens_without_it(tmp_path: Path) -> None:
    with served(tmp_path, token=TOKEN) as client:
        client.base_url = "http://proteins.example.org"  # type: ignore[assignment]
        page = client.get("/openapi.json", headers={"Authorization": f"Bearer {TOKEN}"}).json()
        paths = [(path.replace("{id}", "0" * 32), method) for path, all in page["paths"].items() for method in all]
        closed = [(path, method) for path, method in paths if path not in ("/v1/health", "/v1/session")]
        assert len(closed) > 10
        for wrong in (
            {},
            {"Authorization": "Bearer no"},
            {"Authorization": f"Basic {TOKEN}"},
            {"Cookie": "anfinsen_session=" + TOKEN},
        ):
            assert {client.request(method, path, headers=wrong).status_code for path, method in closed} == {401}
        assert client.get("/").status_code == 200 and TOKEN not in client.get("/").text
        refused = client.get("/v1/tasks")
        assert refused.headers["WWW-Authenticate"] == "Bearer" and TOKEN not in refused.text
        assert client.post("/v1/session", json={"token": "wrong é"}).status_code == 401
        opened = client.post("/v1/session", json={"token": TOKEN})
        assert opened.status_code == 204 and TOKEN not in opened.headers["Set-Cookie"]
        assert {"HttpOnly", "SameSite=strict"} <= set(opened.headers["Set-Cookie"].split("; "))
        assert client.get("/v1/tasks").status_code == 200


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"Host": "evil.example.org"}, "host"),
        ({"Host": "127.0.0.1.evil.example.org"}, "host"),
        ({"Host": "127.0.0.1@evil.example.org"}, "host"),
        ({"Origin": "https://evil.example.org"}, "origin"),
        ({"Origin": "null"}, "origin"),
    ],
)
def test_foreign_names_and_foreign_pages_are_refused(client: TestClient, headers: dict[str, str], code: str) -> None:
    answer = client.get("/v1/tasks", headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, code)


def test_no_other_site_may_read_and_every_answer_has_a_policy(client: TestClient) -> None:
    asked = client.options(
        "/v1/predict", headers={"Origin": "http://127.0.0.1", "Access-Control-Request-Method": "POST"}
    )
    for answer in (asked, *map(client.get, ("/", "/v1/limits", "/nowhere", "/assets/app.js"))):
        assert not [name for name in answer.headers if name.lower().startswith("access-control")]
        assert "script-src 'self'" in answer.headers["Content-Security-Policy"]
        assert "unsafe" not in answer.headers["Content-Security-Policy"]
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Cache-Control"] in ("no-store", "no-cache")  # files of the app are asked after by hash


NASTY = (
    "../../etc/passwd", "..%2f..%2fetc%2fpasswd", "%2e%2e/%2e%2e/etc/passwd", "/etc/passwd", "C:\\windows\\win.ini",
    "\\\\?\\C:\\x", "a%00b", "CON", "x" * 400, "%E2%80%AEtxt", "jobs.sqlite", "' OR 1=1 --",
)  # fmt: skip


def test_no_path_of_a_request_touches_the_file_system(client: TestClient, desk: Desk) -> None:
    opened: list[str] = []
    is_watching = True

    def watch(event: str, args: tuple[Any, ...]) -> None:
        if is_watching and event in ("open", "os.listdir", "os.mkdir", "os.rename", "os.remove", "sqlite3.connect"):
            opened.append(repr(args))

    sys.addaudithook(watch)
    for part in NASTY:
        for path in (
            f"/{part}",
            f"/r/{part}",
            f"/v1/jobs/{part}",
            f"/v1/jobs/{part}/answers",
            f"/v1/jobs/{part}/report",
            f"/v1/predict/{part}",
        ):
            answer = client.get(f"{path}{CANARY}")
            assert answer.status_code in (404, 405) or answer.text.startswith("<!doctype html>"), path
            assert "root:" not in answer.text
    sequence = "MKTAYIAKQRQISFVKSHFSRQ"
    names = [f"../{CANARY}/{at}" for at in range(3)]
    job = client.post("/v1/jobs", json={"sequences": [{"id": name, "sequence": sequence} for name in names]}).json()
    assert ended(client, job)["state"] == "done" and client.get(job["links"]["report"]).status_code == 200
    is_watching = False
    assert opened and not [one for one in opened if CANARY in one]
    assert {path.name for path in desk.store.path.parent.iterdir()} <= {
        "jobs.sqlite",
        "jobs.sqlite-wal",
        "jobs.sqlite-shm",
        "lock.sqlite",
        "lock.sqlite-journal",
    }


def test_a_name_that_is_html_is_text_everywhere(client: TestClient) -> None:
    name = "<img/src=x/onerror=alert(1)>"
    job = client.post(
        "/v1/jobs", json={"sequences": f">{name} <script>alert(2)</script>\nMKTAYIAKQRQISFVKSHFSRQ\n"}
    ).json()
    assert ended(client, job)["state"] == "done"
    report = client.get(job["links"]["report"]).text
    assert name not in report and "<script" not in report and "&lt;img" in report
    assert client.get(job["links"]["answers"]).headers["Content-Type"].startswith("application/x-ndjson")
    sources = (Path(__file__).parents[2] / "web" / "src").glob("*.ts*")
    wrong = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function"
    assert [one.name for one in sources if re.search(wrong, one.read_text(encoding="utf-8"))] == []


def test_a_fault_of_ours_tells_no_traceback(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError(CANARY)

    client = TestClient(make_app(desk), base_url=HERE, raise_server_exceptions=False)
    monkeypatch.setattr(desk.store, "find", broken)
    answer = client.get(f"/v1/jobs/{'0' * 32}")
    assert answer.status_code == 500 and answer.json()["error"]["code"] == "fault"
    assert CANARY not in answer.text and "Content-Security-Policy" in answer.headers


# The store and the start ---------------------------------------------------------------------------------------------


def test_a_second_server_is_kept_out_and_the_folder_is_its_owners_alone(tmp_path: Path) -> None:
    store = Store(tmp_path / "state")
    with pytest.raises(UsageError, match="Another server works in"):
        Store(tmp_path / "state")
    if sys.platform != "win32":
        assert [(tmp_path / "state").stat().st_mode & 0o77, store.path.stat().st_mode & 0o77] == [0, 0]
    store.close()
    Store(tmp_path / "state").close()


def test_old_results_are_forgotten_by_age_and_by_size(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for id in ("old", "new", "open"):
        question = {"chains": [{"sequence": "MKT" * 100}]}
        store.add(id, "{}", [(300, question)], tasks=(), model={}, refused=(), merged=(), is_kept=True)
    assert store.move("old", "done") and store.move("new", "done")
    store._base.execute("UPDATE job SET finished = finished - 40 * 86400 WHERE id = 'old'")
    assert store.purge(days=30, size=10**9) == 1
    assert [store.find(id) is None for id in ("old", "new", "open")] == [True, False, False]
    assert store.purge(days=30, size=1) == 1
    assert [store.find(id) is None for id in ("new", "open")] == [True, False]
    store.close()


def test_strangers_need_a_token_before_anything_listens(tmp_path: Path) -> None:
    assert [token_for(Settings(host=host)) for host in ("127.0.0.1", "::1", "localhost")] == ["", "", ""]
    made = [token_for(Settings(host=host)) for host in ("0.0.0.0", "::", "192.168.1.4", "example.org")]
    assert len(set(made)) == 4 and all(len(token) >= 32 for token in made)
    assert token_for(Settings(token=TOKEN)) == TOKEN
    with pytest.raises(UsageError, match="The token has 5 characters; at least 16"):
        token_for(Settings(token="short"))
    assert not is_local("127.0.0.1.example.org")
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(UsageError, match="No server can answer at"):
        run(Settings(port=taken.getsockname()[1], state=tmp_path), tell=print)


def test_a_bundle_that_cannot_be_used_is_told_in_its_own_words(tmp_path: Path) -> None:
    refusing = "import json; print(json.dumps({'kind': 'refused', 'reason': 'No bundle.', 'remedy': 'Give one.'}))"
    with pytest.raises(AnfinsenError, match=r"^No bundle\. Give one\.$"):
        Crew({}, (sys.executable, "-c", refusing)).start()
    with pytest.raises(AnfinsenError, match=r"could not be started: it died \(exit code 3\)"):
        Crew({}, (sys.executable, "-c", "raise SystemExit(3)")).start()


def test_whatever_follows_the_description_is_answered_as_it_says(tmp_path: Path) -> None:
    """Requests that schemathesis makes up from the OpenAPI page, right ones and wrong ones: no fault, no surprise."""
    app = make_app(fake(tmp_path))
    with TestClient(app, base_url=HERE) as client:
        described = schemathesis.openapi.from_dict(client.get("/openapi.json").json())
        operations = [found.ok() for found in described.get_all_operations()]
        assert len(operations) > 12
        for operation in operations:

            @hypothesis.given(case=operation.as_strategy())
            @hypothesis.settings(max_examples=6, database=None, suppress_health_check=list(hypothesis.HealthCheck))
            def ask(case: schemathesis.Case) -> None:
                told = case.as_transport_kwargs(base_url=HERE)
                told.pop("cookies", None)
                answer = client.request(**told)
                assert answer.status_code < 500, answer.text
                if answer.status_code >= 400:
                    error = answer.json()["error"]
                    assert all(error[key] for key in ("code", "where", "reason", "remedy"))

            ask()


# Over a real socket --------------------------------------------------------------------------------------------------


@pytest.fixture
def port(desk: Desk) -> Iterator[int]:
    limits = UNLIMITED.model_copy(update={"request_seconds": 1, "request_bytes": 100_000})
    inside = desk.limits
    desk.limits = limits
    server = uvicorn.Server(uvicorn.Config(make_app(desk), http="h11", ws="none", lifespan="off", log_level="critical"))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        yield listening.getsockname()[1]
        server.should_exit = True
        thread.join(10)
    desk.limits = inside


def test_a_real_server_answers_and_streams(port: int) -> None:
    link = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    link.request("POST", "/v1/jobs", json.dumps({"sequences": FASTA}), {"Content-Type": "application/json"})
    job = json.loads(link.getresponse().read())
    link.request("GET", job["links"]["events"])
    answer = link.getresponse()
    assert answer.headers["Content-Type"].startswith("text/event-stream")
    told = events(answer.read().decode())
    assert [data["title"] for kind, _, data in told if kind == "protein"] == ["one", "two"]
    assert told[-1][2]["state"] == "done"
    link.close()


@pytest.mark.parametrize(
    ("head", "sent", "status"),
    [
        ("Content-Length: -5", b"{}", 400),
        ("Content-Length: 99999999999", b"{}", 413),
        ("Content-Length: 50", b'{"sequences": ', 408),
        ("Transfer-Encoding: chunked", b"%x\r\n%b\r\n" % (70_000, b"A" * 70_000) * 2, 413),
    ],
    ids=["negative", "too large", "slow", "too large in pieces"],
)
def test_a_false_or_slow_body_is_refused_within_two_seconds(port: int, head: str, sent: bytes, status: int) -> None:
    begun, computing = time.monotonic(), time.process_time()
    with socket.create_connection(("127.0.0.1", port), timeout=60) as link:
        link.sendall(
            f"POST /v1/check HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n{head}\r\n\r\n".encode()
            + sent
        )
        answer = link.recv(65_536)
    assert answer.startswith(f"HTTP/1.1 {status} ".encode()), answer
    patience = 1.0  # which a slow body has, see `port`
    # on a busy machine what counts is what was computed, here where the server computes too
    assert min(time.monotonic() - begun, patience + time.process_time() - computing) < 2
