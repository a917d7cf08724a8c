"""Nothing half-written is ever taken for whole, in a store as on a disk: against a local S3 server that misbehaves.

The server is moto's, behind a porter that answers 'slow down', cuts what it sends short, refuses, or never ends taking
what is sent, as it is told.
"""

from __future__ import annotations

import inspect
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
import typer

from anfinsen.cli import app
from anfinsen.cli.scaling import anywhere
from anfinsen.data import elsewhere
from anfinsen.data.elsewhere import address_of, fetched, fetched_folder, folders, put, put_folder, working_copy
from anfinsen.data.store import read_store
from anfinsen.errors import AnfinsenError
from anfinsen.hub.bundle import Bundle
from anfinsen.training import checkpoint
from anfinsen.training.checkpoint import MANIFEST
from anfinsen.training.mirror import Mirror


class Porter:
    """Stands before the S3 server: refuses the next `refuse` requests, cuts the next `cut` answers in half.

    What is `held` is not taken before `held` is cleared; who waits for `is_holding` knows that an upload is under way.
    """

    def __init__(self, inner: Callable[..., Iterable[bytes]]) -> None:
        self.inner = inner
        self.refuse = self.cut = self.asked = 0
        self.closed_after = -1
        self.held, self.is_holding = threading.Event(), threading.Event()

    def __call__(self, environment: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        self.asked += 1
        if self.refuse and environment["REQUEST_METHOD"] in ("GET", "PUT"):
            self.refuse -= 1
            start("503 Slow Down", [("Content-Type", "application/xml")])
            return [b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"]
        if self.closed_after == 0:
            start("403 Forbidden", [("Content-Type", "application/xml")])
            return [b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"]
        if self.held.is_set() and environment["REQUEST_METHOD"] == "PUT":
            self.is_holding.set()
            start("500 Internal Server Error", [])  # to whom, nobody knows: by now the sender is dead
            return [b"" for _ in range(200) if self.held.is_set() and time.sleep(0.05) is None]
        self.closed_after -= environment["REQUEST_METHOD"] == "PUT" and self.closed_after > 0
        content = list(self.inner(environment, start))
        if self.cut and environment["REQUEST_METHOD"] == "GET" and len(content[0]) > 1000:
            self.cut -= 1
            return [content[0][: len(content[0]) // 2]]
        return content


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Porter]:
    """An empty bucket 'bucket' of a server of this machine."""
    pytest.importorskip("s3fs")
    server = pytest.importorskip("moto.server")
    import s3fs
    from moto.core.models import DEFAULT_ACCOUNT_ID
    from moto.s3.models import s3_backends
    from werkzeug.serving import make_server

    s3_backends[DEFAULT_ACCOUNT_ID]["aws"].reset()
    porter = Porter(server.DomainDispatcherApplication(server.create_backend_app))
    running = make_server("127.0.0.1", 0, porter, threaded=True)  # type: ignore[arg-type]
    thread = threading.Thread(target=running.serve_forever, daemon=True)
    thread.start()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{running.server_port}")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("ANFINSEN_CACHE", str(tmp_path / "cache"))
    s3fs.S3FileSystem.clear_instance_cache()
    s3fs.S3FileSystem().mkdir("bucket")
    yield porter
    running.shutdown()
    thread.join()
    running.server_close()
    s3fs.S3FileSystem.clear_instance_cache()


def saved(folder: Path, step: int) -> Path:
    return checkpoint.save(folder / "checkpoints", step, {"weights": torch.full((600,), float(step))}, {"step": step})


@pytest.mark.distributed
def test_a_table_is_fetched_whole_though_the_store_is_busy_and_cuts_it_short(store: Porter, tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_bytes(b"sequence,label\n" + b"MKVA,1\n" * 4000)
    store.refuse = 2
    put(tmp_path / "table.csv", "s3://bucket/table.csv")
    store.refuse, store.cut = 2, 1
    assert fetched("s3://bucket/table.csv").read_bytes() == (tmp_path / "table.csv").read_bytes()
    asked = store.asked
    fetched("s3://bucket/table.csv")
    assert store.asked - asked <= 2, "an unchanged file was fetched again"
    (tmp_path / "table.csv").write_bytes(b"sequence,label\nMK,0\n")
    put(tmp_path / "table.csv", "s3://bucket/table.csv")
    assert fetched("s3://bucket/table.csv").read_bytes() == b"sequence,label\nMK,0\n"


@pytest.mark.distributed
def test_a_writer_that_is_killed_at_any_file_leaves_nothing_whole(store: Porter, tmp_path: Path) -> None:
    made = saved(tmp_path, 7)
    for files in range(3):
        store.closed_after = files
        with pytest.raises(AnfinsenError, match="is closed"):
            put_folder(made, "s3://bucket/run/step-7", MANIFEST)
        store.closed_after = -1
        assert folders("s3://bucket/run", MANIFEST) == []
        with pytest.raises(AnfinsenError, match="There is nothing whole at 's3://bucket/run/step-7'"):
            fetched_folder("s3://bucket/run/step-7", MANIFEST)
    put_folder(made, "s3://bucket/run/step-7", MANIFEST)
    assert checkpoint.load(fetched_folder("s3://bucket/run/step-7", MANIFEST))[1] == {"step": 7}


@pytest.mark.distributed
def test_a_store_that_stays_busy_is_told_of_in_a_sentence(
    store: Porter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import s3fs

    # below ours lie two layers more that ask again: together they are patient for minutes
    monkeypatch.setattr(elsewhere, "_PAUSE", 0.0)
    monkeypatch.setattr(s3fs.S3FileSystem, "retries", 1)
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    s3fs.S3FileSystem.clear_instance_cache()
    (tmp_path / "table.csv").write_bytes(b"sequence\nMKVA\n")
    put(tmp_path / "table.csv", "s3://bucket/table.csv")
    store.refuse = 10_000
    with pytest.raises(
        AnfinsenError, match=r"'s3://bucket/table.csv' could not be reached: .*reduce your request rate"
    ):
        put(tmp_path / "table.csv", "s3://bucket/table.csv")
    store.refuse = 0
    assert fetched("s3://bucket/table.csv").read_bytes() == b"sequence\nMKVA\n"


@pytest.mark.distributed
def test_a_writer_that_is_killed_in_mid_transfer_leaves_what_was_there(store: Porter, tmp_path: Path) -> None:
    """A process of its own, killed by signal 9 while the store takes what it sends: a file, then a run's checkpoint."""
    (tmp_path / "old.csv").write_bytes(b"sequence\nMKVA\n")
    (tmp_path / "new.csv").write_bytes(b"sequence\n" + b"MKVAWW\n" * 100_000)
    put(tmp_path / "old.csv", "s3://bucket/table.csv")
    put_folder(saved(tmp_path, 7), "s3://bucket/run/step-7", MANIFEST)
    made = saved(tmp_path, 8)
    code = (
        "import sys; from pathlib import Path; from anfinsen.data.elsewhere import put, put_folder\n"
        "what, here, there = sys.argv[1:]\n"
        f"put(Path(here), there) if what == 'file' else put_folder(Path(here), there, {MANIFEST!r})\n"
    )
    sent = [("file", tmp_path / "new.csv", "s3://bucket/table.csv"), ("folder", made, "s3://bucket/run/step-7")]
    for what, here, there in sent:
        store.held.set()
        writer = subprocess.Popen([sys.executable, "-c", code, what, str(here), there], stderr=subprocess.PIPE)
        assert store.is_holding.wait(60), "nothing was sent, so this test means nothing"
        writer.kill()
        writer.communicate()
        store.held.clear()
        store.is_holding.clear()
    assert fetched("s3://bucket/table.csv").read_bytes() == (tmp_path / "old.csv").read_bytes()
    assert folders("s3://bucket/run", MANIFEST) == []
    with pytest.raises(AnfinsenError, match="There is nothing whole at 's3://bucket/run/step-7'"):
        fetched_folder("s3://bucket/run/step-7", MANIFEST)


@pytest.mark.distributed
def test_states_are_made_from_a_store_into_a_store_and_gone_on_with_by_another_machine(
    store: Porter, body: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from typer.testing import CliRunner

    from anfinsen.cli import app

    put_folder(body, "s3://bucket/model", "bundle.json")

    def embed(machine: str, count: int) -> str:
        fasta = "".join(f">p{at}\nMKTAYIAKQRQISFVKSHFSRQ{'ACDEFGHIKL'[at]}\n" for at in range(count)) + ">bad\nMK1\n"
        (tmp_path / "x.fasta").write_text(fasta)
        put(tmp_path / "x.fasta", "s3://bucket/x.fasta")
        monkeypatch.setenv("ANFINSEN_CACHE", str(tmp_path / machine))
        words = ["embed", "s3://bucket/x.fasta", "--bundle", "s3://bucket/model", "--out", "s3://bucket/made/x.parquet"]
        told = CliRunner().invoke(app, words)
        assert told.exit_code == 3, told.output
        return told.output

    assert "4 sequences" in embed("one", 4)
    assert "2 sequences" in embed("other", 6)
    # the first machine has an older copy, and goes on from what the other one made
    assert "3 sequences" in embed("one", 9)
    assert sorted(name for entry in read_store("s3://bucket/made/x.parquet")[1] for name in entry.ids) == [
        f"p{at}" for at in range(9)
    ]
    assert b"bad" in fetched("s3://bucket/made/refused.csv").read_bytes()


@pytest.mark.distributed
def test_a_bundle_opens_from_a_store_and_a_mixed_one_is_refused(store: Porter, body: Path, tmp_path: Path) -> None:
    put_folder(body, "s3://bucket/model", "bundle.json")
    store.cut = 1
    opened = Bundle.load(Path("s3://bucket/model"))
    assert opened.sha256 == Bundle.load(body).sha256
    (tmp_path / "other").write_bytes((body / "heads.safetensors").read_bytes() + b" ")
    put(tmp_path / "other", "s3://bucket/model/heads.safetensors")
    with pytest.raises(AnfinsenError, match=r"'heads\.safetensors' is not what the manifest says"):
        fetched_folder("s3://bucket/model", "bundle.json", tmp_path / "another-cache")


@pytest.mark.parametrize("scheme", ["memory", pytest.param("s3", marks=pytest.mark.distributed)])
def test_a_run_goes_on_from_the_store_on_another_machine(
    scheme: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    if scheme == "s3":
        request.getfixturevalue("store")
    out = f"{scheme}://bucket/{tmp_path.name}"
    with Mirror(out, tmp_path / "one") as mirror:
        for step in (1, 2, 3):
            saved(mirror.folder / "heat" / "1-cold", step)
            mirror({"step": step})
    with Mirror(out, tmp_path / "other") as mirror:
        (found,) = (mirror.folder / "heat" / "1-cold" / "checkpoints").iterdir()
        tensors, state = checkpoint.load(found)
        assert state == {"step": 3} and torch.equal(tensors["weights"], torch.full((600,), 3.0))
    assert folders(f"{out}/heat/1-cold/checkpoints", MANIFEST) == ["step-00000002", "step-00000003"]


def test_what_a_killed_job_left_is_gone_on_with_unless_another_machine_has_written_since(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = Path(f"memory://bucket/{tmp_path.name}")

    def work(machine: str, line: str, *, is_killed: bool = False) -> str:
        monkeypatch.setenv("ANFINSEN_CACHE", str(tmp_path / machine))
        with suppress(KeyboardInterrupt), working_copy(out) as here:
            here.mkdir(exist_ok=True)
            with (here / "lines").open("a") as file:
                file.write(line)
            if is_killed:
                raise KeyboardInterrupt
        return (here / "lines").read_text()

    assert work("one", "a", is_killed=True) == "a"
    assert work("one", "b") == "ab"
    assert work("one", "c", is_killed=True) == "abc"
    assert work("two", "d") == "abd"  # what was never sent is nowhere but there
    assert work("one", "e") == "abde"


def test_two_that_fetch_at_once_never_see_half_a_folder(tmp_path: Path, body: Path) -> None:
    there = f"memory://bucket/{tmp_path.name}"
    put_folder(body, there, "bundle.json")
    with ThreadPoolExecutor(4) as several:
        found = list(several.map(lambda _: fetched_folder(there, "bundle.json", tmp_path / "cache"), range(8)))
    (place,) = set(found)
    assert Bundle.load(place).sha256 == Bundle.load(body).sha256
    assert not list((tmp_path / "cache").rglob(".fetching-*"))


@pytest.mark.parametrize(
    ("name", "address"),
    [
        (Path("s3://bucket/run"), "s3://bucket/run"),
        ("gs://bucket/run", "gs://bucket/run"),
        (Path("memory://run"), "memory://run"),
        ("file:///run/here", "file:///run/here"),
        (Path("file:///run/here"), "file:///run/here"),
        (Path("C:/runs"), None),
        ("runs/mine", None),
        (Path("runs:old/mine"), None),
    ],
)
def test_an_address_is_known_from_a_path(name: str | Path, address: str | None) -> None:
    assert address_of(name) == address


def test_files_and_folders_come_back_from_a_file_address(tmp_path: Path, body: Path) -> None:
    there = f"file://{tmp_path}/there"
    put_folder(body, there, "bundle.json")
    put_folder(body, there, "bundle.json")
    assert Bundle.load(there).sha256 == Bundle.load(body).sha256
    with pytest.raises(AnfinsenError, match="There is nothing whole at"):
        fetched(f"file://{tmp_path}/nothing.csv")


def test_every_verb_that_writes_takes_an_address() -> None:
    """`train` sends each checkpoint by a mirror of its own, `pull` brings; `cloud plan` writes nothing."""
    writing = {
        command.callback.__name__: command.callback
        for command in app.registered_commands
        if command.callback is not None and "out" in inspect.signature(command.callback).parameters
    }
    assert {"predict", "embed", "fold", "screen_library", "sweep"} <= writing.keys()
    assert {name for name, verb in writing.items() if not hasattr(verb, "__wrapped__")} == {"train", "pull"}


def test_what_a_verb_wrote_is_sent_though_it_refused_some(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANFINSEN_CACHE", str(tmp_path / "cache"))

    @anywhere
    def verb(*, out: Path, word: str) -> None:
        out.mkdir()
        (out / "said.txt").write_text(word, encoding="utf-8")
        raise typer.Exit(3)

    with pytest.raises(typer.Exit) as ended:
        verb(out=Path(f"file://{tmp_path}/there"), word="some")
    assert ended.value.exit_code == 3
    assert (tmp_path / "there" / "said.txt").read_text(encoding="utf-8") == "some"
