"""The affinity model as a folder: arrays as safetensors, words as JSON, hashes of both; nothing is unpickled.

    affinity.json          what it was trained on, the names of known drugs and proteins, settings, scores, hashes
    affinity.safetensors   likeness shelves, the memory, the trees; half precision where a likeness needs no more
    README.md              its card: the same in words, with every score

The memory holds the measured affinities of its table, as it must: that is what it answers from. It holds no sequence
and no formula; known drugs and proteins are recognised by the hashes of theirs.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from anfinsen.config import Config
from anfinsen.errors import BundleError
from anfinsen.hub.body import file_hash
from anfinsen.hub.bundle import WEIGHTS, default_bundle
from anfinsen.hub.card import score_table
from anfinsen.hub.record import Score, renewed
from anfinsen.models.binding import BindingModel, Drugs, Judge, Proteins, Regime
from anfinsen.models.likeness import Axes
from anfinsen.models.memory import Memory
from anfinsen.models.trees import Trees

EMBEDDED = WEIGHTS / "anfinsen-affinity"
"""The affinity model that comes with the package."""
_WORDS, _ARRAYS, _CARD = "affinity.json", "affinity.safetensors", "README.md"
TASK = "affinity"
"""The task under whose name its scores stand."""
SUITE = "drug"
"""The benchmark whose rows are about it."""

Arrays = dict[str, NDArray[Any]]


class AffinityRecord(Config):
    """What is known about an affinity model."""

    name: str
    """What the model is called."""
    table: str
    """The table that it learnt from."""
    unit: str
    """The unit of its answers."""
    licence: str
    """Licence of the table."""
    backbone_sha256: str
    """Hash of the weights of the language model whose states it reads."""
    drugs: dict[str, str]
    """Place on the shelf and name of each known drug, by the hash of its standard formula."""
    proteins: dict[str, str]
    """Place on the shelf and name of each known protein, by the hash of its sequence."""
    trained_on: int
    """Pairs that it learnt from."""
    data_sha256: str
    """Hash of the measured values, in order."""
    settings: dict[str, float]
    """How it was trained."""
    hashes: dict[str, str] = {}
    """SHA-256 of the arrays."""
    scores: tuple[Score, ...] = ()
    """Figures of models made like it, of simple rivals and of published ones."""


@dataclass(frozen=True)
class AffinityBundle:
    """A model with its record, the words' weights and what centres the states."""

    record: AffinityRecord
    model: BindingModel
    word_weights: NDArray[numpy.float32]
    state_mean: NDArray[numpy.float32]
    state_spread: NDArray[numpy.float32]

    @property
    def name(self) -> str:
        """What it is called."""
        return self.record.name

    @property
    def label(self) -> str:
        """How it is called among scores: by the language model whose states it reads."""
        return f"{default_bundle().name} {TASK}"

    @property
    def records(self) -> Mapping[str, AffinityRecord]:
        """Its record under the name of its task, as other bundles keep theirs."""
        return {TASK: self.record}

    def with_scores(self, rows: Sequence[Score]) -> AffinityBundle:
        """The same with new rows of its benchmark, in the place of older rows that answer the same question."""
        mine = tuple(row for row in rows if row.suite == SUITE)
        return replace(self, record=self.record.replaced(scores=renewed(self.record.scores, mine)))

    def save(self, folder: Path) -> None:
        """Write the arrays and the card, then the record with the arrays' hash."""
        folder.mkdir(parents=True, exist_ok=True)
        save_file(_to_arrays(self), folder / _ARRAYS)
        (folder / _CARD).write_text("\n".join(_card(self.record)), encoding="utf-8")
        record = self.record.replaced(hashes={_ARRAYS: file_hash(folder / _ARRAYS)})
        (folder / _WORDS).write_text(json.dumps(record.model_dump(), indent=1, sort_keys=True) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path | None = None) -> AffinityBundle:
        """Open a folder, the embedded one if none is given; refuses one whose hash does not hold."""
        folder = folder or EMBEDDED
        try:
            record = AffinityRecord.build(json.loads((folder / _WORDS).read_text(encoding="utf-8")), source=_WORDS)
            if file_hash(folder / _ARRAYS) != record.hashes.get(_ARRAYS):
                raise BundleError(f"'{folder}' is damaged: {_ARRAYS} is not what it was.", remedy="Get it again.")
            return _from_arrays(record, load_file(folder / _ARRAYS))
        except (OSError, ValueError, KeyError, SafetensorError) as error:
            raise BundleError(
                f"'{folder}' is no affinity model: {error}.", remedy="Give the folder that a training has written."
            ) from None


def shelved(things: Mapping[str, str]) -> tuple[dict[str, int], dict[int, str]]:
    """The places by hash, and the names by place, of known things such as {'1f3a': '12 EGFR'}.

    >>> shelved({"1f3a": "12 EGFR"})
    ({'1f3a': 12}, {12: 'EGFR'})
    """
    found = [(key, *text.split(" ", 1)) for key, text in things.items()]
    return {key: int(at) for key, at, _ in found}, {int(at): name for _, at, name in found}


