"""On how many processes a training runs, behind one contract; here its plainest form, one process on one device.

    wrap      a network and its optimisers, made ready
    ready     before a part of a group is read; the last part's gradients are exchanged between the processes
    backward  the gradients of one part
    clip      divide them, cut their norm
    step      move the weights, forget the gradients
    gather    whole tensors on the CPU, wherever their pieces lie; `spread` is the way back
    save      one process writes, the others wait

`Strategy` keeps all weights in one place and exchanges nothing; `replicas` (DDP), `sharding` (FSDP2) and `deepspeed`
(ZeRO) change only what they must. Whatever the strategy, a group of examples is the same, its parts are dealt to the
processes in order, and the loss is divided by the known values of the whole group: so the same seed and group give the
same trajectory on any number of processes, but for the order of sums and the draws of dropout.

A checkpoint holds whole tensors under the network's own names; it opens under any strategy and any number of processes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, TypeVar, cast

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from anfinsen import runtime

Part = TypeVar("Part")
Make = Callable[[nn.Module], list[Optimizer]]
"""Makes the optimisers of a network; asked after its weights lie where the strategy wants them."""


class Footprint(NamedTuple):
    """Bytes that one process holds."""

    weights: float
    """What is computed with."""
    gradients: float
    """Theirs, between backward pass and step."""
    moments: float
    """AdamW's two, and where the weights that it moves are copies, those."""

    @property
    def total(self) -> float:
        """All of it."""
        return sum(self)


class Clips(Protocol):
    """Gradients that can be divided and cut; the norm before the cut, whole and by layer."""

    def clip(self, largest: float, *, divide_by: int = 1) -> tuple[float, dict[str, float]]: ...


