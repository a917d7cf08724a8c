"""The report and the terminal: every answer has its sentence, nothing from a stranger runs, nothing leaves the page."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from anfinsen.errors import InputError
from anfinsen.hub.record import Score, TaskRecord
from anfinsen.inference.prediction import Prediction
from anfinsen.report.html import MOST_SECTIONS, write_report
from anfinsen.report.paper import POLICY
from anfinsen.report.standing import find_standing
from anfinsen.report.terminal import show, show_many, show_scores
from anfinsen.sets.catalog import Table
from anfinsen.structure.protein import Message
from anfinsen.targets.base import Answer, Label, Number, Target, Tokens
from anfinsen.targets.tracks import Tracks
from anfinsen.targets.values import Values
from anfinsen.tasks.base import Task

UBIQUITIN = "MQIFVKTLTGKTITLEVEPSDTIENVKAKIQDKEGIPPDQQRLIFAGKQLEDGRTLSDYNIQKESTLHLVLRLRGG"
PLACES = ("Nucleus", "Cytoplasm", "Extracellular", "Plastid", "Peroxisome")


def a_task(name: str, target: Target, metric: str, say: Any, **more: Any) -> Task:
    table = Table("none/none.parquet", splits={}, title="A table", source="a paper", licence="CC0")
    words = {"title": f"The {name}", "question": f"Which {name}?", "explanation": f"The network judges the {name}."}
    return Task(name=name, target=target, table=table, metrics=(metric,), say=say, **(words | more))


TASKS = {
    task.name: task
    for task in (
        a_task(
            "place",
            Label(PLACES),
            "accuracy",
            lambda answer: f"It works in the {answer['label']} compartment. It may be elsewhere.",
            terms={"compartment": "A room of the cell. Most proteins work in one of them."},
            limits="Ten rooms only.",
        ),
        a_task(
            "shape", Tokens(("H", "E", "C"), ("helix", "strand", "coil")), "Q3", lambda answer: "It is well folded."
        ),
        a_task("heat", Number("°C", 60.0, 12.0), "rmse", lambda answer: f"It stands {answer['value']:.0f} °C."),
    )
}


def reach(*, far: bool = False, identity: float | None = 0.62, name: str | None = "P12345") -> dict[str, Any]:
    return {"far": far, "nearest_identity": identity, "nearest_id": name}


def a_prediction(name: str = "ubiquitin", *, label: str = "Nucleus", far: bool = False, **more: Any) -> Prediction:
    tokens = ("CEEEEEECCCHHHHHHHHHH" * 4)[: len(UBIQUITIN)]
    probabilities = {letter: [0.9 if letter == token else 0.05 for token in tokens] for letter in "HEC"}
    shares = {label: 0.71, "Cytoplasm": 0.2, "Extracellular": 0.05, "Plastid": 0.03, "Peroxisome": 0.01}
    answers: dict[str, Answer] = {
        "place": {
            "label": label,
            "probability": 0.71,
            "set": [label, "Cytoplasm"],
            "probabilities": shares,
            "reach": reach(far=far),
        },
        "shape": {"tokens": tokens, "probabilities": probabilities, "reach": reach()},
        "heat": {"value": 63.2, "low": 54.8, "high": 71.6, "unit": "°C", "reach": reach()},
    }
    return Prediction(name, UBIQUITIN, "0" * 64, answers, **more)


def a_score(model: str, value: float, *, metric: str = "accuracy", task: str = "place", **more: Any) -> Score:
    return Score(suite="core", task=task, dataset="scl", split="test", metric=metric, model=model, value=value, **more)


def records(*scores: Score) -> dict[str, TaskRecord]:
    rows = scores or (
        a_score("anfinsen-s", 0.74, low=0.72, high=0.76, n=2768),
        a_score("nearest neighbour", 0.63, low=0.61, high=0.65, n=2768),
        a_score("DeepLoc 1.0", 0.78, published=True),
    )
    return {
        "place": TaskRecord(kind="pooled", size=5, dataset="scl train", licence="CC BY 4.0", trained_on=99, scores=rows)
    }


class Page(HTMLParser):
    """A page as a browser would take it apart: its elements, their attributes, its text."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join("".join(self.words).split())

    @property
    def skeleton(self) -> list[tuple[str, tuple[str, ...]]]:
        return [(tag, tuple(sorted(attributes))) for tag, attributes in self.elements]

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def write(folder: Path, predictions: list[Prediction], **changes: Any) -> tuple[str, Page]:
    given: dict[str, Any] = {"tasks": TASKS, "records": records(), "about": {"bundle": "anfinsen-s", "hash": "3fb1"}}
    write_report(folder / "report.html", predictions, **(given | changes))
    text = (folder / "report.html").read_text(encoding="utf-8")
    return text, Page(text)


