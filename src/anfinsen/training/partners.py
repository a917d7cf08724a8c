"""Training of the model of pairs from states that are kept: each protein was read once, each step is cheap.

    proteins of known place -> windows of states (once, on the disk) -> the head's reader of places, by itself
    proteins of the pairs   -> windows of states -> head learns pairs -> memory -> calibration -> Bundle

The body rests. Pairs of one protein in six, and one other pair in sixteen, stay out: by them both voices are weighed
and the ranges are found, so that all three questions (both known, one known, none known) are asked there. Then both
voices learn anew from all pairs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import cast

import numpy
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
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
from anfinsen.models.acquaintance import Asked
from anfinsen.models.heads import PooledHead
from anfinsen.models.network import Network
from anfinsen.models.pairing import PairingHead
from anfinsen.structure.protein import Protein
from anfinsen.tasks.interaction import TASK, YES
from anfinsen.tasks.localization import TASK as ROOMS
from anfinsen.tasks.meeting import Meeting, PlacesOf, placed
from anfinsen.training.engine import TrainConfig
from anfinsen.training.optim import schedule
from anfinsen.training.recipe import Recipe
from anfinsen.training.run import data_hash

States = Mapping[str, Tensor]
"""Windows of states (W, C) by the hash of the residues."""
Tell = Callable[[str], None]
Floats = NDArray[numpy.float64]
PLACING = TrainConfig(steps=240, tokens=98304, learning_rate=2e-3, warmup=30, decay=0.9, weight_decay=0.05)
"""How the reader of places is taught."""
_SMOOTHING = 0.05
_AT_ONCE = 256


def kept_states(network: Network, name: str, sha256: str, proteins: Sequence[Protein], path: Path) -> dict[str, Tensor]:
    """The windows of all proteins from a file, which is made or added to where some are missing."""
    embedder = Embedder(network, name=name, sha256=sha256, per="window", dtype="fp16")
    embed_file((Example(protein) for protein in proteins), embedder, path)
    wanted = {protein.sha256 for protein in proteins}
    _, entries = read_store(path)
    return {one.sha256: torch.from_numpy(numpy.asarray(one.values)) for one in entries if one.sha256 in wanted}


def taught(
    place: PooledHead, states: States, places: PlacesOf, examples: Sequence[Example], config: TrainConfig, tell: Tell
) -> PairingHead:
    """A head that learns from pairs, in the groups and with the steps that the ordinary loop would take.

    Its reader of places is `place` and stays as it is; `places` is what that says.
    """
    torch.manual_seed(config.seed)
    head = PairingHead(place.norm.normalized_shape[0], TASK.target.size)
    head.place = place

    def loss(group: Sequence[Example]) -> Tensor:
        truth = torch.tensor([int(TASK.target.encode(example)) for example in group])
        return functional.cross_entropy(_logits(head, states, places, group), truth)

    _learn(head, loss, examples, config, tell)
    return head


def read_places(network: Network, sha256: str, path: Path, tell: Tell) -> PooledHead:
    """A reader of places, taught by the official proteins of `localization`; their states are kept in `path`."""
    examples = ROOMS.table.load("train")
    tell(f"{len(examples):,} proteins whose place is known teach where in the cell a protein works.")
    states = kept_states(network, sha256, sha256, proteins_of(examples), path)
    place = PairingHead(cast(int, network.body.dim), TASK.target.size).place

    def loss(group: Sequence[Example]) -> Tensor:
        truth = torch.tensor([int(ROOMS.target.encode(example)) for example in group])
        return functional.cross_entropy(_rooms(place, states, group), truth, label_smoothing=_SMOOTHING)

    _learn(place, loss, examples, PLACING, tell)
    return place


def _rooms(place: PooledHead, states: States, group: Sequence[Example]) -> Tensor:
    """What a reader of places says of some proteins: (B, rooms)."""
    rows = [states[example.protein.sha256].float() for example in group]
    return cast(Tensor, place(torch.cat(rows), [len(row) for row in rows], torch.zeros(len(rows), 0)))


@torch.inference_mode()
def places_of(place: PooledHead, states: States, proteins: Sequence[Protein]) -> PlacesOf:
    """Where proteins work, by the hash of their residues."""
    found: dict[str, NDArray[numpy.float32]] = {}
    for at in range(0, len(proteins), _AT_ONCE):
        group = [Example(protein) for protein in proteins[at : at + _AT_ONCE]]
        rows = _rooms(place, states, group).softmax(-1).numpy()
        found |= {example.protein.sha256: row for example, row in zip(group, rows, strict=True)}
    return found


def _learn(
    module: nn.Module,
    loss_of: Callable[[Sequence[Example]], Tensor],
    examples: Sequence[Example],
    config: TrainConfig,
    tell: Tell,
) -> None:
    """The steps of a training whose states are kept."""
    runtime.seed_everything(config.seed)
    stream = Stream(examples, budget=config.tokens, seed=config.seed)
    optimizer = torch.optim.AdamW(module.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)
    told, total = max(1, config.steps // 5), 0.0
    module.train()
    for step in range(1, config.steps + 1):
        for part in optimizer.param_groups:
            part["lr"] = config.learning_rate * schedule(
                step, steps=config.steps, warmup=config.warmup, decay=config.decay
            )
        loss = loss_of(stream.next())
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(module.parameters(), config.clip)
        optimizer.step()
        total += float(loss.detach()) / told
        if step % told == 0:
            tell(f"Step {step:,} of {config.steps:,}: loss {total:.3f}.")
            total = 0.0
    module.eval()


def _logits(head: PairingHead, states: States, places: PlacesOf, group: Sequence[Example]) -> Tensor:
    """The head's outputs for some pairs, each protein of them read once: (B, size)."""
    keys = list({chain.sha256: None for example in group for chain in example.chains})
    place = {key: at for at, key in enumerate(keys)}
    rows = [states[key].float() for key in keys]
    where = torch.from_numpy(numpy.stack([places[key] for key in keys]))
    cards = head.cards(torch.cat(rows), [len(row) for row in rows], where)
    parts = cards.factors.split(cards.windows)
    sides = [[place[example.chains[side].sha256] for example in group] for side in (0, -1)]
    peaks = torch.stack([head.peaks(parts[one], parts[other]) for one, other in zip(*sides, strict=True)])
    return head.decide(cards.codes[sides[0]], cards.codes[sides[1]], peaks)


