"""`anfinsen train data.csv` and `anfinsen.train(sequences, labels)`: from a table of one's own to a judged bundle."""

from __future__ import annotations

import csv
import json
import time
from collections.abc import Sequence
from pathlib import Path

import numpy
import pytest
from click.testing import Result
from typer.testing import CliRunner

import anfinsen
from anfinsen.cli import app
from anfinsen.errors import ConfigError, UsageError
from anfinsen.hub.bundle import Bundle
from anfinsen.kinship.neighbours import Reach
from anfinsen.reading.readers import read_proteins
from anfinsen.structure.protein import Protein
from anfinsen.tables.labelled import TableConfig, read_labelled

EXAMPLE = Path(__file__).parents[2] / "examples" / "secreted_or_nuclear.csv"
ONCE = ("--set", "table.folds=0")
FAST = ("--set", "table.folds=2", "--set", "train.steps=6", "--threads", "1")


def proteins(count: int) -> tuple[list[str], list[str]]:
    """Invented chains of which every other one is positive, and their labels."""
    generator = numpy.random.default_rng(2)
    sequences, labels = [], []
    for at in range(count):
        letters = list("AGLSTVFYHPQN") + list("KR" if at % 2 else "DE") * 4
        sequences.append("".join(generator.choice(letters, size=int(generator.integers(24, 40)))))
        labels.append("positive" if at % 2 else "negative")
    return sequences, labels


def write(path: Path, columns: dict[str, Sequence[object]]) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
    return path


def train(source: Path | str, out: Path, body: Path, *flags: str) -> Result:
    return CliRunner().invoke(app, ["train", str(source), "--out", str(out), "--from", str(body), *FAST, *flags])


def sentences(result: Result) -> str:
    return " ".join(result.output.split())


def test_a_table_goes_the_whole_way_and_its_bundle_answers_without_it(tmp_path: Path, body: Path) -> None:
    sequences, labels = proteins(40)
    sequences[3], labels[4] = "MKV*LLAAGIVGLL", ""
    ids = [f"c{at}" for at in range(40)]
    source = write(tmp_path / "Net Charge.csv", {"id": ids, "sequence": sequences, "charge": labels})
    out = tmp_path / "run"
    result = train(source, out, body)
    assert result.exit_code == 3, result.output
    told = sentences(result)
    for sentence in (
        "38 rows to learn from, 2 refused.",
        "sequences: column 'sequence'",
        "answers: column 'charge', read as a class for each protein",
        "names: column 'id'",
        "2 classes: negative 19, positive 19.",
        "How it is judged: in 2 rounds, each of which puts other rows aside, learns from the rest and is asked about "
        "those, so that each of the 38 rows is asked once by a network that has not seen it; families",
        "None of the 38 proteins is asked of a network that has learned from a relative of it (30 % identity or more).",
        "What simple rules reach, and a network must beat (n = 38 proteins, 2 folds of families; Accuracy, higher is "
        "better): composition 1.00 (0.907 to 1.00);",
        "How it learns: the body (the language model, which has read many proteins) rests, and a small head on top "
        "learns your question, beginning as a straight line through what the body makes of a protein. That takes 2 "
        "trainings to be judged and one on all rows, each of at most 6 steps",
        "Round 2 of 2: learned from",
        "(95% interval",
        "beside it: frozen linear probe",
        "Asked about 38 proteins that it had not learned from, it was right about",
        "Its set of classes should hold the truth nine times in ten; over 38 proteins",
        f"Ask it: anfinsen predict PROTEINS.fasta --bundle {out}/bundle",
    ):
        assert sentence in told, sentence
    # the last network learns from every row: nothing is left that it "never trains on"
    assert "never trains on" not in told
    with (out / "refused.csv").open() as file:
        assert [(row["record"], row["row"]) for row in csv.DictReader(file)] == [("c3", "4"), ("c4", "5")]

    source.unlink()
    bundle = Bundle.load(out / "bundle")
    record = bundle.records["net-charge"]
    assert record.custom is not None and record.custom.labels == ("negative", "positive")
    assert (record.trained_on, record.calibration["n"]) == (38, 38.0)
    assert {score.model for score in record.scores} == {
        "anfinsen net-charge", "majority", "composition", "nearest neighbour", "frozen linear probe",
    }  # fmt: skip
    assert all(score.n == 38 and score.low is not None for score in record.scores)
    assert bundle.verify() == []
    asked = CliRunner().invoke(
        app, ["predict", sequences[1], "--bundle", str(out / "bundle"), "--out", str(tmp_path / "p")]
    )
    assert asked.exit_code == 0, asked.output
    assert "Most likely its charge is" in sentences(asked)
    (line,) = (tmp_path / "p" / "predictions.jsonl").read_text().splitlines()
    answer = json.loads(line)["answers"]["net-charge"]
    assert set(answer) == {"label", "probability", "set", "probabilities", "reach"}
    assert answer["reach"]["nearest_id"] == "c1"
    assert "What is its charge?" in (tmp_path / "p" / "report.html").read_text()


