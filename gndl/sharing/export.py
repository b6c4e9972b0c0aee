"""One trained run as files for other programs: safetensors, ONNX and a model card (`gndl export RUN`).

The ONNX graph takes the bytes of crops and gives probabilities: normalisation, network and softmax are inside, so that
nobody has to write them again. It is run by ONNX Runtime and compared with PyTorch before anything is written.
"""

from __future__ import annotations

import shutil
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from gndl.checkpoint import WEIGHTS
from gndl.device import autocast
from gndl.errors import GndlError
from gndl.files import hash_file, write_json, write_text, written_aside
from gndl.licence import LICENSED_FACES, label_licensed
from gndl.model import Method
from gndl.paths import study_of_run
from gndl.sharing.export_card import card_text, trained_and_tested
from gndl.train import load_method

TOLERANCE = 1e-4
"""Largest difference of a probability or a logit between ONNX Runtime and PyTorch."""

ONNX, CARD, DESCRIPTION = "model.onnx", "MODEL-CARD.md", "model.json"

OPSET = 18


class FromBytes(nn.Module):
    """A trained method that takes crops as bytes, (B, S, S) grey or (B, S, S, 3) colour, and gives (B, K) twice.

    The outputs are probabilities and logits. All is computed in float32, whatever the run was trained in.
    """

    scale: Tensor
    shift: Tensor

    def __init__(self, method: Method, settings: dict[str, Any], colour: bool) -> None:
        super().__init__()
        self.method, self.colour = method, colour
        mean, std = torch.tensor(settings["input_mean"]), torch.tensor(settings["input_std"])
        self.register_buffer("scale", (1 / (255 * std)).view(1, 3, 1, 1))
        self.register_buffer("shift", (-mean / std).view(1, 3, 1, 1))

    def forward(self, faces: Tensor) -> tuple[Tensor, Tensor]:
        """Return probabilities and logits, each (B, K)."""
        pixels = faces.float()
        pixels = pixels.permute(0, 3, 1, 2) if self.colour else pixels.unsqueeze(1)  # (B, 3 or 1, S, S)
        logits = self.method(pixels * self.scale + self.shift).logits
        return logits.softmax(1), logits


@dataclass(frozen=True)
class Export:
    """What `gndl export` wrote.

    Parameters
    ----------
    folder : Path
    source : {"rendered", "licensed", "own"}
        The faces that the run was trained on.
    difference : float
        Largest difference of a probability or logit between ONNX Runtime and PyTorch on the faces tried.
    """

    folder: Path
    source: str
    difference: float


def export_run(run: Path, folder: Path | None = None) -> Export:
    """Write a finished run's ``weights.safetensors``, ``model.onnx``, ``model.json`` and ``MODEL-CARD.md``.

    What was trained on a licensed copy carries ``LICENSED-FACES.txt``.

    Parameters
    ----------
    run : Path
        Folder of a finished run, ``STUDY/DATABASE/METHOD/lam-L/fold-K/seed-S``.
    folder : Path, optional
        Where to; by default a folder in ``exports`` beside the study, so that no bundle of the study takes it along.

    Raises
    ------
    GndlError
        Where the run is unfinished, has no weights or needs the neutral face at test, the packages of
        ``gndl[export]`` are missing, or ONNX Runtime computes something else than PyTorch; then nothing is written.
    """
    method, record = load_method(run)
    if record["needs_neutral_at_test"]:
        raise GndlError(f"{run}: {record['variant']} needs the subject's neutral face too, which one face lacks.")
    folder = folder or default_folder(run)
    settings = record["settings"]
    network = FromBytes(method, settings, record["colour"]).eval()
    side = int(settings["image_size"])
    faces = trial_faces(3, side, record["colour"])
    with tempfile.TemporaryDirectory(prefix="gndl-export-") as aside:
        graph = Path(aside) / ONNX
        write_onnx(network, faces, graph)
        difference = largest_difference(network, graph, [faces, trial_faces(1, side, record["colour"], seed=1)])
        if not difference <= TOLERANCE:
            raise GndlError(
                f"{run}: ONNX Runtime differs from PyTorch by {difference:.2g}, more than {TOLERANCE:g}; nothing was "
                "written. Other versions of torch, onnx or onnxruntime may agree."
            )
        folder.mkdir(parents=True, exist_ok=True)
        about = record["identity"]["extra"]
        if about.get("source") == "licensed":  # first of all, so that the weights never lie there without it
            label_licensed(folder, trained_and_tested(about["database"])[0], "weights trained on faces of")
        for source, name in ((graph, ONNX), (run / WEIGHTS, WEIGHTS)):
            with written_aside(folder / name) as target:
                shutil.copyfile(source, target)
    description = describe(record, side, difference, precision_gap(network, faces, settings["precision"]))
    description["sha256"] = {name: hash_file(folder / name) for name in (ONNX, WEIGHTS)}
    write_json(folder / DESCRIPTION, description)
    write_text(folder / CARD, card_text(description))
    return Export(folder, description["source"], difference)


