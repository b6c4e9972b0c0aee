"""What the fuzz campaign gives to which reader: each target draws one example, writes it into a folder and reads it."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import patch

import numpy as np
from damaging import TEXT, Draw, damaged, damaged_copy, made, write
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

import layouts
from audited_study import write_audited_study

from gndl.checking.study import audit_study
from gndl.databases import inspect_database, read_database
from gndl.databases.clip import UnreadableClip, count_frames, decode_all
from gndl.databases.frames_csv import choose_frames
from gndl.databases.mmi_metadata import MetadataError, read_action_units, read_emotion, read_view
from gndl.databases.pictures import open_whole
from gndl.errors import GndlError
from gndl.explore.own_photograph import decode_photograph
from gndl.fold_lists import cut_by_order, read_lists
from gndl.folds import Folds, read_folds
from gndl.frames_reading import iterate_clip, picture_size, read_eyes, read_image
from gndl.licence import read_publishable
from gndl.pairs import FacePairs
from gndl.sharing.import_predictions import read_probabilities

ACCEPTED = (GndlError, MetadataError, UnreadableClip)
"""How a reader may refuse."""

Target = Callable[[Draw, Path], None]


def ckplus(draw: Draw, folder: Path) -> None:
    """Labels, landmarks, frames and names of CK+."""
    root = damaged_copy(draw, folder, "ckplus", lambda at: layouts.write_ckplus(at, frames=4))
    inspect_database("ckplus", root)


def oulu_casia(draw: Draw, folder: Path) -> None:
    """Frames and names of Oulu-CASIA."""
    inspect_database("oulu_casia", damaged_copy(draw, folder, "oulu_casia", layouts.write_oulu))


def mmi(draw: Draw, folder: Path) -> None:
    """Sessions, metadata and clips of MMI."""
    inspect_database("mmi", damaged_copy(draw, folder, "mmi", layouts.write_mmi))


XML_NAMES = st.sampled_from(["Clip", "Metatag", "track", "ActionUnit", "Marker", "session", "annotation", "x:y"])
XML_ATTRIBUTES = st.sampled_from(["Name", "Value", "view", "filename", "Number", "Type", "Frame", "Side"])
XML_VALUES = st.one_of(st.sampled_from(["Emotion", "4", "0", "S001-001.xml", "", "9" * 5000, "٣", "²"]), TEXT)


@st.composite
def xml(draw: Draw, depth: int = 3) -> str:
    """An element of the words that MMI's files use, mostly well formed."""
    attributes = draw(st.dictionaries(XML_ATTRIBUTES, XML_VALUES, max_size=4))
    name = draw(XML_NAMES)
    written = "".join(f' {key}="{value.replace(chr(34), "").replace("<", "")}"' for key, value in attributes.items())
    inner = "".join(draw(st.lists(xml(depth - 1), max_size=3))) if depth else draw(TEXT)
    return f"<{name}{written}>{inner}</{name}>"


def metadata(draw: Draw, folder: Path) -> None:
    """MMI's three XML files on their own."""
    plain = draw(xml()).encode("utf-8", "surrogateescape")
    file = write(folder / "S001-001.xml", draw(st.one_of(st.just(plain), damaged(plain))))
    for read in (read_emotion, read_action_units, lambda path: read_view(path, "S001-001")):
        try:
            read(file)
        except MetadataError:
            continue


CELLS = st.one_of(st.sampled_from(["ann", "bob", "joy", "a.png", "b.png", "../a.png", "/a.png", "l.png", ""]), TEXT)


def manifest(draw: Draw, folder: Path) -> None:
    """A table of one's own faces, with pictures, links and odd cells."""
    for name in ("a.png", "b.png"):
        layouts.write_picture(folder / name, size=(20, 20))
    (folder / "l.png").symlink_to(draw(st.sampled_from(["a.png", "l.png", "/etc/hostname", "nowhere"])))
    columns = draw(st.permutations(["subject", "sequence", "expression", "neutral", "examined"]))
    rows = draw(st.lists(st.lists(CELLS, min_size=4, max_size=6), max_size=5))
    text = "\n".join(",".join(row) for row in [columns, *rows])
    write(
        folder / "manifest.csv",
        draw(st.one_of(st.just(text), st.just(text.encode("utf-8", "replace")).flatmap(damaged))),
    )
    inspect_database("manifest", folder)


