"""What binds, as the service looks at it: sites, a partner and a small library are what the other doors answer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy
import pytest

from anfinsen.data.example import Example
from anfinsen.drug.molecule import Molecule
from anfinsen.drug.reading import read_molecules
from anfinsen.errors import InputError
from anfinsen.hub.bundle import Bundle
from anfinsen.inference.affinity import AffinityPredictor
from anfinsen.inference.partners import Pairer
from anfinsen.inference.sites import EMBEDDED, SiteFinder
from anfinsen.reading.readers import read_proteins
from anfinsen.serve.binder import Binder
from anfinsen.structure.protein import Protein
from anfinsen.tasks.interaction import YES

EXAMPLES = Path(__file__).parents[2] / "examples"
UBIQUITIN = Protein("ubiquitin", "MQIFVKTLTGKTITLEVEPSDTIENVKAKIQDKEGIPPDQQRLIFAGKQLEDGRTLSDYNIQKESTLHLVLRLRGG")
OTHER = Protein("other", "MKTAYIAKQRQISFVKSHFSRQLEERLGLIEVQAPILSRVGDGTQDNLSGAEKAVQVKVKALPDAQFEVV")
LIBRARY = (EXAMPLES / "kinase_drugs.smi").read_text(encoding="utf-8")
SCREEN = {"known": "", "by": "affinity", "keep": 100}


@pytest.fixture(scope="module")
def looks() -> dict[str, Any]:
    """What can be looked at, without a network that folds."""
    return Binder(lambda: None).looks


def asked(looks: dict[str, Any], what: str, proteins: list[Protein], **about: Any) -> dict[str, Any]:
    """A look as it travels: through JSON and back."""
    told = looks[what]([Example(protein) for protein in proteins], about)
    return json.loads(json.dumps(told, allow_nan=False))  # type: ignore[no-any-return]


def test_the_sites_of_a_structure_are_those_of_the_command_line(looks: dict[str, Any]) -> None:
    (protein,) = read_proteins(str(EXAMPLES / "streptavidin.pdb"))
    told = asked(looks, "sites", [protein, UBIQUITIN])
    (found,) = SiteFinder(Bundle.load(EMBEDDED)).find([protein])
    mine, alone = told["proteins"]
    assert (mine["id"], mine["ground"], mine["sequence"]) == (protein.id, "structure", protein.sequence)
    assert [one["residues"] for one in mine["pockets"]] == [
        [at + 1 for at in site.pocket.residues] for site in found.sites
    ]
    assert mine["pockets"][0]["known"]["ligand"] == found.sites[0].known.ligand  # type: ignore[union-attr]
    assert set(mine["answer"]["probabilities"]) == set(found.answer["probabilities"])
    assert (alone["ground"], alone["pockets"]) == ("sequence", []) and "none was predicted" in str(alone["messages"])


def test_a_pair_is_answered_in_either_order_and_moves_with_what_is_expected(looks: dict[str, Any]) -> None:
    one, other = (asked(looks, "interact", pair, expected=None) for pair in ([UBIQUITIN, OTHER], [OTHER, UBIQUITIN]))
    for part in ("probabilities", "range"):
        assert one["answer"][part] == pytest.approx(other["answer"][part])
    assert one["places"] == other["places"][::-1]
    (answer,) = Pairer.load().answers([(UBIQUITIN, OTHER)])
    assert one["answer"]["probabilities"] == pytest.approx(answer["probabilities"])
    assert one["drawing"].startswith("<svg") and "ubiquitin and other" in one["sentence"]
    rare = asked(looks, "interact", [UBIQUITIN, OTHER], expected=0.001)
    assert rare["answer"]["probabilities"][YES] < one["answer"]["probabilities"][YES]
    again = asked(looks, "interact", [UBIQUITIN, OTHER], expected=None)
    assert again["answer"] == one["answer"], "what one asker expects is not expected by the next"
    itself = looks["interact"]([Example(UBIQUITIN, partner=UBIQUITIN)], {"expected": None})
    assert itself["ids"] == ["ubiquitin", "ubiquitin"]
    with pytest.raises(InputError, match="A pair is two proteins, and 1 came"):
        asked(looks, "interact", [UBIQUITIN], expected=None)


def test_a_library_is_ranked_by_the_affinities_that_each_molecule_has_alone(looks: dict[str, Any]) -> None:
    told = asked(looks, "screen", [UBIQUITIN], **SCREEN | {"library": LIBRARY + "C(C broken\n"})
    molecules = [one for one in read_molecules(EXAMPLES / "kinase_drugs.smi") if isinstance(one, Molecule)]
    predictor = AffinityPredictor.load()
    alone = {one["drug"]: one for one in predictor.predict([UBIQUITIN], molecules)}
    ranking = told["ranking"]
    assert (told["answered"], told["refused_count"], len(ranking)) == (len(alone), 1, len(alone))
    assert {hit["drug"]: hit["pkd"] for hit in ranking} == {name: one["value"] for name, one in alone.items()}
    heights = [hit["score"] for hit in ranking]
    assert heights == sorted(heights, reverse=True) and [hit["rank"] for hit in ranking] == [*range(1, len(alone) + 1)]
    assert {hit["family"] for hit in ranking} <= {hit["drug"] for hit in ranking}
    assert told["refused"][0]["where"].endswith("4 (broken)") and "kinase inhibitors" in told["limits"]


def test_likeness_to_known_ligands_puts_the_known_first(looks: dict[str, Any]) -> None:
    *_, last = [line for line in LIBRARY.splitlines() if line.strip() and not line.startswith("#")]
    told = asked(
        looks, "screen", [UBIQUITIN], **SCREEN | {"library": LIBRARY, "known": last, "by": "likeness", "keep": 3}
    )
    assert len(told["ranking"]) == 3 and told["ranking"][0]["known_likeness"] == 1.0
    assert numpy.all(numpy.diff([hit["known_likeness"] for hit in told["ranking"]]) <= 0)
    with pytest.raises(InputError):
        asked(looks, "screen", [UBIQUITIN], **SCREEN | {"library": LIBRARY, "known": "C(C broken"})
