"""The two calls that most people need."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path

from anfinsen.data.example import Example
from anfinsen.inference.prediction import Prediction
from anfinsen.inference.predictor import Predictor
from anfinsen.structure.protein import Protein


def load(bundle: str | Path | None = None, *, tasks: Sequence[str] = (), device: str = "auto") -> Predictor:
    """Open a bundle, the embedded one if none is given."""
    return Predictor.load(bundle, tasks, device=device)


def predict(proteins: str | Protein | Example | Iterable[str | Protein | Example]) -> list[Prediction]:
    """Ask the embedded model everything it knows about one protein or many.

    >>> (ubiquitin,) = predict("MQIFVKTLTGKTITLEVEPSDTIENVKAKIQDKEGIPPDQQRLIFAGKQLEDGRTLSDYNIQKESTLHLVLRLRGG")
    >>> len(ubiquitin.answers["secondary-structure"]["tokens"])
    76
    """
    questions = [proteins] if isinstance(proteins, str | Protein | Example) else proteins
    return list(_embedded().predict(questions))


@cache
def _embedded() -> Predictor:
    return Predictor.load()
