"""The narrator: what a step just did, in sentences for somebody who has never trained a network.

Every sentence is a template filled with the figures of one record (see `events`) and of those before it; no language
model speaks here. It speaks at the first step, now and then, at each look at proteins that are not trained on, and
where something changes: over-fitting, a plateau, the end. Its memory is what it was told, so a run that goes on from
a checkpoint goes on telling the same story.
"""

from __future__ import annotations

import math
from itertools import pairwise
from statistics import fmean

from anfinsen.training.events import Record

RISING = 2
"""Over-fitting is named after so many looks in a row at which training got better and validation worse."""
TALES = 9
"""About so many times in a run it says again what a step does."""


class Narrator:
    """Told each record of a run in order; `tell` gives the sentences that belong to it."""

    def __init__(self) -> None:
        self.told = 0
        self.tales = 0
        self.has_warned = False
        self.seen_twice: set[str] = set()
        self.since_look: dict[str, list[float]] = {}
        self.looks: list[tuple[float, float]] = []
        self.first_valid: float | None = None

    def tell(self, record: Record) -> list[str]:
        """The sentences for this record; none for most."""
        if "loss" not in record:
            return []
        self.told += 1
        self.first_valid = record.get("start", self.first_valid)
        self.since_look.setdefault(record["task"], []).append(record["loss"])
        sentences = self._the_work(record) + self._the_round(record)
        if "valid" in record:
            sentences += self._the_look(record)
        if "stopped" in record:
            sentences += [_the_end(record)]
        return sentences

    def _the_work(self, record: Record) -> list[str]:
        """All four parts of the first step; later one part now and then."""
        parts = (forward, loss, backward, step)
        if self.told == 1:
            return [heat(record), *(part(record) for part in parts)]
        if record["step"] % max(20, math.ceil(record["steps"] / TALES)) or "valid" in record:
            return []
        self.tales += 1
        return [part(record) for part in ((forward, loss) if self.tales % 2 else (backward, step))]

    def _the_round(self, record: Record) -> list[str]:
        if record["epoch"] == 0 or record["task"] in self.seen_twice:
            return []
        self.seen_twice.add(record["task"])
        if record["epoch"] > 1:
            return []
        return ["It has now read every protein of its table once, and begins again in another order."]

    def _the_look(self, record: Record) -> list[str]:
        valid, best, best_step = record["valid"], record["best"], record["best_step"]
        seen = [look for look, _ in self.looks] + ([] if self.first_valid is None else [self.first_valid])
        before = min(seen, default=None)
        self.looks.append((valid, fmean(fmean(losses) for losses in self.since_look.values())))
        self.since_look = {}
        if before is None:
            return [f"Proteins it never trains on: the loss is {figure(valid)}."]
        if best_step == record["step"]:
            self.has_warned = False
            gain = f"{figure(before - valid)} below the best before"
            return [
                f"Proteins it never trains on: the loss is {figure(valid)}, {gain}: what it learns holds for proteins "
                f"it has not met."
            ]
        where = f"at step {best_step:,}" if best_step else "at the start"
        sentences = [
            f"Proteins it never trains on: the loss is {figure(valid)}; no gain, the best was {figure(best)} {where}."
        ]
        return sentences + self._over_fitting(best, where)

    def _over_fitting(self, best: float, where: str) -> list[str]:
        last = self.looks[-RISING - 1 :]
        pairs = list(pairwise(last))
        is_so = len(pairs) == RISING and all(now[0] > was[0] and now[1] < was[1] for was, now in pairs)
        if not is_so or self.has_warned:
            return []
        self.has_warned = True
        valid, own = ([figure(look[part]) for look in last] for part in (0, 1))
        return [
            f"Over-fitting: on its own proteins the loss fell from {own[0]} to {own[-1]}, while on the others it rose "
            f"from {valid[0]} to {valid[-1]}. It begins to learn its proteins by heart. Kept are the weights with the "
            f"best loss on the others, {figure(best)} {where}."
        ]


def heat(record: Record) -> str:
    """How much of the network may move."""
    moving, weights = record["moving"], record["weights"]
    part = f"{moving:,} of {weights:,} weights ({100 * moving / weights:.1f} %)"
    return {
        "cold": f"Heat: cold. The body of the network is frozen and only the heads learn: {part} may move.",
        "warm": f"Heat: warm. Small adapters in the frozen body learn with the heads: {part} may move.",
        "hot": f"Heat: hot. Every weight may move now: {part}. It can fit best, and also forget most.",
        "blazing": f"Heat: blazing. One body learns several questions at once, and every weight may move: {part}.",
    }[record["heat"]]


