"""The pocket of a protein, given or guessed, as an optional hint to the affinity model.

    719,743-745        residues of the only protein, counted from 1 as it was given
    pocket.csv         columns protein (its id; may be absent for one protein) and position
    auto               the residues that the embedded model names as holding a small molecule

The affinity model compares proteins by their mean states. With a pocket, the mean over its residues has a share of
`SHARE` of that; words of the chain count as before. The known proteins keep their plain means, so a pocket moves a
protein a little away from all of them; what that does to the answers is measured in docs/drugs.md.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy
from numpy.typing import NDArray

from anfinsen.data.example import Example
from anfinsen.errors import InputError, UsageError
from anfinsen.inference.predictor import Predictor
from anfinsen.structure.protein import Protein

AUTO = "auto"
"""The word for a pocket that the embedded model guesses."""
SHARE = 0.5
"""Share of the pocket's residues in a protein's mean state."""
_TASK, _KIND = "binding-residues", "small"
_RANGE = re.compile(r"(\d+)(?:-(\d+))?")

Places = NDArray[numpy.int64]
Floats = NDArray[numpy.float32]


def read_pockets(given: str, proteins: Sequence[Protein]) -> dict[str, Places]:
    """The places (counted from 0) of each protein's pocket, by its id; a protein without one is not among them."""
    if given == AUTO:
        return guess_pockets(proteins)
    if given.lower().endswith(".csv"):
        named = _read_table(Path(given), proteins)
    elif len(proteins) == 1:
        named = {proteins[0].id: _read_list(given)}
    else:
        raise UsageError(
            f"A list of residues is for one protein; {len(proteins)} are asked about.",
            remedy="Give a CSV file with the columns protein and position.",
        )
    length = {protein.id: len(protein) for protein in proteins}
    for name, positions in named.items():
        wrong = [at for at in positions if not 1 <= at <= length.get(name, 0)]
        if wrong and name in length:
            raise UsageError(
                f"'{name}' has {length[name]} residues; its pocket names residue {wrong[0]}.",
                remedy="Count from 1 along the sequence as it was given.",
            )
        if name not in length:
            raise UsageError(f"The pocket is of '{name}', which is not asked about.", remedy="Correct its id.")
    return {name: numpy.unique(positions) - 1 for name, positions in named.items()}


def guess_pockets(proteins: Sequence[Protein]) -> dict[str, Places]:
    """The residues that the embedded model names as holding a small molecule; where it names none, no pocket."""
    predictor = Predictor.load(tasks=(_TASK,))
    found = {}
    for protein, prediction in zip(proteins, predictor.predict(map(Example, proteins)), strict=True):
        answer = prediction.answers[_TASK]
        chances = numpy.array(answer["probabilities"][_KIND])
        places = numpy.flatnonzero(chances >= answer["thresholds"][_KIND])
        if len(places):
            found[protein.id] = places
    return found


def mean_state(states: Floats, pocket: Places | None, share: float = SHARE) -> Floats:
    """The mean of residue states (L, C), in which the residues of a pocket have a share of their own.

    >>> mean_state(numpy.array([[0.0], [0.0], [3.0]]), numpy.array([2]))
    array([2.], dtype=float32)
    """
    whole = states.mean(0)
    if pocket is not None:
        whole = (1 - share) * whole + share * states[pocket].mean(0)
    mean: Floats = whole.astype(numpy.float32)
    return mean


def say(pockets: Mapping[str, Places], proteins: Sequence[Protein], *, is_guess: bool = False) -> list[str]:
    """What was taken for each protein's pocket, in sentences; a guess is called one."""
    said = []
    for protein in proteins:
        places = pockets.get(protein.id)
        if places is None:
            said.append(f"{protein.id} has no pocket that is known; all of its residues count alike.")
            continue
        names = ", ".join(f"{protein.sequence[at]}{at + 1}" for at in places[:12].tolist())
        more = f" and {len(places) - 12} more" if len(places) > 12 else ""
        doubt = " This is a guess, and may be another site than the drug's: look at it." if is_guess else ""
        said.append(f"The pocket of {protein.id} is taken to be {names}{more}.{doubt}")
    return said


def _read_list(text: str) -> list[int]:
    positions: list[int] = []
    for part in text.split(","):
        match = _RANGE.fullmatch(part.strip())
        if match is None:
            raise UsageError(
                f"'{part.strip()}' in the pocket is neither a residue nor a stretch.",
                remedy=f"Write 719,743-745, or the name of a CSV file, or {AUTO}.",
            )
        start = int(match[1])
        positions += range(start, int(match[2] or start) + 1)
    return positions


def _read_table(path: Path, proteins: Sequence[Protein]) -> dict[str, list[int]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise InputError("The file is not UTF-8 text.", file=path.name, remedy="Save it as CSV in UTF-8.") from None
    rows = list(csv.DictReader(text.splitlines()))
    if not rows or "position" not in rows[0] or ("protein" not in rows[0] and len(proteins) > 1):
        raise InputError(
            f"The columns are {', '.join(rows[0]) if rows else 'missing'}.", file=path.name,
            remedy="Give the columns protein and position, a residue a line.",
        )  # fmt: skip
    found: dict[str, list[int]] = {}
    for number, row in enumerate(rows, 2):
        text = (row["position"] or "").strip()
        if not text.isdecimal():
            raise InputError(
                f"'{text}' is no position.", file=path.name, row=number, remedy="Give a whole number from 1 on."
            )
        found.setdefault(row.get("protein") or proteins[0].id, []).append(int(text))
    return found
