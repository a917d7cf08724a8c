"""Fit what the folder says of its own models: pLDDT and expected errors, on validation chains that it never saw.

    python benchmarks/fold_confidence.py BUNDLE [--chains 40]

The four numbers are written into the record of the task 'contacts' in BUNDLE, where `anfinsen fold` reads them. Run it
after each training of a folder, before `anfinsen bench structure`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from anfinsen.bench.fold import FITTED_ON, fit_confidence


def main() -> None:
    """Fit and keep."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--chains", type=int, default=FITTED_ON)
    asked = parser.parse_args()
    for name, value in fit_confidence(asked.bundle, most=asked.chains, tell=print).items():
        print(f"{name}: {value:.4f}")


if __name__ == "__main__":
    main()
