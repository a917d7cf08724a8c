"""Pairs of relatives from MMseqs2 (Steinegger & Söding 2017, Nature Biotechnology 35:1026), where it is installed.

It runs in a process of its own, on a folder that is deleted afterwards. All chains are searched against all, not
clustered: its clusters compare with their representatives only, and relatives in two clusters would be overlooked.
It finds more remote relatives than shared words do. It knows no table and no split.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from anfinsen.errors import AnfinsenError
from anfinsen.kinship.relatives import COVERAGE, E_VALUE
from anfinsen.limits import LIMITS

PROGRAM = "mmseqs"
_COLUMNS = "query,target,qstart,qend,qlen,tstart,tend,tlen"
_MOST = 1000


def is_installed() -> bool:
    """Whether the program is there."""
    return shutil.which(PROGRAM) is not None


def search(chains: Sequence[str], identity: float) -> Iterator[tuple[int, int]]:
    """Pairs of places of chains that are alike in `identity` (0 to 1) or more over half of the shorter one."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        fasta, hits = folder / "chains.fasta", folder / "hits.tsv"
        fasta.write_text("".join(f">{place}\n{chain}\n" for place, chain in enumerate(chains)), encoding="ascii")
        asked = [PROGRAM, "easy-search", str(fasta), str(fasta), str(hits), str(folder / "work")]
        asked += ["--min-seq-id", f"{identity:g}", "-e", f"{E_VALUE:g}", "--max-seqs", str(_MOST), "-v", "1"]
        asked += ["--alignment-mode", "3", "--format-output", _COLUMNS]
        try:
            done = subprocess.run(
                asked, capture_output=True, text=True, check=False, timeout=60 * LIMITS.job_minutes, cwd=folder
            )
        except subprocess.TimeoutExpired:
            raise AnfinsenError(
                f"MMseqs2 was stopped after {LIMITS.job_minutes} minutes.", remedy="Split the table in parts."
            ) from None
        if done.returncode or not hits.exists():
            last = (done.stderr or done.stdout).strip().splitlines()[-1:] or ["without a word"]
            raise AnfinsenError(
                f"MMseqs2 failed: {last[0]}", remedy="Mend its installation, or split without it: --no-mmseqs."
            )
        with hits.open(encoding="ascii") as file:
            for line in file:
                one, other, start, end, length, other_start, other_end, other_length = map(int, line.split("\t"))
                covered = end - start + 1 if length <= other_length else other_end - other_start + 1
                if one != other and covered >= COVERAGE * min(length, other_length):
                    yield one, other
