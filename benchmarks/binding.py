"""Make the head of binding residues again: begun from the head of conservation, since what binds seldom changes.

    python benchmarks/binding.py [--from BUNDLE] --out runs/binding

774 proteins are few to learn a head from; 9,155 proteins have taught another one which residues evolution keeps. The
head begins with that one's layers, its last layer knows the frequencies of the three kinds alone, and the body
rests. The bundle that is written holds this head alone, calibrated. About two minutes of one core.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from anfinsen import runtime
from anfinsen.hub.bundle import Bundle, default_bundle
from anfinsen.models.network import Network
from anfinsen.tasks import TASKS
from anfinsen.training.recipe import Recipe
from anfinsen.training.run import train

TASK, TEACHER = "binding-residues", "conservation"
RARITY = (-4.2, -4.0, -2.8)
"""Log-odds of a residue that holds a metal, DNA or RNA, and a small molecule, by their frequencies."""
SEED = 5
LOOP = {
    "steps": 200,
    "tokens": 8192,
    "learning_rate": 1e-3,
    "warmup": 20,
    "decay": 0.6,
    "weight_decay": 0.05,
    "average": 0.98,
    "optimizer": "adamw",
    "precision": "fp32",
    "seed": SEED,
    "judge_every": 20,
    "save_every": 1000,
    "patience": 6,
}


def begun(start: Bundle) -> Bundle:
    """The body with one head, whose layers are those of the teacher and whose answer is that of nobody who knows."""
    torch.manual_seed(SEED)
    network = Network(start.network.body, {TASK: TASKS[TASK].shape})
    state = network.heads[TASK].state_dict()
    taught = start.network.heads[TEACHER].state_dict()
    state |= {name: one for name, one in taught.items() if one.shape == state[name].shape}
    state["out.weight"] = torch.zeros_like(state["out.weight"])
    state["out.bias"] = torch.tensor(RARITY)
    network.heads[TASK].load_state_dict(state)
    return Bundle(start.name, network, {TASK: start.records[TASK]}, sha256=start.sha256)


def main() -> None:
    """Read the flags and train."""
    flags = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    flags.add_argument("--from", dest="start", type=Path)
    flags.add_argument("--out", type=Path, default=Path("runs/binding"))
    asked = flags.parse_args()
    runtime.use_threads(1)
    recipe = Recipe.build(
        {"name": "binding-residues", "tasks": [TASK], "mode": "frozen", "validate_on": 400, "train": LOOP}
    )
    start = Bundle.load(asked.start or default_bundle())
    bundle = train([TASKS[TASK]], recipe, asked.out, start=begun(start))
    print(f"{asked.out / 'bundle'}: {bundle.records[TASK].trained_on:,} proteins.")


if __name__ == "__main__":
    main()
