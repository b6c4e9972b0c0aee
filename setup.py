"""Everything about the package stands in pyproject.toml; here its notebooks are put into what is installed."""

from pathlib import Path
from shutil import copy2

from setuptools import setup
from setuptools.command.build_py import build_py


class BuildWithNotebooks(build_py):
    """Copy the notebooks into the package, so that `pip install .` has them; an editable install reads them here."""

    def run(self) -> None:
        super().run()
        if getattr(self, "editable_mode", False):
            return
        target = Path(self.build_lib) / "gndl" / "notebooks"
        target.mkdir(parents=True, exist_ok=True)
        for notebook in sorted((Path(__file__).parent / "notebooks").glob("[0-9]_*.ipynb")):
            copy2(notebook, target / notebook.name)

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        """Name the notebooks among what is built, so that an uninstall removes them."""
        notebooks = Path(self.build_lib, "gndl", "notebooks").glob("*.ipynb")
        return [*super().get_outputs(include_bytecode), *map(str, notebooks)]


setup(cmdclass={"build_py": BuildWithNotebooks})
