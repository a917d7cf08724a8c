"""What is asked of the service and what it answers, as types; field texts are what the OpenAPI page shows.

Names of tasks and conditions and the shapes of answers are not written here: the menu knows them (see `schema`).
A prediction is exactly a line of predictions.jsonl.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag

State = Literal["queued", "running", "done", "failed", "cancelled"]
Conditions = dict[str, Annotated[float, Field(allow_inf_nan=False)]]


class Asked(BaseModel):
    """What a request holds; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class Told(BaseModel):
    """What an answer holds."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)


class Chain(Asked):
    """One protein by name."""

    id: str = ""
    """What it is called; left out, it is called by its place, such as 'query-3'."""
    sequence: str
    """Its residues in one-letter code."""
    description: str = ""
    """Anything else that is known about it; it is kept and shown."""
    conditions: Conditions = {}
    """Numbers that hold for this protein alone, such as {"growth_temperature": 37}; see /v1/tasks for their names."""
    partner: Chain | None = None
    """The second protein, where a task asks about pairs; which of the two comes first means nothing."""


def _form(value: object) -> str:
    return "text" if isinstance(value, str) else "list" if isinstance(value, list | tuple) else "chain"


Item = Annotated[
    Annotated[str, Tag("text")] | Annotated[Chain, Tag("chain")],
    Discriminator(
        _form, custom_error_type="sequence_form", custom_error_message="a sequence or an object was expected"
    ),
]
Sequences = Annotated[
    Annotated[str, Tag("text")] | Annotated[tuple[Item, ...], Tag("list")],
    Discriminator(_form, custom_error_type="sequences_form", custom_error_message="text or a list was expected"),
]


class Proteins(Asked):
    """Proteins to be looked at."""

    sequences: Sequences = Field(
        examples=[">ubiquitin\nMQIFVKTLTGKTITLEVEPSDTIENVKAKIQDKEGIPPDQQRLIFAGKQLEDGRTLSDYNIQKESTLHLVLRLRGG\n"]
    )
    """FASTA as one text (or one bare sequence), or a list of sequences or of {"id", "sequence"}."""


class TaskQuestion(Proteins):
    """Proteins, and under which conditions they are asked about."""

    conditions: Conditions = {}
    """Numbers for all proteins that do not bring their own, such as {"growth_temperature": 37}."""


class Question(TaskQuestion):
    """Proteins and what is asked about them: what `POST /v1/jobs` takes, and what remakes an answer."""

    tasks: tuple[str, ...] = ()
    """Names from /v1/tasks; left out, everything is asked that fits."""


class Problem(Told):
    """Why something is refused or failed, for people and for programs."""

    code: str
    """One word or two for a program, such as 'input' or 'too_large'; it stays the same between versions."""
    where: str
    """Which part of the request, or which record and position."""
    reason: str
    """What came and what was expected."""
    remedy: str
    """What to do next."""
    row: int | None = None
    """The record, counted from 1, where one is meant."""
    position: int | None = None
    """The residue, counted from 1, where one is meant."""
    record: str | None = None
    """The record's name, where one is meant."""


class Refusal(Told):
    """The body of every answer with a status of 400 or more."""

    error: Problem
    """What is wrong with the request as a whole, or the first thing that is."""
    refused: tuple[Problem, ...] = ()
    """The records that are refused, where no record was left."""


class Model(Told):
    """Who answers."""

    name: str
    """What the model is called."""
    sha256: str
    """Its fingerprint: the same fingerprint gives the same answers."""
    version: str
    """The version of Anfinsen."""


class Prediction(Told):
    """One protein, exactly as a line of predictions.jsonl holds it."""

    id: str
    """What the protein is called."""
    length: int
    """Its residues."""
    sha256: str
    """The hash of its residues."""
    answers: dict[str, Any]
    """One answer a task."""
    messages: list[dict[str, Any]]
    """What had to be mended and what must be minded, each with a level and a text."""
    sequence: str
    """The residues that were read."""


class Answered(Told):
    """Every protein that was answered, in the order asked, and what was not answered."""

    predictions: list[Prediction]
    """One a protein, exactly as in predictions.jsonl."""
    refused: tuple[Problem, ...]
    """Records that were refused, each with its place, reason and remedy."""
    merged: tuple[str, ...]
    """Records that were given twice and are answered once."""
    model: Model
    """Who answered."""


class Looked(Told):
    """One record that can be answered."""

    id: str
    """What it is called."""
    length: int
    """Its residues."""
    messages: tuple[dict[str, Any], ...]
    """What was mended and what must be minded."""


class Named(Told):
    """An entry of a public house that an id means."""

    id: str
    """Its id."""
    house: str
    """Who keeps it: UniProt, the PDB or AlphaFold DB."""
    host: str
    """The one host that is asked for it."""


class Checked(Told):
    """What would be asked; nothing has been computed."""

    accepted: tuple[Looked, ...] = ()
    """Records that can be answered."""
    residues: int = 0
    """Residues of all of them."""
    seconds: float = 0.0
    """About how long every question about them takes here, once it is their turn."""
    refused: tuple[Problem, ...] = ()
    """Records that are refused, each with its place, reason and remedy."""
    merged: tuple[str, ...] = ()
    """Records that stand there twice and are answered once."""
    entries: tuple[Named, ...] = ()
    """Where the text is ids and nothing else: what they mean. POST /v1/fetch gets them."""


class Links(Told):
    """Where the parts of a job are."""

    job: str
    """This status."""
    events: str
    """Progress as Server-Sent Events."""
    answers: str
    """predictions.jsonl, with what is answered so far."""
    report: str
    """The report: one HTML page that can be kept and mailed."""
    request: str
    """The request that remakes all of it."""
    page: str
    """The job in the browser."""


class Job(Told):
    """How a job stands."""

    id: str
    """128 random bits: who knows the address may read the job."""
    state: State
    """queued, running, done, failed or cancelled."""
    sentence: str
    """The same in words."""
    asked: int
    """Proteins that are or were to be answered."""
    answered: int
    """Proteins that are answered."""
    refused: tuple[Problem, ...]
    """Records that were refused or could not be answered."""
    merged: tuple[str, ...]
    """Records that were given twice and are answered once."""
    tasks: tuple[str, ...]
    """What is asked."""
    model: Model
    """Who answers."""
    created: str
    """When it was asked, in UTC."""
    started: str | None
    """When the first protein was taken up."""
    finished: str | None
    """When it ended."""
    kept_until: str
    """When it is forgotten, unless the room on the disk ends before."""
    links: Links
    """Where its parts are."""


class Key(Asked):
    """What opens a session in a browser."""

    token: str = Field(max_length=1_000)
    """The token that the server printed when it started."""


class Health(Told):
    """Whether the service is well; asks for no token and tells nothing about anybody."""

    status: Literal["ready", "starting"]
    """'ready' where a model is loaded; 'starting' while the process that computes is being started again."""
    waiting: int
    """Jobs that wait or run."""
    restarts: int
    """How often the process that computes had to be started again."""
    version: str
    """The version of Anfinsen."""


class Limit(Told):
    """One limit."""

    name: str
    """What it is called in the file of limits."""
    value: float
    """The limit itself."""
    meaning: str
    """What is limited, and why."""
