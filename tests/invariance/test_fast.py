"""The form for inference says what the encoder says: whatever the lengths, the threads, the library, the layer."""

from __future__ import annotations

import math
from collections.abc import Iterator
from copy import deepcopy
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from anfinsen import runtime
from anfinsen.data.example import Example
from anfinsen.hub.body import bare, write_body
from anfinsen.inference.embedder import Embedder
from anfinsen.models import product
from anfinsen.models.attention import rotate
from anfinsen.models.encoder import Encoder, EncoderConfig
from anfinsen.models.fast import FastBody, FastEncoder, quicken, tiles
from anfinsen.models.frozen import FrozenBody
from anfinsen.models.network import NativeBody, Network
from anfinsen.models.product import Product, Way, choose, timings
from anfinsen.structure.protein import Protein

LENGTHS = [3, 41, 2, 41, 300, 17, 130]


@pytest.fixture
def threads() -> Iterator[None]:
    """Lets a test use more threads than one."""
    before = runtime.threads()
    yield
    runtime.use_threads(before)


def make_encoder(heads: int = 4, **changes: Any) -> Encoder:
    """An encoder with random weights everywhere, large enough to matter."""
    encoder = Encoder(EncoderConfig(layers=3, dim=64, heads=heads, inner_dim=96, **changes)).eval()
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for weight in encoder.parameters():
            weight.add_(torch.randn(weight.shape, generator=generator) * 0.1)
    return encoder


def make_tokens(lengths: list[int], masked: bool = True) -> Tensor:
    generator = torch.Generator().manual_seed(sum(lengths))
    tokens = torch.randint(4, 24, (sum(lengths),), generator=generator)
    return torch.where(torch.rand(len(tokens), generator=generator) < 0.1, 32, tokens) if masked else tokens


@pytest.mark.parametrize("heads", [1, 2, 8, 16])
@pytest.mark.parametrize("masked", [True, False])
def test_states_are_those_of_the_encoder(heads: int, masked: bool) -> None:
    encoder, tokens = make_encoder(heads), make_tokens(LENGTHS, masked)
    with torch.no_grad():
        assert torch.allclose(FastEncoder(encoder)(tokens, LENGTHS), encoder(tokens, LENGTHS), atol=2e-5)


@pytest.mark.parametrize(
    "changes",
    [{"token_dropout": False}, {"norm_first": True}, {"rotary_precision": "fp16"}, {"longest": 20}, {"norm_eps": 0.1}],
)
def test_every_setting_of_an_encoder_is_kept(changes: dict[str, Any]) -> None:
    encoder, tokens = make_encoder(**changes), make_tokens(LENGTHS)
    with torch.inference_mode():
        assert torch.allclose(FastEncoder(encoder)(tokens, LENGTHS), encoder(tokens, LENGTHS), atol=2e-5)


@settings(max_examples=20)
@given(lengths=st.lists(st.integers(1, 200), min_size=1, max_size=9))
def test_lengths_of_any_kind(lengths: list[int]) -> None:
    encoder, tokens = make_encoder(), make_tokens(lengths)
    with torch.no_grad():
        assert torch.allclose(FastEncoder(encoder)(tokens, lengths), encoder(tokens, lengths), atol=2e-5)


def test_layers_are_those_of_the_encoder() -> None:
    encoder, tokens = make_encoder(), make_tokens(LENGTHS)
    with torch.no_grad():
        for layer, states in enumerate(encoder.layers(tokens, LENGTHS)):
            assert torch.allclose(FastEncoder(encoder)(tokens, LENGTHS, layer), states, atol=2e-5)


def test_half_precision_is_close_and_points_the_same_way() -> None:
    encoder, tokens = make_encoder(), make_tokens(LENGTHS)
    with torch.no_grad():
        exact, half = encoder(tokens, LENGTHS), FastEncoder(encoder, "bf16")(tokens, LENGTHS)
    means = [torch.stack([part.mean(0) for part in states.split(LENGTHS)]) for states in (exact, half)]
    assert half.dtype == torch.float32 and not torch.equal(exact, half)
    assert torch.nn.functional.cosine_similarity(*means).min() > 0.9999


