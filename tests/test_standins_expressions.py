"""What rendered faces do: recipes, manner, near-misses, timing, blinks, gaze and faces at rest."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gndl.standins.head import load_head
from gndl.standins.liveliness import HEAD_TURNS, head_turns, live
from gndl.standins.muscles import LIMIT, muscle_shapes, settle
from gndl.standins.performance import LARGEST_SHARE, Style, draw_style, perform, perform_unlabelled
from gndl.standins.recipes import NEIGHBOURS, RECIPES, TWO_SIDED
from gndl.standins.resting import LARGEST, draw_resting
from gndl.standins.timing import LARGEST as OVERSHOT
from gndl.standins.timing import LEAST_AT_APEX, rise, rise_and_fall

NAMES = load_head().action_names
emotions = st.sampled_from(sorted(RECIPES))
seeds = st.integers(0, 2**20)


def stream(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def amount(actions: np.ndarray, name: str) -> float:
    return float(actions[NAMES.index(name)])


# --- recipes


@pytest.mark.parametrize("emotion", RECIPES)
def test_a_recipe_names_actions_that_the_head_has(emotion):
    """Every action of a recipe exists, and none is asked for beyond what the face can do."""
    for variant in RECIPES[emotion]:
        for movement in variant.movements:
            for action, full in movement.actions.items():
                assert (f"{action}Left" if action in TWO_SIDED else action) in NAMES
                assert 0 < full <= LIMIT


def test_every_emotion_has_variants_and_a_neighbour():
    """Two to four variants each, told apart by name; near-misses lead to other emotions."""
    for emotion, variants in RECIPES.items():
        assert 2 <= len(variants) <= 4 and len({variant.name for variant in variants}) == len(variants)
        assert NEIGHBOURS[emotion] and emotion not in NEIGHBOURS[emotion]


# --- performances


@given(emotions, seeds)
def test_a_performance_follows_one_variant_within_its_range_of_strength(emotion, seed):
    """Without a blend, all units are the variant's own, drawn near a strength within the range asked for."""
    performance = perform(emotion, NAMES, stream(seed), strength=(0.6, 0.8))
    (variant,) = (variant for variant in RECIPES[emotion] if variant.name == performance.variant)
    assert set(performance.units) <= {movement.unit for movement in variant.movements}
    assert 0.6 <= performance.strength <= 0.8 and performance.neighbour is None and performance.share == 0
    assert performance.amounts.min() >= 0.5 and performance.amounts.max() <= 0.8 * 1.13
    assert all(1 <= intensity <= 5 for intensity in performance.intensities().values())


@given(emotions, seeds, st.floats(0.05, 1.0))
def test_a_near_miss_keeps_its_own_emotion_the_larger_part(emotion, seed, blend):
    """Towards a neighbour by any blend, units of its own recipe alone stay stronger than the neighbour's alone."""
    performance = perform(emotion, NAMES, stream(seed), blend=blend)
    assert performance.neighbour in NEIGHBOURS[emotion] and 0 < performance.share <= LARGEST_SHARE * blend < 0.5
    units = {
        name: {m.unit for variant in RECIPES[name] for m in variant.movements}
        for name in (emotion, performance.neighbour)
    }
    amounts = dict(zip(performance.units, performance.amounts.tolist(), strict=True))
    foreign = [a for unit, a in amounts.items() if unit not in units[emotion]]
    own = [a for unit, a in amounts.items() if unit in units[emotion] and unit not in units[performance.neighbour]]
    assert len(amounts) == len(performance.units)
    assert not foreign or max(foreign) <= performance.share + 1e-6
    assert not own or min(own) >= 0.5 * (1 - performance.share)


