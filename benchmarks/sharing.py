"""What should tasks share? Heads on a body that rests, adapters, or one generalist; and what else a generalist knows.

    python benchmarks/sharing.py ways --from BUNDLE [--steps 150] --out runs/sharing
    python benchmarks/sharing.py few BUNDLE [BUNDLE ...] --out runs/sharing

`ways` teaches one body three questions that it was never asked, in each of the three ways, on the same proteins and
with the same number of steps: heads alone, heads and adapters for each question by itself, body and heads for all.
`few` asks bodies, and the first of them untrained, a question that none was taught (the first digit of the enzyme
number), from ever more labels, by a straight line on the mean state. Tests are looked at once, at the end. Every figure
is appended to rows.jsonl in the folder --out, in the form of `anfinsen bench --json`.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path

import numpy
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from anfinsen import runtime
from anfinsen.bench.probes import ends_of
from anfinsen.bench.study import Question, untrained
from anfinsen.data.composition import composition
from anfinsen.data.draw import draw
from anfinsen.data.example import Example
from anfinsen.hub.bundle import Bundle
from anfinsen.inference.predictor import answer
from anfinsen.models.network import Network
from anfinsen.targets.metrics import Estimate, measure
from anfinsen.tasks import TASKS, Task
from anfinsen.tasks.ask import STATE, ask
from anfinsen.training.recipe import Recipe
from anfinsen.training.run import train

QUESTIONS = ("signal-peptide", "solubility", "conservation")
WAYS = {"heads": ("frozen", 1e-3), "adapters": ("lora", 1e-3), "generalist": ("full", 6e-4)}
"""How much may learn, and the highest learning rate."""
LABELS = (10, 30, 100, 300, 1000)
DRAWN = {"train": 1500, "valid": 300, "test": 500}
"""Proteins of each question that are drawn from its splits; of the validation proteins half stop the training."""
JUDGED, LONGEST = 1000, 512
"""Enzymes that are judged, and the most residues of a protein."""
RESAMPLES = 1000
SUITE = "sharing"


def ways(start: Path, out: Path, steps: int) -> None:
    """The headline score of each question by each way, and the seconds that teaching took."""
    tasks = {name: _drawn(TASKS[name]) for name in QUESTIONS}
    for way, (mode, rate) in WAYS.items():
        begun = time.monotonic()
        together = [QUESTIONS] if way == "generalist" else [(name,) for name in QUESTIONS]
        taught = []
        for names in together:
            some = [tasks[name] for name in names]
            taught.append(_taught(Bundle.load(start), some, mode, rate, steps * len(names), out / way))
        seconds = Estimate(time.monotonic() - begun, None, None, steps * len(QUESTIONS))
        _keep(out, Question(SUITE, ", ".join(QUESTIONS), "steps", "train", "seconds"), way, seconds)
        for bundle, names in zip(taught, together, strict=True):
            for task in (tasks[name] for name in names):
                test = task.examples("test")
                answers = answer(bundle, task, [replace(example, value=None, mask=None) for example in test])
                metric = task.metrics[0]
                _keep(
                    out,
                    Question(SUITE, task.name, task.table.name, "test", metric),
                    way,
                    measure(metric, test, answers),
                )


def _drawn(task: Task) -> Task:
    """The task on proteins of its own splits that are drawn at random, as many as `DRAWN` says."""
    held: dict[str, list[Example]] = {}
    for split, count in DRAWN.items():
        short = [example for example in task.examples(split) if len(example.protein) <= LONGEST]
        held[split] = draw(short, count, in_order=False)

    class Part(type(task)):  # type: ignore[misc]  # the class is only known now
        def examples(self, split: str) -> list[Example]:
            return held[split]

    return Part(**{field.name: getattr(task, field.name) for field in fields(task)})


def _taught(start: Bundle, tasks: Sequence[Task], mode: str, rate: float, steps: int, out: Path) -> Bundle:
    loop = {"steps": steps, "tokens": 4096, "learning_rate": rate, "warmup": 20, "decay": 0.6, "judge_every": 50}
    recipe = Recipe.build({"name": "sharing", "mode": mode, "validate_on": 150, "train": {**loop, "patience": 20}})
    return train(tasks, recipe, out / "-".join(task.name for task in tasks), start=start)


def few(bodies: Sequence[Path], out: Path) -> None:
    """Accuracy of the first digit of the enzyme number, for each body and number of labels."""
    learnt, judged = _enzymes("train", max(LABELS)), _enzymes("valid", JUDGED)
    networks = [(str(folder), Bundle.load(folder).network.eval()) for folder in bodies]
    if (twin := untrained(networks[0][1])) is not None:
        networks.insert(0, ("the first, untrained", twin))
    kinds = [numpy.array([example.value for example in part]) for part in (learnt, judged)]
    rights: dict[int, list[numpy.ndarray]] = {count: [] for count in LABELS}
    for at, name in enumerate(["composition", *(name for name, _ in networks)]):
        seen = [composition(part) if at == 0 else _states(networks[at - 1][1], part) for part in (learnt, judged)]
        for count in LABELS:
            line = make_pipeline(StandardScaler(), LogisticRegression(C=0.03, max_iter=300))
            rights[count].append(
                (line.fit(seen[0][:count], kinds[0][:count]).predict(seen[1]) == kinds[1]).astype(float)
            )
            _keep(out, _of_enzymes(count, "accuracy"), name, _mean(rights[count][-1]))
    for count, (*_, before, after) in rights.items():
        _keep(out, _of_enzymes(count, "gain over the body before"), name, _mean(after - before))


def _of_enzymes(count: int, metric: str) -> Question:
    return Question(SUITE, "ec, first digit", TASKS["ec"].table.name, f"valid, {count} labels", metric)


def _enzymes(split: str, count: int) -> list[Example]:
    """Enzymes with one kind of reaction, drawn at random, each with the first digit of its number."""
    examples = [(one, {number[0] for number in one.value}) for one in TASKS["ec"].examples(split)]
    single = [replace(ends_of(one, LONGEST), value=kinds.pop()) for one, kinds in examples if len(kinds) == 1]
    return draw(single, count, in_order=False)


def _states(network: Network, examples: Sequence[Example]) -> numpy.ndarray:
    return numpy.stack([one[STATE] for one in ask(network, [], examples, with_state=True)])


def _mean(values: numpy.ndarray) -> Estimate:
    """A mean with its 95 % interval, proteins drawn again and again."""
    draws = numpy.random.default_rng(1).integers(len(values), size=(RESAMPLES, len(values)))
    low, high = numpy.quantile(values[draws].mean(1), (0.025, 0.975))
    return Estimate(float(values.mean()), float(low), float(high), len(values))


def _keep(out: Path, question: Question, model: str, estimate: Estimate) -> None:
    """Append a figure to rows.jsonl and print it."""
    row = question.row(model, estimate)
    out.mkdir(parents=True, exist_ok=True)
    with (out / "rows.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(row.model_dump(), ensure_ascii=False) + "\n")
    interval = "" if row.low is None or row.high is None else f" ({row.low:.3f} to {row.high:.3f})"
    print(f"{row.task}, {row.split}, {row.metric}, n = {row.n}: {model} {row.value:.3f}{interval}", flush=True)


def main() -> None:
    """Read the flags and run one of the two."""
    flags = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    what = flags.add_subparsers(dest="what", required=True)
    one = what.add_parser("ways")
    one.add_argument("--from", dest="start", type=Path, required=True)
    one.add_argument("--steps", type=int, default=150)
    one.add_argument("--out", type=Path, default=Path("runs/sharing"))
    other = what.add_parser("few")
    other.add_argument("bodies", type=Path, nargs="+")
    other.add_argument("--out", type=Path, default=Path("runs/sharing"))
    asked = flags.parse_args()
    runtime.use_threads(1)
    if asked.what == "few":
        few(asked.bodies, asked.out)
    else:
        ways(asked.start, asked.out, asked.steps)


if __name__ == "__main__":
    main()
