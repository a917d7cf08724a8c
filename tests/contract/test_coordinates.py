"""Chains with coordinates, read from tables made by hand: atoms, gaps, whole molecules, and what is refused."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy
import polars
import pytest

from anfinsen.errors import InputError, MissingDataError, UnknownNameError
from anfinsen.sets.coordinates import ATOMS, Kind, count_places, find_places, load_chains

CENTER = [10.0, -20.0, 30.5]


def row(name: str, sequence: str, numbers: Sequence[int], kind: Kind = "bb5", **changes: Any) -> dict[str, Any]:
    """A straight chain along x, 3.8 Å a residue number, as a table holds it."""
    points = numpy.zeros((len(sequence), len(ATOMS[kind]), 3))
    points[:, :, 0] = 3.8 * numpy.array(numbers)[:, None]
    points[:, :, 1] = numpy.arange(len(ATOMS[kind]))
    packed = numpy.round((points - CENTER) * 100).astype("<i2")
    packed[0, -1] = -32768
    given = {
        "id": name,
        "source": "hand",
        "seq": sequence,
        "resnum": numpy.array(numbers, dtype="<i4").tobytes(),
        "icodes": "",
        "atoms": kind,
        "coords": packed.tobytes(),
        "center": CENTER,
        "cluster": 1,
        "split": "train",
        "cameo2022_dev": False,
        "representative": True,
    }
    return given | changes


@pytest.fixture
def tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three training chains over two tables, one chain of validation, and one target with its whole molecule."""
    chains = [
        row("hand:gap", "STGA", [7, 8, 11, 12]),
        row("hand:alpha", "MK", [1, 2], "ca", cluster=2, source="graphppis_mds", representative=False),
        row("hand:valid", "MK", [1, 2], "bb3", cluster=3, split="val"),
        row("eigenfold:1abc.A", "STGA", [7, 8, 11, 12], cluster=4, split="test", cameo2022_dev=True),
    ]
    (tmp_path / "structures").mkdir()
    polars.DataFrame(chains).write_parquet(tmp_path / "structures" / "chains.parquet")
    more = [row("hand:more", "WY", [3, 4], cluster=5)]
    polars.DataFrame(more).write_parquet(tmp_path / "structures" / "chains_more.parquet")
    write_targets(tmp_path, "MSTLKGAA")
    monkeypatch.setenv("ANFINSEN_DATA", str(tmp_path))
    return tmp_path


def write_targets(folder: Path, whole: str) -> None:
    targets = polars.DataFrame({"name": ["1abc.A.pdb"], "seqlen": [len(whole)], "seqres": [whole]})
    targets.write_csv(folder / "structures" / "cameo2022_dev.csv")


def test_the_chains_of_both_tables_come_by_split_and_kind(tables: Path) -> None:
    assert [chain.id for chain in load_chains("train")] == ["hand:gap", "hand:alpha", "hand:more"]
    assert [chain.id for chain in load_chains("train", representatives=True)] == ["hand:gap", "hand:more"]
    assert [chain.id for chain in load_chains("train", kinds=("ca",))] == ["hand:alpha"]
    assert [(chain.id, chain.split) for chain in load_chains("valid")] == [("hand:valid", "valid")]
    assert load_chains("train", targets=True) == []
    assert [(chain.id, chain.cluster) for chain in load_chains("test", targets=True)] == [("eigenfold:1abc.A", 4)]


def test_atoms_are_in_angstrom_in_the_original_frame_and_nan_where_missing(tables: Path) -> None:
    gap, alpha, _ = load_chains("train")
    assert tuple(gap.atoms) == ("N", "CA", "C", "O", "CB")
    assert gap.atoms["CA"][2] == pytest.approx([3.8 * 11, 1.0, 0.0], abs=0.005)
    assert numpy.isnan(gap.atoms["CB"][0]).all()
    assert not numpy.isnan(gap.atoms["CB"][1:]).any()
    assert gap.betas is not None
    assert gap.betas.dtype == numpy.float32
    assert not numpy.isnan(gap.betas[1:]).any()
    assert (alpha.betas, alpha.is_rebuilt, gap.is_rebuilt) == (None, True, False)
    assert numpy.isnan(alpha.atoms["CA"][0]).all()


