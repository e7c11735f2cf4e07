"""Table tops: small square textures that repeat without a seam."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from sim_assets.generator.outlines import Array

SIDE = 256  # pixels
STEP = 8  # few distinct colours keep the PNG files below 40 kB


def noise(rng: np.random.Generator, across: float, along: float) -> Array:
    """(SIDE, SIDE) smooth periodic noise, mean 0, deviation 1; feature sizes in pixels."""
    fy, fx = np.meshgrid(np.fft.fftfreq(SIDE), np.fft.fftfreq(SIDE), indexing="ij")
    soften = np.exp(-2 * np.pi**2 * ((across * fy) ** 2 + (along * fx) ** 2))
    field = np.fft.ifft2(np.fft.fft2(rng.normal(size=(SIDE, SIDE))) * soften).real
    return np.asarray((field - field.mean()) / field.std())


def _mix(amount: Array, *colors: tuple[int, int, int]) -> Array:
    """(SIDE, SIDE, 3): 0 is the first colour, 1 the last, evenly spaced between."""
    at = np.clip(amount, 0, 1) * (len(colors) - 1)
    table = np.array(colors, float)
    return np.stack([np.interp(at, range(len(colors)), table[:, i]) for i in range(3)], 2)


def _wood(rng: np.random.Generator, rings: int, *colors: tuple[int, int, int]) -> Array:
    y = np.arange(SIDE)[:, None] / SIDE
    warp = 0.35 * noise(rng, 24, 90)
    grain = 0.5 + 0.32 * np.sin(2 * np.pi * (rings * y + warp)) + 0.1 * noise(rng, 1.2, 26)
    return _mix(grain, *colors)


def oak(rng: np.random.Generator) -> Array:
    return _wood(rng, 7, (146, 104, 62), (176, 131, 82), (194, 152, 102))


def walnut(rng: np.random.Generator) -> Array:
    return _wood(rng, 5, (62, 41, 28), (88, 60, 40), (108, 77, 53))


def planks(rng: np.random.Generator) -> Array:
    """Four pale boards side by side."""
    boards = _wood(rng, 12, (205, 176, 133), (219, 193, 152), (229, 207, 170))
    row = np.arange(SIDE) % 64
    tone = np.repeat([0.97, 1.02, 0.93, 1.0], 64) * np.where(row < 2, 0.6, 1.0)
    return np.asarray(boards * tone[:, None, None])


def linen(rng: np.random.Generator) -> Array:
    weave = np.add.outer(np.sin(np.pi * np.arange(SIDE) / 2), np.sin(np.pi * np.arange(SIDE) / 2))
    thread = noise(rng, 0.7, 9) + noise(rng, 9, 0.7)
    return _mix(0.5 + 0.08 * weave + 0.09 * thread, (112, 128, 140), (160, 176, 186))


def laminate(rng: np.random.Generator) -> Array:
    """Pale speckled kitchen top."""
    grains = noise(rng, 1.1, 1.1)
    base = _mix(0.5 + 0.1 * noise(rng, 8, 8), (196, 192, 186), (214, 210, 204))
    base[grains > 1.7] = (120, 114, 108)
    base[grains < -1.9] = (238, 236, 232)
    return base


def light_grey(rng: np.random.Generator) -> Array:
    return _mix(0.5 + 0.2 * noise(rng, 30, 30), (184, 186, 188), (196, 198, 200))


def dark_grey(rng: np.random.Generator) -> Array:
    return _mix(0.5 + 0.2 * noise(rng, 2, 2), (70, 72, 76), (84, 86, 90))


def checks(rng: np.random.Generator) -> Array:
    """A checked tablecloth."""
    band = (np.arange(SIDE) // 32) % 2
    cloth = _mix(np.add.outer(band, band) / 2, (236, 232, 224), (206, 150, 140), (172, 62, 58))
    return np.asarray(cloth + 2.0 * noise(rng, 1, 1)[..., None])


TABLES: dict[str, Callable[[np.random.Generator], Array]] = {
    f.__name__: f for f in (oak, walnut, planks, linen, laminate, light_grey, dark_grey, checks)
}


def write_tables(folder: Path) -> None:
    """Writes every table top as ``<name>.png``; the same bytes every time."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, (name, paint) in enumerate(TABLES.items()):
        rgb = STEP * np.round(paint(np.random.default_rng(number)) / STEP)
        bgr = np.clip(rgb, 0, 255).astype(np.uint8)[..., ::-1]
        done, png = cv2.imencode(".png", bgr, [cv2.IMWRITE_PNG_COMPRESSION, 9])
        assert done, name
        (folder / f"{name}.png").write_bytes(png.tobytes())
