"""What ``gndl doctor`` makes of a machine, on facts that are made up, and what a GPU that cannot be used stops."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from gndl.errors import GndlError
from gndl.machine import commands as machine_commands
from gndl.machine import gpu_check
from gndl.machine.doctor import GIGABYTE, DatabaseFound, Disk, Facts, Finding, Server, examine, exit_status, report
from gndl.machine.facts import MANAGER, _databases, widget_manager
from gndl.machine.gpu_check import Card, SeenGpu, require_usable_gpu, seen_gpu, serves, torch_build, why_unusable
from gndl.sharing import commands as sharing_commands

SOUND = Facts(
    python=(3, 11),
    torch="2.14.1+cpu",
    fast_bf16=True,
    cores=2,
    memory=8 * GIGABYTE,
    ipywidgets="8.1.7",
    servers=(Server("/env", "5.0.15", own=True),),
    kernels={"gndl": "/env/bin/python"},
    executable="/env/bin/python",
    disks=(Disk("/data", 90 * GIGABYTE, 2 * GIGABYTE, "a study"),),
    databases=(DatabaseFound("ckplus", "327 sequences of 118 subjects, licensed, at /data/CK+"),),
)
OLD_DRIVER = SeenGpu("nvidia-smi lists Tesla V100", ("Tesla V100",), "535.54.03", "12.2")


def problems(facts: Facts) -> list[Finding]:
    return [one for one in examine(facts) if one.kind == "problem"]


def only(facts: Facts) -> Finding:
    """The one problem that there is; it has a mend."""
    (one,) = problems(facts)
    assert one.mend
    assert exit_status(examine(facts)) == 1
    return one


def test_a_sound_machine_has_no_problem() -> None:
    """Status 0, and the last line says so."""
    assert problems(SOUND) == []
    assert exit_status(examine(SOUND)) == 0
    assert report(examine(SOUND)).endswith("Nothing stands in the way of a study.")


def test_an_old_driver_is_named_beside_the_build_and_its_mend() -> None:
    """Driver, CUDA of both, and a wheel index that the driver can serve."""
    facts = replace(SOUND, torch="2.14.1", torch_cuda="13.0", seen=OLD_DRIVER)
    one = only(facts)
    assert one.subject == "device"
    for words in ("535.54.03", "12.2", "13.0", "cu126", "--device cpu"):
        assert words in one.mend
    assert "1 problem." in report(examine(facts))


def test_the_build_for_processors_beside_a_gpu_is_a_problem() -> None:
    """It says which build to install; without a GPU the same build is fine."""
    assert "build for processors" in only(replace(SOUND, seen=OLD_DRIVER)).mend
    assert problems(replace(SOUND, seen=SeenGpu())) == []


@pytest.mark.parametrize(
    ("seen", "cuda", "hidden", "words"),
    [
        (OLD_DRIVER, "12.8", True, "CUDA_VISIBLE_DEVICES hides"),
        (SeenGpu("/dev/nvidia0 is there"), "12.8", False, "nvidia-smi does not answer"),
        (OLD_DRIVER, "12.8", False, "the driver answers"),
        (SeenGpu("x", ("x",), "470.1", "11.4"), "12.8", False, "INDEX/cpu"),
    ],
)
def test_why_a_gpu_cannot_be_used(seen: SeenGpu, cuda: str, hidden: bool, words: str) -> None:
    """Hidden, without a driver, a driver of the same major version, and one too old for every build."""
    assert words in why_unusable(seen, "2.14.1", cuda, hidden)


def test_builds_of_torch_follow_the_driver() -> None:
    """The newest build that a driver serves; a driver of CUDA 12 serves every build of CUDA 12."""
    assert [torch_build(cuda) for cuda in ("13.1", "12.9", "12.6", "12.2", "11.8", "", "0.0")] == [
        "cu130", "cu128", "cu126", "cu126", "cpu", "cu130", "cpu",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("card", "compiled", "runs"),
    [
        ("sm_70", ["sm_75", "sm_80"], False),  # of one generation, but older than the code
        ("sm_86", ["sm_80"], True),
        ("sm_80", ["sm_86"], False),
        ("sm_120", ["sm_80", "compute_90"], True),  # PTX is compiled for newer cards when it is loaded
        ("sm_80", ["sm_90", "compute_90"], False),
        ("sm_120", ["sm_90", "sm_100"], False),
        ("sm_90", ["sm_90a"], True),
        ("sm_103", ["sm_100a", "compute_90a"], False),
        ("sm_103", ["sm_100f"], True),
        ("sm_90", ["gfx90a"], True),
        ("sm_90", [], True),
    ],
)
def test_code_runs_on_cards_of_its_generation_and_ptx_on_newer_ones(card: str, compiled: list[str], runs: bool) -> None:
    """By NVIDIA's rules; where nothing is known of the build, nothing is held against the card."""
    assert serves(compiled, card) == runs


