"""Lesson 4: what confidence means: how often it is right, which answers are not ruled out, and when not to trust it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy
from rich.text import Text
from scipy.stats import binomtest

from anfinsen.data.alphabet import RESIDUES
from anfinsen.hub.bundle import Bundle
from anfinsen.inference.predictor import Predictor
from anfinsen.learn.pictures import Page, bars
from anfinsen.learn.table import SOURCE, Known, proteins
from anfinsen.report.answer import nearness, percent
from anfinsen.structure.protein import Protein
from anfinsen.targets.base import Answer

TASK = "localization"
BANDS = ((0.8, 1.01), (0.5, 0.8), (0.0, 0.5))
"""Ranges of confidence that are counted apart."""


@dataclass(frozen=True)
class Answered:
    """One protein of the table with the embedded model's answer."""

    known: Known
    answer: Answer

    @property
    def is_right(self) -> bool:
        """Whether the most probable place is the true one."""
        return bool(self.answer["label"] == self.known.place)

    @property
    def is_covered(self) -> bool:
        """Whether the set holds the true place."""
        return self.known.place in self.answer["set"]


def teach(page: Page, bundle: Bundle, *, fast: bool = False) -> None:
    """The embedded model's own answers to proteins it never learnt from, judged."""
    predictor = Predictor(bundle, [TASK])
    asked = [Protein(known.accession, known.sequence) for known in proteins()]
    answers = [prediction.answers[TASK] for prediction in predictor.predict(asked)]
    answered = [Answered(known, answer) for known, answer in zip(proteins(), answers, strict=True)]
    page.say(
        f"The embedded model now says where in the cell each of {len(answered)} proteins works: ten compartments to "
        f"choose from, and it has learnt from none of these proteins ({SOURCE}). One of its answers:"
    )
    surest = max(answered, key=lambda one: float(one.answer["probability"]))
    _show(page, surest)
    _calibration(page, answered, bundle.records[TASK].calibration["n"])
    _sets(page, answered)
    _reach(page, answered, predictor)


def _show(page: Page, one: Answered) -> None:
    page.draw(Text(f"{one.known.name} ({one.known.organism})", style="bold"))
    shares = dict(list(one.answer["probabilities"].items())[:4])
    page.draw(*bars(shares, top=1.0, mark=one.known.place))


def _calibration(page: Page, answered: list[Answered], fitted: float) -> None:
    page.heading("Confidence is a promise about many answers")
    page.say(
        "A confidence of 80 % promises: of a hundred such answers some eighty are right. One answer cannot keep or "
        "break that promise, many can. By the model's own confidence:"
    )
    for low, high in BANDS:
        inside = [one for one in answered if low <= one.answer["probability"] < high]
        if not inside:
            continue
        hits = sum(one.is_right for one in inside)
        mean = numpy.mean([one.answer["probability"] for one in inside])
        page.draw(Text(f"said {mean:>4.0%} on average: {_share(hits, len(inside))} right"))
    page.note(
        f"So few proteins give wide intervals. The promise was fitted on {fitted:,.0f} other proteins; on a large test "
        f"set it is judged by: anfinsen bench localization"
    )


def _sets(page: Page, answered: list[Answered]) -> None:
    page.heading("A set of answers keeps its promise where one answer cannot")
    sizes = [len(one.answer["set"]) for one in answered]
    unsure = min(answered, key=lambda one: float(one.answer["probability"]))
    names = ", ".join(unsure.answer["set"])
    page.say(
        f"Where the model hesitates it names all compartments that are not ruled out, such that the true one is among "
        f"them nine times in ten. For {unsure.known.name} ({unsure.known.organism}) it names "
        f"{len(unsure.answer['set'])}: {names}. The truth is {unsure.known.place}."
    )
    covered = sum(one.is_covered for one in answered)
    page.draw(Text(f"the set holds the truth: {_share(covered, len(answered))}"))
    page.draw(Text(f"compartments in a set: {numpy.mean(sizes):.1f} on average, {min(sizes)} to {max(sizes)}"))
    page.say(
        "A large set is no failure. It is the model saying how little it knows, before you spend a month on its guess."
    )


def _reach(page: Page, answered: list[Answered], predictor: Predictor) -> None:
    page.heading("Far from training: when not to trust even that")
    far = [one for one in answered if one.answer["reach"]["far"]]
    near = [one for one in answered if not one.answer["reach"]["far"]]
    page.say(
        "All promises hold for proteins like those that were learnt from. So each answer also says whether a similar "
        "protein was among them:"
    )
    for name, part in (("near to training", near), ("far from training", far)):
        if part:
            page.draw(Text(f"{name}: {_share(sum(one.is_right for one in part), len(part))} right"))
    letters = numpy.random.default_rng(1).choice(list(RESIDUES), size=90)
    (dice,) = predictor.predict([Protein("dice", "".join(letters))])
    answer = dice.answers[TASK]
    found = nearness(answer)
    page.say(
        f"And a chain of 90 letters drawn by lot, which is no protein at all? The model answers '{answer['label']}' "
        f"with {percent(answer['probability'])}, because it must answer something. The reach says: "
        f"{found.title.lower() if found else 'unknown'}. Treat such an answer as a guess, whatever its confidence."
    )


def _share(hits: int, count: int) -> str:
    interval = binomtest(hits, count).proportion_ci(method="wilson")
    return f"{hits} of {count} (95 % interval {interval.low:.0%} to {interval.high:.0%})"
