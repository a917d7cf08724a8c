"""An answer in words: its kind, its short form, how sure it is, and how near to the training proteins.

An answer is known by the keys it holds (see `targets.base`), never by the task's name, so a new task needs
no change here. Shares are rounded once, and the word follows the rounded figure that the reader sees.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from anfinsen.kinship.neighbours import is_far
from anfinsen.targets.base import COVERAGE, Answer, Number, Tokens
from anfinsen.tasks.base import Task
from anfinsen.wording import counted

Kind = Literal["label", "labels", "number", "tracks", "tokens", "values", "contacts", "other"]
Band = Literal["high", "fair", "low", "very low"]

_KEYS: dict[str, Kind] = {
    "label": "label",
    "labels": "labels",
    "thresholds": "tracks",
    "tokens": "tokens",
    "values": "values",
    "value": "number",
    "contacts": "contacts",
}
_BANDS: tuple[tuple[int, Band], ...] = ((90, "high"), (70, "fair"), (50, "low"))
_NEAR = "in the mean: so near is the truth for nine residues in ten of a new protein"
_NOT_RULED_OUT = "are not ruled out: nine in ten of the true sites of a new protein are among them"
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


@dataclass(frozen=True)
class Confidence:
    """How sure an answer is: a word, a figure, and what the figure means."""

    word: str
    figure: str
    meaning: str


@dataclass(frozen=True)
class Nearness:
    """How near a protein is to those that the model learned from: a title and its reason."""

    far: bool
    reason: str

    @property
    def title(self) -> str:
        """The judgement alone."""
        return "Far from training" if self.far else "Near to training"


def kind_of(answer: Answer) -> Kind:
    """Which kind of answer this is."""
    return next((kind for key, kind in _KEYS.items() if key in answer), "other")


def percent(share: float) -> str:
    """A share as people read it: never 0% or 100% for what is neither.

    >>> percent(0.934), percent(0.0004), percent(0.9996)
    ('93%', '<1%', '>99%')
    """
    if 0 < share < 0.01:
        return "<1%"
    if 0.99 < share < 1:
        return ">99%"
    return f"{100 * share:.0f}%"


def band(share: float) -> Band:
    """The word for a share, by the bands 90, 70 and 50 that structure prediction made familiar.

    >>> [band(share) for share in (0.9, 0.894, 0.7, 0.5, 0.49)]
    ['high', 'fair', 'fair', 'low', 'very low']
    """
    shown = round(100 * share)
    return next((word for least, word in _BANDS if shown >= least), "very low")


def quantity(value: float) -> str:
    """A number with as many digits as are worth reading."""
    size = abs(value)
    if size >= 1000:
        return f"{value:,.0f}"
    text = f"{value:.0f}" if size >= 100 else f"{value:.1f}" if size >= 1 else f"{value:.2f}"
    return text.replace("-", "\N{MINUS SIGN}")


def plain(text: str) -> str:
    """Text from a stranger on one line: control and direction characters become a visible mark."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)


def sentence(name: str, answer: Answer, task: Task | None) -> str:
    """The answer as a sentence: the task's own, or a plain one where the task is not installed here."""
    if task is None:
        return f"{name}: {brief(answer)}."
    unit = str(answer.get("unit") or "")
    # a number and its unit stay on one line
    return task.say(answer).replace(f" {unit}", f"\N{NO-BREAK SPACE}{unit}") if unit else task.say(answer)


def brief(answer: Answer, task: Task | None = None) -> str:
    """The answer in a few words, for a heading or a table."""
    kind = kind_of(answer)
    if kind == "label":
        return str(answer["label"]) + (f", cut after {answer['cut']}" if answer.get("cut") else "")
    if kind == "number":
        return f"{quantity(answer['value'])}\N{NO-BREAK SPACE}{answer.get('unit', '')}".strip()
    if kind == "labels":
        if "said" in answer:  # one path down a tree: what is said of it, not all that it is a part of
            return str(answer["said"])
        names = [called_as(label) for label in answer["labels"] if "name" not in label or label["probability"] >= 0.5]
        rest = f" and {len(names) - 2} more" if len(names) > 2 else ""
        return (", ".join(names[:2]) + rest) or "none above the threshold"
    if kind == "tokens" and "segments" in answer:
        return _crossings([str(one["letter"]) for one in answer["segments"]], letter_names(task))
    if kind == "tokens":
        return _mixture(shares(answer), letter_names(task))
    if kind == "tracks":
        counts = {name: sum(said) for name, said in called(answer).items()}
        found = [f"{name} at {counted(count, 'residue')}" for name, count in counts.items() if count]
        return ", ".join(found) or "no residue stands out"
    if kind == "values":
        known = [value for value in answer["values"] if value is not None]
        return f"{quantity(min(known))} to {quantity(max(known))}" if known else "no residue answered"
    if kind == "contacts":
        likely = sum(share >= 0.5 for _, _, share in answer["contacts"])
        return f"{likely} likely contacts, {len(answer['contacts']) - likely} possible ones"
    return json.dumps({key: value for key, value in answer.items() if key != "reach"}, ensure_ascii=False)


def called(answer: Answer) -> dict[str, list[bool]]:
    """For each track of a tracks answer whether it is said of each of L residues."""
    least = answer["thresholds"]
    return {name: [share >= least[name] for share in each] for name, each in answer["probabilities"].items()}


