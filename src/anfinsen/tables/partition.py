"""From a table to an honest split of it: columns found, rows judged, rows dealt, leaks told.

    read_whole_table -> sequences or partners -> Relatives -> Split -> findings

Nothing is trained here; what is told is what a reader of the scores must know. It knows no model and no task.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy
from numpy.typing import NDArray

from anfinsen.errors import UsageError
from anfinsen.kinship.clusters import cluster_split, find_families
from anfinsen.kinship.leaks import (
    BANDS,
    Finding,
    Rows,
    band_of,
    conflicts,
    new_partners,
    repeated_pairs,
    shared_ids,
    twins,
)
from anfinsen.kinship.relatives import Relatives, Tell
from anfinsen.kinship.shortcuts import degree_shortcuts, telling_columns, telling_ids
from anfinsen.kinship.splits import (
    TEST,
    TRAIN,
    VALID,
    Record,
    Split,
    cold_pair_split,
    group_split,
    own_split,
    random_split,
    refuse_kind,
    time_split,
)
from anfinsen.reading.tables import CONDITION_COLUMNS
from anfinsen.tables.roles import LABEL_COLUMNS, Roles, SplitPlan, find_roles
from anfinsen.tables.rows import Whole, read_whole_table

Watch = Callable[[str, int, int], None]
"""Told what is going on, and how many of how many proteins are done."""


@dataclass(frozen=True)
class Parted:
    """A table with the split of each row, what was found out about it, and the identity band of each test row."""

    table: Whole
    split: Split
    findings: tuple[Finding, ...]
    bands: NDArray[numpy.str_] | None
    told: tuple[str, ...]


def part(path: str | Path, plan: SplitPlan, *, tell: Watch = lambda what, done, total: None) -> Parted:
    """Split a CSV, TSV or Parquet table and report its leaks; rows with bad residues are in `table.refused`."""
    refuse_kind(plan.by)
    if not 0.2 <= plan.identity <= 1:
        raise UsageError(
            f"The identity came as {plan.identity:g}; a share from 0.2 to 1 is expected.",
            remedy="Write 30 % as --identity 0.3; below 0.2 relatives cannot be told from strangers.",
        )
    table = read_whole_table(path)
    roles = find_roles(table, plan)
    told = [message.text for message in table.messages]
    for column in roles.proteins:
        table, mended = table.judged(column, roles.id)
        if mended:
            told.append(f"{mended:,} sequences in column '{column}' were mended to compare them; the cells stay.")
    if not len(table):
        raise UsageError(
            f"No row of {table.file} has a sequence that can be read.", remedy=f"The first: {table.refused[0]}"
        )
    names = roles.pair or ((roles.sequence,) if roles.sequence else ())
    sides = [table.residues.get(name) or tuple(cell.strip() for cell in table.texts(name)) for name in names]
    known = [side for name, side in zip(names, sides, strict=True) if name in roles.proteins]
    relatives = Relatives([chain for side in known for chain in side])
    split = _split(table, plan, roles, sides, relatives, tell)
    findings, bands = _findings(table, split, roles, sides, relatives, tell)
    return Parted(table, split, tuple(findings), bands, (*told, *split.told))


def _split(
    table: Whole,
    plan: SplitPlan,
    roles: Roles,
    sides: Sequence[Sequence[str]],
    relatives: Relatives,
    tell: Watch,
) -> Split:
    if plan.by == "random":
        return random_split(len(table), shares=plan.shares, seed=plan.seed)
    if plan.by == "column":
        return own_split(table.texts(roles.by or ""), shares=plan.shares, seed=plan.seed)
    if plan.by == "time":
        return time_split(table.texts(roles.by or ""), shares=plan.shares)
    if plan.by == "cluster":

        def watched(done: int, total: int) -> None:
            tell("looking for relatives", done, total)

        return cluster_split(
            relatives, plan.identity, shares=plan.shares, seed=plan.seed, with_mmseqs=plan.mmseqs, tell=watched
        )
    groups, how = _families(roles, sides, relatives, plan, tell)
    if plan.by == "cold-pair":
        same = len(roles.proteins) == len(sides) or not set(sides[0]).isdisjoint(sides[1])
        split = cold_pair_split(groups[0], groups[1], shares=plan.shares, seed=plan.seed, same=same)
    else:
        side = groups[1 if plan.by == "cold-b" else 0]
        noun = "family" if isinstance(side[0], int) else "partner"
        split = group_split(side, shares=plan.shares, seed=plan.seed, kind=plan.by, noun=noun)
    return Split(split.names, split.kind, {**split.record, **how}, split.told)


def _families(
    roles: Roles, sides: Sequence[Sequence[str]], relatives: Relatives, plan: SplitPlan, tell: Watch
) -> tuple[list[list[int] | list[str]], Record]:
    """For each column the family of each protein; partners that are no proteins are each their own, by their text."""
    if not roles.proteins:
        return [list(side) for side in sides], {}

    def watched(done: int, total: int) -> None:
        tell("looking for relatives", done, total)

    families, how = find_families(relatives, plan.identity, with_mmseqs=plan.mmseqs, tell=watched)
    found = iter(families.tolist())
    groups: list[list[int] | list[str]] = []
    for name, side in zip(roles.pair or (roles.sequence,), sides, strict=True):
        groups.append([next(found) for _ in side] if name in roles.proteins else list(side))
    return groups, how


def _findings(
    table: Whole,
    split: Split,
    roles: Roles,
    sides: Sequence[Sequence[str]],
    relatives: Relatives,
    tell: Watch,
) -> tuple[list[Finding], NDArray[numpy.str_] | None]:
    rows = Rows(table.numbers, table.texts(roles.id) if roles.id else None)

    def watched(done: int, total: int) -> None:
        tell("looking for leaks", done, total)

    found: list[Finding] = []
    bands = None
    if roles.sequence:
        nearest, found = twins(split, relatives, rows, tell=watched)
        bands = band_of(nearest.identity)
        counts = Counter(bands.tolist())
        shown = ", ".join(f"{band} %: {counts[band]:,}" for band in BANDS)
        found.append(Finding("info", "bands", f"Test proteins by identity to training: {shown}."))
    if roles.pair:
        a, b = sides
        found += [*repeated_pairs(split, a, b, rows), new_partners(split, a, b)]
        if roles.proteins:
            found += _new_twins(split, roles, sides, relatives, rows, watched)
    return found + _label_findings(table, split, roles, sides, rows), bands


def _new_twins(
    split: Split, roles: Roles, sides: Sequence[Sequence[str]], relatives: Relatives, rows: Rows, tell: Tell
) -> list[Finding]:
    """Twins in training of the test's partners that are new by their residues, each protein counted once."""
    names = numpy.concatenate([split.names] * len(roles.proteins))
    role = numpy.full(len(relatives.chains), "", dtype=names.dtype)
    for name in (VALID, TEST, TRAIN):
        role[relatives.chain_of[names == name]] = name
    once = numpy.full(len(names), "", dtype=names.dtype)
    for name in (TEST, TRAIN):
        has = numpy.flatnonzero(names == name)
        _, first = numpy.unique(relatives.chain_of[has], return_index=True)
        once[has[first]] = numpy.where(role[relatives.chain_of[has[first]]] == name, name, "")
    if TEST not in once:
        return []
    ids = [*rows.ids] * len(roles.proteins) if rows.ids is not None else None
    again = Rows([*rows.numbers] * len(roles.proteins), ids)
    return twins(Split(once, split.kind), relatives, again, tell=tell, noun="new test protein")[1]


def _label_findings(
    table: Whole, split: Split, roles: Roles, sides: Sequence[Sequence[str]], rows: Rows
) -> list[Finding]:
    found = shared_ids(rows.ids, sides[0], rows) if roles.sequence and rows.ids is not None else []
    if roles.label is None:
        text = f"No column is called {', '.join(LABEL_COLUMNS[:3])} or alike; name the answers with --label NAME "
        return [*found, Finding("info", "label", text + "to have them checked.")]
    labels = table.texts(roles.label)
    given = {name: table.texts(name) for folded, name in table.folded.items() if folded in CONDITION_COLUMNS}
    if roles.sequence:
        found += conflicts(sides[0], labels, rows, given=tuple(given.values()))
    if roles.pair:
        joined = ["\t".join(pair) for pair in zip(*sides, strict=True)]
        found += conflicts(joined, labels, rows, given=tuple(given.values()), noun="partners")
        found += degree_shortcuts(split, sides[0], sides[1], labels)
    used = {roles.sequence, roles.id, *(roles.pair or ())}
    others = {name: table.texts(name) for name in table.names if name not in used}
    found += telling_columns(others, labels, roles.label)
    if roles.id is not None:
        found += telling_ids(table.texts(roles.id), labels, roles.id)
    return found
