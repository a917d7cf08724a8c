"""The wheel holds the package, all of it and nothing else."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
KINDS = {".py", ".typed", ".jinja", ".css", ".js", ".json", ".txt", ".safetensors", ".md", ".toml", ".html", ".svg"}


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = folder.glob("anfinsen-*.whl")
    return set(zipfile.ZipFile(wheel).namelist())


def test_every_file_of_the_package_travels(names: set[str]) -> None:
    source = ROOT / "src"
    files = (path for path in (source / "anfinsen").rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    assert {path.relative_to(source).as_posix() for path in files} == {
        name for name in names if name.startswith("anfinsen/")
    }


def test_nothing_else_travels(names: set[str]) -> None:
    notes = {name for name in names if ".dist-info/" in name}
    assert {name for name in names - notes if Path(name).suffix not in KINDS} == set()
    assert {Path(name).name for name in notes} == {
        "METADATA",
        "WHEEL",
        "RECORD",
        "entry_points.txt",
        "LICENSE",
        "NOTICE",
    }