@given(emotions, seeds, st.floats(0, 1), st.integers(0, 50))
def test_no_action_leaves_what_a_face_can_do(emotion, seed, blend, person):
    """Whatever the manner, strength and blend, every action stays in [0, 1]."""
    performance = perform(emotion, NAMES, stream(seed), style=draw_style(stream(person)), blend=blend)
    assert performance.actions.shape == (len(performance.units), 52)
    assert performance.actions.min() >= 0 and performance.apex.max() <= LIMIT + 1e-6
    assert perform_unlabelled(NAMES, stream(seed)).apex.max() <= LIMIT + 1e-6


def test_contempt_takes_one_side_and_over_sequences_both():
    """Of each contempt, one corner of the mouth alone tightens; which one is drawn."""
    sides = Counter()
    for seed in range(40):
        apex = perform("contempt", NAMES, stream(seed)).apex
        left, right = amount(apex, "mouthDimpleLeft"), amount(apex, "mouthDimpleRight")
        assert (left > 0) != (right > 0)
        sides["left" if left > 0 else "right"] += 1
    assert min(sides.values()) >= 10


def test_a_person_has_a_manner():
    """A lively person's expressions are stronger than a reserved one's; favoured variants and habits show."""
    lively, reserved = Style(expressiveness=1.0), Style(expressiveness=0.0)
    means = [
        np.mean([perform("fear", NAMES, stream(seed), style=style).strength for seed in range(40)])
        for style in (lively, reserved)
    ]
    assert means[0] > means[1] + 0.15
    last = Style(preferences={"surprise": (0.0, 0.0, 1.0)})
    assert {perform("surprise", NAMES, stream(s), style=last).variant for s in range(9)} == {"oh"}
    wide = {
        factor: np.mean(
            [
                amount(perform("fear", NAMES, stream(seed), style=Style(habits={5: factor})).apex, "eyeWideLeft")
                for seed in range(9)
            ]
        )
        for factor in (0.8, 1.25)
    }
    assert wide[1.25] > 1.15 * wide[0.8]


def test_the_same_stream_gives_the_same_performance():
    """A performance is drawn from its stream and from nothing else."""
    first, again, other = (perform("disgust", NAMES, stream(seed), blend=0.5) for seed in (1, 1, 2))
    assert np.array_equal(first.actions, again.actions) and first.units == again.units
    assert not np.array_equal(first.apex, other.apex)


# --- timing


@given(st.integers(6, 40), st.integers(1, 8), seeds)
def test_an_expression_rises_from_nothing_to_an_apex_that_three_frames_hold(n_frames, n_movements, seed):
    """CK+ and Oulu-CASIA: no expression at all in the first frame, every movement at its apex in the last three."""
    timing = rise(n_frames, n_movements, stream(seed))
    assert timing.curves.shape == (n_frames, n_movements) and not timing.curves[0].any()
    assert timing.curves[-3:].min() >= LEAST_AT_APEX and timing.curves.max() <= OVERSHOT + 0.01
    assert timing.curves.min() >= 0 and (np.diff(timing.markers, axis=1) >= 0).all()


