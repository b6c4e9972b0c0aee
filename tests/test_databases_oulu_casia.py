"""Oulu-CASIA is read from every layout in which it is known to be unpacked."""

from __future__ import annotations

import pytest
from layouts import OULU_EXPRESSIONS, write_oulu, write_picture, write_text

from gndl.databases import ReadOptions, read_database
from gndl.errors import GndlError
from gndl.sequences import STAND_IN_LABEL

CROPPED = ReadOptions(oulu_pictures="cropped")


def skipped(database):
    """Names of what was skipped."""
    return {finding.path.name for finding in database.findings if finding.kind == "skip"}


@pytest.mark.parametrize(
    "tree",
    [
        "OriginalImg/VL/Strong",
        "B_OriginalImg/VL/Strong",
        "B_OriginalImg/B_OriginalImg/OriginalImg/VL/Strong",
        "Oulu_CASIA_NIR_VIS/OriginalImg/VL/Strong",
        "Oulu_CASIA_NIR_VIS/VL/Strong",
        "VL/Strong",
        "originalimg/vl/strong",
    ],
)
def test_original_pictures_are_found_through_every_wrapper(tmp_path, tree):
    """Whatever the wrappers, every label, first frame and last three are right, and the folder is reported."""
    database = read_database("oulu_casia", write_oulu(tmp_path, tree))
    assert [(s.subject, s.expression) for s in database.sequences] == [
        (subject, expression.lower()) for subject in ("P001", "P002") for expression in OULU_EXPRESSIONS
    ]
    for sequence, expression in zip(database.sequences, OULU_EXPRESSIONS * 2, strict=True):
        folder = tmp_path / tree / sequence.subject / expression
        assert sequence.sequence == f"{sequence.subject}_{expression}"
        assert sequence.neutral.path == folder / "000.jpeg"
        assert [f.path for f in sequence.examined] == [folder / f"{n:03d}.jpeg" for n in (2, 3, 4)]
    assert database.folders == {"images": tmp_path / tree}
    assert database.found["sequences"] == database.found["labelled"] == 12
    assert (database.found["subjects"], database.found["pairs"]) == (2, 36)
    assert database.source == "licensed"


@pytest.mark.parametrize("wrapper", ["PreProcess Img", "PreProcess_Img", "PreProcessImg", "PreProcess"])
def test_cropped_pictures_are_told_by_their_folder(tmp_path, wrapper):
    """``VL_Acropped`` below any spelling of ``PreProcess Img`` is the cropped tree, never the original one."""
    write_oulu(tmp_path, f"{wrapper}/VL_Acropped/Strong", size=(70, 80))
    assert len(read_database("oulu_casia", tmp_path, options=CROPPED).sequences) == 12
    with pytest.raises(GndlError, match=r"found cropped VL Strong in "):
        read_database("oulu_casia", tmp_path)


def test_without_a_telling_name_the_size_of_the_pictures_decides_and_is_recorded(tmp_path):
    """No ``OriginalImg`` level: 320×240 is original, anything else cropped; either way a finding says so."""
    original = read_database("oulu_casia", write_oulu(tmp_path / "a", "Oulu_CASIA_NIR_VIS/VL/Strong"))
    assert (original.found["picture_width"], original.found["picture_height"]) == (320, 240)
    assert any("taken as original pictures by their size (320×240)" in f.message for f in original.findings)
    cropped = read_database("oulu_casia", write_oulu(tmp_path / "b", "VL/Strong", size=(72, 80)), options=CROPPED)
    assert any("taken as cropped pictures by their size (72×80)" in f.message for f in cropped.findings)


@pytest.mark.parametrize("below", ["OriginalImg", "OriginalImg/VL", "OriginalImg/VL/Strong"])
def test_any_folder_on_the_way_may_be_given(tmp_path, below):
    """The root may be the download or any folder down to the light's."""
    write_oulu(tmp_path)
    assert len(read_database("oulu_casia", tmp_path / below).sequences) == 12