def test_the_same_command_again_changes_nothing_and_another_recipe_is_refused(tmp_path: Path, body: Path) -> None:
    sequences, labels = proteins(24)
    source = write(tmp_path / "own.csv", {"sequence": sequences, "label": labels})
    assert train(source, tmp_path / "run", body).exit_code == 0
    first = Bundle.load(tmp_path / "run" / "bundle")
    assert train(source, tmp_path / "run", body).exit_code == 0
    again = Bundle.load(tmp_path / "run" / "bundle")
    assert (again.sha256, again.records["own"].scores) == (first.sha256, first.records["own"].scores)
    other = train(source, tmp_path / "run", body, "--seed", "7")
    assert str(other.exception).endswith("or repeat the old command to go on with the old training.")


def test_the_plan_alone_trains_nothing(tmp_path: Path, body: Path) -> None:
    sequences, labels = proteins(24)
    names = [f"{label[:3]}_{at}" for at, label in enumerate(labels)]
    source = write(tmp_path / "own.csv", {"id": names, "sequence": sequences, "label": labels, "call": labels})
    result = train(source, tmp_path / "run", body, "--plan")
    assert result.exit_code == 0, result.output
    told = sentences(result)
    assert "on this machine (two batches were tried:" in told
    assert (
        "Mind: The column 'call' equals the label 'label' in all 24 rows that have one: a model that reads it has read"
        in told
    )
    assert "Mind: The column 'id' gives the label away: its letters alone (such as 'neg_#', # for digits)" in told
    assert not (tmp_path / "run").exists()


def test_what_the_body_has_seen_is_told(tmp_path: Path, body: Path) -> None:
    sequences, labels = proteins(24)
    bundle = Bundle.load(body)
    bundle.reaches["place"] = Reach.fit([Protein(f"p{at}", chain) for at, chain in enumerate(sequences[:9])])
    bundle.save(tmp_path / "seen")
    source = write(tmp_path / "own.csv", {"sequence": sequences, "label": labels})
    told = sentences(train(source, tmp_path / "run", tmp_path / "seen", "--plan"))
    assert (
        "Mind: The body 'tiny' has met 9 of your 24 proteins before, or near twins of them, when it learned questions "
        "of its own: place (9). If yours is like one of these, the score below flatters: judge by proteins that you "
        "measured yourself."
    ) in told


def test_shuffled_answers_score_at_chance_and_true_ones_do_not(body: Path) -> None:
    sequences, labels = proteins(40)
    settings = {"start": body, "train__steps": 6, "table__folds": 2}
    true = anfinsen.train(sequences, labels, **settings)
    control = anfinsen.train(sequences, labels, table__shuffle=True, **settings)
    assert true.scores[0].low is not None and true.scores[0].low > 0.8
    score = control.scores[0]
    assert score.low is not None and score.high is not None and score.low <= 0.5 <= score.high
    assert "The answers were shuffled: a score clearly above the majority's would mean a leak." in str(control)


