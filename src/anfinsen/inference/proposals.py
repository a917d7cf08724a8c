"""Variants that might be better, each with a reason, a predicted gain, its risks, and the word that it is a guess.

    scan -> substitutions that evolution would bear -> the task is asked of each -> the best are joined (beam search)

Only swaps that relatives make now and then, and of these the half that the scan likes better, are tried: a predictor
that is asked to climb climbs out of what it knows. The interval of a gain joins those of variant and wild type as if
they erred independently; where it holds zero, the text says so. The search draws nothing at random: the same question
has the same answer.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from anfinsen.data.alphabet import RESIDUES
from anfinsen.data.example import Example
from anfinsen.data.substitutions import BLOSUM62, HELIX, STRAND, VOLUME, WATER
from anfinsen.data.variants import SEPARATOR, Substitution, Variant, mutate
from anfinsen.errors import UsageError, suggest
from anfinsen.inference.predictor import answer
from anfinsen.inference.scan import Scan, Scanner
from anfinsen.structure.protein import Protein
from anfinsen.targets.base import Answer, Label, Number
from anfinsen.tasks import TASKS
from anfinsen.tasks.base import Task
from anfinsen.tasks.stability_change import STABILITY_CHANGE, record_of_gains

SHORT = {"tm": "melting-temperature", "stability": STABILITY_CHANGE.name}
"""Short names of goals."""
UP, DOWN = "up", "down"
POOL, BEAM, PARTNERS, AT_ONE_PLACE = 80, 5, 12, 2
"""Single variants that are asked, variants that are carried on, partners tried with each, suggestions at one place."""
HYPOTHESIS = "This is a hypothesis to test at the bench, not a result."
_LIKELY, _COSTS, _RAREST, _BULKY = 0.5, 1.0, -1.0, 50.0


@dataclass(frozen=True)
class Goal:
    """Where to go: a task, and up, down, or towards one of its labels."""

    task: Task
    aim: str

    @property
    def unit(self) -> str:
        """Of the gain."""
        return self.task.target.unit if isinstance(self.task.target, Number) else "chance"

    @property
    def words(self) -> str:
        """The goal as it is printed: a higher melting temperature, more stability, solubility: soluble."""
        if isinstance(self.task.target, Label):
            return f"{self.task.title.lower()}: {self.aim}"
        if self.task is STABILITY_CHANGE:  # of unfolding's free energy less is lost
            return "more stability" if self.aim == DOWN else "less stability"
        return f"a {'higher' if self.aim == UP else 'lower'} {self.task.title.lower()}"

    def height(self, answer: Answer) -> float:
        """The answer as a number of which more is better."""
        if isinstance(self.task.target, Label):
            return float(answer["probabilities"][self.aim])
        return float(answer["value"]) * (-1 if self.aim == DOWN else 1)

    def gain(self, before: Answer, after: Answer, changes: int) -> tuple[float, float | None, float | None]:
        """What is gained, with its interval where the answers have one."""
        gained = self.height(after) - self.height(before)
        if "low" not in after:
            return gained, None, None
        reach = math.hypot(*((answer["high"] - answer["low"]) / 2 for answer in (before, after)))
        if self.task is STABILITY_CHANGE:
            # the changes were all chosen by one ruler, so their errors point the same way and add up
            reach *= math.sqrt(changes)
        return gained, gained - reach, gained + reach


@dataclass(frozen=True)
class Proposal:
    """One suggested variant; `low` and `high` hold the gain nine times in ten, None where the task gives no range."""

    variant: Variant
    before: float
    after: float
    gain: float
    low: float | None
    high: float | None
    score: float
    stability: Answer
    reasons: tuple[str, ...]
    """Why, a sentence a substitution."""
    risks: tuple[str, ...] = field(default=())
    is_clear: bool = False

    @property
    def name(self) -> str:
        """As people write it: A123V:K45R."""
        return SEPARATOR.join(map(str, self.variant))

    @property
    def reason(self) -> str:
        """Why, in one text."""
        return " ".join(self.reasons)

    def claim(self, goal: Goal) -> str:
        """How far the gain can be trusted, in words."""
        record = f"{record_of_gains()} " if goal.task is STABILITY_CHANGE and goal.aim == DOWN else ""
        if self.gain <= 0:
            return f"No gain is predicted. {HYPOTHESIS}"
        if self.is_clear:
            return f"The predicted gain is larger than its uncertainty. {record}{HYPOTHESIS}"
        if self.low is None:
            return f"The answer's set still holds more than '{goal.aim}', so the gain may be chance. {HYPOTHESIS}"
        return f"The predicted gain lies inside its own uncertainty: it may as well be a loss. {record}{HYPOTHESIS}"


def read_goal(text: str, known: Sequence[str]) -> Goal:
    """What `--toward` asks, such as tm, stability, solubility, optimal-ph=down or localization=Nucleus."""
    name, _, aim = text.partition("=")
    name = SHORT.get(name.strip(), name.strip())
    tasks = {STABILITY_CHANGE.name: STABILITY_CHANGE}
    tasks |= {one: TASKS[one] for one in known if isinstance(TASKS[one].target, Number | Label)}
    if name not in tasks:
        missing = " The bundle does not answer it." if name in TASKS else ""
        raise UsageError(f"'{text}' is no goal here.{missing}", remedy=suggest(name, [*tasks, *SHORT]))
    task = tasks[name]
    if isinstance(task.target, Label):
        labels = task.target.classes
        aim = aim or (labels[-1] if len(labels) == 2 else "")
        if aim not in labels:
            raise UsageError(
                f"'{text}' does not say toward which label.",
                remedy=f"Write --toward {name}=LABEL. {suggest(aim, labels)}",
            )
        return Goal(task, aim)
    aim = aim or (DOWN if task is STABILITY_CHANGE else UP)
    if aim not in (UP, DOWN):
        raise UsageError(f"'{text}' came with '{aim}'.", remedy=f"Write {name}={UP} or {name}={DOWN}.")
    return Goal(task, aim)


class Proposer:
    """Searches variants of one protein toward one goal."""

    def __init__(self, scanner: Scanner, scan: Scan, goal: Goal, conditions: Mapping[str, float] | None = None) -> None:
        self.scanner, self.scan, self.goal = scanner, scan, goal
        self.protein, self.conditions = scan.protein, dict(conditions or {})
        self._known: dict[Variant, Answer] = {}
        self._wild = self._ask([()])[0]

    def propose(self, count: int = 10, changes: int = 3) -> list[Proposal]:
        """At most `count` variants with up to `changes` substitutions: the best single ones first, then joined ones."""
        singles = self._best([(one,) for one in self._pool()])
        beam, joined = singles[:BEAM], []
        for _ in range(changes - 1):
            partners = singles[:PARTNERS]
            wider = {
                tuple(sorted((*variant, *other)))
                for variant in beam
                for other in partners
                if other[0].position not in {one.position for one in variant}
            }
            beam = self._best(sorted(wider))[:BEAM]
            joined += beam
        half = count if changes == 1 else (count + 1) // 2
        chosen = _spread(singles, half)
        chosen += self._best(joined)[: count - len(chosen)]
        return [self._explain(variant) for variant in chosen]

    def _pool(self) -> list[Substitution]:
        """The substitutions that are worth asking: of those the scan likes better than half, the likeliest to gain."""
        swaps = [one for one in self.scan.substitutions() if _swap(one) >= _RAREST]
        ranked = sorted(swaps, key=lambda one: (-self.scan.score((one,)), one))
        bearable = [one for one in ranked[: (len(ranked) + 1) // 2] if one.position > 1]
        if self.goal.task is STABILITY_CHANGE:
            sign = 1 if self.goal.aim == DOWN else -1
            bearable.sort(key=lambda one: (sign * self.scan.stability(one)["value"], one))
        return bearable[:POOL]

    def _best(self, variants: Sequence[Variant]) -> list[Variant]:
        answers = self._ask(variants)
        height = {variant: self.goal.height(answer) for variant, answer in zip(variants, answers, strict=True)}
        return sorted(height, key=lambda variant: (-height[variant], variant))

    def _ask(self, variants: Sequence[Variant]) -> list[Answer]:
        """The goal's answers, each variant asked once; the empty variant is the wild type."""
        new = [variant for variant in variants if variant not in self._known]
        if self.goal.task is STABILITY_CHANGE:
            asked = [variant for variant in new if variant]
            found = self.scanner.change(self.protein, asked, self.conditions) if asked else []
            self._known |= dict(zip(asked, found, strict=True))
            self._known[()] = {"value": 0.0, "unit": self.goal.unit, "low": 0.0, "high": 0.0}
        else:
            examples = [
                Example(Protein(self.protein.id, mutate(self.protein.sequence, variant)), conditions=self.conditions)
                for variant in new
            ]
            self._known |= dict(zip(new, answer(self.scanner.bundle, self.goal.task, examples), strict=True))
        return [self._known[variant] for variant in variants]

    def _explain(self, variant: Variant) -> Proposal:
        after = self._known[variant]
        gain, low, high = self.goal.gain(self._wild, after, len(variant))
        is_clear = low > 0 if low is not None else self._wild.get("set") != after.get("set") == [self.goal.aim]
        (stability,) = self.scanner.change(self.protein, [variant], self.conditions)
        return Proposal(
            variant,
            abs(self.goal.height(self._wild)),
            abs(self.goal.height(after)),
            gain,
            low,
            high,
            self.scan.score(variant),
            stability,
            tuple(self._reason(one) for one in variant),
            tuple(dict.fromkeys(risk for one in variant for risk in self._risks(one)))
            + self._common(variant, stability),
            is_clear,
        )

    def _reason(self, one: Substitution) -> str:
        """Why a substitution may be borne and may help, from what the scan knows of it."""
        place = one.position - 1
        bulk, oil = (scale[one.mutant] - scale[one.wild_type] for scale in (VOLUME, WATER))
        words = (
            [f"{'larger' if bulk > 0 else 'smaller'} by {abs(bulk):.0f} Å³"] if abs(bulk) > 10 else ["alike in size"]
        )
        if abs(oil) > 0.3:
            words.append("more hydrophobic" if oil > 0 else "less hydrophobic")
        expected = (self.scan.around.helix[place], self.scan.around.strand[place])
        if expected[0] > 0.2 and HELIX[one.mutant] < HELIX[one.wild_type] - 0.1:
            words.append("better in the helix that is expected there")
        if expected[1] > 0.2 and STRAND[one.mutant] > STRAND[one.wild_type] + 0.1:
            words.append("better in the strand that is expected there")
        if _swap(one) > 0:
            words.append("often swapped between relatives")
        return f"{one}: {', '.join(words)}."

    def _risks(self, one: Substitution) -> list[str]:
        """What may go wrong with one substitution."""
        risks, order, place = [], self.scan.ranked(), one.position - 1
        bulk = VOLUME[one.mutant] - VOLUME[one.wild_type]
        if abs(bulk) > _BULKY:
            risks.append(f"where the fold is tight, {one} may {'not fit' if bulk > 0 else 'leave a hole'}")
        if one.position in order[: max(1, len(order) // 5)]:
            risks.append(f"residue {one.position} is among the fifth that bears least change")
        if one.mutant == "P" and self.scan.around.helix[place] > 0:
            risks.append(f"a proline where a helix is expected ({one})")
        if "C" in (one.mutant, one.wild_type):
            risks.append(f"{'a new' if one.mutant == 'C' else 'a lost'} cysteine may change disulfide bonds ({one})")
        if one.wild_type in "GP":
            risks.append(f"{one} gives up a residue that often shapes a turn")
        if one.wild_type in "HDESKRYC" and self.scan.around.conservation[place] > _LIKELY:
            risks.append(f"{one.wild_type}{one.position} is conserved and could do chemistry")
        return risks

    def _common(self, variant: Variant, stability: Answer) -> tuple[str, ...]:
        """What may go wrong with the variant as a whole."""
        risks = []
        if stability["value"] > _COSTS:
            risks.append(f"it may cost stability (ddG {stability['value']:+.1f} kcal/mol)")
        reach = self.scanner.bundle.reaches.get(self.goal.task.name)
        if reach is not None and (reach.nearest(self.protein.sequence)[0] or 0.0) < 0.4:
            risks.append("the protein is far from those that the predictor was trained on")
        if len(variant) > 1:
            risks.append("changes are taken to act independently")
        return tuple(risks)


def _swap(one: Substitution) -> float:
    """How readily relatives make this swap (BLOSUM62)."""
    return float(BLOSUM62[RESIDUES.index(one.wild_type), RESIDUES.index(one.mutant)])


def _spread(singles: Sequence[Variant], count: int) -> list[Variant]:
    """The best single variants, at most a few at one place."""
    chosen: list[Variant] = []
    for variant in singles:
        here = sum(other[0].position == variant[0].position for other in chosen)
        if here < AT_ONE_PLACE and len(chosen) < count:
            chosen.append(variant)
    return chosen
