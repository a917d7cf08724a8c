"""Ligand sites: residues by kind, and pockets, beside what a homologue, a residue's kind or the shape alone would say.

    AUPR, MCC             of residues, by kind: GPSite's official tests, own ones (named so), and structures ('test')
    DCA top-n, top-n+2    of ligands, the share that has the centre of one of the first n (n + 2) pockets within 4 Å of
                          an atom, n the ligands of the chain (Chen et al. 2011, Structure 19:613)
    interface             the rows of the task `interface` as its own suite printed them, not measured again

Whoever makes pockets makes them by the same geometry, and differs only in what residues tell it: the network on the
structure, the network on the sequence alone, the relative that aligns best, or nothing (shape alone). Residues are also
asked with the contacts that the folder predicts. Intervals draw proteins. Published figures of pockets are of other
sets of structures and say so. A bundle that does not answer sites is not judged: the embedded one is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy
from numpy.typing import NDArray
from scipy.spatial import KDTree

from anfinsen.bench.residues import by, neighbour, residue
from anfinsen.bench.study import Question, Tell
from anfinsen.data.draw import draw
from anfinsen.data.example import Example
from anfinsen.errors import UndefinedScoreError
from anfinsen.hub.bundle import Bundle, default_bundle
from anfinsen.hub.record import OURS, Score
from anfinsen.inference.distances import Folder
from anfinsen.inference.predictor import answer, tasks_of
from anfinsen.inference.site_residues import BESIDE, IN_SPACE, NEVER, RIGHT, by_sequence, evidence, joined, voices
from anfinsen.inference.sites import EMBEDDED
from anfinsen.sets.holo import SITES, Holo, load_holo
from anfinsen.structure.pockets import Cavities, Pocket, find_cavities, gather
from anfinsen.structure.protein import Protein
from anfinsen.targets.base import Answer
from anfinsen.targets.metrics import LEVEL, Estimate, measure
from anfinsen.targets.tracks import Tracks
from anfinsen.tasks import TASKS
from anfinsen.tasks.ligand_sites import DRUG, LETTERS, OFFICIAL, OWN, TASK, example_of

SUITE = "structure"
NEAR = 4.0
"""Ångström from a pocket's centre to an atom of the ligand that it found."""
NETWORK, SEQUENCE, CONTACTS = "network alone", "sequence only", "predicted contacts"
SHAPE, HOMOLOGY = "shape only", "nearest relative"
_PUBLISHED = (
    ("P2Rank (COACH420, other set)", 0.720, 0.783),
    ("fpocket (COACH420, other set)", 0.564, 0.689),
    ("P2Rank (HOLO4K, other set)", 0.686, 0.740),
    ("fpocket (HOLO4K, other set)", 0.524, 0.631),
)
"""Top-n and top-(n+2) as Krivák & Hoksza 2018 print them; from memory of the paper."""
_SAMPLES, _SEED = 1000, 1
_FEWEST = 20

Floats = NDArray[numpy.floating[Any]]
Answers = Sequence[Answer]


def site_rows(bundle: Bundle, *, limit: int | None, tell: Tell) -> list[Score]:
    """All rows of sites that a bundle can answer; `limit` draws so many chains of each test. About three minutes."""
    judged = bundle if TASK.name in bundle.records else Bundle.load(EMBEDDED)
    return [
        *residue_rows(judged, limit=limit, tell=tell),
        *pocket_rows(judged, limit=limit, tell=tell),
        *interface_rows(Bundle.load(default_bundle())),
    ]


# Residues ------------------------------------------------------------------------------------------------------------


def residue_rows(bundle: Bundle, *, limit: int | None, tell: Tell) -> list[Score]:
    """AUPR and MCC of every kind: the bundle's, and its rivals'."""
    train = TASK.examples("train")
    rows: list[Score] = []
    for split, kinds in (("test", (DRUG,)), ("official", OFFICIAL), ("own", OWN)):
        asked = draw(TASK.examples(split), limit)
        tell(f"{bundle.label} answers {len(asked):,} chains of '{split}'.")
        for kind in kinds:
            rows += _kind_rows(bundle, kind, split, [asked[at] for at in _known(asked, kind)], train, tell)
    return rows


