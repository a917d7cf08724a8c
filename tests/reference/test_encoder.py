"""Our encoder against the independent one of `transformers`: every layer, in fp32, before the last norm."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import AutoModel, EsmConfig, EsmForMaskedLM, EsmModel

from anfinsen.data.alphabet import MASK, PAD, TOKENS
from anfinsen.data.batch import pack
from anfinsen.errors import BundleError
from anfinsen.models.encoder import Encoder, EncoderConfig
from anfinsen.models.heads import MaskedHead
from anfinsen.models.public import PUBLIC_DEFAULTS, from_public, read_config, to_public

SHAPES: list[dict[str, Any]] = [
    {},
    {"token_dropout": False},
    {"emb_layer_norm_before": True},
    {"token_dropout": False, "emb_layer_norm_before": True, "layer_norm_eps": 1e-12},
    {"num_hidden_layers": 5, "num_attention_heads": 2, "hidden_size": 40, "intermediate_size": 24},
    {"num_hidden_layers": 1, "num_attention_heads": 8, "hidden_size": 128, "tie_word_embeddings": False},
]


def make_theirs(**changes: Any) -> Any:
    """A small model of theirs in which every weight, also of the norms, is random."""
    given = {
        "vocab_size": len(TOKENS),
        "mask_token_id": MASK,
        "pad_token_id": PAD,
        "hidden_size": 48,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "intermediate_size": 80,
        "position_embedding_type": "rotary",
        "token_dropout": True,
        "layer_norm_eps": 1e-5,
        "attn_implementation": "eager",
    }
    torch.manual_seed(7)
    theirs: Any = EsmForMaskedLM(EsmConfig(**{**given, **changes}))
    with torch.no_grad():
        for name, weight in theirs.named_parameters():
            # sharp attention, so that a wrong angle would show
            weight.add_(torch.randn_like(weight) * (0.3 if ".query." in name or ".key." in name else 0.1))
    return theirs.eval()


def make_row(*lengths: int) -> tuple[Tensor, list[int]]:
    """Random proteins of these lengths as a packed row, some residues hidden, some rare."""
    generator = numpy.random.default_rng(3)
    letters = list("ACDEFGHIKLMNPQRSTVWYXBUZO###")
    return pack(["".join(generator.choice(letters, length)) for length in lengths])


def padded(tokens: Tensor, lengths: list[int]) -> tuple[Tensor, Tensor]:
    """The same proteins as they want them: (B, longest L) and the mask of what is no padding."""
    rows = torch.nn.utils.rnn.pad_sequence(tokens.split(lengths), batch_first=True, padding_value=PAD)
    return rows, torch.arange(rows.shape[1]) < torch.tensor(lengths)[:, None]


def trace(theirs: Any, rows: Tensor, mask: Tensor) -> tuple[list[Tensor], Any]:
    """Their embedding and the output of each of their layers, without the padding, and their answer."""
    seen: list[Any] = []
    parts = [theirs.esm.embeddings, *theirs.esm.encoder.layer]
    hooks = [part.register_forward_hook(lambda module, given, out: seen.append(out)) for part in parts]
    with torch.no_grad():
        answer = theirs(rows, attention_mask=mask.long(), output_attentions=True)
    for hook in hooks:
        hook.remove()
    return [(part[0] if isinstance(part, tuple) else part)[mask] for part in seen], answer


@pytest.mark.parametrize("changes", SHAPES, ids=lambda changes: " ".join(changes) or "plain")
def test_every_layer_equals_transformers(changes: dict[str, Any]) -> None:
    theirs = make_theirs(**changes)
    encoder, head = from_public(theirs.config.to_dict(), theirs.state_dict())
    assert head is not None
    tokens, lengths = make_row(31, 4, 90, 1, 31)
    expected, answer = trace(theirs, *padded(tokens, lengths))
    with torch.no_grad():
        layers = encoder.layers(tokens, lengths)
        states = encoder(tokens, lengths)
        logits = head(states, lengths, torch.zeros(5, 0))
        maps = encoder.attentions(tokens, lengths)
    mask = padded(tokens, lengths)[1]
    assert len(layers) == len(expected) == theirs.config.num_hidden_layers + 1
    for ours, other in zip(layers, expected, strict=True):
        assert (ours - other).abs().max() <= 1e-4
    assert (states - theirs.esm.encoder.emb_layer_norm_after(expected[-1])).abs().max() <= 1e-4
    assert (logits - answer.logits[mask]).abs().max() <= 1e-4
    for number, (length, ours) in enumerate(zip(lengths, maps, strict=True)):
        other = torch.cat([layer[number, :, :length, :length] for layer in answer.attentions])
        assert (ours - other).abs().max() <= 1e-4


@pytest.mark.parametrize("precision", ["fp16", "bf16"])
def test_rounded_rotary_frequencies_of_a_checkpoint_are_kept(precision: str) -> None:
    """ESM-2 was trained in half precision; its checkpoints hold the frequencies that it was trained with."""
    theirs = make_theirs()
    exact = theirs.esm.rotary_embeddings.inv_freq
    theirs.esm.rotary_embeddings.inv_freq = exact.to(torch.float16 if precision == "fp16" else torch.bfloat16).float()
    tokens, lengths = make_row(700)
    expected, _ = trace(theirs, *padded(tokens, lengths))
    encoder, _ = from_public(theirs.config.to_dict(), theirs.state_dict())
    assert encoder.config.rotary_precision == precision
    with torch.no_grad():
        assert (encoder.layers(tokens, lengths)[-1] - expected[-1]).abs().max() <= 1e-4
        exactly = Encoder(encoder.config.replaced(rotary_precision="fp32"))
        exactly.load_state_dict(encoder.state_dict())
        assert (exactly.layers(tokens, lengths)[-1] - expected[-1]).abs().max() > 1e-3


def test_older_layouts_are_read() -> None:
    """ESM-2's own files: frequencies in every layer, positions that nobody uses, no prefix in a bare encoder."""
    theirs = make_theirs()
    weights = theirs.state_dict()
    half = weights.pop("esm.rotary_embeddings.inv_freq").half()
    for layer in range(3):
        weights[f"esm.encoder.layer.{layer}.attention.self.rotary_embeddings.inv_freq"] = half
    weights["esm.embeddings.position_ids"] = torch.arange(1026)[None]
    weights["esm.embeddings.position_embeddings.weight"] = torch.zeros(1026, 48)
    weights["esm.pooler.dense.weight"] = torch.zeros(48, 48)
    encoder, head = from_public(theirs.config.to_dict(), weights)
    assert encoder.config.rotary_precision == "fp16"
    assert head is not None
    bare = {name.removeprefix("esm."): weight for name, weight in weights.items() if not name.startswith("lm_head")}
    alone, no_head = from_public(theirs.config.to_dict(), bare)
    assert no_head is None
    tokens, lengths = make_row(12, 3)
    assert torch.equal(alone(tokens, lengths), encoder(tokens, lengths))


