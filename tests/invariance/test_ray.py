"""A job on a Ray cluster writes what the same job writes here, whoever dies on the way. Needs Ray, and seconds.

All of it runs on one cluster of two nodes on this machine, a core each. Rooms that take seconds to open are imported
inside the tests: what a worker is to call lies in this file, so a worker opens whatever stands at its top.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from anfinsen.errors import AnfinsenError, InputError, UsageError

ray = pytest.importorskip("ray")

from anfinsen.distributed.ray import Cluster  # noqa: E402

if TYPE_CHECKING:
    from anfinsen.data.example import Example
    from anfinsen.structure.protein import Protein
    from anfinsen.training.recipe import Recipe

pytestmark = pytest.mark.distributed

STORE = 100_000_000
"""Bytes of a node's object store."""
MAIN = (sys.executable, "-c", "from anfinsen.cli import main; main()")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """Two workers, on two nodes; commands find it by RAY_ADDRESS."""
    from ray.cluster_utils import Cluster as Nodes

    node = {"num_cpus": 1, "object_store_memory": STORE, "include_log_monitor": False}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_worker_niceness", "0")
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        nodes = Nodes(initialize_head=True, head_node_args={**node, "include_dashboard": False, "no_monitor": True})
        nodes.add_node(**node)
        patch.setenv("RAY_ADDRESS", nodes.address)
        with Cluster(2) as cluster:
            assert len(ray.nodes()) == 2
            yield cluster
    nodes.shutdown()


def sequences(count: int) -> list[str]:
    letters = "ACDEFGHIKLMNPQRSTVWY"
    return ["".join(letters[(at * 7 + place * place) % 20] for place in range(20 + at % 90)) for at in range(count)]


def proteins(count: int) -> list[Protein]:
    from anfinsen.structure.protein import Protein

    return [Protein(f"p{at}", sequence) for at, sequence in enumerate(sequences(count))]


def examples(count: int) -> list[Example]:
    from anfinsen.data.example import Example

    return [Example(protein) for protein in proteins(count)]


# Blocks --------------------------------------------------------------------------------------------------------------


def numbered(folder: Path, block: list[int]) -> list[int]:
    """Squares; the worker that meets 5 for the first time dies of it, as if its machine had been taken back."""
    seen = folder / "seen"
    if 5 in block and not seen.exists():
        seen.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return [number**2 for number in block]


def squares(folder: Path) -> Callable[[list[int]], list[int]]:
    return partial(numbered, folder)


def wrong() -> Callable[[str], str]:
    def refuse_or_die(block: str) -> str:
        if block == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        raise InputError(f"'{block}' is no protein.", remedy="Give another.", file="x.fasta", row=3)

    return refuse_or_die


def test_a_killed_worker_costs_no_block_and_none_comes_twice(cluster: Cluster, tmp_path: Path) -> None:
    blocks = [[at, at + 1] for at in range(0, 40, 2)]
    answered = list(cluster.map(partial(squares, tmp_path), blocks))
    assert (tmp_path / "seen").exists(), "no worker was killed, so this test means nothing"
    assert answered == [(block, [number**2 for number in block]) for block in blocks]


def test_a_refusal_arrives_as_the_sentence_it_was_and_a_block_that_kills_every_worker_ends_the_job(
    cluster: Cluster,
) -> None:
    one = Cluster(1)
    with pytest.raises(InputError, match=r"x.fasta, record 3: 'DNA' is no protein. Give another.") as told:
        list(one.map(wrong, ["DNA", "more"]))
    assert told.value.remedy == "Give another."
    with pytest.raises(AnfinsenError, match="A block ended its worker 3 times"):
        list(one.map(wrong, ["die"]))


def test_what_no_cluster_can_do_is_refused_with_a_sentence(cluster: Cluster, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"64 workers were asked for, and the cluster has 2 cores\. Ask for fewer"):
        Cluster(64)
    (tmp_path / "x.fasta").write_text(">x\nMKTAYIAKQRQISFVKSHFSRQ\n")
    command = [*MAIN, "embed", str(tmp_path / "x.fasta"), "--out", str(tmp_path / "x.h5"), "--on", "ray"]
    ended = subprocess.run(
        command, env={**os.environ, "RAY_ADDRESS": "127.0.0.1:9"}, capture_output=True, text=True, check=False
    )
    said = " ".join(ended.stderr.split())
    assert ended.returncode == 2 and "No Ray cluster answers at '127.0.0.1:9': Connection refused." in said
    assert "without it a cluster is started on this machine" in said and "Traceback" not in said


