"""Who learns and who judges in `ligand-sites`: remakes the list of chains that are not simply learnt from.

    python benchmarks/ligand_sites.py [--check | --fit]

Judges are the chains of GPSite's official tests, the test structures, and a tenth ('own') of the training chains of the
kinds whose official test is not here; another twentieth of all training chains, with the validation structures, stops
the training ('valid'). A chain that shares more words of five residues with a judge than chance would have it is 'out'
(`kinship.neighbours.Reach`, all words kept: of pairs with half their residues alike it finds about 85 in 100, of those
with 40 % 23). The library of known sites, which travels with the package, is made anew too. It takes about a minute.

With --fit the few numbers that `inference.sites` lays over a network's answers are fitted anew on the 67 validation
structures and printed, with what they bring on families that were left out of the fit; and the chances from which on
a kind is said are fitted on all validation chains and kept in the bundle. Do so after each
training.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

import numpy
import polars
from scipy.spatial import KDTree
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, matthews_corrcoef
from sklearn.model_selection import GroupKFold

from anfinsen.bench.sites import NEAR, blind, said_from, without_structure
from anfinsen.hub.bundle import Bundle
from anfinsen.inference.predictor import answer
from anfinsen.inference.sites import ALONE, EMBEDDED, IN_SPACE, PLACED, SHOWN, evidence
from anfinsen.kinship.neighbours import Reach
from anfinsen.sets.holo import load_holo
from anfinsen.sets.known_sites import LIBRARY, KnownSites
from anfinsen.structure.pockets import faced, find_cavities, gather
from anfinsen.structure.protein import Protein
from anfinsen.tasks.ligand_sites import LETTERS, OWN, TASK, example_of, key_of

PATH = Path(__file__).parents[1] / "src" / "anfinsen" / "tasks" / "ligand_sites_split.txt"
HASHES = 2000
HEAD = (
    "# Chains that are not simply learnt from: first letters of the SHA-256 of the sequence, split. "
    "See benchmarks/ligand_sites.py."
)
TRAIN, VALID, TEST, OUT, MINE = "train", "valid", "test", "out", "own"
STRUCTURES = (TRAIN, VALID, TEST)


def main() -> int:
    """Write the list and the library, or compare the list with the one that is there."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--fit", action="store_true")
    asked = parser.parse_args()
    if asked.fit:
        fit()
        fit_said()
        return 0
    made = text(dealt(roles()))
    if not asked.check:
        PATH.write_text(made, encoding="ascii")
        KnownSites.of([one for split in STRUCTURES for one in load_holo(split)]).save(LIBRARY)
    is_same = made == PATH.read_text(encoding="ascii")
    print("as committed" if is_same else "other than committed")
    return int(not is_same)


def roles() -> dict[str, str]:
    """Every sequence once, and what it is: a judge, one of ours, one that stops the training, or anything."""
    (path,) = TASK.table.paths()
    rows = polars.read_parquet(path).select("ligand", "split", "seq").rows()
    own = {sequence for kind, _, sequence in rows if kind in OWN}
    found = {sequence: drawn(sequence, sequence in own) for _, _, sequence in rows}
    for split in STRUCTURES:
        found |= {one.protein.sequence: split for one in load_holo(split)}
    return found | {sequence: TEST for _, split, sequence in rows if split == TEST}


def drawn(sequence: str, is_own: bool) -> str:
    """The lot of a training chain, by its hash."""
    lot = int(key_of(sequence), 16) % 100
    return MINE if is_own and lot < 10 else VALID if 10 <= lot < 15 else TRAIN


def dealt(given: Mapping[str, str]) -> dict[str, str]:
    """The split of each sequence: its role, or 'out' where a judge is related; judges are learnt from by nobody."""
    judges = {sequence for sequence, role in given.items() if role in (TEST, MINE)}
    near = Reach.fit([Protein(key_of(one), one) for one in judges], hashes=HASHES)
    stops = Reach.fit([Protein(key_of(one), one) for one, role in given.items() if role == VALID], hashes=HASHES)
    splits = {}
    for sequence, role in given.items():
        if role == MINE or (role in (TRAIN, VALID) and near.nearest(sequence)[1] is None):
            is_late = role == TRAIN and stops.nearest(sequence)[1] is not None
            splits[sequence] = VALID if is_late else role
        else:
            splits[sequence] = OUT
    return splits