REFUSED = InputError("'*' stands inside.", remedy="Cut it.", file="a.fasta", row=5, record="orf", position=57)


def test_every_protein_and_task_has_its_question_sentence_confidence_and_reach(tmp_path: Path) -> None:
    _, page = write(tmp_path, [a_prediction("one"), a_prediction("two")])
    assert page.text.count("It works in the Nucleus compartment. It may be elsewhere.") == 2
    assert page.text.count("It is well folded.") == 4  # in the summary and beside its picture, twice
    for sentence in (
        "Which place?",
        "Fair confidence: 71% chance that the answer is right",
        "High confidence: 90% mean chance that a residue's state is right",
        "Narrow interval: 54.8 to 71.6 °C holds the true value nine times in ten",
        "Near to training: the most similar training protein (P12345) is 62% identical.",
        "It is near to proteins that the model has learned from.",
    ):
        assert page.text.count(sentence) >= 2, sentence


def test_the_summary_counts_proteins_questions_and_what_must_be_minded(tmp_path: Path) -> None:
    warned = a_prediction(
        "w", messages=(Message("warning", "X is unknown.", 12), Message("mended", "Spaces were removed."))
    )
    _, page = write(tmp_path, [a_prediction(), warned, a_prediction("f", far=True)], refused=[REFUSED])
    for sentence in (
        "Three proteins, three questions each",
        "One protein with an answer far from training: treat such answers as guesses.",
        "One protein with a warning.",
        "One sequence mended on the way in.",
        "One record refused; reasons and remedies are listed below.",
        "Warning residue 12 X is unknown.",
        "a.fasta, record 5 (orf), position 57 '*' stands inside. Cut it.",
        "Treat the answer on the place as a guess: it is far from training.",
        "bundle anfinsen-s",
        "Data licence: CC BY 4.0.",
    ):
        assert sentence in page.text, sentence


def test_every_link_leads_to_an_explanation_on_the_page(tmp_path: Path) -> None:
    _, page = write(
        tmp_path, [a_prediction("one", far=True), a_prediction("two", messages=(Message("mended", "Done."),))]
    )
    places = {attributes["id"] for _, attributes in page.elements if "id" in attributes}
    links = {attributes["href"] for attributes in page.all("a")}
    assert len(links) > 10
    assert all(link is not None and link.startswith("#") and link[1:] in places for link in links)
    for explanation in (
        "A room of the cell. Most proteins work in one of them.",
        "All answers that cannot be ruled out",
    ):
        assert explanation in page.text
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_a_note_about_relatives_explains_what_they_are(tmp_path: Path) -> None:
    note = Message("info", "It has 12 relatives in the family, and these relatives were asked.")
    text, _ = write(tmp_path, [a_prediction("one", messages=(note,))])
    assert text.count('href="#term-relatives"') == 1 and text.count('id="term-relatives"') == 1
    assert text.count('href="#term-family"') == 1 and text.count('id="term-family"') == 1


