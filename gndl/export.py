"""``gndl export RUN``: one trained run for other programs, as safetensors, ONNX and a model card.

The ONNX graph takes crops as bytes and gives probabilities: normalisation, network and softmax are inside. ONNX
Runtime must agree with PyTorch before anything is written.
"""

from __future__ import annotations

import shutil
import tempfile
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from gndl.files import GndlError, atomic_write, hash_file, write_json, write_text
from gndl.licence import LICENSED_FACES, label_licensed
from gndl.model import Method
from gndl.paper import DATABASE_TITLES
from gndl.predict import study_of_run
from gndl.train import load_method
from gndl.trainer import output_alone

TOLERANCE = 1e-4
"""Largest difference of a probability or a logit between ONNX Runtime and PyTorch."""

ONNX, WEIGHTS = "model.onnx", "weights.safetensors"

WARNINGS = {
    "licensed": "**WARNING: trained on a licensed copy of {title}. Do not publish or share these files unless your "
    "agreement allows it: a network can reveal who it was trained on.**",
    "own": "**WARNING: trained on pictures of people provided by the user. Share these files only if those people "
    "agreed: a network can reveal who it was trained on.**",
    "rendered": "**Trained on synthetic stand-in faces only (no real people). These files may be shared; predictions "
    "for photos of real people mean little.**",
}

CARD_TEXT = """\
# {method} on {on}

{warning}

| | |
|---|---|
| Method | {method}{of_lam}; {of_backbone}{parameters:,} parameters |
| Trained on | {n_train} pairs of {on}, fold {fold}, seed {seed}, {epochs} epochs in {precision_of_training} |
| Starting weights | {started} |
| Accuracy | {percent:.1f} % of {n_test} test samples of {of_whom}, last epoch |
| Classes | {class_names} |
| Input | `faces`, uint8, {shape}: crops, {colour}, 0 to 255, cut by `gndl.predict.crop_photograph` and averaged \
down to this size (`gndl.pairs.downscale`); normalisation is part of the graph |
| Output | `probabilities` and `logits`, float32, batch × classes, in the order above |
| Check | ONNX Runtime and PyTorch differ by at most {largest_difference_to_pytorch:.1g}, in float32 |
| Identity | `{identity_hash}` |

## Limitations

- It reports which of its classes fits a face best. That is not what a person feels: the training faces are
  posed or synthetic.
- It knows only these classes and always answers with one of them.
- It expects one upright frontal face, aligned by the eyes; for other input its output is meaningless.
- Its probabilities are uncalibrated softmax outputs (see notebook `2_training`).
- The accuracy is measured on few people and one recording setup. Accuracy by age, origin or skin tone is unknown.
- Do not use it to judge, rank, hire, monitor or diagnose people. The European Union prohibits inferring emotions at
  work and in education, except for medical or safety reasons (Regulation 2024/1689, Article 5).

## Use

```python
import onnxruntime
session = onnxruntime.InferenceSession("model.onnx")
probabilities, logits = session.run(None, {{"faces": crops}})  # crops: numpy.uint8
```

`model.json` describes the same for programs; `weights.safetensors` holds the weights for `gndl`.
"""


class FromBytes(nn.Module):
    """A method that takes crops as bytes, (B, S, S) or (B, S, S, 3), and gives probabilities and logits (B, K)."""

    scale: Tensor
    shift: Tensor

    def __init__(self, method: Method, settings: dict[str, Any], colour: bool) -> None:
        super().__init__()
        self.method, self.colour = method, colour
        mean, std = torch.tensor(settings["input_mean"]), torch.tensor(settings["input_std"])
        self.register_buffer("scale", (1 / (255 * std)).view(1, 3, 1, 1))
        self.register_buffer("shift", (-mean / std).view(1, 3, 1, 1))

    def forward(self, faces: Tensor) -> tuple[Tensor, Tensor]:
        pixels = faces.float()
        pixels = pixels.permute(0, 3, 1, 2) if self.colour else pixels.unsqueeze(1)  # (B, 3 or 1, S, S)
        logits = output_alone(self.method, pixels * self.scale + self.shift).logits
        return logits.softmax(1), logits


class Export(NamedTuple):
    """What was written where, the largest difference between ONNX Runtime and PyTorch, and whom the files may reach."""

    folder: Path
    difference: float
    warning: str