def _kind_rows(
    bundle: Bundle, kind: str, split: str, asked: Sequence[Example], train: Sequence[Example], tell: Tell
) -> list[Score]:
    """One kind's rows: ours as `anfinsen sites` asks it, rivals that learnt from the same chains, what is published."""
    if not asked:
        return []
    posed = asked if kind in IN_SPACE else without_structure(asked)
    told = answer(bundle, TASK, blind(posed))
    rows = _measured(kind, split, f"{bundle.label}, {NETWORK}" if kind == DRUG else bundle.label, asked, told, tell)
    if kind in IN_SPACE:
        bare = without_structure(blind(asked))
        unplaced = answer(bundle, TASK, bare)
        rows += _measured(kind, split, f"{bundle.label}, {SEQUENCE}", asked, unplaced, tell)
        if kind == DRUG:
            rows = _joined_rows(bundle, split, asked, told, tell) + rows
            rumoured = answer(bundle, TASK, with_contacts(bare))
            rows += _measured(kind, split, f"{bundle.label}, {CONTACTS}", asked, rumoured, tell)
    task, taught = alone(kind, train)
    mine = [only(one, kind) for one in asked]
    for name, rule in ((HOMOLOGY, neighbour), ("kind of residue", residue)):
        rows += _measured(kind, split, name, mine, by(rule)(taught, mine, task), tell)
    for one in TASK.published:
        if one.split == split and one.metric.startswith(f"{kind} "):
            rows.append(_question(kind, split, one.metric.split()[-1]).published(one.model, one.value))
    return rows


def _joined_rows(bundle: Bundle, split: str, asked: Sequence[Example], placed: Answers, tell: Tell) -> list[Score]:
    """Drug-like molecules on structures: all voices as `anfinsen sites` joins them, and geometry by itself.

    Geometry by itself ranks residues and draws no line, so that it has no MCC.
    """
    ours, shape = [], []
    for one, here, alone in zip(asked, placed, listened(bundle, blind(asked)), strict=True):
        ours.append(joined_at(one.protein, here, evidence(here), alone))
        shape.append(joined_at(one.protein, here, None, None))
    rows = _measured(DRUG, split, bundle.label, asked, ours, tell)
    return [*rows, _question(DRUG, split, "AUPR").row(SHAPE, measure(f"{DRUG} AUPR", asked, shape))]


def listened(bundle: Bundle, examples: Sequence[Example]) -> list[Floats]:
    """What a bundle says of drug-like molecules by the sequences alone, (L,) each."""
    task = tasks_of(bundle).get(BESIDE, TASK)
    return [by_sequence({task.name: one}) for one in answer(bundle, task, without_structure(examples))]


def joined_at(protein: Protein, answer: Answer, placed: Floats | None, alone: Floats | None) -> Answer:
    """The answer with all voices joined; without `placed` and `alone` (L,) geometry speaks alone of its own pockets."""
    assert protein.backbone is not None  # chains with ligands are structures
    unsaid = numpy.full(len(protein), 0.5)
    hollows = find_cavities(protein.sequence, protein.backbone)
    if hollows is None:
        unasked = {**answer["probabilities"], DRUG: unsaid.tolist()}
        return answer if placed is not None else {**answer, "probabilities": unasked}
    first = next(iter(gather(hollows, placed, most=1)), None)
    here, along = (unsaid if one is None else one for one in (placed, alone))
    return joined(answer, voices(here, along, protein.backbone, hollows, first))


def _measured(kind: str, split: str, model: str, asked: Sequence[Example], told: Answers, tell: Tell) -> list[Score]:
    rows = []
    for metric in ("AUPR", "MCC"):
        try:
            rows.append(_question(kind, split, metric).row(model, measure(f"{kind} {metric}", asked, told)))
        except UndefinedScoreError as error:
            tell(f"{kind}, {model}: {error}")
    return rows


def _question(kind: str, split: str, metric: str) -> Question:
    """Kinds are splits of their own; one that is judged by our own deal says so."""
    if kind == DRUG:
        return Question(SUITE, TASK.name, "ligand_sites", "test", metric)
    name = kind if split == "official" else f"{kind} (own split)"
    return Question(SUITE, TASK.name, "ligand_residues_gpsite", name, metric)


def alone(kind: str, train: Sequence[Example]) -> tuple[Any, list[Example]]:
    """The question of one kind by itself, and the training chains of which it is known."""
    task = replace(TASK, target=Tracks(names=(kind,), letters=(LETTERS[kind],)))
    return task, [only(train[at], kind) for at in _known(train, kind)]


def only(example: Example, kind: str) -> Example:
    """The example with one kind's track."""
    assert isinstance(example.value, tuple)  # every example of the task has a string a kind
    return replace(example, value=(str(example.value[list(LETTERS).index(kind)]),))


def _known(examples: Sequence[Example], kind: str) -> list[int]:
    """The places of the examples of which the kind is known."""
    track = list(LETTERS).index(kind)
    return [at for at, one in enumerate(examples) if isinstance(one.value, tuple) and "-" not in str(one.value[track])]


def blind(examples: Sequence[Example]) -> list[Example]:
    """The same without their answers."""
    return [replace(example, value=None, mask=None) for example in examples]


def without_structure(examples: Sequence[Example]) -> list[Example]:
    """The same as sequences alone."""
    return [replace(example, protein=replace(example.protein, backbone=None)) for example in examples]


def with_contacts(examples: Sequence[Example]) -> list[Example]:
    """The same with the contacts that the embedded folder predicts from their sequences."""
    folder = Folder.load()
    return [
        replace(one, protein=replace(one.protein, contacts=folder.distogram(one.protein).contacts)) for one in examples
    ]


