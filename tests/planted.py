"""Random faces with a signal planted in them, small enough to train on in a second."""

from __future__ import annotations

import numpy as np

from gndl.pairs import FacePairs

EXPRESSIONS = ("anger", "happiness", "surprise")


def planted_pairs(
    n_pairs: int = 24, n_subjects: int = 6, size: int = 32, *, colour: bool = False, seed: int = 0
) -> FacePairs:
    """Return pairs whose class is a bright band, over one random pattern per subject."""
    random = np.random.default_rng(seed)
    neutral = random.integers(60, 180, (n_subjects, size, size))
    subject, label = np.arange(n_pairs) % n_subjects, np.arange(n_pairs) // n_subjects % len(EXPRESSIONS)
    examined = neutral[subject].copy()
    for pair, band in enumerate(label):
        examined[pair, 8 * band : 8 * band + 8] += 60
    images = np.concatenate([neutral, examined])
    images = np.clip(images + random.integers(-10, 11, images.shape), 0, 255).astype(np.uint8)
    if colour:
        images = np.repeat(images[..., None], 3, axis=3) // np.array([1, 2, 3], dtype=np.uint8)
    return FacePairs(
        images=images,
        examined_index=n_subjects + np.arange(n_pairs),
        neutral_index=subject,
        label=label,
        subject=[f"S{number:03}" for number in subject],
        sequence=[f"S{number:03}/{pair // n_subjects:03}" for pair, number in enumerate(subject)],
        frame=[f"frame_{pair:04}.png" for pair in range(n_pairs)],
        expressions=EXPRESSIONS,
    )
