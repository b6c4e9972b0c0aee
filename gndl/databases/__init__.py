"""From a database on disk, in its official layout, to sequences: who is seen, with which expression, in which frames.

Databases are used where they lie and are never written to.
"""

from gndl.databases.audit import AuditReport, audit
from gndl.databases.manifest import write_frames_csv
from gndl.databases.reader import inspect_database, locate_databases, read_database
from gndl.sequences import ReadOptions

__all__ = [
    "AuditReport",
    "ReadOptions",
    "audit",
    "inspect_database",
    "locate_databases",
    "read_database",
    "write_frames_csv",
]
