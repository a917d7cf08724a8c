"""Write the measured parts of docs/scale.md from what the embedded bundle keeps of `anfinsen bench scale --write`.

python benchmarks/scale.py
"""

from __future__ import annotations

from pathlib import Path

from anfinsen.bench.extension import PARTS, Measured, written
from anfinsen.hub.bundle import MASKED, Bundle, default_bundle

PAGE = Path(__file__).parents[1] / "docs" / "scale.md"


def main() -> None:
    """Replace what stands between the marks of each part."""
    rows = [row for row in Bundle.load(default_bundle()).records[MASKED].scores if row.suite == "scale"]
    text = PAGE.read_text(encoding="utf-8")
    for part in PARTS:
        before, begin, rest = text.partition(f"<!-- {part} -->\n")
        _, end, after = rest.partition(f"<!-- /{part} -->")
        text = f"{before}{begin}{written(part, Measured(rows))}\n{end}{after}"
    PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
