"""What the tour shows in tables and words: the shapes of every step, and what the network made of the face."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gndl.analysis.tour import Guide, Steps


def shapes_table(steps: Steps) -> pd.DataFrame:
    """List every step with its symbol, its shape for one face and the range of its values."""

    columns = ("step", "symbol", "shape", "from", "to", "what it is")

    def row(step: str, symbol: str, value: NDArray[Any], what: str) -> dict[str, str]:
        shape = " × ".join(map(str, value.shape))
        ends = f"{value.min():.2f}", f"{value.max():.2f}"
        return dict(zip(columns, (step, symbol, shape, *ends, what), strict=True))

    return pd.DataFrame(
        [
            row("crop", "x_exam", steps.examined, "bytes, 0 black to 255 white, eyes always on the same two points"),
            row("input", "x_exam", steps.x_exam, "scaled down, grey in three channels, mean and spread of ImageNet"),
            row("backbone", "F_exam", steps.f_exam, "what the ResNet-18 sees: expression, person, light, all mixed"),
            row("generator", "G(F_exam)", steps.f_gen, "the feature that this person's neutral face should have"),
            row("difference", "F_exp-d", steps.deviation, "what the expression added"),
            row("classifier", "logits", steps.logits, "one number for each class"),
            row("softmax", "p", steps.probabilities, "probabilities, which sum to 1"),
        ]
    )


def stages_table(steps: Steps) -> pd.DataFrame:
    """List the feature maps on the way through the backbone: more channels, fewer places."""
    rows = [(name, " × ".join(map(str, shape)), f"{int(np.prod(shape)):,}") for name, shape in steps.stages]
    return pd.DataFrame(rows, columns=["after", "channels × height × width", "numbers"])


def in_words(guide: Guide, steps: Steps) -> str:
    """Say in Markdown what the network answered, how near the generated neutral came, and how good the network is."""
    sure = 100 * float(steps.probabilities.max())
    right = "That is right." if steps.answer == steps.truth else f"That is wrong: it is **{steps.truth}**."
    generated, examined = (float(np.abs(steps.f_neu - other).mean()) for other in (steps.f_gen, steps.f_exam))
    nearer = "nearer to the real one than" if generated < examined else "no nearer to the real one than"
    record = guide.record
    lines = [
        f"- The network says **{steps.answer}**, with {sure:.0f} %. {right}",
        f"- The generated neutral feature is {nearer} the examined one is: mean distance {generated:.3f} against "
        f"{examined:.3f} a channel. One face proves nothing; `4_deviation_features` measures it on all.",
        f"- This network was trained for {record['epochs']} epochs on {record['n_train']} pairs and is right on "
        f"{100 * record['accuracy_last']:.0f} % of {record['n_test']} faces of people whom it had not seen (fold "
        f"{record['fold']}, {steps.title}).",
    ]
    return "\n".join([*lines, *([f"\n{guide.weakness}"] if guide.weakness else [])])
