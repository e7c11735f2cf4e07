"""How well the shown thing fits, laid over places of a picture."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from grasplearn import footprint
from grasplearn.footprint import Footprint

SIDE = 96
RED, BLUE = (0.6, -0.4, -0.4), (-0.4, -0.4, 0.6)
Color = tuple[float, float, float]
Drawn = NDArray[np.float32]


def table() -> Drawn:
    made = np.zeros((5, SIDE, SIDE), np.float32)
    made[4] = 1
    return made


def put(made: Drawn, outline: NDArray[np.float64], color: Color, high: float = 0.6) -> None:
    mask = (
        cv2.fillPoly(np.zeros((SIDE, SIDE), np.uint8), [np.rint(outline).astype(np.int32)], 1) > 0
    )
    made[:3, mask] = np.array(color, np.float32)[:, None]
    made[3, mask] = high


def pan(u: float, v: float, turn: float, color: Color = RED, grip: Color = RED) -> Drawn:
    """A disc of 12 pixels with a handle of 20, which points along u, turned about the disc."""
    made, c, s = table(), math.cos(turn), math.sin(turn)
    angle = np.linspace(0, 2 * math.pi, 60)
    put(made, np.stack([u + 12 * np.cos(angle), v + 12 * np.sin(angle)], 1), color)
    handle = np.array([[10, -2], [32, -2], [32, 2], [10, 2]]) @ [[c, -s], [s, c]]
    put(made, handle + np.array([u, v]), grip)
    return made


def rim(u: float, v: float, turn: float) -> footprint.Place:
    """Where the spot that was shown at the disc's top is, if the pan was turned so far."""
    return u - 10 * math.sin(turn), v - 10 * math.cos(turn), turn


SHOWN = pan(40, 50, 0)
SPOT = rim(40, 50, 0)[:2]


@pytest.mark.parametrize("turn", [0.0, 0.7, 2.0, math.pi, -1.2])
def test_where_on_a_rim_a_place_is_shows_in_where_the_handle_is(turn: float) -> None:
    thing = Footprint.of(SHOWN, SPOT)
    assert thing is not None
    seen = pan(52, 45, turn)
    places = [rim(52, 45, turn + off) for off in (0.0, 0.8, -0.8, 2.0, math.pi)]
    right, *wrong = thing.fits(seen, places)
    assert right > -0.1 and max(wrong) < right - 0.15


def test_a_place_a_little_off_fits_as_well_and_one_far_off_does_not() -> None:
    thing = Footprint.of(SHOWN, SPOT)
    assert thing is not None
    exact, near, far = thing.fits(
        SHOWN, [(*SPOT, 0.0), (SPOT[0] + 3, SPOT[1] - 2, 0.1), (*SPOT, 1.0)]
    )
    assert near == pytest.approx(exact, abs=0.06) and far < exact - 0.2


def test_another_colour_another_height_and_another_outline_fit_worse() -> None:
    thing = Footprint.of(pan(40, 50, 0, RED, BLUE), SPOT)
    assert thing is not None
    own, flipped, other = (
        thing.fits(seen, [(*SPOT, 0.0)])[0]
        for seen in (
            pan(40, 50, 0, RED, BLUE),
            pan(40, 50, 0, BLUE, RED),
            pan(40, 50, 0, BLUE, BLUE),
        )
    )
    assert own > -0.05 and own - 0.3 > other > flipped
    high = pan(40, 50, 0, RED, BLUE)
    high[3] *= 0.6
    assert thing.fits(high, [(*SPOT, 0.0)])[0] < own - 0.3


@pytest.mark.parametrize("light", [(0.8, 0.8, 0.8), (1.2, 1.2, 1.2), (0.9, 0.8, 0.75)])
def test_light_tells_little(light: Color) -> None:
    thing = Footprint.of(pan(40, 50, 0, RED, BLUE), SPOT)
    assert thing is not None
    seen = pan(40, 50, 0, RED, BLUE)
    seen[:3] = (seen[:3] + 1) * np.array(light, np.float32)[:, None, None] - 1
    right, wrong = thing.fits(seen, [(*SPOT, 0.0), rim(40, 50, 1.2)])
    assert right > -0.3 and wrong < right - 0.15


def test_the_colour_of_the_table_tells_nothing() -> None:
    thing = Footprint.of(SHOWN, SPOT)
    assert thing is not None
    seen = SHOWN.copy()
    seen[:3, seen[3] == 0] = np.array(BLUE, np.float32)[:, None]
    here, there = (thing.fits(picture, [(*SPOT, 0.0)])[0] for picture in (SHOWN, seen))
    # At the outline the two are smoothed together.
    assert there > here - 0.25


def test_what_lies_over_it_and_what_is_not_seen_tell_less_than_what_is_another() -> None:
    thing = Footprint.of(SHOWN, SPOT)
    assert thing is not None
    covered, unseen, gone = (SHOWN.copy() for _ in range(3))
    covered[:3, :, 55:], covered[3, :, 55:] = 0.9, 3.0
    unseen[:, :, 55:] = 0
    gone[3, :, 55:] = -0.5
    at = [(*SPOT, 0.0)]
    full, hidden, unknown, other = (thing.fits(p, at)[0] for p in (SHOWN, covered, unseen, gone))
    assert full > hidden > other and full > unknown > other


