"""Known binders that come along: relatives and likeness against what is counted by hand and by RDKit."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy
import pytest
from rdkit import Chem, DataStructs
from rdkit.Chem import rdFingerprintGenerator

from anfinsen.data.alphabet import RESIDUES
from anfinsen.drug.features import circles_shared
from anfinsen.drug.molecule import Formula, Molecule, read_formulas
from anfinsen.errors import BundleError
from anfinsen.inference.affinity import say_known
from anfinsen.sets.known_binders import LIBRARY, NOBODY, KnownBinders, find_binders, known_binders
from anfinsen.structure.protein import Protein

ABL1 = (
    "ITMKHKLGGGQYGEVYEGVWKKYSLTVAVKTLKEDTMEVEEFLKEAAVMKEIKHPNLVQLLGVCTREPPFYIITEFMTYGNLLDYLRECNRQEVNAVVLLYMATQISSAMEYLEKKN"
    "FIHRDLAARNCLVGENHLVKVADFGLSRLMTGDTYTAHAGAKFPIKWTAPESLAYNKFSIKSDVWAFGVLLWEIATYGMSPYPGIDLSQVYELLEKDYRMERPEGCPEKVYELMRAC"
    "WQWNPSDRPSFAEIHQAFETMF"
)
"""Kinase domain of human ABL1 (UniProt P00519, 242 to 497)."""
STRANGER = "".join(numpy.random.default_rng(2).choice(list(RESIDUES), 200))
IMATINIB = "Cc1ccc(NC(=O)c2ccc(CN3CCN(C)CC3)cc2)cc1Nc1nccc(-c2cccnc2)n1"
WITHOUT_METHYL = IMATINIB.replace("N(C)", "N")
"""The main metabolite of imatinib, CGP74588."""
ASPIRIN, HANDS = "CC(=O)Oc1ccccc1C(=O)O", ("C[C@H](N)Cc1ccccc1", "C[C@@H](N)Cc1ccccc1")


def molecules(*smiles: str) -> list[Molecule]:
    found = list(read_formulas(Formula(text, text) for text in smiles))
    assert all(isinstance(one, Molecule) for one in found)
    return [one for one in found if isinstance(one, Molecule)]


def mutant(places: Sequence[int]) -> str:
    """ABL1 with another residue at some places."""
    letters = list(ABL1)
    for at in places:
        letters[at] = "A" if letters[at] != "A" else "G"
    return "".join(letters)


def test_identity_is_what_was_left_of_the_aligned_stretch() -> None:
    changed = mutant(range(10, len(ABL1) - 10, 8))
    count = len(range(10, len(ABL1) - 10, 8))
    known = KnownBinders.of_pairs([STRANGER, changed + STRANGER, ABL1], molecules(ASPIRIN), [(0, 0), (1, 0), (2, 0)])
    assert known.relatives(ABL1) == {2: 1.0, 1: pytest.approx(1 - count / len(ABL1), abs=0.005)}
    found = known.of(ABL1)
    assert found.nearest(molecules(ASPIRIN))[0].name == "a binder of a protein 100% identical"
    assert found.identity.tolist() == [1.0] and found.relatives == 2
    assert known.of(mutant(range(0, 200, 2))[::-1]).sha256 == NOBODY.sha256 == ""


def test_what_is_too_small_or_has_no_pair_is_left_out_and_hands_are_one() -> None:
    drugs = molecules("CCO", *HANDS, ASPIRIN, IMATINIB)
    known = KnownBinders.of_pairs([ABL1, STRANGER, ABL1[:50]], drugs, [(0, 0), (0, 1), (0, 2), (1, 2), (1, 3), (2, 0)])
    assert (len(known), len(known.lengths)) == (2, 2)
    assert list(zip(known.protein.tolist(), known.binder.tolist(), strict=True)) == [(0, 0), (1, 0), (1, 1)]
    assert len(known.of(ABL1)) == 1 and len(known.of(STRANGER)) == 2


def test_likeness_is_the_tanimoto_of_rdkit_and_given_ligands_stand_before_found_ones(tmp_path: Path) -> None:
    texts = (IMATINIB, ASPIRIN, HANDS[0])
    KnownBinders.of_pairs([ABL1], molecules(*texts), [(0, 0), (0, 1), (0, 2)]).save(tmp_path / "some.safetensors")
    known = KnownBinders.open(tmp_path / "some.safetensors").of(ABL1)
    maker = rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=2048)
    prints = [maker.GetFingerprint(Chem.MolFromSmiles(text)) for text in (*texts, WITHOUT_METHYL)]
    (near,) = known.nearest(molecules(WITHOUT_METHYL))
    assert near.likeness == pytest.approx(max(DataStructs.BulkTanimotoSimilarity(prints[3], prints[:3])))
    assert (near.place, near.is_known) == (0, False) and known.nearest(molecules(HANDS[1]))[0].is_known
    both = known.beside(molecules(ASPIRIN))
    assert both.nearest(molecules(ASPIRIN))[0].name == ASPIRIN and both.sha256 != known.sha256
    assert both.say("ABL1") == "1 given ligand and 3 known binders of 1 protein like ABL1, the nearest 100% identical"


def test_the_atoms_that_a_binder_shares_are_those_of_the_common_part() -> None:
    (one,) = molecules(WITHOUT_METHYL)
    (other,) = molecules(IMATINIB)
    circles = other.fragments[other.fragments[:, 0] < 2048, 0].tolist()
    assert min(circles_shared(other.smiles, circles)) == 1.0
    shared = numpy.array(circles_shared(one.smiles, circles))
    pattern = Chem.MolFromSmarts("C1CNCCN1")
    ring = [at for match in Chem.MolFromSmiles(one.smiles).GetSubstructMatches(pattern) for at in match]
    assert set(numpy.flatnonzero(shared < 1).tolist()) <= set(ring) and shared[ring].mean() < 0.7
    assert sum(circles_shared(molecules("CCCCCCN")[0].smiles, molecules("c1ccsc1")[0].fragments[:, 0].tolist())) == 0


def test_what_comes_along_is_what_the_page_says_and_knows_imatinib_from_aspirin() -> None:
    known = known_binders()
    counts = f"{len(known.protein):,} pairs of {len(known):,} binders and {len(known.lengths):,} proteins"
    assert counts in " ".join((Path(__file__).parents[2] / "docs" / "screening.md").read_text(encoding="utf-8").split())
    assert LIBRARY.stat().st_size < 2_000_000
    found = find_binders(ABL1)
    assert found.identity.max() == 1.0 and found.relatives > 5
    own, cousin, aspirin = found.nearest(molecules(IMATINIB, WITHOUT_METHYL, ASPIRIN))
    assert own.is_known and own.name == "a binder of a protein 100% identical"
    assert 0.7 < cousin.likeness < 1 and aspirin.likeness < 0.35
    assert not len(find_binders(STRANGER))
    told = say_known(Protein("ABL1", ABL1), molecules(ASPIRIN, IMATINIB))
    assert told is not None and told.endswith(f"{IMATINIB} comes closest, by a likeness of 1.00 to {own.name}.")
    assert say_known(Protein("stranger", STRANGER), molecules(ASPIRIN)) is None


def test_a_damaged_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "broken").write_bytes(LIBRARY.read_bytes()[:1000])
    with pytest.raises(BundleError, match="holds no known binders"):
        KnownBinders.open(tmp_path / "broken")


def test_a_binder_of_a_relative_counts_by_how_identical_its_protein_is_and_is_still_known() -> None:
    far = mutant(range(0, len(ABL1), 2))
    pairs = [(0, 0), (1, 1)]
    found = KnownBinders.of_pairs([far, ABL1], molecules(IMATINIB, WITHOUT_METHYL), pairs).of(ABL1)
    assert sorted(found.identity.tolist()) == [pytest.approx(0.5, abs=0.02), 1.0]
    (near,) = found.nearest(molecules(IMATINIB))
    assert near.name == "a binder of a protein 100% identical" and near.is_known and near.likeness < 1
    assert near.score == near.likeness > found.identity.min() ** 0.5
