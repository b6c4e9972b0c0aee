"""Frames that show the same picture twice: across subjects, where folds would leak, and under two labels.

Rule: two frames are near duplicates where their perceptual hashes differ in at most 6 of 63 bits and their
thumbnails, each with mean 0 and length 1, correlate at 0.995 or more. The hash says which of the 63 lowest frequencies
of a 32 × 32 grey thumbnail lie above their median (a DCT; the mean is left out), so another size, brightness, contrast
or compression leaves it nearly as it is, and another face does not. Mirrored copies are compared too; a picture with
less than 4 grey levels between the quartiles of its thumbnail is too plain to be compared.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.fft import dctn

from gndl.databases.folders import relative
from gndl.databases.reading import Findings
from gndl.errors import GndlError
from gndl.frames_reading import as_grey, read_frames
from gndl.progress import progress
from gndl.sequences import Database, FrameRef
from gndl.sequences import Sequence as FrameSequence

SIDE = 32
FREQUENCIES = 8
MOST_BITS = 6
"""Bits of 63 that the hashes of near duplicates may differ in."""

LEAST_CORRELATION = 0.995
"""Correlation of two thumbnails from which on they are near duplicates."""

PLAINEST = 4.0
"""Grey levels between the quartiles of a thumbnail below which a picture is like nothing: it shows no face."""

LISTED = 50
"""Pairs that are listed one by one; of more, the number is said."""

ACROSS = (
    "nearly the same picture as {other}, of another subject",
    "look at both and give the person to one subject, or take other frames by a frames.csv",
)
"""What is said of pictures that two subjects share, and what to do."""

CONFLICT = (
    "nearly the same picture as {other}, under another label",
    "look at both and correct the wrong label, or take other frames by a frames.csv",
)
"""What is said of pictures under two labels, and what to do."""

_BLOCK = 512


@dataclass(frozen=True)
class TakenFrame:
    """One frame that the study takes, and as what: ``expression`` is ``"neutral"`` or the sequence's class."""

    frame: FrameRef
    subject: str
    sequence: str
    expression: str


def check_near_duplicates(database: Database, findings: Findings) -> None:
    """Report pictures that two subjects share, and pictures that stand under two labels, as problems.

    An examined frame conflicts with another of a different class that is its near duplicate, and with a neutral frame
    of the very same pixels; a faint expression may look nearly like the neutral face, and is none of these.
    Frames that cannot be read are left to `gndl.databases.pictures.check_pictures`.
    """
    taken, thumbnails = _thumbnails(database)
    across: list[tuple[TakenFrame, TakenFrame]] = []
    conflicts: list[tuple[TakenFrame, TakenFrame]] = []
    for first, second, same in near_duplicates(thumbnails):
        one, other = taken[first], taken[second]
        if one.frame == other.frame and one.expression == other.expression:
            continue  # one file that two sequences take alike
        if one.subject != other.subject:
            across.append((one, other))
        labels = {one.expression, other.expression}
        if len(labels) > 1 and ("neutral" not in labels or same):
            conflicts.append((one, other))
    _report(database, findings, across, ACROSS)
    _report(database, findings, conflicts, CONFLICT)


def near_duplicates(thumbnails: NDArray[np.float32]) -> Iterator[tuple[int, int, bool]]:
    """Find all pairs of near duplicates, in order; all comparisons are made on whole arrays.

    Parameters
    ----------
    thumbnails : array (N, 32, 32)
        Grey.

    Yields
    ------
    first, second : int
        ``first < second``.
    same : bool
        The thumbnails are equal to the last digit.
    """
    if not len(thumbnails):
        return
    low, high = np.quantile(thumbnails, (0.25, 0.75), axis=(1, 2))
    shows = (high - low >= PLAINEST)[:, None]
    standard, bits = _standardised(thumbnails) * shows, perceptual_hash(thumbnails) * shows
    mirrored_bits, mirrored = perceptual_hash(thumbnails[:, :, ::-1]), _standardised(thumbnails[:, :, ::-1])
    for start in range(0, len(thumbnails), _BLOCK):
        own = slice(start, start + _BLOCK)
        near = np.zeros((len(bits[own]), len(bits)), dtype=bool)
        for other_bits, other in ((bits, standard), (mirrored_bits, mirrored)):
            # ±1 for every bit: the number that differ is (63 - product) / 2.
            differing = (bits.shape[1] - bits[own] @ other_bits.T) / 2
            near |= (differing <= MOST_BITS) & (standard[own] @ other.T >= LEAST_CORRELATION)
        for row, second in np.argwhere(near):
            first = start + int(row)
            if first < second:
                yield first, int(second), bool((thumbnails[first] == thumbnails[second]).all())


