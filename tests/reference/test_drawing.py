"""Pictures and profiles against figures that others published, and the page's colours against WCAG."""

from __future__ import annotations

import math
import re
from importlib import resources
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from anfinsen.data.alphabet import RESIDUES
from anfinsen.drawing.profile import HYDROPATHY, charge, hydropathy, kilodalton
from anfinsen.drawing.shapes import TokenTrack, glyph
from anfinsen.drawing.small import Bar, Dot, nice_ticks, range_plot, score_dots, share_bars
from anfinsen.drawing.tracks import sequence_blocks
from anfinsen.report.answer import band, percent
from anfinsen.report.glossary import TERMS, anchor

UBIQUITIN = "MQIFVKTLTGKTITLEVEPSDTIENVKAKIQDKEGIPPDQQRLIFAGKQLEDGRTLSDYNIQKESTLHLVLRLRGG"
PREPROINSULIN = (
    "MALWMRLLPLLALLALWGPDPAAAFVNQHLCGSHLVEALYLVCGERGFFYTPKTRREAEDLQVGQVELGGGPGAGSLQPLALEGSLQKRGIVEQCCTSICSLYQLENYCN"
)


def test_the_scale_has_all_residues_and_gives_the_known_mean_of_ubiquitin() -> None:
    assert set(HYDROPATHY) == set(RESIDUES)
    mean = sum(HYDROPATHY[residue] for residue in UBIQUITIN) / len(UBIQUITIN)
    assert mean == pytest.approx(-0.489, abs=0.001)  # GRAVY of ubiquitin, ExPASy ProtParam


@pytest.mark.parametrize(("sequence", "mass"), [(UBIQUITIN, 8.565), (PREPROINSULIN, 11.981)])
def test_masses_are_those_of_uniprot(sequence: str, mass: float) -> None:
    assert kilodalton(sequence) == pytest.approx(mass, abs=0.001)
    assert kilodalton(sequence + "X") is None


def test_a_signal_peptide_avoids_water_and_unknown_residues_are_left_out() -> None:
    profile = hydropathy(PREPROINSULIN)
    assert profile.index(max(value for value in profile if value is not None)) in range(8, 18)
    assert hydropathy("IXXXXI", 1) == [4.5, None, None, None, None, 4.5]
    assert hydropathy("IXI", 3) == [4.5, 4.5, 4.5]
    assert charge(UBIQUITIN) == 0


@pytest.mark.parametrize(
    ("share", "shown", "word"),
    [
        (0.494, "49%", "very low"),
        (0.5, "50%", "low"),
        (0.694, "69%", "low"),
        (0.696, "70%", "fair"),
        (0.70, "70%", "fair"),
        (0.894, "89%", "fair"),
        (0.9, "90%", "high"),
        (0.999, ">99%", "high"),
        (1.0, "100%", "high"),
        (0.0, "0%", "very low"),
        (0.002, "<1%", "very low"),
    ],
)
def test_the_word_follows_the_figure_that_is_shown(share: float, shown: str, word: str) -> None:
    assert (percent(share), band(share)) == (shown, word)


def places(drawing: str, element: str, attribute: str) -> list[float]:
    return [float(x) for x in re.findall(rf'<{element}[^>]* {attribute}="([\d.]+)%"', drawing)]


def test_a_range_puts_dot_and_band_where_the_axis_says() -> None:
    drawing = str(range_plot(60.0, 50.0, 70.0, "°C", (40.0, 80.0)))
    assert places(drawing, 'svg class="mark"|svg', "x") == [50.0]
    assert places(drawing, "rect", "x") == [26.5]
    assert places(drawing, "rect", "width") == [47.0]
    assert "<desc>60.0 °C, interval 50.0 to 70.0 °C.</desc>" in drawing


def test_bars_are_as_long_as_their_shares() -> None:
    drawing = str(share_bars([Bar("Nucleus", 0.71, True), Bar("Plastid", 0.05)], title="Chance"))
    assert places(drawing, "rect", "width") == [100, 71, 100, 5]
    assert "\N{CHECK MARK} Nucleus" in drawing
    assert "\N{CHECK MARK} Plastid" not in drawing


