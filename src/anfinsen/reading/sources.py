"""Proteins by their id, from the three public houses that keep them: UniProt, the PDB and AlphaFold DB.

    P69905          UniProt      the sequence              P69905.fasta
    4HHB            PDB          the measured structure    4hhb.cif
    AF-P69905-F1    AlphaFold DB the computed structure    AF-P69905-F1.cif

Only ids are taken, never addresses; only these hosts are asked, and where one of them sends us elsewhere we do not
follow. A file is read under a limit of size and time, looked at, hashed, and takes its place only when it is whole;
what lies in the folder with its right hash is not asked for again. A busy server is given the time it asks for.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, NamedTuple

import httpx2

from anfinsen import __version__
from anfinsen.errors import InputError
from anfinsen.limits import LIMITS

House = Literal["uniprot", "pdb", "alphafold"]

HOSTS: Mapping[House, str] = {
    "uniprot": "https://rest.uniprot.org",
    "pdb": "https://files.rcsb.org",
    "alphafold": "https://alphafold.ebi.ac.uk",
}
"""The only addresses that are ever asked."""
TITLES: Mapping[House, str] = {"uniprot": "UniProt", "pdb": "The PDB", "alphafold": "AlphaFold DB"}
NOTES = "fetched.json"
"""What is known of each fetched file: its id, address, hash, bytes and hour."""
TRIES = 4
"""How often one file is asked for."""
LONGEST_WAIT = 60.0
"""Seconds that a server may ask us to wait before we say so and give up."""
ANSWER_SECONDS = 30.0
"""Seconds of silence after which a server counts as gone."""
WHOLE_SECONDS = 600.0
"""Seconds that one file may take."""

_ACCESSION = r"(?:[OPQ][0-9][A-Z0-9]{3}[0-9]|[A-NR-Z][0-9](?:[A-Z][A-Z0-9]{2}[0-9]){1,2})"
"""UniProt's own pattern of accession numbers."""
_PATTERNS: Mapping[House, re.Pattern[str]] = {
    "alphafold": re.compile(rf"AF-(?P<accession>{_ACCESSION})-F(?P<part>[1-9][0-9]{{0,3}})"),
    "uniprot": re.compile(rf"{_ACCESSION}(?:-[1-9][0-9]{{0,2}})?"),
    "pdb": re.compile(r"[1-9][A-Z0-9]{3}"),
}
_BUSY = (429, 503)
_AGAIN = "Try again later."


class Entry(NamedTuple):
    """What is asked for: an id of one house."""

    house: House
    id: str

    @property
    def file(self) -> str:
        """The name of the file that it becomes."""
        return {"uniprot": f"{self.id}.fasta", "pdb": f"{self.id.lower()}.cif", "alphafold": f"{self.id}.cif"}[
            self.house
        ]


class Fetched(NamedTuple):
    """A file that is here now; `is_new` where it was asked for just now."""

    entry: Entry
    path: Path
    sha256: str
    is_new: bool


def find_entry(text: str) -> Entry | None:
    """The entry that an id means, in capitals or not; None where it is no id of the three houses.

    >>> find_entry("p69905"), find_entry("4hhb").file, find_entry("http://a.b/4hhb")
    (Entry(house='uniprot', id='P69905'), '4hhb.cif', None)
    """
    name = text.strip(" \t\r\n")
    if not name.isascii():
        return None
    for house, pattern in _PATTERNS.items():
        if pattern.fullmatch(name.upper()):
            return Entry(house, name.upper())
    return None


def fetch(texts: Sequence[str], folder: Path, *, again: bool = False) -> Iterator[Fetched | InputError]:
    """The files of these ids in `folder`, in order; an id that cannot be had is one InputError, and the others go on.

    `again` asks for what is already there.
    """
    with Fetcher(folder, again=again) as fetcher:
        for text in texts:
            try:
                yield fetcher.fetch(text)
            except InputError as error:
                error.record = text[:60]
                yield error


