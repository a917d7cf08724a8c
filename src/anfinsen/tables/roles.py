"""What is wanted of a split, and which column of a table plays which part in it.

Columns are found by their names, and a wrong or missing one is answered with what there is. It deals no row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from anfinsen.config import Config
from anfinsen.errors import UsageError
from anfinsen.kinship.splits import SHARES, Shares
from anfinsen.reading.tables import ID_COLUMNS
from anfinsen.tables.rows import PAIR_COLUMNS, Whole

SPLIT = "split"
"""The name of the column that is added."""
LABEL_COLUMNS = ("label", "labels", "target", "value", "y", "class", "score", "affinity", "pkd", "interaction")
"""Names, in lower case, under which the answer is looked for."""


class SplitPlan(Config):
    """What kind of split is wanted."""

    by: str = "cluster"
    """Kind of split: cluster, random, column, time, cold-a, cold-b or cold-pair."""
    identity: float = 0.3
    """Identity (0 to 1) at which two proteins are relatives and stay together."""
    columns: tuple[str, ...] = ()
    """The column with the sequences, the groups or the times; for cold splits the two columns of partners."""
    label: str = ""
    """The column with the answer; found by its name if left out."""
    seed: int = 1
    """Number that decides how rows are dealt; the same number deals the same."""
    shares: Shares = SHARES
    """Shares of train, valid and test."""
    mmseqs: bool = True
    """Whether MMseqs2 also looks for relatives, where it is installed."""


@dataclass(frozen=True)
class Roles:
    """Which column is what; `proteins` are those of `sequence` or `pair` that hold residues."""

    sequence: str | None
    pair: tuple[str, str] | None
    proteins: tuple[str, ...]
    id: str | None
    label: str | None
    by: str | None


def find_roles(table: Whole, plan: SplitPlan) -> Roles:
    """The part of each column, as the plan names it or as its name says."""
    if SPLIT in table.folded and not (plan.by == "column" and plan.columns[:1] == (SPLIT,)):
        raise UsageError(
            f"{table.file} has a column '{SPLIT}' already.",
            remedy=f"Rename it, or keep to it with --by column --column {SPLIT}.",
        )
    chosen = [table.column(name) for name in plan.columns]
    is_pair = plan.by.startswith("cold")
    pair = table.pair_columns()
    sequence, by = None, None
    if is_pair:
        pair = (chosen[0], chosen[1]) if len(chosen) == 2 else None if chosen else pair
        if pair is None:
            raise UsageError(
                f"A {plan.by} split needs two columns of partners, such as {PAIR_COLUMNS[0][0]} and "
                f"{PAIR_COLUMNS[0][1]}, or {PAIR_COLUMNS[6][0]} and {PAIR_COLUMNS[6][1]}.",
                remedy="Name them: --column FIRST --column SECOND.",
            )
    elif plan.by in ("column", "time"):
        if len(chosen) != 1:
            raise UsageError(f"A split by {plan.by} needs one column.", remedy="Name it: --column NAME.")
        by = chosen[0]
    elif plan.by == "cluster":
        sequence, pair = table.sequence_column(plan.columns[0] if plan.columns else None), None
    if not is_pair and pair is None and sequence is None:
        sequence = _optional_sequence(table, chosen[0] if chosen and by is None else None)
    proteins = (sequence,) if sequence else tuple(name for name in pair or () if table.holds_proteins(name))
    label = table.column(plan.label) if plan.label else _first(table, LABEL_COLUMNS, (*chosen, *(pair or ())))
    return Roles(sequence, pair, proteins, _first(table, ID_COLUMNS, proteins), label, by)


def _optional_sequence(table: Whole, chosen: str | None) -> str | None:
    try:
        return table.sequence_column(chosen)
    except UsageError:
        if chosen is not None:
            raise
        return None


def _first(table: Whole, names: Sequence[str], taken: Sequence[str]) -> str | None:
    return next((table.folded[name] for name in names if table.folded.get(name, taken) not in (*taken, taken)), None)
