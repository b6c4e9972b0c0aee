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
    _entry("iacnn", "iacnn:IACNN", "identity removed by labels of subjects (IACNN)", needs_subject=True),
    _entry("dlp", "dlp:DLP", "features pulled towards their neighbours of the class (DLP-CNN)"),
    _entry("dan", "dan:DAN", "four attention heads that a loss keeps apart (DAN)"),
)  # fmt: skip
