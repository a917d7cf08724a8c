"""A computed structure as files that others open: ModelCIF, PDB, and the matrix of errors as AlphaFold DB has it.

    Fold in space + pLDDT -> ModelCIF with `_ma_qa_metric_local`, so that viewers colour it by confidence
                          -> PDB with the pLDDT, 0 to 100, in the column of the B-factor
    errors (L, L)         -> JSON: predicted_aligned_error, rounded, and the largest one that can be told

Written with gemmi. A viewer that finds no metric paints the model grey, and one that reads B-factors from 0 to 1 paints
it in one colour; so both files say it, on one scale. It knows no network.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gemmi
import numpy
from numpy.typing import NDArray

from anfinsen.structure.backbone import ATOMS, Backbone
from anfinsen.structure.confidence import LARGEST_ERROR

Floats = NDArray[numpy.floating[Any]]
Atoms = Sequence[Mapping[str, Floats]]
"""The atoms of each residue by name, each (3,), in ångström."""

LOCAL, GLOBAL = "1", "2"
"""Numbers of the two metrics in a ModelCIF: pLDDT of a residue, and its mean."""
_CHAINS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@dataclass(frozen=True)
class Maker:
    """The program that made a structure, as a file names it."""

    name: str
    version: str
    description: str
    model: str
    is_template_based: bool = False
    """Whether measured structures of relatives went into it; `description` names them."""


def backbone_atoms(backbone: Backbone) -> list[dict[str, Floats]]:
    """The atoms of each residue that a backbone knows."""
    return [
        {name: place for name, place in zip(ATOMS, residue, strict=True) if not numpy.isnan(place).any()}
        for residue in backbone.points
    ]


def as_structure(name: str, chains: Sequence[str], atoms: Atoms, confidence: Floats) -> gemmi.Structure:
    """The structure as gemmi holds it; `chains` are sequences, one after the other in `atoms` and `confidence`."""
    structure = gemmi.Structure()
    structure.name = name
    model = gemmi.Model(1)
    entities: dict[str, gemmi.Entity] = {}
    at = 0
    for letter, sequence in zip(_CHAINS, chains, strict=False):
        names = gemmi.expand_one_letter_sequence(sequence.replace("X", "G"), gemmi.ResidueKind.AA)
        names = ["UNK" if one == "X" else full for one, full in zip(sequence, names, strict=True)]
        chain = gemmi.Chain(letter)
        for number, full in enumerate(names, 1):
            chain.add_residue(_residue(full, number, letter, atoms[at], float(confidence[at])))
            at += 1
        model.add_chain(chain)
        if sequence not in entities:
            entity = gemmi.Entity(str(len(entities) + 1))
            entity.entity_type, entity.polymer_type = gemmi.EntityType.Polymer, gemmi.PolymerType.PeptideL
            entity.full_sequence = names
            entities[sequence] = entity
        entities[sequence].subchains = [*entities[sequence].subchains, letter]
    structure.add_model(model)
    structure.entities = gemmi.EntityList(list(entities.values()))
    return structure


def _residue(name: str, number: int, subchain: str, atoms: Mapping[str, Floats], confidence: float) -> gemmi.Residue:
    residue = gemmi.Residue()
    residue.name, residue.seqid, residue.subchain = name, gemmi.SeqId(str(number)), subchain
    residue.label_seq, residue.entity_type, residue.het_flag = number, gemmi.EntityType.Polymer, "A"
    for label, place in atoms.items():
        atom = gemmi.Atom()
        atom.name, atom.element = label, gemmi.Element(label[0])
        atom.pos = gemmi.Position(*(round(float(axis), 3) for axis in place))
        atom.occ, atom.b_iso = 1.0, round(confidence, 2)
        residue.add_atom(atom)
    return residue


def as_pdb(structure: gemmi.Structure, maker: Maker) -> str:
    """The structure as PDB text; its head says that it was computed."""
    title = f"PREDICTED STRUCTURE BY {maker.name.upper()}; B-FACTORS ARE PLDDT, 0 TO 100"
    head = [f"TITLE     {title:<70}", f"EXPDTA    {'THEORETICAL MODEL':<70}"]
    return "\n".join(head) + "\n" + structure.make_pdb_string(gemmi.PdbWriteOptions(minimal=True))


def as_modelcif(structure: gemmi.Structure, maker: Maker, sequences: Sequence[str], confidence: Floats) -> str:
    """The structure as ModelCIF text, with pLDDT of each residue and of the whole."""
    groups = gemmi.MmcifOutputGroups(True, cell=False, symmetry=False, scale=False, group_pdb=True, auth_all=True)
    block = structure.make_mmcif_block(groups)
    poly = block.find("_entity_poly.", ["pdbx_seq_one_letter_code"])
    kinds = list(dict.fromkeys(sequences))
    poly.loop.add_columns(["_entity_poly.pdbx_seq_one_letter_code_can"], value="?")
    for row, sequence in zip(block.find("_entity_poly.", ["pdbx_seq_one_letter_code_can"]), kinds, strict=True):
        row[0] = sequence
    for row in block.find("_chem_comp.", ["id", "type"]):  # a viewer that is told no type draws sticks, not a ribbon
        row[1] = gemmi.cif.quote("peptide linking" if row[0] == "GLY" else "L-peptide linking")
    block.set_pair("_struct.title", gemmi.cif.quote(f"Predicted by {maker.name} with {maker.model}"))
    block.set_pair("_exptl.entry_id", gemmi.cif.quote(structure.name))
    block.set_pair("_exptl.method", gemmi.cif.quote("THEORETICAL MODEL"))
    _loop(block, "_software.", [{
        "pdbx_ordinal": "1", "name": maker.name, "version": maker.version, "type": "package",
        "classification": "model building", "description": maker.description,
    }])  # fmt: skip
    _loop(block, "_ma_data.", [{"id": "1", "name": "model", "content_type": "model coordinates"}])
    _loop(block, "_ma_model_list.", [{
        "ordinal_id": "1", "model_id": "1", "model_group_id": "1", "model_name": maker.model,
        "model_group_name": "all models", "data_id": "1",
        "model_type": "Homology model" if maker.is_template_based else "Ab initio model",
    }])  # fmt: skip
    _loop(block, "_ma_software_group.", [{"ordinal_id": "1", "group_id": "1", "software_id": "1"}])
    _loop(block, "_ma_protocol_step.", [{
        "ordinal_id": "1", "protocol_id": "1", "step_id": "1", "method_type": "modeling", "step_name": "modeling",
        "details": maker.description, "software_group_id": "1", "output_data_group_id": "1",
    }])  # fmt: skip
    _loop(block, "_ma_qa_metric.", [
        {"id": LOCAL, "mode": "local", "name": "pLDDT", "type": "pLDDT", "software_group_id": "1"},
        {"id": GLOBAL, "mode": "global", "name": "pLDDT", "type": "pLDDT", "software_group_id": "1"},
    ])  # fmt: skip
    _loop(block, "_ma_qa_metric_global.", [{
        "ordinal_id": "1", "model_id": "1", "metric_id": GLOBAL, "metric_value": f"{float(numpy.mean(confidence)):.2f}",
    }])  # fmt: skip
    _loop(block, "_ma_qa_metric_local.", _local(structure, confidence))
    return f"{block.as_string()}"


def _local(structure: gemmi.Structure, confidence: Floats) -> list[dict[str, str]]:
    residues = [(chain.name, residue) for chain in structure[0] for residue in chain]
    return [
        {
            "ordinal_id": str(number),
            "model_id": "1",
            "label_asym_id": chain,
            "label_seq_id": str(residue.label_seq),
            "label_comp_id": residue.name,
            "metric_id": LOCAL,
            "metric_value": f"{float(value):.2f}",
        }
        for number, ((chain, residue), value) in enumerate(zip(residues, confidence, strict=True), 1)
    ]


def _loop(block: gemmi.cif.Block, prefix: str, rows: Sequence[Mapping[str, str]]) -> None:
    loop = block.init_loop(prefix, list(rows[0]))
    for row in rows:
        loop.add_row([gemmi.cif.quote(value) for value in row.values()])


def as_error_json(errors: Floats) -> str:
    """The expected errors (L, L) in ångström as AlphaFold DB writes them: whole numbers, and the largest possible."""
    whole = numpy.rint(errors).astype(int).tolist()
    return json.dumps([{"predicted_aligned_error": whole, "max_predicted_aligned_error": LARGEST_ERROR}])
