"""The main job, from the command line to the files, with the model that ships in the package."""

from __future__ import annotations

import csv
import gzip
import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import polars
import pytest
import torch
from click.testing import Result
from typer.testing import CliRunner

import anfinsen
from anfinsen.cli import app, main
from anfinsen.cli.screen import notices
from anfinsen.errors import BundleError, UsageError
from anfinsen.hub.bundle import Bundle, default_bundle
from anfinsen.inference.jobs import run_job
from anfinsen.inference.predictor import Predictor
from anfinsen.models.network import Network
from anfinsen.reading.readers import read_examples
from anfinsen.tasks import TASKS

UBIQUITIN = "MQIFVKTLTGKTITLEVEPSDTIENVKAKIQDKEGIPPDQQRLIFAGKQLEDGRTLSDYNIQKESTLHLVLRLRGG"
LYSOZYME = (
    "KVFGRCELAAAMKRHGLDNYRGYSLGNWVCAAKFESNFNTQATNRNTDGSTDYGILQINSRWWCNDGRTPGSRNLCNIPCSALLSSDITASVNCAKKIVSDGNGMNAW"
    "VAWRNRCKGTDVQAWIRGCRL"
)
BY_VERBS_OF_THEIR_OWN = {"contacts", "interaction", "ligand-sites"}
"""Tasks that lie in bundles beside the embedded one: fold, interact, sites."""
THREE = tuple(f"--task={name}" for name in ("localization", "secondary-structure", "melting-temperature"))
"""Flags that ask for a class, a letter a residue and a number: where the answers themselves are not the point."""
ASKED = set(TASKS) - {"masked"} - BY_VERBS_OF_THEIR_OWN


def predict(source: str | Path, out: Path, *flags: str, text: str | None = None) -> Result:
    return CliRunner().invoke(app, ["predict", str(source), "--out", str(out), *flags], input=text)


@pytest.fixture
def said_by_main(monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, str]]:
    """Runs `main`, which turns every error of a user's into an exit code and a sentence, in this process."""

    def run(*words: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["anfinsen", *words])
        with notices.capture() as said, pytest.raises(SystemExit) as left:
            main()
        return int(left.value.code or 0), " ".join(said.get().split())

    return run


def lines(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "predictions.jsonl").read_text().splitlines()]


@pytest.fixture
def fasta(tmp_path: Path) -> Path:
    path = tmp_path / "two.fasta"
    path.write_text(f">ubiquitin human\n{UBIQUITIN}\n>lysozyme\n{LYSOZYME}\n")
    return path


