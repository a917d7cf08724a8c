"""The split by families of relatives, made so that its own leak report finds nothing above the threshold.

It joins what MMseqs2 (where it is installed) and the words of `kinship.relatives` find. It knows no file and no label.
"""

from __future__ import annotations

import numpy

from anfinsen.kinship import mmseqs
from anfinsen.kinship.relatives import Relatives, Tell
from anfinsen.kinship.splits import SHARES, TEST, TRAIN, VALID, Places, Record, Shares, Split, group_split

_ROUNDS = 5


def cluster_split(
    relatives: Relatives,
    identity: float = 0.3,
    *,
    shares: Shares = SHARES,
    seed: int = 1,
    with_mmseqs: bool = True,
    tell: Tell = lambda done, total: None,
) -> Split:
    """Families of relatives at `identity` (0 to 1) or more stay together: the split that training takes by default.

    The split is searched as its reader will search it; relatives that the families had missed are joined, and all
    is dealt again.
    """
    families, how = find_families(relatives, identity, with_mmseqs=with_mmseqs, tell=tell)
    for _ in range(_ROUNDS):
        split = group_split(families.tolist(), shares=shares, seed=seed, kind="cluster", noun="family")
        missed = 0
        for asked, among in ((TEST, TRAIN), (VALID, TRAIN), (TEST, VALID)):
            rows = split.rows(asked)
            nearest = relatives.nearest(rows, split.rows(among), tell=tell)
            for at in numpy.flatnonzero((nearest.place >= 0) & (nearest.identity >= identity)).tolist():
                families[families == families[rows[at]]] = families[nearest.place[at]]
                missed += 1
        if not missed:
            break
    return Split(split.names, split.kind, {**split.record, **how}, split.told)


def find_families(
    relatives: Relatives, identity: float, *, with_mmseqs: bool = True, tell: Tell = lambda done, total: None
) -> tuple[Places, Record]:
    """The family of each row, and how it was found: by words and alignments, after MMseqs2 where it is installed."""
    engine = f"words of {relatives.word} residues and alignments"
    joined: list[tuple[int, int]] = []
    if with_mmseqs and mmseqs.is_installed():
        engine = f"MMseqs2, {engine}"
        joined = list(mmseqs.search(relatives.chains, identity))
    return relatives.families(identity, joined=joined, tell=tell), {"identity": identity, "found by": engine}
