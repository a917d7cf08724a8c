"""The scripts beside the package go with it: every arm of the ablation still takes its steps and is judged."""

from __future__ import annotations

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import numpy
import pytest

from anfinsen.data.example import Example
from anfinsen.structure.protein import Protein
from anfinsen.tasks import TASKS

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "ablation.py"
RESIDUES = "ACDEFGHIKLMNPQRSTVWY"


def loaded() -> ModuleType:
    spec = spec_from_file_location("ablation", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    sys.modules["ablation"] = module
    spec.loader.exec_module(module)
    return module


ABLATION = loaded()


@pytest.mark.parametrize("arm", ABLATION.ARMS, ids=lambda arm: arm.name)
def test_every_arm_learns_and_is_judged(arm: object) -> None:
    draw = numpy.random.default_rng(1)
    corpus = [Example(Protein(f"p{at}", "".join(draw.choice(list(RESIDUES), size=30))), None) for at in range(12)]
    exam = [TASKS["masked"].pose(example, at) for at, example in enumerate(corpus[:3])]
    tokens = arm.tokens  # type: ignore[attr-defined]
    row = ABLATION.learn(arm, corpus, numpy.arange(12), exam, 3 * tokens)
    assert row["steps"] == 3
    assert len(row["sums"]) == 3 and all(numpy.isfinite(loss) and count > 0 for loss, count in row["sums"])
    assert ABLATION.compared(row, row)["difference"] == 0.0
