"""Pair trunks: from what is known of every two residues to what follows from all the others.

    z (B, D, l, l) -> [ block ] x n -> z (B, D, l, l)

Four kinds, chosen by name in a `TrunkConfig`:

- `convolution`: dilated convolutions, so that a pair hears of its neighbours first and of the whole map in the end
  (Wang et al. 2017, PLoS Comput. Biol. 13:e1005324; Senior et al. 2020, Nature 577:706).
- `axial`: attention along each row and each column of the map (Ho et al. 2019, arXiv 1912.12180).
- `triangle`: what i knows of k and k of j says something of i and j: the multiplicative updates of AlphaFold 2
  (Jumper et al. 2021, Nature 596:583, algorithms 11 and 12).
- `image`: a network that was trained to see photographs looks at the map as at a picture, fine-tuned from its weights
  by checkpoint name through transformers' AutoBackbone.

Every block normalises over the channels of a pair alone, so that nothing depends on the size of the map, and a map may
be worked through in bands of rows: the memory of a step is that of one band. It knows no protein.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, Self, cast

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional

from anfinsen.config import Config
from anfinsen.errors import ConfigError, MissingDataError

TrunkKind = Literal["convolution", "axial", "triangle", "image"]
DILATIONS = (1, 2, 4, 8)
"""How far apart the points of neighbouring convolutions stand, in turn."""
BAND = 128
"""Rows of a map that are worked on together where no gradient is wanted."""
GRID = 32
"""An image network sees pictures of a multiple of so many points a side: its last stage makes one point of them."""


class TrunkConfig(Config):
    """The shape of a pair trunk."""

    kind: TrunkKind = "convolution"
    """convolution, axial, triangle or image."""
    dim: int = Field(48, ge=8)
    """Channels of a pair, D."""
    blocks: int = Field(8, ge=1)
    """Number of blocks; of an image network, of the convolutions that follow it."""
    patch: int = Field(2, ge=1, le=4)
    """The trunk sees squares of so many residues by so many as one point; the answer is for each pair."""
    fine: int = Field(24, ge=4)
    """Channels of a pair before pairs are joined to a point."""
    heads: int = Field(4, ge=1)
    """Attention heads of an axial trunk."""
    maps: bool = True
    """Whether the body's attention maps are read beside its states."""
    dropout: float = Field(0.1, ge=0, lt=1)
    """Share of the channels of a residue's state that are hidden in training."""
    image: str = ""
    """Name or folder of the image checkpoint that an image trunk starts from."""
    image_config: dict[str, Any] = {}
    """The image network's own shape; filled in when it is first loaded."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.kind == "axial" and self.dim % self.heads:
            raise ValueError(f"dim {self.dim} is not a multiple of heads {self.heads}")
        if self.kind == "image" and not (self.image or self.image_config):
            raise ValueError("an image trunk needs the name of a checkpoint as image")
        return self


class ChannelNorm(nn.Module):
    """Each pair's channels brought to a mean square of one: (B, D, l, l) -> (B, D, l, l)."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(dim))

    def forward(self, pairs: Tensor) -> Tensor:
        size = pairs.square().mean(1, keepdim=True).add(1e-5).rsqrt()
        return pairs * size * self.scale[:, None, None]


def in_bands(function: Callable[[Tensor], Tensor], pairs: Tensor, halo: int = 0) -> Tensor:
    """`function` of a map (B, D, l, m), band of rows by band, where no gradient is wanted; the same either way.

    `halo` rows on either side are shown to it beyond the band, as many as it looks over.
    """
    rows = pairs.shape[2]
    if torch.is_grad_enabled() or rows <= BAND:
        return function(pairs)
    done = []
    for start in range(0, rows, BAND):
        end = min(rows, start + BAND)
        first, last = max(0, start - halo), min(rows, end + halo)
        done.append(function(pairs[:, :, first:last])[:, :, start - first : end - first])
    return torch.cat(done, dim=2)


