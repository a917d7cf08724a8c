"""The predictor: proteins in, predictions out. Command line, Python, REST and clusters all use this class.

    examples -> ask (one pass for all tasks) -> answers, calibrated -> reach -> Prediction
             -> relatives, for the tasks that ask them

It holds one bundle and keeps nothing of what it is asked.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import tee
from pathlib import Path
from typing import Self

import torch

from anfinsen import runtime
from anfinsen.data.example import Example
from anfinsen.errors import BundleError, UnknownNameError, UsageError
from anfinsen.hub.bundle import MASKED, Bundle, default_bundle
from anfinsen.inference.prediction import Prediction
from anfinsen.kinship.family import Family
from anfinsen.kinship.kin import NOBODY, Kin
from anfinsen.kinship.neighbours import is_far
from anfinsen.models.fast import quicken
from anfinsen.models.network import Network
from anfinsen.structure.protein import Message, Protein
from anfinsen.targets.base import Answer, Floats
from anfinsen.tasks import TASKS, Task
from anfinsen.tasks.ask import STATE, Outputs, ask


class Predictor:
    """Answers every task of a bundle, or the ones that are named."""

    def __init__(
        self, bundle: Bundle, tasks: Sequence[str] = (), *, kin: Kin | None = None, device: str = "auto"
    ) -> None:
        known = tasks_of(bundle)
        if not tasks and len({task.of_pairs for task in known.values()}) > 1:
            # one file holds proteins or pairs: those of its owner's table are asked, the others by name
            first = next(iter(known.values()))
            known = {name: task for name, task in known.items() if task.of_pairs == first.of_pairs}
        for name in tasks:
            if name not in known:
                raise UnknownNameError(f"task in the bundle '{bundle.name}'", name, known)
        self.bundle = bundle
        self.tasks = tuple(known[name] for name in (tasks or known))
        for task in self.tasks:
            _refuse_another(task, bundle)
        if not self.tasks:
            raise UsageError(
                f"The bundle '{bundle.name}' answers no task yet.",
                remedy="Train one: anfinsen train localization --from BUNDLE --out runs/mine",
            )
        self.kin = kin if any(task.name in bundle.network.listeners for task in self.tasks) else None
        self._network = quicken(bundle.network.to(runtime.pick_device(device)).eval())

    @classmethod
    def load(
        cls,
        folder: str | Path | None = None,
        tasks: Sequence[str] = (),
        *,
        relatives: str | Path | None = None,
        device: str = "auto",
    ) -> Self:
        """Open a bundle's folder, the embedded one if none is given; `relatives` as `Kin.find` takes them."""
        kin = Kin.find(relatives)
        opened = cls(Bundle.load(folder or default_bundle()), tasks, kin=kin, device=device)
        if relatives not in (None, NOBODY) and opened.kin is None:
            listening = [name for name in tasks_of(opened.bundle) if name in opened.bundle.network.listeners]
            raise UsageError(
                f"None of {', '.join(task.name for task in opened.tasks)} asks relatives in '{opened.bundle.name}'.",
                remedy=f"Leave --relatives out{', or ask for ' if listening else ''}{', '.join(listening)}.",
            )
        return opened

    def predict(self, questions: Iterable[Question]) -> Iterator[Prediction]:
        """One prediction a protein, in order, as they come; reads ahead by a few hundred proteins at most."""
        examples, again = tee(self._fitting(as_examples(questions)))
        for example, outputs in zip(examples, ask(self._network, self.tasks, again, with_state=True), strict=True):
            yield self._prediction(example, outputs)

    def _prediction(self, example: Example, outputs: Outputs) -> Prediction:
        """What is said of one protein."""
        answers, protein, family = {}, example.protein, self._family(example.protein)
        told = outputs if family is None else outputs | with_family(self._network, outputs, family)
        for task in self.tasks:
            (answer,) = task.answers([told[task.name]], [example], self.bundle.records[task.name].calibration)
            answers[task.name] = {**answer, "reach": self._reach(task, example.chains, outputs[STATE])}
        return Prediction(
            id=protein.id,
            sequence=protein.sequence,
            sha256=protein.sha256,
            answers=answers,
            messages=(
                *(m for chain in example.chains for m in chain.messages + self._notes(chain)),
                *self._found(family),
            ),
            numbering=protein.numbering,
            conditions=dict(example.conditions),
            description=protein.description,
            partner=example.partner,
        )

    @property
    def of_pairs(self) -> bool:
        """Whether it asks about two proteins at a time."""
        return all(task.of_pairs for task in self.tasks)

    def _fitting(self, examples: Iterable[Example]) -> Iterator[Example]:
        """The examples, each of as many proteins as the tasks ask about."""
        for example in examples:
            for task in self.tasks:
                if task.of_pairs != (example.partner is not None):
                    one, other = ("two proteins", "one") if task.of_pairs else ("one protein", "two")
                    raise UsageError(
                        f"'{task.name}' asks about {one} at a time, and '{example.protein.id}' came as {other}.",
                        remedy="Give each pair as two sequences." if task.of_pairs else "Ask about each by itself.",
                    )
            yield example

    def answer(self, task: Task, examples: Sequence[Example]) -> list[Answer]:
        """The answers to one task alone, without reach: what a benchmark scores."""
        return answer(self.bundle, task, examples, self.kin)

    def _reach(self, task: Task, chains: Sequence[Protein], state: Floats) -> Answer:
        """Far is a protein without a near relative in training, and one whose states look like none of them.

        A pair is as far as the farther of its two.
        """
        reach = self.bundle.reaches.get(task.name)
        if reach is None:
            return {"far": True, "nearest_identity": None, "nearest_id": None}
        identity, name = min((reach.nearest(chain.sequence) for chain in chains), key=lambda near: near[0] or 0.0)
        is_strange = reach.familiarity is not None and reach.familiarity.is_strange(state)
        return {"far": is_far(identity) or is_strange, "nearest_identity": identity, "nearest_id": name}

    def _family(self, protein: Protein) -> Family | None:
        """Its relatives, where somebody knows relatives and a task asks them."""
        listens = any(task.name in self._network.listeners for task in self.tasks)
        return self.kin.family(protein.sequence) if self.kin is not None and listens else None

    def _found(self, family: Family | None) -> tuple[Message, ...]:
        """What is said of the relatives that were found, and who asked them."""
        if family is None:
            return ()
        text = family.told
        if family.relatives:
            asking = ", ".join(task.title.lower() for task in self.tasks if task.name in self._network.listeners)
            text = f"{text} They were asked about: {asking}."
        return (Message("info", text),)

    def _notes(self, protein: Protein) -> tuple[Message, ...]:
        longest = int(getattr(self.bundle.network.body, "longest", len(protein)))
        if len(protein) <= longest:
            return ()
        return (
            Message(
                "info",
                f"With {len(protein):,} residues it is longer than one window of {longest:,}; "
                "it was read in overlapping windows.",
            ),
        )


