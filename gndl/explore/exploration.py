"""What there is to look into: the finished study of a notebook, else the studio's small training, else advice."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from gndl.errors import GndlError
from gndl.explore.commands import command
from gndl.explore.live import LiveReader, live_reader
from gndl.explore.opened_fold import OpenedFold, folds_to_open, open_fold
from gndl.explore.small_training import DATABASE, FOLDER, trained_small
from gndl.paper import DATABASE_TITLES
from gndl.paths import resolve, shown_path, standin_folder
from gndl.prepare import Prepared
from gndl.request import read_study_json
from gndl.results import finished_runs
from gndl.study import open_study


@dataclass(eq=False)
class Exploration:
    """Databases with finished runs, each opened when somebody asks for it, and then kept.

    Parameters
    ----------
    databases : dict of str to str
        Those that can be opened, with the folder that each is read from; ``""`` is the rendered stand-in.
    profile, out, device, seed
        As the notebook's parameters.
    chosen : str
        The database to begin with.
    note : str
        What a reader should know about the study, in Markdown; where nothing can be opened, what to do about it.
    """

    databases: dict[str, str]
    profile: str
    out: Path
    device: str
    seed: int
    chosen: str
    note: str = ""
    _studies: dict[str, Prepared] = field(default_factory=dict)
    _folds: dict[tuple[str, int], OpenedFold] = field(default_factory=dict)
    _readers: dict[str, LiveReader | None] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.databases)

    def study(self, database: str = "") -> Prepared:
        """One of the databases, the chosen one by default."""
        name = database or self.chosen
        if name not in self._studies:
            self._studies[name] = open_study(
                name,
                data_root=self.databases[name],
                profile=self.profile,
                out=self.out,
                device=self.device,
                seed=self.seed,
                jobs=1,
            )
        return self._studies[name]

    def folds(self, database: str = "") -> tuple[int, ...]:
        """Folds with finished runs of baseline or GNDL."""
        return folds_to_open(self.study(database))

    def fold(self, fold: int, database: str = "") -> OpenedFold:
        """One of them, opened."""
        key = database or self.chosen, fold
        if key not in self._folds:
            self._folds[key] = open_fold(self.study(key[0]), fold)
        return self._folds[key]

    def reader(self) -> LiveReader | None:
        """The networks of one fold of the chosen database; None where no weights are kept."""
        if self.chosen not in self._readers:
            self._readers[self.chosen] = live_reader(self.study())
        return self._readers[self.chosen]


def open_exploration(
    database: str,
    *,
    data_root: str = "",
    profile: str = "quick",
    out: str | Path = "runs/quick",
    device: str = "auto",
    seed: int = 0,
    small: str | Path = FOLDER,
) -> Exploration:
    """Find what can be explored, without beginning, rendering or training anything.

    Parameters
    ----------
    database, data_root, profile, out, device, seed
        The notebook's parameters, as for :func:`gndl.study.open_study`.
    small : path
        Folder of the studio's small training, which is taken where ``out`` holds no finished study.
    """
    place = resolve(out)
    databases, absent = _databases_of(place, database, str(resolve(data_root)) if data_root else "")
    if databases:
        chosen = database if database in databases else next(iter(databases))
        exploration = Exploration(databases, profile, place, device, seed, chosen)
        try:
            exploration.study()
        except GndlError as error:
            return Exploration({}, profile, place, device, seed, database, f"This study cannot be opened here: {error}")
        exploration.note = _in_words(exploration, database)
        return exploration
    study = trained_small(small)
    if study is not None:
        exploration = Exploration({DATABASE: ""}, profile, study.request.out, device, seed, DATABASE)
        exploration._studies[DATABASE] = study
        exploration.note = (
            f"`{shown_path(place)}` holds no finished study, so what follows looks into **the studio's small "
            "training**: a few rendered people and one fold. It shows what the explorers can do; its numbers "
            "prove nothing."
        )
        return exploration
    line = command("gndl study", profile=profile, database=database, root=data_root, out=place)
    return Exploration({}, profile, place, device, seed, database, _advice(line, place, absent))


def _databases_of(out: Path, database: str, data_root: str) -> tuple[dict[str, str], list[str]]:
    """The databases of a study that have finished runs: those whose faces lie here, and those whose do not."""
    if not (out / "study.json").exists():
        return {}, []
    asked = read_study_json(out)["asked"]
    roots = {**asked["data_roots"], **({database: data_root} if data_root else {})}
    trained = {run.database for run in finished_runs(out)}
    present, absent = {}, []
    for name in DATABASE_TITLES:
        if name in trained and name in roots:
            root = Path(roots[name]) if roots[name] else standin_folder(asked["settings"]["name"], name)
            if root.exists():
                present[name] = roots[name]
            else:
                absent.append(DATABASE_TITLES[name])
    return present, absent


def _in_words(exploration: Exploration, asked: str) -> str:
    titles = [DATABASE_TITLES[name] for name in exploration.databases]
    folds = exploration.folds()
    number = "fold" if len(folds) == 1 else "folds"
    text = (
        f"What follows looks into the study in `{shown_path(exploration.out)}`. It has finished runs of "
        f"{', '.join(titles)}; of {DATABASE_TITLES[exploration.chosen]} {number} {', '.join(map(str, folds))}."
    )
    if exploration.chosen != asked:
        text = f"The study has no finished run of {DATABASE_TITLES.get(asked, asked)}. {text}"
    return text


def _advice(line: str, out: Path, absent: list[str]) -> str:
    """What to do where nothing can be explored, in Markdown."""
    why = f"**No finished study lies in `{shown_path(out)}`**, so there is nothing to look into yet."
    if absent:
        why = f"**The faces of the study in `{shown_path(out)}` are not here** ({', '.join(absent)})."
    return (
        f"{why} Each of these makes one; then run the cells below again:\n\n"
        "- the button *Train a small model* of the studio above: two minutes, something to play with;\n"
        f"- the notebook `2_training` with the same parameters as this one;\n"
        f"- `{line}`, or `make study` for all databases."
    )
