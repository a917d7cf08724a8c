"""Checkpoints that are whole or absent: written beside, hashed, renamed, manifest last; no pickle anywhere.

    run/checkpoints/step-00000120/
        tensors.safetensors    weights, moving averages, optimiser moments, random streams
        state.json             step, place in the stream, best score, everything that is no tensor
        manifest.json          SHA-256 of the two; a folder without it is no checkpoint

`newest` returns the newest checkpoint whose hashes hold and says which damaged ones it passed over. Whatever moment a
power cut or a `kill -9` chooses, at most the work since the last save is lost.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file
from torch import Tensor

from anfinsen.errors import CheckpointError
from anfinsen.hub.body import file_hash

TENSORS, STATE, MANIFEST = "tensors.safetensors", "state.json", "manifest.json"


def save(folder: Path, step: int, tensors: Mapping[str, Tensor], state: Mapping[str, Any], *, keep: int = 2) -> Path:
    """Write the checkpoint of `step` and forget all but the newest `keep`."""
    folder.mkdir(parents=True, exist_ok=True)
    final = folder / f"step-{step:08d}"
    beside = folder / f".writing-{final.name}"
    for torn in folder.glob(".writing-*"):  # what a kill has left behind
        shutil.rmtree(torn, ignore_errors=True)
    beside.mkdir()
    save_file({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, beside / TENSORS)
    (beside / STATE).write_text(json.dumps(state, indent=1), encoding="utf-8")
    hashes = {name: file_hash(beside / name) for name in (TENSORS, STATE)}
    for name in hashes:
        _flush(beside / name)
    (beside / MANIFEST).write_text(json.dumps(hashes, indent=1), encoding="utf-8")
    _flush(beside / MANIFEST)
    shutil.rmtree(final, ignore_errors=True)
    beside.rename(final)
    _flush_names(folder)
    steps = sorted(folder.glob("step-*"))
    # later ones are of a future that was damaged and passed over
    for other in [path for path in steps if path > final] + [path for path in steps if path <= final][:-keep]:
        shutil.rmtree(other, ignore_errors=True)
    return final


def load(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and state of one checkpoint, after its hashes have been checked."""
    for name in (MANIFEST, TENSORS, STATE):
        if not (path / name).is_file():
            raise _refusal(f"{path.name} is incomplete: {name} is missing.")
    try:
        hashes = json.loads((path / MANIFEST).read_bytes())
        expected = {name: hashes[name] for name in (TENSORS, STATE)}
    except (ValueError, KeyError, TypeError):
        raise _refusal(f"{path.name}/{MANIFEST} is damaged: it holds no hashes.") from None
    for name, sha256 in expected.items():
        if file_hash(path / name) != sha256:
            raise _refusal(f"{path.name}/{name} is damaged: its hash is not the one in {MANIFEST}.")
    return load_file(path / TENSORS), json.loads((path / STATE).read_bytes())


def newest(folder: Path) -> tuple[Path | None, list[str]]:
    """The newest whole checkpoint, or None, and a sentence for each damaged one that was passed over."""
    passed: list[str] = []
    for path in sorted(folder.glob("step-*"), reverse=True):
        try:
            load(path)
        except CheckpointError as error:
            passed.append(str(error))
        else:
            return path, passed
    return None, [*passed, "No whole checkpoint is left, so the training begins again."] if passed else []


def flatten_optimizer(state: Mapping[str, Any], name: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """An optimiser's `state_dict` as named tensors and as JSON."""
    tensors: dict[str, Tensor] = {}
    plain: dict[str, Any] = {}
    for index, moments in state["state"].items():
        for key, value in moments.items():
            if isinstance(value, Tensor):
                tensors[f"{name}.{index}.{key}"] = value
            else:
                plain[f"{index}.{key}"] = value
    return tensors, {"plain": plain, "groups": state["param_groups"]}


def unflatten_optimizer(name: str, tensors: Mapping[str, Tensor], saved: Mapping[str, Any]) -> dict[str, Any]:
    """The `state_dict` that was flattened."""
    state: dict[int, dict[str, Any]] = {}
    found: dict[str, Any] = {
        key[len(name) + 1 :]: value for key, value in tensors.items() if key.startswith(f"{name}.")
    }
    for key, value in {**found, **saved["plain"]}.items():
        index, moment = key.split(".", 1)
        state.setdefault(int(index), {})[moment] = value
    groups = [{**group, "betas": tuple(group["betas"])} if "betas" in group else group for group in saved["groups"]]
    return {"state": state, "param_groups": groups}


def _refusal(reason: str) -> CheckpointError:
    return CheckpointError(reason, remedy="Delete that folder; the checkpoint before it is used.")


def _flush(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _flush_names(folder: Path) -> None:
    """A new name survives a power cut only when its folder is on the disk too; Windows does this by itself."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
