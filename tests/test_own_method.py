"""A method of one's own, on the same folds, beside the others: its row, its pictures, and no trace in the study's."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from matplotlib.text import Text
from planted import EXPRESSIONS, planted_pairs

from gndl import figures, results
from gndl.errors import GndlError
from gndl.folds import deal_folds
from gndl.methods import _REGISTRY, register_method
from gndl.model import GNDL, Output
from gndl.narrative import own_method
from gndl.prepare import Prepared
from gndl.profiles import SMOKE
from gndl.study import train_missing
from gndl.tables import results_table as tables


class CosineGNDL(GNDL):
    """The example of notebook 8."""

    def __init__(self, n_classes: int, lam: float, scale: float = 8.0) -> None:
        super().__init__(n_classes, lam, bias=False)
        self.scale = scale

    def forward(self, examined: torch.Tensor, neutral: torch.Tensor | None = None) -> Output:
        """Compare the deviation with each class by the cosine of their angle."""
        output = super().forward(examined, neutral)
        assert output.deviation is not None
        cosine = F.cosine_similarity(output.deviation[:, None], self.classifier.weight, dim=2)
        return replace(output, logits=self.scale * cosine)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    """Planted faces, two folds of three, and baseline, GNDL and the example trained on them."""
    out, pairs = tmp_path_factory.mktemp("own"), planted_pairs(36)
    request = SimpleNamespace(
        out=out, settings=SMOKE, seeds=(0,), device="cpu", weights="", data_roots={"ckplus": ""}, methods=()
    )
    made = SimpleNamespace(
        request=request,
        folder=out / "ckplus",
        database=SimpleNamespace(name="ckplus", title="CK+ stand-in", source="rendered", expressions=EXPRESSIONS),
        pairs=pairs,
        folds=deal_folds(pairs.subject, pairs.label.tolist(), n_folds=3, seed=0),
        run_folds=(0, 1),
        train=SMOKE.train,
        identity=lambda fold: {"source": "rendered", "test_subjects": str(fold)},
    )
    prepared = cast(Prepared, made)
    mine = register_method("cosine-test", CosineGNDL, options={"scale": 8.0})
    train_missing(prepared, methods=["baseline", "gndl", mine], jobs=1)
    return prepared


def test_the_row_of_ones_own_stands_below_the_others(study: Prepared) -> None:
    """Baseline, GNDL, then one's own, each on both folds; a study's own tables are not written."""
    found = own_method.report_own_method(study, "cosine-test")
    assert found.table["method"].tolist() == ["baseline", "gndl", "cosine-test"]
    assert found.table["folds"].tolist() == [2, 2, 2]
    own = results.accuracy_table(study.request.out, "ckplus").query("method == 'cosine-test'")
    assert found.table["accuracy"].iloc[2] == pytest.approx(own["accuracy_last"].mean())
    assert "**cosine-test (λ = 5)** differs from the baseline" in found.words
    assert "**cosine-test, λ = 5** minus GNDL, λ = 5" in found.words
    assert "nan" not in tables.readable(found.table).to_string() + found.words
    assert not (study.folder / "tables").exists()
    assert not (study.folder / "figures").exists()
    assert (study.folder / "cosine-test" / "figures" / "confusion_matrices.pdf").exists()


def test_its_map_and_samples_lie_in_its_own_folder(study: Prepared) -> None:
    """Each is a figure or a sentence that says why there is none; only the method's folder is written to."""
    said = [
        own_method.own_deviation_map(study, "cosine-test"),
        own_method.own_hard_samples(study, "cosine-test"),
        own_method.own_hard_samples(study, "cosine-test", gained_by="other"),
    ]
    for figure, words in said:
        assert figure is not None or words
        if figure is not None:
            text = " ".join(one.get_text() for one in figure.findobj(Text))  # type: ignore[attr-defined]
            assert "rendered stand-in" in text
    assert not (study.folder / "figures").exists()
    figure, words = own_method.own_deviation_map(study, "baseline")
    assert figure is None
    assert "baseline" in words


def test_a_method_without_runs_is_named(study: Prepared) -> None:
    """A variant that was never trained is an error with its folder."""
    register_method("never-trained", CosineGNDL)
    with pytest.raises(GndlError, match=r"never-trained: holds no finished run"):
        own_method.report_own_method(study, "never-trained")


def test_runs_are_read_without_the_class(study: Prepared, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that never saw the class summarises the study all the same, and draws all three matrices."""
    monkeypatch.delitem(_REGISTRY, "cosine-test")
    summary = results.summarise(study.request.out, "ckplus")
    assert summary["method"].tolist() == ["baseline", "cosine-test", "gndl"]
    assert summary.set_index("method").loc["cosine-test", "base_method"] == "cosine-test"
    counts = pd.DataFrame(1, index=list(EXPRESSIONS), columns=list(EXPRESSIONS))
    drawn = figures.confusion_matrices({name: counts for name in summary["method"]}, source="rendered")
    assert len(drawn.axes) == 4  # three matrices and the bar


def test_only_ones_own_method_can_be_removed(study: Prepared, tmp_path: Path) -> None:
    """Its folder and its rows go; the package's methods, and names that lie elsewhere, are refused."""
    with pytest.raises(GndlError, match="method of this package"):
        own_method.remove_own_method(study, "gndl")
    for name in ("nothing-there", "..", "../other"):
        with pytest.raises(GndlError, match="holds no runs"):
            own_method.remove_own_method(study, name)
    other = register_method("cosine-other", CosineGNDL, options={"scale": 4.0})
    train_missing(study, methods=[other], jobs=1)
    assert own_method.remove_own_method(study, "cosine-other") == study.folder / "cosine-other"
    methods = set(results.read_csv(study.request.out / "accuracy.csv", ())["method"])
    assert methods == {"baseline", "gndl", "cosine-test"}
