"""The folding head: what must not matter (order of a pair, company, bands, cuts, a kill), for each kind of trunk."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy
import pytest
import torch
from transformers import ConvNextConfig, ConvNextForImageClassification, ResNetConfig, ResNetForImageClassification

from anfinsen.data.batch import Stream, crop, pack
from anfinsen.data.example import Example
from anfinsen.errors import ConfigError, MissingDataError, UnknownNameError, UsageError
from anfinsen.hub.bundle import Bundle
from anfinsen.hub.record import TaskRecord
from anfinsen.inference.distances import Folder
from anfinsen.kinship.neighbours import Reach
from anfinsen.models import pair_trunk
from anfinsen.models.encoder import Encoder, EncoderConfig
from anfinsen.models.fast import quicken
from anfinsen.models.folding import FoldingHead
from anfinsen.models.network import HeadShape, NativeBody, Network
from anfinsen.models.pair_trunk import TrunkConfig
from anfinsen.structure.backbone import Backbone, find_breaks
from anfinsen.structure.protein import Protein
from anfinsen.tasks import TASKS, Task
from anfinsen.tasks.ask import ask
from anfinsen.training.engine import Course, TrainConfig, Trainer

LENGTHS = (7, 12, 12, 31)
SIZE = TASKS["contacts"].target.size
KINDS = ("convolution", "axial", "triangle")
TINY = {"dim": 8, "fine": 4, "blocks": 2}


def make_network(trunk: TrunkConfig | None = None) -> Network:
    torch.manual_seed(1)
    shape = EncoderConfig(layers=2, dim=16, heads=2, inner_dim=32)
    head = HeadShape("residue-pairs", SIZE, 0, trunk or TrunkConfig.build(TINY))
    return Network(NativeBody(Encoder(shape), shape.dim, shape.longest), {"contacts": head}).eval()


def sequences() -> list[str]:
    generator = numpy.random.default_rng(1)
    return ["".join(generator.choice(list("ACDEFGHIKLMNPQRSTVWY"), size=length)) for length in LENGTHS]


def maps_of(network: Network, chains: Sequence[str]) -> list[torch.Tensor]:
    """Each chain's (L, L, size)."""
    tokens, lengths = pack(chains)
    with torch.inference_mode():
        states, residues, maps = network.states_and_maps(tokens, lengths)
        rows = network.ask("contacts", states, residues, torch.zeros(len(chains), 0), maps=maps)
    return [part.unflatten(0, (n, n)) for part, n in zip(rows.split([n * n for n in residues]), residues, strict=True)]


