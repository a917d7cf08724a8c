"""The rows of taught contacts: who is judged, how pairs are ranked, and that a map which knows the truth scores it."""

from __future__ import annotations

from pathlib import Path

import numpy
import polars
import pytest
import torch

from anfinsen.bench import contact_maps, fold_cost
from anfinsen.bench.contact_maps import by_separation, by_template, contact_rows, judged, score
from anfinsen.bench.contacts import LONG_RANGE, pairs_of
from anfinsen.bench.suite import suites
from anfinsen.hub.bundle import Bundle
from anfinsen.hub.record import TaskRecord
from anfinsen.inference.fold import Builder
from anfinsen.models.encoder import Encoder, EncoderConfig
from anfinsen.models.network import HeadShape, NativeBody, Network
from anfinsen.models.pair_trunk import TrunkConfig
from anfinsen.sets.coordinates import load_chains
from anfinsen.tasks import TASKS

LETTERS = "ACDEFGHIKLMNPQRSTVWY"


@pytest.fixture
def tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A training chain, a near relative of it in the test split, a chain too short to be judged, and one target."""
    generator = numpy.random.default_rng(4)
    train = "".join(generator.choice(list(LETTERS), size=60))
    near = train[5:55]
    chains = [
        row("hand:train", train, "train"),
        row("hand:test", near, "test", start=5),
        row("hand:short", near[:20], "test"),
        row("eigenfold:1abc.A", train[10:58], "test", start=10, cameo2022_dev=True),
    ]
    (tmp_path / "structures").mkdir()
    polars.DataFrame(chains).write_parquet(tmp_path / "structures" / "chains.parquet")
    more = [row("hand:other", "".join(generator.choice(list(LETTERS), size=70)), "train")]
    polars.DataFrame(more).write_parquet(tmp_path / "structures" / "chains_more.parquet")
    whole = "MM" + train[10:58] + "GG"
    targets = polars.DataFrame({"name": ["1abc.A.pdb"], "seqlen": [len(whole)], "seqres": [whole]})
    targets.write_csv(tmp_path / "structures" / "cameo2022_dev.csv")
    monkeypatch.setenv("ANFINSEN_DATA", str(tmp_path))


def row(name: str, sequence: str, split: str, start: int = 0, cameo2022_dev: bool = False) -> dict[str, object]:
    """A hairpin: out along x and back again beside it, so that residues far apart in the chain touch."""
    place = numpy.arange(start, start + len(sequence), dtype=float)
    x = numpy.where(place < 30, place, 59 - place) * 3.3
    alpha = numpy.stack([x, numpy.where(place < 30, 0.0, 5.0), 0.4 * numpy.sin(place)], axis=-1)
    turned = numpy.array([[-1.2, 0.8, 0.1], [0, 0, 0], [1.2, 0.9, -0.1], [1.6, 2.0, 0.2], [0.0, -0.8, 1.3]])
    points = numpy.round((alpha[:, None] + turned) * 100).astype("<i2")
    return {
        "id": name,
        "source": "hand",
        "seq": sequence,
        "resnum": numpy.arange(1, len(sequence) + 1, dtype="<i4").tobytes(),
        "icodes": "",
        "atoms": "bb5",
        "coords": points.tobytes(),
        "center": [0.0, 0.0, 0.0],
        "cluster": 1,
        "split": split,
        "cameo2022_dev": cameo2022_dev,
        "representative": True,
    }


def make_network() -> Network:
    torch.manual_seed(1)
    shape = EncoderConfig(layers=1, dim=16, heads=2, inner_dim=32)
    trunk = TrunkConfig.build({"dim": 8, "fine": 4, "blocks": 1})
    head = HeadShape("residue-pairs", TASKS["contacts"].target.size, 0, trunk)
    return Network(NativeBody(Encoder(shape), shape.dim, shape.longest), {"contacts": head}).eval()


def make_bundle() -> Bundle:
    """A bundle that answers contacts, and was not fitted to weigh known structures."""
    record = TaskRecord(kind="residue-pairs", size=TASKS["contacts"].target.size)
    return Bundle("anfinsen-tiny", make_network(), {"contacts": record})


@pytest.mark.usefixtures("tables")
def test_rows_stand_for_both_sets_with_baselines_and_published_figures() -> None:
    rows = contact_rows(make_bundle(), limit=None, tell=lambda sentence: None)
    measured = [row for row in rows if not row.published]
    assert {(row.split, row.metric, row.model) for row in measured} == {
        (split, metric, model)
        for split in ("test", "cameo2022-dev")
        for metric in ("P@L", "P@L/5")
        for model in ("anfinsen-tiny", "separation", "nearest structure")
    }
    assert {row.model: row.value for row in rows if row.published} == {"ESM-2 8M": 0.157, "ESM-2 35M": 0.284}
    assert {row.suite for row in rows} == {"structure"}
    found = {(row.split, row.model): row.value for row in measured if row.metric == "P@L/5"}
    # a relative with the same fold knows its contacts, on the target through the letters that the crystal lacks too
    assert found["test", "nearest structure"] == found["cameo2022-dev", "nearest structure"] == 1.0
    assert found["test", "separation"] < 1.0


@pytest.mark.usefixtures("tables")
def test_the_judged_are_long_enough_and_no_target_stands_twice() -> None:
    assert [chain.id for chain in judged("test")] == ["hand:test"]
    assert [chain.id for chain in judged("cameo2022-dev")] == ["eigenfold:1abc.A"]


@pytest.mark.usefixtures("tables")
def test_truth_scores_what_is_reachable_and_its_opposite_nothing() -> None:
    pairs = [pairs_of(chain, LONG_RANGE) for chain in judged("test")]
    (one,) = pairs
    right, wrong = one.touching.astype(float), -one.touching.astype(float)
    assert score("P@L/5", [right], pairs).value == 1.0
    assert score("P@L", [right], pairs).value == pytest.approx(min(1.0, one.touching.sum() / one.length))
    assert score("P@L/5", [wrong], pairs).value == 0.0
    assert by_separation(one).argmax() == one.separation.argmin()
    assert numpy.isfinite(by_template(one, [])).all()


def test_contacts_are_judged_by_their_study_and_sit_no_exam() -> None:
    assert "contacts" not in [one.name for one in suites()["sequence"]]
    assert {"contacts", "interface"} <= {one.name for one in suites()["structure"]}


def test_no_judged_cluster_was_trained_on() -> None:
    if not TASKS["contacts"].table.is_here():
        pytest.skip("the tables of chains are not here")
    held_out = {chain.cluster for split in contact_maps.SPLITS for chain in judged(split)}
    assert not held_out & {chain.cluster for chain in load_chains("train")}


def test_a_fold_of_a_process_of_its_own_is_measured_and_stays_far_below_four_gigabytes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(fold_cost, "long_chains", lambda: ["MKELLKKAEELGVSPEELKKVLEAGGS"])
    told: list[str] = []
    rows = {row.metric: row for row in fold_cost.cost_rows(Bundle("any", make_network()), limit=None, tell=told.append)}
    assert set(rows) == {"seconds", "peak_mb"} and len(told) == 1
    assert {(row.suite, row.task, row.split, row.n) for row in rows.values()} == {
        ("structure", "fold", "300 residues", 1)
    }
    assert 0.5 < rows["seconds"].value < 120 and 100 < rows["peak_mb"].value < 2000
    assert Builder.load().memory(300) < 500e6
