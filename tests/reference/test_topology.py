"""Membrane segments and signal peptides: grammar against brute force, chances against softmax, scores by hand."""

from __future__ import annotations

from itertools import groupby, product
from pathlib import Path

import numpy
import polars
import pytest
import torch
from sklearn.metrics import roc_auc_score

from anfinsen.data.example import Example
from anfinsen.report.card import make_card
from anfinsen.report.tables import answer_cells
from anfinsen.structure.protein import Protein
from anfinsen.targets.base import Answer, softmax
from anfinsen.targets.cleavage import Cut, place_scores
from anfinsen.targets.metrics import measure
from anfinsen.targets.segments import Grammar, Segment, Segments, Stage, is_found, segments
from anfinsen.targets.topology import GRAMMAR
from anfinsen.tasks import TASKS

SMALL = Grammar(
    (
        Stage("in", "1", ("up",), begins=True),
        Stage("out", "2", ("down",), begins=True),
        Stage("up", "H", ("out",), least=3, costly=True),
        Stage("down", "H", ("in",), least=3, costly=True),
    )
)
BOUNDED = Grammar(
    (
        Stage("in", "1", ("up",), begins=True),
        Stage("out", "2", ("down",), begins=True),
        Stage("up", "H", ("out",), least=2, most=4, mean=3.2, spread=0.7, costly=True),
        Stage("down", "H", ("in",), least=2, most=4, mean=3.2, spread=0.7, costly=True),
    )
)
LETTERS = ("1", "2", "H", "B", "S")


def is_legal(tokens: str, least: int, most: int = 99) -> bool:
    """The rules in other words: a crossing is of legal length, begins behind a side and ends before the other one."""
    runs = [(letter, len(list(run))) for letter, run in groupby(tokens)]
    if runs[0][0] == "H":
        return False
    for at, (letter, length) in enumerate(runs):
        if letter == "H":
            if not least <= length <= most:
                return False
            if at + 1 < len(runs) and {runs[at - 1][0], runs[at + 1][0]} != {"1", "2"}:
                return False
        elif at and runs[at - 1][0] != "H":
            return False
    return True


@pytest.mark.parametrize("price", [0.0, 1.5])
def test_the_path_is_the_best_of_all_legal_strings(price: float) -> None:
    for seed in range(6):
        scores = numpy.log(softmax(numpy.random.default_rng(seed).normal(scale=2.0, size=(8, 3))))

        def worth(tokens: tuple[str, ...], scores: numpy.ndarray = scores) -> float:
            each = sum(scores[at, "12H".index(letter)] for at, letter in enumerate(tokens))
            return float(each) - price * sum(letter == "H" for letter, _ in groupby(tokens))

        best = max((one for one in product("12H", repeat=8) if is_legal("".join(one), 3)), key=worth)
        assert SMALL.decode(scores, ("1", "2", "H"), price) == "".join(best)


def test_lengths_are_bounded_and_weighed_by_how_usual_they_are() -> None:
    for seed in range(6):
        scores = numpy.log(softmax(numpy.random.default_rng(seed).normal(scale=2.0, size=(9, 3))))

        def worth(tokens: tuple[str, ...], scores: numpy.ndarray = scores) -> float:
            lengths = [len(list(run)) for letter, run in groupby(tokens) if letter == "H"]
            each = sum(scores[at, "12H".index(letter)] for at, letter in enumerate(tokens))
            return float(each) - sum(0.5 + 0.5 * ((length - 3.2) / 0.7) ** 2 for length in lengths)

        best = max((one for one in product("12H", repeat=9) if is_legal("".join(one), 2, 4)), key=worth)
        assert BOUNDED.decode(scores, ("1", "2", "H"), 0.5) == "".join(best)


def test_a_crossing_is_not_missed_because_the_sides_are_taken_for_one() -> None:
    target = TASKS["membrane-topology"].target
    assert isinstance(target, Segments)
    true = "1" * 20 + "H" * 20 + "2" * 20
    logits = numpy.zeros((60, 5))
    logits[numpy.arange(60), [LETTERS.index(letter) for letter in true]] += 4.0
    logits[40:, 0] += 7.0  # the side behind the helix is taken for the one before it
    said = {trust: target.answer(logits, {"trust": trust, "price": 3.0})["segments"] for trust in (1.0, 0.1)}
    assert said[0.1] == [{"letter": "H", "start": 21, "end": 40}] != said[1.0]


