"""Substitutions and what is fitted to them: the way back, known physics, published landmarks, families kept apart."""

from __future__ import annotations

import numpy
import pytest
from biotite.sequence import ProteinSequence
from scipy.stats import spearmanr

from anfinsen.bench.mutations import over_families
from anfinsen.data.alphabet import RESIDUES
from anfinsen.data.substitutions import HELIX, STRAND, VOLUME, WATER, Surroundings, effect_terms, places_of
from anfinsen.data.variants import mutate, parse_variant
from anfinsen.drawing.profile import HYDROPATHY
from anfinsen.inference.measured import Table, learn
from anfinsen.inference.scan import effect_weights, scan_with
from anfinsen.inference.variants import look_around
from anfinsen.models.network import Network
from anfinsen.sets.assays import STABILITY, TEM1, WILD_TYPES, deal, read_changes, read_scan
from anfinsen.structure.protein import Protein
from anfinsen.tasks.stability_change import (
    STABILITY_CHANGE,
    record_of_gains,
    stability_answer,
    stability_changes,
    stability_weights,
)

WILD = "MKTAYIAKQRQISFVKSHFSRQ"
here = pytest.mark.skipif(
    not all(table.is_here() for table in (*STABILITY, WILD_TYPES)), reason="the tables of mutations are not here"
)


@pytest.mark.parametrize("conditions", [{}, {"ph": 3.0, "temperature": 60.0}])
@pytest.mark.parametrize("text", ["K2A", "F14G", "H18E", "A4V:K8R:F14W"])
def test_the_way_back_costs_what_the_way_there_gave(
    tiny_network: Network, text: str, conditions: dict[str, float]
) -> None:
    variant = parse_variant(text, WILD)
    mutant = mutate(WILD, variant)
    back = parse_variant(":".join(f"{one.mutant}{one.position}{one.wild_type}" for one in variant), mutant)
    places = [[one.position for one in variant]]
    there = stability_changes([variant], look_around(tiny_network, WILD, places), conditions)
    again = stability_changes([back], look_around(tiny_network, mutant, places), conditions)
    assert there[0] == pytest.approx(-again[0], abs=1e-12) and there[0] != 0.0


def test_positive_is_less_stable_as_in_the_tables() -> None:
    nothing = Surroundings.of(1)
    cavity, surface = (stability_changes([parse_variant(text, text[0])], nothing)[0] for text in ("I1G", "K1R"))
    assert cavity > 1.0 > abs(surface)
    answer = stability_answer(cavity, 1)
    assert set(answer) == {"value", "unit", "low", "high"} and answer["unit"] == "kcal/mol"
    assert "less stable" in STABILITY_CHANGE.say(answer)
    assert "more stable" in STABILITY_CHANGE.say(stability_answer(-cavity, 1))


def test_the_range_widens_with_the_number_of_changes() -> None:
    one, four = (stability_answer(1.0, count) for count in (1, 4))
    assert four["high"] - four["low"] == pytest.approx(2 * (one["high"] - one["low"]), abs=0.01)
    assert "did gain" in record_of_gains()


def test_scales_agree_with_what_others_measured() -> None:
    kyte_doolittle = [HYDROPATHY[residue] for residue in RESIDUES]
    masses = [ProteinSequence(residue).get_molecular_weight() for residue in RESIDUES]
    water, volume, helix, strand = (
        [scale[residue] for residue in RESIDUES] for scale in (WATER, VOLUME, HELIX, STRAND)
    )
    assert spearmanr(water, kyte_doolittle)[0] > 0.6 and spearmanr(volume, masses)[0] > 0.8
    assert max(helix) == HELIX["P"] and min(helix) == HELIX["A"] and min(strand) == STRAND["P"]


def test_the_wild_type_scores_nothing_and_an_unknown_residue_nothing_at_all(tiny_network: Network) -> None:
    scan = scan_with(tiny_network, Protein("p", "MKXAY"))
    wild = places_of("MKXAY")
    for table in (scan.scores, scan.ddg):
        assert table.shape == (5, 20) and numpy.isnan(table[2]).all()
        assert [table[at, wild[at]] for at in (0, 1, 3, 4)] == [0.0, 0.0, 0.0, 0.0]
    assert len(scan.substitutions()) == 4 * 19 and "X3" not in scan.sentence()


def test_what_a_network_does_not_say_changes_nothing() -> None:
    silent, known = Surroundings.of(3), effect_terms(places_of("AKW"), Surroundings.of(3))
    assert not known["language model"].any() and not known["conservation"].any()
    assert len(silent.at([0, 2])) == 2 and len(silent.at(slice(1, 3))) == 2


def test_measured_variants_teach_the_scan(tiny_network: Network) -> None:
    scan = scan_with(tiny_network, Protein("p", WILD))
    generator = numpy.random.default_rng(2)
    weight = generator.normal(size=len(WILD))
    every = [(one,) for one in scan.substitutions()]
    chosen = [every[at] for at in generator.permutation(len(every))[:200]]
    truth = numpy.array([weight[one.position - 1] for (one,) in chosen]) + generator.normal(size=200) * 0.1
    taught, (random, places) = learn(scan, Table(chosen, truth, ()))
    assert random.estimates["learned"].value > 0.9 > abs(random.estimates["zero-shot"].value)
    assert places.estimates["learned"].value < 0.5  # nothing is known of a position that nobody measured
    assert taught.low is not None and taught.high is not None
    inside = [
        taught.low[one.position - 1, RESIDUES.index(one.mutant)]
        <= value
        <= taught.high[one.position - 1, RESIDUES.index(one.mutant)]
        for (one,), value in zip(chosen, truth, strict=True)
    ]
    assert numpy.mean(inside) >= 0.9


def test_intervals_draw_families_and_not_variants() -> None:
    generator = numpy.random.default_rng(3)
    member = numpy.repeat(numpy.arange(5), 60)
    truth = generator.normal(size=5)[member] + generator.normal(size=300) * 0.1
    said = truth + generator.normal(size=5)[member]

    def miss(one: numpy.ndarray, other: numpy.ndarray) -> float:  # type: ignore[type-arg]
        return float(abs(one - other).mean())

    grouped = over_families(miss, truth, said, member)
    single = over_families(miss, truth, said, numpy.arange(300))
    assert grouped.low is not None and grouped.high is not None and single.low is not None and single.high is not None
    assert grouped.high - grouped.low > 3 * (single.high - single.low)


@here
def test_no_family_stands_in_two_splits_and_every_wild_type_stands_where_it_is_said() -> None:
    changes = read_changes()
    member, split = deal(changes)
    assert len(changes) > 3_700 and {"train", "valid", "test"} == set(split.tolist())
    for family in numpy.unique(member):
        assert len(set(split[member == family].tolist())) == 1
    for change in changes:
        assert all(change.sequence[one.position - 1] == one.wild_type for one in change.variant)


@here
def test_the_scan_of_tem1_ranks_without_any_network() -> None:
    """Nothing of this protein went into the weights."""
    scan = read_scan(TEM1)
    table = effect_weights()(effect_terms(places_of(scan.wild_type), Surroundings.of(len(scan.wild_type))))
    said = [sum(table[one.position - 1, RESIDUES.index(one.mutant)] for one in variant) for variant in scan.variants]
    assert spearmanr(said, scan.effects)[0] > 0.2
    assert stability_weights().about["n"] > 2_500
