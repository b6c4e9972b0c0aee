"""Two studies side by side: equal, within what reseeding does, different, or not judged; never more than is known."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from audited_study import write_audited_study
from scipy import stats
from written_runs import Frame, predictions, write_run

from gndl import cli
from gndl.checking.claims import CLAIMS, HOW_TO_MEASURE, Tolerance, measured_tolerance
from gndl.checking.two_studies import compare_studies
from gndl.errors import GndlError
from gndl.paths import repository_root
from gndl.results import finished_runs

RIGHT, WRONG = (0.8, 0.1, 0.1), (0.1, 0.8, 0.1)


def write(out: Path, fold: int, right: int, *, seed: int = 0, method: str = "gndl") -> None:
    """One fold of twenty sequences of one subject, of which some are right."""
    frames: list[Frame] = [(f"S{fold}", f"S{fold}_{k}", "anger", RIGHT if k < right else WRONG) for k in range(20)]
    write_run(out, method, "5", fold, predictions(frames, first=20 * fold), seed=seed)


def verdicts(found: object) -> dict[int, str]:
    """The verdict of every claim."""
    return {claim.number: claim.verdict for claim in found.claims}  # type: ignore[attr-defined]


def test_a_copy_is_equal_in_every_claim_that_a_study_can_show(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Runs, CSV files, audits and accuracies; what no study says is said to be elsewhere."""
    monkeypatch.setenv("GNDL_DATA", str(tmp_path / "data"))
    a = write_audited_study(tmp_path)
    (a / "notebooks").mkdir()
    (a / "notebooks/7_report.ipynb").write_text("{}")
    shutil.copytree(a, tmp_path / "b")
    found = compare_studies(a, tmp_path / "b")
    assert verdicts(found) == {
        1: "equal", 2: "not in these studies", 3: "equal", 4: "equal", 5: "equal",
        **dict.fromkeys((6, 7, 8, 9, 11), "not in these studies"), 10: "equal",
    }  # fmt: skip
    assert found.settings == ()
    assert found.runs["same_predictions"].all()
    assert cli.run(cli.Compare(a=str(a), b=str(tmp_path / "b"))) == 0
    said = capsys.readouterr().out
    assert "claim 5, gndl, λ = 5 on CK+ stand-in: EQUAL" in said
    assert "6 runs in both, 0 only in the first" in said


def test_every_claim_of_the_artifact_is_spoken_of() -> None:
    """The numbers in ARTIFACT.md and here are the same."""
    text = (repository_root() / "ARTIFACT.md").read_text(encoding="utf-8")
    assert [int(number) for number in re.findall(r"^\| (\d+) \| ", text, re.MULTILINE)] == list(CLAIMS)
    assert "standard error" not in text, "the accepted deviation is the rule that `gndl compare` judges by"


def test_runs_across_databases_finer_grains_and_ablations_have_claims_of_their_own(tmp_path: Path) -> None:
    """Each accuracy is judged under the claim that states it."""
    frames: list[Frame] = [("S1", f"S1_{k}", "anger", RIGHT) for k in range(4)]
    for out in (tmp_path / "a", tmp_path / "b"):
        write(out, 0, 15, method="gndl-layer-2")
        write(out, 0, 15, method="oracle-train")
        write_run(out, "gndl", "20", 0, predictions(frames))
        (out / "ckplus" / "analysis").mkdir()
        (out / "ckplus" / "analysis" / "deviation_measures.csv").write_text("value,source\n1,rendered\n")
        write_run(out / "across", "gndl", "5", 0, predictions(frames), database="ckplus-to-mmi")
    found = compare_studies(tmp_path / "a", tmp_path / "b")
    judged = {claim.number: claim.what for claim in found.claims if claim.verdict == "equal" and claim.number > 4}
    assert judged == {
        7: "gndl, λ = 5 on CK+ to MMI stand-in", 8: "gndl-layer-2, λ = 5 on CK+ stand-in",
        9: "gndl, λ = 20 on CK+ stand-in", 10: "features and hard samples", 11: "oracle-train, λ = 5 on CK+ stand-in",
    }  # fmt: skip
    assert {claim.number for claim in found.claims} == set(CLAIMS)


def test_without_an_executed_notebook_the_whole_path_is_not_judged(tmp_path: Path) -> None:
    """Equal runs are not the path to its end: none and none is no evidence."""
    for name in ("a", "b"):
        write(tmp_path / name, 0, 15)
    claim = next(claim for claim in compare_studies(tmp_path / "a", tmp_path / "b").claims if claim.number == 1)
    assert claim.verdict == "not judged"
    assert "0 and 0 executed notebooks; neither says" in claim.words
    for name in ("a", "b"):
        (tmp_path / name / "notebooks").mkdir()
        (tmp_path / name / "notebooks/7_report.ipynb").write_text("{}")
    assert verdicts(compare_studies(tmp_path / "a", tmp_path / "b"))[1] == "equal"


