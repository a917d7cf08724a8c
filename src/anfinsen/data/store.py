"""Files of states: what a network computed for many proteins, one entry a sequence, in the formats that others read.

    X.h5       one dataset a sequence at the root, attributes `original_id`, `sha256`: the layout of biotrainer and
               bio_embeddings, named after biotrainer's own hash of the sequence, so that biotrainer finds it
    X.parquet  one row a sequence, values as (nested) lists
    X.zarr     all values end to end, with `offsets` where each sequence begins (optional extra 'zarr')

Each is written in one go by `data.gathering`, which knows how to survive a kill. This file knows no network: it is
given arrays and says how they lie on the disk.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy
from numpy.typing import NDArray

from anfinsen.config import Config
from anfinsen.data.elsewhere import fetched
from anfinsen.errors import ConfigError, MissingExtraError, UsageError

Per = Literal["residue", "window", "protein"]
Dtype = Literal["fp16", "fp32"]
Values = NDArray[numpy.floating[Any]]

DTYPES: dict[Dtype, type[numpy.floating[Any]]] = {"fp16": numpy.float16, "fp32": numpy.float32}
_AT_ONCE = 16_000_000
"""Bytes of values that are handed to a format together."""


class About(Config):
    """What the values of a file are; files that differ in any of it are never mixed."""

    model: str
    """Name of the bundle or of the public checkpoint."""
    model_sha256: str
    """Hash of the bundle, or of a public checkpoint's weights."""
    layer: str
    """'last' for the states after the last norm, else the number of a block, 0 for the embedding."""
    per: Per
    """Residue: (L, C); window: (W, C); protein: (C,)."""
    pooling: str
    """How residues were summed up, in words."""
    dtype: Dtype
    """Dtype of the stored values."""
    dim: int
    """Width of a state, C."""


@dataclass(frozen=True)
class Entry:
    """One sequence: its hash, the ids that have it, how many residues it has, and its values.

    `name` is the key in the HDF5 layout, see `field_key`; ids are valid UTF-8.
    """

    sha256: str
    name: str
    ids: tuple[str, ...]
    length: int
    values: Values


class Format(NamedTuple):
    """How a file of one ending is written and read."""

    write: Callable[[Path, About, Iterable[Entry]], None]
    read: Callable[[Path], tuple[About, Iterator[Entry]]]


def field_key(sequence: str) -> str:
    """The name under which biotrainer looks a sequence up: its hash with the length appended.

    >>> field_key("MKV") == hashlib.sha256(b"MKV_3").hexdigest()
    True
    """
    return hashlib.sha256(f"{sequence}_{len(sequence)}".encode()).hexdigest()


def format_of(path: Path) -> Format:
    """The format that a file's ending asks for."""
    if path.suffix not in FORMATS:
        raise UsageError(
            f"'{path.name}' does not say in which format to write.",
            remedy=f"Give it a name that ends in {', '.join(list(FORMATS)[:-1])} or {list(FORMATS)[-1]}.",
        )
    return FORMATS[path.suffix]


def read_store(path: str | Path) -> tuple[About, Iterator[Entry]]:
    """What a file of states holds and its entries, one at a time, in the order in which they were asked."""
    form = format_of(Path(path))
    path = fetched(path)
    if not path.exists():
        raise UsageError(f"There is no file '{path}'.", remedy="Give the path of a file that `anfinsen embed` wrote.")
    try:
        return form.read(path)
    except (OSError, ValueError, KeyError, ConfigError) as error:
        raise UsageError(
            f"'{path}' is no file of states that Anfinsen wrote: {str(error).splitlines()[0]}",
            remedy="Give another path, or delete that file.",
        ) from None


def _write_h5(path: Path, about: About, entries: Iterable[Entry]) -> None:
    import h5py

    # HDF5 1.10 (2016) is the oldest layout in which a list of ids may be longer than 64 kB
    with h5py.File(path, "w", track_order=True, libver=("v110", "v110")) as file:
        file.attrs.update(about.model_dump())
        for entry in entries:
            dataset = file.create_dataset(entry.name, data=entry.values)
            dataset.attrs["original_id"] = entry.ids[0]
            dataset.attrs["sha256"] = entry.sha256
            dataset.attrs["length"] = entry.length
            if len(entry.ids) > 1:
                dataset.attrs["original_ids"] = list(entry.ids)


def _read_h5(path: Path) -> tuple[About, Iterator[Entry]]:
    import h5py

    with h5py.File(path, "r") as file:
        values = {name: file.attrs[name] for name in About.model_fields}
        about = About.build(values | {"dim": int(values["dim"])}, source=path.name)
    return about, _h5_entries(path)


def _h5_entries(path: Path) -> Iterator[Entry]:
    import h5py

    with h5py.File(path, "r") as file:
        for name in file:
            dataset = file[name]
            ids = dataset.attrs.get("original_ids", [dataset.attrs["original_id"]])
            length = int(dataset.attrs["length"])
            yield Entry(dataset.attrs["sha256"], name, tuple(map(str, ids)), length, dataset[()])


