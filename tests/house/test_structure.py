"""The plan of the house, as tests: who may import whom, no circles, and files that are still one thought."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HOUSE = ROOT / "src" / "anfinsen"
DOOR = "anfinsen"

FLOORS = {
    "errors": 0,
    "config": 1,
    "registry": 1,
    "runtime": 1,
    "limits": 1,
    "intake": 1,
    "sandbox": 1,
    "wording": 1,
    "structure": 1,
    "drug": 2,
    "models": 2,
    "distributed": 2,
    "data": 3,
    "reading": 4,
    "kinship": 5,
    "tables": 6,
    "sets": 7,
    "targets": 8,
    "tasks": 9,
    "hub": 10,
    "training": 11,
    "inference": 11,
    "explain": 12,
    "bench": 12,
    "drawing": 13,
    "report": 13,
    "serve": 13,
    "workshop": 13,
    "learn": 13,
    "cli": 14,
    "__main__": 15,
    DOOR: 15,
}
"""How high each room stands; a room imports from its own floor and from below."""

NEVER = {(room, "models") for room in ("data", "reading", "kinship", "tables", "sets")} | {("serve", "training")}
"""Downward, and wrong all the same: readers know no network, and a server trains in a process of its own."""

FORBIDDEN_NAMES = {
    "util",
    "utils",
    "common",
    "helper",
    "helpers",
    "misc",
    "core",
    "base_utils",
    "new",
    "old",
    "v2",
    "temp",
}
LONG, TOO_LONG = 400, 600
FUNCTION, CONSTRUCTOR = 60, 40

Function = ast.FunctionDef | ast.AsyncFunctionDef


def files() -> list[Path]:
    return sorted(HOUSE.rglob("*.py"))


def label(path: Path) -> str:
    return str(path.relative_to(HOUSE))


def module_of(path: Path) -> str:
    parts = path.relative_to(HOUSE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def room_of(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else DOOR


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imported_names(node: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and dotted name of everything imported below `node`; what only type checkers read is left out."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from ((child.lineno, alias.name) for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            yield from ((child.lineno, f"{child.module}.{alias.name}") for alias in child.names)
        elif isinstance(child, ast.If) and ast.unparse(child.test).endswith("TYPE_CHECKING"):
            for other in child.orelse:
                yield from imported_names(other)
        else:
            yield from imported_names(child)


@cache
def house_imports(path: Path) -> dict[str, int]:
    """The house's own modules that a file imports, each with the line."""
    modules = {module_of(other) for other in files()}
    found: dict[str, int] = {}
    for line, name in imported_names(tree(path)):
        if name.split(".")[0] != DOOR or name == f"{DOOR}.__version__":
            continue
        found.setdefault(name if name in modules else name.rpartition(".")[0] or name, line)
    return found


def functions(path: Path) -> Iterator[Function]:
    return (node for node in ast.walk(tree(path)) if isinstance(node, Function))


def code_words(path: Path) -> Iterator[tuple[int, str]]:
    """Names and texts in the code of a file, without its docstrings."""
    said = {id(node.value) for node in ast.walk(tree(path)) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Attribute):
            yield node.lineno, node.attr
        elif isinstance(node, ast.Name):
            yield node.lineno, node.id
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in said:
            yield node.lineno, node.value


def test_every_room_has_a_floor() -> None:
    rooms = {room_of(module_of(path)) for path in files()}
    assert rooms <= set(FLOORS), f"Give these a floor in FLOORS: {sorted(rooms - set(FLOORS))}."


def test_imports_go_down_or_sideways() -> None:
    wrong = [
        f"{label(path)}:{line} imports {module}, which stands higher"
        for path in files()
        for module, line in house_imports(path).items()
        if FLOORS[room_of(module)] > FLOORS[room_of(module_of(path))]
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(("room", "other"), sorted(NEVER))
def test_some_rooms_never_meet(room: str, other: str) -> None:
    wrong = [
        f"{label(path)}:{line} imports {module}"
        for path in files()
        if room_of(module_of(path)) == room
        for module, line in house_imports(path).items()
        if room_of(module) == other
    ]
    assert not wrong, "\n".join(wrong)


def test_no_files_import_each_other_in_a_circle() -> None:
    graph = {module_of(path): list(house_imports(path)) for path in files()}
    assert circle(graph) == []


def circle(graph: dict[str, list[str]]) -> list[str]:
    """The first circle of a graph, or nothing."""
    done: set[str] = set()

    def walk(module: str, way: list[str]) -> list[str]:
        if module in way:
            return [*way[way.index(module) :], module]
        if module in done:
            return []
        for other in graph.get(module, []):
            if found := walk(other, [*way, module]):
                return found
        done.add(module)
        return []

    return next((found for module in graph if (found := walk(module, []))), [])


def test_a_circle_would_be_found() -> None:
    assert circle({"a": ["b"], "b": ["c"], "c": ["b"]}) == ["b", "c", "b"]
    assert circle({"a": ["b", "c"], "b": ["c"], "c": []}) == []


def test_only_runtime_asks_for_an_accelerator() -> None:
    words = ("cuda", "nccl", "local_rank", "world_size")
    wrong = [
        f"{label(path)}:{line} says {word!r}"
        for path in files()
        if room_of(module_of(path)) not in ("runtime", "distributed")
        for line, word in code_words(path)
        if any(part in word.lower() for part in words)
    ]
    assert not wrong, "\n".join(wrong)


def test_files_are_one_thought() -> None:
    """A file of more than 400 lines opens with the reason ('Long because ...'); none has more than 600."""
    wrong = []
    for path in files():
        lines = len(path.read_text(encoding="utf-8").splitlines())
        reason = "Long because" in (ast.get_docstring(tree(path)) or "")
        if lines > TOO_LONG or (lines > LONG and not reason):
            wrong.append(f"{label(path)} has {lines} lines")
    assert not wrong, "\n".join(wrong)


def test_functions_fit_on_a_screen() -> None:
    wrong = []
    for path in files():
        for function in functions(path):
            lines = (function.end_lineno or function.lineno) - function.lineno + 1
            if lines > (CONSTRUCTOR if function.name == "__init__" else FUNCTION):
                wrong.append(f"{label(path)}:{function.lineno} {function.name} has {lines} lines")
    assert not wrong, "\n".join(wrong)


def test_rooms_are_one_floor_deep_and_hold_more_than_one_file() -> None:
    rooms: dict[Path, int] = {}
    for path in files():
        folder = path.parent.relative_to(HOUSE)
        rooms[folder] = rooms.get(folder, 0) + (path.name != "__init__.py")
    deep = [str(folder) for folder in rooms if len(folder.parts) > 1]
    lonely = [str(folder) for folder, count in rooms.items() if count < 2]
    assert (deep, lonely) == ([], []), "(folders within folders, folders with fewer than two files)"


def test_names_are_nouns_of_the_field() -> None:
    names = {path.stem.lower() for path in files()} | {path.parent.name.lower() for path in files()}
    assert names & FORBIDDEN_NAMES == set()