def export_run(run: Path, folder: Path | None = None) -> Export:
    """Write ``weights.safetensors``, ``model.onnx``, ``model.json`` and ``MODEL-CARD.md`` of a finished run.

    The default folder is ``exports/STUDY-DATABASE-METHOD-…`` next to the study, so that no bundle of the study
    contains it. A run on a licensed copy also gets ``LICENSED-FACES.txt``. Nothing is written where the run is
    unfinished, has no weights or needs the neutral face at test time, or where ONNX Runtime disagrees with PyTorch.
    """
    method, record = load_method(run)
    if record["needs_neutral_at_test"]:
        raise GndlError(f"{run}: {record['variant']} also needs the person's neutral face; it cannot be exported.")
    if folder is None:
        study = study_of_run(run)
        folder = study.parent / "exports" / "-".join([study.name, *run.resolve().relative_to(study).parts])
    settings, colour = record["settings"], bool(record["colour"])
    network = FromBytes(method, settings, colour).eval()
    faces = trial_faces(3, settings["image_size"], colour)
    with tempfile.TemporaryDirectory(prefix="gndl-export-") as temporary:
        graph = Path(temporary) / ONNX
        write_onnx(network, faces, graph)
        difference = max(largest_difference(network, graph, batch) for batch in (faces, faces[:1]))
        if not difference <= TOLERANCE:
            raise GndlError(
                f"{run}: ONNX Runtime and PyTorch differ by {difference:.2g} (at most {TOLERANCE:g} allowed); nothing "
                "was written. Try other versions of torch, onnx or onnxruntime."
            )
        about = describe(record, difference) | {"backbone": "ResNet-18" if hasattr(method, "backbone") else None}
        folder.mkdir(parents=True, exist_ok=True)
        if about["labelled"]:  # first, so that the weights never lie there without it
            label_licensed(folder, _titles(about["database"])[0], "weights trained on faces of")
        for source, name in ((graph, ONNX), (run / WEIGHTS, WEIGHTS)):
            with atomic_write(folder / name) as target:
                shutil.copyfile(source, target)
    about["sha256"] = {name: hash_file(folder / name) for name in (ONNX, WEIGHTS)}
    write_json(folder / "model.json", about)
    write_text(folder / "MODEL-CARD.md", card_text(about))
    return Export(folder, difference, _warning(about).strip("*"))


def write_onnx(network: nn.Module, faces: Tensor, path: Path) -> None:
    """Write the graph of ``network`` for any number of faces."""
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
    except ImportError as error:
        raise GndlError(f"{error.name} is not installed. Run: pip install 'gndl[export]'") from error
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # torch's newer exporter needs further packages
        torch.onnx.export(
            network,
            (faces,),
            str(path),
            input_names=["faces"],
            output_names=["probabilities", "logits"],
            dynamic_axes={name: {0: "batch"} for name in ("faces", "probabilities", "logits")},
            opset_version=18,
            dynamo=False,
        )


def largest_difference(network: nn.Module, graph: Path, faces: Tensor) -> float:
    """Largest difference of probabilities and logits between ONNX Runtime and PyTorch, both in float32."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
    with torch.no_grad():
        both = zip(network(faces), session.run(None, {"faces": faces.numpy()}), strict=True)
    return max(float(np.abs(ours.numpy() - theirs).max()) for ours, theirs in both)


def trial_faces(count: int, side: int, colour: bool) -> Tensor:
    """Random crops as bytes, as smooth as faces: (count, side, side) or (count, side, side, 3)."""
    coarse = torch.randint(0, 256, (count, 3 if colour else 1, 8, 8), generator=torch.Generator().manual_seed(0))
    smooth = nn.functional.interpolate(coarse.float(), (side, side), mode="bilinear").byte().permute(0, 2, 3, 1)
    return (smooth if colour else smooth[..., 0]).contiguous()


def describe(record: dict[str, Any], difference: float) -> dict[str, Any]:
    """Content of model.json: input and output of the graph, training data, and how it was checked."""
    about, side, classes = record["identity"]["extra"], int(record["settings"]["image_size"]), record["expressions"]
    source = about.get("source", "own")
    shape = ["batch", side, side, 3] if record["colour"] else ["batch", side, side]
    kept = ("lam", "fold", "seed", "accuracy_last", "n_train", "n_test", "epochs", "parameters")
    return {
        "method": record["variant"],
        "database": about.get("database", "manifest"),
        "source": source,
        "classes": classes,
        "input": {"name": "faces", "type": "uint8", "shape": shape, "is": "crops aligned by the eyes, 0 to 255"},
        "outputs": {name: ["batch", len(classes)] for name in ("probabilities", "logits")},
        **{name: record[name] for name in kept},
        "precision_of_training": record["settings"]["precision"],
        "largest_difference_to_pytorch": difference,
        "starting_weights": record["weights"],
        "identity_hash": record["identity_hash"],
        "versions": record["versions"],
        "labelled": LICENSED_FACES if source == "licensed" else "",
    }


def card_text(about: dict[str, Any]) -> str:
    """The model card, from the content of model.json."""
    (title, tested), weights, shape = _titles(about["database"]), about["starting_weights"], about["input"]["shape"]
    words = {
        "on": f"the {title} stand-in (synthetic, no real people)" if about["source"] == "rendered" else title,
        "warning": _warning(about),
        "of_lam": "" if about["lam"] is None else f", λ = {about['lam']:g}",
        "of_backbone": f"{about['backbone']} backbone, " if about["backbone"] else "",
        "started": "random" if weights is None else f"a weights file ({weights['name']}) with its own terms",
        "percent": 100 * about["accuracy_last"],
        "of_whom": "the fold" if tested == title else f"{tested}, which was not trained on",
        "class_names": ", ".join(about["classes"]),
        "shape": " × ".join(map(str, shape)),
        "colour": "RGB" if len(shape) == 4 else "grey",
    }
    return CARD_TEXT.format_map(about | words)


def _warning(about: dict[str, Any]) -> str:
    return WARNINGS[about["source"]].format(title=_titles(about["database"])[0])


def _titles(database: str) -> tuple[str, str]:
    """What was trained on and what was tested on; the same twice within one database."""
    train, across, test = database.partition("-to-")
    trained = " and ".join(DATABASE_TITLES.get(name, name) for name in train.split("+"))
    return trained, DATABASE_TITLES.get(test, test) if across else trained
