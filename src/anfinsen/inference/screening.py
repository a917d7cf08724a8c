"""A library against one target: shard by shard onto the disk, so that a stopped screen goes on where it was.

    target -> binders of it and of its relatives (`sets.known_binders`) ---\
    rows -> shard -> molecules (kept: `reading.kept`) -> likeness to them, affinities -> scores/000000.parquet
                                                                                      -> the best, in one pass

A shard's file takes its place when it is whole, so every row is answered exactly once whatever happens; a shard is
asked by itself, so a resumed screen writes the same bytes as an unbroken one, and so does one on a cluster (`spread`).
While one shard is answered here the next one is read by child processes. Memory holds two shards and the best so far,
however long the library is. Where a binder is known, what is most like one is ranked first; else the low end of the
affinity's interval is what counts: a sure good binder before an unsure better one, see `height`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain, islice, pairwise
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self, cast

import numpy
import pyarrow
from pyarrow import parquet

from anfinsen.config import Config
from anfinsen.data.example import Example
from anfinsen.drug.diversity import families
from anfinsen.drug.molecule import Formula, Molecule
from anfinsen.errors import InputError, UsageError
from anfinsen.hub.affinity import AffinityBundle
from anfinsen.inference.affinity import BLOCK, AffinityPredictor
from anfinsen.inference.embedder import Embedder
from anfinsen.inference.spread import Over
from anfinsen.reading.kept import Shelf
from anfinsen.reading.library import SHARD, Row, fingerprint, read_library, shards
from anfinsen.sets.known_binders import NOBODY, Binders, Nearest
from anfinsen.structure.protein import Protein
from anfinsen.targets.base import Answer

By = Literal["affinity", "likeness"]
BY: tuple[By, ...] = ("affinity", "likeness")
"""What a library can be ranked by: the low end of the affinity's interval, or likeness to the nearest known binder."""
SCORES, JOB = "scores", "screen.json"
SCHEMA = pyarrow.schema(
    {
        "row": pyarrow.int64(), "drug": pyarrow.string(), "smiles": pyarrow.string(), "score": pyarrow.float64(),
        "pkd": pyarrow.float64(), "low": pyarrow.float64(), "high": pyarrow.float64(), "regime": pyarrow.string(),
        "measured": pyarrow.bool_(), "far": pyarrow.bool_(), "nearest_drug": pyarrow.string(),
        "drug_likeness": pyarrow.float64(), "known_ligand": pyarrow.string(), "known_likeness": pyarrow.float64(),
        "known_itself": pyarrow.bool_(), "messages": pyarrow.string(), "reason": pyarrow.string(),
        "remedy": pyarrow.string(), "position": pyarrow.int64(), "line": pyarrow.int64(),
    }
)  # fmt: skip
"""The columns of the parts of `scores`; of a refused row only its place and why it was refused."""

_TOLD = ("reason", "remedy", "position", "line")
"""What is kept of a refusal."""

Hit = dict[str, Any]
"""One answered row."""


class Job(Config):
    """What a folder belongs to; a screen that differs in any of it needs a folder of its own."""

    library: str
    """Name of the library's file."""
    library_sha256: str
    """Hash of its bytes."""
    column: str
    """The column of formulas that was named, empty where none was."""
    target: str
    """The protein's id."""
    target_sha256: str
    """Hash of its sequence."""
    model: str
    """Name of the affinity model."""
    model_sha256: str
    """Hash of its arrays."""
    by: str
    """What is ranked by."""
    known: list[str]
    """Standard formulas of the ligands that were given."""
    binders_sha256: str = ""
    """Hash of the binders that came along; empty where none did."""
    shard: int
    """Rows of a shard."""


