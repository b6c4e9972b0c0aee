"""What is measured, and at which sizes: data, from which no benchmark departs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Asked:
    """Sizes of all benchmarks; the defaults are those whose tables are kept.

    Parameters
    ----------
    device : str
        ``"cpu"`` or ``"cuda"``.
    repeats : int
        Turns of every way that count; one more warms up.
    image_sizes : tuple of int
        Sides of the crops in pixels, for training.
    batch_size : int
        Pairs in a batch.
    batches : int
        Batches in a turn at most.
    loaded_batches : int
        Batches in a turn of the comparison with the usual way, at every size: enough that workers run ahead of the
        training for most of it, as they do in a long epoch.
    stored_size : int
        Side in pixels of the crops that the usual way reads from files; the package's own crops have 224.
    cores : int
        Cores that the comparison with the usual way may use.
    workers : tuple of int
        Numbers of DataLoader workers that are tried.
    gpu_batch_size, gpu_image_size, gpu_matmul, gpu_steps : int
        Pairs, pixels, side of the matrices whose product gives the peak, and steps in a turn, of the GPU's benchmark.
    compile_with : str
        Backend of ``torch.compile``; "" leaves it out.
    profile : str
        Whose stand-ins, folds and training settings are taken.
    data : str
        Folder of licensed copies in place of the stand-ins.
    databases : tuple of str
        Databases that are prepared; the first is trained on for accuracies.
    frames : int
        Frames of each database that are prepared in a turn, at least.
    study, run : str
        A finished study, for its notebooks and for the accuracies of runs that it holds; a finished run, for the
        latency of its own weights.
    notebooks : str
        First signs of the notebooks that are run.
    growth_pairs : tuple of int
        Numbers of pairs.
    growth_stored, growth_trained : int
        Sides of the crops in the file, and of those that are trained on.
    folds : int
        Folds of the paired accuracies at most.
    epochs : int
        Epochs of the paired accuracies; 0 for the profile's.
    ways : tuple of str
        Ways whose accuracy is compared; all that change numbers by default.
    jobs : int
        Trainings at once, for accuracies alone.
    scratch : Path or None
        Folder for large files; by default the data folder for the crops of `growth`, the system's for others.
    """

    device: str = "cpu"
    repeats: int = 5
    image_sizes: tuple[int, ...] = (64, 112, 224)
    batch_size: int = 16
    batches: int = 4
    loaded_batches: int = 8
    stored_size: int = 224
    cores: int = 2
    workers: tuple[int, ...] = (0, 1, 2)
    gpu_batch_size: int = 8
    gpu_image_size: int = 64
    gpu_matmul: int = 1024
    gpu_steps: int = 2
    compile_with: str = "inductor"
    profile: str = "quick"
    data: str = ""
    databases: tuple[str, ...] = ("ckplus", "oulu_casia", "mmi")
    frames: int = 40
    study: str = "runs/quick"
    run: str = ""
    notebooks: str = "123457"
    growth_pairs: tuple[int, ...] = (1_000, 10_000, 100_000)
    growth_stored: int = 64
    growth_trained: int = 32
    folds: int = 10
    epochs: int = 0
    ways: tuple[str, ...] = ()
    jobs: int = 1
    scratch: Path | None = None


GPU_SIZES = {"gpu_batch_size": 128, "gpu_image_size": 224, "gpu_matmul": 8192, "gpu_steps": 5}
"""The paper's batch and pixels, for a card; on a processor one step of these takes minutes."""

TINY = {
    "repeats": 1,
    "image_sizes": (32,),
    "batch_size": 3,
    "batches": 1,
    "loaded_batches": 1,
    "stored_size": 48,
    "cores": 1,
    "workers": (0, 1),
    "gpu_batch_size": 3,
    "gpu_image_size": 32,
    "gpu_matmul": 64,
    "gpu_steps": 1,
    "compile_with": "",
    "frames": 4,
    "notebooks": "7",
    "growth_pairs": (6, 12),
    "growth_stored": 48,
    "growth_trained": 32,
}
"""Sizes at which everything runs in seconds; the numbers mean nothing.

No crop below 17 pixels is trained on in bf16: torch 2.14 leaves what memory held before in the weight gradient of a
convolution with stride 2 over a single pixel, which is what layer 4 sees there.
"""
