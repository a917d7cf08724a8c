"""`anfinsen behave`: curves for whoever asks, and a sentence for every range that cannot be meant."""

from __future__ import annotations

import csv
import json
from html.parser import HTMLParser
from pathlib import Path

import numpy
import pytest
import torch
from typer.testing import CliRunner

from anfinsen.cli import app
from anfinsen.data.example import Example
from anfinsen.errors import AnfinsenError, BundleError, UsageError
from anfinsen.hub.bundle import Bundle
from anfinsen.hub.record import TaskRecord
from anfinsen.inference.behaviour import MELTING, OPTIMA, Behaviour, Observer
from anfinsen.models.network import Network
from anfinsen.report.curves import write_behaviours
from anfinsen.report.phrases import sentences
from anfinsen.structure.conditions import read_setting, read_sweep
from anfinsen.structure.protein import Protein
from anfinsen.tasks import TASKS

UBIQUITIN = "MQIFVKTLTGKTITLEVEPSDTIENVKAKIQDKEGIPPDQQRLIFAGKQLEDGRTLSDYNIQKESTLHLVLRLRGG"


@pytest.fixture
def bundle(tiny_network: Network) -> Bundle:
    """A bundle that has learned melting temperatures, and nothing about optima."""
    torch.manual_seed(1)
    task = TASKS[MELTING]
    record = TaskRecord(
        kind=task.shape.kind, size=2, conditions=tuple(one.name for one in task.conditions), calibration={}
    )
    return Bundle("tiny", Network(tiny_network.body, {MELTING: task.shape}).eval(), {MELTING: record})


def observed(bundle: Bundle, *asked: tuple[str, str], tm: float | None = None, length: int = 76) -> Behaviour:
    sweeps = [read_sweep(flag, text) for flag, text in asked]
    protein = Protein("one", (UBIQUITIN * 10)[:length])
    (behaviour,) = Observer(bundle, sweeps, {}, tm=tm).observe([Example(protein)])
    return behaviour


@pytest.mark.parametrize(
    ("flag", "text", "sentence"),
    [
        ("temperature", "20-90", "--temperature 20-90 is no range. Write START:END, such as --temperature 20:90."),
        (
            "temperature",
            "20,5:90",
            "--temperature 20,5:90 is no range. Use a point as decimal mark. "
            "Write START:END, such as --temperature 20:90.",
        ),
        ("temperature", "90:20", "--temperature 90:20 runs backwards. Write --temperature 20:90."),
        (
            "temperature",
            "293.15:363.15",
            "--temperature 293.15:363.15 looks like kelvin. Write it in °C, as --temperature 20:90.",
        ),
        (
            "temperature",
            "20:200",
            "--temperature 20:200 leaves what can be answered: temperature from -20 to 150 °C. Give a range within it.",
        ),
        ("ph", "3:15", "--ph 3:15 leaves what can be answered: pH from 0 to 14. Give a range within it."),
        ("ph", "7:7", "--ph 7:7 starts and ends at the same value. Write START:END, such as --ph 3:10."),
        ("ph", "nan:7", "--ph nan:7 is no range. Write START:END, such as --ph 3:10."),
        (
            "denaturant",
            "ureas:0:8",
            "There is no denaturant called 'ureas'. Did you mean 'urea'? Known: guanidinium, urea.",
        ),
        ("denaturant", "0:8", "--denaturant 0:8 does not name a denaturant. Write it as urea:0:8."),
        ("denaturant", "urea:8:0", "--denaturant urea:8:0 runs backwards. Write --denaturant urea:0:8."),
        ("denaturant", "urea", "--denaturant urea is no range. Write START:END, such as --denaturant urea:0:8."),
        ("pressure", "1:4000", "--pressure 1:4000 looks like bar. Write it in MPa, as --pressure 0.1:400."),
    ],
)
def test_a_range_that_cannot_be_meant_is_answered_with_the_right_one(flag: str, text: str, sentence: str) -> None:
    with pytest.raises(UsageError) as told:
        read_sweep(flag, text)
    assert str(told.value) == sentence


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("temperature", "--at temperature has no number. Write it as --at temperature=25."),
        ("temperature=310", "--at temperature=310 looks like kelvin. Write it in °C, as --at temperature=36.85."),
        ("ureea=2", "There is no condition called 'ureea'. Did you mean 'urea'? "),
    ],
)
def test_a_setting_that_cannot_be_meant_is_refused(text: str, sentence: str) -> None:
    with pytest.raises(UsageError) as told:
        read_setting(text)
    assert str(told.value).startswith(sentence)


