"""Fetching by id, from a server on this machine that answers as the three houses do, faults included."""

from __future__ import annotations

import gzip
import hashlib
import json
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from anfinsen.cli import app
from anfinsen.errors import InputError, UsageError
from anfinsen.reading import sources
from anfinsen.reading.readers import read_proteins
from anfinsen.reading.sources import Fetched, Fetcher, fetch, find_entry
from anfinsen.structure.protein import Protein

FASTA = b""">sp|P69905|HBA_HUMAN Hemoglobin subunit alpha OS=Homo sapiens OX=9606 GN=HBA1 PE=1 SV=2
MVLSPADKTNVKAAWGKVGAHAGEYGAEALERMFLSFPTTKTYFPHFDLSHGSAQVKGHG
KKVADALTNAVAHVDDMPNALSALSDLHAHKLRVDPVNFKLLSHCLLVTLAAHLPAEFTP
AVHASLDKFLASVSTVLTSKYR
"""
CIF = (Path(__file__).parent.parent / "bad" / "good.cif").read_bytes()
PREDICTION = [
    {
        "toolUsed": "AlphaFold Monomer v2.0 pipeline",
        "providerId": "GDM",
        "entityType": "protein",
        "isUniProt": True,
        "modelEntityId": "AF-P69905-F1",
        "modelCreatedDate": "2025-08-01T00:00:00Z",
        "sequenceVersionDate": "2007-01-23T00:00:00Z",
        "globalMetricValue": 98.06,
        "uniprotAccession": "P69905",
        "latestVersion": 6,
        "allVersions": [1, 2, 3, 4, 5, 6],
        "bcifUrl": "https://alphafold.ebi.ac.uk/files/AF-P69905-F1-model_v6.bcif",
        "cifUrl": "https://alphafold.ebi.ac.uk/files/AF-P69905-F1-model_v6.cif",
        "pdbUrl": "https://alphafold.ebi.ac.uk/files/AF-P69905-F1-model_v6.pdb",
    }
]
GATE = b"<!DOCTYPE html><html><body>Please log in to the guest network.</body></html>"

CHECK = "Check the id; entries are also renamed and withdrawn."
ELSE = "127.0.0.1 answered with something else than"
LOOK = "Look at ADDRESS in a browser: your network may ask for a password first."

Answer = Callable[[BaseHTTPRequestHandler], None]


def named(cif: bytes, name: str) -> bytes:
    return b"data_" + name.encode() + b"\n" + cif.partition(b"\n")[2]


def say(content: bytes, status: int = 200, **headers: str) -> Answer:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in ({"Content-Length": str(len(content))} | headers).items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(content)

    return answer


def be_silent(handler: BaseHTTPRequestHandler) -> None:
    handler.server.stopped.wait(5)  # type: ignore[attr-defined]


class StandIn(ThreadingHTTPServer):
    """A server whose answers are laid out beforehand: for each path one after the other, the last one for ever."""

    daemon_threads = True

    def __init__(self) -> None:
        self.answers: dict[str, list[Answer]] = {}
        self.asked: list[str] = []
        self.stopped = threading.Event()
        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def hosts(self) -> dict[Any, str]:
        return dict.fromkeys(sources.HOSTS, f"http://127.0.0.1:{self.server_port}")


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        server = self.server
        assert isinstance(server, StandIn)
        server.asked.append(self.path)
        script = server.answers.get(self.path, [say(b'{"messages":["Resource not found"]}', 404)])
        (script.pop(0) if len(script) > 1 else script[0])(self)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def house() -> Iterator[StandIn]:
    server = StandIn()
    server.answers = {
        "/uniprotkb/P69905.fasta": [say(FASTA)],
        "/download/4hhb.cif": [say(named(CIF, "4HHB"))],
        "/api/prediction/P69905": [say(json.dumps(PREDICTION).encode())],
        "/files/AF-P69905-F1-model_v6.cif": [say(named(CIF, "AF-P69905-F1"))],
    }
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.stopped.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def ask(house: StandIn, tmp_path: Path) -> Callable[..., Fetched]:
    """Fetch one id from the stand-in; waits are written down instead of waited."""
    waits: list[float] = []

    def one(name: str, **options: Any) -> Fetched:
        given = {"hosts": house.hosts, "answer_seconds": 0.3, "sleep": waits.append} | options
        with Fetcher(tmp_path, **given) as fetcher:
            return fetcher.fetch(name)

    one.waits = waits  # type: ignore[attr-defined]
    return one