@pytest.mark.parametrize(
    "way", [Way("plain", torch.float32), Way("packed", torch.float32), Way("plain", torch.bfloat16)]
)
def test_every_library_gives_the_same_product(way: Way) -> None:
    if way not in timings(48, 32):
        pytest.skip("This library is not in this build of PyTorch.")
    generator = torch.Generator().manual_seed(3)
    weight, inputs, sums = (torch.randn(rows, 32, generator=generator) for rows in (48, 10, 10))
    sums = torch.randn(10, 48, generator=generator)
    bias = torch.randn(48, generator=generator)
    expected = torch.nn.functional.linear(inputs, weight, bias)
    one = Product(weight, bias, way)
    given_to_it = inputs.to(way.dtype)
    room = 1e-5 if way.dtype == torch.float32 else 0.15
    assert torch.allclose(one(given_to_it).float(), expected, atol=room)
    assert torch.allclose(one.gelu(given_to_it).float(), torch.nn.functional.gelu(expected), atol=room)
    assert torch.allclose(one.onto(sums.clone(), given_to_it), sums + expected, atol=room)


def test_bf16_is_chosen_only_where_it_is_clearly_faster(monkeypatch: pytest.MonkeyPatch) -> None:
    exact, half = Way("packed", torch.float32), Way("packed", torch.bfloat16)
    seconds = {exact: 1.0, Way("plain", torch.float32): 0.9, half: 0.9, Way("plain", torch.bfloat16): 2.0}
    monkeypatch.setattr(product, "timings", lambda outer, inner: seconds)
    assert choose(256, 256, "fp32") == exact  # plain is faster by less than noise
    assert choose(256, 256, "fastest") == exact
    assert choose(256, 256, "bf16") == half
    seconds[half] = 0.4
    assert choose(256, 256, "fp32") == exact
    assert choose(256, 256, "fastest") == half
    seconds[Way("plain", torch.float32)] = 0.3
    assert choose(256, 256, "fastest") == Way("plain", torch.float32)
    assert choose(8, 8, "fastest") == exact  # too small to be timed
    assert choose(8, 8, "bf16") == half


def test_a_library_that_computes_something_else_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = set(timings(40, 24))
    monkeypatch.setattr(Product, "_fused", lambda self, inputs, then, how: torch.zeros(len(inputs), 41))
    assert {way.library for way in timings(41, 24)} == {"plain"}
    monkeypatch.setattr(product, "_mkldnn", lambda: object())
    assert {way.library for way in timings(42, 24)} == {"plain"}
    assert choose(42, 24, "fp32") == Way("plain", torch.float32)
    assert {way.library for way in expected} >= {"plain"}


@pytest.mark.usefixtures("threads")
def test_the_number_of_threads_changes_nothing() -> None:
    encoder, tokens = make_encoder(), make_tokens(LENGTHS * 3)
    fast = FastEncoder(encoder)
    with torch.inference_mode():
        runtime.use_threads(1)
        alone = fast(tokens, LENGTHS * 3)
        runtime.use_threads(3)
        together = fast(tokens, LENGTHS * 3)
    assert runtime.threads() == 3
    assert torch.allclose(alone, together, atol=1e-5)
    assert not together.requires_grad


@pytest.mark.usefixtures("threads")
def test_parts_are_worked_on_in_parallel_and_come_back_in_order() -> None:
    runtime.use_threads(2)
    assert runtime.in_parallel(lambda part: (part, runtime.threads()), [3, 1, 2]) == [(3, 1), (1, 1), (2, 1)]
    assert runtime.in_parallel(lambda part: runtime.threads(), [1]) == [2]
    with pytest.raises(ZeroDivisionError):
        runtime.in_parallel(lambda part: 1 / part, [1, 0])


@given(lengths=st.lists(st.integers(1, 50), max_size=12), size=st.integers(1, 80))
def test_tiles_are_the_row_in_order_and_hold_no_more_than_they_should(lengths: list[int], size: int) -> None:
    cut = list(tiles(lengths, size))
    assert [length for tile in cut for length in tile] == lengths
    assert all(tile and (sum(tile) <= size or len(tile) == 1) for tile in cut)
    assert all(sum(one) + other[0] > size for one, other in pairwise(cut))


