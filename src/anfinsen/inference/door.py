"""The calls that most people need."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path

import numpy

from anfinsen.data.example import Example
from anfinsen.data.store import Dtype, Per, Values
from anfinsen.hub.bundle import Bundle
from anfinsen.inference.embedder import LAST, Embedder
from anfinsen.inference.prediction import Prediction
from anfinsen.inference.predictor import Predictor, as_examples
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


def embed(
    proteins: str | Protein | Example | Iterable[str | Protein | Example],
    per: Per = "protein",
    *,
    layer: str | int = LAST,
    dtype: Dtype = "fp32",
    bundle: str | Path | None = None,
) -> Values | list[Values]:
    """The states, vectors of C numbers, that the model makes of one protein or of many of them.

    One protein gives one array: (C,) per protein, (L, C) per residue, (W, C) per window of 32 residues. Many
    give an array (N, C) per protein, else a list of arrays, in order.

    >>> embed(["MQIFVKTLTGKTITLEVEPSD", "FVNQHLCGSHLVEALYLVCGERGFFYTPKT"]).shape[0]
    2
    """
    opened = _embedded().bundle if bundle is None else Bundle.load(bundle)
    embedder = Embedder(opened.network, name=opened.name, sha256=opened.sha256, per=per, layer=layer, dtype=dtype)
    if isinstance(proteins, str | Protein | Example):
        (values,) = embedder.embed(as_examples([proteins]))
        return values
    many = list(embedder.embed(as_examples(proteins)))
    if per != "protein":
        return many
    return numpy.stack(many) if many else numpy.empty((0, embedder.about.dim), numpy.float32)


@cache
def _embedded() -> Predictor:
    return Predictor.load()