def test_a_chain_of_a_table_is_a_backbone_as_that_of_a_file(tables: Path) -> None:
    gap, alpha, _ = load_chains("train")
    backbone = gap.backbone
    assert (backbone.points.shape, backbone.breaks.shape, backbone.origin) == ((4, 5, 3), (3,), "experimental")
    assert numpy.array_equal(backbone.alphas, gap.atoms["CA"])
    assert numpy.isnan(alpha.backbone.atom("N")).all()


def test_unseen_residues_are_counted_by_the_numbers_or_in_the_whole_molecule(tables: Path) -> None:
    gap = load_chains("train")[0]
    assert (gap.whole, gap.places.tolist(), gap.numbers.tolist()) == (None, [0, 1, 4, 5], [7, 8, 11, 12])
    (target,) = load_chains("test")
    assert (target.whole, target.places.tolist(), target.is_target) == ("MSTLKGAA", [1, 2, 5, 6], True)


@pytest.mark.parametrize(
    ("numbers", "steps", "places"),
    [
        ([1, 2, 3], [3.8, 3.8], [0, 1, 2]),
        ([1, 2, 9], [3.8, 3.8], [0, 1, 2]),
        ([1, 2, 9], [3.8, 12.0], [0, 1, 8]),
        ([5, 5, 6], [3.8, 3.8], [0, 1, 2]),
        ([90, 91, 1], [3.8, 30.0], [0, 1, 2]),
        ([1, 2, 4], [3.8, numpy.nan], [0, 1, 3]),
    ],
    ids=["no gap", "jump without a break", "break", "insertion code", "numbers start again", "unknown step"],
)
def test_a_jump_of_the_numbers_counts_only_where_the_chain_is_broken(
    numbers: list[int], steps: list[float], places: list[int]
) -> None:
    alphas = numpy.zeros((3, 3), dtype=numpy.float32)
    alphas[1:, 0] = numpy.cumsum(steps)
    assert count_places(numpy.array(numbers), alphas).tolist() == places


@pytest.mark.parametrize(
    ("sequence", "numbers", "whole", "places"),
    [
        ("STGA", [7, 8, 11, 12], "MSTLKGAA", [1, 2, 5, 6]),
        ("AA", [1, 2], "GAAA", [1, 2]),
        ("GA", [1, 2], "GA", [0, 1]),
        ("STGA", [7, 8, 10, 11], "MSTLKGAA", None),
        ("GA", [1, 1], "GGA", None),
        ("GA", [1, 9], "GA", None),
    ],
    ids=["gap", "first of two", "all", "wrong gap", "insertion code", "beyond the end"],
)
def test_residues_are_found_in_the_whole_molecule_by_number_and_letter(
    sequence: str, numbers: list[int], whole: str, places: list[int] | None
) -> None:
    found = find_places(sequence, numpy.array(numbers), whole)
    assert (None if found is None else found.tolist()) == places


def test_a_target_that_does_not_fit_its_molecule_is_refused_by_name(tables: Path) -> None:
    write_targets(tables, "MSTLKPPA")
    with pytest.raises(InputError) as error:
        load_chains("test")
    assert str(error.value) == (
        "structures/cameo2022_dev.csv, eigenfold:1abc.A: The residues with coordinates are not found in the whole "
        "sequence. Get the tables of chains and of targets again, both of one release."
    )


def test_a_table_that_is_not_here_is_named_with_its_source(tables: Path) -> None:
    (tables / "structures" / "chains_more.parquet").unlink()
    with pytest.raises(MissingDataError) as error:
        load_chains("train")
    assert str(error.value) == (
        "The table 'structures/chains_more.parquet' (951 more protein chains with a whole backbone) is not in "
        f"{tables}. Get it from the wwPDB, by way of the repositories listed in the structure notes (coordinates: "
        "CC0 1.0) and set ANFINSEN_DATA to the folder that holds 'structures/chains_more.parquet'."
    )


def test_an_unknown_split_lists_the_known_ones() -> None:
    with pytest.raises(UnknownNameError) as error:
        load_chains("val")
    assert str(error.value) == (
        "There is no split of the chains called 'val'. Did you mean 'valid'? Known: test, train, valid."
    )