def test_licensed_runs_are_never_said_to_be_the_papers_table(tmp_path: Path) -> None:
    """Claim 6 of two studies that agree, and of two that do not: each says what was held against what."""
    for name, right in (("a", 15), ("b", 15), ("c", 16)):
        write(tmp_path / name, 0, right)
        change_runs(tmp_path / name, source="licensed")
    for name, verdict in (("b", "equal"), ("c", "not judged")):
        found = compare_studies(tmp_path / "a", tmp_path / name)
        (claim,) = [claim for claim in found.claims if claim.number == 6]
        assert claim.verdict == verdict
        assert claim.words.endswith("held against each other, not against the paper's Table 1.")


def change_runs(out: Path, *, source: str = "rendered", **train: float | str) -> None:
    """Say of every run of a study that it saw other faces, or was trained otherwise."""
    for path in out.glob("**/run.json"):
        record = json.loads(path.read_text())
        record["identity"]["extra"]["source"] = source
        record["identity"]["train"] |= train
        path.write_text(json.dumps(record))


def test_another_profile_or_licensed_faces_cannot_supply_the_tolerance(tmp_path: Path) -> None:
    """A noisy study would pass anything: it is refused by what differs, named or found in one of the two itself."""
    for fold in range(3):
        write(tmp_path / "a", fold, 15)
        write(tmp_path / "b", fold, 18)
        for seed in (0, 1, 2):
            for name in ("other profile", "licensed", "alike"):
                write(tmp_path / name, fold, 4 + 8 * seed if name != "alike" else 15 + seed, seed=seed)
    change_runs(tmp_path / "other profile", image_size=32)
    change_runs(tmp_path / "licensed", source="licensed")
    with pytest.raises(GndlError, match=r"other profile, whose runs .* \(train\.image_size: None, now 32\)"):
        compare_studies(tmp_path / "a", tmp_path / "b", tmp_path / "other profile")
    with pytest.raises(GndlError, match="source: rendered, now licensed"):
        compare_studies(tmp_path / "a", tmp_path / "b", tmp_path / "licensed")
    assert verdicts(compare_studies(tmp_path / "a", tmp_path / "b", tmp_path / "alike"))[5] == "different"
    # One of the two studies itself is the noisy one: its seeds do not excuse it.
    found = compare_studies(tmp_path / "a", tmp_path / "other profile")
    (claim,) = [claim for claim in found.claims if claim.number == 5]
    assert claim.verdict == "not judged"
    assert "trained differently (train.image_size: None, now 32), which no other seed explains" in claim.words


def test_another_precision_is_judged_by_the_seeds_of_either(tmp_path: Path) -> None:
    """It passes where it moves a mean no further than another seed would."""
    for fold in range(3):
        write(tmp_path / "a", fold, 15)
        for seed in (0, 1, 2):
            write(tmp_path / "b", fold, 15 + seed, seed=seed)
            write(tmp_path / "other batches", fold, 5 + 5 * seed, seed=seed)
    change_runs(tmp_path / "a", precision="fp32")
    change_runs(tmp_path / "b", precision="bf16")
    change_runs(tmp_path / "other batches", precision="bf16", batch_size=4)
    assert verdicts(compare_studies(tmp_path / "a", tmp_path / "b"))[5] == "equal"
    for path in (tmp_path / "a").glob("**/run.json"):
        record = json.loads(path.read_text())
        path.write_text(json.dumps(record | {"accuracy_last": record["accuracy_last"] + 0.01}))
    assert verdicts(compare_studies(tmp_path / "a", tmp_path / "b"))[5] == "within the measured tolerance"
    with pytest.raises(GndlError, match=r"train\.batch_size: None, now 4"):
        compare_studies(tmp_path / "a", tmp_path / "b", tmp_path / "other batches")


def test_without_several_seeds_nothing_is_judged(tmp_path: Path) -> None:
    """The difference is stated, and the command that would measure the tolerance."""
    for fold in range(3):
        write(tmp_path / "a", fold, 15)
        write(tmp_path / "b", fold, 16)
    claims = [claim for claim in compare_studies(tmp_path / "a", tmp_path / "b").claims if claim.number == 5]
    assert [claim.verdict for claim in claims] == ["not judged"]
    assert "+5.00 points over 3 folds" in claims[0].words
    assert "gndl train --seed 1" in claims[0].words


