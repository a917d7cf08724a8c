"""Packing: a corpus becomes shards that travel (`sets.corpus` says what is packed, `sets.shards` reads it again).

    rows (letters end to end, lengths) -> a seeded draw, where only so many may travel -> cut into shards -> manifest

Rows come a few ten thousand at a time, so memory holds one shard; a draw costs eight bytes a sequence more. All is
written into a folder beside the wanted one, which takes its name when it is whole: a kill leaves no half corpus.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Literal

import numpy
from numpy.typing import NDArray

from anfinsen.data.bits import ALPHABET, pack_letters
from anfinsen.errors import InputError, UsageError
from anfinsen.sets.corpus import TRAIN, Rows, Source
from anfinsen.sets.shards import MANIFEST, Header, Manifest, Shard
from anfinsen.wording import counted, refusals

SHARD_RESIDUES = 16_000_000
"""Residues of one shard, ten megabytes: small enough to fetch, large enough to be few."""
_SPLIT_NAME = re.compile(r"[A-Za-z0-9_-]{1,60}")


def write_shards(
    rows: Source,
    folder: Path,
    *,
    shard_residues: int = SHARD_RESIDUES,
    max_residues: int | None = None,
    seed: int = 1,
    keep_ids: bool = False,
) -> Manifest:
    """Write rows as a corpus in a new folder, and say what is in it.

    `max_residues` draws so many residues' worth of the training sequences, without regard to what they are, always
    the same ones for the same seed; rows are then read twice. Their order stays. Other splits travel whole.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"'{folder}' is there already.", remedy="Give another folder with --out, or delete that one.")
    source_sha256 = rows.sha256()
    chosen = None if max_residues is None else draw(rows, max_residues, seed)
    beside = folder.with_name(f".writing-{folder.name}")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    try:
        shards: dict[str, list[Shard]] = {}
        for split, piece in cut(rows if chosen is None else _taken(rows, chosen), shard_residues):
            written = shards.setdefault(split, [])
            written.append(_write(beside, f"{split}-{len(written):05d}.shard", piece, source_sha256, keep_ids))
        if not shards:
            raise UsageError("There is no sequence to pack.", remedy="Give a file with sequences.")
        every = tuple(shard for written in shards.values() for shard in written)
        manifest = Manifest(source=rows.source, source_sha256=source_sha256, shards=every)
        _put(beside / MANIFEST, manifest.model_dump_json(indent=1).encode())
        if folder.exists():
            folder.rmdir()
        beside.rename(folder)
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise
    return manifest


def conclusion(manifest: Manifest, refused: Sequence[InputError], folder: Path) -> list[str]:
    """What was packed, in sentences."""
    said = []
    for split in manifest.splits:
        theirs = [shard for shard in manifest.shards if shard.split == split]
        count, residues = sum(shard.count for shard in theirs), sum(shard.residues for shard in theirs)
        packed = f"{counted(count, 'sequence')} with {counted(residues, 'residue')}"
        said.append(f"{split}: {packed} in {counted(len(theirs), 'shard')}.")
    size, residues = (sum(getattr(shard, name) for shard in manifest.shards) for name in ("bytes", "residues"))
    said.append(f"{folder} takes {size / 2**20:,.1f} MiB, {8 * size / residues:.2f} bits a residue.")
    said.append(f"Its hash is {manifest.sha256}.")
    return [*said, *refusals(refused, folder.with_name("refused.csv"))]


def draw(rows: Iterable[Rows], most: int, seed: int) -> NDArray[numpy.bool_]:
    """Which training sequences are taken, in their order, so that they have at most `most` residues."""
    lengths = numpy.concatenate([numpy.zeros(0, numpy.int64), *(part.lengths for part in rows if part.split == TRAIN)])
    order = numpy.random.default_rng(seed).permutation(len(lengths))
    taken = order[: numpy.searchsorted(numpy.cumsum(lengths[order]), most, side="right")]
    if not len(taken):
        raise UsageError(
            f"Of {len(lengths):,} training sequences none has room in {most:,} residues.",
            remedy="Raise --max-residues.",
        )
    chosen = numpy.zeros(len(lengths), dtype=numpy.bool_)
    chosen[taken] = True
    return chosen


