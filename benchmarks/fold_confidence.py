"""Make the bank of known structures, and fit on validation chains what a folder says of them and of its own models.

    python benchmarks/fold_confidence.py BUNDLE [--bank] [--only confidence] [--chains 40] [--related 170]

With --bank the training chains are written into the package anew. Then the eight numbers that mix known structures into
the distogram are fitted, then pLDDT and expected errors; both stand in the record of 'contacts' in BUNDLE, where
`anfinsen fold` reads them. Run it after each training of a folder, before `anfinsen bench structure`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from anfinsen.bench.contact_maps import training_structures
from anfinsen.bench.fold_fitting import FITTED_ON, fit_confidence, fit_templates
from anfinsen.sets.known_structures import BANK


def main() -> None:
    """Make, fit and keep."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--bank", action="store_true")
    parser.add_argument("--only", choices=("templates", "confidence"))
    parser.add_argument("--chains", type=int, default=FITTED_ON)
    parser.add_argument("--related", type=int, help="Validation chains for the templates; all if left out.")
    asked = parser.parse_args()
    if asked.bank:
        training_structures().save(BANK)
    found: dict[str, float] = {}
    if asked.only != "confidence":
        found |= fit_templates(asked.bundle, most=asked.related, tell=print)
    if asked.only != "templates":
        found |= fit_confidence(asked.bundle, most=asked.chains, tell=print)
    for name, value in found.items():
        print(f"{name}: {value:.4f}")


if __name__ == "__main__":
    main()
