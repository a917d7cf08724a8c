"""Files and folders in a store that fsspec reads and writes: 's3://bucket/run', 'gs://...', 'memory://...'.

    fetched         a file, once, into the cache           fetched_folder  a folder whose manifest vouches for its files
    put             a file, whole or not at all            put_folder      its manifest goes last
    working_copy    what a job writes, brought before it and sent after it

In a folder the manifest (bundle.json of a bundle, manifest.json of a checkpoint) holds the hash of every other file. It
is deleted before and written after the others, and whatever is fetched is compared with it: so what is half-written,
half-fetched or mixed of two writings is never taken for whole. What arrives is written beside and renamed when it is
whole, so several processes may fetch at once. A store that is busy is asked again, a few times.

Object stores show a file when it is whole, so `put` is one upload; a local folder gets it by a rename.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, cast

from anfinsen.data.address import Address
from anfinsen.errors import AnfinsenError

_SCHEME = re.compile(r"^(file|memory):/+|^([a-z][a-z0-9+.-]+):/{1,2}(?=[^/])")
_TRIES, _PAUSE = 5, 0.2
"""How often a store is asked, and seconds before the second time; doubled each time after."""

Done = TypeVar("Done")
Source = TypeVar("Source")


def address_of(name: str | Path) -> str | None:
    """The address that a path stands for, None for a path of this machine; `Path` has eaten one of two strokes.

    >>> address_of(Path("s3://bucket/run")), address_of("runs/mine"), address_of(Path("C:/runs"))
    ('s3://bucket/run', None, None)
    """
    text = Path(name).as_posix() if isinstance(name, Path) else name
    found = _SCHEME.match(text)
    if found is None:
        return None
    rest = text[found.end() :]
    return f"file:///{rest}" if found[1] == "file" else f"{found[1] or found[2]}://{rest}"


def fetched(name: str | Path, cache: Path | None = None) -> Path:
    """A file as one of this machine; fetched again only if it has changed."""
    text = address_of(name)
    if text is None:
        return Path(name)
    place = Address.find(text, cache)
    found = _patiently(text, lambda: place.store.info(place.root))
    key = hashlib.sha256(json.dumps([text, _seal(found)]).encode()).hexdigest()[:24]
    path = place.cache / "files" / key / Path(place.root).name
    if not path.exists():
        _bring(text, place.store, found, path)
    return path


def _seal(found: dict[str, Any]) -> dict[str, str]:
    """What a store says of a file that changes whenever the file does."""
    return {key: str(found.get(key)) for key in ("size", "ETag", "mtime", "LastModified", "created")}


def _bring(name: str, store: Any, found: dict[str, Any], path: Path) -> None:
    """Fetch a file; it takes its place when it is whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".fetching-{os.getpid()}-{path.name}")

    def fetch() -> None:
        store.get_file(found["name"], str(beside))
        if beside.stat().st_size != found["size"]:
            raise OSError(f"{beside.stat().st_size:,} of {found['size']:,} bytes arrived")

    try:
        _patiently(name, fetch)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def at_hand(source: Source) -> Source:
    """A source of records, fetched if it is an address; a stream, a bare sequence or a path stays what it is."""
    is_address = isinstance(source, str | Path) and address_of(source) is not None
    return cast(Source, str(fetched(source))) if is_address else source  # type: ignore[arg-type]


def fetched_folder(name: str | Path, manifest: str, cache: Path | None = None) -> Path:
    """A folder as one of this machine, every file compared with the hash that its manifest has of it."""
    text = address_of(name)
    if text is None:
        return Path(name)
    place = Address.find(text, cache)
    place.store.invalidate_cache()
    told: bytes = _patiently(text, lambda: place.read(manifest))
    hashes = vouched(told)
    folder = place.cache / "folders" / hashlib.sha256(told).hexdigest()[:24] / Path(place.root).name
    if not (folder / manifest).exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".fetching-", dir=folder.parent) as name:
            beside = Path(name) / folder.name
            beside.mkdir()
            for file, sha256 in hashes.items():
                _patiently(text, lambda file=file, sha256=sha256: _fetch(place, file, sha256, beside))  # type: ignore[misc]
            (beside / manifest).write_bytes(told)
            with suppress(OSError):  # another process has fetched the same at the same time
                beside.rename(folder)
    return folder


def _fetch(place: Address, file: str, sha256: str, folder: Path) -> None:
    content = place.read(file)
    if hashlib.sha256(content).hexdigest() != sha256:
        raise OSError(f"'{file}' is not what the manifest says; it may be half-written")
    (folder / file).parent.mkdir(parents=True, exist_ok=True)
    (folder / file).write_bytes(content)


def put(path: Path, name: str | Path) -> None:
    """Write a file of this machine to an address."""
    text = address_of(name)
    if text is None:
        raise ValueError(f"'{name}' is no address")
    place = Address.find(text)
    if place.is_local:
        beside = Path(place.root).with_name(f".writing-{os.getpid()}-{Path(place.root).name}")
        beside.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, beside)
        beside.replace(place.root)
    else:
        _patiently(text, lambda: place.store.put_file(str(path), place.root))


