"""Colours that everyday things have, drawn at random."""

from __future__ import annotations

import colorsys

import numpy as np

from sim_assets.generator.solid import Paint

Color = tuple[int, int, int]


def hsv(hue: float, saturation: float, value: float) -> Color:
    """An sRGB colour in 0..255; all arguments in 0..1, the hue wraps."""
    r, g, b = colorsys.hsv_to_rgb(hue % 1.0, saturation, value)
    return round(255 * r), round(255 * g), round(255 * b)


def bright(rng: np.random.Generator, hue: float | None = None) -> Color:
    """A strong colour of any hue, or near ``hue``."""
    hue = rng.uniform() if hue is None else hue + rng.normal(0, 0.02)
    return hsv(hue, rng.uniform(0.5, 0.9), rng.uniform(0.55, 0.92))


def pastel(rng: np.random.Generator) -> Color:
    return hsv(rng.uniform(), rng.uniform(0.15, 0.4), rng.uniform(0.85, 0.97))


def dark(rng: np.random.Generator) -> Color:
    """Near black: rubber, black plastic."""
    return hsv(rng.uniform(), rng.uniform(0.0, 0.25), rng.uniform(0.12, 0.25))


def white(rng: np.random.Generator) -> Color:
    return hsv(rng.uniform(0.08, 0.16), rng.uniform(0.0, 0.12), rng.uniform(0.88, 0.96))


def steel(rng: np.random.Generator) -> Color:
    return hsv(rng.uniform(0.55, 0.65), rng.uniform(0.02, 0.1), rng.uniform(0.55, 0.82))


def timber(rng: np.random.Generator) -> Paint:
    """Wood grain, from beech to walnut."""
    hue, saturation, value = rng.uniform(0.06, 0.1), rng.uniform(0.4, 0.65), rng.uniform(0.45, 0.85)
    return Paint(hsv(hue, saturation, value), hsv(hue, saturation, 0.78 * value), "wood")


def contrast(rng: np.random.Generator, color: Color) -> Color:
    """A strong colour well away from ``color``: another hue, or white on dark and dark on white."""
    hue, saturation, value = colorsys.rgb_to_hsv(*(c / 255 for c in color))
    if saturation < 0.3:
        return bright(rng)
    if rng.uniform() < 0.4:
        return white(rng) if value < 0.75 else dark(rng)
    return bright(rng, hue + rng.uniform(0.25, 0.75))
