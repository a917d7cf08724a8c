"""A molecule as a picture: its two-dimensional drawing, each atom with a disc as strong as its weight.

    SMILES, weights (A,) or none -> the child process with RDKit -> the text of an SVG picture without a background

Weights above zero are blue, below zero orange, so that they can be told apart without red and green; the strongest has
full colour. What comes back is drawn from atoms and bonds only: no text of a stranger stands in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from anfinsen.sandbox import run_limited

WIDTH, HEIGHT = 360, 260
"""Size of the picture in points."""
UP, DOWN = (0.36, 0.62, 0.91), (0.96, 0.62, 0.26)
"""Colours (red, green, blue) of weights above and below zero."""
_FAINT = 0.04
_RADIUS = 0.42


def draw(smiles: str, weights: Sequence[float] | None = None) -> str:
    """The SVG picture of a standardised molecule; `weights` go with its atoms in the order of the formula."""
    picture: str = run_limited(svg_of, smiles, None if weights is None else [float(weight) for weight in weights])
    return picture


def svg_of(smiles: str, weights: list[float] | None) -> str:
    """What the child does."""
    from rdkit import Chem, rdBase
    from rdkit.Chem import rdDepictor
    from rdkit.Chem.Draw import rdMolDraw2D

    rdBase.DisableLog("rdApp.*")
    molecule = Chem.MolFromSmiles(smiles)
    rdDepictor.SetPreferCoordGen(True)
    rdDepictor.Compute2DCoords(molecule)
    drawer = rdMolDraw2D.MolDraw2DSVG(WIDTH, HEIGHT)
    options: Any = drawer.drawOptions()
    options.clearBackground = False
    options.addStereoAnnotation = False
    colours, sizes = {}, {}
    strongest = max((abs(weight) for weight in weights or ()), default=0.0)
    for at, weight in enumerate(weights or ()):
        share = abs(weight) / strongest if strongest else 0.0
        if share > _FAINT:
            colours[at] = (*(UP if weight > 0 else DOWN), 0.15 + 0.7 * share)
            sizes[at] = _RADIUS * (0.5 + 0.5 * share)
    rdMolDraw2D.PrepareAndDrawMolecule(
        drawer, molecule, highlightAtoms=list(colours), highlightAtomColors=colours, highlightAtomRadii=sizes,
        highlightBonds=[],
    )  # fmt: skip
    drawer.FinishDrawing()
    text: str = drawer.GetDrawingText()
    return text[text.index("<svg") :]
