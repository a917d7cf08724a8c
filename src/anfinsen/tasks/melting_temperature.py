"""Melting temperature: how hot it must get before half of a protein is unfolded.

Heat shakes a protein until it loses its shape; the temperature at which half of the molecules have lost it is
called Tm. A protein with a high Tm keeps longer, survives purification better and tolerates more mutations. The
temperature at which its organism lives tells a lot about it, so it may be given as a condition, and so may the pH.

Data: Tm from proteome-wide experiments with the organism's growth temperature (Qiu et al. 2024, Seq2Topt; after
Meltome Atlas, Jarzab et al. 2020, Nature Methods 17:495). All of these proteins melt at 50 °C or above.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from anfinsen.data.example import Example
from anfinsen.sets.catalog import Table
from anfinsen.targets.base import Answer, Number
from anfinsen.tasks.base import Condition, Published, Task

_ALONE = "test-sequence-only"


@dataclass(frozen=True)
class MeltingTemperatureTask(Task):
    """Melting temperature, tested twice: with its conditions, and as most people ask, without them."""

    def examples(self, split: str) -> list[Example]:
        """The examples of one split; of the one called sequence-only, without their conditions."""
        examples = self.table.load(split)
        return [replace(example, conditions={}) for example in examples] if split == _ALONE else examples


def _say(answer: Answer) -> str:
    value = answer["value"]
    kind = "an ordinary protein" if value < 58 else "a fairly stable protein" if value < 70 else "a heat-loving protein"
    return (
        f"Half of it should be unfolded at about {value:.0f} °C "
        f"(nine times in ten between {answer['low']:.0f} and {answer['high']:.0f} °C): {kind}."
    )


TASK = MeltingTemperatureTask(
    name="melting-temperature",
    title="Melting temperature",
    question="How much heat does it stand?",
    explanation=(
        "The network reads the whole chain and, where it is known, the temperature at which the organism lives, and "
        "gives the temperature at which half of the protein is unfolded, with a range as wide as its own doubt."
    ),
    target=Number(unit="°C", center=60.0, spread=12.0),
    table=Table(
        "conditions/tm.parquet",
        id="uniprot_id",
        value="tm",
        conditions={"growth_temperature": "ogt", "ph": "ph"},
        splits={"train": ("train",), "valid": ("valid",), "test": ("test",), _ALONE: ("test",)},
        title="Melting temperatures of 7,147 proteins with growth temperatures",
        source="github.com/SizheQiu/Seq2Topt",
        licence="GPL-3.0 repository; sequences UniProt CC BY 4.0",
    ),
    conditions=(
        Condition("growth_temperature", "°C", "the temperature at which the protein's organism lives best", 35.0, 18.0),
        Condition("ph", "", "the pH of the solution in which it is heated", 7.0, 2.0),
    ),
    tests=(_ALONE, "test"),
    metrics=("rmse", "r2", "spearman"),
    say=_say,
    published=(
        Published("Seq2Tm", "rmse", 7.57, "test", "Qiu et al. 2024"),
        Published("Seq2Tm", "r2", 0.64, "test", "Qiu et al. 2024"),
    ),
    terms={
        "melting temperature": "The temperature at which half of a protein has lost its shape, written Tm. "
        "Above it the protein no longer works.",
        "growth temperature": "The temperature at which the organism grows best. "
        "It is 37 °C for people and up to 100 °C for microbes of hot springs.",
        "pH": "How acid a solution is: 7 is neutral like pure water, lower is acid like vinegar, higher is basic "
        "like soap.",
    },
    leads=True,
    limits="Trained only on proteins that melt at 50 °C or above, so it cannot call a protein fragile: "
    "read a value near 50 °C as '50 °C or less'. All but 37 of its 7,147 proteins were heated at pH 7 or at a pH that "
    "nobody noted, so it has hardly been taught what another pH does.",
)
