"""Which pair trunk learns contacts best from the same seconds of one processor, and what the language model is worth.

    embedded body or letters alone + a trunk -> trained for `SECONDS` -> P@L over validation chains

Each candidate starts from the same body, is shown the same crops in the same order, and is stopped by processor time,
so that a trunk which is dear a step gets fewer steps. The rate falls to zero at the end of that time. 'letters' is the
convolutional trunk on an embedding of single residues in the place of the language model's states: what the network
learns without it. The image network is a small ResNet with random weights where no checkpoint of ImageNet is given by
name: it says what the architecture is worth, not what photographs taught it.

It is a comparison for a choice, on validation chains, not the figure of the trunk that was then trained for long. Only
the pair that says what the states are worth, the same trunk with and without them, is judged on the test chains and the
CAMEO targets too, beside the folder and its other baselines.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn

from anfinsen.bench.contact_maps import SPLITS, Rank, by_separation, judged, score, taught
from anfinsen.bench.contacts import LONG_RANGE, SHARES, Pairs, pairs_of
from anfinsen.bench.study import Question, Tell
from anfinsen.bench.suite import STRUCTURE
from anfinsen.data.alphabet import TOKENS
from anfinsen.data.batch import Stream
from anfinsen.data.example import Example
from anfinsen.hub.body import bare
from anfinsen.hub.bundle import Bundle
from anfinsen.hub.record import Score, TaskRecord
from anfinsen.inference.distances import TASK, Folder
from anfinsen.models.network import Network, residue_places
from anfinsen.sets.coordinates import load_chains
from anfinsen.tasks import TASKS
from anfinsen.tasks.contacts import ContactsTask
from anfinsen.training.optim import make_optimizers, schedule

SECONDS = 120.0
"""Processor time of each candidate's training."""
CHAINS = 60
"""Validation chains that are judged, of 60 to 250 residues."""
VALID = f"valid, {SECONDS:.0f} s of training"
TOKENS_A_STEP, WINDOW, RATE = 600, 96, 1.5e-3
_SMALL = {"dim": 32, "fine": 16, "blocks": 4}
_IMAGE = {
    "model_type": "resnet",
    "embedding_size": 16,
    "hidden_sizes": [16, 32, 64],
    "depths": [1, 1, 1],
    "layer_type": "basic",
    "out_features": ["stage1", "stage2", "stage3"],
}
_SPARE = 1_000_000
_SEED = 1


@dataclass(frozen=True)
class Arm:
    """One candidate."""

    name: str
    trunk: Mapping[str, Any] = field(default_factory=dict)
    letters: bool = False
    frozen: bool = False
    tested_as: str = ""
    """Its name among the baselines of the test chains, for those that are judged on them."""


ARMS = (
    Arm("convolution", {"kind": "convolution"}, tested_as=f"trunk of {SECONDS:.0f} s on states"),
    Arm("axial attention", {"kind": "axial", "blocks": 2}),
    Arm("triangle updates", {"kind": "triangle", "blocks": 2}),
    Arm("image network, random start", {"kind": "image", "image_config": _IMAGE, "blocks": 2}),
    Arm("convolution, no attention maps", {"kind": "convolution", "maps": False}),
    Arm("convolution, body at rest", {"kind": "convolution"}, frozen=True),
    Arm(
        "convolution on letters",
        {"kind": "convolution"},
        letters=True,
        tested_as=f"trunk of {SECONDS:.0f} s without states",
    ),
)


class Letters(nn.Module):
    """A body that knows which residue stands where and nothing else."""

    longest = _SPARE

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim
        self.embed = nn.Embedding(len(TOKENS), dim)

    def residues(self, tokens: Tensor, lengths: Sequence[int]) -> tuple[Tensor, list[int]]:
        """One state a residue, (R, dim), special tokens stripped."""
        states: Tensor = self.embed(tokens)
        return states[residue_places(lengths, tokens.device)], [length - 2 for length in lengths]


def trunk_rows(bundle: Bundle, *, limit: int | None, tell: Tell) -> list[Score]:
    """P@L and P@L/5 of each candidate on validation chains; `limit` makes fewer chains and a twentieth of the time."""
    chains = load_chains("valid", kinds=("bb5", "bb3"), representatives=True)
    chains = [chain for chain in chains if 60 <= len(chain) <= 250][: limit or CHAINS]
    pairs = [pairs_of(chain, LONG_RANGE) for chain in chains]
    rows = _rows("separation", by_separation, VALID, pairs)
    task = TASKS[TASK]
    assert isinstance(task, ContactsTask)  # the one task of its name
    examples = task.examples("train")
    for arm in ARMS:
        rows += arm_rows(arm, bundle.network, bundle.label, pairs, examples, limit=limit, tell=tell)
    return rows


def arm_rows(
    arm: Arm,
    network: Network,
    model: str,
    pairs: Sequence[Pairs],
    examples: Sequence[Example],
    *,
    limit: int | None,
    tell: Tell,
) -> list[Score]:
    """One candidate, trained on `examples` and judged on `pairs`, and on the test chains if it is to be."""
    task = TASKS[TASK]
    assert isinstance(task, ContactsTask)  # the one task of its name
    learner = replace(task, window=WINDOW, trunk={**_SMALL, **arm.trunk})
    taught_network, steps = train(network, arm, learner, examples, SECONDS / 20 if limit else SECONDS)
    tell(f"{arm.name}: {steps} steps.")
    record = TaskRecord(kind=task.target.head, size=task.target.size)
    rank = taught(Folder(Bundle(model, taught_network, {TASK: record})))
    rows = _rows(arm.name, rank, VALID, pairs)
    for split in SPLITS if arm.tested_as else ():
        rows += _rows(arm.tested_as, rank, split, [pairs_of(chain, LONG_RANGE) for chain in judged(split, limit)])
    return rows


def train(
    start: Network, arm: Arm, task: ContactsTask, examples: Sequence[Example], seconds: float
) -> tuple[Network, int]:
    """A candidate trained for so many seconds of processor time, and the steps that it made of them."""
    torch.manual_seed(_SEED)
    body = bare(start.body)
    network = Network(Letters(body.dim) if arm.letters else deepcopy(body), {TASK: task.shape})  # type: ignore[arg-type]
    network.requires_grad_(True).train()
    network.body.requires_grad_(not arm.frozen)
    optimizers = make_optimizers(network, "muon", RATE, weight_decay=0.05)
    stream = Stream(examples, budget=TOKENS_A_STEP, seed=_SEED, prepare=task.prepare, window=WINDOW)
    began, steps = time.process_time(), 0
    while (share := (time.process_time() - began) / seconds) < 1:
        rate = RATE * schedule(int(1000 * share), steps=1000, warmup=50, decay=0.5)
        for group in (group for optimizer in optimizers for group in optimizer.param_groups):
            group["lr"] = rate
        batch = task.collate(stream.next())
        loss, known = task.loss(network(batch, TASK), batch)
        (loss / max(1, known)).backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad()
        steps += 1
    return network.eval(), steps


def _rows(name: str, rank: Rank, split: str, pairs: Sequence[Pairs]) -> list[Score]:
    question, scores = Question(STRUCTURE, TASK, "chains", split, ""), [rank(one) for one in pairs]
    return [replace(question, metric=metric).row(name, score(metric, scores, pairs)) for metric in SHARES]
