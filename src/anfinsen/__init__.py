"""Anfinsen: from a protein's sequence to what it is, what it does and how it behaves.

>>> import anfinsen
>>> sorted(anfinsen.__all__)  # doctest: +NORMALIZE_WHITESPACE
['Predictor', '__version__', 'distill', 'embed', 'explain', 'fold', 'load', 'predict', 'pull', 'push', 'show',
 'train']

The door imports nothing heavy; a name is fetched when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from anfinsen.explain.door import explain
    from anfinsen.hub.remote import pull, push
    from anfinsen.inference.door import embed, load, predict
    from anfinsen.inference.fold import fold
    from anfinsen.inference.predictor import Predictor
    from anfinsen.report.notebook import show
    from anfinsen.workshop.door import train
    from anfinsen.workshop.student import distill

_ROOMS = {
    "Predictor": "anfinsen.inference.predictor",
    "distill": "anfinsen.workshop.student",
    "embed": "anfinsen.inference.door",
    "explain": "anfinsen.explain.door",
    "fold": "anfinsen.inference.fold",
    "load": "anfinsen.inference.door",
    "predict": "anfinsen.inference.door",
    "pull": "anfinsen.hub.remote",
    "push": "anfinsen.hub.remote",
    "show": "anfinsen.report.notebook",
    "train": "anfinsen.workshop.door",
}

__all__ = [
    "Predictor", "__version__", "distill", "embed", "explain", "fold", "load", "predict", "pull", "push", "show",
    "train",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _ROOMS:
        raise AttributeError(f"module 'anfinsen' has no attribute '{name}'")
    from importlib import import_module

    return getattr(import_module(_ROOMS[name]), name)


def __dir__() -> list[str]:
    return list(__all__)
