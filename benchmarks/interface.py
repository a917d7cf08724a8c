"""What a structure brings to finding interfaces: the sequence's states, the residue graph, and both, judged alike.

    python benchmarks/interface.py --out runs/interface.jsonl [--only ARM ...] [--bundle FOLDER] [--epochs 20] [--valid]

    sequence            states of the language model, convolutions along the chain
    graph               the residue graph and what surrounds each residue, no language model
    joined              both: the states are the nodes of the graph
    joined-multiscale   both, and each node also knows the mean of its surroundings and of the whole protein
    joined-bare         as joined-multiscale, but nodes are not told what surrounds them: the network must find it

The body rests; every arm is trained on the same chains, stops where the validation chains say so, and is calibrated on
them. A row holds a score on one official test with a 95 % bootstrap interval over proteins; --valid stops before the
tests are looked at, to choose. Arms whose rows are there already are passed over. The simple baselines beside it are
those of `anfinsen bench interface`.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy
import torch
from torch import Tensor, nn

from anfinsen import runtime
from anfinsen.data.batch import bucket, lengths_of, pack
from anfinsen.data.example import Example
from anfinsen.data.nets import Net, graph_of, kinds_of, nodes_of
from anfinsen.hub.bundle import Bundle, default_bundle
from anfinsen.models.frozen import FrozenBody
from anfinsen.models.graph import GraphHead, GraphNetwork
from anfinsen.models.heads import ResidueHead
from anfinsen.structure.graph import FEATURES, Graph, join
from anfinsen.structure.surroundings import KINDS_OF_RESIDUES, NODES, Floats
from anfinsen.targets.metrics import measure
from anfinsen.tasks import TASKS

TASK = TASKS["interface"]
BUDGET, RATE, SEED = 3_000, 2e-3, 1


class Rooms:
    """What the arms read of each chain, made once: states, kinds of residues, graph, surroundings."""

    def __init__(self, body: FrozenBody) -> None:
        self.body = body
        self.kept: dict[str, tuple[Tensor, Tensor, Graph, Floats]] = {}

    def of(self, example: Example) -> tuple[Tensor, Tensor, Graph, Floats]:
        """States (L, C), kinds (L, 20), the graph of one chain and what surrounds its residues (L, NODES)."""
        protein = example.protein
        if protein.id not in self.kept:
            tokens, lengths = pack([protein.sequence])
            with torch.inference_mode():
                states = self.body.residues(tokens, lengths)[0].clone()
            kinds = torch.from_numpy(kinds_of(protein.sequence))
            self.kept[protein.id] = (states, kinds, graph_of(protein), nodes_of(protein))
        return self.kept[protein.id]

    def group(self, examples: Sequence[Example], of_kinds: bool) -> tuple[Tensor, Net, list[int]]:
        """Several chains as one."""
        found = [self.of(example) for example in examples]
        graph = join([one[2] for one in found])
        around = numpy.concatenate([one[3] for one in found])
        arrays = (graph.edges, graph.features, graph.positions, graph.directions, around)
        net = Net(*(torch.from_numpy(one) for one in arrays), graph.grounds)
        nodes = torch.cat([one[1] if of_kinds else one[0] for one in found])
        return nodes, net, [len(example.protein) for example in examples]


class Plain(nn.Module):
    """A head that is not given the graph."""

    def __init__(self, head: nn.Module) -> None:
        super().__init__()
        self.head = head

    def forward(self, states: Tensor, net: Net, lengths: Sequence[int]) -> Tensor:
        """(N, C) -> (N, 1)."""
        return self.head(states, lengths, states.new_zeros(len(lengths), 0))


class Both(nn.Module):
    """A head that is given states and graph."""

    def __init__(self, head: nn.Module) -> None:
        super().__init__()
        self.head = head

    def forward(self, states: Tensor, net: Net, lengths: Sequence[int]) -> Tensor:
        """(N, C) -> (N, 1)."""
        return self.head(states, lengths, states.new_zeros(len(lengths), 0), net)


class Bare(Both):
    """A head whose nodes are told nothing but the states."""

    def forward(self, states: Tensor, net: Net, lengths: Sequence[int]) -> Tensor:
        """(N, C) -> (N, 1)."""
        return super().forward(states, replace(net, nodes=net.nodes.new_zeros(len(net.nodes), NODES)), lengths)


ARMS: dict[str, Callable[[int], nn.Module]] = {
    "sequence": lambda dim: Plain(ResidueHead(dim, 1)),
    "graph": lambda dim: GraphNetwork(KINDS_OF_RESIDUES, 1, FEATURES),
    "joined": lambda dim: Both(GraphHead(dim, 1, scales=1)),
    "joined-multiscale": lambda dim: Both(GraphHead(dim, 1)),
    "joined-bare": lambda dim: Bare(GraphHead(dim, 1)),
}


def outputs_of(head: nn.Module, rooms: Rooms, examples: Sequence[Example], of_kinds: bool) -> list[numpy.ndarray]:
    """What a head says of each chain, (L, 1)."""
    head.eval()
    with torch.inference_mode():
        found = [rooms.group([example], of_kinds) for example in examples]
        return [head(*one).numpy() for one in found]


def learn(name: str, rooms: Rooms, train: list[Example], valid: list[Example], epochs: int) -> tuple[nn.Module, dict]:
    """The head of one arm at its best epoch on the validation chains."""
    torch.manual_seed(SEED)
    head, of_kinds = ARMS[name](rooms.body.dim), name == "graph"
    optimizer = torch.optim.AdamW(head.parameters(), lr=RATE, weight_decay=0.02)
    steps = len(bucket(lengths_of(train), BUDGET, numpy.arange(len(train))))
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=epochs * (steps + 2), pct_start=0.1)
    draw = numpy.random.default_rng(SEED)
    best, kept, began = -1.0, None, time.process_time()
    for epoch in range(epochs):
        head.train()
        for group in bucket(lengths_of(train), BUDGET, draw.permutation(len(train))):
            chosen = [train[index] for index in group]
            target = torch.from_numpy(numpy.concatenate([TASK.target.encode(example) for example in chosen]))
            loss, count = TASK.target.loss(head(*rooms.group(chosen, of_kinds)), target)
            optimizer.zero_grad()
            (loss / count).backward()
            nn.utils.clip_grad_norm_(head.parameters(), 1.0)
            optimizer.step()
            schedule.step()
        answers = [TASK.target.answer(one, {}) for one in outputs_of(head, rooms, valid, of_kinds)]
        reached = measure("site AUPR", valid, answers, resamples=1).value
        print(f"{name}: epoch {epoch + 1}, validation AUPR {reached:.3f}", flush=True)
        if reached > best:
            best = reached
            kept = {key: one.clone() for key, one in head.state_dict().items()}
    assert kept is not None
    head.load_state_dict(kept)
    return head, {"valid": best, "epochs": epochs, "seconds": time.process_time() - began}


def main() -> None:
    """Every arm that is asked for and not there yet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--only", nargs="*", choices=ARMS, default=[*ARMS])
    parser.add_argument("--bundle", type=Path, default=None)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--valid", action="store_true")
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    runtime.use_threads(given.threads)
    given.out.parent.mkdir(parents=True, exist_ok=True)
    done = {json.loads(row)["model"] for row in given.out.read_text().splitlines()} if given.out.exists() else set()
    bundle = Bundle.load(given.bundle or default_bundle())
    rooms = Rooms(FrozenBody(bundle.network.body))
    train, valid = TASK.examples("train"), TASK.examples("valid")
    for name in [name for name in given.only if name not in done]:
        head, told = learn(name, rooms, train, valid, given.epochs)
        if given.valid:
            continue
        tests = {split: TASK.examples(split) for split in TASK.tests}
        every = [*valid, *(example for split in tests.values() for example in split)]
        outputs = outputs_of(head, rooms, every, name == "graph")
        by_id = dict(zip([example.protein.id for example in every], outputs, strict=True))
        calibration = TASK.target.calibrate(outputs[: len(valid)], valid)
        for split, examples in tests.items():
            answers = [TASK.target.answer(by_id[example.protein.id], calibration) for example in examples]
            for metric in TASK.metrics:
                found = measure(metric, examples, answers)
                row = {"model": name, "task": TASK.name, "split": split, "metric": metric, "value": found.value}
                row |= {"low": found.low, "high": found.high, "n": found.n, "bundle": bundle.name} | told
                print(json.dumps(row), flush=True)
                with given.out.open("a") as file:
                    file.write(json.dumps(row) + "\n")


if __name__ == "__main__":
    main()