@dataclass
class Fetcher:
    """One connection to the three houses, and the folder that their files go to."""

    folder: Path
    again: bool = False
    hosts: Mapping[House, str] = field(default_factory=lambda: HOSTS)
    largest: int = LIMITS.upload_bytes
    """Bytes of one file."""
    answer_seconds: float = ANSWER_SECONDS
    whole_seconds: float = WHOLE_SECONDS
    sleep: Callable[[float], None] = time.sleep

    def __post_init__(self) -> None:
        self._client = httpx2.Client(
            timeout=self.answer_seconds,
            follow_redirects=False,
            headers={"User-Agent": f"anfinsen/{__version__}", "Accept-Encoding": "gzip"},
        )

    def __enter__(self) -> Fetcher:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def fetch(self, text: str) -> Fetched:
        """The file of one id; raises an InputError that says why it cannot be had."""
        entry = find_entry(text)
        if entry is None:
            raise InputError(
                f"'{text[:60]}' is no UniProt accession, PDB id or AlphaFold DB id.",
                remedy="Write P69905, 4HHB or AF-P69905-F1.",
            )
        path = self.folder / entry.file
        if not self.again and (known := self._kept(path)):
            return Fetched(entry, path, known, is_new=False)
        address = self._address(entry)
        content = self._ask(entry, address)
        _refuse_other_content(entry, address, content)
        sha256 = hashlib.sha256(content).hexdigest()
        _write(path, content)
        self._note(path, entry, address, sha256, len(content))
        return Fetched(entry, path, sha256, is_new=True)

    def _address(self, entry: Entry) -> str:
        """Where the file of an entry lies; only AlphaFold DB must be asked, for the number of its newest release."""
        host = self.hosts[entry.house]
        if entry.house == "uniprot":
            return f"{host}/uniprotkb/{entry.id}.fasta"
        if entry.house == "pdb":
            return f"{host}/download/{entry.file}"
        match = _PATTERNS["alphafold"].fullmatch(entry.id)
        assert match is not None
        question = f"{host}/api/prediction/{match['accession']}"
        release = re.compile(rf"/{re.escape(entry.id)}-model_v([1-9][0-9]{{0,2}})\.cif$")
        found = [hit[1] for one in _listed(entry, question, self._ask(entry, question)) if (hit := release.search(one))]
        if not found:
            raise _no_entry(entry)
        return f"{host}/files/{entry.id}-model_v{max(found, key=int)}.cif"

    def _ask(self, entry: Entry, address: str) -> bytes:
        """The bytes at an address; a busy or broken server is asked again, a few times."""
        for left in reversed(range(TRIES)):
            try:
                return self._read(entry, address)
            except _Again as again:
                if left == 0 or again.wait > LONGEST_WAIT:
                    raise again.refusal from None
                self.sleep(again.wait or 2.0 ** (TRIES - 1 - left))
        raise AssertionError("unreachable")

    def _read(self, entry: Entry, address: str) -> bytes:
        host = httpx2.URL(address).host
        began = time.monotonic()
        try:
            with self._client.stream("GET", address) as answer:
                _refuse_status(entry, answer)
                content = bytearray()
                for part in answer.iter_bytes(65_536):
                    content += part
                    if len(content) > self.largest:
                        raise InputError(
                            f"The file at {host} has more than {self.largest:,} bytes, which is the limit.",
                            remedy=f"Get {address} yourself, and give the chains you need.",
                        )
                    if time.monotonic() - began > self.whole_seconds:
                        raise InputError(
                            f"The file at {host} did not arrive within {self.whole_seconds:g} seconds.", remedy=_AGAIN
                        )
                return bytes(content)
        except httpx2.TimeoutException as error:
            if isinstance(error, httpx2.ConnectTimeout):
                raise _no_way(host, address) from None
            reason = f"{host} did not answer within {self.answer_seconds:g} seconds."
            raise _Again(InputError(reason, remedy=_AGAIN)) from None
        except httpx2.ConnectError:
            raise _no_way(host, address) from None
        except (httpx2.TransportError, httpx2.DecodingError):
            raise _Again(InputError(f"The transfer from {host} was cut.", remedy=_AGAIN)) from None

    def _notes(self) -> dict[str, Any]:
        try:
            found = json.loads((self.folder / NOTES).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def _kept(self, path: Path) -> str:
        """The hash of a file that lies here as it was fetched, '' otherwise."""
        note = self._notes().get(path.name)
        expected = note.get("sha256") if isinstance(note, dict) else None
        if not isinstance(expected, str) or not path.is_file():
            return ""
        with path.open("rb") as file:
            return expected if hashlib.file_digest(file, "sha256").hexdigest() == expected else ""

    def _note(self, path: Path, entry: Entry, address: str, sha256: str, size: int) -> None:
        """Written after the file, so that a note always speaks of a whole file."""
        when = datetime.now(UTC).isoformat(timespec="seconds")
        note = {"id": entry.id, "address": address, "sha256": sha256, "bytes": size, "fetched": when}
        notes = self._notes() | {path.name: note}
        _write(self.folder / NOTES, json.dumps(notes, indent=1, sort_keys=True).encode())


class _Again(Exception):
    """Worth another try, after `wait` seconds; `refusal` is what to say when there is none."""

    def __init__(self, refusal: InputError, wait: float = 0.0) -> None:
        super().__init__(str(refusal))
        self.refusal = refusal
        self.wait = wait


def _refuse_status(entry: Entry, answer: httpx2.Response) -> None:
    code, host = answer.status_code, answer.url.host
    if code == 200:
        return
    if code in _BUSY:
        wait = _wait(answer)
        hint = f"Try again in {wait:.0f} seconds." if wait else _AGAIN
        raise _Again(InputError(f"{host} is busy (answer {code}).", remedy=hint), wait)
    if code >= 500:
        raise _Again(InputError(f"{host} has a fault of its own (answer {code}).", remedy=_AGAIN))
    if code in (400, 404, 410):
        raise _no_entry(entry)
    if 300 <= code < 400:
        target = Path(answer.headers.get("Location", "").partition("?")[0]).stem
        other = find_entry(target)
        if other is not None and other.house == entry.house and other != entry:
            raise InputError(
                f"'{entry.id}' is now part of '{other.id}'.", remedy=f"Fetch it by that id: anfinsen fetch {other.id}"
            )
        raise InputError(f"{host} sent us to another address, which we do not follow.", remedy=_AGAIN)
    raise InputError(f"{host} refused the question (answer {code}).", remedy=_AGAIN)


def _wait(answer: httpx2.Response) -> float:
    """Seconds that the server asks us to wait, 0 where it does not say so in seconds."""
    asked = answer.headers.get("Retry-After", "").strip()
    return float(asked) if re.fullmatch(r"[0-9]{1,6}", asked) else 0.0


def _no_entry(entry: Entry) -> InputError:
    return InputError(
        f"{TITLES[entry.house]} has no entry '{entry.id}'.",
        remedy="Check the id; entries are also renamed and withdrawn.",
    )


def _no_way(host: str, address: str) -> InputError:
    return InputError(
        f"This machine has no way to {host}.",
        remedy=f"Connect it to the network, or get {address} elsewhere and give the file.",
    )


def _listed(entry: Entry, address: str, content: bytes) -> list[str]:
    """The addresses of models that AlphaFold DB lists; they are read for a number, and never asked."""
    try:
        found = json.loads(content)
        return [str(one.get("cifUrl", "")) for one in found]
    except (ValueError, TypeError, AttributeError):
        raise _other_content(entry, address) from None


def _refuse_other_content(entry: Entry, address: str, content: bytes) -> None:
    """A web page of a network that asks for a password, or another protein, is not what was asked for."""
    first = content.partition(b"\n")[0].decode("ascii", "replace").upper()
    if entry.house == "uniprot":
        if not content.strip():
            raise InputError(
                f"UniProt holds no sequence of '{entry.id}' any more: the entry was withdrawn.",
                remedy="Search UniProt for the protein by its name.",
            )
        is_right = first.startswith(">") and f"|{entry.id}|" in first and b"\n" in content.strip()
    else:
        is_right = first.startswith("DATA_") and entry.id in first and b"_atom_site." in content
    if not is_right:
        raise _other_content(entry, address)


def _other_content(entry: Entry, address: str) -> InputError:
    return InputError(
        f"{httpx2.URL(address).host} answered with something else than '{entry.id}'.",
        remedy=f"Look at {address} in a browser: your network may ask for a password first.",
    )


def _write(path: Path, content: bytes) -> None:
    """A file that takes its place only when it is whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".fetching-{os.getpid()}-{path.name}")
    try:
        with beside.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
