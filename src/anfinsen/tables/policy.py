"""What is done with answers that cannot be learned from: refused with a reason, or mended and told, never in silence.

    conflicts      the same protein with different answers: both rows are named; dropped, joined by the median, or kept
    repeats        the same protein with the same answer counts once; with nearly the same their median, which is told
    rare classes   fewer than three rows cannot be in training, validation and test: refused, dropped or merged
    one answer     nothing to learn: refused
    outliers       kept and told: a slip of the pen, or another unit?
    too few rows   refused: a score over a handful says nothing

It knows examples, no file and no model. Rows are named by the proteins' rows in the file.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy

from anfinsen.data.example import Example, Value
from anfinsen.errors import UsageError
from anfinsen.reading.raw import printable
from anfinsen.tables.answers import Kind
from anfinsen.wording import counted

FEWEST_ROWS = 20
"""Rows below which nothing is trained."""
FEWEST_OF_A_CLASS = 3
"""Rows of a class below which it cannot be trained on and judged at once."""
OTHER = "other"
"""The class to which rare classes are merged."""
_FAR_OUT = 10.0
_SAME_NUMBER = 0.5
_SHOWN = 3

Refusals = dict[int, tuple[str, str]]


@dataclass(frozen=True)
class Judged:
    """The examples, some with another value, the rows that are refused, and what was mended or must be minded."""

    examples: list[Example]
    refusals: Refusals
    told: tuple[str, ...]
    warned: tuple[str, ...]


def judge(
    examples: Sequence[Example],
    kind: Kind,
    *,
    rare: str = "refuse",
    conflicts: str = "drop",
    refusals: Mapping[int, tuple[str, str]] | None = None,
) -> Judged:
    """Apply every rule; raises UsageError where what is left cannot be learned from."""
    state = Judged(list(examples), dict(refusals or {}), (), ())
    told = [*_settle_repeats(state, kind, conflicts)]
    if kind in ("label", "labels"):
        told += _settle_rare(state, kind, rare)
    left = [row for row in range(len(state.examples)) if row not in state.refusals]
    _refuse_too_few(left, state.refusals)
    _refuse_constant([state.examples[row].value for row in left], kind)
    warned = _outliers(state.examples, left) if kind == "number" else []
    return replace(state, told=tuple(told), warned=tuple(warned))


def _name(example: Example) -> str:
    number, name = example.protein.row, " with ".join(chain.id for chain in example.chains)
    return f"row {number}" + (f" ({printable(name)})" if name != f"row-{number}" else "")


def _settle_repeats(state: Judged, kind: Kind, conflicts: str) -> Iterable[str]:
    """Rows of one protein under the same conditions: joined where they agree, else settled as was wished."""
    groups: dict[tuple[object, ...], list[int]] = defaultdict(list)
    names: dict[str, tuple[int, str]] = {}
    for row, example in enumerate(state.examples):
        if row in state.refusals:
            continue
        for protein in example.chains:
            first, sequence = names.setdefault(protein.id, (row, protein.sequence))
            if sequence != protein.sequence:
                where = _name(state.examples[first]).split(" (")[0]
                reason = f"The id '{printable(protein.id)}' stands already in {where}, with another sequence."
                state.refusals[row] = (reason, "Give each protein an id of its own.")
        if row not in state.refusals:
            # a pair is the same whichever of its partners comes first
            chains = sorted(chain.sequence for chain in example.chains)
            groups[(*chains, *sorted(example.conditions.items()))].append(row)
    limit = _SAME_NUMBER * _spread(state) if kind == "number" else 0.0
    repeated = averaged = joined = 0
    for rows in groups.values():
        if len(rows) < 2:
            continue
        if _agree([state.examples[row].value for row in rows], limit):
            is_same = len({str(state.examples[row].value) for row in rows}) == 1
            repeated += (len(rows) - 1) * is_same
            averaged += len(rows) * (not is_same)
            _join(state, rows, kind, "repeats" if is_same else "is joined with")
        elif conflicts == "median" and kind == "number":
            joined += len(rows)
            _join(state, rows, kind, "is joined with")
        elif conflicts != "keep":
            _drop(state, rows)
    if repeated:
        rows_are = counted(repeated, "row repeats an earlier one", "rows repeat earlier ones")
        yield f"{rows_are} with the same answer and {'was' if repeated == 1 else 'were'} left out."
    if averaged:
        yield (
            f"{averaged:,} rows have residues in common with others and answers that differ by less than {limit:.3g}; "
            "each group was joined to its median."
        )
    if joined:
        yield f"{joined:,} rows contradict each other; each group was joined to its median."


def _join(state: Judged, rows: Sequence[int], kind: Kind, what: str) -> None:
    """The first row stands for all, with the median of their numbers."""
    if kind == "number":
        median = float(numpy.median([float(state.examples[row].value) for row in rows]))  # type: ignore[arg-type]
        state.examples[rows[0]] = replace(state.examples[rows[0]], value=median)
    for row in rows[1:]:
        reason = f"It {what} {_name(state.examples[rows[0]])}: the same residues."
        state.refusals[row] = (reason, "Nothing need be done; one row is enough.")


def _drop(state: Judged, rows: Sequence[int]) -> None:
    for row in rows:
        other = next(one for one in rows if state.examples[one].value != state.examples[row].value)
        reason = (
            f"It contradicts {_name(state.examples[other])}: the same residues have the answers "
            f"'{_shown(state.examples[row].value)}' and '{_shown(state.examples[other].value)}'."
        )
        state.refusals[row] = (reason, "Keep the right one, or say --set table.conflicts=median (numbers) or keep.")


def _shown(value: Value | None) -> str:
    text = (
        f"{value:g}" if isinstance(value, float) else ";".join(map(str, value)) if isinstance(value, tuple) else value
    )
    return printable(str(text))


def _agree(values: Sequence[Value | None], limit: float) -> bool:
    if all(isinstance(value, float) for value in values):
        numbers = [float(value) for value in values]  # type: ignore[arg-type]
        return max(numbers) - min(numbers) <= limit
    return len({str(value) for value in values}) == 1


def _spread(state: Judged) -> float:
    known = [example.value for row, example in enumerate(state.examples) if row not in state.refusals]
    return float(numpy.std([float(value) for value in known])) if known else 0.0  # type: ignore[arg-type]


def _settle_rare(state: Judged, kind: Kind, rare: str) -> Iterable[str]:
    """Classes that too few rows have."""
    counts: Counter[str] = Counter()
    for row, example in enumerate(state.examples):
        if row not in state.refusals:
            counts.update(dict.fromkeys(_classes(example.value), 1))
    few = [name for name, count in counts.items() if count < FEWEST_OF_A_CLASS]
    if not few:
        return
    count = counts[few[0]]
    first = f"The class '{printable(few[0])}' has {count} row{'s' if count > 1 else ''}"
    others = f"{len(few) - 1:,} more class{'es have' if len(few) > 2 else ' has'}"
    more = f" (and {others} fewer than {FEWEST_OF_A_CLASS})" if len(few) > 1 else ""
    if rare == "refuse":
        raise UsageError(
            f"{first}{more}: too few to be trained on and judged at once.",
            remedy=f"Leave such rows out with --set table.rare=drop, or join such classes to '{OTHER}' with "
            "--set table.rare=merge.",
        )
    for row, example in enumerate(state.examples):
        mine = [name for name in _classes(example.value) if name in few]
        if row in state.refusals or not mine:
            continue
        if kind == "labels":
            kept = tuple(name for name in _tuple(example.value) if name.removeprefix("?") not in few)
            state.examples[row] = replace(example, value=(*kept, *((OTHER,) if rare == "merge" else ())))
        elif rare == "merge":
            state.examples[row] = replace(example, value=OTHER)
        else:
            reason = f"Its class '{printable(mine[0])}' has fewer than {FEWEST_OF_A_CLASS} rows."
            state.refusals[row] = (reason, "Add rows of that class, or merge it with --set table.rare=merge.")
    yield f"{first}{more}; they were {'merged to ' + repr(OTHER) if rare == 'merge' else 'left out'}."


def _classes(value: Value | None) -> list[str]:
    return [name for name in _tuple(value) if not name.startswith("?")]


def _tuple(value: Value | None) -> tuple[str, ...]:
    return tuple(map(str, value)) if isinstance(value, tuple) else () if value is None else (str(value),)


def _refuse_too_few(left: Sequence[int], refusals: Refusals) -> None:
    if len(left) >= FEWEST_ROWS:
        return
    first = next(iter(refusals.values()), None)
    raise UsageError(
        f"{len(left)} row{' is' if len(left) == 1 else 's are'} left to learn from; at least {FEWEST_ROWS} are needed "
        "to train a model and to judge it.",
        remedy=f"Add rows, or mend those that were refused. The first: {first[0]}" if first else "Add rows.",
    )


def _refuse_constant(values: Sequence[Value | None], kind: Kind) -> None:
    if kind in ("number", "label") and len(set(values)) == 1:
        raise UsageError(
            f"All {len(values):,} rows have the same answer, '{_shown(values[0])}': there is nothing to learn.",
            remedy="Add rows with another answer, or name another column with --label NAME.",
        )
    if kind == "labels" and len({name for value in values for name in _classes(value)}) == 0:
        raise UsageError(f"None of {len(values):,} rows has a label.", remedy="Name another column with --label NAME.")
    if kind == "tokens" and len(set("".join(map(str, values)))) == 1:
        raise UsageError(
            f"All residues of all {len(values):,} rows have the same letter: there is nothing to learn.",
            remedy="Name another column with --label NAME.",
        )


def _outliers(examples: Sequence[Example], left: Sequence[int]) -> list[str]:
    """Numbers that lie ten times further out than most (by the median of distances to the median)."""
    numbers = numpy.array([float(examples[row].value) for row in left])  # type: ignore[arg-type]
    middle = float(numpy.median(numbers))
    usual = 1.4826 * float(numpy.median(numpy.abs(numbers - middle)))
    if usual == 0:
        return []
    out = numpy.flatnonzero(numpy.abs(numbers - middle) > _FAR_OUT * usual)
    if not len(out):
        return []
    rest = numpy.delete(numbers, out)
    shown = "; ".join(f"{_name(examples[left[at]])} says {numbers[at]:g}" for at in out[:_SHOWN].tolist())
    more = f"; and {len(out) - _SHOWN:,} more" if len(out) > _SHOWN else ""
    return [
        f"{shown}{more}, while the others lie between {rest.min():g} and {rest.max():g}: a slip of the pen, or another "
        "unit? They are kept."
    ]
