"""What `anfinsen bench scale` makes of seconds, and how a file is dealt into parts."""

from __future__ import annotations

from pathlib import Path

import pytest

from anfinsen.bench.scale import figures, verdict
from anfinsen.cli.scaling import crew, part_of, place
from anfinsen.errors import UnknownNameError, UsageError

SMALL, LARGE = 25_000, 100_000
PLAIN = [(2 + 25_000 / 10_000, 2 + 100_000 / 10_000)] * 3
ONE = [(10 + 25_000 / 8_000, 10 + 100_000 / 8_000)] * 3
TWO = [(10 + 25_000 / 15_000, 10 + 100_000 / 15_000)] * 3


def test_the_start_is_told_from_the_rate() -> None:
    rows = figures("embed", {"plain": PLAIN, "workers-1": ONE, "workers-2": TWO}, SMALL, LARGE, 64)
    found = {(row.metric, row.model): row.value for row in rows}
    assert found["startup_s", "plain"] == pytest.approx(2)
    assert found["startup_s", "workers-2"] == pytest.approx(10)
    assert found["steady_per_s", "workers-2"] == pytest.approx(15_000)
    assert found["residues_per_s", "plain"] == pytest.approx(100_000 / 12)
    assert found["efficiency", "workers-2"] == pytest.approx(15 / 16)
    assert {(row.suite, row.task, row.split, row.n) for row in rows} == {("scale", "embed", "valid", 64)}


def test_below_a_size_the_plain_run_wins() -> None:
    # 2 + r / 10,000 = 10 + r / 15,000 at r = 240,000
    assert verdict("embed", {"plain": PLAIN, "workers-2": TWO}, SMALL, LARGE).startswith(
        "embed: below 240,000 residues"
    )
    assert "wins at any size" in verdict("embed", {"plain": TWO, "workers-2": PLAIN}, SMALL, LARGE)


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
        with place(address) as here:
            file = here / "predictions.jsonl" if name == "answers" else here
            if machine == "one":
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text("whole")
            assert file.read_text() == "whole"
    with place(tmp_path / name) as here:
        assert here == tmp_path / name
