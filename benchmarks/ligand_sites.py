"""Who learns and who judges in `ligand-sites`: remakes the list of chains that are not simply learnt from.

    python benchmarks/ligand_sites.py [--check | --teach | --fit]

Judges are the chains of GPSite's official tests, the test structures, and a tenth ('own') of the training chains of the
kinds whose official test is not here; another twentieth of all training chains, with the validation structures, stops
the training ('valid'). A chain that shares more words of five residues with a judge than chance would have it is 'out'
(`kinship.neighbours.Reach`, all words kept: of pairs with half their residues alike it finds about 85 in 100, of those
with 40 % 23). The library of known sites, which travels with the package, is made anew too. It takes about a minute.

With --teach the bundle is given its second head, which reads the sequence alone and knows drug-like molecules only
(the arm 'sequence' of `bench.site_ablation`; four minutes of a core). With --fit the few numbers that
`inference.sites` and `inference.site_residues` lay over the answers are fitted anew on the 67 validation structures
and printed, with what they bring on families that were left out of the fit; and the chances from which on a kind is
said are fitted on all validation chains and kept in the bundle. Do both after each training.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy
import polars
import torch
from numpy.typing import NDArray
from scipy.spatial import KDTree
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, matthews_corrcoef
from sklearn.model_selection import GroupKFold

from anfinsen.bench.site_ablation import ARMS, LONGEST, SEQUENCE, taught
from anfinsen.bench.sites import NEAR, alone, blind, listened, only, said_from, without_structure
from anfinsen.hub.body import bare
from anfinsen.hub.bundle import Bundle
from anfinsen.hub.record import TaskRecord
from anfinsen.inference.predictor import answer
from anfinsen.inference.site_residues import ALONE, BESIDE, IN_SPACE, PLACED, TOUCHING, VOICES, evidence, voices
from anfinsen.inference.sites import EMBEDDED, SHOWN
from anfinsen.kinship.neighbours import Reach
from anfinsen.models.frozen import FrozenBody
from anfinsen.models.network import Network
from anfinsen.sets.holo import SITES, load_holo
from anfinsen.sets.known_sites import LIBRARY, KnownSites
from anfinsen.structure.pockets import find_cavities, gather
from anfinsen.structure.protein import Protein
from anfinsen.tasks.custom import Custom
from anfinsen.tasks.ligand_sites import DRUG, LETTERS, OWN, TASK, example_of, key_of

PATH = Path(__file__).parents[1] / "src" / "anfinsen" / "tasks" / "ligand_sites_split.txt"
HASHES = 2000
HEAD = (
    "# Chains that are not simply learnt from: first letters of the SHA-256 of the sequence, split. "
    "See benchmarks/ligand_sites.py."
)
TRAIN, VALID, TEST, OUT, MINE = "train", "valid", "test", "out", "own"
STRUCTURES = (TRAIN, VALID, TEST)

Floats = NDArray[Any]


def main() -> int:
    """Write the list and the library, or compare the list with the one that is there."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--teach", action="store_true")
    parser.add_argument("--fit", action="store_true")
    asked = parser.parse_args()
    if asked.teach:
        teach()
    if asked.fit:
        fit()
        fit_said()
    if asked.teach or asked.fit:
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


def teach() -> None:
    """Put a head beside that of the task: what the sequence alone says of drug-like molecules, as two letters."""
    bundle, chains = Bundle.load(EMBEDDED), [one for one in load_holo(TRAIN) if len(one.protein) <= LONGEST]
    one_kind, train = alone(DRUG, [example_of(one) for one in chains])
    stops = [only(example_of(one), DRUG) for one in load_holo(VALID)]
    arm = taught(one_kind, ARMS[SEQUENCE], FrozenBody(bare(bundle.network.body)), train, stops)
    learnt = {name.removeprefix("head."): one for name, one in arm.heads[one_kind.name].state_dict().items()}
    for name in ("out.weight", "out.bias"):  # log-odds of one letter are the logits of two, the other's at zero
        learnt[name] = torch.cat([torch.zeros_like(learnt[name]), learnt[name]])
    custom = Custom(title="drug-like ligand", kind="tokens", labels=("-", TOUCHING), table=SITES.title)
    shape = custom.task(BESIDE).shape
    network = Network(bundle.network.body, {**bundle.network.shapes, BESIDE: shape})
    network.heads.update(bundle.network.heads)
    network.heads[BESIDE].load_state_dict(learnt)
    bundle.network = network.eval()
    bundle.records[BESIDE] = TaskRecord(
        kind=shape.kind,
        size=shape.size,
        labels=custom.labels,
        calibration={"temperature": 1.0},
        dataset=f"{SITES.title} (train)",
        licence=SITES.licence,
        trained_on=len(train),
        custom=custom,
    )
    bundle.remember()
    bundle.save(EMBEDDED)


def fit() -> None:
    """Print the line through pockets (`_CHANCE`), the line through residues (`LINE`) and its threshold (`SAID`)."""
    bundle, chains = Bundle.load(EMBEDDED), load_holo("valid")
    asked = blind([example_of(one) for one in chains])
    placed, heard_alone = map(evidence, answer(bundle, TASK, asked)), listened(bundle, asked)
    heard, truth, family, scores, hit = [], [], [], [], []
    for chain, here, sequence in zip(chains, placed, heard_alone, strict=True):
        backbone, hollows = chain.protein.backbone, find_cavities(chain.protein.sequence, chain.protein.backbone)
        pockets = gather(hollows, here, most=SHOWN)
        heard.append(voices(here, sequence, backbone, hollows, pockets[0] if pockets else None))
        truth.append(numpy.array(list(chain.label)) == "1")
        family.append(numpy.full(len(here), chain.cluster))
        ligands = KDTree(numpy.concatenate([ligand.points for ligand in chain.ligands]))
        scores += [numpy.log(pocket.score) for pocket in pockets]
        hit += [ligands.query(pocket.centre)[0] <= NEAR for pocket in pockets]
    line = LogisticRegression(C=100).fit(numpy.array(scores)[:, None], hit)
    print(
        f"_CHANCE: {line.intercept_[0]:.2f}, {line.coef_[0, 0]:.3f} ({len(hit)} pockets, of which {sum(hit)} held one)"
    )
    fit_line(*map(numpy.concatenate, (heard, truth, family)))


def fit_line(rows: Floats, truth: Floats, family: Floats) -> None:
    """The line through voices (R, 5), what it brings on families left out of it, and the chance it says sites from."""
    for names in (VOICES[:1], VOICES[:-1], VOICES):
        said, left_out = rows[:, : len(names)], numpy.zeros(len(rows))
        for here, there in GroupKFold(5).split(said, truth, family):
            line = LogisticRegression(C=1.0).fit(said[here], truth[here])
            left_out[there] = line.predict_proba(said[there])[:, 1]
        print(f"AUPR of {', '.join(names)}: {average_precision_score(truth, left_out):.3f} (families left out)")
    cuts = numpy.arange(0.05, 0.6, 0.01)
    worth = numpy.array([matthews_corrcoef(truth, left_out >= cut) for cut in cuts])
    line = LogisticRegression(C=1.0).fit(rows, truth)
    numbers = ", ".join(f"{one:.3f}" for one in (*line.intercept_, *line.coef_[0]))
    print(f"LINE: {numbers}; SAID: {cuts[worth >= worth.max() - 0.01].max():.2f} (MCC {worth.max():.3f} at best)")


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
