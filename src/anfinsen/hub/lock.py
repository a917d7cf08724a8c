"""The lock of a bundle: hashes of what made it, so that whoever opens it later can be told what has changed since.

    code models, code data, code tasks, code training    one hash for the source files of each room
    code version                                         the version of the package
    body                                                 the weights of the body, also of one that is only named

The hashes of data and split stand in the record of each task, the seed and all settings in the provenance.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from torch import nn

from anfinsen import __version__
from anfinsen.hub.body import body_hash

ROOMS = ("models", "data", "tasks", "training")
"""The rooms whose code decides what a model learns and answers."""
VERSION, BODY = "code version", "body"


def lock_of(body: nn.Module) -> dict[str, str]:
    """The lock of a bundle that is made now, with this body."""
    return {VERSION: __version__, **{f"code {room}": room_hash(room) for room in ROOMS}, BODY: body_hash(body)}


def room_hash(room: str) -> str:
    """SHA-256 of a room's source files, by name; how lines end does not count."""
    digest = hashlib.sha256()
    for path in sorted((Path(__file__).parents[1] / room).glob("*.py")):
        digest.update(f"{path.name}\n".encode() + path.read_bytes().replace(b"\r\n", b"\n"))
    return digest.hexdigest()


def changed_rooms(lock: dict[str, str]) -> list[str]:
    """The rooms whose code is another than when the lock was made."""
    return [room for room in ROOMS if lock.get(f"code {room}") != room_hash(room)]