def test_the_names_that_people_use_for_guanidinium_are_known() -> None:
    assert {read_sweep("denaturant", f"{name}:0:6").condition.name for name in ("GdmCl", "guanidine", "GuHCl")} == {
        "guanidinium"
    }


def test_the_curve_passes_one_half_where_the_bundle_says_that_it_melts(bundle: Bundle) -> None:
    behaviour = observed(bundle, ("temperature", "20:110"))
    (curve,) = behaviour.curves
    answer = behaviour.prediction.answers[MELTING]
    assert curve.folded is not None and curve.half is not None
    assert behaviour.melting == (answer["value"], answer["low"], answer["high"])
    assert curve.half.value == pytest.approx(answer["value"], abs=0.02)
    assert curve.half.low == pytest.approx(answer["low"], abs=1.0)
    assert curve.half.high == pytest.approx(answer["high"], abs=1.0)
    assert (curve.folded.low <= curve.folded.value + 1e-9).all() and (
        curve.folded.value <= curve.folded.high + 1e-9
    ).all()


def test_each_condition_has_a_curve_and_only_two_that_fold_have_a_map(bundle: Bundle) -> None:
    four = observed(bundle, ("temperature", "20:90"), ("ph", "3:10"), ("denaturant", "urea:0:8"), ("pressure", "0:400"))
    assert [curve.sweep.condition.name for curve in four.curves] == ["temperature", "ph", "urea", "pressure"]
    assert four.map is None
    two = observed(bundle, ("temperature", "20:90"), ("denaturant", "urea:0:8"), tm=60.0)
    assert two.map is not None
    # without urea the map's first row is the curve over temperature, at fewer points
    assert two.curves[0].folded is not None
    assert two.map.folded[0] == pytest.approx(two.curves[0].folded.value[::3], abs=1e-12)
    with_ph = observed(bundle, ("temperature", "20:90"), ("ph", "3:10"))
    assert with_ph.map is None
    assert with_ph.messages[-1].text == "There is no map over pH, because nothing here knows how folding depends on pH."


def test_what_cannot_be_trusted_is_told(bundle: Bundle) -> None:
    told = [message.text for message in observed(bundle, ("temperature", "20:90"), length=700).messages]
    assert told[0] == (
        "With 700 residues it has probably several domains that unfold one by one; the curves are those of one domain "
        "of 300 residues."
    )
    assert told[1].startswith("It is far from the proteins that the melting temperature was learned from")
    assert "shorter than" in observed(bundle, ("temperature", "20:90"), length=30).messages[0].text


def test_thin_evidence_is_said_in_sentence_curve_and_constant(bundle: Bundle) -> None:
    behaviour = observed(bundle, ("temperature", "20:90"), ("denaturant", "urea:0:8"), ("pressure", "0.1:400"), tm=60)
    melting, rest, heat, urea, pressure = sentences(behaviour, {})
    assert melting == "Half of it is unfolded at 60 °C, as it was measured (taken to be right within 1 °C)."
    assert rest.startswith("At 25 °C ") and "kJ/mol" in rest
    assert "Thin evidence" not in heat
    assert "Thin evidence: m-values are taken from the length" in urea and urea.startswith("At 4 mol/L urea ")
    assert "Thin evidence: the volume change" in pressure
    assert [one.name for one in behaviour.constants if one.is_thin] == ["urea", "volume"]


