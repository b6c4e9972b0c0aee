"""Saliency lies where a planted network looks, and nowhere else."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from gndl.analysis.saliency import occlusion
from gndl.errors import GndlError
from gndl.model import Method, Output

SIDE = 40
REGION = (slice(24, 32), slice(4, 12))
"""Rows and columns that the planted network looks at."""


class LooksAtOneRegion(Method):
    """Class 1 by the mean brightness of one region; class 0 has logit 0. ``sign`` −1 makes darkness the evidence."""

    def __init__(self, sign: float = 1.0, with_neutral: bool = False) -> None:
        super().__init__()
        self.sign, self.needs_neutral_at_test = sign, with_neutral

    def forward(self, examined: Tensor, neutral: Tensor | None = None) -> Output:
        seen = self.sign * examined[:, :, REGION[0], REGION[1]].mean(dim=(1, 2, 3))
        if self.needs_neutral_at_test:
            assert neutral is not None
            seen = seen - neutral[:, :, REGION[0], REGION[1]].mean(dim=(1, 2, 3))
        logits = torch.stack([torch.zeros_like(seen), seen], dim=1)
        return Output(logits=logits, f_exam=seen[:, None])


def bright_region(count: int = 2) -> Tensor:
    """Faces of noise, bright where the network looks."""
    faces = torch.randn(count, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0)) * 0.1
    faces[:, :, REGION[0], REGION[1]] += 3.0
    return faces


def test_saliency_lies_in_the_region_that_a_planted_network_looks_at() -> None:
    """The maximum lies in the region, and nothing beyond one patch from it."""
    found = occlusion(LooksAtOneRegion(), bright_region())
    patch = round(0.22 * SIDE)
    near = np.zeros((SIDE, SIDE), dtype=bool)
    near[24 - patch : 32 + patch, 0 : 12 + patch] = True
    inside = np.zeros((SIDE, SIDE), dtype=bool)
    inside[REGION] = True
    for saliency in found.maps:
        assert inside[np.unravel_index(saliency.argmax(), saliency.shape)]
        assert saliency[~near].max() < 0.02  # the face's mean grey hides nothing, and noise little
        assert saliency[inside].mean() > 0.6
    assert list(found.target) == [1, 1]
    assert found.maps.max() == 1
    assert found.maps.dtype == np.float32


def test_the_largest_loss_is_in_log_probability() -> None:
    """A patch of the region's size on it: logit 3 becomes the mean grey, 3·64/1600 = 0.12; loss of log σ."""
    faces = torch.zeros(1, 3, SIDE, SIDE)
    faces[:, :, REGION[0], REGION[1]] = 3.0
    found = occlusion(LooksAtOneRegion(), faces, patch=0.2, steps=11)  # patches start at 0, 3.2, …: one at (26, 3)
    before = -np.log1p(np.exp(-3.0))
    after = -np.log1p(np.exp(-3.0 * 64 / 1600))
    assert 0 < found.largest[0] <= before - after + 1e-6
    exact = occlusion(LooksAtOneRegion(), faces, patch=0.2, steps=33)  # one patch at every pixel
    assert exact.largest[0] == pytest.approx(
        np.mean([before - _after(row, column) for row in range(20, 28) for column in range(0, 8)]), abs=0.15
    )


def _after(row: int, column: int) -> float:
    """Log-probability with an 8 × 8 patch at ``row`` and ``column`` over the region at (24, 4)."""
    covered = max(0, 8 - abs(row - 24)) * max(0, 8 - abs(column - 4)) / 64
    seen = 3.0 * (1 - covered) + 3.0 * 64 / 1600 * covered
    return float(-np.log1p(np.exp(-seen)))


def test_what_speaks_against_an_answer_is_not_shown() -> None:
    """Where hiding strengthens the answer the map is zero, and a map of nothing stays zero."""
    found = occlusion(LooksAtOneRegion(), bright_region(), torch.tensor([0, 0]))  # brightness speaks against class 0
    assert list(found.target) == [0, 0]
    assert found.maps.max() < 0.05 or found.largest.max() < 0.05
    flat = occlusion(LooksAtOneRegion(), torch.ones(1, 3, SIDE, SIDE))
    assert flat.maps.max() == 0
    assert flat.largest[0] == 0


def test_methods_that_need_the_neutral_face_are_given_it_whole() -> None:
    """The neutral face is never hidden: a dark one leaves the map as it is without."""
    faces = bright_region(1)
    with_it = occlusion(LooksAtOneRegion(with_neutral=True), faces, neutral=torch.zeros_like(faces))
    without = occlusion(LooksAtOneRegion(), faces)
    np.testing.assert_allclose(with_it.maps, without.maps)


def test_saliency_is_the_same_every_time_and_for_any_company() -> None:
    """Nothing is random, and a face's map does not depend on the other faces."""
    faces = bright_region(3)
    together, again, alone = (occlusion(LooksAtOneRegion(), some) for some in (faces, faces, faces[1:2]))
    np.testing.assert_array_equal(together.maps, again.maps)
    np.testing.assert_array_equal(together.maps[1], alone.maps[0])


def test_patches_leave_no_gap() -> None:
    """Too few steps for the patch are refused; a patch as large as the face needs one."""
    with pytest.raises(GndlError, match="leave gaps"):
        occlusion(LooksAtOneRegion(), bright_region(1), patch=0.1, steps=3)
    with pytest.raises(GndlError, match="leave gaps"):
        occlusion(LooksAtOneRegion(), bright_region(1), patch=0.5, steps=1)
    assert occlusion(LooksAtOneRegion(), bright_region(1), patch=1.0, steps=1).maps.shape == (1, SIDE, SIDE)
