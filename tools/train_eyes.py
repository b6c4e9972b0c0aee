"""Train the five-point eye predictor that the package ships, on rendered faces alone.

Run once as ``python tools/train_eyes.py``. It writes ``gndl/assets/eyes5.dat`` and ``eyes5.json`` with the error on
held-out renders; with ``--measure`` it only measures the predictor again. No photograph is used: landmarks of rendered
faces are exact, and no real face is shipped.
"""

from __future__ import annotations

import io
import json
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import dlib
import numpy as np
import tyro
from joblib import Parallel, delayed
from PIL import Image, ImageDraw, ImageFilter

from gndl.eyes import (
    BOX_IN_PATCH,
    PATCH,
    PREDICTOR,
    SECOND_ATTEMPT,
    Eyes,
    FaceBox,
    find_eyes,
    find_faces,
    main_face,
    mirror,
    patch_of_box,
    patch_of_eyes,
    read_patch,
)  # fmt: skip
from gndl.files import GndlError, atomic_write, hash_file, progress, write_json, write_text
from gndl.frames import as_grey


@dataclass(frozen=True)
class PredictorTraining:
    """How the predictor is trained."""

    people: int = 160
    """Rendered people to train on."""
    held_out: int = 40
    """Further people, on whom the error is measured."""
    shots: int = 4
    """Pictures of each person, with another pose, expression and light in each."""
    cameras: int = 2
    """Photographs of each picture, with other glasses, light, sharpness, noise and compression in each."""
    size: int = 288
    """Side of a rendered picture in pixels."""
    aligned_patches: int = 2
    """Patches aligned by the eyes, shifted, scaled and turned at random, besides the detector's box; mirrored too."""
    depth: int = 3
    cascades: int = 8
    trees: int = 500
    regularisation: float = 0.1
    oversampling: int = 3
    seed: int = 5
    jobs: int = 2
    out: Path = PREDICTOR
    measure: bool = False
    """Do not train: measure the predictor at ``out`` again and renew the report next to it."""


ELSEWHERE = 0.5
"""Error, as a fraction of the eyes' distance, above which something else was taken for the face."""


def five_points(landmarks: np.ndarray) -> np.ndarray:
    """The five points learnt of 68 landmarks: both eye centres, both outer eye corners, the nose base."""
    eyes = landmarks[36:42].mean(axis=0), landmarks[42:48].mean(axis=0)
    return np.stack([*eyes, landmarks[36], landmarks[45], landmarks[33]])


