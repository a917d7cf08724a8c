"""Relatives and families from MMseqs2 (Steinegger & Söding 2017, Nature Biotechnology 35:1026), where it is installed.

It runs in a process of its own, on a folder that is deleted afterwards. For splits all chains are searched against all,
not clustered: its clusters compare with their representatives only, and relatives in two clusters would be overlooked.
It finds more remote relatives than shared words do. It knows no table and no split.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from anfinsen.errors import AnfinsenError
from anfinsen.kinship.relatives import COVERAGE, E_VALUE
from anfinsen.limits import LIMITS

PROGRAM = "mmseqs"
_MOST = 1000


class Member(NamedTuple):
    """A chain of a family: its place among all, where its alignment with the family's first chain begins in either.

    `steps` is the alignment as a CIGAR string: M both go on, I only the first chain does, D only the member.
    """

    place: int
    first_start: int
    start: int
    steps: str


def is_installed() -> bool:
    """Whether the program is there."""
    return shutil.which(PROGRAM) is not None


def search(chains: Sequence[str], identity: float) -> Iterator[tuple[int, int]]:
    """Pairs of places of chains that are alike in `identity` (0 to 1) or more over half of the shorter one."""
    with tempfile.TemporaryDirectory() as name:
        fasta, hits = _written(chains, Path(name)), Path(name) / "hits.tsv"
        asked = ["easy-search", str(fasta), str(fasta), str(hits), "work"]
        asked += ["--min-seq-id", f"{identity:g}", "-e", f"{E_VALUE:g}", "--max-seqs", str(_MOST)]
        asked += ["--alignment-mode", "3", "--format-output", "query,target,qstart,qend,qlen,tstart,tend,tlen"]
        _run(asked, Path(name), LIMITS.job_minutes)
        with hits.open(encoding="ascii") as file:
            for line in file:
                one, other, start, end, length, other_start, other_end, other_length = map(int, line.split("\t"))
                covered = end - start + 1 if length <= other_length else other_end - other_start + 1
                if one != other and covered >= COVERAGE * min(length, other_length):
                    yield one, other


def families(
    chains: Sequence[str], identity: float, coverage: float, sensitivity: float, *, minutes: int = 60
) -> Iterator[list[Member]]:
    """Families of chains, each chain in one: all are like the first of their family, which stands first."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _run(["createdb", str(_written(chains, folder)), "all"], folder, minutes)
        alike = ["--min-seq-id", f"{identity:g}", "-c", f"{coverage:g}", "-s", f"{sensitivity:g}"]
        _run(["cluster", "all", "clusters", "work", *alike], folder, minutes)
        _run(["align", "all", "all", "clusters", "aligned", "-a", "-e", "10"], folder, minutes)
        columns = "query,target,qstart,tstart,cigar"
        _run(["convertalis", "all", "all", "aligned", "aligned.tsv", "--format-output", columns], folder, minutes)
        with (folder / "aligned.tsv").open(encoding="ascii") as file:
            lines = (line.split() for line in file)
            for _, group in groupby(lines, key=lambda parts: parts[0]):
                yield [Member(int(place), int(one) - 1, int(other) - 1, steps) for _, place, one, other, steps in group]


def _written(chains: Sequence[str], folder: Path) -> Path:
    path = folder / "chains.fasta"
    path.write_text("".join(f">{place}\n{chain}\n" for place, chain in enumerate(chains)), encoding="ascii")
    return path


def _run(asked: Sequence[str], folder: Path, minutes: int) -> None:
    try:
        done = subprocess.run(
            [PROGRAM, *asked, "-v", "1"], capture_output=True, text=True, check=False, timeout=60 * minutes, cwd=folder
        )
    except subprocess.TimeoutExpired:
        raise AnfinsenError(
            f"MMseqs2 was stopped after {minutes} minutes.", remedy="Split the table in parts."
        ) from None
    if done.returncode:
        last = (done.stderr or done.stdout).strip().splitlines()[-1:] or ["without a word"]
        raise AnfinsenError(
            f"MMseqs2 failed: {last[0]}", remedy="Mend its installation, or split without it: --no-mmseqs."
        )
