"""Numbers of the study of record that README.md and ARTIFACT.md state are those of the committed CSV files."""

import csv
import re

from gndl.paths import repository_root

ROOT = repository_root()
DATABASES = {"ckplus": "CK+", "oulu_casia": "Oulu-CASIA", "mmi": "MMI"}


def rows(file: str) -> list[dict[str, str]]:
    with (ROOT / "figures" / file).open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def text_of(document: str) -> str:
    return " ".join((ROOT / document).read_text(encoding="utf-8").split())


def accuracy(database: str, method: str) -> str:
    """Mean and spread of the folds in percent, as the tables round them."""
    row = next(
        row
        for row in rows("tables/accuracy_summary.csv")
        if (row["measured_on"], row["method"]) == (f"{DATABASES[database]} stand-in", method)
    )
    return f"{100 * float(row['accuracy']):.2f} ± {100 * float(row['sd']):.2f}"


def compared(column: str) -> list[float]:
    found = {row["database"]: float(row[column]) for row in rows("tables/comparisons.csv") if row["method"] == "gndl"}
    return [found[database] for database in DATABASES]


def measured(measure: str, feature: str, condition: str = "all", column: str = "value") -> list[float]:
    """One number of `deviation_measures.csv` for each database."""
    wanted = (measure, feature, condition)
    return [
        next(
            float(row[column])
            for row in rows(f"{database}/deviation_measures.csv")
            if (row["measure"], row["feature"], row["condition"]) == wanted
        )
        for database in DATABASES
    ]


def three(numbers: list[float], decimals: int, factor: float = 1) -> str:
    first, second, third = (f"{factor * number:.{decimals}f}" for number in numbers)
    return f"{first}, {second} and {third}"


def test_the_readme_has_the_accuracies_and_differences_of_the_record():
    text = text_of("README.md")
    columns = ("difference", "low", "high", "p_corrected_t", "p_wilcoxon")
    found = dict(zip(DATABASES, zip(*(compared(column) for column in columns), strict=True), strict=True))
    for database, (difference, low, high, corrected, ranks) in found.items():
        row = re.search(rf"\| {re.escape(DATABASES[database])} stand-in \(rendered\) \|[^p]*p = [^|]*\|", text)
        assert row is not None
        said = row.group().replace("−", "-")
        for method in ("baseline", "gndl"):
            assert f"| {accuracy(database, method)} %" in said
        assert f"{100 * difference:+.2f}, " in said
        assert f"{100 * low:+.2f} to {100 * high:+.2f}" in said
        assert f"p = {corrected:.3f}, {ranks:.3f} |" in said


def test_the_readme_has_the_mechanism_of_the_ckplus_stand_in():
    own, mean = measured("relative L1", "G(F_exam)")[0], measured("relative L1", "mean neutral")[0]
    where = "whole database, another sequence"
    found, real = measured("top-1", "G(F_exam)", where)[0], measured("top-1", "F_neu", where)[0]
    assert f"relative L1 {own:.3f} against {mean:.3f}" in text_of("README.md")
    chance = measured("top-1", "G(F_exam)", where, "chance")[0]
    said = f"in {100 * found:.0f} % of the cases (chance {100 * chance:.0f} %), the real one in {100 * real:.0f} %"
    assert said in text_of("README.md")


def test_claim_5_of_the_artifact_has_the_accuracies_of_the_record():
    for database, title in DATABASES.items():
        said = f"{title} stand-in {accuracy(database, 'baseline')} and {accuracy(database, 'gndl')}"
        assert said in text_of("ARTIFACT.md")


def test_the_findings_of_the_artifact_are_those_of_the_record():
    text, where = text_of("ARTIFACT.md"), "whole database, another sequence"
    assert f"ahead by {three(compared('difference'), 2, 100)} points" in text
    assert f"p = {three(compared('p_corrected_t'), 3)}" in text
    assert f"three databases {three(compared('p_holm'), 3)}" in text
    assert f"gives {compared('p_wilcoxon')[0]:.3f} on CK+" in text
    assert f"(relative L1) is {three(measured('relative L1', 'G(F_exam)'), 3)};" in text
    assert f"training subjects {three(measured('relative L1', 'mean neutral'), 3)}." in text
    assert f"in another sequence, in {three(measured('top-1', 'G(F_exam)', where), 1, 100)} %" in text
    assert f"F_exam itself, {three(measured('top-1', 'F_exam', where), 1, 100)} %" in text
    assert f"feature in {three(measured('top-1', 'F_neu', where), 1, 100)} %" in text
    assert f"(chance {three(measured('top-1', 'F_neu', where, 'chance'), 1, 100)} %)" in text
    assert f"by the real neutral feature in {three(measured('identity', 'F_neu'), 1, 100)} %" in text
    assert f"finds the person in it in {three(measured('identity', 'G(F_exam)'), 1, 100)} %" in text
    assert f"by F_exam in {three(measured('identity', 'F_exam'), 1, 100)} %" in text
    assert f"by the deviation in {three(measured('identity', 'deviation'), 1, 100)} %" in text
    assert f"(chance {three(measured('identity', 'F_exam', 'all', 'chance'), 1, 100)} %)" in text
    by_class = [measured("silhouette by class", feature) for feature in ("F_exam", "deviation")]
    assert f"by class is {three(by_class[0], 2)}" in text
    assert three(by_class[0], 2) == three(by_class[1], 2)