# Trainings -----------------------------------------------------------------------------------------------------------


def test_a_training_that_loses_a_worker_goes_on_from_its_checkpoint(cluster: Cluster, tmp_path: Path) -> None:
    """The command notes where it is; the second member dies once, and its end is the first one's too."""
    code = (
        "import os, signal, sys, time, pathlib\n"
        "folder, rank = pathlib.Path(sys.argv[1]), os.environ['RANK']\n"
        "with (folder / rank).open('a') as file: file.write(os.environ['WORLD_SIZE'])\n"
        "is_first = (folder / rank).read_text() == '2'\n"
        "while is_first and rank == '1' and not (folder / '0').exists(): time.sleep(0.1)\n"
        "if is_first and rank == '1': os.kill(os.getpid(), signal.SIGKILL)\n"
        "if is_first: time.sleep(600)\n"
    )
    said: list[str] = []
    assert cluster.start([sys.executable, "-c", code, str(tmp_path)], tell=said.append) == 0
    assert said[0].endswith("The training goes on from its last checkpoint.")
    assert [(tmp_path / rank).read_text() for rank in "01"] == ["22", "22"]


def test_a_training_on_two_nodes_goes_the_way_of_one_process_though_a_worker_is_killed(
    cluster: Cluster, tmp_path: Path
) -> None:
    """Killed after step 8 of 12, with a save every 3 steps: what is done again begins with step 7."""
    script = [sys.executable, str(Path(__file__).with_name("test_strategies.py")), str(tmp_path)]
    subprocess.run([*script, "one-adamw"], check=True, capture_output=True)
    (tmp_path / "die").touch()
    said: list[str] = []
    assert cluster.start([*script, "ddp-adamw"], tell=said.append) == 0, said
    assert not (tmp_path / "die").exists() and said[0].endswith("The training goes on from its last checkpoint.")
    ours, theirs = (
        [json.loads(line) for line in (tmp_path / name / "events.jsonl").read_text().splitlines()]
        for name in ("ddp-adamw", "one-adamw")
    )
    steps, others = ([record for record in run if "note" not in record] for run in (ours, theirs))
    assert [record["step"] for record in steps] == [record["step"] for record in others] == list(range(1, 13))
    for one, other in zip(steps, others, strict=True):
        assert one["loss"] == pytest.approx(other["loss"], rel=1e-5), one["step"]


def attempts(folder: Path) -> Callable[[Recipe, Path, Callable[[float], None]], float]:
    """Losses that are a bowl over the learning rate; at its first look trial 2 loses its worker, once."""
    import math

    def attempt(recipe: Recipe, place: Path, look: Callable[[float], None]) -> float:
        place.mkdir(parents=True, exist_ok=True)
        if place.name == "trial-2" and not (folder / "seen").exists():
            (folder / "seen").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        if place.name == "trial-3":
            raise AnfinsenError("At step 3 the loss is no longer a number: the training has run away.")
        bowl = (math.log10(recipe.train.learning_rate) + 2.3) ** 2
        for left in range(8, -1, -1):
            look(bowl + left / 10)
        return bowl

    return attempt


