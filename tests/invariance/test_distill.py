"""A student begins as a piece of its teacher, learns from it, and the meter counts what others count."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path

import numpy
import pytest
import torch
from torch.distributions import Bernoulli, Categorical, Normal, kl_divergence
from typer.testing import CliRunner

from anfinsen.bench import distillation
from anfinsen.bench.distillation import distillation_rows
from anfinsen.bench.suite import sittings, suites
from anfinsen.cli import app
from anfinsen.data.example import Example
from anfinsen.errors import ConfigError, MissingDataError, UnknownNameError, UsageError
from anfinsen.hub import lock
from anfinsen.hub.bundle import Bundle
from anfinsen.hub.record import TaskRecord
from anfinsen.models.adapters import PRODUCTS
from anfinsen.models.encoder import Encoder, EncoderConfig
from anfinsen.models.growth import grown
from anfinsen.models.network import HeadShape, NativeBody, Network
from anfinsen.models.shrinking import cut_head, shrunk
from anfinsen.sets.catalog import Table
from anfinsen.structure.backbone import Backbone
from anfinsen.structure.protein import Protein
from anfinsen.targets.base import Label, Tokens
from anfinsen.targets.metrics import difference, measure
from anfinsen.tasks import TASKS, Task
from anfinsen.tasks.contacts import ContactsTask
from anfinsen.training import meter
from anfinsen.training.apprentice import _match
from anfinsen.training.audit import audit
from anfinsen.training.distill import Distillation, apprentice_of, distill, half_of
from anfinsen.training.recipe import Recipe
from anfinsen.training.run import train

LETTERS = "ACDEFGHIKLMNPQRSTVWY"
TOKENS = torch.randint(4, 24, (60,), generator=torch.Generator().manual_seed(1))
LENGTHS = [25, 35]


@dataclass(frozen=True)
class Invented(Task):
    """A task whose examples are made up: does the chain begin with a letter of the first or the second half?"""

    def examples(self, split: str) -> list[Example]:
        generator = numpy.random.default_rng(len(split))
        found = []
        for number in range(40):
            chain = "".join(generator.choice(list(LETTERS), size=int(generator.integers(12, 30))))
            value = "".join("H" if letter in LETTERS[:10] else "E" for letter in chain)
            is_token = isinstance(self.target, Tokens)
            found.append(Example(Protein(f"{split}{number}", chain), value if is_token else ("ab"[value[0] == "E"])))
        return found


def invented(name: str, target: Label | Tokens, metric: str) -> Invented:
    table = Table("none.parquet", splits={}, title="Invented", source="this test", licence="CC0")
    return Invented(name, name, "?", "?", target, table, (metric,), str)


@dataclass(frozen=True)
class InventedFolds(ContactsTask):
    """Contacts of chains whose atoms lie anywhere."""

    def examples(self, split: str) -> list[Example]:
        generator = numpy.random.default_rng(len(split))
        chains = generator.choice(list(LETTERS), size=(24, 34))
        points = generator.normal(scale=6.0, size=(24, 34, 5, 3)).astype(numpy.float32)
        return [
            Example(Protein(f"{split}{at}", "".join(chain), backbone=Backbone(atoms, numpy.zeros(33, dtype=bool))))
            for at, (chain, atoms) in enumerate(zip(chains, points, strict=True))
        ]


SMALL_TRUNK = {"blocks": 1, "dim": 8, "fine": 4, "dropout": 0.0}
_KNOWN = {field.name: getattr(TASKS["contacts"], field.name) for field in fields(TASKS["contacts"])}
FOLDS = InventedFolds(**{**_KNOWN, "trunk": SMALL_TRUNK, "window": 30})
FIRST = invented("first-half", Label(("a", "b")), "accuracy")
HALVES = invented("halves", Tokens(("H", "E")), "Q3")


@pytest.fixture
def teacher() -> Bundle:
    """An untrained teacher of two tasks: what is distilled does not matter, how does."""
    torch.manual_seed(5)
    shape = EncoderConfig(layers=3, dim=32, heads=4, inner_dim=64, longest=64)
    tasks = (FIRST, HALVES)
    network = Network(NativeBody(Encoder(shape), 32, 64), {task.name: task.shape for task in tasks}).eval()
    for weight in network.parameters():
        torch.nn.init.normal_(weight, std=0.1)
    records = {
        task.name: TaskRecord(kind=task.shape.kind, size=task.shape.size, labels=task.target.labels) for task in tasks
    }
    return Bundle("old-master", network, records, sha256="0" * 64)


def recipe(**changes: object) -> Distillation:
    small = {"steps": 12, "tokens": 200, "warmup": 2, "judge_every": 6, "save_every": 4, "learning_rate": 0.003}
    values = {"student": "2x16", "train": small, **changes}
    return Distillation.build(values)


# Cutting ------------------------------------------------------------------------------------------------------------


def test_all_blocks_at_full_width_are_the_teacher_itself(teacher: Bundle) -> None:
    encoder = teacher.network.body.encoder
    cut = shrunk(encoder, encoder.config, TOKENS, LENGTHS)
    assert (cut.kept, cut.stages) == ((0, 1, 2), (1, 2, 3))
    assert torch.equal(cut.encoder(TOKENS, LENGTHS), encoder(TOKENS, LENGTHS))
    assert cut.encoder.embed.weight is not encoder.embed.weight


def test_what_was_only_grown_is_cut_off_again_without_a_loss() -> None:
    """A network that was made wider and deeper without learning anything new loses nothing, head included."""
    torch.manual_seed(1)
    small = Encoder(EncoderConfig(layers=2, dim=32, heads=2, inner_dim=64))
    for weight in small.parameters():
        torch.nn.init.normal_(weight, std=0.1)
    small.last_norm.reset_parameters()
    large = grown(small, EncoderConfig(layers=3, dim=64, heads=4, inner_dim=128))
    cut = shrunk(large, small.config, TOKENS, LENGTHS)
    assert cut.kept == (0, 1)
    for stage, states in zip(cut.stages, cut.encoder.layers(TOKENS, LENGTHS)[1:], strict=True):
        goal = large.layers(TOKENS, LENGTHS)[stage]
        assert (goal - goal.mean(1, keepdim=True) - states @ cut.lift.T).norm() / goal.norm() < 1e-3
    shapes = {"pooled": HeadShape("pooled", 3, 1), "residue": HeadShape("residue", 3)}
    old = Network(NativeBody(large, 64, 100), shapes).eval()
    new = Network(NativeBody(cut.encoder, 32, 100), shapes).eval()
    for name in shapes:
        cut_head(old.heads[name], new.heads[name], large, cut)
        conditions = torch.tensor([[0.3], [float("nan")]])
        said = [net.ask(name, *net.states(TOKENS, LENGTHS), conditions) for net in (old, new)]
        assert (said[0] - said[1]).abs().max() < 1e-3


def test_the_block_that_does_nothing_goes_first(teacher: Bundle) -> None:
    encoder = teacher.network.body.encoder
    idle = encoder.blocks[1]
    for writer in (idle.mix, idle.narrow):
        torch.nn.init.zeros_(writer.weight)
        torch.nn.init.zeros_(writer.bias)
    cut = shrunk(encoder, encoder.config.replaced(layers=2), TOKENS, LENGTHS)
    assert (cut.kept, cut.stages) == ((0, 2), (2, 3))
    assert torch.allclose(cut.encoder(TOKENS, LENGTHS), encoder(TOKENS, LENGTHS))


@pytest.mark.parametrize(
    ("student", "sentence"),
    [
        (
            "2x20",
            "The shape 2x20 does not fit: the teacher's heads are 8 wide. "
            "Give at least one layer and a dim that is a multiple of 8, such as 3x8.",
        ),
        (
            "4x32",
            "A student cannot be larger than its teacher: layers is 3 and would become 4. Give layers of 3 or less.",
        ),
    ],
)
def test_a_shape_that_does_not_fit_is_refused(tmp_path: Path, teacher: Bundle, student: str, sentence: str) -> None:
    with pytest.raises(ConfigError) as told:
        distill(teacher, [FIRST], recipe(student=student), tmp_path)
    assert str(told.value) == sentence


def test_half_means_half_of_the_compute_and_no_block_less() -> None:
    shapes = {task.name: task.shape for task in (FIRST, HALVES)}

    def network(shape: EncoderConfig) -> Network:
        return Network(NativeBody(Encoder(shape), shape.dim, shape.longest), shapes)

    large = EncoderConfig(layers=4, dim=128, heads=4, inner_dim=512)
    teacher = network(large)
    found = half_of(teacher, shapes)
    assert [shape.dim for shape in found] == [128, 96, 64, 32]
    for shape in found:
        for more, fits in ((0, True), (1, False)):
            student = network(shape.replaced(layers=shape.layers + more))
            share = max(meter.compute(student, task, 200) / meter.compute(teacher, task, 200) for task in shapes)
            assert (share <= 0.5) == fits or shape.layers == large.layers
    with pytest.raises(ConfigError) as told:
        half_of(network(EncoderConfig(layers=1, dim=16, heads=1, inner_dim=32)), shapes)
    assert str(told.value) == (
        "Half of this teacher's compute is not enough for its heads and a single block. Name a shape, such as 1x16."
    )


# Learning -----------------------------------------------------------------------------------------------------------


def test_a_student_comes_nearer_to_its_teacher_and_names_it(tmp_path: Path, teacher: Bundle) -> None:
    told: list[dict[str, object]] = []
    plan = recipe(match={"truth": 0.0}, train={**recipe().train.model_dump(), "steps": 40})
    more = [Example(Protein("u", LETTERS * 2))]
    student, _ = distill(teacher, [FIRST, HALVES], plan, tmp_path, unlabelled=more, watch=[told.append])
    losses = [float(str(record["loss"])) for record in told if record["task"] == "halves"]
    assert numpy.mean(losses[-5:]) < 0.8 * numpy.mean(losses[:5])
    opened = Bundle.load(tmp_path / "bundle")
    assert opened.provenance["distilled_from"] == "old-master " + "0" * 64
    assert opened.provenance["unlabelled"].startswith("1 sequences ")
    assert opened.network.body.encoder.config.dim == 16
    assert opened.records["first-half"].calibration["temperature"] > 0
    assert opened.verify() == []
    rows = distillation_rows(teacher, student, [])
    assert rows == []


def test_the_student_that_comes_with_the_package_is_a_study_of_the_suite_train(
    tmp_path: Path, teacher: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    (study,) = sittings(["distillation"])
    assert study in suites()["train"]
    teacher.save(tmp_path / "teacher")
    known = {"first-half": FIRST, "halves": HALVES}
    for name, value in {
        "STUDENT": tmp_path / "student" / "bundle",
        "default_bundle": lambda: tmp_path / "teacher",
        "TASKS_OF_SUITE": tuple(known),
        "TASKS": known,
    }.items():
        monkeypatch.setattr(distillation, name, value)
    told: list[str] = []
    ask = partial(distillation.student_rows, limit=30, tell=told.append)
    with pytest.raises(MissingDataError, match="No student comes with this copy of Anfinsen") as missing:
        ask(teacher)
    assert "--student half" in missing.value.remedy
    opened = Bundle.load(tmp_path / "teacher")
    distill(opened, list(known.values()), recipe(), tmp_path / "student")
    with pytest.raises(UnknownNameError):
        ask(Bundle("another", opened.network, opened.records))
    rows = ask(opened)
    assert {(row.suite, row.task, row.metric, row.split) for row in rows} >= {
        ("train", task, metric, "distilled") for task in known for metric in ("compute_ratio", "accuracy_loss")
    }
    assert all(row.n == 30 and row.value < 0.9 for row in rows if row.metric == "compute_ratio")
    assert not any("older teacher" in sentence for sentence in told)


def test_a_resumed_distillation_equals_an_unbroken_one(tmp_path: Path, teacher: Bundle) -> None:
    class Killed(Exception):
        pass

    def kill(record: dict[str, object]) -> None:
        if record.get("step") == 7:
            raise Killed

    whole, _ = distill(teacher, [FIRST, HALVES], recipe(), tmp_path / "whole")
    with pytest.raises(Killed):
        distill(teacher, [FIRST, HALVES], recipe(), tmp_path / "broken", watch=[kill])
    resumed, _ = distill(teacher, [FIRST, HALVES], recipe(), tmp_path / "broken")
    again = resumed.network.state_dict()
    assert all(torch.equal(weight, again[name]) for name, weight in whole.network.state_dict().items())


def test_no_task_and_another_mode_are_refused(tmp_path: Path, teacher: Bundle) -> None:
    with pytest.raises(UsageError) as told:
        distill(teacher, [], recipe(), tmp_path)
    assert str(told.value) == "No task was named. Name one with --task, for example: --task localization"
    with pytest.raises(ConfigError) as refused:
        distill(teacher, [FIRST], recipe(mode="frozen"), tmp_path)
    assert str(refused.value) == 'A student always learns as a whole. Leave mode = "full" and no stages.'


def test_distances_are_the_divergences_of_torch() -> None:
    torch.manual_seed(3)
    ours, theirs = torch.randn(7, 4), torch.randn(7, 4)
    soft = [Categorical(logits=logits / 2.0) for logits in (theirs, ours)]
    assert torch.allclose(_match("label")(ours, theirs, 2.0), 4 * kl_divergence(*soft).sum())
    each = [Bernoulli(logits=logits / 2.0) for logits in (theirs, ours)]
    assert torch.allclose(_match("labels")(ours, theirs, 2.0), 4 * kl_divergence(*each).mean(1).sum())
    bells = [Normal(rows[:, 0], rows[:, 1].exp()) for rows in (theirs, ours)]
    assert torch.allclose(_match("number")(ours[:, :2], theirs[:, :2], 2.0), kl_divergence(*bells).sum())
    assert torch.allclose(_match("values")(ours, theirs, 2.0), ((ours - theirs) ** 2).mean(1).sum() / 2)


def test_a_folder_is_cut_and_taught_like_any_other_head(tmp_path: Path) -> None:
    """A block that does nothing is cut out of it without a loss, its maps with it; then the student learns pairs."""
    torch.manual_seed(4)
    task = FOLDS
    body = NativeBody(Encoder(EncoderConfig(layers=2, dim=32, heads=4, inner_dim=64)), 32, 64)
    network = Network(body, {task.name: task.shape}).eval()
    for weight in network.parameters():
        torch.nn.init.normal_(weight, std=0.1)
    idle = network.body.encoder.blocks[0]
    for weight in (idle.mix.weight, idle.mix.bias, idle.narrow.weight, idle.narrow.bias):
        torch.nn.init.zeros_(weight)
    network.heads[task.name].seen.weight.data[:, :4] = 0.0  # what the block that goes attends to
    teacher = Bundle("folder", network, {task.name: TaskRecord(kind="residue-pairs", size=task.shape.size)})
    student, lessons = distill(teacher, [task], recipe(student="1x32"), tmp_path)
    assert student.network.body.encoder.config.layers == 1
    begun = apprentice_of(network, lessons, recipe(student="1x32"))
    batch = task.collate(lessons[task.name].stop_by[:3])
    with torch.no_grad():
        distance, apart, _, count = begun.eval()(batch, task.name)
    assert count == sum((length - 2) ** 2 for length in batch.lengths)
    assert float(distance / count) < 1e-6 and float(apart / count) < 1e-5
    narrow = apprentice_of(network, lessons, recipe(student="1x16"))
    with torch.no_grad():
        assert 1e-4 < float(narrow.eval()(batch, task.name)[0] / count) < 1.0
    found = meter.compare(teacher, student, task, lessons[task.name].stop_by, rounds=1)
    assert found.metric == "P@L" and 0 <= found.teacher.score.value <= 1 and found.compute_ratio < 1


def test_lora_gives_a_plain_bundle_whose_body_has_moved(tmp_path: Path, teacher: Bundle) -> None:
    before = {name: weight.clone() for name, weight in teacher.network.body.state_dict().items()}
    short = {"steps": 12, "tokens": 300, "warmup": 1, "learning_rate": 0.02, "judge_every": 4}
    made = train([HALVES], Recipe.build({"mode": "lora", "train": short}), tmp_path, start=teacher)
    opened = Bundle.load(tmp_path / "bundle")
    after = opened.network.body.state_dict()
    moved = {name for name, weight in after.items() if not torch.allclose(weight, before[name], atol=1e-3)}
    assert moved == {name for name in before if name.split(".")[-2] in PRODUCTS and name.endswith("weight")}
    assert opened.verify() == []
    states = [bundle.network.states(TOKENS, LENGTHS)[0] for bundle in (made, opened)]
    assert torch.equal(*states)


# The meter ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [13, 62, 150])
def test_compute_is_what_pytorch_counts(tiny_network: Network, length: int) -> None:
    tiny_network.body.longest = 62  # so that 150 residues are read in windows
    for task in tiny_network.shapes:
        assert meter.compute(tiny_network, task, length) == meter._counted(tiny_network, task, length)


def test_peak_memory_counts_what_is_alive_at_one_time() -> None:
    network = torch.nn.Linear(10, 10)

    def work() -> None:
        first = torch.zeros(1000)  # 4,000 bytes
        second = first + 1  # 8,000 at one time
        del first
        third = second + 1  # 8,000 again
        del second, third

    assert meter.peak_bytes(network, work) == 440 + 8000


def test_a_loss_is_paired_and_signed() -> None:
    generator = numpy.random.default_rng(1)
    truths = [Example(Protein(str(i), "ACDEF"), "ab"[i % 2]) for i in range(300)]
    hard = generator.random(300) < 0.4
    good = [{"label": "ba"[i % 2] if hard[i] else "ab"[i % 2]} for i in range(300)]
    worse = [{"label": "ba"[i % 2] if hard[i] or i < 6 else "ab"[i % 2]} for i in range(300)]
    loss = difference("accuracy", truths, good, worse)
    expected = measure("accuracy", truths, good).value - measure("accuracy", truths, worse).value
    assert loss.value == pytest.approx(expected) and loss.value > 0 and loss.n == 300
    right = numpy.array([[a["label"] == t.value for t, a in zip(truths, said, strict=True)] for said in (good, worse)])
    apart = right[0].astype(float) - right[1]
    drawn = [apart[generator.integers(0, 300, 300)].mean() for _ in range(4000)]
    assert (loss.low, loss.high) == pytest.approx(tuple(numpy.quantile(drawn, [0.025, 0.975])), abs=2e-3)
    single = measure("accuracy", truths, good)
    assert single.low is not None and single.high is not None and loss.low is not None and loss.high is not None
    assert loss.high - loss.low < (single.high - single.low) / 2  # what is hard for both leaves no spread
    same = difference("accuracy", truths, good, good)
    assert (same.value, same.low, same.high) == (0.0, 0.0, 0.0)


def test_a_comparison_says_saving_and_price(teacher: Bundle, tmp_path: Path) -> None:
    student, _ = distill(teacher, [FIRST], recipe(), tmp_path)
    ticks = iter(range(1000))
    found = meter.compare(teacher, student, FIRST, FIRST.examples("valid"), clock=lambda: float(next(ticks)))
    assert (found.teacher.seconds, found.student.seconds, found.rounds) == (1.0, 1.0, 5)
    assert found.compute_ratio < 0.6 and found.memory_ratio < 1 and found.seconds_ratio == 1
    words = "loses" if found.loss.value > 0 else "gains"
    assert found.sentence() == (
        f"first-half: the student needs {found.compute_ratio:.0%} of the teacher's compute, 100% of its time on this "
        f"machine and {found.memory_ratio:.0%} of its memory, and {words} {abs(found.loss.value):.3f} accuracy (95 % "
        f"interval of the loss {found.loss.low:+.3f} to {found.loss.high:+.3f}), 40 proteins."
    )
    rows = distillation_rows(teacher, student, [FIRST])
    assert [row.metric for row in rows] == ["compute_ratio", "accuracy_loss", "seconds_ratio", "memory_ratio"]
    assert all(
        (row.suite, row.split, row.model, row.n) == ("train", "distilled", "anfinsen my-student", 40) for row in rows
    )


# The verbs and the audit --------------------------------------------------------------------------------------------


def test_the_verbs_distil_and_verify(tmp_path: Path, teacher: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TASKS._things, FIRST.name, FIRST)
    teacher.remember()
    teacher.save(tmp_path / "teacher")
    extra = tmp_path / "more.fasta"
    extra.write_text(">u1\nMKTAYIAKQRQISFVK\n>u2\nMK*TA!\n")
    words = [
        "distill",
        str(tmp_path / "teacher"),
        "--student",
        "2x16",
        "--task",
        FIRST.name,
        "--unlabelled",
        str(extra),
    ]
    words += ["--out", str(tmp_path / "run"), "--set", "train.steps=3", "--set", "train.tokens=200"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    assert "first-half: the student needs" in " ".join(done.output.split())
    checked = CliRunner().invoke(app, ["verify", str(tmp_path / "run" / "bundle"), "--data"])
    assert checked.exit_code == 0, checked.output
    unknown = CliRunner().invoke(app, ["distill", str(tmp_path / "teacher"), "--task", "no-such"])
    assert isinstance(unknown.exception, UnknownNameError)


def test_an_audit_finds_what_has_changed(tmp_path: Path, teacher: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TASKS._things, FIRST.name, FIRST)
    student, _ = distill(teacher, [FIRST], recipe(), tmp_path)
    folder = tmp_path / "bundle"

    def said(about: str, *, with_data: bool = False) -> tuple[bool | None, str]:
        return next((it.holds, it.sentence) for it in audit(folder, with_data=with_data) if it.about == about)

    assert [it.holds for it in audit(folder)] == [True, True, True, True, None]
    assert said("golden") == (True, "Its 3 golden proteins get the answers they got when it was made.")
    assert said("data") == (None, "Its tables were not read; --data compares them too.")
    assert said("data of first-half", with_data=True) == (
        True,
        "The 40 training proteins are the ones it learnt from.",
    )
    assert said("split of first-half", with_data=True) == (
        True,
        "The table is dealt as it was: who trains, who decides when to stop, who calibrates.",
    )
    monkeypatch.setattr(lock, "room_hash", lambda room: "other" if room == "models" else student.lock[f"code {room}"])
    assert said("code") == (
        None,
        "The code has changed since anfinsen 0.1.0 made it (models); the golden proteins say whether it matters.",
    )
    torch.nn.init.normal_(student.network.body.encoder.embed.weight)
    student.save(folder)
    holds, sentence = said("golden")
    assert holds is False and sentence.startswith("Its 3 golden proteins get other answers: ubiquitin, ")
    assert said("body") == (False, "'its body' has other weights than when the bundle was made.")
    (folder / "heads.safetensors").write_bytes(b"")
    assert audit(folder)[0].sentence == (
        f"'{folder}' is damaged: heads.safetensors is not the file that bundle.json vouches for. Get the bundle again."
    )
