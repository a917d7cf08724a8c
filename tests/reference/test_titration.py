"""Charge and isoelectric point against Biopython 1.88 (Bio.SeqUtils.IsoelectricPoint), and where they are known."""

from __future__ import annotations

import numpy
import pytest

from anfinsen.structure.titration import charge, charge_band, isoelectric_point

UBIQUITIN = "MQIFVKTLTGKTITLEVEPSDTIENVKAKIQDKEGIPPDQQRLIFAGKQLEDGRTLSDYNIQKESTLHLVLRLRGG"
LYSOZYME = (
    "KVFGRCELAAAMKRHGLDNYRGYSLGNWVCAAKFESNFNTQATNRNTDGSTDYGILQINSRWWCNDGRTPGSRNLCNIPCSALLSSDITASVNCAKKIVSDGNGMNA"
    "WVAWRNRCKGTDVQAWIRGCRL"
)
RIBONUCLEASE = (
    "KETAAAKFERQHMDSSTSAASSSNYCNQMMKSRNLTKDRCKPVNTFVHESLADVQAVCSQKNVACKNGQTNCYQSYSTMSITDCRETGSSKYPNCAYKTTQANKHIIV"
    "ACEGNPYVPVHFDASV"
)
BIOPYTHON = [
    (UBIQUITIN, 6.5616, [12.1642, 2.7531, -0.3980, -1.7202]),
    (LYSOZYME, 9.3238, [18.1377, 10.0814, 7.7724, 2.2026]),
    (RIBONUCLEASE, 8.6354, [18.1954, 9.2548, 4.0332, -2.4239]),
    ("EDDEEYCHKD", 4.1572, [2.6232, -2.8727, -5.0757, -6.6330]),
]
"""Sequence, isoelectric point, charge at pH 3, 5, 7 and 9."""


@pytest.mark.parametrize(("sequence", "point", "charges"), BIOPYTHON)
def test_charge_and_isoelectric_point_are_those_of_biopython(sequence: str, point: float, charges: list[float]) -> None:
    assert isoelectric_point(sequence) == pytest.approx(point, abs=1e-3)
    assert charge(sequence, numpy.array([3.0, 5.0, 7.0, 9.0])) == pytest.approx(charges, abs=1e-4)


@pytest.mark.parametrize(("sequence", "point"), [(UBIQUITIN, 6.56), (LYSOZYME, 9.32), (RIBONUCLEASE, 8.64)])
def test_the_isoelectric_point_is_the_one_that_expasy_prints(sequence: str, point: float) -> None:
    assert round(isoelectric_point(sequence), 2) == point


def test_the_charge_is_nought_at_the_isoelectric_point_and_falls_all_the_way() -> None:
    assert float(charge(LYSOZYME, isoelectric_point(LYSOZYME))) == pytest.approx(0.0, abs=1e-6)
    assert (numpy.diff(charge(LYSOZYME, numpy.linspace(0, 14, 200))) < 0).all()


def test_at_the_ends_of_the_scale_every_group_is_charged_or_none() -> None:
    ends = charge("AKRHDECYA", numpy.array([-6.0, 20.0]))
    assert ends == pytest.approx([4.0, -5.0], abs=1e-6)  # three bases and the start; four acids and the end


def test_the_band_holds_the_charge_of_chains_whose_groups_are_shifted_at_random() -> None:
    from anfinsen.structure.titration import _charge, _groups

    generator, ph = numpy.random.default_rng(1), 5.0
    chains = [
        sum(
            float(_charge(group, numpy.array(ph), group.spread * generator.standard_normal(count)).sum())
            for group, count in _groups(LYSOZYME)
        )
        for _ in range(500)
    ]
    low, high = (float(end[0]) for end in charge_band(LYSOZYME, numpy.array([ph])))
    assert 0.84 <= numpy.mean([low <= one <= high for one in chains]) <= 0.95
    assert (low + high) / 2 == pytest.approx(float(charge(LYSOZYME, ph)))
