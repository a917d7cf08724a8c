"""Settings, said once: a frozen class whose attribute docstrings are the help texts.

The same class is read from TOML, from command-line flags and from JSON; an unknown key is answered
with the key that was probably meant. Nothing here knows what the settings are for.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from types import UnionType
from typing import Any, Self, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

from anfinsen.errors import ConfigError, suggest


class Config(BaseModel):
    """Base of every settings class: frozen, strict about names, documented by its attributes."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    @classmethod
    def build(cls, values: Mapping[str, Any], *, source: str = "the settings") -> Self:
        """Check `values` and make the configuration; `source` is named in the error."""
        for key, value in values.items():
            nested = _settings_class(cls.model_fields[key].annotation) if key in cls.model_fields else None
            if nested is not None and isinstance(value, Mapping):
                nested.build(value, source=f"{source}, {key}")
            if key not in cls.model_fields:
                raise ConfigError(
                    f"{source}: there is no setting '{key}'.", remedy=suggest(key, sorted(cls.model_fields))
                )
        try:
            return cls.model_validate(dict(values))
        except ValidationError as error:
            first = error.errors()[0]
            name = ".".join(str(part) for part in first["loc"])
            raise ConfigError(
                f"{source}: '{name}' came as {first.get('input')!r}: {first['msg'].lower()}."
                if name
                else f"{source}: {first['msg'].removeprefix('Value error, ')}.",
                remedy=cls.describe(name.split(".")[0]),
            ) from None

    @classmethod
    def from_toml(cls, path: str | Path, table: str = "") -> Self:
        """Read a TOML file, or one table of it."""
        values = read_toml(path)
        return cls.build(values.get(table, {}) if table else values, source=str(path))

    @classmethod
    def describe(cls, name: str) -> str:
        """The help text of one setting."""
        field = cls.model_fields.get(name)
        return f"{name}: {field.description}" if field and field.description else ""

    def replaced(self, **changes: Any) -> Self:
        """A copy with some settings changed, checked like any other."""
        return self.build({**self.model_dump(), **changes})


def _settings_class(annotation: object) -> type[Config] | None:
    """The settings class that a field holds, also where it may be left out."""
    for kind in get_args(annotation) if isinstance(annotation, UnionType) else (annotation,):
        if isinstance(kind, type) and issubclass(kind, Config):
            return kind
    return None


def read_toml(path: str | Path) -> dict[str, Any]:
    """Read a TOML file as a dictionary; errors name the file and the line."""
    try:
        return tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"There is no file '{path}'.", remedy="Give the path of a TOML file.") from None
    except (OSError, UnicodeDecodeError):
        raise ConfigError(f"'{path}' cannot be read as text.", remedy="Give the path of a TOML file.") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is not valid TOML: {error}.", remedy="Mend that line.") from None
