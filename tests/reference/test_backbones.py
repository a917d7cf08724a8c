"""Other people's models behind our interface: the same states as a call of `transformers` made by hand."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
import pytest
import torch
from huggingface_hub import HfApi
from huggingface_hub.errors import RepositoryNotFoundError
from tokenizers import Tokenizer
from torch import Tensor
from transformers import (
    BertConfig,
    BertForMaskedLM,
    BertTokenizer,
    EsmConfig,
    EsmForMaskedLM,
    T5Config,
    T5EncoderModel,
    T5ForConditionalGeneration,
    T5Tokenizer,
)
from typer.testing import CliRunner

from anfinsen.cli import app
from anfinsen.data.alphabet import MASK, PAD, TOKENS
from anfinsen.data.batch import pack
from anfinsen.data.store import read_store
from anfinsen.errors import AnfinsenError, BundleError, MissingExtraError, UsageError
from anfinsen.inference.embedder import weights_sha256
from anfinsen.models.backbones import PublicBody, load_body
from anfinsen.models.network import HeadShape, NativeBody, Network

SEQUENCES = ["MKTAYIAKQRQISFVKSHFSRQ", "G", "ACUZOBX", "LLLLWWWWYYYY"]
BERT_WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"LAGVESIKRDTPNQFYMHCWXUBZO"]
"""The vocabulary of ProtBERT, in its order."""
T5_LETTERS = "ALGVSREDTIPKFQNYMHWCXBOUZ"
"""The residues of ProtT5, in its order, after <pad>, </s> and <unk>."""


def with_random_weights(model: Any) -> Any:
    """The model with every weight random, also of the norms."""
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(torch.randn_like(weight) * 0.1)
    return model.eval()


def save_esm(folder: Path, **changes: Any) -> Any:
    torch.manual_seed(2)
    shape = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48}
    config = EsmConfig(
        **{"vocab_size": 33, "mask_token_id": MASK, "pad_token_id": PAD, "token_dropout": True, **shape, **changes}
    )
    theirs = with_random_weights(EsmForMaskedLM(config))
    theirs.save_pretrained(folder)
    (folder / "vocab.txt").write_text("\n".join(TOKENS))
    return theirs


def save_bert(folder: Path, **changes: Any) -> Any:
    torch.manual_seed(3)
    shape = {"hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 40}
    config = BertConfig(**{"vocab_size": len(BERT_WORDS), "max_position_embeddings": 42, **shape, **changes})
    theirs = with_random_weights(BertForMaskedLM(config))
    theirs.save_pretrained(folder)
    (folder / "vocab.txt").write_text("\n".join(BERT_WORDS) + "\n")
    (folder / "tokenizer_config.json").write_text(json.dumps({"do_lower_case": False}))
    return theirs.bert


def make_t5() -> Any:
    torch.manual_seed(4)
    config = T5Config(vocab_size=128, d_model=24, d_kv=12, d_ff=40, num_layers=2, num_heads=2)
    return with_random_weights(T5ForConditionalGeneration(config))


def save_t5(folder: Path) -> Any:
    """The whole of a T5 with its decoder, as ProtT5-XL is published, and the vocabulary of ProtT5."""
    theirs = make_t5()
    theirs.save_pretrained(folder)
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), *((f"▁{letter}", -3.0) for letter in T5_LETTERS)]
    pieces += [(f"<extra_id_{number}>", 0.0) for number in reversed(range(100))]
    T5Tokenizer(vocab=pieces).save_pretrained(folder)
    return theirs.encoder


def by_hand(model: Any, tokenizer: Any, first: int) -> list[Tensor]:
    """One protein at a time as the model cards say: spaces, U, Z, O and B as X, special tokens cut off."""
    states = []
    for sequence in SEQUENCES:
        given = tokenizer(" ".join(re.sub("[UZOB]", "X", sequence)), return_tensors="pt")
        with torch.no_grad():
            states.append(model(**given).last_hidden_state[0][first:-1])
    return states


def ours(body: Any, sequences: list[str] = SEQUENCES) -> list[Tensor]:
    """One tensor (L, dim) a protein."""
    with torch.no_grad():
        states, lengths = body.residues(*pack(sequences))
    assert lengths == [len(sequence) for sequence in sequences]
    assert states.shape == (sum(lengths), body.dim)
    return list(states.split(lengths))


def assert_same(found: list[Tensor], expected: list[Tensor]) -> None:
    for one, other in zip(found, expected, strict=True):
        assert one.shape == other.shape
        assert (one - other).abs().max() <= 1e-4


def test_esm2_becomes_our_own_encoder(tmp_path: Path) -> None:
    theirs = save_esm(tmp_path, position_embedding_type="rotary")
    body = load_body(str(tmp_path), TOKENS, offline=True)
    assert isinstance(body, NativeBody)
    assert (body.dim, body.longest) == (32, 1024)
    hidden = "MKT##YIAK#"
    tokens, _ = pack([hidden])
    with torch.no_grad():
        expected = theirs.esm(tokens[None]).last_hidden_state[0][1:-1]
    assert_same(ours(body, [hidden]), [expected])


def test_esm2_with_half_precision_frequencies_in_each_layer(tmp_path: Path) -> None:
    """The layout of the files that Meta published."""
    from safetensors.torch import load_file, save_file

    theirs = save_esm(tmp_path, position_embedding_type="rotary")
    weights = load_file(tmp_path / "model.safetensors")
    half = theirs.esm.rotary_embeddings.inv_freq.half()
    weights = {name: weight for name, weight in weights.items() if "inv_freq" not in name}
    weights |= {f"esm.encoder.layer.{n}.attention.self.rotary_embeddings.inv_freq": half.clone() for n in range(2)}
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    body = load_body(str(tmp_path), TOKENS, offline=True)
    assert isinstance(body, NativeBody)
    theirs.esm.rotary_embeddings.inv_freq = half.float()
    sequence = "ACDEFGHIKLMNPQRSTVWY" * 20
    with torch.no_grad():
        expected = theirs.esm(pack([sequence])[0][None]).last_hidden_state[0][1:-1]
    assert_same(ours(body, [sequence]), [expected])


def test_esm1b_runs_through_transformers(tmp_path: Path) -> None:
    theirs = save_esm(tmp_path, position_embedding_type="absolute", emb_layer_norm_before=True)
    body = load_body(str(tmp_path), TOKENS, offline=True)
    assert isinstance(body, PublicBody)
    assert (body.dim, body.longest) == (32, 1022)
    with torch.no_grad():
        expected = [theirs.esm(pack([one])[0][None]).last_hidden_state[0][1:-1] for one in [*SEQUENCES, "MK#"]]
    assert_same(ours(body, [*SEQUENCES, "MK#"]), expected)


def test_an_esm_whose_letters_stand_elsewhere_is_translated(tmp_path: Path) -> None:
    theirs = save_esm(tmp_path, position_embedding_type="rotary")
    order = [*TOKENS[:4], *reversed(TOKENS[4:24]), *TOKENS[24:]]
    (tmp_path / "vocab.txt").write_text("\n".join(order))
    body = load_body(str(tmp_path), TOKENS, offline=True)
    assert isinstance(body, PublicBody)
    numbers = torch.tensor([order.index(token) for token in ("<cls>", *"MKTU", "<eos>")])
    with torch.no_grad():
        expected = theirs.esm(numbers[None]).last_hidden_state[0][1:-1]
    assert_same(ours(body, ["MKTU"]), [expected])


def test_the_longest_protein_of_esm1b_fits_its_positions(tmp_path: Path) -> None:
    save_esm(tmp_path, position_embedding_type="absolute", max_position_embeddings=20)
    body: Any = load_body(str(tmp_path), TOKENS, offline=True)
    assert body.longest == 16
    assert ours(body, ["A" * 16])[0].shape == (16, 32)
    body.longest = 17  # one more would fall off their table
    with pytest.raises(IndexError):
        ours(body, ["A" * 17])


def test_protbert_equals_a_call_by_hand(tmp_path: Path) -> None:
    theirs = save_bert(tmp_path)
    body = load_body(str(tmp_path), TOKENS, offline=True)
    assert isinstance(body, PublicBody)
    assert (body.dim, body.longest) == (24, 40)
    tokenizer = BertTokenizer.from_pretrained(tmp_path)
    assert tokenizer("M K U")["input_ids"] == [2, 21, 12, 26, 3]
    assert_same(ours(body), by_hand(theirs, tokenizer, first=1))
    assert_same(ours(body, ["MUZOB-."]), ours(body, ["MXXXXXX"]))
    with torch.no_grad():
        hidden = theirs(torch.tensor([[2, 21, 4, 3]])).last_hidden_state[0][1:-1]
    assert_same(ours(body, ["M#"]), [hidden])


def test_prott5_equals_a_call_by_hand(tmp_path: Path) -> None:
    theirs = save_t5(tmp_path)
    body = load_body(str(tmp_path), TOKENS, offline=True)
    assert isinstance(body, PublicBody)
    assert isinstance(body.model, T5EncoderModel)
    assert (body.dim, body.longest) == (24, 2000)
    tokenizer = T5Tokenizer.from_pretrained(tmp_path)
    assert tokenizer("M K X")["input_ids"] == [19, 14, 23, 1]
    assert_same(ours(body), by_hand(theirs, tokenizer, first=0))
    assert_same(ours(body, ["MUZOB"]), ours(body, ["MXXXX"]))
    with pytest.raises(UsageError) as caught:
        ours(body, ["M#"])
    assert str(caught.value) == (
        f"'{tmp_path}' has no token for a hidden residue. Give sequences without hidden residues."
    )


def make_pieces(folder: Path) -> None:
    """The sentencepiece file of ProtT5, written field by field (see sentencepiece_model.proto)."""
    import struct

    pieces = [("<pad>", 3), ("</s>", 3), ("<unk>", 2), *((f"▁{letter}", 1) for letter in T5_LETTERS)]
    model = b""
    for text, kind in pieces:
        name = text.encode()
        piece = b"\x0a" + bytes([len(name)]) + name + b"\x15" + struct.pack("<f", -3.0) + b"\x18" + bytes([kind])
        model += b"\x0a" + bytes([len(piece)]) + piece
    trainer = b"\x18\x01\xc0\x02\x02\xc8\x02\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\xd0\x02\x01\xd8\x02\x00"
    (folder / "spiece.model").write_bytes(model + b"\x12" + bytes([len(trainer)]) + trainer)


def save_t5_with_pieces(folder: Path) -> Any:
    theirs = make_t5()
    theirs.save_pretrained(folder)
    make_pieces(folder)
    return theirs.encoder


def test_prott5_with_its_sentencepiece_file(tmp_path: Path) -> None:
    pytest.importorskip("google.protobuf")
    pytest.importorskip("sentencepiece")
    theirs = save_t5_with_pieces(tmp_path)
    body = load_body(str(tmp_path), TOKENS, offline=True)
    tokenizer = T5Tokenizer.from_pretrained(tmp_path)
    assert tokenizer("M K X")["input_ids"] == [19, 14, 23, 1]
    assert_same(ours(body), by_hand(theirs, tokenizer, first=0))


def test_a_sentencepiece_file_without_its_reader_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_t5_with_pieces(tmp_path)

    def fail(*given: Any, **options: Any) -> None:
        raise ImportError("SentencePieceExtractor requires the protobuf library")

    monkeypatch.setattr(T5Tokenizer, "from_pretrained", fail)
    monkeypatch.setattr("anfinsen.models.backbones._is_installed", lambda package: package != "protobuf")
    with pytest.raises(MissingExtraError) as caught:
        load_body(str(tmp_path), TOKENS, offline=True)
    assert str(caught.value) == (
        "This needs the package 'protobuf', which is not installed. Install it with: pip install 'anfinsen[prott5]'"
    )


@pytest.mark.parametrize("save", [save_bert, save_t5])
def test_neighbours_and_order_change_nothing(tmp_path: Path, save: Any) -> None:
    save(tmp_path)
    body = load_body(str(tmp_path), TOKENS, offline=True)
    together = ours(body)
    assert_same(together, [ours(body, [sequence])[0] for sequence in SEQUENCES])
    assert_same(together, ours(body, SEQUENCES[::-1])[::-1])


def test_more_residues_than_fit_are_refused_and_read_in_windows(tmp_path: Path) -> None:
    save_bert(tmp_path)
    body: Any = load_body(str(tmp_path), TOKENS, offline=True)
    with pytest.raises(UsageError) as caught:
        ours(body, ["A", "A" * 41])
    assert str(caught.value) == (
        f"A protein of 41 residues came, but '{tmp_path}' reads at most 40 at once. "
        "Read it in windows: read_in_windows(body.residues, tokens, lengths, body.longest)."
    )
    network = Network(body, {"residue": HeadShape("residue", 3)}).eval()
    states, lengths = network.states(*pack(["A", "A" * 141]))
    assert states.shape == (142, 24)
    assert lengths == [1, 141]


@pytest.mark.parametrize(
    ("save", "long"), [(partial(save_esm, position_embedding_type="rotary"), 30), (save_bert, 90), (save_t5, 30)]
)
def test_the_verb_embeds_with_any_family(tmp_path: Path, save: Any, long: int) -> None:
    folder, out = tmp_path / "model", tmp_path / "states.h5"
    folder.mkdir()
    save(folder)
    proteins = [SEQUENCES[0], SEQUENCES[3], "ACDEFGHIKL" * (long // 10)]
    source = tmp_path / "in.fasta"
    source.write_text("".join(f">p{number}\n{sequence}\n" for number, sequence in enumerate(proteins)))
    words = ["embed", str(source), "--out", str(out), "--backbone", str(folder), "--per", "residue", "--dtype", "fp32"]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, (result.output, result.exception)
    about, entries = read_store(out)
    network = Network(load_body(str(folder), TOKENS, offline=True), {}).eval()
    assert (about.model, about.model_sha256) == (str(folder), weights_sha256(network.body))
    for number, (entry, sequence) in enumerate(zip(entries, proteins, strict=True)):
        assert entry.ids == (f"p{number}",)
        with torch.inference_mode():
            expected, lengths = network.states(*pack([sequence]))
        assert lengths == [len(sequence)] == [len(entry.values)]
        assert_same([torch.from_numpy(entry.values)], [expected])
    wrong = CliRunner().invoke(app, [*words, "--layer", "1"])
    if not isinstance(network.body, NativeBody):
        assert str(wrong.exception) == f"Of '{folder}' only the last layer can be read. Leave --layer out."


def test_gradients_reach_a_body_of_theirs(tmp_path: Path) -> None:
    save_bert(tmp_path)
    body: Any = load_body(str(tmp_path), TOKENS, offline=True)
    body.residues(*pack(SEQUENCES))[0].square().sum().backward()
    assert all(weight.grad is not None and weight.grad.abs().sum() > 0 for weight in body.model.encoder.parameters())
    assert not any("table" in name for name in body.state_dict())


def refuse(name: str) -> str:
    with pytest.raises(AnfinsenError) as caught:
        load_body(name, TOKENS, offline=True)
    assert isinstance(caught.value, BundleError)
    return str(caught.value)


@pytest.mark.parametrize(
    ("name", "raised", "sentence"),
    [
        (
            "nosuch",
            httpx2.ConnectError("Name or service not known"),
            "'nosuch' is no folder here, is not among the downloads, and the hub cannot be reached. "
            "Give a local folder, or download it first where there is a network: hf download nosuch",
        ),
        (
            "nobody/no-such-model",
            RepositoryNotFoundError("404", response=httpx2.Response(404, request=httpx2.Request("GET", "https://hub"))),
            "'nobody/no-such-model' is no folder here, is not among the downloads, and the hub has no model of that "
            "name. Check its spelling (owner/name, such as facebook/esm2_t6_8M_UR50D), or give a local folder.",
        ),
    ],
)
def test_a_hub_is_asked_once_for_a_name_that_it_may_not_have(
    monkeypatch: pytest.MonkeyPatch, name: str, raised: Exception, sentence: str
) -> None:
    asked: list[str] = []

    def model_info(api: HfApi, repository: str, **options: object) -> None:
        asked.append(repository)
        raise raised

    def no_request(*given: object, **named: object) -> None:
        raise AssertionError("nothing else may be asked of a network")

    monkeypatch.setattr(HfApi, "model_info", model_info)
    monkeypatch.setattr(httpx2.Client, "send", no_request)
    with pytest.raises(BundleError) as told:
        load_body(name, TOKENS)
    assert (asked, str(told.value)) == ([name], sentence)


def test_refusals_say_what_to_do(tmp_path: Path) -> None:
    assert refuse("nobody/no-such-model") == (
        "'nobody/no-such-model' is no folder here, is not among the downloads, and the network was not to be used. "
        "Give a local folder, or download it first where there is a network: hf download nobody/no-such-model"
    )
    assert refuse(str(tmp_path)) == (
        f"The folder '{tmp_path}' has no config.json that can be read. Give the folder of a model."
    )
    (tmp_path / "config.json").write_text('{"model_type": "llama", "auto_map": {"AutoConfig": "evil.Config"}}')
    assert refuse(str(tmp_path)) == (
        f"'{tmp_path}' is a model of the kind 'llama', which cannot be read as a backbone. "
        "Known: esm (ESM-1b, ESM-2), bert (ProtBERT), t5 (ProtT5)."
    )
    (tmp_path / "config.json").write_text("{")
    assert refuse(str(tmp_path)) == (
        f"The folder '{tmp_path}' has no config.json that can be read. Give the folder of a model."
    )


def test_the_disk_is_asked_before_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def answer(name: str, *, local_files_only: bool) -> tuple[dict[str, str], dict[str, str]]:
        asked.append(local_files_only)
        raise OSError("not there")

    monkeypatch.setattr(HfApi, "model_info", lambda *given, **named: None)
    monkeypatch.setattr("transformers.PreTrainedConfig.get_config_dict", answer)
    with pytest.raises(BundleError) as caught:
        load_body("nobody/no-such-model", TOKENS)
    assert asked == [True, False]
    assert str(caught.value) == (
        "'nobody/no-such-model' is no folder here, is not among the downloads, and could not be fetched. "
        "Give a local folder, or download it first where there is a network: hf download nobody/no-such-model"
    )


def test_a_model_of_words_is_refused(tmp_path: Path) -> None:
    save_bert(tmp_path)
    words = [word.lower() if len(word) == 1 else word for word in BERT_WORDS]
    (tmp_path / "vocab.txt").write_text("\n".join(words))
    assert refuse(str(tmp_path)) == (
        f"The vocabulary of '{tmp_path}' has no token for "
        "A, C, D, E, F, G, H, I, K, L, M, N, P, Q, R, S, T, V, W, Y, X, "
        "so it does not read single residues. Give a protein language model such as ProtBERT."
    )


def test_a_folder_without_its_vocabulary_is_refused(tmp_path: Path) -> None:
    save_esm(tmp_path, position_embedding_type="rotary")
    (tmp_path / "vocab.txt").unlink()
    text = refuse(str(tmp_path))
    assert text.startswith(f"The vocabulary of '{tmp_path}' could not be read: ")
    assert text.endswith("Put the tokenizer's files (vocab.txt, spiece.model or tokenizer.json) beside the weights.")


def test_pickled_weights_are_refused(tmp_path: Path) -> None:
    save_esm(tmp_path, position_embedding_type="rotary")
    (tmp_path / "model.safetensors").rename(tmp_path / "pytorch_model.bin")
    text = refuse(str(tmp_path))
    assert text.startswith(f"The weights of '{tmp_path}' could not be read: ")
    assert text.endswith(
        "Only .safetensors is read, because other formats can run code; convert the checkpoint once with "
        "save_pretrained, on a machine where you trust it."
    )


def test_damaged_and_incomplete_weights_are_refused(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    save_bert(tmp_path)
    path = tmp_path / "model.safetensors"
    weights = load_file(path)
    fewer = {name: weight for name, weight in weights.items() if "layer.1.output" not in name}
    save_file(fewer, path, metadata={"format": "pt"})
    assert refuse(str(tmp_path)) == (
        f"The weights of '{tmp_path}' lack 4 that a BertModel needs, "
        "for example 'encoder.layer.1.output.LayerNorm.bias'. "
        "Fetch or write the model again."
    )
    path.write_bytes(path.read_bytes()[:1000])
    assert refuse(str(tmp_path)).startswith(f"The weights of '{tmp_path}' could not be read: ")


def test_transformers_is_not_imported_before_it_is_asked_for() -> None:
    code = "import sys, anfinsen.models.backbones; sys.exit('transformers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_tokenizer_of_the_tests_is_the_one_of_prott5(tmp_path: Path) -> None:
    save_t5(tmp_path)
    numbers = Tokenizer.from_file(str(tmp_path / "tokenizer.json")).get_vocab()
    assert [numbers[f"▁{letter}"] for letter in T5_LETTERS] == list(range(3, 28))
    assert numbers["<extra_id_99>"] == 28
