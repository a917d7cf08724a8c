"""Which benchmarks exist: data only, derived from the tasks, so that a new task appears by itself.

    sequence         every task except masked residues, each test split, each of the task's scores
    language-model   masked residues, and the studies of what the body knows before any head has learnt
    relatives, speed, transfer, scale   a study each
    train            studies of training: fine-tuning in three modes, coverage
    structure        studies of contacts, folds and sites, and tasks that read a structure
    a name           the tasks and studies of that name

An exam asks the head of a task; a study (see `study`) looks at the body. This file knows no model and no figure.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from anfinsen.bench.study import StudyRows
from anfinsen.errors import UnknownNameError
from anfinsen.hub.record import BODY_SUITES, TRAINING_SUITE
from anfinsen.tasks import TASKS, Task

SEQUENCE = "sequence"
LANGUAGE_MODEL, SPEED, TRANSFER, SCALE = BODY_SUITES
TRAIN = TRAINING_SUITE
STRUCTURE = "structure"


@dataclass(frozen=True)
class Exam:
    """One task with the splits and scores that a benchmark prints, and the suite it belongs to."""

    suite: str
    task: Task

    @property
    def name(self) -> str:
        """The task's."""
        return self.task.name

    @property
    def splits(self) -> tuple[str, ...]:
        """The test splits, none of which training sees."""
        return self.task.tests

    @property
    def metrics(self) -> tuple[str, ...]:
        """The scores, the headline first."""
        return self.task.metrics


@dataclass(frozen=True)
class Study:
    """A study: its rows are made by a function at `path`, imported when asked; a slow one is run when it is named."""

    suite: str
    name: str
    path: str
    is_slow: bool = False

    def load(self) -> StudyRows:
        """The function that makes the rows."""
        module, _, function = self.path.partition(":")
        return cast(StudyRows, getattr(importlib.import_module(module), function))


STUDIES = (
    Study(LANGUAGE_MODEL, "contacts", "anfinsen.bench.contacts:contact_rows"),
    Study(LANGUAGE_MODEL, "variants", "anfinsen.bench.variants:variant_rows"),
    Study(LANGUAGE_MODEL, "perplexity", "anfinsen.bench.perplexity:perplexity_rows", is_slow=True),
    Study(LANGUAGE_MODEL, "probes", "anfinsen.bench.probes:probe_rows"),
    Study(SPEED, SPEED, "anfinsen.bench.speed:speed_rows"),
    Study(SPEED, "one-pass", "anfinsen.bench.one_pass:one_pass_rows"),
    Study(TRANSFER, TRANSFER, "anfinsen.bench.transfer:transfer_rows", is_slow=True),
    Study(TRAIN, "gb1", "anfinsen.bench.train:landscape_rows", is_slow=True),
    Study(TRAIN, "localization-modes", "anfinsen.bench.train:localization_rows", is_slow=True),
    Study(SEQUENCE, "stability-change", "anfinsen.bench.mutations:stability_rows"),
    Study("relatives", "relatives", "anfinsen.bench.relatives:relatives_rows", is_slow=True),
    Study(TRAIN, "measured", "anfinsen.bench.measured:measured_rows", is_slow=True),
    Study(TRAIN, "coverage", "anfinsen.bench.coverage:coverage_rows", is_slow=True),
    Study(TRAIN, "distillation", "anfinsen.bench.distillation:student_rows", is_slow=True),
    Study(STRUCTURE, "contacts", "anfinsen.bench.contact_maps:contact_rows", is_slow=True),
    Study(STRUCTURE, "fold", "anfinsen.bench.fold:fold_rows", is_slow=True),
    Study(STRUCTURE, "fold-cost", "anfinsen.bench.fold_cost:cost_rows", is_slow=True),
    Study(STRUCTURE, "fold-trunks", "anfinsen.bench.trunks:trunk_rows", is_slow=True),
    Study(STRUCTURE, "ligand-sites", "anfinsen.bench.sites:site_rows"),
    Study(STRUCTURE, "ligand-sites-scales", "anfinsen.bench.site_ablation:scale_rows", is_slow=True),
    Study("drug", "affinity-davis", "anfinsen.bench.drug:davis_rows", is_slow=True),
    Study("drug", "affinity-kiba", "anfinsen.bench.drug:kiba_rows", is_slow=True),
    Study("drug", "affinity-biosnap", "anfinsen.bench.binders:biosnap_rows", is_slow=True),
    Study("drug", "affinity-unseen", "anfinsen.bench.unseen:unseen_rows", is_slow=True),
    Study("drug", "screen", "anfinsen.bench.screening:screening_rows", is_slow=True),
    Study("drug", "screen-rate", "anfinsen.bench.screening:rate_rows", is_slow=True),
    Study("partners", "partners-interaction", "anfinsen.bench.partners:partner_rows", is_slow=True),
    Study("partners", "partners-complexes", "anfinsen.bench.complexes:complex_rows", is_slow=True),
    Study(SCALE, SCALE, "anfinsen.bench.scale:scale_rows", is_slow=True),
)
"""Every study, in the order in which they are printed."""


def suites() -> dict[str, tuple[Exam | Study, ...]]:
    """Every suite by name: exams in the order of registration, then studies."""
    found: dict[str, list[Exam | Study]] = {SEQUENCE: [], LANGUAGE_MODEL: []}
    for name in TASKS:
        if TASKS[name].target.per_pair:
            continue  # its answers are ranked pair by pair, which a study does
        if any(study.suite == STRUCTURE and study.name == name for study in STUDIES):
            continue  # a study asks it kind by kind, each of the chains of which it is known
        if TASKS[name].of_pairs:
            continue  # a study asks it, with the rules of pairs beside it
        suite = LANGUAGE_MODEL if TASKS[name].target.head == "masked" else SEQUENCE
        found[suite].append(exam := Exam(suite, TASKS[name]))
        if TASKS[name].of_structures:  # sequences are its second best, so it sits in both suites
            found.setdefault(STRUCTURE, []).append(exam)
    for study in STUDIES:
        found.setdefault(study.suite, []).append(study)
    return {name: tuple(group) for name, group in found.items()}


def sittings(names: Sequence[str]) -> list[Exam | Study]:
    """What `names` (of suites, tasks or studies) ask for, each once, in the order asked.

    If none is named, all but the slow studies.
    """
    every = suites()
    by_name: dict[str, tuple[Exam | Study, ...]] = {}
    for sitting in (one for group in every.values() for one in group):
        by_name[sitting.name] = (*by_name.get(sitting.name, ()), sitting)
    by_name |= every
    for name in names:
        if name not in by_name:
            raise UnknownNameError("suite, task or study", name, by_name)
    asked = [one for name in names or every for one in by_name[name]]
    chosen = [one for one in asked if names or not isinstance(one, Study) or not one.is_slow]
    return list({(type(one), one.suite, one.name): one for one in chosen}.values())
