"""Open a study of one database, train what is missing, and read the results.

Opening is lazy: finished runs are recognised from study.json, folds.json and their own run.json. Pictures are read, and
torch is imported, only when something has to be trained or a caller asks for pictures. What study.json remembers of the
pictures is checked as soon as they are read.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from joblib import cpu_count

from gndl import licence
from gndl.files import GndlError, crops_folder, hash_file, hash_json, repository_root, resolve, write_csv
from gndl.folds import Folds
from gndl.methods import MethodSettings, is_imported, method_settings, variant_name
from gndl.opening import changing_study_json, database_root, fix_source, save_config, study_folds
from gndl.paper import DATABASE_TITLES
from gndl.profiles import PROFILES, Profile, StudyConfig, TrainSettings, profile_named, read_study_json
from gndl.results import Results, is_packed, lam_text, measured_on, read, write_accuracy
from gndl.runs import Run, check_seed, find_run, raise_epochs, read_run, require_fitting, run_folder, run_identity
from gndl.sequences import Database, Source

if TYPE_CHECKING:
    from gndl.crops import Crops
    from gndl.engines import Sharing
    from gndl.pairs import FacePairs
    from gndl.train import FitResult


def open_study(
    database: str,
    *,
    data_root: str | Path = "",
    profile: str = "quick",
    out: str | Path | None = None,
    device: str = "auto",
    seed: int = 0,
    jobs: int | None = None,
) -> Study:
    """Open one database of a study: the study in ``out`` with its own settings, or a new one of ``profile``.

    `GndlError` where ``out`` holds another study, or is the mistyped name of a packed record.

    Parameters
    ----------
    database : str
        ``"ckplus"``, ``"oulu_casia"``, ``"mmi"`` or ``"manifest"``.
    data_root : str or Path
        Folder of a copy, or a manifest file; ``""`` for the rendered stand-in.
    profile : str
        ``"smoke"``, ``"quick"``, ``"standard"`` or ``"paper"``.
    out : str or Path, optional
        The study's folder, or a packed record; relative to the repository. Default ``runs/PROFILE``.
    device : str
        ``"auto"``, ``"cpu"`` or ``"cuda"``.
    seed : int
        Seed of the runs.
    jobs : int, optional
        Processes for rendering, cropping and training; default one per core (one per GPU to train).
    """
    check_seed(seed)
    if database not in DATABASE_TITLES:
        raise GndlError(f"Unknown database {database!r}; choose one of {', '.join(DATABASE_TITLES)}.")
    out = resolve(out or f"runs/{profile}")
    asked: dict[str, Any] = {"seeds": (seed,), "device": device}
    asked["data_roots"] = {database: str(resolve(data_root)) if data_root else ""}
    config = StudyConfig(profile_named(profile), **asked)
    if (out / "study.json").exists():
        kept = StudyConfig.from_json(read_study_json(out)["asked"], out / "study.json")
        if kept.settings.name != profile:
            raise GndlError(
                f"{out} holds a study of profile {kept.settings.name!r}, not {profile!r}. "
                "Choose another out directory, or the same profile."
            )
        config = replace(kept, **asked)
        known = kept.data_roots.items() >= config.data_roots.items() and seed in kept.seeds
        if known or is_packed(out):
            return Study(out, database, config, jobs)
    return Study(out, database, save_config(out, config), jobs)


@dataclass(eq=False)
class Study:
    """One database of a study: its settings, its pictures and folds once they are asked for, its runs and results."""

    out: Path
    name: str
    """The database."""
    config: StudyConfig
    jobs: int | None = None

    @property
    def settings(self) -> Profile:
        """The profile with all overrides applied."""
        return self.config.settings

    @property
    def seeds(self) -> tuple[int, ...]:
        """Seeds of every run."""
        return self.config.seeds

    @property
    def device(self) -> str:
        """``"auto"``, ``"cpu"`` or ``"cuda"``."""
        return self.config.device

    @property
    def is_record(self) -> bool:
        """Whether this is a packed record (`gndl.results.pack`), which is read only."""
        return is_packed(self.out)

    @property
    def folder(self) -> Path:
        """The database's folder in the study."""
        return self.out / self.name

    @property
    def figures(self) -> Path:
        """Folder of the figures; of a packed record, the repository's."""
        return repository_root() / "figures" / self.name if self.is_record else self.folder / "figures"

    @property
    def analysis(self) -> Path:
        """Folder of the derived tables."""
        return self.folder / "analysis"

    @property
    def weights(self) -> Path | None:
        """File that backbones start from; None for random initialisation (ledger L8)."""
        return resolve(self.config.weights) if self.config.weights else None

    @cached_property
    def source(self) -> Source:
        """Where the faces come from: rendered, licensed or own."""
        known: Source | None = read_study_json(self.out).get("source")
        if known is None and self.config.data_roots[self.name]:
            return self.database.source
        return known or "rendered"

    @property
    def title(self) -> str:
        """The database as printed, such as "CK+ stand-in"."""
        return measured_on(self.name, self.source)

    @property
    def classes(self) -> tuple[str, ...]:
        """The expressions, in the order of every table and figure."""
        return tuple(self._pictures["classes"])

    def notice(self) -> str:
        """Say in Markdown whose faces these are, for the head of a notebook."""
        title = DATABASE_TITLES[self.name]
        faces = {
            "rendered": f"**Synthetic stand-in for {title} (no real people): the numbers say nothing about people, "
            "nor about the database itself.**",
            "licensed": f"Faces of a licensed copy of {title}; they must not be passed on.",
            "own": "Faces of your own database.",
        }[self.source]
        folds = self.settings.only_folds
        ran = "all folds" if folds is None else f"fold{'s' * (len(folds) > 1)} {', '.join(map(str, folds))}"
        return f"{faces} Profile `{self.settings.name}`, {ran}: {self.settings.purpose}."

    # Pictures and folds

    @cached_property
    def database(self) -> Database:
        """The database as found on disk; a stand-in as shipped, or rendered where it is not (`gndl.shipped`)."""
        from gndl.databases import ReadOptions, read_database
        from gndl.shipped import is_shipped, shipped_database

        chosen = self.folder / "frames.csv"  # a hand-made choice of frames, as notebook 1 explains
        frames_csv = chosen if chosen.exists() else None
        if is_shipped(self.config, self.name) and frames_csv is None:
            database = shipped_database(self.name)
        else:
            root = database_root(self.config, self.name, self.jobs or cpu_count())
            options = ReadOptions(**self.config.read_options)  # type: ignore[arg-type]
            database = read_database(self.name, root, frames_csv=frames_csv, options=options)
        if not self.is_record:
            fix_source(self.out, self.name, database.source)
        return database

    @cached_property
    def crops(self) -> Crops:
        """Its faces, aligned."""
        from gndl.crops import prepare_crops
        from gndl.shipped import FOLDER, shipped_crops

        if self.database.root == FOLDER / self.name:
            crops = shipped_crops(self.name)
        else:
            crops = prepare_crops(
                self.database, self.settings.crop, crops_folder(),
                allow_missing_faces=self.config.allow_missing_faces, jobs=self.jobs or cpu_count(),
            )  # fmt: skip
        if self.database.source == "licensed":
            for holder in (self.out, crops.folder):
                licence.label_licensed(holder, self.title)
        return crops

    @cached_property
    def pairs(self) -> FacePairs:
        """Pairs of examined and neutral crops, listed in crops.csv; `GndlError` where runs were trained on others."""
        from gndl.crops import pairs_from_crops

        pairs = pairs_from_crops(self.database, self.crops)
        if self.is_record:
            return pairs
        trained_on = self._remembered.get("pairs", pairs.content_hash)
        if trained_on != pairs.content_hash and any(self.folder.glob("*/lam-*/fold-*/seed-*/run.json")):
            raise GndlError(
                f"{self.folder}: the faces have changed since its runs were trained (pictures, frames.csv or the way "
                "they are cropped). Nothing was overwritten: choose another OUT directory, or delete these runs."
            )
        self.folds = study_folds(self.folder, self.config, pairs)
        write_csv(self.crops.table, self.folder / "crops.csv")
        self.pairs = pairs  # from here on they count, not what study.json remembers of them
        vars(self).pop("_pictures", None)
        with changing_study_json(self.out) as content:
            content.setdefault("databases", {})[self.name] = self._origin() | self._pictures
        return pairs

    @cached_property
    def _pictures(self) -> dict[str, Any]:
        """What runs depend on: of the pictures once they are read, before as study.json remembers it."""
        if self.is_record:
            return {"classes": self._record.classes(self.name), "fewest_pairs": int(self._record.runs["n_train"].min())}
        is_current = (self.folder / "folds.json").exists() and self._remembered.items() >= self._origin().items()
        if is_current and "pairs" not in vars(self):
            return self._remembered
        pairs, folds = self.pairs, self.folds
        fewest = min(len(folds.train_test(fold, pairs.subject)[0]) for fold in range(len(folds)))
        return {"classes": list(pairs.expressions), "pairs": pairs.content_hash, "fewest_pairs": fewest}

    @cached_property
    def _remembered(self) -> dict[str, Any]:
        return dict(read_study_json(self.out).get("databases", {}).get(self.name, {}))

    def _origin(self) -> dict[str, Any]:
        frames, root = self.folder / "frames.csv", self.config.data_roots[self.name]
        return {"root": root, "frames_csv": hash_file(frames) if frames.exists() else None}

    @cached_property
    def folds(self) -> Folds:
        """Test subjects, and development subjects, of each fold."""
        if self.is_record:
            table = self._record.folds
            sides = [table[table["role"] == role].groupby("fold")["subject"] for role in ("test", "dev")]
            return Folds(*(tuple(tuple(sorted(subjects)) for _, subjects in side) for side in sides))
        _ = self._pictures  # where nothing is remembered, they are read, and folds dealt
        return study_folds(self.folder, self.config)

    @property
    def run_folds(self) -> tuple[int, ...]:
        """The folds that this study runs: those asked for, or those of the profile that exist."""
        asked, number = self.settings.only_folds, len(self.folds)
        present = tuple(fold for fold in range(number) if asked is None or fold in asked)
        if asked is not None and asked != PROFILES[self.settings.name].only_folds and len(present) < len(set(asked)):
            raise GndlError(f"There is no fold {max(asked)}: folds are numbered 0 to {number - 1}.")
        return present

    @property
    def sweep_folds(self) -> tuple[int, ...]:
        """The folds of the sensitivity sweep (Fig. 7): the profile's, where they are run, else all that are run."""
        asked = self.settings.sweep_folds
        return tuple(fold for fold in self.run_folds if asked is None or fold in asked) or self.run_folds

    @property
    def train_settings(self) -> TrainSettings:
        """The profile's settings, with the epochs that this database needs for ``min_steps``."""
        return raise_epochs(self.settings.train, self._pictures["fewest_pairs"])

    # Runs and results

    def plan(
        self,
        methods: Sequence[str | MethodSettings] | None = None,
        lams: Sequence[float] | None = None,
        folds: Sequence[int] | None = None,
        seeds: Sequence[int] | None = None,
    ) -> list[Run]:
        """List runs: by default the headline's, every method at the fixed λ.

        One fold after the other, so that a first confusion matrix is soon there; within a fold the costly ones first.
        """
        named = self.settings.methods if methods is None else methods
        settings = [method_settings(method) for method in named if not is_imported(method)]
        values = (self.settings.lam,) if lams is None else tuple(lams)
        for method in settings:
            require_fitting(method, self.settings.train.image_size, self.weights)
        runs = []
        for fold in self.run_folds if folds is None else folds:
            if not 0 <= fold < len(self.folds):
                raise GndlError(f"There is no fold {fold}: folds are numbered 0 to {len(self.folds) - 1}.")
            for seed in self.seeds if seeds is None else seeds:
                for method in sorted(settings, key=lambda method: -method.images_per_pair):
                    variant = variant_name(method, self.weights)
                    for lam in values if method.uses_lam else (None,):
                        folder = run_folder(self.folder, variant, lam, fold, seed)
                        runs.append(Run(self.name, method, variant, lam, fold, seed, folder))
        return runs

    def finished(self, run: Run) -> dict[str, Any] | None:
        """The run.json of a run; None where it is missing, unfinished or shorter than asked.

        Raises `GndlError`, naming the field, where another configuration is in the run's folder.
        """
        if self.is_record:
            return self._record.records.get((self.name, run.variant, lam_text(run.lam), run.fold, run.seed))
        record = read_run(run.folder)
        if record is None:
            return None
        kept = record["identity"]
        settings = run.method.lengthened(self.train_settings)
        identity = run_identity(
            run.method, settings,
            pairs=kept.get("pairs") if run.method.rearrange else self._pictures["pairs"],  # rearranged differ by fold
            lam=run.lam, fold=run.fold, seed=run.seed, weights=self.weights, extra=self.identity_of_fold(run.fold),
            device=kept.get("device", "") if self.device == "auto" else self.device,
        )  # fmt: skip
        return find_run(run.folder, identity, settings.epochs)

    def identity_of_fold(self, fold: int) -> dict[str, Any]:
        """What tells the runs of a fold from others: ``extra`` of `gndl.runs.run_identity`."""
        folds = self.folds
        dev = {"dev_subjects": hash_json(sorted(folds.dev_subjects[fold]))} if folds.dev_subjects else {}
        tested = hash_json(sorted(folds.test_subjects[fold]))
        return {"database": self.name, "source": self.source, "test_subjects": tested, **dev}

    def fit(
        self, run: Run, on_epoch: Callable[[dict[str, Any]], None] | None = None, *, show_progress: bool = False
    ) -> FitResult:
        """Train one run from where it stands; silent by default, for it may be one of many side by side."""
        from gndl.train import fit

        training, tested = self.folds.train_test(run.fold, self.pairs.subject)
        development = self.folds.development(run.fold, self.pairs.subject)
        pairs = run.method.pairs_for(self.pairs, training)
        return fit(
            run.method, pairs, training, tested, run.method.lengthened(self.train_settings), run_folder=run.folder,
            lam=run.lam, fold=run.fold, seed=run.seed, device=self.device, weights=self.weights,
            weights_partial=self.config.weights_partial, identity=self.identity_of_fold(run.fold),
            on_epoch=on_epoch, show_progress=show_progress, dev_index=development if len(development) else None,
        )  # fmt: skip

    def train(
        self,
        methods: Sequence[str | MethodSettings] | None = None,
        lams: Sequence[float] | None = None,
        folds: Sequence[int] | None = None,
        seeds: Sequence[int] | None = None,
        *,
        jobs: int | None = None,
        how: Sharing | None = None,
    ) -> Results:
        """Train the runs that are missing, several side by side, and return the results of all that were asked for.

        Every run computes with its own fixed number of threads, so ``jobs`` (runs at once; by default one per core, or
        one per GPU) and ``how`` (which replaces ``jobs``) change no number. Where all are finished, neither torch nor a
        picture is loaded. `GndlError` where runs failed, after all others were finished; on a packed record, where runs
        are missing.
        """
        named = self.settings.methods if methods is None else methods
        runs = self.plan(named, lams, folds, seeds)
        missing = [run for run in runs if self.finished(run) is None]
        if missing and self.is_record:
            listed = ", ".join(run.name for run in missing[:5]) + (" …" if len(missing) > 5 else "")
            raise GndlError(f"{self.out} is a packed record and lacks {len(missing)} runs: {listed}. Use another out.")
        if missing:
            from gndl.engines import Sharing, train_missing

            try:
                train_missing(self, runs, how or Sharing(jobs=jobs or self.jobs))
            finally:
                write_accuracy(self.out)
        return self.results().only(
            methods={run.variant for run in runs} | {str(method) for method in named if is_imported(method)},
            lams=(self.settings.lam,) if lams is None else lams,
            folds=self.run_folds if folds is None else folds,
            seeds=self.seeds if seeds is None else seeds,
        )

    def results(self) -> Results:
        """Tidy tables of all finished runs of this database."""
        return self._record if self.is_record else read(self.out, self.name)

    @cached_property
    def _record(self) -> Results:
        return read(self.out, self.name)


def runs_of_study(study: Study) -> list[Run]:
    """Everything that ``gndl study`` trains: the headline's runs, then those of the sweep over λ (Fig. 7)."""
    methods = [method for method in study.settings.methods if method_settings(method).uses_lam]
    lams = [lam for lam in study.settings.lams if lam != study.settings.lam]
    return [*study.plan(), *study.plan(methods, lams, study.sweep_folds)]
