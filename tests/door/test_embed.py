"""Proteins in, states out: the numbers, the command line, and files that survive a kill at any moment."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch
from click.testing import Result
from typer.testing import CliRunner

from anfinsen.cli import app
from anfinsen.data import gathering
from anfinsen.data.batch import pack
from anfinsen.data.example import Example
from anfinsen.data.store import Dtype, Per, Values, read_store
from anfinsen.errors import UsageError
from anfinsen.hub.bundle import Bundle
from anfinsen.inference import door
from anfinsen.inference.embedder import Embedder, embed_file, weights_sha256
from anfinsen.models.encoder import Encoder, EncoderConfig
from anfinsen.models.network import NativeBody, Network
from anfinsen.reading.readers import read_examples
from anfinsen.structure.protein import Protein

LETTERS = list("ACDEFGHIKLMNPQRSTVWY")
LONGEST = 60
"""Residues in one window of the network of these tests."""


def make_network() -> Network:
    torch.manual_seed(3)
    shape = EncoderConfig(layers=2, dim=16, heads=2, inner_dim=32, longest=LONGEST + 2)
    return Network(NativeBody(Encoder(shape), shape.dim, shape.longest), {}).eval()


def make_embedder(per: Per = "residue", layer: str | int = "last", dtype: Dtype = "fp32") -> Embedder:
    return Embedder(make_network(), name="tiny", sha256="0" * 64, per=per, layer=layer, dtype=dtype, device="cpu")


def make_proteins(count: int, longest: int = LONGEST) -> list[Protein]:
    generator = numpy.random.default_rng(5)
    sizes = generator.integers(12, longest + 1, size=count)
    return [Protein(f"p{number}", "".join(generator.choice(LETTERS, size=size))) for number, size in enumerate(sizes)]


def by_hand(protein: Protein, per: Per, layer: int | None = None) -> Values:
    """The states of one protein alone, pooled by loops."""
    network = make_network()
    tokens, lengths = pack([protein.sequence])
    with torch.inference_mode():
        if layer is None:
            states = network.states(tokens, lengths)[0].numpy()
        else:
            states = network.body.encoder.layers(tokens, lengths)[layer][1:-1].numpy()
    if per == "residue":
        return states
    if per == "protein":
        return states.mean(0)
    starts = [start for start in range(0, len(states), 16) if start + 32 <= len(states)]
    if not starts or starts[-1] + 32 < len(states):
        starts.append(max(0, len(states) - 32))
    return numpy.stack([states[start : start + 32].mean(0) for start in starts])


@pytest.mark.parametrize(("dtype", "tolerance"), [("fp32", 1e-6), ("fp16", 1e-3)])
@pytest.mark.parametrize("per", ["residue", "window", "protein"])
def test_states_are_the_networks_whatever_the_order_and_the_neighbours(
    per: Per, dtype: Dtype, tolerance: float
) -> None:
    proteins = make_proteins(20)
    embedder = make_embedder(per, dtype=dtype)
    together = list(embedder.embed(map(Example, proteins)))
    backwards = list(embedder.embed(map(Example, proteins[::-1])))[::-1]
    for protein, value, other in zip(proteins, together, backwards, strict=True):
        expected = by_hand(protein, per)
        assert value.dtype == {"fp32": numpy.float32, "fp16": numpy.float16}[dtype]
        numpy.testing.assert_allclose(value, expected, atol=tolerance, rtol=tolerance)
        numpy.testing.assert_allclose(other, expected, atol=tolerance, rtol=tolerance)


@pytest.mark.parametrize("layer", [0, 1, 2])
def test_a_layer_is_the_output_of_that_block(layer: int) -> None:
    (protein,) = make_proteins(1)
    (value,) = make_embedder("residue", layer).embed([Example(protein)])
    numpy.testing.assert_allclose(value, by_hand(protein, "residue", layer), atol=1e-6)


@pytest.mark.parametrize("layer", ["last", 1])
def test_a_long_protein_is_read_in_windows_and_never_cut(layer: str | int) -> None:
    protein = Protein("long", (make_proteins(4)[0].sequence * 20)[:250])
    neighbours = make_proteins(3)
    values = list(make_embedder("residue", layer).embed(map(Example, [*neighbours, protein])))
    assert values[-1].shape == (250, 16)
    inside = None if layer == "last" else 1
    first = by_hand(Protein("start", protein.sequence[:LONGEST]), "residue", inside)
    last = by_hand(Protein("end", protein.sequence[-LONGEST:]), "residue", inside)
    # neighbouring windows share half a window, and each residue keeps the state from further inside
    numpy.testing.assert_allclose(values[-1][:40], first[:40], atol=1e-5)
    numpy.testing.assert_allclose(values[-1][-40:], last[-40:], atol=1e-5)


@pytest.mark.parametrize(("length", "windows"), [(10, 1), (32, 1), (33, 2), (48, 2), (49, 3), (64, 3), (60, 3)])
def test_windows_reach_the_end(length: int, windows: int) -> None:
    protein = Protein("p", (make_proteins(1)[0].sequence * 7)[:length])
    (value,) = make_embedder("window").embed([Example(protein)])
    assert value.shape == (windows, 16)


def test_wrong_layers_and_too_large_numbers_are_told() -> None:
    for layer in ("3", "-1", "middle"):
        with pytest.raises(UsageError) as told:
            make_embedder(layer=layer)
        assert str(told.value) == (
            f"'tiny' has no layer '{layer}'. "
            "Give a number from 0 (the embedding) to 2, or 'last' for the last one after its norm."
        )
    network = make_network()
    with torch.no_grad():
        network.body.encoder.last_norm.bias.fill_(1e5)
    loud = Embedder(network, name="loud", sha256="", dtype="fp16", device="cpu")
    with pytest.raises(UsageError) as told:
        list(loud.embed([Example(make_proteins(1)[0])]))
    assert str(told.value) == ("A state of 'p0' is larger than 65,504, the largest number of fp16. Use --dtype fp32.")


def test_the_fingerprint_of_weights_sees_one_changed_number() -> None:
    network = make_network()
    before = weights_sha256(network)
    assert before == weights_sha256(make_network())
    with torch.no_grad():
        next(network.parameters()).view(-1)[7] += 1e-3
    assert weights_sha256(network) != before


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundle")
    made = Bundle("tiny", make_network())
    made.remember()
    made.save(folder)
    return folder


def embed(source: Path, out: Path, *flags: str) -> Result:
    return CliRunner().invoke(app, ["embed", str(source), "--out", str(out), *flags])


def write_fasta(path: Path, proteins: list[Protein]) -> Path:
    path.write_text("".join(f">{protein.id}\n{protein.sequence}\n" for protein in proteins))
    return path


def test_the_verb_writes_states_refusals_and_where_they_come_from(bundle: Path, tmp_path: Path) -> None:
    proteins = make_proteins(5)
    source = write_fasta(
        tmp_path / "in.fasta", [*proteins, Protein("twin", proteins[1].sequence), Protein("bad", "M@")]
    )
    out = tmp_path / "made" / "states.h5"
    result = embed(source, out, "--bundle", str(bundle), "--per", "residue", "--dtype", "fp32")
    assert result.exit_code == 3, result.output
    assert "The states of 5 sequences per residue by tiny are now in" in " ".join(result.output.split())
    about, entries = read_store(out)
    opened = Bundle.load(bundle)
    assert (about.model, about.model_sha256, about.layer) == ("tiny", opened.sha256, "last")
    for entry, protein in zip(entries, proteins, strict=True):
        assert entry.ids == ((protein.id, "twin") if protein.id == "p1" else (protein.id,))
        numpy.testing.assert_allclose(entry.values, by_hand(protein, "residue"), atol=5e-3)  # weights are in fp16
        tokens, lengths = pack([protein.sequence])
        with torch.inference_mode():
            expected = opened.network.states(tokens, lengths)[0].numpy()
        numpy.testing.assert_allclose(entry.values, expected, atol=1e-6)
    with (out.parent / "refused.csv").open() as file:
        (refused,) = csv.DictReader(file)
    assert (refused["record"], refused["row"]) == ("bad", "7")
    again = embed(source, out, "--bundle", str(bundle), "--per", "residue", "--dtype", "fp32")
    assert "All states per residue by tiny were computed before; they are in" in " ".join(again.output.split())
    assert "6 records were not computed again" in " ".join(again.output.split())
    assert sorted(file.name for file in out.parent.iterdir()) == ["refused.csv", "states.h5"]


def test_exit_codes_and_wrong_usage(bundle: Path, tmp_path: Path) -> None:
    source = write_fasta(tmp_path / "in.fasta", make_proteins(2))
    good = embed(source, tmp_path / "a.parquet", "--bundle", str(bundle), "--per", "window", "--layer", "1")
    assert good.exit_code == 0, good.output
    all_bad = write_fasta(tmp_path / "bad.fasta", [Protein("bad", "M@")])
    assert embed(all_bad, tmp_path / "b.h5", "--bundle", str(bundle)).exit_code == 1
    assert not (tmp_path / "b.h5").exists() and not (tmp_path / "b.h5.part").exists()
    wrong = embed(source, tmp_path / "states.npy", "--bundle", str(bundle))
    assert isinstance(wrong.exception, UsageError) and wrong.exception.exit_code == 2
    assert "Give it a name that ends in .h5, .parquet or .zarr." in str(wrong.exception)
    both = embed(source, tmp_path / "c.h5", "--bundle", str(bundle), "--backbone", "x")
    assert isinstance(both.exception, UsageError)
    assert str(both.exception) == "A bundle and a backbone were given. Leave one of them out."


def test_the_door_gives_arrays(bundle: Path) -> None:
    proteins = make_proteins(3)
    sequences = [protein.sequence for protein in proteins]
    one = door.embed(sequences[0], bundle=bundle)
    assert isinstance(one, numpy.ndarray) and one.shape == (16,)
    many = door.embed(sequences, bundle=bundle)
    assert isinstance(many, numpy.ndarray) and many.shape == (3, 16) and many.dtype == numpy.float32
    residues = door.embed(proteins, "residue", layer=1, bundle=bundle)
    assert [part.shape for part in residues] == [(len(protein), 16) for protein in proteins]
    assert door.embed([], bundle=bundle).shape == (0, 16)  # type: ignore[union-attr]


# What follows runs in a process of its own, which forks a child for every run and lets it be killed.


def run_in_child(action: Callable[[], None]) -> int:
    child = os.fork()
    if child == 0:
        action()
        os._exit(0)
    return os.waitpid(child, 0)[1]


def embed_until(source: Path, out: Path, log: Path, point: str = "", count: int = 0, *, together: bool = False) -> None:
    """Embed a file, log each protein that is computed, and be killed at a point when it is passed for the n-th time.

    `together` leaves the proteins in groups, as users embed them.
    """
    passed = 0

    def maybe_die(here: str) -> None:
        nonlocal passed
        passed += here == point
        if here == point and passed == count:
            os.kill(os.getpid(), signal.SIGKILL)

    def wrapped(name: str, owner: Any) -> None:
        inner = getattr(owner, name)

        def outer(*values: Any) -> Any:
            maybe_die(f"before {name}")
            given = inner(*values)
            maybe_die(f"after {name}")
            return given

        setattr(owner, name, outer)

    def one_by_one(examples: Any, answer: Any) -> Any:
        for example in examples:
            (value,) = answer([example])
            with log.open("a") as file:
                file.write(f"{example.protein.id}\n")
            maybe_die("computed")
            yield value

    from anfinsen.inference import embedder as embedder_module
    from anfinsen.tasks import ask

    ask.AHEAD = 64 if together else 1
    if not together:
        embedder_module.in_groups = one_by_one
    gathering.COMMIT_SECONDS = 0.0
    wrapped("put", gathering.Gathering)
    wrapped("settle", gathering.Gathering)
    wrapped("_flush", gathering)
    wrapped("_take_place", gathering.Gathering)
    wrapped("_delete_part", gathering.Gathering)
    inner_ids = gathering.Gathering._ids

    def ids(self: Any, sha256: str) -> Any:
        maybe_die("an entry is written")
        return inner_ids(self, sha256)

    gathering.Gathering._ids = ids
    embed_file(read_examples(source), make_embedder("residue"), out)


def survive(folder: Path) -> dict[str, Any]:
    """Kill a run at every point, go on, and tell what was computed and what is in the file."""
    torch.set_num_threads(1)
    proteins = make_proteins(12)
    source = write_fasta(folder / "in.fasta", proteins)
    embed_file(read_examples(source), make_embedder("residue"), folder / "warm.h5")  # what children would load each
    told: dict[str, Any] = {}
    points = [
        ("computed", 1),
        ("computed", 7),
        ("before put", 5),
        ("before settle", 2),
        ("after settle", 1),
        ("after settle", 12),
    ]
    points += [("an entry is written", 1), ("an entry is written", 9), ("before _flush", 1), ("before _take_place", 1)]
    points += [("after _take_place", 1), ("after _delete_part", 1)]
    for number, (point, count) in enumerate(points):
        out, log = folder / f"{number}.h5", folder / f"{number}.log"
        status = run_in_child(lambda out=out, log=log, p=point, c=count: embed_until(source, out, log, p, c))
        is_whole = out.exists()
        after = run_in_child(lambda out=out, log=log: embed_until(source, out, log))
        left = sorted(
            file.name for file in folder.iterdir() if file.name.startswith((f"{number}.", f".writing-{number}."))
        )
        told[f"{point} {count}"] = {
            "signal": os.WTERMSIG(status),
            "was_whole": is_whole,
            "again": after,
            "computed": log.read_text().split(),
            "ids": [entry.ids[0] for entry in read_store(out)[1]],
            "is_right": _is_right(out, proteins),
            "left": left,
        }
    told["together"] = _together(folder, proteins)
    told["bits"] = _bits(folder)
    return told


def _bits(folder: Path) -> dict[str, Any]:
    """Many blocks of proteins: one run that is left alone, and one that is killed three times and gone on with."""
    proteins = make_proteins(300, longest=30)
    source = write_fasta(folder / "many.fasta", proteins)
    whole, broken, log = folder / "whole.h5", folder / "broken.h5", folder / "many.log"
    points = [("after put", 100), ("before settle", 2), ("after put", 75)]
    signals = []
    for point, count in points:
        ended = run_in_child(lambda p=point, c=count: embed_until(source, broken, log, p, c, together=True))
        signals.append(os.WTERMSIG(ended))
    ends = [run_in_child(lambda out=out: embed_until(source, out, log, together=True)) for out in (broken, whole)]
    return {
        "signals": signals,
        "ends": ends,
        "ids": [entry.ids for entry in read_store(broken)[1]] == [(protein.id,) for protein in proteins],
        "is_same_file": broken.read_bytes() == whole.read_bytes(),
    }


def _is_right(out: Path, proteins: list[Protein]) -> bool:
    expected = {protein.sha256: by_hand(protein, "residue") for protein in proteins}
    return all(numpy.allclose(entry.values, expected[entry.sha256], atol=1e-6) for entry in read_store(out)[1])


def _together(folder: Path, proteins: list[Protein]) -> dict[str, Any]:
    """Eight processes fill one file with overlapping proteins at the same time; one of them is killed."""
    out, children = folder / "shared.h5", []
    for number in range(8):
        source = write_fasta(folder / f"shared-{number}.fasta", proteins[number : number + 4])
        child = os.fork()
        if child == 0:
            point = ("after settle", 2) if number == 3 else ("", 0)
            embed_until(source, out, folder / "shared.log", *point)
            os._exit(0)
        children.append(child)
    statuses = [os.waitpid(child, 0)[1] for child in children]
    return {
        "statuses": statuses,
        "ids": sorted(entry.ids[0] for entry in read_store(out)[1]),
        "is_right": _is_right(out, proteins),
        "left": sorted(file.name for file in folder.iterdir() if "shared.h5" in file.name),
    }


@pytest.mark.skipif(not hasattr(os, "fork"), reason="Windows has no SIGKILL")
def test_a_kill_at_any_moment_costs_nothing_that_was_done(tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, __file__, str(tmp_path)], capture_output=True, text=True, check=False, timeout=300
    )
    assert result.returncode == 0, result.stderr
    told = json.loads(result.stdout)
    together, bits = told.pop("together"), told.pop("bits")
    assert bits == {"signals": [signal.SIGKILL] * 3, "ends": [0, 0], "ids": True, "is_same_file": True}
    names = [f"p{number}" for number in range(12)]
    for point, run in told.items():
        assert (run["signal"], run["again"]) == (signal.SIGKILL, 0), point
        assert run["was_whole"] == point.startswith(("after _take_place", "after _delete_part")), point
        assert run["ids"] == names, point
        assert run["is_right"], point
        assert [name.partition(".")[2] for name in run["left"]] == ["h5", "log"], (point, run["left"])
        # only what was computed and not yet handed over is computed again
        is_lost = point.startswith(("computed", "before put", "before settle"))
        assert len(run["computed"]) == 12 + is_lost, (point, run["computed"])
    # the others may have done all of its proteins before the fourth came to be killed
    assert {status for status in together["statuses"] if status} <= {signal.SIGKILL}
    assert together["ids"] == sorted(names[:11])
    assert together["is_right"] and together["left"] == ["shared.h5"]


def peak_megabytes(folder: Path, count: int) -> float:
    """The most memory that this process ever held, after it embedded so many proteins."""
    import resource  # Windows has none

    source, generator = folder / f"{count}.fasta", numpy.random.default_rng(7)
    with source.open("w") as file:
        for number in range(count):
            file.write(f">protein_{number}\n{''.join(generator.choice(LETTERS, size=30))}\n")
    result = embed_file(read_examples(source), make_embedder("protein"), folder / f"{count}.h5")
    assert result.answered == count
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere memory is counted in other units")
def test_memory_does_not_grow_with_the_number_of_proteins(tmp_path: Path) -> None:
    command = [sys.executable, __file__, str(tmp_path)]
    few, many = (
        float(subprocess.run([*command, str(count)], capture_output=True, text=True, check=True).stdout)
        for count in (2_000, 30_000)
    )
    assert many < few + 20


if __name__ == "__main__":
    room, *counts = sys.argv[1:]
    told_by_child = peak_megabytes(Path(room), int(counts[0])) if counts else survive(Path(room))
    sys.stdout.write(json.dumps(told_by_child))
