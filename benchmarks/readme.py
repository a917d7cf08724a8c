"""Write the table of scores into the README, from what the embedded bundles keep of `anfinsen bench --write`.

python benchmarks/readme.py
"""

from __future__ import annotations

from pathlib import Path

from anfinsen.hub.bundle import Bundle, embedded_bundles
from anfinsen.hub.card import summary

README = Path(__file__).parents[1] / "README.md"
BEGIN, END = "<!-- scores -->\n", "<!-- /scores -->"


def main() -> None:
    """Replace what stands between the two marks."""
    bundles = [Bundle.load(folder) for folder in embedded_bundles()]
    before, _, rest = README.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    table = summary(*((bundle.label, bundle.records) for bundle in bundles))
    README.write_text(f"{before}{BEGIN}{table}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
