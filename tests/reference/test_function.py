"""What a protein does: enzyme numbers and ontology terms, their scores against somebody else's, and the library."""

from __future__ import annotations

import math
from pathlib import Path

import numpy
import pytest
import torch
from biotite.sequence import ProteinSequence
from biotite.sequence.align import SubstitutionMatrix, align_optimal, get_sequence_identity
from sklearn.metrics import f1_score
from sklearn.preprocessing import MultiLabelBinarizer

from anfinsen.bench.baselines import baselines_for
from anfinsen.bench.function import all_aligned
from anfinsen.data.example import Example
from anfinsen.errors import UndefinedScoreError
from anfinsen.hub.bundle import Bundle
from anfinsen.hub.record import TaskRecord
from anfinsen.kinship.homology import PROVEN, Library
from anfinsen.models.encoder import Encoder, EncoderConfig
from anfinsen.models.network import NativeBody, Network
from anfinsen.structure.protein import Protein
from anfinsen.targets.annotation import BY_WORDS, aspect_of, called
from anfinsen.targets.base import Answer
from anfinsen.targets.hierarchy import Hierarchy, information, read_split
from anfinsen.targets.metrics import measure
from anfinsen.targets.voices import Voices, fit_voices
from anfinsen.tasks import TASKS
from anfinsen.tasks.ask import ask
from anfinsen.tasks.recall import RecallingTask

LETTERS = list("ACDEFGHIKLMNPQRSTVWY")
SHARES = numpy.array([83, 14, 55, 67, 39, 71, 23, 59, 58, 97, 24, 41, 47, 39, 55, 66, 54, 69, 11, 29]) / 1001
"""How common each residue is in Swiss-Prot; the statistics of alignments hold for chains of such residues."""
ALIKE = dict(zip("ARNDCQEGHILKMFPSTWYV", "SKDESEDNYVMRLYATSFFI", strict=True))
"""Residues that often stand for one another."""
EC, GO = TASKS["ec"], TASKS["go"]


def made_up(generator: numpy.random.Generator, length: int) -> str:
    return "".join(generator.choice(LETTERS, size=length, p=SHARES))


def mutant(generator: numpy.random.Generator, sequence: str, kept: float) -> str:
    return "".join(one if generator.random() < kept else str(generator.choice(LETTERS)) for one in sequence)


def shares_of(answer: Answer) -> dict[str, float]:
    return {one["label"]: one["probability"] for one in answer["labels"]}


# Scores against somebody else's ---------------------------------------------------------------------------------------


def enzyme_answers(count: int = 60) -> tuple[list[Example], list[Answer]]:
    generator = numpy.random.default_rng(1)
    whole = [name for name in EC.target.labels if "-" not in name][::150]
    truths, answers = [], []
    for index in range(count):
        true = tuple(str(one) for one in generator.choice(whole, size=1 + index % 2, replace=False))
        said = {str(one): float(generator.random()) for one in generator.choice(whole, size=3, replace=False)}
        said |= {true[0]: 0.99} if index % 3 else {}
        truths.append(Example(Protein(f"p{index}", "M"), true))
        answers.append({"labels": [{"label": name, "probability": share} for name, share in said.items()]})
    return truths, answers


def test_f1_is_that_of_scikit_learn() -> None:
    truths, answers = enzyme_answers()
    said = [called({one["label"]: one["probability"] for one in answer["labels"]}) for answer in answers]
    table = MultiLabelBinarizer().fit([example.value for example in truths] + said)
    rows = table.transform([example.value for example in truths]), table.transform(said)
    for metric, average in (("F1", "weighted"), ("F1 by protein", "samples")):
        expected = f1_score(*rows, average=average, zero_division=0)
        assert measure(metric, truths, answers, resamples=5).value == pytest.approx(expected, abs=1e-12)


def ontology_answers(count: int = 25) -> tuple[list[Example], list[Answer]]:
    """Invented proteins with terms that are closed upwards, some of them rare, and answers that are partly right."""
    generator = numpy.random.default_rng(2)
    ontology = Hierarchy.read("go.txt", "go_rare.txt")
    truths, answers = [], []
    for index in range(count):
        true = ontology.upwards(generator.choice(len(ontology.names), size=1 + index % 3).tolist())
        said = ontology.upwards([*list(true)[:3], *generator.choice(1000, size=3).tolist()])
        truths.append(Example(Protein(f"p{index}", "M"), tuple(ontology.names[at] for at in true)))
        shares = {ontology.names[at]: round(float(generator.random()), 2) for at in sorted(said)}
        answers.append({"labels": [{"label": name, "probability": share} for name, share in shares.items()]})
    return truths, answers


