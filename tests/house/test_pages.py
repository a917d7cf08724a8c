"""Every task has a page that says what its file says; run as a program, this file writes the pages anew."""

from __future__ import annotations

from pathlib import Path

import pytest

from anfinsen.report.page import task_page
from anfinsen.tasks import TASKS

FOLDER = Path(__file__).parents[2] / "docs" / "tasks"


@pytest.mark.parametrize("name", list(TASKS))
def test_its_page_is_up_to_date(name: str) -> None:
    path = FOLDER / f"{name}.md"
    assert path.is_file(), f"There is no {path.name}. Run scripts/pages."
    assert path.read_text(encoding="utf-8") == task_page(TASKS[name]), f"{path.name} is old. Run scripts/pages."


def test_no_page_is_left_of_a_task_that_is_gone() -> None:
    assert {path.stem for path in FOLDER.glob("*.md")} <= set(TASKS)


@pytest.mark.parametrize("name", list(TASKS))
def test_a_page_tells_where_its_data_come_from_and_what_it_cannot_do(name: str) -> None:
    task, page = TASKS[name], task_page(TASKS[name])
    for part in (task.question, task.explanation, task.table.source, task.table.licence, task.limits):
        assert part in page
    for one in task.published:
        assert f"{one.value:g}" in page


def write_pages() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    for path in FOLDER.glob("*.md"):
        if path.stem not in TASKS:
            path.unlink()
    for name in TASKS:
        (FOLDER / f"{name}.md").write_text(task_page(TASKS[name]), encoding="utf-8")


if __name__ == "__main__":
    write_pages()
