"""Rendered faces are whole: no holes, no eyes through lids, no black pictures, and a detector finds them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gndl.standins.faces import Face, Pose, Shading, View, draw_light
from gndl.standins.head import load_head
from gndl.standins.identity import draw_identity
from gndl.standins.soundness import Soundness, open_pixels, random_frames


@pytest.mark.parametrize("name", ["ckplus", "oulu_casia", "mmi"])
def test_random_frames_are_sound_and_show_a_face(name: str) -> None:
    """Frames drawn from the full plan: lit, whole, landmarks inside, with a face that a detector finds."""
    frames = list(random_frames(name, 2, seed=5))
    assert len(frames) == 2
    for frame in frames:
        assert frame.sound, frame
    assert all(frame.found for frame in frames)


def test_what_is_wrong_is_called_unsound() -> None:
    """A dark picture, a hole, and a landmark outside each make a frame unsound; a face not found does not."""
    whole = Soundness("mmi", "S001", "fear", 1.0, 120.0, 25.0, 0, True, False)
    assert whole.sound
    for change in ({"brightness": 3.0}, {"contrast": 1.0}, {"open_pixels": 1}, {"landmarks_inside": False}):
        assert not replace(whole, **change).sound


def test_a_hole_in_the_mesh_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the head leaves a pixel of the face uncovered, that pixel counts."""
    face, light = Face(draw_identity(load_head(), np.random.default_rng(3))), draw_light(np.random.default_rng(3))
    actions = np.zeros(52, np.float32)
    assert open_pixels(face, actions, light) == 0
    show = Face.show

    def torn(self: Face, *arguments: object) -> object:
        shot = show(self, *arguments)  # type: ignore[arg-type]
        x, y = shot.landmarks[30].astype(int)
        shot.coverage[y - 1 : y + 2, x - 1 : x + 2] = 0
        return shot

    monkeypatch.setattr(Face, "show", torn)
    assert open_pixels(face, actions, light) == 9


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_closed_lids_hide_the_eyes(seed: int) -> None:
    """With the lids closed, the colour of the iris changes no pixel; with open ones it does."""
    head = load_head()
    identity = replace(draw_identity(head, np.random.default_rng(seed)), glasses=None)
    green = replace(identity, colours=replace(identity.colours, iris=(0.0, 0.9, 0.0)))
    light, view = draw_light(np.random.default_rng(seed)), View((160, 120), 150.0, (80.0, 60.0))
    one = Face(identity)
    other = Face(green, painted_as=one)
    everywhere = np.ones(len(one.vertices(np.zeros(52, np.float32), Pose())), np.float32)
    shading = Shading(everywhere, everywhere)
    for closed, same in ((1.0, True), (0.0, False)):
        actions = np.zeros(52, np.float32)
        for side in ("Left", "Right"):
            actions[head.action_names.index(f"eyeBlink{side}")] = closed
        pictures = [face.show(actions, Pose(), light, view, shading).picture for face in (one, other)]
        assert bool(np.abs(pictures[0] - pictures[1]).max() < 0.02) is same