def hashed(text: str) -> str:
    """How a formula or a sequence is recognised."""
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def _card(record: AffinityRecord) -> list[str]:
    """What it is and how good, as the lines of a Markdown page."""
    return [
        f"# {record.name}",
        "",
        "How tightly a drug holds a protein, by Anfinsen: a memory of measured pairs and trees that weigh what it says "
        "(`anfinsen affinity --bundle`, docs/drugs.md). Nothing in it is unpickled.",
        "",
        f"Training table: {record.trained_on:,} pairs of {record.table}, in {record.unit}. Data licence: "
        f"{record.licence}. SHA-256 of the measured values: `{record.data_sha256}`. Each score is of a model that was "
        "made in the same way and learnt from the training part of that split alone.",
        "",
        *score_table(record.scores, TASK),
    ]


def _to_arrays(bundle: AffinityBundle) -> Arrays:
    model = bundle.model
    rows, columns = numpy.nonzero(model.proteins.profiles)
    axes = {"drug": model.drugs.axes, "words": model.proteins.axes[0], "states": model.proteins.axes[1]}
    arrays: Arrays = {
        "word_weights": bundle.word_weights.astype(numpy.float16),
        "state_mean": bundle.state_mean,
        "state_spread": bundle.state_spread,
        "drug.fragments": numpy.packbits(model.drugs.fragments > 0, axis=1),
        "protein.rows": numpy.bincount(rows, minlength=len(model.proteins.profiles)).astype(numpy.int32),
        "protein.words": columns.astype(numpy.int16),
        "protein.weights": model.proteins.profiles[rows, columns].astype(numpy.float16),
        "protein.states": model.proteins.states.astype(numpy.float16),
        "protein.scale": numpy.array([model.proteins.scale]),
        "memory.values": model.memory.values,
        "memory.known": numpy.packbits(model.memory.known > 0, axis=1),
        "memory.ridge": model.memory.ridge,
        "memory.mean": numpy.array([model.memory.mean]),
    }
    arrays |= {f"axes.{name}.{part}": getattr(one, part) for name, one in axes.items() for part in ("middle", "turn")}
    if model.network is not None:
        arrays["network"] = model.network.astype(numpy.float16)
    for regime, judge in model.judges.items():
        arrays[f"judge.{regime}.numbers"] = numpy.array([judge.quantile, judge.share, judge.ridge, judge.network])
        for which in ("place", "doubt"):
            trees: Trees = getattr(judge, which)
            arrays |= {f"judge.{regime}.{which}.{name}": part for name, part in trees.to_arrays().items()}
    return {name: numpy.ascontiguousarray(array) for name, array in arrays.items()}


def _from_arrays(record: AffinityRecord, arrays: Arrays) -> AffinityBundle:
    axes = {
        name: Axes(arrays[f"axes.{name}.middle"], arrays[f"axes.{name}.turn"]) for name in ("drug", "words", "states")
    }
    weights = arrays["word_weights"].astype(numpy.float32)
    counts = arrays["protein.rows"]
    profiles = numpy.zeros((len(counts), len(weights)), dtype=numpy.float32)
    profiles[numpy.repeat(numpy.arange(len(counts)), counts), arrays["protein.words"]] = arrays["protein.weights"]
    values = arrays["memory.values"]
    known = numpy.unpackbits(arrays["memory.known"], axis=1, count=values.shape[1]).astype(numpy.float32)
    states = arrays["protein.states"].astype(numpy.float32)
    scale = float(arrays["protein.scale"][0])
    judges: dict[Regime, Judge] = {}
    for name in {key.split(".")[1] for key in arrays if key.startswith("judge.")}:
        quantile, share, ridge, network = (float(number) for number in arrays[f"judge.{name}.numbers"])
        parts = [_trees(arrays, f"judge.{name}.{which}.") for which in ("place", "doubt")]
        judges[cast(Regime, name)] = Judge(parts[0], parts[1], quantile, share, int(ridge), network)
    model = BindingModel(
        Drugs(numpy.unpackbits(arrays["drug.fragments"], axis=1).astype(numpy.float32), axes["drug"]),
        Proteins(profiles, states, scale, (axes["words"], axes["states"])),
        Memory(values, known, float(arrays["memory.mean"][0]), arrays["memory.ridge"]),
        judges,
        arrays["network"].astype(numpy.float32) if "network" in arrays else None,
    )
    return AffinityBundle(record, model, weights, arrays["state_mean"], arrays["state_spread"])


def _trees(arrays: Arrays, prefix: str) -> Trees:
    return Trees.from_arrays(
        {name.removeprefix(prefix): part for name, part in arrays.items() if name.startswith(prefix)}
    )
