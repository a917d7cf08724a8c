"""Bytes from strangers: opened, unpacked under a cap, and told apart before any parser sees them.

A gzip file is unpacked in small steps and stopped when it grows beyond the limits, so a bomb costs no
memory. Lines are cut at a limit and keep their true length. Knows nothing of proteins.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, NamedTuple, cast

from anfinsen.errors import InputError, UsageError
from anfinsen.limits import LIMITS, Limits

_GZIP = b"\x1f\x8b"
_CHUNK = 65_536
_HEAD = 4_096
_RATIO_FROM = 1_000_000
"""The ratio says nothing about a small file: ten thousand times the same letter is harmless."""

_PACKED = "Unpack it first."
_MAGIC: tuple[tuple[bytes, str, str], ...] = (
    (_GZIP, "a gzip file inside a gzip file", _PACKED),
    (b"PK\x03\x04", "a zip archive or a spreadsheet", "Unpack it, or save the sheet as CSV."),
    (b"BZh", "a bzip2 file", _PACKED),
    (b"\xfd7zXZ", "an xz file", _PACKED),
    (b"\x28\xb5\x2f\xfd", "a zstd file", _PACKED),
    (b"7z\xbc\xaf", "a 7z archive", _PACKED),
    (b"%PDF", "a PDF document", "Copy the sequence into a text file."),
    (b"\xff\xfe", "UTF-16 text", "Save it as UTF-8."),
    (b"\xfe\xff", "UTF-16 text", "Save it as UTF-8."),
    (b"\x80\x02", "a Python pickle, which is never opened", "Export it as CSV or FASTA."),
    (b"\x80\x03", "a Python pickle, which is never opened", "Export it as CSV or FASTA."),
    (b"\x80\x04", "a Python pickle, which is never opened", "Export it as CSV or FASTA."),
    (b"\x80\x05", "a Python pickle, which is never opened", "Export it as CSV or FASTA."),
)


class Line(NamedTuple):
    """One line without its line end, cut at a limit; `length` is how long it was, `ending` how it ended."""

    text: str
    length: int
    ending: str


class _Unpacked(io.RawIOBase):
    """The content of a gzip file, never more than is asked for and never more than the limits."""

    def __init__(self, packed: IO[bytes], file: str, limits: Limits) -> None:
        self._packed, self._file, self._limits = packed, file, limits
        self._member = zlib.decompressobj(wbits=31)
        self._read = self._written = 0
        self._tail = b""
        self._is_inside = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        view = memoryview(cast(bytearray, buffer)).cast("B")
        while True:
            if not self._tail and not self._refill():
                return 0
            self._is_inside = True
            try:
                part = self._member.decompress(self._tail, min(len(view), _CHUNK))
            except zlib.error:
                raise self._refusal("The gzip file is damaged.", "Download or pack it again.") from None
            self._tail = self._member.unused_data or self._member.unconsumed_tail
            if self._member.eof:
                self._member, self._is_inside = zlib.decompressobj(wbits=31), False
                self._tail = self._tail.lstrip(b"\0")
            if part:
                view[: len(part)] = part
                self._count(len(part))
                return len(part)

    def _refill(self) -> bool:
        self._tail = self._packed.read(_CHUNK)
        self._read += len(self._tail)
        if not self._tail and self._is_inside:
            raise self._refusal("The gzip file ends too early.", "Download or pack it again.")
        return bool(self._tail)

    def _count(self, size: int) -> None:
        self._written += size
        limits = self._limits
        if self._written > limits.unpacked_bytes:
            raise self._refusal(
                f"The file holds more than {limits.unpacked_bytes:,} bytes once unpacked, which is the limit.",
                "Split it into smaller files.",
            )
        if self._written > _RATIO_FROM and self._written > limits.unpack_ratio * self._read:
            raise self._refusal(
                f"The file grows more than {limits.unpack_ratio} times when it is unpacked, which is the limit.",
                "Unpack it yourself if you trust it, and give the unpacked file.",
            )

    def _refusal(self, reason: str, remedy: str) -> InputError:
        return InputError(reason, remedy=remedy, file=self._file)


class _Lent(io.RawIOBase):
    """A stream that belongs to somebody else (standard input, an upload): read here, closed there."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        view = memoryview(cast(bytearray, buffer)).cast("B")
        part = self._stream.read(len(view))
        view[: len(part)] = part
        return len(part)


