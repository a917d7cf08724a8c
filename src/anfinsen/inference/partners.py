"""Pairs of proteins: each protein is read once, each pair is cheap, and millions of pairs take no more memory.

    proteins -> states -> cards and profiles   once each      (a Shelf)
    two shelves -> network and memory -> chance, low, high    a block of pairs at a time

`Pairer` answers pairs one by one, with the map between the two chains as the reason, and all against all in blocks:
each block of rows is a Parquet file that takes its place when it is whole, so a run that was killed goes on with the
first block that is missing. Proteins and blocks may be read on a cluster (`spread`).
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple, Self, cast

import numpy
import polars
import torch
from numpy.typing import NDArray

from anfinsen import runtime
from anfinsen.data.batch import pack
from anfinsen.data.example import Example
from anfinsen.data.store import Dtype, Values, read_store
from anfinsen.errors import BundleError, UsageError
from anfinsen.hub.bundle import WEIGHTS, Bundle
from anfinsen.hub.record import Score
from anfinsen.inference.embedder import Embedder, embed_file
from anfinsen.inference.spread import Over, here
from anfinsen.models.acquaintance import Asked
from anfinsen.models.fast import quicken
from anfinsen.models.pairing import Cards, PairingHead, windows
from anfinsen.structure.protein import Protein
from anfinsen.targets.base import Answer, Floats
from anfinsen.tasks.ask import in_groups
from anfinsen.tasks.interaction import ODDS, TASK, Verdict, odds_where
from anfinsen.tasks.meeting import Meeting

EMBEDDED = WEIGHTS / "anfinsen-partners"
"""The model of pairs that comes with the package."""
BLOCK = 128
"""Proteins of a block; a block of all against all has BLOCK x BLOCK pairs."""
_SMOOTH = 7
_MOST_SPOKEN = 5

Tell = Callable[[int, int], None]
"""Told how many of how many pairs are done."""


class Shelf(NamedTuple):
    """What is computed once of each of N proteins."""

    proteins: list[Protein]
    cards: Cards

    def __len__(self) -> int:
        return len(self.proteins)

    def part(self, start: int, end: int) -> Shelf:
        """The proteins from `start` to `end`."""
        before, inside = sum(self.cards.windows[:start]), sum(self.cards.windows[start:end])
        factors = self.cards.factors[before : before + inside]
        codes, places = self.cards.codes[start:end], self.cards.places[start:end]
        return Shelf(self.proteins[start:end], Cards(codes, factors, places, self.cards.windows[start:end]))


@dataclass(frozen=True)
class Reason:
    """The map between two chains (L, M), and the residues on each side that speak most, as places from 0."""

    map: Floats
    one: tuple[int, ...]
    other: tuple[int, ...]


class Pairer:
    """One bundle that answers pairs."""

    def __init__(self, bundle: Bundle) -> None:
        if TASK.name not in bundle.records or not isinstance(bundle.network.heads[TASK.name], PairingHead):
            raise BundleError(
                f"The bundle '{bundle.name}' does not answer '{TASK.name}'.",
                remedy="Train one: anfinsen train --recipe recipes/partners-xs.toml --from BUNDLE --out runs/partners",
            )
        self.bundle = bundle
        self.network = quicken(bundle.network.to(runtime.pick_device()).eval())
        self.head = cast(PairingHead, self.network.heads[TASK.name])
        self.meeting = self.head.memory.read(Meeting.from_arrays)
        self.expected: float | None = None
        """The share of asked pairs that is expected to meet; None is that of training."""
        self._calibration = bundle.records[TASK.name].calibration

    @classmethod
    def load(cls, folder: str | Path | None = None, expected: float | None = None) -> Self:
        """Open a bundle's folder, the one that comes with the package if none is given; `expected` as for `expect`."""
        opened = cls(Bundle.load(folder or EMBEDDED))
        if expected is not None:
            opened.expect(expected)
        return opened

    def expect(self, share: float) -> None:
        """Move every chance to where this share of the pairs that are asked about meets, and not that of training."""
        if not 0 < share < 1:
            raise UsageError(
                f"The expected share of pairs that meet came as {share:g}.", remedy="Give it between 0 and 1, as 0.01."
            )
        self.expected, taught = share, float(self.meeting.meets.mean())
        self._calibration = {**self.bundle.records[TASK.name].calibration, ODDS: odds_where(share, taught)}

    def shelf(self, proteins: Sequence[Protein]) -> Shelf:
        """Read some proteins."""
        found = list(in_groups((Example(protein) for protein in proteins), self._read))
        return _shelf(list(proteins), found)

    def stored(self, proteins: Sequence[Protein], path: Path) -> Shelf:
        """The same from states per window that are on the disk, which must hold each protein."""
        about, entries = read_store(path)
        if about.per != "window":
            raise UsageError(
                f"'{path}' holds states per {about.per}, and pairs are read from windows.",
                remedy="Make them with anfinsen embed --per window, from the same bundle.",
            )
        held: dict[str, Cards] = {}
        wanted = {protein.sha256 for protein in proteins}
        with torch.inference_mode():
            for entry in entries:
                if entry.sha256 in wanted:
                    states = torch.from_numpy(numpy.asarray(entry.values, dtype=numpy.float32))
                    held[entry.sha256] = self.head.read(states, [len(states)])
        missing = [protein.id for protein in proteins if protein.sha256 not in held]
        if missing:
            raise UsageError(
                f"'{path}' has no states of '{missing[0]}' and {len(missing) - 1:,} others.",
                remedy="Make them for the same file of proteins, or leave --states out.",
            )
        return _shelf(list(proteins), [held[protein.sha256] for protein in proteins])

    def read(
        self,
        path: Path,
        dtype: Dtype,
        proteins: Sequence[Protein],
        over: Over[list[Example], list[Values]] | None = None,
    ) -> Shelf:
        """The same by way of states on the disk, so that a run that was stopped goes on; `over` as of `embed_file`."""
        opened = self.bundle
        embedder = Embedder(opened.network, name=opened.name, sha256=opened.sha256, per="window", dtype=dtype)
        embed_file((Example(protein) for protein in proteins), embedder, path, over=over)
        return self.stored(proteins, path)

    @torch.inference_mode()
    def _read(self, group: Sequence[Example]) -> list[Cards]:
        device = next(self.network.parameters()).device
        tokens, lengths = pack([example.protein.sequence for example in group])
        states, residues = self.network.states(tokens.to(device), lengths)
        cards = self.head.read(*windows(states.float(), residues))
        each = cards.codes.cpu().split(1), cards.factors.cpu().split(cards.windows), cards.places.cpu().split(1)
        parts = zip(*each, cards.windows, strict=True)
        return [Cards(code, factors, place, [count]) for code, factors, place, count in parts]

    def answers(
        self, pairs: Sequence[tuple[Protein, Protein]], read: Callable[[list[Protein]], Shelf] | None = None
    ) -> list[Answer]:
        """The answer to each pair; a protein that is in several is read once, by `read` if it is given."""
        if not pairs:
            return []
        chains = list({chain.sha256: chain for pair in pairs for chain in pair}.values())
        place = {chain.sha256: at for at, chain in enumerate(chains)}
        shelf = (read or self.shelf)(chains)
        at = numpy.array([[place[chain.sha256] for chain in pair] for pair in pairs], dtype=numpy.int64).reshape(-1, 2)
        asked = self._asked(shelf)
        sides = asked.part(at[:, 0]), asked.part(at[:, 1])
        votes, known = self.meeting.votes(*sides)
        network = self._network(shelf, at)
        told = self.meeting.recalled(*sides)
        rows = numpy.stack((-network / 2, network / 2, votes, known), 1)
        answers = [TASK.target.answer(row, self._calibration) for row in rows]
        return [
            answer if seen < 0 else {**answer, "taught": bool(seen)}
            for answer, seen in zip(answers, told.tolist(), strict=True)
        ]

    def _asked(self, shelf: Shelf) -> Asked:
        return self.meeting.asked(shelf.proteins, shelf.cards.places.numpy())

    @torch.inference_mode()
    def _network(self, shelf: Shelf, at: NDArray[numpy.int64]) -> Floats:
        parts = shelf.cards.factors.split(shelf.cards.windows)
        found = []
        for one, other in at.tolist():
            peaks = self.head.peaks(parts[one], parts[other])
            row = self.head.decide(shelf.cards.codes[one], shelf.cards.codes[other], peaks)
            found.append(float(row[1] - row[0]))
        return numpy.array(found)

    @torch.inference_mode()
    def reason(self, one: Protein, other: Protein) -> Reason:
        """The map between the residues of two chains, and those that speak most."""
        sides = []
        for protein in (one, other):
            tokens, lengths = pack([protein.sequence])
            states, _ = self.network.states(tokens.to(next(self.network.parameters()).device), lengths)
            sides.append(states.float())
        found = self.head.spoken(*sides).cpu().numpy()
        most = [_most(found.max(1)), _most(found.max(0))]
        return Reason(found, *most)

    @torch.inference_mode()
    def grid(self, one: Shelf, other: Shelf) -> tuple[Floats, Floats, Floats]:
        """Chance, low and high of everyone with everyone: (N, M) each."""
        logits = self.head.grid(one.cards, other.cards)
        network = (logits[..., 1] - logits[..., 0]).double().numpy()
        votes, known = self.meeting.votes(self._asked(one), self._asked(other), is_grid=True)
        return self.verdict.chances(network, votes.astype(numpy.float64), known.astype(float), self._calibration)

    @property
    def verdict(self) -> Verdict:
        """What turns both voices into a chance."""
        return cast(Verdict, TASK.target)

    @property
    def scores(self) -> Sequence[Score]:
        """How good such answers were, and simple rules beside them, as its card keeps them."""
        return self.bundle.records[TASK.name].scores

    def all_against_all(
        self, shelf: Shelf, out: Path, *, least: float = 0.0, tell: Tell = lambda d, t: None,
        over: Over[range, polars.DataFrame] | None = None,
    ) -> int:  # fmt: skip
        """Every pair of a shelf, itself included, into shards in `out`; how many pairs were answered now.

        `least` leaves out pairs with a smaller chance. A shard holds one block of rows against all later ones; `over`
        answers blocks elsewhere (see `spread`), here, one after the other, if it is left out.
        """
        out.mkdir(parents=True, exist_ok=True)
        total = len(shelf) * (len(shelf) + 1) // 2
        blocks = [range(start, min(start + BLOCK, len(shelf))) for start in range(0, len(shelf), BLOCK)]
        missing = [block for block in blocks if not _path(out, block).exists()]
        left = whole = sum(len(shelf) - row for block in missing for row in block)
        tell(total - left, total)
        for block, rows in (over or here(meeting(lambda: self, shelf, least)))(missing):
            path = _path(out, block)
            beside = path.with_name(f".writing-{os.getpid()}-{path.name}")
            rows.write_parquet(beside, compression="zstd")
            beside.replace(path)
            left -= sum(len(shelf) - row for row in block)
            tell(total - left, total)
        return whole

    def rows(self, shelf: Shelf, least: float, block: range) -> polars.DataFrame:
        """The pairs of some proteins of a shelf with themselves and all later ones: a, b, score, low, high."""
        names = numpy.array([protein.id for protein in shelf.proteins])
        starts = range(block.start, len(shelf), BLOCK)
        return polars.concat([self._cell(shelf, names, block, start, least) for start in starts])

    def _cell(
        self, shelf: Shelf, names: NDArray[numpy.str_], block: range, start: int, least: float
    ) -> polars.DataFrame:
        stop = min(start + BLOCK, len(shelf))
        share, low, high = self.grid(shelf.part(block.start, block.stop), shelf.part(start, stop))
        a, b = numpy.meshgrid(numpy.array(block), numpy.arange(start, stop), indexing="ij")
        kept = (a <= b) & (share >= least)
        columns = {"score": share, "low": low, "high": high}
        numbers = {name: part[kept].astype(numpy.float32) for name, part in columns.items()}
        return polars.DataFrame({"a": names[a[kept]], "b": names[b[kept]], **numbers})