def test_a_network_that_loses_is_reported_so(body: Path) -> None:
    sequences, labels = proteins(40)
    model = anfinsen.train(sequences, labels, start=body, table__folds=2, train__steps=1, table__shuffle=True)
    ours, best = model.scores[0], max(s.value for s in model.scores if s.metric == "accuracy")
    if ours.value >= best:
        pytest.skip("by luck nothing was better")
    assert "It does not beat its best baseline (" in str(model)
    began_as_best = "baseline (frozen linear probe" in str(model)
    ends = "what it learned on top brought nothing here." if began_as_best else "you lose nothing by the simple rule."
    assert ends in str(model)


def test_two_lists_of_numbers_with_a_condition(tmp_path: Path, body: Path) -> None:
    sequences, _ = proteins(40)
    numbers = [chain.count("K") + chain.count("R") + 0.5 for chain in sequences]
    temperature = [20.0 + at % 3 for at in range(40)]
    model = anfinsen.train(
        sequences, numbers, start=body, conditions={"temperature": temperature}, table__folds=2, train__steps=4
    )
    said = model.predict(sequences[:3])
    assert said.shape == (3,) and said.dtype == numpy.float64
    mine = {score.metric for score in model.scores if score.model == "anfinsen my-task"}
    assert mine == {"rmse", "r2", "spearman", "coverage"}
    assert "composition + conditions" in {score.model for score in model.scores}
    assert "condition: column 'temperature'" in model.plan
    with pytest.raises(UsageError) as told:
        model.predict_proba(sequences[:1])
    assert str(told.value) == "Only a model of classes has chances of classes. Use answers() or predict()."
    again = anfinsen.load(model.save(tmp_path / "mine"))
    (answer,) = again.predict(sequences[:1])
    assert answer.answers["my-task"]["value"] == pytest.approx(said[0], abs=0.05)


def test_several_labels_letters_and_numbers_a_residue(body: Path) -> None:
    sequences, labels = proteins(24)
    settings = {"start": body, "table__folds": 2, "train__steps": 2}
    both = [[label, "long"] if at % 3 else [label] for at, label in enumerate(labels)]
    several = anfinsen.train(sequences, both, **settings)
    assert set(several.predict(sequences[:5]).sum()) <= {"positive", "negative", "long"}
    assert {score.metric for score in several.scores} == {"micro_f1", "fmax"}
    marks = ["".join("C" if residue in "KRDE" else "N" for residue in chain) for chain in sequences]
    letters = anfinsen.train(sequences, marks, **settings)
    assert len(letters.predict(sequences[:1])[0]) == len(sequences[0])
    values = anfinsen.train(sequences, [[float(r in "KRDE") for r in chain] for chain in sequences], **settings)
    assert values.predict(sequences[:1])[0].shape == (len(sequences[0]),)
    rivals = {"mean", "residue type", "window", "nearest neighbour"}
    assert {score.model for score in values.scores} == {"anfinsen my-task", *rivals}


@pytest.mark.parametrize("mode", ["lora", "full"])
def test_a_body_that_moves_learns_nothing_from_one_round_for_the_next(mode: str, body: Path) -> None:
    if mode == "lora":
        pytest.importorskip("peft")
    sequences, labels = proteins(24)
    model = anfinsen.train(sequences, labels, start=body, mode=mode, table__folds=2, train__steps=2)
    assert model.scores[0].n == 24
    alone = anfinsen.train(sequences, labels, start=body, table__folds=2, train__steps=2)
    probes = [[s.value for s in one.scores if s.model == "frozen linear probe"] for one in (model, alone)]
    assert probes[0] == probes[1]
    assert model.predict(sequences[:2]).shape == (2,)


def test_the_example_is_a_table_of_real_proteins() -> None:
    found = read_labelled(EXAMPLE, TableConfig())
    assert (found.kind, found.label, len(found), found.refused) == ("label", "place", 34, ())
    (insulin,) = (one for one in found.examples if one.protein.id == "P01308")
    known = next(read_proteins(EXAMPLE.with_name("known_proteins.fasta")))
    assert isinstance(known, Protein) and known.sequence == insulin.protein.sequence