@pytest.mark.parametrize("is_tied", [True, False])
def test_their_folder_becomes_ours(tmp_path: Path, is_tied: bool) -> None:
    theirs = make_theirs(tie_word_embeddings=is_tied)
    theirs.save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    encoder, head = from_public(config, load_file(tmp_path / "model.safetensors"))
    assert head is not None
    assert (head.decode.weight is encoder.embed.weight) == is_tied
    tokens, lengths = make_row(20, 33)
    rows, mask = padded(tokens, lengths)
    with torch.no_grad():
        ours = head(encoder(tokens, lengths), lengths, torch.zeros(2, 0))
        assert (ours - theirs(rows, attention_mask=mask.long()).logits[mask]).abs().max() <= 1e-4


@pytest.mark.parametrize("is_tied", [True, False])
@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_our_folder_opens_in_plain_transformers(tmp_path: Path, is_tied: bool, precision: str) -> None:
    torch.manual_seed(5)
    config = EncoderConfig.build(
        {"layers": 2, "dim": 32, "heads": 2, "inner_dim": 48, "norm_first": True, "rotary_precision": precision}
    )
    encoder, head = Encoder(config), MaskedHead(32, 33)
    with torch.no_grad():
        for weight in (*encoder.parameters(), *head.parameters()):
            weight.add_(torch.randn_like(weight) * 0.1)
    if is_tied:
        head.decode.weight = encoder.embed.weight
    public, weights = to_public(encoder, head)
    (tmp_path / "config.json").write_text(json.dumps(public))
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    loaded: Any = EsmForMaskedLM.from_pretrained(tmp_path, output_loading_info=True)
    theirs, report = loaded
    # the contact head is theirs alone, and the frequencies are computed where they are not stored
    assert {key for key in report["missing_keys"] if "contact_head" not in key and "inv_freq" not in key} == set()
    assert not report["unexpected_keys"]
    assert theirs.config.tie_word_embeddings == is_tied
    tokens, lengths = make_row(200, 33)
    rows, mask = padded(tokens, lengths)
    with torch.no_grad():
        states = encoder(tokens, lengths)
        logits = head(states, lengths, torch.zeros(2, 0))
        assert (theirs(rows, attention_mask=mask.long()).logits[mask] - logits).abs().max() <= 1e-4
        body = AutoModel.from_pretrained(tmp_path)
        assert isinstance(body, EsmModel)
        assert (body(rows, attention_mask=mask.long()).last_hidden_state[mask] - states).abs().max() <= 1e-4


