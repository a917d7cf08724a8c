"""Bundles on a model hub: the only file that speaks to one.

    push(folder, "you/name")                ->  "you/name@3f2a...": the commit by which anybody gets this very model
    pull("you/name@3f2a...", folder)        ->  the same folder, hashes checked

Only the files of a bundle travel, by name: arrays as safetensors, words as JSON and Markdown. Whatever else lies in a
folder or a repository stays there, so that nothing that could run code is ever fetched. A folder is checked before it
goes and again before it is put in its place. What is pulled without a commit is pinned to the newest, which is told.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, Self

import httpx2
from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, constants, hf_hub_download
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalTokenNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from anfinsen import __version__
from anfinsen.errors import BundleError, UsageError
from anfinsen.hub.bundle import FILES, Bundle

# a hub hears what is asked for, and nothing about what else is installed here
constants.HF_HUB_DISABLE_TELEMETRY = True

WORDS = ("bundle.json", "README.md")
"""What belongs to every bundle beside its arrays."""
_COMMIT = re.compile(r"[0-9a-f]{40}")
_LOG_IN = "Log in with `hf auth login`, or set HF_TOKEN."


class Address(NamedTuple):
    """A repository of a hub and, where it is known, one commit of it."""

    repository: str
    revision: str = ""

    @classmethod
    def read(cls, text: str) -> Self:
        """An address as a person writes it.

        >>> Address.read("lab/tm-model@main")
        Address(repository='lab/tm-model', revision='main')
        """
        repository, at, revision = text.strip().removeprefix("https://huggingface.co/").partition("@")
        if not re.fullmatch(r"[\w.-]+/[\w.-]+", repository) or (at and not revision):
            raise UsageError(
                f"'{text}' is no address of a model.",
                remedy="Write owner/name, or owner/name@commit for one commit.",
            )
        return cls(repository, revision)

    @property
    def is_pinned(self) -> bool:
        """Whether it can mean one model only."""
        return _COMMIT.fullmatch(self.revision) is not None

    def __str__(self) -> str:
        return f"{self.repository}@{self.revision}" if self.revision else self.repository


def push(folder: str | Path, address: str | Address, *, private: bool = False, endpoint: str | None = None) -> Address:
    """Put a bundle on the hub as one commit, and return the address that pins it.

    The repository is made where there is none. Files of an older bundle that this one does not have are taken out.
    """
    folder, address = Path(folder), Address.read(str(address))
    name = Bundle.load(folder).name
    files = [file for file in (*FILES, *WORDS) if (folder / file).is_file()]
    api = HfApi(endpoint=endpoint, library_name="anfinsen", library_version=__version__)
    with _spoken_to(address):
        api.create_repo(address.repository, private=private, exist_ok=True)
        there = set(api.list_repo_files(address.repository))
        add = [CommitOperationAdd(file, folder / file) for file in files]
        drop = [CommitOperationDelete(file) for file in sorted(there & {*FILES, *WORDS} - set(files))]
        made = api.create_commit(address.repository, [*add, *drop], commit_message=f"{name}, by Anfinsen {__version__}")
    return Address(address.repository, made.oid)


def pull(address: str | Address, folder: str | Path, *, endpoint: str | None = None) -> Address:
    """Get a bundle from the hub into `folder`, and return the address that pins it; nothing is left half there."""
    folder, address = Path(folder), Address.read(str(address))
    if folder.exists() and any(folder.iterdir()):
        raise UsageError(f"'{folder}' is not empty.", remedy="Give a new folder with --out.")
    api = HfApi(endpoint=endpoint, library_name="anfinsen", library_version=__version__)
    beside = folder.with_name(f".pulling-{folder.name}")
    shutil.rmtree(beside, ignore_errors=True)
    try:
        with _spoken_to(address):
            found = api.model_info(address.repository, revision=address.revision or None)
            there = {one.rfilename for one in found.siblings or ()}
            if "bundle.json" not in there:
                raise BundleError(
                    f"'{address}' is no bundle: it has no bundle.json.", remedy="Give a model that Anfinsen has made."
                )
            pinned = Address(address.repository, str(found.sha))
            for file in sorted(there & {*FILES, *WORDS}):
                hf_hub_download(
                    address.repository, file, revision=pinned.revision, local_dir=beside, endpoint=endpoint,
                    library_name="anfinsen", library_version=__version__,
                )  # fmt: skip
        shutil.rmtree(beside / ".cache", ignore_errors=True)
        Bundle.load(beside)
        folder.parent.mkdir(parents=True, exist_ok=True)
        if folder.exists():
            folder.rmdir()
        beside.rename(folder)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return pinned


@contextmanager
def _spoken_to(address: Address) -> Iterator[None]:
    """What a hub may answer, in words."""
    try:
        yield
    except OfflineModeIsEnabled:
        raise BundleError("HF_HUB_OFFLINE is set, so no hub is asked.", remedy="Unset it, or use a folder.") from None
    except LocalTokenNotFoundError:
        raise BundleError(f"The hub does not know who asks for '{address}'.", remedy=_LOG_IN) from None
    except GatedRepoError:
        raise BundleError(
            f"The owner of '{address.repository}' lets in whom he knows.", remedy="Ask for access on its page."
        ) from None
    except RevisionNotFoundError:
        raise BundleError(
            f"'{address.repository}' has no commit '{address.revision}'.", remedy="Leave @... out for the newest."
        ) from None
    except RepositoryNotFoundError:
        raise BundleError(
            f"There is no model '{address.repository}', or it is private.", remedy=f"Check the name. {_LOG_IN}"
        ) from None
    except HFValidationError as error:
        raise UsageError(f"'{address}' is no address of a model: {error}.", remedy="Write owner/name.") from None
    except HfHubHTTPError as error:
        status = error.response.status_code
        remedy = _LOG_IN if status in (401, 403) else "Try again later."
        raise BundleError(f"The hub answered {status} about '{address}'.", remedy=remedy) from None
    except RuntimeError as error:  # so the client reports that a file did not get through
        raise BundleError(f"{error} Nothing was changed there.", remedy="Try again.") from None
    except httpx2.HTTPError as error:
        raise BundleError(
            f"The hub could not be reached: {error or type(error).__name__}.",
            remedy="Look at the network, and try again; nothing was changed here.",
        ) from None