def test_every_file_of_the_answer_is_there_and_says_the_same(fasta: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = predict(fasta, out)
    assert result.exit_code == 0, result.output
    answers = lines(out)
    assert [answer["id"] for answer in answers] == ["ubiquitin", "lysozyme"]
    assert [answer["length"] for answer in answers] == [76, 129]
    for answer in answers:
        assert set(answer["answers"]) == ASKED
        place = answer["answers"]["localization"]
        assert place["label"] in place["set"] and sum(place["probabilities"].values()) == pytest.approx(1, abs=1e-6)
        shape = answer["answers"]["secondary-structure"]
        assert len(shape["tokens"]) == answer["length"] and set(shape["tokens"]) <= set("HEC")
        assert {len(shares) for shares in shape["probabilities"].values()} == {answer["length"]}
        heat = answer["answers"]["melting-temperature"]
        assert heat["low"] < heat["value"] < heat["high"] and heat["unit"] == "°C"
        for one in answer["answers"].values():
            assert set(one["reach"]) == {"far", "nearest_identity", "nearest_id"}
    with (out / "predictions.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["localization"] for row in rows] == [answer["answers"]["localization"]["label"] for answer in answers]
    assert len(list((out / "residues").iterdir())) == 2
    report = (out / "report.html").read_text()
    assert "ubiquitin" in report and "Where in the cell does it work?" in report
    assert str(out / "report.html") in result.output.replace("\n", "")


def test_all_kinds_of_input_give_the_same_answer(tmp_path: Path) -> None:
    (tmp_path / "a.fasta").write_text(f">q\n{UBIQUITIN}\n")
    with gzip.open(tmp_path / "b.fasta.gz", "wt") as file:
        file.write(f">q\n{UBIQUITIN}\n")
    polars.DataFrame({"id": ["q"], "aa_seq": [UBIQUITIN]}).write_csv(tmp_path / "c.csv")
    polars.DataFrame({"name": ["q"], "Protein": [UBIQUITIN]}).write_parquet(tmp_path / "d.parquet")
    sources: list[tuple[str | Path, str | None]] = [(path, None) for path in sorted(tmp_path.iterdir())]
    sources += [(UBIQUITIN, None), ("-", f">q\n{UBIQUITIN}\n")]
    answers = []
    for number, (source, text) in enumerate(sources):
        result = predict(source, tmp_path / f"out{number}", *THREE, text=text)
        assert result.exit_code == 0, result.output
        (answer,) = lines(tmp_path / f"out{number}")
        answers.append(answer["answers"])
    assert len(answers) == 6 and len(answers[0]) == 3
    assert all(answer == answers[0] for answer in answers)


def test_one_bad_record_never_stops_the_others(tmp_path: Path) -> None:
    (tmp_path / "mixed.fasta").write_text(f">good\n{UBIQUITIN}\n>bad\nMKV7*LLPQRSTVWYMKV@LLPQRS\n>fine\n{LYSOZYME}\n")
    result = predict(tmp_path / "mixed.fasta", tmp_path / "out", *THREE)
    assert result.exit_code == 3, result.output
    assert [answer["id"] for answer in lines(tmp_path / "out")] == ["good", "fine"]
    with (tmp_path / "out" / "refused.csv").open() as file:
        (refused,) = list(csv.DictReader(file))
    assert refused["record"] == "bad" and refused["row"] == "2" and refused["reason"] and refused["remedy"]


def test_exit_codes(tmp_path: Path, fasta: Path, said_by_main: Callable[..., tuple[int, str]]) -> None:
    (tmp_path / "all_bad.fasta").write_text(">bad\nMKV@\n")
    assert predict(tmp_path / "all_bad.fasta", tmp_path / "a").exit_code == 1
    missing = said_by_main("predict", str(tmp_path / "none.fasta"))
    assert missing[0] == 2 and "none.fasta" in missing[1]
    wrong = said_by_main("predict", str(fasta), "--task", "localisation")
    assert wrong[0] == 2 and "Did you mean 'localization'?" in wrong[1]


def test_a_stopped_job_goes_on_without_doing_a_protein_twice(fasta: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert predict(fasta, out, *THREE).exit_code == 0
    whole = (out / "predictions.jsonl").read_bytes()
    first = whole.index(b"\n") + 1
    (out / "predictions.jsonl").write_bytes(whole[: first + 40])  # killed in the middle of the second line
    result = predict(fasta, out, *THREE)
    assert result.exit_code == 0, result.output
    assert [answer["id"] for answer in lines(out)] == ["ubiquitin", "lysozyme"]
    assert (out / "predictions.jsonl").read_bytes()[:first] == whole[:first]
    assert "1 record was answered in an earlier run" in " ".join(result.output.split())


def test_a_folder_of_other_answers_is_not_mixed(fasta: Path, tmp_path: Path) -> None:
    predictor = Predictor.load(tasks=["localization"])
    run_job(read_examples(fasta), predictor, tmp_path / "out")
    with pytest.raises(UsageError, match=r"already holds answers of .* to localization"):
        run_job([], Predictor.load(), tmp_path / "out")


def test_answers_about_two_files_are_not_mixed(fasta: Path, tmp_path: Path) -> None:
    assert predict(fasta, tmp_path / "out", *THREE).exit_code == 0
    other = tmp_path / "other.fasta"
    other.write_text(f">z\n{LYSOZYME}\n")
    refused = predict(other, tmp_path / "out", *THREE)
    assert isinstance(refused.exception, UsageError)
    assert "already holds answers of" in str(refused.exception)
    assert [answer["id"] for answer in lines(tmp_path / "out")] == ["ubiquitin", "lysozyme"]


def test_a_folder_that_cannot_be_made_and_an_empty_file_are_sentences(
    fasta: Path, tmp_path: Path, said_by_main: Callable[..., tuple[int, str]]
) -> None:
    (tmp_path / "taken").write_text("a file")
    taken = said_by_main("predict", str(fasta), "--out", str(tmp_path / "taken"))
    assert taken[0] == 2 and "is a file, and a folder is to be written." in " ".join(taken[1].split())
    (tmp_path / "empty.fasta").write_text("")
    empty = said_by_main("predict", str(tmp_path / "empty.fasta"), "--out", str(tmp_path / "none"))
    assert empty[0] == 1 and empty[1].startswith("Sorry: ")


def test_growth_temperature_moves_the_melting_temperature(tmp_path: Path) -> None:
    values = []
    for degrees in (25, 85):
        out = tmp_path / str(degrees)
        result = predict(UBIQUITIN, out, *THREE, "--condition", f"growth_temperature={degrees}")
        assert result.exit_code == 0, result.output
        (line,) = lines(out)
        assert line["conditions"] == {"growth_temperature": degrees}
        values.append(line["answers"]["melting-temperature"]["value"])
    assert values[1] > values[0] + 2


def test_a_protein_longer_than_a_window_is_answered_whole_and_told() -> None:
    (prediction,) = anfinsen.predict(LYSOZYME * 12)
    assert len(prediction.answers["secondary-structure"]["tokens"]) == 129 * 12
    assert any("read in overlapping windows" in message.text for message in prediction.messages)


def test_the_embedded_bundle_still_says_what_it_said_and_a_damaged_one_is_refused(tmp_path: Path) -> None:
    assert Bundle.load(default_bundle()).verify() == []
    for file in default_bundle().iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    content = bytearray((tmp_path / "heads.safetensors").read_bytes())
    content[-5] ^= 1
    (tmp_path / "heads.safetensors").write_bytes(content)
    with pytest.raises(BundleError, match=r"heads\.safetensors is not the file that bundle\.json vouches for"):
        Bundle.load(tmp_path)


def test_the_language_model_opens_with_plain_transformers() -> None:
    import torch
    from transformers import AutoModelForMaskedLM

    from anfinsen.data.batch import pack

    bundle = Bundle.load(default_bundle())
    theirs = AutoModelForMaskedLM.from_pretrained(default_bundle(), dtype=torch.float32).eval()
    tokens, lengths = pack([UBIQUITIN])
    with torch.no_grad():
        states, residues = bundle.network.states(tokens, lengths)
        ours = bundle.network.ask("masked", states, residues, torch.zeros(1, 0))
        expected = theirs(tokens[None]).logits[0, 1:-1]
    assert float((ours - expected).abs().max()) < 1e-3


HEAVY = {"biotite", "numpy", "polars", "rdkit", "scipy", "sklearn", "torch", "transformers"}


@pytest.mark.parametrize(
    ("code", "most"), [("import anfinsen", 150), ("from anfinsen.cli import main; main()", 700)], ids=["door", "help"]
)
def test_it_starts_at_once(code: str, most: int) -> None:
    """Counted in modules that are loaded (60 and 361 when this was written), since a busy machine stretches seconds."""
    told = "import atexit, sys; atexit.register(lambda: print(*sys.modules, file=sys.stderr)); "
    ran = subprocess.run([sys.executable, "-c", told + code, "--help"], capture_output=True, text=True, check=True)
    loaded = ran.stderr.split()
    assert HEAVY & {name.partition(".")[0] for name in loaded} == set()
    assert 20 < len(loaded) < most


IDLE = {
    "captum", "huggingface_hub", "pandas", "peft", "rdkit", "scipy.optimize", "scipy.stats", "sklearn",
    "torch._dynamo", "torch_geometric", "transformers",
}  # fmt: skip


def test_an_answer_loads_no_library_that_only_learning_structures_or_drugs_need() -> None:
    """All tasks of the embedded bundle are asked, and states are made; torch_geometric alone took 1.7 s of a core."""
    code = f"import sys, anfinsen; anfinsen.predict('{LYSOZYME}'); anfinsen.embed('{LYSOZYME}'); print(*sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(ran.stdout.split())
    assert IDLE & loaded == set()
    assert {"torch", "anfinsen.models.graph"} < loaded


def test_a_warm_prediction_reads_the_protein_once_and_opens_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its computing, about 0.15 seconds of one core for 300 residues, has a margin of ten."""
    protein = (LYSOZYME * 3)[:300]
    anfinsen.predict(protein)
    passes: list[int] = []
    states = Network.states

    def counted(network: Network, tokens: torch.Tensor, lengths: Sequence[int]) -> tuple[torch.Tensor, list[int]]:
        passes.append(len(lengths))
        return states(network, tokens, lengths)

    monkeypatch.setattr(Network, "states", counted)
    monkeypatch.setattr(Bundle, "load", None)
    seconds = []
    for _ in range(3):
        began = time.process_time()
        anfinsen.predict(protein)
        seconds.append(time.process_time() - began)
    assert passes == [1, 1, 1]
    assert min(seconds) < 1.5
