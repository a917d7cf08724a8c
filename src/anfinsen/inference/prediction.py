"""A prediction: one protein or pair, one answer for each task, and everything the user must be told about it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from anfinsen.structure.protein import Message, Protein
from anfinsen.targets.base import Answer


@dataclass(frozen=True)
class Prediction:
    """The answers for one protein of L residues.

    `answers` maps a task's name to its JSON answer (see `targets.base`), each with a `reach`:
    {"far": bool, "nearest_identity": float | None, "nearest_id": str | None}, which says how near the
    protein is to anything that the task was trained on.
    """

    id: str
    sequence: str
    sha256: str
    answers: Mapping[str, Answer]
    messages: tuple[Message, ...] = ()
    numbering: tuple[str, ...] | None = None
    conditions: Mapping[str, float] = field(default_factory=dict)
    description: str = ""
    partner: Protein | None = None
    """The second protein, where a pair was asked about."""

    @property
    def title(self) -> str:
        """How what was asked about is called."""
        return self.id if self.partner is None else f"{self.id} with {self.partner.id}"

    @property
    def residues(self) -> int:
        """Residues of all chains that were read."""
        return len(self.sequence) + (len(self.partner) if self.partner is not None else 0)

    def to_json(self) -> dict[str, Any]:
        """One line of predictions.jsonl."""
        line: dict[str, Any] = {
            "id": self.id,
            "length": len(self.sequence),
            "sha256": self.sha256,
            "answers": dict(self.answers),
            "messages": [message.to_json() for message in self.messages],
            "sequence": self.sequence,
        }
        if self.partner is not None:
            other = self.partner
            line["partner"] = {
                "id": other.id,
                "length": len(other),
                "sha256": other.sha256,
                "sequence": other.sequence,
            }
        if self.description:
            line["description"] = self.description
        if self.numbering is not None:
            line["numbering"] = list(self.numbering)
        if self.conditions:
            line["conditions"] = dict(self.conditions)
        return line

    def to_line(self) -> str:
        """The same as text, with its line end; in ASCII, since a name may hold what other programs take for one."""
        return json.dumps(self.to_json(), allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, line: Mapping[str, Any]) -> Self:
        """Read a line of predictions.jsonl back."""
        messages = tuple(Message(m["level"], m["text"], m.get("position")) for m in line["messages"])
        numbering = tuple(line["numbering"]) if "numbering" in line else None
        return cls(
            id=line["id"],
            sequence=line["sequence"],
            sha256=line["sha256"],
            answers=line["answers"],
            messages=messages,
            numbering=numbering,
            conditions=line.get("conditions", {}),
            description=line.get("description", ""),
            partner=Protein(line["partner"]["id"], line["partner"]["sequence"]) if "partner" in line else None,
        )
