"""What ``gndl check``, ``gndl compare`` and ``gndl export-folds`` do."""

from __future__ import annotations

from gndl.errors import GndlError
from gndl.options import Check, Compare, ExportFolds
from gndl.paths import resolve


def check(options: Check) -> int:
    """Audit a fold file, a copy of a database or a study; 1 where something is wrong."""
    if options.folds and (options.path or options.database):
        raise GndlError("--folds is audited on its own; check a study or a copy by another call.")
    if options.cut and not options.folds:
        raise GndlError("--cut belongs to --folds FILE, whose names it cuts into folds.")
    if options.folds:
        from gndl.checking.folds import audit_folds

        folds = audit_folds(resolve(options.folds), options.cut)
        print(folds.report())
        return 0 if folds.ok else 1
    if not options.path:
        raise GndlError("Say what is to be checked: a study's directory, a copy with --database, or --folds FILE.")
    path = resolve(options.path)
    if options.database:
        from gndl.databases import ReadOptions, audit

        given = ReadOptions(options.oulu_camera, options.oulu_light, options.oulu_pictures, options.mmi_views)
        copy = audit(path, options.database, given)
        print(copy.report())
        return 0 if copy.ok else 1
    from gndl.checking.study import audit_study

    found = audit_study(path)
    print(found.report(path))
    return 1 if found.problems else 0


def compare(options: Compare) -> int:
    """Compare two studies claim by claim; 1 where a claim differs."""
    from gndl.checking.two_studies import compare_studies

    reseeded = resolve(options.reseeded) if options.reseeded else None
    found = compare_studies(resolve(options.a), resolve(options.b), reseeded)
    print(found.report())
    return 0 if found.ok else 1


def export_folds(options: ExportFolds) -> int:
    """Write a study's folds in the forms that others read."""
    from gndl.paper import DATABASE_TITLES
    from gndl.sharing.fold_export import export_folds as export

    out = resolve(options.run)
    names = [options.database] if options.database else [
        name for name in DATABASE_TITLES if (out / name / "folds.json").exists()
    ]  # fmt: skip
    if not names:
        raise GndlError(f"{out} holds no folds; `gndl prepare --out {out}` deals them.")
    for name in names:
        folder = (resolve(options.out) if options.out else out) / name / ("" if options.out else "folds")
        written = export(out, name, folder)
        print(f"{folder}: {written[0].name}, {written[1].name} and {len(written) - 2} id files in ids/")
    return 0
