"""Pictures of the studio's page: taught, then tried as well, wide and narrow, light and dark.

    python benchmarks/studio_pictures.py --out out/studio --readme docs/studio.webp

The first is the README's: a grasp drawn, and what the net has learnt of it. To be looked at. Needs
Debian's Chromium.
"""

from __future__ import annotations

import argparse
import itertools
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from studio import drag, studio

WIDE, NARROW = {"width": 1440, "height": 1080}, {"width": 390, "height": 844}
PATIENCE_MS = 600_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("out/studio"), help="where they go")
    parser.add_argument("--readme", type=Path, help="write the first as this WebP file")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    with studio() as (browser, address):
        page = browser.new_page(viewport=WIDE, color_scheme="light")
        page.set_default_timeout(PATIENCE_MS)
        page.goto(address)
        page.wait_for_selector("body[data-picture]")
        learn(page)
        picture = page.screenshot(path=str(options.out / "taught.png"))
        if options.readme:
            write_webp(options.readme, picture)
        page.get_by_role("spinbutton", name="Trials").fill("4")
        page.get_by_role("button", name="Try it").click()
        page.wait_for_selector("#downloads a")
        for size, scheme in itertools.product((WIDE, NARROW), ("light", "dark")):
            shape = "wide" if size == WIDE else "narrow"
            taught = browser.new_page(viewport=size, color_scheme=scheme)
            taught.set_default_timeout(PATIENCE_MS)
            taught.goto(address)
            taught.wait_for_selector("body[data-picture]")
            drag(taught)
            for image in taught.locator("#strip img, #cards img").all():
                image.scroll_into_view_if_needed()  # only what is seen is loaded
                while not image.evaluate("image => image.complete"):
                    taught.wait_for_timeout(50)
            taught.evaluate("scrollTo(0, 0)")
            taught.wait_for_selector("#link[data-kind=good]")
            taught.screenshot(path=str(options.out / f"{shape}-{scheme}.png"), full_page=True)
            taught.close()
    print(f"pictures: {options.out}")


def learn(page: Any) -> None:
    """Draws the grasp and teaches it."""
    drag(page)
    page.get_by_label("Name", exact=True).fill("hammer")
    page.get_by_label("Refine even where").check()
    page.get_by_role("button", name="Teach this grasp").click()
    page.wait_for_selector("#cards .name")
    page.wait_for_selector("#link[data-kind=good]")
    page.wait_for_selector(".toast", state="detached")


def write_webp(path: Path, png: bytes) -> None:
    picture = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    cv2.imwrite(str(path), picture, [cv2.IMWRITE_WEBP_QUALITY, 82])


if __name__ == "__main__":
    main()
