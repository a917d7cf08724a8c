"""Every way in which Anfinsen says no.

AnfinsenError                what came, what was expected, what to do next      exit 1
├── UsageError               the call itself is wrong (a flag, a column, a name)      2
│   ├── ConfigError          a setting that does not exist or does not fit            2
│   └── UnknownNameError     a task, backbone or suite that nobody registered         2
├── InputError               one record of an input file is refused                   3
├── UndefinedScoreError      a score that does not exist for these answers            1
├── MissingDataError         a public data set is not on this machine                 1
├── MissingExtraError        an optional package is not installed                     1
├── CheckpointError          a checkpoint is incomplete or damaged                    1
├── StoppedError             a training was asked to stop, and has saved its state  130 (Ctrl-C), 143 (SIGTERM)
├── CorpusError              a folder of shards is incomplete, damaged or none        1
└── BundleError              a model folder is incomplete, damaged or of another kind 1

An error's text is for the person who reads it: where, what came, what was expected, what to do.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class AnfinsenError(Exception):
    """Root of all errors that a user can cause; `remedy` is the next step, in the imperative."""

    exit_code = 1

    def __init__(self, reason: str, *, remedy: str = "") -> None:
        self.reason = reason
        self.remedy = remedy
        super().__init__(f"{reason} {remedy}".strip())


class UsageError(AnfinsenError):
    """The command or the call cannot be understood as it stands."""

    exit_code = 2


class ConfigError(UsageError):
    """A setting is unknown or its value does not fit."""


class UnknownNameError(UsageError):
    """A name that no registry holds; the nearest names are offered."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        names = sorted(known)
        super().__init__(f"There is no {kind} called '{name}'.", remedy=suggest(name, names))


class InputError(AnfinsenError):
    """One record that is refused, with its place; the other records go on."""

    exit_code = 3

    def __init__(
        self,
        reason: str,
        *,
        remedy: str,
        file: str = "",
        row: int | None = None,
        line: int | None = None,
        position: int | None = None,
        record: str = "",
    ) -> None:
        super().__init__(reason, remedy=remedy)
        self.file = file
        self.row = row
        self.line = line
        self.position = position
        self.record = record

    def place(self) -> str:
        """Where it happened, as 'file, record 3 (name), position 57', or with the line of the file if it is known."""
        parts = [self.file] if self.file else []
        count, number = ("record", self.row) if self.line is None else ("line", self.line)
        if number is not None:
            parts.append(f"{count} {number}" + (f" ({self.record})" if self.record else ""))
        elif self.record:
            parts.append(self.record)
        if self.position is not None:
            parts.append(f"position {self.position}")
        return ", ".join(parts)

    def __str__(self) -> str:
        place = self.place()
        text = f"{self.reason} {self.remedy}".strip()
        return f"{place}: {text}" if place else text


class UndefinedScoreError(AnfinsenError):
    """A score that these answers do not have, such as a correlation with a constant."""


class MissingDataError(AnfinsenError):
    """A table that a command needs is not here."""


class MissingExtraError(AnfinsenError):
    """A package that only some commands need is not installed."""

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(
            f"This needs the package '{package}', which is not installed.",
            remedy=f"Install it with: pip install 'anfinsen[{extra}]'",
        )


class CheckpointError(AnfinsenError):
    """A checkpoint whose manifest or hashes do not hold."""


class CorpusError(AnfinsenError):
    """A folder of packed sequences that cannot be used."""


class StoppedError(AnfinsenError):
    """A training that was asked to stop, by Ctrl-C or by the machine; nothing is lost and nothing is wrong."""

    def __init__(self, reason: str, *, remedy: str, exit_code: int) -> None:
        super().__init__(reason, remedy=remedy)
        self.exit_code = exit_code


class BundleError(AnfinsenError):
    """A model folder that cannot be used."""


def suggest(name: str, known: Iterable[str]) -> str:
    """The sentence that follows a wrong name: the nearest one, or all of them.

    >>> suggest("localisation", ["localization", "solubility"])
    "Did you mean 'localization'? Known: localization, solubility."
    """
    names = list(known)
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    hint = f"Did you mean '{near[0]}'? " if near else ""
    return f"{hint}Known: {', '.join(names) or 'none'}."
