"""A plan and its result in sentences, for somebody who has never trained a network: what, how sure, and beside what.

Every figure has its count, its interval, its split and its rivals. A network that loses to a simple rule is reported
so. It computes nothing that is not in the plan or in the scores.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from anfinsen.drawing.small import score_figure
from anfinsen.hub.record import Score
from anfinsen.reading.raw import printable
from anfinsen.report.standing import find_standing, metric_title
from anfinsen.targets.base import CLASS_COVERAGE, CLASS_ROWS, FLOOR
from anfinsen.targets.metrics import METRICS
from anfinsen.workshop.fitting import PROBE, Fitted
from anfinsen.workshop.plan import Plan

FEW = 30
"""Judged proteins below which a score is a first impression."""
_SHOWN = 5


def plan_lines(plan: Plan) -> Iterator[tuple[str, str]]:
    """What will be done, before it is done: (level, sentence), the level being info, warning or error."""
    found = plan.found
    refused = f", {len(found.refused):,} refused" if found.refused else ""
    yield "info", f"{found.file}: {len(found):,} {'pairs' if found.of_pairs else 'rows'} to learn from{refused}."
    for role in found.roles:
        yield "info", f"  {role}"
    for sentence in found.told:
        yield "info", sentence
    for refusal in found.refused[:_SHOWN]:
        yield "refused", str(refusal)
    if len(found.refused) > _SHOWN:
        yield "info", f"and {len(found.refused) - _SHOWN:,} more refused; see refused.csv."
    yield "info", _contents(plan)
    for sentence in found.warned:
        yield "warning", sentence
    if plan.recipe.table.shuffle:
        yield "warning", "The answers were dealt at random among the proteins: the score must be at chance."
    yield "info", f"How it is judged: {plan.deal.sentence}"
    for finding in plan.deal.findings:
        yield finding.level, str(finding)
    if plan.seen:
        yield "warning", _met_before(plan)
    yield "info", _rivals(plan)
    yield "info", _cost(plan)


def _met_before(plan: Plan) -> str:
    """What of the table the body has learned from already, and what that does to the score."""
    tasks = [f"{name} ({count:,})" for name, count in plan.seen_for]
    more = f" and {len(tasks) - _SHOWN} more" if len(tasks) > _SHOWN else ""
    return (
        f"The body '{plan.start.name}' has met {plan.seen:,} of your {_proteins(plan):,} proteins before, or near "
        f"twins of them, when it learned questions of its own: {', '.join(tasks[:_SHOWN])}{more}. If yours is like one "
        "of these, the score below flatters: judge by proteins that you measured yourself."
    )


def _contents(plan: Plan) -> str:
    found, values = plan.found, [example.value for example in plan.found.examples]
    if found.kind == "number":
        numbers = sorted(float(value) for value in values)  # type: ignore[arg-type]
        middle = numbers[len(numbers) // 2]
        return (
            f"{found.label} lies between {numbers[0]:g} and {numbers[-1]:g} {found.unit}".rstrip()
            + f" (half below {middle:g})."
        )
    if found.kind in ("label", "labels"):
        counts = Counter(str(name) for value in values for name in (value if isinstance(value, tuple) else (value,)))
        known = sorted((one for one in counts.items() if one[0][:1] != "?"), key=lambda one: (-one[1], one[0]))
        shown = ", ".join(f"{printable(name)} {count:,}" for name, count in known[:8])
        more = f" and {len(known) - 8:,} more" if len(known) > 8 else ""
        text = f"{len(known):,} {'classes' if found.kind == 'label' else 'labels'}: {shown}{more}."
        weights = plan.task().target.weights  # type: ignore[attr-defined]  # both kinds have them
        if weights and found.kind == "label":
            text += f" They are weighted, so that {printable(known[-1][0])} counts as much as {printable(known[0][0])}."
        elif weights:
            text += " A yes is weighted more than a no where it is rare."
        return text
    what = f"letters {', '.join(plan.custom.labels)}" if found.kind == "tokens" else "numbers"
    residues = sum(len(example.protein) for example in found.examples)
    return f"{what[:1].upper()}{what[1:]} for {residues:,} residues."


def _rivals(plan: Plan) -> str:
    metric = plan.task().metrics[0]
    headline = plan.deal.scored()[0][0]
    rows = [row for row in plan.scores if (row.metric, row.split) == (metric, headline)]
    if not rows:
        return "No simple rule could be scored beside it, so the score alone will say little."
    up = METRICS[metric].higher_is_better
    rows.sort(key=lambda row: row.value, reverse=up)
    shown = "; ".join(f"{row.model} {figure(row)}" for row in rows)
    better = "higher" if up else "lower"
    return (
        f"What simple rules reach, and a network must beat (n = {rows[0].n:,} {plan.found.noun}s, {headline}; "
        f"{metric_title(metric)}, {better} is better): {shown}."
    )


def _cost(plan: Plan) -> str:
    train, rounds = plan.recipe.train, len(plan.deal.rounds)
    moves = {
        "frozen": "the body (the language model, which has read many proteins) rests, and a small head on top learns "
        "your question, beginning as a straight line through what the body makes of a protein",
        "lora": "a head on top learns your question, and with it small corrections (adapters) in the body, the "
        "language model, which has read many proteins",
        "full": "a head on top learns your question, and with it the whole body, the language model",
    }[plan.recipe.mode]
    moves = _heats(plan) if plan.recipe.stages else moves
    kept = "that is kept" if plan.recipe.stages else "on all rows"
    times = f"{rounds} trainings to be judged and one {kept}" if rounds > 1 else "one training"
    memory = f" and {plan.pace.bytes / 1e9:.1f} GB of memory" if plan.pace.bytes else ""
    return (
        f"How it learns: {moves}. That takes {times}, each of at most {train.steps:,} steps of about {train.tokens:,} "
        "residues; one stops by itself when it no longer gets better on proteins that it does not learn from. About "
        f"{duration(plan.pace.seconds)}{memory} on this machine (two batches were tried: {plan.pace.speed:,} residues "
        "a second)."
    )


def _heats(plan: Plan) -> str:
    """The heats that a training rises through, in words."""
    what = {
        "cold": "cold (the head)",
        "warm": "warm (small adapters in the body too)",
        "hot": "hot (the whole body)",
        "blazing": "blazing (the whole body)",
    }
    heats = ", ".join(what[heat] for heat in plan.recipe.stages)
    return f"it rises from heat to heat, each until it gains no more, and what does not help is dropped: {heats}"


def card_lines(fitted: Fitted) -> Iterator[tuple[str, str]]:
    """The headline card: the score beside all rivals, what the calibration is worth, and a verdict."""
    plan, scores = fitted.plan, fitted.scores
    standing = find_standing(scores, plan.task())
    if standing is None:
        yield "warning", "No score exists for these answers: too few proteins were judged, or all of one kind."
        return
    if plainly := _plainly(standing.score, plan):
        yield "info", plainly
    yield "info", f"{standing.headline}; {standing.circumstance.replace(' proteins,', f' {plan.found.noun}s,')}."
    for rival in standing.baselines:
        yield "info", f"  beside it: {rival.model} {figure(rival)}"
    verdict = _verdict(fitted)
    level = "good" if not standing.is_weak else "warning" if verdict.startswith("It does not beat") else "info"
    yield level, verdict
    if standing.score.n is not None and standing.score.n < FEW:
        hint = (
            "" if plan.deal.is_folded or plan.found.of_pairs else " With --set table.folds=5 each row is judged once."
        )
        yield (
            "warning",
            f"Over {standing.score.n} {plan.found.noun}s a score is a first impression: look at the interval.{hint}",
        )
    yield from (("info", sentence) for sentence in _calibration(fitted))
    yield from (("info", sentence) for sentence in _other_parts(fitted))
    if plan.found.of_pairs:
        yield (
            "info",
            "Pairs share proteins, so they are fewer than they look: take every interval for somewhat too narrow.",
        )
    if fitted.bands:
        shown = "; ".join(
            f"{row.split.rpartition(' identity ')[2]}: {figure(row)}, n = {row.n:,}" for row in fitted.bands
        )
        yield "info", f"{metric_title(standing.score.metric)} by identity to the nearest protein learned from: {shown}."
    if plan.recipe.table.shuffle:
        yield (
            "warning",
            "The answers were shuffled: a score clearly above the majority's would mean a leak.",
        )


def _plainly(score: Score, plan: Plan) -> str:
    """The headline as one would tell a friend; nothing for scores that have no such words."""
    if score.n is None or score.low is None or score.high is None:
        return ""
    asked = f"Asked about {score.n:,} {plan.found.noun}s that it had not learned from, it was"
    if score.metric == "accuracy":
        low, high = 100 * score.low, 100 * score.high
        return (
            f"{asked} right about {round(score.value * score.n):,}. Of 100 others like them it should be right about "
            f"{low:.0f} to {high:.0f}."
        )
    if score.metric == "accuracy per residue":
        return f"{asked} right about {100 * score.value:.0f} of 100 residues."
    if score.metric in ("rmse", "rmse per residue"):
        unit = f" {plan.found.unit}".rstrip()
        return f"{asked} typically off by {score_figure(score.value)}{unit} (large misses count more)."
    return ""


def _verdict(fitted: Fitted) -> str:
    standing = find_standing(fitted.scores, fitted.plan.task())
    assert standing is not None  # asked only where there is one
    if standing.baselines and standing.verdict.startswith("It does not beat"):
        best = standing.baselines[0].model
        if best == PROBE:
            return f"{standing.verdict} The network began as that line; what it learned on top brought nothing here."
        return (
            f"{standing.verdict} The bundle answers with the network all the same, because '{best}' cannot be put into "
            "it; on this table you lose nothing by the simple rule."
        )
    return standing.verdict


def _calibration(fitted: Fitted) -> Iterator[str]:
    headline, noun = fitted.plan.deal.scored()[0][0], fitted.plan.found.noun
    ours = [row for row in fitted.scores if row.model == fitted.bundle.label]
    mine = {row.metric: row for row in ours if row.split == headline}
    if row := mine.get("coverage"):
        what = "set of classes" if fitted.plan.found.kind == "label" else "interval"
        yield (
            f"Its {what} should hold the truth nine times in ten; over {row.n:,} {noun}s that the calibration had not "
            f"seen it did so with a share of {figure(row)}."
        )
        count = int(fitted.bundle.records[fitted.plan.name].calibration.get("n", 0))
        yield from _class_promise(fitted)
        if count < FEW:
            yield f"It was calibrated on {count:,} {noun}s only: the promise is rough."
    if row := mine.get("ece"):
        yield f"Its confidence is off by {figure(row)} on average (ECE; 0 is perfect)."


def _class_promise(fitted: Fitted) -> Iterator[str]:
    """For which classes the sets promise something of their own, and for which nothing."""
    plan = fitted.plan
    if plan.found.kind != "label":
        return
    calibration = fitted.bundle.records[plan.name].calibration
    without = [printable(name) for name in plan.custom.labels if f"{FLOOR}{name}" not in calibration]
    if without and len(without) < len(plan.custom.labels):
        yield (
            f"Each class by itself is promised {CLASS_COVERAGE:.0%}, but for {', '.join(without[:_SHOWN])}"
            f"{' and others' if len(without) > _SHOWN else ''}: fewer than {CLASS_ROWS} calibration rows, so a set may "
            "well miss it."
        )
    elif without:
        yield (
            f"That is promised of all together; no class has the {CLASS_ROWS} calibration rows that a promise of "
            "its own takes."
        )
    else:
        yield f"Each class by itself is promised {CLASS_COVERAGE:.0%}."


def _other_parts(fitted: Fitted) -> Iterator[str]:
    """The headline score on the parts of the test beside it, each with the best simple rule there."""
    plan = fitted.plan
    metric = plan.task().metrics[0]
    for name, _ in plan.deal.scored()[1:]:
        rows = [row for row in fitted.scores if (row.metric, row.split) == (metric, name)]
        mine = next((row for row in rows if row.model == fitted.bundle.label), None)
        if mine is None:
            continue
        up = METRICS[metric].higher_is_better
        rivals = sorted((row for row in rows if row is not mine), key=lambda row: row.value, reverse=up)
        beside = f"; the best simple rule there, {rivals[0].model}, {figure(rivals[0])}" if rivals else ""
        yield f"On '{name}': {metric_title(metric)} {figure(mine)}, n = {mine.n:,} {plan.found.noun}s{beside}."


def _proteins(plan: Plan) -> int:
    chains = plan.found.chains()
    return len(set(chains)) if plan.found.of_pairs else len(chains)


def figure(row: Score) -> str:
    """A value with its 95 % interval."""
    if row.low is None or row.high is None:
        return score_figure(row.value)
    return f"{score_figure(row.value)} ({score_figure(row.low)} to {score_figure(row.high)})"


def duration(seconds: float) -> str:
    """Seconds as people say them.

    >>> duration(4.2), duration(75), duration(400)
    ('5 seconds', '80 seconds', '7 minutes')
    """
    if seconds < 100:
        step = 5 if seconds < 50 else 10
        return f"{max(5, step * round(seconds / step))} seconds"
    return f"{round(seconds / 60):,} minutes" if seconds < 5400 else f"{seconds / 3600:.1f} hours"


def sentences(lines: Sequence[tuple[str, str]]) -> str:
    """The lines as one text, for Python."""
    return "\n".join(sentence for _, sentence in lines)