def _write_parquet(path: Path, about: About, entries: Iterable[Entry]) -> None:
    import pyarrow as arrow
    from pyarrow import parquet

    number = arrow.float16() if about.dtype == "fp16" else arrow.float32()
    state = arrow.list_(number, about.dim)
    fields = {
        "sha256": arrow.string(),
        "original_id": arrow.string(),
        "original_ids": arrow.list_(arrow.string()),
        "length": arrow.int32(),
        "field_key": arrow.string(),
        "values": state if about.per == "protein" else arrow.list_(state),
    }
    schema = arrow.schema(fields.items(), metadata={"anfinsen": about.model_dump_json()})
    with parquet.ParquetWriter(path, schema, compression="zstd") as writer:
        for block in _blocks(entries):
            rows = numpy.concatenate([entry.values.reshape(-1, about.dim) for entry in block])
            values = arrow.FixedSizeListArray.from_arrays(arrow.array(rows.reshape(-1)), type=state)
            if about.per != "protein":
                ends = numpy.cumsum([0] + [len(entry.values) for entry in block], dtype=numpy.int32)
                values = arrow.ListArray.from_arrays(arrow.array(ends), values)
            columns: list[Any] = [
                [entry.sha256 for entry in block],
                [entry.ids[0] for entry in block],
                [list(entry.ids) for entry in block],
                [entry.length for entry in block],
                [entry.name for entry in block],
            ]
            arrays = [arrow.array(column, kind) for column, kind in zip(columns, schema.types[:-1], strict=True)]
            writer.write_table(arrow.Table.from_arrays([*arrays, values], schema=schema))


def _read_parquet(path: Path) -> tuple[About, Iterator[Entry]]:
    from pyarrow import parquet

    with parquet.ParquetFile(path) as file:
        metadata = file.schema_arrow.metadata or {}
        about = About.build(json.loads(metadata[b"anfinsen"]), source=path.name)
    return about, _parquet_entries(path, about)


def _parquet_entries(path: Path, about: About) -> Iterator[Entry]:
    from pyarrow import parquet

    with parquet.ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=64):
            rest = batch.drop_columns(["values"]).to_pylist()
            for row, cell in zip(rest, batch.column("values"), strict=True):
                # both kinds of lists hold their numbers end to end: one level for a protein, two for rows of states
                numbers = cell.values if about.per == "protein" else cell.values.flatten()
                values = numbers.to_numpy(zero_copy_only=False).astype(DTYPES[about.dtype], copy=False)
                shaped = values if about.per == "protein" else values.reshape(-1, about.dim)
                yield Entry(row["sha256"], row["field_key"], tuple(row["original_ids"]), row["length"], shaped)


def _write_zarr(path: Path, about: About, entries: Iterable[Entry]) -> None:
    group = _zarr().open_group(path, mode="w")
    group.attrs.update(about.model_dump())
    rows = max(1, _AT_ONCE // 16 // (about.dim * numpy.dtype(DTYPES[about.dtype]).itemsize))
    shape = {"shape": (0, about.dim), "chunks": (rows, about.dim)}
    values = group.create_array("values", dtype=DTYPES[about.dtype], **shape)
    names = ("sha256", "field_key", "original_ids")
    texts = {name: group.create_array(name, shape=(0,), chunks=(4096,), dtype=str) for name in names}
    lengths = group.create_array("lengths", shape=(0,), chunks=(4096,), dtype=numpy.int64)
    offsets = group.create_array("offsets", shape=(1,), chunks=(4096,), dtype=numpy.int64)
    for block in _blocks(entries):
        pieces = [entry.values.reshape(-1, about.dim) for entry in block]
        offsets.append(values.shape[0] + numpy.cumsum([len(piece) for piece in pieces]))
        values.append(numpy.concatenate(pieces))
        lengths.append(numpy.array([entry.length for entry in block]))
        for name, column in zip(names, zip(*(_texts(entry) for entry in block), strict=True), strict=True):
            texts[name].append(numpy.array(column, dtype=object))


def _texts(entry: Entry) -> tuple[str, str, str]:
    return entry.sha256, entry.name, json.dumps(entry.ids)


def _read_zarr(path: Path) -> tuple[About, Iterator[Entry]]:
    group = _zarr().open_group(path, mode="r")
    about = About.build(dict(group.attrs), source=path.name)
    return about, _zarr_entries(group, about)


def _zarr_entries(group: Any, about: About) -> Iterator[Entry]:
    offsets, lengths = group["offsets"][:], group["lengths"][:]
    step = 1024
    for begin in range(0, len(lengths), step):
        part = slice(begin, begin + step)
        texts = [group[name][part] for name in ("sha256", "field_key", "original_ids")]
        for place, (sha256, name, ids) in enumerate(zip(*texts, strict=True), begin):
            values = group["values"][offsets[place] : offsets[place + 1]]
            shaped = values[0] if about.per == "protein" else values
            yield Entry(str(sha256), str(name), tuple(json.loads(ids)), int(lengths[place]), shaped)


def _zarr() -> Any:
    try:
        import zarr
    except ModuleNotFoundError:
        raise MissingExtraError("zarr", "zarr") from None
    return zarr


def _blocks(entries: Iterable[Entry]) -> Iterator[list[Entry]]:
    block: list[Entry] = []
    size = 0
    for entry in entries:
        block.append(entry)
        size += entry.values.nbytes
        if size >= _AT_ONCE:
            yield block
            block, size = [], 0
    if block:
        yield block


FORMATS = {
    ".h5": Format(_write_h5, _read_h5),
    ".parquet": Format(_write_parquet, _read_parquet),
    ".zarr": Format(_write_zarr, _read_zarr),
}
"""By ending."""