@pytest.mark.slow
def test_the_example_becomes_a_calibrated_bundle_in_three_minutes(tmp_path: Path) -> None:
    began = time.process_time()
    result = CliRunner().invoke(app, ["train", str(EXAMPLE), "--out", str(tmp_path)])
    assert result.exit_code == 0, result.output
    assert time.process_time() - began < 180
    record = Bundle.load(tmp_path / "bundle").records["secreted-or-nuclear"]
    assert record.calibration["n"] == 34
    assert record.scores[0].low is not None and record.scores[0].low > 0.6


def test_a_split_of_ones_own_is_kept_and_refused_where_it_leaks(tmp_path: Path, body: Path) -> None:
    sequences, labels = proteins(40)
    names = ["train"] * 28 + ["test"] * 12
    source = write(tmp_path / "own.csv", {"sequence": sequences, "label": labels, "split": names})
    told = sentences(train(source, tmp_path / "run", body, "--plan", *ONCE))
    assert "It has no validation rows, so 4 training rows stop the training instead." in told
    assert "n = 12 proteins, test, your split" in told
    sequences[30] = sequences[0]
    labels[30] = labels[0]
    sequences[31] = sequences[1] + "G"
    source = write(tmp_path / "leak.csv", {"sequence": sequences, "label": labels, "split": names})
    refused = train(source, tmp_path / "other", body, *ONCE)
    assert isinstance(refused.exception, UsageError)
    assert str(refused.exception) == (
        "The split of your own leaks: 1 of 11 test proteins (9%) has a training twin of 90 % identity or more: row 32 "
        "and row 2 (100 %). Take the split column out (families of relatives are dealt then), or go on all the same "
        "with --set table.leaks=allow."
    )
    allowed = train(source, tmp_path / "other", body, "--plan", *ONCE, "--set", "table.leaks=allow")
    assert "Error: 1 of 11 test proteins (9%)" in sentences(allowed)


def test_flags_and_recipe_say_the_same(tmp_path: Path, body: Path) -> None:
    sequences, labels = proteins(24)
    source = write(tmp_path / "own.csv", {"chain": sequences, "call": labels, "other": labels[::-1]})
    ambiguous = train(source, tmp_path / "run", body, "--plan")
    assert str(ambiguous.exception) == (
        f"The answers could be in column 'call' or 'other'; {source} has: chain, call, other. Say which: --label NAME."
    )
    flags = sentences(train(source, tmp_path / "run", body, "--plan", "--label", "call", "--column", "chain"))
    recipe = tmp_path / "own.toml"
    recipe.write_text(f'tasks = ["{source}"]\n[table]\nlabel = ["call"]\ncolumn = "chain"\n')
    words = ["train", "--recipe", str(recipe), "--from", str(body), "--plan", *FAST]
    toml = sentences(CliRunner().invoke(app, words))
    assert "2 classes: negative 12, positive 12." in flags
    assert flags.partition("About")[0] == toml.partition("About")[0]
    recipe.write_text(f'tasks = ["{source}"]\n[table]\nlabl = ["call"]\n')
    wrong = CliRunner().invoke(app, words)
    assert isinstance(wrong.exception, ConfigError)
    assert str(wrong.exception).startswith(
        f"{recipe}, table: there is no setting 'labl'. Did you mean 'label'? Known: by,"
    )