def meeting(load: Callable[[], Pairer], shelf: Shelf, least: float) -> Callable[[range], polars.DataFrame]:
    """What a worker of a cluster answers blocks of all against all with: a pairer of its own."""
    return partial(load().rows, shelf, least)


def claim(folder: Path, about: dict[str, str]) -> None:
    """A folder holds the pairs of one model about one file; another question is refused."""
    path = folder / "job.json"
    folder.mkdir(parents=True, exist_ok=True)
    try:
        there = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        beside = path.with_suffix(".writing")
        beside.write_text(json.dumps(about, indent=1), encoding="utf-8")
        beside.replace(path)
        return
    if there != about:
        changed = next(name for name in about if there.get(name) != about[name])
        raise UsageError(
            f"'{folder}' already holds pairs with another {changed}.",
            remedy="Give another folder with --out, or delete that one.",
        )


def best_pairs(folder: Path, count: int) -> list[dict[str, str | float]]:
    """The pairs with the highest scores of all shards."""
    shards = polars.scan_parquet(sorted(folder.glob("pairs-*.parquet")))
    return shards.top_k(count, by="score").sort("score", descending=True).collect(engine="streaming").to_dicts()


def _path(out: Path, block: range) -> Path:
    return out / f"pairs-{block.start // BLOCK:05d}.parquet"


def _shelf(proteins: list[Protein], cards: Sequence[Cards]) -> Shelf:
    if not cards:
        raise UsageError("There is no protein to ask about.", remedy="Give at least one.")
    counts = [count for card in cards for count in card.windows]
    codes, factors, places = (torch.cat(parts) for parts in zip(*(card[:3] for card in cards), strict=True))
    return Shelf(proteins, Cards(codes, factors, places, counts))


def _most(heights: Floats) -> tuple[int, ...]:
    """The residues around which a chain speaks most, far enough apart to be different places."""
    width = min(_SMOOTH, len(heights))
    smooth = numpy.convolve(heights, numpy.ones(width) / width, mode="same")
    chosen: list[int] = []
    for at in numpy.argsort(-smooth).tolist():
        if all(abs(at - one) >= _SMOOTH for one in chosen):
            chosen.append(at)
        if len(chosen) == _MOST_SPOKEN:
            break
    return tuple(sorted(chosen))
