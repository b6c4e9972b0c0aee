"""Each official layout is read back from a rendered tree with every label, frame choice and count right."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from gndl.databases import audit, read_database
from gndl.databases.clip import decode_all
from gndl.databases.mmi_metadata import EMOTIONS
from gndl.profiles import StandInSize
from gndl.sequences import STAND_IN_LABEL
from gndl.standins.plan import PlannedSequence, plan

NAMES = ("ckplus", "oulu_casia", "mmi")


def planned(name, root) -> dict[str, tuple[str, PlannedSequence]]:
    """Subject and plan of every sequence, by its name, drawn anew from what the stand-in's label says of it."""
    label = dict(re.findall(r"^(\w+): (.*)$", (root / STAND_IN_LABEL).read_text(), re.MULTILINE))
    least, _, most = label["frames"].partition(" to ")
    size = StandInSize(int(label["subjects"]), int(label["sequences"]), int(label["labelled"]), (int(least), int(most)))
    named = {
        "ckplus": lambda subject, s: f"{subject}_{s.number:03d}",
        "oulu_casia": lambda subject, s: f"{subject}_{s.emotion.capitalize()}",
        "mmi": lambda subject, s: f"{subject}-{s.number:03d}",
    }[name]
    return {
        named(subject.name, sequence): (subject.name, sequence)
        for subject in plan(name, size, int(label["seed"]))
        for sequence in subject.sequences
    }


def taken(name, root):
    """The planned sequences that take part: labelled (CK+), frontal (MMI)."""
    return {
        key: (subject, sequence)
        for key, (subject, sequence) in planned(name, root).items()
        if sequence.emotion is not None and sequence.view == 0
    }


@pytest.mark.parametrize("name", NAMES)
def test_every_label_is_read_back(rendered_trees, name):
    """Sequences, subjects and classes are exactly those that were rendered."""
    root = rendered_trees[name]
    database = read_database(name, root)
    assert {s.sequence: (s.subject, s.expression) for s in database.sequences} == {
        key: (subject, sequence.emotion) for key, (subject, sequence) in taken(name, root).items()
    }
    assert database.source == "rendered"
    assert "stand-in" in database.title


@pytest.mark.parametrize("name", NAMES)
def test_every_count_is_right(rendered_trees, name):
    """Sequences, subjects and pairs, of the whole tree and of what is taken."""
    root = rendered_trees[name]
    every, study = planned(name, root), taken(name, root)
    found = read_database(name, root).found
    assert found["sequences"] == len(every)
    assert found["subjects"] == len({subject for subject, _ in every.values()})
    assert found["labelled"] == len(study)
    assert found["labelled_subjects"] == len({subject for subject, _ in study.values()})
    assert found["pairs"] == 3 * len(study)
    if name != "mmi":
        assert found["frames"] == sum(sequence.n_frames for _, sequence in every.values())


@pytest.mark.parametrize("name", ["ckplus", "oulu_casia"])
def test_first_and_last_three_of_every_image_sequence_are_taken(rendered_trees, name):
    """The frames of every sequence are all there, and the right ones are taken."""
    root = rendered_trees[name]
    study = taken(name, root)
    for sequence in read_database(name, root).sequences:
        length = study[sequence.sequence][1].n_frames
        numbers = [int(re.findall(r"\d+", frame.path.stem)[-1]) for frame in sequence.frames]
        start = 1 if name == "ckplus" else 0
        assert numbers == list(range(start, start + length))
        assert sequence.neutral == sequence.frames[0]
        assert sequence.examined == sequence.frames[-3:]
        assert all(frame.path.is_file() for frame in sequence.frames)


def test_every_frame_of_ckplus_has_its_own_landmarks(rendered_trees):
    """Landmarks come from the file of the same frame."""
    for sequence in read_database("ckplus", rendered_trees["ckplus"]).sequences:
        for frame in sequence.frames:
            assert frame.landmarks is not None and frame.landmarks.is_file()
            assert frame.landmarks.stem == f"{frame.path.stem}_landmarks"


def test_every_coded_clip_is_taken_at_its_apex(rendered_trees):
    """The three frames are among those with most action units at their apex, counted from the XML's text."""
    root = rendered_trees["mmi"]
    study = taken("mmi", root)
    for sequence in read_database("mmi", root).sequences:
        planned_sequence = study[sequence.sequence][1]
        clip = sequence.neutral.path
        assert decode_all(clip)[0] == planned_sequence.n_frames
        assert (sequence.neutral.index, len(set(sequence.examined))) == (0, 3)
        assert all(1 <= frame.index < planned_sequence.n_frames for frame in sequence.examined)
        assert sequence.may_lie_on_its_side
        coded = clip.with_name(f"{clip.stem}-oao_aucs.xml")
        assert coded.exists() == planned_sequence.coded == ("AU apex" in sequence.frames_chosen_by)
        if coded.exists():
            at_apex: Counter[int] = Counter()
            for unit in coded.read_text().split("<ActionUnit")[1:]:
                frames = dict(re.findall(r'Type="([23])" Frame="(\d+)"', unit))
                at_apex.update(range(int(frames["2"]) - 1, int(frames["3"]) - 1))
            most = {frame for frame, count in at_apex.items() if count == max(at_apex.values())}
            longest = max(next(n for n in range(1, len(at_apex) + 2) if frame + n not in most) for frame in most)
            assert len(most & {frame.index for frame in sequence.examined}) >= min(3, longest)


def test_metadata_of_mmi_agrees_with_the_class(rendered_trees):
    """The class of every clip is the one that its own file has under the name Emotion."""
    for sequence in read_database("mmi", rendered_trees["mmi"]).sequences:
        text = sequence.neutral.path.with_suffix(".xml").read_text()
        code = re.search(r'Name="Emotion" Value="(\d+)"', text)
        assert code is not None and EMOTIONS[int(code[1])] == sequence.expression


@pytest.mark.parametrize("name", NAMES)
def test_the_audit_of_a_rendered_tree_finds_nothing_wrong(rendered_trees, name):
    """No error and no problem; what is left out is left out by its view."""
    result = audit(rendered_trees[name], name)
    assert result.ok
    wrong = [
        f for f in result.findings if f.kind in ("error", "problem") and not f.message.startswith("no sequence of")
    ]
    assert wrong == []
    assert all("view" in f.message for f in result.findings if f.kind == "skip")
    assert "stand-in" in result.report() and "rendered" in result.report()
