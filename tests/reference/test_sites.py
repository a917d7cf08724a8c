"""Yes or no for every residue: losses against PyTorch, scores against scikit-learn, promises against new proteins."""

from __future__ import annotations

from typing import Any

import numpy
import pytest
import torch
from sklearn import metrics
from torch.nn import functional

from anfinsen.data.alphabet import RESIDUES
from anfinsen.data.example import Example
from anfinsen.errors import UndefinedScoreError, UsageError
from anfinsen.kinship.relatives import Relatives
from anfinsen.structure.protein import Protein
from anfinsen.targets.coverage import redraw
from anfinsen.targets.metrics import measure
from anfinsen.targets.sites import CUTS
from anfinsen.targets.tracks import Tracks, best_threshold, expected_threshold
from anfinsen.targets.values import Values
from anfinsen.tasks import TASKS

TRACKS = Tracks(("metal", "nucleic"), ("M", "N"), (4.0, 1.0))
ONE = Tracks(("phosphate",), ("P",))


def protein(number: int, length: int) -> Protein:
    return Protein(f"p{number}", "".join(numpy.random.default_rng(number).choice(list(RESIDUES), size=length)))


def made(target: Tracks, count: int, *, seed: int = 1, rare: float = -2.5) -> tuple[list[Example], list[Any]]:
    """Proteins whose sites are drawn by the very chances that the logits stand for; every ninth residue is unknown."""
    generator = numpy.random.default_rng(seed)
    examples, outputs = [], []
    for number in range(count):
        logits = rare + generator.normal(size=(int(generator.integers(20, 60)), target.size)) * 1.5
        sites = generator.random(logits.shape) < 1 / (1 + numpy.exp(-logits))
        texts = ["".join("-" if n % 9 == 8 else str(int(one)) for n, one in enumerate(track)) for track in sites.T]
        examples.append(Example(protein(number, len(logits)), tuple(texts) if target.size > 1 else texts[0]))
        outputs.append(logits)
    return examples, outputs


def flat(target: Tracks, examples: list[Example], answers: list[Any], track: str | None) -> tuple[Any, Any, Any]:
    """Truth, what is said, and the chance of every known residue: of one track, or of any."""
    truth = numpy.concatenate([target.encode(example) for example in examples])
    names = [track] if track else list(target.names)
    places = [target.names.index(name) for name in names]
    shares = numpy.concatenate([numpy.array([one["probabilities"][name] for name in names]).T for one in answers])
    least = numpy.array([answers[0]["thresholds"][name] for name in names])
    known = ~numpy.isnan(truth).any(1)
    said = (shares >= least).any(1)[known]
    return truth[known][:, places].any(1), said, 1 - (1 - shares[known]).prod(1)


def test_the_loss_of_tracks_is_pytorchs_over_what_is_known() -> None:
    (example,), (logits,) = made(TRACKS, 1)
    truth, outputs = torch.from_numpy(TRACKS.encode(example)), torch.from_numpy(logits).float()
    known = ~truth.isnan()
    every = functional.binary_cross_entropy_with_logits(
        outputs, truth.nan_to_num(), pos_weight=torch.tensor([4.0, 1.0]), reduction="none"
    )
    loss, count = TRACKS.loss(outputs, truth)
    assert float(loss) == pytest.approx(float(every[known].sum()), rel=1e-6)
    assert count == int(known.sum())


@pytest.mark.parametrize("track", [None, "metal"])
def test_scores_of_sites_are_scikit_learns(track: str | None) -> None:
    examples, outputs = made(TRACKS, 40)
    answers = [TRACKS.answer(output, TRACKS.calibrate(outputs, examples)) for output in outputs]
    true, said, share = flat(TRACKS, examples, answers, track)
    noun = track or "site"
    expected = {
        "MCC": metrics.matthews_corrcoef(true, said),
        "AUROC": metrics.roc_auc_score(true, share),
        "AUPR": metrics.average_precision_score(true, share),
    }
    if track:
        expected["F1"] = metrics.f1_score(true, said)
    else:
        parts = [flat(TRACKS, [one], [answer], None) for one, answer in zip(examples, answers, strict=True)]
        each = [metrics.f1_score(true, said) for true, said, _ in parts if true.any() or said.any()]
        expected["F1"] = numpy.mean(each)
    for name, value in expected.items():
        found = measure(f"{noun} {name}", examples, answers, resamples=200)
        assert found.value == pytest.approx(value, abs=1e-9), name
        assert found.n == 40
        assert found.low is not None and found.high is not None and found.low < found.value < found.high


