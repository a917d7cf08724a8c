"""One protein seen through one task: the answer as one number, as a function of the embeddings of its residues.

    embeddings (N, L, C) of N copies of a chain  ->  blocks of the encoder -> head -> the number asked about (N,)

A residue is hidden by a zero embedding, which is what the language model saw where a residue was masked. The training
form of the encoder is used, because the form for inference has no gradients. The number is what the network itself
says, before it is calibrated: a quantity, or the log-odds of the answered class against all others.

Two residues can be parted too: no head of any layer then looks from one to the other (Geva et al. 2023, arXiv
2304.14767, call it attention knockout).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from anfinsen.data.alphabet import TOKENS
from anfinsen.data.batch import pack
from anfinsen.data.example import Example
from anfinsen.errors import BundleError, InputError, UsageError
from anfinsen.hub.body import bare
from anfinsen.models.attention import rotary_turns
from anfinsen.models.encoder import Block, Encoder
from anfinsen.models.network import NativeBody, Network
from anfinsen.targets.base import Label, Number, Tokens
from anfinsen.targets.tree import Tree
from anfinsen.tasks.base import Task

_LEAST = 1e-6
BUDGET = 4096
"""Tokens that are computed together; gradients need a few hundred bytes for each."""


@dataclass(frozen=True)
class Asked:
    """The number that is explained: its words, its unit, and which outputs it is read from."""

    words: str
    unit: str
    columns: Tensor
    """The output that is read: (1,) for the whole protein, (L,) where each residue has its own."""
    residue: int | None = None
    """0-based, where only one residue's answer is asked about."""