class ConvolutionBlock(nn.Module):
    """A dilated 3 x 3 convolution, and what each pair makes of it."""

    def __init__(self, dim: int, dilation: int) -> None:
        super().__init__()
        self.reach = dilation
        self.norm = ChannelNorm(dim)
        self.look = nn.Conv2d(dim, dim, 3, padding=dilation, dilation=dilation)
        self.mix = nn.Conv2d(dim, dim, 1)

    def forward(self, pairs: Tensor) -> Tensor:
        return pairs + in_bands(self._move, pairs, self.reach)

    def _move(self, pairs: Tensor) -> Tensor:
        moved: Tensor = self.mix(functional.gelu(self.look(self.norm(pairs))))
        return moved


class Transition(nn.Module):
    """What each pair makes of its own channels."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.norm = ChannelNorm(dim)
        self.widen = nn.Linear(dim, 2 * dim)
        self.narrow = nn.Linear(2 * dim, dim)

    def forward(self, pairs: Tensor) -> Tensor:
        return pairs + in_bands(self._move, pairs)

    def _move(self, pairs: Tensor) -> Tensor:
        moved: Tensor = self.narrow(functional.gelu(self.widen(self.norm(pairs).movedim(1, -1))))
        return moved.movedim(-1, 1)


class AxialBlock(nn.Module):
    """Attention along rows, then along columns, then a transition."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norms = nn.ModuleList(ChannelNorm(dim) for _ in range(2))
        self.asks = nn.ModuleList(nn.Linear(dim, 3 * dim) for _ in range(2))
        self.mixes = nn.ModuleList(nn.Linear(dim, dim) for _ in range(2))
        self.transition = Transition(dim)

    def forward(self, pairs: Tensor) -> Tensor:
        for axis in (0, 1):
            turned = pairs if axis == 0 else pairs.transpose(2, 3)

            def move(rows: Tensor, axis: int = axis) -> Tensor:
                return self._attend(rows, axis)

            moved = in_bands(move, turned)
            pairs = pairs + (moved if axis == 0 else moved.transpose(2, 3))
        out: Tensor = self.transition(pairs)
        return out

    def _attend(self, rows: Tensor, axis: int) -> Tensor:
        asked = self.asks[axis](self.norms[axis](rows).movedim(1, -1))  # (B, r, l, 3 D)
        query, key, value = asked.unflatten(-1, (3, self.heads, -1)).permute(3, 0, 1, 4, 2, 5)
        heard = functional.scaled_dot_product_attention(query, key, value)  # (B, r, H, l, D / H)
        mixed: Tensor = self.mixes[axis](heard.transpose(2, 3).flatten(-2))
        return mixed.movedim(-1, 1)


