"""Hidden residues where relatives are heard: nothing hidden is seen, and who hears the family guesses better."""

from __future__ import annotations

import numpy
import pytest
import torch

from anfinsen.bench import perplexity
from anfinsen.data.alphabet import MASKED_LETTER, RESIDUES
from anfinsen.data.example import Example
from anfinsen.data.substitutions import places_of
from anfinsen.hub.bundle import Bundle
from anfinsen.hub.record import TaskRecord
from anfinsen.inference.predictor import answer
from anfinsen.inference.variants import look_around
from anfinsen.kinship.collection import Collection
from anfinsen.kinship.family import EVIDENCE, Family
from anfinsen.kinship.kin import Kin
from anfinsen.models.encoder import Encoder, EncoderConfig
from anfinsen.models.listening import PlaceListener, listeners_from, new_listener
from anfinsen.models.network import NativeBody, Network
from anfinsen.structure.protein import Protein
from anfinsen.tasks import TASKS
from anfinsen.training.listening import Heard, heard, teach

MASKED = TASKS["masked"]
COUNT = 30


def kindred(number: int) -> list[str]:
    """A protein of 80 residues and nine relatives, each with every seventh residue changed."""
    generator = numpy.random.default_rng(number)
    first = generator.integers(0, 20, 80)
    rows = [first]
    for step in range(9):
        rows.append(numpy.where(numpy.arange(80) % 7 == step % 7, generator.integers(0, 20, 80), first))
    return ["".join(RESIDUES[at] for at in row) for row in rows]


def lessons() -> list[Heard]:
    """Residues hidden as the benchmark hides them, a head that knows nothing, and a family without what is hidden."""
    made = []
    for number in range(COUNT):
        posed = MASKED.pose(Example(Protein(f"p{number}", kindred(number)[0])), number)
        kin = Kin(Collection.of("nine", kindred(number)[1:]))
        said = numpy.zeros((80, MASKED.target.size), dtype=numpy.float32)
        made.append(Heard(posed, said, kin.family(posed.protein.sequence)))
    return made


def test_a_hidden_residue_is_counted_nowhere_and_its_relatives_are() -> None:
    sequence = kindred(1)[0]
    hidden = sequence[:30] + MASKED_LETTER + sequence[31:]
    shown, blind = (Kin(Collection.of("itself", [sequence])).family(one) for one in (sequence, hidden))
    alone = Kin(Collection.of("strangers", ["MKT" * 30])).family(hidden)
    assert shown.depth[30] == pytest.approx(shown.depth[29]) and 0 < blind.depth[30] < blind.depth[29]
    assert alone.depth[30] == 0 and alone.depth[29] == 1


def test_a_listener_guesses_hidden_residues_by_what_relatives_have_there() -> None:
    made = lessons()
    taught = teach(MASKED, made[: COUNT // 2], steps=100)
    others = made[COUNT // 2 :]
    examples = [lesson.example for lesson in others]

    def surprise(outputs: list[numpy.ndarray]) -> float:
        said = MASKED.answers(outputs, examples, {})
        return float(sum(one["surprise"] for one in said) / sum(one["count"] for one in said))

    assert surprise([lesson.said for lesson in others]) == pytest.approx(numpy.log(MASKED.target.size))
    assert surprise(heard(taught, others)) < 1.5


def test_a_listener_for_hidden_residues_begins_as_nothing_judges_place_by_place_and_is_kept() -> None:
    new = new_listener("masked", 33, EVIDENCE).eval()
    outputs, evidence = torch.randn(9, 33), torch.randn(9, EVIDENCE)
    assert isinstance(new, PlaceListener) and torch.equal(new(outputs, evidence, [9]), outputs)
    torch.nn.init.normal_(new.out.weight)
    kept = listeners_from({f"masked.{name}": weight for name, weight in new.state_dict().items()})["masked"].eval()
    together = kept(outputs, evidence, [9])
    assert torch.allclose(together, new(outputs, evidence, [9]))
    assert torch.allclose(together[4:5], kept(outputs[4:5], evidence[4:5], [1]), atol=1e-5)


def test_the_benchmark_asks_the_network_alone_with_families_and_the_families_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    torch.manual_seed(1)
    config = EncoderConfig(layers=1, dim=16, heads=2, inner_dim=32)
    network = Network(NativeBody(Encoder(config), config.dim, config.longest), {"masked": MASKED.shape})
    network.listeners["masked"] = teach(MASKED, lessons(), steps=30)
    bundle = Bundle("tiny", network.eval(), {"masked": TaskRecord(kind="masked", size=MASKED.target.size)})
    proteins = [Example(Protein(f"p{number}", kindred(number)[0])) for number in range(12)]
    relatives = Collection.of("all", [one for number in range(8) for one in kindred(number)[1:]])
    monkeypatch.setattr(type(MASKED), "examples", lambda task, split: proteins)
    monkeypatch.setattr(perplexity, "known_families", lambda: relatives)
    monkeypatch.setattr(perplexity, "PROTEINS", 10)
    told: list[str] = []
    rows = {(row.model, row.split): row for row in perplexity.perplexity_rows(bundle, limit=None, tell=told.append)}
    (every, known) = dict.fromkeys(split for _, split in rows)
    ours, alone = f"{bundle.label}, with known families", f"{bundle.label}, alone"
    assert {row.n for (_, split), row in rows.items() if split == every} == {10} and "10 proteins" in told[0]
    assert rows[ours, known].n in range(6, 9) and rows[ours, known].value < rows[alone, known].value
    assert rows[perplexity.FAMILIES, known].value < rows[alone, known].value
    posed = [MASKED.pose(proteins[place], place) for place in perplexity.kept_apart(12)]
    exam = answer(bundle, MASKED, posed, Kin(relatives))  # the exam of the task is the network's own
    mean = sum(one["surprise"] for one in exam) / sum(one["count"] for one in exam)
    assert numpy.exp(mean) == pytest.approx(rows[alone, every].value)


def test_a_scan_hears_relatives_at_places_whose_own_residue_is_hidden() -> None:
    torch.manual_seed(1)
    config = EncoderConfig(layers=1, dim=16, heads=2, inner_dim=32)
    network = Network(NativeBody(Encoder(config), config.dim, config.longest), {"masked": MASKED.shape}).eval()
    first, *others = kindred(3)
    other = "W" + first[1:]
    families = [Family.of(one, [places_of(relative) for relative in others]) for one in (first, other)]
    deaf = look_around(network, first, family=families[0])
    assert numpy.allclose(numpy.exp(deaf.family), families[0].apart.shares)
    network.listeners["masked"] = new_listener("masked", MASKED.target.size, EVIDENCE).eval()
    assert numpy.allclose(look_around(network, first, family=families[0]).family, deaf.log_likelihood, atol=1e-5)
    torch.nn.init.normal_(network.listeners["masked"].direct.weight, std=0.3)  # type: ignore[union-attr,arg-type]
    heard, swapped = (
        look_around(network, *one).family for one in ((first, None, families[0]), (other, None, families[1]))
    )
    assert abs(heard[0] - deaf.log_likelihood[0]).max() > 0.1
    assert numpy.allclose(heard[0], swapped[0], atol=0.02)  # what stands there says nothing
    assert (look_around(network, first, family=Family.of(first, [])).family == 0).all()


def test_no_protein_that_teaches_is_judged() -> None:
    assert len(perplexity.kept_apart(3855)) == perplexity.PROTEINS and perplexity.kept_apart(20) == list(range(20))
