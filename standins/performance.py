"""Recipes of the expressions, and one draw of one: which variant, how strong, how lopsided, in a person's manner."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files

import numpy as np

from standins.difficulty import Difficulty
from standins.head import Floats, load_head

TWO_SIDED = (
    *("browDown", "browOuterUp", "cheekSquint", "eyeBlink", "eyeLookDown", "eyeSquint", "eyeWide", "noseSneer"),
    *("mouthDimple", "mouthFrown", "mouthLowerDown", "mouthPress", "mouthSmile", "mouthStretch", "mouthUpperUp"),
)
"""Facial actions that a face may do on either side alone."""

NEIGHBOURS: dict[str, tuple[str, ...]] = {
    "anger": ("disgust", "sadness"),
    "contempt": ("happiness",),
    "disgust": ("anger",),
    "fear": ("surprise",),
    "happiness": ("contempt",),
    "sadness": ("anger",),
    "surprise": ("fear",),
}
"""Emotions that people most often take each one for: they share the brow or the corner of the mouth."""

LIMIT = 1.0
"""Largest amount of any action."""
LARGEST_SHARE = 0.45
"""Share of the neighbour at a ``blend`` of 1: an expression stays mostly its own."""
STRONGEST_HABIT = 1.25
"""Factor by which a subject may favour one action unit, or do it less."""


@dataclass(frozen=True)
class Movement:
    """One action unit of a recipe: the facial actions that make it, two-sided ones without their side."""

    unit: int  # number in FACS
    actions: Mapping[str, float]  # amounts at full strength
    probability: float = 1.0  # share of the sequences in which it takes part
    one_sided: bool = False  # done on one side only, drawn for each sequence


@dataclass(frozen=True)
class Variant:
    """One way in which people show an emotion; ``weight`` says how common it is among the emotion's variants."""

    name: str
    movements: tuple[Movement, ...]
    weight: float = 1.0


def _read_recipes() -> dict[str, tuple[Variant, ...]]:
    text = files("standins").joinpath("recipes.toml").read_text(encoding="utf-8")
    return {
        emotion: tuple(_variant(name, dict(entries)) for name, entries in variants.items())
        for emotion, variants in tomllib.loads(text).items()
    }


def _variant(name: str, entries: dict) -> Variant:
    weight = entries.pop("weight", 1.0)
    movements = []
    for unit, actions in entries.items():
        probability, one_sided = actions.pop("probability", 1.0), actions.pop("one_sided", False)
        movements.append(Movement(int(unit), actions, probability, one_sided))
    return Variant(name, tuple(movements), weight)


RECIPES = _read_recipes()
"""Variants of each emotion."""
UNPOSED = RECIPES.pop("unlabelled")[0].movements
"""Single movements of which the sequences without an emotion label are mixed."""


@dataclass(frozen=True)
class Style:
    """How one person shows emotions."""

    expressiveness: float = 0.5  # where in the range of strengths this person's expressions lie, in [0, 1]
    preferences: Mapping[str, tuple[float, ...]] = field(default_factory=dict)  # weights of an emotion's variants
    habits: Mapping[int, float] = field(default_factory=dict)  # factor on each action unit, 0.8 to 1.25
    side: float = 0.0  # habitual asymmetry in [-0.2, 0.2]; positive where the left side moves more


def draw_style(rng: np.random.Generator) -> Style:
    """Draw how one person shows emotions."""
    units = sorted({m.unit for variants in RECIPES.values() for variant in variants for m in variant.movements})
    habits = np.exp(np.clip(rng.normal(0, 0.12, len(units)), -np.log(STRONGEST_HABIT), np.log(STRONGEST_HABIT)))
    return Style(
        expressiveness=float(rng.beta(2.0, 2.0)),
        # With few trials in Dirichlet's sense, one variant becomes a person's own.
        preferences={
            emotion: tuple(rng.dirichlet([0.8 * variant.weight for variant in variants]).tolist())
            for emotion, variants in RECIPES.items()
        },
        habits=dict(zip(units, habits.tolist(), strict=True)),
        side=float(np.clip(rng.normal(0, 0.06), -0.2, 0.2)),
    )


