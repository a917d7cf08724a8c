"""Contact precision against `transformers`, against counting by hand, and with attention that was planted."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations
from pathlib import Path

import numpy
import polars
import pytest
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn
from transformers import EsmConfig, EsmForMaskedLM

from anfinsen.bench.contacts import BASELINES, Describe, Pairs, contact_rows, fit, pairs_of, precision
from anfinsen.data.alphabet import CLS, EOS, RESIDUES, TOKENS, decode
from anfinsen.data.batch import pack
from anfinsen.data.example import Example
from anfinsen.errors import MissingDataError, UsageError
from anfinsen.hub.bundle import Bundle
from anfinsen.models.contacts import correct, evidence, symmetrise
from anfinsen.models.encoder import Encoder, EncoderConfig
from anfinsen.models.network import NativeBody, Network
from anfinsen.models.public import from_public
from anfinsen.sets.coordinates import load_chains
from anfinsen.structure.protein import Protein
from anfinsen.targets.metrics import measure

GENERATOR = numpy.random.default_rng(6)
SIDE = 5


# The evidence -------------------------------------------------------------------------------------------------------


def test_the_average_product_is_taken_from_every_pair() -> None:
    one = GENERATOR.random((4, 4))
    corrected = correct(torch.tensor(one))
    for i in range(4):
        for j in range(4):
            expected = one[i, j] - sum(one[i]) * sum(one[:, j]) / one.sum()
            assert corrected[i, j].item() == pytest.approx(expected)
    assert correct(torch.tensor(numpy.outer([1.0, 2.0, 3.0], [3.0, 1.0, 2.0]))).abs().max() < 1e-12
    assert symmetrise(torch.tensor([[0.0, 1.0], [2.0, 5.0]])).tolist() == [[0.0, 3.0], [3.0, 10.0]]


def test_the_evidence_is_that_of_transformers_contact_head() -> None:
    """Their head is a logistic regression; with the weight on one head of one layer it shows that head's evidence."""
    torch.manual_seed(3)
    config = EsmConfig(
        vocab_size=len(TOKENS),
        mask_token_id=TOKENS.index("<mask>"),
        pad_token_id=TOKENS.index("<pad>"),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=48,
        position_embedding_type="rotary",
        token_dropout=True,
        attn_implementation="eager",
    )
    theirs = EsmForMaskedLM(config).eval()
    with torch.no_grad():
        for name, weight in theirs.named_parameters():
            weight.add_(torch.randn_like(weight) * (0.5 if "query" in name or "key" in name else 0.1))
    encoder, _ = from_public(config.to_dict(), theirs.state_dict())
    tokens, lengths = pack(["MKVLAWYDERSTPGHC"])
    regression = theirs.esm.contact_head.regression
    with torch.no_grad():
        ours = list(evidence(encoder.eval(), tokens))
        assert len(ours) == regression.in_features == 4
        for head, map_of_head in enumerate(ours):
            regression.weight.zero_()
            regression.bias.zero_()
            regression.weight[0, head] = 1.0
            shown = theirs.predict_contacts(tokens[None], torch.ones(1, lengths[0]))[0]
            assert map_of_head.shape == shown.shape == (16, 16)
            assert torch.allclose(map_of_head, shown.logit(), atol=1e-5)


# The score ----------------------------------------------------------------------------------------------------------


def counted(scores: NDArray[numpy.float64], touching: NDArray[numpy.bool_], length: int, part: int) -> float:
    """Long-range precision by hand, from square matrices: sort all pairs i < j - 23, count among the surest."""
    pairs = [(scores[i, j], touching[i, j]) for i in range(length) for j in range(i + 24, length)]
    pairs.sort(key=lambda pair: -pair[0])
    count = int(length / part)
    return sum(bool(touches) for _, touches in pairs[:count]) / count