class Part(NamedTuple):
    """One shard of a library."""

    first: int
    """Rows that stand before it."""
    rows: list[Formula | dict[str, Any]]
    """A refusal as what its error is made of, since an error does not travel between processes."""

    @classmethod
    def of(cls, first: int, rows: Sequence[Row]) -> Self:
        """The rows of a library after so many."""
        return cls(first, [vars(row) if isinstance(row, InputError) else row for row in rows])

    def read(self) -> list[Row]:
        """The rows as they were."""
        return [InputError(**row) if isinstance(row, dict) else row for row in self.rows]


@dataclass(frozen=True)
class Done:
    """One shard that is on the disk."""

    rows: int
    answered: int
    was_there: bool


class Remembering:
    """An embedder that embeds a protein once, for a target is asked about with every shard."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder, self.network, self.about = embedder, embedder.network, embedder.about
        self._known: dict[str, Any] = {}

    def embed(self, examples: Any) -> Iterator[Any]:
        """The states of each protein, in order."""
        asked: list[Example] = list(examples)
        new = {one.protein.sequence: one for one in asked if one.protein.sequence not in self._known}
        self._known |= dict(zip(new, self._embedder.embed(iter(new.values())), strict=True))
        for one in asked:
            yield self._known[one.protein.sequence]


def screening(
    bundle: Path | None, target: Protein, kept: Path, known: Sequence[Molecule], along: Binders, by: By | None
) -> Callable[[Part], pyarrow.Table]:
    """What a worker of a cluster answers shards with; molecules that were read are kept in a folder of its machine."""
    return Screener(open_predictor(bundle), target, Shelf(kept), known=known, along=along, by=by).answer


def open_predictor(folder: Path | None = None) -> AffinityPredictor:
    """The affinity model of a folder, the embedded one if none is given; it embeds each protein once."""
    embedder = cast(Embedder, Remembering(Embedder.load(per="residue")))
    return AffinityPredictor(AffinityBundle.load(folder), embedder)


def lowest(predictor: AffinityPredictor) -> float:
    """The lowest affinity that was ever measured: what does not bind at all stands there, and nothing below it."""
    memory = predictor.bundle.model.memory
    return float(memory.values[memory.known > 0].min()) + memory.mean


def height(value: float, low: float, floor: float) -> float:
    """What is ranked by: the low end of the interval, but none below the floor; among equal ones the value.

    Without a floor a sure non-binder (5.0, surely above 4.9) would stand before a likely binder (6.5, perhaps 4.5).

    >>> height(6.5, 4.5, 5.0) > height(5.0, 4.9, 5.0), height(7.0, 6.0, 5.0) > height(8.0, 5.5, 5.0)
    (True, True)
    """
    return round(max(low, floor) + value / 1000, 6)


class Screener:
    """One target, asked about molecule after molecule.

    `known` are ligands that somebody gives, `along` what `find_binders` has found; without `by` the library is ranked
    by likeness to them where there is any, and by affinity where there is none.
    """

    def __init__(
        self, predictor: AffinityPredictor, target: Protein, shelf: Shelf, *,
        known: Sequence[Molecule] = (), along: Binders = NOBODY, by: By | None = None, size: int = SHARD,
    ) -> None:  # fmt: skip
        self.predictor, self.target, self.shelf, self.size = predictor, target, shelf, size
        self.known, self.along = list(known), along
        self.binders = along.beside(self.known)
        if by == "likeness" and not len(self.binders):
            raise UsageError(
                f"Likeness to known binders was asked for, and none of {target.id} or of a relative is at hand.",
                remedy="Give some: --known FILE.",
            )
        self.by: By = by or ("likeness" if len(self.binders) else "affinity")
        self.floor = lowest(predictor)

    @property
    def choice(self) -> str:
        """What is ranked by, and why, as a sentence."""
        name = self.target.id
        if self.by == "likeness":
            return f"Ranked by likeness to {self.binders.say(name)}."
        if len(self.binders):
            return f"Ranked by predicted affinity, as asked; a better guide would be {self.binders.say(name)}."
        return f"No binder of {name} or of a relative is at hand, so the order by predicted affinity is a guess."

    def run(
        self, source: str, folder: Path, *, column: str | None = None, most: int | None = None,
        over: Over[Part, pyarrow.Table] | None = None,
    ) -> Iterator[Done]:  # fmt: skip
        """Answer every row of a library into `folder`, and tell each shard; `most` stops after so many shards.

        `over` answers shards elsewhere (see `spread`); here, one after the other, if it is left out.
        """
        self._claim(folder, source, column)
        (folder / SCORES).mkdir(parents=True, exist_ok=True)
        there: list[Done] = []

        def missing() -> Iterator[Part]:
            for number, rows in enumerate(islice(shards(read_library(source, column=column), self.size), most)):
                if (path := _path(folder, number)).exists():
                    there.append(Done(len(rows), _answered(path), was_there=True))
                else:
                    yield Part.of(number * self.size, rows)

        for part, table in (over or self._ahead)(missing()):
            yield from there
            there.clear()
            _write(path := _path(folder, part.first // self.size), table)
            yield Done(len(part.rows), _answered(path), was_there=False)
        yield from there

    def answer(self, part: Part) -> pyarrow.Table:
        """The rows of one shard."""
        return self._table(part, self.shelf.read(part.read()))

    def _ahead(self, parts: Iterable[Part]) -> Iterator[tuple[Part, pyarrow.Table]]:
        """Each shard with its rows; while one is answered a thread has the next one read."""
        with ThreadPoolExecutor(1, thread_name_prefix="library") as reader:
            waiting: Future[list[Molecule | InputError]] | None = None
            for before, part in pairwise(chain((None,), parts, (None,))):
                read, waiting = waiting, None if part is None else reader.submit(self.shelf.read, part.read())
                if before is not None and read is not None:
                    yield before, self._table(before, read.result())

    def score(self, molecules: Sequence[Molecule]) -> list[Hit]:
        """One row for each molecule, without its place in a library."""
        hits = []
        answers = self.predictor.predict([self.target], molecules)
        for start in range(0, len(molecules), BLOCK):
            block = molecules[start : start + BLOCK]
            nearest = self.binders.nearest(block) if len(self.binders) else [None] * len(block)
            for molecule, answer, near in zip(block, answers, nearest, strict=False):
                hit = _hit(molecule, answer) | _told(near)
                by_affinity = height(answer["value"], answer["low"], self.floor)
                by_likeness = 0.0 if near is None else round(near.score, 6)
                hits.append(hit | {"score": by_likeness if self.by == "likeness" else by_affinity})
        return hits

    def _table(self, part: Part, found: Sequence[Molecule | InputError]) -> pyarrow.Table:
        hits = iter(self.score([one for one in found if isinstance(one, Molecule)]))
        rows: list[Hit] = []
        for number, one in enumerate(found, part.first + 1):
            if isinstance(one, Molecule):
                rows.append({"row": number} | next(hits))
            else:
                told = {name: getattr(one, name) for name in _TOLD}
                rows.append({"row": one.row or number, "drug": one.record} | told)
        answered = str(sum("reason" not in row for row in rows))
        return pyarrow.Table.from_pylist(rows, schema=SCHEMA).replace_schema_metadata({"answered": answered})

    def _claim(self, folder: Path, source: str, column: str | None) -> None:
        """A folder holds the screen of one library by one model against one target."""
        mine = Job(
            library=Path(source).name if Path(source).suffix else "one formula",
            library_sha256=fingerprint(source),
            column=column or "",
            target=self.target.id,
            target_sha256=self.target.sha256,
            model=self.predictor.bundle.name,
            model_sha256="".join(sorted(self.predictor.bundle.record.hashes.values())),
            by=self.by,
            known=[one.smiles for one in self.known],
            binders_sha256=self.along.sha256,
            shard=self.size,
        )
        path = folder / JOB
        if path.exists():
            theirs = Job.build(json.loads(path.read_text(encoding="utf-8")), source=str(path))
            differs = [name for name, value in theirs.model_dump().items() if value != getattr(mine, name)]
            if differs:
                raise UsageError(
                    f"'{folder}' holds another screen ({theirs.library} against {theirs.target}); "
                    f"they differ in: {', '.join(differs)}.",
                    remedy="Give another folder with --out, or delete that one.",
                )
            return
        folder.mkdir(parents=True, exist_ok=True)
        beside = path.with_suffix(".writing")
        beside.write_text(json.dumps(mine.model_dump(), indent=1) + "\n", encoding="utf-8")
        beside.replace(path)


def in_families(hits: Sequence[Hit], most: int) -> tuple[list[Hit], list[int]]:
    """Give each hit, best first, its rank and its family; the leaders of `most` families at most, and whose each is.

    A family has the name of its leader; a hit like none of them has None, and -1 for the number of its leader.
    """
    leaders, family = families([hit["smiles"] for hit in hits], most)
    first = [hits[at] for at in leaders]
    for rank, (hit, number) in enumerate(zip(hits, family, strict=True), 1):
        hit |= {"rank": rank, "family": first[number]["drug"] if number >= 0 else None}
    return first, family


def best(folder: Path, count: int) -> list[Hit]:
    """The `count` highest rows of a finished screen, the best first; equal ones in the order of the library."""
    kept = SCHEMA.empty_table()
    for path in sorted((folder / SCORES).glob("*.parquet")):
        part = parquet.read_table(path, schema=SCHEMA, use_threads=False)
        both = pyarrow.concat_tables([kept, part.filter(part["score"].is_valid())])
        order = numpy.lexsort((both["row"].to_numpy(), -both["score"].to_numpy()))[:count]
        kept = both.take(order).combine_chunks()
    return cast(list[Hit], kept.to_pylist())


def refused(folder: Path, file: str) -> Iterator[InputError]:
    """What a finished screen has refused, in the order of the library."""
    for path in sorted((folder / SCORES).glob("*.parquet")):
        part = parquet.read_table(path, schema=SCHEMA, use_threads=False)
        for row in part.filter(part["reason"].is_valid()).to_pylist():
            yield InputError(
                file=file, row=row["row"], record=row["drug"], **{name: row[name] for name in _TOLD}
            )  # fmt: skip


def off_targets(
    predictor: AffinityPredictor, panel: Sequence[Protein], molecules: Sequence[Molecule]
) -> list[list[Answer]]:
    """One answer for each molecule with each protein of a panel: (M, P)."""
    answers = predictor.predict(panel, molecules)
    return [list(islice(answers, len(panel))) for _ in molecules]


def _hit(molecule: Molecule, answer: Answer) -> Hit:
    reach = answer["reach"]
    return {
        "drug": molecule.id,
        "smiles": molecule.smiles,
        "pkd": answer["value"],
        "low": answer["low"],
        "high": answer["high"],
        "regime": answer["regime"],
        "measured": answer["measured"],
        "far": reach["far"],
        "nearest_drug": reach["nearest_drug"],
        "drug_likeness": reach["drug_likeness"],
        "messages": " | ".join(message.text for message in molecule.messages) or None,
    }


def _told(near: Nearest | None) -> Hit:
    if near is None:
        return {"known_ligand": None, "known_likeness": None, "known_itself": None}
    return {"known_ligand": near.name, "known_likeness": round(near.likeness, 3), "known_itself": near.is_known}


def _path(folder: Path, number: int) -> Path:
    return folder / SCORES / f"{number:06d}.parquet"


def _write(path: Path, table: pyarrow.Table) -> None:
    beside = path.with_name(f".writing-{os.getpid()}-{path.name}")
    try:
        parquet.write_table(table, beside, compression="zstd")
        with beside.open("rb") as file:
            os.fsync(file.fileno())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def _answered(path: Path) -> int:
    return int(parquet.read_schema(path).metadata[b"answered"])
