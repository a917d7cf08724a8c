"""Takes the pictures of docs/app again: a server of its own, a walk through its screens in Chromium, small files.

.venv/bin/python scripts/pictures.py [NAME ...]      without a name, all of them; look at each before you keep it
"""

import io
import re
import shutil
import socket
import sys
import tempfile
import threading
from pathlib import Path

import numpy
import uvicorn
from PIL import Image
from playwright.sync_api import Page, sync_playwright
from scipy.spatial import cKDTree

from anfinsen.limits import LIMITS
from anfinsen.serve.app import make_app
from anfinsen.serve.run import Settings, open_desk
from anfinsen.serve.school import School

ROOT = Path(__file__).parents[1]
FLAGS = ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist"]
CHAIN = "MQIFVKTLTGKTITLEVEPSDTIENVKAKIQDKEGIPPDQQRLIFAGKQLEDGRTLSDYNIQKESTLHLVLRLRGG"
ASKED = {
    "ubiquitin": f">ubiquitin human\n{CHAIN}\n",
    "masked": f">masked\n{CHAIN[:24]}XXXX{CHAIN[28:55]}U{CHAIN[56:]}\n",
    "streptavidin": (ROOT / "examples" / "streptavidin.pdb").read_text(encoding="utf-8"),
}
SCREENS = """
analyse 1280x1000 / | click text=lysozyme | wait text=ready to be asked
result 1280x1420 ubiquitin?sel=A:44-57 | wait .heat canvas
dark 1280x1420 ubiquitin?sel=A:44-57 | wait .heat canvas
narrow 360x1400 ubiquitin?sel=A:44-57 | wait .heat canvas
narrow-dark 360x1400 ubiquitin?sel=A:44-57 | wait .heat canvas
masked 1280x940 masked?sel=A:26 | wait .heat canvas | top .bench
cards 1280x1100 ubiquitin | wait .heat canvas | click [data-task=localization] >> text=data | top .group-of-cards
structure 1280x960 streptavidin?sites=1 | wait .stage[data-ready=true] | click .pockets button | top .bench
sites 1280x760 streptavidin?sites=1 | wait .heat canvas | wait .pockets li | top [aria-label=Sites]
partner 1280x760 ubiquitin | click text=with itself | click text=Do they meet? | wait .meeting | top .meeting
compare 1280x1300 /compare?mutation=I44A:L8A | fill ubiquitin | click .run button | wait table.versus td
drug 1280x900 /drug | click text=gefitinib | click text=aspirin | click text=How tightly? | top .pairs
drugs 1280x1300 /compare?kind=drugs | click .run button | wait .pairs.two | top .pairs.two
train 1280x900 /train | click text=secreted or nuclear | click text=Check and plan | click button.main >> text=Train
    | wait text=It is trained. | pick .training select | top .training
learn 1280x1100 /learn?lesson=1 | click text=all of it | top .lesson
game 1280x640 /learn | click [aria-label='cover residue 45'] | click [aria-label=Leu] | wait .game .bars | top .game
"""
"""Name, size, where it begins (an address, or what is asked), and what is done, waited for and scrolled to."""


def walk(page: Page, begin: str, steps: list[str]) -> bytes:
    """The picture of one screen after its steps."""
    name, _, rest = begin.partition("?")
    if name in ASKED:
        begin = page.request.post("/v1/jobs", data={"sequences": ASKED[name]}).json()["links"]["page"] + f"?{rest}"
    page.goto(begin)
    for verb, _, place in (step.partition(" ") for step in steps):
        if verb == "fill":
            page.locator("textarea").first.fill(ASKED[place])
            continue
        page.locator(place).first.wait_for()
        if verb == "click":
            page.locator(place).first.click()
        elif verb == "pick":
            page.locator(place).first.select_option(index=1)
    page.wait_for_timeout(2_500)  # what moves comes to rest
    if steps[-1].startswith("top "):
        page.evaluate("place => scrollBy(0, document.querySelector(place).getBoundingClientRect().top - 24)", place)
        page.wait_for_timeout(500)
    return page.screenshot()


def small(picture: bytes) -> Image.Image:
    """The picture in 255 colours, the commonest as they are: a palette would shift colours that mean something."""
    pixels = numpy.asarray(Image.open(io.BytesIO(picture)).convert("RGB"))
    colours, where, counts = numpy.unique(pixels.reshape(-1, 3), axis=0, return_inverse=True, return_counts=True)
    rest = Image.fromarray(pixels).quantize(95, Image.Quantize.MAXCOVERAGE).getpalette("RGB") or []
    kept = numpy.vstack((colours[numpy.argsort(-counts)[:160]], numpy.reshape(rest, (-1, 3))))
    nearest = cKDTree(kept).query(colours)[1][where.ravel()].astype(numpy.uint8)
    made = Image.fromarray(nearest.reshape(pixels.shape[:2]), "P")
    made.putpalette(kept.astype(numpy.uint8).ravel().tolist())
    return made


def main(names: list[str]) -> None:
    """Take the named pictures, or all."""
    limits = LIMITS.replaced(requests_per_minute=100_000, user_jobs=99)
    with tempfile.TemporaryDirectory() as state, socket.create_server(("127.0.0.1", 0)) as listening:
        desk = open_desk(Settings(state=Path(state) / "state"), limits)
        school = School(Path(state) / "trainings", limits)
        app = make_app(desk, school=school)
        server = uvicorn.Server(uvicorn.Config(app, http="h11", ws="none", lifespan="off", log_level="error"))
        threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True).start()
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
            for line in re.sub(r"\n +", " ", SCREENS).strip().splitlines():
                first, *steps = line.split(" | ")
                name, size, begin = first.split()
                if names and name not in names:
                    continue
                width, height = map(int, size.split("x"))
                page = browser.new_page(
                    viewport={"width": width, "height": height},
                    color_scheme="dark" if "dark" in name else "light",
                    base_url=f"http://127.0.0.1:{listening.getsockname()[1]}",
                )
                page.set_default_timeout(300_000)
                small(walk(page, begin, steps)).save(ROOT / "docs" / "app" / f"{name}.png", optimize=True)
                page.close()
            browser.close()
        server.should_exit = True
        school.close()
        desk.close()
        desk.store.close()


if __name__ == "__main__":
    main(sys.argv[1:])