def fit() -> None:
    """Print the line through pockets (`_CHANCE`), the line through residues (`_FACING`) and its threshold (`_SAID`)."""
    chains = load_holo("valid")
    told = [evidence(one) for one in answer(Bundle.load(EMBEDDED), TASK, blind([example_of(one) for one in chains]))]
    odds, faces, truth, family, scores, hit = [], [], [], [], [], []
    for chain, shares in zip(chains, told, strict=True):
        hollows = find_cavities(chain.protein.sequence, chain.protein.backbone)
        clipped = numpy.clip(shares, 1e-4, 1 - 1e-4)
        odds.append(numpy.log(clipped / (1 - clipped)))
        faces.append(numpy.log1p(faced(hollows, len(shares))))
        truth.append(numpy.array(list(chain.label)) == "1")
        family.append(numpy.full(len(shares), chain.cluster))
        ligands = KDTree(numpy.concatenate([ligand.points for ligand in chain.ligands]))
        for pocket in gather(hollows, shares, most=SHOWN):
            scores.append(numpy.log(pocket.score))
            hit.append(ligands.query(pocket.centre)[0] <= NEAR)
    line = LogisticRegression(C=100).fit(numpy.array(scores)[:, None], hit)
    print(
        f"_CHANCE: {line.intercept_[0]:.2f}, {line.coef_[0, 0]:.3f} ({len(hit)} pockets, of which {sum(hit)} held one)"
    )
    rows, known = numpy.stack([numpy.concatenate(odds), numpy.concatenate(faces)], axis=1), numpy.concatenate(truth)
    apart = GroupKFold(5).split(rows, known, numpy.concatenate(family))
    left_out = numpy.zeros(len(known))
    for here, there in apart:
        left_out[there] = LogisticRegression(C=1.0).fit(rows[here], known[here]).decision_function(rows[there])
    alone, both = (average_precision_score(known, one) for one in (rows[:, 0], left_out))
    print(f"AUPR of the network {alone:.3f}, with what residues face {both:.3f} (families left out)")
    line = LogisticRegression(C=1.0).fit(rows, known)
    chances = line.predict_proba(rows)[:, 1]
    cuts = numpy.arange(0.05, 0.6, 0.01)
    best = max(cuts.tolist(), key=lambda cut: matthews_corrcoef(known, chances >= cut))
    print(f"_FACING: {line.intercept_[0]:.2f}, {line.coef_[0, 0]:.2f}, {line.coef_[0, 1]:.2f}; _SAID: {best:.2f}")


def fit_said() -> None:
    """Keep in the bundle the chance from which on each kind is said, by a sequence alone and on a structure."""
    bundle, chains = Bundle.load(EMBEDDED), TASK.examples("valid")
    placed = [one for one in chains if one.protein.backbone is not None]
    found = {}
    for key, asked, kinds in ((ALONE, without_structure(chains), tuple(LETTERS)), (PLACED, placed, IN_SPACE)):
        told = answer(bundle, TASK, blind(asked))
        truths = numpy.concatenate([TASK.target.encode(one) for one in asked])
        for kind in kinds:
            truth = truths[:, [*LETTERS].index(kind)]
            shares = numpy.concatenate([one["probabilities"][kind] for one in told])
            known = ~numpy.isnan(truth)
            found[f"{key}{kind}"] = said_from(shares[known], truth[known])
            print(f"{key}{kind}: from {found[f'{key}{kind}']:.3f} on")
    record = bundle.records[TASK.name]
    bundle.records[TASK.name] = record.replaced(calibration=record.calibration | found)
    bundle.save(EMBEDDED)


def text(splits: Mapping[str, str]) -> str:
    """One line a chain that is not simply learnt from, in the order of its key."""
    lines = [f"{key_of(one)}\t{split}" for one, split in splits.items() if split != TRAIN]
    return "\n".join([HEAD, *sorted(lines)]) + "\n"


if __name__ == "__main__":
    raise SystemExit(main())