def test_a_sweep_on_a_cluster_has_the_form_of_one_here_and_goes_on_here(cluster: Cluster, tmp_path: Path) -> None:
    pytest.importorskip("optuna")
    pytest.importorskip("ray.tune", exc_type=ImportError)
    from anfinsen.training.recipe import Recipe
    from anfinsen.training.study import Tried
    from anfinsen.training.sweep import sweep, sweep_on

    space = {"train": {"learning_rate": {"low": 1e-4, "high": 1e-1, "log": True}}}
    recipe = Recipe.build({"sweep": space, "train": {"steps": 1800, "judge_every": 200}})
    told: list[Tried] = []
    swept = sweep_on(cluster, recipe, tmp_path, 5, partial(attempts, tmp_path), tell=told.append)
    assert (tmp_path / "seen").exists(), "no worker was killed, so this test means nothing"
    assert sorted(one.number for one in told) == [0, 1, 2, 3, 4] == [one.number for one in swept.trials]
    assert swept.trials[0].settings == {"train.learning_rate": recipe.train.learning_rate}
    assert swept.trials[3].valid is None
    whole = [one for one in swept.trials if one.is_whole and one.valid is not None]
    assert swept.best == min(whole, key=lambda one: one.valid or 0.0)
    assert all(one.valid is None or one.valid >= (swept.best.valid or 0.0) for one in swept.trials)
    more = sweep(recipe, tmp_path, 6, lambda one, folder: 0.0)
    assert more.trials[:5] == swept.trials and more.best.number == 5


# Jobs ----------------------------------------------------------------------------------------------------------------


def test_states_made_on_a_cluster_are_the_states_made_here(cluster: Cluster, body: Path, tmp_path: Path) -> None:
    from anfinsen.inference.embedder import Embedder, embed_file, embedding
    from anfinsen.inference.spread import spread

    load = partial(Embedder.load, body)
    embed_file(examples(900), load(), tmp_path / "here.parquet")
    embed_file(examples(900), load(), tmp_path / "there.parquet", over=spread(cluster, partial(embedding, load)))
    assert (tmp_path / "here.parquet").read_bytes() == (tmp_path / "there.parquet").read_bytes()


def test_a_driver_that_is_killed_goes_on_and_answers_each_protein_once(
    cluster: Cluster, body: Path, tmp_path: Path
) -> None:
    from anfinsen.data.store import read_store

    count = 3000
    fasta, out = tmp_path / "many.fasta", tmp_path / "states.h5"
    fasta.write_text("".join(f">p{at}\n{sequence}\n" for at, sequence in enumerate(sequences(count))))
    command = [*MAIN, "embed", str(fasta), "--out", str(out), "--bundle", str(body), "--on", "ray", "--workers", "2"]
    driver = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    part = out.with_name("states.h5.part")
    while driver.poll() is None and not (part.exists() and part.stat().st_size > 100_000):
        time.sleep(0.01)
    driver.kill()
    driver.communicate()
    assert not out.exists(), "the job was over before it could be killed, so this test means nothing"
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert "were not computed again" in ended.stdout.replace("\n", " ")
    about, entries = read_store(out)
    found = list(entries)
    assert sorted(name for entry in found for name in entry.ids) == sorted(f"p{at}" for at in range(count))
    assert len({entry.sha256 for entry in found}) == len(found)
    assert json.loads(about.model_dump_json())["model"] == "tiny"


def test_a_screen_on_a_cluster_writes_the_bytes_of_one_here_though_its_driver_stops(
    cluster: Cluster, tmp_path: Path
) -> None:
    from anfinsen.inference.screening import Screener, open_predictor, screening
    from anfinsen.inference.spread import spread
    from anfinsen.reading.kept import Shelf
    from anfinsen.sets.known_binders import NOBODY

    library = tmp_path / "library.smi"
    library.write_text("".join(f"{'C' * (1 + at % 9)}{'NO'[at % 2]} m{at}\n" for at in range(30)) + "C1CC broken\n")
    target = proteins(1)[0]
    screener = Screener(open_predictor(), target, Shelf(None), size=8)
    over = spread(cluster, partial(screening, None, target, tmp_path / "kept", [], NOBODY, "affinity"))
    list(screener.run(str(library), tmp_path / "here"))
    begun = screener.run(str(library), tmp_path / "there", over=over)
    assert not next(begun).was_there
    begun.close()
    left = list(screener.run(str(library), tmp_path / "there", over=over))
    assert [done.was_there for done in left] == [True, False, False, False]
    assert sum(done.rows for done in left) == 31 and sum(done.answered for done in left) == 30
    here, there = (
        {path.name: path.read_bytes() for path in (tmp_path / name / "scores").iterdir()} for name in ("here", "there")
    )
    assert here == there and len(here) == 4


