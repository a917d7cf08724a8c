"""A table of answers, ready to be learned from: roles guessed and said, rows judged, examples made.

    CSV, TSV, Parquet, FASTA or two lists -> Whole -> roles -> answers -> policy -> Labelled

Every guess is a sentence in `roles`; what the columns leave open is refused with what was seen and the word that
decides. Knows no task and no model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from anfinsen.config import Config
from anfinsen.data.example import Example
from anfinsen.errors import InputError, UsageError
from anfinsen.kinship.splits import NAMES, SHARES, Shares, own_split
from anfinsen.limits import LIMITS
from anfinsen.reading.raw import RawRecord, place, printable
from anfinsen.reading.tables import CONDITION_COLUMNS, ID_COLUMNS, Columns
from anfinsen.structure.protein import Protein
from anfinsen.tables.answers import Answers, Kind, guess_kind, is_missing, read_answers
from anfinsen.tables.offered import read_table
from anfinsen.tables.pairs import Partners, find_partners
from anfinsen.tables.policy import judge
from anfinsen.tables.roles import LABEL_COLUMNS
from anfinsen.tables.rows import Whole

SPLIT_COLUMNS = ("split", "set", "partition", "subset")
"""Names, in lower case, under which a split of one's own is looked for."""


class TableConfig(Config):
    """How a table of one's own is read, dealt and judged: the table [table] of a recipe."""

    column: str = ""
    """The column with the sequences; found by its name or its letters if left out."""
    partner: str = ""
    """A second column with sequences: each row is a pair; found beside the first by its name if left out."""
    label: tuple[str, ...] = ()
    """The column with the answers; several columns of 0 and 1 are several labels."""
    kind: str = ""
    """Kind of answer: number, label, labels, tokens (a letter a residue) or values (a number a residue)."""
    conditions: tuple[str, ...] = ()
    """Columns with numbers that the answer depends on, beside temperature and ph, which are found."""
    split: str = ""
    """A column with a split of one's own: train, valid, test, or groups that stay together."""
    by: Literal["cluster", "random"] = "cluster"
    """How rows are dealt where the table has no split: families of relatives stay together, or at random; for pairs,
    partners of new families, one and both, or pairs at random."""
    identity: float = 0.3
    """Identity, 0.2 to 1, at which proteins are relatives."""
    shares: Shares = SHARES
    """Shares of train, valid and test, where the table is dealt once."""
    folds: int | None = None
    """Parts of which each is the test once; 0 deals once. Five for tables of up to 200 rows if left out."""
    rare: Literal["refuse", "drop", "merge"] = "refuse"
    """What is done with classes of fewer than three rows: drop their rows, or merge them to 'other'."""
    conflicts: Literal["drop", "median", "keep"] = "drop"
    """What is done with rows that contradict each other: drop them, take the median of numbers, or keep them."""
    missing: Literal["ask", "drop"] = "ask"
    """Whether more than one missing answer in twenty stops the training, or their rows are dropped."""
    leaks: Literal["refuse", "allow"] = "refuse"
    """Whether a split of one's own with twins of test proteins in training is refused."""
    shuffle: bool = False
    """Deal the answers at random among the proteins: a control, whose score must be at chance."""


@dataclass(frozen=True)
class Labelled:
    """Examples with their answers, and everything that was found out on the way; one split name a row, or none."""

    file: str
    label: str
    kind: Kind
    examples: tuple[Example, ...]
    numbers: tuple[int, ...]
    unit: str = ""
    conditions: tuple[str, ...] = ()
    splits: tuple[str, ...] | None = None
    roles: tuple[str, ...] = ()
    told: tuple[str, ...] = ()
    warned: tuple[str, ...] = ()
    refused: tuple[InputError, ...] = ()
    others: Mapping[str, tuple[str, ...]] | None = None
    """The other columns, in which the answer may be hidden."""

    def __len__(self) -> int:
        return len(self.examples)

    @property
    def of_pairs(self) -> bool:
        """Whether each row is about two proteins."""
        return any(example.partner is not None for example in self.examples[:1])

    @property
    def noun(self) -> str:
        """What a row is about, in one word."""
        return "pair" if self.of_pairs else "protein"

    def chains(self) -> list[str]:
        """The residues of all proteins; of pairs, those of the first partners and then those of the second."""
        sides = zip(*(example.chains for example in self.examples), strict=True)
        return [protein.sequence for side in sides for protein in side]


