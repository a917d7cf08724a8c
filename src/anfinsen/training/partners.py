"""Training of the model of pairs from states that are kept: each protein was read once, each step is cheap.

    proteins -> windows of states (once, on the disk) -> head learns pairs -> memory -> calibration -> Bundle

The body rests. Pairs of one protein in six, and one other pair in sixteen, stay out: by them both voices are weighed
and the ranges are found, so that all three questions (both known, one known, none known) are asked there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import cast

import numpy
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from anfinsen import runtime
from anfinsen.data.batch import Stream
from anfinsen.data.example import Example, proteins_of
from anfinsen.data.store import read_store
from anfinsen.hub.body import round_weights
from anfinsen.hub.bundle import TAUGHT, Bundle
from anfinsen.hub.record import TaskRecord
from anfinsen.inference.embedder import Embedder, embed_file
from anfinsen.kinship.neighbours import Reach
from anfinsen.models.network import Network
from anfinsen.models.pairing import PairingHead
from anfinsen.structure.protein import Protein
from anfinsen.tasks.interaction import TASK, YES
from anfinsen.tasks.meeting import Meeting
from anfinsen.training.engine import TrainConfig
from anfinsen.training.optim import schedule
from anfinsen.training.recipe import Recipe
from anfinsen.training.run import data_hash

States = Mapping[str, Tensor]
"""Windows of states (W, C) by the hash of the residues."""
Tell = Callable[[str], None]
Floats = NDArray[numpy.float64]


def kept_states(network: Network, name: str, sha256: str, proteins: Sequence[Protein], path: Path) -> dict[str, Tensor]:
    """The windows of all proteins from a file, which is made or added to where some are missing."""
    embedder = Embedder(network, name=name, sha256=sha256, per="window", dtype="fp16")
    embed_file((Example(protein) for protein in proteins), embedder, path)
    wanted = {protein.sha256 for protein in proteins}
    _, entries = read_store(path)
    return {one.sha256: torch.from_numpy(numpy.asarray(one.values)) for one in entries if one.sha256 in wanted}


def teach(head: PairingHead, states: States, examples: Sequence[Example], config: TrainConfig, tell: Tell) -> None:
    """Train the head on pairs, in the groups and with the steps that the ordinary loop would take."""
    runtime.seed_everything(config.seed)
    stream = Stream(examples, budget=config.tokens, seed=config.seed)
    optimizer = torch.optim.AdamW(head.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)
    told, total = max(1, config.steps // 5), 0.0
    head.train()
    for step in range(1, config.steps + 1):
        group = stream.next()
        truth = torch.tensor([int(TASK.target.encode(example)) for example in group])
        for part in optimizer.param_groups:
            part["lr"] = config.learning_rate * schedule(
                step, steps=config.steps, warmup=config.warmup, decay=config.decay
            )
        loss = functional.cross_entropy(_logits(head, states, group), truth)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(head.parameters(), config.clip)
        optimizer.step()
        total += float(loss.detach()) / told
        if step % told == 0:
            tell(f"Step {step:,} of {config.steps:,}: loss {total:.3f}.")
            total = 0.0
    head.eval()


def _logits(head: PairingHead, states: States, group: Sequence[Example]) -> Tensor:
    """The head's outputs for some pairs, each protein of them read once: (B, size)."""
    keys = list({chain.sha256: None for example in group for chain in example.chains})
    place = {key: at for at, key in enumerate(keys)}
    rows = [states[key].float() for key in keys]
    cards = head.cards(torch.cat(rows), [len(row) for row in rows])
    parts = cards.factors.split(cards.windows)
    sides = [[place[example.chains[side].sha256] for example in group] for side in (0, -1)]
    peaks = torch.stack([head.peaks(parts[one], parts[other]) for one, other in zip(*sides, strict=True)])
    return head.decide(cards.codes[sides[0]], cards.codes[sides[1]], peaks)


@torch.inference_mode()
def outputs_of(head: PairingHead, meeting: Meeting, states: States, examples: Sequence[Example]) -> Floats:
    """What both voices say of pairs, as the task reads it: (P, 4)."""
    logits = [_logits(head, states, examples[at : at + 256]).double().numpy() for at in range(0, len(examples), 256)]
    network = numpy.concatenate(logits)
    one, other = (meeting.asked([example.chains[side] for example in examples]) for side in (0, -1))
    votes, known = meeting.votes(one, other)
    rows: Floats = numpy.concatenate((network, votes[:, None], known[:, None]), 1).astype(numpy.float64)
    return rows


def make_bundle(
    start: Bundle, train: Sequence[Example], held: Sequence[Example], states: States, recipe: Recipe, tell: Tell
) -> Bundle:
    """A bundle that answers pairs with the body of `start`, taught by `train` and weighed on `held`."""
    runtime.seed_everything(recipe.train.seed)
    network = Network(start.network.body, {TASK.name: TASK.shape})
    head = cast(PairingHead, network.heads[TASK.name])
    teach(head, states, train, recipe.train, tell)
    round_weights(network)
    rows = outputs_of(head, Meeting.fit(train, YES), states, held)
    calibration = TASK.target.calibrate(list(rows), held)
    tell(f"Weighed on {len(held):,} pairs that neither voice has seen.")
    # once both are weighed, the memory may know these pairs too
    head.memory.keep(Meeting.fit([*train, *held], YES).to_arrays())
    table = TASK.table
    record = TaskRecord(
        kind=TASK.shape.kind,
        size=TASK.shape.size,
        labels=TASK.target.labels,
        calibration=calibration,
        dataset=f"{table.title} ({table.name}, split train)",
        licence=table.licence,
        data_sha256=data_hash(train),
        split_sha256=hashlib.sha256((data_hash(train) + data_hash(held)).encode()).hexdigest(),
        trained_on=len(train) + len(held),
    )
    made = {**start.provenance, "recipe": recipe.model_dump_json(), "seed": str(recipe.train.seed)}
    made[TAUGHT] = start.provenance.get(TAUGHT, "")
    reaches = {TASK.name: Reach.fit(proteins_of([*train, *held]))}
    bundle = Bundle(recipe.name, network.eval(), {TASK.name: record}, reaches, made)
    bundle.remember()
    return bundle
