"""Open reading frames: against biotite's own translation, a known gene, and every rule that is written down."""

from __future__ import annotations

import io
from itertools import product

import numpy
import pytest
from biotite.sequence import CodonTable, NucleotideSequence

from anfinsen.data.example import Example
from anfinsen.errors import InputError, UsageError
from anfinsen.reading.genes import GeneticCode, reading_frames, translator
from anfinsen.reading.raw import RawRecord
from anfinsen.reading.readers import read_examples

# the insulin gene's coding sequence as it stands in human mRNA (NM_000207), and the protein of UniProt P01308
INSULIN_GENE = (
    "ATGGCCCTGTGGATGCGCCTCCTGCCCCTGCTGGCGCTGCTGGCCCTCTGGGGACCTGACCCAGCCGCAGCCTTTGTGAACCAACACCTGTGCGGCTCACACCTGGTGGAA"
    "GCTCTCTACCTAGTGTGCGGGGAACGAGGCTTCTTCTACACACCCAAGACCCGCCGGGAGGCAGAGGACCTGCAGGTGGGGCAGGTGGAGCTGGGCGGGGGCCCTGGTGCA"
    "GGCAGCCTGCAGCCCTTGGCCCTGGAGGGGTCCCTGCAGAAGCGTGGCATTGTGGAACAATGCTGTACCAGCATCTGCTCCCTCTACCAGCTGGAGAACTACTGCAACTAG"
)
INSULIN = (
    "MALWMRLLPLLALLALWGPDPAAAFVNQHLCGSHLVEALYLVCGERGFFYTPKTRREAEDLQVGQVELGGGPGAGSLQPLALEGSLQKRGIVEQCCTSICSLYQLENYCN"
)


def dna(length: int, seed: int = 1) -> str:
    return "".join(numpy.random.default_rng(seed).choice(list("ACGT"), size=length))


def other_strand(letters: str) -> str:
    return str(NucleotideSequence(letters).reverse().complement())


def proteins(text: str, code: int = 1, shortest: int = 50) -> list[Example | InputError]:
    translate = translator(code, shortest)
    return list(read_examples(io.BytesIO(text.encode()), translate=translate))  # type: ignore[arg-type]


def test_the_insulin_gene_gives_insulin() -> None:
    (found,) = proteins(f">INS\n{INSULIN_GENE}\n")
    assert isinstance(found, Example)
    assert found.protein.sequence == INSULIN
    assert found.protein.id == "INS:1-333:+1"
    assert "letters 1 to 333 of 'INS' in frame +1 with genetic code 1" in found.protein.messages[0].text


@pytest.mark.parametrize("strand", [1, -1])
@pytest.mark.parametrize("before", [0, 1, 2])
def test_a_gene_is_found_in_every_frame_of_both_strands(strand: int, before: int) -> None:
    """Stop codons in all frames on either side keep what surrounds the gene out of it."""
    walls = "TAACTAACTAA"
    record = "G" * before + walls + INSULIN_GENE + walls + "CC"
    letters = record if strand > 0 else other_strand(record)
    frames = [one for one in reading_frames(letters, GeneticCode()) if one.protein == INSULIN]
    assert len(frames) == 1
    (one,) = frames
    assert letters[one.start - 1 : one.end] == (INSULIN_GENE if strand > 0 else other_strand(INSULIN_GENE))
    place = one.start - 1 if strand > 0 else len(letters) - one.end
    assert abs(one.frame) == place % 3 + 1
    assert (one.frame > 0) == (strand > 0)


@pytest.mark.parametrize("seed", range(4))
def test_frames_between_stops_are_those_of_biotite(seed: int) -> None:
    """Of one strand, the longest frame that begins at ATG and ends at a stop, for every stop codon."""
    letters = dna(3000, seed)
    theirs: dict[int, tuple[int, str]] = {}
    for residues, (start, stop) in zip(*NucleotideSequence(letters).translate(), strict=True):
        text = str(residues)
        if text.endswith("*") and len(text) - 1 >= 20 and len(text) > len(theirs.get(stop, (0, ""))[1]) + 1:
            theirs[stop] = (start, text[:-1])
    ours = {
        one.end: (one.start - 1, one.protein)
        for one in reading_frames(letters, GeneticCode(), 20)
        if one.frame > 0 and one.has_start and one.has_stop
    }
    assert theirs
    assert ours.items() <= theirs.items()
    shared = [stop for stop in theirs if stop not in ours]
    # what is missing lies under a longer frame, or begins at the record's edge
    every = reading_frames(letters, GeneticCode(), 20)
    for stop in shared:
        start, text = theirs[stop]
        assert any(
            min(one.end, stop) - max(one.start - 1, start) > 0.5 * 3 * (len(text) + 1) and len(one.protein) >= len(text)
            for one in every
        )


