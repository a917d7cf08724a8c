"""A protein along its residues, gathered for the page: strips over the whole chain, then every residue in blocks.

Which answers become which strip is read from the keys they hold, so a new task is drawn without a line here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from markupsafe import Markup

from anfinsen.drawing.chain import chain_map
from anfinsen.drawing.shapes import TokenTrack, describe, legend
from anfinsen.drawing.tracks import (
    DRAWN_UP_TO,
    FOLDED_FROM,
    SiteTrack,
    ValueTrack,
    describe_sites,
    sequence_blocks,
    site_legend,
    zone_legend,
)
from anfinsen.inference.prediction import Prediction
from anfinsen.reading.letters import RARE
from anfinsen.report import answer as words
from anfinsen.report.grouping import arranged
from anfinsen.targets.base import Answer
from anfinsen.targets.values import Values
from anfinsen.tasks.base import Task


@dataclass(frozen=True)
class Track:
    """The picture of a protein along its residues, in words and in pieces."""

    spoken: str
    rows: list[str]
    key: Markup
    blocks: list[Markup]
    legends: list[Markup]
    strips: list[tuple[str, Markup]]
    is_folded: bool
    shows_certainty: bool
    author_numbers: bool


def make_track(prediction: Prediction, tasks: Mapping[str, Task]) -> Track:
    """All that is drawn along one chain."""
    tokens: list[TokenTrack] = []
    values: list[ValueTrack] = []
    sites: list[SiteTrack] = []
    length = len(prediction.sequence)
    for name in (name for names in arranged(prediction.answers, tasks).values() for name in names):
        answer, task = prediction.answers[name], tasks.get(name)
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
        strips=chain_map(
            prediction.sequence, prediction.numbering, tokens, values, [*_unread(prediction.sequence), *sites]
        ),
        is_folded=length > FOLDED_FROM,
        shows_certainty=any(track.certainty and not track.is_graded for track in tokens),
        author_numbers=prediction.numbering is not None,
    )


def _unread(sequence: str) -> list[SiteTrack]:
    """The residues that are none of the twenty, as a strip of their own where there are any."""
    rare = [letter in RARE for letter in sequence]
    name = "Unknown or rare residues"
    return [SiteTrack(name, name, [float(one) for one in rare], rare)] if any(rare) else []


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
