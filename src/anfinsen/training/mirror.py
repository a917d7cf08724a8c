"""A run whose folder lies in a store: trained in a folder of this machine, every checkpoint copied as it is made.

    s3://bucket/run  ->  what is whole there comes here  ->  training  ->  checkpoints and the bundle go there

So a machine that is taken back costs what was learnt since the last checkpoint: the same command on another machine
goes on from the store. Of checkpoints, as here, the newest two are kept.
"""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

from anfinsen.data.address import Address
from anfinsen.data.elsewhere import address_of, fetched_folder, folders, forget, put, put_folder
from anfinsen.distributed.strategy import Strategy
from anfinsen.training.checkpoint import MANIFEST
from anfinsen.training.events import Record

BUNDLE, BUNDLE_MANIFEST = "bundle", "bundle.json"
_CHECKPOINTS, _EVENTS = "checkpoints", "events.jsonl"
_KEPT = 2


class Mirror:
    """Use it as a context around a run in `folder`; it is also a watcher, told every step's record.

    Of several processes each has a folder of its own, for they may be on several machines; the first one sends.
    """

    def __init__(self, out: str | Path, cache: Path | None = None, *, strategy: Strategy | None = None) -> None:
        self.address = address_of(out)
        self.folder = Path(out)
        self.strategy = strategy or Strategy()
        self._sent: set[str] = set()
        if self.address is not None:
            key = hashlib.sha256(self.address.encode()).hexdigest()[:24]
            own = f"{key}-{self.strategy.rank}" if self.strategy.rank else key
            self.folder = Address.find(self.address, cache).cache / "runs" / own

    def __enter__(self) -> Mirror:
        """Bring what the store has and this machine has not."""
        if self.address is not None:
            if self.strategy.leads:
                self._bring()
                self._send()  # what was saved here and not sent when the run was stopped
            self.strategy.highest(0)  # the others read when everything is there
            if not self.strategy.leads:
                shutil.rmtree(self.folder, ignore_errors=True)
                self._bring()
        return self

    def _bring(self) -> None:
        for run in self._runs():
            there = f"{self.address}/{run}{_CHECKPOINTS}"
            for name in folders(there, MANIFEST)[-1:]:
                here = self.folder / run / _CHECKPOINTS / name
                if not here.exists():
                    here.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copytree(fetched_folder(f"{there}/{name}", MANIFEST), here)

    def __call__(self, record: Record) -> None:
        """Send what has been saved since the last record."""
        if self.address is not None and self.strategy.leads:
            self._send()

    def __exit__(self, *ended: object) -> None:
        """Send the rest, the bundle too."""
        if self.address is None or not self.strategy.leads:
            return
        self._send()
        for events in self.folder.rglob(_EVENTS):
            put(events, f"{self.address}/{events.relative_to(self.folder).as_posix()}")
        if (self.folder / BUNDLE / BUNDLE_MANIFEST).exists():
            put_folder(self.folder / BUNDLE, f"{self.address}/{BUNDLE}", BUNDLE_MANIFEST)

    def _send(self) -> None:
        for made in sorted(self.folder.rglob(f"{_CHECKPOINTS}/step-*")):
            name = made.relative_to(self.folder).as_posix()
            if name not in self._sent:
                put_folder(made, f"{self.address}/{name}", MANIFEST)
                self._sent.add(name)
                there = f"{self.address}/{Path(name).parent.as_posix()}"
                for old in folders(there, MANIFEST)[:-_KEPT]:
                    forget(f"{there}/{old}", MANIFEST)

    def _runs(self) -> list[str]:
        """The runs within this one: itself, or one a task or a heat."""
        assert self.address is not None
        place = Address.find(self.address)
        found = place.store.glob(f"{place.root}/**/{_CHECKPOINTS}/*/{MANIFEST}")
        inner = {str(path).rpartition(f"/{_CHECKPOINTS}/")[0] for path in found}
        root = place.root.strip("/")
        return sorted(f"{name.strip('/')[len(root) :].strip('/')}/".removeprefix("/") for name in inner)