def test_a_quick_network_answers_as_the_network(tiny_network: Network) -> None:
    tokens = make_tokens([9, 30, 12])
    quick = quicken(tiny_network)
    assert isinstance(quick.body, FastBody) and not quick.training
    assert bare(quick.body) is tiny_network.body and quick.heads is tiny_network.heads
    with torch.no_grad():
        expected, counts = tiny_network.states(tokens, [9, 30, 12])
        states, found = quick.states(tokens, [9, 30, 12])
        assert counts == found == [7, 28, 10]
        assert torch.allclose(states, expected, atol=1e-5)


def test_gradients_are_those_of_the_body_itself(tiny_network: Network) -> None:
    tokens = make_tokens([9, 30])
    states, _ = quicken(tiny_network).states(tokens, [9, 30])
    states.sum().backward()
    assert cast(Encoder, cast(NativeBody, tiny_network.body).encoder).embed.weight.grad is not None


def test_other_bodies_stay_as_they_are(tiny_network: Network) -> None:
    body = cast(NativeBody, tiny_network.body)
    frozen = Network(FrozenBody(body), {})
    assert quicken(frozen) is frozen
    encoder = cast(Encoder, body.encoder)
    cast(Any, encoder.blocks[0]).mix = nn.Sequential(cast(Any, encoder.blocks[0]).mix)  # as an adapter would
    assert quicken(tiny_network) is tiny_network


def test_the_embedder_reads_a_layer_as_the_encoder_does(tiny_network: Network, tmp_path: Path) -> None:
    example = Example(Protein(id="one", sequence="MKTAYIAKQRQISFVKSHFSRQ"))
    encoder = cast(Encoder, cast(NativeBody, tiny_network.body).encoder)
    (found,) = Embedder(tiny_network, name="", sha256="", per="residue", layer=1).embed([example])
    tokens = torch.tensor([0, 20, 15, 11, 5, 19, 12, 5, 15, 16, 10, 16, 12, 8, 18, 7, 15, 8, 21, 18, 8, 10, 16, 2])
    with torch.no_grad():
        expected = encoder.layers(tokens, [24])[1][1:-1]
    assert torch.allclose(torch.from_numpy(found), expected, atol=1e-5)
    write_body(tmp_path, quicken(tiny_network).body, None)
    assert (tmp_path / "model.safetensors").exists()


def test_turning_is_what_it_was() -> None:
    """The textbook's cosines and sines, for values and for gradients; the pairs come out side by side."""
    generator = torch.Generator().manual_seed(5)
    vectors = torch.randn(6, 2, 8, generator=generator, requires_grad=True)
    weights = torch.randn(6, 2, 8, generator=generator)
    angle = torch.randn(6, 1, 4, generator=generator)
    cosine, sine = (torch.cat((part, part), -1) for part in (angle.cos(), angle.sin()))
    first, second = vectors.chunk(2, -1)
    textbook = vectors * cosine + torch.cat((-second, first), -1) * sine
    textbook = textbook.unflatten(-1, (2, 4)).transpose(-1, -2).flatten(-2)
    ours = rotate(vectors, torch.polar(torch.ones_like(angle), angle))
    assert torch.allclose(ours, textbook, atol=1e-6)
    gradients = [torch.autograd.grad(out, vectors, weights, retain_graph=True)[0] for out in (ours, textbook)]
    assert torch.allclose(*gradients, atol=1e-6)
    assert math.isclose(float(ours.detach().norm()), float(vectors.detach().norm()), rel_tol=1e-5)


def test_a_copy_is_made_from_a_copy_of_the_body() -> None:
    torch.manual_seed(1)
    encoder = Encoder(EncoderConfig(layers=1, dim=64, heads=2, inner_dim=256))
    fast = FastBody(NativeBody(encoder, 64, 1026))
    twin = deepcopy(fast)
    tokens, lengths = torch.tensor([0, 5, 6, 7, 2]), [5]
    with torch.no_grad():
        before = fast.residues(tokens, lengths)[0]
        encoder.embed.weight.zero_()
        assert torch.equal(twin.residues(tokens, lengths)[0], before)
    assert twin.body is not fast.body