def test_every_answer_keeps_the_rules_of_membranes() -> None:
    target = TASKS["membrane-topology"].target
    assert isinstance(target, Segments)
    for seed in range(10):
        noise = numpy.random.default_rng(seed).normal(scale=3.0, size=(int(10 + 20 * seed), 5)).repeat(5, axis=0)
        tokens = target.answer(noise, {"temperature": 1.0, "price": float(seed % 3)})["tokens"]
        runs = [(letter, len(list(run))) for letter, run in groupby(tokens)]
        letters = [letter for letter, _ in runs]
        assert "S" not in letters[1:]
        assert not {"H", "B"} <= set(letters)
        for at, (letter, length) in enumerate(runs):
            assert {"H": 11, "B": 5, "S": 10}.get(letter, 1) <= length <= {"H": 34, "B": 14}.get(letter, length)
            if letter in "HB" and at + 1 < len(runs):
                assert {letters[at - 1], letters[at + 1]} == {"1", "2"}


def test_a_dearer_segment_is_said_less_often_and_calibration_finds_the_price() -> None:
    target = TASKS["membrane-topology"].target
    outputs, examples = [], []
    for seed in range(12):
        crosses = seed % 2 == 0
        true = "1" * 20 + ("H" * 20 + "2" * 20 if crosses else "1" * 40)
        logits = numpy.random.default_rng(seed).normal(scale=0.5, size=(60, 5))
        logits[numpy.arange(60), [LETTERS.index(letter) for letter in true]] += 3.0
        if not crosses:  # a greasy stretch that is no segment
            logits[22:38, 2] += 3.5
            logits[38:, 1] += 3.0
        outputs.append(logits)
        examples.append(Example(Protein(f"p{seed}", "A" * 60), true))
    counts = [
        sum(len(target.answer(one, {"temperature": 1.0, "price": price})["segments"]) for one in outputs)
        for price in (0.0, 20.0, 200.0)
    ]
    assert counts[0] > counts[1] > counts[2]
    calibration = target.calibrate(outputs, examples)
    free = [target.answer(one, calibration | {"price": 0.0}) for one in outputs]
    paid = [target.answer(one, calibration) for one in outputs]
    assert measure("segment F1", examples, paid).value == 1.0 > measure("segment F1", examples, free).value


def test_segments_are_found_within_five_residues_and_by_half() -> None:
    true = Segment("H", 20, 40)
    assert is_found(true, Segment("H", 25, 45))
    assert not is_found(true, Segment("H", 26, 40))
    assert not is_found(true, Segment("B", 20, 40))
    assert not is_found(Segment("B", 20, 24), Segment("B", 23, 29))  # near, but two of ten shared
    assert segments("11H2") == [Segment("1", 1, 2), Segment("H", 3, 3), Segment("2", 4, 4)]


def test_scores_of_topologies_by_hand() -> None:
    """Right; right but inside out; a helix missed; an invented helix; an invented helix where nobody knows."""
    helix = "H" * 20
    pairs = [
        ("1" * 9 + "U" + helix + "2" * 10, "1" * 10 + helix + "2" * 10),
        ("1" * 10 + helix + "2" * 10, "2" * 12 + "H" * 18 + "1" * 10),
        ("1" * 10 + helix + "2" * 5 + helix + "1" * 5, "1" * 10 + helix + "2" * 30),
        ("1" * 40, "1" * 10 + helix + "2" * 10),
        ("U" * 30 + "1" * 10, "1" * 5 + helix + "2" * 15),
    ]
    examples = [Example(Protein(f"p{at}", "A" * len(true)), true) for at, (true, _) in enumerate(pairs)]
    answers: list[Answer] = [
        {"tokens": said, "probabilities": {letter: [] for letter in LETTERS}, "segments": []} for _, said in pairs
    ]
    found = {name: measure(name, examples, answers) for name in ("Qok", "Qtop", "segment F1", "helical recall")}
    assert found["Qok"].value == pytest.approx(2 / 3)
    assert found["Qok"].n == 3
    assert found["Qtop"].value == pytest.approx(1 / 3)
    assert found["segment F1"].value == pytest.approx(2 * 3 / (4 + 4))  # the helix among unknown residues is not held
    assert found["helical recall"].value == 1.0
    wrong = measure("helical fpr", examples, answers)
    assert (wrong.value, wrong.n) == (1.0, 2)


def test_small_letters_of_the_table_are_read_as_capitals() -> None:
    target = TASKS["membrane-topology"].target
    assert isinstance(target, Segments)
    assert target.read("11hhH2bB") == "11HHH2BB"
    assert set(GRAMMAR.letters) == set(target.letters)


