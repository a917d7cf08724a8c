"""Gather the families that come with the package from the pre-training corpus, and write them beside the models.

    python benchmarks/families.py [--check]

MMseqs2 (which must be installed) lays the training part of the corpus, without proteins of official tests, into
clusters of like chains. Those of three members or more are counted column by column, members that are much alike as
one, and the columns are given 256 kinds by expectation and maximisation of a mixture of multinomials. About half an
hour of two cores. `--check` gathers them again, compares with what is there, and writes nothing.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence

import numpy
from numpy.typing import NDArray

from anfinsen.data.alphabet import RESIDUES
from anfinsen.data.substitutions import places_of
from anfinsen.hub.bundle import MASKED
from anfinsen.kinship.families import LIBRARY, Families
from anfinsen.kinship.family import USUAL, counts_of, weights_of
from anfinsen.kinship.mmseqs import Member, families
from anfinsen.tasks import TASKS

IDENTITY, COVERAGE, SENSITIVITY = 0.25, 0.7, 4.0
"""What makes a cluster: identity to its first chain, share of both chains that is aligned, MMseqs2's care."""
FEWEST, MOST = 3, 800
"""Members that make a family, and those that are counted of a large one."""
KINDS, DEEP, TAUGHT, ROUNDS = 256, 8.0, 400_000, 15
"""Kinds of columns; different members of a column that teaches, how many teach, and how often."""
HEAVIEST, LIGHT = 30.0, 2.0
"""What a column counts for at most, and the residues that stand for what is usual among proteins."""
_STEP = re.compile(r"(\d+)([MID])")
Counts = NDArray[numpy.float32]


def main() -> int:
    """Cluster, count, find kinds, write or compare."""
    flags = argparse.ArgumentParser(description=__doc__)
    flags.add_argument("--check", action="store_true")
    asked = flags.parse_args()
    chains = [example.protein.sequence for example in TASKS[MASKED].examples("train")]
    counted, members = [], []
    for family in families(chains, IDENTITY, COVERAGE, SENSITIVITY):
        if len(family) >= FEWEST:
            rows = aligned(chains, family[:MOST])
            counted.append(counts_of(rows, weights_of(rows)).astype(numpy.float32))
            members.append(len(family))
    columns = numpy.concatenate(counted)
    shares, common = kinds_of(columns)
    made = Families(
        shares=shares,
        kinds=assigned(columns, shares, common).astype(numpy.uint8),
        lengths=numpy.array([len(one) for one in counted], dtype=numpy.uint16),
        members=numpy.array(members, dtype=numpy.uint16),
        depth=numpy.array([one.sum(1).mean() for one in counted], dtype=numpy.float32),
    )
    print(f"{len(made):,} families of {len(columns):,} columns from {len(chains):,} proteins")
    if not asked.check:
        made.save(LIBRARY)
        return 0
    there = Families.open(LIBRARY)
    return int(len(there) != len(made) or bool((there.kinds != made.kinds).any()))


def aligned(chains: Sequence[str], family: Sequence[Member]) -> NDArray[numpy.int64]:
    """The members of a family beside its first one's residues, as numbers of residues, -1 for none: (N, L)."""
    rows = numpy.full((len(family), len(chains[family[0].place])), -1)
    for row, member in zip(rows, family, strict=True):
        letters, first, own = places_of(chains[member.place]), member.first_start, member.start
        for number, step in _STEP.findall(member.steps):
            count = int(number)
            if step == "M":
                row[first : first + count] = letters[own : own + count]
            first, own = first + count * (step != "D"), own + count * (step != "I")
    return rows


def kinds_of(columns: Counts) -> tuple[Counts, Counts]:
    """The shares of residues of each kind of column (KINDS, 20), and how common each kind is (KINDS,)."""
    generator = numpy.random.default_rng(0)
    deep = numpy.flatnonzero(columns.sum(1) >= DEEP)
    taught = _limited(columns[generator.choice(deep, min(TAUGHT, len(deep)), replace=False)])
    shares = _smoothed(taught[generator.choice(len(taught), KINDS, replace=False)])
    common = numpy.full(KINDS, 1 / KINDS, dtype=numpy.float32)
    for _ in range(ROUNDS):
        kinds = assigned(taught, shares, common)
        sums = [numpy.bincount(kinds, taught[:, at], KINDS) for at in range(len(RESIDUES))]
        shares = _smoothed(numpy.stack(sums, axis=1).astype(numpy.float32))
        held = numpy.bincount(kinds, minlength=KINDS) + 0.5
        common = (held / held.sum()).astype(numpy.float32)
    return shares, common


def assigned(columns: Counts, shares: Counts, common: Counts) -> NDArray[numpy.int64]:
    """The likeliest kind of each column, (N,)."""
    parts = numpy.array_split(columns, max(1, len(columns) // 50_000))
    scores = (_limited(part) @ numpy.log(shares).T + numpy.log(common) for part in parts)
    return numpy.concatenate([score.argmax(1) for score in scores])


def _limited(columns: Counts) -> Counts:
    depth = columns.sum(1, keepdims=True)
    found: Counts = columns * numpy.minimum(HEAVIEST / numpy.maximum(depth, 1e-6), 1)
    return found


def _smoothed(counts: Counts) -> Counts:
    usual = LIGHT * USUAL.astype(numpy.float32)
    found: Counts = (counts + usual) / (counts.sum(1, keepdims=True) + LIGHT)
    return found


if __name__ == "__main__":
    sys.exit(main())
