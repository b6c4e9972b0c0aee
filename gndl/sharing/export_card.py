"""The model card of one exported run: what it is, what it was trained on, how well it does, and what it must not do."""

from __future__ import annotations

from typing import Any

from gndl.paper import DATABASE_TITLES

WARNINGS = {
    "licensed": (
        "**WARNING: these weights were trained on faces of a licensed copy of {title}. They are not yours to pass on "
        "unless your agreement says so: networks can give away who they were trained on. Ask the database's makers "
        "before you publish or share any of these files.**"
    ),
    "own": (
        "**WARNING: these weights were trained on pictures of people that somebody brought along. Pass them on only "
        "where those people have agreed to it: networks can give away who they were trained on.**"
    ),
    "rendered": (
        "**These weights have seen rendered stand-in faces only, faces of nobody. They may be passed on, and what "
        "they say of a photograph of a person means little.**"
    ),
}
"""The line at the head of a card, by the faces that the run was trained on."""

LIMITS = """\
## Limits

- It says which of its {count} words fits a face best. What somebody feels cannot be read off a face: the faces it was
  trained on are acted or rendered, and a face shows less, and other things, than its owner feels.
- It knows these classes alone and always answers with one of them. Whatever else a face shows is forced into them.
- It expects one upright frontal face, aligned by its eyes as `gndl.crop` does it; on others its answer is void.
- Its probabilities are those of a softmax, not calibrated; notebook `2_training` shows how far they can be trusted.
- The accuracy above is that of {measured}, on few people, filmed under one set of conditions. How
  it does for people of another age, origin or skin tone is not known.
- Do not use it to judge, sort, hire, watch or diagnose anybody. In the European Union, inferring emotions of people at
  work and in education is forbidden (Regulation 2024/1689, Article 5) but for medical and safety reasons.
"""


def warning_line(source: str, database: str) -> str:
    """Return the line at the head of the card, for ``"rendered"``, ``"licensed"`` or one's ``"own"`` faces."""
    return WARNINGS[source].format(title=trained_and_tested(database)[0])


def trained_and_tested(database: str) -> tuple[str, str]:
    """Return what a run was trained on and tested on, as titles: twice the same within one database."""
    train, across, test = database.partition("-to-")
    titles = " and ".join(DATABASE_TITLES.get(name, name) for name in train.split("+"))
    return titles, DATABASE_TITLES.get(test, test) if across else titles


def card_text(about: dict[str, Any]) -> str:
    """Return the card as Markdown, from what :func:`gndl.sharing.export.describe` says."""
    title, tested = trained_and_tested(about["database"])
    of_whom = "the fold" if tested == title else f"{tested}, on which it was not trained"
    on = f"the {title} stand-in (rendered faces of nobody)" if about["source"] == "rendered" else title
    lam = "" if about["lam"] is None else f", λ = {about['lam']:g}"
    shape = " × ".join(str(side) for side in about["input"]["shape"])
    colour = "colour, red first" if len(about["input"]["shape"]) == 4 else "grey"
    started = about["starting_weights"]
    rows = {
        "Method": f"{about['method']}{lam}; ResNet-18 backbone, {about['parameters']:,} parameters",
        "Trained on": f"{about['n_train']} pairs of {on}, fold {about['fold']}, seed {about['seed']}, "
        f"{about['epochs']} epochs in {about['precision_of_training']}",
        "Kind of training data": about["source"],
        "Started from": "random weights"
        if started is None
        else f"a file of weights ({started['name']}) with terms of its own",
        "Accuracy": f"{100 * about['accuracy_last']:.1f} % of {about['n_test']} test samples of {of_whom}, last epoch",
        "Classes": ", ".join(about["classes"]),
        "Input": f"`faces`, uint8, {shape}: crops, {colour}, 0 to 255, cut as the study cuts them "
        "(`gndl.photograph.crop_photograph`) and averaged down to this side (`gndl.pairs.downscale`); normalisation is "
        "part of the graph",
        "Output": "`probabilities` and `logits`, float32, batch × classes, in the order above",
        "Checked": f"ONNX Runtime against PyTorch: differ by {about['largest_difference_to_pytorch']:.1g} at most",
        "Identity": f"`{about['identity_hash']}`",
    }
    gap = about["largest_difference_to_the_runs_precision"]
    if gap is not None:
        rows["Precision"] = (
            f"the graph computes in float32, the study in {about['precision_of_training']}; on random pictures their "
            f"probabilities differed by {gap:.1g} at most"
        )
    table = "\n".join(["| | |", "|---|---|", *(f"| {name} | {text} |" for name, text in rows.items())])
    head = f"# {about['method']} on {on}"
    use = (
        "## Use\n\n```python\nimport numpy, onnxruntime\n"
        'session = onnxruntime.InferenceSession("model.onnx")\n'
        'probabilities, logits = session.run(None, {"faces": crops})  # crops: numpy.uint8\n```\n\n'
        "`gndl.photograph.crop_photograph` finds and cuts the face; `model.json` has all of this for programs, and "
        "`weights.safetensors` the same weights for `gndl` itself.\n"
    )
    measured = "one fold of a cross-validation" if tested == title else "another database than the one trained on"
    limits = LIMITS.format(count=len(about["classes"]), measured=measured)
    return f"{head}\n\n{warning_line(about['source'], about['database'])}\n\n{table}\n\n{limits}\n{use}"
