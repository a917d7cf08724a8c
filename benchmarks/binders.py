"""Gather the binders that come with the package from BIOSNAP, and write them beside the models.

    python benchmarks/binders.py [--check]

The pairs of BIOSNAP that bind, of all its splits; so its own tests are no test of them. A molecule that is refused as
any user's would be is left out, and so is one of fewer than six heavy atoms: ions, water, gases and solvents, which
are ligands of many proteins and tell nothing of what else binds. Half a minute of one core. `--check` gathers them
again, compares with what is there, and writes nothing.
"""

from __future__ import annotations

import argparse
import sys

import numpy

from anfinsen.drug.molecule import Formula, Molecule, read_formulas
from anfinsen.sets.binders import biosnap
from anfinsen.sets.known_binders import FEWEST, LIBRARY, KnownBinders
from anfinsen.wording import counted


def main() -> int:
    """Read, gather, write or compare."""
    flags = argparse.ArgumentParser(description=__doc__)
    flags.add_argument("--check", action="store_true")
    asked = flags.parse_args()
    made = gathered()
    if not asked.check:
        made.save(LIBRARY)
        return 0
    return int(not KnownBinders.open(LIBRARY).is_same(made))


def gathered() -> KnownBinders:
    """The positive pairs of BIOSNAP, and a word on what was left out."""
    table = biosnap()
    read = list(read_formulas(Formula(text, str(at)) for at, text in enumerate(table.smiles)))
    molecules = {at: one for at, one in enumerate(read) if isinstance(one, Molecule)}
    binds = [(int(table.protein[at]), int(table.drug[at])) for at in numpy.flatnonzero(table.value > 0)]
    small = sum(one.heavy_atoms < FEWEST for one in molecules.values())
    print(
        f"{counted(len(read) - len(molecules), 'molecule')} of {len(read):,} refused; "
        f"{counted(small, 'molecule')} of fewer than {FEWEST} heavy atoms left out."
    )
    place = {at: number for number, at in enumerate(molecules)}
    pairs = [(protein, place[drug]) for protein, drug in binds if drug in place]
    made = KnownBinders.of_pairs([one.sequence for one in table.proteins], list(molecules.values()), pairs)
    print(f"{len(made.protein):,} of {len(binds):,} pairs: {len(made):,} binders of {len(made.lengths):,} proteins.")
    return made


if __name__ == "__main__":
    sys.exit(main())
