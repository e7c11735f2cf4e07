"""The studio's page in a browser, and a person's hands on it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from studio_kit import PATIENCE_S, Studio, wait_for

Pixel = tuple[float, float]
# Ends of a line across the hammer's handle in the first scene (hammer_06, same, seed 0), px.
ACROSS: tuple[Pixel, Pixel] = (196, 311), (222, 338)


def opened(
    chromium: Any, studio: Studio, *, forgiven: str = "ERR_CONNECTION_RE", **options: Any
) -> Iterator[Any]:
    """The studio, opened; at the end it must have been quiet and have kept to itself.

    Args:
        forgiven: what the browser itself may say: by default, that the server is down (REFUSED) or
            has just gone down (RESET).
    """
    settings = {"viewport": {"width": 1440, "height": 1000}, "accept_downloads": True, **options}
    context = chromium.new_context(**settings)
    context.set_default_timeout(1000 * PATIENCE_S)
    page = context.new_page()
    said: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: said.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: said.append(f"error: {error}"))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(studio.address)
    ready(page)
    yield page
    outside = [url for url in asked if not url.startswith((studio.base, "blob:", "data:"))]
    context.close()
    assert not outside, outside
    loud = [line for line in said if forgiven not in line]
    assert not loud, loud


def ready(page: Any) -> None:
    page.wait_for_selector("body[data-picture]")
    page.wait_for_selector("#link[data-kind=good]")


def until(page: Any, seen: str, argument: Any = None) -> None:
    """Waits for an expression to be true; the page's own policy forbids Playwright's way to."""
    wait_for(lambda: page.evaluate(seen, argument), seen)


def lay_first_scene(page: Any) -> None:
    told = page.evaluate(
        """() => fetch('api/scene', {method: 'POST', headers: {'Content-Type': 'application/json'},
        body: JSON.stringify({object: 'hammer_06', tier: 'same', seed: 0})}).then(r => r.json())"""
    )
    until(page, f"document.body.dataset.picture == '{told['number']}'")
    ready(page)


def place(page: Any, pixel: Pixel) -> Pixel:
    """Where a pixel of the picture is on the screen, zoomed or not."""
    box = page.locator("#picture").bounding_box()
    width, height = page.evaluate("[studio.state.picture.width, studio.state.picture.height]")
    u, v = pixel
    right, down = (u + 0.5) / width * box["width"], (v + 0.5) / height * box["height"]
    return box["x"] + right, box["y"] + down


def drag(page: Any, start: Pixel, end: Pixel) -> None:
    page.mouse.move(*place(page, start))
    page.mouse.down()
    page.mouse.move(*place(page, end), steps=3)
    page.mouse.up()


def teach(page: Any, name: str, rule: str = "imprint") -> None:
    """Teaches the grasp that is drawn, and waits for its card."""
    page.get_by_label("Name", exact=True).fill(name)
    page.locator("#rule").select_option(rule)
    page.get_by_role("button", name="Teach this grasp").click()
    page.wait_for_selector(f"#cards .name >> text=/^{name}$/")
    page.wait_for_selector("#link[data-kind=good]")


def saved(studio: Studio, name: str) -> Path:
    return studio.library / name