def read_labelled(source: str | Path | Whole, config: TableConfig, *, may_drop: bool = False) -> Labelled:
    """The examples of a table; `may_drop` says that rows without an answer may be left out however many they are."""
    table = source if isinstance(source, Whole) else read_table(source)
    partners = find_partners(table, config.column, config.partner)
    told = [message.text for message in table.messages]
    roles: list[str] = []
    read = _pairs if partners is not None else _proteins
    table, labels, asked, taken = read(table, config, partners, told, roles)
    lengths = [0 if example.partner is not None else len(example.protein) for example in asked]
    answers, classes = _answers(table, labels, lengths, config)
    words = _IN_WORDS[answers.kind]
    if partners is not None:
        words = words.replace("each protein", "each pair")
        if answers.kind not in ("number", "label"):
            raise UsageError(
                f"Column '{printable(classes)}' reads as {words}; a pair can be answered by a number or a class.",
                remedy="Name another column with --label NAME, or say how to read it: --kind number or --kind label.",
            )
    roles.insert(1, f"answers: column '{printable(classes)}', read as {words}")
    conditions, refusals = _conditions(table, config, (*taken, *labels), roles)
    column = _split_column(table, config)
    splits = _own_split(table, column, roles, config) if column else None
    used = {*taken, column, *labels, *(found for found, _ in conditions.values())}
    examples = tuple(
        replace(
            asked[row],
            value=value,
            conditions={key: cell for key, (_, cells) in conditions.items() if (cell := cells[row]) is not None},
        )
        for row, value in enumerate(answers.values)
    )
    found = Labelled(
        table.file,
        classes,
        answers.kind,
        examples,
        table.numbers,
        answers.unit,
        tuple(conditions),
        splits,
        tuple(roles),
        (*told, *answers.told),
        (),
        table.refused,
        {other: tuple(table.texts(other)) for other in table.names if other not in used},
    )
    return _settled(found, answers, {**refusals, **answers.refusals}, config, may_drop)


_Asked = tuple[Whole, tuple[str, ...], list[Example], tuple[str, ...]]
"""The judged table, the columns with answers, the rows as examples without them, and the columns that were read."""


def _proteins(table: Whole, config: TableConfig, _: Partners | None, told: list[str], roles: list[str]) -> _Asked:
    sequence, guessed = _sequence_column(table, config.column)
    name = _id_column(table, sequence)
    taken = (sequence, *([name] if name else []))
    labels = _label_columns(table, config, taken)
    table, mended = table.judged(sequence, name)
    _tell_mended(table, mended, told)
    roles.append(f"sequences: column '{printable(sequence)}'{guessed}")
    chains = table.residues[sequence]
    names = _ids(table, name, chains, told, roles)
    rows = zip(names, chains, table.numbers, strict=True)
    return table, labels, [Example(Protein(n, chain, source=table.file, row=row)) for n, chain, row in rows], taken


def _pairs(table: Whole, config: TableConfig, partners: Partners | None, told: list[str], roles: list[str]) -> _Asked:
    assert partners is not None  # this is how pairs are told from proteins
    taken = tuple(one for one in (*partners.columns, *partners.names) if one is not None)
    labels = _label_columns(table, config, taken)
    table, mended = partners.judged(table)
    _tell_mended(table, mended, told)
    roles.append(_pair_role(partners))
    return table, labels, partners.examples(table), taken


def _tell_mended(table: Whole, mended: int, told: list[str]) -> None:
    if not len(table):
        raise UsageError(
            f"No row of {table.file} has a sequence that can be read.", remedy=f"The first: {table.refused[0]}"
        )
    if mended:
        told.append(f"{mended:,} sequences were mended: blanks, small letters or a stop codon at the end.")


_IN_WORDS: Mapping[Kind, str] = {
    "number": "a number for each protein",
    "label": "a class for each protein",
    "labels": "any of several labels for each protein",
    "tokens": "a letter for each residue",
    "values": "a number for each residue",
}