def put_folder(folder: Path, name: str | Path, manifest: str) -> None:
    """Write a folder of this machine to an address, its manifest last."""
    text = address_of(name)
    if text is None:
        raise ValueError(f"'{name}' is no address")
    place = Address.find(text)
    if place.is_local:
        Path(place.root).mkdir(parents=True, exist_ok=True)
    if _patiently(text, lambda: place.store.exists(f"{place.root}/{manifest}")):
        _patiently(text, lambda: place.store.rm_file(f"{place.root}/{manifest}"))
    files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    for file in [file for file in files if file != manifest] + [manifest]:
        put(folder / file, f"{text.rstrip('/')}/{file}")


@contextmanager
def working_copy(out: Path) -> Iterator[Path]:
    """Where to write what is to be at `out`: there, or for an address in the cache, from where it is sent at the end.

    What is at the address comes here first, so that a job goes on from what another machine has done; what a killed job
    has left here is gone on with, unless somebody else has written there since. A table of refusals beside a file is
    sent with it.
    """
    text = address_of(out)
    if text is None:
        yield out
        return
    there = Address.find(text)
    local = there.cache / "out" / hashlib.sha256(text.encode()).hexdigest()[:24] / out.name
    ledger = local.with_name(f".{local.name}.json")
    seals = _seals(there)
    if seals != (json.loads(ledger.read_text(encoding="utf-8")) if ledger.exists() else {}):
        shutil.rmtree(local.parent, ignore_errors=True)
        for name in seals:
            found = _patiently(text, partial(there.store.info, f"{there.root}/{name}" if name else there.root))
            _bring(text, there.store, found, local / name)
        _write(ledger, json.dumps(seals))
    local.parent.mkdir(parents=True, exist_ok=True)
    yield local
    made = local.rglob("*") if local.is_dir() else local.parent.iterdir()
    above = text if local.is_dir() else text.rpartition("/")[0]
    for path in sorted(path for path in made if path.is_file() and not path.name.startswith(".")):
        put(path, f"{above}/{path.relative_to(local if local.is_dir() else local.parent).as_posix()}")
    _write(ledger, json.dumps(_seals(there)))


def _seals(place: Address) -> dict[str, dict[str, str]]:
    """The seal of each file at an address, by its name below it; of a single file the name is empty."""
    place.store.invalidate_cache()
    found: dict[str, Any] = _patiently(place.name, lambda: place.store.find(place.root, detail=True))
    return {str(path)[len(place.root) :].strip("/"): _seal(about) for path, about in sorted(found.items())}


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".writing-{os.getpid()}-{path.name}")
    beside.write_text(text, encoding="utf-8")
    beside.replace(path)


def folders(name: str | Path, manifest: str) -> list[str]:
    """The names of the folders at an address that have a manifest, in order."""
    text = address_of(name)
    if text is None:
        return sorted(path.parent.name for path in Path(name).glob(f"*/{manifest}"))
    place = Address.find(text)
    place.store.invalidate_cache()
    found: list[str] = _patiently(text, lambda: place.store.glob(f"{place.root}/*/{manifest}"))
    return sorted(Path(path).parent.name for path in found)


def forget(name: str | Path, manifest: str) -> None:
    """Delete a folder at an address, its manifest first."""
    text = address_of(name)
    if text is None:
        raise ValueError(f"'{name}' is no address")
    place = Address.find(text)
    _patiently(text, lambda: place.store.rm_file(f"{place.root}/{manifest}"))
    _patiently(text, lambda: place.store.rm(place.root, recursive=True))


def vouched(manifest: bytes) -> dict[str, str]:
    """The hash of each file that a manifest names, be it a bundle's or a checkpoint's."""
    try:
        values: dict[str, Any] = json.loads(manifest)
        hashes = values.get("hashes", values)
        return {str(name): str(sha256) for name, sha256 in hashes.items()}
    except (ValueError, AttributeError):
        raise AnfinsenError("A manifest is damaged: it holds no hashes.", remedy="Write the folder again.") from None


def _patiently(name: str, work: Callable[[], Done]) -> Done:
    """What `work` gives; a store that fails is asked again after a pause, what is not there is not asked for twice."""
    for attempt in range(_TRIES):
        try:
            return work()
        except FileNotFoundError:
            raise AnfinsenError(f"There is nothing whole at '{name}'.", remedy="Look at the address.") from None
        except PermissionError as error:
            raise AnfinsenError(f"'{name}' is closed: {error}.", remedy="Look at the rights of your account.") from None
        except OSError as error:
            reason = str(error)
            time.sleep(_PAUSE * 2**attempt)
    raise AnfinsenError(
        f"'{name}' could not be reached: {reason}.", remedy="Try again later; what arrived before is kept."
    )
