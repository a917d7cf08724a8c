"""A bundle: a trained model as a folder that anybody can open, check and trust.

    config.json, vocab.txt,
    model.safetensors                the language model in transformers' layout: plain `from_pretrained` opens it
    heads.safetensors                one head a task
    listeners.safetensors            of tasks that ask relatives: what corrects their heads by them
    reach.safetensors                hashed sketches of the training proteins, no sequences
    golden.safetensors               outputs for three known proteins; `anfinsen verify` compares
    bundle.json                      record of each task: calibration, data, licence, scores; provenance; hashes
    README.md                        the model card, written from all of that

Nothing in it is ever unpickled. Weights are stored in half precision and computed in fp32.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file as load_arrays
from safetensors.numpy import save_file as save_arrays
from safetensors.torch import load_file, save_file
from torch import nn

from anfinsen.config import Config
from anfinsen.data.batch import pack
from anfinsen.data.elsewhere import fetched_folder
from anfinsen.errors import BundleError
from anfinsen.hub.body import BODY_FILES, CORRECTIONS, file_hash, halved, read_body, widened, write_body
from anfinsen.hub.card import write_card
from anfinsen.hub.lock import lock_of
from anfinsen.hub.record import BODY_SUITES, OURS, TRAINING_SUITE, Score, TaskRecord, renewed
from anfinsen.kinship.family import Family
from anfinsen.kinship.neighbours import Reach
from anfinsen.models.heads import MaskedHead
from anfinsen.models.listening import listeners_from
from anfinsen.models.network import Network

WEIGHTS = Path(__file__).parent.parent / "weights"
"""Where the models lie that come with the package."""
EMBEDDED = WEIGHTS / "anfinsen-xs"
"""The one that answers where none is named."""
GOLDEN = (
    "MQIFVKTLTGKTITLEVEPSDTIENVKAKIQDKEGIPPDQQRLIFAGKQLEDGRTLSDYNIQKESTLHLVLRLRGG",
    "FVNQHLCGSHLVEALYLVCGERGFFYTPKT",
    "KVFGRCELAAAMKRHGLDNYRGYSLGNWVCAAKFESNFNTQATNRNTDGSTDYGILQINSRWWCNDGRTPGSRNLCNIPCSALLSSDITASVNCAKKIVSDGNGMNAWVAWRNRCKGTDVQAWIRGCRL",
)
"""Human ubiquitin, the insulin B chain and hen lysozyme: a bundle remembers what it says of them."""
_GOLDEN_NAMES = ("ubiquitin", "insulin B chain", "lysozyme")
FORMAT = 1
MASKED = "masked"
TAUGHT = "body_taught"
"""Where the provenance names the tasks with which the body was trained, its forebears' included."""
LISTENERS = "listeners.safetensors"
FILES = (*BODY_FILES, CORRECTIONS, "heads.safetensors", LISTENERS, "reach.safetensors", "golden.safetensors")
"""The files that a bundle may hold beside bundle.json and its card; bundle.json vouches for each."""


class Manifest(Config):
    """The contents of bundle.json."""

    format: int
    """Version of the folder's layout."""
    name: str
    """What the model is called."""
    tasks: dict[str, TaskRecord] = {}
    """One record a task, the masked task included."""
    provenance: dict[str, str] = {}
    """Versions, seed, recipe: what is needed to make it again."""
    backbone: str = ""
    """The public checkpoint that is the body; empty where the body is in the folder."""
    lock: dict[str, str] = {}
    """Hashes of the code and of the body that it was made with."""
    golden: tuple[str, ...] = ()
    """The sequences whose outputs are kept."""
    hashes: dict[str, str] = {}
    """SHA-256 of every other file of the folder."""