def frames_csv(draw: Draw, folder: Path) -> None:
    """A file of corrected frames, for pictures."""
    root = made("frames", lambda at: layouts.write_ckplus(at, frames=4))
    database = read_database("ckplus", root)
    sequences, frames = [s.sequence for s in database.sequences], [f.path.name for f in database.sequences[0].frames]
    cell = st.one_of(st.sampled_from([*sequences, *frames, ";".join(frames[1:])]), TEXT)
    rows = draw(st.lists(st.lists(cell, min_size=3, max_size=3), max_size=4))
    write(folder / "frames.csv", "\n".join(",".join(row) for row in [["sequence", "neutral", "examined"], *rows]))
    choose_frames(database, folder / "frames.csv")


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), TEXT, st.sampled_from(["a", "b", "0", "1"])),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.one_of(TEXT, st.sampled_from("01")), inner)
    ),
    max_leaves=8,
)


def folds(draw: Draw, folder: Path) -> None:
    """Fold files of others, JSON and CSV."""
    text = json.dumps(draw(JSON))
    write(folder / "folds.json", draw(st.one_of(st.just(text), damaged(text.encode()))))
    write(folder / "folds.csv", draw(st.lists(CELLS, max_size=8).map(",".join)).join(["subject,fold\n", "\n"]))
    for name in ("folds.json", "folds.csv"):
        try:
            read_folds(folder / name, ["a", "b"])
        except GndlError:
            continue


def fold_lists(draw: Draw, folder: Path) -> None:
    """Fold lists as public code keeps them: id files, a headed list, names to be cut by their order."""
    word = st.one_of(st.sampled_from(["S130", "S130_007_00000019.png", "P001/Anger/000.jpeg", "Angry", "3"]), TEXT)
    line = st.builds(str.join, st.sampled_from([" ", "", "_"]), st.lists(word, max_size=4))
    lines = "\n".join(draw(st.lists(line, max_size=5)))
    headed = f"1-fold 1 Angry 1\nS130/007 Angry\n2-fold {draw(word)} Sad 1\n{lines}\n"
    for name in ("train_ids_0.csv", "test_ids_0.csv"):
        write(folder / "ids" / name, draw(st.one_of(st.just(lines), damaged(lines.encode("utf-8", "surrogateescape")))))
    write(folder / "headed.txt", draw(st.one_of(st.just(headed), damaged(headed.encode("utf-8", "surrogateescape")))))
    write(folder / "order.txt", lines)
    for read in (
        lambda: read_lists(folder / "ids"),
        lambda: read_lists(folder / "headed.txt"),
        lambda: cut_by_order(folder / "order.txt", 3),
    ):
        try:
            read()
        except GndlError:
            continue


def imported(draw: Draw, folder: Path) -> None:
    """Predictions of another code base, and the list of subjects who may be printed."""
    pairs = FacePairs(
        np.zeros((4, 8, 8), np.uint8), np.array([0, 1]), np.array([2, 3]), np.array([0, 1]), ["a", "b"], ["a1", "b1"],
        ["0.png", "1.png"], ("anger", "fear"),
    )  # fmt: skip
    study = SimpleNamespace(pairs=pairs, folds=Folds((("a",), ("b",))), folder=folder)
    cell = st.one_of(st.sampled_from(["0", "1", "0.9", "0.1", "anger", "fear", "oulu_casia", "P001"]), TEXT)
    table = draw(st.lists(st.lists(cell, min_size=5, max_size=5).map(",".join), max_size=3))
    rows = ["sample,truth,predicted,p_anger,p_fear", *table]
    text = "\n".join(rows).encode("utf-8", "surrogateescape")
    file = write(folder / "predictions.csv", draw(st.one_of(st.just(text), damaged(text))))
    may = "\n".join(["database,subject", *(row.rpartition(",")[0].rpartition(",")[2] + ",P001" for row in table)])
    list_of_subjects = write(folder / "publishable.csv", may)
    for read in (lambda: read_probabilities(study, file), lambda: read_publishable(list_of_subjects)):
        try:
            read()
        except GndlError:
            continue


def study(draw: Draw, folder: Path) -> None:
    """A whole study of somebody else, with damaged files: the audit says what is wrong, or refuses in words."""
    with patch.dict(os.environ, GNDL_DATA=str(folder / "study" / "data")):
        root = damaged_copy(draw, folder, "study", write_audited_study, "*.[cj]s[vo]*")
        audit_study(root / "study").report(root)


PICTURES = {"png": {}, "jpg": {}, "bmp": {}, "tif": {"compression": "tiff_lzw"}, "gif": {}, "pgm": {}}


