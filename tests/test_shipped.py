"""The crops that come with the package are those of the record, to the byte."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from planted import like_golden

import gndl
from gndl import gallery, shipped
from gndl.alignment import crop_sequence
from gndl.analysis import along
from gndl.analysis.groups import face_factors, require_same_people
from gndl.crops import COLUMNS
from gndl.databases import read_database
from gndl.files import GndlError, repository_root
from gndl.pairs import downscale
from gndl.profiles import FULL_SIZE, PAPER, SMOKE, STANDARD, CropSettings, StudyConfig

RECORD = repository_root() / "record" / "standard"
SEQUENCES = {"ckplus": 327, "oulu_casia": 480, "mmi": 205}
pictures = st.sampled_from([(4, 5, 5), (8, 3, 3), (4, 4, 4, 3), (8, 2, 2, 3)])


@given(pictures.flatmap(lambda shape: arrays(np.uint8, shape)))
def test_packing_loses_nothing(images: np.ndarray) -> None:
    assert np.array_equal(shipped.unpack(shipped.pack(images), images.shape), images)


@pytest.mark.parametrize("name", SEQUENCES)
def test_the_shipped_crops_were_cut_from_the_frames_of_record(name: str) -> None:
    crops, database = shipped.shipped_crops(name), shipped.shipped_database(name)
    record = pd.read_csv(RECORD / "crops.csv.gz", dtype=COLUMNS, keep_default_na=False, na_values={"score": [""]})
    record = record[record["database"] == name].reset_index(drop=True)
    pd.testing.assert_frame_equal(crops.table[record.columns], record)
    assert len(database.sequences) == SEQUENCES[name]
    study = gndl.open_study(name, profile="standard", out=RECORD)
    predictions = study.results().predictions.drop_duplicates("sample").sort_values("sample")
    for column in ("subject", "sequence", "frame"):
        assert list(getattr(study.pairs, column)) == predictions[column].tolist()
    assert np.take(study.classes, study.pairs.label).tolist() == predictions["truth"].tolist()


@like_golden
@pytest.mark.golden
@pytest.mark.parametrize("name", SEQUENCES)
def test_a_sequence_rendered_again_gives_the_shipped_bytes(name: str, tmp_path: Path) -> None:
    from standins.layouts import LAYOUTS
    from standins.plan import plan
    from standins.render import _render_subject

    emotions: set[str] = set()  # a reader wants two people and two classes
    for subject in sorted(plan(name, FULL_SIZE[name], 0), key=lambda one: one.n_frames):
        own = {one.emotion: one for one in subject.sequences if one.emotion and one.view == 0}
        if len(emotions) < 2 and own.keys() - emotions:
            emotion = min(own.keys() - emotions)
            emotions.add(emotion)
            subject = replace(subject, sequences=(replace(own[emotion], in_all_lights=False),))
            _render_subject(name, tmp_path, subject, 0, LAYOUTS[name].film_set)
    crops = shipped.shipped_crops(name)
    sequences = read_database(name, tmp_path).sequences
    assert len(sequences) == 2
    for sequence in sequences:
        again, _ = crop_sequence(sequence, CropSettings(), name == "ckplus", True)
        rows = crops.table[crops.table["sequence"] == sequence.sequence]
        assert np.array_equal(downscale(np.stack([crop.image for crop in again]), 64), crops.images[rows["crop"]])


def test_damaged_pictures_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(shipped.FOLDER / "mmi", tmp_path / "mmi")
    monkeypatch.setattr(shipped, "FOLDER", tmp_path)
    packed, about = tmp_path / "mmi" / "pictures.xz", tmp_path / "mmi" / "about.json"
    content = json.loads(about.read_text())
    about.write_text(json.dumps(content | {"pictures": content["made_from_pairs"]}))
    with pytest.raises(GndlError, match=r"pictures\.xz: not the crops that were shipped"):
        shipped.shipped_crops("mmi")
    packed.write_bytes(packed.read_bytes()[:1000])
    with pytest.raises(GndlError, match="mmi: cannot be read"):
        shipped.shipped_crops("mmi")


def test_a_study_that_asks_for_other_frames_or_pixels_does_not_read_the_shipped_crops() -> None:
    def ships(settings: object = STANDARD, root: str = "", **options: str) -> bool:
        config = StudyConfig(settings, data_roots={"ckplus": root}, read_options=options)  # type: ignore[arg-type]
        return shipped.is_shipped(config, "ckplus")

    assert ships() and ships(SMOKE)
    assert not ships(PAPER)
    assert not ships(replace(STANDARD, train=replace(STANDARD.train, image_size=65)))
    assert not ships(replace(STANDARD, crop=CropSettings(eye_height=0.4)))
    assert not ships(root="/copy")
    assert not ships(oulu_light="Weak")


def test_faces_and_truth_of_a_shipped_study_are_at_hand_without_rendering(tmp_path: Path) -> None:
    study = gndl.open_study("mmi", profile="smoke", out=tmp_path / "study", device="cpu")
    factors = face_factors(study.crops.table, study.pairs.examined_index, study.database.root)
    assert len(factors) == len(study.pairs) and factors.notna().all(axis=None)
    require_same_people(study.crops.table, study.database.root)
    with pytest.raises(GndlError, match="is of other people"):
        require_same_people(study.crops.table.assign(source_sha256="0"), study.database.root)
    _, shown = gallery.strips(study)
    assert shown.groupby("class").size().tolist() == [4] * 6
    images, rows = along.crop_along(study, list(study.database.sequences[:3]), 7)
    assert rows["position"].tolist()[::4] == [0, 0, 0] and rows["intensity"].notna().all()
    assert np.array_equal(images[0], study.pairs.images[study.pairs.neutral_index[0]])