def perceptual_hash(thumbnails: NDArray[np.float32]) -> NDArray[np.float32]:
    """Perceptual hash of every thumbnail, array (N, 63) of +1 and −1."""
    low = dctn(thumbnails.astype(np.float64), axes=(1, 2), norm="ortho")[:, :FREQUENCIES, :FREQUENCIES]
    low = low.reshape(len(low), -1)[:, 1:]
    return np.where(low > np.median(low, axis=1, keepdims=True), 1, -1).astype(np.float32)


def thumbnail(picture: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Grey thumbnail of a picture, (32, 32), every pixel the mean of what it covers."""
    grey = Image.fromarray(as_grey(picture))
    return np.asarray(grey.resize((SIDE, SIDE), Image.Resampling.BOX), dtype=np.float32)


def _standardised(thumbnails: NDArray[np.float32]) -> NDArray[np.float32]:
    flat = thumbnails.reshape(len(thumbnails), -1).astype(np.float32)
    flat = flat - flat.mean(axis=1, keepdims=True)
    length = np.linalg.norm(flat, axis=1, keepdims=True)
    return np.divide(flat, length, out=np.zeros_like(flat), where=length > 1e-3)


def _thumbnails(database: Database) -> tuple[list[TakenFrame], NDArray[np.float32]]:
    taken: list[TakenFrame] = []
    small: list[NDArray[np.float32]] = []
    seen: dict[FrameRef, NDArray[np.float32]] = {}
    for sequence in progress(database.sequences, "comparing pictures", unit="sequence"):
        try:
            frames = {frame: thumbnail(picture) for frame, picture in read_frames(_not_seen(sequence, seen)).items()}
        except (GndlError, OSError):
            continue  # which the audit of the pictures names
        seen |= frames
        for frame, expression in _roles(sequence):
            taken.append(TakenFrame(frame, sequence.subject, sequence.sequence, expression))
            small.append(seen[frame])
    stacked = np.stack(small) if small else np.zeros((0, SIDE, SIDE), dtype=np.float32)
    return taken, stacked


def _not_seen(sequence: FrameSequence, seen: dict[FrameRef, NDArray[np.float32]]) -> list[FrameRef]:
    return [frame for frame, _ in _roles(sequence) if frame not in seen]


def _roles(sequence: FrameSequence) -> Sequence[tuple[FrameRef, str]]:
    return [(sequence.neutral, "neutral"), *((frame, sequence.expression) for frame in sequence.examined)]


def _report(
    database: Database, findings: Findings, pairs: list[tuple[TakenFrame, TakenFrame]], message: tuple[str, str]
) -> None:
    """Name the pairs one by one, and say how many more there are.

    A neutral face stands beside every sequence of its subject, so one pair of pictures may come many times: named once.
    """
    root: Path = database.root
    once: dict[frozenset[tuple[FrameRef, str, str]], tuple[TakenFrame, TakenFrame]] = {}
    for pair in pairs:
        once.setdefault(frozenset((taken.frame, taken.subject, taken.expression) for taken in pair), pair)
    reason, advice = message
    rule = f"at most {MOST_BITS} of 63 bits of the hash, correlation from {LEAST_CORRELATION}"
    for one, other in list(once.values())[:LISTED]:
        where = relative(one.frame.path, root)
        number = f"#{one.frame.index + 1}" if one.frame.is_video else ""
        words = f"{one.subject} {one.expression}, {other.subject} {other.expression}"
        findings.problem(other.frame.path, f"{reason.format(other=f'{where}{number}')} ({words}): {rule}; {advice}")
    if len(once) > LISTED:
        findings.problem(root, f"{len(once) - LISTED} more pairs: {reason.format(other='another')}; {advice}")