@dataclass
class Bundle:
    """A network with everything that is known about it."""

    name: str
    network: Network
    records: dict[str, TaskRecord] = field(default_factory=dict)
    reaches: dict[str, Reach] = field(default_factory=dict)
    provenance: dict[str, str] = field(default_factory=dict)
    lock: dict[str, str] = field(default_factory=dict)
    golden_sequences: tuple[str, ...] = ()
    golden_outputs: Mapping[str, NDArray[numpy.float32]] = field(default_factory=dict)
    sha256: str = ""

    def save(self, folder: Path) -> None:
        """Write the folder beside its place, bundle.json last, and put it there when it is whole."""
        beside, old = folder.with_name(f".writing-{folder.name}"), folder.with_name(f".old-{folder.name}")
        for left in (beside, old):
            shutil.rmtree(left, ignore_errors=True)
        beside.mkdir(parents=True)
        self._write(beside)
        if folder.exists():
            folder.rename(old)
        beside.rename(folder)
        shutil.rmtree(old, ignore_errors=True)

    def _write(self, folder: Path) -> None:
        backbone = write_body(folder, self.network.body, _masked_head(self.network))
        save_file(halved(_other_heads(self.network).state_dict()), folder / "heads.safetensors")
        if self.network.listeners:
            save_file(halved(self.network.listeners.state_dict()), folder / LISTENERS)
        sketches = {
            f"{task}.{name}": array for task, reach in self.reaches.items() for name, array in reach.to_arrays().items()
        }
        save_arrays(sketches, folder / "reach.safetensors")
        save_arrays(dict(self.golden_outputs), folder / "golden.safetensors")
        write_card(folder / "README.md", self.name, self.records, self.provenance)
        manifest = Manifest(
            format=FORMAT,
            name=self.name,
            tasks={name: record.shaped(self.network.shapes.get(name)) for name, record in self.records.items()},
            provenance=self.provenance,
            backbone=backbone,
            lock=self.lock,
            golden=self.golden_sequences,
            hashes={name: file_hash(folder / name) for name in FILES if (folder / name).is_file()},
        )
        (folder / "bundle.json").write_text(manifest.model_dump_json(indent=1), encoding="utf-8")

    @property
    def label(self) -> str:
        """How the bundle is called beside baselines and published models, where ours begin with 'anfinsen'."""
        return self.name if self.name.startswith(OURS) else f"{OURS} {self.name}"

    @property
    def taught(self) -> tuple[str, ...]:
        """The tasks whose labels may have moved the body; all that it answers where its provenance does not say."""
        told = self.provenance.get(TAUGHT)
        return tuple(self.records) if told is None else tuple(name for name in told.split(", ") if name)

    def with_scores(self, rows: Sequence[Score]) -> Bundle:
        """The bundle with new benchmark rows in its records, in the place of older rows that answer the same question.

        Rows about the language model itself stand with the masked task, whatever they ask, and so do those of what can
        be trained on it (such as 'gb1'); rows about what a bundle of one task is good for (such as 'fold', made from
        contacts) stand with that task.
        """
        for name, record in self.records.items():
            mine = tuple(row for row in rows if self._home(row) == name)
            self.records[name] = record.replaced(scores=renewed(record.scores, mine))
        return self

    def _home(self, row: Score) -> str:
        """The task with which a row stands; none where the bundle has nothing to do with it."""
        if row.suite in BODY_SUITES or row.task in self.records:
            return MASKED if row.suite in BODY_SUITES else row.task
        only = [name for name in self.records if name != MASKED]
        if len(only) == 1:
            return only[0]
        return MASKED if row.suite == TRAINING_SUITE else ""

    def remember(self) -> None:
        """Keep the outputs for the golden proteins and hashes of what made them, for `anfinsen verify`."""
        self.lock = lock_of(self.network.body)
        self.golden_sequences, self.golden_outputs = GOLDEN, self._golden(GOLDEN)

    def verify(self, tolerance: float = 1e-3) -> list[str]:
        """A sentence for each output that is not what it was when the bundle was made; none if all is well."""
        now = self._golden(self.golden_sequences)
        apart = {name: float(numpy.abs(now[name] - kept).max()) for name, kept in self.golden_outputs.items()}
        if not apart:
            return ["It holds no golden proteins, so nothing could be compared."]
        changed = {name: distance for name, distance in apart.items() if not distance <= tolerance}
        return [f"{_called(name, self.golden_sequences)} differs by {far:.2g}." for name, far in changed.items()]

    def _golden(self, sequences: tuple[str, ...]) -> dict[str, NDArray[numpy.float32]]:
        outputs = {}
        for number, sequence in enumerate(sequences):
            with torch.inference_mode():
                tokens, lengths = pack([sequence])
                device = next(self.network.parameters()).device
                states, residues, maps = self.network.states_and_maps(tokens.to(device), lengths)
                outputs[f"{number}.states"] = states.mean(0).cpu().numpy()
                for name, shape in self.network.shapes.items():
                    unknown = torch.full((1, shape.conditions), float("nan"), device=device)
                    chains = 2 if shape.kind in ("pair", "pairing") else 1  # a pair of it and itself
                    said = self.network.ask(name, states.repeat(chains, 1), residues * chains, unknown, maps=maps)
                    outputs[f"{number}.{name}"] = said.cpu().numpy()
                for name in self.network.listeners:
                    evidence = torch.from_numpy(Family.of(sequence, []).evidence).to(device)
                    said = torch.from_numpy(outputs[f"{number}.{name}"]).to(device)
                    heard = self.network.hear(name, said, evidence)
                    outputs[f"{number}.{name}, with relatives"] = heard.cpu().numpy()
        return outputs

    @classmethod
    def load(cls, folder: str | Path) -> Bundle:
        """Open a folder, here or at an address such as 's3://bucket/model', after its hashes have been checked."""
        folder = fetched_folder(folder, "bundle.json")
        manifest = _read_manifest(folder)
        # a file that nobody vouches for is as bad as one that was changed
        there = dict.fromkeys(name for name in FILES if (folder / name).is_file())
        for name, expected in {**there, **manifest.hashes}.items():
            if name not in FILES or not (folder / name).is_file() or file_hash(folder / name) != expected:
                raise BundleError(
                    f"'{folder}' is damaged: {name} is not the file that bundle.json vouches for.",
                    remedy="Get the bundle again.",
                )
        try:
            body, masked_head = read_body(folder, manifest.backbone)
            shapes = {name: record.shape for name, record in manifest.tasks.items()}
            network = Network(body, shapes)
            if masked_head is not None and MASKED in shapes:
                network.heads[MASKED] = masked_head
            _other_heads(network).load_state_dict(widened(load_file(folder / "heads.safetensors")))
            if LISTENERS in there:
                network.listeners = listeners_from(widened(load_file(folder / LISTENERS)))
            arrays = load_arrays(folder / "reach.safetensors")
            golden = load_arrays(folder / "golden.safetensors")
        except (SafetensorError, RuntimeError, ValueError) as error:
            raise BundleError(f"'{folder}' cannot be read: {error}.", remedy="Get the bundle again.") from None
        return cls(
            manifest.name,
            network.eval(),
            dict(manifest.tasks),
            {task: Reach.from_arrays(part) for task, part in _by_task(arrays).items()},
            dict(manifest.provenance),
            dict(manifest.lock),
            manifest.golden,
            golden,
            # of what answers, so that new scores in the card do not make it another model
            hashlib.sha256(json.dumps(manifest.hashes, sort_keys=True).encode()).hexdigest(),
        )


