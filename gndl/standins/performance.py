"""One draw of an expression: which variant, how strong, how lopsided, in the manner of the subject who shows it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from gndl.standins.head import Floats
from gndl.standins.muscles import LIMIT
from gndl.standins.recipes import NEIGHBOURS, RECIPES, TWO_SIDED, UNPOSED, Movement, Variant

LARGEST_SHARE = 0.45
"""Share of the neighbour at a ``blend`` of 1: an expression stays mostly its own."""

STRONGEST_HABIT = 1.25
"""Factor by which a subject may favour one action unit, or do it less."""


@dataclass(frozen=True)
class Style:
    """How one person shows emotions.

    Parameters
    ----------
    expressiveness : float
        Where in the range of strengths this person's expressions lie: 0 at its weak end, 1 at its strong end.
    preferences : mapping of str to tuple of float
        For each emotion, how often each of its variants is chosen; where an emotion is missing, the variants' own
        weights hold.
    habits : mapping of int to float
        Factor on each action unit, from 0.8 to 1.25; 1 where a unit is missing.
    side : float
        Habitual asymmetry: positive where the left side moves more, by this share, in [-0.2, 0.2].
    """

    expressiveness: float = 0.5
    preferences: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    habits: Mapping[int, float] = field(default_factory=dict)
    side: float = 0.0


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
    """What the face does at the apex of one expression, movement by movement.

    Parameters
    ----------
    units : tuple of int
        Action unit of each movement; none occurs twice.
    amounts : array (M,)
        Strength of each movement in [0, 1], for the FACS intensity.
    actions : array (M, 52)
        Amounts of the facial actions that each movement adds, in the head's order; no action exceeds 1 in sum.
    emotion, variant : str or None
        What is shown, and in which of its recipe's variants; None for a mixture that is no emotion.
    strength : float
        Overall strength, within the range asked for.
    neighbour : str or None
        The emotion towards which it drifts.
    share : float
        How far, in [0, 0.45]: its own emotion has the remaining share.
    """

    units: tuple[int, ...]
    amounts: Floats
    actions: Floats
    emotion: str | None = None
    variant: str | None = None
    strength: float = 1.0
    neighbour: str | None = None
    share: float = 0.0

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

    Parameters
    ----------
    emotion : str
        A key of :data:`gndl.standins.recipes.RECIPES`.
    action_names : tuple of str
        Names of the 52 facial actions, in the head's order.
    rng : numpy.random.Generator
    style : Style, optional
        Whose manner; nobody's in particular where none is given.
    strength : (float, float)
        Least and largest overall strength. Each movement varies about the strength drawn by an eighth either way.
    blend : float
        In [0, 1], how far it may drift to a near-miss: the neighbour takes part by a share drawn between nothing and
        ``0.45 * blend``, and all else is this emotion's own.
    variety : float
        In [0, 1], how many sequences show the variant that the person would choose; all others show the commonest one.
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
    drifting = share > 0
    return _performance(
        rows, amounts, emotion, variant.name, overall, neighbour if drifting else None, share if drifting else 0.0
    )


def perform_unlabelled(action_names: tuple[str, ...], rng: np.random.Generator) -> Performance:
    """Draw a mixture of one to three single movements, which is no emotion's recipe."""
    chosen = rng.choice(len(UNPOSED), size=rng.integers(1, 4), replace=False)
    overall, side, lopsided = rng.uniform(0.6, 1.0), float(rng.choice([-1.0, 1.0])), rng.normal(0, 0.05)
    rows, amounts = {}, {}
    for movement in (UNPOSED[k] for k in sorted(chosen)):
        amounts[movement.unit] = float(np.clip(overall * rng.uniform(0.88, 1.12), 0, 1))
        rows[movement.unit] = _row(movement, amounts[movement.unit], side, lopsided, action_names)
    return _performance(rows, amounts, None, None, overall, None, 0.0)


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


def _performance(
    rows: Mapping[int, Floats],
    amounts: Mapping[int, float],
    emotion: str | None,
    variant: str | None,
    strength: float,
    neighbour: str | None,
    share: float,
) -> Performance:
    actions = np.stack([rows[unit] for unit in rows])
    # Where movements share an action, they share what the face can do at most.
    actions *= LIMIT / np.maximum(actions.sum(axis=0), LIMIT)
    return Performance(
        tuple(rows),
        np.minimum(np.array([amounts[unit] for unit in rows]), 1).astype(np.float32),
        actions.astype(np.float32),
        emotion,
        variant,
        float(strength),
        neighbour,
        share,
    )
