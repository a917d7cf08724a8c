"""Mutations without a label: does the model's surprise rank variants as the experiment did?

    deep mutational scan -> variants -> masked marginals, summed -> Spearman against the measured effect

Nothing is fitted. Beside the model stand three that know less: what evolution usually swaps (BLOSUM62, the mutant's
score less the wild type's), how common the residues are (the log-odds of their shares in the training proteins), and
the same network with random weights. The interval draws variants of ONE protein; it says nothing of other proteins.
Published figures are ProteinGym's (Notin et al. 2023, bioRxiv 2023.12.07.570727), over the same variants: its
site-independent model has an alignment of relatives, ours sees the sequence alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy
import polars
from biotite.sequence.align import SubstitutionMatrix
from numpy.typing import NDArray

from anfinsen.bench.study import UNTRAINED, Question, Tell, untrained
from anfinsen.bench.suite import LANGUAGE_MODEL
from anfinsen.data.alphabet import RESIDUES
from anfinsen.data.catalog import Table
from anfinsen.data.example import Example
from anfinsen.data.variants import SEPARATOR, Variant, parse_variant
from anfinsen.errors import MissingDataError, UnknownNameError
from anfinsen.hub.bundle import MASKED
from anfinsen.hub.record import Score
from anfinsen.inference.variants import marginals, score_variants
from anfinsen.models.network import Network
from anfinsen.structure.protein import Protein
from anfinsen.tasks import TASKS
from anfinsen.tasks.metrics import Estimate, measure

Floats = NDArray[numpy.floating[Any]]

METRIC = "spearman"
RESAMPLES = 200
"""Draws of the bootstrap, fewer than elsewhere: each of them ranks tens of thousands of variants anew."""
WILD_TYPES = Table(
    "mutations/wild_types.parquet",
    {},
    "wild types of the deep mutational scans",
    "github.com/gitter-lab/nn4dms and facebookresearch/esm",
    "MIT",
)
_SEED = 1


@dataclass(frozen=True)
class Assay:
    """One deep mutational scan: where its table lies, which of its variants are scored, what others reach."""

    split: str
    table: Table
    published: tuple[tuple[str, float], ...] = ()
    most_changes: int | None = None
    note: str = ""


def _table(name: str, title: str, source: str) -> Table:
    return Table(f"mutations/{name}.parquet", {}, title, source, "MIT")


_PAB1 = _table("pab1", "RNA-binding domain of yeast PABP (Melamed et al. 2013)", "github.com/gitter-lab/nn4dms")
ASSAYS = (
    Assay(
        "TEM-1",
        _table("blat_ecolx_stiffler2015", "TEM-1 beta-lactamase (Stiffler et al. 2015)", "facebookresearch/esm"),
        (("ESM-2 8M", 0.399), ("ESM-2 35M", 0.557), ("site-independent (ProteinGym)", 0.466)),
    ),
    Assay(
        "PABP",
        _PAB1,
        (("ESM-2 8M", 0.476), ("ESM-2 35M", 0.566), ("site-independent (ProteinGym)", 0.663)),
        note="single and double mutants, as in ProteinGym; the table has the 75 residues of one domain, "
        "which is all that our model reads, while the published models read the whole protein",
    ),
    Assay("PABP single mutants", _PAB1, most_changes=1, note="the same domain alone; no published figure to compare"),
    Assay(
        "GFP",
        _table("avgfp", "green fluorescent protein (Sarkisyan et al. 2016)", "github.com/gitter-lab/nn4dms"),
        (("ESM-2 8M", 0.078), ("ESM-2 35M", 0.131), ("site-independent (ProteinGym)", 0.649)),
    ),
)


@dataclass(frozen=True)
class Scan:
    """A wild type (L residues), its variants (V) and what was measured of each (V,)."""

    wild_type: str
    variants: list[Variant]
    effects: Floats


def variant_rows(network: Network, model: str, *, limit: int | None, tell: Tell) -> list[Score]:
    """Spearman of our masked marginals and of their rivals on every scan; `limit` draws so many variants of each."""
    if MASKED not in network.heads:
        raise UnknownNameError(f"task in '{model}'", MASKED, network.heads)
    twin = untrained(network)
    networks = [(model, network)] + ([(UNTRAINED, twin)] if twin is not None else [])
    background = residue_shares([example.protein.sequence for example in TASKS[MASKED].examples("train")])
    rows: list[Score] = []
    for assay in ASSAYS:
        scan = read_scan(assay, limit)
        note = f" ({assay.note})" if assay.note else ""
        tell(f"variants: {len(scan.variants):,} of {assay.split}{note}.")
        scores = {name: marginals(one, scan.wild_type) for name, one in networks}
        scores["BLOSUM62"] = blosum62(scan.wild_type)
        scores["residue frequencies"] = log_odds(scan.wild_type, background)
        question = Question(LANGUAGE_MODEL, MASKED, assay.table.name, assay.split, METRIC)
        rows += [question.row(name, _agreement(table, scan)) for name, table in scores.items()]
        rows += [question.published(name, value) for name, value in assay.published]
    return rows


def read_scan(assay: Assay, limit: int | None = None) -> Scan:
    """The variants of one scan, numbered on its wild type, or a fixed random draw of `limit` of them."""
    (path,), (known,) = assay.table.paths(), WILD_TYPES.paths()
    wild = polars.read_parquet(known).filter(polars.col("assay") == assay.table.name)
    if not len(wild):
        raise MissingDataError(
            f"'{WILD_TYPES.files}' has no wild type for '{assay.table.name}'.",
            remedy=f"Get the table again from {WILD_TYPES.source}.",
        )
    rows = polars.read_parquet(path)
    if assay.most_changes is not None:
        rows = rows.filter(polars.col("num_mutations") <= assay.most_changes)
    chosen = numpy.sort(numpy.random.default_rng(_SEED).permutation(len(rows))[:limit])
    sequence, first = wild["wt_sequence"].item(), int(wild["numbering_offset"].item())
    texts = rows["variant"].to_list()
    variants = [parse_variant(texts[index].replace(",", SEPARATOR), sequence, first=first) for index in chosen]
    return Scan(sequence, variants, rows["score"].to_numpy()[chosen])


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


def _agreement(table: Floats, scan: Scan) -> Estimate:
    protein = Protein("variant", scan.wild_type)
    truths = [Example(protein, float(effect)) for effect in scan.effects]
    answers = [{"value": float(score)} for score in score_variants(table, scan.variants)]
    return measure(METRIC, truths, answers, resamples=RESAMPLES)