@given(st.integers(28, 60), st.integers(1, 8), seeds)
def test_an_mmi_clip_is_neutral_at_both_ends_and_at_its_apex_in_the_middle(n_frames, n_movements, seed):
    """MMI: neutral, onset, apex round the middle, offset, neutral; the markers name these moments in order."""
    timing = rise_and_fall(n_frames, n_movements, stream(seed))
    assert not timing.curves[0].any() and not timing.curves[-1].any()
    assert timing.curves[n_frames // 2 - 1 : n_frames // 2 + 2].min() >= LEAST_AT_APEX
    assert (np.diff(timing.markers, axis=1) > 0).all()
    for movement, (onset, apex, offset, neutral) in enumerate(timing.markers):
        assert timing.curves[apex + 1 : offset, movement].min() >= LEAST_AT_APEX
        assert (
            not timing.curves[: max(onset - 1, 0), movement].any() and not timing.curves[neutral + 1 :, movement].any()
        )


# --- what happens besides


@given(st.integers(5, 60), seeds)
def test_blinks_keep_away_from_protected_frames(n_frames, seed):
    """However often somebody blinks, no lid moves in the neutral frame or in the last three."""
    actions = live(n_frames, NAMES, stream(seed), protected=(0, -3, -2, -1), blinks_per_second=5.0)
    lids = actions[:, [NAMES.index("eyeBlinkLeft"), NAMES.index("eyeBlinkRight")]]
    assert not lids[[0, -3, -2, -1]].any() and lids.min() >= 0 and lids.max() <= 1


def test_people_blink_now_and_then_and_close_their_eyes_in_it():
    """In a minute of film some blinks happen, not many, and each shuts the eye."""
    lid = live(1500, NAMES, stream(3))[:, NAMES.index("eyeBlinkLeft")]
    falls = np.flatnonzero((lid[1:] > 0) & (lid[:-1] == 0))
    assert 6 <= len(falls) <= 30 and all(lid[k : k + 8].max() > 0.9 for k in falls)


@given(st.integers(5, 60), seeds)
def test_both_eyes_look_the_same_way_and_not_far(n_frames, seed):
    """When the left eye turns outwards the right one turns inwards by as much; no glance leaves the camera for good."""
    actions = live(n_frames, NAMES, stream(seed))
    out_left, in_right = (actions[:, NAMES.index(name)] for name in ("eyeLookOutLeft", "eyeLookInRight"))
    assert np.array_equal(out_left, in_right) and actions.min() >= 0 and out_left.max() <= 0.6


def test_the_head_goes_with_the_feeling_and_starts_still():
    """A sad head sinks and a surprised one lifts on average; before the onset nothing turns."""
    shares = np.concatenate([np.zeros(3), np.linspace(0, 1, 10), np.ones(5)])
    pitch = {e: np.mean([head_turns(e, shares, stream(s))[-1, 1] for s in range(60)]) for e in HEAD_TURNS}
    assert pitch["sadness"] > 2 and pitch["surprise"] < -1.5
    assert not head_turns("fear", shares, stream(0))[:3].any()


# --- faces at rest


@given(seeds, st.floats(0, 0.3))
def test_a_face_at_rest_carries_little(seed, sigma):
    """Amounts at rest stay small, vanish without a spread, and differ between two people."""
    resting = draw_resting(NAMES, stream(seed), sigma)
    assert resting.shape == (52,) and resting.min() >= 0 and resting.max() <= LARGEST
    assert resting.any() == (sigma > 0) or sigma < 1e-6
    assert sigma < 0.01 or not np.array_equal(resting, draw_resting(NAMES, stream(seed + 1), sigma))


@given(seeds)
def test_a_face_settles_within_its_limits(seed):
    """Whatever is asked for, the amounts done lie in [0, 1], a shut eye neither squints nor widens, and what is sane
    already stays as it is."""
    asked = stream(seed).uniform(-0.5, 2.0, 52).astype(np.float32)
    settled = settle(asked)
    assert settled.min() >= 0 and settled.max() <= 1 and np.allclose(settle(settled * 0.3), settled * 0.3, atol=0.1)
    shut = asked.copy()
    shut[NAMES.index("eyeBlinkLeft")] = 1
    assert amount(settle(shut), "eyeSquintLeft") == 0 == amount(settle(shut), "eyeWideLeft")


def test_lowered_brows_do_not_pass_each_other():
    """With brows lowered and nose wrinkled at once, no skin of one side is drawn over the middle of the face."""
    head = load_head()
    both = sum(muscle_shapes()[NAMES.index(f"{a}{s}")] for a in ("browDown", "noseSneer") for s in ("Left", "Right"))
    moved = head.rest + both.reshape(-1, 3)
    brows = (np.abs(head.rest[:, 0]) < 0.5) & (head.rest[:, 1] > 7.2) & (head.rest[:, 1] < 7.7)
    assert (moved[brows, 0] * np.sign(head.rest[brows, 0]) > -1e-3).all()
