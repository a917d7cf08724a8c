"""Nothing that is read may run code: no pickle, no eval, no code that comes along with a model.

Why so strict: CVE-2025-32434 (torch.load), CVE-2026-4372 and CVE-2026-5241 (a model's config.json).
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("src", "scripts", "examples", "recipes", "benchmarks")

MODULES = {"pickle", "_pickle", "cloudpickle", "dill", "joblib", "jsonpickle", "marshal", "shelve", "pandas"}
"""pandas is harmless in itself, but reads pickles by `read_pickle` and 'NA' as nothing; tables are read by polars."""
CALLS = {
    "eval": "runs what it reads",
    "exec": "runs what it reads",
    "compile": "runs what it reads",
    "torch.load": "unpickles",
    "torch.save": "pickles",
    "torch.hub.load": "runs what it fetches",
    "yaml.load": "builds any object",
    "yaml.unsafe_load": "builds any object",
    "yaml.full_load": "builds any object",
    "os.system": "runs a shell",
}


def faults(source: str) -> Iterator[str]:
    """Everything in a file's code that could run what it reads, as 'line: what'."""
    tree = ast.parse(source)
    aliases = dict(_aliases(tree))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
            yield from (f"{node.lineno}: imports {name}" for name in names if name.split(".")[0] in MODULES)
        elif isinstance(node, ast.FunctionDef) and node.name in ("__reduce__", "__reduce_ex__", "__setstate__"):
            yield f"{node.lineno}: defines {node.name}, which only pickle asks for"
        elif isinstance(node, ast.Call):
            yield from _call_faults(node, aliases)


def _aliases(tree: ast.Module) -> Iterator[tuple[str, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.asname or alias.name.split(".")[0], alias.name if alias.asname else alias.name.split(".")[0]
        elif isinstance(node, ast.ImportFrom):
            yield from ((alias.asname or alias.name, f"{node.module}.{alias.name}") for alias in node.names)


def _call_faults(call: ast.Call, aliases: dict[str, str]) -> Iterator[str]:
    first, dot, rest = ast.unparse(call.func).partition(".")
    name = aliases.get(first, first) + dot + rest
    flags = {flag.arg: ast.unparse(flag.value) for flag in call.keywords}
    if name in CALLS:
        yield f"{call.lineno}: {name} {CALLS[name]}"
    for flag in ("allow_pickle", "trust_remote_code", "shell"):
        if flags.get(flag, "False") != "False":
            yield f"{call.lineno}: {name} with {flag}={flags[flag]}"
    is_model = name.endswith(".from_pretrained") and not name.endswith(
        ("Tokenizer.from_pretrained", "Config.from_pretrained")
    )
    if is_model and name.startswith("transformers.") and flags.get("use_safetensors") != "True":
        yield f"{call.lineno}: {name} without use_safetensors=True"


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        ("import pickle", "1: imports pickle"),
        ("from joblib import load", "1: imports joblib"),
        ("import torch\ntorch.load('a.pt', weights_only=True)", "2: torch.load unpickles"),
        ("from torch import load as read\nread('a.pt')", "2: torch.load unpickles"),
        ("import torch as t\nt.save({}, 'a.pt')", "2: torch.save pickles"),
        ("import numpy as np\nnp.load('a.npy', allow_pickle=True)", "2: numpy.load with allow_pickle=True"),
        ("eval('1 + 1')", "1: eval runs what it reads"),
        ("import yaml\nyaml.load(text)", "2: yaml.load builds any object"),
        (
            "from transformers import AutoModel\nAutoModel.from_pretrained(name)",
            "2: transformers.AutoModel.from_pretrained without use_safetensors=True",
        ),
        (
            "from transformers import AutoConfig\nAutoConfig.from_pretrained(name, trust_remote_code=asked)",
            "2: transformers.AutoConfig.from_pretrained with trust_remote_code=asked",
        ),
        ("class A:\n    def __reduce__(self): ...", "2: defines __reduce__, which only pickle asks for"),
    ],
)
def test_each_danger_would_be_found(source: str, fault: str) -> None:
    assert list(faults(source)) == [fault]


@pytest.mark.parametrize(
    "source", ["network.eval()", "import numpy\nnumpy.load('a.npy', allow_pickle=False)", "re.compile('a')"]
)
def test_harmless_code_is_left_alone(source: str) -> None:
    assert list(faults(source)) == []


def test_no_code_of_ours_runs_what_it_reads() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{fault}"
        for folder in FOLDERS
        for path in sorted((ROOT / folder).rglob("*.py"))
        for fault in faults(path.read_text(encoding="utf-8"))
    ]
    assert not wrong, "\n".join(wrong)
