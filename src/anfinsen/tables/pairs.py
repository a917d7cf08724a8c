"""Two proteins in one row: which columns hold the partners, how they are called, and pairs as questions.

    sequence_a, sequence_b, label     ->  Partners  ->  Example(protein, partner=protein)

Columns are found by their names where both hold residues, or named by the user. A partner is called by a column
such as id_a or name_b beside it; without one, equal residues get equal names. It deals no row and reads no answer.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import isfinite
from pathlib import Path

from anfinsen.data.example import Example
from anfinsen.errors import InputError, UsageError
from anfinsen.reading.raw import place, printable
from anfinsen.structure.protein import Protein
from anfinsen.tables.rows import Whole, read_whole_table

DRUG_COLUMNS = ("drug", "smiles")
"""Names, in lower case, of columns that hold a molecule rather than a protein."""
NAME_COLUMNS = (("a", "b"), ("id_a", "id_b"), ("protein_a", "protein_b"), ("id1", "id2"))
"""Columns that name two partners, in lower case."""
_NAMES = ("id", "name", "accession", "uniprot", "protein", "gene")


@dataclass(frozen=True)
class Partners:
    """The two columns of sequences of a table of pairs, and the columns of their names, None where there is none."""

    columns: tuple[str, str]
    names: tuple[str | None, str | None]
    said: bool = False

    def examples(self, table: Whole) -> list[Example]:
        """The rows of a judged table as pairs without an answer."""
        sides = list(zip(self.columns, self.called(table), strict=True))
        found = []
        for row in range(len(table)):
            protein, partner = (
                Protein(names[row], table.residues[column][row], source=table.file, row=table.numbers[row])
                for column, names in sides
            )
            found.append(Example(protein, partner=partner))
        return found

    def judged(self, table: Whole) -> tuple[Whole, int]:
        """The table with the clean residues of both columns, and how many sequences were mended."""
        total = 0
        for column in self.columns:
            table, mended = table.judged(column, None)
            total += mended
        return table, total

    def called(self, table: Whole) -> tuple[list[str], list[str]]:
        """A name for each protein of each side."""
        sides = [table.residues[column] for column in self.columns]
        seen = dict.fromkeys(chain for pair in zip(*sides, strict=True) for chain in pair)
        number = {chain: f"protein-{at}" for at, chain in enumerate(seen, 1)}
        found = []
        for name, side in zip(self.names, sides, strict=True):
            cells = table.texts(name) if name is not None else [""] * len(side)
            found.append([cell.strip() or number[chain] for cell, chain in zip(cells, side, strict=True)])
        return found[0], found[1]


def find_partners(table: Whole, column: str = "", partner: str = "") -> Partners | None:
    """The partners of a table of pairs, None for a table of single proteins; a pair of another kind is refused."""
    if partner:
        if not column:
            raise UsageError(
                f"'{partner}' was named as the second partner, and no first.",
                remedy="Name both: --column and --partner.",
            )
        pair, said = (table.column(column), table.column(partner)), True
        if pair[0] == pair[1]:
            raise UsageError(f"Both partners were named '{pair[0]}'.", remedy="Name two columns.")
    else:
        found = None if column else table.pair_columns()
        if found is None:
            return None
        pair, said = found, False
    if any(name.strip().lower() in DRUG_COLUMNS for name in pair):
        raise UsageError(
            f"The columns '{printable(pair[0])}' and '{printable(pair[1])}' are pairs of a protein and a drug, from "
            "which a table of one's own cannot be learned yet.",
            remedy="What works today: pairs of two proteins; one protein a row with --column NAME; and anfinsen split, "
            "which deals such a table.",
        )
    without = [name for name in pair if not table.holds_proteins(name)]
    if without:
        raise UsageError(
            f"The columns '{printable(pair[0])}' and '{printable(pair[1])}' look like two partners of a pair, but the "
            f"cells of '{printable(without[0])}' are no residues.",
            remedy="Put the sequences of both proteins into the table, name their columns (train and predict: --column "
            "FIRST --partner SECOND), or give the proteins beside it (interact: --sequences FILE); to learn from one "
            "protein a row, say --column NAME alone.",
        )
    first, second = (_name_column(table, at) for at in pair)
    return Partners(pair, (first, second), said)


def read_pairs(
    source: str | Path, *, column: str = "", partner: str = "", conditions: Sequence[str] = ()
) -> list[Example | InputError]:
    """The pairs of a table as questions, and the rows that are refused, in the order of the file."""
    table = read_whole_table(source)
    partners = find_partners(table, column, partner)
    if partners is None:
        raise UsageError(
            f"{table.file} holds no pairs, and this model answers about two proteins at a time.",
            remedy="Give a table with two columns of sequences, such as sequence_a and sequence_b, or name them: "
            "--column FIRST --partner SECOND.",
        )
    table, _ = partners.judged(table)
    known = {name: table.texts(table.folded[name]) for name in conditions if name in table.folded}
    found: list[Example | InputError] = list(table.refused)
    for row, example in enumerate(partners.examples(table)):
        given = {name: number for name, cells in known.items() if (number := _number(cells[row])) is not None}
        found.append(Example(example.protein, conditions=given, partner=example.partner))
    return sorted(found, key=lambda one: (one.row if isinstance(one, InputError) else one.protein.row) or 0)


def read_named_pairs(source: str | Path, known: Mapping[str, Protein]) -> list[Example | InputError]:
    """The pairs of a table that holds names alone, whose proteins are known; a name that is not is refused."""
    table = read_whole_table(source)
    columns = next((pair for pair in NAME_COLUMNS if all(name in table.folded for name in pair)), None)
    if columns is None:
        raise UsageError(
            f"{table.file} has no two columns with the names of partners.",
            remedy="Call them a and b, or id_a and id_b.",
        )
    cells = zip(table.numbers, *(table.texts(table.folded[name]) for name in columns), strict=True)
    found: list[Example | InputError] = list(table.refused)
    for row, *names in cells:
        missing = next((name for name in names if name.strip() not in known), None)
        if missing is None:
            one, other = (known[name.strip()] for name in names)
            found.append(Example(replace(one, row=row), partner=other))
            continue
        said = f"'{printable(missing)}' is none of the {len(known):,} proteins." if missing.strip() else "It names one."
        remedy = "Correct the name, or add the protein." if missing.strip() else "Name both partners."
        found.append(place(InputError(said, remedy=remedy), file=table.file, row=row, record=" with ".join(names)))
    return sorted(found, key=lambda one: (one.row if isinstance(one, InputError) else one.protein.row) or 0)


def _name_column(table: Whole, column: str) -> str | None:
    """The column that names the proteins of another: id_a or name_a beside sequence_a or a."""
    folded = column.strip().lower()
    stem = re.sub(r"(sequence|seq|protein)", "", folded).strip("_- ")
    for name in _NAMES:
        for spelling in (f"{name}_{stem}", f"{stem}_{name}", f"{name}{stem}", f"{folded}_{name}"):
            if stem and spelling != folded and spelling in table.folded:
                return table.folded[spelling]
    return None


def _number(cell: str) -> float | None:
    try:
        number = float(cell)
    except ValueError:
        return None
    return number if isfinite(number) else None
