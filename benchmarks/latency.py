"""One face from photo to probabilities, stage by stage, in PyTorch and ONNX Runtime, versus the face detector alone.

``python benchmarks/latency.py --photo photo.jpg`` prints milliseconds on one thread, with everything loaded. Without a
photo, a rendered face (320 pixels) is used; the network is untrained, which costs the same.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from measuring import CPU, interleaved, options, seconds, show, spread
from PIL import Image

import standins
from gndl.device import computing_on
from gndl.export import FromBytes, write_onnx
from gndl.eyes import cut, find_eyes, find_faces, geometry_from_eyes
from gndl.frames import as_grey, open_photograph
from gndl.methods import build_method, method_settings
from gndl.pairs import downscale
from gndl.predict import crop_photograph
from gndl.profiles import CropSettings, TrainSettings


def main() -> None:
    """Measure every stage, and the whole way by both runtimes."""
    parser = options(__doc__)
    parser.add_argument("--photo", type=Path, help="picture with one face")
    parser.add_argument("--pixels", type=int, default=64, help="side of the network's input")
    asked = parser.parse_args()
    repeats = 1 if asked.tiny else 4 * asked.repeats
    settings = TrainSettings(image_size=asked.pixels)
    network = FromBytes(build_method(method_settings("gndl"), 7, 5.0).eval(), vars(settings), colour=False).eval()
    with tempfile.TemporaryDirectory(prefix="gndl-latency-") as folder:
        photo = asked.photo or Path(folder) / "photo.png"
        if asked.photo is None:
            Image.fromarray(standins.Studio(seed=1).render(320)).save(photo)
        picture = open_photograph(photo)
        grey, crop = as_grey(picture), CropSettings()
        found = find_eyes(grey)
        if found is None:
            raise SystemExit(f"{photo}: no face found")
        geometry = geometry_from_eyes(found.eyes, crop)

        def scaled(image: np.ndarray) -> torch.Tensor:
            return torch.as_tensor(downscale(as_grey(image)[None], settings.image_size))

        def by_torch(face: torch.Tensor) -> np.ndarray:
            with torch.inference_mode():
                return network(face)[0].numpy()

        face, graph = scaled(cut(grey, geometry)), Path(folder) / "model.onnx"
        write_onnx(network, face, graph)
        one_thread = onnxruntime.SessionOptions()
        one_thread.intra_op_num_threads = 1
        session = onnxruntime.InferenceSession(str(graph), one_thread, providers=["CPUExecutionProvider"])

        def by_onnx(face: torch.Tensor) -> np.ndarray:
            return np.asarray(session.run(["probabilities"], {"faces": face.numpy()})[0])

        turns = {
            "detector alone": seconds(lambda: find_faces(grey)),
            "read": seconds(lambda: open_photograph(photo)),
            "detect and find eyes": seconds(lambda: find_eyes(grey)),
            "cut and scale": seconds(lambda: scaled(cut(grey, geometry))),
            "network, PyTorch": seconds(lambda: by_torch(face)),
            "network, ONNX Runtime": seconds(lambda: by_onnx(face)),
            "photo to probabilities": seconds(lambda: by_torch(scaled(crop_photograph(photo, crop).image))),
            "the same, ONNX Runtime": seconds(lambda: by_onnx(scaled(crop_photograph(photo, crop).image))),
        }
        with computing_on(CPU, "fp32", 1, 0):
            table = interleaved(turns, repeats)
    table["value"] *= 1000
    show([spread(table, "detector alone").assign(unit="ms")], asked.out)


if __name__ == "__main__":
    main()
