"""What attention joins, against plain attention written anew, pairs counted by hand and structures made up for it."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy
import pytest
import torch
from torch import Tensor

from anfinsen.data.batch import pack
from anfinsen.data.example import Example
from anfinsen.explain.attention import NEAREST, Attention, _as_far_apart, look, measured
from anfinsen.explain.lens import Lens
from anfinsen.hub.bundle import default_bundle
from anfinsen.hub.record import Score
from anfinsen.models.network import Network
from anfinsen.sets.catalog import Table
from anfinsen.structure.backbone import from_alphas
from anfinsen.structure.protein import Protein
from anfinsen.targets.base import Label
from anfinsen.tasks.base import Task

SEQUENCE = "MKWVTFISLLFLFSSAYSRG"
TASK = Task(
    "pooled", "Pooled", "Which?", "Words.", Label(("a", "b", "c", "d")),
    Table("none/none.parquet", splits={}, title="A table", source="a paper", licence="CC0"),
    ("accuracy",), lambda answer: "It is so.",
)  # fmt: skip


@pytest.fixture
def network(tiny_network: Network) -> Network:
    """Heads that were never trained look everywhere alike; these are made loud."""
    from anfinsen.models.heads import make_head

    torch.manual_seed(3)
    tiny_network.heads["pooled"] = make_head("pooled", 32, 4)
    for weight in tiny_network.parameters():
        if weight.ndim > 1:
            torch.nn.init.normal_(weight, std=0.3)
    return tiny_network.eval()


def lens_of(network: Network, protein: Protein | None = None) -> Lens:
    return Lens(network, TASK, Example(protein or Protein("one", SEQUENCE)))


def test_parted_residues_do_not_see_each_other_and_all_others_do(
    network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    lens, first, second = lens_of(network), 3, 15
    whole = lens.of(lens.embedded)
    parted = torch.zeros(2, len(SEQUENCE), len(SEQUENCE), dtype=torch.bool)
    parted[1, first, second] = parted[1, second, first] = True
    found = lens.parting(parted)
    assert torch.allclose(found[0], whole[0], atol=1e-5)

    def plain(query: Tensor, key: Tensor, value: Tensor, lengths: list[int], scale: float) -> Tensor:
        looks = torch.einsum("qhc,khc->hqk", query, key) * scale
        looks[:, first + 1, second + 1] = looks[:, second + 1, first + 1] = -torch.inf  # <cls> stands before them
        return torch.einsum("hqk,khc->qhc", looks.softmax(-1), value)

    monkeypatch.setattr("anfinsen.models.encoder.attend", plain)
    assert torch.allclose(found[1], lens.of(lens.embedded)[0], atol=1e-5)
    assert abs(float(found[1] - whole[0])) > 1e-3


def strongest_first(network: Network) -> dict[tuple[int, int], float]:
    """Every pair with its strength, summed by hand over the heads."""
    (maps,) = network.body.encoder.attentions(*pack([SEQUENCE]))  # type: ignore[union-attr, operator]
    total = torch.zeros(len(SEQUENCE), len(SEQUENCE))
    for one in maps[:, 1:-1, 1:-1].detach():
        both = one + one.T
        total += both - both.sum(1, keepdim=True) * both.sum(0, keepdim=True) / both.sum()
    pairs = [(i, j) for i in range(len(SEQUENCE)) for j in range(i + NEAREST, len(SEQUENCE))]
    return {pair: float(total[pair]) / len(maps) for pair in sorted(pairs, key=lambda pair: -float(total[pair]))}


def test_the_strongest_pairs_are_those_of_the_mean_corrected_map(network: Network) -> None:
    found = look(lens_of(network), orders=3)
    best = list(strongest_first(network).items())[: len(SEQUENCE)]
    assert [tuple(pair) for pair in found.pairs.tolist()] == [pair for pair, _ in best]
    assert found.strengths == pytest.approx([strength for _, strength in best], abs=1e-5)
    assert found.contacts is None, "no structure came"


def test_random_pairs_are_as_far_apart_as_those_they_stand_for() -> None:
    first, second = numpy.triu_indices(40, NEAREST)
    tested = numpy.random.default_rng(1).permutation(len(first))[:80]
    drawn = _as_far_apart(second - first, tested, 5)
    assert len({tuple(one) for one in drawn}) == 5
    for one in drawn:
        assert len(set(one.tolist())) == len(tested)
        assert ((second - first)[one] == (second - first)[tested]).all()


def test_pairs_that_touch_are_counted_beside_the_nearest_along_the_chain(network: Network) -> None:
    places = numpy.cumsum(numpy.random.default_rng(2).normal(size=(len(SEQUENCE), 3)) * 2.2, axis=0)
    places[7] = numpy.nan
    protein = Protein("one", SEQUENCE, backbone=from_alphas(places))
    found = look(lens_of(network, protein), orders=3)
    apart = numpy.linalg.norm(places[:, None] - places[None], axis=-1)
    known = [(i, j) for i in range(20) for j in range(i + NEAREST, 20) if 7 not in (i, j)]
    strongest = [pair for pair in strongest_first(network) if pair in known][:20]
    nearest = [numpy.mean([apart[i, j] < 8 for i, j in known if j - i == gap]) for gap in (6, 7)]
    contacts = found.contacts
    assert contacts is not None and contacts.count == 20
    assert contacts.share == pytest.approx(numpy.mean([apart[pair] < 8 for pair in strongest]))
    six = sum(j - i == 6 for i, j in known)
    assert contacts.nearest == pytest.approx((six * nearest[0] + (20 - six) * nearest[1]) / 20)
    assert contacts.all_pairs == pytest.approx(numpy.mean([apart[pair] < 8 for pair in known]))
    assert 0 < contacts.low <= contacts.share <= contacts.high < 1
    assert "says no more about contacts than the distance along the chain" in contacts.sentence
    better = replace(contacts, low=contacts.nearest + 0.1)
    assert "says more about contacts" in better.sentence


def test_pairs_are_called_reasons_only_where_random_ones_do_less(network: Network) -> None:
    found = look(lens_of(network), orders=3)

    def told(score: float) -> str:
        return Attention.sentences(replace(found, faithfulness=replace(found.faithfulness, score=score)), SEQUENCE)[1]

    assert told(found.faithfulness.high + 1).startswith("The answer rests on such pairs.")
    assert told(found.faithfulness.low).startswith("Do not read these pairs as reasons.")
    assert found.faithfulness.deletion[0] == pytest.approx(0.0, abs=1e-4), "nothing parted, nothing moved"
    assert (found.faithfulness.deletion[1:] < 0).all()


def test_how_little_attention_knows_is_read_from_the_bundles_own_scores() -> None:
    told = json.loads((default_bundle() / "bundle.json").read_text(encoding="utf-8"))
    scores = [Score.build(row) for record in told["tasks"].values() for row in record["scores"]]
    ours = next(score for score in scores if score.task == "contacts" and score.metric == "P@L" and score.is_ours)
    told = measured(scores)
    assert told.startswith("This model's attention knows little of contacts")
    assert f"{ours.value:.3f} touch ({ours.low:.3f} to {ours.high:.3f}, {ours.n} proteins" in told
    assert "was not measured" in measured([])
