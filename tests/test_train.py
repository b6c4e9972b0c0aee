"""A run is the same bytes however often it is trained, killed and resumed, and is never taken for another."""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from planted import EXPRESSIONS, like_golden, planted_pairs
from torch import Tensor, nn

from gndl import train, trainer
from gndl.device import check_precision, choose_device, computing_on, has_fast_bf16
from gndl.files import GndlError, hash_file, hash_json
from gndl.folds import deal_folds
from gndl.methods import BUILT_IN, MethodSettings, method_settings, register_method
from gndl.model import GNDL, Losses, Method, Output
from gndl.profiles import Augmentation, TrainSettings
from gndl.train import FitResult, fit, load_method, read_weights
from gndl.trainer import Diverged, Trainer, evaluate

SETTINGS = TrainSettings(image_size=32, epochs=3, batch_size=8, checkpoint_every=0)
WITH_CHECKPOINTS = replace(SETTINGS, checkpoint_every=1)
PAIRS = planted_pairs()
TRAIN, TEST = deal_folds(PAIRS.subject, PAIRS.label, 3).train_test(0, PAIRS.subject)
COMPARED = ("weights.safetensors", "predictions.csv", "epochs.csv")
CPU = torch.device("cpu")

GOLDEN = {
    "baseline": "c4a293c1131031c8 50c4251b5e1c8957 37966153110c9de7",
    "baseline-joint-norm": "f0d6df13a4fcc344 e1320778e939d267 b976fbd656d4a28f",
    "gndl": "fab6fdb3ea561cdc 954444f0bdd8ad4e 53454f441db39b72",
    "gndl-stop-gradient": "6bbe93efc6949f8c 17f300c176f685f7 5d050b657a24514d",
    "gndl-channel-sum": "7c4f2c7d76473c9e a05fe5b7324c07cf 353496dd62085493",
    "gndl-sum": "ced41bd455d2434e 1ce0dab2948d9caf 392996f95d093874",
    "gndl-no-joint-norm": "af11974a13acb7ba 47f3b3caca90abfd 3f975dfdd6540530",
    "gndl-decoder-1": "01fc53b44acf0ae9 333378931c80c5a1 5ec39c7a6ffa677f",
    "gndl-no-bias": "367fe0d64d14e404 6c47338dfda17abb 0dfdd26be3342190",
    "gndl-lam-0": "5584ccbad997c865 847687e294b0dba1 b473ec0df6dc83ec",
    "gndl-shuffled-neutral": "825d86ce3c98e52b ff9f35fafdd449b3 888a7007f283de13",
    "gndl-concatenation": "14de5dbbccc5293c e4ced1cce3703dd2 9804790e574494e9",
    "oracle-swap": "fab6fdb3ea561cdc b7d82c7bbf1e565d 53454f441db39b72",
    "oracle-train": "27fdefb237c2ff54 4b10c625841b8f7c 25ff2278c2854e3a",
    "image-difference": "abcffe9b844aaaff 5f74ceabb576908d 0a1abd50d127a6ef",
    "gndl-by-sequence": "8329921d4091d86b f0361ba151e928d7 f5d0df7de2d393b7",
    "gndl-layer-1": "1469b312d962ac2a 331084df4d5b5b8b 4e7561bdc20da823",
    "gndl-layer-2": "9fbc9fa1860ac4c0 df61edb8e4fcc740 f4ce0da9f2f3899a",
    "gndl-layer-3": "f19e485940d63569 a3fb7c7f61354238 c7067cc4d1871e44",
    "gndl-layer-4": "fab6fdb3ea561cdc 954444f0bdd8ad4e 53454f441db39b72",
    "fdrl": "bb445062938f0ac0 6baa383eb2f357b0 f2453cf39d189545",
    "fdrl-literal": "864d4cec17632c71 5ecc2b345ae5390b 60694d8a38ef270f",
    "gcnet": "4147b4041eb2383c 3af77f65b58d7367 6b5b778c29d07fbc",
    "derl": "f9d71d758969f4cd 65f6c43f79ef2039 1560ed6c1d28e929",
    "iacnn": "13cf1b0725ff8e3c aa97bb831b291a18 2f2d5635f9303112",
    "dlp": "cfc1f3d9efdb30a8 4ae516ec50fd9206 0ded4df3c8c2264c",
    "fmpn": "c362af3164879307 e766cd07ba5952fd b287ede7a83dcb6d",
    "dan": "d1cdccd7168066c7 c51287fe07067d1c 8f2a81ad40dd778d",
    "baseline bf16": "d389d9f68faa044d 5992bb71089eaa64 6549cde995ae5714",
    "gndl bf16": "798c677a2fbcb7a2 9c15e140e3af1c6d a848d1ca1925f250",
    "baseline cosine": "4199dcd87aee7a59 f08828c52ab1d495 5de7ace9fb735d15",
    "gndl cosine": "9a509fb20f6e5fb0 0eb96a42d08ad26a edfc8e4c794abe4d",
}
"""SHA-256 (first digits) of epochs.csv, predictions.csv and the weights after two epochs.

But for the compared methods, version 1 wrote the same."""


