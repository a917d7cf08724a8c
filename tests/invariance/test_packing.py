"""A protein's answer is its own: whoever stands beside it in the packed row, in whatever order, by whichever kernel."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from anfinsen.data.batch import pack
from anfinsen.models import attention
from anfinsen.models.attention import attend
from anfinsen.models.encoder import Encoder, EncoderConfig
from anfinsen.models.heads import ChainConvolution, MaskedHead, PooledHead, ResidueHead
from anfinsen.models.network import NativeBody

LENGTHS = [7, 1, 40, 40, 1, 13, 40]


def make_sequences(lengths: Sequence[int], seed: int = 1) -> list[str]:
    """Random proteins, some residues hidden."""
    generator = numpy.random.default_rng(seed)
    return ["".join(generator.choice(list("ACDEFGHIKLMNPQRSTVWYX##"), length)) for length in lengths]


def randomise(module: nn.Module, strength: float) -> None:
    """Every weight random, also in the norms, and large enough to matter."""
    torch.manual_seed(11)
    with torch.no_grad():
        for weight in module.parameters():
            weight.add_(torch.randn_like(weight) * strength)


def make_body(token_dropout: bool = True) -> NativeBody:
    config = EncoderConfig(layers=3, dim=32, heads=4, inner_dim=64, token_dropout=token_dropout)
    body = NativeBody(Encoder(config), config.dim, config.longest)
    randomise(body, 0.15)
    return body.eval()


HEADS: dict[str, Callable[[], nn.Module]] = {
    "masked": lambda: MaskedHead(32, 33),
    "residue": lambda: ResidueHead(32, 5),
    "pooled": lambda: PooledHead(32, 4, conditions=2),
}


def make_head(kind: str) -> nn.Module:
    head = HEADS[kind]()
    randomise(head, 0.03)
    return head.eval()


def states_of(body: NativeBody, sequences: Sequence[str]) -> list[Tensor]:
    states, lengths = body.residues(*pack(sequences))
    return list(states.split(lengths))


@pytest.mark.parametrize("token_dropout", [True, False])
def test_states_do_not_depend_on_the_neighbours(token_dropout: bool) -> None:
    body = make_body(token_dropout)
    sequences = make_sequences(LENGTHS)
    with torch.no_grad():
        together = states_of(body, sequences)
        for sequence, state in zip(sequences, together, strict=True):
            assert (states_of(body, [sequence])[0] - state).abs().max() <= 1e-5


@settings(max_examples=20)
@given(lengths=st.lists(st.integers(1, 30), min_size=1, max_size=6), seed=st.integers(0, 2**16))
def test_states_do_not_depend_on_the_order(lengths: list[int], seed: int) -> None:
    body = make_body()
    sequences = make_sequences(lengths, seed)
    order = numpy.random.default_rng(seed).permutation(len(sequences))
    with torch.no_grad():
        straight = states_of(body, sequences)
        shuffled = states_of(body, [sequences[index] for index in order])
    for index, state in zip(order, shuffled, strict=True):
        assert (straight[index] - state).abs().max() <= 1e-5


def test_states_do_not_depend_on_the_neighbours_in_half_precision() -> None:
    """bf16 keeps three digits, so states of size one agree to some hundredths, with each other and with fp32."""
    body = make_body()
    sequences = make_sequences(LENGTHS)
    with torch.no_grad():
        exact = states_of(body, sequences)
        with torch.autocast("cpu", torch.bfloat16):
            together = states_of(body, sequences)
            alone = [states_of(body, [sequence])[0] for sequence in sequences]
    for one, two, true in zip(alone, together, exact, strict=True):
        assert (one.float() - two.float()).abs().mean() <= 1e-2
        assert (one.float() - true).abs().mean() <= 3e-2


def test_attention_maps_do_not_depend_on_the_neighbours() -> None:
    body = make_body()
    assert isinstance(body.encoder, Encoder)
    sequences = make_sequences(LENGTHS)
    with torch.no_grad():
        together = body.encoder.attentions(*pack(sequences))
        for sequence, maps in zip(sequences, together, strict=True):
            assert maps.shape == (12, len(sequence) + 2, len(sequence) + 2)
            assert torch.allclose(maps.sum(-1), torch.ones(()), atol=1e-5)
            assert (body.encoder.attentions(*pack([sequence]))[0] - maps).abs().max() <= 1e-5


def test_gradients_of_a_row_are_the_sum_of_those_of_its_proteins() -> None:
    body = make_body()
    head = make_head("pooled")
    conditions = torch.tensor([[0.3, float("nan")]])
    sequences = make_sequences(LENGTHS)

    def gradients(groups: Sequence[Sequence[str]]) -> list[Tensor]:
        weights = [*body.parameters(), *head.parameters()]
        for weight in weights:
            weight.grad = None
        for group in groups:
            states, lengths = body.residues(*pack(group))
            head(states, lengths, conditions.expand(len(group), 2)).square().sum().backward()
        return [weight.grad.clone() for weight in weights if weight.grad is not None]

    together, apart = gradients([sequences]), gradients([[one] for one in sequences])
    assert len(together) == len(list(body.parameters())) + len(list(head.parameters()))
    for one, other in zip(together, apart, strict=True):
        assert (one - other).abs().max() <= 1e-5 * max(1.0, float(other.abs().max()))


def test_no_gradient_flows_between_proteins() -> None:
    body = make_body()
    assert isinstance(body.encoder, Encoder)
    tokens, lengths = pack(make_sequences([9, 12, 5]))
    seen: list[Tensor] = []

    def keep(module: nn.Module, given: object, embedded: Tensor) -> None:
        embedded.retain_grad()
        seen.append(embedded)

    hook = body.encoder.embed.register_forward_hook(keep)
    body.residues(tokens, lengths)[0][9:21].square().sum().backward()
    hook.remove()
    assert seen[0].grad is not None
    first, middle, last = torch.split(seen[0].grad, lengths)
    assert not first.any()
    assert not last.any()
    assert middle.abs().sum() > 0


@pytest.mark.parametrize("lengths", [[5], [5, 5, 5], [3, 8, 8, 1, 3], LENGTHS])
def test_both_ways_to_attend_agree(lengths: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel and the plain products: outputs and gradients, against one sequence at a time written out."""
    torch.manual_seed(2)
    given = [torch.randn(sum(lengths), 4, 8) for _ in range(3)]
    weigh = torch.randn(sum(lengths), 4, 8)
    found = []
    for is_product in (True, False):
        monkeypatch.setattr(attention, "_products_are_faster", lambda query, answer=is_product: answer)
        row = [part.clone().requires_grad_() for part in given]
        out = attend(row[0], row[1], row[2], lengths, scale=0.4)
        (out * weigh).sum().backward()
        found.append([out.detach(), *(part.grad for part in row)])
    row = [part.clone().requires_grad_() for part in given]
    pieces = []
    for q, k, v in zip(*(part.split(lengths) for part in row), strict=True):
        shares = torch.einsum("qhc,khc->hqk", q, k).mul(0.4).softmax(-1)
        pieces.append(torch.einsum("hqk,khc->qhc", shares, v))
    out = torch.cat(pieces)
    (out * weigh).sum().backward()
    written = [out.detach(), *(part.grad for part in row)]
    for product, kernel, plain in zip(*found, written, strict=True):
        assert product is not None
        assert kernel is not None
        assert plain is not None
        assert (product - kernel).abs().max() <= 1e-5
        assert (product - plain).abs().max() <= 1e-5


