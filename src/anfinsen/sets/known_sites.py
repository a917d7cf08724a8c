"""Sites that are already known: structures with their ligands, searched for the relatives of a new protein.

    structures with ligands -> KnownSites -> compare(sequence) -> relatives, each with the places of its ligands in
                                                                  the new protein's own residues

A relative is found by an alignment that chance does not explain (see `homology`). It tells which of our residues
stand where its ligand's neighbours stand. So a pocket can be called known ('where haem sits in 1ABC'), or new: no
structure that is near holds a ligand there. The library travels with the package: 935 chains of the PDB in small
arrays. It knows no model and no geometry.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Self

import numpy
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from anfinsen.errors import BundleError
from anfinsen.kinship.alignment import aligned
from anfinsen.kinship.homology import Library
from anfinsen.sets.holo import Holo

LIBRARY = Path(__file__).parent.parent / "weights" / "known-sites.safetensors"
"""The library that comes with the package."""
NEAR = 0.25
"""Identity of the alignment from which on a relative is near enough for its ligand to tell something."""
COVERED = 0.3
"""Share of a ligand's neighbours, or of a pocket's residues if they are fewer, that makes a pocket a known one."""
MOST = 8
"""Relatives that are looked at."""

Places = NDArray[numpy.int64]


@dataclass(frozen=True)
class KnownSite:
    """The neighbours of one ligand of a library chain, as residues of the asked protein."""

    chain: str
    """Whose ligand it is."""
    ligand: str
    """Code of the chemical component."""
    identity: float
    """Of the alignment of the two chains, 0 to 1."""
    residues: frozenset[int]
    """Residues of the asked protein that stand where the ligand's neighbours stand, from 0."""


@dataclass(frozen=True)
class Comparison:
    """What the library says of one protein."""

    relatives: int
    """Chains that are near."""
    nearest: str | None
    """The nearest of them."""
    identity: float | None
    """Its identity, 0 to 1."""
    sites: tuple[KnownSite, ...]
    """Their ligands' places, the nearest relative's first."""

    def at(self, residues: Collection[int]) -> KnownSite | None:
        """The known site that covers most of a pocket's residues; None where none covers enough."""
        asked = set(residues)
        shares = [len(site.residues & asked) / max(1, min(len(site.residues), len(asked))) for site in self.sites]
        best = int(numpy.argmax(shares)) if shares else -1
        return self.sites[best] if shares and shares[best] >= COVERED else None


class KnownSites:
    """Chains with the neighbours of each of their ligands."""

    def __init__(self, library: Library, owners: Places, ligands: Sequence[str], residues: Sequence[Places]) -> None:
        self.library = library
        self.owners, self.ligands, self.residues = owners, tuple(ligands), tuple(residues)

    def __len__(self) -> int:
        """How many ligands it holds."""
        return len(self.ligands)

    @classmethod
    def of(cls, chains: Sequence[Holo]) -> Self:
        """The library of some chains."""
        library = Library.of([one.protein for one in chains], [[] for _ in chains])
        rows = [
            (at, ligand.name, numpy.flatnonzero(one.touching(ligand)).astype(numpy.int64))
            for at, one in enumerate(chains)
            for ligand in one.ligands
        ]
        owners = numpy.array([at for at, _, _ in rows], dtype=numpy.int64)
        return cls(library, owners, [name for _, name, _ in rows], [residues for _, _, residues in rows])

    @classmethod
    def load(cls, path: Path = LIBRARY) -> Self:
        """Read a library, that of the package if none is named."""
        try:
            arrays = load_file(path)
            library = Library.from_arrays(arrays)
            ends = arrays["site_counts"].astype(numpy.int64).cumsum()[:-1]
            residues = numpy.split(arrays["site_residues"].astype(numpy.int64), ends)
            names = arrays["site_ligands"].tobytes().decode("ascii").split("\n")
        except (OSError, KeyError, ValueError, SafetensorError) as error:
            raise BundleError(f"'{path}' is no library of known sites: {error}.", remedy="Install it again.") from None
        return cls(library, arrays["site_owners"].astype(numpy.int64), names, residues)

    def save(self, path: Path) -> None:
        """Write the library as small arrays."""
        flat = numpy.concatenate([numpy.zeros(0, dtype=numpy.int64), *self.residues])
        arrays = self.library.to_arrays() | {
            "site_owners": self.owners.astype(numpy.int16),
            "site_counts": numpy.array([len(one) for one in self.residues], dtype=numpy.int16),
            "site_residues": flat.astype(numpy.int16),
            "site_ligands": numpy.frombuffer("\n".join(self.ligands).encode("ascii"), dtype=numpy.uint8),
        }
        save_file(arrays, path)

    def compare(self, sequence: str, *, without: Collection[int] = ()) -> Comparison:
        """The relatives of a sequence and where their ligands would sit; chains at places `without` do not count."""
        hits = [hit for hit in self.library.search(sequence) if hit.is_proven and hit.identity >= NEAR]
        hits = [hit for hit in hits if hit.place not in without][:MOST]
        found: list[KnownSite] = []
        for hit in sorted(hits, key=lambda hit: -hit.identity):
            place_of = self._placed(sequence, self.library.chains[hit.place])
            for at in numpy.flatnonzero(self.owners == hit.place).tolist():
                mapped = frozenset(place_of[one] for one in self.residues[at].tolist() if one in place_of)
                if mapped:
                    name = self.library.ids[hit.place]
                    found.append(KnownSite(name, self.ligands[at], hit.identity, mapped))
        best = max(hits, key=lambda hit: hit.identity, default=None)
        return Comparison(
            len(hits),
            None if best is None else self.library.ids[best.place],
            None if best is None else best.identity,
            tuple(found),
        )

    def _placed(self, sequence: str, other: str) -> dict[int, int]:
        """For each aligned residue of the other chain the residue of the asked one."""
        return {theirs: ours for ours, theirs in enumerate(aligned(sequence, other).tolist()) if theirs >= 0}


@cache
def known_sites() -> KnownSites:
    """The library that comes with the package, read once."""
    return KnownSites.load()