@pytest.mark.parametrize("patch", [1, 2, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_a_pair_is_told_the_same_from_both_ends_and_whatever_stands_beside_it(kind: str, patch: int) -> None:
    network = make_network(TrunkConfig.build({**TINY, "kind": kind, "patch": patch}))
    together = maps_of(network, sequences())
    for chain, found in zip(sequences(), together, strict=True):
        assert found.shape == (len(chain), len(chain), SIZE)
        assert torch.equal(found, found.transpose(0, 1))
        (alone,) = maps_of(network, [chain])
        torch.testing.assert_close(alone, found, atol=2e-5, rtol=0)


@pytest.mark.parametrize("kind", KINDS)
def test_bands_change_nothing(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    network = make_network(TrunkConfig.build({**TINY, "kind": kind, "blocks": 4}))
    whole = maps_of(network, sequences())[-1]
    for band in (1, 5):
        monkeypatch.setattr(pair_trunk, "BAND", band)
        torch.testing.assert_close(maps_of(network, sequences())[-1], whole, atol=2e-5, rtol=0)


def test_every_pair_hears_of_the_letters_and_every_residue_of_its_own() -> None:
    network = make_network()
    one, other = maps_of(network, ["ACDEFGHIKL"])[0], maps_of(network, ["ACDEFGHIKW"])[0]
    changed = (one - other).abs().amax(-1)
    assert (changed > 0).all()
    assert changed.diagonal()[-1] > changed.diagonal()[0]


def test_the_form_for_inference_says_the_same() -> None:
    network = make_network()
    (example,) = [Example(Protein("p", sequences()[-1]))]
    task = TASKS["contacts"]
    (plain,), (fast,) = list(ask(network, [task], [example])), list(ask(quicken(network), [task], [example]))
    numpy.testing.assert_allclose(fast["contacts"], plain["contacts"], atol=1e-5)


def test_attention_maps_are_read_only_where_they_are_wanted() -> None:
    with_maps, without = FoldingHead(16, SIZE, TrunkConfig.build(TINY), 4), FoldingHead(16, SIZE, None, 0)
    assert with_maps.maps == 4 and without.seen is None
    assert FoldingHead(16, SIZE, TrunkConfig.build({**TINY, "maps": False}), 4).maps == 0
    with pytest.raises(UsageError, match="attention maps"):
        with_maps(torch.zeros(5, 16), [5], torch.zeros(1, 0))


# Image networks -----------------------------------------------------------------------------------------------------


def save_image_network(kind: str, folder: Path) -> Path:
    torch.manual_seed(3)
    if kind == "resnet":
        settings = ResNetConfig(embedding_size=8, hidden_sizes=[8, 12], depths=[1, 1], layer_type="basic")
        ResNetForImageClassification(settings).save_pretrained(folder)
    else:
        shape = ConvNextConfig(hidden_sizes=[8, 12], depths=[1, 1], num_stages=2)
        ConvNextForImageClassification(shape).save_pretrained(folder)
    return folder


@pytest.mark.parametrize("kind", ["resnet", "convnext"])
def test_a_trunk_starts_from_an_image_network_and_needs_it_no_more_afterwards(kind: str, tmp_path: Path) -> None:
    folder = save_image_network(kind, tmp_path / "image")
    trunk = TrunkConfig.build({**TINY, "kind": "image", "image": str(folder)})
    network = make_network(trunk)
    head = network.heads["contacts"]
    assert isinstance(head, FoldingHead)
    kept = {name: weight for name, weight in head.trunk.network.state_dict().items() if "conv" in name}
    again = make_network(trunk).heads["contacts"].trunk.network.state_dict()
    assert kept and all(torch.equal(weight, again[name]) for name, weight in kept.items())
    norms = [one for one in network.train().modules() if isinstance(one, torch.nn.BatchNorm2d)]
    assert bool(norms) == (kind == "resnet") and not any(one.training for one in norms)
    before = maps_of(network.eval(), sequences())
    for found in before:
        assert torch.equal(found, found.transpose(0, 1))
    shutil.rmtree(folder)
    record = TaskRecord(kind="residue-pairs", size=SIZE, trunk=head.config)
    Bundle("tiny", network, {"contacts": record}).save(tmp_path / "bundle")
    back = Bundle.load(tmp_path / "bundle")
    for one, other in zip(before, maps_of(back.network, sequences()), strict=True):
        torch.testing.assert_close(one, other, atol=2e-2, rtol=0)


def test_an_image_checkpoint_that_is_not_there_or_no_image_network_is_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(MissingDataError, match=r"The image checkpoint '.*nowhere' is not on this machine"):
        make_network(TrunkConfig.build({**TINY, "kind": "image", "image": str(tmp_path / "nowhere")}))
    with pytest.raises(ConfigError, match="needs the name of a checkpoint"):
        TrunkConfig.build({"kind": "image"})
    with pytest.raises(ConfigError, match="not a multiple of heads"):
        TrunkConfig.build({"kind": "axial", "dim": 10})
    (tmp_path / "config.json").write_text('{"model_type": "bert"}', encoding="utf-8")
    with pytest.raises(ConfigError, match="cannot start a pair trunk"):
        make_network(TrunkConfig.build({**TINY, "kind": "image", "image": str(tmp_path)}))


# Learning -----------------------------------------------------------------------------------------------------------


def folded(name: str, length: int) -> Example:
    """A random walk of CA, CB and the rest, as a chain of coordinates."""
    generator = numpy.random.default_rng(length)
    steps = generator.normal(size=(length, 1, 3))
    walk = numpy.cumsum(3.8 * steps / numpy.linalg.norm(steps, axis=-1, keepdims=True), axis=0)
    points = (walk + generator.normal(0, 0.8, size=(length, 5, 3))).astype(numpy.float32)
    sequence = "".join(generator.choice(list("ACDEFGHIKLMNPQRSTVWY"), size=length))
    return Example(Protein(name, sequence, backbone=Backbone(points, find_breaks(points))))


def test_a_crop_keeps_the_distances_of_its_own_residues() -> None:
    example = folded("p", 40)
    whole = TASKS["contacts"].target.encode(example).reshape(40, 40, 4)
    part = crop(example, 16, numpy.random.default_rng(3))
    start = example.protein.sequence.index(part.protein.sequence)
    found = TASKS["contacts"].target.encode(part).reshape(16, 16, 4)
    numpy.testing.assert_array_equal(found[..., 2], whole[start : start + 16, start : start + 16, 2] * off(found))


def off(rows: numpy.ndarray[tuple[int, ...], numpy.dtype[numpy.float32]]) -> numpy.ndarray:  # type: ignore[type-arg]
    """One for every pair."""
    return numpy.ones(rows.shape[:2], dtype=numpy.float32)


def trainer(task: Task, folder: Path, steps: int) -> Trainer:
    config = TrainConfig(steps=steps, tokens=90, learning_rate=3e-3, warmup=2, save_every=3, optimizer="muon")
    examples = [folded(f"p{length}", length) for length in (20, 25, 30, 45, 50)]
    stream = Stream(examples, budget=90, seed=1, prepare=task.prepare, window=24)
    return Trainer(make_network().train(), [Course(task, stream)], config, folder)


def test_a_killed_training_goes_on_bit_for_bit(tmp_path: Path) -> None:
    task = replace(TASKS["contacts"], window=24)
    whole = trainer(task, tmp_path / "whole", 6).fit().state_dict()
    killed = trainer(task, tmp_path / "killed", 6)
    for _ in range(3):
        killed.train_step()
    killed.save()
    again = trainer(task, tmp_path / "killed", 6).fit().state_dict()
    assert all(torch.equal(whole[name], again[name]) for name in whole)


# The folder ---------------------------------------------------------------------------------------------------------


def test_the_folder_gives_a_distogram_and_tells_its_memory(tmp_path: Path) -> None:
    network = make_network()
    record = TaskRecord(
        kind="residue-pairs", size=SIZE, calibration={"temperature": 2.0}, trunk=TrunkConfig.build(TINY)
    )
    bundle = Bundle("tiny", network, {"contacts": record}, {"contacts": Reach.fit([Protein("p", "ACDEFGHIKL")])})
    bundle.remember()
    bundle.save(tmp_path)
    folder = Folder.load(tmp_path)
    believed = folder.distogram(Protein("p", sequences()[-1]))
    assert believed.probabilities.shape == (31, 31, SIZE)
    assert believed.torsions.shape == believed.sureness.shape == (31, 2)
    assert believed.confidence is not None and ((believed.confidence > 0) & (believed.confidence < 1)).all()
    assert folder.memory(400) == 4 * folder.memory(200) > 1e6
    with pytest.raises(UnknownNameError):
        Folder(Bundle("none", network, {}))
