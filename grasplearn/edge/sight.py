"""What a device sees in pictures: the maps, a demonstration's imprint, the second look.

Needs numpy and onnxruntime alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from grasplearn.edge import layout, picture
from grasplearn.edge.names import FEATURES, KERNELS, LIVELINESS, PICTURE, QUALITY, WIDTHS
from grasplearn.edge.runtime import Array, Bound
from grasplearn.edge.second_look import Look, Place, Reference, pooled
from grasplearn.types import MAX_WIDTH, Grasp


class Sight:
    """Sees with the weights as they are.

    Attributes:
        reference: what answers are compared with; None: no answer gets a second look.

    Args:
        opened: a graph, bound, by its file. weights: of the net, by name; an imprint writes into
            them. manifest: of the export.
    """

    def __init__(
        self,
        opened: Callable[[str], Bound],
        weights: Mapping[str, Array],
        manifest: Mapping[str, Any],
    ) -> None:
        self._open, self._weights = opened, weights
        self.stride = int(manifest["spec"]["stride"])
        self._patch = int(manifest["patch"])
        self._verifies = layout.VERIFY in manifest["graphs"]
        self.reference: Reference | None = None

    def maps(self, encoded: Array) -> tuple[Array, Array, Array]:
        """Quality and widths (R, h, w) of an encoded picture (5, S, S), and what is left of the
        quality after a second look; the same, where none can be had."""
        whole = encoded.shape[-1] == picture.SIDE
        bound = self._open(layout.PREDICT if whole else layout.CHECK)
        bound.inputs[PICTURE][0] = encoded
        out = bound.run()
        quality, widths = out[QUALITY][0], out[WIDTHS][0]
        if self.reference is None or not bool(np.isfinite(quality).all()):
            return quality, widths, quality
        seen, verifier = self._compared(out, encoded), self._open(layout.VERIFY)
        return quality, widths, self.reference.verified(verifier, seen, encoded, quality)

    def imprint(self, encoded: Array, grasp: Grasp, own: Array | None) -> None:
        """Makes a demonstration, as an encoded picture (5, 224, 224), the head's kernels.

        Args:
            own: (h, w), 1 where the thing or its surroundings are; without them no answer gets a
                second look.
        """
        kernels, shown = self._spot(encoded, _place(grasp))
        self._weights["head.kernels"][:] = kernels
        self._weights["head.width"][:] = grasp.width / MAX_WIDTH
        self._refer(encoded, grasp, own, shown)

    def look_at(self, encoded: Array, grasp: Grasp, own: Array | None) -> None:
        """As ``imprint``, of weights that hold the demonstration already."""
        shown = self._spot(encoded, _place(grasp))[1] if self._verifies else None
        self._refer(encoded, grasp, own, shown)

    def _spot(self, encoded: Array, place: Place) -> tuple[Array, Look | None]:
        """A place's kernels and, where that is compared, a look at it, turn by turn."""
        kernels, looks = np.zeros_like(self._weights["head.kernels"]), []
        bound = self._open(layout.IMPRINT)
        u, v, turned = place
        for index in range(len(kernels)):
            turn = 2 * math.pi * index / len(kernels) - turned
            bound.inputs[PICTURE][0] = patch = picture.patch(encoded, u, v, turn, self._patch)
            out = bound.run()
            kernels[index] = out[KERNELS][0]
            if self._verifies:
                looks.append(self._compared(out, patch).inner())
        return kernels, Look.of(looks) if looks else None

    def _compared(self, out: Mapping[str, Array], encoded: Array) -> Look:
        return Look(
            out[FEATURES][0].copy(), out[LIVELINESS][0].copy(), pooled(encoded, self.stride)
        )

    def _refer(self, encoded: Array, grasp: Grasp, own: Array | None, shown: Look | None) -> None:
        """Takes up what answers are compared with."""
        self.reference = None
        if own is None or shown is None:
            return

        def look(there: Place) -> Look:
            found = self._spot(encoded, there)[1]
            assert found is not None
            return found

        quality, _, _ = self.maps(encoded)
        self.reference = Reference.of(
            shown, quality, encoded, _place(grasp), own, self.stride, look
        )


def _place(grasp: Grasp) -> Place:
    u, v = picture.to_pixels(grasp.center_world[:2])
    return float(u), float(v), 0.0
