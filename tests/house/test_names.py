"""What is written down holds for every reader: no folder of one machine, no package server, no private tool or note.

The names of private tools are kept here as hashes, so that this file does not tell them either.
"""

from __future__ import annotations

import hashlib
import re
import subprocess
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

PATTERNS = {
    "folder": re.compile(
        r"(?<![\w.:/~-])/(?:work|root|home|Users|opt|mnt|srv|tmp)(?:/[\w.-]+|\b(?![\w/-]))",
    ),
    "server": re.compile(
        r"\b(?:pypi|pythonhosted|anaconda|npmjs|yarnpkg|rubygems|crates|debian|ubuntu)\.(?:org|com|io|net)\b"
        r"|\b(?:pypi\.python|download\.pytorch)\b"
    ),
    "ticket": re.compile(r"\bissue #?\d+\b", re.IGNORECASE),
}
WORD = re.compile(r"[a-z_][a-z0-9_.-]*[a-z0-9_]")
PRIVATE = {
    "0db0a08c5e0f",
    "3ca4186da4fe",
    "40622135302e",
    "584d2ec4fc7c",
    "8cf10d1b0e07",
    "8e4b48bdb90d",
    "b06493481529",
    "cdc2ecc1fdee",
    "fbb8037df8cc",
}


@cache
def pages() -> dict[str, str]:
    """Every text file that is, or is about to be, under version control."""
    if not (ROOT / ".git").exists():
        pytest.skip("this copy is not under version control")
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
        text=True,
    ).stdout
    found = {}
    for name in filter(None, listed.split("\0")):
        path = ROOT / name
        try:
            found[name] = path.read_text(encoding="utf-8")
        except (UnicodeDecodeError, FileNotFoundError, IsADirectoryError):
            continue
    return found


def places(pattern: re.Pattern[str]) -> list[str]:
    return [
        f"{name}:{number}: {match[0]}"
        for name, text in pages().items()
        for number, line in enumerate(text.splitlines(), 1)
        for match in pattern.finditer(line)
    ]


def digest(word: str) -> str:
    return hashlib.sha256(word.encode()).hexdigest()[:12]


def test_there_are_pages_to_read() -> None:
    assert {"pyproject.toml", "src/anfinsen/errors.py", "tests/house/test_names.py"} <= set(pages())


@pytest.mark.parametrize("kind", PATTERNS)
def test_nothing_holds_for_one_place_only(kind: str) -> None:
    assert not places(PATTERNS[kind]), "\n".join(places(PATTERNS[kind]))


def test_no_private_tool_or_note_is_named() -> None:
    wrong = [
        f"{name}: {word}"
        for name, text in pages().items()
        for word in sorted(set(WORD.findall(text.lower())))
        if digest(word) in PRIVATE
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    ("kind", "text", "is_found"),
    [
        ("folder", "see /" + "work/main/src", True),
        ("folder", "cd /" + "home/ada", True),
        ("folder", "in '/" + "tmp'", True),
        ("folder", "https://example.com/" + "home/page", False),
        ("folder", "examples/" + "work/main", False),
        ("server", "https://" + "pypi" + ".org/simple", True),
        ("server", "from the package index", False),
        ("ticket", "fixed for issue " + "12", True),
        ("ticket", "an issue of 12 pages", False),
    ],
)
def test_each_slip_would_be_found(kind: str, text: str, is_found: bool) -> None:
    assert bool(PATTERNS[kind].search(text)) == is_found
