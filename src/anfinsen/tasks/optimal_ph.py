"""Optimal pH: how acid or basic an enzyme likes it when it works.

The charges of an enzyme's working residues change with pH, so each enzyme has a pH at which it works fastest: pepsin
works in the acid of the stomach, trypsin in the mildly basic gut. Knowing it before the first experiment saves a
series of buffers.

Data: optima of enzymes in BRENDA in the edition of EpHod (Gado et al. 2023), with the official test split of Seq2pHopt
(Qiu et al. 2024). Nearly half of the test enzymes have a training relative of the same half of their residues, so
the scores by bands of identity tell more than the score over all.
"""

from __future__ import annotations

from anfinsen.sets.catalog import Table
from anfinsen.targets.base import Answer, Number
from anfinsen.tasks.base import Published, Task


def _say(answer: Answer) -> str:
    value = answer["value"]
    kind = "in acid" if value < 6 else "near neutral" if value < 8.5 else "in a basic solution"
    return (
        f"If it is an enzyme, it should work best {kind}, at about pH {value:.1f} "
        f"(nine times in ten between {answer['low']:.1f} and {answer['high']:.1f})."
    )


TASK = Task(
    name="optimal-ph",
    title="Best pH",
    question="At what pH does it work best?",
    explanation=(
        "The network reads the whole chain and gives the pH at which the enzyme is most active, with a range as wide "
        "as its own doubt; most enzymes lie near neutral, and the network leaves that middle only with a reason."
    ),
    target=Number(unit="", center=7.2, spread=1.15),
    table=Table(
        "conditions/ph_opt.parquet",
        id="uniprot_id",
        value="pHopt",
        splits={"train": ("train",), "valid": ("valid",), "test": ("test",)},
        title="Optimal pH of 8,466 enzymes, in the EpHod edition",
        source="github.com/SizheQiu/Seq2Topt",
        licence="GPL-3.0 repository; sequences UniProt CC BY 4.0",
    ),
    metrics=("rmse", "r2", "spearman"),
    say=_say,
    published=(
        Published("Seq2pHopt", "rmse", 0.92, "test", "Qiu et al. 2024"),
        Published("Seq2pHopt", "r2", 0.37, "test", "Qiu et al. 2024"),
    ),
    terms={
        "pH": "How acid a solution is: 7 is neutral like pure water, lower is acid like vinegar, higher is basic "
        "like soap.",
        "enzyme": "A protein that speeds up a chemical reaction and comes out of it unchanged. "
        "About a third of all proteins are enzymes.",
    },
    limits="Trained on enzymes only: asked of another protein it answers all the same, and the answer means nothing. "
    "Extreme optima (below pH 4, above pH 10) are rare in its table and are drawn towards the middle.",
)
