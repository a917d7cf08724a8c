"""Sharing a bundle through a hub: a server on this machine that keeps repositories as the real one does."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from huggingface_hub import constants
from typer.testing import CliRunner

from anfinsen.cli import app
from anfinsen.errors import BundleError, UsageError
from anfinsen.hub import remote
from anfinsen.hub.bundle import Bundle
from anfinsen.hub.remote import Address, pull, push

# the hub's own client sends its bytes in a way that its own HTTP library has deprecated
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")

RUN = b"cos\nsystem\n(S'echo run'\ntR."


@dataclass
class Hub:
    """Repositories by name: a list of commits, each a dictionary of files; large files are put beside, by hash."""

    repositories: dict[str, list[tuple[str, dict[str, bytes]]]] = field(default_factory=dict)
    large: dict[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    refuses: int = 0
    address: str = ""

    def commit(self, name: str, files: dict[str, bytes]) -> str:
        """A commit with exactly these files."""
        sha = hashlib.sha1(repr(sorted(files.items())).encode()).hexdigest()
        self.repositories.setdefault(name, []).append((sha, files))
        return sha

    def files(self, name: str, revision: str) -> tuple[str, dict[str, bytes]] | None:
        """One commit, the newest under the name of the branch."""
        commits = self.repositories.get(name, [])
        if revision in ("main", "HEAD", ""):
            return commits[-1] if commits else ("0" * 40, {})
        return next((one for one in commits if one[0] == revision), None)


class Desk(BaseHTTPRequestHandler):
    """The calls of the hub that pushing and pulling make."""

    hub: Hub

    def log_message(self, *words: Any) -> None:
        """Say nothing."""

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _send(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for key, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(key.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _json(self, value: Any, status: int = 200) -> None:
        self._send(status, json.dumps(value).encode(), Content_Type="application/json")

    def _say_no(self, code: str, status: int = 404) -> None:
        self._send(status, b"{}", X_Error_Code=code)

    def do_GET(self) -> None:
        """What a repository holds, and its files."""
        parts = urlsplit(self.path).path.strip("/").split("/")
        self.hub.asked.append(f"{self.command} {self.path}")
        name = "/".join(parts[2:4] if parts[0] == "api" else parts[0:2])
        if self.hub.refuses:
            self._send(self.hub.refuses)
        elif name not in self.hub.repositories:
            self._say_no("RepoNotFound", 401)
        elif parts[0] == "api":
            self._describe(name, parts[4:])
        else:
            self._give(name, parts[3], parts[4])

    def _describe(self, name: str, rest: list[str]) -> None:
        found = self.hub.files(name, rest[1] if rest else "main")
        if found is None:
            self._say_no("RevisionNotFound")
        elif rest[:1] == ["tree"]:
            self._json([{"type": "file", "path": one, "size": len(data), "oid": "0"} for one, data in found[1].items()])
        else:
            files = [{"rfilename": one} for one in found[1]]
            self._json({"id": name, "modelId": name, "sha": found[0], "siblings": files})

    def _give(self, name: str, revision: str, file: str) -> None:
        found = self.hub.files(name, revision)
        if found is None or file not in found[1]:
            self._say_no("EntryNotFound")
        else:
            data = found[1][file]
            self._send(200, data, ETag=f'"{hashlib.sha256(data).hexdigest()}"', X_Repo_Commit=found[0])

    do_HEAD = do_GET

    def do_POST(self) -> None:
        """New repositories, what is large, and commits."""
        body, parts = self._body(), urlsplit(self.path).path.strip("/").split("/")
        self.hub.asked.append(f"POST {self.path}")
        if "Bearer " not in (self.headers.get("Authorization") or ""):
            self._send(401, b"{}")
        elif self.path.startswith("/api/repos/create"):
            told = json.loads(body)
            name = f"{told['organization']}/{told['name']}"
            self.hub.repositories.setdefault(name, [])
            self._json({"url": f"{self.hub.address}/{name}"})
        elif parts[-1] == "validate-yaml":
            self._json({"errors": [], "warnings": []})
        elif parts[-2:-1] == ["preupload"]:
            paths = [one["path"] for one in json.loads(body)["files"]]
            modes = ["lfs" if path.endswith("safetensors") else "regular" for path in paths]
            files = [{"path": p, "uploadMode": m, "shouldIgnore": False} for p, m in zip(paths, modes, strict=True)]
            self._json({"files": files})
        elif parts[-1] == "batch":
            asked = json.loads(body)["objects"]
            places = [{"upload": {"href": f"{self.hub.address}/put/{one['oid']}"}} for one in asked]
            objects = [{**one, "actions": place} for one, place in zip(asked, places, strict=True)]
            self._json({"transfer": "basic", "objects": objects})
        else:
            self._commit("/".join(parts[2:4]), list(map(json.loads, body.splitlines())))

    def _commit(self, name: str, lines: list[Any]) -> None:
        commits = self.hub.repositories[name]
        files = dict(commits[-1][1]) if commits else {}
        for line in lines:
            value = line["value"]
            if line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                files[value["path"]] = self.hub.large[value["oid"]]
            elif line["key"] == "deletedFile":
                del files[value["path"]]
        sha = self.hub.commit(name, files)
        self._json({"commitUrl": f"{self.hub.address}/{name}/commit/{sha}", "commitOid": sha})

    def do_PUT(self) -> None:
        """The bytes of a large file."""
        self.hub.large[self.path.rpartition("/")[2]] = self._body()
        self._send(200)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    """A hub with nothing in it, and a token that it takes."""
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_TOKEN", "hf_test")
    hub = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("OwnDesk", (Desk,), {"hub": hub}))
    hub.address = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield hub
    server.shutdown()
    server.server_close()


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_a_pushed_bundle_comes_back_byte_for_byte(hub: Hub, body: Path, tmp_path: Path) -> None:
    made = push(body, "lab/tiny", endpoint=hub.address)
    assert made.is_pinned
    assert pull(made, tmp_path / "mine", endpoint=hub.address) == made
    assert contents(tmp_path / "mine") == contents(body)
    assert Bundle.load(tmp_path / "mine").sha256 == Bundle.load(body).sha256
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith(".")) == []


def test_the_newest_is_pinned_and_an_older_commit_is_still_to_be_had(hub: Hub, body: Path, tmp_path: Path) -> None:
    first = push(body, "lab/tiny", endpoint=hub.address)
    bundle = Bundle.load(body)
    bundle.name = "second"
    bundle.save(tmp_path / "second")
    second = push(tmp_path / "second", "lab/tiny", endpoint=hub.address)
    assert pull("lab/tiny", tmp_path / "newest", endpoint=hub.address) == second != first
    assert pull(first, tmp_path / "older", endpoint=hub.address) == first
    assert [Bundle.load(tmp_path / name).name for name in ("newest", "older")] == ["second", "tiny"]


def test_nothing_but_a_bundles_own_files_travels(hub: Hub, body: Path, tmp_path: Path) -> None:
    """What lies beside a bundle here stays here; what lies beside one there is not even asked for."""
    made = push(body, "lab/tiny", endpoint=hub.address)
    _, files = hub.repositories["lab/tiny"][-1]
    assert set(files) == set(contents(body))
    wicked = hub.commit("lab/tiny", {**files, "pytorch_model.bin": RUN, "setup.py": b"import os"})
    hub.asked.clear()
    pull(Address("lab/tiny", wicked), tmp_path / "mine", endpoint=hub.address)
    assert set(contents(tmp_path / "mine")) == set(contents(body))
    assert not [line for line in hub.asked if "pytorch_model" in line or "setup.py" in line]
    assert made.repository == "lab/tiny"


def test_a_changed_array_is_refused_and_nothing_is_left(hub: Hub, body: Path, tmp_path: Path) -> None:
    push(body, "lab/tiny", endpoint=hub.address)
    _, files = hub.repositories["lab/tiny"][-1]
    hub.commit("lab/tiny", {**files, "model.safetensors": files["model.safetensors"] + b"\0"})
    with pytest.raises(BundleError, match=r"is damaged: model\.safetensors is not the file that bundle\.json vouches"):
        pull("lab/tiny", tmp_path / "mine", endpoint=hub.address)
    assert not list(tmp_path.glob("*mine*"))


@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        ("lab/nobody", "There is no model 'lab/nobody', or it is private."),
        ("lab/tiny@v9", "'lab/tiny' has no commit 'v9'."),
        ("lab/other", "'lab/other' is no bundle: it has no bundle.json."),
    ],
)
def test_what_cannot_be_had_is_said_in_a_sentence(hub: Hub, tmp_path: Path, address: str, sentence: str) -> None:
    hub.commit("lab/tiny", {"bundle.json": b"{}"})
    hub.commit("lab/other", {"model.bin": RUN})
    with pytest.raises(BundleError) as told:
        pull(address, tmp_path / "mine", endpoint=hub.address)
    assert told.value.reason == sentence
    assert not (tmp_path / "mine").exists()


def test_a_hub_that_fails_or_is_not_there_is_said_in_a_sentence(hub: Hub, tmp_path: Path) -> None:
    hub.refuses = 403
    with pytest.raises(BundleError, match=r"The hub answered 403 about 'lab/tiny'\. Log in with"):
        pull("lab/tiny", tmp_path / "mine", endpoint=hub.address)
    with pytest.raises(BundleError, match="The hub could not be reached"):
        pull("lab/tiny", tmp_path / "mine", endpoint="http://127.0.0.1:9")


def test_no_address_no_question(hub: Hub, body: Path, tmp_path: Path) -> None:
    for text in ("tiny", "lab/tiny/extra", "lab/tiny@", "https://elsewhere.org/lab/tiny"):
        with pytest.raises(UsageError, match="is no address of a model"):
            pull(text, tmp_path / "mine", endpoint=hub.address)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match="is not empty"):
        pull("lab/tiny", tmp_path / "full", endpoint=hub.address)
    assert hub.asked == []


def test_the_verbs_say_the_address_that_pins_the_model(
    hub: Hub, body: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("push", "pull"):
        verb = getattr(remote, name)
        monkeypatch.setattr(remote, name, lambda *a, verb=verb, **k: verb(*a, **k, endpoint=hub.address))
    pushed = CliRunner().invoke(app, ["push", str(body), "lab/tiny"], catch_exceptions=False)
    sha = hub.repositories["lab/tiny"][-1][0]
    assert f"anfinsen pull lab/tiny@{sha}" in pushed.output
    out = tmp_path / "mine"
    pulled = CliRunner().invoke(app, ["pull", "lab/tiny", "--out", str(out)], catch_exceptions=False)
    assert f"This was the newest. To get this very one again: anfinsen pull lab/tiny@{sha}" in pulled.output
    assert f"anfinsen predict FILE --bundle {out}" in pulled.output
