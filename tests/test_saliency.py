"""Saliency lies where a planted network looks, and nowhere else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import open_trained
from planted import SequenceMean
from torch import Tensor

from gndl.analysis.saliency import occlusion, of_samples
from gndl.model import Method, Output

SIDE = 40
REGION = (slice(24, 32), slice(4, 12))
"""Rows and columns that the planted network looks at."""


class LooksAtOneRegion(Method):
    """Class 1 by the mean brightness of one region, minus that of the neutral face where it is needed."""

    def __init__(self, with_neutral: bool = False) -> None:
        super().__init__()
        self.needs_neutral_at_test = with_neutral

    def forward(self, examined: Tensor, neutral: Tensor | None = None) -> Output:
        seen = examined[:, :, REGION[0], REGION[1]].mean(dim=(1, 2, 3))
        if self.needs_neutral_at_test:
            assert neutral is not None
            seen = seen - neutral[:, :, REGION[0], REGION[1]].mean(dim=(1, 2, 3))
        return Output(logits=torch.stack([torch.zeros_like(seen), seen], dim=1), f_exam=seen[:, None])


def bright_region(count: int = 2) -> Tensor:
    """Faces of noise, bright where the network looks."""
    faces = torch.randn(count, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0)) * 0.1
    faces[:, :, REGION[0], REGION[1]] += 3.0
    return faces


def test_saliency_lies_in_the_region_that_a_planted_network_looks_at() -> None:
    """The maximum lies in the region, and nothing beyond one patch from it."""
    maps = occlusion(LooksAtOneRegion(), bright_region())
    patch = round(0.22 * SIDE)
    near, inside = np.zeros((2, SIDE, SIDE), dtype=bool)
    near[24 - patch : 32 + patch, 0 : 12 + patch] = True
    inside[REGION] = True
    assert maps.shape == (2, SIDE, SIDE) and maps.dtype == np.float32
    for saliency in maps:
        assert inside[np.unravel_index(saliency.argmax(), saliency.shape)]
        assert saliency[~near].max() < 0.02  # the face's mean grey hides nothing, and noise little
        assert saliency[inside].mean() > 0.5 and saliency.max() == 1


def test_what_speaks_against_an_answer_is_not_shown() -> None:
    """Where hiding strengthens the answer the map is zero, and a map of nothing stays zero."""
    against = occlusion(LooksAtOneRegion(), bright_region(), torch.tensor([0, 0]))  # brightness speaks against class 0
    assert (against[:, REGION[0], REGION[1]] == 0).all()
    assert occlusion(LooksAtOneRegion(), torch.ones(1, 3, SIDE, SIDE)).max() == 0


def test_methods_that_need_the_neutral_face_are_given_it_whole() -> None:
    """The neutral face is never hidden: a dark one leaves the map as it is without."""
    faces = bright_region(2)
    with_it = occlusion(LooksAtOneRegion(with_neutral=True), faces, neutral=torch.zeros_like(faces))
    np.testing.assert_allclose(with_it, occlusion(LooksAtOneRegion(), faces), atol=1e-6)


def test_a_method_of_whole_sequences_is_shown_each_face_alone() -> None:
    """As if each face were a sequence of one frame: any company leaves its map as it is."""
    torch.manual_seed(0)
    network, faces = SequenceMean(2), bright_region(2) * torch.tensor([1.0, -2.0]).view(2, 1, 1, 1)
    np.testing.assert_allclose(occlusion(network, faces)[1], occlusion(network, faces[1:])[0], atol=1e-5)


def test_samples_get_the_maps_of_the_networks_that_were_tested_on_them(trained_study: Path) -> None:
    """In the order of the rows, whatever their folds; a method without all weights is absent."""
    study = open_trained(trained_study)
    tested = {fold: study.folds.train_test(fold, study.pairs.subject)[1] for fold in (0, 1)}
    rows = pd.DataFrame({"fold": [1, 0, 1], "seed": 0, "sample": [tested[1][0], tested[0][4], tested[1][7]]})
    maps = of_samples(study, rows, ["gndl", "baseline", "gndl-stop-gradient", "imported-poster"])
    assert set(maps) == {"gndl", "baseline"}
    backwards = of_samples(study, rows[::-1], ["gndl"])["gndl"]
    assert maps["gndl"].shape == (3, 16, 16) and maps["gndl"].max() == pytest.approx(1)
    np.testing.assert_allclose(maps["gndl"], backwards[::-1], atol=1e-4)