def cut(rows: Iterable[Rows], most: int) -> Iterator[tuple[str, Rows]]:
    """Rows of each split, in pieces of about `most` residues; a sequence is never cut."""
    waiting: dict[str, list[Rows]] = {}
    for part in rows:
        pieces = waiting.setdefault(part.split, [])
        room = most - sum(len(piece.letters) for piece in pieces)
        ends = numpy.cumsum(part.lengths)
        begin = 0
        while begin < len(ends):
            used = int(ends[begin - 1]) if begin else 0
            stop = max(int(numpy.searchsorted(ends, used + room, side="right")), begin + (not pieces))
            pieces.append(_sliced(part, begin, stop))
            if stop == len(ends):
                break
            yield part.split, _joined(pieces)
            pieces.clear()
            begin, room = stop, most
    for split, pieces in waiting.items():
        if pieces:
            yield split, _joined(pieces)


def _taken(rows: Iterable[Rows], chosen: NDArray[numpy.bool_]) -> Iterator[Rows]:
    seen = 0
    for part in rows:
        if part.split != TRAIN:
            yield part
            continue
        mine = chosen[seen : seen + len(part.lengths)]
        seen += len(mine)
        ids = [name for name, is_mine in zip(part.ids, mine, strict=True) if is_mine]
        yield Rows(part.split, part.letters[mine.repeat(part.lengths)], part.lengths[mine], ids)


def _sliced(part: Rows, begin: int, stop: int) -> Rows:
    first = int(part.lengths[:begin].sum())
    last = first + int(part.lengths[begin:stop].sum())
    return Rows(part.split, part.letters[first:last], part.lengths[begin:stop], part.ids[begin:stop])


def _joined(pieces: list[Rows]) -> Rows:
    ids = [name for piece in pieces for name in piece.ids]
    letters = numpy.concatenate([piece.letters for piece in pieces])
    return Rows(pieces[0].split, letters, numpy.concatenate([piece.lengths for piece in pieces]), ids)


def _write(folder: Path, name: str, rows: Rows, source_sha256: str, keep_ids: bool) -> Shard:
    if not rows.lengths.all():
        raise UsageError("A sequence without residues cannot be packed.", remedy="Take it out.")
    if not _SPLIT_NAME.fullmatch(rows.split):
        raise UsageError(f"{rows.split!r} cannot name a split.", remedy="Name it in letters, digits, '-' and '_'.")
    length_bytes: Literal[2, 4] = 2 if rows.lengths.max() < 1 << 16 else 4
    ids = "".join(f"{_one_line(name)}\n" for name in rows.ids).encode() if keep_ids else b""
    index = rows.lengths.astype(f"<u{length_bytes}").tobytes() + ids
    residues = pack_letters(rows.letters).tobytes()
    header = Header(
        split=rows.split,
        count=len(rows.lengths),
        residues=len(rows.letters),
        alphabet=ALPHABET,
        length_bytes=length_bytes,
        id_bytes=len(ids),
        source_sha256=source_sha256,
        index_sha256=hashlib.sha256(index).hexdigest(),
        residues_sha256=hashlib.sha256(residues).hexdigest(),
    )
    front = header.written()
    _put(folder / name, front, index, residues)
    return Shard(
        name=name,
        split=rows.split,
        count=header.count,
        residues=header.residues,
        header_bytes=len(front),
        bytes=len(front) + len(index) + len(residues),
        sha256=hashlib.sha256(front).hexdigest(),
    )


def _one_line(name: str) -> str:
    return name.encode("utf-8", "backslashreplace").decode().replace("\n", " ")


def _put(path: Path, *parts: bytes) -> None:
    with path.open("wb") as file:
        file.writelines(parts)
        file.flush()
        os.fsync(file.fileno())
