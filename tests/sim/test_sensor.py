"""What the sensor model adds to a perfect picture, against what it says it adds."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from grasplearn.sim.sensor import SENSOR

SHAPE = (224, 224)
GREY = np.full((*SHAPE, 3), 120, np.uint8)


def flat(distance: float) -> NDArray[np.float32]:
    return np.full(SHAPE, distance, np.float32)


def sensed(depth: NDArray[np.float32], seed: int = 0) -> NDArray[np.float32]:
    return SENSOR.sense(GREY, depth, np.random.default_rng(seed))[1]


def error_of(distance: float) -> float:
    """Standard deviation, m, of the known pixels of a flat wall."""
    errors = []
    for seed in range(4):
        depth = sensed(flat(distance), seed)
        errors.append(depth[depth > 0] - distance)
    assert abs(np.mean(np.concatenate(errors))) < 5e-4, "the sensor is biased"
    return float(np.concatenate(errors).std())


def test_noise_grows_with_distance_as_documented() -> None:
    found = []
    for distance in (0.5, 1.0, 1.6, 2.2):
        axial = SENSOR.axial + SENSOR.axial_growth * (distance - 0.4) ** 2
        wanted = np.sqrt(axial**2 + SENSOR.wobble**2 + SENSOR.step**2 / 12)
        found.append(error_of(distance))
        assert found[-1] == pytest.approx(wanted, rel=0.12)
    assert all(np.diff(found) > 0)


def test_depth_comes_in_whole_steps() -> None:
    depth = sensed(flat(0.75)).astype(float)
    steps = depth / SENSOR.step
    assert np.abs(steps - np.rint(steps)).max() < 1e-3
    assert len(np.unique(depth)) > 5


def test_a_step_s_value_is_the_float_next_to_it() -> None:
    """So that a picture saved in tenths of millimetres comes back to the last bit."""
    depth = sensed(flat(0.7531))
    stored = np.rint(depth.astype(np.float64) * 10_000) / 10_000
    assert np.array_equal(stored.astype(np.float32), depth)


def test_holes_gather_at_edges() -> None:
    depth = flat(0.75)
    depth[60:160, 60:160] = 0.65
    edge = np.zeros(SHAPE, bool)
    edge[58:162, 58:162] = True
    edge[62:158, 62:158] = False
    lost = sensed(depth) == 0
    assert 0.2 < lost[edge].mean() < 0.8
    assert lost[~edge].mean() < 0.01 and lost[~edge].any()


def test_dark_and_glaring_patches_lose_depth() -> None:
    colors = GREY.copy()
    colors[:, :80] = SENSOR.dark - 10
    colors[:, 150:] = 255
    depth = SENSOR.sense(colors, flat(0.75), np.random.default_rng(0))[1]
    lost = depth == 0
    for dull in (lost[:, :80], lost[:, 150:]):
        assert dull.mean() == pytest.approx(SENSOR.dull_loss, abs=0.12)
    assert lost[:, 85:145].mean() < 0.01


def test_the_same_seed_senses_the_same_and_changes_no_input() -> None:
    depth, colors = flat(0.75), GREY.copy()
    first = SENSOR.sense(colors, depth, np.random.default_rng(4))
    second = SENSOR.sense(colors, depth, np.random.default_rng(4))
    other = SENSOR.sense(colors, depth, np.random.default_rng(5))
    for a, b, c in zip(first, second, other, strict=True):
        assert np.array_equal(a, b) and not np.array_equal(a, c)
    assert (depth == np.float32(0.75)).all() and (colors == 120).all()


def test_colours_vary_in_brightness_and_balance_but_stay_pictures() -> None:
    means = []
    for seed in range(40):
        rgb, _ = SENSOR.sense(GREY, flat(0.75), np.random.default_rng(seed))
        assert rgb.dtype == np.uint8 and rgb.shape == GREY.shape
        assert 1 < rgb[..., 0].astype(float).std() < 3 * SENSOR.grain
        means.append(rgb.mean(axis=(0, 1)))
    spread = np.ptp(means, axis=0) / 120
    assert (spread > 0.3).all() and (spread < 2.0).all()
    balance = np.array(means)[:, 0] / np.array(means)[:, 2]
    assert np.ptp(balance) > SENSOR.balance


def test_what_was_not_seen_stays_unknown() -> None:
    depth = flat(0.75)
    depth[:50] = 0.0
    found = sensed(depth)
    assert (found >= 0).all() and (found[:48] == 0).all()
