"""The recipes of the expressions as a table, with the source of each: ``python -m gndl.standins.recipe_table``."""

from __future__ import annotations

from gndl.standins.performance import NEIGHBOURS
from gndl.standins.recipes import RECIPES, Variant

SOURCES = {
    "anger": "FACS: 4 + 5 + 7 with 10, 22, 23 or 25/26, or with 17 and 23 or 24; CK+ asks for 23 and 24",
    "contempt": "EMFACS and CK+: 14, on one side or both; FACS adds 12 and 10 on the same side",
    "disgust": "FACS and CK+: 9 or 10, with 15, 16, 17, 25 or 26",
    "fear": "FACS: 1 + 2 + 4 + 5 + 20 + 25, 26 or 27, with variants that lack 2 or 20; CK+ asks for 1 + 2 + 4",
    "happiness": "FACS and EMFACS: 6 + 12, mostly with 25 or 26; CK+ asks for 12",
    "sadness": "FACS: 1 + 4 + 15 (+ 17), 1 + 4 + 11, 6 + 15; CK+ the same",
    "surprise": "FACS: 1 + 2 + 5 with 26 or 27; CK+ asks for 1 + 2 or a strong 5",
}
"""By which combination of action units each emotion is known, and where that is written."""


def recipe_table() -> str:
    """Write every variant of every emotion as a Markdown table: its units, how common it is, near-misses and source."""
    lines = [
        "| emotion | variant | action units | share | may drift to | source |",
        "|---|---|---|---|---|---|",
    ]
    for emotion, variants in RECIPES.items():
        whole = sum(variant.weight for variant in variants)
        for variant in variants:
            lines.append(
                f"| {emotion} | {variant.name} | {_units(variant)} | {100 * variant.weight / whole:.0f} % | "
                f"{', '.join(NEIGHBOURS[emotion])} | {SOURCES[emotion]} |"
            )
    return "\n".join(lines) + "\n"


def _units(variant: Variant) -> str:
    """Numbers of the action units; in brackets those that only some sequences have, L/R for one side alone."""
    texts = []
    for movement in variant.movements:
        text = f"{movement.unit}{' L/R' if movement.one_sided else ''}"
        texts.append(text if movement.probability == 1 else f"({text})")
    return " + ".join(texts)


if __name__ == "__main__":
    print(recipe_table(), end="")