def cafa(truths: list[Example], answers: list[Answer], aspect: str) -> tuple[float, float]:
    """Fmax and Smin as their papers define them, protein by protein, with sets; knows nothing of our arrays."""
    ontology = Hierarchy.read("go.txt", "go_rare.txt")
    bits = dict(zip(ontology.names, information(ontology).tolist(), strict=True))
    roots = {name for name, parents in zip(ontology.names, ontology.parents, strict=True) if not parents}
    fmax, smin = 0.0, math.inf
    for threshold in [step / 100 for step in range(1, 100)]:
        precisions, recalls, missed, wrong = [], [], 0.0, 0.0
        for example, answer in zip(truths, answers, strict=True):
            assert isinstance(example.value, tuple)
            true = {str(name) for name in example.value if aspect_of(str(name)) == aspect} - roots
            if not true:
                continue
            said = {one["label"] for one in answer["labels"] if one["probability"] >= threshold - 1e-12}
            said = {name for name in said if aspect_of(name) == aspect} - roots
            recalls.append(len(true & said) / len(true))
            if said:
                precisions.append(len(true & said) / len(said))
            missed += sum(bits[name] for name in true - said)
            wrong += sum(bits[name] for name in said - true)
        recall = sum(recalls) / len(recalls)
        precision = sum(precisions) / len(precisions) if precisions else 0.0
        if precision + recall:
            fmax = max(fmax, 2 * precision * recall / (precision + recall))
        smin = min(smin, math.hypot(missed / len(recalls), wrong / len(recalls)))
    return fmax, smin


@pytest.mark.parametrize("aspect", ["MF", "CC"])
def test_fmax_and_smin_are_those_of_cafa(aspect: str) -> None:
    truths, answers = ontology_answers()
    fmax, smin = cafa(truths, answers, aspect)
    assert measure(f"Fmax {aspect}", truths, answers, resamples=5).value == pytest.approx(fmax, abs=1e-9)
    assert measure(f"Smin {aspect}", truths, answers, resamples=5).value == pytest.approx(smin, abs=1e-9)
    assert 0.1 < fmax < 1


def test_the_gain_over_homology_is_the_ratio_of_the_two_scores() -> None:
    for (truths, answers), metric in ((enzyme_answers(), "F1"), (ontology_answers(), "Fmax")):
        weak = [{"labels": answer["labels"][: 1 + index % 3]} for index, answer in enumerate(answers)]
        both = [{**answer, BY_WORDS: other} for answer, other in zip(answers, weak, strict=True)]
        if metric == "F1":
            both = [{**answer, "said": "x"} for answer in both]
        scores = [measure(metric, truths, one, resamples=5).value for one in (answers, weak)]
        gain = measure("relative_gain", truths, both, resamples=50)
        assert gain.value == pytest.approx(scores[0] / scores[1] - 1)
        assert gain.low is not None and gain.low <= gain.value
        with pytest.raises(UndefinedScoreError):
            measure("relative_gain", truths, answers)
        for level in (4,) if metric == "F1" else ():  # these answers hold whole numbers alone
            right = [measure(f"accuracy level {level}", truths, one, resamples=5).value for one in (both, weak)]
            gain = measure(f"relative_gain level {level}", truths, both, resamples=5)
            assert right[1] > 0 and gain.value == pytest.approx(right[0] / right[1] - 1)


# Hierarchies ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("files", [("ec.txt",), ("go.txt", "go_rare.txt")])
def test_parents_come_first_and_no_name_comes_twice(files: tuple[str, ...]) -> None:
    hierarchy = Hierarchy.read(*files)
    assert len(set(hierarchy.names)) == len(hierarchy.names)
    assert all(parent < at for at, parents in enumerate(hierarchy.parents) for parent in parents)
    assert (information(hierarchy) >= 0).all()


def test_no_term_is_likelier_than_what_stands_above_it() -> None:
    assert isinstance(GO, RecallingTask)
    ontology, generator = GO.hierarchy, numpy.random.default_rng(3)
    assert ontology is not None
    outputs = generator.normal(-2, 3, size=len(ontology.names))
    answer = GO.target.answer(outputs, {})
    shares = {one["label"]: one["probability"] for one in answer["labels"]}
    assert len(shares) > 500
    for name, share in shares.items():
        for parent in ontology.parents[ontology.place[name]]:
            if ontology.parents[parent]:  # roots are not answered
                assert shares[ontology.names[parent]] >= share


