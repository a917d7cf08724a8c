"""Fit the weights of mutations again, print how they were chosen, and write them where the package reads them.

    python benchmarks/mutations.py [--bundle FOLDER] [--check] [--relatives FASTA]

Run it after the language model, what it hears of relatives, or the heads for structure and conservation have changed.
Relatives are looked for in the families that come with the package, and in a FASTA file of your own. With --check
nothing is written: the exit code is 1 where the weights that lie in the package are not those that come out.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import anfinsen
from anfinsen.bench.mutations import (
    FAMILY_CANDIDATES,
    Fitted,
    fit_effects,
    fit_stability,
    read_lessons,
    read_stability,
)
from anfinsen.errors import AnfinsenError
from anfinsen.hub.body import body_hash
from anfinsen.hub.bundle import Bundle, default_bundle
from anfinsen.inference.scan import WEIGHTS as EFFECTS
from anfinsen.inference.scan import WEIGHTS_WITH_FAMILY as WITH_FAMILY
from anfinsen.kinship.kin import Kin
from anfinsen.models.fast import quicken
from anfinsen.tasks.stability_change import WEIGHTS as STATES

HOUSE = Path(anfinsen.__file__).parent


def main() -> int:
    """Fit both, print the tables, write or compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bundle", type=Path, default=None)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--relatives", default=None)
    asked = parser.parse_args()
    bundle = Bundle.load(asked.bundle or default_bundle())
    network = quicken(bundle.network.eval())
    about = {"model": bundle.name, "body": body_hash(bundle.network.body)}
    kin = Kin.find(asked.relatives)
    if kin is None:
        raise AnfinsenError("Nobody knows relatives.", remedy="Install pyhmmer.")
    lessons, heads = read_lessons(network, print, kin), list(network.heads)
    stability = read_stability(network, print)
    fitted = {
        HOUSE / "tasks" / STATES: fit_stability(stability, about),
        HOUSE / "inference" / EFFECTS: fit_effects(lessons, heads, about),
        HOUSE / "inference" / WITH_FAMILY: fit_effects(
            lessons, heads, {**about, "relatives": ", ".join(kin.names)}, FAMILY_CANDIDATES
        ),
    }
    is_same = True
    for path, found in fitted.items():
        show(path.name, found)
        text = found.weights.to_text()
        is_same &= path.is_file() and path.read_text(encoding="utf-8") == text
        if not asked.check:
            path.write_text(text, encoding="utf-8")
    return int(asked.check and not is_same)


def show(name: str, found: Fitted) -> None:
    """The candidates with their validation scores, the chosen one marked."""
    chosen = f"{' + '.join(found.weights.groups)}, ridge {found.weights.about['strength']:g}"
    print(f"\n{name}: validation (ddG: minus the RMSE over folds of families; scans: mean Spearman, one left out)")
    for candidate, score in found.table:
        print(f"  {score:+.4f}  {candidate}{'   <- chosen' if candidate == chosen else ''}")


if __name__ == "__main__":
    sys.exit(main())
