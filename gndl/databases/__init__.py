"""From a database on disk, in its official layout, to sequences: who is seen, with which expression, in which frames.

Databases are used where they lie and are never written to.
"""

from gndl.databases.frames_csv import choose_frames, write_frames_csv
from gndl.databases.locate import locate_databases
from gndl.databases.reader import READERS, inspect_database, read_database
from gndl.databases.reading import ReadOptions, per_class
from gndl.databases.report import Audit, audit

__all__ = [
    "READERS",
    "Audit",
    "ReadOptions",
    "audit",
    "choose_frames",
    "inspect_database",
    "locate_databases",
    "per_class",
    "read_database",
    "write_frames_csv",
]
