"""Variants that a user has measured teach the scan of their protein.

    variant, score (CSV) -> checked against the protein -> ridge on what changed and where, joined to the scan's terms
                         -> five folds: against the scan that saw none, and the mean of each position -> (L, 20)

One-hot features see only what was measured; the scores that no experiment went into let them reach further (Hsu et
al. 2022, Nature Biotechnology 40:1114). Two questions are asked: variants dealt at random, as the literature does,
and whole positions left out, which is what an unmeasured position meets. Intervals come from these misses.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from sklearn.linear_model import Ridge

from anfinsen.data.alphabet import RESIDUES
from anfinsen.data.example import Example
from anfinsen.data.substitutions import effect_terms, places_of
from anfinsen.data.variants import Variant, parse_variant
from anfinsen.errors import InputError, UndefinedScoreError, UsageError, suggest
from anfinsen.inference.scan import Scan, learned
from anfinsen.reading.raw import place as placed
from anfinsen.reading.raw import printable
from anfinsen.structure.protein import Protein
from anfinsen.tables.rows import Whole, read_whole_table
from anfinsen.targets.base import conformal_quantile
from anfinsen.targets.metrics import Estimate, measure

Floats = NDArray[numpy.float64]

VARIANT_COLUMNS = ("variant", "variants", "mutant", "mutation", "mutations", "substitution")
SCORE_COLUMNS = ("score", "value", "fitness", "effect", "dms_score", "measured", "label", "y")
FEWEST, FOLDS, RESAMPLES = 20, 5, 200
"""Variants below which nothing is learned; folds; draws of the bootstrap."""
STRENGTHS = (0.3, 1.0, 3.0, 10.0, 30.0)
_SITE, _KIND, _SEED = 1.0, 0.7, 1
_NOBODY = Protein("variant", "")


@dataclass(frozen=True)
class Table:
    """Measured variants (V) with their scores (V,), and the rows that were refused."""

    variants: list[Variant]
    scores: Floats
    refused: tuple[InputError, ...]


@dataclass(frozen=True)
class Trial:
    """How well one question was answered: Spearman of the learned, the zero-shot and the position mean."""

    name: str
    question: str
    estimates: dict[str, Estimate]
    misses: Floats

    def sentence(self) -> str:
        """The figures in words."""
        told = [
            f"{name} {one.value:.3f}" + (f" ({one.low:.3f} to {one.high:.3f})" if one.low is not None else "")
            for name, one in self.estimates.items()
        ]
        count = next(iter(self.estimates.values())).n if self.estimates else 0
        return f"{self.question}, Spearman with 95% interval, n = {count:,}: {', '.join(told) or 'not defined'}."


def read_table(path: str | Path, sequence: str, *, first: int = 1) -> Table:
    """The variants and scores of a CSV, TSV or Parquet file; bad rows are refused with their place."""
    table = read_whole_table(path)
    names, values = table.texts(_column(table, VARIANT_COLUMNS)), table.texts(_column(table, SCORE_COLUMNS))
    seen: dict[Variant, tuple[int, float]] = {}
    refused = list(table.refused)
    for row, text, cell in zip(table.numbers, names, values, strict=True):
        try:
            variant, score = parse_variant(text.strip(), sequence, first=first), _number(cell)
            known = seen.setdefault(variant, (row, score))
            if known[1] != score:
                raise InputError(
                    f"'{printable(text)}' stands already in record {known[0]} with the score {known[1]:g}, "
                    f"not {score:g}.",
                    remedy="Keep one of the two, or write their mean once.",
                )
            if any(one.wild_type == one.mutant for one in variant):
                del seen[variant]
                raise InputError(
                    f"'{printable(text)}' changes nothing.", remedy="Leave it out; the wild type needs no row."
                )
        except InputError as error:
            refused.append(placed(error, file=str(path), row=row, record=text))
    if len(seen) < FEWEST:
        raise InputError(
            f"{len(seen)} variants can be read; {FEWEST} or more are needed to learn from."
            + (f" The first that was refused: {refused[0]}" if refused else ""),
            remedy="Add variants, or scan without --data.",
            file=str(path),
        )
    scores = numpy.array([score for _, score in seen.values()])
    if scores.min() == scores.max():
        raise InputError("All scores are the same.", remedy="Give measured scores.", file=str(path))
    return Table(list(seen), scores, tuple(refused))


def try_folds(scan: Scan, table: Table) -> tuple[Trial, Trial]:
    """Both questions put to five folds: variants dealt at random, and whole positions left out."""
    rows = _Rows.of(scan, table.variants)
    generator = numpy.random.default_rng(_SEED)
    at_random = generator.permutation(len(table.variants)) % FOLDS
    dealt = generator.permutation(len(scan.protein.sequence)) % FOLDS
    by_place = numpy.array([dealt[variant[0].position - 1] for variant in table.variants])
    asked = f"left out ({FOLDS} folds)"
    return (
        _try("random folds", f"Variants {asked}", rows, table.scores, at_random, by_place=None),
        _try("positions left out", f"Positions {asked}", rows, table.scores, by_place, by_place=dealt),
    )


def learn(scan: Scan, table: Table) -> tuple[Scan, tuple[Trial, Trial]]:
    """The scan in the unit of the measurements with an interval for each cell, and how well the two questions went."""
    rows, trials = _Rows.of(scan, table.variants), try_folds(scan, table)
    model = Ridge(_strength(rows.matrix, table.scores), solver="lsqr").fit(rows.matrix, table.scores)
    every = [(one,) for one in scan.substitutions()]
    said = model.predict(_Rows.of(scan, every).matrix)
    known = {one.position for variant in table.variants for one in variant}
    reach = [conformal_quantile(abs(trial.misses)) for trial in trials]
    cells = numpy.full((3, *scan.scores.shape), numpy.nan)
    cells[:, numpy.isfinite(scan.scores)] = float(model.intercept_)
    for (one,), value in zip(every, said, strict=True):
        width = reach[0] if one.position in known else max(reach)
        cells[:, one.position - 1, RESIDUES.index(one.mutant)] = (value, value - width, value + width)
    scores, low, high = cells
    return learned(scan, scores, low, high, [trial.sentence() for trial in trials]), trials


@dataclass(frozen=True)
class _Rows:
    """Features of variants, (V, K), the zero-shot score first; and which positions each changes."""

    matrix: csr_matrix
    zero_shot: Floats
    variants: Sequence[Variant]

    @classmethod
    def of(cls, scan: Scan, variants: Sequence[Variant]) -> _Rows:
        """Position, position and residue, position with size and water, and the scan's terms and score."""
        groups = effect_terms(places_of(scan.protein.sequence).clip(0), scan.around)
        terms = numpy.concatenate([groups[name] for name in groups], axis=2)
        steps = groups["size and water"][:, :, :2]
        zero = numpy.nan_to_num(scan.scores)
        length, count = len(scan.protein.sequence), len(RESIDUES)
        width = 1 + terms.shape[2]
        row_of, column, value = [], [], []
        dense = numpy.zeros((len(variants), width))
        for number, variant in enumerate(variants):
            for one in variant:
                place, residue = one.position - 1, RESIDUES.index(one.mutant)
                dense[number] += numpy.concatenate([[zero[place, residue]], terms[place, residue]])
                cells = [(place, _SITE), (length + place * count + residue, _KIND)]
                start = length * (1 + count) + 2 * place
                cells += [(start + at, float(steps[place, residue, at])) for at in (0, 1)]
                row_of += [number] * len(cells)
                column += [width + at for at, _ in cells]
                value += [weight for _, weight in cells]
        numbers, places = numpy.nonzero(dense)
        data = numpy.concatenate([dense[numbers, places], numpy.array(value)])
        where = (numpy.concatenate([numbers, row_of]), numpy.concatenate([places, column]))
        shape = (len(variants), width + length * (count + 3))
        return cls(csr_matrix((data, where), shape=shape), dense[:, 0].copy(), variants)


