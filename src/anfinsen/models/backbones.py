"""Other people's protein language models as bodies: by checkpoint name or from a folder, through `transformers`.

    load_body("facebook/esm2_t12_35M_UR50D", letters)   ->  our own encoder with its weights (see `public`)
    load_body("Rostlab/prot_bert", letters)             ->  BERT behind the same interface
    load_body("Rostlab/prot_t5_xl_uniref50", letters)   ->  the encoder half of T5

Whatever the model, tokens come in our own alphabet and one state a residue goes out. What differs between the
families stays in here: their numbers for the residues, which rare residues they never learnt (U, Z, O, B become X),
which special tokens they put around a sequence, and how long it may be. Weights are read without unpickling, and no
code from a checkpoint is run: the classes below are named, never looked up in a checkpoint.
ProtBERT, ProtT5: Elnaggar et al. 2021, IEEE TPAMI 44:7112. ESM-1b: Rives et al. 2021, PNAS 118:e2016239118.
`transformers` is imported when a body is asked for, not before.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from anfinsen.errors import BundleError, MissingExtraError, UsageError
from anfinsen.models.network import NativeBody
from anfinsen.models.public import from_public, to_public

__all__ = ["FAMILIES", "Family", "PublicBody", "from_public", "load_body", "to_public"]


@dataclass(frozen=True)
class Family:
    """What one architecture of `transformers` needs to be read as a body."""

    examples: str
    model: str
    tokenizer: str
    before: str = ""
    """What stands before a residue's letter in the vocabulary."""
    rare: str = ""
    """Residues that are read as X."""
    longest: int | None = None
    """Most residues in one window, where the config does not say it."""
    packages: tuple[str, ...] = ()
    """What `transformers` may need for the vocabulary and does not itself bring."""
    options: Mapping[str, Any] = field(default_factory=dict)


_PIECES = ("sentencepiece", "protobuf")
FAMILIES = {
    "esm": Family("ESM-1b, ESM-2", "EsmModel", "EsmTokenizer", options={"add_pooling_layer": False}),
    "bert": Family("ProtBERT", "BertModel", "BertTokenizer", rare="UZOB", options={"add_pooling_layer": False}),
    "t5": Family("ProtT5", "T5EncoderModel", "T5Tokenizer", before="▁", rare="UZOB", longest=2000, packages=_PIECES),
}
"""The architectures that can be read, by the `model_type` of their config.json."""

_NOT_NEEDED = re.compile(r"pooler|contact_head|inv_freq|position_ids")
_UNREADABLE = -1
_PATIENCE = 10.0
"""Seconds within which a hub must answer."""


class PublicBody(nn.Module):
    """A `transformers` model as a body; `table` gives its number for each of our tokens, -1 where it has none.

    `begins` says whether the model wants a first token; all of them want a last one.
    """

    table: Tensor

    def __init__(
        self, model: nn.Module, table: Tensor, *, name: str, dim: int, longest: int, begins: bool, pad: int
    ) -> None:
        super().__init__()
        self.model = model
        self.register_buffer("table", table, persistent=False)
        self.name = name
        self.dim = dim
        self.longest = longest
        self.begins = begins
        self.pad = pad

    def residues(self, tokens: Tensor, lengths: Sequence[int]) -> tuple[Tensor, list[int]]:
        """Residue states (R, dim) and lengths; raises `UsageError` for more than `longest` residues."""
        counts = [length - 2 for length in lengths]
        if max(counts) > self.longest:
            raise UsageError(
                f"A protein of {max(counts)} residues came, but '{self.name}' reads at most {self.longest} at once.",
                remedy="Read it in windows: read_in_windows(body.residues, tokens, lengths, body.longest).",
            )
        numbers = self.table[tokens]
        if bool((numbers == _UNREADABLE).any()):
            raise UsageError(
                f"'{self.name}' has no token for a hidden residue.", remedy="Give sequences without hidden residues."
            )
        first = 1 if self.begins else 0
        rows = [row[1 - first :] for row in torch.split(numbers, list(lengths))]
        padded = pad_sequence(rows, batch_first=True, padding_value=self.pad)  # (B, longest L)
        ends = torch.tensor([len(row) for row in rows], device=tokens.device)[:, None]
        places = torch.arange(padded.shape[1], device=tokens.device)
        states: Tensor = self.model(input_ids=padded, attention_mask=(places < ends).long()).last_hidden_state
        return states[(places >= first) & (places < ends - 1)], counts


