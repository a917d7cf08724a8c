"""What a language model thinks of mutations, without having seen one: masked marginals.

    one copy of the protein for each residue, that residue hidden -> logits -> log p(mutant) - log p(wild type)

A residue that the model expects strongly is one that evolution kept; putting another there is likely to harm. The
score of several mutations is the sum of theirs (Meier et al. 2021, NeurIPS, bioRxiv 2021.07.09.450648). Wild-type
marginals hide nothing and need one pass in all: a little worse, and as many times cheaper as there are residues.
Of a protein longer than one window of the network, each residue is read in the window in whose middle it stands.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy
import torch
from numpy.typing import NDArray
from torch import Tensor

from anfinsen.data.alphabet import MASKED_LETTER, RESIDUES, TOKENS
from anfinsen.data.batch import pack
from anfinsen.data.substitutions import Floats, Surroundings
from anfinsen.data.variants import Variant
from anfinsen.errors import BundleError
from anfinsen.kinship.family import Family
from anfinsen.models.network import Network

Method = Literal["masked", "wild-type"]
"""Hide each scored residue in a copy of its own, or read the protein once as it is."""
BUDGET = 16_384
"""Tokens of masked copies in one packed row."""
STRUCTURE, CONSERVATION = "secondary-structure", "conservation"
"""Heads that are asked about hidden places too, where a network has them."""
_HEAD = "masked"
_COLUMNS = [TOKENS.index(residue) for residue in RESIDUES]

Scores = NDArray[numpy.float32]
"""(P, 20): log p(mutant) - log p(wild type) for the twenty residues in the order of `RESIDUES`, 0 at the wild type."""


def marginals(
    network: Network, sequence: str, positions: Sequence[int] | None = None, *, method: Method = "masked"
) -> Scores:
    """The scores of all mutations at some 1-based positions of a sequence (all L of them if none is given): (P, 20).

    A row is NaN where the wild type is none of the twenty standard residues. Each position is masked once.
    """
    if _HEAD not in network.heads:
        raise BundleError(
            "This model cannot say which residue it expects: it has no head for masked residues.",
            remedy="Give a bundle that was trained on the task 'masked'.",
        )
    places = [position - 1 for position in positions] if positions is not None else list(range(len(sequence)))
    rows = _masked_logits(network, sequence, places) if method == "masked" else _plain_logits(network, sequence, places)
    logits = rows[:, _COLUMNS].cpu().numpy()
    there = numpy.array([RESIDUES.find(sequence[place]) for place in places], dtype=numpy.int64)
    scores: Scores = logits - numpy.take_along_axis(logits, there.clip(0)[:, None], axis=1)
    scores[there < 0] = numpy.nan
    return scores


def score_variants(scores: Scores, variants: Sequence[Variant]) -> NDArray[numpy.float64]:
    """The summed scores (V,) of variants, from the scores (L, 20) of all positions."""
    return numpy.array(
        [sum(float(scores[one.position - 1, RESIDUES.index(one.mutant)]) for one in variant) for variant in variants]
    )


def window_around(place: int, length: int, longest: int) -> tuple[int, int]:
    """Start and end of the window of at most `longest` residues in whose middle `place` stands, where it can.

    >>> window_around(2, 100, 10), window_around(50, 100, 10), window_around(99, 100, 10)
    ((0, 10), (45, 55), (90, 100))
    """
    start = max(0, min(place - longest // 2, length - longest))
    return start, min(length, start + longest)


def look_around(
    network: Network, sequence: str, groups: Sequence[Sequence[int]] | None = None, family: Family | None = None
) -> Surroundings:
    """What the network says of places that it does not see, for groups of 1-based positions hidden together.

    Every position alone if no groups are given. Answers come group by group, (P,) over all their positions. Asks the
    heads for masked residues, secondary structure and conservation, those of them that there are. A family without
    relatives is none.
    """
    groups = [[position] for position in range(1, len(sequence) + 1)] if groups is None else groups
    hidden = [(place - 1, [other - 1 for other in group]) for group in groups for place in group]
    names = [name for name in (_HEAD, STRUCTURE, CONSERVATION) if name in network.heads]
    found = _read_hidden(network, sequence, hidden, names)
    logits = {name: rows.double().cpu() for name, rows in found.items()}
    chances = {name: rows.softmax(-1).numpy() for name, rows in logits.items() if name != _HEAD}
    grades = chances.get(CONSERVATION)
    heard = None
    if family is not None and family.relatives:
        heard = _heard(network, found.get(_HEAD), family.apart, [place for place, _ in hidden])
    return Surroundings.of(
        len(hidden),
        log_likelihood=logits[_HEAD][:, _COLUMNS].log_softmax(-1).numpy() if _HEAD in logits else None,
        structure=chances[STRUCTURE][:, :2] if STRUCTURE in chances else None,
        grade=None if grades is None else grades @ numpy.arange(1, grades.shape[1] + 1),
        family=heard,
    )


@torch.inference_mode()
def _heard(network: Network, logits: Tensor | None, relatives: Family, places: Sequence[int]) -> Floats:
    """Log-probabilities (P, 20) of the head for masked residues once it has heard what relatives have at the places.

    Of a network that does not listen, those of the relatives by themselves.
    """
    if logits is None or _HEAD not in network.listeners:
        return numpy.log(relatives.shares[places])
    evidence = torch.from_numpy(relatives.evidence[places]).to(logits.device)
    said = network.hear(_HEAD, logits, evidence)[:, _COLUMNS]
    found: Floats = said.double().log_softmax(-1).cpu().numpy()
    return found


def _masked_logits(network: Network, sequence: str, places: Sequence[int]) -> Tensor:
    """The head's logits (P, vocabulary) at each place, hidden in a copy of its own."""
    return _read_hidden(network, sequence, [(place, [place]) for place in places], [_HEAD])[_HEAD]


