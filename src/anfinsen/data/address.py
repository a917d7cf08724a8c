"""Files at an address: in a folder of this machine, or in a store that fsspec reads, such as 's3://bucket/corpus'.

Parts of a file are read where they lie. A whole file from elsewhere is fetched once, into a cache, under the name of
its hash; whether it is whole is for the caller to find out. Knows nothing of what the files hold.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, NamedTuple, Self

from anfinsen.errors import AnfinsenError, MissingExtraError, UsageError

CACHE = "ANFINSEN_CACHE"
"""Variable with the folder for files from elsewhere; '.cache/anfinsen' in the home folder if it is not set."""


def cache_folder() -> Path:
    """Where this machine keeps what it need not fetch or compute twice."""
    return Path(os.environ.get(CACHE) or Path.home() / ".cache" / "anfinsen")


class Address(NamedTuple):
    """A folder, here or elsewhere."""

    name: str
    """As it was given."""
    store: Any
    """fsspec's file system."""
    root: str
    """The folder's path in the store."""
    is_local: bool
    cache: Path

    @classmethod
    def find(cls, name: str, cache: Path | None = None) -> Self:
        """The folder of that name; nothing is read yet."""
        from fsspec.core import url_to_fs
        from fsspec.implementations.local import LocalFileSystem

        scheme = name.partition("://")[0]
        try:
            store, root = url_to_fs(name)
        except ImportError:
            raise MissingExtraError("s3fs" if scheme == "s3" else f"fsspec[{scheme}]", "s3") from None
        except ValueError:
            raise UsageError(
                f"'{name}' is no address that can be read.", remedy="Give a folder, or one such as s3://bucket/folder."
            ) from None
        return cls(name, store, str(root), isinstance(store, LocalFileSystem), cache or cache_folder())

    def size(self, file: str) -> int:
        """Bytes of a file, 0 where there is none."""
        try:
            return int(self.store.size(f"{self.root}/{file}"))
        except FileNotFoundError:
            return 0

    def read(self, file: str, begin: int | None = None, end: int | None = None) -> bytes:
        """The bytes of a file, or some of them; raises FileNotFoundError where there is none."""
        return bytes(self.store.cat_file(f"{self.root}/{file}", start=begin, end=end))

    def fetched(self, file: str, sha256: str, size: int) -> Path:
        """A file as one of this machine; `sha256` names it in the cache."""
        if self.is_local:
            return Path(self.root) / file
        path = self.cache / f"{sha256}{Path(file).suffix}"
        if not path.exists() or path.stat().st_size != size:
            self.cache.mkdir(parents=True, exist_ok=True)
            beside = path.with_name(f".fetching-{os.getpid()}-{path.name}")
            try:
                self.store.get_file(f"{self.root}/{file}", str(beside))
            except OSError as error:
                raise AnfinsenError(
                    f"'{file}' could not be fetched from '{self.name}': {error}.",
                    remedy="Try again when the store can be reached; what was fetched before is kept.",
                ) from None
            beside.replace(path)
        return path

    def forget(self, path: Path) -> None:
        """Take a fetched file that turned out to be damaged out of the cache; a file of the user's own stays."""
        if not self.is_local:
            path.unlink(missing_ok=True)
