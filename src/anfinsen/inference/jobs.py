"""Large files: answers are written as they come, and a job that was stopped goes on without doing a protein twice.

    out/job.json            which model, tasks and file the folder belongs to
    out/predictions.jsonl   one protein a line, appended and flushed block by block

A line that was cut off by a kill is dropped and its protein is done again. Refused records do not stop the
others; they are counted and handed to the caller.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, islice
from pathlib import Path

from anfinsen.data.example import Example
from anfinsen.errors import InputError, UnknownNameError, UsageError
from anfinsen.inference.prediction import Prediction
from anfinsen.inference.predictor import Predictor
from anfinsen.inference.spread import Over, here
from anfinsen.reading.readers import Merged
from anfinsen.tasks import Task
from anfinsen.tasks.ask import blocks

ANSWERS, JOB = "predictions.jsonl", "job.json"

Record = Example | InputError | Merged


@dataclass
class JobResult:
    """What a job did."""

    answered: int = 0
    resumed: int = 0
    refused: list[InputError] = field(default_factory=list)
    merged: list[Merged] = field(default_factory=list)

    @property
    def exit_code(self) -> int:
        """0 all answered, 1 nothing could be done, 3 some records refused."""
        if not self.refused:
            return 0 if self.answered + self.resumed else 1
        return 3 if self.answered + self.resumed else 1


def run_job(
    records: Iterable[Record],
    predictor: Predictor,
    folder: Path,
    *,
    source: str = "",
    on_answer: Callable[[Prediction | None], None] = lambda prediction: None,
    over: Over[list[Example], list[Prediction]] | None = None,
) -> JobResult:
    """Answer every record into `folder`; `on_answer` is told each new prediction, None for an old one.

    `over` answers blocks elsewhere (see `spread`); here, one after the other, if it is left out.
    `source` names the file; a folder that holds answers about another file is refused, so that two are never mixed.
    """
    coming = iter(records)
    records = chain(list(islice(coming, 1)), coming)  # a source that cannot be read is told before a folder is claimed
    folder.mkdir(parents=True, exist_ok=True)
    _claim(folder, predictor, source)
    done = _finished(folder / ANSWERS)
    result = JobResult()

    def questions() -> Iterator[Example]:
        for record in records:
            if isinstance(record, InputError):
                result.refused.append(record)
            elif isinstance(record, Merged):
                result.merged.append(record)
            elif _key([(chain.id, chain.sha256) for chain in record.chains], record.conditions) in done:
                result.resumed += 1
                on_answer(None)
            else:
                yield record

    try:
        with (folder / ANSWERS).open("a", encoding="utf-8") as file:
            for _, predictions in (over or here(predicting(lambda: predictor)))(blocks(questions())):
                for prediction in predictions:
                    file.write(prediction.to_line())
                    file.flush()
                    result.answered += 1
                    on_answer(prediction)
    finally:
        if not done and not result.answered:
            (folder / JOB).unlink(missing_ok=True)  # nothing was answered, so the folder belongs to nobody
    return result


def predicting(load: Callable[[], Predictor]) -> Callable[[list[Example]], list[Prediction]]:
    """What a worker of a cluster answers blocks of `run_job` with: a predictor of its own."""
    predictor = load()
    return lambda block: list(predictor.predict(block))


def under_conditions(records: Iterable[Record], given: Sequence[str], tasks: Sequence[Task]) -> Iterator[Record]:
    """The records with conditions such as 'growth_temperature=37' for every protein that does not bring its own."""
    known = {condition.name for task in tasks for condition in task.conditions}
    conditions: dict[str, float] = {}
    for text in given:
        name, _, number = text.partition("=")
        if name not in known:
            raise UnknownNameError("condition", name, known)
        try:
            conditions[name] = float(number)
        except ValueError:
            raise UsageError(f"The condition '{text}' has no number.", remedy=f"Write it as {name}=37.") from None
    for record in records:
        yield replace(record, conditions={**conditions, **record.conditions}) if isinstance(record, Example) else record


def read_answers(folder: Path) -> Iterator[Prediction]:
    """All predictions of a finished job, in the order in which they were made."""
    with (folder / ANSWERS).open(encoding="utf-8") as file:
        for line in file:
            yield Prediction.from_json(json.loads(line))


def _key(chains: Sequence[tuple[str, str]], conditions: object) -> str:
    return json.dumps([chains, conditions], sort_keys=True, default=dict)


def _finished(path: Path) -> set[str]:
    """Keys of the proteins that are done; a torn last line is cut away."""
    if not path.exists():
        return set()
    keys, whole = set(), 0
    with path.open("rb") as file:
        for line in file:
            if not line.endswith(b"\n"):
                break
            answer = json.loads(line)
            chains = [answer, *([answer["partner"]] if "partner" in answer else [])]
            keys.add(_key([(chain["id"], chain["sha256"]) for chain in chains], answer.get("conditions", {})))
            whole += len(line)
    with path.open("r+b") as file:
        file.truncate(whole)
    return keys


def _claim(folder: Path, predictor: Predictor, source: str) -> None:
    """A folder holds the answers of one model to one set of tasks about one source."""
    mine = {
        "bundle": predictor.bundle.name,
        "sha256": predictor.bundle.sha256,
        "tasks": [task.name for task in predictor.tasks],
        "source": source,
    }
    if predictor.kin is not None:
        mine["relatives"] = predictor.kin.names
    path = folder / JOB
    try:
        theirs = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        theirs = mine
        beside = path.with_suffix(".writing")
        beside.write_text(json.dumps(mine, indent=1), encoding="utf-8")
        beside.replace(path)
    if theirs != mine:
        about = f" about {theirs['source']}" if theirs.get("source") else ""
        raise UsageError(
            f"'{folder}' already holds answers of {theirs['bundle']} to {', '.join(theirs['tasks'])}{about}.",
            remedy="Give another folder with --out, or delete that one.",
        )