def picture(draw: Draw, folder: Path) -> None:
    """Damaged pictures of every format, by the crop stage and by the check."""

    def make(at: Path) -> None:
        for suffix, options in PICTURES.items():
            layouts.write_picture(at / "p.png", size=(40, 30))
            layouts.Image.open(at / "p.png").convert("L").save(at / f"plain.{suffix}", **options)

    suffix = draw(st.sampled_from(sorted(PICTURES)))
    file = write(folder / f"picture.{suffix}", draw(damaged((made("pictures", make) / f"plain.{suffix}").read_bytes())))
    for read in (read_image, picture_size, open_whole):
        try:
            read(file)
        except GndlError:
            continue
        except ValueError:  # how `open_whole` refuses
            if read is not open_whole:
                raise


def photograph(draw: Draw, folder: Path) -> None:
    """A photograph that is uploaded, in every format that is taken, damaged; with an EXIF orientation."""

    def make(at: Path) -> None:
        exif = layouts.Image.Exif()
        exif[0x0112] = 6
        layouts.write_picture(at / "p.png", size=(40, 30))
        for suffix in ("png", "jpg", "webp"):
            layouts.Image.open(at / "p.png").convert("RGB").save(at / f"mine.{suffix}", exif=exif)

    suffix = draw(st.sampled_from(["jpg", "png", "webp"]))
    content = draw(damaged((made("photographs", make) / f"mine.{suffix}").read_bytes()))
    decode_photograph(write(folder / f"mine.{suffix}", content).read_bytes(), f"mine.{suffix}")


def clip(draw: Draw, folder: Path) -> None:
    """Damaged clips of several containers and codecs."""
    kinds = {"avi": ("mjpeg", "yuvj420p"), "mp4": ("mpeg4", "yuv420p"), "mpg": ("mpeg2video", "yuv420p")}

    def make(at: Path) -> None:
        for suffix, (codec, pixels) in kinds.items():
            layouts.write_clip(at / f"c.{suffix}", 6, codec, pixels)

    suffix = draw(st.sampled_from(sorted(kinds)))
    file = write(folder / f"S001-001.{suffix}", draw(damaged((made("clips", make) / f"c.{suffix}").read_bytes())))
    for read in (count_frames, decode_all, lambda path: list(iterate_clip(path, {0, 3}))):
        try:
            read(file)
        except ACCEPTED:
            continue


def landmarks(draw: Draw, folder: Path) -> None:
    """Landmark files."""
    read_eyes(write(folder / "l.txt", draw(damaged(layouts.landmark_lines().encode()))), 64, 64)


def weights(draw: Draw, folder: Path) -> None:
    """Weights files and checkpoints: damaged pickles and safetensors."""
    import torch
    from safetensors.torch import save_file
    from torch import nn

    from gndl.checkpoint import load_state
    from gndl.weights import load_backbone_weights

    def make(at: Path) -> None:
        tensors = {"conv1.weight": torch.zeros(2, 2)}
        torch.save({"state_dict": tensors}, at / "w.pt")
        torch.save({"state_dict": tensors}, at / "w.pth", _use_new_zipfile_serialization=False)
        save_file(tensors, at / "w.safetensors")

    suffix = draw(st.sampled_from(["pt", "pth", "safetensors"]))
    content = draw(damaged((made("weights", make) / f"w.{suffix}").read_bytes()))
    method = nn.Module()
    method.backbone = nn.Linear(2, 2)
    write(folder / "resume.pt", content)
    for read in (
        lambda: load_backbone_weights(method, write(folder / f"w.{suffix}", content)),
        lambda: load_state(folder, {}),
    ):
        try:
            read()
        except GndlError:
            continue


def records(draw: Draw, folder: Path) -> None:
    """run.json, epochs.csv and study.json of somebody else's study."""
    from gndl.checkpoint import read_record
    from gndl.record import read_epochs
    from gndl.request import read_study_json

    epochs = "epoch,loss,loss_cls,loss_neu,accuracy_train,accuracy_test\n1,1.5,1.5,,0.5,0.5\n"
    write(folder / "epochs.csv", draw(damaged(epochs.encode())))
    for name in ("run.json", "study.json"):
        write(folder / name, draw(st.one_of(JSON.map(json.dumps), damaged(b'{"epochs": 3}'))))
    for read in (read_record, read_epochs, read_study_json):
        try:
            read(folder)
        except GndlError:
            continue


TARGETS: dict[str, Target] = {
    target.__name__: target
    for target in (
        *(ckplus, oulu_casia, mmi, metadata, manifest, frames_csv, folds, fold_lists, imported, picture, clip),
        *(landmarks, weights, records, study, photograph),
    )
}