def test_a_card_that_torch_was_not_compiled_for_is_a_problem() -> None:
    """A Volta card with a build from Turing on, of the same generation by number; each is named with its mend."""
    facts = replace(SOUND, torch_cuda="13.0", cuda_available=True, compiled=("sm_75", "sm_80", "sm_90"))
    volta, turing, newer = Card("V100", "sm_70"), Card("T4", "sm_75"), Card("RTX 5090", "sm_120")
    one = only(replace(facts, cards=(volta, turing)))
    assert "V100 (sm_70)" in one.found and "T4" not in one.found and "an older torch" in one.mend
    assert "a newer torch" in only(replace(facts, cards=(newer,))).mend
    assert problems(replace(facts, cards=(turing, Card("A10", "sm_86")))) == []
    assert problems(replace(facts, cards=(newer,), compiled=("sm_80", "compute_90"))) == []


def test_profile_paper_stops_on_a_card_that_torch_has_no_code_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is available to torch and fails at the first kernel; a card beside it that is asked for by number goes on."""
    import torch

    found = (Card("A100", "sm_80"), Card("V100", "sm_70"))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_arch_list", lambda: ["sm_75", "sm_80"])
    monkeypatch.setattr(gpu_check, "cards", lambda: found)
    for device in ("auto", "cuda", "cuda:1"):
        with pytest.raises(GndlError, match=r"V100 \(sm_70\).*sm_75, sm_80.*an older torch.*--device cpu"):
            require_usable_gpu("paper", device)
    require_usable_gpu("paper", "cuda:0")
    require_usable_gpu("paper", "cpu")
    require_usable_gpu("quick", "auto")


def test_widgets_are_looked_for_in_kernel_and_server() -> None:
    """This environment's JupyterLab must have them; another one's lack is a note with its mend."""
    assert only(replace(SOUND, ipywidgets="")).subject == "widgets in the kernel"
    assert "no extension" in only(replace(SOUND, servers=(Server("/env", "", own=True),))).found
    assert "too old" in only(replace(SOUND, servers=(Server("/env", "3.1.1", own=True),))).found
    other = replace(SOUND, servers=(*SOUND.servers, Server("/hub/bin/jupyter-lab", "")))
    assert problems(other) == []
    notes = [one for one in examine(other) if one.kind == "note"]
    assert [one.subject for one in notes if "jupyterlab_widgets" in one.mend] == ["widgets in /hub/bin/jupyter-lab"]


def test_a_kernel_of_another_environment_is_a_problem() -> None:
    """And one that is not registered a note."""
    assert "make kernel" in only(replace(SOUND, kernels={"gndl": "/old/bin/python"})).mend
    assert problems(replace(SOUND, kernels={})) == []


def test_disk_memory_data_and_packages() -> None:
    """Each with its mend; two problems count as two."""
    full = only(replace(SOUND, disks=(Disk("/data", GIGABYTE, 2 * GIGABYTE, "a study"),)))
    assert "GNDL_DATA" in full.mend and full.found == "1.0 GB free at /data; 2.0 for a study"
    assert only(replace(SOUND, memory=GIGABYTE)).subject == "memory"
    assert "gndl check" in only(replace(SOUND, databases=(DatabaseFound("mmi", "", "no such folder"),))).mend
    assert only(replace(SOUND, missing=("anny>=0.6.2",))).subject == "packages"
    assert only(replace(SOUND, notebooks=0)).subject == "notebooks"
    assert only(replace(SOUND, python=(3, 14))).subject == "Python"
    assert only(replace(SOUND, torch="", torch_error="libcudart.so")).subject == "torch"
    both = examine(replace(SOUND, memory=GIGABYTE, notebooks=0))
    assert report(both).endswith("2 problems.")


def test_the_servers_extension_is_read_where_jupyterlab_keeps_it(tmp_path: Path) -> None:
    """Its version; none where it is missing or damaged; this environment's serves ipywidgets 8."""
    assert widget_manager(tmp_path) == ""
    (tmp_path / MANAGER).parent.mkdir(parents=True)
    (tmp_path / MANAGER).write_text(json.dumps({"version": "5.0.15"}))
    assert widget_manager(tmp_path) == "5.0.15"
    (tmp_path / MANAGER).write_text("{")
    assert widget_manager(tmp_path) == ""
    assert int(widget_manager(Path(sys.prefix)).split(".")[0]) >= 5