def test_an_encoder_alone_goes_out_and_comes_back(tmp_path: Path) -> None:
    encoder = Encoder(EncoderConfig(layers=2, dim=32, heads=4, inner_dim=48))
    config, weights = to_public(encoder, None)
    assert config["architectures"] == ["EsmModel"]
    (tmp_path / "config.json").write_text(json.dumps(config))
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    theirs = AutoModel.from_pretrained(tmp_path)
    tokens, lengths = make_row(17)
    with torch.no_grad():
        assert (theirs(tokens[None]).last_hidden_state[0] - encoder(tokens, lengths)).abs().max() <= 1e-4
    again, head = from_public(config, weights)
    assert head is None
    assert again.config == encoder.config
    assert all(torch.equal(a, b) for a, b in zip(again.parameters(), encoder.parameters(), strict=True))


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_weights_stored_in_half_precision_keep_their_positions(precision: str) -> None:
    """Frequencies that were exact must not come back rounded because the file was written in half precision."""
    config = EncoderConfig.build({"layers": 2, "dim": 32, "heads": 2, "inner_dim": 48, "rotary_precision": precision})
    public, weights = to_public(Encoder(config), MaskedHead(32, 33))
    again, head = from_public(public, {name: weight.half() for name, weight in weights.items()})
    assert head is not None
    assert again.config == config
    assert {weight.dtype for weight in (*again.parameters(), *head.parameters())} == {torch.float32}


def test_what_comes_out_is_a_copy() -> None:
    encoder = Encoder(EncoderConfig(layers=1, dim=16, heads=2, inner_dim=32))
    config, weights = to_public(encoder, None)
    again, _ = from_public(config, weights)
    with torch.no_grad():
        again.embed.weight.fill_(3.0)
        again.blocks[0].mix.weight.fill_(3.0)  # type: ignore[union-attr, operator]
    assert not any((weight == 3.0).all() for weight in (*weights.values(), *encoder.parameters()))


def test_silent_settings_mean_what_transformers_means() -> None:
    theirs = EsmConfig().to_dict()
    assert {key: theirs[key] for key in PUBLIC_DEFAULTS} == dict(PUBLIC_DEFAULTS)