def load_body(name_or_path: str, letters: Sequence[str], *, offline: bool = False) -> nn.Module:
    """A body from a public checkpoint; `letters` are our tokens in order, `offline` forbids the network.

    What was downloaded before is taken from the disk, and the network is not asked for a newer version.
    Raises `BundleError` where the checkpoint is not at hand, not of a known family, or incomplete.
    """
    name = str(name_or_path)
    if not offline and not Path(name).is_dir():
        with suppress(BundleError):
            return _load(name, letters, offline=True)
        _ask_hub(name)
    return _load(name, letters, offline=offline)


def _load(name: str, letters: Sequence[str], *, offline: bool) -> nn.Module:
    config = _read_config(name, offline)
    kind = config.get("model_type")
    if kind not in FAMILIES:
        known = ", ".join(f"{key} ({family.examples})" for key, family in FAMILIES.items())
        raise BundleError(
            f"'{name}' is a model of the kind '{kind}', which cannot be read as a backbone.", remedy=f"Known: {known}."
        )
    family = FAMILIES[kind]
    tokenizer = _read_tokenizer(name, family, offline)
    model = _read_model(name, family, offline)
    numbers: dict[str, int] = tokenizer.get_vocab()
    if model.config.to_dict().get("position_embedding_type") == "rotary" and _is_ours(numbers, letters):
        encoder, _ = from_public(config, model.state_dict())
        return NativeBody(encoder, encoder.config.dim, encoder.config.longest)
    begin, end = tokenizer.cls_token_id, tokenizer.eos_token_id
    special = {
        "<cls>": begin,
        "<eos>": tokenizer.sep_token_id if end is None else end,
        "<mask>": tokenizer.mask_token_id,
    }
    return PublicBody(
        model,
        _table(name, family, numbers, special, letters),
        name=name,
        dim=model.config.hidden_size,
        longest=family.longest or _longest(model.config),
        begins=begin is not None,
        pad=tokenizer.pad_token_id,
    )


def _is_ours(numbers: Mapping[str, int], letters: Sequence[str]) -> bool:
    return all(numbers.get(letter) == number for number, letter in enumerate(letters))


def _table(
    name: str, family: Family, numbers: Mapping[str, int], special: Mapping[str, int | None], letters: Sequence[str]
) -> Tensor:
    """The model's number for each of our tokens, (len(letters),)."""
    absent = [letter for letter in "ACDEFGHIKLMNPQRSTVWYX" if family.before + letter not in numbers]
    if absent:
        raise BundleError(
            f"The vocabulary of '{name}' has no token for {', '.join(absent)}, so it does not read single residues.",
            remedy=f"Give a protein language model such as {family.examples}.",
        )
    unknown = numbers[family.before + "X"]
    table = []
    for letter in letters:
        if letter in special:
            found = special[letter]
            table.append(_UNREADABLE if found is None else found)
        else:
            table.append(unknown if letter in family.rare else numbers.get(family.before + letter, unknown))
    if special["<cls>"] is None:  # this family begins with no token; ours is dropped before the model sees it
        table[letters.index("<cls>")] = unknown
    return torch.tensor(table)


def _longest(config: Any) -> int:
    """Residues that fit a model with a vector for each position, beside its first and last token."""
    places = int(config.max_position_embeddings)
    if config.model_type == "esm" and config.position_embedding_type == "absolute":
        places -= int(config.pad_token_id) + 1  # its places are counted from after the number of the padding token
    return places - 2


