"""What helps a small language model to learn, at a small fixed budget: one change at a time, judged alike.

    python benchmarks/ablation.py --out runs/ablation.jsonl [--only NAME ...] [--residues 2.5e6]

Each arm trains the same small encoder (or, where that is the change, another of about its size) on the same
residues in the same order and is judged on the same hidden residues of the same validation proteins. A row says
how much the arm's cross-entropy differs from the base's, with a 95 % bootstrap interval over proteins, and how
long a step took. Arms that are there already are passed over, so that a run that was stopped goes on.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy
import torch
from torch import Tensor, nn
from torch.nn import functional

from anfinsen.data.alphabet import MASKED_LETTER
from anfinsen.data.batch import Stream, crop, pack
from anfinsen.data.example import Example
from anfinsen.models import attention, encoder
from anfinsen.models.encoder import Block, Encoder, EncoderConfig
from anfinsen.models.heads import MaskedHead
from anfinsen.targets.base import UNKNOWN
from anfinsen.tasks import TASKS
from anfinsen.tasks.masked import MaskedTask, hide
from anfinsen.training.optim import make_optimizers, schedule

BASE = EncoderConfig(layers=4, dim=128, heads=2, inner_dim=512)
JUDGED, WINDOW, SEED = 500, 256, 7
LATE = 116_500
"""Training rows of parts 6-9, eukaryotes and viruses, which stand last in the corpus."""


@dataclass(frozen=True)
class Arm:
    """One way to train; the fields that are left alone are the base's."""

    name: str
    shape: EncoderConfig = BASE
    block: Callable[[EncoderConfig], nn.Module] = Block
    skips: bool = False
    tied: bool = False
    optimizer: str = "muon"
    learning_rate: float = 3e-3
    tokens: int = 4096
    weight_decay: float = 0.05
    share: tuple[float, float] = (0.15, 0.15)
    """Share of hidden residues at the beginning and at the end."""
    span: int = 1
    causal: float = 0.0
    """The first share of the steps in which every residue is guessed from those before it."""
    always_hidden: bool = False
    """All chosen residues become <mask>, instead of 80 %."""
    fewer: int = 1
    """Only every so many-th protein is in the corpus, which is then read so many times."""
    dropout: float = 0.0
    balanced: bool = False
    """Eukaryotes and viruses (parts 6-9) weigh as much as the other parts."""


class NormedBlock(Block):
    """Queries and keys of length one, times a learnt number (Henry et al. 2020, arXiv 2010.04245)."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__(config)
        width = config.dim // config.heads
        self.query_gain, self.key_gain = (nn.Parameter(torch.ones(width)) for _ in range(2))

    def project(self, states: Tensor, turns: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        mixed = self.qkv(self.attention_norm(states))
        query, key, value = mixed.unflatten(-1, (3, self.heads, -1)).unbind(1)
        query = functional.rms_norm(query, query.shape[-1:], self.query_gain)
        key = functional.rms_norm(key, key.shape[-1:], self.key_gain)
        return attention.rotate(query, turns), attention.rotate(key, turns), value


class GatedBlock(Block):
    """A gated feed-forward layer of as many weights (Shazeer 2020, arXiv 2002.05202)."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__(config)
        inner = round(config.inner_dim * 2 / 3 / 8) * 8
        self.widen = nn.Linear(config.dim, 2 * inner)
        self.narrow = nn.Linear(inner, config.dim)

    def forward(self, states: Tensor, lengths: Sequence[int], turns: Tensor) -> Tensor:
        query, key, value = self.project(states, turns)
        states = states + self.mix(attention.attend(query, key, value, lengths, self.scale).flatten(1))
        gate, wide = self.widen(self.feed_norm(states)).chunk(2, dim=-1)
        fed: Tensor = self.narrow(functional.silu(gate) * wide)
        return states + fed


