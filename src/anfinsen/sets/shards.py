"""A corpus in compact shards: millions of sequences that travel, open at once and are read where they lie.

    corpus/manifest.json        what the corpus is and which shards it has; written last, so without it there is none
    corpus/train-00000.shard    header | lengths | ids, if they are kept | residues in five bits each (`data.bits`)

An address is a folder or anything that fsspec reads ('s3://bucket/corpus'). Opening reads the manifest and the
front of each shard, so every length is known and no residue is decoded. The residues of a shard are looked at when
the first of them is asked for: a shard on this machine is memory-mapped, one from elsewhere is fetched into a cache.

Hashes make a chain: the manifest holds each header's, a header those of what follows it. So no damaged byte is ever
read as a protein, wherever it lies, and the hash of the manifest stands for the whole corpus. `sets.packing` writes.
"""

from __future__ import annotations

import hashlib
import json
from bisect import bisect_right
from collections.abc import Sequence
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import Literal, Self, overload

import numpy
from numpy.typing import NDArray
from pydantic import Field

from anfinsen.config import Config
from anfinsen.data.address import Address
from anfinsen.data.bits import Letters, packed_size, pair_table, unpack_letters
from anfinsen.data.example import Example
from anfinsen.errors import ConfigError, CorpusError, UnknownNameError
from anfinsen.structure.protein import Protein

FORMAT: Literal["anfinsen-shards-1"] = "anfinsen-shards-1"
MANIFEST = "manifest.json"
MAGIC = b"ANFSHARD"
_AGAIN = "Copy the corpus again, or pack it again with anfinsen pack."
_SIZE_BYTES = 4
_NAME_LETTERS = 16
"""Letters of a sequence's hash that name it where no ids are kept."""


class Header(Config):
    """What a shard says of itself."""

    format: Literal["anfinsen-shards-1"] = FORMAT
    """Name of this layout."""
    split: str
    """The split that all its sequences belong to."""
    count: int = Field(ge=1)
    """Sequences."""
    residues: int = Field(ge=1)
    """Residues of all sequences together."""
    alphabet: str = Field(min_length=1, max_length=32, pattern=r"^[A-Z]+$")
    """The letters by their five-bit numbers."""
    length_bytes: Literal[2, 4]
    """Bytes of one length."""
    id_bytes: int = Field(ge=0)
    """Bytes of all ids, one a line; 0 where they were not kept."""
    source_sha256: str
    """Hash of the tables or the file that the sequences come from."""
    index_sha256: str
    """Hash of the lengths and ids."""
    residues_sha256: str
    """Hash of the packed residues."""

    @property
    def index_bytes(self) -> int:
        """Bytes of lengths and ids."""
        return self.count * self.length_bytes + self.id_bytes

    def written(self) -> bytes:
        """The front of the file: magic, size, header."""
        text = self.model_dump_json().encode()
        return MAGIC + len(text).to_bytes(_SIZE_BYTES, "little") + text


class Shard(Config):
    """What the manifest says of one shard."""

    name: str = Field(pattern=r"^[\w-]+\.shard$")
    """Its file."""
    split: str
    """Its split."""
    count: int = Field(ge=1)
    """Sequences."""
    residues: int = Field(ge=1)
    """Residues."""
    header_bytes: int = Field(ge=1, le=65_536)
    """Bytes of the file up to the end of the header."""
    bytes: int = Field(ge=1)
    """Bytes of the file."""
    sha256: str
    """Hash of the header, which holds the hashes of the rest."""


class Manifest(Config):
    """What a corpus is."""

    format: Literal["anfinsen-shards-1"] = FORMAT
    """Name of this layout."""
    source: str
    """What was packed, in words."""
    source_sha256: str
    """Hash of the tables or the file that was packed."""
    shards: tuple[Shard, ...] = Field(min_length=1)
    """Every shard, in the order of the sequences."""

    @property
    def sha256(self) -> str:
        """The hash of all that the corpus holds, in its order."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits that the corpus has."""
        return tuple(dict.fromkeys(shard.split for shard in self.shards))


class Shards(Sequence[Example]):
    """The examples of one split of a corpus; `lengths` are known without decoding one."""

    def __init__(self, address: Address, manifest: Manifest, split: str) -> None:
        if split not in manifest.splits:
            raise UnknownNameError(f"split of the corpus '{address.name}'", split, manifest.splits)
        self.split = split
        self.sha256 = manifest.sha256
        self._parts = [_Part(address, manifest, shard) for shard in manifest.shards if shard.split == split]
        self._ends = list(accumulate(part.shard.count for part in self._parts))

    @classmethod
    def open(cls, address: str | Path, split: str = "train", *, cache: Path | None = None) -> Self:
        """The split of a corpus at an address; raises CorpusError where it is cut, damaged or none at all."""
        found = Address.find(str(address), cache)
        return cls(found, _manifest(found), split)

    @cached_property
    def lengths(self) -> NDArray[numpy.int64]:
        """Residues of each sequence, (N,)."""
        return numpy.concatenate([part.lengths for part in self._parts]).astype(numpy.int64)

    def __len__(self) -> int:
        return self._ends[-1]

    @overload
    def __getitem__(self, index: int) -> Example: ...

    @overload
    def __getitem__(self, index: slice) -> list[Example]: ...

    def __getitem__(self, index: int | slice) -> Example | list[Example]:
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(len(self)))]
        place = int(index) + len(self) * (index < 0)
        if not 0 <= place < len(self):
            raise IndexError(index)
        at = bisect_right(self._ends, place)
        part = self._parts[at]
        return part.example(place - self._ends[at] + part.shard.count, row=place + 1)


