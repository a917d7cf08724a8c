"""A recipe: everything that decides a training, as one TOML file that can be read aloud."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field

from anfinsen.config import Config, read_toml
from anfinsen.errors import ConfigError
from anfinsen.models.adapters import AdapterConfig
from anfinsen.models.encoder import EncoderConfig
from anfinsen.tables.labelled import TableConfig
from anfinsen.training.engine import TrainConfig
from anfinsen.training.heat import Heat

Mode = Literal["frozen", "lora", "full"]


class Recipe(Config):
    """What `anfinsen train` does; `--set train.steps=500` changes any of it from the command line."""

    name: str = "my-model"
    """What the model is called."""
    tasks: tuple[str, ...] = ()
    """The tasks to learn; named on the command line if not here."""
    mode: Mode = "frozen"
    """frozen: only heads learn, each task by itself; lora: heads and small corrections of the body (adapters) learn all
    tasks together; full: body and heads learn all tasks together."""
    adapters: AdapterConfig = AdapterConfig()
    """In lora mode, the size of the corrections."""
    stages: tuple[Heat, ...] = ()
    """Heats to rise through instead of one mode, such as ["cold", "warm", "hot"]; each until it brings no more."""
    backbone: str = ""
    """Name or folder of a public checkpoint to use as the body: ESM-2, ProtBERT or ProtT5."""
    encoder: EncoderConfig | None = None
    """The shape of a new encoder; without it the bundle that is continued gives the body."""
    train: TrainConfig = TrainConfig()
    """The loop."""
    epochs: float | None = Field(None, gt=0)
    """Passes over the rows of a table of one's own; chosen from its size if left out."""
    table: TableConfig = TableConfig()
    """How a table of one's own is read, dealt and judged."""
    shares: dict[str, float] = {}
    """In full mode, the share of steps of each task; 1 where nothing is said."""
    task: dict[str, dict[str, Any]] = {}
    """Changes to a task's own settings, such as [task.masked] window = 256."""
    sweep: dict[str, Any] = {}
    """What `anfinsen sweep` may try: settings with choices or ranges, see recipes/sweep.toml; a training ignores it."""
    validate_on: int = 1000
    """At most so many validation proteins are looked at while training; 0 for none, and the last weights are kept."""

    @classmethod
    def read(cls, path: str | Path | None, changes: tuple[str, ...] = ()) -> Self:
        """A recipe from a TOML file (or the defaults) with `key=value` changes on top."""
        values = read_toml(path) if path is not None else {}
        for change in changes:
            _change(values, change)
        return cls.build(values, source=str(path or "the settings"))


def _change(values: dict[str, Any], change: str) -> None:
    """Apply one 'train.steps=500' to nested settings; TOML decides what the value is."""
    import tomllib

    key, equals, text = change.partition("=")
    if not equals:
        raise ConfigError(f"'{change}' is no setting.", remedy="Write it as key=value, for example train.steps=500.")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text
    *tables, name = key.strip().split(".")
    for table in tables:
        values = values.setdefault(table, {})
        if not isinstance(values, dict):
            raise ConfigError(f"'{change}': '{table}' is a single setting.", remedy="Say it once, as key=value.")
    values[name] = value
