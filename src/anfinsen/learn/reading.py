"""Lesson 1: what a protein is to a network."""

from __future__ import annotations

import numpy
import torch
from rich.text import Text

from anfinsen.data.alphabet import FIRST_RESIDUE, LAST_RESIDUE, MASKED_LETTER, TOKENS
from anfinsen.data.batch import pack
from anfinsen.hub.bundle import MASKED, Bundle
from anfinsen.learn.pictures import Floats, Page, bars, channels
from anfinsen.learn.table import proteins
from anfinsen.models.encoder import Encoder
from anfinsen.models.network import NativeBody, residue_places
from anfinsen.targets.base import softmax

PROTEIN = "P60022"
"""Human beta-defensin 1, an antibiotic of our own skin."""
HIDDEN = 44
"""The residue that is hidden and guessed, counted from one: a cysteine that holds the defensin together."""


def teach(page: Page, bundle: Bundle, *, fast: bool = False) -> None:
    """Letters, numbers, states, and the exercise from which a protein language model learns."""
    known = next(known for known in proteins() if known.accession == PROTEIN)
    encoder = _encoder(bundle)
    page.say(
        f"This is {known.name} ({known.organism}, UniProt {known.accession}), {len(known.sequence)} residues: an "
        "antibiotic that our own skin makes. To a chemist it is a folded chain of atoms. To us it is a word of twenty "
        "letters, one for each kind of residue:"
    )
    page.draw(Text(known.sequence))
    tokens, lengths = pack([known.sequence])
    page.heading("Letters become numbers")
    first = "  ".join(f"{TOKENS[number]} {number}" for number in tokens[1:13].tolist())
    page.say(
        f"A network cannot read. Each letter gets a number, a token; there are {len(TOKENS)} of them: the twenty "
        f"residues and some signs, such as one for the beginning and one for a hidden residue."
    )
    page.draw(Text(f"{first} ..."))
    with torch.inference_mode():
        layers = encoder.layers(tokens, lengths)
        places = residue_places(lengths)
        begun, read = layers[0][places].numpy(), encoder.last_norm(layers[-1])[places].numpy()
    page.heading("Numbers become rows of values")
    page.say(
        f"For each token the network keeps {begun.shape[1]} values, its embedding; they were learnt, nobody chose "
        f"them. Below, each column is one residue and each row one of those values: blank is low, full is high."
    )
    page.draw(*channels(known.sequence, begun))
    _context(page, known.sequence, begun, read)
    _guess(page, bundle, known.sequence)


def _context(page: Page, sequence: str, begun: Floats, read: Floats) -> None:
    """The same letter twice: alike at the door, different after the blocks."""
    one, *_, other = [place for place, letter in enumerate(sequence) if letter == "C"]
    before, after = _alike(begun[one], begun[other]), _alike(read[one], read[other])
    page.heading("Blocks read the neighbours into every row")
    page.say("The same protein after the last block. Equal letters are no longer equal columns:")
    page.draw(*channels(sequence, read))
    page.say(
        f"Take C at {one + 1} and C at {other + 1}. At the door their rows are the same (likeness {before:.2f}); "
        f"after the blocks their likeness is {after:.2f}. Each has become a C in its own place: that is what a "
        f"language model gives to every task that builds on it."
    )


def _guess(page: Page, bundle: Bundle, sequence: str) -> None:
    """Hide one residue and show what the network thinks stands there."""
    truth = sequence[HIDDEN - 1]
    hidden = f"{sequence[: HIDDEN - 1]}{MASKED_LETTER}{sequence[HIDDEN:]}"
    tokens, lengths = pack([hidden])
    with torch.inference_mode():
        states, residues = bundle.network.states(tokens, lengths)
        outputs = bundle.network.ask(MASKED, states, residues, torch.zeros(1, 0))[HIDDEN - 1]
    shares = softmax(outputs[FIRST_RESIDUE : LAST_RESIDUE + 1].float().numpy())
    order = numpy.argsort(-shares)
    letters = [TOKENS[FIRST_RESIDUE + index] for index in order]
    rank = letters.index(truth) + 1
    page.heading("How it learnt: hide a residue, guess it")
    page.say(
        f"Nobody told it what a protein does. Residues of some hundred thousand proteins were hidden, and it had to "
        f"guess them. Here residue {HIDDEN}, truly {truth}, is hidden; its guesses among the twenty (a blind guess "
        f"gives 0.05):"
    )
    shown = letters[: max(6, min(rank, 20))]
    page.draw(*bars({letter: float(shares[order[index]]) for index, letter in enumerate(shown)}, mark=truth))
    page.say(
        f"The right one comes {_ordinal(rank)} with {shares[order[rank - 1]]:.2f}. This model is tiny, "
        f"{sum(weight.numel() for weight in bundle.network.body.parameters()) / 1e6:.1f} million weights; large ones "
        f"guess better in the same way. Next: anfinsen learn 2"
    )


def _encoder(bundle: Bundle) -> Encoder:
    body = bundle.network.body
    assert isinstance(body, NativeBody)
    assert isinstance(body.encoder, Encoder)
    return body.encoder


def _alike(one: Floats, other: Floats) -> float:
    """Cosine of two rows: 1 the same, 0 nothing in common."""
    return float(one @ other / (numpy.linalg.norm(one) * numpy.linalg.norm(other)))


def _ordinal(number: int) -> str:
    return {1: "first", 2: "second", 3: "third"}.get(number, f"{number}th")
