"""What `anfinsen bench scale` makes of seconds, what follows from it, and how a file is dealt into parts."""

from __future__ import annotations

from pathlib import Path

import pytest

from anfinsen.bench.extension import (
    NOT_YET,
    PARTS,
    RESIDUES,
    SEQUENCES,
    Embedding,
    Measured,
    carried,
    crowded,
    verdict,
    working,
    written,
)
from anfinsen.bench.scale import Job, figures
from anfinsen.bench.stages import score
from anfinsen.cli.scaling import crew, part_of
from anfinsen.data.elsewhere import working_copy
from anfinsen.errors import UnknownNameError, UsageError
from anfinsen.hub.bundle import MASKED, Bundle, default_bundle

PAGE = Path(__file__).parents[2] / "docs" / "scale.md"
ALL = 100_000
PLAIN = [(2.0, 2 + ALL / 10_000)] * 3
ONE = [(10.0, 10 + ALL / 8_000)] * 3
TWO = [(10.0, 10 + ALL / 15_000)] * 3
TAKEN = {"plain": PLAIN, "workers-1": ONE, "workers-2": TWO}


def job(task: str, unit: str = "residues") -> Job:
    return Job(task, unit, 64, (0, ALL), lambda is_large, workers: 0.0)


def measured() -> Measured:
    """Rows of three jobs, and of a driver that takes 100 microseconds a protein, of which reading is 10."""
    rows = figures(job("embed"), TAKEN) + figures(job("screen", "molecules"), TAKEN) + figures(job("pretrain"), TAKEN)
    for task in ("embed", "screen"):
        for stage, cost in (("reading", 10.0), ("driver", 100.0)):
            rows.append(score(task, "microseconds_per_item", stage, [cost], 64))
        rows += [score(task, "bytes_per_item", way, [300.0], 64) for way in ("sent", "back")]
    rows += [score("pretrain", f"{name}_bytes_per_weight", "ddp", [16.0], 64) for name in ("held", "said")]
    return Measured(rows)


def test_the_start_is_told_from_the_rate() -> None:
    rows = figures(job("embed"), TAKEN)
    found = {(row.metric, row.model): row.value for row in rows}
    assert found["startup_s", "plain"] == pytest.approx(2)
    assert found["startup_s", "workers-2"] == pytest.approx(10)
    assert found["steady_per_s", "workers-2"] == pytest.approx(15_000)
    assert found["residues_per_s", "plain"] == pytest.approx(ALL / 12)
    assert found["efficiency", "workers-2"] == pytest.approx(15 / 16)
    assert found["efficiency", "workers-1"] == 1
    assert {(row.suite, row.task, row.split, row.n) for row in rows} == {("scale", "embed", "valid", 64)}


def test_below_a_size_the_plain_run_wins() -> None:
    # 2 + r / 10,000 = 10 + r / 15,000 at r = 240,000
    assert verdict(measured(), "embed").startswith("embed: below 240,000 residues the plain run wins")
    assert verdict(measured(), "screen").startswith("screen: below 240,000 molecules")
    rows = figures(job("embed"), {"plain": TWO, "workers-1": ONE, "workers-2": PLAIN})
    assert "wins at any size" in verdict(Measured(rows), "embed")
    assert verdict(Measured(figures(job("embed"), {"plain": PLAIN})), "embed") == "embed: only the plain run was there."


def test_a_job_on_more_workers_takes_as_long_as_its_slowest_stage() -> None:
    made = Embedding(measured(), 8_000.0)
    work, driver, reading = RESIDUES / 8_000, SEQUENCES * 100e-6, SEQUENCES * 10e-6
    assert made.on_cluster(1) == pytest.approx(10 + work)
    assert made.on_cluster(10_000) == pytest.approx(10 + driver)
    assert made.in_parts(100) == pytest.approx(2 + reading + work / 100)
    assert made.breaks == pytest.approx((work / driver, work / reading))
    # 8,000 residues a second are 28.2 proteins a second, and the driver carries 10,000
    assert carried(measured(), "embed") == pytest.approx(10_000 / (8_000 * SEQUENCES / RESIDUES))


def test_the_exchange_of_a_step_takes_as_long_as_its_computing_where_it_is_said() -> None:
    assert working(round(crowded())) == pytest.approx(0.5, abs=0.01)
    assert working(8) > working(64) > working(1000)
    assert working(1000, 2 / 3) > working(1000)


def test_a_page_says_what_the_rows_say_and_nothing_where_there_are_none() -> None:
    assert {written(part, Measured([])) for part in PARTS} == {NOT_YET}
    shown = {part: written(part, measured()) for part in PARTS}
    assert "| embed, residues | workers-2 | 6,000 | 10.0 | 15,000 | 0.94 |" in shown["measured"]
    assert "| `ddp` | 16.0 | 16.0 |" in shown["measured"]
    assert "| one core, measured | 1,000 | 1.7 hours (35%) | 46 minutes (78%) |" in shown["uniref50"]
    assert "| 1,000 |" in shown["cards"]


@pytest.mark.parametrize("part", PARTS)
def test_docs_scale_says_what_the_embedded_bundle_keeps(part: str) -> None:
    """`benchmarks/scale.py` writes it."""
    rows = [row for row in Bundle.load(default_bundle()).records[MASKED].scores if row.suite == "scale"]
    shown = PAGE.read_text(encoding="utf-8").partition(f"<!-- {part} -->\n")[2].partition(f"<!-- /{part} -->")[0]
    assert shown.strip() == written(part, Measured(rows)).strip()


def test_parts_share_nothing_and_leave_nothing_out() -> None:
    parts = [list(part_of(range(10), f"{number}/3")) for number in range(3)]
    assert sorted(each for part in parts for each in part) == list(range(10))
    assert list(part_of(range(3), None)) == [0, 1, 2]
    for wrong in ("3/3", "1", "a/b", "-1/3"):
        with pytest.raises(UsageError, match="is no part"):
            part_of(range(3), wrong)


def test_where_to_compute_is_said_once_and_right() -> None:
    with pytest.raises(UsageError, match=r"Say --on ray too\."):
        crew(None, 2)
    with pytest.raises(UnknownNameError, match="There is no place to compute called 'spark'"):
        crew("spark", 2)


@pytest.mark.parametrize("name", ["states.h5", "answers"])
def test_what_is_written_for_an_address_is_there_and_comes_back(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = Path(f"memory://{tmp_path.name}/{name}")
    for machine in ("one", "other"):
        monkeypatch.setenv("ANFINSEN_CACHE", str(tmp_path / machine))
        with working_copy(address) as here:
            file = here / "predictions.jsonl" if name == "answers" else here
            if machine == "one":
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text("whole")
            assert file.read_text() == "whole"
    with working_copy(tmp_path / name) as here:
        assert here == tmp_path / name
