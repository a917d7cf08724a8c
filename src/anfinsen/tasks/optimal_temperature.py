"""Optimal temperature: how warm an enzyme likes it when it works.

An enzyme works faster the warmer it gets, until heat begins to unfold it: in between lies its best temperature. It
tells at which temperature to run an assay, and whether an enzyme could stand a hot process. The temperature at which
its organism lives tells a lot about it, so it may be given as a condition; where nobody knows it, the sequence must do.

Data: optima of enzymes in BRENDA with the organism's growth temperature (Qiu et al. 2024, Seq2Topt; after Li et al.
2022). A second table of further optima is left out: four fifths of its values are 20, 22, 25, 30 or 37 °C, the
temperatures at which people happen to measure.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from anfinsen.data.example import Example
from anfinsen.sets.catalog import Table
from anfinsen.targets.base import Answer, Number
from anfinsen.tasks.base import Condition, Published, Task

_ALONE = "test-sequence-only"


@dataclass(frozen=True)
class OptimalTemperatureTask(Task):
    """Optimal temperature, tested twice: with the growth temperature, and as most people ask, without it."""

    def examples(self, split: str) -> list[Example]:
        """The examples of one split; of the one called sequence-only, without their conditions."""
        examples = self.table.load(split)
        return [replace(example, conditions={}) for example in examples] if split == _ALONE else examples


def _say(answer: Answer) -> str:
    value = answer["value"]
    kind = "it likes the cold" if value < 25 else "it likes ordinary warmth" if value < 50 else "it likes heat"
    return (
        f"If it is an enzyme, it should work best at about {value:.0f} °C "
        f"(nine times in ten between {answer['low']:.0f} and {answer['high']:.0f} °C): {kind}."
    )


TASK = OptimalTemperatureTask(
    name="optimal-temperature",
    title="Best temperature",
    question="At what temperature does it work best?",
    explanation=(
        "The network reads the whole chain and, where it is known, the temperature at which the organism lives, and "
        "gives the temperature at which the enzyme is most active, with a range as wide as its own doubt."
    ),
    target=Number(unit="°C", center=45.0, spread=18.0),
    table=Table(
        "conditions/t_opt.parquet",
        id="uniprot_id",
        value="topt",
        conditions={"growth_temperature": "ogt"},
        splits={"train": ("train",), "valid": ("valid",), "test": ("test",), _ALONE: ("test",)},
        title="Optimal temperatures of 2,737 enzymes with growth temperatures",
        source="github.com/SizheQiu/Seq2Topt",
        licence="GPL-3.0 repository; sequences UniProt CC BY 4.0",
    ),
    conditions=(
        Condition("growth_temperature", "°C", "the temperature at which the protein's organism lives best", 35.0, 18.0),
    ),
    tests=(_ALONE, "test"),
    metrics=("rmse", "r2", "spearman"),
    say=_say,
    published=(
        Published("Seq2Topt", "rmse", 13.3, "test", "Qiu et al. 2024"),
        Published("Seq2Topt", "r2", 0.48, "test", "Qiu et al. 2024"),
    ),
    terms={
        "enzyme": "A protein that speeds up a chemical reaction and comes out of it unchanged. "
        "About a third of all proteins are enzymes.",
        "optimal temperature": "The temperature at which an enzyme works fastest. "
        "It is measured over minutes, so an enzyme may not last long there.",
        "growth temperature": "The temperature at which the organism grows best. "
        "It is 37 °C for people and up to 100 °C for microbes of hot springs.",
    },
    limits="Trained on enzymes only: asked of another protein it answers all the same, and the answer means nothing. "
    "Measured optima of one enzyme differ by several degrees between laboratories.",
)
