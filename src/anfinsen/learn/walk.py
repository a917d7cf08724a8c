"""One batch through a network, slowly: what came in, what each part made of it, and what one step changed.

    take    walks it on a copy of the network, so that nothing is changed, and keeps the true tensors
    tell    shows them: tokens, embedding, one map of attention, the guess, the loss, the pull by layer, the change

Dropout rests meanwhile, so that the loss before and after the step can be compared. Bodies that are not our own
encoder show no embedding and no attention, because they keep theirs to themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass

import numpy
import torch
from rich.text import Text
from torch import Tensor

from anfinsen.data.example import Example
from anfinsen.hub.body import bare
from anfinsen.learn.pictures import Floats, Page, bars, block, channels
from anfinsen.models.encoder import Encoder
from anfinsen.models.network import NativeBody, Network, residue_places
from anfinsen.targets.base import UNKNOWN, softmax
from anfinsen.tasks.base import Task
from anfinsen.training.gradients import Gradients, layer_of
from anfinsen.training.narrator import backward, figure, forward, place
from anfinsen.training.optim import make_optimizers
from anfinsen.training.witness import Facts, Witness

SHOWN = 60
"""Residues that fit beside each other."""
CELLS = 16
"""Rows and columns of the drawn map of attention."""


@dataclass(frozen=True)
class Walk:
    """The true numbers of one step; L residues of the first protein, C channels, K outputs."""

    sequence: str
    tokens: list[int]
    embedding: Floats | None
    states: Floats
    attention: Floats | None
    outputs: Floats
    truth: int | None
    proteins: int
    residues: int
    facts: Facts
    loss: float
    loss_after: float
    gradients: dict[str, float]
    gradient_norm: float
    changes: dict[str, float]
    learning_rate: float


def take(network: Network, task: Task, examples: Sequence[Example], learning_rate: float = 1e-3) -> Walk:
    """Walk a batch of examples forward and back through a copy of the network, and move the copy by one step."""
    copy = deepcopy(network).eval()
    batch = task.collate(examples).to(next(copy.parameters()).device)
    with torch.inference_mode():
        embedding, attention = _inside(copy, batch.tokens, batch.lengths)
        states, lengths = copy.states(batch.tokens, batch.lengths)
    outputs = copy(batch, task.name)
    summed, known = task.loss(outputs, batch)
    summed.backward()
    witness = Witness()
    witness.see(task.target, outputs, batch.target)
    before = {name: weight.detach().clone() for name, weight in copy.named_parameters() if weight.requires_grad}
    norm, gradients = Gradients(copy).clip(float("inf"), divide_by=max(1, known))
    for optimizer in make_optimizers(copy, "adamw", learning_rate, 0.0):
        optimizer.step()
    changes = _changes(before, copy)
    with torch.inference_mode():
        after = float(task.loss(copy(batch, task.name), batch)[0]) / max(1, known)
    first = batch.target[0] if batch.target is not None and batch.target.dtype == torch.int64 else None
    return Walk(
        sequence=examples[0].protein.sequence,
        tokens=batch.tokens[1 : batch.lengths[0] - 1].tolist(),
        embedding=embedding,
        states=states[: lengths[0]].float().cpu().numpy(),
        attention=attention,
        outputs=outputs[0].detach().float().cpu().numpy(),
        truth=int(first) if first is not None and int(first) != UNKNOWN else None,
        proteins=len(examples),
        residues=sum(lengths),
        facts=witness.facts(),
        loss=float(summed.detach()) / max(1, known),
        loss_after=after,
        gradients=gradients,
        gradient_norm=norm,
        changes=changes,
        learning_rate=learning_rate,
    )


def _inside(network: Network, tokens: Tensor, lengths: list[int]) -> tuple[Floats | None, Floats | None]:
    """The first protein's embedding (L, C) and the mean attention of the last layer's heads (L, L), if they show."""
    body = bare(network.body)
    encoder = body.encoder if isinstance(body, NativeBody) else None
    if not isinstance(encoder, Encoder) or lengths[0] > encoder.config.longest:
        return None, None
    row, length = tokens[: lengths[0]], lengths[:1]
    embedding = encoder.layers(row, length)[0][residue_places(length, row.device)]
    (maps,) = encoder.attentions(row, length)
    last = maps[-encoder.config.heads :].mean(0)[1:-1, 1:-1]
    return embedding.float().cpu().numpy(), last.float().cpu().numpy()


def _changes(before: dict[str, Tensor], network: Network) -> dict[str, float]:
    """By layer, how far the step moved the weights, as a share of their own size."""
    moved: dict[str, float] = {}
    size: dict[str, float] = {}
    for name, weight in network.named_parameters():
        if name in before:
            layer = layer_of(name)
            moved[layer] = moved.get(layer, 0.0) + float((weight.detach() - before[name]).square().sum())
            size[layer] = size.get(layer, 0.0) + float(before[name].square().sum())
    return {layer: (moved[layer] / max(size[layer], 1e-12)) ** 0.5 for layer in moved}


def tell(walk: Walk, task: Task, page: Page) -> None:
    """The walk in words and pictures."""
    _tell_reading(walk, page)
    _tell_guess(walk, task, page)
    _tell_step(walk, page)


def _tell_reading(walk: Walk, page: Page) -> None:
    cut = min(SHOWN, len(walk.sequence))
    page.heading("1  The protein becomes numbers")
    page.say(
        f"A batch is {walk.proteins} proteins, {walk.residues:,} residues in all. Here is the first of them: its "
        f"letters, and the first letters as the numbers that the network looks up."
    )
    rest = f" and {len(walk.sequence) - cut} more" if len(walk.sequence) > cut else ""
    page.draw(Text.assemble(walk.sequence[:cut], (rest, "dim")))
    pairs = "  ".join(f"{letter} {token}" for letter, token in zip(walk.sequence[:10], walk.tokens, strict=False))
    page.draw(Text(f"{pairs} ..."))
    if walk.embedding is not None:
        page.say(
            f"Each number stands for a row of {walk.embedding.shape[1]} values, its embedding. Below, every column is "
            f"one residue and every row one of those values (eight of them): blank is low, full is high. The same "
            f"letter has the same column wherever it stands."
        )
        page.draw(*channels(walk.sequence[:cut], walk.embedding))
    page.heading("2  Forward: the blocks mix what the neighbours know")
    if walk.attention is not None:
        cells = _pooled(walk.attention)
        page.say(
            f"In each block every residue looks at the others. This is where they look in the last block; each cell is "
            f"{len(walk.sequence) / len(cells):.1f} residues, the row looks at the column, the fuller the more."
        )
        page.draw(*block(cells, [""] * len(cells), wide=2))
    page.say(
        "After the blocks the same letter has another column in each place: its surroundings have been read into it."
    )
    page.draw(*channels(walk.sequence[:cut], walk.states))


def _tell_guess(walk: Walk, task: Task, page: Page) -> None:
    page.heading("3  The guess, and the loss")
    labels = task.target.labels
    if labels and len(labels) == len(walk.outputs):
        shares = softmax(walk.outputs)
        order = numpy.argsort(-shares)[:10]
        truth = labels[walk.truth] if walk.truth is not None else ""
        which = ", here for the first residue that is asked" if task.target.per_residue else ""
        page.say(
            f"The head turns the states into one probability for each answer{which}. The arrow marks the right one."
        )
        page.draw(*bars({labels[index]: float(shares[index]) for index in order}, top=1.0, mark=truth))
    page.say(
        forward(_record(walk)).removeprefix("Forward: ").replace("the network read", "Over all of the batch it read")
    )
    page.say(
        f"The loss puts that into one figure, {figure(walk.loss)}: the less probable the right answers, the larger."
    )


def _tell_step(walk: Walk, page: Page) -> None:
    page.heading("4  Backward: who is to blame?")
    page.say(backward(_record(walk)).removeprefix("Backward: the").replace(" error", "The error", 1))
    page.draw(*bars({place(name): value for name, value in walk.gradients.items()}, digits=3))
    page.heading("5  Step: every weight moves a little")
    page.say(
        f"With a learning rate of {walk.learning_rate:g} the weights moved by these shares of their own size, in "
        f"percent:"
    )
    page.draw(*bars({place(name): 100 * value for name, value in walk.changes.items()}))
    again = f"Read again, the same batch has a loss of {figure(walk.loss_after)}"
    if walk.loss_after < walk.loss:
        page.say(
            f"{again}: it fell from {figure(walk.loss)}. Learning is this, some hundreds or thousands of times, with "
            f"other proteins each time."
        )
    else:
        page.say(
            f"{again}: it rose from {figure(walk.loss)}. The stride was too long, which is why a training begins with "
            "short ones. Learning is this, some hundreds or thousands of times, with other proteins each time."
        )


def _record(walk: Walk) -> dict[str, object]:
    """The walk as a record of the engine, for the narrator's templates."""
    tokens = walk.residues + 2 * walk.proteins
    pulls = {"gradients": walk.gradients, "gradient_norm": walk.gradient_norm}
    return {"proteins": walk.proteins, "tokens": tokens, **pulls, **walk.facts}


def _pooled(attention: Floats) -> Floats:
    """A map (L, L) as at most CELLS x CELLS means."""
    parts = numpy.array_split(numpy.arange(len(attention)), min(CELLS, len(attention)))
    return numpy.array([[attention[numpy.ix_(rows, columns)].mean() for columns in parts] for rows in parts])