def _settled(
    found: Labelled, answers: Answers, refusals: Mapping[int, tuple[str, str]], config: TableConfig, may_drop: bool
) -> Labelled:
    """Refused rows taken out, then the policy for labels as a whole."""
    if len(answers.missing) > 0.05 * len(found) and config.missing == "ask" and not may_drop:
        raise UsageError(
            f"{len(answers.missing):,} of {len(found):,} rows ({len(answers.missing) / len(found):.0%}) have no answer "
            f"in column '{printable(found.label)}'.",
            remedy="Train on the others with --yes or --set table.missing=drop, or fill them in.",
        )
    judged = judge(found.examples, found.kind, rare=config.rare, conflicts=config.conflicts, refusals=refusals)
    errors = list(found.refused)
    for row, (reason, remedy) in judged.refusals.items():
        protein = found.examples[row].protein
        errors.append(
            place(InputError(reason, remedy=remedy), file=found.file, row=found.numbers[row], record=protein.id)
        )
    kept = [row for row in range(len(found)) if row not in judged.refusals]
    others = {name: tuple(cells[row] for row in kept) for name, cells in (found.others or {}).items()}
    return replace(
        found,
        examples=tuple(judged.examples[row] for row in kept),
        numbers=tuple(found.numbers[row] for row in kept),
        splits=tuple(found.splits[row] for row in kept) if found.splits else None,
        told=(*found.told, *judged.told),
        warned=judged.warned,
        refused=tuple(sorted(errors, key=lambda error: error.row or 0)),
        others=others,
    )


# Roles ----------------------------------------------------------------------------------------------------------------


def _pair_role(partners: Partners) -> str:
    one, other = map(printable, partners.columns)
    named = [f"'{printable(name)}'" for name in partners.names if name is not None]
    return (
        f"pairs of proteins: columns '{one}' and '{other}' ({'as you said' if partners.said else 'by their names'}; "
        "which comes first makes no difference)" + (f", called by {' and '.join(named)}" if named else "")
    )


def _sequence_column(table: Whole, chosen: str) -> tuple[str, str]:
    try:
        return table.sequence_column(chosen or None), "" if not chosen else " (as you said)"
    except UsageError:
        if chosen:
            raise
        found = [name for name in table.names if table.holds_proteins(name)]
        if len(found) == 1:
            return found[0], " (guessed: the only one whose cells are residues)"
        if found:
            raise UsageError(
                f"The sequences could be in column '{found[0]}' or '{found[1]}'.",
                remedy="Say which: --column NAME; or, if each row is a pair, --column FIRST --partner SECOND.",
            ) from None
        raise


def _id_column(table: Whole, sequence: str) -> str | None:
    return next((table.folded[name] for name in ID_COLUMNS if table.folded.get(name, sequence) != sequence), None)


def _label_columns(table: Whole, config: TableConfig, taken: Sequence[str]) -> tuple[str, ...]:
    if config.label:
        return tuple(table.column(name) for name in config.label)
    found = [table.folded[name] for name in LABEL_COLUMNS if table.folded.get(name, taken[0]) not in taken]
    if len(found) == 1:
        return (found[0],)
    split = _split_column(table, config)
    plain = (*CONDITION_COLUMNS, *ID_COLUMNS)
    known = {*taken, split, *map(table.column, config.conditions), *(n for f, n in table.folded.items() if f in plain)}
    left = found or [name for name in table.names if name not in known]
    if len(left) == 1:
        return (left[0],)
    shown = ", ".join(printable(name) for name in table.names)
    what = f"could be in column '{printable(left[0])}' or '{printable(left[1])}'" if left else "are in no column"
    raise UsageError(f"The answers {what}; {table.file} has: {shown}.", remedy="Say which: --label NAME.")


def _split_column(table: Whole, config: TableConfig) -> str | None:
    if config.split:
        return table.column(config.split)
    for name in SPLIT_COLUMNS:
        if name in table.folded:
            cells = {cell.strip().lower() for cell in table.texts(table.folded[name])}
            if cells <= {"train", "training", "valid", "val", "validation", "dev", "test", "testing"}:
                return table.folded[name]
    return None