@pytest.mark.parametrize("part", [1, 5])
@pytest.mark.parametrize("length", [30, 60, 101])
def test_precision_is_what_counting_by_hand_gives(length: int, part: int) -> None:
    scores = GENERATOR.normal(size=(length, length))
    touching = GENERATOR.random((length, length)) < 0.3
    one, two = numpy.triu_indices(length, 24)
    found = precision(scores[one, two], touching[one, two], length // part)
    assert found == pytest.approx(counted(scores, touching, length, part))


def cumulative(scores: NDArray[numpy.float64], touching: NDArray[numpy.bool_], length: int) -> dict[int, float]:
    """The definition of facebookresearch/esm (contact_prediction.ipynb): hits summed down the ranking, read off at
    each tenth of L and divided by the place; zeros where the ranking ends before."""
    one, two = numpy.triu_indices(length, 24)
    ranked = touching[one, two][numpy.argsort(-scores[one, two])]
    hits = numpy.concatenate((ranked, numpy.zeros(length, dtype=bool)))[:length].cumsum()
    tenths = (torch.arange(0.1, 1.1, 0.1) * length).long().numpy() - 1
    at_tenths = hits[tenths] / (tenths + 1)
    return {5: at_tenths[1], 1: at_tenths[9]}


@pytest.mark.parametrize("length", [25, 31, 44, 77, 140, 199])
def test_precision_is_the_published_definition(length: int) -> None:
    scores = GENERATOR.normal(size=(length, length))
    touching = GENERATOR.random((length, length)) < 0.3
    one, two = numpy.triu_indices(length, 24)
    for part, expected in cumulative(scores, touching, length).items():
        assert precision(scores[one, two], touching[one, two], length // part) == pytest.approx(expected)


def test_ties_count_by_their_chance() -> None:
    """The mean over every order in which equal scores could have come."""
    scores = numpy.array([2.0, 1.0, 1.0, 1.0, 0.0])
    touching = numpy.array([True, True, False, False, True])
    orders = [touching[[0, *order, 4]][:3].mean() for order in permutations((1, 2, 3))]
    assert precision(scores, touching, 3) == pytest.approx(numpy.mean(orders))


def test_a_protein_without_enough_pairs_is_divided_by_what_was_asked() -> None:
    touching = numpy.array([True, True, False])
    assert precision(numpy.array([1.0, 2.0, 3.0]), touching, 10) == pytest.approx(0.2)
    assert precision(numpy.array([]), numpy.array([], dtype=bool), 10) == 0.0
    assert precision(numpy.array([1.0]), numpy.array([True]), 0) == 0.0


def test_other_answers_have_no_contact_precision() -> None:
    with pytest.raises(UsageError) as error:
        measure("P@L", [Example(Protein("p", "A"), 1.0)], [{"value": 1.0}])
    assert str(error.value) == "P@L is the score of contact maps. Leave it out for this task."


def test_drawn_pairs_weigh_as_much_as_all_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    truth = GENERATOR.random(20_000) < 0.05
    column = (GENERATOR.normal(size=20_000) + 2.0 * truth)[:, None]
    pairs = Pairs("p", "A", 1, *(numpy.zeros(20_000, dtype=numpy.int64) for _ in range(3)), truth)
    monkeypatch.setattr("anfinsen.bench.contacts.NON_CONTACTS", 20_000)
    every = fit(lambda asked: column, [pairs])
    monkeypatch.setattr("anfinsen.bench.contacts.NON_CONTACTS", 4_000)
    some = fit(lambda asked: column, [pairs])
    assert some.coef_[0, 0] == pytest.approx(every.coef_[0, 0], rel=0.1)
    assert some.intercept_[0] == pytest.approx(every.intercept_[0], rel=0.05)


# The whole way ------------------------------------------------------------------------------------------------------


class Seer(Encoder):
    """An encoder one of whose heads looks exactly at the contacts; the others look anywhere."""

    def __init__(self, config: EncoderConfig, known: dict[str, NDArray[numpy.bool_]]) -> None:
        super().__init__(config)
        self.known = known

    def attentions(self, tokens: Tensor, lengths: Sequence[int]) -> list[Tensor]:
        assert (tokens[0], tokens[-1], lengths) == (CLS, EOS, [len(tokens)])
        seen = self.known[decode(tokens[1:-1].numpy())]
        maps = torch.rand(4, len(tokens), len(tokens), generator=torch.Generator().manual_seed(len(tokens)))
        maps[2] = 0.0
        maps[2, 1:-1, 1:-1] = torch.from_numpy(seen).float().triu()
        return [maps]


def cube(jitter: float) -> NDArray[numpy.float64]:
    """A chain that fills a cube to and fro, 3.9 Å a step: the CA of 125 residues, most of them deep in contacts."""
    places = []
    for z in range(SIDE):
        for y in range(SIDE) if z % 2 == 0 else reversed(range(SIDE)):
            steps = range(SIDE) if (y + z) % 2 == 0 else reversed(range(SIDE))
            places += [(x, y, z) for x in steps]
    return 3.9 * numpy.array(places) + GENERATOR.normal(size=(SIDE**3, 3)) * jitter


@pytest.fixture
def known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, NDArray[numpy.bool_]]:
    """Tables of 6 training chains and 4 targets, one of which lacks residues; the contacts of each by what is read."""
    rows, targets, found = [], [], {}
    for number in range(10):
        whole = "".join(GENERATOR.choice(list(RESIDUES), SIDE**3))
        seen = numpy.r_[10:40, 60:125] if number == 9 else numpy.arange(SIDE**3)
        points = cube(0.1)
        touching = numpy.linalg.norm(points[:, None] - points[None], axis=-1) < 8.0
        found[whole] = touching
        atoms = points[seen, None] + numpy.array([[1.0, 0, 0], [0, 0, 0], [0, 1.0, 0], [0, 1.5, 0], [0, 0, 0]])
        is_target = number >= 6
        name = f"{number}xyz.A"
        targets += [{"name": f"{name}.pdb", "seqres": whole}] if is_target else []
        rows.append(
            {
                "id": f"eigenfold:{name}",
                "source": "eigenfold",
                "seq": "".join(whole[place] for place in seen),
                "resnum": (seen + 5).astype("<i4").tobytes(),
                "icodes": "",
                "atoms": "bb5",
                "coords": numpy.round(atoms * 100).astype("<i2").tobytes(),
                "center": [0.0, 0.0, 0.0],
                # the first training chain is of a target's cluster, as must never happen in the tables
                "cluster": 6 if number == 0 else number,
                "split": "test" if is_target else "train",
                "cameo2022_dev": is_target,
                "representative": True,
            }
        )
    (tmp_path / "structures").mkdir()
    table = polars.DataFrame(rows)
    table[:5].write_parquet(tmp_path / "structures" / "chains_more.parquet")
    table[5:].write_parquet(tmp_path / "structures" / "chains.parquet")
    polars.DataFrame(targets).write_csv(tmp_path / "structures" / "cameo2022_dev.csv")
    monkeypatch.setenv("ANFINSEN_DATA", str(tmp_path))
    return found


def seeing(config: EncoderConfig, known: dict[str, NDArray[numpy.bool_]]) -> Network:
    return Network(NativeBody(Seer(config, known), config.dim, config.longest), {}).eval()


def test_planted_contacts_are_found_and_the_baselines_do_not_know_them(
    known: dict[str, NDArray[numpy.bool_]], tiny_encoder: EncoderConfig
) -> None:
    told: list[str] = []
    rows = contact_rows(Bundle("anfinsen-seer", seeing(tiny_encoder, known)), limit=None, tell=told.append)
    values = {(row.model, row.metric): row.value for row in rows}
    assert values["anfinsen-seer", "P@L"] > 0.98
    assert values["anfinsen-seer", "P@L/5"] == 1.0
    for name in BASELINES:
        assert values[name, "P@L"] < 0.8
    ours = rows[0]
    assert (ours.suite, ours.task, ours.dataset, ours.split) == (
        "language-model",
        "contacts",
        "chains",
        "cameo2022-dev",
    )
    assert (ours.metric, ours.n, ours.published) == ("P@L", 4, False)
    assert ours.low is not None and ours.high is not None
    assert ours.low <= ours.value <= ours.high
    assert [(row.model, row.value, row.split) for row in rows if row.published] == [
        ("ESM-2 8M", 0.157, "CAMEO Apr-Jun 2022 (another set)"),
        ("ESM-2 35M", 0.284, "CAMEO Apr-Jun 2022 (another set)"),
    ]
    assert [(row.model, row.metric) for row in rows if not row.published] == [
        (model, metric) for model in ("anfinsen-seer", *BASELINES) for metric in ("P@L", "P@L/5")
    ]
    # the chain of a target's cluster is not among them
    assert told[0].startswith("contacts: fitted on 1 x 5 training structures, scored on 4 targets; ")


def test_the_rows_are_the_same_on_every_run_and_a_limit_draws_targets(
    known: dict[str, NDArray[numpy.bool_]], tiny_encoder: EncoderConfig
) -> None:
    network = seeing(tiny_encoder, known)
    runs = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        runs.append(contact_rows(Bundle("anfinsen-seer", network), limit=2, tell=lambda sentence: None))
    assert runs[0] == runs[1]
    assert {row.n for row in runs[0] if not row.published} == {2}


def test_every_regression_has_structures_of_its_own(
    known: dict[str, NDArray[numpy.bool_]], tiny_encoder: EncoderConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[list[str]] = []
    as_it_is = fit

    def noted(describe: Describe, structures: Sequence[Pairs]) -> LogisticRegression:
        asked.append([pairs.id for pairs in structures])
        return as_it_is(describe, structures)

    monkeypatch.setattr("anfinsen.bench.contacts.STRUCTURES", 2)
    monkeypatch.setattr("anfinsen.bench.contacts.fit", noted)
    told: list[str] = []
    contact_rows(Bundle("anfinsen-seer", seeing(tiny_encoder, known)), limit=None, tell=told.append)
    assert told[0].startswith("contacts: fitted on 2 x ")
    assert len(asked) == 2 * 3
    assert asked[0] and asked[1] and not set(asked[0]) & set(asked[1])
    assert asked[:2] == asked[2:4] == asked[4:]


def test_only_seen_pairs_are_judged_and_unseen_residues_count_in_their_separation(
    known: dict[str, NDArray[numpy.bool_]],
) -> None:
    target = load_chains("test", targets=True)[3]
    pairs = pairs_of(target, 24)
    assert (len(target), pairs.length, len(pairs.text)) == (95, 95, 125)
    assert (pairs.separation == pairs.second - pairs.first).all()
    seen = set(range(10, 40)) | set(range(60, 125))
    assert set(pairs.first) | set(pairs.second) <= seen
    assert len(pairs.first) == sum(b - a >= 24 for a in seen for b in seen)
    assert (pairs.touching == known[pairs.text][pairs.first, pairs.second]).mean() > 0.99
    # 39 and 63 are neighbours but four among the residues seen
    assert ((pairs.first == 39) & (pairs.second == 63)).any()


def test_a_body_without_attention_maps_is_passed_over_in_words() -> None:
    body = nn.Linear(2, 2)
    body.dim = 2  # type: ignore[assignment]
    told: list[str] = []
    assert contact_rows(Bundle("other", Network(body, {})), limit=None, tell=told.append) == []
    assert told == ["contacts is passed over: this body gives no attention maps. Take our own encoder or an ESM-2."]


def test_tables_that_are_not_here_are_named(
    tiny_encoder: EncoderConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANFINSEN_DATA", str(tmp_path))
    with pytest.raises(MissingDataError, match=r"^The table 'structures/chains\.parquet' \(4,270 protein chains"):
        contact_rows(Bundle("anfinsen-seer", seeing(tiny_encoder, {})), limit=None, tell=lambda sentence: None)