def rendered_faces(settings: PredictorTraining, number: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Render one person a few times: grey pictures, uint8 (size, size), and landmarks (68, 2) from pixel centres."""
    from standins.faces import Face, render_training_face
    from standins.head import load_head
    from standins.identity import draw_identity

    rng = np.random.default_rng([settings.seed, number])
    face = Face(draw_identity(load_head(), rng))
    pictures = [render_training_face(rng, settings.size, face) for _ in range(settings.shots)]
    return [(as_grey(picture), landmarks - 0.5) for picture, landmarks in pictures]  # from the first pixel's corner


def training_faces(settings: PredictorTraining, number: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Photograph one person's renders badly: sometimes with glasses, in any light, by many cameras."""
    rng = np.random.default_rng([settings.seed, number, 1])
    for grey, landmarks in rendered_faces(settings, number):
        for _ in range(settings.cameras):
            with_glasses = rng.random() < 0.35
            yield _as_photographed(_with_glasses(grey, landmarks, rng) if with_glasses else grey, rng), landmarks


def _with_glasses(grey: np.ndarray, landmarks: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw a frame around each eye, a bridge, and now and then a reflection."""
    picture = Image.fromarray(grey).resize((grey.shape[1] * 2, grey.shape[0] * 2))
    draw = ImageDraw.Draw(picture)
    eyes = Eyes.from_landmarks(landmarks * 2 + 0.5)
    width = eyes.distance * rng.uniform(0.28, 0.42)
    height = width * rng.uniform(0.6, 1.0)
    drop = eyes.distance * rng.uniform(-0.02, 0.15)
    shade, line = int(rng.choice([15, 40, 90, 200])), max(1, round(eyes.distance * rng.uniform(0.012, 0.07)))
    for x, y in (eyes.left, eyes.right):
        box = (x - width, y - height + drop, x + width, y + height + drop)
        if rng.random() < 0.2:
            draw.ellipse((x - width * 0.5, y - height * 0.6, x, y - height * 0.1), fill=int(rng.integers(180, 255)))
        draw.rounded_rectangle(box, radius=min(width, height) * rng.uniform(0.3, 0.95), outline=shade, width=line)
    draw.line([(eyes.left[0] + width, eyes.left[1] + drop), (eyes.right[0] - width, eyes.right[1] + drop)], shade, line)
    return np.asarray(picture.reduce(2))


def _as_photographed(grey: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Vary light, contrast, sharpness, noise and compression."""
    size = grey.shape[0]
    across, down = np.meshgrid(np.linspace(-1, 1, size), np.linspace(-1, 1, size))
    slope, angle = rng.uniform(0, 0.6), rng.uniform(0, 2 * np.pi)
    values = (grey / 255.0) ** np.exp(rng.normal(0, 0.35))
    values = values * (1 + slope * (across * np.cos(angle) + down * np.sin(angle)))
    values = np.clip(0.5 + (values - 0.5) * rng.uniform(0.5, 1.3) + rng.normal(0, 0.08), 0, 1)
    picture = Image.fromarray((values * 255).astype(np.uint8))
    if rng.random() < 0.6:
        picture = picture.filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 2.0)))
    noisy = np.asarray(picture) + rng.normal(0, rng.uniform(0, 9), (size, size))
    picture = Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8))
    if rng.random() < 0.5:
        stored = io.BytesIO()
        picture.save(stored, "JPEG", quality=int(rng.integers(25, 90)))
        picture = Image.open(stored)
    return np.asarray(picture)


