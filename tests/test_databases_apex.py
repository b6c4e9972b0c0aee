"""The apex of a clip is where most of its action units are between their apex and offset markers."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gndl.databases.apex import apex_intervals, choose_examined, most_at_apex, spread

COMPLETE = [(0, 1), (1, 5), (2, 11), (3, 20), (0, 30)]


def active_frames(markers, length):
    """Frames at which an action unit is at its apex, by walking through the clip frame by frame; None if incomplete."""
    kinds = {kind for kind, _ in markers}
    if not {1, 2, 3} <= kinds:
        return None
    frames, on, ever = set(), False, False
    last = max(frame for _, frame in markers)
    for frame in range(0, max(length, last) + 1):
        for kind in sorted(kind for kind, at in markers if at == frame):
            if kind == 2:
                on = True
            elif kind == 3:
                on = False
        if on:
            frames.add(frame)
            ever = True
    return frames if ever and not on else None


markers = st.lists(st.tuples(st.integers(0, 3), st.integers(1, 30)), max_size=8)


@settings(deadline=None)
@given(markers, st.integers(4, 30))
def test_intervals_are_those_of_a_walk_through_the_clip(unit, length):
    """The apex of one action unit agrees with switching it on at every type 2 and off at every type 3."""
    intervals = apex_intervals(unit)
    expected = active_frames(unit, 31)
    if expected is None or not expected:
        assert intervals is None
    else:
        assert {f for first, last in intervals for f in range(first, last + 1)} == expected


@settings(deadline=None)
@given(st.lists(markers, min_size=1, max_size=5), st.integers(4, 30))
def test_the_apex_is_the_longest_run_with_most_action_units(units, length):
    """Compared with counting the active units of every frame, one by one."""
    sets = [active for unit in units if (active := active_frames(unit, length))]
    intervals = [found for unit in units if (found := apex_intervals(unit))]
    count = {frame: sum(frame in active for active in sets) for frame in range(1, length + 1)}
    found = most_at_apex(intervals, length)
    if max(count.values()) == 0:
        assert found is None
        return
    top = max(count.values())
    runs = [
        (a, b)
        for a in count
        for b in range(a, length + 1)
        if all(count[f] == top for f in range(a, b + 1)) and count.get(a - 1, 0) != top and count.get(b + 1, 0) != top
    ]
    assert found == max(runs, key=lambda run: (run[1] - run[0], -run[0]))


@settings(deadline=None)
@given(st.dictionaries(st.text(max_size=3), markers, max_size=4), st.integers(4, 40))
def test_three_different_frames_of_the_clip_are_always_chosen(units, length):
    """In order of time, within the clip, and never the first frame, which is the neutral one."""
    chosen = choose_examined(units, length).frames
    assert len(chosen) == 3
    assert list(chosen) == sorted(set(chosen))
    assert chosen[0] >= 1 and chosen[-1] < length


@settings(deadline=None)
@given(st.integers(0, 50), st.integers(3, 50))
def test_three_frames_are_spread_over_their_interval(first, length):
    """One in each third, symmetric about the middle to within a frame."""
    frames = spread(first, first + length - 1)
    for part, frame in enumerate(frames):
        assert part * length / 3 - 1 < frame - first < (part + 1) * length / 3
    assert abs((frames[0] - first) - (first + length - 1 - frames[2])) <= 1


def test_marker_frames_count_from_one():
    """Frames 11 to 19 of the file are indices 10 to 18 of the clip."""
    choice = choose_examined({"12": COMPLETE}, 40)
    assert choice.frames == spread(10, 18) == (11, 14, 17)
    assert "AU apex (frames 11–19" in choice.chosen_by


def test_most_action_units_decide():
    """Where two of three units overlap, there the apex is."""
    units = {"1": [(1, 2), (2, 5), (3, 15)], "2": [(1, 2), (2, 10), (3, 30)], "25": [(1, 19), (2, 22), (3, 24)]}
    assert choose_examined(units, 40).frames == spread(9, 13)


@pytest.mark.parametrize(
    "incomplete",
    [
        [(2, 30), (3, 35)],
        [(1, 25), (3, 35)],
        [(1, 25), (2, 30)],
        [(0, 1), (0, 40)],
        [(1, 25), (3, 30), (2, 35)],
        [(1, 25), (2, 30), (3, 30)],
        [],
    ],
)
def test_incomplete_action_units_are_left_out(incomplete):
    """A unit without onset, apex or offset, or with an apex that does not end, has no say."""
    assert choose_examined({"12": COMPLETE, "4": incomplete}, 40).frames == spread(10, 18)
    assert choose_examined({"4": incomplete}, 40).frames == (19, 20, 21)


def test_the_middle_of_the_clip_is_recorded_as_such():
    """Not coded and nowhere completely coded are told apart."""
    assert choose_examined(None, 40).frames == choose_examined({}, 40).frames == (19, 20, 21)
    assert "middle of the clip (not AU-coded)" in choose_examined(None, 40).chosen_by
    assert "middle of the clip (no action unit" in choose_examined({}, 40).chosen_by


def test_an_apex_beyond_the_clip_is_cut_to_it():
    """Markers may lie behind the last frame."""
    assert choose_examined({"12": [(1, 5), (2, 30), (3, 90)]}, 40).frames == spread(29, 39)
    assert "middle" in choose_examined({"12": [(1, 5), (2, 50), (3, 90)]}, 40).chosen_by


@pytest.mark.parametrize(
    ("apex", "expected"), [((20, 21), (18, 19, 20)), ((20, 22), (19, 20, 21)), ((40, 41), (37, 38, 39))]
)
def test_a_short_apex_is_widened_to_three_frames(apex, expected):
    """Evenly to both sides where the clip has room."""
    assert choose_examined({"12": [(1, 5), (2, apex[0]), (3, apex[1])]}, 40).frames == expected
