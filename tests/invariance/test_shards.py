"""A packed corpus gives back what was packed, is never read where it is damaged, and trains as its table would."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import fsspec
import numpy
import polars
import pytest
from hypothesis import given
from hypothesis import strategies as some

from anfinsen.data.address import Address
from anfinsen.data.batch import Stream
from anfinsen.data.bits import ALPHABET, pack_letters, packed_size, pair_table, unpack_letters
from anfinsen.data.example import Example
from anfinsen.errors import CorpusError, UnknownNameError, UsageError
from anfinsen.hub.bundle import Bundle
from anfinsen.sets.corpus import Rows, TableRows, rows_of
from anfinsen.sets.packing import cut, write_shards
from anfinsen.sets.shards import MAGIC, MANIFEST, Header, Manifest, Shards
from anfinsen.structure.protein import Protein
from anfinsen.tasks import TASKS
from anfinsen.training.recipe import Recipe
from anfinsen.training.run import data_hash, train

AGAIN = "Copy the corpus again, or pack it again with anfinsen pack."


@dataclass(frozen=True)
class Given:
    """Rows that lie in memory."""

    rows: tuple[Rows, ...]
    source: str = "a test"
    refused: tuple[()] = ()

    def sha256(self) -> str:
        return "ab" * 32

    def __iter__(self):  # type: ignore[no-untyped-def]
        return iter(self.rows)


def make_records(count: int = 60, name: str = "p") -> list[tuple[str, str]]:
    generator = numpy.random.default_rng(4)
    letters = numpy.array(list("ACDEFGHIKLMNPQRSTVWYXBZUO"))
    return [
        (f"{name}{number}", "".join(generator.choice(letters, size=int(generator.integers(1, 90)))))
        for number in range(count)
    ]


def make_corpus(folder: Path, *, keep_ids: bool = True, shard_residues: int = 700, **changes: int) -> Manifest:
    rows = Given((rows_of("train", make_records()), rows_of("valid", make_records(9, "v"))))
    return write_shards(rows, folder, shard_residues=shard_residues, keep_ids=keep_ids, **changes)


def told(examples: Sequence[Example]) -> list[tuple[str, str]]:
    return [(example.protein.id, example.protein.sequence) for example in examples]


@given(some.text(ALPHABET, max_size=200), some.integers(0, 210), some.integers(0, 210))
def test_any_part_of_packed_letters_is_what_was_packed(text: str, first: int, count: int) -> None:
    packed = pack_letters(numpy.frombuffer(text.encode(), dtype=numpy.uint8))
    assert len(packed) == packed_size(len(text))
    first = min(first, len(text))
    count = min(count, len(text) - first)
    assert unpack_letters(packed, first, count, pair_table()).tobytes().decode() == text[first : first + count]


def test_more_than_is_packed_at_once_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    letters = numpy.random.default_rng(1).integers(ord("A"), ord("Z") + 1, size=1000).astype(numpy.uint8)
    whole = pack_letters(letters)
    monkeypatch.setattr("anfinsen.data.bits._AT_ONCE", 3)
    assert numpy.array_equal(pack_letters(letters), whole)
    assert numpy.array_equal(unpack_letters(whole, 5, 990, pair_table()), letters[5:995])


def test_a_letter_lies_in_five_bits_the_first_highest() -> None:
    assert pack_letters(numpy.frombuffer(b"ABZ", dtype=numpy.uint8)).tolist() == [
        0b00000000,
        0b01110010,
        0,
        0,
        0,
        0,
        0,
        0,
    ]


@pytest.mark.parametrize("letter", ["#", "a", "*", "-", "\xff"])
def test_a_letter_outside_the_alphabet_is_refused(letter: str) -> None:
    with pytest.raises(UsageError) as caught:
        pack_letters(numpy.frombuffer(f"MK{letter}".encode("latin-1"), dtype=numpy.uint8))
    assert str(caught.value) == (
        f"The letter {letter!r} cannot be packed. Give sequences of ABCDEFGHIJKLMNOPQRSTUVWXYZ only."
    )


@given(some.lists(some.text(ALPHABET, min_size=1, max_size=30), min_size=1, max_size=20), some.integers(1, 80))
def test_cutting_keeps_every_sequence_whole_and_in_order(sequences: list[str], most: int) -> None:
    halves = [sequences[::2], sequences[1::2]]
    parts = [rows_of("train", [("", sequence) for sequence in half]) for half in halves if half]
    found = []
    for _, piece in cut(parts, most):
        ends = numpy.cumsum(piece.lengths)
        text = piece.letters.tobytes().decode()
        mine = [text[end - length : end] for end, length in zip(ends, piece.lengths, strict=True)]
        assert len(text) <= most or len(mine) == 1
        found += mine
    assert found == halves[0] + halves[1]


def test_a_corpus_gives_back_what_was_packed(tmp_path: Path) -> None:
    manifest = make_corpus(tmp_path / "corpus")
    assert sum(shard.split == "train" for shard in manifest.shards) > 3
    corpus = Shards.open(tmp_path / "corpus")
    assert told(corpus) == make_records()
    assert told(Shards.open(tmp_path / "corpus", "valid")) == make_records(9, "v")
    assert corpus.lengths.tolist() == [len(sequence) for _, sequence in make_records()]
    assert told([corpus[-1], *corpus[3:9:2]]) == [make_records()[place] for place in (-1, 3, 5, 7)]
    assert (len(corpus), corpus.sha256, data_hash(corpus)) == (60, manifest.sha256, manifest.sha256)
    with pytest.raises(IndexError):
        corpus[60]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["corpus"]


def test_without_ids_a_sequence_is_named_by_its_hash(tmp_path: Path) -> None:
    make_corpus(tmp_path / "corpus", keep_ids=False)
    for example, (_, sequence) in zip(Shards.open(tmp_path / "corpus"), make_records(), strict=True):
        assert example.protein == Protein(
            Protein("", sequence).sha256[:16], sequence, source=str(tmp_path / "corpus"), row=example.protein.row
        )


def test_long_sequences_and_names_with_line_ends(tmp_path: Path) -> None:
    records = [("two\nlines", "M" * 70_000), ("b", "K")]
    write_shards(Given((rows_of("train", records),)), tmp_path / "corpus", keep_ids=True)
    assert told(Shards.open(tmp_path / "corpus")) == [("two lines", "M" * 70_000), ("b", "K")]


def test_lengths_are_known_without_looking_at_a_residue(tmp_path: Path) -> None:
    make_corpus(tmp_path / "corpus")
    for path in (tmp_path / "corpus").glob("*.shard"):
        content = bytearray(path.read_bytes())
        content[-packed_size(1) - 1] ^= 1
        path.write_bytes(content)
    corpus = Shards.open(tmp_path / "corpus")
    stream = Stream(corpus, budget=400, seed=1)
    assert len(stream) > 5
    with pytest.raises(CorpusError, match="has other residues than those that were written"):
        stream.next()


def test_a_stream_of_shards_is_the_stream_of_the_list(tmp_path: Path) -> None:
    make_corpus(tmp_path / "corpus")
    listed = [Example(Protein(name, sequence)) for name, sequence in make_records()]
    task = TASKS["masked"]
    streams = [
        Stream(examples, budget=300, seed=3, prepare=task.prepare, window=40)
        for examples in (listed, Shards.open(tmp_path / "corpus"), Shards.open(tmp_path / "corpus"))
    ]
    groups = [[stream.next() for _ in range(30)] for stream in streams[:2]]
    streams[2].restore({"epoch": 0, "position": 7})
    groups.append(groups[1][:7] + [streams[2].next() for _ in range(23)])
    views = [[(e.protein.id, e.protein.sequence, e.value, e.mask) for g in part for e in g] for part in groups]
    assert views[0] == views[1] == views[2]
    assert streams[0].epoch > 0


FAULTS = {
    "magic": "has another header than the one that was written",
    "header size": "has another header than the one that was written",
    "header": "has another header than the one that was written",
    "length": "has other lengths or ids than those that were written",
    "id": "has other lengths or ids than those that were written",
    "residue": "has other residues than those that were written",
    "last group": "has other residues than those that were written",
    "zeros": "has other residues than those that were written",
}


@pytest.mark.parametrize("kind", FAULTS)
@pytest.mark.parametrize("bit", [0, 7])
def test_a_flipped_bit_is_refused_wherever_it_lies(kind: str, bit: int, tmp_path: Path) -> None:
    manifest = make_corpus(tmp_path / "corpus")
    shard = manifest.shards[1]
    path = tmp_path / "corpus" / shard.name
    content = bytearray(path.read_bytes())
    header = Header.model_validate_json(content[len(MAGIC) + 4 : shard.header_bytes])
    ids = shard.header_bytes + header.count * header.length_bytes
    at = {
        "magic": 2,
        "header size": len(MAGIC),
        "header": shard.header_bytes - 9,
        "length": shard.header_bytes + 3,
        "id": ids + 1,
        "residue": ids + header.id_bytes + 11,
        "last group": len(content) - 4,
        "zeros": len(content) - 1,
    }[kind]
    content[at] ^= 1 << bit
    path.write_bytes(content)
    with pytest.raises(CorpusError) as caught:
        told(Shards.open(tmp_path / "corpus"))
    assert str(caught.value) == f"The shard '{shard.name}' of '{tmp_path / 'corpus'}' {FAULTS[kind]}. {AGAIN}"


@pytest.mark.parametrize("size", [0, 5, 200, -1])
def test_a_cut_shard_is_refused_before_it_is_read(size: int, tmp_path: Path) -> None:
    shard = make_corpus(tmp_path / "corpus").shards[0]
    path = tmp_path / "corpus" / shard.name
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(CorpusError) as caught:
        Shards.open(tmp_path / "corpus")
    assert str(caught.value) == (
        f"The shard '{shard.name}' of '{tmp_path / 'corpus'}' has {path.stat().st_size:,} bytes, "
        f"and {shard.bytes:,} were written. {AGAIN}"
    )
    path.unlink()
    with pytest.raises(CorpusError, match=f"has 0 bytes, and {shard.bytes:,} were written"):
        Shards.open(tmp_path / "corpus")


def test_a_swapped_shard_is_refused(tmp_path: Path) -> None:
    make_corpus(tmp_path / "one", shard_residues=10**6)
    records = [(name, sequence[::-1]) for name, sequence in make_records()]
    write_shards(Given((rows_of("train", records),)), tmp_path / "two", keep_ids=True)
    shutil.copy(tmp_path / "two" / "train-00000.shard", tmp_path / "one")
    with pytest.raises(CorpusError, match="has another header than the one that was written"):
        Shards.open(tmp_path / "one")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"count": 3}, "The shard 'train-00000.shard' of '{0}' is not the one that manifest.json describes. " + AGAIN),
        (
            {"split": "valid"},
            "The shard 'train-00000.shard' of '{0}' is not the one that manifest.json describes. " + AGAIN,
        ),
        (
            {"name": "../train-00000.shard"},
            "'{0}' holds no corpus that can be read. manifest.json: 'shards.0.name' came as '../train-00000.shard': "
            r"string should match pattern '^[\w-]+\.shard$'. "
            f"shards: Every shard, in the order of the sequences. {AGAIN}",
        ),
    ],
)
def test_a_manifest_that_does_not_fit_is_refused(change: dict[str, object], sentence: str, tmp_path: Path) -> None:
    make_corpus(tmp_path / "corpus")
    path = tmp_path / "corpus" / MANIFEST
    values = json.loads(path.read_text())
    values["shards"][0].update(change)
    path.write_text(json.dumps(values))
    with pytest.raises(CorpusError) as caught:
        Shards.open(tmp_path / "corpus", str(values["shards"][0]["split"]))
    assert str(caught.value) == sentence.format(tmp_path / "corpus")


def test_what_is_no_corpus_is_told(tmp_path: Path) -> None:
    def sentence(address: object, split: str = "train") -> str:
        with pytest.raises((CorpusError, UsageError)) as caught:
            Shards.open(str(address), split)
        return str(caught.value)

    assert sentence(tmp_path) == (
        f"'{tmp_path}' holds no corpus: it has no manifest.json. Make one with anfinsen pack."
    )
    (tmp_path / MANIFEST).write_text("[]")
    assert sentence(tmp_path) == (
        f"'{tmp_path}' holds no corpus that can be read. manifest.json is no JSON table. {AGAIN}"
    )
    assert sentence("what://is/this") == (
        "'what://is/this' is no address that can be read. Give a folder, or one such as s3://bucket/folder."
    )
    (tmp_path / MANIFEST).unlink()
    make_corpus(tmp_path / "corpus")
    with pytest.raises(UnknownNameError) as caught:
        Shards.open(tmp_path / "corpus", "test")
    assert str(caught.value) == (
        f"There is no split of the corpus '{tmp_path / 'corpus'}' called 'test'. Known: train, valid."
    )


def test_a_corpus_in_a_store_is_fetched_once_and_shard_by_shard(tmp_path: Path) -> None:
    manifest = make_corpus(tmp_path / "corpus")
    store = fsspec.filesystem("memory")
    store.put(str(tmp_path / "corpus"), "/bucket/corpus", recursive=True)
    cache = tmp_path / "cache"
    corpus = Shards.open("memory://bucket/corpus", cache=cache)
    assert not cache.exists()
    assert told(corpus[:2]) == make_records()[:2]
    assert [path.name for path in cache.iterdir()] == [f"{manifest.shards[0].sha256}.shard"]
    assert told(corpus) == make_records()
    store.rm("/bucket/corpus/train-00000.shard")
    with pytest.raises(CorpusError, match="has 0 bytes"):
        Shards.open("memory://bucket/corpus", cache=cache)
    damaged = cache / f"{manifest.shards[0].sha256}.shard"
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"!")
    store.put(str(tmp_path / "corpus"), "/bucket/again", recursive=True)
    again = Shards.open("memory://bucket/again", cache=cache)
    with pytest.raises(CorpusError, match="has other residues"):
        again[0]
    assert not damaged.exists()
    assert told(again) == make_records()
    assert Address.find(str(tmp_path)).is_local


def test_a_draw_is_seeded_keeps_the_order_and_leaves_validation_whole(tmp_path: Path) -> None:
    drawn = {}
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        make_corpus(tmp_path / name, max_residues=1000, seed=seed)
        corpus = Shards.open(tmp_path / name)
        assert 900 < corpus.lengths.sum() <= 1000
        drawn[name] = told(corpus)
        assert drawn[name] == [record for record in make_records() if record in drawn[name]]
        assert told(Shards.open(tmp_path / name, "valid")) == make_records(9, "v")
    assert drawn["a"] == drawn["b"] != drawn["c"]
    with pytest.raises(UsageError) as caught:
        make_corpus(tmp_path / "d", max_residues=1, seed=3)
    assert str(caught.value) == ("Of 60 training sequences none has room in 1 residues. Raise --max-residues.")
    assert not (tmp_path / "d").exists()


def test_a_crash_while_packing_leaves_no_corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", full)
        with pytest.raises(OSError, match="No space left"):
            make_corpus(tmp_path / "corpus")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / ".writing-corpus").mkdir()
    (tmp_path / ".writing-corpus" / "train-00000.shard").write_text("left by a kill")
    make_corpus(tmp_path / "corpus")
    assert [path.name for path in tmp_path.iterdir()] == ["corpus"]
    with pytest.raises(UsageError) as caught:
        make_corpus(tmp_path / "corpus")
    assert str(caught.value) == (
        f"'{tmp_path / 'corpus'}' is there already. Give another folder with --out, or delete that one."
    )


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small table of the masked task in two parts, some rows of which are to be dropped."""
    folder = tmp_path / "data" / "pretrain_corpus"
    folder.mkdir(parents=True)
    for part in range(2):
        records = make_records(80, f"part{part}-")
        rows = {
            "id": [name for name, _ in records],
            "sequence": [f"{'MK'[part]}ACDEFGHIK{sequence}" for _, sequence in records],
            "split": ["valid" if number % 4 == 0 else "train" for number in range(80)],
            "in_shared_test": [number % 9 == 0 for number in range(80)],
        }
        polars.DataFrame(rows).write_parquet(folder / f"part-{part}.parquet")
    monkeypatch.setenv("ANFINSEN_DATA", str(tmp_path / "data"))
    return tmp_path


