"""What a subject wears, put together: hair, beard and glasses of one identity, fitted to its shape."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from gndl.standins.beard import grow_beard
from gndl.standins.glasses import fit_glasses
from gndl.standins.hair import grow_hair, trimmed
from gndl.standins.head import Floats, Head
from gndl.standins.identity import Identity
from gndl.standins.raycast import Colours
from gndl.standins.surface import Surface
from gndl.standins.worn import Worn, joined, nothing_worn


def dress(head: Head, identity: Identity, points: Floats) -> Worn:
    """Hair, beard and glasses of a subject whose relaxed head has the vertices ``points`` (N, 3)."""
    surface = Surface(head, points)
    # Each kind has a stream of its own, so that glasses put on do not make the hair grow otherwise.
    strands, bristles = np.random.default_rng(identity.pattern).spawn(2)
    pieces = [
        nothing_worn(),
        grow_hair(head, surface, points, identity.hair, trimmed(identity.complexion, identity.hair), strands),
    ]
    if identity.beard is not None:
        pieces.append(grow_beard(head, surface, points, identity.beard, bristles))
    if identity.glasses is not None:
        pieces.append(fit_glasses(head, surface, points, identity.glasses))
    return joined(pieces)


def colours_of(identity: Identity) -> Colours:
    """The subject's colours with those of hair and glasses."""
    colours = replace(identity.colours, hair=identity.complexion.hair)
    if identity.glasses is not None:
        colours = replace(colours, frame=identity.glasses.colour, tint=identity.glasses.tint)
    return colours
