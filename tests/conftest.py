"""What every test stands on: no network, one thread, no surprise from the clock, and a network small enough to train.

Environment variables are set here, before any test imports torch or transformers. One thread, because networks as
small as these gain nothing from more, and on a busy machine threads that wait for each other take ten times as long.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest

if TYPE_CHECKING:
    from anfinsen.models.encoder import EncoderConfig
    from anfinsen.models.network import Network

os.environ.update(HF_HUB_OFFLINE="1", TOKENIZERS_PARALLELISM="false", OMP_NUM_THREADS="1")

# a busy machine is no bug, and a submission must not fail by a throw of the dice
hypothesis.settings.register_profile("house", deadline=None, derandomize="CI" in os.environ)
hypothesis.settings.load_profile("house")


@pytest.fixture(autouse=True)
def _closed_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test that asks for a host outside this machine fails, whatever the code under test catches."""
    connect, connect_ex, look_up = socket.socket.connect, socket.socket.connect_ex, socket.getaddrinfo

    def guarded_connect(self: socket.socket, address: Any) -> None:
        _refuse_strangers(self.family, address)
        connect(self, address)

    def guarded_connect_ex(self: socket.socket, address: Any) -> int:
        _refuse_strangers(self.family, address)
        return connect_ex(self, address)

    def guarded_look_up(host: Any, *rest: Any, **options: Any) -> Any:
        _refuse_strangers(socket.AF_INET, (host,))
        return look_up(host, *rest, **options)

    monkeypatch.setattr(socket.socket, "connect", guarded_connect)
    monkeypatch.setattr(socket.socket, "connect_ex", guarded_connect_ex)
    monkeypatch.setattr(socket, "getaddrinfo", guarded_look_up)


def _refuse_strangers(family: int, address: Any) -> None:
    if family in (socket.AF_INET, socket.AF_INET6) and not _is_this_machine(address[0]):
        pytest.fail(f"This test asked the network for {address[0]!r}; tests talk to this machine only.")


def _is_this_machine(host: str | bytes | None) -> bool:
    name = host.decode() if isinstance(host, bytes) else host
    if name in (None, "", "localhost"):
        return True
    try:
        return ip_address(name.partition("%")[0]).is_loopback
    except ValueError:
        return False


@pytest.fixture
def tiny_encoder() -> EncoderConfig:
    """The shape of an encoder that computes in a millisecond."""
    from anfinsen.models.encoder import EncoderConfig

    return EncoderConfig(layers=2, dim=32, heads=2, inner_dim=64)


@pytest.fixture
def tiny_network(tiny_encoder: EncoderConfig) -> Network:
    """A network in evaluation mode with a 'masked', a 'residue' (3 letters) and a 'pooled' (4 classes) head."""
    import torch

    from anfinsen.models.encoder import Encoder
    from anfinsen.models.network import HeadShape, NativeBody, Network

    torch.manual_seed(1)
    body = NativeBody(Encoder(tiny_encoder), tiny_encoder.dim, tiny_encoder.longest)
    heads = {
        "masked": HeadShape("masked", tiny_encoder.vocabulary),
        "residue": HeadShape("residue", 3),
        "pooled": HeadShape("pooled", 4, conditions=1),
    }
    return Network(body, heads).eval()


@pytest.fixture(scope="session")
def body(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle with a body small enough for a test, and no head."""
    import torch

    from anfinsen.hub.bundle import Bundle
    from anfinsen.models.encoder import Encoder, EncoderConfig
    from anfinsen.models.network import NativeBody, Network

    torch.manual_seed(1)
    shape = EncoderConfig(layers=1, dim=32, heads=2, inner_dim=64)
    folder = tmp_path_factory.mktemp("body") / "bundle"
    Bundle("tiny", Network(NativeBody(Encoder(shape), shape.dim, shape.longest), {}).eval()).save(folder)
    return folder


@pytest.fixture(scope="module")
def short_search() -> Iterator[None]:
    """Structures are built in few steps, for questions whose answer is true of a poor structure too."""
    from anfinsen.structure import building

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(building, "STAGES", ((8.0, 1.0, 6), (2.0, 10.0, 6)))
        patch.setattr(building, "LAST_STEPS", 6)
        patch.setattr(building, "MENDS", 0)
        yield
