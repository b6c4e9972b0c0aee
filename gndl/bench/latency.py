"""One face: from a photograph on disk to probabilities, stage by stage."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import torch

from gndl.align import cut, geometry_from_eyes
from gndl.bench.asked import Asked
from gndl.bench.plots import ratios
from gndl.bench.preparation import root_of, some_sequences
from gndl.bench.repeats import NotMeasured, Result, interleaved, seconds, spread
from gndl.bench.trainings import LAM
from gndl.databases import read_database
from gndl.device import choose_device, computing_on
from gndl.eyes import find_eyes, find_faces
from gndl.frames_reading import as_grey, read_image
from gndl.methods import build_method
from gndl.model import Method
from gndl.pairs import downscale
from gndl.paths import resolve
from gndl.photograph import crop_photograph
from gndl.profiles import CropSettings, TrainSettings
from gndl.sharing.export import FromBytes, write_onnx
from gndl.train import load_method

DETECTOR, WHOLE = "detector alone", "photograph to probabilities"
ONNX = "photograph to probabilities, ONNX Runtime"


def face_and_network(asked: Asked) -> tuple[Path, Method, TrainSettings, str]:
    """Return a photograph, a network with its settings, and what they are, in words.

    The photograph is an expressive frame of the first database that has pictures of its own; the network that of
    ``asked.run``, else GNDL before training, which costs the same.
    """
    name = asked.databases[0]
    database = read_database(name, root_of(asked, name))
    photograph = some_sequences(database, 1)[0].examined[-1].path
    kind = "a rendered frame" if database.source == "rendered" else "a frame"
    if asked.run:
        method, record = load_method(resolve(asked.run))
        settings = record["settings"]
        of_run = TrainSettings(
            image_size=settings["image_size"], input_mean=tuple(settings["input_mean"]),
            input_std=tuple(settings["input_std"]),
        )  # fmt: skip
        return photograph, method, of_run, f"{kind} of {name}; the network of a finished run ({record['variant']})"
    settings = TrainSettings(image_size=asked.image_sizes[0])
    words = f"{kind} of {name}; GNDL before training, which costs the same"
    return photograph, build_method("gndl", 7, LAM).eval(), settings, words


def measure(asked: Asked) -> Result:
    """Measure every stage with everything loaded, one thread."""
    try:
        import onnxruntime
    except ImportError as error:
        raise NotMeasured("onnxruntime is not installed; install the extra: pip install 'gndl[export]'") from error

    device = choose_device("cpu")
    photograph, method, settings, words = face_and_network(asked)
    network = FromBytes(method, vars(settings), colour=False).eval()
    picture = read_image(photograph)
    grey, side = as_grey(picture), settings.image_size
    found = find_eyes(grey)
    if found is None:
        raise NotMeasured(f"{photograph}: shows no face that the detector finds; name other data (--data)")
    crop = CropSettings()
    geometry = geometry_from_eyes(found.eyes, crop)
    faces = downscale(cut(grey, geometry)[None], side)
    with tempfile.TemporaryDirectory(prefix="gndl-latency-") as folder:
        graph = Path(folder) / "model.onnx"
        write_onnx(network, faces, graph)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        session = onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])

    def by_torch(face: torch.Tensor) -> np.ndarray:
        with torch.inference_mode():
            probabilities: np.ndarray = network(face)[0].numpy()
        return probabilities

    def by_onnx(face: torch.Tensor) -> np.ndarray:
        return np.asarray(session.run(["probabilities"], {"faces": face.numpy()})[0])

    def face_of_photograph() -> torch.Tensor:
        return downscale(as_grey(crop_photograph(photograph, crop).image)[None], side)

    turns = {
        DETECTOR: seconds(lambda: find_faces(grey)),
        "read": seconds(lambda: read_image(photograph)),
        "detect and find eyes": seconds(lambda: find_eyes(grey)),
        "cut and scale": seconds(lambda: downscale(cut(grey, geometry)[None], side)),
        "network, PyTorch": seconds(lambda: by_torch(faces)),
        "network, ONNX Runtime": seconds(lambda: by_onnx(faces)),
        WHOLE: seconds(lambda: by_torch(face_of_photograph())),
        ONNX: seconds(lambda: by_onnx(face_of_photograph())),
    }
    with computing_on(device, "fp32", 1, 0):
        repeats = interleaved(turns, 4 * asked.repeats, description="one face")
    repeats["value"] *= 1000
    table = spread(repeats, DETECTOR)
    medians = table.set_index("way")["median"]
    height, width = grey.shape
    return Result(
        name="latency",
        title="One face, from photograph to probabilities",
        reading=(
            f"Milliseconds for one face with everything loaded, one thread of a processor, fp32, crops of {side} "
            f"pixels: {words}, {width} × {height} pixels. The face detector alone, on the picture already read, "
            "stands for 1. Start-up (importing, loading weights) is not in it."
        ),
        table=table,
        repeats=repeats,
        notes=(f"Photograph to probabilities: {medians[WHOLE]:.1f} ms; with ONNX Runtime {medians[ONNX]:.1f} ms.",),
        figure=ratios(table, "One face, stage by stage", "ms", log=True),
    )
