"""Training of the graph network on a table of affinities, block by block: one step is some drugs with all their pairs.

    epoch: drugs in a new order -> blocks -> each drug and each protein once through the network -> all known pairs of
    the block -> squared error -> AdamW -> moving average of the weights, which answers

So an epoch costs the graphs of all drugs and not of all pairs, of which there are fifty times as many. Where a folder
is given, what was learnt is kept there now and then, and a training that was stopped goes on from it to the same
bytes: the order and the dice of an epoch come from its number.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional
from torch.nn.utils import clip_grad_norm_
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from anfinsen.config import Config
from anfinsen.drug.graph import MoleculeGraph
from anfinsen.models.affinity_network import AffinityNetwork, Block, Chains, MoleculeNetwork
from anfinsen.training import checkpoint
from anfinsen.training.optim import make_optimizers, schedule

Floats = NDArray[numpy.float32]
Places = NDArray[numpy.int64]
Tell = Callable[[str], None]

_CLIP, _WARMUP, _DECAY = 1.0, 100, 0.9
_PRIME = 100_003
_ASKED = 256
"""Drugs that are answered at once."""


class NetworkConfig(Config):
    """How the graph network is trained."""

    steps: int = 3000
    """Steps of the first training, about: it ends with a whole epoch. 0 for no network."""
    more: int = 1000
    """Steps of the second, which goes on from it with all pairs and half the learning rate."""
    pairs: int = 2000
    """Known pairs of a step, about: as many drugs as have so many."""
    width: int = 128
    """Numbers of an atom."""
    size: int = 192
    """Numbers of a drug and of a protein."""
    rounds: int = 4
    """Rounds of messages between bound atoms."""
    learning_rate: float = 2e-3
    """The highest one; it falls to zero in a straight line."""
    weight_decay: float = 0.02
    """How strongly weights are held back."""
    average: float = 0.995
    """How much of the moving average a step keeps."""
    rarest: int = 3
    """Drugs that must have a fragment for it to be read."""
    save_every: int = 10
    """Epochs between two checkpoints."""
    seed: int = 1
    """Seed of the weights, of the order and of the dice."""


@dataclass(frozen=True)
class Views:
    """What the network reads of D drugs and T proteins."""

    graphs: Sequence[MoleculeGraph]
    fragments: Floats
    """(D, F) how often each fragment occurs."""
    means: Floats
    """(T, dim)"""
    stretches: Floats
    """(T, S, dim) mean states of so many equal parts of each chain."""

    def block(self, drugs: Places, read: Places) -> Block:
        """Some of the drugs, with those fragments that are read."""
        chosen = numpy.log1p(self.fragments[numpy.ix_(drugs, read)])
        return Block.of([self.graphs[at] for at in drugs.tolist()], torch.from_numpy(chosen))

    @cached_property
    def chains(self) -> Chains:
        """All of the proteins."""
        means, stretches = (torch.from_numpy(one.astype(numpy.float32)) for one in (self.means, self.stretches))
        return Chains(torch.arange(len(means)), means, stretches)


@dataclass
class Course:
    """A training on its way: the network, its moving average, its optimiser, and what it is taught.

    One that goes on from another begins with the average of that one's weights, and is a training of its own.
    """

    views: Views
    pairs: Places
    values: Tensor
    config: NetworkConfig
    before: Course | None = None

    def __post_init__(self) -> None:
        self.read = numpy.flatnonzero((self.views.fragments > 0).sum(0) >= self.config.rarest)
        proteins, stretches, dim = self.views.stretches.shape
        config = self.config
        with torch.random.fork_rng():
            torch.manual_seed(config.seed)
            molecules = MoleculeNetwork(len(self.read), config.size, width=config.width, rounds=config.rounds)
            self.network = AffinityNetwork(molecules, dim, proteins, stretches, size=config.size)
        steps, self.rate = config.steps, config.learning_rate
        if self.before:
            self.network.load_state_dict(self.before.average.module.state_dict())
            steps, self.rate = config.more, config.learning_rate / 2
        self.average: AveragedModel = AveragedModel(self.network, multi_avg_fn=get_ema_multi_avg_fn(config.average))
        (self.optimizer,) = make_optimizers(self.network, "adamw", self.rate, config.weight_decay)
        order = numpy.argsort(self.pairs[:, 0], kind="stable")
        drugs, first = numpy.unique(self.pairs[order, 0], return_index=True)
        self.rows = dict(zip(drugs.tolist(), numpy.split(order, first[1:]), strict=True))
        self.count = min(len(drugs), max(1, round(len(self.pairs) / config.pairs)))
        self.epoch, self.epochs = 0, math.ceil(steps / self.count)

    def blocks(self) -> Iterator[tuple[Places, Places]]:
        """The drugs of each block of an epoch, and the pairs that they stand in."""
        drugs = numpy.random.default_rng((self.config.seed, self.epoch)).permutation(list(self.rows))
        for part in numpy.array_split(drugs, self.count):
            yield part, numpy.concatenate([self.rows[one] for one in part.tolist()])

    def learn(self) -> float:
        """One epoch; the mean of its losses."""
        self.network.train()
        losses: list[float] = []
        with torch.random.fork_rng():
            torch.manual_seed(self.config.seed * _PRIME + self.epoch)
            for drugs, rows in self.blocks():
                step = self.epoch * self.count + len(losses)
                share = schedule(step, steps=self.epochs * self.count, warmup=_WARMUP, decay=_DECAY)
                for group in self.optimizer.param_groups:
                    group["lr"] = self.rate * share
                losses.append(self._step(drugs, rows))
        self.epoch += 1
        return float(numpy.mean(losses))

    def _step(self, drugs: Places, rows: Places) -> float:
        places = numpy.repeat(numpy.arange(len(drugs)), [len(self.rows[one]) for one in drugs.tolist()])
        pairs = torch.from_numpy(numpy.stack((places, self.pairs[rows, 1]), 1))
        said = self.network(self.views.block(drugs, self.read), self.views.chains, pairs)
        loss = functional.mse_loss(said, self.values[torch.from_numpy(rows)])
        self.optimizer.zero_grad()
        loss.backward()
        clip_grad_norm_(self.network.parameters(), _CLIP)
        self.optimizer.step()
        self.average.update_parameters(self.network)
        return float(loss.detach())

    @torch.no_grad()
    def answers(self) -> Floats:
        """What the averaged weights say of every drug with every protein: (D, T)."""
        network, chains = self.average.module.eval(), self.views.chains
        found = []
        for start in range(0, len(self.views.graphs), _ASKED):
            drugs = numpy.arange(start, min(start + _ASKED, len(self.views.graphs)))
            every = torch.cartesian_prod(torch.arange(len(drugs)), chains.numbers)
            said: Tensor = network(self.views.block(drugs, self.read), chains, every)
            found.append(said.view(len(drugs), -1).numpy())
        return numpy.concatenate(found)

    def save(self, folder: Path) -> None:
        """Keep everything that the next epoch needs."""
        moments, plain = checkpoint.flatten_optimizer(self.optimizer.state_dict(), "optimizer")
        tensors = {f"network.{name}": part for name, part in self.network.state_dict().items()}
        tensors |= {f"average.{name}": part for name, part in self.average.state_dict().items()}
        state = {"epoch": self.epoch, "optimizer": plain, "key": self.key}
        checkpoint.save(folder, self.epoch, {**tensors, **moments}, state, keep=1)

    def resume(self, folder: Path) -> bool:
        """Go on from what is kept, if it is of this very training."""
        path, _ = checkpoint.newest(folder)
        tensors, state = checkpoint.load(path) if path else ({}, {})
        if state.get("key") != self.key:
            return False
        for name, part in (("network", self.network), ("average", self.average)):
            part.load_state_dict({key[len(name) + 1 :]: one for key, one in tensors.items() if key.startswith(name)})
        self.optimizer.load_state_dict(checkpoint.unflatten_optimizer("optimizer", tensors, state["optimizer"]))
        self.epoch = int(state["epoch"])
        return True

    @cached_property
    def key(self) -> str:
        """A hash of what is taught and how."""
        found = hashlib.sha256(json.dumps(self.config.model_dump(), sort_keys=True).encode())
        found.update(self.before.key.encode() if self.before else b"")
        for part in (self.pairs, self.values.numpy(), self.views.fragments, self.views.stretches):
            found.update(numpy.ascontiguousarray(part).tobytes())
        return found.hexdigest()


def teach(
    views: Views, pairs: Places, value: NDArray[numpy.float64], held: Places, config: NetworkConfig, *,
    folder: Path | None = None, tell: Tell = lambda sentence: None,
) -> tuple[Floats, Floats]:  # fmt: skip
    """What a network says of the pairs that are held back (H,), and then, taught them too, of every pair (D, T).

    Known are the values (P,) of pairs (P, 2); `held` says which of them the first training is not shown.
    """
    shown, every = numpy.setdiff1d(numpy.arange(len(value)), held), numpy.arange(len(value))
    middle, spread = float(value[shown].mean()), float(value[shown].std()) or 1.0
    taught = torch.from_numpy(((value - middle) / spread).astype(numpy.float32))
    said: list[Floats] = []
    course = None
    for name, rows in (("part", shown), ("whole", every)):
        course = Course(views, pairs[rows], taught[torch.from_numpy(rows)], config, course)
        _run(course, folder / name if folder else None, f"{len(rows):,} pairs", spread**2, tell)
        said.append(course.answers() * numpy.float32(spread) + numpy.float32(middle))
    return said[0][pairs[held, 0], pairs[held, 1]], said[1]


def _run(course: Course, folder: Path | None, what: str, unit: float, tell: Tell) -> None:
    """Train to the end, from where a stopped training left off."""
    if folder and course.resume(folder):
        tell(f"The network, taught {what}, goes on after epoch {course.epoch}.")
    while course.epoch < course.epochs:
        loss = course.learn()
        if course.epoch % course.config.save_every == 0 or course.epoch == course.epochs:
            if folder:
                course.save(folder)
            tell(f"The network, taught {what}: epoch {course.epoch} of {course.epochs}, MSE {loss * unit:.3f} on them.")
