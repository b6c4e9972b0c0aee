"""The box that opens every notebook on rendered faces: what they can tell, and what they cannot."""

from __future__ import annotations

from gndl.paper import DATABASE_TITLES

BOX = """\
> | {title}, rendered stand-in | What a render can tell, and what it cannot |
> |:--|:--|
> | **What was rendered** | Every face below was computed by `gndl render` from a 3-D model of the head, with shape, \
skin, expression, pose and light drawn at random. The faces belong to **nobody**; no photograph went into them. This \
**is not {title}**: only its folders, counts and the look of its pictures are imitated. |
> | **You may conclude** | that the code runs, from pictures on disk to the last table; and how the methods behave – \
the mechanism – on faces of which expression, person, pose and light are known exactly, because we set them. |
> | **You may not conclude** | **any accuracy on people**: no number below may be quoted as a result on {title}. \
**Which method is better**: if GNDL's bar is higher than the baseline's, or lower, that holds for these renders and \
says nothing of people. **Fairness**: drawn skin tones, ages and sexes stand for no real group. |
> | **The baseline's level is no evidence** | We chose it. How hard the faces are to tell apart was turned, watching \
the ResNet-18 baseline alone and other rendered people than these, until with profile `standard` its accuracy came \
near the one in the paper. That the two are alike was arranged, so it confirms nothing. GNDL had no part in it. |
"""


def what_a_render_can_tell(database: str) -> str:
    """Say in Markdown what results on the rendered stand-in of ``database`` can tell and what they cannot."""
    return BOX.format(title=DATABASE_TITLES.get(database, database))
