"""Verbs about pairs of proteins: who meets whom among two, in a list or of all, and the model that says so."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer
from rich.markup import escape

from anfinsen.cli.scaling import On, Workers, anywhere, crew, everywhere
from anfinsen.cli.screen import DRUGS, OWN, Raw, Threads, app, leave, notices, screen
from anfinsen.errors import InputError, UsageError
from anfinsen.report.paragraph import paragraph
from anfinsen.wording import counted

if TYPE_CHECKING:
    from anfinsen.data.store import Dtype
    from anfinsen.distributed.ray import Cluster
    from anfinsen.inference.partners import Pairer, Shelf
    from anfinsen.report.heat import Section
    from anfinsen.structure.protein import Protein

SHOWN = 20
"""Pairs that are told in the terminal; of all against all fifty times as many stand in the table."""
Pairs = list[tuple["Protein", "Protein"]]
Row = dict[str, str | float]


@app.command(rich_help_panel=DRUGS)
@anywhere
def interact(
    one: Annotated[
        str | None, typer.Argument(metavar="[A]", help="A protein (a file as for predict), or a table of pairs.")
    ] = None,
    other: Annotated[
        str | None, typer.Argument(metavar="[B]", help="Its partner; left out where A is a table.")
    ] = None,
    all_against_all: Annotated[
        str | None, typer.Option("--all-against-all", metavar="FILE", help="Every pair of the proteins in FILE.")
    ] = None,
    sequences: Annotated[
        str | None, typer.Option(metavar="FILE", help="The proteins, where the table of pairs holds their names only.")
    ] = None,
    states: Annotated[
        Path | None, typer.Option(help="States per window that anfinsen embed made of FILE with the same bundle.")
    ] = None,
    least: Annotated[float, typer.Option(min=0, max=1, help="Leave out pairs with a smaller score.")] = 0.0,
    expected: Annotated[
        float | None,
        typer.Option(metavar="SHARE", help="The share of all asked pairs that you expect to meet, such as 0.01."),
    ] = None,
    reasons: Annotated[
        int, typer.Option(min=0, help="For so many of the best pairs, the map between the chains.")
    ] = 12,
    out: Annotated[Path, typer.Option(help="Folder for tables and report; the same one again goes on.")] = Path(
        "pairs"
    ),
    raw_csv: Raw = False,
    bundle: Annotated[Path | None, typer.Option("--bundle", help="Folder of a model of pairs.")] = None,
    on: On = None,
    workers: Workers = None,
    threads: Threads = None,
) -> None:
    """Say which proteins interact, with a range, the reason as a map between both chains, and what is known of them."""
    from anfinsen import runtime
    from anfinsen.inference.partners import Pairer
    from anfinsen.report.origin import origin
    from anfinsen.report.partners import write_pairs

    if (one is None) == (all_against_all is None):
        raise UsageError(
            "What to ask about is not clear.",
            remedy="Give two files of proteins (A B), one table of pairs, or --all-against-all FILE.",
        )
    runtime.use_threads(threads)
    pairer, refused = Pairer.load(bundle, expected), list[InputError]()
    sections: list[Section] = []
    with crew(on, workers) as cluster:
        team = _Team(pairer, everywhere(bundle), out, cluster)
        if all_against_all is not None:
            rows = _everyone(team, list(_proteins(all_against_all, refused)), all_against_all, states, least)
            told = f"The best {len(rows):,} are in {out / 'pairs.csv'}; all of them in {out}/pairs-*.parquet."
        else:
            rows, sections = _listed(team, _pairs(str(one), other, sequences, refused), least, reasons)
            kept = counted(len(rows), "pair is", "pairs are")
            told = f"{kept} in {out / 'pairs.csv'}; see {out / 'report.html'}."
    write_pairs(out, rows, sections, refused, about=origin(pairer.bundle), scores=pairer.scores, raw=raw_csv)
    leave(refused, out / "refused.csv", answered=len(rows) or not refused, where=told)


@app.command("interact-fit", rich_help_panel=OWN)
@anywhere
def interact_fit(
    recipe: Annotated[Path, typer.Option(help="The recipe, such as recipes/partners-xs.toml.")],
    out: Annotated[Path, typer.Option(help="Folder for the states and the model; the same one again goes on.")] = Path(
        "runs/partners"
    ),
    start: Annotated[
        Path | None, typer.Option("--from", help="Folder of the bundle whose body reads the chains.")
    ] = None,
    threads: Threads = None,
) -> None:
    """Learn who meets whom from the public table of yeast pairs; `anfinsen interact --bundle` then answers from it."""
    from anfinsen import runtime
    from anfinsen.data.example import proteins_of
    from anfinsen.hub.body import body_hash
    from anfinsen.hub.bundle import Bundle, default_bundle
    from anfinsen.tasks.interaction import TASK
    from anfinsen.training.partners import kept_states, make_bundle, read_places
    from anfinsen.training.recipe import Recipe

    runtime.use_threads(threads)
    opened, read = Bundle.load(start or default_bundle()), Recipe.read(recipe)
    train, held = (TASK.examples(split) for split in ("train", "valid"))
    proteins = proteins_of([*train, *held])
    screen.print(f"{len(proteins):,} proteins of {len(train) + len(held):,} pairs are read once.")
    sha256, kept = body_hash(opened.network.body), out / "states.h5"
    states = kept_states(opened.network, sha256, sha256, proteins, kept)
    place = read_places(opened.network, sha256, kept, screen.print)
    bundle = make_bundle(opened, place, train, held, states, read, screen.print)
    bundle.save(out / "bundle")
    screen.print(escape(f"{bundle.name} learnt from {len(train):,} pairs and is in {out / 'bundle'}."))


def _pairs(one: str, other: str | None, sequences: str | None, refused: list[InputError]) -> Pairs:
    """The pairs that were asked for; what is refused is kept."""
    from anfinsen.data.example import Example
    from anfinsen.tables.pairs import read_named_pairs, read_pairs

    if other is not None:
        sides = [list(_proteins(source, refused)) for source in (one, other)]
        return [(first, second) for first in sides[0] for second in sides[1]]
    if sequences is not None:
        known = {protein.id: protein for protein in _proteins(sequences, refused)}
        records = read_named_pairs(one, known)
    else:
        records = read_pairs(one)
    refused += [record for record in records if isinstance(record, InputError)]
    asked = (record for record in records if isinstance(record, Example))
    return [(record.protein, record.partner) for record in asked if record.partner is not None]


class _Team(NamedTuple):
    """Who answers pairs: a model, and the cluster whose workers open it too, if there is one."""

    pairer: Pairer
    bundle: Path | None
    out: Path
    cluster: Cluster | None

    def read(self, dtype: Dtype, proteins: Sequence[Protein]) -> Shelf:
        """The proteins by way of a file of states, made by all."""
        from anfinsen.inference.embedder import Embedder, embedding
        from anfinsen.inference.partners import EMBEDDED
        from anfinsen.inference.spread import spread

        load = partial(Embedder.load, self.bundle or EMBEDDED, per="window", dtype=dtype)
        return self.pairer.read(self.out / "states.h5", dtype, proteins, spread(self.cluster, partial(embedding, load)))


def _listed(team: _Team, pairs: Pairs, least: float, reasons: int) -> tuple[list[Row], list[Section]]:
    """The pairs as rows, the best first, told on the screen; and the first of them with their maps."""
    from anfinsen.report.partners import pair_section, row_of, sentence

    pairer = team.pairer
    answers = pairer.answers(pairs, None if team.cluster is None else partial(team.read, "fp32"))
    found = sorted(zip(pairs, answers, strict=True), key=lambda each: -float(row_of(*each)["score"]))
    for pair, answer in found[:SHOWN]:
        paragraph(screen, sentence(pair, answer))
    sections = [pair_section(pair, answer, pairer.reason(*pair)) for pair, answer in found[:reasons]]
    return [row for row in (row_of(*each) for each in found) if float(row["score"]) >= least], sections


def _everyone(team: _Team, proteins: Sequence[Protein], source: str, states: Path | None, least: float) -> list[Row]:
    """All against all, watched; the best pairs."""
    from rich.progress import Progress

    from anfinsen.inference.partners import Pairer, best_pairs, claim, meeting
    from anfinsen.inference.spread import spread

    if not proteins:
        raise UsageError(f"There is no protein left in {source}.", remedy="Correct what was refused.")
    pairer, _, out, _ = team
    expected = "as in training" if pairer.expected is None else f"{pairer.expected:g}"
    about = {"file": source, "model": pairer.bundle.sha256, "proteins": str(len(proteins))}
    claim(out, about | {"least": f"{least:g}", "expected": expected})
    shelf = team.read("fp16", proteins) if states is None else pairer.stored(proteins, states)
    load = partial(Pairer.load, team.bundle, pairer.expected)
    with Progress(console=notices, transient=True, disable=not notices.is_terminal) as bar:
        task = bar.add_task("pairs", total=None)
        answered = pairer.all_against_all(
            shelf,
            out,
            least=least,
            tell=lambda done, total: bar.update(task, completed=done, total=total),
            over=spread(team.cluster, partial(meeting, load, shelf, least)),
        )
    pairs = counted(answered, "pair was", "pairs were")
    paragraph(screen, f"{pairs} answered now, of {counted(len(proteins), 'protein')}.")
    found = best_pairs(out, 50 * SHOWN)
    for row in found[:SHOWN]:
        told = f"{row['a']} with {row['b']}: {row['score']:.3f} ({row['low']:.3f} to {row['high']:.3f})"
        paragraph(screen, told)
    return found


def _proteins(source: str, refused: list[InputError]) -> Iterator[Protein]:
    from anfinsen.reading.readers import read_proteins

    for record in read_proteins(source):
        if isinstance(record, InputError):
            refused.append(record)
        else:
            yield record
