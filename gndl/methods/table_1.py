"""The methods that Table 1 compares and that are re-implemented here, as data: arguments of `MethodSettings`."""

from __future__ import annotations

from typing import Any


def _entry(name: str, place: str, purpose: str, **needs: Any) -> dict[str, Any]:
    needs = {"images_per_pair": 1, "options": {}} | needs
    return {
        "name": name,
        "base": name.partition("-")[0],
        "factory": f"gndl.methods.{place}",
        "purpose": purpose,
        **needs,
    }


ENTRIES = (
    _entry("fdrl", "fdrl:FDRL", "shared latent features, weighted for each face (FDRL)"),
    _entry(
        "fdrl-literal", "fdrl:FDRL", "FDRL as public sources print it: sums of sigmoids, literal L_B (FD2, FD3)",
        options={"alpha": "sum", "balance": "literal"},
    ),
    _entry(
        "gcnet", "gcnet:GCNet", "compared with the neutral picture generated for it (GCNet-S1R1)",
        images_per_pair=2, depends_on_epochs=True, epochs_factor=4 / 3,
    ),
    _entry(
        "derl", "derl:DeRL", "what a generator of neutral pictures holds in its layers (DeRL)",
        images_per_pair=2, depends_on_epochs=True, epochs_factor=2.0,
    ),
    _entry("iacnn", "iacnn:IACNN", "identity removed by labels of subjects (IACNN)", needs_subject=True),
    _entry("dlp", "dlp:DLP", "features pulled towards their neighbours of the class (DLP-CNN)"),
    _entry(
        "fmpn", "fmpn:FMPN", "a mask of the parts that move, learnt from neutral faces (FMPN)",
        images_per_pair=2, depends_on_epochs=True, epochs_factor=2.0,
    ),
    _entry("dan", "dan:DAN", "four attention heads that a loss keeps apart (DAN)"),
)  # fmt: skip