def test_of_more_chances_than_steps_the_areas_are_as_good_as_exact() -> None:
    examples, outputs = made(ONE, 600, rare=-3.0)
    answers = [ONE.answer(output, {}) for output in outputs]
    true, _, share = flat(ONE, examples, answers, None)
    assert len(numpy.unique(share)) > 2 * CUTS
    assert measure("site AUROC", examples, answers, resamples=2).value == pytest.approx(
        metrics.roc_auc_score(true, share), abs=1e-4
    )
    assert measure("site AUPR", examples, answers, resamples=2).value == pytest.approx(
        metrics.average_precision_score(true, share), abs=1e-3
    )


def test_the_threshold_has_the_best_f1_and_shifts_undo_the_weights() -> None:
    examples, outputs = made(ONE, 300)
    calibration = ONE.calibrate([2 * (output + 1.4) for output in outputs], examples)
    assert calibration["temperature"] == pytest.approx(2.0, rel=0.1)
    assert calibration["shift phosphate"] == pytest.approx(-1.4, abs=0.2)
    answers = [ONE.answer(2 * (output + 1.4), calibration) for output in outputs]
    true, _, share = flat(ONE, examples, answers, None)
    precision, recall, thresholds = metrics.precision_recall_curve(true, share)
    scores = 2 * precision * recall / (precision + recall).clip(1e-9)
    assert calibration["threshold phosphate"] == pytest.approx(thresholds[scores[:-1].argmax()], abs=1e-4)
    assert best_threshold(numpy.array([0.1, 0.2]), numpy.array([0.0, numpy.nan])) == 0.5


def test_a_proteins_own_threshold_has_the_best_f_score_in_worlds_drawn_from_its_probabilities() -> None:
    generator = numpy.random.default_rng(4)
    shares = generator.beta(0.4, 2.0, size=(120, 2)).round(4)
    worlds = (generator.random((4000, 120, 2)) < shares).any(2)  # drawn sites of either track
    thresholds = numpy.unique(shares.max(1))
    said = shares.max(1) >= thresholds[:, None]
    scores = (1.5 * worlds @ said.T / (0.5 * worlds.sum(1)[:, None] + said.sum(1))).mean(0)  # recall counts half
    one = metrics.fbeta_score(worlds[0], said[0], beta=0.5**0.5)
    assert one == pytest.approx(1.5 * (worlds[0] & said[0]).sum() / (0.5 * worlds[0].sum() + said[0].sum()))
    ours = expected_threshold(shares)
    assert scores[thresholds.tolist().index(ours)] > scores.max() - 0.003
    assert scores.min() < scores.max() - 0.1, "any threshold would do, so this test means nothing"

    calibration = {"threshold one": 0.9, "threshold other": 0.9}
    for has_sites in (False, True):
        target = Tracks(names=("one", "other"), letters=("O", "X"), has_sites=has_sites)
        answer = target.answer(numpy.log(shares.clip(1e-4) / (1 - shares.clip(1e-4))), calibration)
        assert list(answer["thresholds"].values()) == pytest.approx([ours if has_sites else 0.9] * 2, abs=1e-4)
        assert len(answer["tokens"].replace("-", "")) == int((shares.max(1) >= (ours if has_sites else 0.9)).sum())
    assert expected_threshold(numpy.zeros((5, 2))) == 0.5


def test_of_the_true_sites_of_a_new_protein_nine_in_ten_are_not_ruled_out() -> None:
    examples, outputs = made(ONE, 500, rare=-1.0)
    assert all("1" in str(example.value) for example in examples)
    redrawn = redraw(ONE, outputs, examples, draws=10)
    assert redrawn.estimate().value == pytest.approx(0.9, abs=0.01)
    assert redrawn.width < 0.7  # of one letter a residue


