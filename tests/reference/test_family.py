"""Relatives found, laid beside a protein and counted: against HMMER's own alignment, by hand, and on bad input."""

from __future__ import annotations

import builtins
import gzip
from pathlib import Path
from typing import Any

import numpy
import pytest

from anfinsen.data.alphabet import RESIDUES
from anfinsen.data.substitutions import places_of
from anfinsen.errors import AnfinsenError, InputError, UsageError
from anfinsen.kinship.collection import Collection
from anfinsen.kinship.family import ALIKE, EVIDENCE, PRIOR, Family

LYSOZYME = (
    "KVFGRCELAAAMKRHGLDNYRGYSLGNWVCAAKFESNFNTQATNRNTDGSTDYGILQINSRWWCNDGRTPGSRNLCNIPCSALLSSDITASVNCAKKIVS"
    "DGNGMNAWVAWRNRCKGTDVQAWIRGCRL"
)
GENERATOR = numpy.random.default_rng(1)


def relative(sequence: str, share: float) -> str:
    """The sequence with a share of its residues changed at random, always others."""
    letters = list(sequence)
    for place in GENERATOR.permutation(len(letters))[: round(share * len(letters))]:
        letters[place] = RESIDUES[(RESIDUES.index(letters[place]) + GENERATOR.integers(1, 20)) % 20]
    return "".join(letters)


def family_of(*rows: str) -> Family:
    """The family of the first row; the others lie beside it, '-' where they have nothing."""
    return Family.of(rows[0], [places_of(row) for row in rows[1:]])


@pytest.fixture(scope="module")
def collection() -> Collection:
    strangers = ["".join(GENERATOR.choice(list(RESIDUES), 150)) for _ in range(40)]
    kin = [relative(LYSOZYME, share) for share in (0.1, 0.3, 0.4, 0.5)]
    return Collection.of(
        "test", [*strangers, *kin, "MM" + LYSOZYME[:50] + "GGGG" + LYSOZYME[50:] + "KK", LYSOZYME[:30]]
    )


def test_relatives_are_found_and_strangers_are_not(collection: Collection) -> None:
    family = collection.family(LYSOZYME)
    assert family.relatives == 5  # the piece of thirty residues covers too little of it
    own = numpy.array([RESIDUES.index(letter) for letter in LYSOZYME])
    assert (family.counts.argmax(1) == own).mean() > 0.9
    assert numpy.allclose(family.shares.sum(1), 1)
    assert (family.log_odds[numpy.arange(len(own)), own] == 0).all()
    assert family.told.startswith("5 relatives among the 46 sequences of test")


def test_the_alignment_is_that_of_hmmer(collection: Collection) -> None:
    """HMMER writes an alignment of all hits itself; its columns beside the protein are our rows."""
    from pyhmmer import easel, plan7

    letters = easel.Alphabet.amino()
    asked = easel.TextSequence(name="asked", sequence=LYSOZYME).digitize(letters)
    search: Any = plan7.Pipeline(letters, seed=42, E=1e-3, incE=1e-3, incdomE=1e-3)
    hits = search.search_seq(asked, collection._sequences._block, plan7.Builder(letters, seed=42))
    msa: Any = hits.to_msa(letters, all_consensus_cols=True)
    columns = [place for place, mark in enumerate(msa.reference) if mark == "x"]
    assert len(columns) == len(LYSOZYME)
    theirs = ["".join(row[place] for place in columns) for row in msa.alignment]
    ours = ["".join((RESIDUES + "-")[number] for number in one) for one in collection._relatives(LYSOZYME)]
    covering = [row for row in theirs if row.count("-") <= len(row) / 2]
    assert sorted(covering) == sorted(ours) and len(ours) == 5


def test_those_much_alike_count_as_one_together() -> None:
    family = family_of("ACDEF", "ACDEF", "ACDE-", "WYWYW")
    assert family.relatives == 3 and numpy.allclose(family.depth, [2, 2, 2, 2, 5 / 3])
    assert ALIKE == 0.8 and family.counts[0, RESIDUES.index("A")] == pytest.approx(1.0)


def test_pieces_that_do_not_meet_are_not_alike() -> None:
    family = family_of("ACDEFG", "WYW---", "---WYW")
    assert numpy.allclose(family.depth, 2)


def test_what_no_relative_has_is_guessed_from_what_they_have() -> None:
    family = family_of("LI", "IV", "VL", "MM")
    shares = dict(zip(RESIDUES, family.shares[0].tolist(), strict=True))
    assert shares["F"] > 1.5 * shares["D"] > 0  # oily residues become oily ones, though D is the commoner one
    many = family_of("LI", "IV", "WM", "MW")
    assert float(many.shares[0].max()) < (1 + PRIOR) / (4 + PRIOR)


def test_a_protein_without_relatives_is_its_own_family(collection: Collection) -> None:
    alone = collection.family("X" + "WHWHWHCHCHC" * 3)
    assert alone.relatives == 0 and numpy.isnan(alone.log_odds[0]).all() and numpy.isfinite(alone.log_odds[1:]).all()
    assert alone.told == "No relative among the 46 sequences of test can be told from chance."


def test_a_file_is_read_packed_or_not(tmp_path: Path, collection: Collection) -> None:
    text = "".join(f">p{number}\n{relative(LYSOZYME, 0.4)}\n" for number in range(6)).encode()
    plain, packed = tmp_path / "some.fasta", tmp_path / "some.fasta.gz"
    plain.write_bytes(text)
    packed.write_bytes(gzip.compress(text))
    one, other = (Collection.open(path).family(LYSOZYME) for path in (plain, packed))
    assert one.relatives == other.relatives == 6 and numpy.array_equal(one.counts, other.counts)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (b"", "empty"),
        (b"MKVLA\n", "line 1"),
        (b">a\nMKV1LA\n", "line 2"),
        (b">a\nMKV-LA\n", "Give FASTA without gaps"),
        (b"\x1f\x8b\x08\x00broken", "gzip"),
        (b"PK\x03\x04", "zip"),
    ],
    ids=["empty", "no header", "digit", "gap", "broken gzip", "zip"],
)
def test_what_is_no_fasta_is_told_with_its_line(tmp_path: Path, text: bytes, told: str) -> None:
    path = tmp_path / "bad.fasta"
    path.write_bytes(text)
    with pytest.raises(InputError) as caught:
        Collection.open(path)
    assert told in str(caught.value) and "bad.fasta" in str(caught.value)


def test_no_file_and_no_package_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError):
        Collection.open(tmp_path / "none.fasta")
    real = builtins.__import__

    def without(name: str, *rest: Any, **more: Any) -> Any:
        if name == "pyhmmer":
            raise ImportError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(AnfinsenError, match="pip install pyhmmer"):
        Collection.of("test", ["ACDE"])


def test_evidence_is_of_one_size_and_tells_steady_places_from_others() -> None:
    rows = ["".join(GENERATOR.choice(list("LIVMA")) + "GD" + GENERATOR.choice(list("KREQS"))) for _ in range(60)]
    evidence = family_of(*rows).evidence
    assert evidence.shape == (4, EVIDENCE) and evidence.dtype == numpy.float32 and numpy.abs(evidence).max() < 6
    assert [RESIDUES[at] for at in evidence[1:3, :20].argmax(1)] == ["G", "D"]
    assert evidence[1:3, 20].min() > 0 > evidence[[0, 3], 20].max()
    assert numpy.isfinite(Family.of("XA", []).evidence).all()