def _ask_hub(name: str) -> None:
    """Ask the hub once whether it has a model; `transformers` would ask six times, half a minute, before it gave up."""
    from httpx2 import HTTPError
    from huggingface_hub import HfApi
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, HFValidationError, RepositoryNotFoundError

    reason = f"'{name}' is no folder here, is not among the downloads, and "
    try:
        HfApi().model_info(name, timeout=_PATIENCE)
    except GatedRepoError:
        raise BundleError(
            f"The owner of '{name}' lets in whom he knows.", remedy="Ask for access on its page."
        ) from None
    except (HFValidationError, RepositoryNotFoundError):
        raise BundleError(
            f"{reason}the hub has no model of that name.",
            remedy="Check its spelling (owner/name, such as facebook/esm2_t6_8M_UR50D), or give a local folder.",
        ) from None
    except (HfHubHTTPError, HTTPError, OSError):
        raise BundleError(
            f"{reason}the hub cannot be reached.",
            remedy=f"Give a local folder, or download it first where there is a network: hf download {name}",
        ) from None


def _read_config(name: str, offline: bool) -> dict[str, Any]:
    from transformers import PreTrainedConfig

    config: dict[str, Any] = {}
    with suppress(OSError, ValueError):
        config, _ = PreTrainedConfig.get_config_dict(name, local_files_only=offline)
    if config:
        return config
    if Path(name).is_dir():
        raise BundleError(
            f"The folder '{name}' has no config.json that can be read.", remedy="Give the folder of a model."
        )
    raise BundleError(
        f"'{name}' is no folder here, is not among the downloads, and "
        + ("the network was not to be used." if offline else "could not be fetched."),
        remedy=f"Give a local folder, or download it first where there is a network: hf download {name}",
    )


def _read_tokenizer(name: str, family: Family, offline: bool) -> Any:
    import transformers

    try:
        with _quiet():
            return getattr(transformers, family.tokenizer).from_pretrained(name, local_files_only=offline)
    except (OSError, ValueError, TypeError, ImportError) as error:
        for package in family.packages:
            if not _is_installed(package):
                raise MissingExtraError(package, "prott5") from error
        raise BundleError(
            f"The vocabulary of '{name}' could not be read: {_first_line(error)}",
            remedy="Put the tokenizer's files (vocab.txt, spiece.model or tokenizer.json) beside the weights.",
        ) from error


def _read_model(name: str, family: Family, offline: bool) -> Any:
    """The model in fp32; a weight that is not in the file is an error, never a random number."""
    import transformers
    from safetensors import SafetensorError

    try:
        with _quiet():
            model, report = getattr(transformers, family.model).from_pretrained(
                name,
                use_safetensors=True,
                local_files_only=offline,
                dtype=torch.float32,
                output_loading_info=True,
                **family.options,
            )
    except (OSError, RuntimeError, ValueError, SafetensorError) as error:
        raise BundleError(
            f"The weights of '{name}' could not be read: {_first_line(error)}",
            remedy="Only .safetensors is read, because other formats can run code; convert the checkpoint once with "
            "save_pretrained, on a machine where you trust it.",
        ) from error
    absent = sorted(key for key in report["missing_keys"] if not _NOT_NEEDED.search(key))
    if absent:
        raise BundleError(
            f"The weights of '{name}' lack {len(absent)} that a {family.model} needs, for example '{absent[0]}'.",
            remedy="Fetch or write the model again.",
        )
    return model


def _is_installed(package: str) -> bool:
    try:
        return bool(metadata.version(package))
    except metadata.PackageNotFoundError:
        return False


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the table of weights that were left out on purpose."""
    from transformers.utils import logging as narration

    before = narration.get_verbosity()
    narration.set_verbosity(logging.ERROR)
    try:
        yield
    finally:
        narration.set_verbosity(before)