def test_camera_and_light_are_parameters(tmp_path):
    """Infrared and weaker light lie beside; what is taken is what was asked for, the rest is noted."""
    write_oulu(tmp_path, "OriginalImg/VL/Strong")
    write_oulu(tmp_path, "OriginalImg/NI/Weak")
    write_oulu(tmp_path, "OriginalImg/VL/Dark")
    for camera, light in (("VL", "Strong"), ("NI", "Weak"), ("VL", "Dark")):
        database = read_database("oulu_casia", tmp_path, options=ReadOptions(oulu_camera=camera, oulu_light=light))
        assert database.folders["images"] == tmp_path / "OriginalImg" / camera / light
        assert sum("not asked for" in f.message for f in database.findings) == 2
    with pytest.raises(GndlError, match="no original pictures of camera NI in Strong light"):
        read_database("oulu_casia", tmp_path, options=ReadOptions(oulu_camera="NI"))


def test_original_and_cropped_side_by_side_are_kept_apart(tmp_path):
    """A copy with both trees gives each of them when it is asked for."""
    write_oulu(tmp_path)
    write_oulu(tmp_path, "PreProcess Img/VL_Acropped/Strong", size=(70, 80))
    assert read_database("oulu_casia", tmp_path).folders["images"] == tmp_path / "OriginalImg/VL/Strong"
    cropped = read_database("oulu_casia", tmp_path, options=CROPPED)
    assert cropped.folders["images"] == tmp_path / "PreProcess Img/VL_Acropped/Strong"


def test_lists_logs_and_empty_folders_are_skipped_by_name(tmp_path):
    """Label lists, change logs, odd folders and folders without pictures change nothing and are named."""
    write_oulu(tmp_path)
    strong = tmp_path / "OriginalImg/VL/Strong"
    write_text(strong / "labels.txt", "x")
    write_text(strong / "P001/change.log", "x")
    write_text(strong / "P001/Anger/list.txt", "x")
    write_picture(strong / "P001/Anger/contact_sheet.jpeg")
    write_picture(strong / "extra/000.jpeg")
    write_picture(strong / "P002/Talking/000.jpeg")
    (strong / "P003/Anger").mkdir(parents=True)
    write_picture(strong / "P004/Fear/000.jpeg")
    database = read_database("oulu_casia", tmp_path)
    assert len(database.sequences) == 12
    named = {"labels.txt", "change.log", "list.txt", "contact_sheet.jpeg", "extra", "Talking"}
    assert skipped(database) == named | {"Anger", "Fear"}
    assert any(f.path == strong / "P004/Fear" and "too short: 1 frame" in f.message for f in database.findings)


def test_frames_are_in_the_order_of_their_numbers(tmp_path):
    """``9.JPG`` comes before ``010.jpeg``; the suffix may be written in any usual way."""
    write_oulu(tmp_path)
    folder = tmp_path / "OriginalImg/VL/Strong/P001/Anger"
    write_picture(folder / "010.jpeg")
    write_picture(folder / "9.JPG")
    sequence = read_database("oulu_casia", tmp_path).sequences[0]
    assert [frame.path.name for frame in sequence.examined] == ["004.jpeg", "9.JPG", "010.jpeg"]


def test_a_frame_met_twice_counts_once(tmp_path):
    """``000.jpeg`` and ``000.jpg`` are the same frame; the second is named."""
    write_oulu(tmp_path)
    second = write_picture(tmp_path / "OriginalImg/VL/Strong/P001/Anger/000.jpg")
    database = read_database("oulu_casia", tmp_path)
    assert len(database.sequences[0].frames) == 5
    assert any(f.path == second and "a second frame 000" in f.message for f in database.findings)


def test_another_number_of_sequences_is_no_error(tmp_path):
    """480 is a reference, not a condition."""
    write_oulu(tmp_path)
    for frame in range(5):
        (tmp_path / f"OriginalImg/VL/Strong/P002/Fear/{frame:03d}.jpeg").unlink()
    assert len(read_database("oulu_casia", tmp_path).sequences) == 11


def test_the_label_of_a_stand_in_makes_the_source_rendered(tmp_path):
    """``STAND-IN.txt`` at the root is enough, also where a folder below it, or a link to one, is given."""
    tree = write_oulu(tmp_path / "tree")
    write_text(tree / STAND_IN_LABEL, "rendered")
    (tmp_path / "OriginalImg").symlink_to(tree / "OriginalImg")
    for root in (tree, tree / "OriginalImg", tree / "OriginalImg/VL/Strong", tmp_path / "OriginalImg"):
        assert read_database("oulu_casia", root).source == "rendered"
