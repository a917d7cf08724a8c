"""Verbs about mutations: the whole scan of a protein, and variants that might be better."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from anfinsen.cli.scaling import anywhere
from anfinsen.cli.screen import ASK, Bundled, Column, Raw, Relatives, Source, Threads, app, leave, reading, say, screen

if TYPE_CHECKING:
    from anfinsen.errors import InputError
    from anfinsen.inference.proposals import Goal, Proposal
    from anfinsen.inference.scan import Scan, Scanner
    from anfinsen.report.heat import Section
    from anfinsen.structure.protein import Protein

Ph = Annotated[float | None, typer.Option("--ph", min=0, max=14, help="The pH at which stability is asked; 7.")]
Warm = Annotated[float | None, typer.Option("--temperature", min=0, max=120, help="Its temperature in °C; 25.")]
PAGE = "report.html"


@app.command(rich_help_panel=ASK)
@anywhere
def scan(
    source: Source,
    out: Annotated[Path, typer.Option(help="Folder for the maps, the tables and the page.")] = Path("scan"),
    data: Annotated[
        Path | None, typer.Option("--data", help="Measured variants of the one protein: variant, score (CSV).")
    ] = None,
    first: Annotated[int, typer.Option("--first", help="The number that the table gives the first residue.")] = 1,
    relatives: Relatives = None,
    ph: Ph = None,
    temperature: Warm = None,
    column: Column = None,
    raw_csv: Raw = False,
    bundle: Bundled = None,
    threads: Threads = None,
) -> None:
    """Score every substitution of each protein in FILE, as a heat map and a table."""
    from anfinsen import runtime
    from anfinsen.errors import UsageError
    from anfinsen.inference.measured import learn, read_table
    from anfinsen.report.heat import scan_section, strip, write_scan

    runtime.use_threads(threads)
    refused: list[InputError] = []
    proteins = list(_proteins(source, column, refused))
    if data is not None and len(proteins) != 1:
        raise UsageError(
            f"The measured variants are of one protein, but {source} has {len(proteins)}.",
            remedy="Give a file with that protein alone.",
        )
    scanner, about = _opened(bundle, relatives)
    table = read_table(data, proteins[0].sequence, first=first) if data is not None else None
    refused += table.refused if table is not None else ()
    sections = []
    for protein in proteins:
        found: Scan = scanner.scan(protein, _conditions(ph, temperature))
        if table is not None:
            found, _ = learn(found, table)
        write_scan(out, found, raw=raw_csv)
        sections.append(scan_section(found))
        say(found.sentence(), name=protein.id)
        for line in strip(found):
            screen.print(line)
        for text in (found.basis(), *found.findings, *(message.text for message in found.messages)):
            say(text)
    standfirst = "What each of the twenty residues at each place would do. Scores are predictions, not measurements."
    _finish(out, "Every substitution", standfirst, sections, about, refused, raw_csv)


@app.command(rich_help_panel=ASK)
@anywhere
def propose(
    source: Source,
    toward: Annotated[
        str,
        typer.Option(
            help="tm, stability, or a task of the bundle: solubility, optimal-ph=down, localization=Nucleus ..."
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder for the table and the page.")] = Path("proposals"),
    count: Annotated[int, typer.Option(min=1, max=100, help="Suggestions a protein.")] = 10,
    changes: Annotated[int, typer.Option(min=1, max=6, help="Substitutions in one suggestion at most.")] = 3,
    relatives: Relatives = None,
    ph: Ph = None,
    temperature: Warm = None,
    column: Column = None,
    raw_csv: Raw = False,
    bundle: Bundled = None,
    threads: Threads = None,
) -> None:
    """Suggest variants of each protein in FILE that might be better, with reason, range and risks."""
    from anfinsen import runtime
    from anfinsen.inference.proposals import Proposer, read_goal
    from anfinsen.report.heat import proposal_section, stem, write_proposals

    runtime.use_threads(threads)
    scanner, about = _opened(bundle, relatives)
    goal = read_goal(toward, [name for name in scanner.bundle.records if name in scanner.network.heads])
    refused: list[InputError] = []
    sections = []
    for protein in _proteins(source, column, refused):
        found: Scan = scanner.scan(protein, _conditions(ph, temperature))
        best = Proposer(scanner, found, goal, _conditions(ph, temperature)).propose(count, changes)
        write_proposals(out / f"{stem(found)}.csv", best, goal, raw=raw_csv)
        section = proposal_section(found, best, goal)
        sections.append(section)
        say(section.lead, name=protein.id)
        _tell(best, goal)
    standfirst = f"Suggestions toward {goal.words}. Each is a hypothesis to test at the bench, not a result."
    _finish(out, "Variants that might be better", standfirst, sections, about, refused, raw_csv)


def _tell(best: Sequence[Proposal], goal: Goal) -> None:
    """A line a variant and a line a substitution; what holds of many is said once."""
    widest = max((len(one.name) for one in best), default=0)
    for one in best:
        reach = "" if one.low is None or one.high is None else f" ({one.low:+.2f} to {one.high:+.2f})"
        say(f"{one.name:<{widest}}  {one.gain:+.2f} {goal.unit}{reach}")
    for reason in dict.fromkeys(reason for one in best for reason in one.reasons):
        say(reason)
    if risks := dict.fromkeys(risk for one in best for risk in one.risks):
        say(f"Risks: {'; '.join(risks)}.")
    claims: dict[str, list[str]] = {}
    for one in best:
        claims.setdefault(one.claim(goal), []).append(one.name)
    for claim, names in claims.items():  # what is the same of many is said once
        say(f"{'Each of them' if len(claims) == 1 < len(best) else ', '.join(names)}: {claim}")


def _opened(bundle: Path | None, relatives: str | None) -> tuple[Scanner, dict[str, str]]:
    """The scanner, and what the page says of its origin."""
    from anfinsen.hub.bundle import Bundle, default_bundle
    from anfinsen.inference.scan import Scanner
    from anfinsen.kinship.kin import Kin
    from anfinsen.report.origin import origin

    opened = Bundle.load(bundle or default_bundle())
    with reading(relatives):
        kin = Kin.find(relatives)
    return Scanner(opened, kin=kin), origin(opened)


def _proteins(source: str, column: str | None, refused: list[InputError]) -> Iterator[Protein]:
    """The proteins; refusals are kept, twins are answered once."""
    from anfinsen.errors import InputError
    from anfinsen.reading.readers import read_proteins

    for record in read_proteins(source, column=column):
        if isinstance(record, InputError):
            refused.append(record)
        else:
            yield record


def _conditions(ph: float | None, temperature: float | None) -> dict[str, float]:
    told = {"ph": ph, "temperature": temperature}
    return {name: value for name, value in told.items() if value is not None}


def _finish(
    out: Path,
    title: str,
    standfirst: str,
    sections: Sequence[Section],
    about: Mapping[str, str],
    refused: Sequence[InputError],
    raw: bool,
) -> None:
    """Write the page and what was refused, and leave with the exit code."""
    from anfinsen.report.heat import write_page
    from anfinsen.report.tables import write_refused

    write_page(out / PAGE, title, standfirst, sections, about=about, refused=refused)
    write_refused(out / "refused.csv", refused, raw=raw)
    where = f"The page is {out / PAGE}; tables and pictures lie beside it."
    leave(refused, out / "refused.csv", answered=len(sections), where=where)