@torch.inference_mode()
def _read_hidden(
    network: Network, sequence: str, hidden: Sequence[tuple[int, Sequence[int]]], names: Sequence[str]
) -> dict[str, Tensor]:
    """The outputs of some heads at each place (P, size), in a copy in which it and its companions are hidden."""
    longest = int(getattr(network.body, "longest", len(sequence)))
    copies, places = [], []
    for place, companions in hidden:
        start, end = window_around(place, len(sequence), longest)
        letters = list(sequence)
        for companion in companions:
            letters[companion] = MASKED_LETTER
        copies.append("".join(letters[start:end]))
        places.append(place - start)
    step = max(1, BUDGET // (min(longest, len(sequence)) + 2))
    chunks: dict[str, list[Tensor]] = {name: [] for name in names}
    for begin in range(0, len(copies), step):
        states, lengths = _states(network, copies[begin : begin + step])
        starts = numpy.cumsum([0, *lengths[:-1]])
        chosen = torch.from_numpy(starts + places[begin : begin + step])
        for name in names:
            if name == _HEAD:
                chunks[name].append(_expected(network, states[chosen]))
            else:
                nothing = states.new_zeros(len(lengths), 0)
                chunks[name].append(network.ask(name, states, lengths, nothing).float()[chosen])
    return {name: torch.cat(rows) for name, rows in chunks.items()}


@torch.inference_mode()
def _plain_logits(network: Network, sequence: str, places: Sequence[int]) -> Tensor:
    states, _ = _states(network, [sequence])
    return _expected(network, states[list(places)])


def _states(network: Network, sequences: Sequence[str]) -> tuple[Tensor, list[int]]:
    tokens, lengths = pack(sequences)
    return network.states(tokens.to(next(network.parameters()).device), lengths)


def _expected(network: Network, states: Tensor) -> Tensor:
    """Logits (P, vocabulary) of the head for masked residues on the states (P, C) of single residues."""
    return network.ask(_HEAD, states, [len(states)], states.new_zeros(1, 0)).float()
