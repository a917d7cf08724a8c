"""ESMFold, where its checkpoint is on disk: the same `Fold` as from our own folder, with side chains.

    name or folder -> transformers' EsmForProteinFolding (no download) -> positions, pLDDT, aligned error -> Fold

A checkpoint of 8.4 GB is never fetched by surprise. Long chains go through its trunk in chunks, which costs time and
saves memory; the answer is the same. Lin et al. 2023, Science 379:1123.
"""

from __future__ import annotations

from typing import Any, Self

import numpy
from transformers import EsmForProteinFolding
from transformers.models.esm.openfold_utils import residue_constants
from transformers.models.esm.openfold_utils.feats import atom14_to_atom37

from anfinsen import runtime
from anfinsen.errors import BundleError
from anfinsen.inference.fold import Floats, Fold
from anfinsen.structure.backbone import ATOMS, Backbone
from anfinsen.structure.distogram import Distogram
from anfinsen.structure.geometry import CONTACT
from anfinsen.structure.protein import Message, Protein
from anfinsen.structure.sanity import check
from anfinsen.structure.writing import Maker

CHUNKED_FROM, CHUNK = 300, 64
"""Residues from which the trunk works in chunks, and residues of a chunk."""
_FIRST_EDGE, _LAST_EDGE = 2.3125, 21.6875
_BYTES_A_PAIR = 4 * 128 * 24
"""Arrays of the trunk's pair states that live at the same time, in single precision."""


class ESMFold:
    """A checkpoint that folds; `name` is its name or folder."""

    def __init__(self, network: EsmForProteinFolding, name: str) -> None:
        self.name = name
        network.to(runtime.pick_device("auto"))  # type: ignore[arg-type]  # transformers wraps torch's own method
        network.train(False)
        self._network = network

    @classmethod
    def load(cls, name: str) -> Self:
        """Open a checkpoint of that name or folder; nothing is downloaded."""
        try:
            network = EsmForProteinFolding.from_pretrained(name, local_files_only=True, use_safetensors=True)
        except OSError:
            raise _absent(name, "is not on this machine, and nothing is downloaded") from None
        except (ValueError, KeyError, RuntimeError) as error:
            raise _absent(name, f"cannot be read: {' '.join(str(error).split())[:200]}") from None
        return cls(network, name)

    def memory(self, length: int) -> int:
        """About how many bytes a protein of so many residues takes beside the weights."""
        return _BYTES_A_PAIR * length**2 // (4 if length >= CHUNKED_FROM else 1)

    def fold(self, protein: Protein) -> Fold:
        """One protein in space, with its side chains."""
        self._network.trunk.set_chunk_size(CHUNK if len(protein) >= CHUNKED_FROM else None)  # type: ignore[no-untyped-call]
        found = self._network.infer(protein.sequence)
        positions = atom14_to_atom37(found["positions"][-1], found)[0].float().cpu().numpy()
        exists = found["atom37_atom_exists"][0].cpu().numpy() > 0.5
        sure = _percent(found["plddt"][0].float().cpu().numpy(), exists)
        names = residue_constants.atom_types
        atoms = [
            {name: place for name, place, is_there in zip(names, *residue, strict=True) if is_there}
            for residue in zip(positions, exists, strict=True)
        ]
        order = [names.index(name) for name in ATOMS]
        points = numpy.where(exists[:, order, None], positions[:, order], numpy.nan).astype(numpy.float32)
        backbone = Backbone(points, numpy.zeros(max(0, len(points) - 1), dtype=bool), "predicted", sure)
        shares = found["distogram_logits"][0].float().softmax(-1).cpu().numpy()
        sanity = check(backbone)
        return Fold(
            protein=protein,
            chains=(protein.sequence,),
            backbone=backbone,
            atoms=atoms,
            contacts=_contacts(shares),
            errors=found["predicted_aligned_error"][0].float().cpu().numpy(),
            distogram=None,
            maker=Maker("ESMFold", _version(), "ESMFold by way of transformers", self.name),
            sanity=sanity,
            messages=protein.messages + sanity.messages() + _disagreement(sure, float(found["ptm"])),
        )


def _absent(name: str, why: str) -> BundleError:
    return BundleError(
        f"The ESMFold checkpoint '{name}' {why}.",
        remedy="Put config.json and model.safetensors in a folder and give that, or leave --model out for the embedded "
        "folder.",
    )


def _percent(told: Floats, exists: Any) -> Any:
    """pLDDT of each residue's CA from 0 to 100; some versions tell it from 0 to 1."""
    alphas = told[:, ATOMS.index("CA")]
    is_share = float(told[exists].max(initial=0.0)) <= 1.0
    return (100 * alphas if is_share else alphas).astype(numpy.float32)


def _contacts(shares: Floats) -> Floats:
    edges = numpy.linspace(_FIRST_EDGE, _LAST_EDGE, shares.shape[-1] - 1)
    unknown = numpy.zeros((len(shares), 2))
    return Distogram(shares, edges, unknown, unknown).within(CONTACT)


def _disagreement(sure: Floats, ptm: float) -> tuple[Message, ...]:
    """A word where two measures of confidence contradict each other: a sign of a broken run."""
    mean = float(sure.mean())
    if (ptm > 0.8 and mean < 50) or (ptm < 0.3 and mean > 80):
        text = f"Its pTM ({ptm:.2f}) and its mean pLDDT ({mean:.0f}) contradict each other: do not trust this model."
        return (Message("warning", text),)
    return ()


def _version() -> str:
    import transformers

    return f"transformers {transformers.__version__}"