def called_as(label: Answer) -> str:
    """What one of several labels is called: by its name in words, where it has one, with the label behind it.

    >>> called_as({"label": "GO:0008270", "name": "zinc ion binding"}), called_as({"label": "nucleus"})
    ('zinc ion binding (GO:0008270)', 'nucleus')
    """
    return f"{label['name']} ({label['label']})" if label.get("name") else str(label["label"])


def shares(answer: Answer) -> dict[str, float]:
    """Share of each letter in a tokens answer, in the task's own order of letters."""
    tokens: str = answer["tokens"]
    letters = list(answer.get("probabilities") or dict.fromkeys(tokens))
    return {letter: tokens.count(letter) / max(1, len(tokens)) for letter in letters if len(letter) == 1}


def _crossings(letters: Sequence[str], names: Mapping[str, str]) -> str:
    """How many segments of each letter there are."""
    counts = {names.get(letter, letter): letters.count(letter) for letter in dict.fromkeys(letters)}
    return ", ".join(f"{count}\N{MULTIPLICATION SIGN} {name}" for name, count in counts.items()) or "no crossing"


def _mixture(parts: Mapping[str, float], names: Mapping[str, str]) -> str:
    """The shares in order without the last, which follows; of more than three letters the two commonest."""
    commonest = sorted(parts, key=lambda letter: -parts[letter])[:2]
    chosen = commonest if len(parts) > 3 else list(parts)[:-1] or list(parts)
    return ", ".join(f"{percent(parts[letter])} {names.get(letter, letter)}" for letter in chosen)


def certainty(answer: Answer) -> list[float]:
    """For a tokens answer, the probability of the letter that was chosen, for each of L residues."""
    tokens: str = answer["tokens"]
    probabilities: dict[str, Sequence[float]] = answer.get("probabilities") or {}
    if not set(tokens) <= set(probabilities):
        return []
    return [float(probabilities[letter][place]) for place, letter in enumerate(tokens)]


def confidence(answer: Answer, task: Task | None) -> Confidence | None:
    """How sure the answer is, or None where it does not say."""
    kind = kind_of(answer)
    if kind in ("label", "labels"):
        sure = [float(label["probability"]) for label in ([answer] if kind == "label" else answer["labels"][:1])]
        return Confidence(band(sure[0]), percent(sure[0]), "chance that the answer is right") if sure else None
    if kind == "tokens" and (places := certainty(answer)):
        mean = sum(places) / len(places)
        return Confidence(band(mean), percent(mean), "mean chance that a residue's state is right")
    if kind == "values" and answer.get("low"):
        half = sum(high - low for low, high in zip(answer["low"], answer["high"], strict=True)) / 2 / len(answer["low"])
        return Confidence("range", f"±{quantity(half)}\N{NO-BREAK SPACE}{answer.get('unit', '')}".strip(), _NEAR)
    if kind == "tracks" and "sets" in answer:
        count = sum(bool(letters) for letters in answer["sets"])
        return Confidence("not ruled out", f"{count} of {len(answer['sets'])} residues", _NOT_RULED_OUT)
    if kind == "contacts" and answer.get("confidence"):
        mean = sum(answer["confidence"]) / len(answer["confidence"])
        return Confidence(band(mean), percent(mean), "mean lDDT that is expected of the distances")
    if kind == "number" and answer.get("low") is not None and answer.get("high") is not None:
        low, high, unit = answer["low"], answer["high"], str(answer.get("unit", ""))
        figure = f"{quantity(low)} to {quantity(high)}\N{NO-BREAK SPACE}{unit}".strip()
        return Confidence(_width(answer, task), figure, f"holds the true value {coverage()}")
    return None


def _width(answer: Answer, task: Task | None) -> str:
    """A word for an interval: how it compares with one that knows only the spread of the training proteins."""
    if task is None or not isinstance(task.target, Number):
        return "interval"
    ratio = (answer["high"] - answer["low"]) / (2 * 1.645 * task.target.spread)
    return "narrow interval" if ratio < 0.5 else "medium interval" if ratio < 0.85 else "wide interval"


def coverage() -> str:
    """How often a set or an interval holds the truth, in words."""
    return "nine times in ten" if COVERAGE == 0.9 else f"in {percent(COVERAGE)} of cases"


def nearness(answer: Answer) -> Nearness | None:
    """What `reach` says about this protein; None where the answer carries none."""
    reach = answer.get("reach")
    if not reach:
        return None
    identity, name = reach.get("nearest_identity"), reach.get("nearest_id")
    if identity is None:
        nearest = "no similar protein was found among those the model learned from"
    else:
        which = f" ({plain(str(name))})" if name else ""
        nearest = f"the most similar training protein{which} is {percent(identity)} identical"
        if reach["far"] and not is_far(identity):
            # the sequence is near, so it was the network's own picture that spoke
            nearest += ", but to the network this one looks unlike nearly all proteins of that training"
    return Nearness(bool(reach["far"]), f"{nearest}.")


def letter_names(task: Task | None) -> dict[str, str]:
    """What each letter of a tokens task means, where the task says so."""
    if task is None or not isinstance(task.target, Tokens):
        return {}
    return dict(zip(task.target.letters, task.target.names, strict=False))