def answer(bundle: Bundle, task: Task, examples: Sequence[Example], kin: Kin | None = None) -> list[Answer]:
    """A bundle's answers to one task alone, masked residues included, without reach: what a benchmark scores.

    They are asked for with relatives where `kin` knows some and the task asks them; the language model answers alone.
    """
    if task.name not in bundle.records:
        raise UnknownNameError(f"task in the bundle '{bundle.name}'", task.name, bundle.records)
    _refuse_another(task, bundle)
    network = quicken(bundle.network)
    outputs = list(ask(network, [task], examples))
    if kin is not None and task.name in network.listeners and task.name != MASKED:
        families = (kin.family(example.protein.sequence) for example in examples)
        outputs = [one | with_family(network, one, family) for one, family in zip(outputs, families, strict=True)]
    return task.answers([output[task.name] for output in outputs], examples, bundle.records[task.name].calibration)


def tasks_of(bundle: Bundle) -> dict[str, Task]:
    """The tasks that a bundle answers: those of its owner's own tables first, then those of the platform."""
    own = {name: record.custom.task(name) for name, record in bundle.records.items() if record.custom is not None}
    return own | {name: TASKS[name] for name in TASKS if name in bundle.records and name not in own and name != MASKED}


@torch.inference_mode()
def with_family(network: Network, outputs: Outputs, family: Family) -> Outputs:
    """The outputs of those tasks that listen to relatives, with what these tell; none where there are no relatives."""
    if not family.relatives:
        return {}
    device = next(network.parameters()).device
    evidence = torch.from_numpy(family.evidence).to(device)
    return {
        name: network.hear(name, torch.from_numpy(outputs[name]).to(device), evidence).cpu().numpy()
        for name in network.listeners
        if name in outputs
    }


Question = Example | Protein | str | tuple[str, str]
"""What a person asks about: a protein in any form, or two sequences for a pair."""


def as_examples(questions: Iterable[Question]) -> Iterator[Example]:
    """Whatever a person asks about, as examples; bare sequences are mended and called 'query-1', 'query-2'."""
    for number, question in enumerate([questions] if isinstance(questions, str) else questions, 1):
        if isinstance(question, Example):
            yield question
        elif isinstance(question, Protein):
            yield Example(question)
        elif isinstance(question, tuple):
            first, second = (_read_one(chain, number) for chain in question)
            yield Example(replace(first, id=f"{first.id}a"), partner=replace(second, id=f"{second.id}b"))
        else:
            yield Example(_read_one(question, number))


def _refuse_another(task: Task, bundle: Bundle) -> None:
    """A head is read by the classes, conditions, kind and outputs that it was trained with, or not at all."""
    record = bundle.records[task.name]
    remedy = "Use the version of Anfinsen that made it, or train it again."
    now = (task.target.labels, tuple(condition.name for condition in task.conditions))
    if (record.labels or now[0], record.conditions) != now:
        raise BundleError(
            f"The bundle '{bundle.name}' learnt '{task.name}' with other classes or conditions than it has today.",
            remedy=remedy,
        )
    shape = task.shape
    if (record.kind, record.size) != (shape.kind, shape.size):
        raise BundleError(
            f"The bundle '{bundle.name}' has a head of kind '{record.kind}' with {record.size:,} outputs for "
            f"'{task.name}', which needs one of kind '{shape.kind}' with {shape.size:,} today.",
            remedy=remedy,
        )


def _read_one(sequence: str, number: int) -> Protein:
    from anfinsen.reading.letters import mend

    residues, messages = mend(sequence)
    return Protein(id=f"query-{number}", sequence=residues, messages=messages)