class _Part:
    """One shard of an opened corpus."""

    def __init__(self, address: Address, manifest: Manifest, shard: Shard) -> None:
        self.address = address
        self.shard = shard
        size = address.size(shard.name)
        if size != shard.bytes:
            raise self._damaged(f"has {size:,} bytes, and {shard.bytes:,} were written")
        front = address.read(shard.name, 0, shard.header_bytes)
        if hashlib.sha256(front).hexdigest() != shard.sha256:
            raise self._damaged("has another header than the one that was written")
        start = len(MAGIC) + _SIZE_BYTES
        try:
            self.header = Header.model_validate_json(front[start:])
        except ValueError:
            raise self._damaged("has a header that cannot be read") from None
        told = (self.header.split, self.header.count, self.header.residues, self.header.source_sha256)
        body = shard.header_bytes + self.header.index_bytes
        whole = body + packed_size(self.header.residues)
        if (*told, whole) != (shard.split, shard.count, shard.residues, manifest.source_sha256, shard.bytes):
            raise self._damaged(f"is not the one that {MANIFEST} describes")
        index = address.read(shard.name, shard.header_bytes, body)
        if hashlib.sha256(index).hexdigest() != self.header.index_sha256:
            raise self._damaged("has other lengths or ids than those that were written")
        kind = f"<u{self.header.length_bytes}"
        self.lengths = numpy.frombuffer(index, kind, count=self.header.count)
        self._ids = index[self.header.count * self.header.length_bytes :]

    def example(self, number: int, *, row: int) -> Example:
        """One sequence, `row` being its place in the split, counted from 1."""
        first = int(self._starts[number])
        letters = unpack_letters(self._residues, first, int(self.lengths[number]), self._table).tobytes()
        name = self._name(number) if self._ids else hashlib.sha256(letters).hexdigest()[:_NAME_LETTERS]
        return Example(Protein(name, letters.decode("ascii"), source=self.address.name, row=row))

    @cached_property
    def _starts(self) -> NDArray[numpy.int64]:
        return numpy.concatenate(([0], numpy.cumsum(self.lengths, dtype=numpy.int64)))

    @cached_property
    def _table(self) -> NDArray[numpy.uint16]:
        return pair_table(self.header.alphabet)

    @cached_property
    def _line_ends(self) -> NDArray[numpy.intp]:
        return numpy.flatnonzero(numpy.frombuffer(self._ids, dtype=numpy.uint8) == ord("\n"))

    def _name(self, number: int) -> str:
        begin = int(self._line_ends[number - 1]) + 1 if number else 0
        return self._ids[begin : int(self._line_ends[number])].decode()

    @cached_property
    def _residues(self) -> Letters:
        """The packed residues, mapped into memory after one look at all of them."""
        body = self.shard.header_bytes + self.header.index_bytes
        path = self.address.fetched(self.shard.name, self.shard.sha256, self.shard.bytes)
        with path.open("rb") as file:
            file.seek(body)
            # read, not mapped: pages that are only hashed need not stay in memory
            if hashlib.file_digest(file, "sha256").hexdigest() != self.header.residues_sha256:
                self.address.forget(path)
                raise self._damaged("has other residues than those that were written")
        return numpy.asarray(numpy.memmap(path, dtype=numpy.uint8, mode="r", offset=body))

    def _damaged(self, fault: str) -> CorpusError:
        return CorpusError(
            f"The shard '{self.shard.name}' of '{self.address.name}' {fault}.",
            remedy=_AGAIN,
        )


def _manifest(address: Address) -> Manifest:
    """What a corpus says it is."""
    try:
        text = address.read(MANIFEST)
    except FileNotFoundError:
        raise CorpusError(
            f"'{address.name}' holds no corpus: it has no {MANIFEST}.", remedy="Make one with anfinsen pack."
        ) from None
    try:
        values = json.loads(text)
        if not isinstance(values, dict):
            raise ValueError
        return Manifest.build(values, source=MANIFEST)
    except (ValueError, ConfigError) as error:
        reason = str(error) if isinstance(error, ConfigError) else f"{MANIFEST} is no JSON table."
        raise CorpusError(f"'{address.name}' holds no corpus that can be read. {reason}", remedy=_AGAIN) from None
