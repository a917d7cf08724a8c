"""What should tasks share? Heads on a body that rests, adapters, or one generalist; and what else a generalist knows.

    python benchmarks/sharing.py ways --from BUNDLE [--steps 150] --out runs/sharing
    python benchmarks/sharing.py few BUNDLE [BUNDLE ...]

`ways` teaches one body three questions that it was never asked, in each of the three ways, with the same number of
proteins seen in each: heads alone, heads and adapters for each question by itself, body and heads for all at once.
`few` asks bodies, and the first of them untrained, a question that none was taught (the first digit of the enzyme
number), from ever more labels, by a straight line on the mean state. Tests are looked at once, at the end.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from anfinsen import runtime
from anfinsen.bench.baselines import composition
from anfinsen.bench.probes import ends_of
from anfinsen.bench.run import run
from anfinsen.bench.study import untrained
from anfinsen.data.example import Example
from anfinsen.hub.bundle import Bundle
from anfinsen.inference.predictor import answer
from anfinsen.models.network import Network
from anfinsen.tasks import TASKS
from anfinsen.tasks.ask import STATE, ask
from anfinsen.training.recipe import Recipe
from anfinsen.training.run import train

QUESTIONS = ("signal-peptide", "solubility", "conservation")
WAYS = {"heads": ("frozen", 1e-3), "adapters": ("lora", 1e-3), "generalist": ("full", 6e-4)}
"""How much may learn, and the highest learning rate."""
LABELS = (10, 30, 100, 300, 1000, 3000)
JUDGED, LONGEST = 3000, 512
RESAMPLES = 1000


def ways(start: Path, out: Path, steps: int) -> None:
    """The headline score of each question by each way, and the seconds that teaching took."""
    for way, (mode, rate) in WAYS.items():
        begun = time.monotonic()
        together = [QUESTIONS] if way == "generalist" else [(name,) for name in QUESTIONS]
        taught = [_taught(Bundle.load(start), names, mode, rate, steps * len(names), out / way) for names in together]
        seconds = time.monotonic() - begun
        print(f"{way}: taught in {seconds:.0f} s", flush=True)
        for bundle, names in zip(taught, together, strict=True):
            rows, _ = run(names, partial(answer, bundle), model=bundle.label, network=None)
            for row in rows:
                if row.is_ours and row.metric == TASKS[row.task].metrics[0]:
                    print(
                        f"  {row.task}, {row.split}: {row.metric} {_figure(row.value, row.low, row.high)}, n = {row.n}"
                    )


def _taught(start: Bundle, names: Sequence[str], mode: str, rate: float, steps: int, out: Path) -> Bundle:
    loop = {"steps": steps, "tokens": 4096, "learning_rate": rate, "warmup": 20, "decay": 0.6, "judge_every": 50}
    recipe = Recipe.build({"name": "sharing", "mode": mode, "validate_on": 150, "train": {**loop, "patience": 20}})
    return train([TASKS[name] for name in names], recipe, out / "-".join(names), start=start)


def few(bodies: Sequence[Path]) -> None:
    """Accuracy of the first digit of the enzyme number, for each body and number of labels."""
    learnt, judged = _enzymes("train", max(LABELS)), _enzymes("valid", JUDGED)
    networks = [(bundle.label, bundle.network.eval()) for bundle in map(Bundle.load, bodies)]
    if (twin := untrained(networks[0][1])) is not None:
        networks.insert(0, ("the first, untrained", twin))
    kinds = [numpy.array([example.value for example in part]) for part in (learnt, judged)]
    rights: dict[int, list[numpy.ndarray]] = {count: [] for count in LABELS}
    for at, name in enumerate(["composition", *(name for name, _ in networks)]):
        seen = [composition(part) if at == 0 else _states(networks[at - 1][1], part) for part in (learnt, judged)]
        print(name, flush=True)
        for count in LABELS:
            line = make_pipeline(StandardScaler(), LogisticRegression(C=0.03, max_iter=300))
            right = line.fit(seen[0][:count], kinds[0][:count]).predict(seen[1]) == kinds[1]
            rights[count].append(right)
            low, high = _interval(right.astype(float))
            print(f"  {count} labels: accuracy {_figure(right.mean(), low, high)}, n = {len(right)}", flush=True)
    for count, (*_, before, after) in rights.items():
        gain = after.astype(float) - before
        low, high = _interval(gain)
        print(f"last body against the one before, {count} labels: {gain.mean():+.3f} ({low:+.3f} to {high:+.3f})")


def _enzymes(split: str, count: int) -> list[Example]:
    """Enzymes with one kind of reaction, drawn at random, each with the first digit of its number."""
    examples = [(one, {number[0] for number in one.value}) for one in TASKS["ec"].examples(split)]
    single = [replace(ends_of(one, LONGEST), value=kinds.pop()) for one, kinds in examples if len(kinds) == 1]
    return [single[at] for at in numpy.random.default_rng(1).permutation(len(single))[:count].tolist()]


def _states(network: Network, examples: Sequence[Example]) -> numpy.ndarray:
    return numpy.stack([one[STATE] for one in ask(network, [], examples, with_state=True)])


def _interval(values: numpy.ndarray) -> tuple[float, float]:
    draws = numpy.random.default_rng(1).integers(len(values), size=(RESAMPLES, len(values)))
    low, high = numpy.quantile(values[draws].mean(1), (0.025, 0.975))
    return float(low), float(high)


def _figure(value: float, low: float | None, high: float | None) -> str:
    return f"{value:.3f}" if low is None or high is None else f"{value:.3f} ({low:.3f} to {high:.3f})"


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
    asked = flags.parse_args()
    runtime.use_threads(1)
    if asked.what == "few":
        few(asked.bodies)
    else:
        ways(asked.start, asked.out, asked.steps)


if __name__ == "__main__":
    main()