@pytest.mark.parametrize(
    ("text", "house", "file"),
    [
        ("P69905", "uniprot", "P69905.fasta"),
        ("a0a022ywf9", "uniprot", "A0A022YWF9.fasta"),
        ("P04637-2", "uniprot", "P04637-2.fasta"),
        ("4hhb", "pdb", "4hhb.cif"),
        ("AF-P69905-F1", "alphafold", "AF-P69905-F1.cif"),
    ],
)
def test_an_id_says_whose_it_is(text: str, house: str, file: str) -> None:
    entry = find_entry(text)
    assert entry is not None and (entry.house, entry.file) == (house, file)


@pytest.mark.parametrize(
    "text",
    [
        "", "4hh", "4hhbb", "0abc", "P6990", "HBA_HUMAN", "http://169.254.169.254/", "file:///etc/passwd", "../4hhb",
        "4hhb/..", "[::1]", "P69905.fasta", "P69905\n4HHB", "4hhb?x=1", "%34hhb", "\uff14HHB", "AF-P69905-F0",
        "\u017f999", "AF-P69905-F1-model_v4", "P69905@127.0.0.1",
    ],
)  # fmt: skip
def test_what_is_no_id_is_refused_before_any_socket_is_opened(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "socket", lambda *_, **__: pytest.fail("a socket was opened"))
    (refused,) = fetch([text], tmp_path)
    assert isinstance(refused, InputError)
    assert refused.reason == f"'{text}' is no UniProt accession, PDB id or AlphaFold DB id."
    assert refused.remedy == "Write P69905, 4HHB or AF-P69905-F1."


def test_only_the_three_houses_are_ever_asked() -> None:
    assert set(sources.HOSTS.values()) == {
        "https://rest.uniprot.org", "https://files.rcsb.org", "https://alphafold.ebi.ac.uk",
    }  # fmt: skip


def test_files_arrive_whole_with_their_hash_and_can_be_read(
    ask: Callable[..., Fetched], house: StandIn, tmp_path: Path
) -> None:
    for name in ("P69905", "4HHB", "AF-P69905-F1"):
        found = ask(name)
        assert found.is_new and found.sha256 == hashlib.sha256(found.path.read_bytes()).hexdigest()
        (protein,) = read_proteins(found.path)
        assert isinstance(protein, Protein)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "4hhb.cif", "AF-P69905-F1.cif", "P69905.fasta", "fetched.json",
    ]  # fmt: skip
    note = json.loads((tmp_path / "fetched.json").read_text())["AF-P69905-F1.cif"]
    assert note["address"].endswith("/files/AF-P69905-F1-model_v6.cif")
    assert (note["id"], note["bytes"]) == ("AF-P69905-F1", len(named(CIF, "AF-P69905-F1")))


def test_what_is_here_is_not_asked_for_again_unless_it_was_changed(ask: Callable[..., Fetched], house: StandIn) -> None:
    path = ask("P69905").path
    assert not ask("P69905").is_new
    assert len(house.asked) == 1
    path.write_bytes(FASTA[:-10])
    assert ask("P69905").is_new
    assert ask("P69905", again=True).is_new
    assert len(house.asked) == 3
    assert path.read_bytes() == FASTA


def test_a_packed_answer_is_unpacked(ask: Callable[..., Fetched], house: StandIn) -> None:
    house.answers["/uniprotkb/P69905.fasta"] = [say(gzip.compress(FASTA), Content_Encoding="gzip")]
    assert ask("P69905").path.read_bytes() == FASTA


def test_a_busy_server_is_given_the_time_it_asks_for(ask: Any, house: StandIn) -> None:
    busy, broken = say(b"", 429, Retry_After="7"), say(b"", 500)
    house.answers["/uniprotkb/P69905.fasta"] = [busy, broken, say(FASTA)]
    assert ask("P69905").is_new
    assert ask.waits == [7.0, 2.0]


