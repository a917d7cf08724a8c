"""Files of states as other programs read them: biotrainer's HDF5, Parquet through polars, Zarr; and what is refused.

biotrainer 1.4 asks an HDF5 file for the hash of a sequence with its length appended and takes whatever stands at the
root; bio_embeddings and biotrainer before 0.9 take the id from the attribute `original_id`. Both ways are written down
here independently of the code under test.
"""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import h5py
import numpy
import polars
import pytest

from anfinsen.data import gathering as gathering_module
from anfinsen.data.gathering import Gathering
from anfinsen.data.store import About, Entry, Per, Values, field_key, read_store
from anfinsen.errors import UsageError
from anfinsen.structure.protein import Protein

PROTEINS = [Protein("sp|P1|A/B", "MKVLAAGGHH"), Protein("second", "ACDEFGHIKLMN"), Protein("twin", "MKVLAAGGHH")]
ROWS = {"residue": 10, "window": 1, "protein": None}
FORMATS = (".h5", ".parquet", ".zarr")


def about(per: Per = "protein", **changes: object) -> About:
    values = {"model": "tiny", "model_sha256": "ab" * 32, "layer": "last", "pooling": "x", "dtype": "fp16", "dim": 4}
    return About.build({**values, "per": per, **changes})


def states(protein: Protein, per: Per) -> Values:
    """Numbers that follow from the sequence alone."""
    rows = {"residue": len(protein), "window": 1, "protein": 1}[per]
    generator = numpy.random.default_rng(list(protein.sequence.encode()))
    values = generator.normal(size=(rows, 4)).astype(numpy.float16)
    return values[0] if per == "protein" else values


def gather(path: Path, proteins: list[Protein] = PROTEINS, per: Per = "protein", **changes: object) -> list[str]:
    """Write a file and say whose states were asked for."""
    asked = []
    with Gathering(path, about(per, **changes)) as gathering:
        for protein in proteins:
            if gathering.wants(protein):
                asked.append(protein.id)
                gathering.put(protein, states(protein, per))
        gathering.finish()
    return asked


def entries(path: Path) -> list[Entry]:
    return list(read_store(path)[1])


def test_the_name_of_a_dataset_is_biotrainers_hash() -> None:
    assert field_key("SEQWENCE") == "3b4b8f18126cf72b0eedbd9d50d62e97c407f688ad16da9e5c508e67cc4e7842"


@pytest.mark.parametrize("per", ["residue", "window", "protein"])
def test_the_hdf5_layout_is_the_fields(per: Per, tmp_path: Path) -> None:
    gather(tmp_path / "x.h5", per=per)
    names = [hashlib.sha256(f"{p.sequence}_{len(p)}".encode()).hexdigest() for p in PROTEINS[:2]]
    with h5py.File(tmp_path / "x.h5") as file:
        assert list(file) == names
        assert all(isinstance(file[name], h5py.Dataset) for name in names)
        assert dict(file.attrs) == {
            "model": "tiny",
            "model_sha256": "ab" * 32,
            "layer": "last",
            "per": per,
            "pooling": "x",
            "dtype": "fp16",
            "dim": 4,
        }
        first, second = (file[name] for name in names)
        assert set(first.attrs) == {"original_id", "original_ids", "sha256", "length"}
        assert set(second.attrs) == {"original_id", "sha256", "length"}
        assert first.attrs["original_id"] == "sp|P1|A/B"
        assert list(first.attrs["original_ids"]) == ["sp|P1|A/B", "twin"]
        assert second.attrs["original_id"] == "second"
        assert first.attrs["sha256"] == PROTEINS[0].sha256
        assert [first.attrs["length"], second.attrs["length"]] == [10, 12]
        assert first.dtype == numpy.float16
        assert first.shape == ((4,) if per == "protein" else (ROWS[per], 4))


