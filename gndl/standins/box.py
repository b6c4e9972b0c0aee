"""The box that opens every notebook on rendered faces: what they can tell, and what they cannot."""

from __future__ import annotations

from gndl.paper import DATABASE_TITLES

BOX = """\
> | {title}, rendered stand-in | What a render can tell, and what it cannot |
> |:--|:--|
> | **What was rendered** | Every face below was computed by `gndl render` from a 3-D model of the head \
(MakeHuman's shapes, CC0), with shape, skin, expression, pose and light drawn at random. The faces belong to \
**nobody**; no photograph went into them. This **is not {title}**: only its folders, counts and the look of its \
pictures are imitated. |
> | **You may conclude** | that the code runs, from pictures on disk to the last table; and what a method does when \
one known cause is changed, because we set them all: for instance, how often it takes a wrinkle of age for an \
expression. |
> | **You may not conclude** | **any accuracy on people**: no number below may be quoted as a result on {title}. \
**Which method is better**: a gap between GNDL and the baseline, either way, describes these renders at most, and \
only where it is clearly larger than the spread over the folds. **Fairness**: drawn skin tones, ages and sexes \
stand for no real group. |
> | **The baseline's level is no evidence** | We chose it. How hard the expressions are to tell apart was tuned \
until the ResNet-18 baseline, at profile `standard`, came near the paper's accuracy; with another profile it need \
not be near at all. Only the baseline was looked at, never GNDL, and other rendered people than those below. A \
level like the paper's was arranged, so it confirms nothing; and that GNDL took no part makes its gap to the \
baseline no evidence about people either. |
"""


def what_a_render_can_tell(*databases: str) -> str:
    """Say in Markdown what results on the rendered stand-in of one database, or of several, can and cannot tell."""
    titles = [DATABASE_TITLES.get(name, name) for name in databases]
    return BOX.format(title=" or ".join(", ".join(titles).rsplit(", ", 1)))
