"""The route that gets proteins by their ids, from UniProt, the PDB and AlphaFold DB; it leaves this machine.

Nothing is asked of others unless somebody asks for an id here, and then only the id is told, and only to its house:
which words are ids and which hosts are asked is settled in `reading.sources`. What comes is handed back as text, to be
asked about as any other; no file of it is kept.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import FastAPI
from pydantic import Field

from anfinsen.errors import InputError
from anfinsen.limits import Limits
from anfinsen.reading.sources import HOSTS, TITLES, Entry, Fetcher, find_entry
from anfinsen.serve.contract import Asked, Named, Problem, Told
from anfinsen.serve.problem import of_record

_SECONDS = 60.0
"""Seconds that one file may take while somebody waits for it."""


class Ids(Asked):
    """What is to be got."""

    ids: Annotated[tuple[str, ...], Field(min_length=1, max_length=50)]
    """UniProt accessions (P69905), PDB ids (4HHB) and ids of AlphaFold DB (AF-P69905-F1)."""


class Got(Named):
    """One entry as it came."""

    text: str
    """FASTA of a sequence, mmCIF of a structure."""
    is_structure: bool
    """Whether it is a structure."""


class Gathered(Told):
    """What came, in the order asked, and what did not."""

    found: list[Got]
    """Entries that came."""
    refused: list[Problem]
    """Ids that could not be had, each with its reason and remedy."""


def entries_of(text: str) -> list[Named]:
    """The ids in a text that holds nothing else; none otherwise, since no sequence has a digit and every id has one.

    >>> [one.id for one in entries_of("p69905, 4hhb")], entries_of("P69905 MKTAYIAK")
    (['P69905', '4HHB'], [])
    """
    words = text.replace(",", " ").split() if len(text) < 2_000 else []
    found = [find_entry(word) for word in words]
    return [_named(entry) for entry in found if entry] if all(found) else []


def _named(entry: Entry) -> Named:
    return Named(id=entry.id, house=TITLES[entry.house], host=urlsplit(HOSTS[entry.house]).hostname or "")


def add_entries(app: FastAPI, limits: Limits) -> None:
    """Entries by their ids."""

    @app.post("/v1/fetch", tags=["Ask"], summary="Get proteins by their ids; the ids leave this machine.")
    def fetch(asked: Ids) -> Gathered:
        """Sequences from UniProt, structures from the PDB and AlphaFold DB; no other host is ever asked."""
        told = list(_fetched(asked.ids, limits))
        return Gathered(
            found=[one for one in told if isinstance(one, Got)],
            refused=[one for one in told if isinstance(one, Problem)],
        )


def _fetched(ids: tuple[str, ...], limits: Limits) -> Iterator[Got | Problem]:
    with (
        tempfile.TemporaryDirectory(prefix="anfinsen-") as folder,
        Fetcher(Path(folder), largest=limits.request_bytes, whole_seconds=_SECONDS) as fetcher,
    ):
        for id in ids:
            try:
                found = fetcher.fetch(id)
            except InputError as error:
                error.record = id[:60]
                yield of_record(error)
                continue
            text, is_structure = found.path.read_text(encoding="utf-8"), found.entry.house != "uniprot"
            yield Got(**_named(found.entry).model_dump(), text=text, is_structure=is_structure)