def test_biotrainer_finds_every_sequence_and_older_readers_every_id(tmp_path: Path) -> None:
    gather(tmp_path / "x.h5", per="residue")
    with h5py.File(tmp_path / "x.h5", "r") as file:
        by_hash = {name: dataset[:] for name, dataset in file.items()}
        by_id = {dataset.attrs["original_id"]: dataset[:] for dataset in file.values()}
    for protein in PROTEINS:
        found = by_hash[hashlib.sha256(f"{protein.sequence}_{len(protein)}".encode()).hexdigest()]
        numpy.testing.assert_array_equal(found, states(protein, "residue"))
        assert len(found) == len(protein)
    assert set(by_id) == {"sp|P1|A/B", "second"}


@pytest.mark.parametrize("ending", FORMATS)
@pytest.mark.parametrize("per", ["residue", "window", "protein"])
def test_what_is_written_is_read_back(ending: str, per: Per, tmp_path: Path) -> None:
    if ending == ".zarr":
        pytest.importorskip("zarr")
    path = tmp_path / f"x{ending}"
    assert gather(path, per=per) == ["sp|P1|A/B", "second"]
    known, found = read_store(path)
    assert known == about(per)
    for entry, protein, ids in zip(found, PROTEINS, (("sp|P1|A/B", "twin"), ("second",)), strict=False):
        assert (entry.sha256, entry.name, entry.length) == (protein.sha256, field_key(protein.sequence), len(protein))
        assert entry.ids == ids
        assert entry.values.dtype == numpy.float16
        numpy.testing.assert_array_equal(entry.values, states(protein, per))
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_polars_reads_the_parquet(tmp_path: Path) -> None:
    gather(tmp_path / "x.parquet", per="protein")
    table = polars.read_parquet(tmp_path / "x.parquet")
    assert table.columns == ["sha256", "original_id", "original_ids", "length", "field_key", "values"]
    assert table["original_ids"].to_list() == [["sp|P1|A/B", "twin"], ["second"]]
    numpy.testing.assert_array_equal(table["values"].to_numpy()[1], states(PROTEINS[1], "protein"))


def test_zarr_lies_end_to_end(tmp_path: Path) -> None:
    zarr = pytest.importorskip("zarr")
    gather(tmp_path / "x.zarr", per="residue")
    group = zarr.open_group(tmp_path / "x.zarr", mode="r")
    assert group["offsets"][:].tolist() == [0, 10, 22]
    assert group["values"].shape == (22, 4)
    assert [json.loads(ids) for ids in group["original_ids"][:]] == [["sp|P1|A/B", "twin"], ["second"]]


@pytest.mark.parametrize("ending", FORMATS)
def test_a_file_is_added_to_and_left_alone_where_nothing_is_new(ending: str, tmp_path: Path) -> None:
    if ending == ".zarr":
        pytest.importorskip("zarr")
    path = tmp_path / f"x{ending}"
    gather(path, PROTEINS[:1])
    assert gather(path) == ["second"]
    assert [entry.ids for entry in entries(path)] == [("sp|P1|A/B", "twin"), ("second",)]
    numpy.testing.assert_array_equal(entries(path)[0].values, states(PROTEINS[0], "protein"))
    before = path.stat().st_ino
    assert gather(path) == []
    assert path.stat().st_ino == before


def test_more_ids_than_an_hdf5_attribute_of_old_could_hold(tmp_path: Path) -> None:
    many = [Protein(f"protein number {number}", "MKVLAAGGHH") for number in range(6000)]
    assert gather(tmp_path / "x.h5", many) == ["protein number 0"]
    (entry,) = entries(tmp_path / "x.h5")
    assert entry.ids == tuple(protein.id for protein in many)


@pytest.mark.parametrize("ending", FORMATS)
def test_a_name_with_bytes_that_are_no_text_is_written_out(ending: str, tmp_path: Path) -> None:
    if ending == ".zarr":
        pytest.importorskip("zarr")
    gather(tmp_path / f"x{ending}", [Protein("caf\udce9", "MKVLAAGGHH"), Protein("β-lactamase", "ACDEFGHIKL")])
    assert [entry.ids for entry in entries(tmp_path / f"x{ending}")] == [("caf\\udce9",), ("β-lactamase",)]


class Killed(Exception):
    """Stands for the end of the process at some point."""


