"""What the page shows, gathered before it is written: one card an answer, one section a protein, one row an overview.

Everything here is plain text and finished pictures; the template only places it. A task that is not installed
on this machine still gets a card, under its bare name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from anfinsen.drawing.profile import charge, kilodalton
from anfinsen.drawing.small import Bar, contact_map, range_plot, share_bars
from anfinsen.drawing.topology import cut_ruler, snake
from anfinsen.hub.record import TaskRecord
from anfinsen.inference.prediction import Prediction
from anfinsen.report import answer as words
from anfinsen.report.along import Track, make_track
from anfinsen.report.answer import Confidence, Nearness
from anfinsen.report.grouping import arranged
from anfinsen.report.standing import Standing, find_standing
from anfinsen.structure.protein import Message
from anfinsen.targets.base import Answer, Number
from anfinsen.tasks.base import GROUPS, Task
from anfinsen.wording import listed

_MOST_BARS, _LEAST_BARS = 5, 3


@dataclass(frozen=True)
class Card:
    """One answer, ready to be shown."""

    name: str
    title: str
    question: str
    brief: str
    sentence: str
    kind: str
    picture: Markup
    picture_note: str
    confidence: Confidence | None
    nearness: Nearness | None
    standing: Standing | None
    limits: str

    @property
    def is_far(self) -> bool:
        """Whether the protein is far from what this answer was learned from."""
        return self.nearness is not None and self.nearness.far


@dataclass(frozen=True)
class Spoken:
    """One sentence of a summary, how sure it is, and the word that marks it."""

    text: str
    mark: str
    band: str
    is_far: bool


@dataclass(frozen=True)
class Reach:
    """What is known of the nearness to training for some answers that share it."""

    nearness: Nearness
    titles: list[str]


@dataclass(frozen=True)
class Section:
    """One protein, ready to be shown."""

    name: str
    description: str
    anchor: str
    length: int
    facts: list[str]
    lead: list[Spoken]
    caution: str
    is_far: bool
    reaches: list[Reach]
    messages: tuple[Message, ...]
    groups: list[tuple[str, list[Card]]]
    track: Track


@dataclass(frozen=True)
class Line:
    """One protein in the table at the top: for each task its short answer, its confidence and whether it is far."""

    name: str
    anchor: str
    length: int
    cells: dict[str, tuple[str, str, bool]]
    mended: bool
    warned: bool


def make_line(number: int, prediction: Prediction, tasks: Mapping[str, Task]) -> Line:
    """A protein's row in the overview."""
    cells = {}
    for name, answer in prediction.answers.items():
        sure, near = words.confidence(answer, tasks.get(name)), words.nearness(answer)
        is_range = words.kind_of(answer) in ("number", "values", "tracks")
        figure = "" if sure is None else sure.figure if is_range else f"{sure.figure} sure"
        cells[name] = (words.brief(answer, tasks.get(name)), figure, near is not None and near.far)
    levels = {message.level for message in prediction.messages}
    return Line(
        prediction.title,
        f"protein-{number}",
        prediction.residues,
        cells,
        "mended" in levels,
        "warning" in levels,
    )


def make_section(
    number: int, prediction: Prediction, tasks: Mapping[str, Task], records: Mapping[str, TaskRecord]
) -> Section:
    """A protein's full section."""
    groups = [
        (
            GROUPS.get(group, group),
            [make_card(name, prediction.answers[name], tasks.get(name), records.get(name)) for name in names],
        )
        for group, names in arranged(prediction.answers, tasks).items()
    ]
    cards = [card for _, group in groups for card in group]
    return Section(
        name=prediction.title,
        description=prediction.description,
        anchor=f"protein-{number}",
        length=prediction.residues,
        facts=_facts(prediction, tasks),
        lead=[speak(group[0]) for _, group in groups],
        caution=caution(cards),
        is_far=any(card.is_far for card in cards),
        reaches=_reaches(cards),
        messages=prediction.messages,
        groups=groups,
        track=make_track(prediction, tasks),
    )


def make_card(name: str, answer: Answer, task: Task | None, record: TaskRecord | None) -> Card:
    """One answer's card."""
    standing = find_standing(record.scores, task) if record is not None else None
    picture, note = _picture(answer, task)
    return Card(
        name=name,
        title=task.title if task is not None else name,
        question=task.question if task is not None else name,
        brief=words.brief(answer, task),
        sentence=words.sentence(name, answer, task),
        kind=words.kind_of(answer),
        picture=picture,
        picture_note=note,
        confidence=words.confidence(answer, task),
        nearness=words.nearness(answer),
        standing=standing,
        limits=task.limits if task is not None else "",
    )