def test_the_parts_of_a_class_share_its_probability_and_the_loss_is_its_surprise() -> None:
    target, generator = EC.target, numpy.random.default_rng(4)
    outputs = generator.normal(0, 2, size=(1, target.size))
    shares = target.shares(outputs)[0]  # type: ignore[attr-defined]
    names = target.labels
    assert shares[[at for at, name in enumerate(names) if name.endswith(".-.-.-")]].sum() == pytest.approx(1)
    inside = [share for name, share in zip(names, shares, strict=True) if name[:7] == "3.4.21." and name[-1] != "-"]
    assert sum(inside) == pytest.approx(shares[names.index("3.4.21.-")], rel=1e-5)
    truth = torch.from_numpy(target.encode(Example(Protein("p", "M"), ("3.4.21.4",))))
    total, levels = target.loss(torch.from_numpy(outputs).float(), truth)
    assert levels == 4
    assert float(total) == pytest.approx(-math.log(shares[names.index("3.4.21.4")]), rel=1e-4)


def test_an_enzyme_number_is_said_only_as_far_as_it_is_certain() -> None:
    outputs = numpy.full(EC.target.size, -6.0)
    for name in ("3.-.-.-", "3.4.-.-", "3.4.21.-"):
        outputs[EC.target.labels.index(name)] = 4.0
    answer = EC.target.answer(outputs, {})
    assert answer["said"] == answer["labels"][0]["label"] == "3.4.21.-"
    assert "cuts peptide bonds (peptidase); serine endopeptidase (EC 3.4.21.-; what stands as '-' is open)" in EC.say(
        answer
    )
    nothing = EC.target.answer(numpy.zeros(EC.target.size), {})
    assert nothing["said"] == "unknown" and EC.say(nothing).startswith("Unknown")


# The library ----------------------------------------------------------------------------------------------------------


def test_a_library_finds_relatives_as_an_exact_alignment_sees_them_and_no_strangers() -> None:
    generator = numpy.random.default_rng(5)
    chains = [made_up(generator, int(generator.integers(150, 300))) for _ in range(120)]
    library = Library.of([Protein(f"p{at}", chain) for at, chain in enumerate(chains)], [[at] for at in range(120)])
    library = Library.from_arrays(library.to_arrays())
    assert library.chains == tuple(chains) and library.ids[7] == "p7" and library.labels[7].tolist() == [7]
    matrix = SubstitutionMatrix.std_protein_matrix()
    for at in range(0, 120, 24):
        asked = mutant(generator, chains[at], 0.55)
        hit = library.search(asked)[0]
        pair = ProteinSequence(asked), ProteinSequence(chains[at])
        exact = align_optimal(*pair, matrix, gap_penalty=(-11, -1), local=True, max_number=1)[0]
        assert hit.place == at and hit.is_proven
        assert hit.bits == pytest.approx((0.267 * exact.score - math.log(0.041)) / math.log(2), rel=1e-6)
        assert hit.identity == pytest.approx(get_sequence_identity(exact, mode="all"), abs=0.02)
    strangers = [hit for _ in range(30) for hit in library.search(made_up(generator, 250)) if hit.is_proven]
    assert len(strangers) <= 1


def test_kin_that_share_no_word_in_place_are_found_and_measured_as_biotite_does() -> None:
    generator = numpy.random.default_rng(9)
    chains = [made_up(generator, 200) for _ in range(40)]
    library = Library.of([Protein(f"p{at}", chain) for at, chain in enumerate(chains)], [[at] for at in range(40)])
    asked = "".join(one if at % 2 else ALIKE[one] for at, one in enumerate(chains[7]))
    assert not any(asked[at : at + 2] == chains[7][at : at + 2] for at in range(199))
    best = library.kin(asked)[0]
    exact = align_optimal(
        ProteinSequence(asked),
        ProteinSequence(chains[7]),
        SubstitutionMatrix.std_protein_matrix(),
        gap_penalty=(-11, -1),
        local=True,
        max_number=1,
    )[0]
    assert best.place == 7 and best.bits == pytest.approx((0.267 * exact.score - math.log(0.041)) / math.log(2))
    assert library.identity(asked, 7) == pytest.approx(get_sequence_identity(exact, mode="all"))
    strangers = [one for _ in range(30) for one in library.kin(made_up(generator, 200)) if one.e_value <= PROVEN]
    assert len(strangers) <= 1