def kill_at(name: str, patch: pytest.MonkeyPatch) -> None:
    """The run ends where the function of this name is called, and no step after it is taken."""

    def stop(*_: object) -> None:
        raise Killed

    patch.setattr(gathering_module if hasattr(gathering_module, name) else Gathering, name, stop)


@pytest.mark.parametrize("ending", FORMATS)
@pytest.mark.parametrize("point", ["_flush", "_take_place", "_delete_part"])
@pytest.mark.parametrize("is_added", [False, True])
def test_no_step_of_the_ending_loses_anything(
    point: str, is_added: bool, ending: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if ending == ".zarr":
        pytest.importorskip("zarr")
    path = tmp_path / f"x{ending}"
    if is_added:
        gather(path, PROTEINS[:1])
    with monkeypatch.context() as patch:
        kill_at(point, patch)
        with pytest.raises(Killed):
            gather(path)
    assert gather(path) == []
    assert [entry.ids for entry in entries(path)] == [("sp|P1|A/B", "twin"), ("second",)]
    for entry, protein in zip(entries(path), PROTEINS, strict=False):
        numpy.testing.assert_array_equal(entry.values, states(protein, "protein"))
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_a_folder_that_was_taken_away_and_not_yet_replaced_comes_back(tmp_path: Path) -> None:
    pytest.importorskip("zarr")
    gather(tmp_path / "x.zarr", PROTEINS[:1])
    (tmp_path / "x.zarr").rename(tmp_path / ".replaced-x.zarr")
    assert gather(tmp_path / "x.zarr") == ["second"]
    assert [entry.ids[0] for entry in entries(tmp_path / "x.zarr")] == ["sp|P1|A/B", "second"]


def test_a_torn_part_is_told_and_not_used(tmp_path: Path) -> None:
    (tmp_path / "x.h5.part").write_bytes(b"SQLite format 3\0" + b"\x07" * 5000)
    with pytest.raises(UsageError) as told:
        gather(tmp_path / "x.h5")
    assert re.fullmatch(
        r"'.*x\.h5\.part' is damaged: .+\. Delete it; the states in it are computed again\.", str(told.value)
    )


def test_states_of_two_kinds_are_not_mixed(tmp_path: Path) -> None:
    path = tmp_path / "x.h5"
    gather(path)
    with pytest.raises(UsageError) as told:
        gather(path, layer="3")
    assert str(told.value) == (
        f"'{path}' already holds states of another kind: its layer is 'last', now '3' was asked. "
        "Give another file with --out, or delete that one."
    )
    assert [file.name for file in tmp_path.iterdir()] == ["x.h5"]


def test_a_part_of_another_kind_is_not_gone_on_with(tmp_path: Path) -> None:
    with Gathering(tmp_path / "x.h5", about()) as gathering:
        gathering.wants(PROTEINS[0])
        gathering.put(PROTEINS[0], states(PROTEINS[0], "protein"))
    with pytest.raises(UsageError, match=r"x\.h5\.part' already holds states of another kind: its dtype is 'fp16'"):
        gather(tmp_path / "x.h5", dtype="fp32")
    assert gather(tmp_path / "x.h5") == ["second"]


def test_endings_and_strangers_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as told:
        gather(tmp_path / "x.npy")
    assert str(told.value) == (
        "'x.npy' does not say in which format to write. Give it a name that ends in .h5, .parquet or .zarr."
    )
    with pytest.raises(UsageError, match=r"There is no file '.*none\.h5'"):
        read_store(tmp_path / "none.h5")
    for ending in FORMATS[:2]:
        stranger = tmp_path / f"stranger{ending}"
        stranger.write_bytes(b"something else that must not be overwritten")
        with pytest.raises(UsageError, match=r"is no file of states that Anfinsen wrote: .+ or delete that file\."):
            gather(stranger)
        assert stranger.read_bytes() == b"something else that must not be overwritten"
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file.create_dataset("P1", data=numpy.zeros(4))
    with pytest.raises(UsageError, match="is no file of states that Anfinsen wrote"):
        gather(tmp_path / "other.h5")
