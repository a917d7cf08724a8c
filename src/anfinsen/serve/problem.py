"""Errors as JSON: where, what came and what was expected, what to do next. Never a traceback.

The sentences are those of the errors themselves; a slip in the JSON is told by what pydantic found, in our words.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import Response
from starlette.exceptions import HTTPException

from anfinsen.errors import AnfinsenError, InputError, UnknownNameError, suggest
from anfinsen.reading.raw import printable
from anfinsen.serve.contract import Chain, Problem, Question, Refusal

_LARGEST_SHOWN = 80
_TAGS = {"body", "text", "list", "chain"}
_HTTP = {
    404: ("unknown_address", "There is nothing at this address.", "Look at /openapi.json for what there is."),
    405: ("method", "This address does not take this method.", "Look at /openapi.json for the methods it takes."),
}


class Refused(HTTPException):
    """An answer with a status of 400 or more, raised from anywhere in a request; the framework lets its kind pass."""

    def __init__(
        self,
        status: int,
        problem: Problem,
        *,
        refused: Sequence[Problem] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(status, problem.reason, dict(headers or {}))
        self.problem, self.refused = problem, tuple(refused)

    def response(self) -> Response:
        """The answer that is sent; in ASCII, since a stranger's text may hold half a character."""
        body = json.dumps(Refusal(error=self.problem, refused=self.refused).model_dump(exclude_none=True))
        return Response(body, self.status_code, self.headers, "application/json")


def refuse(
    status: int, code: str, where: str, reason: str, remedy: str, *, headers: Mapping[str, str] | None = None
) -> Refused:
    """A refusal in one call."""
    return Refused(status, Problem(code=code, where=where, reason=reason, remedy=remedy), headers=headers)


def of_record(error: InputError) -> Problem:
    """One refused record."""
    return Problem(
        code="input",
        where=error.place() or "sequences",
        reason=error.reason,
        remedy=error.remedy,
        row=error.row,
        position=error.position,
        record=error.record or None,
    )


def of_error(error: AnfinsenError, where: str = "the request") -> Refused:
    """Any refusal of the house, about the request as a whole."""
    if isinstance(error, InputError):
        return Refused(422, of_record(error))
    code = "unknown_name" if isinstance(error, UnknownNameError) else "usage"
    return refuse(422, code, where, error.reason, error.remedy or "Mend the request.")


def of_validation(errors: Sequence[Mapping[str, Any]]) -> Refused:
    """A body or an address that does not have the shape it should have: the first thing that is wrong."""
    found = errors[0]
    kind, place = str(found["type"]), [part for part in found["loc"] if part not in _TAGS]
    where = ".".join(str(part + 1) if isinstance(part, int) else printable(str(part)) for part in place) or "the body"
    if kind == "json_invalid":
        return refuse(
            400, "json", "the body", "The body is not valid JSON.", 'Send JSON, such as {"sequences": "..."}.'
        )
    if kind == "missing" and not place:
        return refuse(422, "shape", "the body", "The request has no body.", 'Send JSON, such as {"sequences": "..."}.')
    if kind == "missing":
        return refuse(422, "shape", where, f"'{place[-1]}' is missing.", f"Give '{place[-1]}'.")
    if kind == "extra_forbidden":
        known = Chain.model_fields if "chain" in found["loc"] else Question.model_fields
        name = printable(str(place[-1]))
        return refuse(422, "shape", where, f"There is no '{name}' in a request.", suggest(name, sorted(known)))
    expected = str(found["msg"]).removeprefix("Input should be ").rstrip(".")
    return refuse(
        422, "shape", where, f"{_shown(found.get('input'))} came; what was expected: {expected}.", f"Mend '{where}'."
    )


def of_http(status: int) -> Refused:
    """What the framework itself refuses."""
    code, reason, remedy = _HTTP.get(
        status, ("refused", f"{HTTPStatus(status).phrase}.", "Look at /openapi.json for what can be asked.")
    )
    return refuse(status, code, "the address", reason, remedy)


def fault() -> Refused:
    """A fault of ours; what it was stands in the server's log and is told to nobody else."""
    return refuse(500, "fault", "the server", "Something broke here that should not.", "Ask again; the log tells more.")


def _shown(value: object) -> str:
    """A stranger's value, short and on one line."""
    if isinstance(value, dict | list | tuple):
        return "An object" if isinstance(value, dict) else "A list"
    text = printable(repr(value)) if not isinstance(value, str) else f"'{printable(value)}'"
    return text[:_LARGEST_SHOWN]
