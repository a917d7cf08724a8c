"""What is public is explained, and what the pages show works: code runs, commands are understood, links lead somewhere.

A README block that cannot run in a test (it needs a cluster, or an hour) has `<!-- not run: the reason -->` above it.
The examples inside docstrings are run by pytest itself (`--doctest-modules` over src).
"""

from __future__ import annotations

import doctest
import importlib
import inspect
import os
import pkgutil
import re
import runpy
import shlex
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import typer

import anfinsen
from anfinsen.cli import app
from anfinsen.config import Config

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
PAGES = [README, *(ROOT / name for name in ("CHANGELOG.md", "CONTRIBUTING.md")), *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(
    r"^(?P<skip><!-- not run: .+ -->\n+)?```(?P<language>\w+)[^\n]*\n(?P<text>.*?)^```", re.MULTILINE | re.DOTALL
)
LINK = re.compile(r"\]\((?!https?:|mailto:|#)(?P<target>[^)#\s]+)")
CHILD_ONLY = "__main__"


class Block(NamedTuple):
    language: str
    text: str
    is_run: bool


def blocks(page: str, *languages: str) -> list[Block]:
    found = (Block(m["language"], m["text"], m["skip"] is None) for m in FENCE.finditer(page))
    return [block for block in found if block.language in languages]


def commands(text: str) -> list[list[str]]:
    """The commands of a console block, as words; with '$ ' prompts, lines without one are output."""
    lines = text.replace("\\\n", " ").splitlines()
    has_prompts = any(line.startswith("$ ") for line in lines)
    asked = (line.removeprefix("$ ") for line in lines if not has_prompts or line.startswith("$ "))
    return [words for line in asked if (words := shlex.split(line, comments=True))]


def modules() -> Iterator[Any]:
    for found in pkgutil.walk_packages(anfinsen.__path__, "anfinsen."):
        if not found.name.endswith(CHILD_ONLY):
            yield importlib.import_module(found.name)


def unexplained(module: Any) -> Iterator[str]:
    """Public classes, functions, methods and settings without a docstring; a method may inherit one."""
    for name, thing in vars(module).items():
        is_own = getattr(thing, "__module__", None) == module.__name__
        if name.startswith("_") or not is_own or not (inspect.isclass(thing) or inspect.isfunction(thing)):
            continue
        if not inspect.getdoc(thing):
            yield f"{module.__name__}.{name}"
        if inspect.isclass(thing):
            yield from (f"{module.__name__}.{name}.{member}" for member in _unexplained_members(thing))


def _unexplained_members(kind: type) -> Iterator[str]:
    if getattr(kind, "_is_protocol", False):
        return  # a protocol's own docstring says what its methods must do
    for name, member in vars(kind).items():
        is_code = inspect.isfunction(member) or isinstance(member, property | classmethod | staticmethod)
        if inspect.isfunction(member) and member.__module__ != kind.__module__:
            continue  # PyTorch Geometric writes methods of its own onto a class when it is first used
        if not name.startswith("_") and is_code and not inspect.getdoc(getattr(kind, name)):
            yield name
    if issubclass(kind, Config):
        yield from (name for name, field in kind.model_fields.items() if not field.description)


def test_public_things_are_explained() -> None:
    wrong = [name for module in modules() for name in unexplained(module)]
    assert not wrong, "Without a docstring: " + ", ".join(wrong)


def test_the_door_keeps_its_promises() -> None:
    assert [name for name in anfinsen.__all__ if not hasattr(anfinsen, name)] == []
    assert anfinsen.__all__ == sorted(anfinsen.__all__)


def test_the_python_of_the_readme_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All blocks run in one namespace and in order, as a reader would type them, beside the folder of examples."""
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    monkeypatch.chdir(tmp_path)
    source = "\n".join(
        block.text for block in blocks(README.read_text(encoding="utf-8"), "python", "py") if block.is_run
    )
    if ">>> " in source:
        example = doctest.DocTestParser().get_doctest(source, {}, "README.md", "README.md", 0)
        assert doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(example).failed == 0
    else:
        script = tmp_path / "readme.py"
        script.write_text(source, encoding="utf-8")
        runpy.run_path(str(script))


def test_the_commands_of_the_pages_are_understood(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    wrong = []
    for page in PAGES:
        for block in blocks(page.read_text(encoding="utf-8"), "console", "bash", "sh", "shell"):
            for words in commands(block.text):
                wrong += [f"{page.name}: {shlex.join(words)}: {fault}" for fault in _command_faults(words)]
    assert not wrong, "\n".join(wrong)


def _command_faults(words: list[str]) -> Iterator[str]:
    """Why a command of ours cannot be meant as it stands; commands of others are left alone."""
    program, rest = words[0], words[1:]
    if program.startswith(("scripts/", "./scripts/", ".ci/")):
        path = ROOT / program
        if not path.is_file() or not path.stat().st_mode & stat.S_IXUSR:
            yield "no such program"
    if program != "anfinsen":
        return
    verbs: Any = typer.main.get_command(app)
    verb = next((verbs.commands[word] for word in rest[:1] if word in verbs.commands), None)
    try:
        (verb or verbs).make_context(program, rest[1:] if verb else rest)
    except SystemExit as stop:
        if stop.code:
            yield "is refused"
    except Exception as error:  # noqa: BLE001  # whatever the parser raises is the finding
        if type(error).__name__ != "Exit":
            yield str(getattr(error, "message", error)) or type(error).__name__
    else:
        if verb is None and rest and not rest[0].startswith("-"):
            yield f"there is no verb '{rest[0]}'"


@pytest.mark.parametrize(
    ("words", "is_understood"),
    [
        ("anfinsen predict a.fasta --out answers", True),
        ("anfinsen --help", True),
        ("anfinsen predikt a.fasta", False),
        ("anfinsen predict a.fasta --colour red", False),
        ("anfinsen predict", False),
        ("scripts/demo", True),
        ("scripts/no-such-thing", False),
        ("git clone somewhere", True),
    ],
)
def test_a_wrong_command_would_be_found(words: str, is_understood: bool) -> None:
    assert (list(_command_faults(words.split())) == []) == is_understood


def test_links_between_pages_lead_somewhere() -> None:
    wrong = [
        f"{page.name}: {match['target']}"
        for page in PAGES
        for match in LINK.finditer(page.read_text(encoding="utf-8"))
        if not (page.parent / match["target"]).exists()
    ]
    assert not wrong, "\n".join(wrong)


def test_scripts_are_short_and_can_be_started() -> None:
    for name in ("scripts/demo", "scripts/test", "scripts/check", ".ci/run", "scripts/setup"):
        path = ROOT / name
        assert os.access(path, os.X_OK), f"{name} cannot be started"
        assert len(path.read_text(encoding="utf-8").splitlines()) < (40 if path.name == "setup" else 20), (
            f"{name} is long"
        )
