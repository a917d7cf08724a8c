"""Variants as text, and masked marginals against `transformers` with the same random weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy
import pytest
import torch
from biotite.sequence.align import SubstitutionMatrix
from scipy.stats import spearmanr
from transformers import EsmConfig, EsmForMaskedLM

from anfinsen.bench.variants import blosum62, log_odds, residue_shares
from anfinsen.data.alphabet import MASK, PAD, RESIDUES, TOKENS
from anfinsen.data.batch import pack
from anfinsen.data.example import Example
from anfinsen.data.variants import mutate, parse_variant
from anfinsen.errors import BundleError, InputError
from anfinsen.inference import variants
from anfinsen.inference.variants import marginals, score_variants
from anfinsen.models.network import HeadShape, NativeBody, Network
from anfinsen.models.public import from_public
from anfinsen.structure.protein import Protein
from anfinsen.targets.metrics import measure

SEQUENCE = "MKTAYIAKQRQISFVKSHFSRQ"


@pytest.fixture(scope="module")
def theirs() -> Any:
    torch.manual_seed(5)
    shape = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 48}
    tokens = {"vocab_size": len(TOKENS), "mask_token_id": MASK, "pad_token_id": PAD}
    config = EsmConfig(**shape, **tokens, position_embedding_type="rotary", token_dropout=True)
    model: Any = EsmForMaskedLM(config)
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(torch.randn_like(weight) * 0.2)
    return model.eval()


@pytest.fixture(scope="module")
def ours(theirs: Any) -> Network:
    """The same weights as a network that reads windows of 24 residues."""
    encoder, head = from_public(theirs.config.to_dict(), theirs.state_dict())
    assert head is not None
    network = Network(NativeBody(encoder, 32, 26), {"masked": HeadShape("masked", len(TOKENS))})
    network.heads["masked"] = head
    return network.eval()


def hidden_one_by_one(theirs: Any, sequence: str, place: int) -> numpy.ndarray[Any, Any]:
    """Their log-probabilities of the twenty residues at one hidden place, less that of the wild type: (20,)."""
    tokens, _ = pack([sequence])
    tokens[place + 1] = MASK
    with torch.no_grad():
        logs = theirs(tokens[None]).logits[0, place + 1].log_softmax(-1).numpy()
    there = logs[TOKENS.index(sequence[place])]
    return numpy.array([logs[TOKENS.index(residue)] - there for residue in RESIDUES])


def test_masked_marginals_are_those_of_transformers(
    theirs: Any, ours: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = numpy.stack([hidden_one_by_one(theirs, SEQUENCE, place) for place in range(len(SEQUENCE))])
    for budget in (1, 3 * (len(SEQUENCE) + 2), 10_000):
        monkeypatch.setattr(variants, "BUDGET", budget)
        assert numpy.abs(marginals(ours, SEQUENCE) - expected).max() <= 1e-4
    assert numpy.abs(marginals(ours, SEQUENCE, [5, 1]) - expected[[4, 0]]).max() <= 1e-4
    assert expected.std() > 0.1


def test_a_long_protein_is_read_in_a_window_around_each_residue(theirs: Any, ours: Network) -> None:
    sequence = SEQUENCE * 3
    found = marginals(ours, sequence, [1, 33, 66])
    for row, (place, start) in zip(found, [(0, 0), (32, 20), (65, 42)], strict=True):
        expected = hidden_one_by_one(theirs, sequence[start : start + 24], place - start)
        assert numpy.abs(row - expected).max() <= 1e-4


def test_wild_type_marginals_hide_nothing(theirs: Any, ours: Network) -> None:
    tokens, _ = pack([SEQUENCE])
    with torch.no_grad():
        logs = theirs(tokens[None]).logits[0, 1:-1].log_softmax(-1).numpy()
    there = logs[numpy.arange(len(SEQUENCE)), [TOKENS.index(residue) for residue in SEQUENCE]]
    expected = logs[:, [TOKENS.index(residue) for residue in RESIDUES]] - there[:, None]
    assert numpy.abs(marginals(ours, SEQUENCE, method="wild-type") - expected).max() <= 1e-4


def test_a_rare_wild_type_has_no_scores_and_a_standard_one_scores_zero(ours: Network) -> None:
    scores = marginals(ours, "MAXK")
    assert numpy.isnan(scores).all(axis=1).tolist() == [False, False, True, False]
    assert scores[0, RESIDUES.index("M")] == 0


def test_several_mutations_add_up(ours: Network) -> None:
    scores = marginals(ours, SEQUENCE)
    one, other, both = (parse_variant(text, SEQUENCE) for text in ("K2R", "Y5F", "Y5F:K2R"))
    single = score_variants(scores, [one, other])
    assert score_variants(scores, [both])[0] == pytest.approx(single.sum())
    assert single[0] == pytest.approx(scores[1, RESIDUES.index("R")])


def test_a_model_without_the_head_is_refused(ours: Network) -> None:
    with pytest.raises(BundleError) as error:
        marginals(Network(ours.body, {}), SEQUENCE)
    assert str(error.value) == (
        "This model cannot say which residue it expects: it has no head for masked residues. "
        "Give a bundle that was trained on the task 'masked'."
    )


def test_rivals_without_context_are_what_they_are_called() -> None:
    matrix = SubstitutionMatrix.std_protein_matrix()
    table = blosum62("WA")
    assert table[0, RESIDUES.index("G")] == matrix.get_score("W", "G") - matrix.get_score("W", "W")
    assert table[1, RESIDUES.index("A")] == 0
    shares = residue_shares(["A" * 59 + "W" * 19, "X" * 50 + "A" * 20 + "W" * 10])
    assert shares[RESIDUES.index("A")] == pytest.approx(80 / 128)
    assert log_odds("AW", shares)[:, RESIDUES.index("W")] == pytest.approx([numpy.log(30 / 80), 0])


def test_the_rank_correlation_is_that_of_scipy() -> None:
    generator = numpy.random.default_rng(4)
    effects, scores = generator.normal(size=300).round(1), generator.integers(0, 9, 300)
    truths = [Example(Protein("v", "MK"), float(effect)) for effect in effects]
    found = measure("spearman", truths, [{"value": float(score)} for score in scores], resamples=50)
    assert found.value == pytest.approx(spearmanr(effects, scores).statistic)


# The text -----------------------------------------------------------------------------------------------------------


def test_a_variant_is_read_checked_and_written_again() -> None:
    variant = parse_variant("K8R:A4V", "MKTAYIAKQ")
    assert [str(change) for change in variant] == ["A4V", "K8R"]
    assert mutate("MKTAYIAKQ", variant) == "MKTVYIARQ"
    assert parse_variant("G126A", "GNI", first=126)[0].position == 1


OUTSIDE = "Correct the number; positions count on the given sequence."
EXAMPLE = "Write it as A123V, or A123V:K45R for two changes."


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("A3V", "position 3: 'A3V': residue 3 is K, not A. Residue 2 is A. "
         "Check that positions count from 1 on the given sequence."),
        ("W3V", "position 3: 'W3V': residue 3 is K, not W. Check that positions count from 1 on the given sequence."),
        ("A2V:A9V", f"'A9V' is outside the sequence, whose residues are numbered 1 to 3. {OUTSIDE}"),
        ("M0A", f"'M0A' is outside the sequence, whose residues are numbered 1 to 3. {OUTSIDE}"),
        ("A2X", f"position 2: 'A2X': X is none of the twenty standard residues. Choose one of {RESIDUES}."),
        ("A2V:A2L", "position 2: 'A2V:A2L' changes residue 2 twice. Keep one of the two changes."),
        ("a2v", "'a2v' is no variant. Did you mean 'A2V'?"),
        ("2V", "'2V' is no variant. Did you mean 'A2V'?"),
        ("p.Ala2Val", "'p.Ala2Val' is no variant. Did you mean 'A2V'?"),
        ("A2V,K3R", "'A2V,K3R' is no variant. Did you mean 'A2V:K3R'?"),
        ("A2V K3R", "'A2V K3R' is no variant. Did you mean 'A2V:K3R'?"),
        ("A2V:", "'A2V:' is no variant. Did you mean 'A2V'?"),
        ("", f"'' is no variant. {EXAMPLE}"),
        ("A2*", f"'A2*' is no variant. {EXAMPLE}"),
        ("A2del", f"'A2del' is no variant. {EXAMPLE}"),
        ("A٢V", f"'A٢V' is no variant. {EXAMPLE}"),
        ("A2\x1b[31mV", f"'A2�[31mV' is no variant. {EXAMPLE}"),
        ("9Z", f"'9Z' is no variant. {EXAMPLE}"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused_with_what_can(text: str, sentence: str) -> None:
    with pytest.raises(InputError) as error:
        parse_variant(text, "MAK")
    assert str(error.value) == sentence


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: parse_variant("126A", "GNI", first=126), "'126A' is no variant. Did you mean 'G126A'?"),
        (
            lambda: parse_variant("G1A", "GNI", first=126),
            f"'G1A' is outside the sequence, whose residues are numbered 126 to 128. {OUTSIDE}",
        ),
        (
            lambda: parse_variant("G127A", "GNI", first=126),
            "position 2: 'G127A': residue 127 is N, not G. Residue 126 is G. "
            "Check that positions count from 126 on the given sequence.",
        ),
    ],
)
def test_a_table_that_counts_otherwise_is_answered_in_its_own_numbers(call: Callable[[], Any], sentence: str) -> None:
    with pytest.raises(InputError) as error:
        call()
    assert str(error.value) == sentence