def test_a_public_table_is_packed_as_the_task_reads_it(data: Path) -> None:
    table = TASKS["masked"].table
    write_shards(TableRows(table), data / "corpus", keep_ids=True, shard_residues=1500)
    for split in ("train", "valid"):
        assert told(Shards.open(data / "corpus", split)) == told(table.load(split))


def recipe(steps: int, shards: Path | None) -> Recipe:
    changes = ["mode=full", f"train.steps={steps}", "train.tokens=256", "train.judge_every=2", "train.save_every=1"]
    changes += ["train.decay=0.0", "train.warmup=2", "train.optimizer=muon", "task.masked.window=32", "validate_on=5"]
    changes += ["encoder.layers=1", "encoder.dim=16", "encoder.heads=2", "encoder.inner_dim=32"]
    return Recipe.read(None, (*changes, *([f"task.masked.shards={shards}"] if shards else [])))


def weights(bundle: Bundle) -> dict[str, bytes]:
    return {name: weight.numpy().tobytes() for name, weight in bundle.network.state_dict().items()}


def test_training_from_shards_is_training_from_the_table_also_when_it_is_broken_off(data: Path) -> None:
    write_shards(TableRows(TASKS["masked"].table), data / "corpus", keep_ids=True, shard_residues=1500)
    tasks = [TASKS["masked"]]
    table = train(tasks, recipe(6, None), data / "from-table")
    whole = train(tasks, recipe(6, data / "corpus"), data / "from-shards")
    assert weights(table) == weights(whole)
    assert whole.records["masked"].data_sha256 == Shards.open(data / "corpus").sha256
    train(tasks, recipe(3, data / "corpus"), data / "broken")
    shutil.move(data / "corpus", data / "moved")
    assert weights(train(tasks, recipe(6, data / "moved"), data / "broken")) == weights(whole)
    write_shards(TableRows(TASKS["masked"].table), data / "other", max_residues=3000)
    with pytest.raises(UsageError, match="holds another training: other data, settings or another start"):
        train(tasks, recipe(9, data / "other"), data / "broken")
