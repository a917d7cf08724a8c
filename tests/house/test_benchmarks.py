"""The scripts beside the package go with it: every arm of the ablation still takes its steps and is judged.

The lists of names are made from a few invented rows here; the script's own --check makes the real ones.
"""

from __future__ import annotations

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import numpy
import polars
import pytest

from anfinsen.data.example import Example
from anfinsen.structure.protein import Protein
from anfinsen.tasks import TASKS

SCRIPTS = Path(__file__).parents[2] / "benchmarks"
RESIDUES = "ACDEFGHIKLMNPQRSTVWY"


def loaded(name: str) -> ModuleType:
    spec = spec_from_file_location(name, SCRIPTS / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


ABLATION = loaded("ablation")
ANNOTATIONS = loaded("annotations")
FAMILIES = loaded("families")
BINDERS = loaded("binders")


@pytest.mark.parametrize("arm", ABLATION.ARMS, ids=lambda arm: arm.name)
def test_every_arm_learns_and_is_judged(arm: object) -> None:
    draw = numpy.random.default_rng(1)
    corpus = [Example(Protein(f"p{at}", "".join(draw.choice(list(RESIDUES), size=30))), None) for at in range(12)]
    exam = [TASKS["masked"].pose(example, at) for at, example in enumerate(corpus[:3])]
    tokens = arm.tokens  # type: ignore[attr-defined]
    row = ABLATION.learn(arm, corpus, numpy.arange(12), exam, 3 * tokens)
    assert row["steps"] == 3
    assert len(row["sums"]) == 3 and all(numpy.isfinite(loss) and count > 0 for loss, count in row["sums"])
    assert ABLATION.compared(row, row)["difference"] == 0.0


def test_enzyme_numbers_are_listed_parents_first_with_their_words() -> None:
    made = ANNOTATIONS.enzyme_names([["1.10.3.n2", "1.2.1.1"], ["1.10.3.4"]], {"1.2.-.-": "acts on aldehydes"})
    assert made.splitlines()[1:] == [
        "1.-.-.-\t\t\t2",
        "1.2.-.-\t0\tacts on aldehydes\t1",
        "1.10.-.-\t0\t\t2",
        "1.2.1.-\t1\t\t1",
        "1.10.3.-\t2\t\t2",
        "1.2.1.1\t3\t\t1",
        "1.10.3.4\t4\t\t1",
        "1.10.3.n2\t4\t\t1",
    ]
    with pytest.raises(ValueError, match="the words for it out of ec"):
        ANNOTATIONS.enzyme_names([["1.2.1.1"]], {"1.3.-.-": "acts on bonds", "1.4.-.-": ""})


def test_terms_are_listed_parents_first_and_those_that_only_judges_hold_apart() -> None:
    term = ANNOTATIONS.Term
    known = {"G1": term("ion", ("G3",), 4), "G2": term("zinc", ("G1",), 2), "G3": term("root", (), 9)}
    made = ANNOTATIONS.term_names({"G1"}, {"G1", "G2"}, known)
    assert made["go.txt"].splitlines()[1:] == ["G3\t\troot\t9", "G1\t0\tion\t4"]
    assert made["go_rare.txt"].splitlines()[1:] == ["G2\t1\tzinc\t2"]


def test_a_check_says_what_differs() -> None:
    assert ANNOTATIONS.told("a\nb\nc\n", "a\nx\nc\n") == "2 lines differ\n  -b\n  +x"


def test_some_of_those_that_train_are_taken_for_validation_and_nobody_else_moves() -> None:
    names = numpy.array(["train"] * 200 + ["valid"] * 3 + ["test"] * 5)
    dealt = ANNOTATIONS.with_near(names)
    assert (dealt[200:] == names[200:]).all()
    assert (dealt[:200] == "valid").sum() == 12 and (dealt[:200] == "train").sum() == 188


def test_members_are_laid_beside_their_first_one() -> None:
    """I: the first alone goes on; D: the member alone does."""
    chains = ["ACDEFG", "WCDFGA"]
    family = [FAMILIES.Member(0, 0, 0, "6M"), FAMILIES.Member(1, 1, 1, "2M1I2M1D")]
    rows = FAMILIES.aligned(chains, family)
    assert ["".join((RESIDUES + "-")[at] for at in row) for row in rows] == ["ACDEFG", "-CD-FG"]


def test_columns_of_one_kind_are_told_from_columns_of_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FAMILIES, "KINDS", 2)
    draw = numpy.random.default_rng(1)
    oily, charged = numpy.zeros(20), numpy.zeros(20)
    oily[[RESIDUES.index(one) for one in "LIVM"]], charged[[RESIDUES.index(one) for one in "DEKR"]] = 0.25, 0.25
    columns = numpy.stack([draw.multinomial(12, (oily, charged)[at % 2]) for at in range(400)]).astype(numpy.float32)
    shares, common = FAMILIES.kinds_of(columns)
    kinds = FAMILIES.assigned(columns, shares, common)
    assert (kinds[::2] == kinds[0]).all() and (kinds[1::2] == 1 - kinds[0]).all()
    assert numpy.allclose(shares.sum(1), 1, atol=1e-4) and RESIDUES[shares[kinds[0]].argmax()] in "LIVM"


def test_binders_are_gathered_from_the_pairs_that_bind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ANFINSEN_DATA", str(tmp_path))
    folder = tmp_path / "dti_biosnap"
    folder.mkdir()
    polars.DataFrame({"smiles": ["CCO", "c1ccccc1CC", "[Na]", "CCCCCCN"]}).write_parquet(folder / "drugs.parquet")
    polars.DataFrame({"sequence": ["MKTAYIAKQRQ", "MKWVTFISLLK"]}).write_parquet(folder / "targets.parquet")
    pairs = {"drug_idx": [0, 1, 2, 3, 3], "target_idx": [0, 0, 0, 0, 1], "label": [1, 1, 1, 0, 1]}
    polars.DataFrame(pairs).write_parquet(folder / "pairs.parquet")
    made = BINDERS.gathered()
    assert list(zip(made.protein.tolist(), made.binder.tolist(), strict=True)) == [(0, 0), (1, 1)]
    told = capsys.readouterr().out
    assert "1 molecule of 4 refused; 1 molecule of fewer than 6 heavy atoms left out." in told
    assert "2 of 4 pairs: 2 binders of 2 proteins." in told
