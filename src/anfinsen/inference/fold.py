"""A protein folded: what is believed of it, the structure built from that, and how far to trust each part.

    protein -> refuse what cannot be folded, with a remedy -> folder -> distogram -> backbone -> confidence -> Fold
                            known structures of relatives (`sets.known_structures`) ---^
    two proteins -> one chain with a linker of glycines -> folded -> linker taken out -> chains A and B

The embedded folder is small and always there; ESMFold (see `esmfold`) serves where its checkpoint is on disk. Both
give a `Fold`, so that files, pictures and sentences are made in one way. `anfinsen.fold` is this file's door.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy
from numpy.typing import NDArray

from anfinsen import __version__, runtime
from anfinsen.data.example import Example
from anfinsen.errors import InputError
from anfinsen.inference.distances import TASK, Folder
from anfinsen.inference.predictor import as_examples
from anfinsen.limits import LIMITS, Limits
from anfinsen.sets.coordinates import called
from anfinsen.sets.known_structures import KnownStructures, known_structures
from anfinsen.structure.backbone import Backbone
from anfinsen.structure.building import build
from anfinsen.structure.confidence import agreement, band, errors, expected_errors, plddt, predicted_tm
from anfinsen.structure.distogram import Distogram
from anfinsen.structure.lending import KEYS, Template, mixed
from anfinsen.structure.protein import Message, Protein
from anfinsen.structure.sanity import Sanity, check
from anfinsen.structure.writing import Atoms, Maker, backbone_atoms

Floats = NDArray[numpy.floating[Any]]

METHOD = "Network on language-model states, then restrained optimisation"
"""How a fold is made, as its files tell it."""
ENOUGH = 0.5
"""Share of the residues that a known structure must cover to tell the hand of the whole."""
LINKER = "G" * 25
"""Between two chains that are folded as one."""
UNSURE = "It is a guess: the confidence is too low to read a fold from it."
_BYTES_A_PAIR = 1500
"""About what building takes a pair of residues: its curve of rewards, and what the optimiser holds."""
_GIGABYTE = 1e9
_MIRROR = numpy.array([1, 1, -1], dtype=numpy.float32)


@dataclass(frozen=True, eq=False)
class Fold:
    """One or two chains in space, N residues together, with everything that is told of them."""

    protein: Protein
    """What was asked; its sequence is that of all chains, one after the other."""
    chains: tuple[str, ...]
    """The sequence of each chain."""
    backbone: Backbone
    """N, CA, C, O and CB of each residue, with its pLDDT."""
    atoms: Atoms
    """Every atom that is known, residue by residue."""
    contacts: Floats
    """The probability that two CB atoms are closer than 8 Å, (N, N)."""
    errors: Floats
    """The expected error of each pair in ångström, (N, N)."""
    distogram: Distogram | None
    """What it was built from; None of a folder that has none."""
    maker: Maker
    """Who made it."""
    sanity: Sanity
    """What was counted on it."""
    messages: tuple[Message, ...]
    """What a reader must know."""
    templates: tuple[Template, ...] = ()
    """The known structures that it leans on, the one that counts most first."""

    def __len__(self) -> int:
        return len(self.backbone)

    @property
    def plddt(self) -> Floats:
        """pLDDT of each residue, (N,), 0 to 100."""
        assert self.backbone.confidence is not None  # a fold always has one
        return self.backbone.confidence

    @property
    def predicted_tm(self) -> float:
        """The TM-score that the expected errors promise, 0 to 1."""
        return predicted_tm(self.errors)

    def say(self) -> str:
        """The fold in a sentence or two, as sure as it is."""
        mean = float(self.plddt.mean())
        level = band(mean)
        text = f"Its mean pLDDT is {mean:.0f} of 100 ({level.word}): {level.meaning}."
        good = float((self.plddt > 70).mean())
        if mean > 50:
            text += f" {good:.0%} of its residues are above 70."
        else:
            text += f" {UNSURE}" if good < 0.05 else f" Only {good:.0%} of its residues are above 70."
        return " ".join([text, *self.origins()[:1]])

    def origins(self) -> list[str]:
        """A sentence for each known structure that it leans on."""
        told = "It leans on the measured structure {} (identity {:.0%} over {:.0%} of its residues)."
        return [told.format(called(one.id), one.identity, one.coverage) for one in self.templates]


class Folds(Protocol):
    """Whatever folds: a name, its memory, and one protein after the other."""

    name: str

    def memory(self, length: int) -> int:
        """About how many bytes a protein of so many residues takes."""

    def fold(self, protein: Protein) -> Fold:
        """One protein in space."""


class Builder:
    """Folds with our own network: a distogram, what known structures lend to it, then coordinates."""

    def __init__(self, folder: Folder, known: KnownStructures | None = None) -> None:
        self.folder, self.name = folder, folder.bundle.name
        self._calibration = folder.bundle.records[TASK].calibration
        self.known = known if set(KEYS) <= set(self._calibration) else None
        """Structures that it may lean on; none where the bundle was not fitted to weigh them."""

    @classmethod
    def load(cls, bundle: str | Path | None = None, *, templates: bool = True) -> Builder:
        """Open a bundle that folds, the embedded one if none is given, and with `templates` the known structures."""
        return cls(Folder.load(bundle), known_structures() if templates else None)

    def memory(self, length: int) -> int:
        """About how many bytes the network and the building of so many residues take beside the weights."""
        return max(self.folder.memory(length), _BYTES_A_PAIR * length**2)

    def believed(self, protein: Protein) -> tuple[Distogram, tuple[Template, ...]]:
        """What is believed of one protein, and the known structures that it leans on."""
        found = [] if self.known is None else relatives(protein.sequence, self.known)
        return self.leaning(self.folder.distogram(protein), found)

    def leaning(self, alone: Distogram, found: Sequence[Template]) -> tuple[Distogram, tuple[Template, ...]]:
        """What the network believes `alone`, and what it believes with structures that were found."""
        return mixed(alone, found if self.known is not None else (), self._calibration)

    def fold(self, protein: Protein) -> Fold:
        """One protein in space."""
        return self.built(protein, *self.believed(protein))

    def built(self, protein: Protein, believed: Distogram, templates: tuple[Template, ...] = ()) -> Fold:
        """The fold that suits what is believed."""
        return built(protein, believed, self._calibration, self.name, templates)


def relatives(sequence: str, known: KnownStructures) -> list[Template]:
    """The known structures of a chain, or of each of two that a linker joins, laid along the whole."""
    found, first = [], 0
    for part in sequence.split(LINKER):
        if part:
            found += [one.within(first, len(sequence)) for one in known.search(part)]
        first += len(part) + len(LINKER)
    return found


def built(
    protein: Protein,
    distogram: Distogram,
    calibration: dict[str, float],
    model: str,
    templates: tuple[Template, ...] = (),
) -> Fold:
    """The fold that suits a distogram."""
    near = next((one.alphas for one in templates if one.coverage >= ENOUGH), None)
    made = build(distogram, protein.sequence, near)
    if check(made.backbone).is_mirrored:
        # distances do not know left from right, but helices of proteins turn right
        other = build(distogram, protein.sequence, made.backbone.alphas * _MIRROR)
        made = made if check(other.backbone).is_mirrored else other
    agreed = agreement(distogram, made.backbone.betas)
    sure = plddt(agreed, distogram.confidence, calibration)
    backbone = replace(made.backbone, confidence=sure.astype(numpy.float32))
    sanity = check(backbone)
    fold = Fold(
        protein=protein,
        chains=(protein.sequence,),
        backbone=backbone,
        atoms=backbone_atoms(backbone),
        contacts=distogram.contacts,
        errors=errors(expected_errors(distogram, backbone.betas), calibration),
        distogram=distogram,
        maker=Maker("Anfinsen", __version__, METHOD, model),
        sanity=sanity,
        messages=protein.messages + sanity.messages(),
        templates=templates,
    )
    told = " ".join([f"{METHOD}.", *fold.origins()])
    return replace(fold, maker=replace(fold.maker, description=told, is_template_based=bool(templates)))


# Two chains as one --------------------------------------------------------------------------------------------------


def fold_pair(folds: Folds, one: Protein, other: Protein) -> Fold:
    """Two chains folded as one chain with a linker, which is taken out again."""
    linked = replace(
        one,
        id=f"{one.id}+{other.id}",
        sequence=one.sequence + LINKER + other.sequence,
        numbering=None,
        messages=one.messages + (() if other is one else other.messages),
    )
    return without_linker(folds.fold(linked), one.sequence, other.sequence)


def without_linker(fold: Fold, first: str, second: str) -> Fold:
    """A fold of two linked chains as two chains."""
    kept = numpy.r_[: len(first), len(first) + len(LINKER) : len(fold)]
    breaks = numpy.zeros(len(kept) - 1, dtype=bool)
    breaks[len(first) - 1] = True
    points = fold.backbone.points[kept]
    backbone = Backbone(points, breaks, "predicted", fold.plddt[kept])
    square = numpy.ix_(kept, kept)
    between = fold.contacts[square][: len(first), len(first) :]
    told = Message(
        "warning",
        f"Two chains were folded as one with a linker of {len(LINKER)} glycines. The surest contact between them has a "
        f"probability of {between.max():.2f}; "
        + (
            "how they lie to each other is a guess."
            if between.max() < 0.5
            else "the place of one to the other is read from it."
        ),
    )
    sanity = check(backbone)
    return replace(
        fold,
        protein=replace(fold.protein, sequence=first + second),
        chains=(first, second),
        backbone=backbone,
        atoms=[fold.atoms[place] for place in kept],
        contacts=fold.contacts[square],
        errors=fold.errors[square],
        distogram=None if fold.distogram is None else _cut(fold.distogram, kept),
        sanity=sanity,
        messages=(*fold.protein.messages, *sanity.messages(), told),
    )


def _cut(distogram: Distogram, kept: NDArray[numpy.intp]) -> Distogram:
    confidence = None if distogram.confidence is None else distogram.confidence[kept]
    pairs = distogram.probabilities[numpy.ix_(kept, kept)]
    return Distogram(pairs, distogram.edges, distogram.torsions[kept], distogram.sureness[kept], confidence)


# What is refused before it costs anything ----------------------------------------------------------------------------


def refusal(protein: Protein, folds: Folds, *, partner: int = 0, limits: Limits = LIMITS) -> InputError | None:
    """Why a protein is not folded, or None; `partner` are residues that are folded with it."""
    length = len(protein) + (partner + len(LINKER) if partner else 0)
    place = {"file": protein.source, "row": protein.row, "record": protein.id}
    most = limits.fold_residues_gpu if runtime.pick_device("auto").type != "cpu" else limits.fold_residues_cpu
    if length > most:
        return InputError(
            f"It would be {length:,} residues; the limit for folding on this machine is {most:,}.",
            remedy="Fold its domains one by one, or take its structure from AlphaFold DB: anfinsen fetch AF-ID-F1.",
            **place,  # type: ignore[arg-type]  # keys of one type are not told apart
        )
    unknown = protein.sequence.count("X")
    longest = max(map(len, "".join(letter if letter == "X" else " " for letter in protein.sequence).split()), default=0)
    if unknown > limits.unknown_share * len(protein) or longest > limits.unknown_run:
        return InputError(
            f"{unknown} of its {len(protein)} residues are unknown (X).",
            remedy="Give the sequence without them; nothing can be folded from letters that nobody knows.",
            **place,  # type: ignore[arg-type]
        )
    free, wanted = runtime.free_memory(), folds.memory(length)
    if free is not None and wanted > limits.memory_share * free:
        return InputError(
            f"It would take about {wanted / _GIGABYTE:.1f} GB of memory, and {free / _GIGABYTE:.1f} GB are free.",
            remedy="Close other programs, take a larger machine, or fold its domains one by one.",
            **place,  # type: ignore[arg-type]
        )
    return None


def seconds(length: int) -> float:
    """About how long one core folds so many residues with the embedded folder."""
    return 1.5 + 0.03 * length + 6e-5 * length**2


def fold(
    proteins: str | Protein | Example | Iterable[str | Protein | Example],
    *,
    bundle: str | Path | None = None,
    templates: bool = True,
) -> Fold | list[Fold]:
    """Fold one protein or many with the embedded folder; one gives one `Fold`, many give a list.

    Without `templates` the network answers alone, and known structures of relatives are not looked at.
    Raises an `InputError` where a protein cannot be folded, before anything is computed.
    """
    is_one = isinstance(proteins, str | Protein | Example)
    asked = [example.protein for example in as_examples([proteins] if is_one else proteins)]  # type: ignore[list-item, arg-type]
    builder = Builder.load(bundle, templates=templates)
    for protein in asked:
        if (error := refusal(protein, builder)) is not None:
            raise error
    found = [builder.fold(protein) for protein in asked]
    return found[0] if is_one else found


def answered(
    records: Iterable[Protein], folds: Folds, partner: Protein | None, is_twin: bool
) -> Iterator[Fold | InputError]:
    """A fold or a refusal for each protein, in order."""
    for protein in records:
        other = protein if is_twin else partner
        error = refusal(protein, folds, partner=0 if other is None else len(other))
        if error is not None:
            yield error
        else:
            yield folds.fold(protein) if other is None else fold_pair(folds, protein, other)
