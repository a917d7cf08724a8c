"""Write the scores that the embedded bundles keep of `anfinsen bench --write` into README.md and docs/scores.md.

python benchmarks/readme.py
"""

from __future__ import annotations

from pathlib import Path

from anfinsen.hub.affinity import AffinityBundle
from anfinsen.hub.bundle import Bundle, embedded_bundles
from anfinsen.report.scores import all_scores, headlines

ROOT = Path(__file__).parents[1]
BEGIN, END = "<!-- scores -->\n", "<!-- /scores -->"


def main() -> None:
    """Replace what stands between the two marks of each page."""
    bundles = [*(Bundle.load(folder) for folder in embedded_bundles()), AffinityBundle.load()]
    _write(ROOT / "README.md", headlines(bundles))
    _write(ROOT / "docs" / "scores.md", all_scores(bundles))


def _write(page: Path, table: str) -> None:
    before, _, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    page.write_text(f"{before}{BEGIN}{table}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
