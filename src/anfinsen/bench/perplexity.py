"""Hidden residues and relatives: how far the language model still hesitates where a protein's family is heard.

    1,000 proteins, residues hidden -> network                                                   -> perplexity alone
                                    -> families found by what is shown -> listener               -> with known families
                                                                       -> their counts by themselves, no network

The families were gathered from the training part of the corpus, the listener was taught by other proteins of the
validation part (`benchmarks/relatives.py`). A hidden residue is unknown to the search and counted nowhere. This is
retrieval: what the network itself has learnt is the exam of the task, which asks it alone.
"""

from __future__ import annotations

import numpy

from anfinsen.bench.ngrams import LETTERS, letters_of, surprises, trust_in_shown
from anfinsen.bench.study import Question, Tell
from anfinsen.bench.suite import LANGUAGE_MODEL
from anfinsen.data.alphabet import RESIDUES
from anfinsen.data.draw import draw, draw_places
from anfinsen.errors import UnknownNameError
from anfinsen.hub.bundle import MASKED, Bundle
from anfinsen.hub.record import Score
from anfinsen.inference.predictor import with_family
from anfinsen.kinship.families import known_families
from anfinsen.kinship.family import Family
from anfinsen.kinship.kin import Kin
from anfinsen.models.fast import quicken
from anfinsen.targets.base import Floats
from anfinsen.targets.metrics import measure
from anfinsen.tasks import TASKS
from anfinsen.tasks.ask import ask

PROTEINS = 1000
FAMILIES = "known families, no network"
_SEED = 3
_HINTS = 1000
_FLOOR = 1e-4
"""The share of a letter that is none of the twenty."""


def kept_apart(count: int) -> list[int]:
    """The places of those of so many validation proteins that no listener is taught by."""
    return sorted(draw_places(count, None, seed=_SEED, in_order=False)[-PROTEINS:])


def perplexity_rows(bundle: Bundle, *, limit: int | None, tell: Tell) -> list[Score]:
    """Perplexity of hidden residues with known families, without, and of the families alone; `limit` takes fewer."""
    if MASKED not in bundle.network.listeners:
        raise UnknownNameError(f"listener in '{bundle.label}'", MASKED, bundle.network.listeners)
    task, (split,) = TASKS[MASKED], TASKS[MASKED].tests
    every, train = task.examples(split), task.examples("train")
    examples = [task.pose(every[place], place) for place in draw(kept_apart(len(every)), limit)]
    tell(f"{MASKED}: relatives of {len(examples):,} proteins are looked for by the residues that are shown.")
    kin, network = Kin(known_families()), quicken(bundle.network.eval())
    families = [kin.family(example.protein.sequence) for example in examples]
    outputs = list(ask(network, [task], examples))
    heard = [output | with_family(network, output, family) for output, family in zip(outputs, families, strict=True)]
    hints = [task.pose(train[place], place) for place in draw_places(len(train), _HINTS)]
    said = {
        f"{bundle.label}, with known families": task.answers([output[MASKED] for output in heard], examples, {}),
        f"{bundle.label}, alone": task.answers([output[MASKED] for output in outputs], examples, {}),
        FAMILIES: surprises(examples, map(_expected, families), trust_in_shown(hints)),
    }
    known = [place for place, family in enumerate(families) if family.relatives]
    rows = []
    for part, chosen in (("", range(len(examples))), (", those with relatives", known)):
        question = Question(LANGUAGE_MODEL, MASKED, task.table.name, f"{split}, kept apart{part}", "perplexity")
        posed = [examples[place] for place in chosen]
        for name, answers in said.items():
            rows.append(question.row(name, measure(question.metric, posed, [answers[place] for place in chosen])))
    return rows


def _expected(family: Family) -> Floats:
    """How often a family expects each letter, (L, LETTERS)."""
    shares = numpy.full((len(family.sequence), LETTERS), _FLOOR)
    shares[:, letters_of(RESIDUES)] = family.shares
    return shares
