"""How quick the studio is: from page opened to taught, from drag to drawn, live frames a second.

    python benchmarks/studio.py --json out/studio.json

Needs Debian's Chromium, and an idle machine: the bars are 15 s on two cores (after the simulator is
up: the time it takes to start is told apart), 50 ms, and 10 frames/s at 640 x 480.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

# Ends of a line across the hammer's handle in the studio's first scene, px.
ACROSS = (196, 311), (222, 338)
BARS = {"opened_to_taught_s": 15.0, "drag_to_drawn_ms": 50.0, "frames_per_s": 10.0}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, help="write the figures into this file too")
    parser.add_argument("--rounds", type=int, default=3, help="how often a page is opened")
    parser.add_argument("--always", action="store_true", help="refine even where it is not needed")
    options = parser.parse_args()
    begun = time.perf_counter()
    with studio() as (browser, address):
        figures = measure(browser, address, options, begun)
    for name, bar in BARS.items():
        print(f"{name}: {figures[name]:.1f} (bar: {bar:g})")
    print(json.dumps(figures, indent=2))
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


@contextlib.contextmanager
def studio() -> Iterator[tuple[Any, str]]:
    """A studio with an empty library, and a browser: the browser, and the studio's address."""
    path = shutil.which("chromium")
    if path is None:
        sys.exit("no chromium here; install it: apt-get install chromium")
    with tempfile.TemporaryDirectory() as home, sync_playwright() as playwright:
        server = subprocess.Popen(
            [sys.executable, "-m", "grasplearn", "studio", "--port=0", f"--library={home}"],
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            assert server.stdout is not None
            found = re.search(r"http\S+", server.stdout.readline())
            assert found is not None, "the studio did not start"
            browser = playwright.chromium.launch(
                executable_path=path, args=["--no-sandbox", "--disable-gpu"]
            )
            yield browser, found[0]
            browser.close()
        finally:
            server.terminate()
            server.wait(20)


def measure(browser: Any, address: str, options: Any, begun: float) -> dict[str, Any]:
    opened, drawn, frames = [], [], []
    started = 0.0
    for number in range(options.rounds + 1):
        page = browser.new_page(viewport={"width": 1440, "height": 1000})
        start = time.perf_counter()
        page.goto(address)
        page.wait_for_selector("body[data-picture]", timeout=300_000)
        if number == 0:  # the simulator starts only once
            started = time.perf_counter() - begun
            page.close()
            continue
        drag(page)
        page.get_by_label("Name", exact=True).fill(f"skill-{number}")
        if options.always:
            page.get_by_label("Refine even where").check()
        page.get_by_role("button", name="Teach this grasp").click()
        page.wait_for_selector(f"#cards >> text=skill-{number}", timeout=300_000)
        opened.append(time.perf_counter() - start)
        drawn += page.evaluate("studio.measured.drawn")
        page.wait_for_timeout(1500)
        before = page.evaluate("[studio.measured.frames, performance.now()]")
        page.wait_for_timeout(5000)
        after = page.evaluate("[studio.measured.frames, performance.now()]")
        frames.append(1000 * (after[0] - before[0]) / (after[1] - before[1]))
        page.close()
    return {
        "start_to_picture_s": started,
        "opened_to_taught_s": statistics.median(opened),
        "opened_to_taught_all_s": opened,
        "drag_to_drawn_ms": statistics.quantiles(drawn, n=20)[-1],
        "drag_to_drawn_median_ms": statistics.median(drawn),
        "drags": len(drawn),
        "frames_per_s": statistics.median(frames),
    }


def drag(page: Any) -> None:
    box = page.locator("#picture").bounding_box()
    (x1, y1), (x2, y2) = (
        (box["x"] + u / 640 * box["width"], box["y"] + v / 480 * box["height"]) for u, v in ACROSS
    )
    page.mouse.move(x1, y1)
    page.mouse.down()
    page.mouse.move(x2, y2, steps=40)
    page.mouse.up()


if __name__ == "__main__":
    main()