class SmallGNDL(GNDL):
    """GNDL on one convolution, for faces of any size: a run's files do not depend on the size of its network."""

    def __init__(self, n_classes: int, lam: float) -> None:
        super().__init__(n_classes, lam)
        features = [nn.Conv2d(3, 16, 8, stride=8), nn.BatchNorm2d(16), nn.ReLU(), nn.AdaptiveAvgPool2d(4), nn.Flatten()]
        self.backbone = nn.Sequential(
            *features, nn.Linear(256, 512), nn.Dropout(0.1)
        )  # draws from the global generator


register_method("small", SmallGNDL)


def run(
    folder: Path, settings: TrainSettings = SETTINGS, method: str | MethodSettings = "small", **options: Any
) -> FitResult:
    """Train the planted pairs on their first fold, with λ = 5 where the method uses it."""
    if method_settings(method).uses_lam:
        options.setdefault("lam", 5.0)
    options = {"pairs": PAIRS, "train_index": TRAIN, "test_index": TEST, "show_progress": False} | options
    return fit(method, settings=settings, run_folder=folder, **options)


def same_bytes(one: Path, other: Path) -> bool:
    return all((one / name).read_bytes() == (other / name).read_bytes() for name in COMPARED)


def another_process(folder: Path, arguments: str) -> subprocess.Popen[str]:
    """Start a process that trains the same run in ``folder``."""
    program = (
        "import sys; sys.path.insert(0, sys.argv[1]); from pathlib import Path; import test_train\n"
        f"print('reused', test_train.run(Path(sys.argv[2]), {arguments}).reused)\n"
    )
    command = [sys.executable, "-c", program, str(Path(__file__).parent), str(folder)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


class Killed(Exception):
    """Stands for a kill."""


def kill_after(epoch: int, error: type[BaseException] = Killed) -> Callable[[dict[str, Any]], None]:
    def on_epoch(row: dict[str, Any]) -> None:
        if row["epoch"] == epoch:
            raise error

    return on_epoch


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> FitResult:
    """Three epochs without interruption."""
    return run(tmp_path_factory.mktemp("finished") / "run")


@pytest.mark.golden
@like_golden
@pytest.mark.parametrize("name", GOLDEN)
def test_every_method_gives_its_golden_bytes(name: str, tmp_path: Path) -> None:
    """A change of any number needs another NUMBERS (gndl.runs), a line in CHANGELOG and new golden bytes here."""
    assert {settings.name for settings in BUILT_IN} <= GOLDEN.keys(), "a further method needs a line of its own"
    method, _, way = name.partition(" ")
    settings = replace(SETTINGS, epochs=2, precision="bf16" if way == "bf16" else "fp32")
    settings = replace(settings, schedule="cosine") if way == "cosine" else settings
    known = replace(method_settings(method), independent_noise=False)  # version 1 gave image-difference the same noise
    pairs = replace(PAIRS, sequence=PAIRS.subject) if known.whole_sequences else PAIRS
    folder = run(tmp_path / "run", settings, known, pairs=known.pairs_for(pairs, TRAIN)).folder
    weights = hashlib.sha256()
    for key, value in sorted(read_weights(folder).items()):
        weights.update(key.encode() + value.numpy().tobytes())
    files = [
        hashlib.sha256((folder / file).read_bytes()).hexdigest()[:16] for file in ("epochs.csv", "predictions.csv")
    ]
    assert " ".join([*files, weights.hexdigest()[:16]]) == GOLDEN[name]


def test_a_finished_run_is_four_files_and_says_what_was_trained(finished: FitResult) -> None:
    """run.json says what the two tables hold; loss = loss_cls + λ · loss_neu (Eq. 11) in every row."""
    folder = finished.folder
    assert {path.name for path in folder.iterdir()} == {"run.json", *COMPARED}
    with (folder / "predictions.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["sample"]) for row in rows] == TEST.tolist()
    assert all(row["truth"] == EXPRESSIONS[PAIRS.label[int(row["sample"])]] for row in rows)
    assert all(abs(sum(float(row[f"p_{name}"]) for name in EXPRESSIONS) - 1) < 1e-6 for row in rows)
    record, epochs = json.loads((folder / "run.json").read_text()), finished.epochs
    accuracy = np.mean([row["truth"] == row["predicted"] for row in rows])
    assert record["accuracy_last"] == finished.accuracy_last == epochs[-1]["accuracy_test"] == accuracy
    assert [row["loss"] for row in epochs] == pytest.approx([row["loss_cls"] + 5 * row["loss_neu"] for row in epochs])
    parameters = sum(parameter.numel() for parameter in SmallGNDL(3, 5.0).parameters())
    expected = {
        "variant": "small", "lam": 5.0, "fold": 0, "seed": 0, "epochs": 3, "needs_neutral_at_test": False,
        "n_train": 16, "n_test": 8, "parameters": parameters, "images_per_epoch": 32, "colour": False, "weights": None,
        "expressions": list(EXPRESSIONS), "identity_hash": hash_json(record["identity"]),
    }  # fmt: skip
    assert {key: record[key] for key in expected} == expected and "n_dev" not in record
    assert record["settings"] == json.loads(json.dumps(asdict(SETTINGS)))
    assert record["time"]["images_per_second"] == pytest.approx(32 * 3 / record["time"]["seconds"], rel=0.05)


PLAIN = {
    "constant": {},
    "cosine": {
        "schedule": "cosine", "betas": (0.5, 0.6), "weight_decay": 0.1, "learning_rate": 0.004, "image_size": 16,
        "input_mean": (0.1, 0.2, 0.3), "input_std": (0.5, 0.6, 0.7),
        "augmentation": Augmentation(flip_probability=0.2, noise_sigma=0.2, independent_noise=True),
    },
    "bf16": {"precision": "bf16", "batch_size": 5},
}  # fmt: skip


@pytest.mark.parametrize("name", PLAIN)
def test_a_run_is_sections_3_4_and_4_2_in_plain_pytorch(name: str, tmp_path: Path) -> None:
    """Weights, losses, accuracies and probabilities: Adam, schedule, precision, order and noise as the settings say."""
    settings = replace(SETTINGS, **PLAIN[name])
    done = run(tmp_path, settings, lam=2.0, seed=3)
    torch.manual_seed(3)
    network = SmallGNDL(3, 2.0).to(memory_format=torch.channels_last)
    torch.manual_seed(3)  # for dropout
    data = PAIRS.on("cpu", settings.image_size, mean=settings.input_mean, std=settings.input_std)
    adam = torch.optim.Adam(
        network.parameters(), settings.learning_rate, settings.betas, weight_decay=settings.weight_decay, fused=True
    )
    generator, label = torch.Generator().manual_seed(3), torch.from_numpy(PAIRS.label)
    bf16 = torch.autocast("cpu", torch.bfloat16, enabled=settings.precision == "bf16")
    for epoch, row in enumerate(done.epochs):
        factor = {"constant": 1.0, "cosine": (1.0, 0.75, 0.25)[epoch]}[settings.schedule]
        adam.param_groups[0]["lr"] = settings.learning_rate * factor
        network.train()
        losses, seen, right = torch.zeros(3), 0, 0
        for batch in data.training_batches(TRAIN, settings.batch_size, generator, settings.augmentation):
            with bf16:
                output = network(batch.examined, batch.neutral)
                found = network.loss(output, batch.label)
            adam.zero_grad()
            found.total.backward()
            adam.step()
            losses += len(batch.label) * torch.stack([found.total, found.cls, found.neu]).detach()
            seen, right = seen + len(batch.label), right + int((output.logits.argmax(1) == batch.label).sum())
        network.eval()
        with torch.no_grad(), bf16:
            logits = network(next(data.evaluation_batches(TEST, 99)).examined).logits.float()
        values = [row[key] for key in ("loss", "loss_cls", "loss_neu", "accuracy_train", "accuracy_test")]
        accuracy = float((logits.argmax(1) == label[TEST]).double().mean())
        assert values == pytest.approx([*(losses / seen).tolist(), right / seen, accuracy], rel=1e-5)
    for key, value in read_weights(done.folder).items():
        torch.testing.assert_close(value, network.state_dict()[key], rtol=1e-5, atol=1e-7)
    written = np.loadtxt(tmp_path / "predictions.csv", delimiter=",", skiprows=1, usecols=(6, 7, 8))
    np.testing.assert_allclose(written, logits.softmax(1), rtol=1e-4)


def test_the_headline_is_the_last_epoch_not_the_best(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The best one, of equals the first, is kept next to it (L10)."""
    accuracies = iter((0.25, 0.75, 0.75, 0.5))
    monkeypatch.setattr(Trainer, "accuracy", lambda self, index: next(accuracies))
    result = run(tmp_path, replace(SETTINGS, epochs=4))
    assert result.accuracy_last == 0.5 and (result.record["accuracy_best"], result.record["epoch_best"]) == (0.75, 2)


@pytest.mark.parametrize(("every", "saved"), [(0, []), (1, [1, 2, 3, 4, 5]), (2, [2, 4, 5])])
def test_checkpoints_are_written_as_often_as_asked(
    every: int, saved: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And after the last epoch, for a kill while the results are written."""
    found: list[int] = []
    monkeypatch.setattr(Trainer, "save", lambda self, path, identity: found.append(len(self.history)))
    run(tmp_path, replace(SETTINGS, epochs=5, checkpoint_every=every))
    assert found == saved


def test_a_run_starts_from_the_weights_that_it_is_given(tmp_path: Path) -> None:
    """Of the file, with what matched in run.json; another λ, seed or fold is another run."""
    state = {f"module.{key}": value + 1 for key, value in SmallGNDL(3, 0.0).backbone.state_dict().items()}
    torch.save(state, tmp_path / "resnet18_own.pth")
    given = {"weights": tmp_path / "resnet18_own.pth", "lam": 1.0, "seed": 2, "fold": 4}
    start = Trainer(method_settings("small"), PAIRS, TRAIN, TEST, SETTINGS, weights=given["weights"], lam=1.0, seed=2)
    assert all(torch.equal(state[f"module.{key}"], value) for key, value in start.network.backbone.state_dict().items())
    record = run(tmp_path / "run", replace(SETTINGS, epochs=1), **given).record
    assert (record["variant"], record["lam"], record["seed"], record["fold"]) == ("small-own", 1.0, 2, 4)
    assert [record["identity"][key] for key in ("lam", "seed", "fold", "device")] == [1.0, 2, 4, "cpu"]
    assert record["identity"]["weights"] == record["weights"]["sha256"] == hash_file(given["weights"])
    assert (record["weights"]["name"], record["weights"]["matched"], record["weights"]["missed"]) == ("own", 8, ())
    del state["module.0.bias"]
    torch.save(state, given["weights"])
    with pytest.raises(
        GndlError, match=r"resnet18_own\.pth: 1 of the backbone's 8 tensors do not fit \(0\.bias is missing"
    ):
        run(tmp_path / "other", **given)
    found = run(tmp_path / "other", replace(SETTINGS, epochs=1), **given, weights_partial=True).record
    assert found["weights"]["missed"] == ("0.bias",)


@pytest.mark.parametrize("name", ["small", "image-difference"])
def test_only_image_difference_draws_the_noise_of_the_two_faces_independently(name: str) -> None:
    """The same noise on both would cancel in their difference, and the augmentation with it."""
    given: list[Tensor] = []

    class Watching(SmallGNDL):
        def forward(self, examined: Tensor, neutral: Tensor | None = None) -> Output:
            given.append(examined - neutral if neutral is not None else examined)
            return super().forward(examined, neutral)

    independent = method_settings(name).independent_noise
    watching = replace(method_settings("small"), factory=Watching, independent_noise=independent)
    same = replace(PAIRS, neutral_index=PAIRS.examined_index)
    Trainer(watching, same, TRAIN, TEST, SETTINGS, lam=1.0).optimise(1)
    assert [bool(difference.any()) for difference in given] == [name == "image-difference"] * 2


def test_a_run_depends_on_its_seed_and_not_on_the_state_around_it(
    finished: FitResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Global seed and threads are set for the run and restored after it, also when it fails."""
    cudnn = torch.backends.cudnn

    def set_for_runs() -> tuple[object, ...]:
        return cudnn.benchmark, cudnn.deterministic, cudnn.allow_tf32, torch.get_float32_matmul_precision()

    monkeypatch.setattr(cudnn, "deterministic", False)
    threads, before, around = torch.get_num_threads(), torch.get_rng_state(), set_for_runs()
    with pytest.raises(ZeroDivisionError), computing_on(CPU, "fp32", threads + 1, seed=3):
        assert torch.get_num_threads() == threads + 1 and set_for_runs() == (False, True, False, "highest")
        assert same_bytes(run(tmp_path / "again").folder, finished.folder)
        raise ZeroDivisionError
    assert torch.equal(torch.get_rng_state(), before) and torch.get_num_threads() == threads
    assert set_for_runs() == around
    other = run(tmp_path / "other", seed=1)
    one, two = (Trainer(method_settings("small"), PAIRS, TRAIN, TEST, SETTINGS, lam=5.0, seed=seed) for seed in (0, 1))
    orders = [
        batch.label
        for trainer in (one, two)
        for batch in trainer.data.training_batches(TRAIN, 16, trainer.generator, Augmentation())
    ]
    assert not torch.equal(*orders)
    assert not torch.equal(one.network.classifier.weight, two.network.classifier.weight)
    assert not any((other.folder / name).read_bytes() == (finished.folder / name).read_bytes() for name in COMPARED)


@pytest.mark.parametrize(
    ("every", "error", "left"),
    [(1, Killed, [3]), (2, Killed, [3]), (0, Killed, [1, 2, 3]), (0, KeyboardInterrupt, [3])],
)
def test_a_killed_training_resumes_to_the_same_bytes(
    finished: FitResult, tmp_path: Path, every: int, error: type[BaseException], left: list[int]
) -> None:
    """From its last checkpoint, if any; stopping between two epochs loses none."""
    settings = replace(SETTINGS, checkpoint_every=every)
    with pytest.raises(error):
        run(tmp_path, settings, on_epoch=kill_after(2, error))
    assert not (tmp_path / "run.json").exists()
    if checkpoint := (tmp_path / "resume.pt").exists():
        torch.save(torch.load(tmp_path / "resume.pt") | {"seconds": 1000.0}, tmp_path / "resume.pt")
    trained: list[int] = []
    done = run(tmp_path, settings, on_epoch=lambda row: trained.append(row["epoch"]))
    assert (done.record["time"]["seconds"] > 1000) == checkpoint
    assert trained == left and same_bytes(tmp_path, finished.folder) and not (tmp_path / "resume.pt").exists()


def test_a_run_killed_while_its_files_are_written_is_not_finished(
    finished: FitResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where a finished run of fewer epochs gives way to one of more."""
    run(tmp_path, replace(SETTINGS, epochs=2))
    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(train, "write_json", lambda *_: (_ for _ in ()).throw(Killed))
        run(tmp_path)
    assert not (tmp_path / "run.json").exists()
    assert same_bytes(run(tmp_path).folder, finished.folder)


def test_more_epochs_are_trained_from_the_first_and_fewer_are_refused(finished: FitResult, tmp_path: Path) -> None:
    """Two epochs grown to three equal three; files of more epochs are never overwritten by fewer."""
    run(tmp_path, replace(SETTINGS, epochs=2))
    trained: list[int] = []
    grown = run(tmp_path, on_epoch=lambda row: trained.append(row["epoch"]))
    assert trained == [1, 2, 3] and grown.record["epochs"] == 3 and same_bytes(tmp_path, finished.folder)
    with pytest.raises(GndlError, match=r"run\.json: belongs .*3 epochs, asked for 2"):
        run(tmp_path, replace(SETTINGS, epochs=2))
    with pytest.raises(Killed):
        run(tmp_path / "cut", WITH_CHECKPOINTS, on_epoch=kill_after(2))
    with pytest.raises(GndlError, match=r"resume\.pt: belongs .*2 epochs, asked for 1"):
        run(tmp_path / "cut", replace(SETTINGS, epochs=1))


def test_a_finished_run_is_read_and_a_run_whose_files_disagree_is_trained_again(
    finished: FitResult, tmp_path: Path
) -> None:
    """Settings without effect on numbers do not matter; epochs.csv has as many rows as run.json says."""
    trained: list[Any] = []
    again = run(finished.folder, replace(SETTINGS, min_steps=1, checkpoint_every=5), on_epoch=trained.append)
    assert again.reused and not trained and again.epochs == finished.epochs
    shutil.copytree(finished.folder, tmp_path / "run")
    epochs = tmp_path / "run" / "epochs.csv"
    epochs.write_text("".join(epochs.read_text().splitlines(keepends=True)[:-1]))
    assert not run(tmp_path / "run").reused and same_bytes(tmp_path / "run", finished.folder)


def test_of_two_processes_with_one_run_the_second_reads_what_the_first_wrote(
    finished: FitResult, tmp_path: Path
) -> None:
    """It waits without a step of its own, and no lock is left behind."""
    second: list[subprocess.Popen[str]] = []

    def start_second(row: dict[str, Any]) -> None:
        if not second:
            second.append(another_process(tmp_path / "run", "on_epoch=lambda row: print(row)"))

    assert not run(tmp_path / "run", on_epoch=start_second).reused
    assert second[0].communicate(timeout=900)[0].strip() == "reused True"
    assert same_bytes(tmp_path / "run", finished.folder) and [path.name for path in tmp_path.iterdir()] == ["run"]


def test_another_configuration_in_the_same_folder_is_refused(finished: FitResult, tmp_path: Path) -> None:
    """A finished run and a checkpoint are told from others by field, nothing is overwritten; damage is named."""
    before = {path.name: path.stat().st_mtime_ns for path in finished.folder.iterdir()}
    for change, field in (({"seed": 2}, "seed: 0, now 2"), ({"pairs": planted_pairs(seed=3)}, "pairs: ")):
        with pytest.raises(GndlError, match=rf"run\.json: belongs to another configuration .*{field}"):
            run(finished.folder, **change)
    assert {path.name: path.stat().st_mtime_ns for path in finished.folder.iterdir()} == before
    with pytest.raises(Killed):
        run(tmp_path, WITH_CHECKPOINTS, on_epoch=kill_after(1))
    with pytest.raises(GndlError, match=r"resume\.pt: belongs to another configuration.*seed: 0, now 1"):
        run(tmp_path, WITH_CHECKPOINTS, seed=1)
    (tmp_path / "resume.pt").write_bytes(b"PK\3\4 nothing")
    with pytest.raises(GndlError, match=r"resume\.pt: is damaged"):
        run(tmp_path)


@pytest.mark.parametrize(
    ("indices", "said"),
    [
        ({"train_index": np.arange(12), "test_index": np.arange(12, 24)}, "Subject S000 is in training and in test"),
        ({"dev_index": TEST[:2]}, "Subject .* is in test and in development"),
        ({"dev_index": TRAIN[:2]}, "Subject .* is in training and in development"),
        ({"test_index": TEST[:0]}, "no pair to test on"),
        ({"train_index": TRAIN[:1]}, "give no step"),
        ({"settings": replace(SETTINGS, epochs=0)}, "epochs must be >= 1, got 0"),
    ],
)
def test_folds_that_would_make_an_accuracy_meaningless_are_refused(
    tmp_path: Path, indices: dict[str, Any], said: str
) -> None:
    """At run time, whoever dealt the folds; nothing is written."""
    with pytest.raises(GndlError, match=said):
        run(tmp_path / "run", **indices)
    assert list(tmp_path.iterdir()) == []


def test_the_accuracy_of_development_subjects_is_kept_and_changes_nothing(finished: FitResult, tmp_path: Path) -> None:
    """A column of its own after every epoch; the fold trains as it does without them."""
    held = np.array([i for i in TEST if PAIRS.subject[i] == PAIRS.subject[TEST[0]]])
    result = run(tmp_path, test_index=np.setdiff1d(TEST, held), dev_index=held)
    assert result.record["n_dev"] == len(held) and all(0 <= row["accuracy_dev"] <= 1 for row in result.epochs)
    assert [row["loss"] for row in result.epochs] == [row["loss"] for row in finished.epochs]


class Diverging(SmallGNDL):
    """Its classification loss is not finite from a step on that it counts itself."""

    bad_step, value = 4, float("nan")

    def __init__(self, n_classes: int, lam: float) -> None:
        super().__init__(n_classes, lam)
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    def loss(self, output: Output, labels: Tensor) -> Losses:
        losses = super().loss(output, labels)
        self.steps += 1
        if int(self.steps) < self.bad_step:
            return losses
        return replace(losses, total=losses.total + self.value, cls=losses.cls + self.value)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_stops_the_training_naming_epoch_and_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: float
) -> None:
    """The second step of the second epoch, and the first epoch's checkpoint stays; a long epoch ends before its end."""
    settings = register_method("diverging", Diverging)
    monkeypatch.setattr(Diverging, "value", value)
    with pytest.raises(
        Diverged, match=rf"The loss of diverging is not finite at step 2 of epoch 2 \(total {value}.*Lower"
    ):
        run(tmp_path / "run", WITH_CHECKPOINTS, "diverging")
    state = torch.load(tmp_path / "run" / "resume.pt", weights_only=True)
    assert len(state["history"]) == 1 and all(weight.isfinite().all() for weight in state["model"].values())
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == ["epochs.csv", "resume.pt"]
    monkeypatch.setattr(trainer, "LOSS_CHECK_STEPS", 3)
    one = Trainer(settings, PAIRS, np.arange(20), TEST, replace(SETTINGS, batch_size=2), lam=5.0)
    with pytest.raises(Diverged, match=r"at step 4 of epoch 1 .*Lower the learning rate"):
        one.train_epoch(1)
    assert int(one.network.get_buffer("steps")) == 6
    monkeypatch.setattr(Diverging, "bad_step", 1)
    with pytest.raises(Diverged, match=r"step 1 of epoch 1 .* No step had been taken yet, so it is the method or λ"):
        run(tmp_path / "first", method="diverging")


def test_predictions_that_are_not_finite_are_never_kept(tmp_path: Path) -> None:
    """Those of the last step's weights, which are in no loss: neither a checkpoint nor a run is written."""
    epochs: list[Any] = []

    class LateNaN(SmallGNDL):
        def forward(self, examined: Tensor, neutral: Tensor | None = None) -> Output:
            output = super().forward(examined, neutral)
            lost = epochs and not self.training
            return replace(output, logits=output.logits * torch.nan) if lost else output

    settings = replace(method_settings("small"), factory=LateNaN)
    with pytest.raises(Diverged, match=r"predictions of small are not finite"):
        run(tmp_path, WITH_CHECKPOINTS, settings, on_epoch=epochs.append)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["epochs.csv", "resume.pt"]
    assert len(torch.load(tmp_path / "resume.pt", weights_only=True)["history"]) == 1


def test_neutral_faces_of_the_test_fold_change_nothing(finished: FitResult, tmp_path: Path) -> None:
    """Training and evaluation end in the same bytes where they are all garbage."""
    garbage = PAIRS.images.copy()
    tested = np.unique(PAIRS.neutral_index[TEST])
    garbage[tested] = np.random.default_rng(1).integers(0, 256, garbage[tested].shape)
    assert same_bytes(finished.folder, run(tmp_path, pairs=replace(PAIRS, images=garbage)).folder)


def test_only_methods_that_say_so_are_given_the_neutral_face_at_test(tmp_path: Path) -> None:
    """In every evaluation of a run, although training gave it to both."""

    class Watching(SmallGNDL):
        def forward(self, examined: Tensor, neutral: Tensor | None = None) -> Output:
            given.setdefault(self.training, set()).add(neutral is not None)
            return super().forward(examined, neutral)

    for needs in (False, True):
        given: dict[bool, set[bool]] = {}
        settings = replace(method_settings("small"), factory=Watching, needs_neutral_at_test=needs)
        run(tmp_path / str(needs), replace(SETTINGS, epochs=1), settings)
        assert given == {True: {True}, False: {needs}}


def test_a_trained_method_is_read_back_and_predicts_what_was_written(finished: FitResult, tmp_path: Path) -> None:
    """load_method and evaluate give the probabilities of predictions.csv; what is missing or damaged is named."""
    method, record = load_method(finished.folder)
    assert not method.training
    logits = evaluate(method, PAIRS.on("cpu", record["settings"]["image_size"]), TEST)
    written = np.loadtxt(finished.folder / "predictions.csv", delimiter=",", skiprows=1, usecols=(6, 7, 8))
    np.testing.assert_array_equal(logits.softmax(1), written.astype(np.float32))
    with pytest.raises(GndlError, match="holds no finished run"):
        load_method(tmp_path)
    with pytest.raises(GndlError, match=r"weights\.safetensors: is missing"):
        read_weights(tmp_path)
    (tmp_path / "weights.safetensors").write_bytes(b"12")
    with pytest.raises(GndlError, match=r"weights\.safetensors: is damaged"):
        read_weights(tmp_path)


@pytest.mark.parametrize(("size", "count"), [(32, 256), (224, 64), (448, 16)])
def test_evaluation_batches_hold_as_many_pixels_at_any_size(size: int, count: int) -> None:
    data = planted_pairs(2, 1, size).on("cpu")
    assert len(next(trainer.evaluation_batches(data, np.zeros(300, dtype=np.int64))).label) == count


class TwoSpeeds(Method):
    """A linear classifier whose bias learns ten times slower, from the second epoch on; it counts its epochs."""

    images_per_pair = 1

    def __init__(self, n_classes: int) -> None:
        super().__init__()
        self.linear = nn.Linear(3 * 16 * 16, n_classes)
        self.register_buffer("epochs_seen", torch.zeros(()))

    def forward(self, examined: Tensor, neutral: Tensor | None = None) -> Output:
        assert neutral is None
        return Output(self.linear(examined.flatten(1)), examined.flatten(1))

    def parameter_groups(self, learning_rate: float) -> Iterable[dict[str, Any]]:
        return [{"params": [self.linear.weight]}, {"params": [self.linear.bias], "lr": 0.1 * learning_rate}]

    def on_epoch(self, epoch: int, epochs: int) -> None:
        self.linear.bias.requires_grad_(epoch > 1)
        self.epochs_seen += 1


def test_your_own_method_may_have_parameter_groups_a_hook_and_a_state(tmp_path: Path) -> None:
    """Cosine over three epochs: 1, 0.75 and 0.25 of the rate; resumed to the same bytes, its source in its identity."""
    settings = register_method("two-speeds", TwoSpeeds)
    asked = replace(SETTINGS, image_size=16, learning_rate=0.01, schedule="cosine")
    one, rates = Trainer(settings, PAIRS, TRAIN, TEST, asked), []
    start = one.network.get_parameter("linear.bias").detach().clone()
    for epoch in (1, 2, 3):
        one.train_epoch(epoch)
        rates.append([group["lr"] for group in one.optimizer.param_groups])
        assert torch.equal(one.network.get_parameter("linear.bias"), start) == (epoch == 1)
    np.testing.assert_allclose(rates, [[0.01, 0.001], [0.0075, 0.00075], [0.0025, 0.00025]])
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "a", asked, "two-speeds", on_epoch=kill_after(1, KeyboardInterrupt))
    records = [run(tmp_path / name, asked, "two-speeds").record for name in "ab"]
    assert same_bytes(tmp_path / "a", tmp_path / "b") and load_method(tmp_path / "a")[0].epochs_seen == 3
    assert records[0]["identity"]["method_source"] == settings.source


@pytest.mark.parametrize("flags", ["fpu avx512f avx512_bf16", "fpu amx_bf16", "fpu avx2 avx512f"])
def test_bf16_needs_its_own_instructions_or_an_explicit_wish(flags: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the processor's flags; fp32 is always possible, tf32 never on a CPU."""
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: f"model name : x\nflags\t\t: {flags}\n")
    assert has_fast_bf16(CPU) == ("bf16" in flags)
    check_precision("fp32", CPU)
    check_precision("bf16", CPU, explicit=True)
    with pytest.raises(GndlError, match="CUDA only"):
        check_precision("tf32", CPU, explicit=True)
    with (
        nullcontext() if "bf16" in flags else pytest.raises(GndlError, match=r"no bf16 instructions.*--precision fp32")
    ):
        check_precision("bf16", CPU)


def test_devices_that_are_not_available_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """auto falls back to the CPU; cuda without a device, and unknown names, are errors."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device("auto") == choose_device(CPU) == CPU
    for name, message in (("cuda", "finds no CUDA"), ("gpu", "unknown"), ("meta", "not supported")):
        with pytest.raises(GndlError, match=message):
            choose_device(name)


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("precision", ["fp32", "tf32", "bf16"])
def test_training_on_cuda_resumes_to_what_it_is_without_interruption(tmp_path: Path, precision: Any) -> None:
    """Within what the order of sums on the device changes."""
    settings = replace(WITH_CHECKPOINTS, precision=precision)
    whole = run(tmp_path / "whole", settings, "gndl", device="cuda")
    with pytest.raises(Killed):
        run(tmp_path / "killed", settings, "gndl", device="cuda", on_epoch=kill_after(2))
    resumed = run(tmp_path / "killed", settings, "gndl", device="cuda")
    assert [row["loss"] for row in resumed.epochs] == pytest.approx([row["loss"] for row in whole.epochs], rel=0.05)