class DroppingBlock(Block):
    """10 % of both branches' outputs are dropped in training."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__(config)
        self.mix = nn.Sequential(self.mix, nn.Dropout(0.1))
        self.narrow = nn.Sequential(self.narrow, nn.Dropout(0.1))


ARMS = [
    Arm("base"),
    Arm("share 0.25", share=(0.25, 0.25)),
    Arm("share 0.40", share=(0.4, 0.4)),
    Arm("tokens 2048", tokens=2048),
    Arm("tokens 8192", tokens=8192),
    Arm("rate 6e-3", learning_rate=6e-3),
    Arm("rate 1.5e-3", learning_rate=1.5e-3),
    Arm("adamw 3e-3", optimizer="adamw"),
    Arm("adamw 1e-3", optimizer="adamw", learning_rate=1e-3),
    Arm("share grows 0.10 to 0.25", share=(0.1, 0.25)),
    Arm("share falls 0.40 to 0.15", share=(0.4, 0.15)),
    Arm("always hidden", always_hidden=True),
    Arm("spans of 3", span=3),
    Arm("causal first 0.4", causal=0.4),
    Arm("qk-norm", block=NormedBlock),
    Arm("gated feed-forward", block=GatedBlock),
    Arm("early-late skips", skips=True),
    Arm("tied embedding", tied=True),
    Arm("deep 8x96", shape=BASE.replaced(layers=8, dim=96, heads=2, inner_dim=384)),
    Arm("wide 2x192", shape=BASE.replaced(layers=2, dim=192, heads=3, inner_dim=768)),
    Arm("heads 8x16", shape=BASE.replaced(heads=8)),
    Arm("no weight decay", weight_decay=0.0),
    Arm("balanced kingdoms", balanced=True),
    Arm("a tenth of the data, ten times", fewer=367),
    Arm("a tenth of the data, ten times, dropout", fewer=367, block=DroppingBlock),
]


def main() -> None:
    """Train and judge the arms that are not in the file yet."""
    flags = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    flags.add_argument("--out", type=Path, default=Path("runs/ablation.jsonl"))
    flags.add_argument("--only", nargs="*", default=[])
    flags.add_argument("--residues", type=float, default=2.5e6)
    flags.add_argument("--threads", type=int, default=1)
    asked = flags.parse_args()
    torch.set_num_threads(asked.threads)
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    rows = [json.loads(line) for line in asked.out.read_text().splitlines()] if asked.out.exists() else []
    done = {row["arm"] for row in rows}
    task = TASKS["masked"]
    assert isinstance(task, MaskedTask)
    corpus = task.examples("train")
    places = numpy.random.default_rng(SEED).permutation(len(corpus))
    valid = task.examples("valid")
    drawn = numpy.random.default_rng(SEED).permutation(len(valid))[:JUDGED]
    exam = [replace(task, window=WINDOW).pose(valid[int(at)], int(at)) for at in drawn]
    for arm in ARMS:
        if arm.name in done or (asked.only and arm.name not in asked.only):
            continue
        row = learn(arm, corpus, places, exam, asked.residues)
        base = next((other for other in rows if other["arm"] == "base"), row)
        row |= compared(row, base)
        rows.append(row)
        with asked.out.open("a") as file:
            file.write(json.dumps(row) + "\n")
        print({key: value for key, value in row.items() if key != "sums"}, flush=True)


def learn(arm: Arm, corpus: Sequence[Example], places: numpy.ndarray, exam: list[Example], residues: float) -> dict:
    """Train one arm and judge it."""
    torch.manual_seed(SEED)
    body = SkippingEncoder(arm.shape) if arm.skips else Encoder(arm.shape)
    body.blocks = nn.ModuleList(arm.block(arm.shape) for _ in range(arm.shape.layers))
    body.apply(encoder._initialise)
    head = MaskedHead(arm.shape.dim, arm.shape.vocabulary)
    if arm.tied:
        head.decode.weight = body.embed.weight
    both = nn.ModuleDict({"body": body, "head": head})
    optimizers = make_optimizers(both, arm.optimizer, arm.learning_rate, arm.weight_decay)
    rates = [[group["lr"] for group in optimizer.param_groups] for optimizer in optimizers]
    steps = int(residues / arm.tokens)
    stream = Stream(_chosen(arm, corpus, places), budget=arm.tokens, seed=SEED, prepare=_cropped, window=WINDOW)
    seconds = []
    for step in range(steps):
        began = time.perf_counter()
        examples = stream.next()
        is_causal = step < arm.causal * steps
        attention_is_causal(is_causal)
        share = arm.share[0] + (arm.share[1] - arm.share[0]) * step / steps
        generator = numpy.random.default_rng((SEED, step))
        hidden = examples if is_causal else [_hide(arm, example, share, generator) for example in examples]
        loss = _loss(both, hidden, examples, is_causal)
        loss.backward()
        nn.utils.clip_grad_norm_(both.parameters(), 1.0)
        for optimizer, own in zip(optimizers, rates, strict=True):
            for group, rate in zip(optimizer.param_groups, own, strict=True):
                group["lr"] = rate * schedule(step, steps=steps, warmup=max(20, steps // 20), decay=0.5)
            optimizer.step()
            optimizer.zero_grad()
        seconds.append(time.perf_counter() - began)
    attention_is_causal(False)
    both.eval()
    sums = [_surprise(both, example) for example in exam]
    return {
        "arm": arm.name,
        "weights": sum(weight.numel() for weight in body.parameters()),
        "steps": steps,
        "seconds_a_step": float(numpy.median(seconds)),
        "sums": sums,
    }


def compared(row: dict, base: dict) -> dict:
    """Cross-entropy, perplexity, and the paired difference to the base with its interval over proteins."""
    ours, theirs = numpy.array(row["sums"]), numpy.array(base["sums"])
    generator = numpy.random.default_rng(SEED)
    draws = [generator.integers(0, len(ours), len(ours)) for _ in range(1000)]
    differences = [ours[d, 0].sum() / ours[d, 1].sum() - theirs[d, 0].sum() / theirs[d, 1].sum() for d in draws]
    mean = ours[:, 0].sum() / ours[:, 1].sum()
    low, high = numpy.quantile(differences, [0.025, 0.975])
    return {
        "loss": float(mean),
        "perplexity": float(numpy.exp(mean)),
        "difference": float(mean - theirs[:, 0].sum() / theirs[:, 1].sum()),
        "low": float(low),
        "high": float(high),
        "n": len(ours),
    }


class SkippingEncoder(Encoder):
    """The first half's outputs are added, times a learnt number, to the second half's inputs (a U-Net)."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__(config)
        self.gains = nn.Parameter(torch.zeros(config.layers // 2))

    def layers(self, tokens: Tensor, lengths: Sequence[int]) -> list[Tensor]:
        turns = self._turns(lengths, tokens.device)
        states = [self._embed(tokens, lengths)]
        half = len(self.blocks) // 2
        for at, block in enumerate(self.blocks):
            early = states[len(self.blocks) - at] * self.gains[at - half] if at >= half else 0.0
            states.append(block(states[-1] + early, lengths, turns))
        return states


def attention_is_causal(yes: bool) -> None:
    """Let each residue see only those before it, or all again."""

    def kernel(query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
        return functional.scaled_dot_product_attention(query, key, value, scale=scale, is_causal=yes)

    attention._kernel = kernel


def _loss(both: nn.ModuleDict, shown: Sequence[Example], true: Sequence[Example], is_causal: bool) -> Tensor:
    tokens, lengths = pack([example.protein.sequence for example in shown])
    states = both["body"](tokens, lengths)
    starts = numpy.cumsum([0, *lengths])[:-1]
    if is_causal:
        before = [numpy.arange(start, start + length - 2) for start, length in zip(starts, lengths, strict=True)]
        asked = torch.from_numpy(numpy.concatenate(before))
        wanted = tokens[asked + 1]
    else:
        target = torch.from_numpy(numpy.concatenate([TASKS["masked"].target.encode(example) for example in shown]))
        inside = [numpy.arange(start + 1, start + length - 1) for start, length in zip(starts, lengths, strict=True)]
        known = (target != UNKNOWN).nonzero()[:, 0]
        asked, wanted = torch.from_numpy(numpy.concatenate(inside))[known], target[known]
    return functional.cross_entropy(both["head"](states[asked], [], asked), wanted)


@torch.no_grad()
def _surprise(both: nn.ModuleDict, example: Example) -> tuple[float, int]:
    count = int((TASKS["masked"].target.encode(example) != UNKNOWN).sum())
    return float(_loss(both, [example], [example], False)) * count, count


def _hide(arm: Arm, example: Example, share: float, generator: numpy.random.Generator) -> Example:
    hidden = hide(example, share, generator)
    if arm.span == 1 and not arm.always_hidden:
        return hidden
    sequence, length = example.protein.sequence, len(example.protein)
    if arm.span > 1:
        starts = generator.choice(length, size=max(1, round(share * length / arm.span)), replace=False)
        chosen = numpy.unique((starts[:, None] + numpy.arange(arm.span)).clip(max=length - 1))
    else:
        chosen = (numpy.array(list(hidden.mask or "")) == "1").nonzero()[0]
    letters = numpy.array(list(sequence))
    letters[chosen] = MASKED_LETTER
    mask = numpy.full(length, "0")
    mask[chosen] = "1"
    return Example(replace(example.protein, sequence="".join(letters)), sequence, "".join(mask))


def _cropped(example: Example, generator: numpy.random.Generator) -> Example:
    return crop(example, WINDOW, generator)


def _chosen(arm: Arm, corpus: Sequence[Example], places: numpy.ndarray) -> list[Example]:
    order = places[: max(1, len(places) // arm.fewer)]
    chosen = [corpus[int(at)] for at in order]
    if arm.balanced:
        chosen += [corpus[at] for at in range(max(0, len(corpus) - LATE), len(corpus))]
    return chosen


if __name__ == "__main__":
    main()
