"""The embedder: proteins in, states out. A state is the vector of C numbers that a network makes of each residue.

    examples -> groups (as every question is asked) -> states of one layer -> pooled -> fp16 or fp32

    residue   (L, C)  one state a residue
    window    (W, C)  the mean over each window of 32 residues, a new one every 16
    protein   (C,)    the mean over all residues

A protein longer than one window of the network is read in overlapping windows, as everywhere. `embed_file` puts the
states of a large file on the disk, each sequence once, and goes on after a kill without computing one twice.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Self, cast

import torch
from torch import Tensor, nn

from anfinsen import runtime
from anfinsen.data.alphabet import TOKENS
from anfinsen.data.batch import pack
from anfinsen.data.elsewhere import address_of
from anfinsen.data.example import Example
from anfinsen.data.gathering import Gathering
from anfinsen.data.store import About, Dtype, Per, Values
from anfinsen.errors import InputError, UsageError
from anfinsen.hub.body import bare
from anfinsen.hub.bundle import Bundle, default_bundle
from anfinsen.inference.jobs import JobResult, Record
from anfinsen.inference.spread import Over, here
from anfinsen.models.backbones import load_body
from anfinsen.models.encoder import Encoder
from anfinsen.models.fast import FastBody, quicken
from anfinsen.models.network import Body, NativeBody, Network
from anfinsen.models.product import InferencePrecision
from anfinsen.models.windows import Residues, read_in_windows
from anfinsen.reading.readers import Merged
from anfinsen.tasks.ask import blocks, in_groups
from anfinsen.wording import SHOWN, counted, refusals

LAST = "last"
WINDOW, STRIDE = 32, 16
"""Residues of a window of `per="window"`, and from the start of one to the start of the next."""
POOLINGS: dict[Per, str] = {
    "residue": "none",
    "window": f"mean over windows of {WINDOW} residues, one every {STRIDE}, the last at the end",
    "protein": "mean over all residues",
}
_TORCH_TYPES: dict[Dtype, torch.dtype] = {"fp16": torch.float16, "fp32": torch.float32}


class Embedder:
    """One layer of one network, and one way of pooling; `about` says which."""

    def __init__(
        self,
        network: Network,
        *,
        name: str,
        sha256: str,
        per: Per = "protein",
        layer: str | int = LAST,
        dtype: Dtype = "fp32",
        device: str = "auto",
        precision: InferencePrecision = "fp32",
    ) -> None:
        if per not in POOLINGS or dtype not in _TORCH_TYPES:
            raise UsageError(
                f"States per '{per}' in '{dtype}' are not known.",
                remedy=f"Per: {', '.join(POOLINGS)}. Dtype: {', '.join(_TORCH_TYPES)}.",
            )
        self.network = quicken(network.to(runtime.pick_device(device)).eval(), precision)
        self._residues = _layer(self.network, str(layer), name)
        self.about = About(
            model=name,
            model_sha256=sha256,
            layer=str(layer),
            per=per,
            pooling=POOLINGS[per],
            dtype=dtype,
            dim=cast(Body, network.body).dim,
        )

    @classmethod
    def load(
        cls,
        bundle: str | Path | None = None,
        backbone: str | None = None,
        *,
        per: Per = "protein",
        layer: str | int = LAST,
        dtype: Dtype = "fp32",
    ) -> Self:
        """The body of a bundle, of a public checkpoint by its name, or of the embedded bundle."""
        if bundle is not None and backbone is not None:
            raise UsageError("A bundle and a backbone were given.", remedy="Leave one of them out.")
        if backbone is not None:
            body = load_body(backbone, TOKENS)
            network = Network(body, {})
            return cls(network, name=backbone, sha256=weights_sha256(body), per=per, layer=layer, dtype=dtype)
        opened = Bundle.load(bundle or default_bundle())
        return cls(opened.network, name=opened.name, sha256=opened.sha256, per=per, layer=layer, dtype=dtype)

    def embed(self, examples: Iterable[Example]) -> Iterator[Values]:
        """The states of each example, in order, as they come; reads ahead by a few hundred proteins at most."""
        return in_groups(examples, self._embed_group)

    @torch.inference_mode()
    def _embed_group(self, group: Sequence[Example]) -> list[Values]:
        device = next(self.network.parameters()).device
        tokens, lengths = pack([example.protein.sequence for example in group])
        states, residues = self._residues(tokens.to(device), lengths)
        values = []
        for example, part in zip(group, states.float().split(residues), strict=True):
            stored = pool(part, self.about.per).to(_TORCH_TYPES[self.about.dtype]).cpu()
            if self.about.dtype == "fp16" and not bool(torch.isfinite(stored).all()):
                raise UsageError(
                    f"A state of '{example.protein.id}' is larger than 65,504, the largest number of fp16.",
                    remedy="Use --dtype fp32.",
                )
            values.append(cast(Values, stored.numpy()))
        return values


def embed_file(
    records: Iterable[Record], embedder: Embedder, out: Path, *, over: Over[list[Example], list[Values]] | None = None
) -> JobResult:
    """Put the states of all records into `out`, whose ending says the format; the same call again goes on.

    `over` answers blocks elsewhere (see `spread`); here, one after the other, if it is left out.
    Of the result, `answered` are the sequences that were computed now, `resumed` the records whose sequence was
    there already, from an earlier run or under another id.
    """
    result = JobResult()
    with Gathering(out, embedder.about) as gathering:

        def wanted() -> Iterator[Example]:
            for record in records:
                if isinstance(record, InputError):
                    result.refused.append(record)
                elif isinstance(record, Merged):
                    result.merged.append(record)
                elif gathering.wants(record.protein):
                    yield record
                else:
                    result.resumed += 1

        for block, states in (over or here(embedding(lambda: embedder)))(blocks(wanted())):
            for example, values in zip(block, states, strict=True):
                gathering.put(example.protein, values)
                result.answered += 1
            # only whole blocks are kept: after a kill each protein has the neighbours again that it would have had,
            # and so, on one thread, the very same bits
            gathering.settle()
        gathering.finish()
    return result


def embedding(load: Callable[[], Embedder]) -> Callable[[list[Example]], list[Values]]:
    """What a worker of a cluster answers blocks of `embed_file` with: an embedder of its own."""
    embedder = load()
    return lambda block: list(embedder.embed(block))


def conclusion(result: JobResult, about: About, out: Path) -> list[str]:
    """What a job did, in sentences."""
    said, place = [], address_of(out) or out
    if result.resumed and not result.answered:
        said.append(f"All states per {about.per} by {about.model} were computed before; they are in {place}.")
    if result.answered:
        proteins = counted(result.answered, "sequence")
        said.append(f"The states of {proteins} per {about.per} by {about.model} are now in {place}.")
    if result.resumed:
        said.append(f"{result.resumed:,} records were not computed again: their sequences were there already.")
    said += [str(merged) for merged in result.merged[:SHOWN]]
    return [*said, *refusals(result.refused, out.with_name("refused.csv"))]


def pool(states: Tensor, per: Per) -> Tensor:
    """States (L, C) as they are, as means over windows (W, C), or as their mean (C,).

    W is 1 up to 32 residues, and one more for each 16 that begin after that.

    >>> pool(torch.arange(40.0)[:, None], "window")[:, 0].tolist()
    [15.5, 23.5]
    """
    if per == "residue":
        return states
    if per == "protein" or len(states) <= WINDOW:
        mean = states.mean(0)
        return mean if per == "protein" else mean[None]
    means = states.unfold(0, WINDOW, STRIDE).mean(-1)  # (W, C, 32) -> (W, C)
    if (len(states) - WINDOW) % STRIDE:
        means = torch.cat((means, states[-WINDOW:].mean(0, keepdim=True)))
    return means


def weights_sha256(module: nn.Module) -> str:
    """The hash of all weights with their names, which tells two versions of a public checkpoint apart."""
    digest = hashlib.sha256()
    for name, weight in sorted(module.state_dict().items()):
        digest.update(name.encode())
        digest.update(weight.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


def _layer(network: Network, layer: str, name: str) -> Residues:
    """What reads one layer's residue states from a packed row: any body's last, any of our own encoder's."""
    if layer == LAST:
        return network.states
    body = network.body if isinstance(network.body, FastBody) else bare(network.body)
    if not isinstance(body, NativeBody | FastBody):
        raise UsageError(f"Of '{name}' only the last layer can be read.", remedy="Leave --layer out.")
    count = cast(Encoder, cast(NativeBody, bare(body)).encoder).config.layers
    if not layer.isdecimal() or int(layer) > count:
        raise UsageError(
            f"'{name}' has no layer '{layer}'.",
            remedy=f"Give a number from 0 (the embedding) to {count}, or 'last' for the last one after its norm.",
        )
    inner: Residues = partial(body.residues, layer=int(layer))
    return partial(_in_windows, inner, body.longest)


def _in_windows(inner: Residues, longest: int, tokens: Tensor, lengths: Sequence[int]) -> tuple[Tensor, list[int]]:
    return read_in_windows(inner, tokens, lengths, longest)
