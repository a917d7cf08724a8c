"""The web app: its files as they are served, and its screens in a real browser, by mouse, by key and by eye.

What needs a browser is asked for with `-m browser` and skipped where there is no Chromium. The server is the real one
with the embedded model; after each test no address but the server's own may have been asked, and nothing may have been
written to the console. What is timed is what is computed, so that a busy machine neither fails a test nor skips it.
"""

from __future__ import annotations

import csv
import gzip
import os
import re
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import resources
from math import cos, inf, radians, sin
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from biotite.sequence import ProteinSequence
from fastapi import FastAPI
from starlette.testclient import TestClient

from anfinsen.limits import LIMITS
from anfinsen.reading import sources
from anfinsen.serve.app import make_app
from anfinsen.serve.desk import Desk
from anfinsen.serve.files import SCREENS, add_files, built
from anfinsen.serve.run import Settings, open_desk
from anfinsen.serve.school import School, parts_of

ROOT = Path(__file__).parents[2]
FLAGS = ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist"]
SHORT = "MQIFVKTLTGKTITLEVEPSDTIENVKAKIQDKEGIPPDQQRLIFAGKQLEDGRTLSDYNIQKESTLHLVLRLRGG"
LONG = (SHORT * 14)[:1000]
FIRST_CARD_SECONDS = 10
LINKED_MILLISECONDS = 100
FRAME_MILLISECONDS = 1000 / 60
PATIENCE = 60_000
DRUGS = "/compare?kind=drugs"
browser_test = pytest.mark.browser


# Files ---------------------------------------------------------------------------------------------------------------


def packed(name: str) -> int:
    return len(gzip.compress(built()[name].content, 6))


def test_the_first_load_is_small_and_the_viewer_is_whole() -> None:
    """Upper bounds keep the page fast; lower bounds notice a library that a bundler has quietly dropped."""
    page = built()["index.html"].content.decode()
    first = [name for name in built() if f"/{name}" in page and not name.endswith(".svg")] + ["index.html"]
    assert {"assets/app.js", "index.html"} < set(first)
    assert 60_000 < sum(map(packed, first)) < 120_000
    assert 500_000 < packed("assets/structure3d.js") < 900_000
    assert not [name for name in built() if name.endswith(".map")]


def test_the_page_names_no_other_server() -> None:
    text = built()["index.html"].content.decode() + built()["assets/app.js"].content.decode()
    hosts = set(re.findall(r"https?://([a-z0-9.-]+)", text))
    assert hosts <= {"www.w3.org", "react.dev"}  # names of XML languages, and the explanations of React's errors
    assert "sourceMappingURL" not in text


def test_no_registry_is_named_in_the_lock_file() -> None:
    lock = (ROOT / "web" / "package-lock.json").read_text(encoding="utf-8")
    assert '"resolved"' not in lock and lock.count('"integrity"') > 100