def test_scores_share_one_scale_and_say_which_side_is_better() -> None:
    dots = [Dot("This model", 0.75, "ours", 0.5, 1.0), Dot("rule", 0.25, "baseline"), Dot("paper", 0.5, "published")]
    drawing = str(score_dots(dots, title="Accuracy", lower_is_better=False))
    assert places(drawing, "svg", "x") == [74.0, 26.0, 50.0]
    assert "rule (baseline)" in drawing
    assert "paper (published)" in drawing
    assert "Better is further to the right." in drawing
    assert "Better is further to the left." in str(
        score_dots([Dot("a", 8.0, "ours")], title="RMSE", lower_is_better=True)
    )


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6))
@example(482941.6875, 0.001)
def test_ticks_enclose_the_span_evenly(start: float, width: float) -> None:
    ticks = nice_ticks(start, start + width)
    steps = [b - a for a, b in pairwise(ticks)]
    slack = 1e-6 * max(1.0, abs(start))
    # far from zero a float holds a small step to few digits
    rounding = 4 * math.ulp(abs(start) + width)
    assert ticks[0] <= start + slack
    assert ticks[-1] >= start + width - slack
    assert max(steps) - min(steps) <= rounding + 1e-9 * max(steps)
    assert 2 <= len(ticks) <= 8


def test_a_helix_goes_on_over_the_border_of_a_block() -> None:
    shapes = [re.findall(r"M(-?[\d.]+) ", str(glyph(5, 25, "H", origin))) for origin in (0, 10, 20)]
    first, second, third = ([float(x) for x in sorted(row, key=float)] for row in shapes)
    assert first[0] == 55.0  # residue 6 begins five residues into the first block
    assert {round(x - 110, 1) for x in first} & set(second)  # the band that crosses is drawn in both
    assert max(third) + 11 + 6 == pytest.approx(55, abs=1.0)  # the last band ends where residue 25 ends


def test_an_arrow_points_at_its_last_residue() -> None:
    assert "L110 9.0" in str(glyph(4, 10, "E", 0))
    assert "L0 9.0" in str(glyph(4, 10, "E", 10))


def test_blocks_hold_ten_residues_their_author_numbers_and_every_row() -> None:
    track = TokenTrack("Shape", "H" * 12 + "C" * 13, [0.9] * 25, {"H": "helix", "C": "coil"})
    rows, _, blocks = sequence_blocks(UBIQUITIN[:25], [f"{n}A" for n in range(100, 125)], [track], [])
    assert rows == ["residue number", "Shape", "how sure", "residue", "hydropathy", "charge"]
    assert len(blocks) == 3
    assert "109A" in blocks[0]
    assert ">MQIFVKTLTG<" in blocks[0]
    assert "helix, residues 1 to 12, 90% sure on average" in blocks[1]
    assert 'width="55"' in blocks[2]


def test_every_general_term_takes_two_sentences_and_has_its_own_anchor() -> None:
    for term, text in TERMS.items():
        assert len(re.findall(r"[.](?:\s|$)", text)) == 2, term
    assert len({anchor(term) for term in TERMS}) == len(TERMS)


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_can_be_read_on_every_ground(theme: str) -> None:
    sheet = resources.files("anfinsen.report").joinpath("report.css").read_text(encoding="utf-8")
    light, dark = re.findall(r":root \{(.*?)\}", sheet, flags=re.DOTALL)[:2]
    colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", light if theme == "light" else dark))
    pairs = [(word, "paper") for word in ("ink", "soft", "accent", "warn")]
    pairs += [("ink", "warn-tint"), ("warn", "warn-tint"), *(("ink", f"h{hue}") for hue in range(8))]
    for word, ground in pairs:
        low, high = sorted((luminance(colours[word]), luminance(colours[ground])))
        assert (high + 0.05) / (low + 0.05) >= 4.5, (word, ground)
