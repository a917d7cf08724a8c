"""The speed benchmark from end to end with a tiny encoder: which rows come out, and what they say."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import numpy
import polars
import pytest
import torch

from anfinsen import runtime
from anfinsen.bench import contenders, one_pass, speed
from anfinsen.bench.contenders import CONTENDERS, FIRST, Contender
from anfinsen.bench.speed import product_rate, speed_rows
from anfinsen.hub.body import write_body
from anfinsen.hub.bundle import Bundle
from anfinsen.hub.record import TaskRecord
from anfinsen.inference.embedder import Embedder, embed_file
from anfinsen.models.encoder import Encoder, EncoderConfig
from anfinsen.models.network import HeadShape, NativeBody, Network
from anfinsen.reading.readers import read_examples

WITHOUT_EXTRAS = [one for one in CONTENDERS if not one.packages]


@pytest.fixture
def proteins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A corpus of thirty invented proteins."""
    folder = tmp_path / "pretrain_corpus"
    folder.mkdir()
    generator = numpy.random.default_rng(4)
    rows = [
        {
            "id": f"p{number}",
            "sequence": "".join(generator.choice(list("ACDEFGHIKLMNPQRSTVWY"), generator.integers(20, 90))),
            "split": "valid",
            "in_shared_test": False,
        }
        for number in range(30)
    ]
    polars.DataFrame(rows).write_parquet(folder / "part-0.parquet")
    monkeypatch.setenv("ANFINSEN_DATA", str(tmp_path))
    return folder


@pytest.mark.usefixtures("proteins")
def test_every_contender_has_its_rows(tiny_network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speed, "_peak_alone", lambda one, folder: 100.0)
    monkeypatch.setattr(contenders, "find_spec", lambda package: None)
    told: list[str] = []
    rows = {
        (row.split, row.metric, row.model): row
        for row in speed_rows(Bundle("mine", tiny_network), limit=12, tell=told.append)
    }
    assert {row.suite for row in rows.values()} == {"speed"}
    assert {row.task for row in rows.values()} == {"embed"}
    assert {model for _, _, model in rows} == {
        "anfinsen mine",
        *(one.name for one in WITHOUT_EXTRAS if not one.is_ours),
    }
    assert {row.n for row in rows.values()} == {12}
    for split in ("fp32", "bf16"):
        ratio = rows[split, "ratio", "anfinsen mine"]
        assert ratio.low is not None and ratio.high is not None
        assert 0 < ratio.low <= ratio.value <= ratio.high
        assert rows[split, "gemm_share", "anfinsen mine"].value > 0
        assert rows[split, "peak_mb", "anfinsen mine"].value == 100.0
    assert rows["fp32", "ratio", FIRST].value == rows["fp32", "ratio", FIRST].high == 1.0
    assert rows["fp32", "max_abs_error", "anfinsen mine"].value < 1e-4
    assert rows["fp32", "cosine", "anfinsen mine"].value > 1 - 1e-6
    assert rows["bf16", "cosine", "anfinsen mine"].value > 0.9999
    assert "OpenVINO, batch 8, sorted by length does not take part; install openvino to see it." in told
    assert "ONNX Runtime, batch 8, sorted by length does not take part; install onnxruntime and onnx to see it." in told


def test_a_contender_alone_says_how_much_memory_it_took(tiny_network: Network, tmp_path: Path) -> None:
    write_body(tmp_path, tiny_network.body, None)
    (tmp_path / "sequences.txt").write_text("MKTAYIAKQR\nACDEFGHIKLMNP", encoding="utf-8")
    (ours,) = (one for one in CONTENDERS if one.name == "anfinsen fp32")
    assert 50 < speed._peak_alone(ours, tmp_path) < 2000


def test_proteins_are_always_the_same_and_in_file_order(proteins: Path) -> None:
    table = polars.read_parquet(proteins / "part-0.parquet")["sequence"].to_list()
    chosen = speed._proteins(10)
    assert chosen == speed._proteins(10)
    places = [table.index(sequence) for sequence in chosen]
    assert places == sorted(places) and len(places) == 10 and places != list(range(10))


@pytest.mark.parametrize("one", WITHOUT_EXTRAS, ids=lambda one: one.name)
def test_states_come_in_the_order_asked(one: Contender, tiny_network: Network, tmp_path: Path) -> None:
    write_body(tmp_path, tiny_network.body, None)
    sequences = ["ACDEFGHIKLMNPQRSTVWY" * 3, "MKTAYIAKQR", "GG" * 20] * 3
    read = one.open(tmp_path)
    residues = read(sequences, "residue")
    assert [states.shape for states in residues] == [(len(sequence), 32) for sequence in sequences]
    for mean, states in zip(read(sequences, "protein"), residues, strict=True):
        assert numpy.allclose(mean, states.mean(0), atol=1e-2 if one.precision == "bf16" else 1e-5)


