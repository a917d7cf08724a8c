"""Which residues of two chains touch each other: does it help to know the partner?

    Docking Benchmark 5.5, bound chains of known complexes -> residues within 5 Å of the other side
        chain alone, sequence      the task `interface` reads one chain
        chain alone, structure     the same with its CA atoms, in the shape that it has in the complex
        pair map alone             the strongest that each residue says to the partner in the map of `interaction`
        the model                  a straight line through both, fitted on the training complexes
        share of interface         every residue the same

The map was taught whether two proteins meet and was never shown a contact, so it may well know less than the chain
alone; the rows say. Chains come in their bound shape without the partner's atoms: nothing is told of how they lie to
each other, and unbound chains are not asked. Splits are EquiDock's; test complexes with a chain near one that
`interface` was taught with are left out of the first rows. Intervals are drawn over complexes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy
import polars
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score

from anfinsen.bench.study import Question, Tell
from anfinsen.data.batch import pack
from anfinsen.data.draw import draw
from anfinsen.data.example import Example
from anfinsen.hub.bundle import Bundle, default_bundle
from anfinsen.hub.record import Score
from anfinsen.inference.partners import Pairer
from anfinsen.kinship.neighbours import Reach
from anfinsen.models.network import Network
from anfinsen.sets.catalog import Table
from anfinsen.structure.backbone import from_alphas
from anfinsen.structure.protein import Protein
from anfinsen.targets.metrics import LEVEL, Estimate
from anfinsen.tasks.ask import ask
from anfinsen.tasks.interface import TASK as INTERFACE

SUITE, NAME, SPLIT = "partners", "complexes", "db55-test"
DB55 = Table(
    "ppi_complexes_db55/chains.parquet",
    splits={"train": ("train",), "test": ("test",)},
    title="Docking Benchmark 5.5, bound chains",
    source="github.com/octavian-ganea/equidock_public",
    licence="MIT repository; structures PDB CC0",
    sequence="seq",
    value="interface5A",
)
TAUGHT, RESAMPLES = 60, 500
"""Training complexes that the straight line is fitted on; draws of the bootstrap."""
_ATOMS, _ALPHA, _PER_ANGSTROM, _MISSING = 5, 1, 100.0, -32768
_SEED = 1

Floats = NDArray[numpy.float64]


@dataclass(frozen=True)
class Side:
    """One chain of a complex: which side it is on, and which of its residues touch the other side (L,)."""

    role: str
    protein: Protein
    touches: NDArray[numpy.bool_]


Complex = tuple[Side, ...]


def complexes(split: str) -> list[Complex]:
    """The complexes of one split that have chains on both sides."""
    rows = polars.concat([polars.read_parquet(path) for path in DB55.paths()])
    rows = rows.filter(polars.col("split").is_in(DB55.splits[split]) & (polars.col("atoms") == "bb5")).sort("id")
    found: dict[str, list[Side]] = {}
    for row in rows.iter_rows(named=True):
        packed = numpy.frombuffer(row["coords"], "<i2").reshape(-1, _ATOMS, 3)[:, _ALPHA]
        alphas = numpy.where(packed == _MISSING, numpy.nan, packed / _PER_ANGSTROM)
        protein = Protein(row["id"], row["seq"], backbone=from_alphas(alphas, "experimental"))
        touches = numpy.frombuffer(row["interface5A"].encode(), numpy.uint8) == ord("1")
        found.setdefault(row["complex"], []).append(Side(row["role"], protein, touches))
    return [tuple(sides) for sides in found.values() if len({side.role for side in sides}) == 2]


def complex_rows(bundle: Bundle, *, limit: int | None, tell: Tell) -> list[Score]:
    """Residue AUPR on the test complexes, with and without the partner."""
    embedded = Bundle.load(default_bundle())
    single = bundle.network if INTERFACE.name in bundle.network.shapes else embedded.network
    pairer = Pairer.load()
    reach = embedded.reaches.get(INTERFACE.name)
    tests = complexes("test")[:limit]
    apart = [one for one in tests if reach is None or _is_new(one, reach)]
    tell(f"{len(apart)} of {len(tests)} test complexes have no chain near those that '{INTERFACE.name}' learnt from.")
    trains = draw(complexes("train"), min(TAUGHT, limit or TAUGHT), in_order=False)
    taught = _features(single, pairer, trains)
    line = LogisticRegression(max_iter=1000).fit(numpy.concatenate(taught), _truth(trains))
    rows = []
    for split, asked in ((SPLIT, apart), (f"{SPLIT}, all", tests)):
        features = _features(single, pairer, asked)
        owner = numpy.concatenate([numpy.full(len(part), at) for at, part in enumerate(features)])
        said, truth = numpy.concatenate(features), _truth(asked)
        told = {
            bundle.label: line.decision_function(said),
            f"{bundle.label}, pair map alone": said[:, 2],
            "chain alone, structure": said[:, 1],
            "chain alone, sequence": said[:, 0],
            "share of interface": numpy.zeros(len(said)),
        }
        question = Question(SUITE, NAME, DB55.name, split, "AUPR")
        rows += [question.row(who, over_complexes(truth, value, owner)) for who, value in told.items()]
    return rows


def over_complexes(truth: NDArray[numpy.bool_], said: Floats, owner: NDArray[numpy.int64]) -> Estimate:
    """AUPR over all residues with its 95 % interval over complexes, to which `owner` (R,) assigns residues."""
    generator = numpy.random.default_rng(_SEED)
    count = int(owner.max()) + 1
    drawn = []
    for _ in range(RESAMPLES):
        weights = numpy.bincount(generator.integers(0, count, count), minlength=count)[owner]
        if weights[truth].sum():
            drawn.append(float(average_precision_score(truth, said, sample_weight=weights)))
    low, high = numpy.quantile(drawn, ((1 - LEVEL) / 2, (1 + LEVEL) / 2)).tolist()
    return Estimate(float(average_precision_score(truth, said)), low, high, count)


def _is_new(one: Complex, reach: Reach) -> bool:
    return all(reach.far(side.protein.sequence) for side in one)


def _truth(asked: Sequence[Complex]) -> NDArray[numpy.bool_]:
    return numpy.concatenate([side.touches for one in asked for side in one])


@torch.inference_mode()
def _features(single: Network, pairer: Pairer, asked: Sequence[Complex]) -> list[Floats]:
    """For each complex, its residues in order: interface by sequence, by structure, strongest word, echo (R, 4).

    The echo is the strongest sum of what is said to a residue of the partner and that residue's own interface.
    """
    chains = [side.protein for one in asked for side in one]
    bare = [Example(Protein(chain.id, chain.sequence)) for chain in chains]
    by_sequence, by_structure = (
        [out[INTERFACE.name][:, 0] for out in ask(single, [INTERFACE], examples)]
        for examples in (bare, [Example(chain) for chain in chains])
    )
    states = [_states(pairer, chain) for chain in chains]
    found, at = [], 0
    for one in asked:
        places = range(at, at + len(one))
        at += len(one)
        rows = []
        for side, place in zip(one, places, strict=True):
            others = [other for partner, other in zip(one, places, strict=True) if partner.role != side.role]
            maps = [pairer.head.spoken(states[place], states[other]).numpy() for other in others]
            partner = numpy.concatenate([by_structure[other] for other in others])
            said = _standard(numpy.concatenate(maps, 1))
            echo = (said + _standard(partner)[None]).max(1)
            rows.append(numpy.stack((by_sequence[place], by_structure[place], said.max(1), echo), 1))
        found.append(numpy.concatenate(rows).astype(numpy.float64))
    return found


def _states(pairer: Pairer, chain: Protein) -> torch.Tensor:
    tokens, lengths = pack([chain.sequence])
    states, _ = pairer.network.states(tokens, lengths)
    return states.float()


def _standard(values: NDArray[numpy.floating[Any]]) -> Floats:
    """In units of their own spread around their own mean."""
    found: Floats = (values - values.mean()) / (values.std() + 1e-6)
    return found
