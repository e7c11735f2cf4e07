"""A careless person: wrong files, the browser's back button, two tabs. It is told, and goes on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import pytest
from page_kit import ACROSS, drag, lay_first_scene, opened, ready, teach, until
from studio_kit import Studio
from teaching_kit import table

pytest.importorskip("playwright.sync_api")
pytestmark = pytest.mark.timeout(600)
NUMBER = "studio.state.picture.number"
DROP = """(file) => {
    const drop = new Event('drop', {cancelable: true});
    const slice = () => ({arrayBuffer: () => Promise.reject(new Error('not found'))});
    Object.defineProperty(drop, 'dataTransfer', {value: {files: [{slice, ...file}]}});
    dispatchEvent(drop);
}"""


@pytest.fixture
def page(chromium: Any, tiny_studio: Studio) -> Iterator[Any]:
    # The browser itself notes what the studio refuses.
    yield from opened(chromium, tiny_studio, forgiven="status of 400")


def test_files_that_are_not_what_is_wanted(page: Any, tmp_path: Path) -> None:
    photo, mesh, book = tmp_path / "photo.png", tmp_path / "half.glb", tmp_path / "book.pdf"
    cv2.imwrite(str(photo), table().rgb)
    mesh.write_bytes(b"glTF\x02\0\0\0" + bytes(100))
    book.write_bytes(b"%PDF")
    before = page.evaluate(NUMBER)
    drag(page, *ACROSS)
    for file, told in (
        (photo, "exactly one depth picture"),
        (mesh, "half.glb cannot be read as GLB"),
        (book, "'book.pdf' is no file for the studio"),
    ):
        page.set_input_files("#files", str(file))
        page.wait_for_selector(f"#toasts >> text={told}")
    page.evaluate(DROP, {"name": "a folder", "size": 4096})
    page.wait_for_selector("#toasts >> text=drop the files themselves, not their folder")
    page.evaluate(DROP, {"name": "film.png", "size": 65 * 2**20})
    page.wait_for_selector("#toasts >> text=film.png is larger than 64 MiB")
    ready(page)
    assert page.evaluate(NUMBER) == before and page.evaluate("studio.grasp") is not None


def test_back_and_forward_show_the_truth(page: Any, tiny_studio: Studio) -> None:
    lay_first_scene(page)
    drag(page, *ACROSS)
    teach(page, "kept")
    number = page.evaluate(NUMBER)
    page.goto("about:blank")
    page.go_back()
    ready(page)
    assert page.evaluate(NUMBER) == number and page.locator("#cards .name").count() == 1
    assert page.url == f"{tiny_studio.base}/"  # the token does not stay in the history
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")  # the link past the header, which changes the address
    drag(page, *ACROSS)
    page.go_back()
    assert page.evaluate("studio.grasp") is not None
    page.go_forward()
    assert page.evaluate("studio.grasp") is not None
    assert page.evaluate("document.body.dataset.link") == "on"


def test_two_tabs_show_the_same_table(page: Any, tiny_studio: Studio) -> None:
    lay_first_scene(page)
    drag(page, *ACROSS)
    other = page.context.new_page()
    other.goto(tiny_studio.address)
    ready(other)
    assert other.evaluate(NUMBER) == page.evaluate(NUMBER)
    assert other.evaluate("studio.grasp") is None  # what is being drawn is each tab's own
    drag(other, *ACROSS)
    teach(other, "of the other")
    page.wait_for_selector("#cards >> text=of the other")
    # A new table in one is a new one in both; a grasp on the old one is gone, and said to be.
    before = other.evaluate(NUMBER)
    other.get_by_role("button", name="New scene").click()
    until(other, f"document.body.dataset.picture > '{before}'")
    until(page, f"document.body.dataset.picture == '{other.evaluate(NUMBER)}'")
    assert page.evaluate("studio.grasp") is None
    assert page.get_by_role("button", name="Teach this grasp").is_disabled()
    page.wait_for_selector("#toasts >> text=laid anew")
    assert other.locator("#toasts >> text=laid anew").count() == 0
    other.close()
