"""What every page that is written has in common: one file that opens from a disk, asks nobody and runs nothing.

    template + style sheets + what it shows  ->  escaped  ->  swept  ->  written beside its place and put there

Names, messages and labels are strangers' text and are escaped where they are written; a content policy forbids scripts
and every outside request as a second wall, and no control or direction character survives anywhere. Templates and style
sheets lie beside this file. It knows no page by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined, Template
from markupsafe import Markup

from anfinsen.report.answer import plain
from anfinsen.report.tables import written_beside

POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
REPORT = ("report.css",)
"""The style sheet of most pages."""

Words = Mapping[str, Callable[..., Any]]


def make_template(name: str, *, filters: Words | None = None) -> Template:
    """The template in the file `name`, with words of its own; a value that is missing is an error."""
    environment = Environment(
        loader=FunctionLoader(_resource), autoescape=True, trim_blocks=True, lstrip_blocks=True,
        undefined=StrictUndefined,
    )  # fmt: skip
    environment.filters |= dict(filters or {})
    return environment.get_template(name)


def write_page(
    path: Path, template: Template, *, styles: Sequence[str] = REPORT, policy: str = POLICY, **shown: Any
) -> None:
    """Fill the template with what is shown and write the page."""
    page = template.render(policy=policy, style=Markup("\n".join(map(_resource, styles))), **shown)
    with written_beside(path) as file:
        # one sweep over the whole page, whatever of a stranger's text went into it
        file.write("\n".join(plain(line) for line in page.split("\n")))


def _resource(name: str) -> str:
    return resources.files("anfinsen.report").joinpath(name).read_text(encoding="utf-8")