def _own_split(table: Whole, column: str, roles: list[str], config: TableConfig) -> tuple[str, ...]:
    split = own_split(table.texts(column), shares=config.shares)
    for name in (NAMES[0], NAMES[2]):
        if not len(split.rows(name)):
            raise UsageError(
                f"No row of column '{printable(column)}' says '{name}'.",
                remedy="Give each split some rows, or take the column out: then families of relatives are dealt.",
            )
    roles.append(f"split: column '{printable(column)}', as it stands")
    return tuple(split.names.tolist())


def _ids(table: Whole, name: str | None, chains: Sequence[str], told: list[str], roles: list[str]) -> list[str]:
    """A name for each row; a column that names many rows alike is no column of names."""
    rows = [f"row-{number}" for number in table.numbers]
    if name is None:
        return rows
    cells = [cell.strip() for cell in table.texts(name)]
    first = dict(zip(reversed(cells), reversed(chains), strict=True))
    twice = sum(first[cell] != chain for cell, chain in zip(cells, chains, strict=True))
    if twice > 0.05 * len(cells):
        told.append(f"The column '{printable(name)}' names many rows alike, so rows are called by their numbers.")
        return rows
    roles.append(f"names: column '{printable(name)}'")
    return [cell or row for cell, row in zip(cells, rows, strict=True)]


def _answers(table: Whole, labels: Sequence[str], lengths: Sequence[int], config: TableConfig) -> tuple[Answers, str]:
    if len(labels) == 1:
        cells = table.texts(labels[0])
        return read_answers(cells, lengths, guess_kind(cells, lengths, labels[0], config.kind), labels[0]), labels[0]
    joined = []
    columns = [[cell.strip().lower() for cell in table.texts(name)] for name in labels]
    for row in range(len(table)):
        said = []
        for name, column in zip(labels, columns, strict=True):
            if is_missing(column[row]):
                said.append(f"?{name}")
            elif column[row] not in ("0", "1", "true", "false"):
                raise UsageError(
                    f"Column '{printable(name)}' says '{printable(column[row])}' in row {table.numbers[row]}; each of "
                    "several label columns must hold 0, 1 or nothing.",
                    remedy="Name one column with --label, or write 0 and 1.",
                )
            elif column[row] in ("1", "true"):
                said.append(name)
        joined.append(tuple(said))
    known = [any(not name.startswith("?") for name in said) or len(said) < len(labels) for said in joined]
    missing = tuple(row for row, is_known in enumerate(known) if not is_known)
    why = ("No label of the row is known.", "Fill one in.")
    return Answers("labels", tuple(joined), "", dict.fromkeys(missing, why), missing), ", ".join(labels)


_Conditions = dict[str, tuple[str, list[float | None]]]


def _conditions(
    table: Whole, config: TableConfig, taken: Sequence[str], roles: list[str]
) -> tuple[_Conditions, dict[int, tuple[str, str]]]:
    """The value of each condition in each row, None where unknown, and the rows in which one makes no sense."""
    named = {table.column(name) for name in config.conditions}
    columns = Columns.find(table.names, chosen=taken[0], file=table.file, limits=LIMITS)
    known = {at: name for at, name in columns.conditions.items() if table.names[at] not in taken}
    usual = Columns(columns.names, columns.sequence, None, known)
    found: _Conditions = {name: (table.names[at], []) for at, name in known.items()}
    refusals: dict[int, tuple[str, str]] = {}
    rows = list(zip(*(table.texts(name) for name in table.names), strict=True))
    for row, cells in enumerate(rows):
        record: RawRecord | None = None
        try:
            record = usual.record(table.numbers[row], cells, LIMITS)
        except InputError as error:
            refusals[row] = (error.reason, error.remedy)
        for name, (_, values) in found.items():
            values.append(record.conditions.get(name) if record is not None else None)
    for column in sorted(named - {name for name, _ in found.values()}):
        cells_of = table.texts(column)
        read = read_answers(cells_of, [0] * len(cells_of), "number", column)
        refusals |= {row: why for row, why in read.refusals.items() if row not in read.missing}
        found[column] = (column, [float(v) if isinstance(v, int | float) else None for v in read.values])
    for name, (column, values) in list(found.items()):
        if len({value for value in values if value is not None}) < 2:
            del found[name]  # what never differs says nothing
        else:
            roles.append(f"condition: column '{printable(column)}'")
    return found, refusals
