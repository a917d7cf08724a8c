"""Families that come with the package: searched by HMMER, counted as written, and asked where they know more."""

from __future__ import annotations

from pathlib import Path

import numpy
import pytest

from anfinsen.data.alphabet import RESIDUES
from anfinsen.errors import BundleError
from anfinsen.kinship.collection import Collection
from anfinsen.kinship.families import LIBRARY, Families, known_families
from anfinsen.kinship.kin import NOBODY, Kin

TEM1 = (
    "MSIQHFRVALIPFFAAFCLPVFAHPETLVKVKDAEDQLGARVGYIELDLNSGKILESFRPEERFPMMSTFKVLLCGAVLSRIDAGQEQLGRRIHYSQNDLVEYSPVTEKHLTDG"
    "MTVRELCSAAITMSDNTAANLLLTTIGGPKELTAFLHNMGDHVTRLDRWEPELNEAIPNDERDTTMPVAMATTLRKLLTGELLTLASRQQLIDWMEADKVAGPLLRSALPAGWF"
    "IADKSGAGERGSRGIIAALGPDGKPSRIVVIYTTGSQATMDERNRQIAEIGASLIKHW"
)
"""Beta-lactamase TEM-1 of Escherichia coli (UniProt P62593)."""
STRANGER = "".join(numpy.random.default_rng(2).choice(list(RESIDUES), 200))


def families(*chains: str, depth: float = 4.0) -> Families:
    """Families in which each chain is all that there is; kind k is residue k alone."""
    shares = numpy.full((256, 20), 1e-4, dtype=numpy.float32)
    shares[numpy.arange(20), numpy.arange(20)] = 1
    kinds = numpy.array([RESIDUES.index(letter) for chain in chains for letter in chain], dtype=numpy.uint8)
    lengths = numpy.array([len(chain) for chain in chains], dtype=numpy.uint16)
    count = len(chains)
    return Families(shares, kinds, lengths, numpy.full(count, 7, numpy.uint16), numpy.full(count, depth, numpy.float32))


def changed(step: int) -> str:
    """TEM-1 with other residues in every so many places."""
    letters = list(TEM1)
    letters[::step] = STRANGER[: len(letters[::step])]
    return "".join(letters)


def test_columns_are_counted_beside_the_protein_that_they_are_like(tmp_path: Path) -> None:
    families(STRANGER, TEM1[40:]).save(tmp_path / "some.safetensors")
    found = Families.open(tmp_path / "some.safetensors").family(TEM1)
    assert found.relatives == 7 and found.told.startswith("7 relatives in the 2 families")
    assert numpy.allclose(found.depth[:30], 1) and numpy.allclose(found.depth[60:-5], 5, atol=0.05)
    own = numpy.array([RESIDUES.index(letter) for letter in TEM1])
    assert (found.counts.argmax(1) == own).all()


def test_a_protein_that_is_like_no_family_is_alone() -> None:
    found = families(TEM1).family(STRANGER)
    assert found.relatives == 0 and numpy.allclose(found.depth, 1)


def test_who_found_more_speaks() -> None:
    few, many = families(TEM1), Collection.of("mine", [TEM1[::-1], STRANGER])
    assert "come with Anfinsen" in Kin(many, few).family(TEM1).told
    deep = Collection.of("mine", [changed(step) for step in (2, 3)])
    assert "sequences of mine" in Kin(deep, families(TEM1[:150], depth=0.1)).family(TEM1).told
    assert Kin.find(NOBODY) is None


def test_the_shipped_families_know_the_serine_that_cuts_and_the_lysine_beside_it() -> None:
    """Ambler's residues 70 and 73 (Ser-X-X-Lys) are the heart of every class A lactamase; place 68 and 71 here."""
    family = known_families().family(TEM1)
    assert family.relatives > 20 and float(numpy.median(family.depth)) > 10
    assert [TEM1[at] for at in (67, 70)] == ["S", "K"]
    assert family.variety[[67, 70]].max() < float(numpy.quantile(family.variety, 0.1))


def test_a_file_that_holds_no_families_is_told(tmp_path: Path) -> None:
    (tmp_path / "bad.safetensors").write_bytes(b"nothing")
    with pytest.raises(BundleError, match="holds no families"):
        Families.open(tmp_path / "bad.safetensors")
    assert LIBRARY.stat().st_size < 16_000_000