def test_the_tolerance_is_what_reseeding_does_to_a_mean(tmp_path: Path) -> None:
    """Two seeds in each of four folds, 1/20 apart: sd 0.05/√2 with 4 degrees of freedom; then by hand."""
    for fold in range(4):
        for seed in (0, 1):
            write(tmp_path / "a", fold, 14 + seed, seed=seed)
        write(tmp_path / "near", fold, 15)
        write(tmp_path / "far", fold, 18)
    judged = list(zip(finished_runs(tmp_path / "near"), finished_runs(tmp_path / "far"), strict=True))
    tolerance = measured_tolerance(tmp_path / "a", "ckplus", judged)
    assert isinstance(tolerance, Tolerance)
    assert tolerance.sd == pytest.approx(0.05 / np.sqrt(2))
    assert tolerance.freedom == 4
    largest = stats.t.ppf(0.975, 4) * 0.05 / np.sqrt(2) * np.sqrt(2 / 4)
    assert tolerance.of_means(4, 1, 1) == pytest.approx(largest)  # 0.0694
    near, far = (compare_studies(tmp_path / "a", tmp_path / name) for name in ("near", "far"))
    assert verdicts(near)[5] == "within the measured tolerance"  # 0.05
    assert verdicts(far)[5] == "different"  # 0.2
    assert near.only_a == 4
    assert not far.ok
    assert measured_tolerance(tmp_path / "near", "ckplus", judged) == HOW_TO_MEASURE


def test_another_study_may_say_how_far_reseeding_goes(tmp_path: Path) -> None:
    """Named by --reseeded; one without two seeds is refused."""
    for fold in range(3):
        write(tmp_path / "a", fold, 15)
        write(tmp_path / "b", fold, 16)
        for seed in (0, 1, 2):
            write(tmp_path / "seeds", fold, 12 + 2 * seed, seed=seed)
    found = compare_studies(tmp_path / "a", tmp_path / "b", tmp_path / "seeds")
    assert verdicts(found)[5] == "within the measured tolerance"
    with pytest.raises(GndlError, match="no fold of these databases has two seeds"):
        compare_studies(tmp_path / "a", tmp_path / "b", tmp_path / "a")


def test_more_folds_and_seeds_narrow_the_tolerance() -> None:
    """By the square root of their number."""
    tolerance = Tolerance(0.02, 10, "a study")
    assert tolerance.of_means(9, 1, 1) == pytest.approx(tolerance.of_means(1, 1, 1) / 3)
    assert tolerance.of_means(1, 4, 4) == pytest.approx(tolerance.of_means(1, 1, 1) / 2)


def test_what_was_trained_otherwise_is_named(tmp_path: Path) -> None:
    """Another precision, in words; a tampered study fails claim 4; a run that one lacks proves nothing."""
    write(tmp_path / "a", 0, 15)
    write(tmp_path / "a", 1, 15)
    write(tmp_path / "b", 0, 15)
    path = tmp_path / "b/ckplus/gndl/lam-5/fold-0/seed-0/run.json"
    record = json.loads(path.read_text())
    record["identity"]["train"]["learning_rate"] = 0.01
    path.write_text(json.dumps(record))
    found = compare_studies(tmp_path / "a", tmp_path / "b")
    assert found.settings == ("train.learning_rate: 0.001, now 0.01",)
    assert verdicts(found)[1] == "not judged"
    assert verdicts(found)[4] == "different"
    assert "claim 4, accuracies follow from the predictions: DIFFERENT" in found.report()


def test_a_study_that_was_trained_again_need_not_have_the_same_tables(tmp_path: Path) -> None:
    """CSV files differ because the runs do: that is for claim 5. Where the runs are the same, the files have to be."""
    for name, right in (("a", 15), ("again", 16), ("forged", 15)):
        write(tmp_path / name, 0, right)
        (tmp_path / name / "tables").mkdir()
        (tmp_path / name / "tables/table1.csv").write_text(name)
    (tmp_path / "a/ckplus/notebooks").mkdir()
    (tmp_path / "a/ckplus/notebooks/2_training.ipynb").write_text("{}")
    again, forged = (verdicts(compare_studies(tmp_path / "a", tmp_path / name)) for name in ("again", "forged"))
    assert (again[1], again[3], forged[3]) == ("not judged", "not judged", "different")
    (tmp_path / "a/ckplus/notebooks/2_training.failed.ipynb").write_text("{}")
    assert verdicts(compare_studies(tmp_path / "a", tmp_path / "again"))[1] == "different"


def test_rendered_and_licensed_faces_are_never_held_against_each_other(tmp_path: Path) -> None:
    """The same accuracy on other faces is no reproduction."""
    for name in ("a", "b"):
        write(tmp_path / name, 0, 15)
    path = tmp_path / "b/ckplus/gndl/lam-5/fold-0/seed-0/run.json"
    record = json.loads(path.read_text())
    record["identity"]["extra"]["source"] = "licensed"
    path.write_text(json.dumps(record))
    found = compare_studies(tmp_path / "a", tmp_path / "b")
    (claim,) = [claim for claim in found.claims if claim.number == 5]
    assert claim.verdict == "not judged"
    assert "licensed" in claim.words


def test_studies_that_share_no_run_are_refused(tmp_path: Path) -> None:
    """And so is a folder without any."""
    write(tmp_path / "a", 0, 15)
    write(tmp_path / "b", 1, 15)
    with pytest.raises(GndlError, match="share no run"):
        compare_studies(tmp_path / "a", tmp_path / "b")
    with pytest.raises(GndlError, match="holds no finished run"):
        compare_studies(tmp_path / "a", tmp_path / "none")
