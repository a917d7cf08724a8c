"""Mutations without a label: does the model's surprise rank variants as the experiment did?

    deep mutational scan -> variants -> masked marginals, summed -> Spearman against the measured effect

The model's row is its masked marginals alone, to which nothing is fitted; the row with ', scan' is what `anfinsen scan`
answers: their weighted sum with what is known without a network and with the families that come with the package,
fitted on other proteins (`bench/mutations.py`). That with ', scan alone' asks no relatives; that with ', scan with a
collection' is what `anfinsen scan --relatives` answers when it may search the corpus on which the language model was
trained, without proteins of official tests; 'site-independent' are the relatives in that corpus alone.
Beside them stand three that know less: what evolution usually swaps (BLOSUM62, the mutant's score less the wild
type's), how common the residues are (the log-odds of their shares in the training proteins), and the same network
with random weights. The interval draws variants of ONE protein; it says nothing of other proteins.
Published figures are ProteinGym's (Notin et al. 2023, bioRxiv 2023.12.07.570727), over the same variants: its
site-independent model has deeper alignments, of all of UniRef100.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy
from biotite.sequence.align import SubstitutionMatrix
from numpy.typing import NDArray

from anfinsen.bench.relatives import corpus
from anfinsen.bench.study import UNTRAINED, Question, Tell, untrained
from anfinsen.bench.suite import LANGUAGE_MODEL
from anfinsen.data.alphabet import RESIDUES
from anfinsen.data.example import Example
from anfinsen.errors import UnknownNameError
from anfinsen.hub.bundle import MASKED, Bundle
from anfinsen.hub.record import Score
from anfinsen.inference.scan import effect_weights, scan_with
from anfinsen.inference.variants import marginals, score_variants
from anfinsen.kinship.families import known_families
from anfinsen.kinship.kin import Kin
from anfinsen.sets.assays import ASSAYS, Measured, read_scan
from anfinsen.structure.protein import Protein
from anfinsen.targets.metrics import Estimate, measure
from anfinsen.tasks import TASKS

Floats = NDArray[numpy.floating[Any]]

METRIC = "spearman"
RESAMPLES = 200
"""Draws of the bootstrap, fewer than elsewhere: each of them ranks tens of thousands of variants anew."""


def variant_rows(bundle: Bundle, *, limit: int | None, tell: Tell) -> list[Score]:
    """Spearman of our masked marginals and of their rivals on every scan; `limit` draws so many variants of each."""
    if MASKED not in bundle.network.heads:
        raise UnknownNameError(f"task in '{bundle.label}'", MASKED, bundle.network.heads)
    twin = untrained(bundle.network)
    networks = [(bundle.label, bundle.network)] + ([(UNTRAINED, twin)] if twin is not None else [])
    asked = {"": Kin(known_families()), " with a collection": Kin(corpus()), " alone": None}
    background = residue_shares([example.protein.sequence for example in TASKS[MASKED].examples("train")])
    rows: list[Score] = []
    for assay in ASSAYS:
        scan = read_scan(assay, limit)
        note = f" ({assay.note})" if assay.note else ""
        tell(f"variants: {len(scan.variants):,} of {assay.split}{note}.")
        scores: dict[str, Floats] = {}
        if assay.split in effect_weights().about["lessons"]:
            tell(f"variants: {assay.split} taught the scan its weights, so the scan is not judged there.")
        else:
            for name, kin in asked.items():
                family = None if kin is None else kin.family(scan.wild_type)
                if family is not None:
                    tell(f"variants, scan{name}: {family.told}")
                    scores["site-independent"] = family.log_odds
                protein = Protein(assay.split, scan.wild_type)
                scores[f"{bundle.label}, scan{name}"] = scan_with(bundle.network, protein, family=family).scores
        scores |= {name: marginals(one, scan.wild_type) for name, one in networks}
        scores["BLOSUM62"] = blosum62(scan.wild_type)
        scores["residue frequencies"] = log_odds(scan.wild_type, background)
        question = Question(LANGUAGE_MODEL, MASKED, assay.table.name, assay.split, METRIC)
        rows += [question.row(name, _agreement(table, scan)) for name, table in scores.items()]
        rows += [question.published(name, value) for name, value in assay.published]
    return rows


# Rivals that see no context, as tables (L, 20) in the order of `RESIDUES` ---------------------------------------------


def blosum62(wild_type: str) -> Floats:
    """How readily relatives swap the residues: the score of mutant for wild type less that of the wild type itself."""
    matrix = SubstitutionMatrix.std_protein_matrix()
    scores = [[matrix.get_score(there, residue) for residue in RESIDUES] for there in wild_type]
    kept = [matrix.get_score(there, there) for there in wild_type]
    return numpy.array(scores, dtype=numpy.float64) - numpy.array(kept, dtype=numpy.float64)[:, None]


def log_odds(wild_type: str, shares: Floats) -> Floats:
    """How much commoner the mutant is than the wild type, as the logarithm of the ratio of their shares."""
    logs = numpy.log(shares)
    return numpy.stack([logs - logs[RESIDUES.index(there)] for there in wild_type])


def residue_shares(sequences: Sequence[str]) -> Floats:
    """The share of each of the twenty residues among the standard residues of some sequences, (20,)."""
    counts = numpy.zeros(256, dtype=numpy.int64)
    for sequence in sequences:
        counts += numpy.bincount(numpy.frombuffer(sequence.encode(), dtype=numpy.uint8), minlength=256)
    found = counts[[ord(residue) for residue in RESIDUES]] + 1  # one more, so that no share is zero
    shares: Floats = found / found.sum()
    return shares


def _agreement(table: Floats, scan: Measured) -> Estimate:
    protein = Protein("variant", scan.wild_type)
    truths = [Example(protein, float(effect)) for effect in scan.effects]
    answers = [{"value": float(score)} for score in score_variants(table, scan.variants)]
    return measure(METRIC, truths, answers, resamples=RESAMPLES)