class Lens:
    """A protein of L residues, a task, and the number that is explained."""

    def __init__(
        self, network: Network, task: Task, example: Example, *, residue: int | None = None, said: str = ""
    ) -> None:
        body = bare(network.body)
        if not isinstance(body, NativeBody):
            raise BundleError(
                "Only answers of our own encoder can be explained; this bundle stands on a public checkpoint.",
                remedy="Give a bundle whose body is ours.",
            )
        _refuse(task, example, body.longest, residue)
        self.task, self.example = task, example
        self.encoder = cast(Encoder, body.encoder)
        self.head = network.heads[task.name]
        self.conditions = task.condition_rows([example.conditions])
        tokens, self._lengths = pack([example.protein.sequence])
        with torch.no_grad():
            embedded = self.encoder.layers(tokens, self._lengths)[0]
        self._first, self._last = embedded[:1], embedded[-1:]
        self.embedded = embedded[1:-1][None].clone()
        """The residues' embeddings, (1, L, C), special tokens left out."""
        with torch.no_grad():
            self.asked = self._ask(self.outputs(self.embedded)[0], residue, said)

    @property
    def hidden(self) -> Tensor:
        """A chain of which every residue is hidden, (1, L, C)."""
        return torch.zeros_like(self.embedded)

    def __call__(self, embedded: Tensor) -> Tensor:
        """The number asked about, (N,), of chains given as embeddings (N, L, C)."""
        return self.read(self.outputs(embedded))

    def outputs(self, embedded: Tensor, parted: Tensor | None = None) -> Tensor:
        """The head's outputs: (N, size), or (N, L, size) where each residue has its own.

        `parted` says which residues do not see each other, (N, L, L).
        """
        count, length, dim = embedded.shape
        first, last = (part[None].expand(count, 1, dim) for part in (self._first, self._last))
        states = torch.cat((first, embedded, last), dim=1).flatten(0, 1)
        lengths = [length + 2] * count
        config = self.encoder.config
        turns = rotary_turns(lengths, config.dim // config.heads, states.device, config.rotary_precision)
        # <cls> and <eos> see everybody and are seen by all
        seen = None if parted is None else ~functional.pad(parted, (1, 1, 1, 1))[:, None]
        for block in self.encoder.blocks:
            states = block(states, lengths, turns) if seen is None else _seeing(cast(Block, block), states, turns, seen)
        inside = self.encoder.last_norm(states).unflatten(0, (count, length + 2))[:, 1:-1]
        outputs: Tensor = self.head(
            inside.flatten(0, 1), [length] * count, self.conditions.expand(count, self.conditions.shape[1])
        )
        return outputs.unflatten(0, (count, length)) if self.task.target.per_residue else outputs

    def read(self, outputs: Tensor) -> Tensor:
        """The number asked about, (N,), from outputs (N, size) or (N, L, size)."""
        target, asked = self.task.target, self.asked
        if isinstance(target, Number):
            return target.center + target.spread * outputs[:, 0]
        if isinstance(target, Tree):
            # the chance of a name is that of every step on the way to it
            way = sorted(target.hierarchy.upwards(asked.columns.tolist()))
            sure = target.log_shares(outputs)[:, way].sum(-1).clamp(max=-_LEAST)
            return sure - torch.log(-torch.expm1(sure))
        columns = asked.columns[None, :, None] if target.per_residue else asked.columns[None]
        chosen = outputs.gather(-1, columns.expand(*outputs.shape[:-1], 1))[..., 0]
        if isinstance(target, Label | Tokens):
            # against all others together: the log-odds of the answered class
            others = outputs.scatter(-1, columns.expand(*outputs.shape[:-1], 1), float("-inf"))
            chosen = chosen - others.logsumexp(-1)
        elif target.kind == "values":
            quantity = cast(Any, target)
            chosen = quantity.center + quantity.spread * chosen
        if not target.per_residue:
            return chosen
        return chosen.mean(1) if asked.residue is None else chosen[:, asked.residue]

    @property
    def together(self) -> int:
        """Chains that are computed at once."""
        return max(1, BUDGET // (self.embedded.shape[1] + 2))

    def of(self, embedded: Tensor) -> Tensor:
        """The number asked about for any count of chains (N, L, C), without gradients, a few at a time: (N,)."""
        with torch.inference_mode():
            return torch.cat([self(part) for part in embedded.split(self.together)])

    def without(self, hidden: NDArray[numpy.bool_]) -> NDArray[numpy.float64]:
        """The number with some residues hidden, (N, L) -> (N,)."""
        kept = ~torch.from_numpy(hidden)
        return self.of(self.embedded * kept[..., None]).double().numpy()

    def parting(self, parted: Tensor) -> Tensor:
        """The number where some residues do not see each other, (N, L, L) -> (N,)."""
        with torch.inference_mode():
            chains = [
                self.read(self.outputs(self.embedded.expand(len(some), -1, -1), some))
                for some in parted.split(self.together)
            ]
        return torch.cat(chains)

    def embedding_of(self, letters: Sequence[str]) -> Tensor:
        """What each of some residues looks like to the encoder, (len(letters), C), as it stands in this chain."""
        sequence = self.example.protein.sequence
        tokens, lengths = pack([sequence])
        found = []
        with torch.no_grad():
            for letter in letters:
                other = tokens.clone()
                other[1] = TOKENS.index(letter)
                found.append(self.encoder.layers(other, lengths)[0][1])
        return torch.stack(found)

    def _ask(self, outputs: Tensor, residue: int | None, said: str) -> Asked:
        target = self.task.target
        place = None if residue is None else residue - 1
        where = "" if residue is None else f" at residue {self.example.protein.sequence[place or 0]}{residue}"
        if isinstance(target, Number):
            return Asked(self.task.title.lower(), target.unit, torch.zeros(1, dtype=torch.int64))
        best = outputs.argmax(-1).reshape(-1)
        if target.kind == "values":
            return Asked(f"{self.task.title.lower()}{where or ', on average'}", cast(Any, target).unit, best, place)
        if target.per_residue:
            told = target.labels[int(best[place])] if place is not None and target.labels else ""
            words = f"the answer {told!r}{where}" if told else f"{self.task.title.lower()}, all residues together"
            return Asked(words, "log-odds", best, place)
        if said in target.labels:  # who else is heard may have decided otherwise than the network alone
            best = torch.tensor([target.labels.index(said)])
        name = target.labels[int(best[0])] if len(target.labels) > int(best[0]) else str(int(best[0]))
        return Asked(f"the answer {name!r}", "log-odds", best)


def _seeing(block: Block, states: Tensor, turns: Tensor, seen: Tensor) -> Tensor:
    """A block over N chains of T tokens of which not every two see each other: states (N * T, C), seen (N, 1, T, T)."""
    projected = block.project(states, turns)
    query, key, value = (part.unflatten(0, (len(seen), -1)).transpose(1, 2) for part in projected)
    attended = functional.scaled_dot_product_attention(query, key, value, attn_mask=seen, scale=block.scale)
    states = states + block.mix(attended.transpose(1, 2).flatten(0, 1).flatten(1))
    fed: Tensor = block.narrow(functional.gelu(block.widen(block.feed_norm(states))))
    return states + fed


def _refuse(task: Task, example: Example, longest: int, residue: int | None) -> None:
    """Refuse what cannot be explained residue by residue, and a residue (1-based) that has no answer of its own."""
    length = len(example.protein)
    if task.of_structures:
        raise UsageError(
            f"'{task.name}' also reads what lies beside each residue, and that cannot be hidden with it.",
            remedy="Choose a task that reads the sequence alone.",
        )
    if task.target.head not in ("pooled", "residue", "centres"):
        raise UsageError(
            f"'{task.name}' is not about one protein alone, so there is nothing to explain residue by residue.",
            remedy="Choose a task about one protein.",
        )
    if length > longest:
        raise InputError(
            f"With {length:,} residues it is longer than the {longest:,} that are read at once.",
            remedy="Give the domain that you ask about.",
            record=example.protein.id,
        )
    if residue is not None and not 1 <= residue <= length:
        raise UsageError(f"There is no residue {residue}.", remedy=f"Give one from 1 to {length:,} with --residue.")
    if residue is not None and not task.target.per_residue:
        raise UsageError(
            f"'{task.name}' has one answer for the whole protein.",
            remedy="Leave --residue out.",
        )
