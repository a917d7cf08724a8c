"""Masked residues: the exercise from which a protein language model learns.

Some residues of a real protein are hidden and the network guesses them from the rest. Nobody has to label
anything: the protein is its own answer. To guess well the network must find out which residues go together,
which is how it comes to know about helices, membranes and binding sites without being told.

Of the chosen residues 80 % are hidden, 10 % replaced by a random residue and 10 % left as they are
(Devlin et al. 2019, arXiv 1810.04805; Lin et al. 2023, Science 379:1123).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy

from anfinsen.data.alphabet import MASKED_LETTER, RESIDUES, TOKENS
from anfinsen.data.batch import Batch, crop
from anfinsen.data.example import Example
from anfinsen.sets.catalog import Table
from anfinsen.sets.shards import Shards
from anfinsen.targets.base import UNKNOWN, Answer, Calibration, Floats, Tokens, softmax
from anfinsen.tasks.base import Published, Task

POSE_SEED = 20_000
"""Seed of the hidden residues in validation and benchmark."""
_RESIDUE_BYTES = numpy.frombuffer(RESIDUES.encode(), dtype=numpy.uint8)


@dataclass(frozen=True)
class MaskedTask(Task):
    """Guess hidden residues; `share` of them are chosen in each view, in windows of at most `window`.

    `shards` is the address of a packed corpus (`anfinsen pack`) that takes the place of the table.
    """

    share: float = 0.15
    window: int = 512
    shards: str = ""

    def examples(self, split: str) -> Sequence[Example]:
        return Shards.open(self.shards, split) if self.shards else super().examples(split)

    def prepare(self, example: Example, generator: numpy.random.Generator) -> Example:
        return hide(crop(example, self.window, generator), self.share, generator)

    def pose(self, example: Example, index: int) -> Example:
        return self.prepare(example, numpy.random.default_rng((POSE_SEED, index)))

    def answers(self, outputs: Sequence[Floats], examples: Sequence[Example], calibration: Calibration) -> list[Answer]:
        """How surprised the network is by the hidden residues: summed negative log-likelihood and their count."""
        answers: list[Answer] = []
        for output, example in zip(outputs, examples, strict=True):
            truth = self.target.encode(example)
            hidden = (truth != UNKNOWN).nonzero()[0]
            shares = softmax(output[hidden].astype(numpy.float64))[numpy.arange(len(hidden)), truth[hidden]]
            answers.append({"surprise": float(-numpy.log(shares).sum()), "count": len(hidden)})
        return answers

    def collate(self, examples: Sequence[Example]) -> Batch:
        batch = super().collate(examples)
        assert batch.target is not None
        # only hidden residues are asked, so the widest product of the network runs on 15 % of them
        chosen = (batch.target != UNKNOWN).nonzero()[:, 0]
        batch.chosen, batch.target = chosen, batch.target[chosen]
        return batch


def hide(example: Example, share: float, generator: numpy.random.Generator) -> Example:
    """The example with some residues hidden; its value is the true sequence, its mask what was chosen."""
    sequence = example.protein.sequence
    letters = numpy.frombuffer(sequence.encode(), dtype=numpy.uint8).copy()
    count = max(1, round(share * len(letters)))
    chosen = generator.choice(len(letters), size=count, replace=False)
    fate = generator.random(count)
    letters[chosen[fate < 0.8]] = ord(MASKED_LETTER)
    swapped = chosen[fate >= 0.9]
    letters[swapped] = generator.choice(_RESIDUE_BYTES, size=len(swapped))
    mask = numpy.full(len(letters), ord("0"), dtype=numpy.uint8)
    mask[chosen] = ord("1")
    hidden = replace(example.protein, sequence=letters.tobytes().decode())
    return Example(hidden, sequence, mask.tobytes().decode())


def _say(answer: Answer) -> str:
    return "The network's own guess for every residue of this protein."


TASK = MaskedTask(
    name="masked",
    title="Masked residues",
    question="Which residue would stand here?",
    explanation="Hide some residues of a real protein and guess them from the rest.",
    target=Tokens(letters=TOKENS, head="masked"),
    table=Table(
        "pretrain_corpus/part-*.parquet",
        splits={"train": ("train",), "valid": ("valid",)},
        title="404 thousand real proteins, near-duplicate-free",
        source="public proteome and task collections, listed in the corpus notes",
        licence="sequences: UniProt CC BY 4.0, NCBI, PDB CC0",
        drop="in_shared_test",
    ),
    metrics=("perplexity",),
    asks_relatives=True,
    tests=("valid",),
    say=_say,
    published=(
        Published("ESM-2 8M", "perplexity", 10.37, "OMGprot50 test (another set)", "Synthyra SpeedrunningPLMs"),
        Published("ESM-2 35M", "perplexity", 9.11, "OMGprot50 test (another set)", "Synthyra SpeedrunningPLMs"),
    ),
    terms={"perplexity": "Among how many residues the network still hesitates: 20 is blind guessing, 1 is certainty."},
)