def test_work_is_counted_from_the_shape() -> None:
    """One layer, one protein of 8 residues: T = 10 tokens, C = 4, inner 8."""
    work = speed._Work(EncoderConfig(layers=1, dim=4, heads=2, inner_dim=8), ["ACDEFGHI"])
    products = 2 * 10 * (3 * 4 * 4 + 4 * 4 + 4 * 8 + 8 * 4)
    attention = 2 * 2 * 10 * 10 * 4
    assert (work.residues, work.flops) == (8, products + attention)


def test_the_rate_of_products_is_that_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speed, "_seconds", lambda product, row, parts: 0.5)
    config = EncoderConfig(layers=1, dim=16, heads=2, inner_dim=32)
    rows = runtime.threads() * 2048
    expected = 2 * rows * (3 * 16 * 16 + 16 * 16 + 2 * 16 * 32) / (4 * 0.5)
    assert product_rate(config, torch.float32) == pytest.approx(expected)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="Only Linux lets a process forget its peak.")
def test_time_grows_with_the_number_of_proteins_and_memory_does_not(tiny_network: Network, tmp_path: Path) -> None:
    """Four times as many take about four times as long, in the same memory; 8,000 at once would take 90 MB more."""
    generator = numpy.random.default_rng(6)
    peaks, seconds = {}, {}
    for count in (300, 2_000, 8_000):  # the first warms up
        letters = generator.choice(list("ACDEFGHIKLMNPQRSTVWY"), (count, 120))
        path = tmp_path / f"{count}.fasta"
        path.write_text("".join(f">p{at}\n{''.join(row)}\n" for at, row in enumerate(letters)), encoding="ascii")
        embedder = Embedder(tiny_network, name="tiny", sha256="0" * 64, per="residue")
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak is counted from now on
        start = time.process_time()
        result = embed_file(read_examples(path), embedder, tmp_path / f"{count}.h5")
        seconds[count], peaks[count] = time.process_time() - start, runtime.peak_megabytes()
        assert result.answered == count
    assert 2 < seconds[8_000] / seconds[2_000] < 8  # the square would be sixteen
    assert peaks[8_000] - peaks[2_000] < 60


def test_all_answers_in_one_pass_stand_beside_a_pass_for_each_task(
    proteins: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [
        {"id": f"q{number}", "sequence": "ACDEFGHIKL" * 30, "split": "valid", "in_shared_test": False}
        for number in range(3)
    ]
    polars.DataFrame(rows).write_parquet(proteins / "part-1.parquet")
    torch.manual_seed(1)
    config = EncoderConfig(layers=1, dim=16, heads=2, inner_dim=32)
    shapes = {"solubility": HeadShape("pooled", 2), "disorder": HeadShape("residue", 2)}
    network = Network(NativeBody(Encoder(config), config.dim, config.longest), shapes).eval()
    records = {name: TaskRecord(kind=shape.kind, size=shape.size) for name, shape in shapes.items()}
    Bundle("tiny", network, records).save(tmp_path / "bundle")
    monkeypatch.setattr(one_pass, "default_bundle", lambda: tmp_path / "bundle")
    passes: list[int] = []
    states = Network.states

    def counted(network: Network, tokens: torch.Tensor, lengths: Sequence[int]) -> tuple[torch.Tensor, list[int]]:
        passes.append(len(lengths))
        return states(network, tokens, lengths)

    monkeypatch.setattr(Network, "states", counted)
    # The clock counts passes of the body, so that the verdict does not hang on how busy the machine is.
    monkeypatch.setattr(one_pass, "time", SimpleNamespace(perf_counter=lambda: float(len(passes))))
    told: list[str] = []
    ours, each = one_pass.one_pass_rows(
        Bundle("mine", Bundle.load(tmp_path / "bundle").network), limit=2, tell=told.append
    )
    assert (ours.suite, ours.task, ours.metric, ours.n, told) == ("speed", "one-pass", "seconds", 2, [])
    assert ours.split == "2 tasks, 290-310 residues"
    assert each.model == "a pass for each task"
    assert (ours.low, ours.value, ours.high, each.value) == (1.0, 1.0, 1.0, 2.0)
    stranger = Network(NativeBody(Encoder(config), config.dim, config.longest), {})
    assert one_pass.one_pass_rows(Bundle("mine", stranger), limit=2, tell=told.append) == []
    assert told == ["one-pass is passed over: it asks the model that comes with the package."]