def test_nine_residues_in_ten_of_a_new_protein_lie_in_their_range() -> None:
    generator, target = numpy.random.default_rng(5), Values("K", 300.0, 10.0)
    examples, outputs = [], []
    for number in range(300):
        spread, shared = generator.normal(size=40) * 0.4, generator.normal() * 0.5  # proteins are off as a whole
        place = generator.normal(size=40)
        truth = place + shared + numpy.exp(spread) * generator.standard_t(4, size=40)
        examples.append(Example(protein(number, 40), tuple((300 + 10 * truth).tolist())))
        outputs.append(numpy.stack([place, spread], axis=1))
    redrawn = redraw(target, outputs, examples, draws=10)
    assert redrawn.estimate().value == pytest.approx(0.9, abs=0.01)
    answer = target.answer(outputs[0], target.calibrate(outputs, examples))
    widths = numpy.array(answer["high"]) - numpy.array(answer["low"])
    assert numpy.corrcoef(numpy.log(widths), outputs[0][:, 1])[0, 1] == pytest.approx(1.0, abs=1e-3)


def test_of_two_tracks_the_surer_one_gives_the_letter() -> None:
    calibration = {"threshold metal": 0.2, "threshold nucleic": 0.5, "floor metal": 0.05, "floor nucleic": 0.4}
    logits = numpy.log(numpy.array([[0.3, 0.9], [0.3, 0.45], [0.1, 0.1], [0.9, 0.6]]))
    shares = numpy.exp(logits)
    answer = TRACKS.answer(numpy.log(shares / (1 - shares)), calibration)
    assert answer["tokens"] == "NM-M"
    assert answer["sets"] == ["MN", "MN", "M", "MN"]
    assert answer["probabilities"]["metal"] == [0.3, 0.3, 0.1, 0.9]


def test_a_wrong_count_is_refused_and_a_score_without_sites_does_not_exist() -> None:
    with pytest.raises(UsageError) as told:
        TRACKS.encode(Example(protein(1, 4), ("0101", "010")))
    assert str(told.value) == (
        "'p1' has 4 residues and 2 tracks, but its answer has 4 and 3 letters. Give for each track one letter a "
        "residue, 1, 0 or - where unknown; nothing is padded."
    )
    empty = [Example(protein(number, 4), "0000") for number in range(3)]
    with pytest.raises(UndefinedScoreError):
        measure("site AUROC", empty, [ONE.answer(numpy.zeros((4, 1)), {})] * 3)


def test_two_state_conservation_is_scikit_learns() -> None:
    generator = numpy.random.default_rng(2)
    examples, answers = [], []
    for number in range(20):
        true = "".join(generator.choice(list("123456789"), size=30))
        said = "".join(one if generator.random() < 0.5 else str(generator.integers(1, 10)) for one in true)
        examples.append(Example(protein(number, 30), true))
        answers.append({"tokens": said, "probabilities": {grade: [] for grade in "123456789"}})
    true, said = (
        [letter > "5" for text in part for letter in text]
        for part in ([str(example.value) for example in examples], [answer["tokens"] for answer in answers])
    )
    found = measure("two-state MCC", examples, answers)
    assert found.value == pytest.approx(metrics.matthews_corrcoef(true, said))


def test_only_serines_and_threonines_may_be_phosphosites() -> None:
    task = TASKS["phosphosites"]
    example = Example(Protein("p", "MSTAKY"))
    outputs = numpy.full((6, 1), 3.0)
    (answer,) = task.answers([outputs], [example], {"floor phosphate": 0.1})
    assert answer["tokens"] == "-PP---"
    assert answer["probabilities"]["phosphate"] == [0.0, 0.9526, 0.9526, 0.0, 0.0, 0.0]
    assert answer["sets"] == ["", "P", "P", "", "", ""]


@pytest.mark.slow
def test_no_judge_of_disorder_has_a_relative_in_training() -> None:
    table = TASKS["disorder"].table
    if not table.is_here():
        pytest.skip(f"{table.files} is not on this machine")
    parts = {split: table.load(split) for split in table.splits}
    assert [len(part) for part in parts.values()] == [812, 174, 174]
    rows = [example.protein.sequence for part in parts.values() for example in part]
    nearest = Relatives(rows).nearest(range(986, 1160), range(986))
    assert nearest.identity.max() < 0.3