def test_both_ways_to_attend_are_close_in_half_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(2)
    rows = [torch.randn(sum(LENGTHS), 4, 8) for _ in range(3)]
    exact = attend(rows[0], rows[1], rows[2], LENGTHS, scale=0.4)
    for is_product in (True, False):
        monkeypatch.setattr(attention, "_products_are_faster", lambda query, answer=is_product: answer)
        query, key, value = (row.bfloat16() for row in rows)
        half = attend(query, key, value, LENGTHS, scale=0.4)
        assert half.dtype == torch.bfloat16
        assert (half.float() - exact).abs().max() <= 5e-2


def test_products_are_chosen_where_they_were_measured_to_be_faster() -> None:
    half = torch.zeros(1, 1, 1024, 8, dtype=torch.bfloat16)
    assert attention._products_are_faster(half.requires_grad_())
    assert not attention._products_are_faster(half.detach())
    assert not attention._products_are_faster(half.detach().float().requires_grad_())
    longer = torch.zeros(1, 1, 1025, 8, dtype=torch.bfloat16, requires_grad=True)
    assert not attention._products_are_faster(longer)


@pytest.mark.parametrize("width", [1, 3, 9, 11])
def test_chain_convolution_is_a_convolution_of_each_chain(width: int) -> None:
    torch.manual_seed(3)
    chain = ChainConvolution(6, 5, width)
    plain = nn.Conv1d(6, 5, width, padding=width // 2)
    plain.load_state_dict(chain.convolve.state_dict())
    states = torch.randn(sum(LENGTHS), 6)
    expected = torch.cat([plain(part.T[None])[0].T for part in states.split(LENGTHS)])
    assert (chain(states, LENGTHS) - expected).abs().max() <= 1e-5


@pytest.mark.parametrize("kind", sorted(HEADS))
def test_a_head_does_not_look_at_the_neighbours(kind: str) -> None:
    """The others' states are replaced by others a thousand times larger; this protein's answer stays."""
    head = make_head(kind)
    torch.manual_seed(4)
    states = torch.randn(sum(LENGTHS), 32)
    conditions = torch.randn(len(LENGTHS), 2)
    conditions[::2, 0] = float("nan")
    per_protein = [1] * len(LENGTHS) if kind == "pooled" else LENGTHS
    with torch.no_grad():
        answers = head(states, LENGTHS, conditions).split(per_protein)
        for number, own in enumerate(states.split(LENGTHS)):
            alone = head(own, LENGTHS[number : number + 1], conditions[number : number + 1])
            assert (alone - answers[number]).abs().max() <= 1e-5
            strangers = [torch.randn_like(part) * 1e3 for part in states.split(LENGTHS)]
            strangers[number] = own
            beside = head(torch.cat(strangers), LENGTHS, conditions).split(per_protein)[number]
            assert (beside - answers[number]).abs().max() <= 1e-5


def test_where_a_pooled_head_looked_sums_to_one_in_each_chain() -> None:
    head = make_head("pooled")
    assert isinstance(head, PooledHead)
    states = torch.randn(sum(LENGTHS), 32)
    with torch.no_grad():
        weights = head.attention(states, LENGTHS)
    assert (weights >= 0).all()
    for part in weights.split(LENGTHS):
        assert torch.allclose(part.sum(0), torch.ones(()), atol=1e-5)
