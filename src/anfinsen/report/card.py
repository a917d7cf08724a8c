"""What the page shows, gathered before it is written: one card an answer, one section a protein, one row an overview.

Everything here is plain text and finished pictures; the template only places it. A task that is not installed
on this machine still gets a card, under its bare name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from markupsafe import Markup

from anfinsen.hub.record import TaskRecord
from anfinsen.inference.prediction import Prediction
from anfinsen.report import answer as words
from anfinsen.report.answer import Confidence, Nearness
from anfinsen.report.draw import Bar, range_plot, score_dots, share_bars
from anfinsen.report.profile import charge, kilodalton
from anfinsen.report.shapes import TokenTrack, describe, legend, overview
from anfinsen.report.standing import Standing, find_standing, metric_title
from anfinsen.report.topology import cut_ruler, snake
from anfinsen.report.tracks import (
    DRAWN_UP_TO,
    FOLDED_FROM,
    SiteTrack,
    ValueTrack,
    describe_sites,
    sequence_blocks,
    site_legend,
    zone_legend,
)
from anfinsen.structure.protein import Message
from anfinsen.tasks.base import Task
from anfinsen.tasks.targets import Answer, Number
from anfinsen.tasks.values import Values

_MOST_BARS, _LEAST_BARS = 6, 3


@dataclass(frozen=True)
class Card:
    """One answer, ready to be shown."""

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
    dots: Markup
    limits: str


@dataclass(frozen=True)
class Track:
    """The picture of a protein along its residues, in words and in pieces."""

    spoken: str
    rows: list[str]
    key: Markup
    blocks: list[Markup]
    legends: list[Markup]
    overviews: list[Markup]
    is_folded: bool
    shows_certainty: bool
    author_numbers: bool


@dataclass(frozen=True)
class Section:
    """One protein, ready to be shown."""

    name: str
    description: str
    anchor: str
    length: int
    facts: list[str]
    lead: str
    caution: str
    is_far: bool
    messages: tuple[Message, ...]
    cards: list[Card]
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
    cards = [make_card(name, answer, tasks.get(name), records.get(name)) for name, answer in prediction.answers.items()]
    return Section(
        name=prediction.title,
        description=prediction.description,
        anchor=f"protein-{number}",
        length=prediction.residues,
        facts=_facts(prediction, tasks),
        lead=re.split(r"(?<=[.!?])\s+(?=[A-Z])", cards[0].sentence)[0]
        if cards
        else "No question was asked about this protein.",
        caution=_caution(cards),
        is_far=any(card.nearness is not None and card.nearness.far for card in cards),
        messages=prediction.messages,
        cards=cards,
        track=_track(prediction, tasks),
    )


def make_card(name: str, answer: Answer, task: Task | None, record: TaskRecord | None) -> Card:
    """One answer's card."""
    standing = find_standing(record.scores, task) if record is not None else None
    dots = Markup("")
    if standing is not None:
        title = f"{metric_title(standing.score.metric)} of this model and its rivals"
        dots = score_dots(standing.dots(), title=title, lower_is_better=standing.lower_is_better)
    picture, note = _picture(answer, task)
    return Card(
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
        dots=dots,
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
    if kind == "tokens":
        names = words.letter_names(task)
        bars = [Bar(names.get(letter, letter), share) for letter, share in words.shares(answer).items()]
        return share_bars(bars, title="Share of residues in each state"), "tokens"
    if kind == "tracks":
        return share_bars(_site_bars(answer), title="Chance of the likeliest sites"), "tracks"
    if kind == "number":
        return range_plot(
            answer["value"], answer.get("low"), answer.get("high"), str(answer.get("unit", "")), _span(answer, task)
        ), "number"
    return Markup(""), kind


def _site_bars(answer: Answer) -> list[Bar]:
    """The likeliest sites of all tracks, the surest first."""
    said = words.called(answer)
    every = [
        Bar(f"residue {place + 1}, {name}", share, said[name][place])
        for name, shares in answer["probabilities"].items()
        for place, share in enumerate(shares)
    ]
    return sorted(every, key=lambda bar: (-bar.chosen, -bar.share))[: _MOST_BARS - 1]


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


def _caution(cards: list[Card]) -> str:
    """One sentence on how far all of this can be trusted."""
    judged = [card for card in cards if card.nearness is not None]
    far = [card.title.lower() for card in judged if card.nearness is not None and card.nearness.far]
    if not judged:
        return ""
    if not far:
        return "It is near to proteins that the model has learned from."
    if len(far) == len(judged):
        return "It is far from every protein that the model has learned from: treat all answers as guesses."
    listed = " and ".join([", ".join(far[:-1]), far[-1]] if len(far) > 1 else far)
    if len(far) == 1:
        return f"Treat the answer on {listed} as a guess: it is far from training."
    return f"Treat the answers on {listed} as guesses: they are far from training."


def _track(prediction: Prediction, tasks: Mapping[str, Task]) -> Track:
    tokens: list[TokenTrack] = []
    values: list[ValueTrack] = []
    sites: list[SiteTrack] = []
    length = len(prediction.sequence)
    for name, answer in prediction.answers.items():
        task = tasks.get(name)
        title = task.title if task is not None else name
        kind = words.kind_of(answer)
        if kind == "tokens" and len(answer["tokens"]) == length:
            tokens.append(TokenTrack(title, answer["tokens"], words.certainty(answer), words.letter_names(task)))
        elif kind == "values" and len(answer["values"]) == length:
            values.append(_value_track(title, answer, task))
        elif kind == "tracks" and len(answer["tokens"]) == length:
            sites += _site_tracks(title, answer, len(sites))
    drawn = prediction.sequence if length <= DRAWN_UP_TO else ""
    rows, key, blocks = sequence_blocks(
        drawn, prediction.numbering, tokens if drawn else [], values if drawn else [], sites if drawn else []
    )
    return Track(
        spoken=" ".join([*map(describe, tokens), *map(describe_sites, sites), f"Sequence: {prediction.sequence}."]),
        rows=rows,
        key=key,
        blocks=blocks,
        legends=[
            *map(legend, tokens),
            *([site_legend(sites)] if sites else []),
            *(zone_legend(track) for track in values if track.zones or track.low),
        ],
        overviews=[overview(track) for track in tokens] if length > FOLDED_FROM else [],
        is_folded=length > FOLDED_FROM,
        shows_certainty=any(track.certainty and not track.is_graded for track in tokens),
        author_numbers=prediction.numbering is not None,
    )


def _value_track(title: str, answer: Answer, task: Task | None) -> ValueTrack:
    zones = task.target.zones if task is not None and isinstance(task.target, Values) else ()
    low, high = answer.get("low", ()), answer.get("high", ())
    return ValueTrack(title, answer["values"], low, high, zones, str(answer.get("unit") or ""))


def _site_tracks(title: str, answer: Answer, before: int) -> list[SiteTrack]:
    """A strip for each track of an answer, under its title where it is the only one."""
    made = []
    for number, (name, said) in enumerate(words.called(answer).items()):
        letter, shares = answer["letters"][name], answer["probabilities"][name]
        possible = [letter in letters for letters in answer.get("sets", ())]
        row = title if len(answer["letters"]) == 1 else name
        made.append(SiteTrack(row, name, shares, said, possible, before + number))
    return made
