"""Write constraints-hashes.txt: every pin of constraints.txt with the hashes of its wheels for the tested platform.

Run it after constraints.txt has changed: ``python .ci/hash_constraints.py``. The hashes are those that the package
index publishes; nothing but its pages is downloaded.
"""

from __future__ import annotations

import html
import re
import sys
import urllib.parse
import urllib.request
from pathlib import Path

from packaging.tags import compatible_tags, cpython_tags
from packaging.utils import canonicalize_name, parse_wheel_filename
from pip._internal.models.index import PyPI

ROOT = Path(__file__).parents[1]
PYTHON = (3, 11)
HEAD = """\
# constraints.txt with the hashes of the wheels for the tested platform: Linux x86-64, glibc 2.28 or later, Python 3.11.
# Written by `python .ci/hash_constraints.py`. Install with
#   pip install --require-hashes --only-binary :all: -r constraints-hashes.txt && pip install --no-deps -e .
"""


def pins() -> list[tuple[str, str]]:
    """Return name and version of every pin, in the order of the file."""
    lines = [line.split("#")[0].strip() for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()]
    return [(name, version) for name, _, version in (line.partition("==") for line in lines if line)]


def wheel_hashes(name: str, version: str, tags: frozenset[object]) -> list[str]:
    """Return the published SHA-256 of every wheel of one version that the tested platform can install."""
    with urllib.request.urlopen(f"{PyPI.simple_url}/{canonicalize_name(name)}/", timeout=60) as answer:
        page = answer.read().decode()
    found = []
    for link in re.findall(r'href="([^"]+)"', page):
        address, _, fragment = html.unescape(link).partition("#")
        file = urllib.parse.unquote(address.rsplit("/", 1)[-1])
        if not file.endswith(".whl") or not fragment.startswith("sha256="):
            continue
        try:
            _, of, _, wheel_tags = parse_wheel_filename(file)
        except ValueError:  # old names that no installer takes any more
            continue
        if str(of) == version and wheel_tags & tags:
            found.append(fragment.removeprefix("sha256="))
    return sorted(set(found))


def main() -> None:
    """Write the file, or say which pin has no wheel."""
    platforms = [f"manylinux_2_{minor}_x86_64" for minor in range(28, 4, -1)]
    platforms += ["manylinux2014_x86_64", "manylinux2010_x86_64", "manylinux1_x86_64", "linux_x86_64"]
    tags = frozenset([*cpython_tags(PYTHON, platforms=platforms), *compatible_tags(PYTHON, "cp311", platforms)])
    lines, missing = [HEAD], []
    for name, version in pins():
        hashes = wheel_hashes(name, version, tags)
        if not hashes:
            missing.append(f"{name}=={version}")
        lines.append(" \\\n".join([f"{name}=={version}", *(f"    --hash=sha256:{value}" for value in hashes)]) + "\n")
    if missing:
        sys.exit(f"No wheel for the tested platform: {', '.join(missing)}")
    (ROOT / "constraints-hashes.txt").write_text("".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
