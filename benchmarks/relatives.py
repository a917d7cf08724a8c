"""Teach the embedded model to listen to relatives: a listener for each task that asks them, written into its bundle.

    python benchmarks/relatives.py [--task NAME] [--proteins 1200] [--steps 1000] [--check]

Taught by proteins of the validation split, which no head has learnt, with the families that come with the package. Five
folds of proteins tell what it is worth; what they say also calibrates the answers anew. `--check` tells and writes
nothing. About twenty minutes of one core. Binding residues were taught in 150 steps (`--task binding-residues --steps
150`): of its 191 proteins more is learnt by heart. Hidden residues were taught by `--task masked
--proteins 2200 --steps 2500`; the proteins on which `anfinsen bench perplexity` judges are kept apart.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from anfinsen.bench.perplexity import kept_apart
from anfinsen.data.draw import draw_places
from anfinsen.data.example import Example
from anfinsen.errors import AnfinsenError
from anfinsen.hub.bundle import MASKED, Bundle, default_bundle
from anfinsen.kinship.kin import Kin
from anfinsen.models.fast import quicken
from anfinsen.targets.base import Calibration, Floats
from anfinsen.targets.metrics import measure
from anfinsen.tasks import TASKS, Task
from anfinsen.tasks.ask import ask
from anfinsen.training.listening import STEPS, Heard, in_folds, teach

PROTEINS = 1200
_SEED = 3


def main() -> int:
    """Search, teach, tell what it is worth, write."""
    flags = argparse.ArgumentParser(description=__doc__)
    asking = [name for name in TASKS if TASKS[name].asks_relatives]
    flags.add_argument("--task", choices=asking, action="append")
    flags.add_argument("--proteins", type=int, default=PROTEINS)
    flags.add_argument("--steps", type=int, default=STEPS)
    flags.add_argument("--check", action="store_true")
    asked = flags.parse_args()
    kin = Kin.find()
    if kin is None:
        raise AnfinsenError("Nothing searches the families.", remedy="Install pyhmmer.")
    for name in asked.task or asking:
        bundle, task = Bundle.load(default_bundle()), TASKS[name]
        lessons = _lessons(bundle, task, kin, asked.proteins)
        examples, said = [one.example for one in lessons], in_folds(task, lessons, steps=asked.steps)
        before = bundle.records[name].calibration  # hidden residues have none
        calibration = task.target.calibrate(said, examples) if before else before
        for title, outputs, by in (
            ("alone", [one.said for one in lessons], before),
            ("with relatives", said, calibration),
        ):
            print(f"{name}, {title}: {_worth(task, outputs, examples, by)}", flush=True)
        if not asked.check:
            listener = teach(task, lessons, steps=asked.steps)
            bundle = Bundle.load(default_bundle())  # it may have changed meanwhile
            bundle.network.listeners[name] = listener.half().float()  # as it is stored
            bundle.records[name] = bundle.records[name].replaced(calibration=calibration)
            bundle.remember()
            bundle.save(default_bundle())
    return 0


def _lessons(bundle: Bundle, task: Task, kin: Kin, count: int) -> list[Heard]:
    every = task.examples("valid")
    apart = kept_apart(len(every)) if task.name == MASKED else ()  # where there is no test split
    drawn = [place for place in draw_places(len(every), None, seed=_SEED, in_order=False) if place not in apart]
    examples = [task.pose(every[place], place) for place in sorted(drawn[:count])]
    said = (output[task.name] for output in ask(quicken(bundle.network.eval()), [task], examples))
    return [
        Heard(example, output, kin.family(example.protein.sequence))
        for example, output in zip(examples, said, strict=True)
    ]


def _worth(task: Task, outputs: Sequence[Floats], examples: Sequence[Example], calibration: Calibration) -> str:
    answers = task.answers(outputs, examples, calibration)
    found = [(metric, measure(metric, examples, answers)) for metric in task.metrics]
    told = [f"{metric} {one.value:.3f} ({one.low:.3f} to {one.high:.3f})" for metric, one in found]
    return f"{', '.join(told)}, n = {found[0][1].n}"


if __name__ == "__main__":
    sys.exit(main())
