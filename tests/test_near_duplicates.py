"""The same picture under two subjects or two labels is found whatever was done to it; other faces are not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from gndl.databases.near_duplicates import LISTED, check_near_duplicates, near_duplicates, thumbnail
from gndl.databases.reading import Findings
from gndl.sequences import Database, FrameRef, Sequence


def face(seed: int, shape: tuple[int, int] = (120, 96)) -> Image.Image:
    """A smooth random picture, as different from any other as faces are in one set-up: half of it is shared."""
    common, own = (np.random.default_rng(number).normal(0, 1, (9, 7)) for number in (0, seed))
    small = Image.fromarray(np.clip(128 + 28 * (common + own), 0, 255).astype(np.uint8))
    return small.resize(shape[::-1], Image.Resampling.BICUBIC)


def written(path: Path, picture: Image.Image, **options: int) -> FrameRef:
    """A picture on disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path, **options)
    return FrameRef(path)


def sequence(root: Path, subject: str, number: int, expression: str, seed: int) -> Sequence:
    """A neutral frame and two examined ones, all different."""
    name = f"{subject}_{number:03}"
    frames = [written(root / subject / f"{name}_{k}.png", face(1000 * seed + k)) for k in range(3)]
    return Sequence(subject, name, expression, frames[0], tuple(frames[1:]))


def database(root: Path, *sequences: Sequence) -> Database:
    """Of these sequences."""
    return Database("manifest", root, "own", ("anger", "happiness"), sequences)


def problems(root: Path, *sequences: Sequence) -> list[tuple[str, str]]:
    """File and message of every finding."""
    findings = Findings()
    check_near_duplicates(database(root, *sequences), findings)
    assert all(item.kind == "problem" for item in findings.items)
    return [(item.path.name, item.message) for item in findings.items]


def test_different_faces_are_no_near_duplicates(tmp_path: Path) -> None:
    """Twelve pictures that share half of what they show."""
    found = [sequence(tmp_path, f"S{k}", 0, "anger", k + 1) for k in range(4)]
    assert problems(tmp_path, *found) == []


def test_two_pictures_are_named_once_however_many_sequences_take_them(tmp_path: Path) -> None:
    """One neutral face beside three sequences, and the same picture again under a label."""
    copy = sequence(tmp_path, "S0", 0, "anger", 1)
    written(tmp_path / "S0" / "again.png", face(1000))
    again = FrameRef(tmp_path / "S0" / "again.png")
    others = [
        Sequence("S0", f"S0_{k}", "happiness", copy.neutral, (written(tmp_path / f"S0/{k}.png", face(50 + k)),))
        for k in (1, 2)
    ]
    found = problems(tmp_path, copy, *others, Sequence("S0", "S0_3", "happiness", copy.neutral, (again,)))
    assert [name for name, _ in found] == ["again.png"] and "under another label" in found[0][1]


CHANGES = {
    "recompressed": lambda picture: picture,
    "smaller": lambda picture: picture.resize((72, 90)),
    "brighter": lambda picture: ImageEnhance.Brightness(picture).enhance(1.15),
    "less contrast": lambda picture: ImageEnhance.Contrast(picture).enhance(0.8),
    "in colour": lambda picture: picture.convert("RGB"),
    "mirrored": lambda picture: picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_picture_of_another_subject_is_found_whatever_was_done_to_it(tmp_path: Path, change: str) -> None:
    """Saved again as JPEG, in another size, light, contrast or colour, or mirrored."""
    first, second = sequence(tmp_path, "S1", 0, "anger", 1), sequence(tmp_path, "S2", 0, "anger", 2)
    with Image.open(first.examined[1].path) as picture:
        copy = written(tmp_path / "S2" / "copy.jpg", CHANGES[change](picture), quality=80)
    leaked = Sequence("S2", "S2_001", "anger", second.neutral, (copy,))
    ((name, message),) = problems(tmp_path, first, second, leaked)
    assert name == "copy.jpg"
    assert "S1/S1_000_2.png, of another subject (S1 anger, S2 anger)" in message
    assert "of 63 bits" in message


def test_one_picture_under_two_labels_is_a_conflict(tmp_path: Path) -> None:
    """Of one subject; an examined frame that is the neutral one, to the pixel, is a conflict as well."""
    first = sequence(tmp_path, "S1", 0, "anger", 1)
    other = sequence(tmp_path, "S1", 1, "happiness", 2)
    with Image.open(first.examined[0].path) as picture:
        copy = written(tmp_path / "S1" / "again.png", ImageEnhance.Brightness(picture).enhance(1.1))
    twice = Sequence("S1", "S1_002", "happiness", other.neutral, (copy,))
    ((name, message),) = problems(tmp_path, first, other, twice)
    assert name == "again.png"
    assert "under another label (S1 anger, S1 happiness)" in message
    calm = Sequence("S1", "S1_003", "anger", first.neutral, (first.neutral, *first.examined))
    (conflict,) = problems(tmp_path, calm)
    assert "under another label (S1 neutral, S1 anger)" in conflict[1]


def test_a_faint_expression_is_no_conflict_with_the_neutral_face(tmp_path: Path) -> None:
    """Nearly the same picture is what the first frames of an expression are."""
    neutral = written(tmp_path / "S1" / "0.png", face(1))
    values = np.asarray(face(1)).copy()
    values[60:64, 40:50] += 12
    faint = written(tmp_path / "S1" / "1.png", Image.fromarray(values))
    assert problems(tmp_path, Sequence("S1", "S1_000", "anger", neutral, (faint,))) == []


def test_a_flat_picture_is_like_nothing() -> None:
    """Black frames, and frames with a speck in one corner, show no face that could be the same."""
    flat = np.stack([thumbnail(np.full((64, 64), grey, np.uint8)) for grey in (0, 0, 128)])
    specks = flat.copy()
    specks[:, :2, :2] += 100
    assert list(near_duplicates(np.concatenate([flat, specks]))) == []
    assert list(near_duplicates(flat[:0])) == []


def test_all_pairs_are_found_across_blocks() -> None:
    """More pictures than one block of the comparison holds, three of them alike."""
    rng = np.random.default_rng(0)
    many = rng.uniform(0, 255, (1100, 32, 32)).astype(np.float32)
    many[700] = many[3]
    many[1099] = many[3][:, ::-1]
    assert [pair[:2] for pair in near_duplicates(many)] == [(3, 700), (3, 1099), (700, 1099)]


def test_many_pairs_are_counted_and_not_all_listed(tmp_path: Path) -> None:
    """Twelve subjects with one picture: 66 pairs, 50 of them by name."""
    frame = [written(tmp_path / f"S{k}.png", face(5)) for k in range(12)]
    own = [Sequence(f"S{k}", f"S{k}_0", "anger", frame[k], ()) for k in range(12)]
    found = problems(tmp_path, *own)
    assert len(found) == LISTED + 1
    assert "16 more pairs" in found[-1][1]