def test_every_screen_is_the_same_file_and_is_sent_once() -> None:
    app = FastAPI()
    add_files(app)
    client = TestClient(app)
    pages = [client.get(path) for path in (*SCREENS, f"/r/{'0' * 32}", f"/t/{'0' * 32}")]
    assert {page.text for page in pages} == {built()["index.html"].content.decode()}
    script = client.get("/assets/app.js")
    assert script.headers["Content-Encoding"] == "gzip" and script.headers["Content-Type"].startswith("text/javascript")
    again = client.get("/assets/app.js", headers={"If-None-Match": script.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert {client.get(f"/assets/{name}").status_code for name in ("..%2findex.html", "nothing.js", "app.js%00")} == {
        404
    }
    assert {Path(str(resources.files("anfinsen.serve"))) / "static" / name for name in built()} == {
        path for path in (ROOT / "src/anfinsen/serve/static").rglob("*") if path.is_file()
    }


def test_a_lesson_is_told_in_parts() -> None:
    text = "\n\x1b[1mLesson 1: A\x1b[0m\n\x1b[2m────\x1b[0m\n\x1b[1;36m1  B\x1b[0m\nOne\nline.\n"
    text += "  \x1b[36m██\x1b[0m x\n\x1b[2mn\x1b[0m\n"
    assert [(part["kind"], part["text"]) for part in parts_of(text)] == [
        ("title", "Lesson 1: A"),
        ("heading", "1  B"),
        ("say", "One line."),
        ("draw", "██ x"),
        ("note", "n"),
    ]


# A training is a child of the command line --------------------------------------------------------------------------


def test_a_training_is_found_by_its_address_alone_and_only_one_runs(tmp_path: Path) -> None:
    school = School(tmp_path, LIMITS.replaced(trainings=0))
    for wrong in ("", "../x", "0" * 32, "/etc"):
        with pytest.raises(Exception, match="There is no such training"):
            school.find(wrong)
    with pytest.raises(Exception, match="0 training runs already, which is the limit"):
        school.enter("a,b\n1,2\n", {"name": "t.csv"})


# In a browser --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """Jobs and their child, with the embedded model."""
    limits = LIMITS.replaced(requests_per_minute=100_000, user_jobs=99, look_seconds=PATIENCE // 1000)
    made = open_desk(Settings(state=tmp_path_factory.mktemp("web") / "state", threads=1), limits)
    yield made
    made.close()
    made.store.close()


@pytest.fixture(scope="module")
def server(desk: Desk, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a real server."""
    school = School(tmp_path_factory.mktemp("web") / "trainings")
    app = make_app(desk, school=school, is_fetching=True)
    server = uvicorn.Server(uvicorn.Config(app, http="h11", ws="none", lifespan="off", log_level="critical"))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        server.should_exit = True
        thread.join(10)
    school.close()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """Debian's Chromium, another of this machine, or the one that playwright brought."""
    driver = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install playwright")
    with driver.sync_playwright() as playwright:
        names = ("chromium", "chromium-browser", "google-chrome", playwright.chromium.executable_path)
        found = next((path for name in names if (path := shutil.which(name))), None)
        if found is None:
            pytest.skip("there is no Chromium on this machine: apt install chromium, or playwright install chromium")
        browser = playwright.chromium.launch(executable_path=found, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def page(chromium: Any, server: str) -> Iterator[Any]:
    """A fresh page; whatever it asked of others, or complained about, fails its test."""
    context = chromium.new_context(viewport={"width": 1280, "height": 900}, base_url=server)
    context.set_default_timeout(PATIENCE)
    made, asked, said = context.new_page(), [], []
    context.on("request", lambda request: asked.append(request.url))
    made.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
    made.on("pageerror", lambda error: said.append(str(error)))
    made.on("dialog", lambda dialog: (said.append(f"dialog: {dialog.message}"), dialog.dismiss()))
    yield made
    context.close()
    assert [url for url in asked if not url.startswith((f"{server}/", "data:", "blob:"))] == []
    assert said == []


def helix(sequence: str) -> str:
    """A straight helix of a sequence as a PDB file: enough of a structure to be drawn and clicked."""
    lines: list[str] = []
    for at, letter in enumerate(sequence):
        for name, radius, turn, rise in (
            ("N", 1.55, -28, -0.9),
            ("CA", 2.28, 0, 0),
            ("C", 1.68, 26, 1.1),
            ("O", 2, 24, 2.3),
        ):
            angle, z = radians(100 * at + turn), 1.5 * (at - len(sequence) / 2) + rise
            place = f"{radius * cos(angle):8.3f}{radius * sin(angle):8.3f}{z:8.3f}"
            residue = f"{ProteinSequence.convert_letter_1to3(letter)} A{at + 1:4d}"
            lines.append(f"ATOM  {len(lines) + 1:5d}  {name:<3} {residue}    {place}  1.00 20.00           {name[0]}")
    return "\n".join([*lines, "END", ""])


@pytest.fixture(scope="module")
def answered(server: str, chromium: Any) -> dict[str, str]:
    """Addresses of jobs that several tests look at, by name; each is answered before it is looked at."""
    context = chromium.new_context(base_url=server)
    request, jobs = context.request, {}
    questions = {
        "short": f">short a first protein\n{SHORT}\n",
        "long": helix(LONG),
        "pair": f">one\n{SHORT}\n>two\n{SHORT[:30]}A{SHORT[31:]}\n",
        "structure": (ROOT / "tests" / "bad" / "good.cif").read_text(encoding="utf-8"),
        "pocket": (ROOT / "examples" / "streptavidin.pdb").read_text(encoding="utf-8"),
        "masked": f">masked\n{SHORT[:24]}XXX{SHORT[27:55]}U{SHORT[56:]}\n",
    }
    for name, sequences in questions.items():
        jobs[name] = request.post("/v1/jobs", data={"sequences": sequences}).json()
    until = time.monotonic() + PATIENCE / 1000
    for name, job in jobs.items():
        while (state := request.get(job["links"]["job"]).json()["state"]) != "done" and time.monotonic() < until:
            time.sleep(0.1)
        assert state == "done", name
    context.close()
    return {name: job["links"]["page"] for name, job in jobs.items()}


@pytest.fixture
def house(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """UniProt, the PDB and AlphaFold DB as one server of this machine that knows one protein; what it was asked."""
    asked: list[str] = []

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            is_known = self.path == "/uniprotkb/P0CH28.fasta"
            self.send_response(200 if is_known else 404)
            self.end_headers()
            self.wfile.write(f">sp|P0CH28|UBC_BOVIN Polyubiquitin-C\n{SHORT}\n".encode() if is_known else b"")

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        monkeypatch.setattr(sources, "HOSTS", dict.fromkeys(sources.HOSTS, f"http://127.0.0.1:{server.server_port}"))
        yield asked
        server.shutdown()


def free_port() -> int:
    """A port at which nobody answers."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def focused(page: Any, wanted: str, key: str = "Tab", most: int = 80) -> None:
    """Press a key until what is focused has the wanted label or text."""
    for _ in range(most):
        page.keyboard.press(key)
        told = page.evaluate(
            "() => { const e = document.activeElement; return e.getAttribute('aria-label') ?? e.textContent.trim() }"
        )
        if re.match(wanted, told):
            return
    pytest.fail(f"'{wanted}' was not reached by {key}")


def computed(page: Any) -> float:
    """Seconds that the page's own thread has computed for since it was made; those in which it waited do not count."""
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})
    return next(
        one["value"] for one in session.send("Performance.getMetrics")["metrics"] if one["name"] == "TaskDuration"
    )


def child_computed(desk: Desk) -> float:
    """Seconds that the child has computed for; infinitely many where the system does not tell."""
    told = Path(f"/proc/{desk.crew.pid}/stat")
    if not told.exists():
        return inf
    ticks = told.read_text(encoding="ascii").rpartition(")")[2].split()[11:13]
    return sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")


# Analyse -------------------------------------------------------------------------------------------------------------


@browser_test
def test_the_first_card_comes_within_ten_seconds_of_a_cold_page(page: Any, desk: Desk) -> None:
    """On a machine that does nothing else; on a busy one, what page, server and child computed one after the other."""
    begun, ours, child = time.monotonic(), time.process_time(), child_computed(desk)
    page.goto("/")
    page.get_by_role("button", name="lysozyme").click()
    page.get_by_text("ready to be asked").wait_for()
    page.get_by_role("button", name="Analyse", exact=True).click()
    page.locator(".card[data-task]").first.wait_for()
    waited = time.monotonic() - begun
    pauses = 0.5  # before what was typed is checked
    busy = time.process_time() - ours + child_computed(desk) - child + computed(page) + pauses
    assert min(waited, busy) < FIRST_CARD_SECONDS


@browser_test
def test_paste_run_select_a_residue_read_its_values_and_export_without_a_mouse(page: Any) -> None:
    page.goto("/")
    page.get_by_role("textbox").first.wait_for()
    focused(page, "$|>")  # the box is empty
    page.keyboard.insert_text(f">mine\n{SHORT}\n")
    page.get_by_text("ready to be asked").wait_for()
    focused(page, "Analyse$")
    page.keyboard.press("Enter")
    page.locator(".tracks-field").wait_for()
    focused(page, "Find a residue")
    page.keyboard.insert_text("56")
    page.keyboard.press("Enter")
    focused(page, "Tracks of 76 residues")
    page.keyboard.press("ArrowRight")
    told = page.locator(".readout[data-residue='57']").inner_text()
    assert told.startswith("Ser 57") and "Disorder" in told
    page.keyboard.press("Shift+ArrowRight")
    assert "2 residues" in page.locator(".readout").inner_text()
    focused(page, "report.html", "Shift+Tab")


@browser_test
def test_an_id_is_got_from_its_house_when_a_button_is_pressed_and_not_before(
    page: Any, house: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    page.goto("/")
    page.locator("textarea").first.fill("p0ch28")
    page.get_by_text("P0CH28 is an id of UniProt").wait_for()
    assert "leaves this machine" in page.locator(".entries").inner_text()
    assert house == []
    page.get_by_role("button", name="get its sequence").click()
    page.get_by_text("1 protein, 76 residues: ready to be asked").wait_for()
    assert house == ["/uniprotkb/P0CH28.fasta"]
    page.locator("textarea").first.fill("1UBQ")
    page.get_by_role("button", name="get its structure").click()
    page.get_by_text("The PDB has no entry '1UBQ'. Check the id").wait_for()
    monkeypatch.setattr(sources, "HOSTS", dict.fromkeys(sources.HOSTS, f"http://127.0.0.1:{free_port()}"))
    page.locator("textarea").first.fill("P0CH28 P69905")
    page.get_by_role("button", name="get them").click()
    page.get_by_text("This machine has no way to 127.0.0.1. Connect it to the network").first.wait_for()


@browser_test
def test_many_proteins_are_judged_before_they_are_asked_and_become_a_table(page: Any) -> None:
    records = [f">p{at} \n{SHORT[at:]}\n" for at in range(12)]
    page.goto("/")
    page.locator("textarea").first.fill("".join([*records, records[0], f">bad\n{SHORT}*{SHORT}\n"]))
    page.get_by_text("12 proteins, 846 residues: ready to be asked").wait_for()
    told = page.locator(".checked").inner_text()
    assert "1 refused" in told and "1 twin answered once" in told
    page.get_by_role("button", name="Analyse", exact=True).click()
    page.locator(".proteins tbody tr").nth(11).wait_for()
    page.get_by_role("button", name="residues", exact=True).click()
    assert page.locator(".proteins tbody th").first.inner_text() == "p11"  # the shortest
    with page.expect_download() as taken:
        page.get_by_role("button", name="csv", exact=True).click()
    rows = list(csv.reader(Path(taken.value.path()).read_text(encoding="utf-8").splitlines()))
    assert [row[0] for row in rows] == ["protein", *(f"p{at}" for at in range(12))]
    assert rows[0][1] == "residues" and rows[0][3] == f"{rows[0][2]}: how sure"
    assert {len(row) for row in rows} == {len(rows[0])}
    page.reload()
    page.get_by_label("Filter by name or answer").fill("p7")
    page.get_by_role("link", name="p7", exact=True).click()
    page.locator(".card[data-task]").first.wait_for()
    assert page.url.endswith("?p=7") and page.locator("h1").inner_text() == "p7"
    page.get_by_text("1 record refused").wait_for()


# One protein ---------------------------------------------------------------------------------------------------------

TOLD = """() => [
    document.querySelector('.selected')?.dataset.from,
    document.querySelector('.heat-selected')?.dataset.from,
    document.querySelector('tr[aria-selected=true]')?.dataset.position,
    document.querySelector('.readout')?.dataset.residue,
    document.querySelector('.stage')?.dataset.from,
    /sel=A:(\\d+)/.exec(location.search)?.[1],
]"""
"""What tracks, heat map, table, readout, 3-D and address say is selected."""
CLICK = """async ([selector, x, y]) => {
    const field = document.querySelector(selector), box = field.getBoundingClientRect();
    const at = { bubbles: true, clientX: box.left + x * box.width, clientY: box.top + y, button: 0, buttons: 1 };
    const told = TOLD, before = told()[0];
    for (const kind of ['pointerdown', 'pointerup', 'click']) field.dispatchEvent(new PointerEvent(kind, at));
    const isOne = () => { const now = told(); return now[0] && now[0] !== before && new Set(now).size === 1; };
    let frames = 0;
    await new Promise((go) => setTimeout(go));
    for (; frames < 30 && !isOne(); frames++) await new Promise(requestAnimationFrame);
    return [frames, isOne() ? told()[0] : JSON.stringify(told())];
}""".replace("TOLD", TOLD)
"""Click in one view; how many frames pass until all show the same residue, and which."""


@browser_test
def test_one_selection_is_shown_everywhere_within_a_tenth_of_a_second(page: Any, answered: dict[str, str]) -> None:
    """Of 1,000 residues: what the page computes, and the frames that it waits for."""
    row = [round(0.1 * at - 1, 2) for at in range(20)]
    scan: dict[str, Any] = {"residues": "ACDEFGHIKLMNPQRSTVWY", "scores": [row] * len(LONG), "ddg": [row] * len(LONG)}
    scan |= {"tolerance": row[:1] * len(LONG), "ranked": [], "sentence": "", "basis": "", "messages": []}
    page.route("**/v1/scan", lambda route: route.fulfill(json=scan))  # the views are timed, not the scan
    page.goto(answered["long"])
    page.get_by_role("button", name="Score every mutation").click()
    page.get_by_role("button", name="The same as a table").click()
    page.locator(".heat canvas").wait_for()
    page.locator(".stage[data-ready=true]").wait_for()
    page.evaluate(CLICK, [".picture", 0.4, 60])  # what is drawn for the first time takes longer
    page.evaluate(CLICK, [".heat canvas", 0.2, 60])
    for selector, x, y in ((".picture", 0.5, 60), (".heat canvas", 0.7, 40), (".picture", 0.9, 60)):
        before = computed(page)
        frames, residue = page.evaluate(CLICK, [selector, x, y])
        assert residue.isdigit()
        assert 1000 * (computed(page) - before) + frames * FRAME_MILLISECONDS < LINKED_MILLISECONDS, selector
    page.locator("tr[data-position]").nth(8).click()
    page.wait_for_function(f"() => new Set(({TOLD})()).size === 1")
    page.locator(".tracks-field").press("Escape")
    page.locator(".stage[data-selected='0']").wait_for()
    page.locator(".stage").click()  # the residue that was last selected stands in its middle
    page.wait_for_function(f"() => {{ const now = ({TOLD})(); return now[0] && new Set(now).size === 1 }}")


@browser_test
def test_a_structure_is_shown_and_its_selection_is_the_same(page: Any, answered: dict[str, str]) -> None:
    page.goto(f"{answered['structure']}?sel=A:2-4")
    page.locator(".stage[data-selected='3']").wait_for()
    assert page.locator(".readout").get_attribute("data-residue") == "2"


BANDS = {49.9: "very low", 50: "very low", 50.1: "low", 69.9: "low", 70: "low", 70.1: "confident", 89.9: "confident",
         90: "confident", 90.1: "very high"}  # fmt: skip
"""AlphaFold's legend says 'pLDDT > 90' of its best band: a value on a border belongs to the band below."""


@browser_test
def test_a_fold_tells_its_wait_before_and_its_confidence_after(page: Any, answered: dict[str, str]) -> None:
    files = []

    def on_the_borders(route: Any) -> None:
        told = route.fetch(timeout=PATIENCE).json()
        files.append(told["cif"])
        told["plddt"][: len(BANDS)] = BANDS
        route.fulfill(json=told)

    page.route("**/v1/fold", on_the_borders)
    page.goto(answered["short"])
    panel = page.get_by_role("region", name="Structure in 3-D")
    assert re.search(r"76 residues: about \d+ s, with a confidence for each", panel.inner_text())
    page.get_by_role("button", name="Fold it here").click()
    page.locator(".stage[data-ready=true]").wait_for()
    assert page.url.endswith("?fold=1") and "'L-peptide linking'" in files[0]  # else viewers draw sticks
    assert panel.locator("select").input_value() == "plddt"
    assert panel.locator(".legend li").all_inner_texts() == ["very high", "confident", "low", "very low"]
    assert "mean pLDDT" in panel.inner_text()
    page.locator(".tracks-field").focus()
    for value, word in BANDS.items():
        page.keyboard.press("ArrowRight")
        assert f"Confidence (pLDDT) {value:.0f} {word}" in page.locator(".readout").inner_text()


@browser_test
def test_plain_and_expert_differ_in_words_and_never_in_answers(page: Any, answered: dict[str, str]) -> None:
    page.goto(answered["short"])
    page.locator(".card[data-task]").first.wait_for()
    sentences, plain = page.locator(".sentence").all_inner_texts(), page.locator(".cards .note").count()
    page.get_by_role("button", name="plain").click()
    assert page.locator(".cards .note").count() > plain + 10
    assert page.locator(".sentence").all_inner_texts() == sentences
    page.locator(".doors-small button:text-is('data')").first.click()
    assert '"probabilit' in page.locator(".raw").inner_text()
    page.reload()
    page.get_by_role("button", name="expert").wait_for()


@browser_test
def test_why_a_card_says_so_is_told_with_whether_to_believe_it(page: Any, answered: dict[str, str]) -> None:
    page.goto(answered["short"])
    card = page.locator(".card[data-task='localization']")
    card.get_by_role("button", name="why").click()
    page.get_by_text("Its residues stand as a track above").wait_for()
    assert "random" in card.locator(".fold").inner_text()
    page.locator(".picture .name:has-text('why:')").wait_for()


def sheets(page: Any) -> int:
    """Sheets of paper that a page fills."""
    return len(re.findall(rb"/Type\s*/Page\b", page.pdf(format="A4")))


@browser_test
def test_printed_it_is_a_few_pages_without_buttons(page: Any, answered: dict[str, str]) -> None:
    page.goto(answered["short"])
    page.locator(".heat canvas").wait_for()
    page.emulate_media(media="print", color_scheme="dark")
    assert not page.locator("nav, .doors-small, .toolbar, form").first.is_visible()
    assert 1 < sheets(page) <= 6


@browser_test
@pytest.mark.parametrize("name", ["short", "pair"])
def test_the_report_prints_on_six_pages_at_most(page: Any, answered: dict[str, str], name: str) -> None:
    page.goto(f"{answered[name].replace('/r/', '/v1/jobs/')}/report")
    assert 1 <= sheets(page) <= 6


@browser_test
def test_what_was_not_read_as_it_stands_is_shown_on_the_track(page: Any, answered: dict[str, str]) -> None:
    page.goto(f"{answered['masked']}?sel=A:26")
    page.locator(".picture .name", has_text="how it was read").wait_for()
    assert "how it was read X, an unknown residue" in page.locator(".readout[data-residue='26']").inner_text()
    page.locator(".tracks-field").press("ArrowLeft")
    page.locator(".tracks-field").press("ArrowLeft")
    assert "how it was read as it stands" in page.locator(".readout[data-residue='24']").inner_text()
    assert "X (an unknown residue) was kept at positions 25, 26, 27." in page.locator(".messages").first.inner_text()


@browser_test
def test_a_pocket_is_selected_everywhere_by_one_click(page: Any, answered: dict[str, str]) -> None:
    page.goto(answered["pocket"])
    page.locator(".stage[data-ready=true]").wait_for()
    page.get_by_role("button", name="Find sites").click()
    page.locator(".pockets li").first.wait_for()
    assert "sits there in" in page.locator(".pockets").inner_text()  # biotin, or one of the cofactors made from it
    page.locator(".pockets button").first.click()
    page.wait_for_function("() => Number(document.querySelector('.stage').dataset.selected) > 4")
    assert "sites=1" in page.url and page.url.count(",") >= 1


@browser_test
def test_a_partner_is_asked_about_beside_the_protein(page: Any, answered: dict[str, str]) -> None:
    page.goto(answered["short"])
    box = page.get_by_role("region", name="Partner")
    box.get_by_role("button", name="with itself").click()
    box.get_by_role("button", name="Do they meet?").click()
    box.locator(".meeting img").wait_for()
    assert "What speaks most" in box.inner_text()


# Compare, drug -------------------------------------------------------------------------------------------------------


@browser_test
def test_a_mutant_is_set_against_its_wild_type(page: Any) -> None:
    page.goto("/compare")
    page.locator("textarea").first.fill(f">wild\n{SHORT}\n")
    page.get_by_label("Its mutant, as mutations").fill("W2A")
    page.get_by_text("Residue 2 is Q, not W. Did you mean Q2A?").wait_for()
    page.get_by_label("Its mutant, as mutations").fill("I44A:L8A")
    page.get_by_role("button", name="Compare", exact=True).click()
    page.locator("table.versus tbody tr").nth(8).wait_for()
    assert re.search("the intervals (overlap|lie apart)", page.locator("table.versus").inner_text())
    page.get_by_label("Find a residue").fill("44")
    page.keyboard.press("Enter")
    assert "changed residues yes" in page.locator(".readout").inner_text()


@browser_test
def test_two_drugs_are_set_against_each_other(page: Any) -> None:
    page.goto("/drug")
    page.locator("textarea").first.fill(f">target\n{SHORT}\n")
    page.get_by_text("ready to be asked").wait_for()
    for name in ("aspirin", "erlotinib"):
        page.get_by_role("button", name=name).click()
    page.get_by_role("button", name="How tightly?").click()
    page.get_by_role("button", name="Set the two against each other").click()
    page.get_by_role("button", name="Compare", exact=True).click()
    told = page.get_by_role("region", name="Side by side")
    told.wait_for()
    assert re.search(r"less \w+: .[\d.]+ pKd; the intervals (overlap|lie apart)", told.inner_text())
    assert told.locator("img").count() == 2 and "weight" in told.inner_text()
    page.get_by_text("second less first").first.wait_for(state="attached")  # the title of a track


# Train, learn --------------------------------------------------------------------------------------------------------


@browser_test
def test_a_training_is_planned_started_stopped_and_taken_up_again(page: Any) -> None:
    page.goto("/train")
    page.get_by_role("button", name="secreted or nuclear").click()
    assert page.locator(".peek th").all_inner_texts() == ["id", "name", "sequence", "place"]
    page.get_by_label("What may move").select_option("frozen")
    page.get_by_role("button", name="Check and plan").click()
    page.get_by_text("This is the plan. Nothing is trained yet.").wait_for()
    assert "34" in page.get_by_role("region", name="The plan").inner_text()
    page.get_by_role("button", name="Train", exact=True).click()
    page.locator(".narrator p").first.wait_for()
    page.get_by_role("button", name="Stop and keep").click()
    page.get_by_text("It was stopped; what it has learned is kept.").wait_for()
    page.reload()  # the address is the key
    page.get_by_role("button", name="Go on").click()
    page.get_by_text("It is trained.").wait_for(
        timeout=5 * PATIENCE
    )  # all six rounds, on whatever is free of the machine
    assert "Of 100 others like them" in page.get_by_role("region", name="How good it is").inner_text()
    assert page.locator(".heats [aria-current=true]").inner_text().startswith("cold")
    page.get_by_role("button", name="One step in slow motion").click()
    assert page.locator(".parts .lit").inner_text().startswith("1 Forward")
    page.goto("/train")
    page.get_by_role("link", name="secreted_or_nuclear.csv").wait_for()


@browser_test
def test_a_lesson_is_given_by_the_engine_and_the_game_is_played(page: Any) -> None:
    page.goto("/learn")
    page.get_by_role("button", name="cover residue 6", exact=True).click()
    page.get_by_role("button", name="Lys").click()
    page.get_by_text("It was Lys (K). You were right. The model put it").wait_for()
    page.get_by_role("button", name="What a protein is to a network").click()
    page.get_by_role("heading", name="Letters become numbers").wait_for()
    page.get_by_role("button", name="all of it").click()
    page.get_by_role("heading", name="How it learnt: hide a residue, guess it").wait_for()


# For everybody -------------------------------------------------------------------------------------------------------


@browser_test
def test_a_reload_and_a_link_bring_the_answer_and_the_selection_back(page: Any, answered: dict[str, str]) -> None:
    page.goto(f"{answered['short']}?sel=A:57-64")
    page.locator(".readout[data-residue='57']").wait_for()
    sentences = page.locator(".sentence").all_inner_texts()
    page.reload()
    page.locator(".readout[data-residue='57']").wait_for()
    assert "8 residues" in page.locator(".readout").inner_text()
    assert page.locator(".sentence").all_inner_texts() == sentences and len(sentences) > 10


@browser_test
def test_no_screen_scrolls_sideways_on_a_narrow_phone(page: Any, answered: dict[str, str]) -> None:
    page.set_viewport_size({"width": 360, "height": 740})
    for path in (*SCREENS, *(answered[name] for name in ("short", "pair")), f"{answered['pair']}?view=compare", DRUGS):
        page.goto(path)
        page.locator("main h1").wait_for()
        page.wait_for_timeout(300)
        wide = page.evaluate("() => document.documentElement.scrollWidth")
        assert wide <= 360, path


@browser_test
@pytest.mark.parametrize("light", ["light", "dark"])
def test_nothing_serious_stands_in_the_way_of_anybody(page: Any, answered: dict[str, str], light: str) -> None:
    """axe-core finds no serious and no critical fault, contrast included, on any screen."""
    page.emulate_media(color_scheme=light)
    source = resources.files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf-8")
    for path in (*SCREENS, answered["short"], answered["pair"], f"{answered['pair']}?view=compare", DRUGS):
        page.goto(path)
        page.locator("main h1").wait_for()
        if path == answered["short"]:
            page.locator(".heat canvas").wait_for()
            page.locator(".doors-small button:text('data')").first.click()
        page.wait_for_timeout(300)
        page.evaluate(f"() => {{ {source}\n }}")
        found = page.evaluate("() => axe.run().then((told) => told.violations)")
        serious = {
            one["id"]: one["nodes"][0]["html"][:200] for one in found if one["impact"] in ("serious", "critical")
        }
        assert serious == {}, path


@browser_test
def test_a_hostile_name_is_text_on_the_page(page: Any) -> None:
    page.goto("/")
    name = "<img/src=x/onerror=alert(1)>"
    page.locator("textarea").first.fill(f">{name} <script>alert(2)</script>\n{SHORT}\n")
    page.get_by_text("ready to be asked").wait_for()
    page.get_by_role("button", name="Analyse", exact=True).click()
    page.locator(".card[data-task]").first.wait_for()
    assert page.locator("h1").inner_text() == name
    assert page.locator("main img, main script").count() == 0


@browser_test
def test_a_refusal_offers_its_mend_and_one_click_mends_it(page: Any) -> None:
    page.goto("/")
    page.locator("textarea").first.fill(f">bad\n{SHORT[:40]}*{SHORT[40:]}\n")
    page.get_by_role("button", name="cut before 41").click()
    page.get_by_text("ready to be asked").wait_for()
    assert page.locator("textarea").first.input_value() == f">bad\n{SHORT[:40]}\n"
