"""What an RGB-D sensor makes of a perfect picture: noise, holes, colours that are never right."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class SensorModel:
    """A cheap stereo depth camera at arm's length: 3 to 4 mm of error, frayed edges, holes.

    Attributes:
        axial, axial_growth: m and 1/m, white noise of axial + axial_growth (z - 0.4 m)^2.
        wobble: m, slow error from patch to patch, as block matching makes it.
        wobble_size: pixels over which it changes.
        flutter: pixels, sideways error: edges fray.
        step: m, depth comes in whole steps.
        edge_step: m, a jump in depth within one pixel that counts as an edge.
        edge_loss: share of the pixels at edges without depth; random_loss: of all others.
        dark, bright: grey values beyond which patches of depth are lost, dull_loss of them.
        exposure, balance, gamma: largest relative change of brightness, of one colour channel,
            and of the tone curve's exponent.
        blur: pixels, greatest width of the lens's blur. grain: of 255, pixel noise.

    Source: axial and lateral noise as in Nguyen, Izadi, Lovell 2012, "Modeling Kinect sensor noise
    for improved 3D reconstruction and tracking", equations 1 and 2; the other terms are ours.
    """

    axial: float = 0.002
    axial_growth: float = 0.0019
    wobble: float = 0.0035
    wobble_size: int = 14
    flutter: float = 1.2
    step: float = 0.001
    edge_step: float = 0.015
    edge_loss: float = 0.5
    random_loss: float = 0.002
    dark: int = 38
    bright: int = 245
    dull_loss: float = 0.35
    exposure: float = 0.3
    balance: float = 0.15
    gamma: float = 0.2
    blur: float = 0.8
    grain: float = 4.0

    def sense(
        self, rgb: NDArray[np.uint8], depth: Floats, rng: np.random.Generator
    ) -> tuple[NDArray[np.uint8], Floats]:
        """Returns colours (H, W, 3) uint8 and depth (H, W) m, 0 where it was lost."""
        return self.colors(rgb, rng), self.depth(rgb, depth, rng)

    def colors(self, rgb: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
        gain = 1 + rng.uniform(-self.exposure, self.exposure)
        gains = gain * (1 + rng.uniform(-self.balance, self.balance, 3))
        exponent = 1 + rng.uniform(-self.gamma, self.gamma)
        tones = np.arange(256)[:, None] / 255
        curve = 255 * np.clip(gains * tones, 0, 1) ** exponent
        toned = cv2.LUT(rgb, curve.astype(np.uint8)[None])
        blurred = cv2.GaussianBlur(toned, (3, 3), rng.uniform(0.2, self.blur))
        # Bytes are the cheapest noise: twelve bits of two uniform draws look normal enough.
        noise = rng.bytes(2 * rgb.size)
        pair = np.frombuffer(noise, np.uint8).reshape(2, *rgb.shape).astype(np.int16)
        grain = (pair[0] + pair[1] - 255) * np.float32(self.grain / 104.5)
        return np.asarray(np.clip(blurred + grain, 0, 255), dtype=np.uint8)

    def depth(self, rgb: NDArray[np.uint8], depth: Floats, rng: np.random.Generator) -> Floats:
        height, width = depth.shape
        spread = np.float32(np.sqrt(12) * self.flutter)
        at = spread * (rng.random((2, height, width), dtype=np.float32) - np.float32(0.5))
        at[0] += np.arange(width, dtype=np.float32)
        at[1] += np.arange(height, dtype=np.float32)[:, None]
        seen = cv2.remap(depth, at[0], at[1], cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE)

        sigma = self.axial + self.axial_growth * (seen - 0.4) ** 2
        noise = sigma * rng.standard_normal(depth.shape, dtype=np.float32)
        noise += self.wobble * _patches(depth.shape, self.wobble_size, rng)
        # Dividing by whole numbers gives the floats next to 1 mm, 2 mm, ...: files keep them.
        per_metre = np.float32(round(1 / self.step))
        noisy = np.round((seen + noise) * per_metre) / per_metre

        kernel = np.ones((3, 3), np.uint8)
        edge = cv2.dilate(depth, kernel) - cv2.erode(depth, kernel) > self.edge_step
        grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
        dull = (grey < self.dark) | (grey > self.bright)
        # Standard normal patches exceed this with the wanted probability.
        patchy = _patches(depth.shape, 6, rng) > ndtri(1 - self.dull_loss)
        chance = np.where(edge, np.float32(self.edge_loss), np.float32(self.random_loss))
        lost = (rng.random(depth.shape, dtype=np.float32) < chance) | (dull & patchy)
        noisy[lost | (seen <= 0)] = 0.0
        return np.asarray(noisy, dtype=np.float32)


def _patches(shape: tuple[int, ...], size: int, rng: np.random.Generator) -> Floats:
    """(H, W) smooth noise of about unit variance that changes over ``size`` pixels."""
    coarse = (shape[0] // size + 2, shape[1] // size + 2)
    noise = rng.standard_normal(coarse, dtype=np.float32)
    # Cubic interpolation between independent knots keeps about 0.86 of their deviation.
    smooth = cv2.resize(noise, shape[::-1], interpolation=cv2.INTER_CUBIC) / 0.86
    return np.asarray(smooth, dtype=np.float32)


SENSOR = SensorModel()