def swept(lam: float, column: str = "accuracy") -> str:
    """Mean accuracy at one value of λ on the folds of the sweep, of each database, in percent."""
    found = [
        f"{100 * float(row[column]):.1f}"
        for database in DATABASES
        for row in rows(f"{database}/sensitivity.csv")
        if float(row["lam"]) == lam
    ]
    return " and ".join(", ".join(found).rsplit(", ", 1))


def test_the_artifact_has_the_accuracies_of_the_sweep_over_lam():
    text = text_of("ARTIFACT.md")
    assert f"is {swept(1)} % at λ = 1, {swept(5)} % at 5, {swept(20)} % at 20 and {swept(50)} % at 50" in text
    assert f"the baseline has {swept(5, 'baseline_accuracy')} %" in text
    for database in DATABASES:
        for row in rows(f"{database}/sensitivity.csv"):
            if float(row["lam"]) <= 10:
                assert float(row["to_baseline_low"]) <= 0 <= float(row["to_baseline_high"])


def signed(numbers: list[float]) -> str:
    """Points with their signs: `+1.00, -2.00 and +3.00`."""
    return " and ".join(", ".join(f"{100 * number:+.2f}" for number in numbers).rsplit(", ", 1))


def test_the_artifact_has_what_finer_grains_change():
    text, table = text_of("ARTIFACT.md"), rows("tables/granularity.csv")
    layers = [row for row in table if row["method"].startswith("gndl-layer-")]
    for database, title in DATABASES.items():
        found = [float(row["to_gndl_difference"]) for row in layers if row["database"] == database]
        assert len(found) == 4
        assert f"{signed(found)} {'points on ' if database == 'ckplus' else 'on '}{title}" in text
    clear = [
        f"layer {row['method'][-1]} on {DATABASES[row['database']]}"
        for row in layers
        if float(row["to_gndl_low"]) > 0 or float(row["to_gndl_high"]) < 0
    ]
    assert f"Intervals that leave out zero: {', '.join(clear)} (`granularity.csv`)" in text


def test_the_artifact_has_what_each_ablation_changes():
    text, table = text_of("ARTIFACT.md"), rows("tables/ablations.csv")

    def moved(method: str) -> str:
        found = [float(row["to_gndl_difference"]) for row in table if row["method"] == method]
        assert len(found) == 3
        return signed(found)

    assert f"by {moved('gndl-lam-0')} points without Eq. 8 (λ = 0)" in text
    assert f"by {moved('gndl-shuffled-neutral')} with the neutral faces of another subject" in text
    assert f"by {moved('baseline-joint-norm')} where the baseline's batch-norm sees neutral faces" in text
    assert f"by {moved('oracle-swap')} at test alone and by {moved('oracle-train')} in training too" in text
    assert f"the difference of the pixels by {moved('image-difference')}" in text
    compared = [row for row in table if row["method"] != "gndl"]
    clear = {
        title: [
            row["method"]
            for row in compared
            if row["database"] == database and float(row["to_gndl_low"]) * float(row["to_gndl_high"]) > 0
        ]
        for database, title in DATABASES.items()
    }
    said = ", ".join(f"{', '.join(methods)} on {title}" for title, methods in clear.items())
    said = said.replace("gndl-channel-sum", "gndl-channel-sum (a collapse)", 1)
    assert f"unadjusted for {len(compared)} comparisons: {said} (`ablations.csv`)" in text


def test_the_artifact_has_the_accuracies_across_databases():
    text = text_of("ARTIFACT.md")
    found = {
        (row["train_on"], row["test_on"], row["method"]): float(row["accuracy"]) for row in rows("tables/across.csv")
    }
    gains = {
        (one, other): 100 * (found[one, other, "gndl"] - found[one, other, "baseline"])
        for one in DATABASES
        for other in DATABASES
        if one != other
    }
    ahead, behind = text.split("it is ahead by")[1].split("and behind by")
    for (one, other), gain in gains.items():
        part = ahead if gain > 0 else behind.split("These are")[0]
        assert re.search(
            rf"{abs(gain):.1f} (points )?from {re.escape(DATABASES[one])} to {re.escape(DATABASES[other])}", part
        )
    after = {
        one: f"{100 * found[one, 'mmi', 'baseline']:.1f} % after {DATABASES[one]}" for one in ("ckplus", "oulu_casia")
    }
    assert f"On MMI's faces the baseline has {after['ckplus']} and {after['oulu_casia']}" in text


def test_the_readme_has_the_kills_survived():
    with (ROOT / "record" / "faults.csv").open(encoding="utf-8", newline="") as file:
        kills = list(csv.DictReader(file))
    assert f"[{len(kills)} kills](record/faults.csv), all survived" in text_of("README.md")
    assert len(kills) >= 30 and {kill["survived"] for kill in kills} == {"True"}
    assert {kill["stage"] for kill in kills} == {"render", "crop", "train", "notebook", "report"}
