"""FSDP2: every process holds a piece of each weight, of its gradient and of the optimiser's moments.

A block's weights are gathered when the block is needed and let go after it; gradients are summed and cut up at once. So
of n processes each holds about 1/n of weights, gradients and moments, and one block in whole.

The unit is each element of a `ModuleList`, as the blocks of an encoder are, and the rest in one. Muon is allowed: it
makes whole matrices orthogonal, so each matrix's momentum is gathered for the moment of its update (one more exchange
as large as the weights, and the same work on every process). A checkpoint is written by one process, which gathers one
tensor after another but holds all of them at the end: it needs room for 16 bytes a weight.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.optim import Optimizer

from anfinsen.distributed.replicas import Replicas
from anfinsen.distributed.strategy import Footprint, Make, piece, whole


class Sharding(Replicas):
    """FSDP2."""

    name = "fsdp"
    shards = True

    def wrap(self, network: nn.Module, make: Make) -> tuple[nn.Module, list[Optimizer]]:
        mesh = init_device_mesh(self.device.type, (self.size,))
        self._given = network
        sharded = copy.deepcopy(network).to(self.device)
        for module in list(sharded.modules()):
            if isinstance(module, nn.ModuleList):
                for block in module:
                    fully_shard(block, mesh=mesh)
        # the rest is let go too, or its weights would be whole whenever they are asked for outside a step
        fully_shard(sharded, mesh=mesh, reshard_after_forward=True)
        for weight in network.parameters():  # what was given waits empty until `release` fills it
            weight.data = torch.empty(0, dtype=weight.dtype)
        return sharded, make(sharded)

    def ready(self, *, is_last: bool) -> None:
        """Gradients are cut up after each part, or a process would hold all of them until the last one."""

    def footprint(self, weights: int) -> Footprint:
        each = 4.0 * weights / self.size
        return Footprint(each, each, 2 * each)

    def gather(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        found: dict[str, Tensor] = {}
        for name, tensor in tensors.items():
            gathered = whole(tensor.detach()).cpu()
            if self.leads:
                found[name] = gathered
        return found

    def spread(self, whole: Tensor, like: Tensor) -> Tensor:
        return piece(whole.to(self.device), like)

    def state_of(self, optimizer: Optimizer) -> dict[str, Any]:
        state: dict[str, Any] = optimizer.state_dict()
        gathered = {
            index: {key: whole(value) if isinstance(value, Tensor) else value for key, value in moments.items()}
            for index, moments in state["state"].items()
        }
        return {**state, "state": gathered}

    def restore(self, optimizer: Optimizer, state: Mapping[str, Any]) -> None:
        weights = [weight for each in optimizer.param_groups for weight in each["params"]]
        cut: dict[int, dict[str, Any]] = {}
        for index, moments in state["state"].items():
            like = weights[index]
            cut[index] = {
                key: self.spread(value, like) if isinstance(value, Tensor) and value.shape == like.shape else value
                for key, value in moments.items()
            }
        optimizer.load_state_dict({**state, "state": cut})

    def release(self, network: nn.Module) -> nn.Module:
        held = dict(network.named_parameters()) | dict(network.named_buffers())
        with torch.no_grad():
            for name, weight in self._given.named_parameters():
                weight.data = whole(held[name].detach()).clone()
            for name, buffer in self._given.named_buffers():
                buffer.copy_(whole(held[name].detach()))
        return self._given.to(self.device)
