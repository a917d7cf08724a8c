"""The command line as a stranger meets it: its help, and what it says to slips of the pen."""

from __future__ import annotations

import gzip
import io
import re
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import typer
from rich.console import Console
from rich.text import Text
from typer.testing import CliRunner

from anfinsen.cli import app, main
from anfinsen.cli.screen import notices, screen
from anfinsen.errors import InputError
from anfinsen.report.paragraph import paragraph
from anfinsen.wording import counted, refusals

CHAIN = "MQIFVKTLTGKTITLEVEPSDTIENVKAKIQDKEGIPPDQQRLIFAGKQLEDGRTLSDYNIQKESTLHLVLRLRGG"
COMMANDS: dict[str, typer.core.TyperCommand] = typer.main.get_command(app).commands  # type: ignore[attr-defined]
Say = Callable[..., tuple[int, str]]


@pytest.fixture
def say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Say:
    """Runs `main` in a folder with a few files; its exit code and all that it said, on one line."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "one.fasta").write_text(f">one\n{CHAIN}\n")
    (tmp_path / "two.fasta").write_text(f">one\n{CHAIN}\n>two\n{CHAIN[::-1]}\n")
    (tmp_path / "short.fasta").write_text(">short\nMK\n")
    (tmp_path / "cut.sdf").write_text("not a molecule")
    (tmp_path / "table.csv").write_text(f"sequence,tm\n{CHAIN},57.8\n{CHAIN[::-1]},60\n")
    (tmp_path / "names.csv").write_text("a,b\nP1,P2\n")

    def run(*words: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["anfinsen", *words])
        with screen.capture() as answered, notices.capture() as told, pytest.raises(SystemExit) as left:
            main()
        return int(left.value.code or 0), " ".join(f"{told.get()} {answered.get()}".split())

    return run


@pytest.mark.parametrize(
    ("line", "code", "sentence"),
    [
        ("predict nothing.fasta", 2, "There is no file 'nothing.fasta', and it is no sequence."),
        ("predict one.fasta --out two.fasta", 2, "'two.fasta' is a file, and a folder is to be written."),
        ("predict table.csv --column tm", 1, "'57.8' is a number and no sequence. Give residues, or the column"),
        ("predict one.fasta --bundle nowhere", 1, "nowhere'. Give a folder that `anfinsen train` wrote."),
        ("explain short.fasta --task localization", 1, "Refused: short.fasta, record 1 (short): The sequence has 2"),
        ("behave short.fasta", 1, "Refused: short.fasta, record 1 (short): The sequence has 2 residues"),
        ("behave two.fasta --tm 60", 2, "--tm is the melting temperature of one protein"),
        ("affinity --protein one.fasta --drug cut.sdf", 1, "There is no molecule left to ask about. Refused: cut.sdf"),
        ("screen --target one.fasta --library nothing.smi", 2, "There is no file 'nothing.smi'."),
        (
            "screen --target one.fasta --library table.csv",
            2,
            "table.csv has no column of formulas; it has sequence, tm.",
        ),
        ("interact names.csv", 2, "or give the proteins beside it (interact: --sequences FILE)"),
        ("train data.xlsx", 2, "There is no file 'data.xlsx'. Give the path of a table."),
        ("train cut.sdf", 2, "'cut.sdf' is no table by its name."),
        ("train table.csv --recipe nothing.toml", 2, "There is no file 'nothing.toml'."),
        ("sweep nothing.csv", 2, "There is no file 'nothing.csv'."),
        ("verify nowhere", 1, "There is no folder 'nowhere'."),
    ],
)
def test_a_slip_is_a_sentence_with_its_exit_code(say: Say, line: str, code: int, sentence: str) -> None:
    left, said = say(*line.split())
    assert (left, sentence in said) == (code, True), (left, said)
    assert "The page is" not in said


@pytest.mark.parametrize(
    "line",
    [
        "predict nothing.fasta --out made",
        "predict one.fasta --out made --condition growth_temperature=hot",
        "screen --target one.fasta --library table.csv --out made",
        "behave two.fasta --tm 60 --out made",
    ],
)
def test_a_slip_leaves_no_folder_behind_that_refuses_the_corrected_line(say: Say, tmp_path: Path, line: str) -> None:
    assert say(*line.split())[0] == 2
    assert not (tmp_path / "made").exists()


def test_a_source_that_breaks_before_its_first_answer_does_not_keep_the_folder(say: Say, tmp_path: Path) -> None:
    (tmp_path / "cut.fasta.gz").write_bytes(gzip.compress((tmp_path / "two.fasta").read_bytes())[:-4])
    asked = ("--task", "localization", "--out", "made")
    assert say("predict", "cut.fasta.gz", *asked)[0] == 1
    assert say("predict", "one.fasta", *asked)[0] == 0


@pytest.mark.parametrize(
    ("fault", "code", "sentence"),
    [
        (KeyboardInterrupt(), 130, "Stopped. What is already written stays."),
        (OSError(28, "No space left on device", "out/x"), 74, "No space left on device (out/x). Check the path, the"),
        (NotADirectoryError(20, "Not a directory", "out/x"), 74, "'out/x' is a file where a folder is needed."),
        (sqlite3.OperationalError("database or disk is full"), 74, "cannot be written: database or disk is full."),
    ],
    ids=["Ctrl-C", "full", "file", "full database"],
)
def test_what_ends_a_verb_from_outside_is_a_sentence(
    say: Say, monkeypatch: pytest.MonkeyPatch, fault: BaseException, code: int, sentence: str
) -> None:
    def fail(console: Console) -> None:
        raise fault

    monkeypatch.setattr("anfinsen.learn.lessons.contents", fail)
    left, said = say("learn")
    assert (left, sentence in said) == (code, True), (left, said)


@pytest.mark.parametrize("verb", COMMANDS)
def test_help_says_what_is_written_brackets_and_all(verb: str) -> None:
    command = COMMANDS[verb]
    shown = " ".join(re.sub("[│╭╮╰╯─]", " ", CliRunner().invoke(app, [verb, "--help"]).output).split())
    texts = [command.help or "", *(getattr(one, "help", "") or "" for one in command.params)]
    said = {part for text in texts for part in re.findall(r"\[\w+\]", text)}
    assert {part for part in said if part not in shown} == set()
    assert command.rich_help_panel or verb == "cloud", "give it a place in the list of verbs: rich_help_panel=..."


def test_what_is_long_is_indented_line_by_line_and_ends_without_blanks() -> None:
    shown = Console(file=io.StringIO(), width=24)
    paragraph(shown, Text.assemble(("name", "bold"), "  a [b] sentence that needs three lines or more"), indent=2)
    assert isinstance(shown.file, io.StringIO)
    lines = shown.file.getvalue().splitlines()
    assert lines[0] == "  name  a [b] sentence" and len(lines) == 3
    assert all(line.startswith("  ") and line == line.rstrip() and len(line) <= 24 for line in lines)
    path = "a/folder/with/a/long/name/report.html"
    paragraph(shown, f"Report: {path}")
    assert path in shown.file.getvalue().splitlines(), "what is copied is one word"


def test_counts_and_refusals_are_told_alike_everywhere() -> None:
    assert [counted(number, "pair") for number in (0, 1, 1_000)] == ["0 pairs", "1 pair", "1,000 pairs"]
    told = list(refusals([InputError(f"No {at}.", remedy="") for at in range(7)], Path("out/refused.csv")))
    assert told[0] == "Refused: No 0." and told[5:] == ["and 2 more refused; see out/refused.csv."]
