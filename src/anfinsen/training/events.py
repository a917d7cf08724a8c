"""events.jsonl: one record a step, one line a record, so that a run can be watched, drawn and told again.

step, steps, task, heat            where the run is
loss, valid, best, best_step       training loss; at a look: validation loss, the best so far and its step
right, chance | miss, naive, ...   what the guesses were worth (see `witness`)
learning_rate, rate_share          the stride, and its share of the full one
gradient_norm, gradients, clipped  the pull of the error, by layer, and what it was cut to if it was cut
moving, weights                    how many weights may move, of how many
proteins, tokens, seconds, epoch   what was read and how long it took
plateau, stopped                   at the end: the plateau reached, and why it stopped
sentences                          what the narrator had to say, if anything
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

Record = dict[str, Any]


class Events:
    """The events of one run, in its folder."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "events.jsonl"

    def add(self, record: Record) -> None:
        """Write one record."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")

    def keep_until(self, step: int) -> list[Record]:
        """Drop the records of steps that are done again, and a line that a kill has torn; what is left."""
        lines = self.path.read_text(encoding="utf-8").splitlines() if self.path.exists() else []
        kept = [record for line in lines if line.endswith("}") and (record := json.loads(line))["step"] <= step]
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_text("".join(json.dumps(record) + "\n" for record in kept), encoding="utf-8")
        return kept
