"""What ``gndl bias`` does: accuracy by skin tone, age and gender of a study's rendered people."""

from __future__ import annotations

from pathlib import Path

from gndl.analysis.bias import require_rendered, require_same_people, study_bias
from gndl.asked import words
from gndl.errors import GndlError
from gndl.methods import method_names, methods_meant
from gndl.options import Bias
from gndl.paths import resolve, standin_folder
from gndl.request import profile_from_json, read_study_json
from gndl.results import finished_runs
from gndl.tables.bias import bias_caption, readable_bias, save_bias


def bias(options: Bias) -> int:
    """Measure, write the tables, and print them."""
    study = resolve(options.study)
    content = read_study_json(study)
    settings = profile_from_json(content["asked"]["settings"])
    runs = [run for run in finished_runs(study) if run.lam in ("none", f"{settings.lam:g}")]
    wanted = methods_meant(words(options.methods)) or settings.methods
    if unknown := set(wanted) - {run.method for run in runs} - set(method_names()):
        raise GndlError(f"There is no method {min(unknown)!r}; `gndl methods` lists them.")
    variants = {(run.method, run.lam) for run in runs if run.method in wanted}
    require_rendered(study, runs)
    names = words(options.databases) or tuple(dict.fromkeys(run.database for run in runs))
    if not names:
        raise GndlError(f"{study} holds no finished run; run `gndl study --out {study}` first.")
    if options.truth and len(names) > 1:
        raise GndlError("--truth is the ground truth of one database; say which with --databases.")
    for name in names:
        truth = resolve(options.truth) if options.truth else truth_of_study(study, name)
        require_same_people(study, name, truth)
        table = study_bias(study, name, truth, variants=variants)
        folder = resolve(options.out) / name if options.out else study / name / "tables"
        print(readable_bias(table).to_string(index=False))
        print(f"{bias_caption(table)}\nwritten: {save_bias(table, folder)}, bias.csv beside it")
    return 0


def truth_of_study(study: Path, database: str) -> Path:
    """Folder of the ground truth beside the rendered tree that study.json says was read."""
    from gndl.standins.truth import truth_folder  # which brings the renderer with it

    content = read_study_json(study)
    root = content["asked"]["data_roots"].get(database, "")
    return truth_folder(Path(root) if root else standin_folder(str(content["profile"]), database))