@torch.inference_mode()
def outputs_of(
    head: PairingHead, meeting: Meeting, states: States, places: PlacesOf, examples: Sequence[Example]
) -> Floats:
    """What both voices say of pairs, as the task reads it: (P, 4)."""
    starts = range(0, len(examples), _AT_ONCE)
    network = numpy.concatenate([_logits(head, states, places, examples[at : at + _AT_ONCE]).numpy() for at in starts])
    one, other = asked_of(meeting, places, examples)
    votes, known = meeting.votes(one, other)
    rows: Floats = numpy.concatenate((network, votes[:, None], known[:, None]), 1).astype(numpy.float64)
    return rows


def asked_of(meeting: Meeting, places: PlacesOf, examples: Sequence[Example]) -> tuple[Asked, Asked]:
    """Both sides of pairs, as a memory is asked about them."""
    one, other = ([example.chains[side] for example in examples] for side in (0, -1))
    return meeting.asked(one, placed(one, places)), meeting.asked(other, placed(other, places))


def make_bundle(
    start: Bundle,
    place: PooledHead,
    train: Sequence[Example],
    held: Sequence[Example],
    states: States,
    recipe: Recipe,
    tell: Tell,
) -> Bundle:
    """A bundle that answers pairs with the body of `start`, taught by `train` and weighed on `held`."""
    known = [*train, *held]
    places = places_of(place, states, proteins_of(known))
    weighed = taught(place, states, places, train, recipe.train, tell)
    rows = outputs_of(weighed, Meeting.fit(train, YES, places), states, places, held)
    calibration = TASK.target.calibrate(list(rows), held)
    tell(f"Weighed on {len(held):,} pairs that neither voice has seen; now both learn from these too.")
    network = Network(start.network.body, {TASK.name: TASK.shape})
    head = network.heads[TASK.name] = taught(place, states, places, known, recipe.train, tell)
    round_weights(network)
    head.memory.keep(Meeting.fit(known, YES, places_of(head.place, states, proteins_of(known))).to_arrays())
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
        trained_on=len(known),
    )
    made = {**start.provenance, "recipe": recipe.model_dump_json(), "seed": str(recipe.train.seed)}
    made[TAUGHT] = start.provenance.get(TAUGHT, "")
    reaches = {TASK.name: Reach.fit(proteins_of(known))}
    bundle = Bundle(recipe.name, network.eval(), {TASK.name: record}, reaches, made)
    bundle.remember()
    return bundle
