"""The one error that a user is meant to read."""


class GndlError(Exception):
    """What went wrong, the file it went wrong with, and what to do about it.

    The command line prints the message alone, without a traceback, and exits with status 1.
    """


class Diverged(GndlError):
    """A training ended because a loss or a weight is no finite number any more."""