@dataclass(frozen=True)
class Performance:
    """What the face does at the apex of one expression, movement by movement."""

    units: tuple[int, ...]  # action unit of each movement; none occurs twice
    amounts: Floats  # (M,) strength of each movement in [0, 1]
    actions: Floats  # (M, 52) facial actions that each movement adds; no action exceeds 1 in sum
    emotion: str | None = None  # None for a mixture that is not an emotion
    variant: str | None = None
    strength: float = 1.0
    neighbour: str | None = None  # the emotion towards which it drifts
    share: float = 0.0  # how far, in [0, 0.45]

    @property
    def apex(self) -> Floats:
        """Amounts (52,) of all facial actions at the apex."""
        return self.actions.sum(axis=0)

    def intensities(self) -> dict[int, int]:
        """FACS intensity of each action unit, from 1 (A, a trace) to 5 (E, maximum)."""
        return {
            unit: int(np.clip(np.ceil(amount * 5), 1, 5)) for unit, amount in zip(self.units, self.amounts, strict=True)
        }


def perform(
    emotion: str,
    action_names: tuple[str, ...],
    rng: np.random.Generator,
    *,
    style: Style | None = None,
    strength: tuple[float, float] = (0.6, 1.0),
    blend: float = 0.0,
    variety: float = 1.0,
) -> Performance:
    """Draw one performance of ``emotion``.

    ``strength`` is the range of the overall strength, about which each movement varies by an eighth either way;
    ``blend`` in [0, 1] is how far it may drift to a neighbour; ``variety`` in [0, 1] is the share of sequences that
    show the variant that the person would choose, all others show the commonest one.
    """
    style = style or Style()
    low, high = strength
    overall = low + (high - low) * float(np.clip(style.expressiveness + rng.normal(0, 0.25), 0, 1))
    side = float(rng.choice([-1.0, 1.0], p=_side_odds(style)))
    lopsided = float(np.clip(style.side + rng.normal(0, 0.05), -0.25, 0.25))
    variant = _choose(emotion, style, variety, rng)
    neighbour = str(rng.choice(NEIGHBOURS[emotion]))
    other = _choose(neighbour, style, variety, rng)
    share = float(rng.uniform(0, LARGEST_SHARE * blend))
    parts = [(variant, 1 - share), (other, share)] if share > 0 else [(variant, 1.0)]
    rows: dict[int, Floats] = {}
    amounts: dict[int, float] = {}
    for part, weight in parts:
        for movement in part.movements:
            if rng.random() >= movement.probability:
                continue
            amount = overall * rng.uniform(0.88, 1.12) * style.habits.get(movement.unit, 1.0)
            amount = weight * float(np.clip(amount, 0.85 * low, 1.0))
            row = _row(movement, amount, side, lopsided, action_names)
            rows[movement.unit] = rows.get(movement.unit, 0) + row
            amounts[movement.unit] = amounts.get(movement.unit, 0.0) + amount
    drift = (neighbour, share) if share > 0 else (None, 0.0)
    return Performance(*_together(rows, amounts), emotion, variant.name, float(overall), *drift)


def perform_unlabelled(action_names: tuple[str, ...], rng: np.random.Generator) -> Performance:
    """Draw a mixture of one to three single movements, none of the recipes."""
    chosen = rng.choice(len(UNPOSED), size=rng.integers(1, 4), replace=False)
    overall, side, lopsided = rng.uniform(0.6, 1.0), float(rng.choice([-1.0, 1.0])), rng.normal(0, 0.05)
    rows, amounts = {}, {}
    for movement in (UNPOSED[k] for k in sorted(chosen)):
        amounts[movement.unit] = float(np.clip(overall * rng.uniform(0.88, 1.12), 0, 1))
        rows[movement.unit] = _row(movement, amounts[movement.unit], side, lopsided, action_names)
    return Performance(*_together(rows, amounts), strength=float(overall))


def performed(
    emotion: str | None, style: Style, difficulty: Difficulty, rng: np.random.Generator
) -> tuple[Performance, dict[str, float | str]]:
    """Draw what a person does in a sequence at a database's difficulty, and what ``truth.csv`` says of it."""
    names = load_head().action_names
    if emotion is None:
        performance = perform_unlabelled(names, rng)
    else:
        strength, blend, variety = difficulty.strength, difficulty.blend, difficulty.variety
        performance = perform(emotion, names, rng, style=style, strength=strength, blend=blend, variety=variety)
    return performance, {
        "variant": performance.variant or "",
        "neighbour": performance.neighbour or "",
        "neighbour_share": performance.share,
    }