def _patches(settings: PredictorTraining, number: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Cut the patches of one person that the predictor learns from, with the five points in each."""
    rng = np.random.default_rng([settings.seed, number, 2])
    patches = []
    for grey, landmarks in training_faces(settings, number):
        points, eyes = five_points(landmarks), Eyes.from_landmarks(landmarks)
        found = [face for face in find_faces(grey) if _is_on(face, points)]
        geometries = [patch_of_box(main_face(found))] if found else []
        for _ in range(settings.aligned_patches + (not found)):
            change = np.exp(rng.normal(0, 0.10) + 1j * np.deg2rad(rng.normal(0, 6)))
            geometries.append(patch_of_eyes(eyes, complex(change), complex(*rng.normal(0, 4.5, 2))))
        for geometry in geometries:
            patch, places = read_patch(grey, geometry), geometry.to_crop(points)
            patches += [(patch, places), (patch[:, ::-1], mirror(places))]
    return patches


def _is_on(face: FaceBox, points: np.ndarray) -> bool:
    return bool(np.abs(points.mean(axis=0) - (face.x, face.y)).max() < face.side / 3)


def train(settings: PredictorTraining) -> None:
    """Render, train, write the predictor, and measure it on held-out faces."""
    numbers = progress(range(settings.people), "rendering faces", unit="person")
    made = Parallel(n_jobs=settings.jobs, return_as="generator")(delayed(_patches)(settings, n) for n in numbers)
    with tempfile.TemporaryDirectory() as folder:
        images: list[str] = []
        for patch, points in (one for patches in made for one in patches):
            name = f"{len(images):06d}.png"
            Image.fromarray(patch).save(Path(folder) / name, compress_level=1)
            images.append(_xml_of_image(name, points))
        listing = Path(folder) / "faces.xml"
        content = "\n".join(images)
        write_text(listing, f"<?xml version='1.0'?>\n<dataset><images>\n{content}\n</images></dataset>\n")
        options = dlib.shape_predictor_training_options()
        options.tree_depth = settings.depth
        options.cascade_depth = settings.cascades
        options.num_trees_per_cascade_level = settings.trees
        options.nu = settings.regularisation
        options.oversampling_amount = settings.oversampling
        options.oversampling_translation_jitter = 0.0
        options.feature_pool_size = 500
        options.num_test_splits = 40
        options.num_threads = 1  # sums in another order would give other bits
        options.random_seed = str(settings.seed)
        print(f"training on {len(images)} patches", flush=True)
        with atomic_write(settings.out) as temporary:
            dlib.train_shape_predictor(str(listing), str(temporary), options)
    _report(settings, {"patches": len(images), "sha256": hash_file(settings.out)})


def measure_again(settings: PredictorTraining) -> None:
    """Renew the measured numbers in the report of a predictor trained with the same settings."""
    path = settings.out.with_suffix(".json")
    report = json.loads(path.read_text(encoding="utf-8"))
    if report["sha256"] != hash_file(settings.out) or report["settings"] != _reported(settings):
        raise GndlError(f"{path}: belongs to another predictor than {settings.out.name} with these settings; train it")
    _report(settings, {name: report[name] for name in ("patches", "sha256")})


def _report(settings: PredictorTraining, trained: dict[str, Any]) -> None:
    command = {"command": "python tools/train_eyes.py", "settings": _reported(settings)}
    report = {**command, **trained, **measure(settings)}
    write_json(settings.out.with_suffix(".json"), report)
    print(report)


def _reported(settings: PredictorTraining) -> dict[str, Any]:
    """The settings that a predictor's bytes and its measurement depend on."""
    return {name: value for name, value in asdict(settings).items() if name not in ("out", "jobs", "measure")}


def measure(settings: PredictorTraining) -> dict[str, float | int]:
    """Distance of the eyes found by `gndl.eyes.find_eyes` from the true ones, as a fraction of the eyes' distance.

    The people are numbered from 10⁶ on, so none was trained on. A face is missed where nothing is found, and false
    where the error exceeds `ELSEWHERE`; mean, percentile and largest error are those of the other faces.
    """
    numbers = progress(range(10**6, 10**6 + settings.held_out), "measuring", unit="person")
    lists = Parallel(n_jobs=settings.jobs)(delayed(_errors)(settings, number) for number in numbers)
    results = [result for some in lists for result in some]
    found = [result for result in results if result is not None]
    errors = np.array([error for error, _ in found if error <= ELSEWHERE])
    return {
        "held_out_faces": len(results),
        "held_out_faces_found": len(errors),
        "missed_rate": round((len(results) - len(found)) / len(results), 4),
        "false_face_rate": round((len(found) - len(errors)) / len(results), 4),
        "second_attempt_rate": round(sum(how == SECOND_ATTEMPT for _, how in found) / len(results), 4),
        "eye_error_mean": round(float(errors.mean()), 4),
        "eye_error_95th_percentile": round(float(np.percentile(errors, 95)), 4),
        "eye_error_largest": round(float(errors.max()), 4),
    }


def _errors(settings: PredictorTraining, number: int) -> list[tuple[float, str] | None]:
    """The mean error of both eyes in each picture of one person and how they were found; None for no face."""
    predictor = dlib.shape_predictor(str(settings.out))
    results: list[tuple[float, str] | None] = []
    for grey, landmarks in training_faces(settings, number):
        true, found = Eyes.from_landmarks(landmarks), find_eyes(grey, predictor=predictor)
        results.append(None if found is None else (eye_error(found.eyes, true), found.how))
    return results


def eye_error(found: Eyes, true: Eyes) -> float:
    """Mean distance of both eyes from their true places, as a fraction of the true eyes' distance."""
    return (Eyes(found.left, true.left).distance + Eyes(found.right, true.right).distance) / 2 / true.distance


def _xml_of_image(name: str, points: np.ndarray) -> str:
    """One picture of dlib's training file, which holds whole pixels only."""
    low = (PATCH - BOX_IN_PATCH) // 2
    parts = "".join(f"<part name='{i}' x='{round(x)}' y='{round(y)}'/>" for i, (x, y) in enumerate(points))
    box = f"<box top='{low}' left='{low}' width='{BOX_IN_PATCH}' height='{BOX_IN_PATCH}'>{parts}</box>"
    return f"<image file='{name}'>{box}</image>"


if __name__ == "__main__":
    asked = tyro.cli(PredictorTraining, description=__doc__)
    (measure_again if asked.measure else train)(asked)
