"""Pointing where the picture is not seen as it is: zoomed, and under a finger on a phone."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from page_kit import (
    ACROSS,
    Pixel,
    drag,
    lay_first_scene,
    opened,
    place,
    saved,
    teach,
)
from studio_kit import Studio, wait_for

from grasplearn.lessons import load_lesson

pytest.importorskip("playwright.sync_api")
pytestmark = pytest.mark.timeout(600)
PHONE = {
    "viewport": {"width": 390, "height": 844},
    "device_scale_factor": 2,
    "is_mobile": True,
    "has_touch": True,
}


@pytest.fixture
def phone(chromium: Any, studio: Studio) -> Iterator[Any]:
    yield from opened(chromium, studio, **PHONE)


def is_about(drawn: dict[str, float], ends: tuple[Pixel, Pixel], within: float) -> None:
    """Whether the jaws stand at these two pixels, but for ``within`` of a pixel."""
    (x1, y1), (x2, y2) = ends
    assert math.hypot(drawn["u"] - (x1 + x2) / 2, drawn["v"] - (y1 + y2) / 2) < within
    off = drawn["yaw_deg"] - math.degrees(math.atan2(y1 - y2, x2 - x1))
    assert abs((off + 90) % 180 - 90) < math.degrees(math.atan2(2 * within, math.dist(*ends)))


def zoom_with_buttons(page: Any) -> None:
    for _ in range(2):
        page.get_by_role("button", name="Zoom in").click()


def zoom_with_wheel(page: Any) -> None:
    page.mouse.move(*place(page, (150, 380)))
    page.keyboard.down("Control")
    page.mouse.wheel(0, -500)
    page.keyboard.up("Control")


def zoom_and_move(page: Any) -> None:
    zoom_with_buttons(page)
    x, y = place(page, (320, 240))
    page.keyboard.down("Shift")
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 90, y - 70, steps=3)
    page.mouse.up()
    page.keyboard.up("Shift")


@pytest.mark.parametrize("zoom", [zoom_with_buttons, zoom_with_wheel, zoom_and_move])
def test_a_drag_means_the_same_where_the_picture_is_zoomed(
    page: Any, studio: Studio, zoom: Callable[[Any], None]
) -> None:
    lay_first_scene(page)
    drag(page, *ACROSS)
    plain = page.evaluate("studio.grasp")
    whole = page.locator("#picture").bounding_box()
    page.keyboard.press("Control+z")
    assert page.evaluate("studio.grasp") is None
    zoom(page)
    seen = page.locator("#picture").bounding_box()
    assert seen["width"] > 2 * whole["width"] and (seen["x"], seen["y"]) != (whole["x"], whole["y"])
    assert page.evaluate("studio.grasp") is None  # moving the sheet draws nothing
    drag(page, *ACROSS)
    zoomed = page.evaluate("studio.grasp")
    is_about(plain, ACROSS, within=1.0)
    is_about(zoomed, ACROSS, within=0.5)
    assert abs(zoomed["width"] - plain["width"]) < 0.002


def test_what_is_taught_zoomed_is_the_same_place_on_the_table(page: Any, studio: Studio) -> None:
    lay_first_scene(page)
    drag(page, *ACROSS)
    teach(page, "plain")
    page.locator("#stage").focus()
    page.keyboard.press("Control+z")
    zoom_with_buttons(page)
    drag(page, *ACROSS)
    teach(page, "zoomed")
    plain, zoomed = (
        load_lesson(saved(studio, name) / "demonstration").demonstration.grasp
        for name in ("plain", "zoomed")
    )
    np.testing.assert_allclose(zoomed.center_world, plain.center_world, atol=0.002)
    assert abs(math.degrees(zoomed.yaw - plain.yaw)) < 4
    assert abs(zoomed.width - plain.width) < 0.002


class Finger:
    """Fingers on the glass; Playwright itself only taps."""

    def __init__(self, page: Any) -> None:
        self.session = page.context.new_cdp_session(page)

    def __call__(self, kind: str, *points: Pixel) -> None:
        fingers = [{"x": x, "y": y, "id": n} for n, (x, y) in enumerate(points)]
        self.session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": fingers})

    def drag(self, start: Pixel, end: Pixel) -> None:
        self("touchStart", start)
        for share in (0.25, 0.5, 0.75, 1.0):
            x, y = (a + share * (b - a) for a, b in zip(start, end, strict=True))
            self("touchMove", (x, y))
        self("touchEnd")


def test_teaching_by_touch_on_a_phone(phone: Any, studio: Studio) -> None:
    lay_first_scene(phone)
    phone.locator("#stage").scroll_into_view_if_needed()
    scrolled = phone.evaluate("scrollY")
    finger = Finger(phone)
    finger.drag(place(phone, ACROSS[0]), place(phone, ACROSS[1]))
    is_about(phone.evaluate("studio.grasp"), ACROSS, within=2.0)
    assert phone.evaluate("scrollY") == scrolled  # the page stays where it is under the finger
    # A handle is taken by a finger that is not quite on it: the grasp moves, the opening stays.
    before = phone.evaluate("studio.grasp")
    x, y = place(phone, (before["u"], before["v"]))
    finger.drag((x - 3, y - 3), (x + 17, y - 33))
    after = phone.evaluate("studio.grasp")
    assert after["u"] > before["u"] + 25 and after["v"] < before["v"] - 40
    assert after["width"] == before["width"]
    # No finger is back within some milliseconds; the browser takes that for the same gesture.
    phone.wait_for_timeout(500)
    phone.get_by_role("button", name="Undo").tap()
    wait_for(lambda: phone.evaluate("studio.grasp") == before, "the grasp as it was before")

    phone.get_by_label("Name", exact=True).fill("by_touch")
    phone.get_by_role("button", name="Teach this grasp").tap()
    phone.wait_for_selector("#cards >> text=by_touch")
    lesson = load_lesson(saved(studio, "by_touch") / "demonstration")
    assert (lesson.object_id, lesson.part) == ("hammer_06", "handle")


def test_two_fingers_zoom_and_draw_nothing(phone: Any) -> None:
    lay_first_scene(phone)
    phone.locator("#stage").scroll_into_view_if_needed()
    finger = Finger(phone)
    finger.drag(place(phone, ACROSS[0]), place(phone, ACROSS[1]))
    drawn = phone.evaluate("studio.grasp")
    x, y = place(phone, (320, 240))
    finger("touchStart", (x - 20, y))
    finger("touchStart", (x - 20, y), (x + 20, y))
    finger("touchMove", (x - 30, y), (x + 30, y))
    finger("touchMove", (x - 50, y), (x + 50, y))
    finger("touchEnd")
    assert phone.evaluate("studio.grasp") == drawn
    assert phone.text_content("#zoom").startswith("2.5")
    # What was between the fingers still is.
    assert math.dist(place(phone, (320, 240)), (x, y)) < 2
