"""A method at one λ, as a study's folders and tables name it."""

from __future__ import annotations

from dataclasses import dataclass

from gndl.analysis.ensure import one_run
from gndl.imported import is_imported
from gndl.methods import MethodSettings
from gndl.prepare import Prepared


@dataclass(frozen=True, order=True)
class Variant:
    """A method at one λ, over all of its folds and seeds.

    Parameters
    ----------
    method : str
        METHOD of the run folders, such as ``"gndl"`` or ``"gndl-imagenet"``.
    lam : str
        λ as folders and tables print it, ``"none"`` for methods without it.
    """

    method: str
    lam: str = "none"

    @property
    def title(self) -> str:
        """The variant in a few words, such as "GNDL, λ = 5"."""
        name = "GNDL" if self.method == "gndl" else self.method
        return name if self.lam == "none" else f"{name}, λ = {self.lam}"

    @property
    def in_a_sentence(self) -> str:
        """The title as a caption says it: "the baseline"."""
        return f"the {self.title}" if self.title == "baseline" else self.title


def variant_of(study: Prepared, method: str | MethodSettings, lam: float | None = None) -> Variant:
    """Name the variant that a study makes of a method; λ is the profile's by default (ledger L19).

    Of an imported method (`gndl.sharing.import_predictions`) its name is all that there is.
    """
    if is_imported(method):
        return Variant(method if isinstance(method, str) else method.name)
    run = one_run(study, method, lam, study.run_folds[0])
    return Variant(run.variant, run.lam_text)