def test_the_page_asks_nothing_of_any_network_and_runs_nothing(tmp_path: Path) -> None:
    text, page = write(tmp_path, [a_prediction("one"), a_prediction("two")], refused=[REFUSED])
    assert not {
        "script",
        "iframe",
        "link",
        "img",
        "object",
        "embed",
        "base",
        "form",
        "image",
        "use",
        "foreignobject",
    } & {tag for tag, _ in page.elements}
    names = {name for _, attributes in page.elements for name in attributes}
    assert not {"src", "srcset", "data", "action", "xlink:href", "style"} & names
    assert not any(name.startswith("on") for name in names)
    for fetched in ("http://", "https://", "url(", "@import", "//fonts"):
        assert fetched not in text, fetched
    assert {"http-equiv": "Content-Security-Policy", "content": POLICY} in page.all("meta")
    assert POLICY.startswith("default-src 'none'; style-src 'unsafe-inline'")


def test_every_picture_says_what_it_shows(tmp_path: Path) -> None:
    text, _ = write(tmp_path, [a_prediction()])
    pictures = re.findall(r"<svg [^>]*role=\"img\"[^>]*>(.*?)</desc>", text, flags=re.DOTALL)
    assert len(pictures) == 6  # three answers, two strips of the chain, and one score: shape and heat have no record
    assert all(re.match(r"<title>[^<]+</title><desc>[^<]+", picture) for picture in pictures)
    hidden = re.findall(r"<svg class=\"(?:block|key)\"[^>]*>", text)
    assert all('aria-hidden="true"' in frame for frame in hidden)
    assert len(hidden) == 9  # eight blocks of ten residues and the key
    assert "helix 11 to 20" in text


PAYLOADS = (
    "<script>alert(1)</script>",
    "</style><script>alert(1)</script>",
    "</title><svg onload=alert(1)>",
    '"><img src=x onerror=alert(1)>',
    "'><svg/onload=alert(1)>",
    "<iframe src=javascript:alert(1)>",
    "</text></svg><body onload=alert(1)>",
    "<!--<img src=x onerror=alert(1)>-->",
    "]]><script>alert(1)</script>",
    "{{ 7*7 }}{% raw %}{{ config }}",
    "{0} {name} %s",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "<a href=javascript:alert(1)>x</a>",
    "\u202egnp.exe\u202c",
    "a\x00b\x1b[31mred\x07",
    "\u2028</script>",
    "<base href=//evil.example>",
    "<meta http-equiv=refresh content=0>",
    "<style>*{display:none}</style>",
    "x' onmouseover='alert(1)",
)


def hostile(folder: Path, payload: str) -> tuple[str, Page]:
    prediction = a_prediction(payload, label=payload, messages=(Message("warning", payload, 3),))
    prediction.answers["heat"]["unit"] = payload
    prediction.answers["shape"]["reach"] = reach(name=payload)
    scores = records(
        a_score("anfinsen " + payload, 0.74, n=5),
        a_score(payload, 0.63),
        a_score("of a paper" + payload, 0.6, published=True),
    )
    refused = InputError(payload, remedy=payload, file=payload, row=1, record=payload)
    mine = replace(
        TASKS["place"],
        title=payload,
        question=payload,
        explanation=payload,
        limits=payload,
        terms={"word " + payload: payload},
    )
    return write(
        folder,
        [prediction, replace(prediction, numbering=tuple(payload for _ in UBIQUITIN))],
        tasks=TASKS | {"place": mine},
        records=scores,
        refused=[refused],
        about={payload: payload},
    )


@pytest.mark.parametrize("payload", PAYLOADS)
def test_a_strangers_text_never_becomes_markup(tmp_path: Path, payload: str) -> None:
    _, tame = hostile(tmp_path, "harmless")
    text, page = hostile(tmp_path, payload)
    assert page.skeleton == tame.skeleton
    assert "\x00" not in text
    assert "\x1b" not in text
    assert "\u202e" not in text


def test_a_strangers_text_is_shown_as_it_was_written(tmp_path: Path) -> None:
    _, page = hostile(tmp_path, "<b>bold</b> & {{ 7*7 }}")
    assert page.text.count("<b>bold</b> & {{ 7*7 }}") > 10