def _picture(answer: Answer, task: Task | None) -> tuple[Markup, str]:
    kind = words.kind_of(answer)
    if kind == "label" and answer.get("probabilities"):
        return share_bars(_class_bars(answer), title="Chance of each class") + cut_ruler(answer), "set"
    if kind == "labels" and answer["labels"]:
        bars = [
            Bar(words.called_as(label), float(label["probability"]), label["probability"] >= 0.5)
            for label in answer["labels"]
        ]
        return share_bars(bars[:_MOST_BARS], title="Chance of each label"), "labels"
    if kind == "tokens" and answer.get("segments"):
        return snake(answer), "segments"
    if kind == "tokens" and "segments" not in answer and len(words.shares(answer)) <= _MOST_BARS:
        names = words.letter_names(task)
        bars = [Bar(names.get(letter, letter), share) for letter, share in words.shares(answer).items()]
        return share_bars(bars, title="Share of residues in each state"), "tokens"
    if kind == "number":
        return range_plot(
            answer["value"], answer.get("low"), answer.get("high"), str(answer.get("unit", "")), _span(answer, task)
        ), "number"
    if kind == "contacts" and answer.get("confidence"):
        length, told = len(answer["confidence"]), words.brief(answer, task)
        title = f"Residues 1 to {length} to the right and downwards; the darker a point, the likelier the two touch"
        return contact_map(answer["contacts"], length, title=title, description=told), "contacts"
    return Markup(""), kind


def _class_bars(answer: Answer) -> list[Bar]:
    """The set and the next classes in order; the rest in one bar, so that no chance is hidden."""
    chosen = set(answer.get("set") or [answer["label"]])
    ordered = sorted(answer["probabilities"].items(), key=lambda item: -item[1])
    shown = max(_LEAST_BARS, min(_MOST_BARS, sum(name in chosen for name, _ in ordered)))
    if len(ordered) == shown + 1:
        shown += 1
    bars = [Bar(name, share, name in chosen) for name, share in ordered[:shown]]
    if rest := ordered[shown:]:
        bars.append(
            Bar(
                f"{len(rest)} others together", sum(share for _, share in rest), any(name in chosen for name, _ in rest)
            )
        )
    return bars


def _span(answer: Answer, task: Task | None) -> tuple[float, float]:
    """The axis of a number: where most training proteins lie, so that one protein's place can be seen."""
    if task is not None and isinstance(task.target, Number):
        return task.target.center - 2 * task.target.spread, task.target.center + 2 * task.target.spread
    value, ends = float(answer["value"]), (answer.get("low"), answer.get("high"))
    low, high = (value if end is None else float(end) for end in ends)
    reach = (high - low) or abs(value) or 1.0
    return low - reach / 2, high + reach / 2


def _facts(prediction: Prediction, tasks: Mapping[str, Task]) -> list[str]:
    facts = []
    if (mass := kilodalton(prediction.sequence)) is not None:
        facts.append(f"{mass:,.1f} kDa as a bare chain")
    facts.append(
        f"net charge {charge(prediction.sequence):+d} near pH 7".replace("-", "\N{MINUS SIGN}").replace("+0", "0")
    )
    asked = {condition.name: condition for task in tasks.values() for condition in task.conditions}
    for name, value in prediction.conditions.items():
        unit = asked[name].unit if name in asked else ""
        facts.append(f"asked for {name.replace('_', ' ')} {value:g}\N{NO-BREAK SPACE}{unit}".strip())
    return facts


def speak(card: Card) -> Spoken:
    """The first sentence of an answer, with how sure it is beside it."""
    text = re.split(r"(?<=[.!?])\s+(?=[A-Z])", card.sentence)[0]
    sure = card.confidence
    if sure is None:
        return Spoken(text, "", "", card.is_far)
    is_range = card.kind in ("number", "values", "tracks")
    mark = sure.word if is_range else f"{sure.word}, {sure.figure}"
    return Spoken(text, mark, sure.word.partition(" ")[0], card.is_far)


def caution(cards: Sequence[Card]) -> str:
    """One sentence on how far all of this can be trusted; it lists the shorter side."""
    judged = [card for card in cards if card.nearness is not None]
    far, near = [card for card in judged if card.is_far], [card for card in judged if not card.is_far]
    if not judged:
        return ""
    if not far:
        return "It is near to proteins that the model has learned from."
    if not near:
        return "It is far from every protein that the model has learned from: treat all answers as guesses."
    if len(far) <= len(near):
        if len(far) == 1:
            return f"Treat the answer on {_titles(far)} as a guess: it is far from training."
        return f"Treat the answers on {_titles(far)} as guesses: they are far from training."
    verb = "answer on {} is" if len(near) == 1 else "answers on {} are"
    return f"Only the {verb.format(_titles(near))} near to training: treat the others as guesses."


def _titles(cards: Sequence[Card]) -> str:
    return listed(card.title[:1].lower() + card.title[1:] for card in cards)


def _reaches(cards: Sequence[Card]) -> list[Reach]:
    """Each reason once, with the answers that it holds for; what is far comes first."""
    found: dict[Nearness, list[str]] = {}
    for card in cards:
        if card.nearness is not None:
            found.setdefault(card.nearness, []).append(card.title)
    return [Reach(near, titles) for near, titles in sorted(found.items(), key=lambda item: not item[0].far)]
