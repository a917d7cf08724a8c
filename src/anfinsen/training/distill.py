"""Distillation: a student that is cheaper than its teacher and answers nearly as well, with the proof.

    teacher bundle -> student_of (a piece of the teacher, or a body by name) -> Apprentice in the loop
                   -> rounded, calibrated, saved as a bundle that names its teacher -> compare

The loop is the one of every training, so a distillation that was stopped goes on bit for bit. Sequences without a
value may be added: the teacher tells what it thinks of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import cast

import numpy
import torch
from torch import Tensor, nn

from anfinsen import runtime
from anfinsen.data.alphabet import TOKENS
from anfinsen.data.batch import pack
from anfinsen.data.example import Example
from anfinsen.distributed.strategy import Strategy
from anfinsen.errors import ConfigError, InputError, UnknownNameError, UsageError
from anfinsen.hub.body import bare
from anfinsen.hub.bundle import MASKED, Bundle
from anfinsen.inference.predictor import tasks_of
from anfinsen.models.backbones import load_body
from anfinsen.models.encoder import Encoder, EncoderConfig
from anfinsen.models.network import HeadShape, NativeBody, Network
from anfinsen.models.shrinking import cut_head, shrunk
from anfinsen.reading.readers import read_examples
from anfinsen.tasks import TASKS, Task
from anfinsen.tasks.ask import validation_loss
from anfinsen.training.apprentice import Apprentice, MatchConfig, Tuition, correlation
from anfinsen.training.engine import Course, TrainConfig, Trainer, Watch
from anfinsen.training.meter import Comparison, compare, compute
from anfinsen.training.recipe import Mode, Recipe
from anfinsen.training.run import Lesson, adjusted, data_hash, finished, origin_of, provenance

HALF = "half"
TAUGHT_BY = "distilled_from"
"""Where a student's provenance names its teacher and the hash of its files."""
USUAL = 200
"""Residues of the protein for which compute is reckoned while a shape is chosen."""
_OF_PAIRS = ("pair", "pairing")
_SHAPE = re.compile(r"(\d+)x(\d+)(?:x(\d+))?")
_SAMPLE, _LONGEST = 24, 400


class Distillation(Recipe):
    """What `anfinsen distill` does; `--set match.truth=1` changes any of it from the command line."""

    name: str = "my-student"
    """What the student is called."""
    mode: Mode = "full"
    """The whole student learns."""
    train: TrainConfig = TrainConfig(steps=1000, learning_rate=3e-4, tokens=8192, judge_every=100, save_every=100)
    """The loop."""
    student: str = HALF
    """Its shape as LAYERSxDIM or LAYERSxDIMxINNER, such as 4x128; or half, the best one with half of the teacher's
    compute; or the name or folder of another body."""
    match: MatchConfig = MatchConfig()
    """What the student's loss is made of."""


Again = Callable[[Bundle, str], tuple[Task, Recipe]]
"""Makes a task of one's own with the rows of its table again, and tells the recipe that dealt them."""


def run(
    folder: Path,
    recipe: Distillation,
    out: Path,
    *,
    unlabelled: str | None = None,
    own: Again | None = None,
    watch: Sequence[Watch] = (),
    tell: Callable[[str], None] = lambda sentence: None,
) -> list[Comparison]:
    """Distil the bundle in `folder`, all its tasks if the recipe names none, and compare on the validation split.

    `own` brings the tasks that were learnt from a table of one's own, which a bundle does not keep.
    """
    teacher = Bundle.load(folder)
    known = tasks_of(teacher) | {name: TASKS[name] for name in TASKS if name in teacher.records}
    for name in recipe.tasks:
        if name not in known:
            raise UnknownNameError(f"task in the bundle '{teacher.name}'", name, known)
    customs = {name for name, record in teacher.records.items() if record.custom is not None}
    asked = recipe.tasks or tuple(name for name in tasks_of(teacher) if not own or name in customs)
    tasks = []
    for name in asked:
        task = known[name]
        if name in customs:
            if own is None:
                raise UsageError(
                    f"'{name}' was learnt from a table of your own, which the bundle does not keep.",
                    remedy=f"Name the table: anfinsen distill {folder} TABLE",
                )
            task, dealt = own(teacher, name)
            loop = recipe.train.replaced(seed=dealt.train.seed)
            recipe = recipe.replaced(tasks=asked, table=dealt.table.model_dump(), train=loop.model_dump())
        tasks.append(task)
    more = [] if unlabelled is None else _readable(unlabelled, tell)
    student, lessons = distill(teacher, tasks, recipe, out, unlabelled=more, watch=watch)
    judged = [lesson for name, lesson in lessons.items() if name != MASKED]
    return [compare(teacher, student, one.task, _once([*one.stop_by, *one.calibrate_on])) for one in judged]