def test_a_large_job_gets_an_overview_and_says_what_was_left_out(tmp_path: Path) -> None:
    few = a_prediction()
    predictions = [
        replace(few, id=f"p{number}", answers={"heat": few.answers["heat"]}) for number in range(MOST_SECTIONS + 7)
    ]
    text, page = write(tmp_path, predictions)
    assert text.count('<article class="protein"') == MOST_SECTIONS
    assert "57 proteins, one question each" in page.text
    assert "The first 50 of 57 proteins have a section of their own below." in page.text
    assert "p56" in page.text


def test_a_new_kind_of_answer_needs_no_change_here(tmp_path: Path) -> None:
    length = 742
    answers: dict[str, Answer] = {
        "function": {
            "labels": [{"label": "kinase", "probability": 0.91}, {"label": "ATP binding", "probability": 0.3}]
        },
        "topology": {"tokens": "S" * 20 + "O" * 722},
        "disorder": {"values": [0.25, None] * (length // 2)},
        "novelty": {"something": [1, 2]},
        "ph": {"value": -7.1, "unit": "pH"},
    }
    prediction = Prediction(
        "new", ("ACDEFGHIKLMNPQRSTVWYX" * 40)[:length], "0" * 64, answers, conditions={"pressure": 2.0}
    )
    text, page = write(tmp_path, [prediction], tasks={}, records={})
    for words in (
        "function: kinase, ATP binding.",
        "3% S",
        "0.25 to 0.25",
        '{"something": [1, 2]}',
        "\N{MINUS SIGN}7.1 pH",
        "asked for pressure 2",
    ):
        assert words in page.text, words
    assert "<details>" in text
    assert "The model carries no score for this question." in page.text


def test_sites_grades_and_ranges_are_drawn_along_the_chain_and_explained(tmp_path: Path) -> None:
    length = len(UBIQUITIN)
    grades = ("19" * length)[:length]
    chances = [0.9 if place == 4 else 0.3 if place == 9 else 0.01 for place in range(length)]
    answers: dict[str, Answer] = {
        "held": {
            "tokens": "----M" + "-" * (length - 5),
            "probabilities": {"metal": chances, "small": [0.0] * length},
            "letters": {"metal": "M", "small": "S"},
            "thresholds": {"metal": 0.5, "small": 0.5},
            "sets": ["M" if chance > 0.2 else "" for chance in chances],
        },
        "kept": {"tokens": grades, "probabilities": {"1": [0.5] * length, "9": [0.5] * length}},
        "loose": {"values": [1.0, 9.0] * 38, "low": [-1.0, 7.0] * 38, "high": [2.0, 12.0] * 38, "unit": "Z"},
    }
    tasks = {
        "held": a_task("held", Tracks(("metal", "small"), ("M", "S")), "site F1", lambda answer: "It holds a metal."),
        "kept": a_task("kept", Tokens(("1", "9"), ("varies", "stays")), "Q3", lambda answer: "It is kept."),
        "loose": a_task(
            "loose",
            Values("Z", zones=((3.0, "disordered"), (float("inf"), "folded"))),
            "rmse per residue",
            lambda answer: "It is loose.",
        ),
    }
    text, page = write(tmp_path, [Prediction("p", UBIQUITIN, "0" * 64, answers)], tasks=tasks, records={})
    for words in (
        "metal at 1 residue",  # the short form of the answer
        "metal, V5, 90%",  # the tooltip of the site that is said
        "metal, G10, 30%, not ruled out",
        "2 of 76 residues",
        "±2.0 Z",
        "residue 2: 9.0 Z, folded, likely 7.0 to 12",
        "metal: 5.",  # for those who cannot see it
        "pale: not said, but not ruled out",
        "thin line: the range that holds nine residues in ten",
    ):
        assert words.replace(" Z", "\N{NO-BREAK SPACE}Z") in page.text or words in page.text, words
    styles = " ".join(str(attributes.get("class")) for _, attributes in page.elements)
    for style in ("site0 firm", "site0 faint", "zone0", "zone1", "grade1", "grade9"):
        assert style in styles, style
    assert "site1 firm" not in text.split("</figcaption>")[1]


def test_a_giant_protein_is_drawn_as_an_overview_alone(tmp_path: Path) -> None:
    length = 34_350
    answers: dict[str, Answer] = {"shape": {"tokens": ("C" * 9 + "H") * (length // 10)}}
    text, page = write(tmp_path, [Prediction("titin", "A" * length, "0" * 64, answers)])
    assert "34,350 residues" in page.text
    assert "It is too long to be drawn residue by residue; the tables hold every residue." in page.text
    assert 'class="pic overview"' in text
    assert 'class="block"' not in text


def test_a_report_without_proteins_still_tells_what_was_refused(tmp_path: Path) -> None:
    _, page = write(tmp_path, [], refused=[REFUSED])
    assert "No protein was answered" in page.text
    assert "Cut it." in page.text


def test_a_report_that_fails_leaves_the_old_one_in_place(tmp_path: Path) -> None:
    write(tmp_path, [a_prediction("old")])

    def torn() -> Iterator[Prediction]:
        yield a_prediction("new")
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        write_report(tmp_path / "report.html", torn(), tasks=TASKS, records={}, about={})
    assert "old" in (tmp_path / "report.html").read_text(encoding="utf-8")
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


@pytest.mark.parametrize(
    ("ours", "low", "verdict"),
    [
        (0.74, 0.72, "It beats its best baseline (nearest neighbour, 0.630)."),
        (
            0.64,
            0.62,
            "It is ahead of its best baseline (nearest neighbour, 0.630), "
            "but the 95% intervals overlap: the lead may be chance.",
        ),
        (
            0.60,
            0.58,
            "It does not beat its best baseline (nearest neighbour, 0.630): trust that simple rule at least as much.",
        ),
    ],
)
def test_the_baseline_is_never_hidden(tmp_path: Path, ours: float, low: float, verdict: str) -> None:
    rows = (
        a_score("anfinsen-s", ours, low=low, high=ours + 0.02, n=2768),
        a_score("majority", 0.3),
        a_score("nearest neighbour", 0.63),
        a_score("anfinsen of a paper", 0.99, published=True),
    )
    _, page = write(tmp_path, [a_prediction()], records=records(*rows))
    assert verdict in page.text
    assert (
        f"Accuracy {ours:.3f} (95% interval {low:.3f} to {ours + 0.02:.3f}) n = 2,768 proteins, split test of scl"
        in page.text
    )


def test_a_small_error_wins_and_an_unmeasured_baseline_is_said() -> None:
    rows = [
        a_score("anfinsen-s", 7.0, metric="rmse", high=7.5),
        a_score("mean", 12.0, metric="rmse"),
        a_score("line", 8.0, metric="rmse"),
    ]
    standing = find_standing(rows, TASKS["heat"])
    assert standing is not None
    assert standing.verdict == "It beats its best baseline (line, 8.00)."
    alone = find_standing(rows[:1], None)
    assert alone is not None
    assert alone.verdict == "No baseline was measured beside it, so the score alone says little."
    assert find_standing(rows[1:], TASKS["heat"]) is None


def terminal() -> Console:
    return Console(file=io.StringIO(), width=200, record=True, force_terminal=True, color_system="standard")


def test_the_terminal_says_each_answer_with_its_confidence() -> None:
    console = terminal()
    show(
        a_prediction("[red]odd[/red]\x1b[2J", far=True, messages=(Message("mended", "Spaces were removed."),)),
        TASKS,
        console,
    )
    text = console.export_text()
    assert text.splitlines()[0] == "[red]odd[/red]\N{REPLACEMENT CHARACTER}[2J  76 residues"
    assert "mended: Spaces were removed." in text
    assert "The place  It works in the Nucleus compartment. It may be elsewhere.  [fair confidence, 71%]" in text
    assert "The heat  It stands 63 °C.  [narrow interval, 54.8 to 71.6 °C]" in text.replace("\N{NO-BREAK SPACE}", " ")
    assert (
        "Far from training: the most similar training protein (P12345) is 62% identical, but to the network this one "
        "looks unlike nearly all proteins of that training. Treat this answer as a guess." in text
    )


def test_the_benchmark_table_marks_best_ours_and_published() -> None:
    console = terminal()
    rows = [*records()["place"].scores, a_score("anfinsen-s", 8.4, metric="rmse"), a_score("line", 8.2, metric="rmse")]
    show_scores(rows, console)
    lines = console.export_text(styles=True).splitlines()
    best = [line for line in lines if re.search("\x1b\\[1(;\\d+)*m(DeepLoc 1.0 \\(published\\)|line)", line)]
    assert len(best) == 2
    ours = [line for line in lines if re.search("\x1b\\[36manfinsen-s", line)]
    assert len(ours) == 2
    assert any("0.720 to 0.760" in line and "2,768" in line for line in ours)


MANY = {
    task.name: task
    for task in (
        *TASKS.values(),
        replace(TASKS["place"], name="site", title="The site", group="place"),
        replace(TASKS["heat"], name="cold", title="The cold", group="place", leads=True),
    )
}


def with_many(name: str = "one") -> Prediction:
    one = a_prediction(name)
    one.answers["place"]["reach"] = reach(far=True, identity=None, name=None)
    far = {**one.answers["heat"], "reach": reach(far=True, identity=None, name=None)}
    return replace(one, answers={**one.answers, "heat": far, "site": {**one.answers["place"]}, "cold": far})


def test_answers_stand_in_their_groups_and_a_group_is_led_by_its_leader(tmp_path: Path) -> None:
    text, page = write(tmp_path, [with_many("one"), with_many("two")], tasks=MANY)
    order = ["What it does", "Where it works", "Structure and residues", "How it behaves"]
    places = [text.index(f"<h3>{title}</h3>") for title in order]
    assert places == sorted(places)
    place = text[places[1] : places[2]]
    assert place.index("Which heat?") < place.index("Which place?")  # the leader, though its title comes later
    # of five questions the overview shows one a group
    table = text[text.index('<table class="glance">') : text.index("</table>")]
    assert re.findall(r'<th scope="col">([^<]+)</th>', table) == [
        "Protein",
        "The place",
        "The cold",
        "The shape",
        "The heat",
    ]
    assert "One answer of each kind; all 5 stand with each protein." in page.text


def test_what_holds_for_many_answers_is_said_once_a_protein(tmp_path: Path) -> None:
    _, page = write(tmp_path, [with_many()], tasks=MANY)
    assert page.text.count("no similar protein was found among those the model learned from.") == 1
    assert "Only the answer on the shape is near to training: treat the others as guesses." in page.text


def test_a_model_that_was_never_measured_says_so_once_and_a_weak_answer_beside_itself(tmp_path: Path) -> None:
    _, page = write(tmp_path, [a_prediction()], records={})
    assert page.text.count("The model carries no scores: nobody has measured how often its answers are right.") == 1
    assert "Usually" not in page.text
    _, page = write(tmp_path, [a_prediction()], records=records(a_score("anfinsen-s", 0.5), a_score("majority", 0.6)))
    assert "Usually: Accuracy 0.500, no better than a baseline" in page.text
    assert page.text.count("Usually: never measured") == 2


def test_many_answers_fit_a_screen_of_eighty_columns() -> None:
    def narrow() -> Console:
        return Console(file=io.StringIO(), width=80, record=True)

    console = narrow()
    weak = records(a_score("anfinsen-s", 0.5), a_score("majority", 0.6))
    show(with_many("\x1b[2Jodd"), MANY, console, weak)
    lines = console.export_text().splitlines()
    assert len(lines) == 1 + 5 + 2
    assert max(map(len, lines)) <= 80
    (row,) = [line for line in lines if line.startswith("  The place")]
    assert row.split() == ["The", "place", "Nucleus", "71%", "far", "weak"]
    console = narrow()
    show_many([with_many(f"protein-{number}") for number in range(9)], MANY, console)
    lines = console.export_text().splitlines()
    assert len(lines) <= 12
    assert max(map(len, lines)) <= 80
    assert lines[9].split()[:2] == ["protein-8", "Nucleus"]