def said_from(shares: Floats, truth: Floats) -> float:
    """The chance from which on a kind is said: that of the best F1 at which `RIGHT` of what is said is right.

    `NEVER` where no such threshold finds one true residue in `_FEWEST`. Of residues where it is known, (R,) each.
    """
    order = numpy.argsort(-shares, kind="stable")
    ends = numpy.flatnonzero(numpy.diff(shares[order], append=-1.0))
    hits, said, sites = truth[order].cumsum()[ends], ends + 1, truth.sum()
    worth = numpy.where((hits >= RIGHT * said) & (hits * _FEWEST >= sites), 2 * hits / (said + sites), 0.0)
    return float(shares[order][ends[worth.argmax()]]) if worth.any() else NEVER


# Pockets -------------------------------------------------------------------------------------------------------------


def pocket_rows(bundle: Bundle, *, limit: int | None, tell: Tell) -> list[Score]:
    """DCA of the test structures, ours and rivals'."""
    chains = load_holo("test")[:limit]
    tell(f"Pockets of {len(chains):,} chains are sought, four times over.")
    asked = blind([example_of(one) for one in chains])
    task, taught = alone(DRUG, TASK.examples("train"))
    told: dict[str, list[Floats | None]] = {
        bundle.label: [evidence(one) for one in answer(bundle, TASK, asked)],
        f"{bundle.label}, {SEQUENCE}": [evidence(one) for one in answer(bundle, TASK, without_structure(asked))],
        HOMOLOGY: [numpy.array(one["probabilities"][DRUG]) for one in by(neighbour)(taught, asked, task)],
        SHAPE: [None] * len(chains),
    }
    found = [find_cavities(one.protein.sequence, one.protein.backbone) for one in chains if one.protein.backbone]
    rows = []
    for name, clues in told.items():
        pockets = [_gathered(cavities, clue) for cavities, clue in zip(found, clues, strict=True)]
        for more, metric in ((0, "DCA top-n"), (2, "DCA top-n+2")):
            rows.append(Question(SUITE, TASK.name, SITES.title, "test", metric).row(name, dca(chains, pockets, more)))
    for name, top, more_top in _PUBLISHED:
        for metric, value in (("DCA top-n", top), ("DCA top-n+2", more_top)):
            rows.append(Question(SUITE, TASK.name, SITES.title, "test", metric).published(name, value))
    return rows


def _gathered(found: Cavities | None, clue: Floats | None) -> list[Pocket]:
    return gather(found, clue) if found is not None else []


def dca(chains: Sequence[Holo], pockets: Sequence[Sequence[Pocket]], more: int) -> Estimate:
    """The share of ligands that one of the first n + `more` pockets found, n the ligands of the chain."""
    counts = numpy.array(
        [(hits(one, found, more), len(one.ligands)) for one, found in zip(chains, pockets, strict=True)]
    )
    generator = numpy.random.default_rng(_SEED)
    draws = generator.integers(0, len(counts), size=(_SAMPLES, len(counts)))
    sums = counts[draws].sum(1)
    low, high = numpy.quantile(sums[:, 0] / sums[:, 1], ((1 - LEVEL) / 2, (1 + LEVEL) / 2))
    total = counts.sum(0)
    return Estimate(float(total[0] / total[1]), float(low), float(high), len(counts))


def hits(chain: Holo, pockets: Sequence[Pocket], more: int) -> int:
    """How many ligands of a chain have the centre of one of the first pockets within `NEAR` of an atom."""
    chosen = pockets[: len(chain.ligands) + more]
    if not chosen:
        return 0
    centres = numpy.array([pocket.centre for pocket in chosen])
    return sum(bool((KDTree(ligand.points).query(centres)[0] <= NEAR).any()) for ligand in chain.ligands)


# Interfaces ----------------------------------------------------------------------------------------------------------


def interface_rows(bundle: Bundle) -> list[Score]:
    """What the suite `sequence` has printed of interfaces, under this suite's names; none where it has not yet."""
    names: Mapping[str, str] = {"site AUPR": "AUPRC", "site MCC": "MCC"}
    record = bundle.records.get("interface")
    measured = [row for row in (record.scores if record is not None else ()) if row.split == "test60"]
    rows = [
        row.replaced(suite=SUITE, split="Test_60", metric=names[row.metric])
        for row in measured
        if row.metric in names and (row.is_ours or row.published or not row.model.startswith(OURS))
    ]
    if any(row.published for row in rows):
        return rows
    make: Callable[[str], Question] = partial(Question, SUITE, "interface", "chains", "Test_60")
    quoted = [one for one in TASKS["interface"].published if one.split == "test60" and one.metric in names]
    return rows + [make(names[one.metric]).published(one.model, one.value) for one in quoted]
