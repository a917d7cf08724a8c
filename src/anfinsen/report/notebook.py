"""The report inside a notebook: the very page that the verb writes, in a frame of its own, or kept as a file."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

from anfinsen.hub.bundle import Bundle, default_bundle
from anfinsen.inference.prediction import Prediction
from anfinsen.report.html import write_report
from anfinsen.report.origin import origin
from anfinsen.tasks import TASKS


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


def show(predictions: Prediction | Iterable[Prediction], bundle: str | Path | Bundle | None = None) -> Page:
    """The report on some predictions of `bundle`, of the embedded one if none is given.

    >>> from anfinsen import predict
    >>> page = show(predict("KVFGRCELAAAMKRHGLDNYRGYSLGNWVCAAKFESNFNTQATNRNTDGSTDYGILQINSRW"))
    >>> page.html.startswith("<!doctype html>")
    True
    """
    opened = bundle if isinstance(bundle, Bundle) else Bundle.load(bundle or default_bundle())
    found = [predictions] if isinstance(predictions, Prediction) else list(predictions)
    tasks = {name: TASKS[name] for name in opened.records if name in TASKS}
    with tempfile.TemporaryDirectory(prefix="anfinsen-") as folder:
        path = Path(folder) / "report.html"
        write_report(path, found, tasks=tasks, records=opened.records, about=origin(opened))
        return Page(path.read_text(encoding="utf-8"))