def test_worse_than_worst_tells_nothing_and_the_unlikely_are_not_looked_at() -> None:
    thing = Footprint.of(SHOWN, SPOT)
    assert thing is not None
    places = [(*SPOT, 0.0), (80.0, 80.0, 0.0), (*SPOT, 0.0)]
    logits = np.array([0.0, -1.0, -footprint.FAINTEST - 1])
    least = footprint.WEIGHT * footprint.WORST
    on_it, bare, unlikely = thing.scores(SHOWN, places, logits)
    assert on_it > -0.5 and bare == pytest.approx(least)
    assert unlikely == pytest.approx(on_it - footprint.WITHIN * footprint.MOST_WORSE)
    other = table()
    other[:3], other[3] = np.array(BLUE)[:, None, None], -0.6
    alike = thing.scores(other, [(*SPOT, 0.0)], np.zeros(1))
    assert alike[0] == least, "however much worse"


def test_of_places_on_one_thing_the_best_fit_counts_more_than_between_things() -> None:
    thing = Footprint.of(SHOWN, SPOT)
    assert thing is not None
    seen = pan(30, 60, 0.0)
    second = pan(70, 25, 2.0)
    seen = np.where(second[3] > 0, second, seen)
    # On the one thing the right place and one elsewhere on its rim, on the other a wrong one.
    places = [rim(30, 60, 0.0), rim(30, 60, 1.0), rim(70, 25, 0.5)]
    right, around, elsewhere = thing.fits(seen, places)
    assert right > max(around, elsewhere)
    told = thing.scores(seen, places, np.zeros(3))
    assert told[0] - told[1] > footprint.WITHIN * (right - around)
    assert told[0] - told[2] == pytest.approx(footprint.WEIGHT * (right - elsewhere))


def test_of_places_on_a_thing_that_fits_badly_none_is_preferred() -> None:
    thing = Footprint.of(SHOWN, SPOT)
    assert thing is not None
    places = [rim(40, 50, 0.0), rim(40, 50, 1.2)]

    def preference(strange: float) -> tuple[float, float]:
        """How well a thing that is so much bluer and lower fits, and how far one place is ahead."""
        seen = SHOWN.copy()
        on_it = seen[3] > 0
        for channel, other in enumerate((*BLUE, 0.2)):
            seen[channel, on_it] += strange * (other - seen[channel, on_it])
        first, second = thing.scores(seen, places, np.zeros(2))
        return thing.fits(seen, places).max(), abs(first - second)

    ahead = dict(preference(strange) for strange in np.linspace(0, 1, 21))
    bad = [much for fit, much in ahead.items() if fit < footprint.WORST - footprint.FADE]
    good = [much for fit, much in ahead.items() if fit > footprint.WORST]
    assert bad and max(bad) == 0
    assert good and min(good) > 0.5


def test_where_only_the_turn_is_in_question_the_handle_tells_it() -> None:
    thing = Footprint.of(SHOWN, SPOT)
    assert thing is not None
    assert thing.shares.sum() == pytest.approx(1, abs=1e-5) == thing.telling.sum()
    u, _ = thing.offsets + thing.middle
    handle = (u + SPOT[0] > 54) & (np.arange(len(u)) < thing.things)
    assert 0 < thing.shares[handle].sum() < 0.2 < 0.4 < thing.telling[handle].sum()


def test_of_a_disc_that_tells_no_turn_from_another_all_points_count_alike() -> None:
    disc = table()
    disc[3] = 0.6
    disc[:3] = np.array(RED, np.float32)[:, None, None]
    thing = Footprint.of(disc, (48.0, 48.0))
    assert thing is not None and thing.things == len(thing.looks)
    assert np.isfinite(thing.telling).all() and thing.telling.sum() == pytest.approx(1, abs=1e-5)


def test_a_rim_that_a_sensor_has_moved_by_a_pixel_or_two_fits_as_well() -> None:
    thing = Footprint.of(SHOWN, SPOT)
    assert thing is not None
    rng = np.random.default_rng(0)
    rough = SHOWN.copy()
    for row in range(SIDE):
        rough[:, row] = np.roll(SHOWN[:, row], int(rng.integers(-2, 3)), axis=1)
    right, wrong = thing.fits(rough, [(*SPOT, 0.0), rim(40, 50, 1.2)])
    assert right > -0.15 and wrong < right - 0.15


def test_a_thing_at_the_edge_of_the_picture_is_asked_about_like_any() -> None:
    thing = Footprint.of(SHOWN, SPOT)
    assert thing is not None
    right, outside = thing.fits(pan(80, 50, 0), [rim(80, 50, 0), (-40.0, 300.0, 0.0)])
    assert right > -0.5 and outside == pytest.approx(-footprint.BY_UNKNOWN)


def test_without_bare_table_around_it_the_thing_alone_is_compared() -> None:
    shown = SHOWN.copy()
    shown[4] = shown[3] > 0
    thing = Footprint.of(shown, SPOT)
    assert thing is not None and thing.things == len(thing.looks)
    assert thing.fits(shown, [(*SPOT, 0.0)])[0] > -0.05


def test_no_thing_no_footprint() -> None:
    assert Footprint.of(table(), SPOT) is None
    assert Footprint.of(SHOWN, (85.0, 10.0)) is None


def test_points_are_of_the_thing_and_of_the_table_around_it() -> None:
    thing = Footprint.of(SHOWN, SPOT)
    assert thing is not None
    at = np.rint((thing.offsets + thing.middle).T + SPOT).astype(int)
    high = SHOWN[3][at[:, 1], at[:, 0]] > 0
    assert len(at) == footprint.POINTS + footprint.AROUND_POINTS
    assert high[: thing.things].mean() > 0.95 and not high[thing.things :].any()
    distance = cv2.distanceTransform((SHOWN[3] <= 0).astype(np.uint8), cv2.DIST_L2, 5)
    assert distance[at[:, 1], at[:, 0]].max() <= math.sqrt(2) * (footprint.AROUND + 1)