@pytest.mark.parametrize("code", [1, 2, 4, 11, 25])
def test_every_codon_of_every_code_is_biotites(code: int) -> None:
    ours, theirs = GeneticCode(code), CodonTable.load(code)
    for number, codon in enumerate(product("ACGTRYSWKMBDHVN", repeat=3)):
        if set(codon) <= set("ACGT"):
            assert chr(ours.residues[number]) == theirs["".join(codon)]


def test_another_code_reads_another_protein() -> None:
    """TGA is a stop in the standard code and tryptophan in that of Mycoplasma."""
    gene = "ATG" + "GAG" * 30 + "TGA" + "CTG" * 30 + "TAA"
    (found,) = proteins(f">m\n{gene}\n", code=4)
    assert isinstance(found, Example)
    assert found.protein.sequence == "M" + "E" * 30 + "W" + "L" * 30


def test_an_unknown_letter_is_a_residue_only_where_all_readings_agree() -> None:
    gene = "ATG" + "GCN" + "GAN" + "GAG" * 50 + "TAR"
    (found,) = proteins(f">n\n{gene}\n")
    assert isinstance(found, Example)
    assert found.protein.sequence == "MAX" + "E" * 50  # GCN is alanine; GAN aspartate or glutamate; TAR always a stop


def test_an_open_frame_says_so_and_rna_in_small_letters_is_read() -> None:
    (found,) = proteins(f">r\n{INSULIN_GENE[30:-3].lower().replace('t', 'u')}\n")
    assert isinstance(found, Example)
    assert found.protein.sequence == INSULIN[10:]
    told = [message.text for message in found.protein.messages]
    assert any("no start and no stop codon" in text for text in told)
    assert any("read as capitals" in text for text in told)


@pytest.mark.parametrize(
    ("letters", "sentence"),
    [
        ("MKTAYIAKQRQISFVKSHFSRQLEERLGLIEVQ", "This does not look like DNA or RNA"),
        ("ACGT" * 20 + "E" + "ACGT" * 20, "'E' (U+0045 LATIN CAPITAL LETTER E) at position 81"),
        ("ACGT" * 20 + "-" + "ACGT" * 20, "There is a gap at position 81"),
        ("TAACTAACTAA" * 20, "No open reading frame has 50 residues or more"),
    ],
)
def test_what_holds_no_gene_is_refused_with_its_reason(letters: str, sentence: str) -> None:
    (found,) = proteins(f">x\n{letters}\n")
    assert isinstance(found, InputError)
    assert sentence in str(found)
    assert (found.row, found.record) == (1, "x")


def test_a_wrong_code_and_too_short_a_frame_are_answered_before_anything_is_read() -> None:
    with pytest.raises(UsageError, match=r"There is no genetic code 7\."):
        translator(7)
    with pytest.raises(UsageError, match="10 is the least"):
        translator(1, 3)


def test_a_whole_gene_is_preferred_to_a_longer_frame_without_ends() -> None:
    """Protein G's domain among 9 and 15 letters: on the other strand 65 codons in a row are no stop, by chance."""
    gene = (
        "ATGCAGTATAAACTGATTCTGAACGGCAAAACCCTGAAAGGCGAAACCACCACCGAAGCGGTGGATGCGGCGACCGCGGAAAAAGTGTTTAAACAGTATGCGAACGAT"
        "AACGGCGTGGATGGCGAATGGACCTATGATGATGCGACCAAAACCTTTACCGTGACCGAATAA"
    )
    (found,) = reading_frames("CCGTAGACC" + gene + "GGATCCGTAACTAAC", GeneticCode())
    assert (found.start, found.end, found.frame, found.has_start, found.has_stop) == (10, 180, 1, True, True)


def test_two_genes_of_one_record_are_two_proteins_with_the_records_conditions() -> None:
    wall = "TAACTAACTAA"
    raw = RawRecord(7, "contig", wall + INSULIN_GENE + wall + other_strand(INSULIN_GENE) + wall, conditions={"ph": 6.0})
    found = list(translator()(raw, "genes.csv"))
    ids = [one.id for one in found if isinstance(one, RawRecord) and one.raw == INSULIN]
    assert ids == ["contig:12-344:+3", "contig:356-688:-3"]
    assert all(isinstance(one, RawRecord) and one.conditions == {"ph": 6.0} and one.row == 7 for one in found)


def test_without_the_flag_the_refusal_names_it() -> None:
    (found,) = read_examples(io.BytesIO(f">INS\n{INSULIN_GENE}\n".encode()))
    assert "Looks like DNA" in str(found)
    assert "--translate" in str(found)
