"""What a fold costs: `anfinsen bench fold-cost`, in processes that do nothing else.

    chains of the test split, cut to 300 residues -> each folded by a process of its own -> seconds, peak_mb

`seconds` are those from the start of the process to its end, as a user waits: reading the code and the weights, the
network, the known structures and the building. `peak_mb` is the most memory that the process held. Both are medians
over the chains, on as many threads as the bench was given (`--threads`).
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from statistics import median

from anfinsen import runtime
from anfinsen.bench.contact_maps import judged
from anfinsen.bench.study import Question, Tell
from anfinsen.bench.suite import STRUCTURE
from anfinsen.errors import AnfinsenError
from anfinsen.hub.bundle import Bundle
from anfinsen.hub.record import Score
from anfinsen.inference.distances import Folder
from anfinsen.targets.metrics import Estimate

RESIDUES, CHAINS = 300, 3
"""Residues of a folded chain, and chains."""


def cost_rows(bundle: Bundle, *, limit: int | None, tell: Tell) -> list[Score]:
    """Seconds and megabytes of a fold with the embedded folder. About a minute."""
    sequences = long_chains()[: limit or CHAINS]
    label, costs = Folder.load().bundle.label, []
    for number, sequence in enumerate(sequences, 1):
        costs.append(cost(sequence, runtime.threads()))
        tell(f"Fold {number} of {len(sequences)}: {costs[-1][0]:.1f} s, {costs[-1][1]:,.0f} MB.")
    rows = []
    for metric, values in zip(("seconds", "peak_mb"), zip(*costs, strict=True), strict=True):
        question = Question(STRUCTURE, "fold", "chains of the test split", f"{RESIDUES} residues", metric)
        # three folds make no interval
        rows.append(question.row(label, Estimate(median(values), None, None, len(values))))
    return rows


def long_chains() -> list[str]:
    """Sequences of the test split that are longer than asked, cut to it, in the order of their names."""
    chains = sorted(judged("test"), key=lambda chain: chain.id)
    wholes = [chain.whole or chain.sequence for chain in chains]
    return [whole[:RESIDUES] for whole in wholes if len(whole) >= RESIDUES and "X" not in whole]


def cost(sequence: str, threads: int) -> tuple[float, float]:
    """Seconds and megabytes of a process that folds one sequence and ends."""
    begun = time.perf_counter()
    command = [sys.executable, "-m", "anfinsen.bench.fold_cost", str(threads)]
    ended = subprocess.run(command, input=sequence, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise AnfinsenError(f"A fold could not run alone: {ended.stderr.strip().splitlines()[-1]}")
    return time.perf_counter() - begun, float(json.loads(ended.stdout)["peak_mb"])


def _alone(threads: str) -> None:
    from anfinsen.inference.fold import fold

    runtime.use_threads(int(threads))
    fold(sys.stdin.read().strip())
    sys.stdout.write(json.dumps({"peak_mb": runtime.peak_megabytes()}) + "\n")


if __name__ == "__main__":
    _alone(*sys.argv[1:])