class TriangleBlock(nn.Module):
    """Outgoing and incoming triangles, each gated, then a transition."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList(ChannelNorm(dim) for _ in range(2))
        self.edges = nn.ModuleList(nn.Linear(dim, 5 * dim) for _ in range(2))
        self.sums = nn.ModuleList(ChannelNorm(dim) for _ in range(2))
        self.mixes = nn.ModuleList(nn.Linear(dim, dim) for _ in range(2))
        self.transition = Transition(dim)

    def forward(self, pairs: Tensor) -> Tensor:
        for side in (0, 1):
            pairs = pairs + self._triangles(pairs, side)
        out: Tensor = self.transition(pairs)
        return out

    def _triangles(self, pairs: Tensor, side: int) -> Tensor:
        said = self.edges[side](self.norms[side](pairs).movedim(1, -1)).movedim(-1, 1)
        one, other, one_gate, other_gate, gate = said.chunk(5, dim=1)
        one, other = one * one_gate.sigmoid(), other * other_gate.sigmoid()
        # both edges meet in k: outgoing ik, jk, incoming ki, kj
        summed = one @ other.mT if side == 0 else one.mT @ other
        mixed: Tensor = self.mixes[side](self.sums[side](summed).movedim(1, -1)).movedim(-1, 1)
        gated: Tensor = mixed * gate.sigmoid()
        return gated


class ImageTrunk(nn.Module):
    """An image network reads the map as a picture of three colours; its stages are laid over each other again."""

    def __init__(self, config: TrunkConfig) -> None:
        super().__init__()
        self.network = load_image_network(config)
        settings = self.network.config
        self.colours = nn.Conv2d(config.dim, int(getattr(settings, "num_channels", 3)), 1)
        self.stages = nn.ModuleList(nn.Conv2d(width, config.dim, 1) for width in self.network.channels)
        self.blocks = nn.ModuleList(ConvolutionBlock(config.dim, 1) for _ in range(config.blocks))

    def train(self, mode: bool = True) -> Self:
        """Batch norms keep the means that photographs gave them: a few maps at a time give no better ones."""
        super().train(mode)
        for module in self.network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()
        return self

    def forward(self, pairs: Tensor) -> Tensor:
        size = pairs.shape[2]
        # a map that is too small for the last stage would have no point left there
        whole = -(-size // GRID) * GRID
        picture = functional.pad(self.colours(pairs), (0, whole - size, 0, whole - size))
        seen = self.network(picture.contiguous()).feature_maps
        for project, stage in zip(self.stages, seen, strict=True):
            laid = functional.interpolate(project(stage), size=(whole, whole), mode="bilinear")
            pairs = pairs + laid[:, :, :size, :size]
        for block in self.blocks:
            pairs = block(pairs)
        return pairs


def load_image_network(config: TrunkConfig) -> Any:
    """The image network with its trained weights, or, where its shape is already known, with new ones."""
    from transformers import AutoBackbone, AutoConfig

    make: Any = AutoBackbone.from_config
    if config.image_config:
        settings = dict(config.image_config)
        return make(AutoConfig.for_model(settings.pop("model_type"), **settings))
    try:
        shape = AutoConfig.from_pretrained(config.image)
        shape.out_features = list(getattr(shape, "stage_names", ()))[1:] or None
        # AutoBackbone's own from_pretrained asks the hub even for a folder; its class for this shape does not
        return type(make(shape)).from_pretrained(config.image, config=shape, use_safetensors=True)
    except OSError:
        raise MissingDataError(
            f"The image checkpoint '{config.image}' is not on this machine.",
            remedy="Give the folder of one that `transformers` saved, or a name that it can fetch.",
        ) from None
    except ValueError as error:
        raise ConfigError(
            f"'{config.image}' cannot start a pair trunk: {str(error).splitlines()[0]}",
            remedy="Take an image network that AutoBackbone knows, such as a ResNet or a ConvNeXt.",
        ) from None


def make_trunk(config: TrunkConfig) -> nn.Module:
    """The trunk that a configuration describes."""
    if config.kind == "image":
        return ImageTrunk(config)
    blocks: list[nn.Module] = []
    for number in range(config.blocks):
        if config.kind == "convolution":
            blocks.append(ConvolutionBlock(config.dim, DILATIONS[number % len(DILATIONS)]))
        elif config.kind == "axial":
            blocks.append(AxialBlock(config.dim, config.heads))
        else:
            blocks.append(TriangleBlock(config.dim))
    return Blocks(blocks)


class Blocks(nn.Module):
    """Blocks one after another."""

    def __init__(self, blocks: list[nn.Module]) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)

    def forward(self, pairs: Tensor) -> Tensor:
        for block in self.blocks:
            pairs = block(pairs)
        return pairs


def told_config(config: TrunkConfig, trunk: nn.Module) -> TrunkConfig:
    """The configuration with everything that is needed to build the trunk again without its checkpoint."""
    if not isinstance(trunk, ImageTrunk):
        return config
    return config.replaced(image_config=cast(dict[str, Any], trunk.network.config.to_diff_dict()))