def test_a_memory_goes_through_a_bundle_and_is_heard(tmp_path: Path) -> None:
    torch.manual_seed(1)
    generator = numpy.random.default_rng(6)
    shape = EncoderConfig(layers=1, dim=32, heads=2, inner_dim=64)
    network = Network(NativeBody(Encoder(shape), shape.dim, shape.longest), {"ec": EC.shape}).eval()
    known = [
        Example(Protein(f"k{at}", made_up(generator, 120)), ("3.4.21.4", "2.3.2.27")[at % 2 :][:1]) for at in range(6)
    ]
    asked = [
        Example(Protein("near", mutant(generator, known[1].protein.sequence, 0.7))),
        Example(Protein("far", made_up(generator, 120))),
    ]
    (mute,) = (one["ec"] for one in ask(network, [EC], asked[:1]))
    assert "kin" not in EC.target.answer(mute, {})
    EC.remember(network.heads["ec"], known)
    Bundle("tiny", network, {"ec": TaskRecord(kind="centres", size=EC.target.size)}, {}).save(tmp_path)
    back = Bundle.load(tmp_path).network
    near, far = (EC.target.answer(one["ec"], {}) for one in ask(back, [EC], asked))
    assert near["said"].startswith("2.3.2.") and near["whole"] == ["2.3.2.27"]
    assert near["source"] in ("homology", "both")
    assert near["kin"]["identity"] > 0.5 and far["kin"]["identity"] is None
    (transferred,) = all_aligned(known, asked[:1], EC)
    assert shares_of(near["kin"]) == shares_of(transferred)
    assert len(Library.from_arrays(back.heads["ec"].memory.arrays())) == 6


def test_the_voice_that_was_right_counts() -> None:
    """Relatives are right when near and wrong when far, the network is so-so: each is believed where it should be."""
    generator = numpy.random.default_rng(7)
    count, names = 400, 6
    true = generator.integers(0, names, size=count)
    truth = numpy.eye(names, dtype=bool)[true]
    chances, voices = numpy.full((count, names), 0.06), []
    for at in range(count):
        chances[at, true[at] if generator.random() < 0.6 else generator.integers(0, names)] = 0.7
        is_near = at % 2 == 0
        vote = true[at] if is_near or generator.random() < 0.2 else generator.integers(0, names)
        voices.append(
            Voices(
                numpy.zeros(names),
                numpy.eye(names)[vote],
                numpy.eye(names)[vote] * (1.0 if is_near else 0.1),
                0.8 if is_near else 0.25,
            )
        )
    groups = numpy.zeros(names, dtype=numpy.int64)
    calibration = fit_voices(chances[:200], voices[:200], truth[:200], groups)
    heard = numpy.stack(
        [one.weighed(chance, groups, calibration) for one, chance in zip(voices[200:], chances[200:], strict=True)]
    )
    right = heard.argmax(1) == true[200:]
    network = (chances[200:].argmax(1) == true[200:]).mean()
    assert right[0::2].mean() > 0.97 and right[1::2].mean() > network - 0.05
    assert heard.max(1).mean() == pytest.approx(right.mean(), abs=0.1)


# Splits and baselines -------------------------------------------------------------------------------------------------


def test_every_protein_has_one_split_and_bands_part_the_test() -> None:
    for task in (EC, GO):
        if not task.table.is_here():
            pytest.skip("the tables are not on this machine")
        splits = {name: {example.protein.id for example in task.examples(name)} for name in ("train", "valid", "test")}
        assert not splits["train"] & splits["valid"] and not splits["train"] & splits["test"]
        assert not splits["valid"] & splits["test"]
        parts = [{example.protein.id for example in task.examples(name)} for name in task.tests[1:]]
        assert set().union(*parts) == splits["test"] and sum(map(len, parts)) == len(splits["test"])
    assert all(identity < 0.3 for split, identity in read_split("go_split.txt").values() if split == "test")


@pytest.mark.parametrize("name", ["ec", "go"])
def test_baselines_answer_in_the_same_form(name: str) -> None:
    task, generator = TASKS[name], numpy.random.default_rng(8)
    names = task.target.labels
    train = [Example(Protein(f"t{at}", made_up(generator, 80)), (names[-1 - at % 5],)) for at in range(30)]
    asked = [Example(Protein("q", mutant(generator, train[2].protein.sequence, 0.8)))]
    answers = {one.name: one.answer(train, asked, task)[0] for one in baselines_for(task)}
    assert set(answers) == {"frequency", "composition", "homology transfer", "homology transfer, all aligned"}
    for transfer in ("homology transfer", "homology transfer, all aligned"):
        votes = {one["label"]: one["probability"] for one in answers[transfer]["labels"]}
        assert votes[names[-3]] > 0.5
    assert all(0.01 < one["probability"] <= 1 for answer in answers.values() for one in answer["labels"])
