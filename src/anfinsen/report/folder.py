"""The folder that a prediction leaves behind, made from predictions.jsonl alone.

predictions.jsonl   every answer whole, one protein a line (written while the job ran)
predictions.csv     one row a protein, for a spreadsheet
residues/           one table a protein with its answers per residue
refused.csv         what was not answered, why, and what to do
report.html         all of it as pictures and sentences, in one file that can be mailed
"""

from __future__ import annotations

from itertools import islice
from pathlib import Path

from anfinsen.inference.jobs import JobResult, read_answers
from anfinsen.inference.predictor import Predictor
from anfinsen.report.html import write_report
from anfinsen.report.origin import origin
from anfinsen.report.tables import write_csv, write_refused, write_residues

RESIDUE_TABLES = 1000
"""At most so many per-residue tables; predictions.jsonl holds the rest."""


def write_folder(folder: Path, result: JobResult, predictor: Predictor, *, raw_csv: bool = False) -> None:
    """Write every table and the report of a finished job."""
    write_csv(folder / "predictions.csv", read_answers(folder), raw=raw_csv)
    for prediction in islice(read_answers(folder), RESIDUE_TABLES):
        write_residues(folder / "residues", prediction, raw=raw_csv)
    write_refused(folder / "refused.csv", result.refused, raw=raw_csv)
    bundle = predictor.bundle
    write_report(
        folder / "report.html",
        read_answers(folder),
        tasks={task.name: task for task in predictor.tasks},
        records=bundle.records,
        about=origin(bundle),
        refused=result.refused,
    )
