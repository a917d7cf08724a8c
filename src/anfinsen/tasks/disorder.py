"""Disorder: which stretches of a protein have no fixed shape.

Not every protein folds. A third of ours have long stretches that stay loose, like a thread in water, and work just
so: they bend around partners, carry switches, and keep domains apart. Such stretches show no structure to X-rays; in
a magnetic field (NMR) their atoms give themselves away by ringing as they would in a random chain. The CheZOD Z-score
counts how far a residue's ringing is from that: above 8 it is folded, below 3 it is loose, between them partly so.

Data: 1,160 proteins with NMR chemical shifts (Dass et al. 2020, Scientific Reports 10:14780; Ilzhoefer et al. 2022,
SETH, Frontiers in Bioinformatics 2:1019597). The table has no split of its own, so families of relatives at 30 %
identity were dealt once with seed 1, 15 % of the rows each to validation and test (`benchmarks/annotations.py`); who
judges is written here, because a split that a better search for relatives could change would be no split.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy
import polars

from anfinsen.data.example import Example
from anfinsen.errors import UnknownNameError
from anfinsen.sets.catalog import Table
from anfinsen.structure.protein import Protein
from anfinsen.targets.base import Answer
from anfinsen.targets.values import Values
from anfinsen.tasks.base import Published, Task

_TEST = "cluster-test"
_FOLDED, _LOOSE = 8.0, 3.0
_MISSING = 900.0
"""The table writes 999 where a residue was not measured."""
_VALID = """
    10038 10046 10060 10065 10071 10121 10125 10130 10148 10246 10250 10318 11101 11102 11205 11269 11274 11283
    11287 11314 11380 11390 11435 11549 11594 15063 15335 15343 15440 15448 15577 15659 15702 15720 15738 15784
    15831 16162 16259 16386 16396 17006 17131 17148 17258 17365 17445 17594 17673 17737 17856 17927 17971 18016
    18214 18319 18342 18615 18697 18700 18725 18728 18812 1885 19013 19107 19172 19173 19312 19489 19653 19681 19689
    19709 19735 19752 19830 25002 25183 25244 25379 25399 25543 25586 25873 25992 26530 26573 26662 26953 27024
    27026 27206 27230 27236 27263 27334 27412 27453 27537 27606 27629 27651 27763 30097 34182 34282 4046 4094 4294
    4321 4334 4395 4405 4519 4603 4621 4782 4915 4929 4935 4945 4974 5030 5072 5335 5568 5603 5606 5629 5682 5873
    5880 5902 5950 5952 5959 5974 5987 6013 6025 6098 6167 6195 6221 6238 6315 6335 6344 6393 6432 6460 6465 6476
    6503 6552 6579 6597 6739 6742 6780 6784 6810 6949 6964 6980 7063 7074 7192 7220 7247 7274 7339 dss1
"""
_JUDGES = """
    10040 10044 10055 10059 10079 10108 10165 10312 11038 11041 11086 11108 11139 11140 11245 11247 11248 11251
    11277 11309 11321 11323 11362 11491 11511 15061 15158 15194 15211 15214 15243 15265 15266 15322 15423 15442
    15482 15591 15602 15634 15795 16061 16173 16198 16217 16238 16249 16349 16364 16382 16538 16657 16698 16816
    16998 17023 17075 17267 17288 17357 17487 17523 17633 17636 17742 17899 18001 18355 18394 18528 18802 18841
    19477 19579 19736 19955 19971 19988 25159 25185 25350 25384 25391 25398 25445 25562 25576 25768 26639 26653
    26664 26719 26940 27207 27339 27393 27475 27554 27706 27753 27785 27867 30390 30445 30591 34013 34126 34146
    34173 34191 34231 34330 36000 4113 4131 4188 4215 4271 4318 4328 4386 4451 4496 4860 4957 4959 4965 4978 5010
    5014 5018 5093 5261 5328 5354 5356 5467 5653 5845 5847 5871 5891 5928 6002 6011 6015 6031 6046 6052 6058 6113
    6114 6138 6152 6292 6312 6406 6410 6455 6538 6540 6582 6803 6851 6926 6932 6969 7103 7170 7172 7207 7261 7324
    7419