def _choose(emotion: str, style: Style, variety: float, rng: np.random.Generator) -> Variant:
    variants = RECIPES[emotion]
    weights = np.array(style.preferences.get(emotion, [variant.weight for variant in variants]))
    own = variants[rng.choice(len(variants), p=weights / weights.sum())]
    commonest = max(variants, key=lambda variant: variant.weight)
    return own if rng.random() < variety else commonest


def _side_odds(style: Style) -> list[float]:
    """Probabilities of right and left for what is done on one side: mostly the side that a person moves more."""
    left = float(np.clip(0.5 + 5 * style.side, 0.1, 0.9))
    return [1 - left, left]


def _row(movement: Movement, amount: float, side: float, lopsided: float, action_names: Sequence[str]) -> Floats:
    """Amounts (52,) of the facial actions of one movement; ``side`` is 1 for the left."""
    left, right = amount * (1 + lopsided), amount * (1 - lopsided)
    if movement.one_sided:
        left, right = (amount, 0.0) if side > 0 else (0.0, amount)
    row = dict.fromkeys(action_names, 0.0)
    for action, full in movement.actions.items():
        if action in TWO_SIDED:
            row[f"{action}Left"], row[f"{action}Right"] = left * full, right * full
        else:
            row[action] = amount * full
    return np.array(list(row.values()), np.float32)


def _together(rows: Mapping[int, Floats], amounts: Mapping[int, float]) -> tuple[tuple[int, ...], Floats, Floats]:
    """Units, amounts and actions; where movements share an action, they share what the face can do at most."""
    actions = np.stack(list(rows.values()))
    actions *= LIMIT / np.maximum(actions.sum(axis=0), LIMIT)
    shown = np.minimum(np.array([amounts[unit] for unit in rows]), 1).astype(np.float32)
    return tuple(rows), shown, actions.astype(np.float32)


# --- faces at rest: what a relaxed face always carries, which strangers take for a mood

RESTING: dict[str, dict[str, float]] = {
    "cross": {"browDown": 1.0, "noseSneer": 0.15, "mouthFrown": 0.4, "mouthRollUpper": 0.5, "eyeSquint": 0.5},
    "sad": {"browInnerUp": 1.0, "mouthFrown": 0.9, "eyeBlink": 0.45, "mouthShrugLower": 0.3},
    "sceptical": {"eyeSquint": 0.9, "mouthDimple": 0.6, "mouthRollLower": 0.5, "browOuterUp": 0.4},
    "friendly": {"mouthSmile": 0.8, "cheekSquint": 0.4, "browOuterUp": 0.4},
    "tired": {"eyeBlink": 0.9, "browInnerUp": 0.5, "mouthFrown": 0.3},
    "startled": {"eyeWide": 1.0, "browOuterUp": 0.5, "browInnerUp": 0.4},
    "sour": {"noseSneer": 0.8, "mouthUpperUp": 0.25, "mouthFrown": 0.5, "mouthShrugLower": 0.4},
}
"""Moods that a face may seem to have at rest, as the share of each facial action in them."""

LARGEST_AT_REST = 0.4
"""No action of a relaxed face goes beyond this."""


def draw_resting(action_names: tuple[str, ...], rng: np.random.Generator, sigma: float) -> Floats:
    """Draw the amounts (52,) of the facial actions that one relaxed face always carries, of spread ``sigma``.

    Half of all faces lean to one seeming mood, by twice ``sigma`` at the typical strength; everybody has a little of
    their own in each of its actions as well, on the two sides not quite the same.
    """
    amounts = dict.fromkeys(action_names, 0.0)
    mood = RESTING[str(rng.choice(list(RESTING)))]
    depth = 2 * sigma * float(rng.beta(4.0, 2.0)) * 1.5 * (rng.random() < 0.5)
    for action in sorted({action for moods in RESTING.values() for action in moods}):
        own = max(float(rng.normal(0, 0.35 * sigma)), 0.0)
        left, right = 1 + rng.normal(0, 0.2, 2)
        amount = depth * mood.get(action, 0.0) + own
        if action in TWO_SIDED:
            amounts[f"{action}Left"], amounts[f"{action}Right"] = amount * left, amount * right
        else:
            amounts[action] = amount
    return np.clip(np.array(list(amounts.values()), np.float32), 0, LARGEST_AT_REST)