def _try(
    name: str,
    question: str,
    rows: _Rows,
    truth: Floats,
    fold: NDArray[numpy.int64],
    by_place: NDArray[numpy.int64] | None,
) -> Trial:
    """Each fold answered by what was learned from the others; with `by_place`, no position of it was seen."""
    said, means = numpy.full((2, len(truth)), numpy.nan)
    for number in range(FOLDS):
        out = fold == number
        kept = ~out
        if by_place is not None:
            touched = [any(by_place[one.position - 1] == number for one in variant) for variant in rows.variants]
            kept = ~numpy.array(touched)
        if out.any() and kept.sum() >= FEWEST // 2:
            strength = _strength(rows.matrix[kept], truth[kept])
            said[out] = Ridge(strength, solver="lsqr").fit(rows.matrix[kept], truth[kept]).predict(rows.matrix[out])
            means[out] = _position_means(rows.variants, truth, kept, out)
    asked = numpy.isfinite(said)
    answers = {"learned": said, "zero-shot": rows.zero_shot, "position mean": means}
    found = {who: one for who, part in answers.items() if (one := _agreement(truth[asked], part[asked])) is not None}
    return Trial(name, question, found, (truth - said)[asked])


def _strength(matrix: csr_matrix, truth: Floats) -> float:
    """The ridge's strength by one fold of the rows at hand."""
    out = numpy.random.default_rng(_SEED).permutation(len(truth)) % FOLDS == 0
    errors = [
        ((truth[out] - Ridge(one, solver="lsqr").fit(matrix[~out], truth[~out]).predict(matrix[out])) ** 2).mean()
        for one in STRENGTHS
    ]
    return STRENGTHS[int(numpy.argmin(errors))]


def _position_means(
    variants: Sequence[Variant], truth: Floats, kept: NDArray[numpy.bool_], out: NDArray[numpy.bool_]
) -> Floats:
    """What the mean of each position's kept scores says of those left out; the mean of all where none was kept."""
    middle = float(truth[kept].mean())
    of_place: dict[int, list[float]] = {}
    for number in numpy.flatnonzero(kept).tolist():
        for one in variants[number]:
            of_place.setdefault(one.position, []).append(float(truth[number]) - middle)
    shift = {place: float(numpy.mean(values)) for place, values in of_place.items()}
    return numpy.array(
        [
            middle + sum(shift.get(one.position, 0.0) for one in variants[number])
            for number in numpy.flatnonzero(out).tolist()
        ]
    )


def _agreement(truth: Floats, said: Floats) -> Estimate | None:
    examples = [Example(protein=_NOBODY, value=float(value)) for value in truth]
    try:
        return measure("spearman", examples, [{"value": float(value)} for value in said], resamples=RESAMPLES)
    except UndefinedScoreError:
        return None


def _column(table: Whole, names: Sequence[str]) -> str:
    for name in names:
        if name in table.folded:
            return table.folded[name]
    raise UsageError(f"{table.file} has no column '{names[0]}'.", remedy=suggest(names[0], table.names))


def _number(cell: str) -> float:
    try:
        value = float(cell)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise InputError(f"The score '{printable(cell)}' is no number.", remedy="Write a number such as -0.8.")
    return value
