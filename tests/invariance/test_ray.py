"""A job on a Ray cluster writes what the same job writes here, whoever dies on the way. Needs Ray, and seconds."""

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

import pytest

from anfinsen.data.example import Example
from anfinsen.data.store import read_store
from anfinsen.errors import AnfinsenError
from anfinsen.inference.embedder import Embedder, embed_file
from anfinsen.inference.spread import embedding_on
from anfinsen.structure.protein import Protein

ray = pytest.importorskip("ray")

from anfinsen.distributed.ray import Cluster  # noqa: E402

pytestmark = pytest.mark.distributed


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with Cluster(2) as cluster:
        yield cluster


def examples(count: int = 900) -> list[Example]:
    letters = "ACDEFGHIKLMNPQRSTVWY"
    return [
        Example(Protein(f"p{at}", "".join(letters[(at * 7 + place * place) % 20] for place in range(20 + at % 90))))
        for at in range(count)
    ]


def numbered(folder: Path, block: list[int]) -> list[int]:
    """Squares; the worker that meets 5 for the first time dies of it, as if its machine had been taken back."""
    seen = folder / "seen"
    if 5 in block and not seen.exists():
        seen.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return [number**2 for number in block]


def squares(folder: Path) -> Callable[[list[int]], list[int]]:
    return partial(numbered, folder)


def refusing() -> Callable[[list[int]], list[int]]:
    def refuse(block: list[int]) -> list[int]:
        raise AnfinsenError(f"{block} is refused.", remedy="Give another.")

    return refuse


def deadly() -> Callable[[list[int]], list[int]]:
    def die(block: list[int]) -> list[int]:
        os.kill(os.getpid(), signal.SIGKILL)
        return block

    return die


def test_a_killed_worker_costs_no_block_and_none_comes_twice(cluster: Cluster, tmp_path: Path) -> None:
    blocks = [[at, at + 1] for at in range(0, 40, 2)]
    answered = list(cluster.map(partial(squares, tmp_path), blocks))
    assert (tmp_path / "seen").exists(), "no worker was killed, so this test means nothing"
    assert answered == [(block, [number**2 for number in block]) for block in blocks]


def test_a_worker_s_refusal_arrives_as_the_sentence_it_was(cluster: Cluster) -> None:
    with pytest.raises(AnfinsenError, match=r"\[1\] is refused. Give another."):
        list(cluster.map(refusing, [[1], [2]]))


def test_a_block_that_kills_every_worker_ends_the_job_with_a_sentence(cluster: Cluster) -> None:
    with pytest.raises(AnfinsenError, match="A block ended its worker 3 times"):
        list(cluster.map(deadly, [[1]]))


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


def test_states_made_on_a_cluster_are_the_states_made_here(cluster: Cluster, body: Path, tmp_path: Path) -> None:
    load = partial(Embedder.load, body)
    embed_file(examples(), load(), tmp_path / "here.parquet")
    embed_file(examples(), load(), tmp_path / "there.parquet", over=embedding_on(cluster, load))
    assert (tmp_path / "here.parquet").read_bytes() == (tmp_path / "there.parquet").read_bytes()


def test_a_driver_that_is_killed_goes_on_and_answers_each_protein_once(body: Path, tmp_path: Path) -> None:
    fasta, out = tmp_path / "many.fasta", tmp_path / "states.h5"
    fasta.write_text("".join(f">{one.protein.id}\n{one.protein.sequence}\n" for one in examples(6000)))
    command = [sys.executable, "-c", "from anfinsen.cli import main; main()", "embed", str(fasta), "--out", str(out)]
    command += ["--bundle", str(body), "--on", "ray", "--workers", "2"]
    driver = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    part = out.with_name("states.h5.part")
    while driver.poll() is None and not (part.exists() and part.stat().st_size > 200_000):
        time.sleep(0.02)
    driver.kill()
    driver.communicate()
    assert not out.exists(), "the job was over before it could be killed, so this test means nothing"
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert "were not computed again" in ended.stdout.replace("\n", " ")
    about, entries = read_store(out)
    found = list(entries)
    assert sorted(name for entry in found for name in entry.ids) == sorted(f"p{at}" for at in range(6000))
    assert len({entry.sha256 for entry in found}) == len(found)
    assert json.loads(about.model_dump_json())["model"] == "tiny"