# Signal peptides ----------------------------------------------------------------------------------------------------

CUT = Cut(("whole", "cut"))


def cut_example(length: int, cut: int) -> Example:
    mask = "1" * cut + "0" * (length - cut) if cut else None
    return Example(Protein(f"p{length}-{cut}", "A" * length), "cut" if cut else "whole", mask)


def test_the_loss_is_the_surprise_at_the_true_place_for_each_chain_of_a_row() -> None:
    lengths, cuts = [30, 130, 45], [12, 0, 45]
    examples = [cut_example(length, cut) for length, cut in zip(lengths, cuts, strict=True)]
    outputs = torch.randn(sum(lengths), 2, generator=torch.Generator().manual_seed(1))
    target = torch.tensor([CUT.place(example) for example in examples])
    total, known = CUT.loss_of_chains(outputs, lengths, target)
    expected = [
        -numpy.log(softmax(place_scores(part.numpy()))[cut])
        for part, cut in zip(outputs.split(lengths), cuts, strict=True)
    ]
    assert known == 3
    assert float(total) == pytest.approx(sum(expected), rel=1e-5)


def test_a_cut_of_unknown_place_counts_as_any_place_and_an_unknown_row_as_nothing() -> None:
    outputs = torch.randn(40, 2, generator=torch.Generator().manual_seed(2))
    shares = softmax(place_scores(outputs.numpy()))
    somewhere = CUT.place(Example(Protein("p", "A" * 40), "cut"))
    total, _ = CUT.loss_of_chains(outputs, [40], torch.tensor([somewhere]))
    assert float(total) == pytest.approx(-numpy.log(1 - shares[0]), rel=1e-5)
    unknown = CUT.place(Example(Protein("p", "A" * 40)))
    assert CUT.loss_of_chains(outputs, [40], torch.tensor([unknown]))[1] == 0


def test_whether_and_where_never_contradict_each_other() -> None:
    for seed in range(20):
        outputs = numpy.random.default_rng(seed).normal(scale=2.0, size=(60, 2)) - [0.3, 0]
        answer = CUT.answer(outputs, {})
        shares = softmax(place_scores(outputs))
        assert answer["probabilities"]["whole"] == pytest.approx(shares[0])
        assert (answer["cut"] is not None) == (answer["label"] == "cut") == (shares[0] < 0.5)
        if answer["cut"]:
            assert answer["cut"] == int(shares[1:].argmax()) + 1
            assert answer["cut"] in answer["cuts"]


def test_calibrated_cuts_hold_the_true_place_nine_times_in_ten() -> None:
    generator = numpy.random.default_rng(3)
    outputs, examples = [], []
    for number in range(400):
        cut = int(generator.integers(15, 30)) if number % 2 else 0
        logits = generator.normal(scale=1.0, size=(50, 2))
        logits[:, 0] -= 0.6
        if cut:
            logits[:cut, 0] += 1.2
            logits[cut - 1, 1] += 1.5
        outputs.append(logits)
        examples.append(cut_example(50, cut))
    calibration = CUT.calibrate(outputs[:200], examples[:200])
    cuts = [(one, CUT.answer(out, calibration)) for out, one in zip(outputs[200:], examples[200:], strict=True)]
    held = [one.mask.count("1") in answer["cuts"] for one, answer in cuts if one.mask and answer["cut"]]
    assert 0.8 < numpy.mean(held) < 0.99
    assert all(len(answer["cuts"]) < 15 for _, answer in cuts)


def test_scores_of_cuts_by_hand_and_auroc_as_scikit_learn() -> None:
    examples = [cut_example(50, cut) for cut in (20, 21, 22, 0)]
    answers: list[Answer] = [
        {"label": "cut" if cut else "whole", "cut": cut, "cuts": [], "probabilities": {"cut": p, "whole": 1 - p}}
        for cut, p in ((20, 0.9), (24, 0.6), (None, 0.2), (9, 0.7))
    ]
    assert measure("cut recall", examples, answers).value == pytest.approx(1 / 3)
    assert measure("cut recall +-3", examples, answers).value == pytest.approx(2 / 3)
    assert measure("accuracy", examples, answers).value == pytest.approx(0.5)
    generator = numpy.random.default_rng(1)
    truth, chance = generator.random(200) < 0.4, generator.random(200).round(1)  # with ties
    many = [Example(Protein(f"q{at}", "A" * 20), "cut" if one else "whole") for at, one in enumerate(truth)]
    said: list[Answer] = [{"label": "cut", "probabilities": {"cut": float(p), "whole": 1 - float(p)}} for p in chance]
    assert measure("auroc", many, said).value == pytest.approx(roc_auc_score(truth, chance))


