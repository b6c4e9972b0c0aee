"""Compared methods, of Table 1 and two others (FMPN, DAN), as data: arguments of `gndl.methods.MethodSettings`."""

from __future__ import annotations

from typing import Any


def _entry(name: str, place: str, purpose: str, **needs: Any) -> dict[str, Any]:
    needs = {"images_per_pair": 1} | needs
    return {
        "name": name,
        "base": name.partition("-")[0],
        "factory": f"gndl.methods.{place}",
        "purpose": purpose,
        **needs,
    }


_FDRL = {
    "latent": 9, "width": 128, "delta": 0.5, "weights": (1e-4, 1.0, 1e-4), "alpha": "mean", "balance": "normalised",
}  # fmt: skip
# Options are written out, defaults too: they are in a run's identity, so that another default starts another run.
ENTRIES = (
    _entry("fdrl", "fdrl:FDRL", "shared latent features, weighted for each face (FDRL)", options=_FDRL),
    _entry(
        "fdrl-literal", "fdrl:FDRL", "FDRL as public sources print it: sums of sigmoids, literal L_B (FD2, FD3)",
        options=_FDRL | {"alpha": "sum", "balance": "literal"},
    ),
    _entry(
        "gcnet", "gcnet:GCNet", "compared with the neutral picture generated for it (GCNet-S1R1)",
        images_per_pair=2, depends_on_epochs=True, epochs_factor=4 / 3, side_multiple=32,
        options={"weights": (1.0, 1.0, 1.0), "distance": "absolute", "generator_share": 0.25},
    ),
    _entry(
        "derl", "derl:DeRL", "what a generator of neutral pictures holds in its layers (DeRL)",
        images_per_pair=2, depends_on_epochs=True, epochs_factor=2.0, side_multiple=32,
        takes_weights=False, options={"theta1": 100.0, "lams": (1.0, 1.0, 1.0, 1.0, 1.0), "generator_share": 0.5},
    ),
    _entry(
        "iacnn", "iacnn:IACNN", "identity removed by labels of subjects (IACNN)",
        needs_subject=True, options={"margin": 1.0, "weights": (1.0, 1.0, 1.0)},
    ),
    _entry(
        "dlp", "dlp:DLP", "features pulled towards their neighbours of the class (DLP-CNN)",
        options={"lam": 0.003, "k": 20, "detach": True},
    ),
    _entry(
        "fmpn", "fmpn:FMPN", "a mask of the parts that move, learnt from neutral faces (FMPN)",
        images_per_pair=2, depends_on_epochs=True, epochs_factor=2.0, side_multiple=32,
        options={"weight": 0.1, "generator_share": 0.5},
    ),
    _entry("dan", "dan:DAN", "four attention heads that a loss keeps apart (DAN)", options={"heads": 4}),
)  # fmt: skip
