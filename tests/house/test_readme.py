"""No number stands in the README or in docs/scores.md that the benchmark did not print."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from anfinsen.hub.affinity import AffinityBundle
from anfinsen.hub.bundle import Bundle, embedded_bundles
from anfinsen.report.scores import Scored, all_scores, headlines

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(("page", "table"), [("README.md", headlines), ("docs/scores.md", all_scores)])
def test_the_scores_of_a_page_are_those_of_the_embedded_bundles(
    page: str, table: Callable[[Sequence[Scored]], str]
) -> None:
    """`benchmarks/readme.py` writes them."""
    shown = (ROOT / page).read_text(encoding="utf-8").partition("<!-- scores -->\n")[2].partition("<!-- /scores -->")[0]
    assert shown.strip() == table([*(Bundle.load(folder) for folder in embedded_bundles()), AffinityBundle.load()])


def test_every_picture_of_the_readme_is_there() -> None:
    assert (ROOT / "docs" / "report.png").stat().st_size > 20_000
