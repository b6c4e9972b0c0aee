"""The SLURM scripts as plain processes: SLURM's variables and commands are stood in for, all else is real."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gndl import cli

ROOT = Path(__file__).resolve().parent.parent
SCRIPTS = sorted((ROOT / "cluster").iterdir())

OFFLINE = """
import socket
from pathlib import Path

def refuse(name):
    original = getattr(socket.socket, name)
    def call(self, address):
        if self.family != socket.AF_UNIX and address[0] not in ("127.0.0.1", "::1", "localhost"):
            Path(ATTEMPTS).open("a").write(f"{address}\\n")
            raise OSError("no network on this node")
        return original(self, address)
    return call

socket.socket.connect, socket.socket.connect_ex = refuse("connect"), refuse("connect_ex")
"""
"""A sitecustomize.py that lets no process out of the node, and remembers who tried."""


class Slurm:
    """A folder of commands that SLURM would have, which write down how they were called, and its variables."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.calls = folder, folder / "calls"
        (folder / "bin").mkdir(parents=True)
        (folder / "node").mkdir()
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("SLURM", "GNDL", "RAY"))},
            "PATH": f"{folder / 'bin'}:{os.environ['PATH']}",
            "SLURM_SUBMIT_DIR": str(ROOT),
            "SLURM_JOB_ID": "77",
            "SLURM_ARRAY_TASK_ID": "1",
            "SLURM_ARRAY_TASK_COUNT": "2",
            "SLURM_CPUS_PER_TASK": "1",
            "SLURM_TMPDIR": str(folder / "node"),
            "PROFILE": "smoke",
            "OUT": str(folder / "study"),
            "GNDL": str(folder / "bin" / "gndl"),
            "OMP_NUM_THREADS": "1",
        }
        self.command("scontrol", 'case "$1" in show) echo node1; echo node2;; esac')

    def command(self, name: str, body: str) -> None:
        """Make a command of ``body`` that first writes down its name and arguments."""
        file = self.folder / "bin" / name
        file.write_text(f'#!/usr/bin/env bash\necho "{name} $*" >>"{self.calls}"\n{body}\n')
        file.chmod(0o755)

    def start(self, script: str, *words: str, **variables: str) -> subprocess.Popen[str]:
        """Start a script as SLURM would."""
        return subprocess.Popen(
            ["bash", str(ROOT / "cluster" / script), *words],
            env={**self.environment, **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, script: str, *words: str, **variables: str) -> tuple[int, str]:
        """Run a script; its exit status and what it printed."""
        process = self.start(script, *words, **variables)
        printed, _ = process.communicate(timeout=1200)
        return process.returncode, printed

    def called(self, name: str) -> list[str]:
        """How a command was called, in order."""
        lines = self.calls.read_text().splitlines() if self.calls.exists() else []
        return [line.removeprefix(f"{name} ") for line in lines if line.startswith(f"{name} ")]


@pytest.fixture
def slurm(tmp_path: Path) -> Slurm:
    """A node of a cluster that there is not."""
    return Slurm(tmp_path)


def wait_for(file: Path, lines: int = 1) -> None:
    """Wait until a file has so many lines."""
    end = time.monotonic() + 600
    while not file.exists() or file.read_bytes().count(b"\n") < lines:
        assert time.monotonic() < end, f"{file} was not written"
        time.sleep(0.01)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_every_script_is_valid_bash_and_stops_at_errors(script: Path) -> None:
    """It parses, sets -euo pipefail, and its first line names bash."""
    assert subprocess.run(["bash", "-n", str(script)], capture_output=True).returncode == 0
    lines = script.read_text().splitlines()
    assert lines[0] == "#!/usr/bin/env bash" and "set -euo pipefail" in lines
    directives = [line for line in lines if line.startswith("#SBATCH")]
    first_command = next(number for number, line in enumerate(lines) if line and not line.startswith("#"))
    assert all(lines.index(line) < first_command for line in directives)  # sbatch reads none after a command


def test_the_array_trains_a_study_that_was_stopped_on_the_way(
    slurm: Slurm, rendered_trees: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Prepared on one node, trained on others from their own disks without a network, once stopped and requeued.

    Every byte is that of a study trained by one process.
    """
    folder = slurm.folder
    (folder / "offline").mkdir()
    attempts = folder / "attempts"
    (folder / "offline" / "sitecustomize.py").write_text(f"ATTEMPTS = {str(attempts)!r}\n{OFFLINE}")
    slurm.command("gndl", f'exec "{sys.executable}" -m gndl.cli "$@"')
    common = {
        "DATA": str(rendered_trees["ckplus"].parent),
        "DATABASES": "ckplus",
        "STUDY_OPTIONS": "--epochs 4 --device cpu",
        "PYTHONPATH": str(folder / "offline"),
    }
    code, printed = slurm.run("study.sbatch", "prepare", **common, GNDL_DATA=str(folder / "data"))
    assert code == 0, printed
    crops = (folder / "study" / "crops.txt").read_text().split()
    assert [Path(crop).parent for crop in crops] == [folder / "data" / "crops"]

    there = {**common, "GNDL_DATA": str(folder / "other-node")}  # where no crops lie but those that are copied
    first = folder / "study" / "ckplus" / "gndl" / "lam-5" / "fold-0" / "seed-0"
    process = slurm.start("study.sbatch", "array", **there)
    wait_for(first / "epochs.csv", lines=2)
    process.send_signal(signal.SIGUSR1)
    printed, _ = process.communicate(timeout=600)
    assert process.returncode == 75, printed
    assert "requeue 77" in slurm.called("scontrol")
    assert (first / "resume.pt").exists() and not (first / "run.json").exists()

    for task in ("1", "2"):
        code, printed = slurm.run("study.sbatch", "array", **there, SLURM_ARRAY_TASK_ID=task)
        assert code == 0, printed
        assert f"Share {task}/2: 1 of 2 runs." in printed
    assert not (folder / "other-node").exists() and not list((folder / "node").iterdir())
    assert not attempts.exists(), attempts.read_text()

    monkeypatch.setenv("GNDL_DATA", str(folder / "data"))
    serial = cli.Train(
        profile="smoke", databases=("ckplus",), data=common["DATA"], out=str(folder / "serial"), epochs=4,
        device="cpu", jobs=1,
    )  # fmt: skip
    assert cli.run(serial) == 0
    for method, lam in (("gndl", "lam-5"), ("baseline", "lam-none")):
        for name in ("weights.safetensors", "predictions.csv", "epochs.csv"):
            one, other = (folder / out / "ckplus" / method / lam / "fold-0" / "seed-0" / name
                          for out in ("study", "serial"))  # fmt: skip
            assert one.read_bytes() == other.read_bytes(), one
    assert (folder / "study" / "accuracy.csv").read_bytes() == (folder / "serial" / "accuracy.csv").read_bytes()


@pytest.mark.parametrize(("code", "requeued"), [(0, False), (1, False), (75, True), (138, True), (143, True)])
def test_only_a_command_that_a_signal_stopped_is_requeued(slurm: Slurm, code: int, requeued: bool) -> None:
    """75 is the documented status; 138 and 143 are what the signals do to a process that is just starting."""
    slurm.command("gndl", f"exit {code}")
    status, _ = slurm.run("study.sbatch", "notebooks")
    assert status == (75 if requeued else code)
    assert slurm.called("scontrol") == (["requeue 77"] if requeued else [])
    assert "--shard" not in slurm.called("gndl")[0]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_to_the_script_reaches_the_command(slurm: Slurm, number: signal.Signals) -> None:
    """Whichever SLURM sends, the command gets SIGUSR1, is waited for, and the job is requeued."""
    ready = slurm.folder / "ready"
    slurm.command("gndl", f"trap 'sleep 0.3; exit 75' USR1\necho >{ready}\nwhile true; do sleep 0.05; done")
    process = slurm.start("study.sbatch", "notebooks")
    wait_for(ready)
    process.send_signal(number)
    printed, _ = process.communicate(timeout=60)
    assert process.returncode == 75
    assert "requeued" in printed and slurm.called("scontrol") == ["requeue 77"]


def test_a_job_that_never_gets_anywhere_is_not_requeued_for_ever(slurm: Slurm) -> None:
    """After MAX_REQUEUES restarts the job ends, and says how to go on."""
    slurm.command("gndl", "exit 75")
    status, printed = slurm.run("study.sbatch", "notebooks", SLURM_RESTART_COUNT="3", MAX_REQUEUES="3")
    assert (status, slurm.called("scontrol")) == (75, [])
    assert "not requeued" in printed


def test_mistakes_are_named(slurm: Slurm) -> None:
    """A step that there is not, an array before its preparation, another folder than the repository's root."""
    slurm.command("gndl", "exit 0")
    for words, variables, said in (
        (("train",), {}, "no step train"),
        (("array",), {}, "run the step prepare first"),
        (("prepare",), {"SLURM_SUBMIT_DIR": str(slurm.folder)}, "from the repository's root"),
    ):
        status, printed = slurm.run("study.sbatch", *words, **variables)
        assert status == 2 and said in printed
    assert not slurm.called("gndl")


def test_the_three_steps_wait_for_each_other(slurm: Slurm) -> None:
    """The array waits for prepare and the notebooks for the array; further options go to all three."""
    slurm.command("sbatch", f'echo "$((100 + $(wc -l <"{slurm.calls}")));cluster"')
    status, printed = slurm.run("submit.sh", "--partition=gpu", SHARDS="4")
    assert status == 0
    assert slurm.called("sbatch") == [
        "--parsable --partition=gpu cluster/study.sbatch prepare",
        "--parsable --partition=gpu --array=1-4 --dependency=afterok:101 cluster/study.sbatch array",
        "--parsable --partition=gpu --dependency=afterok:102 cluster/study.sbatch notebooks",
    ]
    assert "notebooks 103" in printed


@pytest.mark.parametrize(("shards", "share"), [({"SHARDS": "8"}, "3/8"), ({}, "3/5")])
def test_a_share_that_is_submitted_by_itself_is_dealt_as_the_first_time(
    slurm: Slurm, shards: dict[str, str], share: str
) -> None:
    """SLURM counts the jobs of the array at hand, 1 for `--array=3`; without SHARDS that count is all there is."""
    slurm.command("gndl", "exit 0")
    (slurm.folder / "study").mkdir()
    (slurm.folder / "study" / "crops.txt").write_text("")
    count = "1" if shards else "5"
    status, printed = slurm.run(
        "study.sbatch", "array", SLURM_ARRAY_TASK_ID="3", SLURM_ARRAY_TASK_COUNT=count, **shards
    )
    assert status == 0, printed
    assert f"--shard {share} " in slurm.called("gndl")[0]


def test_every_job_of_a_submitted_study_knows_the_number_of_shares(slurm: Slurm) -> None:
    """Also where nobody named it."""
    slurm.command("sbatch", f'echo "shards $SHARDS" >>"{slurm.calls}"\necho 7')
    assert slurm.run("submit.sh")[0] == 0
    assert slurm.called("shards") == ["8", "8", "8"]


@pytest.mark.parametrize("document", ["docs/cluster.md", "cluster/ray.sbatch"])
def test_what_a_document_says_to_submit_for_ray_prepares_the_same_study_first(slurm: Slurm, document: str) -> None:
    """Both jobs get the same variables, and the second waits for the first."""
    lines = [line.removeprefix("#").strip() for line in (ROOT / document).read_text().splitlines()]
    first = lines.index("export PROFILE=paper DATA=/scratch/faces")
    slurm.command("sbatch", f'echo "with $PROFILE $DATA" >>"{slurm.calls}"\necho "101;cluster"')
    subprocess.run(["bash", "-euc", "\n".join(lines[first : first + 3])], env=slurm.environment, check=True)
    prepare, ray = slurm.called("sbatch")
    assert prepare == "--parsable cluster/study.sbatch prepare"
    assert ray == "--dependency=afterok:101 --nodes=4 --gpus-per-node=2 cluster/ray.sbatch"
    assert slurm.called("with") == ["paper /scratch/faces"] * 2


SRUN = 'while [ "${1#-}" != "$1" ]; do shift; done\nexec "$@"'
"""Runs what follows srun's options here and now."""


@pytest.mark.parametrize("code", [0, 75])
def test_a_ray_head_and_workers_are_started_and_the_study_runs_beside_them(slurm: Slurm, code: int) -> None:
    """The head on the first node, workers on the others, the study at their address; all end with the script."""
    slurm.command("srun", SRUN)
    slurm.command("hostname", "echo 127.0.0.1")
    pids = slurm.folder / "pids"
    slurm.command("ray", f'echo "token $RAY_AUTH_MODE $RAY_AUTH_TOKEN" >>"{slurm.calls}"\n'
                         f'echo $$ >>"{pids}"\nexec sleep 600')  # fmt: skip
    slurm.command("gndl", f'while [ "$(wc -l <"{pids}")" -lt 2 ]; do sleep 0.05; done\n'
                          f'echo "address $RAY_ADDRESS" >>"{slurm.calls}"\nexit {code}')  # fmt: skip
    status, printed = slurm.run(
        "ray.sbatch", SLURM_JOB_NODELIST="node[1-2]", SLURM_JOB_NUM_NODES="2", SLURM_GPUS_ON_NODE="2",
        SLURM_CPUS_PER_TASK="8", RAY=str(slurm.folder / "bin" / "ray"), RAY_PATIENCE="1", RUNS_PER_GPU="3",
    )  # fmt: skip
    assert status == code, printed
    head, worker = sorted(slurm.called("ray"), key=lambda line: "--head" not in line)
    assert head.startswith("start --head --node-ip-address=127.0.0.1 --port=20077 --num-cpus=8 --num-gpus=2 ")
    assert worker.startswith("start --address=127.0.0.1:20077 --num-cpus=8 --num-gpus=2 ") and "--block" in worker
    assert any("--exclude=node1" in line and "--nodes=1" in line for line in slurm.called("srun"))
    starting = [line for line in slurm.called("srun") if " start " in line]
    assert len(starting) == 2 and all("--cpus-per-task=8 " in line for line in starting), "srun takes none over"
    assert slurm.called("address") == ["127.0.0.1:20077"]
    (token,) = set(slurm.called("token"))  # the head's and the workers'
    assert re.fullmatch("token [0-9a-f]{64}", token)
    (study,) = slurm.called("gndl")
    assert study.startswith("study --profile smoke --databases ckplus oulu_casia mmi ")
    assert study.endswith("--engine ray --runs-per-gpu 3")
    assert slurm.called("scontrol") == ["show hostnames node[1-2]", *(["requeue 77"] if code else [])]
    for pid in pids.read_text().split():
        assert not Path(f"/proc/{pid}").exists()
