"""Whatever an audit finds wrong or leaves out ends with what to do about it, even where that is nothing."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from layouts import (
    action_unit,
    write_ckplus,
    write_clip,
    write_mmi,
    write_oulu,
    write_picture,
    write_session,
    write_text,
)
from PIL import Image, ImageFilter

from gndl.databases import audit
from gndl.sequences import Finding

ADVICE = re.compile(
    r"([;,:] |\b(so|or|and) )(add|ask|correct|download|fill|give|keep|leave|list|look|make|mend|move|name|put|remove"
    r"|rename|replace|take|unpack|write|(it|they) may stay|nothing to do)\b"
)


def without_advice(findings: tuple[Finding, ...]) -> list[str]:
    """Errors, problems and what was left out, where the last part of the message is no advice."""
    asking = [finding for finding in findings if finding.kind != "note"]
    return [f"{f.path.name}: {f.message}" for f in asking if not ADVICE.search(f.message[-110:])]


def face(path: Path, seed: int) -> Path:
    """A picture that is like no other, and like itself when it is written again."""
    values = np.random.default_rng(seed).integers(0, 256, (64, 64), dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).filter(ImageFilter.GaussianBlur(4)).save(path)
    return path


def broken_ckplus(root: Path) -> None:
    """CK+ with every defect that its reader and the audit of its pictures know."""
    write_ckplus(root, ("S005", "S010", "S011", "S012"))
    pictures, labels = root / "cohn-kanade-images", root / "Emotion"
    for label, content in (("S005/001/S005_001", "9"), ("S005/002/S005_002", "x"), ("S010/001/S010_001", "0")):
        write_text(labels / f"{label}_00000006_emotion.txt", content)
    (labels / "S010/002/S010_002_00000006_emotion.txt").unlink()
    (labels / "S010/002/S010_002_00000006_emotion.txt").symlink_to("nowhere.txt")
    write_text(labels / "S010/003/S010_003_00000005_emotion.txt", "1")  # disagrees
    write_text(labels / "S099/001/S099_001_00000006_emotion.txt", "1")
    write_text(labels / "S005/003/S011_001_00000006_emotion.txt", "1")
    (pictures / "S011/001/S011_001_00000006.png").unlink()  # its peak
    for frame in (1, 2, 3):
        (pictures / f"S011/002/S011_002_0000000{frame}.png").unlink()
    (pictures / "S005/009").mkdir()
    write_picture(pictures / "S005/stray.png")
    write_text(root / "Landmarks/S012/001/S012_001_00000006_landmarks.txt", "1 2\n")
    (root / "Landmarks/S012/002/S012_002_00000006_landmarks.txt").unlink()
    write_picture(root / "old/cohn-kanade-images/S005/001/S005_001_00000001.png")
    write_picture(pictures / "S012/001/S012_001_00000001.png", size=(100, 90))
    write_picture(pictures / "S012/001/S012_001_00000004.png", size=(8, 8))
    (pictures / "S012/001/S012_001_00000005.png").write_bytes(b"no picture")
    for name in ("S011/003/S011_003_00000006", "S012/002/S012_002_00000006", "S012/003/S012_003_00000006"):
        face(pictures / f"{name}.png", 1)  # of two subjects, and of two classes
    Image.new("L", (64, 64), 9).save(pictures / "S012/003/S012_003_00000005.png", format="JPEG")


def broken_oulu(root: Path) -> None:
    """Oulu-CASIA with strays of every kind and a tree that is there twice."""
    strong = write_oulu(root) / "OriginalImg/VL/Strong"
    write_oulu(root, "again/OriginalImg/VL/Strong")
    for stray in ("list.txt", "P001/list.txt", "P001/Anger/list.txt"):
        write_text(strong / stray, "")
    for stray in ("P001/Anger/face.jpeg", "P001/Anger/more/000.jpeg", "P001/Joy/000.jpeg", "other/000.jpeg"):
        write_picture(strong / stray)
    write_picture(strong / "P001/Anger/004.png", size=(320, 240))
    (strong / "P002/Fear/004.jpeg").unlink()
    (strong / "P002/Fear/003.jpeg").unlink()
    (strong / "P003/Fear").mkdir(parents=True)


def broken_mmi(root: Path) -> None:
    """MMI with sessions that lack a file each, or hold a malformed or a second one."""
    sessions = write_mmi(root) / "Sessions"
    for number, lacking in enumerate(("S004-020.xml", "session.xml", "S004-022.avi"), 20):
        (write_session(sessions / str(number), f"S004-0{number}") / lacking).unlink()
    for number, broken in enumerate(("S004-030.xml", "session.xml", "S004-032.avi", "S004-033-oao_aucs.xml"), 30):
        folder = write_session(sessions / str(number), f"S004-0{number}", units=action_unit("12", (0, 1)))
        write_text(folder / broken, "<cut")
    for number, emotion, view in ((40, None, "0"), (41, "13", "0"), (42, "4", "1"), (43, "4", "2"), (44, "4", "x")):
        write_session(sessions / str(number), f"S004-0{number}", emotion=emotion, view=view)
    write_text(write_session(sessions / "45", "S004-045") / "session.xml", "<session/>")
    write_session(sessions / "46", "S004-046", frames=3)
    (sessions / "99").mkdir()
    write_clip(sessions / "1/S001-001-cropped.avi", 5)
    write_clip(sessions / "1/S001-001.mpg", 5, "mpeg1video", "yuv420p")
    write_clip(sessions / "1/clip.avi", 5)
    write_picture(sessions / "1/S001-001_1.jpg")
    write_session(sessions / "50", "S004-050", frames=0)
    for name in ("S004-050_1.jpg", "S004-050_01.jpg", "S004-050_2.jpg", "S004-050_x.jpg", "cover.jpg"):
        write_picture(sessions / "50" / name)
    for name, frames in (("S001-001", 30), ("S002-002", 10), ("S003-010", 0)):  # downloaded again
        write_session(root / f"again/Sessions/{name}", name, frames=frames)
    write_text(root / "again/Sessions/S003-010/S003-010.avi", "cut")


def broken_manifest(root: Path) -> None:
    """A manifest with every kind of row that cannot be used."""
    for number, name in enumerate(("a/0", "a/1", "a/2", "a/3", "b/0", "b/1")):
        face(root / f"{name}.png", number)
    face(root / "b/again.png", 1)
    face(root / "a/again.png", 2)
    (root / "a/copy.png").write_bytes((root / "a/3.png").read_bytes())
    rows = [
        *("ann,a1,joy,a/0.png,a/1.png", "ann,a1,joy,a/0.png,a/1.png", "ann,a2,joy,a/0.png,a/1.png"),
        *("ann,a1,fear,a/0.png,a/2.png", "ann,a3,fear,a/0.png,a/none.png", "ann,a4,,a/0.png,a/1.png"),
        *("ann,a5,joy,a/0.png,/etc/hostname", "ann,a6,joy,a/0.png,a/0.png", "ann,a7,Joy,a/0.png,a/2.png"),
        *("Ann,b1,joy,b/0.png,b/1.png", "bob,b2,joy,b/0.png,b/again.png", "ann,a8,fear,a/0.png,a/again.png"),
        *("ann,a9,joy,a/0.png,a/copy.png", "ann,a10,joy,a/0.png,a/3.png"),
    ]
    write_text(root / "manifest.csv", "subject,sequence,expression,neutral,examined\n" + "\n".join(rows) + "\n")


@pytest.mark.parametrize(
    ("name", "breaks", "kinds"),
    [
        ("ckplus", broken_ckplus, 20),
        ("oulu_casia", broken_oulu, 10),
        ("mmi", broken_mmi, 20),
        ("manifest", broken_manifest, 12),
    ],
)
def test_every_finding_says_what_to_do(tmp_path: Path, name: str, breaks: Callable[[Path], None], kinds: int) -> None:
    """Over copies with every defect at once: no error, problem or file left out without advice."""
    breaks(tmp_path)
    findings = audit(tmp_path, name).findings
    assert without_advice(findings) == []
    assert len({f.message for f in findings if f.kind != "note"}) >= kinds, "the copy is as broken as it should be"


def test_what_is_wrong_with_a_whole_copy_says_what_to_do(tmp_path: Path) -> None:
    """One subject, one class, a class that nobody shows, and no sequence at all."""
    one = write_ckplus(tmp_path / "one", ("S005",))
    alike, some, none = (write_ckplus(tmp_path / name) for name in ("alike", "some", "none"))
    for label in alike.glob("Emotion/*/*/*.txt"):
        write_text(label, "1")
    for label in none.glob("Emotion/*/*/*.txt"):
        write_text(label, "0")
    for root in (one, alike, some, none):
        findings = audit(root, "ckplus").findings
        assert findings and without_advice(findings) == []