@pytest.mark.parametrize(
    ("name", "answers", "sentence", "asked"),
    [
        ("P69905", [say(b"", 404)], f"UniProt has no entry 'P69905'. {CHECK}", 1),
        ("4HHB", [say(GATE, 404)], f"The PDB has no entry '4HHB'. {CHECK}", 1),
        ("P69905", [say(b"", 429, Retry_After="3600")], "127.0.0.1 is busy (answer 429). Try again in 3600 seconds.",
         1),
        ("P69905", [say(b"", 503)], "127.0.0.1 is busy (answer 503). Try again later.", 4),
        ("P69905", [say(b"", 500)], "127.0.0.1 has a fault of its own (answer 500). Try again later.", 4),
        ("P69905", [say(b"", 403)], "127.0.0.1 refused the question (answer 403). Try again later.", 1),
        ("P69905", [say(b"", 303, Location="/uniprotkb/P01922.fasta?from=P69905")],
         "'P69905' is now part of 'P01922'. Fetch it by that id: anfinsen fetch P01922", 1),
        ("P69905", [say(b"", 302, Location="http://169.254.169.254/latest")],
         "127.0.0.1 sent us to another address, which we do not follow. Try again later.", 1),
        ("P69905", [say(b"")],
         "UniProt holds no sequence of 'P69905' any more: the entry was withdrawn. "
         "Search UniProt for the protein by its name.", 1),
        ("P69905", [say(FASTA[:40], Content_Length="999")], "The transfer from 127.0.0.1 was cut. Try again later.", 4),
        ("P69905", [be_silent], "127.0.0.1 did not answer within 0.3 seconds. Try again later.", 4),
        ("P69905", [say(b"not packed", Content_Encoding="gzip")],
         "The transfer from 127.0.0.1 was cut. Try again later.", 4),
        ("P69905", [say(FASTA + b"A" * 5_000)],
         "The file at 127.0.0.1 has more than 4,000 bytes, which is the limit. "
         "Get ADDRESS yourself, and give the chains you need.", 1),
        ("P69905", [say(GATE)],
         f"{ELSE} 'P69905'. {LOOK}", 1),
        ("P69905", [say(FASTA.replace(b"P69905", b"P69906"))],
         f"{ELSE} 'P69905'. {LOOK}", 1),
        ("AF-P69905-F1", [say(b'{"error": "?"}')], f"{ELSE} 'AF-P69905-F1'. {LOOK}", 1),
        ("AF-P69905-F1", [say(GATE)],
         f"{ELSE} 'AF-P69905-F1'. {LOOK}", 1),
        ("AF-P69905-F9", [say(json.dumps(PREDICTION).encode())],
         f"AlphaFold DB has no entry 'AF-P69905-F9'. {CHECK}", 1),
    ],
)  # fmt: skip
def test_each_fault_is_one_sentence_and_leaves_nothing_behind(
    name: str,
    answers: list[Answer],
    sentence: str,
    asked: int,
    ask: Callable[..., Fetched],
    house: StandIn,
    tmp_path: Path,
) -> None:
    path = {"P69905": "/uniprotkb/P69905.fasta", "4HHB": "/download/4hhb.cif"}.get(name, "/api/prediction/P69905")
    house.answers[path] = list(answers)
    with pytest.raises(InputError) as error:
        ask(name, largest=4_000)
    assert str(error.value).replace(house.hosts["pdb"] + path, "ADDRESS") == sentence
    assert len(house.asked) == asked
    assert list(tmp_path.iterdir()) == []


def test_an_address_in_an_answer_is_never_asked(ask: Callable[..., Fetched], house: StandIn) -> None:
    listed = [PREDICTION[0] | {"cifUrl": "http://169.254.169.254/files/AF-P69905-F1-model_v6.cif"}]
    house.answers["/api/prediction/P69905"] = [say(json.dumps(listed).encode())]
    assert ask("AF-P69905-F1").is_new
    assert house.asked == ["/api/prediction/P69905", "/files/AF-P69905-F1-model_v6.cif"]


def test_without_a_network_it_says_so_and_where_the_file_lies(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with (
        Fetcher(tmp_path, hosts={"uniprot": f"http://127.0.0.1:{port}"}) as fetcher,
        pytest.raises(InputError) as error,
    ):
        fetcher.fetch("P69905")
    assert str(error.value) == (
        "This machine has no way to 127.0.0.1. Connect it to the network, or get "
        f"http://127.0.0.1:{port}/uniprotkb/P69905.fasta elsewhere and give the file."
    )


def test_the_verb_fetches_what_it_can_and_names_what_it_cannot(
    house: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "HOSTS", house.hosts)
    found = CliRunner().invoke(app, ["fetch", "P69905", "1zzz", "--out", str(tmp_path)])
    assert found.exit_code == 3
    digest = hashlib.sha256(FASTA).hexdigest()[:12]
    assert f"P69905: {tmp_path / 'P69905.fasta'} (from UniProt, SHA-256 {digest})" in found.output
    assert "Refused: 1zzz: The PDB has no entry '1ZZZ'." in found.output
    assert CliRunner().invoke(app, ["fetch", "1zzz", "--out", str(tmp_path)]).exit_code == 1
    again = CliRunner().invoke(app, ["fetch", "p69905", "--out", str(tmp_path)])
    assert again.exit_code == 0 and "was here already" in again.output


def test_an_id_where_a_file_is_expected_is_answered_with_the_way_to_it() -> None:
    with pytest.raises(UsageError) as error:
        list(read_proteins("P69905"))
    assert str(error.value) == (
        "There is no file 'P69905'; it may be an id of UniProt. Get it with: anfinsen fetch P69905"
    )