def _once(examples: Sequence[Example]) -> list[Example]:
    """Each example once: a handful of proteins both stops a training and calibrates it."""
    return list({tuple(chain.id for chain in example.chains): example for example in examples}.values())


def _readable(source: str, tell: Callable[[str], None]) -> list[Example]:
    """The sequences of a file; what is refused is told, since a teacher loses nothing by it."""
    records = list(read_examples(source))
    refused = [record for record in records if isinstance(record, InputError)]
    if refused:
        tell(f"{len(refused)} of {len(records)} unlabelled records were refused. The first: {refused[0]}")
    return [record for record in records if isinstance(record, Example)]


def distill(
    teacher: Bundle,
    tasks: Sequence[Task],
    recipe: Distillation,
    out: Path,
    *,
    unlabelled: Sequence[Example] = (),
    watch: Sequence[Watch] = (),
) -> tuple[Bundle, dict[str, Lesson]]:
    """Teach a student in the folder `out`, resuming what was begun, and save `out/bundle`; the lessons come along."""
    _refuse(tasks, recipe, unlabelled)
    runtime.seed_everything(recipe.train.seed)
    tasks = adjusted(tasks, recipe)
    lessons = {task.name: Lesson(task, recipe) for task in tasks}
    teacher.network.body = bare(teacher.network.body)
    apprentice = apprentice_of(teacher.network, lessons, recipe)
    courses = []
    for task in tasks:
        # a sequence by itself is no pair
        course = lessons[task.name].course(recipe, () if task.of_pairs else unlabelled)
        courses.append(Course(Tuition(task, recipe.match), course.stream, course.share))

    def judge(judged: nn.Module) -> float:
        student = cast(Apprentice, judged).student
        return float(numpy.mean([validation_loss(student, it.task, it.stop_by) for it in lessons.values()]))

    origin = origin_of(list(lessons.values()), recipe, f"{teacher.sha256} {data_hash(unlabelled)}")
    Trainer(apprentice, courses, recipe.train, out, origin=origin, judge=judge, watch=watch, strategy=Strategy()).fit()
    made = {**provenance(recipe, None), TAUGHT_BY: f"{teacher.name} {teacher.sha256}"}
    if unlabelled:
        made["unlabelled"] = f"{len(unlabelled)} sequences {data_hash(unlabelled)}"
    bundle = finished(recipe.name, apprentice.student.requires_grad_(True), lessons, made, out)
    for name in lessons:
        if (custom := teacher.records[name].custom) is not None:
            bundle.records[name] = bundle.records[name].replaced(custom=custom.model_dump())
    bundle.save(out / "bundle")
    return bundle, lessons


def _refuse(tasks: Sequence[Task], recipe: Distillation, unlabelled: Sequence[Example]) -> None:
    if not tasks:
        raise UsageError("No task was named.", remedy="Name one with --task, for example: --task localization")
    if unlabelled and all(task.of_pairs for task in tasks):
        raise UsageError(
            f"'{tasks[0].name}' asks about two proteins at a time, and the sequences without an answer are single.",
            remedy="Leave --unlabelled out.",
        )
    if recipe.mode != "full" or recipe.stages:
        raise ConfigError("A student always learns as a whole.", remedy='Leave mode = "full" and no stages.')


def apprentice_of(teacher: Network, lessons: Mapping[str, Lesson], recipe: Distillation) -> Apprentice:
    """Teacher and student side by side, before the first step."""
    tasks = [lesson.task for lesson in lessons.values()]
    # a head is as large as the teacher's, unless the recipe speaks of it
    shapes = {task.name: task.shape if task.name in recipe.task else teacher.shapes[task.name] for task in tasks}
    named = _SHAPE.fullmatch(recipe.student)
    if named is None and recipe.student != HALF:
        student = Network(_body_by_name(recipe.student), shapes)
        return Apprentice(teacher, student, tasks, recipe.match)
    encoder = _encoder_of(teacher)
    tokens, lengths = _sample(list(lessons.values()))
    if named is not None:
        student, stages, lift = _piece(teacher, _shape(encoder.config, named), shapes, tokens, lengths)
    else:
        shapes_of_half = half_of(teacher, shapes)
        pieces = [_piece(teacher, shape, shapes, tokens, lengths) for shape in shapes_of_half]
        student, stages, lift = max(pieces, key=lambda piece: _likeness(teacher, piece[0], piece[2], tokens, lengths))
    apprentice = Apprentice(teacher, student, tasks, recipe.match, stages)
    with torch.no_grad():
        apprentice.lift.weight.copy_(lift)
    return apprentice