def test_device_files_are_evidence_of_a_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """nvidia0 is; nvidiactl alone, or nothing, is not; nvidia-smi's answers are read."""
    monkeypatch.setattr(gpu_check, "_answer", lambda *_: "")
    (tmp_path / "nvidiactl").touch()
    assert seen_gpu(tmp_path).evidence == ""
    (tmp_path / "nvidia0").touch()
    assert seen_gpu(tmp_path).evidence == f"{tmp_path / 'nvidia0'} is there"
    banner = "| NVIDIA-SMI 535.54.03   Driver Version: 535.54.03   CUDA Version: 12.2 |"
    listed = "GPU 0: Tesla V100-SXM2 (UUID: GPU-1)\n"
    monkeypatch.setattr(gpu_check, "_answer", lambda *options: listed if options else banner)
    found = seen_gpu(Path("/nowhere"))
    assert (found.names, found.driver, found.cuda) == (("Tesla V100-SXM2",), "535.54.03", "12.2")


def test_profile_paper_stops_where_a_gpu_cannot_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """Unless the processor is asked for; other profiles, machines without a GPU and usable GPUs go on."""
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(gpu_check, "seen_gpu", lambda: OLD_DRIVER)
    with pytest.raises(GndlError, match=r"nvidia-smi lists Tesla V100.*torch cannot use it.*--device cpu"):
        require_usable_gpu("paper", "auto")
    require_usable_gpu("paper", "cpu")
    require_usable_gpu("quick", "auto")
    monkeypatch.setattr(gpu_check, "seen_gpu", SeenGpu)
    require_usable_gpu("paper", "auto")
    monkeypatch.setattr(gpu_check, "seen_gpu", lambda: OLD_DRIVER)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(gpu_check, "cards", lambda: (Card("A100", "sm_80"),))
    require_usable_gpu("paper", "auto")


