"""Where benchmarks are kept: a folder for each date, commit and machine, with CSV, Markdown and plot of each."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from gndl.bench.repeats import Result
from gndl.figures.style import style
from gndl.files import write_json, write_text, written_aside
from gndl.provenance import git_state, machine, versions
from gndl.results import write_csv
from gndl.sweeping.estimate import duration

MACHINE = "machine.json"
NOT_MEASURED = r"^- (\w+): \*\*not measured\*\*\. (.*)$"
"""A line of a folder's README.md: a benchmark and the reason."""


def about(device: str) -> dict[str, Any]:
    """Say when and with what is measured: processor, cores, versions, commit; no machine's name and no path.

    A GPU is named only where ``device`` asks for it: what a processor computes beside one is another machine's.
    """
    this, git = machine(), git_state()
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "commit": git["commit"],
        "changed": git["changed"],
        "processor": this["processor"],
        "cores": this["cores"],
        "device": device,
        "gpu": this["gpu"] if device.startswith("cuda") else None,
        "versions": versions(),
    }


def folder_name(about: dict[str, Any]) -> str:
    """Return ``DATE-COMMIT-MACHINE``, such as ``2026-11-24-4448081-amd-epyc-2-cores``."""
    processor = re.sub(r"\((r|tm)\)|cpu|processor", " ", str(about["gpu"] or about["processor"]).lower())
    model = "-".join(re.findall(r"[a-z0-9.]+", processor))
    commit = (about["commit"] or "no-commit")[:7]
    return f"{about['date']}-{commit}-{model}-{about['cores']}-cores"


def write_result(result: Result, folder: Path, about: dict[str, Any], took: float | None = None) -> Path:
    """Write one benchmark, which ``took`` so many seconds: summary, repeats, Markdown and plot; return the page."""
    write_json(folder / MACHINE, about)
    write_csv(result.table, folder / f"{result.name}.csv")
    write_csv(result.repeats, folder / f"{result.name}-repeats.csv")
    for name, table in result.further.items():
        write_csv(table, folder / f"{result.name}-{name}.csv")
    for kind, metadata in (("png", {}), ("svg", {"Date": None})):
        with style(), written_aside(folder / f"{result.name}.{kind}") as aside:
            result.figure.savefig(aside, format=kind, metadata=metadata, dpi=150)
    path = folder / f"{result.name}.md"
    write_text(path, markdown(result, about, took))
    return path


def markdown(result: Result, about: dict[str, Any], took: float | None = None) -> str:
    """Return a benchmark as a page: how to read it, what it says, table, plot, and where it was measured."""
    parts = [f"# {result.title}", result.reading]
    parts.append("\n".join(f"- {note}" for note in result.notes) or "-")
    parts.append(markdown_table(result.table))
    parts.append(f"![{result.title}]({result.name}.png)")
    for name, table in result.further.items():
        parts += [f"## {name.replace('_', ' ').capitalize()}", markdown_table(table)]
    changed = ", with changes that were not committed" if about["changed"] else ""
    where = f"{about['gpu']}, " if about["gpu"] else ""
    lasted = "" if took is None else f" Measuring took {duration(took)}."
    parts.append(
        f"*{about['date']}, commit {(about['commit'] or 'unknown')[:7]}{changed}; {where}{about['processor']}, "
        f"{about['cores']} cores; torch {about['versions']['torch']}, Python {about['versions']['python']}. Every "
        f"repeat: `{result.name}-repeats.csv`.{lasted}*"
    )
    return "\n\n".join(parts) + "\n"


def markdown_table(table: pd.DataFrame) -> str:
    """Return a table in Markdown, numbers to three digits."""
    columns = [name for name in table.columns if not table[name].isna().all()]
    lines = ["| " + " | ".join(name.replace("_", " ") for name in columns) + " |", "|" + "---|" * len(columns)]
    for row in table[columns].to_dict("records"):
        lines.append("| " + " | ".join(_cell(row[name]) for name in columns) + " |")
    return "\n".join(lines)


def _cell(value: object) -> str:
    if isinstance(value, float):
        if value != value:
            return ""
        return f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"
    return str(value).replace("|", "\\|")


def write_index(folder: Path, about: dict[str, Any], measured: Iterable[str], left_out: dict[str, str]) -> Path:
    """Write what a folder holds, and what was asked for and not measured, with the reason, by this call or before."""
    path = folder / "README.md"
    before = path.read_text(encoding="utf-8") if path.exists() else ""
    left_out = dict(re.findall(NOT_MEASURED, before, re.MULTILINE)) | left_out
    left_out = {name: reason for name, reason in left_out.items() if name not in set(measured)}
    pages = sorted({*measured, *(page.stem for page in folder.glob("*.md") if page.name != "README.md")})
    lines = [f"# Benchmarks of {about['date']}, {about['gpu'] or about['processor']}, {about['cores']} cores", ""]
    lines += [f"- [{name}]({name}.md)" + (", of an earlier call" if name in left_out else "") for name in pages]
    lines += [f"- {name}: **not measured**. {reason}" for name, reason in left_out.items()]
    write_text(path, "\n".join([*lines, "", "How to read them: [benchmarks/README.md](../README.md)."]) + "\n")
    return path