def default_folder(run: Path) -> Path:
    """Return ``exports/STUDY-DATABASE-METHOD-lam-L-fold-K-seed-S`` beside the study.

    Raises
    ------
    GndlError
        Where the run does not lie in a study.
    """
    try:
        study = study_of_run(run)
    except GndlError as error:
        raise GndlError(f"{error}; say where to write with --out.") from None
    return study.parent / "exports" / "-".join([study.name, *run.resolve().relative_to(study).parts])


def write_onnx(network: nn.Module, faces: Tensor, path: Path) -> None:
    """Write the graph of ``network``, for any number of faces.

    Raises
    ------
    GndlError
        Where the packages are missing, or the method cannot be asked about faces alone.
    """
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
    except ImportError as error:
        raise GndlError(f"{error.name} is not installed; install the extra: pip install 'gndl[export]'") from error
    try:
        with torch.no_grad():
            network(faces)
    except TypeError as error:
        raise GndlError(f"This method cannot be asked about one face alone ({error}).") from error
    with torch.no_grad(), warnings.catch_warnings():
        # torch calls this exporter old; its new one needs further packages.
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.onnx.export(
            network,
            (faces,),
            str(path),
            input_names=["faces"],
            output_names=["probabilities", "logits"],
            dynamic_axes={name: {0: "batch"} for name in ("faces", "probabilities", "logits")},
            opset_version=OPSET,
            dynamo=False,
        )


def largest_difference(network: nn.Module, graph: Path, batches: list[Tensor]) -> float:
    """Return by how much probabilities and logits differ at most between ONNX Runtime and PyTorch, both float32."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
    found = 0.0
    for faces in batches:
        with torch.no_grad():
            expected = network(faces)
        for ours, theirs in zip(expected, session.run(None, {"faces": faces.numpy()}), strict=True):
            found = max(found, float(np.abs(ours.numpy() - np.asarray(theirs)).max()))
    return found


def trial_faces(count: int, side: int, colour: bool, seed: int = 0) -> Tensor:
    """Return random crops as bytes, blurred as faces are: (count, side, side) or (count, side, side, 3)."""
    coarse = np.random.default_rng(seed).integers(0, 256, (count, 8, 8, 3 if colour else 1), dtype=np.uint8)
    values = torch.from_numpy(coarse).permute(0, 3, 1, 2).float()
    smooth = nn.functional.interpolate(values, (side, side), mode="bilinear")
    faces = smooth.round().clamp(0, 255).byte().permute(0, 2, 3, 1).contiguous()
    return faces if colour else faces[..., 0].contiguous()


def precision_gap(network: nn.Module, faces: Tensor, precision: str) -> float | None:
    """Return by how much probabilities differ at most from those in the run's own precision; None where it is fp32."""
    if precision != "bf16":
        return None
    with torch.no_grad():
        in_float: NDArray[np.float32] = network(faces)[0].numpy()
        with autocast(torch.device("cpu"), "bf16"):
            in_bf16 = network(faces)[1].float().softmax(1).numpy()
    return float(np.abs(in_float - in_bf16).max())


def describe(record: dict[str, Any], side: int, difference: float, gap: float | None) -> dict[str, Any]:
    """Return model.json: what the graph takes and gives, what it was trained on, and how it was checked."""
    about = record["identity"]["extra"]
    shape = ["batch", side, side, 3] if record["colour"] else ["batch", side, side]
    return {
        "method": record["variant"],
        "database": about.get("database", "faces of one's own"),
        "source": about.get("source", "own"),
        "classes": record["expressions"],
        "input": {"name": "faces", "type": "uint8", "shape": shape, "is": "crops aligned by the eyes, 0 to 255"},
        "outputs": {name: ["batch", len(record["expressions"])] for name in ("probabilities", "logits")},
        "lam": record["lam"],
        "fold": record["fold"],
        "seed": record["seed"],
        "accuracy_last": record["accuracy_last"],
        "n_train": record["n_train"],
        "n_test": record["n_test"],
        "epochs": record["epochs"],
        "parameters": record["parameters"],
        "precision_of_training": record["settings"]["precision"],
        "largest_difference_to_pytorch": difference,
        "largest_difference_to_the_runs_precision": gap,
        "starting_weights": record["weights"],
        "identity_hash": record["identity_hash"],
        "versions": record["versions"],
        "labelled": LICENSED_FACES if about.get("source") == "licensed" else "",
    }