"""
_SPLITS = {name: split for split, names in (("valid", _VALID), (_TEST, _JUDGES)) for name in names.split()}


@dataclass(frozen=True)
class DisorderTable(Table):
    """The CheZOD table, whose split by families stands in this file."""

    def load(self, split: str) -> list[Example]:
        """The examples of one split, NaN where a residue was not measured."""
        if split not in self.splits:
            raise UnknownNameError(f"split of {self.name}", split, self.splits)
        rows = polars.concat([polars.read_parquet(path) for path in self.paths()])
        made = []
        for number, (name, sequence, scores) in enumerate(rows.select("id", "sequence", "chezod").iter_rows(), 1):
            if _SPLITS.get(name, "train") == split:
                known = numpy.array(scores, dtype=numpy.float64)
                known[known > _MISSING] = numpy.nan
                made.append(Example(Protein(name, sequence, source=self.files, row=number), tuple(known.tolist())))
        return made


def _say(answer: Answer) -> str:
    values = numpy.array(answer["values"])
    loose, partly = float((values < _LOOSE).mean()), float((values < _FOLDED).mean())
    if partly < 0.05:
        return "It is folded from end to end; hardly a residue looks disordered."
    ends = _stretches(values < _FOLDED)
    longest = max(ends, key=lambda end: end[1] - end[0])
    where = f"the longest such stretch is residues {longest[0] + 1} to {longest[1]}"
    if partly > 0.7:
        return f"Most of it is disordered: {partly:.0%} of its residues, {loose:.0%} like a random chain; {where}."
    return f"About {partly:.0%} of it is at least partly disordered, {loose:.0%} like a random chain; {where}."


def _stretches(is_loose: numpy.typing.NDArray[numpy.bool_]) -> list[tuple[int, int]]:
    """Runs of True as (start, end), 0-based, end excluded."""
    edges = numpy.flatnonzero(numpy.diff(numpy.concatenate([[False], is_loose, [False]])))
    return [(int(start), int(end)) for start, end in edges.reshape(-1, 2)]


TASK = Task(
    name="disorder",
    title="Disorder",
    question="Which parts have no fixed shape?",
    explanation=(
        "For every residue the network gives the CheZOD Z-score that NMR would measure: above 8 the residue is "
        "folded, below 3 it is as loose as in a random chain, between them it is partly so. Each score has a range "
        "that holds nine tenths of the residues of a new protein."
    ),
    target=Values(
        unit="CheZOD Z",
        center=10.0,
        spread=5.5,
        zones=((_LOOSE, "disordered"), (_FOLDED, "partly disordered"), (float("inf"), "folded")),
    ),
    table=DisorderTable(
        "disorder/chezod1174.parquet",
        value="chezod",
        splits={"train": ("train",), "valid": ("valid",), _TEST: (_TEST,)},
        title="CheZOD Z-scores of 1,160 proteins, split by families",
        source="github.com/DagmarIlz/SETH",
        licence="GPL-3.0 repository; chemical shifts BMRB",
    ),
    metrics=("spearman per residue", "rmse per residue"),
    tests=(_TEST,),
    say=_say,
    published=(
        Published("SETH (ProtT5)", "spearman per residue", 0.72, "CheZOD117", "Ilzhoefer et al. 2022; another test"),
    ),
    terms={
        "disorder": "The state of a stretch of chain that has no fixed shape and moves through many. It may be "
        "essential for the work of a protein.",
        "CheZOD Z-score": "How far the NMR signals of a residue are from those of a random chain. Below 3 it is "
        "disordered, above 8 it is folded.",
        "NMR": "Nuclear magnetic resonance: atoms in a strong magnet ring at pitches that tell their surroundings.",
    },
    limits="Learned from 812 mostly small proteins in solution, in part single domains; long flexible proteins and "
    "membrane proteins are rare among them. It does not say what a loose stretch does.",
)
