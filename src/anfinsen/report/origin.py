"""Where a page's numbers come from: the lines at its foot by which anybody can make it again."""

from __future__ import annotations

from anfinsen import __version__
from anfinsen.hub.bundle import Bundle


def origin(bundle: Bundle) -> dict[str, str]:
    """Version of the code, name and fingerprint of the model, in the order in which a page prints them."""
    return {
        "Anfinsen": __version__,
        "Model": bundle.name,
        "Fingerprint of the model": bundle.sha256[:16],
        "PyTorch": bundle.provenance.get("torch", "unknown"),
    }
