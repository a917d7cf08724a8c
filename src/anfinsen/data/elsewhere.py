"""Files and folders in a store that fsspec reads and writes: 's3://bucket/run', 'gs://...', 'memory://...'.

    fetched         a file, once, into the cache           fetched_folder  a folder whose manifest vouches for its files
    put             a file, whole or not at all            put_folder      its manifest goes last

In a folder the manifest (bundle.json of a bundle, manifest.json of a checkpoint) holds the hash of every other file. It
is deleted before and written after the others, and whatever is fetched is compared with it: so what is half-written,
half-fetched or mixed of two writings is never taken for whole. A store that is busy is asked again, a few times.

Object stores show a file when it is whole, so `put` is one upload; a local folder gets it by a rename.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

from anfinsen.data.address import Address
from anfinsen.errors import AnfinsenError

_SCHEME = re.compile(r"^([a-z][a-z0-9+.-]+):/{1,2}(?=[^/])|^(file|memory):/+")
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
    return f"{found[2]}:///{rest}" if found[2] == "file" else f"{found[1] or found[2]}://{rest}"


def fetched(name: str | Path, cache: Path | None = None) -> Path:
    """A file as one of this machine; fetched again only if it has changed."""
    text = address_of(name)
    if text is None:
        return Path(name)
    place = Address.find(text, cache)
    found = _patiently(text, lambda: place.store.info(place.root))
    kept = {key: str(found.get(key)) for key in ("size", "ETag", "mtime", "LastModified", "created")}
    key = hashlib.sha256(json.dumps([text, kept]).encode()).hexdigest()[:24]
    path = place.cache / "files" / key / Path(place.root).name
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(f".fetching-{path.name}")

        def fetch() -> None:
            place.store.get_file(place.root, str(beside))
            if beside.stat().st_size != found["size"]:
                raise OSError(f"{beside.stat().st_size:,} of {found['size']:,} bytes arrived")

        _patiently(text, fetch)
        beside.replace(path)
    return path


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
        folder.mkdir(parents=True, exist_ok=True)
        for file, sha256 in hashes.items():
            _patiently(text, lambda file=file, sha256=sha256: _fetch(place, file, sha256, folder))  # type: ignore[misc]
        (folder / manifest).write_bytes(told)  # last, as in the store
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
        beside = Path(place.root).with_name(f".writing-{Path(place.root).name}")
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
