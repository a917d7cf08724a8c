"""Nothing half-written is ever taken for whole, in a store as on a disk: against a local S3 server that misbehaves.

The server is moto's, behind a porter that answers 'slow down', cuts what it sends short, or hangs up, as it is told.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from anfinsen.data.elsewhere import address_of, fetched, fetched_folder, folders, put, put_folder
from anfinsen.errors import AnfinsenError
from anfinsen.hub.bundle import Bundle
from anfinsen.training import checkpoint
from anfinsen.training.checkpoint import MANIFEST
from anfinsen.training.mirror import Mirror


class Porter:
    """Stands before the S3 server: refuses the next `refuse` requests, cuts the next `cut` answers in half."""

    def __init__(self, inner: Callable[..., Iterable[bytes]]) -> None:
        self.inner = inner
        self.refuse = self.cut = self.asked = 0
        self.closed_after = -1

    def __call__(self, environment: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        self.asked += 1
        if self.refuse and environment["REQUEST_METHOD"] in ("GET", "PUT"):
            self.refuse -= 1
            start("503 Slow Down", [("Content-Type", "application/xml")])
            return [b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"]
        if self.closed_after == 0:
            start("403 Forbidden", [("Content-Type", "application/xml")])
            return [b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"]
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


@pytest.mark.parametrize(
    ("name", "address"),
    [
        (Path("s3://bucket/run"), "s3://bucket/run"),
        ("gs://bucket/run", "gs://bucket/run"),
        (Path("memory://run"), "memory://run"),
        ("file:///run/here", "file:///run/here"),
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
