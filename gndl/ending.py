"""How a command ends that cannot go on: by Ctrl-C, however often, or where the disk takes no more."""

from __future__ import annotations

import errno
import os
import signal
import threading
from contextlib import suppress
from types import FrameType

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
FORBIDDEN = (errno.EROFS, errno.EACCES, errno.EPERM)


def stop_once() -> None:
    """Let the first Ctrl-C raise KeyboardInterrupt and every further one only say that the work is being stopped.

    A second one would end the tidying up after the first: half-written files and locks would stay. For a command's
    main thread; a process that must end at once can still be killed, and the next call tidies up after it. A command
    that a shell has started in the background, where Ctrl-C is not meant for it, goes on paying no heed to it.
    """
    if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGINT) != signal.SIG_IGN:
        signal.signal(signal.SIGINT, _first)


def _first(_number: int, _frame: FrameType | None) -> None:
    signal.signal(signal.SIGINT, _again)
    raise KeyboardInterrupt


def _again(_number: int, _frame: FrameType | None) -> None:
    with suppress(OSError):  # print is not allowed to be entered twice
        os.write(2, b"gndl: is being stopped, and tidies up.\n")


def in_words(error: OSError) -> str:
    """Say what the system refused, of which file, and what to do."""
    place = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else "a file"
    reason = error.strerror or " ".join(map(str, error.args))
    # numpy says how many values it could write, and no number of an error.
    if error.errno in FULL or " requested and " in reason:
        return (
            f"{place}: no room to write it ({reason}). What was finished is kept and nothing half-written stays: free "
            "some space, or choose another --out (GNDL_DATA for pictures and crops), and call it again."
        )
    if error.errno in FORBIDDEN:
        return (
            f"{place}: the system does not allow it ({reason}). Choose another --out (GNDL_DATA for pictures and "
            "crops), or change the permissions."
        )
    return f"{place}: {reason}."