class Strategy:
    """One process on one device."""

    name = "one"
    shards = False
    """Whether a process holds only pieces of the weights."""
    whole_matrices = True
    """Whether an optimiser sees each weight as a matrix; ZeRO lays them end to end."""

    def __init__(self, device: torch.device | None = None) -> None:
        self.rank, self.size = 0, 1
        self.device = device or runtime.pick_device()

    @property
    def leads(self) -> bool:
        """Whether this process is the one that writes files and speaks."""
        return self.rank == 0

    def share(self, parts: Sequence[Part]) -> Iterator[tuple[Part, bool]]:
        """This process's parts of a group, in order, and whether each counts.

        All processes get equally many, for each exchange needs all of them; where there are too few parts, the first
        one is read once more and counts for nothing.
        """
        each = -(-len(parts) // self.size)
        for index in range(self.rank * each, (self.rank + 1) * each):
            yield (parts[index], True) if index < len(parts) else (parts[0], False)

    def wrap(self, network: nn.Module, make: Make) -> tuple[nn.Module, list[Optimizer]]:
        """The network on the device, and its optimisers; what is returned is called for the forward pass."""
        network.to(self.device)
        return network, make(network)

    def weights(self, network: nn.Module) -> dict[str, Tensor]:
        """The weights that may move, by name, as they lie here: to be copied, averaged and given back by `put`."""
        return {name: weight.detach() for name, weight in network.named_parameters() if weight.requires_grad}

    def put(self, network: nn.Module, weights: Mapping[str, Tensor]) -> None:
        """Set weights that `weights` or `spread` gave."""
        network.load_state_dict(dict(weights), strict=False)

    def ready(self, *, is_last: bool) -> None:
        """Called before the forward pass of each part; with the last part of a group gradients are exchanged."""

    def backward(self, loss: Tensor) -> None:
        """Add the gradients of one part's summed loss."""
        loss.backward()

    def clip(self, gradients: Clips, largest: float, *, divide_by: int) -> tuple[float, dict[str, float]]:
        """Divide all gradients and cut their norm to `largest`; the norm before the cut, whole and by layer."""
        return gradients.clip(largest, divide_by=divide_by)

    def step(self, optimizers: Sequence[Optimizer]) -> None:
        """Move the weights once and forget the gradients."""
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad()

    def gather(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Whole tensors on the CPU; empty on every process but the one that leads. Every process must ask."""
        whole = {name: tensor.detach().cpu() for name, tensor in tensors.items()}
        return whole if self.leads else {}

    def spread(self, whole: Tensor, like: Tensor) -> Tensor:
        """A whole tensor as `like` lies: on its device, and cut into pieces if that one is."""
        return whole.to(like.device)

    def state_of(self, optimizer: Optimizer) -> dict[str, Any]:
        """An optimiser's state as PyTorch lays it out, with whole tensors. Every process must ask."""
        state: dict[str, Any] = optimizer.state_dict()
        return state

    def restore(self, optimizer: Optimizer, state: Mapping[str, Any]) -> None:
        """Put such a state back."""
        optimizer.load_state_dict(dict(state))

    def save(self, write: Callable[[], object]) -> None:
        """Let the process that leads write; the others go on when the file is there."""
        write()

    def footprint(self, weights: int) -> Footprint:
        """What arithmetic says that this process holds of so many moving fp32 weights under AdamW."""
        return Footprint(4.0 * weights, 4.0 * weights, 8.0 * weights)

    def held(self, network: nn.Module, optimizers: Sequence[Optimizer]) -> Footprint:
        """What this process does hold now; gradients are let go between two steps."""
        states = [value for one in optimizers for state in one.state.values() for value in state.values()]
        moved = [weight for weight in network.parameters() if weight.requires_grad]
        gradients = [weight.grad for weight in moved if weight.grad is not None]
        moments = [value for value in states if isinstance(value, Tensor)]
        return Footprint(size_of(moved), size_of(gradients), size_of(moments))

    def sentence(self, weights: int) -> str:
        """How many processes there are and what each holds; nothing to say of one."""
        if self.size == 1:
            return ""
        return (
            f"{self.size} processes ({self.name}): each holds about {self.footprint(weights).total / 1e6:,.0f} MB of "
            f"weights, gradients and moments; one alone would hold {16 * weights / 1e6:,.0f} MB."
        )

    def release(self, network: nn.Module) -> nn.Module:
        """The network as it was given to `wrap`, with the weights as they are now, whole and on every process."""
        return network

    def total(self, values: Sequence[float]) -> list[float]:
        """The sums over all processes."""
        return list(values)

    def agree(self, value: float) -> float:
        """What the leading process says; decisions that end a run must be the same everywhere."""
        return value

    def highest(self, value: int) -> int:
        """The highest of what the processes say."""
        return value

    def streams(self, streams: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The random streams of all processes: 'cpu' of the first one, '1.cpu' of the next."""
        return dict(streams)

    def own_streams(self, streams: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Of all processes' random streams those of this one; empty where a run had fewer processes when it stopped."""
        before = f"{self.rank}." if self.rank else ""
        return {name: streams[before + name] for name in ("cpu", "cuda") if before + name in streams}

    def close(self) -> None:
        """Leave the group of processes."""


def size_of(tensors: Iterable[Tensor]) -> float:
    """Bytes of tensors, of a DTensor those of the piece that lies here."""
    here = (tensor.to_local() if hasattr(tensor, "to_local") else tensor for tensor in tensors)
    return float(sum(tensor.numel() * tensor.element_size() for tensor in here))


def whole(tensor: Tensor) -> Tensor:
    """A tensor in one piece: itself, or all pieces of a DTensor, which every process must ask for."""
    gathered: Tensor = tensor.full_tensor() if hasattr(tensor, "full_tensor") else tensor
    return gathered


def piece(whole: Tensor, like: Tensor) -> Tensor:
    """The piece of a whole tensor that lies here if it is cut as `like` is; itself if that one is whole."""
    if not hasattr(like, "device_mesh"):
        return whole
    from torch.distributed.tensor import DTensor, distribute_tensor

    # every process has the whole, so nothing has to be sent
    cut = cast(DTensor, like)
    return distribute_tensor(whole, cut.device_mesh, cut.placements, src_data_rank=None)