def test_an_optimum_that_the_bundle_lacks_is_said_to_be_missing(bundle: Bundle) -> None:
    behaviour = observed(bundle, ("temperature", "20:90"))
    assert behaviour.missing == tuple(OPTIMA.values())
    assert sentences(behaviour, {})[-1].endswith("The temperature at which it works best is not in this model.")


def test_an_optimum_that_the_bundle_knows_stands_in_sentence_and_picture(tiny_network: Network, tmp_path: Path) -> None:
    task = TASKS[OPTIMA["ph"]]
    record = TaskRecord(kind=task.shape.kind, size=2, conditions=tuple(one.name for one in task.conditions))
    knowing = Bundle("tiny", Network(tiny_network.body, {task.name: task.shape}).eval(), {task.name: record})
    behaviour = observed(knowing, ("ph", "0:14"), tm=60.0)
    answer = behaviour.prediction.answers[task.name]
    assert sentences(behaviour, {task.name: task})[-1].endswith(task.say(answer))
    write_behaviours(tmp_path, [behaviour], {task.name: task}, about={})
    page = (tmp_path / "behaviour.html").read_text(encoding="utf-8")
    assert f"works best at pH {answer['value']:.3g}" in page and "reach-band" in page.partition("<body>")[2]


def test_without_a_melting_temperature_there_is_no_curve(tiny_network: Network) -> None:
    empty = Bundle("empty", Network(tiny_network.body, {}).eval())
    with pytest.raises(BundleError, match="cannot tell a melting temperature"):
        Observer(empty, [read_sweep("temperature", "20:90")], {})
    (curve,) = observed(empty, ("temperature", "20:90"), tm=55.0).curves
    assert curve.half is not None and curve.half.value == pytest.approx(55.0, abs=0.01)
    with pytest.raises(UsageError, match="no melting temperature in °C"):
        Observer(empty, [], {}, tm=329.0)


class Page(HTMLParser):
    """What a browser would read: tags, and the text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.words = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.words += data


def test_the_verb_writes_points_lines_map_and_page(bundle: Bundle, tmp_path: Path) -> None:
    bundle.save(tmp_path / "bundle")
    (tmp_path / "in.fasta").write_text(f">=one<script>alert(1)</script>\n{UBIQUITIN}\n>bad\nMK1@\n", encoding="utf-8")
    out = tmp_path / "out"
    asked = ["behave", str(tmp_path / "in.fasta"), "--out", str(out), "--bundle", str(tmp_path / "bundle")]
    done = CliRunner().invoke(
        app, [*asked, "--temperature", "20:90", "--denaturant", "urea:0:8", "--at", "pressure=50"]
    )
    assert done.exit_code == 3, done.output
    with (out / "curves.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * 121 and {row["condition"] for row in rows} == {"temperature", "urea"}
    assert rows[0]["id"].startswith("'=") and rows[-1]["evidence"] == "thin evidence" and rows[0]["charge"] == ""
    assert len((out / "map.csv").read_text(encoding="utf-8").splitlines()) == 41 * 41 + 1
    (line,) = (json.loads(text) for text in (out / "behaviour.jsonl").read_text(encoding="utf-8").splitlines())
    assert line["at_rest"]["pressure"] == 50 and [one["thin_evidence"] for one in line["curves"]] == [False, True]
    assert all(one["source"] for one in line["constants"]) and line["map"]["thin_evidence"]
    assert numpy.array(line["map"]["folded"]).shape == (41, 41)
    page = Page((out / "behaviour.html").read_text(encoding="utf-8"))
    assert "script" not in page.tags and page.tags.count("svg") == 6  # two curves and a map, each in a frame
    assert "thin evidence" in page.words and "Myers, Pace & Scholtz 1995" in page.words and "@" in page.words


def test_one_measured_melting_temperature_is_not_given_to_two_proteins(bundle: Bundle) -> None:
    sweeps = [read_sweep("temperature", "20:90")]
    proteins = [Example(Protein(name, UBIQUITIN)) for name in ("one", "two")]
    with pytest.raises(AnfinsenError, match="the file holds more than one"):
        list(Observer(bundle, sweeps, {}, tm=60.0).observe(proteins))