def test_a_config_of_ours_is_one_of_theirs() -> None:
    config = EncoderConfig(layers=2, dim=32, heads=4, norm_first=True, token_dropout=False, longest=514)
    public, _ = to_public(Encoder(config), None)
    theirs = EsmConfig(**public)
    assert {key: value for key, value in theirs.to_dict().items() if key in public and value != public[key]} == {}
    assert read_config(json.loads(theirs.to_json_string())).encoder == config


def refuse(config: dict[str, Any], weights: dict[str, Tensor]) -> str:
    with pytest.raises(BundleError) as caught:
        from_public(config, weights)
    return str(caught.value)


def test_refusals_of_a_config_say_what_to_do() -> None:
    config, weights = to_public(Encoder(EncoderConfig(layers=1, dim=16, heads=2, inner_dim=32)), None)
    assert refuse({**config, "position_embedding_type": "absolute"}, weights) == (
        "This model learnt a vector for each position, as ESM-1b did; our encoder turns positions, as ESM-2 does. "
        "Load it with load_body, which runs it through transformers."
    )
    assert refuse({**config, "hidden_act": "relu"}, weights) == (
        "config.json says hidden_act = 'relu'; our encoder knows 'gelu' only. Give an ESM-2 checkpoint."
    )
    assert refuse({**config, "mask_token_id": None}, weights) == (
        "config.json does not say 'mask_token_id'. Add it; ESM-2 has 33, 32 and 1 for the three."
    )
    assert refuse({**config, "num_attention_heads": 3}, weights) == (
        "It describes no encoder. config.json: dim 16 is not an even multiple of heads 3. Get the checkpoint again."
    )


def test_refusals_of_weights_say_which() -> None:
    config, weights = to_public(Encoder(EncoderConfig(layers=1, dim=16, heads=2, inner_dim=32)), MaskedHead(16, 33))
    same = "Check that the config.json and the weights are of the same model."
    assert refuse(config, {**weights, "esm.encoder.layer.1.LayerNorm.bias": torch.zeros(16)}) == (
        f"The weights hold 'encoder.layer.1.LayerNorm.bias', which an ESM-2 encoder of 1 layers does not have. {same}"
    )
    fewer = {name: weight for name, weight in weights.items() if "intermediate" not in name}
    assert refuse(config, fewer) == (
        "The weights lack 'encoder.layer.0.intermediate.dense.weight' and 1 more. Fetch or write the model again."
    )
    assert refuse({**config, "hidden_size": 8}, weights) == (
        f"The weight 'embeddings.word_embeddings.weight' has the shape (33, 16), where config.json asks for "
        f"(33, 8). {same}"
    )
    twisted = {**weights, "esm.rotary_embeddings.inv_freq": torch.tensor([1.0, 0.5, 0.25, 0.125])}
    assert refuse(config, twisted) == (
        "The rotary frequencies among the weights are not those of heads of width 8, at any precision. "
        "Give an ESM-2 checkpoint; its positions turn by 10000^(-2i / width)."
    )
    untied = {name: weight for name, weight in weights.items() if name != "lm_head.decoder.weight"}
    assert refuse({**config, "tie_word_embeddings": False}, untied) == (
        "The weights lack 'lm_head.decoder.weight'. Fetch or write the model again."
    )


def test_a_head_with_another_norm_is_not_written() -> None:
    encoder = Encoder(EncoderConfig(layers=1, dim=16, heads=2, inner_dim=32, norm_eps=1e-12))
    with pytest.raises(BundleError) as caught:
        to_public(encoder, MaskedHead(16, 33))
    assert str(caught.value) == (
        "The head's norm adds 1e-05 to the variance and the encoder's 1e-12; the public layout holds one figure "
        "for both. Build the head with norm_eps=1e-12."
    )
    assert to_public(encoder, MaskedHead(16, 33, norm_eps=1e-12))[0]["layer_norm_eps"] == 1e-12
