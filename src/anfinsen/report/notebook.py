"""The report inside a notebook: the very page that the verb writes, in a frame of its own, or kept as a file."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any

from anfinsen.errors import UsageError
from anfinsen.hub.bundle import Bundle, default_bundle
from anfinsen.inference.distances import default_folder
from anfinsen.inference.fold import Fold
from anfinsen.inference.prediction import Prediction
from anfinsen.inference.sites import EMBEDDED, SiteAnswer
from anfinsen.report import fold as folds
from anfinsen.report import sites
from anfinsen.report.html import write_report
from anfinsen.report.origin import origin
from anfinsen.tasks import TASKS
from anfinsen.tasks.ligand_sites import TASK as SITES

Answer = Prediction | Fold | SiteAnswer
"""What has a page of its own."""


@dataclass(frozen=True)
class Page:
    """A finished page; a notebook that ends a cell with it shows it."""

    html: str = field(repr=False)
    height: int = 800
    """Pixels of the frame in a notebook."""

    def _repr_html_(self) -> str:
        # without scripts and without the notebook's own rights: names in it are strangers' text
        frame = f'sandbox style="width:100%;height:{self.height}px;border:0"'
        return f'<iframe title="Report" {frame} srcdoc="{escape(self.html, quote=True)}"></iframe>'

    def save(self, path: str | Path) -> Path:
        """Keep it as one file that opens from a disk."""
        Path(path).write_text(self.html, encoding="utf-8")
        return Path(path)


def show(found: Answer | Iterable[Answer], bundle: str | Path | Bundle | None = None) -> Page:
    """The page on predictions, on folds or on sites, as answers of `bundle`, of the embedded one if none is given.

    >>> from anfinsen import predict
    >>> page = show(predict("KVFGRCELAAAMKRHGLDNYRGYSLGNWVCAAKFESNFNTQATNRNTDGSTDYGILQINSRW"))
    >>> page.html.startswith("<!doctype html>")
    True
    """
    many = [found] if isinstance(found, Answer) else list(found)
    with tempfile.TemporaryDirectory(prefix="anfinsen-") as folder:
        for kind, write in _WRITERS.items():
            if all(isinstance(one, kind) for one in many):
                return Page(write(Path(folder), many, bundle).read_text(encoding="utf-8"))
    raise UsageError("A page shows answers of one kind.", remedy="Give predictions, folds or sites, each to a page.")


def _opened(bundle: str | Path | Bundle | None, default: Path) -> Bundle:
    return bundle if isinstance(bundle, Bundle) else Bundle.load(bundle or default)


def _predictions(folder: Path, found: Sequence[Prediction], bundle: str | Path | Bundle | None) -> Path:
    opened, page = _opened(bundle, default_bundle()), folder / "report.html"
    tasks = {name: TASKS[name] for name in opened.records if name in TASKS}
    write_report(page, found, tasks=tasks, records=opened.records, about=origin(opened))
    return page


def _folds(folder: Path, found: Sequence[Fold], bundle: str | Path | Bundle | None) -> Path:
    writer = folds.FoldFolder(folder)
    for one in found:
        writer.add(one)
    writer.close((), origin(_opened(bundle, default_folder())))
    return folder / folds.PAGE


def _sites(folder: Path, found: Sequence[SiteAnswer], bundle: str | Path | Bundle | None) -> Path:
    opened = _opened(bundle, EMBEDDED)
    sites.write_sites_folder(folder, found, (), about=origin(opened), record=opened.records[SITES.name])
    return folder / sites.PAGE


_WRITERS: dict[type, Callable[[Path, Sequence[Any], str | Path | Bundle | None], Path]] = {
    Prediction: _predictions,
    Fold: _folds,
    SiteAnswer: _sites,
}
"""Who writes the page of each kind of answer."""