def test_pairs_on_a_cluster_are_the_pairs_here_of_all_and_of_a_list(cluster: Cluster, tmp_path: Path) -> None:
    import numpy
    import polars
    from typer.testing import CliRunner

    from anfinsen.cli import app

    fasta, table = tmp_path / "six.fasta", tmp_path / "pairs.csv"
    fasta.write_text("".join(f">p{at}\n{sequence}\n" for at, sequence in enumerate(sequences(6))))
    table.write_text("a,b\n" + "".join(f"p{at},p{5 - at}\n" for at in range(6)))
    words = {"all": ["--all-against-all", str(fasta)], "list": [str(table), "--sequences", str(fasta)]}
    for name, said in words.items():
        found = []
        for where in ([], ["--on", "ray", "--workers", "2"]):
            out = tmp_path / f"{name}{len(where)}"
            ended = CliRunner().invoke(app, ["interact", *said, "--out", str(out), "--reasons", "0", *where])
            assert ended.exit_code == 0, ended.output
            found.append(polars.read_csv(out / "pairs.csv").sort("a", "b"))
        here, there = found
        assert here.select("a", "b").equals(there.select("a", "b")) and len(here) == (21 if name == "all" else 6)
        for column in ("score", "low", "high"):
            numpy.testing.assert_allclose(here[column], there[column], atol=2e-4)


# Serving -------------------------------------------------------------------------------------------------------------

CHILD = """
import json, os, sys, time
for line in sys.stdin:
    asked = json.loads(line)
    if asked["kind"] == "open":
        task = {"name": "size", "title": "Size", "question": "How long?", "explanation": "Counts.", "limits": "",
                "terms": {}, "of_pairs": False, "conditions": [], "answer": {"type": "object"}}
        model = {"name": "fake", "sha256": "0" * 64, "version": "0"}
        print(json.dumps({"kind": "menu", "model": model, "tasks": [task]}), flush=True)
    for one in asked.get("proteins", []):
        (chain,) = one["chains"]
        if chain["sequence"] == "WWWWWWWWWWWW":
            os.kill(os.getpid(), 9)
        if chain["sequence"] == "GGGGGGGGGGGG":
            time.sleep(600)
        line = json.dumps({"id": chain["id"], "answers": {"size": {"child": os.getpid()}}}) + "\\n"
        card = {"title": chain["id"], "length": 1, "messages": [], "answers": []}
        print(json.dumps({"line": line, "card": card}), flush=True)
"""


def test_replicas_answer_at_the_routes_of_a_server_and_one_that_dies_or_is_stopped_fails_one_job_only(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ray.serve", exc_type=ImportError)
    from starlette.testclient import TestClient

    from anfinsen.serve import desk as desk_room
    from anfinsen.serve.app import make_app
    from anfinsen.serve.desk import Desk
    from anfinsen.serve.fleet import Fleet
    from anfinsen.serve.store import Store

    monkeypatch.setattr(desk_room, "GRACE_SECONDS", 0.2)
    store = Store(tmp_path)
    fleet = Fleet({"store": str(store.path)}, cluster, (sys.executable, "-c", CHILD))
    desk = Desk(store, fleet)
    desk.open()

    def asked(client: Any, chains: list[str]) -> Any:
        text = "".join(f">p{at}\n{chain}\n" for at, chain in enumerate(chains))
        return client.post("/v1/predict", json={"sequences": text})

    with TestClient(make_app(desk), base_url="http://127.0.0.1") as client:
        told = asked(client, sequences(5)).json()["predictions"]
        assert [one["id"] for one in told] == [f"p{at}" for at in range(5)]
        children = {one["answers"]["size"]["child"] for one in told}
        assert len(children) == 2 and fleet.pid not in children
        failed = asked(client, [*sequences(2), "W" * 12])
        assert failed.status_code == 503 and "signal 9, SIGKILL" in failed.json()["error"]["reason"]
        slow = client.post("/v1/jobs", json={"sequences": f">slow\n{'G' * 12}\n"}).json()["links"]["job"]
        while client.get(slow).json()["state"] != "running":
            time.sleep(0.05)
        assert client.post(f"{slow}/cancel").json()["state"] == "cancelled"
        assert len(asked(client, sequences(3)).json()["predictions"]) == 3
