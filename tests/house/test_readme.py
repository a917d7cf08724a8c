"""No number stands in the README that the benchmark did not print."""

from __future__ import annotations

from pathlib import Path

from anfinsen.hub.bundle import Bundle, embedded_bundles
from anfinsen.hub.card import summary

README = Path(__file__).parents[2] / "README.md"


def test_the_scores_in_the_readme_are_those_of_the_embedded_bundles() -> None:
    """`benchmarks/readme.py` writes them."""
    shown = README.read_text(encoding="utf-8").partition("<!-- scores -->\n")[2].partition("<!-- /scores -->")[0]
    bundles = [Bundle.load(folder) for folder in embedded_bundles()]
    assert shown.strip() == summary(*((bundle.label, bundle.records) for bundle in bundles))


def test_every_picture_of_the_readme_is_there() -> None:
    assert (README.parent / "docs" / "report.png").stat().st_size > 20_000