def test_a_study_of_profile_paper_stops_before_it_writes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The check stands where the request is made, for the command line and the notebooks alike."""
    import torch

    from gndl.request import StudyRequest, profile_named, request_for_notebook, save_request

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(gpu_check, "seen_gpu", lambda: OLD_DRIVER)
    with pytest.raises(GndlError, match="Profile paper is meant for a GPU"):
        save_request(StudyRequest(tmp_path / "a", profile_named("paper"), {"ckplus": ""}))
    with pytest.raises(GndlError, match="Profile paper is meant for a GPU"):
        request_for_notebook("ckplus", data_root="", profile="paper", out=tmp_path / "a", device="auto", seed=0)
    assert not (tmp_path / "a").exists()
    save_request(StudyRequest(tmp_path / "a", profile_named("paper"), {"ckplus": ""}, device="cpu"))
    assert (tmp_path / "a" / "study.json").exists()


def test_a_broken_torch_is_a_finding_and_no_traceback(tmp_path: Path) -> None:
    """What asks for torch is imported by nothing that the doctor needs: it is called where torch does not work."""
    broken = tmp_path / "broken" / "torch"
    broken.mkdir(parents=True)
    (broken / "__init__.py").write_text("raise ImportError('libcudart is missing')")
    words = [sys.executable, "-m", "gndl.cli", "doctor", "--databases", "mmi", "--out", str(tmp_path)]
    environment = os.environ | {"PYTHONPATH": str(broken.parent)}
    done = subprocess.run(words, capture_output=True, text=True, timeout=300, check=False, env=environment)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "PROBLEM torch: cannot be imported" in done.stdout and "mmi: no copy was named" in done.stdout


def test_a_database_that_no_stand_in_replaces_is_not_said_to_be_rendered() -> None:
    """Neither one that does not exist nor faces of one's own."""
    fer, own, mmi = _databases({"fer": "", "manifest": "", "mmi": ""}, "")
    assert "no such database" in fer.error and "--data MANIFEST.csv" in own.error
    assert mmi.error == "" and "stand-in" in mmi.place


def test_installed_notebooks_are_copied_once(tmp_path: Path) -> None:
    """What the user has changed stays; a package without notebooks says so."""
    source, target = tmp_path / "package", tmp_path / "notebooks"
    source.mkdir()
    with pytest.raises(GndlError, match="holds no notebook"):
        machine_commands.copied_notebooks(source, target)
    for name in ("0_tour.ipynb", "1_databases.ipynb"):
        (source / name).write_text("new")
    target.mkdir()
    (target / "0_tour.ipynb").write_text("mine")
    machine_commands.copied_notebooks(source, target)
    assert [(target / name).read_text() for name in ("0_tour.ipynb", "1_databases.ipynb")] == ["mine", "new"]


def test_the_kernel_is_registered_by_this_environments_python(monkeypatch: pytest.MonkeyPatch) -> None:
    """`gndl lab --register-kernel` runs ipykernel's own command, and opens nothing."""
    called: list[list[str]] = []
    monkeypatch.setattr(machine_commands.subprocess, "call", lambda words: called.append(words) or 0)
    assert machine_commands.lab(machine_commands.Lab(register_kernel=True)) == 0
    assert called[0][:8] == [sys.executable, "-m", "ipykernel", "install", "--user", "--name", "gndl", "--display-name"]


def test_commands_take_their_options_from_the_command_line() -> None:
    """As the documentation writes them."""
    import tyro

    from gndl.options import Command

    def parsed(line: str) -> object:
        return tyro.cli(Command, args=line.split())  # type: ignore[arg-type]

    assert parsed("doctor --data /data") == machine_commands.Doctor(data="/data")
    assert parsed("doctor --profile paper") == machine_commands.Doctor(profile="paper")
    assert parsed("lab --no-browser --port 9999") == machine_commands.Lab(port=9999, browser=False)
    assert parsed("lab --register-kernel") == machine_commands.Lab(register_kernel=True)
    assert parsed("share runs/paper --out x.zip") == sharing_commands.Share("runs/paper", "x.zip")
    assert parsed("export-data runs/mine") == sharing_commands.ExportData("runs/mine")
    words = "import-predictions p.csv --method my-net --run runs/mine --database mmi --subject-disjoint"
    expected = sharing_commands.ImportPredictions("p.csv", "my-net", "runs/mine", "mmi", subject_disjoint=True)
    assert parsed(words) == expected
    study = parsed("study --publishable may.csv --consent")
    assert (study.publishable, study.consent) == ("may.csv", True)  # type: ignore[attr-defined]