@contextmanager
def opened(source: str | Path | IO[bytes], *, file: str, limits: Limits = LIMITS) -> Iterator[io.BufferedReader]:
    """The unpacked bytes of a file or a lent stream whose first bytes can be a table, sequences or a structure.

    Raises UsageError where there is no such file, InputError where its content cannot be used at all.
    """
    with ExitStack() as closing:
        stream = closing.enter_context(_open(source)) if isinstance(source, str | Path) else source
        reader = closing.enter_context(_buffered(_Lent(stream)))
        if reader.peek(2)[:2] == _GZIP:
            reader = closing.enter_context(_buffered(_Unpacked(reader, file, limits)))
        refuse_foreign(reader.peek(_HEAD)[:_HEAD], file)
        yield reader


def _buffered(raw: io.RawIOBase) -> io.BufferedReader:
    return io.BufferedReader(raw, _CHUNK)


def _open(path: str | Path) -> IO[bytes]:
    try:
        return Path(path).open("rb")
    except FileNotFoundError:
        raise UsageError(f"There is no file '{path}'.", remedy="Give the path of a file.") from None
    except IsADirectoryError:
        raise UsageError(f"'{path}' is a folder.", remedy="Give the path of one file in it.") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UsageError(f"'{path}' cannot be opened: {reason}.", remedy="Give the path of a readable file.") from None


def refuse_foreign(head: bytes, file: str) -> None:
    """Refuse content that is recognisably something else: nothing, a packed file, a web page, JSON, noise."""
    if not head:
        raise InputError("The file is empty.", remedy="Give a file with at least one record.", file=file)
    for magic, name, remedy in _MAGIC:
        if head.startswith(magic):
            raise InputError(f"This is {name}.", remedy=remedy, file=file)
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if start.startswith((b"<!doctype", b"<html", b"<?xml", b"<head", b"<body")):
        raise InputError(
            "This is a web page, not a file of sequences or structures: its download probably failed.",
            remedy="Download the file again and look at it before you give it.",
            file=file,
        )
    if start.startswith((b"{", b"[{", b'["')):
        raise InputError("This is JSON.", remedy="Give FASTA, CSV, TSV, Parquet, PDB or mmCIF.", file=file)


def refuse_noise(head: bytes, file: str) -> None:
    """Refuse bytes that cannot be text: more than a tenth are control codes or no UTF-8."""
    text = head.decode("utf-8", "surrogateescape")
    noise = sum(not (letter.isprintable() or letter in "\t\r\n\f\ufeff") for letter in text)
    if noise > 0.1 * len(text) and noise > 2:
        raise InputError(
            "This is not text: it holds control codes or bytes that are not UTF-8.",
            remedy="Give FASTA, CSV, TSV, PDB or mmCIF as UTF-8 text, or Parquet with the ending .parquet.",
            file=file,
        )


def lines(reader: io.BufferedReader, limit: int) -> Iterator[Line]:
    """The lines of UTF-8 text, each cut at `limit` characters; a byte that is not UTF-8 becomes a lone surrogate."""
    text = io.TextIOWrapper(reader, encoding="utf-8", errors="surrogateescape", newline="")
    while piece := text.readline(limit):
        length, last = 0, piece
        while last and not last.endswith(("\n", "\r")):
            length += len(last)
            last = text.readline(limit)
        body = last.rstrip("\r\n")
        yield Line(piece.rstrip("\r\n"), length + len(body), last[len(body) :])


def read_whole(reader: io.BufferedReader, *, file: str, limits: Limits = LIMITS) -> bytes:
    """All bytes of a file that a parser needs at once, such as a structure."""
    content = bytearray()
    while part := reader.read(_CHUNK):  # asked for all at once, Python sets the whole limit aside first
        content += part
        if len(content) > limits.upload_bytes:
            raise InputError(
                f"The file holds more than {limits.upload_bytes:,} bytes, which is the limit for a structure.",
                remedy="Give the chains you need in a file of their own.",
                file=file,
            )
    return bytes(content)
