"""Captions that can be read alone, and descriptions for those who cannot see, of figures saved under known names."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from gndl.figures.style import STAND_IN_NOTE
from gndl.paper import DATABASE_TITLES

CAPTIONS = {
    "first_faces": (
        "Faces of {on}: people in rows, the neutral face first and then the apex of each class.",
        "A table of faces, one row for each person and one column for each expression.",
    ),
    "neutral_to_apex": (
        "From neutral to apex on {on}: one sequence of every class, the median one by name, in frames evenly spaced "
        "in time. The first picture is the neutral face of the pair, the last one the apex.",
        "A table of faces, one row for each expression class. From left to right each face goes from no expression to "
        "the full one.",
    ),
    "contact_sheet": (
        "Crops of {on}: the neutral face and the last examined frame of each class, for the subjects who show most "
        "classes. An empty place is a class that the subject does not show.",
        "A table of cropped faces, one row for each subject; the neutral face stands first, then one face for each "
        "expression class. All eyes lie on the same two points.",
    ),
    "mean_faces": (
        "Mean of all neutral crops and of the examined crops of each class of {on}. Sharp eyes show that all crops are "
        "aligned; the mouth is blurred by what it does in each class.",
        "A row of averaged faces, neutral first and then one for each expression class, with sharp eyes and blurred "
        "mouths.",
    ),
    "augmented_batch": (
        "A training batch of {on} as the network sees it: examined faces above, the neutral faces of the same pairs "
        "below. Both faces of a pair have the same flip and the same noise.",
        "Two rows of small faces. Each examined face stands above the neutral face of the same person; some pairs are "
        "mirrored and some are noisy.",
    ),
    "folds": (
        "Pairs that each fold of {on} tests, by class. Nobody is in two folds.",
        "A stacked bar for each fold, with a piece for each expression class.",
    ),
    "confusion_matrices": (
        "Confusion matrices on {on}. Rows are the true classes and columns the predicted ones; a cell gives its share "
        "of the row and the number of samples, summed over the folds that were run.",
        "One square table for each method. The darker a cell, the larger the share of the true class that was given "
        "this answer; correct answers lie on the diagonal.",
    ),
    "first_confusion_matrix": (
        "Confusion matrix of the first run that finished on {on}: one fold alone. Rows are the true classes and "
        "columns the predicted ones.",
        "A square table of true against predicted classes; correct answers lie on the diagonal.",
    ),
    "learning_curves": (
        "Learning curves on {on}: training loss, accuracy on the training folds and accuracy on the test fold against "
        "epochs. Thin lines are folds, thick lines their mean. The test fold's curve chooses nothing: the accuracy "
        "reported is that of the last epoch.",
        "Three panels of curves over epochs, one colour for each method, with a thin line for each fold.",
    ),
    "face_studio": (
        "The face studio as it opens: a rendered face at rest and what the networks of one fold make of it.",
        "A rendered face beside bars with the probability of each expression class.",
    ),
} | {
    f"standin_{name}": (
        f"Twenty people of the {title} stand-in, drawn at random: the neutral face, then the apex of each class.",
        "A table of faces, one row for each person; the neutral face stands first, then one face for each expression.",
    )
    for name, title in DATABASE_TITLES.items()
    if name != "manifest"
}
"""Caption and description by the name that a figure is saved under; ``{on}`` names the database."""

STAND_IN_SENTENCE = f"Made from a {STAND_IN_NOTE}: rendered faces of nobody, not the database itself."


def database_of(folder: Path) -> str:
    """Name the database whose figures a folder holds: ``OUT/DATABASE/figures`` or ``figures/DATABASE``; else ``""``."""
    return next((part for part in (folder.name, folder.parent.name) if part in DATABASE_TITLES), "")


def caption_of(name: str, folder: Path, source: str, caption: str = "", description: str = "") -> tuple[str, str]:
    """Return a figure's caption and description: those given, those known for its name, or plain ones.

    Rendered data is always called a rendered stand-in.
    """
    title = DATABASE_TITLES.get(database_of(folder), "the database")
    on = f"the {title} stand-in" if source == "rendered" and title != "the database" else title
    plain = name.replace("_", " ").capitalize()
    known = CAPTIONS.get(name, (f"{plain} ({{on}}).", f"Figure: {plain.lower()}."))
    caption = (caption or known[0].format(on=on)).strip()
    description = (description or known[1].format(on=on)).strip()
    if source == "rendered" and STAND_IN_NOTE not in caption.lower():
        caption = f"{caption} {STAND_IN_SENTENCE}"
    return caption, description


def read_caption(png: Path, source: str) -> tuple[str, str]:
    """Read caption and description of a PNG file as `gndl.figures.save_figure` wrote them; else those of its name."""
    with Image.open(png) as picture:
        texts = {str(key): str(value) for key, value in picture.info.items()}
    if "Description" not in texts:
        return caption_of(png.stem, png.parent, source)
    return texts["Description"], texts.get("Comment", "")


def label_of(name: str, folder: Path) -> str:
    """Label to refer to a figure by, such as ``fig:ckplus-learning-curves``."""
    return "fig:" + "-".join(part for part in (database_of(folder), name) if part).replace("_", "-")


def path_in_study(name: str, folder: Path, root: Path | None = None) -> str:
    """Path of a figure's PDF within its study: from ``root`` where it is known, else from the database's folder on."""
    if root is not None:
        return (folder.relative_to(root) / f"{name}.pdf").as_posix()
    if folder.name in DATABASE_TITLES:
        return f"{folder.name}/{name}.pdf"
    if folder.parent.name in DATABASE_TITLES:
        return f"{folder.parent.name}/{folder.name}/{name}.pdf"
    return f"figures/{name}.pdf" if folder.name == "figures" else f"{name}.pdf"


STACKED = {
    "Upper left:": "First from above:",
    "Upper right:": "Second:",
    "Lower left:": "Third:",
    "Lower right:": "Fourth:",
    "Left:": "Above:",
    "Right:": "Below:",
}


def stacked_words(caption: str) -> str:
    """Say where panels stand that are drawn one above the other instead of side by side."""
    for beside, stacked in STACKED.items():
        caption = caption.replace(beside, stacked)
    return caption