# In sentences, tables and pictures -----------------------------------------------------------------------------------


def test_answers_are_told_in_tables_and_drawn() -> None:
    logits = numpy.full((80, 5), -4.0)
    for at, letter in enumerate("2" * 20 + "H" * 22 + "1" * 38):
        logits[at, LETTERS.index(letter)] = 4.0
    task = TASKS["membrane-topology"]
    answer = task.target.answer(logits, {})
    card = make_card(task.name, answer, task, None)
    assert card.brief == "1\N{MULTIPLICATION SIGN} membrane helix"
    assert "one helix (residues 21 to 42)" in card.sentence
    assert "begin outside" in card.sentence
    assert "<desc>membrane helix 21 to 42.</desc>" in card.picture
    assert answer_cells(task.name, answer)["membrane-topology_segments"] == "H 21-42"
    signal = TASKS["signal-peptide"]
    outputs = numpy.full((60, 2), -1.0)
    outputs[:22, 0], outputs[21, 1] = 1.0, 5.0
    cut = signal.target.answer(outputs, {})
    drawn = make_card(signal.name, cut, signal, None)
    assert drawn.brief == "signal peptide, cut after 22"
    assert "cut off after residue 22" in drawn.sentence
    assert "ends after residue 22" in drawn.picture
    assert answer_cells(signal.name, cut)["signal-peptide_cut"] == 22


# Tables ---------------------------------------------------------------------------------------------------------------


def test_twins_with_a_tag_never_sit_on_both_sides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A construct of the test set, of part 4 and of the held fifth, each with a purification tag in training."""
    generator = numpy.random.default_rng(1)
    made = ["".join(generator.choice(list("ACDEFGHIKLMNPQRSTVWY"), size=150)) for _ in range(60)]
    tag = "MGSSHHHHHHSSGLVPRGSH"
    rows = [(f"a{at}", 1, one, "psi_part0") for at, one in enumerate(made[:20])]
    rows += [(f"b{at}", 0, one, "dsol_val") for at, one in enumerate(made[20:50])]
    rows += [(f"c{at}", 1, one, "psi_part4") for at, one in enumerate(made[50:55])]
    rows += [(f"d{at}", 0, one, "dsol_test") for at, one in enumerate(made[55:])]
    rows += [(f"t{at}", 1, tag + one, "psi_part1") for at, one in enumerate(made[20:])]
    folder = tmp_path / "conditions"
    folder.mkdir()
    table = polars.DataFrame(rows, schema=["id", "soluble", "sequence", "split"], orient="row")
    table.write_parquet(folder / "solubility.parquet")
    monkeypatch.setenv("ANFINSEN_DATA", str(tmp_path))
    task = TASKS["solubility"]
    train, valid, test = ({one.protein.id for one in task.examples(name)} for name in ("train", "valid", "test"))
    held = {name for name in valid if name.startswith("b")}
    assert held
    assert {f"a{at}" for at in range(20)} <= train
    twins = {f"t{at}" for at in range(30, 40)} | {f"t{name[1:]}" for name in held}
    assert not twins & train
    assert not (train & valid or train & test or valid & test)
    assert {one.value for one in task.examples("test")} == {"insoluble"}


def test_splits_may_stand_in_a_column_of_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "membrane_topology"
    folder.mkdir()
    rows = [
        ("soluble", "A" * 30, "1" * 30, 0),
        ("signal", "A" * 30, "S" * 20 + "2" * 10, 1),
        ("unseen", "A" * 30, "U" * 20 + "2" * 10, 1),
        ("helix", "A" * 30, "1" * 5 + "h" * 20 + "2" * 5, 3),
    ]
    schema = ["id", "sequence", "topology", "fold"]
    polars.DataFrame(rows, schema=schema, orient="row").write_parquet(folder / "tmbed_cv0_3.parquet")
    monkeypatch.setenv("ANFINSEN_DATA", str(tmp_path))
    topology, signal = TASKS["membrane-topology"], TASKS["signal-peptide"]
    assert [one.protein.id for one in topology.examples("train")] == ["soluble", "signal", "unseen"]
    assert [one.value for one in topology.examples("test")] == ["1" * 5 + "H" * 20 + "2" * 5]
    known = {one.protein.id: (one.value, one.mask) for one in signal.examples("train")}
    assert known == {
        "soluble": ("no signal peptide", None),
        "signal": ("signal peptide", "1" * 20 + "0" * 10),
    }
