"""The web app: its files as they are served, and its screens in a real browser, by mouse, by key and by eye.

What needs a browser is asked for with `-m browser` and skipped where there is no Chromium. The server is the real one
with the embedded model; after each test no address but the server's own may have been asked, and nothing may have been
written to the console.
"""

from __future__ import annotations

import gzip
import os
import re
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from fastapi import FastAPI
from starlette.testclient import TestClient

from anfinsen.limits import LIMITS
from anfinsen.serve.app import make_app
from anfinsen.serve.files import SCREENS, add_files, built
from anfinsen.serve.run import Settings, open_desk
from anfinsen.serve.school import School, parts_of

ROOT = Path(__file__).parents[2]
AXE = ROOT / "web" / "node_modules" / "axe-core" / "axe.min.js"
CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), ""
)
FLAGS = ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist"]
SHORT = "MQIFVKTLTGKTITLEVEPSDTIENVKAKIQDKEGIPPDQQRLIFAGKQLEDGRTLSDYNIQKESTLHLVLRLRGG"
LONG = (SHORT * 14)[:1000]
FIRST_CARD_SECONDS = 10
LINKED_MILLISECONDS = 100
PATIENCE = 60_000
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
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a real server with the embedded model."""
    folder = tmp_path_factory.mktemp("web")
    desk = open_desk(
        Settings(state=folder / "state", threads=1), LIMITS.replaced(requests_per_minute=100_000, user_jobs=99)
    )
    school = School(folder / "trainings")
    app = make_app(desk, school=school)
    server = uvicorn.Server(uvicorn.Config(app, http="h11", ws="none", lifespan="off", log_level="critical"))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        server.should_exit = True
        thread.join(10)
    school.close()
    desk.close()
    desk.store.close()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    driver = pytest.importorskip("playwright.sync_api")
    if not CHROMIUM:
        pytest.skip("there is no Chromium on this machine")
    with driver.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
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


@pytest.fixture(scope="module")
def answered(server: str, chromium: Any) -> dict[str, str]:
    """Jobs that several tests look at, by name; each is answered before it is looked at."""
    context = chromium.new_context(base_url=server)
    request, found = context.request, {}
    questions = {
        "short": f">short a first protein\n{SHORT}\n",
        "long": f">long\n{LONG}\n",
        "pair": f">one\n{SHORT}\n>two\n{SHORT[:30]}A{SHORT[31:]}\n",
        "structure": (ROOT / "tests" / "bad" / "good.cif").read_text(encoding="utf-8"),
    }
    for name, sequences in questions.items():
        job = request.post("/v1/jobs", data={"sequences": sequences}).json()
        until = time.monotonic() + 120
        while (state := request.get(job["links"]["job"]).json()["state"]) != "done" and time.monotonic() < until:
            time.sleep(0.1)
        assert state == "done", name
        found[name] = job["links"]["page"]
    context.close()
    return found


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


def skip_where_busy() -> None:
    """A bar in seconds is about the page; where others compute on every core, it would be about them."""
    if hasattr(os, "getloadavg") and os.getloadavg()[0] > 1.5 * (os.cpu_count() or 1):
        pytest.skip("this machine is busy, so nothing can be timed")


@browser_test
def test_the_first_card_comes_within_ten_seconds_of_a_cold_page(page: Any) -> None:
    skip_where_busy()
    begun = time.monotonic()
    page.goto("/")
    page.get_by_role("button", name="lysozyme").click()
    page.get_by_text("ready to be asked").wait_for()
    page.get_by_role("button", name="Analyse", exact=True).click()
    page.locator(".card[data-task]").first.wait_for()
    assert time.monotonic() - begun < FIRST_CARD_SECONDS


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
def test_one_selection_is_shown_everywhere_within_a_tenth_of_a_second(page: Any, answered: dict[str, str]) -> None:
    skip_where_busy()
    row = [round(0.1 * at - 1, 2) for at in range(20)]
    scan = {"residues": "ACDEFGHIKLMNPQRSTVWY", "scores": [row] * len(LONG), "ddg": [row] * len(LONG)}
    scan |= {"tolerance": row[:1] * len(LONG), "ranked": [], "sentence": "", "basis": "", "messages": []}
    page.route("**/v1/scan", lambda route: route.fulfill(json=scan))  # the views are timed, not the scan
    page.goto(answered["long"])
    page.get_by_role("button", name="Score every mutation").click()
    page.get_by_role("button", name="The same as a table").click()
    page.locator(".heat canvas").wait_for()
    measure = """async ([selector, x, y]) => {
        const field = document.querySelector(selector), box = field.getBoundingClientRect();
        const at = { bubbles: true, clientX: box.left + x * box.width, clientY: box.top + y, button: 0, buttons: 1 };
        const begun = performance.now();
        field.dispatchEvent(new PointerEvent('pointerdown', at));
        field.dispatchEvent(new PointerEvent('pointerup', at));
        field.dispatchEvent(new MouseEvent('click', at));
        const told = () => [
            document.querySelector('.selected')?.dataset.from,
            document.querySelector('.heat-selected')?.dataset.from,
            document.querySelector('tr[aria-selected=true]')?.dataset.position,
            document.querySelector('.readout')?.dataset.residue,
            /sel=A:(\\d+)/.exec(location.search)?.[1],
        ];
        const before = JSON.stringify(told());
        while (performance.now() - begun < 5000) {
            await new Promise((go) => setTimeout(go, 2));
            const now = told(), is_one = now[0] && new Set(now).size === 1;
            if (is_one && JSON.stringify(now) !== before) return [performance.now() - begun, now[0]];
        }
        return [Infinity, JSON.stringify(told())];
    }"""
    for selector, x, y in ((".picture", 0.5, 60), (".heat canvas", 0.7, 40), (".picture", 0.9, 60)):
        page.evaluate(measure, [selector, 0.2, 50])  # what is drawn for the first time takes longer
        milliseconds, residue = page.evaluate(measure, [selector, x, y])
        assert milliseconds < LINKED_MILLISECONDS, (selector, residue)
    page.locator("tr[data-position]").nth(8).click()
    row = page.locator("tr[aria-selected=true]").first.get_attribute("data-position")
    assert page.locator(".selected").get_attribute("data-from") == row


@browser_test
def test_a_structure_is_shown_and_its_selection_is_the_same(page: Any, answered: dict[str, str]) -> None:
    page.goto(f"{answered['structure']}?sel=A:2-4")
    page.locator(".stage[data-ready=true]").wait_for()
    until = time.monotonic() + 20
    while page.evaluate("() => window.anfinsenSelected()") != 3 and time.monotonic() < until:
        page.wait_for_timeout(100)
    assert page.evaluate("() => window.anfinsenSelected()") == 3
    assert page.locator(".readout").get_attribute("data-residue") == "2"


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
    for path in (*SCREENS, answered["short"], answered["pair"], f"{answered['pair']}?view=compare"):
        page.goto(path)
        page.locator("main h1").wait_for()
        page.wait_for_timeout(300)
        wide = page.evaluate("() => document.documentElement.scrollWidth")
        assert wide <= 360, path


@browser_test
@pytest.mark.parametrize("light", ["light", "dark"])
def test_nothing_serious_stands_in_the_way_of_anybody(page: Any, answered: dict[str, str], light: str) -> None:
    """axe-core finds no serious and no critical fault, contrast included, on any screen."""
    if not AXE.exists():
        pytest.skip("axe-core is not installed: npm ci in web")
    page.emulate_media(color_scheme=light)
    source = AXE.read_text(encoding="utf-8")
    for path in ("/", answered["short"], f"{answered['pair']}?view=compare", "/drug", "/train", "/learn"):
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