def half_of(teacher: Network, shapes: Mapping[str, HeadShape]) -> list[EncoderConfig]:
    """For each width the deepest shape that answers every task, head included, with half of the teacher's compute."""
    large = _encoder_of(teacher).config
    width = large.dim // large.heads

    def share(shape: EncoderConfig) -> float:
        small = Network(NativeBody(Encoder(shape), shape.dim, shape.longest), shapes)
        usual = {task: [USUAL] * (2 if shape.kind in _OF_PAIRS else 1) for task, shape in shapes.items()}
        return max(compute(small, task, *usual[task]) / compute(teacher, task, *usual[task]) for task in shapes)

    found = []
    for heads in range(large.heads, 0, -1):
        inner = large.inner_dim * heads // large.heads
        narrow = large.replaced(heads=heads, dim=heads * width, inner_dim=inner)
        depths = (narrow.replaced(layers=layers) for layers in range(large.layers, 0, -1))
        if (deepest := next((shape for shape in depths if share(shape) <= 0.5), None)) is not None:
            found.append(deepest)
    if not found:
        raise ConfigError(
            "Half of this teacher's compute is not enough for its heads and a single block.",
            remedy=f"Name a shape, such as {max(1, large.layers // 2)}x{width}.",
        )
    return found


def _encoder_of(teacher: Network) -> Encoder:
    if not isinstance(teacher.body, NativeBody):
        raise ConfigError(
            "A student is cut only out of our own encoder or ESM-2.",
            remedy="Name another body with --student, such as the folder of a small bundle.",
        )
    return cast(Encoder, teacher.body.encoder)


def _shape(large: EncoderConfig, named: re.Match[str]) -> EncoderConfig:
    layers, dim, inner = (int(part) if part else 0 for part in named.groups())
    width = large.dim // large.heads
    if dim % width or not dim or not layers:
        raise ConfigError(
            f"The shape {named[0]} does not fit: the teacher's heads are {width} wide.",
            remedy=f"Give at least one layer and a dim that is a multiple of {width}, such as 3x{width}.",
        )
    inner = inner or large.inner_dim * dim // large.dim
    return large.replaced(layers=layers, dim=dim, heads=dim // width, inner_dim=inner)


def _piece(
    teacher: Network, shape: EncoderConfig, shapes: Mapping[str, HeadShape], tokens: Tensor, lengths: Sequence[int]
) -> tuple[Network, tuple[int, ...], Tensor]:
    """A student cut out of its teacher, heads included; its stages and its lift."""
    large = _encoder_of(teacher)
    cut = shrunk(large, shape, tokens, lengths)
    student = Network(NativeBody(cut.encoder, shape.dim, shape.longest), shapes)
    for name, wanted in shapes.items():
        if teacher.shapes.get(name) == wanted:
            cut_head(teacher.heads[name], student.heads[name], large, cut)
    return student, cut.stages, cut.lift


@torch.no_grad()
def _likeness(teacher: Network, student: Network, lift: Tensor, tokens: Tensor, lengths: Sequence[int]) -> float:
    """The mean correlation of the last states before the norm, over the tokens of a sample."""
    goal = _encoder_of(teacher).layers(tokens, lengths)[-1]
    said = _encoder_of(student).layers(tokens, lengths)[-1] @ lift.T
    return float(correlation(said, goal).mean())


def _sample(lessons: Sequence[Lesson]) -> tuple[Tensor, list[int]]:
    """A packed row of proteins that are trained on, a few of each task, evenly over its table."""
    sequences = []
    for lesson in lessons:
        step = max(1, len(lesson.train) * len(lessons) // _SAMPLE)
        sequences += [lesson.train[place].protein.sequence[:_LONGEST] for place in range(0, len(lesson.train), step)]
    return pack(sequences)


def _body_by_name(name: str) -> nn.Module:
    is_bundle = (Path(name) / "bundle.json").is_file()
    body = bare(Bundle.load(name).network.body) if is_bundle else load_body(name, TOKENS)
    if not isinstance(body, NativeBody):
        raise ConfigError(
            f"'{name}' cannot be a student: its weights are not stored in a bundle.",
            remedy="Take an ESM-2 checkpoint, a bundle, or a shape such as 4x128.",
        )
    return body