def forward(record: Record) -> str:
    """What the forward pass did."""
    count = record["proteins"]
    residues = record["tokens"] - 2 * count
    read = f"Forward: the network read {count:,} protein{'' if count == 1 else 's'} ({residues:,} residues)"
    if "right" in record:
        return (
            f"{read} and gave the right answer a probability of {record['right']:.2f} on average; "
            f"a blind guess gives it {record['chance']:.2f}."
        )
    if "miss" in record:
        unit = f" {record['unit']}".rstrip()
        digits = max(1, 1 - math.floor(math.log10(record["naive"] or 1)))
        miss, center, naive = (f"{record[name]:.{digits}f}" for name in ("miss", "center", "naive"))
        return (
            f"{read} and missed the true value by {miss}{unit} on average; "
            f"answering {center}{unit} every time would miss by {naive}."
        )
    return f"{read} and made its guesses."


def loss(record: Record) -> str:
    """What the loss means."""
    if "chance" in record:
        blind = -math.log(record["chance"])
        return (
            f"Loss: {figure(record['loss'])}. That is how surprised it was by the right answers: "
            f"0 is not at all, {figure(blind)} is a blind guess."
        )
    return f"Loss: {figure(record['loss'])}. One figure for how wrong it was; less is better."


def backward(record: Record) -> str:
    """What backpropagation found."""
    layers = record["gradients"]
    ask = "Backward: the error flowed back, and each weight that may move was told which way is less wrong."
    if len(layers) < 2:
        where = next(iter(layers), "network")
        return f"{ask} Only the {where} heard it, with a pull of {figure(record['gradient_norm'])}."
    hard, soft = max(layers, key=layers.__getitem__), min(layers, key=layers.__getitem__)
    strongest, weakest = (f"{place(layer)} ({figure(layers[layer])})" for layer in (hard, soft))
    return f"{ask} The pull was strongest at {strongest}, weakest at {weakest}."


def step(record: Record) -> str:
    """What the step did."""
    share, rate = record["rate_share"], f"{record['learning_rate']:.7f}".rstrip("0")
    full = "its full size" if share == 1 else f"{100 * share:.0f} % of its full size"
    moved = (
        f"Step: {record['moving']:,} weights moved a little that way. The learning rate, the length of the stride, "
        f"is {rate}, {full}."
    )
    if "clipped" not in record:
        return moved
    cut = f"{figure(record['gradient_norm'])} to {figure(record['clipped'])}"
    return f"{moved} The pull was cut from {cut}, so that one odd batch cannot throw the network off."


def place(layer: str) -> str:
    """A layer's name with its article: 'block 3', 'the heads', 'the embedding'."""
    named = {"heads": "the heads", "embed": "the embedding", "rest": "the last normalisation"}
    return named.get(layer, layer)


def figure(value: float) -> str:
    """A loss or a pull with as many digits as are worth reading.

    >>> figure(2.30259), figure(0.00421), figure(0.0), figure(3e-6)
    ('2.303', '0.0042', '0', 'under 0.0001')
    """
    if value == 0 or abs(value) >= 100:
        return f"{value:.0f}"
    if 0 < value < 1e-4:
        return "under 0.0001"
    return f"{value:.3f}" if abs(value) >= 0.1 else f"{value:.2g}"


def _the_end(record: Record) -> str:
    if record["stopped"] == "plateau":
        reason = _flat(record)
    elif record["stopped"] == "patience":
        reason = "proteins it never trains on have brought no gain for long enough"
    else:
        reason = f"all {record['steps']:,} steps are done"
    if "best" not in record:
        return f"It stops here: {reason}."
    if not record["best_step"]:
        return f"It stops here: {reason}. No step was better than the start, so the start is kept."
    kept = f"the weights of step {record['best_step']:,}, whose loss of {figure(record['best'])} was the best"
    return f"It stops here: {reason}. Kept are {kept} on proteins it never trains on."


def _flat(record: Record) -> str:
    flat = record["plateau"]
    if not flat["gain"]:
        return f"the last {flat['looks']} looks at proteins it never trains on gained nothing: a plateau"
    part = f"{figure(flat['gain'])} of the {figure(flat['whole'])} gained in all"
    return f"the last {flat['looks']} looks gained only {part}, no more than {flat['percent']:g} %: a plateau"