def default_bundle() -> Path:
    """The folder of the bundle that comes with the package."""
    if not (EMBEDDED / "bundle.json").is_file():
        raise BundleError(
            "This copy of Anfinsen has no embedded model.", remedy="Give the folder of one with --bundle."
        )
    return EMBEDDED


def embedded_bundles() -> list[Path]:
    """The folders of all bundles that come with the package, the default first."""
    others = sorted(path.parent for path in WEIGHTS.glob("*/bundle.json") if path.parent != EMBEDDED)
    return [default_bundle(), *others]


def _called(output: str, sequences: Sequence[str]) -> str:
    """'0.states' in words: 'ubiquitin, states'."""
    number, _, what = output.partition(".")
    names = dict(zip(GOLDEN, _GOLDEN_NAMES, strict=True))
    return f"{names.get(sequences[int(number)], f'golden protein {int(number) + 1}')}, {what}"


def _read_manifest(folder: Path) -> Manifest:
    try:
        values: dict[str, Any] = json.loads((folder / "bundle.json").read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        reason = (
            f"'{folder}' is no bundle: it has no bundle.json." if folder.is_dir() else f"There is no folder '{folder}'."
        )
        raise BundleError(reason, remedy="Give a folder that `anfinsen train` wrote.") from None
    except ValueError as error:
        raise BundleError(
            f"'{folder}/bundle.json' is not valid JSON: {error}.", remedy="Get the bundle again."
        ) from None
    if not isinstance(values, dict) or "format" not in values:
        raise BundleError(f"'{folder}/bundle.json' is no manifest of a bundle.", remedy="Get the bundle again.")
    if values.get("format") != FORMAT:
        raise BundleError(
            f"'{folder}' has layout {values.get('format')}, this version reads {FORMAT}.",
            remedy="Update Anfinsen or retrain the bundle.",
        )
    return Manifest.build(values, source=str(folder / "bundle.json"))


def _other_heads(network: Network) -> nn.ModuleDict:
    """All heads but the language model's own, which is stored with the body."""
    return nn.ModuleDict({name: head for name, head in network.heads.items() if name != MASKED})


def _masked_head(network: Network) -> MaskedHead | None:
    head = network.heads[MASKED] if MASKED in network.shapes else None
    return head if isinstance(head, MaskedHead) else None


def _by_task(arrays: Mapping[str, NDArray[Any]]) -> dict[str, dict[str, NDArray[Any]]]:
    grouped: dict[str, dict[str, NDArray[Any]]] = {}
    for name, array in arrays.items():
        task, _, key = name.partition(".")
        grouped.setdefault(task, {})[key] = array
    return grouped