def test_too_few_families_and_no_file_are_refused(tmp_path: Path, body: Path) -> None:
    sequences, labels = proteins(2)
    alike = [sequences[at % 2] + "GAVLIMFW"[at % 8] * (at // 8 + 1) for at in range(24)]
    source = write(tmp_path / "own.csv", {"sequence": alike, "label": labels * 12})
    few = train(source, tmp_path / "run", body)
    assert str(few.exception) == (
        "The 24 rows make 2 families of relatives that stay together; 4 are needed for 2 folds. Add other proteins, "
        "say --set table.folds=2, or --set table.by=random, which says less about new proteins."
    )
    missing = train("no.csv", tmp_path / "run", body)
    assert str(missing.exception) == "There is no file 'no.csv'. Give the path of a table."


def test_a_bundle_knows_the_table_it_learnt_from(tmp_path: Path, body: Path) -> None:
    sequences, labels = proteins(30)
    source = write(tmp_path / "own.csv", {"sequence": sequences, "label": labels})
    out = tmp_path / "run"
    slow = train(source, out, body, "--slow")
    assert slow.exit_code == 0, slow.output
    # the network that is kept is walked through once, and learns after that
    assert slow.output.count("One batch of 'own', slowly") == 1
    assert slow.output.index("The plan") < slow.output.index("slowly") < slow.output.index("How good it is")

    def verify(*words: str) -> tuple[int, str]:
        result = CliRunner().invoke(app, ["verify", str(out / "bundle"), *words])
        return result.exit_code, sentences(result) + str(result.exception or "")

    assert verify("--data")[0] == 0
    assert "Its table is its owner's; name it to have it compared: --data TABLE." in verify("--data")[1]
    code, told = verify("--data", str(source))
    assert code == 0 and "The 30 training proteins are the ones it learnt from." in told
    assert "The table is dealt as it was" in told
    write(source, {"sequence": sequences, "label": [*labels[:28], labels[29], labels[28]]})
    code, told = verify("--data", str(source))
    assert code == 1 and "is not the one it learnt from: SHA-256" in told
    write(source, {"sequence": sequences[:28], "label": labels[:28]})
    code, told = verify("--data", str(source))
    assert code == 1 and "28 training rows come of it, and it learnt from 30." in told
    assert "There is no table" in verify("--data", str(tmp_path / "none.csv"))[1]
    write(source, {"sequence": sequences, "label": labels})

    def distil(*words: str) -> Result:
        settings = ("--student", "1x16", "--out", str(tmp_path / "student"), "--set", "train.steps=2", "--threads", "1")
        return CliRunner().invoke(app, ["distill", str(out / "bundle"), *words, *settings])

    assert str(distil().exception) == (
        "'own' was learnt from a table of your own, which the bundle does not keep. Name the table: "
        f"anfinsen distill {out / 'bundle'} TABLE"
    )
    taught = distil(str(source))
    assert taught.exit_code == 0, taught.output
    student = Bundle.load(tmp_path / "student" / "bundle")
    assert student.records["own"].custom == Bundle.load(out / "bundle").records["own"].custom
    checked = CliRunner().invoke(app, ["verify", str(tmp_path / "student" / "bundle"), "--data", str(source)])
    assert checked.exit_code == 0 and "dealt as it was" in sentences(checked), checked.output
    assert "was named, and --data was not." in verify(str(source))[1]


def test_heats_over_rounds_keep_proteins_that_are_never_trained_on(tmp_path: Path, body: Path) -> None:
    sequences, labels = proteins(40)
    source = write(tmp_path / "own.csv", {"sequence": sequences, "label": labels})
    settings = ("--heat", "--set", "train.steps=2", "--set", "train.judge_every=1")
    planned = sentences(train(source, tmp_path / "run", body, *settings, "--plan"))
    assert "cold (the head), warm (small adapters in the body too), hot (the whole body)" in planned
    result = train(source, tmp_path / "run", body, *settings)
    assert result.exit_code == 0, result.output
    told = sentences(result)
    assert "Now once more on 30 proteins; the other 10 tell when a heat is over." in told
    assert "Cold is over: its best loss on proteins it never trains on is" in told
    record = Bundle.load(tmp_path / "run" / "bundle").records["own"]
    assert (record.trained_on, record.calibration["n"]) == (30, 40.0)
    checked = CliRunner().invoke(app, ["verify", str(tmp_path / "run" / "bundle"), "--data", str(source)])
    assert checked.exit_code == 0, checked.output
