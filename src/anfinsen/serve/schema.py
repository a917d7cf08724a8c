"""The OpenAPI page, completed from the menu: names of tasks and conditions, and the shape of every task's answer.

What a static type cannot say stands here once, so that a new task file appears in it by itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Menu = Mapping[str, Mapping[str, Any]]


def complete(schema: dict[str, Any], menu: Menu) -> dict[str, Any]:
    """The same page with what the menu knows."""
    parts = schema["components"]["schemas"]
    parts["Question"]["properties"]["tasks"]["items"] = {"type": "string", "enum": sorted(menu)}
    conditions = {one["name"]: _condition(one) for entry in menu.values() for one in entry["conditions"]}
    for name in ("Question", "TaskQuestion", "Chain"):
        parts[name]["properties"]["conditions"] |= {"properties": conditions, "additionalProperties": False}
    for name, entry in menu.items():
        parts[called(name)] = entry["answer"]
    answers = parts["Prediction"]["properties"]["answers"]
    answers |= {
        "properties": {name: {"$ref": f"#/components/schemas/{called(name)}"} for name in menu},
        "additionalProperties": False,
    }
    _link(schema["paths"])
    return schema


def _link(paths: dict[str, Any]) -> None:
    """What can be asked next of a job or a training that was just begun, for programs that follow links."""
    for start, methods in paths.items():
        about = [one for path in paths if f"{path}/".startswith(f"{start}/{{id}}/") for one in paths[path].values()]
        if "post" in methods and about:
            (begun,) = (told for status, told in methods["post"]["responses"].items() if status.startswith("2"))
            begun["links"] = {
                one["operationId"]: {"operationId": one["operationId"], "parameters": {"id": "$response.body#/id"}}
                for one in about
            }


def called(task: str) -> str:
    """What the answer of a task is called among the types.

    >>> called("secondary-structure")
    'SecondaryStructureAnswer'
    """
    return "".join(word.capitalize() for word in task.replace("_", "-").split("-")) + "Answer"


def _condition(one: Mapping[str, Any]) -> dict[str, Any]:
    unit = f" In {one['unit']}." if one["unit"] else ""
    return {"type": "number", "description": f"{one['meaning']}{unit}"}
