"""What a user's own measurements add to a scan: five random folds of three experiments, as the literature deals them.

    scan + variants of four folds -> learned -> the fifth, by Spearman; beside it the scan alone and position means

Published figures are ProteinGym's supervised ones with random folds. Random folds flatter whoever has seen the same
position with another residue; the question that leaves whole positions out stands beside them.
"""

from __future__ import annotations

from anfinsen.bench.study import Question, Tell
from anfinsen.bench.suite import TRAIN
from anfinsen.hub.bundle import Bundle
from anfinsen.hub.record import Score
from anfinsen.inference.measured import Table, try_folds
from anfinsen.inference.scan import scan_with
from anfinsen.sets.assays import GFP, PABP_SINGLES, TEM1, read_scan
from anfinsen.structure.protein import Protein

DRAWN = 5000
"""Variants of one experiment at most."""


def measured_rows(bundle: Bundle, *, limit: int | None, tell: Tell) -> list[Score]:
    """Spearman of the learned scan, the scan alone and the mean of each position, variants or positions left out."""
    rows: list[Score] = []
    for assay in (TEM1, PABP_SINGLES, GFP):
        measured = read_scan(assay, min(limit or DRAWN, DRAWN))
        tell(f"measured: {len(measured.variants):,} variants of {assay.split}.")
        scan = scan_with(bundle.network, Protein(assay.split, measured.wild_type))
        for trial in try_folds(scan, Table(measured.variants, measured.effects, ())):
            question = Question(TRAIN, "masked", assay.table.name, f"{assay.split}, {trial.name}", "spearman")
            names = {"learned": f"{bundle.label}, scan with data", "zero-shot": "scan without data"}
            rows += [question.row(names.get(name, name), one) for name, one in trial.estimates.items()]
            if trial.name == "random folds":
                rows += [question.published(name, value) for name, value in assay.supervised]
    return rows
