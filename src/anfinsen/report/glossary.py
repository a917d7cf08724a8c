"""Every word of the report that a bench biologist may not know, each in two sentences.

A page asks for a link to a term where it uses the word; the terms that were asked for are explained at its end.
A task's own terms stand beside these and win where both explain the same word. It knows no task.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from markupsafe import Markup, escape

TERMS: Mapping[str, str] = {
    "confidence": (
        "How often answers that sound this sure turn out right: of a hundred answers at 80%, about eighty. "
        "High is 90% and above, fair from 70%, low from 50%, very low below."
    ),
    "set": (
        "All answers that cannot be ruled out: chosen so that the true one is among them nine times in ten. "
        "A set of one is a firm answer, a set of five says that the model does not know."
    ),
    "interval": (
        "The range that holds the true value nine times in ten, for proteins like those of the training. "
        "It is called narrow or wide by comparison with a range that ignores the sequence."
    ),
    "95% interval": (
        "How far a score could move if other test proteins had been drawn. "
        "Where the intervals of two models overlap, the difference may be chance."
    ),
    "near and far": (
        "Whether the model has learned from a protein like this one, judged by how much of the sequence is identical. "
        "A model is most often wrong about proteins that are far from all it has seen, and does not notice."
    ),
    "relatives": (
        "Proteins that descend from the same ancestor, known by sequences too alike for chance. "
        "What all of them kept through evolution the protein probably needs; what they changed may do them good."
    ),
    "family": (
        "A protein and its relatives, laid beside each other place by place. "
        "It shows which residues stand at each place; a family of few or nearly equal sequences tells little."
    ),
    "baseline": (
        "The simplest rule that could answer, such as copying the answer of the most similar known protein. "
        "A model that does not beat it has earned no trust."
    ),
    "published": (
        "A figure quoted from a paper and not measured here. "
        "Test proteins and rules may differ a little, so read it as a landmark and not as a race."
    ),
    "split": (
        "Which proteins were kept back from training to judge the model. "
        "A fair split keeps close relatives of the training proteins out, else the model is praised for remembering."
    ),
    "n": "Over how many proteins a score was measured. Below about thirty, treat the score as a first impression.",
    "residue": "One amino acid of the chain. Residues are counted from 1 at the end made first, the N-terminus.",
    "hydropathy": (
        "Whether a stretch of chain avoids water (up) or seeks it (down), after Kyte and Doolittle, over 9 residues. "
        "A long run upward is often a membrane helix or a signal peptide."
    ),
    "charge": (
        "Plus marks lysine and arginine, minus marks aspartate and glutamate, as they are near pH 7. "
        "Histidine and the two ends of the chain are left out."
    ),
    "mended": "The sequence held something that could not be read as it stood and was put right. Every change is told.",
    "accuracy": (
        "The share of proteins whose answer is right. "
        "Compare it with the baseline: some classes are so common that naming them always scores well."
    ),
    "P@L": (
        "Of the L surest pairs of residues far apart in the chain (L is its length), the share that really touch. "
        "Short or elongated proteins have fewer touching pairs than L, so 1 is mostly out of reach."
    ),
    "Q3": "The share of residues whose state (helix, strand, coil) is right. Guessing by chance gives about 0.4.",
    "MCC": "Agreement between answers and truth that common classes cannot inflate. 1 is perfect, 0 is guessing.",
    "macro F1": "Success averaged over the classes, so that rare ones count as much as common ones. 1 is perfect.",
    "RMSE": "The typical error, large ones counting more. It has the unit of the answer, and smaller is better.",
    "MAE": "The mean error, all counting alike. It has the unit of the answer, and smaller is better.",
    "R²": "How much of the differences between proteins is explained. 1 is all, 0 is no better than the mean.",
    "Spearman": "Whether proteins come out in the right order. 1 is the same order, 0 is no relation.",
    "Perplexity": "Among how many choices the model still hesitates. 20 is blind guessing, 1 is certainty.",
    "ECE": "The gap between how sure the model sounds and how often it is right. 0 is perfectly honest.",
}
"""The general terms, in no order."""
SPOKEN = ("relatives", "family")
"""General terms that are explained wherever a sentence uses them; the others mean something here alone."""


class Glossary:
    """Collects the terms that a page uses and hands out links to their explanations."""

    def __init__(self, extra: Mapping[str, str] | None = None) -> None:
        own = {term.casefold() for term in extra or {}}
        self._texts = {term: text for term, text in TERMS.items() if term.casefold() not in own} | dict(extra or {})
        self._names = {term.casefold(): term for term in self._texts}
        self._used: dict[str, None] = {}
        words = sorted(map(re.escape, dict.fromkeys((*(extra or {}), *SPOKEN))), key=len, reverse=True)
        self._spoken = re.compile(rf"\b({'|'.join(words)})\b", re.IGNORECASE)

    def link(self, term: str, text: str = "") -> Markup:
        """A link to a term's explanation, or the bare text if nobody explains it."""
        name = self._names.get(term.casefold())
        if name is None:
            return escape(text or term)
        self._used[name] = None
        return Markup('<a class="term" href="#{}" title="{}">{}</a>').format(
            anchor(name), self._texts[name], text or term
        )

    def annotate(self, text: str) -> Markup:
        """Text in which the first use of each of the tasks' own terms, and of those of `SPOKEN`, is a link."""
        seen: set[str] = set()
        parts: list[Markup] = []
        place = 0
        for match in self._spoken.finditer(text):
            if match[0].casefold() in seen:
                continue
            seen.add(match[0].casefold())
            parts += [escape(text[place : match.start()]), self.link(match[0])]
            place = match.end()
        return Markup("").join([*parts, escape(text[place:])])

    def used(self) -> list[tuple[str, str, str]]:
        """The terms that were asked for, as (anchor, term, explanation), in alphabetical order."""
        return [(anchor(term), term, self._texts[term]) for term in sorted(self._used, key=str.casefold)]


def anchor(term: str) -> str:
    """The name under which a term's explanation is found on the page.

    >>> anchor("95% interval")
    'term-95-25-20interval'
    """
    return "term-" + "".join(
        letter if letter.isascii() and letter.isalnum() else f"-{ord(letter):x}" for letter in term
    )
