"""ZeRO by DeepSpeed (an extra): of n processes each holds 1/n of the moments, of the gradients, of the weights.

    stage 1  moments and fp32 weights in pieces           stage 2  gradients too           stage 3  weights too

Moments lie in the CPU's memory wherever the weights are (ZeRO-Offload, Ren et al. 2021, arXiv 2101.06840), so that an
accelerator holds weights, gradients and activations only. The arithmetic is that of Rajbhandari et al. 2020 (arXiv
1910.02054), for fp32: the piece that the optimiser moves is a copy of what is computed with, and below stage 3 a second
copy is on its way back. Of a group that is read in parts stage 1 keeps whole gradients until the last part, stage 2
adds up its share, both beside the share that is moved by.

Weights are laid end to end: AdamW does not mind, Muon does, and is refused. A step moves all weights, also those of a
head that was not asked, so only one task is trained at a time.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from importlib import import_module
from itertools import accumulate
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from anfinsen.distributed.replicas import Replicas
from anfinsen.distributed.strategy import Clips, Footprint, Make, size_of
from anfinsen.errors import MissingExtraError

_MOMENTS = ("exp_avg", "exp_avg_sq")
_BUCKET = 50_000_000
"""Weights that are exchanged together, at most."""


class Zero(Replicas):
    """ZeRO, stage 1, 2 or 3."""

    shards = True
    whole_matrices = False

    def __init__(self, stage: int, device: torch.device | None = None) -> None:
        os.environ.setdefault("DS_ACCELERATOR", "cpu" if not torch.cuda.is_available() else "cuda")
        deepspeed = _deepspeed()
        super().__init__(device)
        # between CPUs Gloo serves; DeepSpeed's own way of exchange would have to be compiled first
        deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
        # names that it calls and PyTorch has given others; nothing that a user could do
        warnings.filterwarnings("ignore", ".* is deprecated", FutureWarning, r"torch\.distributed")
        deepspeed.init_distributed(auto_mpi_discovery=False)
        self.stage = stage
        self.name = f"zero{stage}"

    def wrap(self, network: nn.Module, make: Make) -> tuple[nn.Module, list[Optimizer]]:
        deepspeed = _deepspeed()
        (optimizer,) = make(network.to(self.device))
        moved = [weight for group in optimizer.param_groups for weight in group["params"]]
        self._sizes = [len(group["params"]) for group in optimizer.param_groups]
        self._settings = [key for key in optimizer.param_groups[0] if key != "params"]
        count = sum(weight.numel() for weight in moved)
        bucket = min(_BUCKET, count + count % 2)  # it must be even
        settings = {
            "train_micro_batch_size_per_gpu": 1,  # groups are counted in tokens, not by DeepSpeed
            "gradient_clipping": 1.0,
            "zero_allow_untested_optimizer": True,
            "zero_force_ds_cpu_optimizer": False,
            "steps_per_print": 2**31,
            "zero_optimization": {
                "stage": self.stage,
                "reduce_bucket_size": bucket,
                "allgather_bucket_size": bucket,
                "offload_optimizer": {"device": "cpu"},
                "stage3_param_persistence_threshold": 0,
            },
        }
        self._engine, _, _, _ = deepspeed.initialize(model=network, optimizer=optimizer, config=settings)
        self._moved = moved
        zero = self._engine.optimizer
        self._pieces = zero.fp32_partitioned_groups_flat if self.stage == 3 else zero.single_partition_of_fp32_groups
        self._begin(torch.tensor(0.0))
        return self._engine, [cast(Optimizer, zero)]

    def _begin(self, step: Tensor) -> None:
        """Moments of nought: DeepSpeed would find those of the first group only."""
        zero = self._engine.optimizer
        for each in self._pieces:
            kept = {key: torch.zeros_like(each.data) for key in _MOMENTS}
            zero.optimizer.state[each] = {"step": step.clone(), **kept}
        if self.stage < 3:
            zero._hp_optimizer_states_linked = False
            zero._lazy_init_hp_params_optimizer_state()

    def ready(self, *, is_last: bool) -> None:
        self._engine.set_gradient_accumulation_boundary(is_last)

    def backward(self, loss: Tensor) -> None:
        self._engine.backward(loss * self.size)

    def clip(self, gradients: Clips, largest: float, *, divide_by: int) -> tuple[float, dict[str, float]]:
        # DeepSpeed divides, cuts and moves in one go: what it calls the scale of the loss is the count of known values
        zero = self._engine.optimizer
        zero.clip_grad, zero.loss_scale = largest, float(divide_by)
        self._engine.step()
        zero.loss_scale = 1.0
        return float(self._engine.get_global_grad_norm()), {}

    def step(self, optimizers: Sequence[Optimizer]) -> None:
        """Nothing is left to do after `clip`."""

    def weights(self, network: nn.Module) -> dict[str, Tensor]:
        whole = _deepspeed().utils.safe_get_full_fp32_param
        moved = {name: weight for name, weight in network.named_parameters() if weight.requires_grad}
        return {name: whole(weight).detach().clone() for name, weight in moved.items()}

    def put(self, network: nn.Module, weights: Mapping[str, Tensor]) -> None:
        deepspeed = _deepspeed()
        named = dict(network.named_parameters())
        for name, value in weights.items():
            weight = named[name]
            with torch.no_grad(), deepspeed.zero.GatheredParameters([weight], modifier_rank=0, enabled=self.stage == 3):
                weight.copy_(value)
            if self.stage < 3:
                deepspeed.utils.safe_set_full_fp32_param(weight, value)
            else:
                self._put_piece(weight, value)

    def spread(self, whole: Tensor, like: Tensor) -> Tensor:
        return whole.to(self.device)

    def state_of(self, optimizer: Optimizer) -> dict[str, Any]:
        whole, inner = _deepspeed().utils.safe_get_full_optimizer_state, cast(Any, optimizer).optimizer
        step = inner.state[self._pieces[0]]["step"]
        state: dict[int, dict[str, Any]] = {}
        for index, weight in enumerate(self._moved if float(step) else ()):
            moments = {key: whole(weight, key).detach().cpu() for key in _MOMENTS}
            state[index] = {"step": step.clone(), **moments}
        ends = list(accumulate(self._sizes, initial=0))
        groups = [
            {**{key: group[key] for key in self._settings}, "params": list(range(*ends[at : at + 2]))}
            for at, group in enumerate(inner.param_groups[: len(self._sizes)])
        ]
        return {"state": state, "param_groups": groups}

    def restore(self, optimizer: Optimizer, state: Mapping[str, Any]) -> None:
        if state["state"]:
            self._begin(state["state"][0]["step"])
        for index, moments in state["state"].items():
            for key in _MOMENTS:
                if self.stage < 3:
                    _deepspeed().utils.safe_set_full_optimizer_state(self._moved[index], moments[key], key)
                else:
                    self._put_piece(self._moved[index], moments[key], key)

    def _put_piece(self, weight: nn.Parameter, value: Tensor, key: str | None = None) -> None:
        """Set this process's piece of a weight, or of one of its moments; all are equally long, the last is padded."""
        utils, each = _deepspeed().utils, -(-value.numel() // self.size)
        padded = nn.functional.pad(value.flatten(), (0, each * self.size - value.numel()))
        own = padded[self.rank * each : (self.rank + 1) * each]
        if key is None:
            utils.safe_set_local_fp32_param(weight, own)
        else:
            utils.safe_set_local_optimizer_state(weight, own, key)

    def footprint(self, weights: int) -> Footprint:
        share = 1 / self.size
        return Footprint(
            4.0 * weights * (share if self.stage == 3 else 1),
            4.0 * weights * (1 + share, 2 * share, share)[self.stage - 1],
            (12.0 if self.stage == 3 else 16.0) * weights * share,
        )

    def held(self, network: nn.Module, optimizers: Sequence[Optimizer]) -> Footprint:
        moved = [weight for weight in network.parameters() if weight.requires_grad]
        zero = self._engine.optimizer
        state = zero.optimizer.state
        moments = [each for piece in self._pieces for each in (piece, *(state[piece][key] for key in _MOMENTS))]
        if self.stage == 3:
            computed = [cast(Any, weight).ds_tensor for weight in moved]
            return Footprint(size_of(computed), size_of([zero.grad_partitions_flat_buffer]), size_of(moments))
        moments += zero.param_buffer_of_bit16_for_cpu_offload_groups
        gradients = [weight.grad for weight in moved if weight.grad is not None]
        gradients += [piece.grad for piece in self._pieces if piece.grad is not None]
        gradients += zero.accumulated_grads_in_cpu.values()
        return Footprint(size_of(moved), size_of(gradients), size_of(moments))

    def release(self, network: nn.Module) -> nn.Module:
        whole = self.weights(network)
        self._engine.destroy()
        with torch.no_grad():
            for name, weight in network.named_parameters():
                weight.data = whole.get(name, weight.data)
        return network


def _deepspeed() -> Any:
    """The package, which has no types."""
    try:
        return import_module("deepspeed")
    except ModuleNotFoundError:
        raise MissingExtraError("deepspeed", "deepspeed") from None
