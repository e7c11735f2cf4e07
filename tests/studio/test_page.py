"""The page as a person uses it, in Debian's Chromium: by mouse, by keyboard, with own pictures,
through cancelling, reloading and a server that dies. No console error, no outside request, ever."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from page_kit import ACROSS, drag, lay_first_scene, opened, ready, saved, until
from studio_kit import Studio
from teaching_kit import demonstration, table

from grasplearn.files import save_demonstration
from grasplearn.learning.teaching_settings import Teaching
from grasplearn.lessons import load_lesson
from grasplearn.sim.camera import overhead_camera
from grasplearn.skill import Skill
from grasplearn.types import Demonstration, wrap_yaw

playwright = pytest.importorskip("playwright.sync_api")
pytestmark = pytest.mark.timeout(600)
SEEN_TO_LEARN = "!isNaN(document.getElementById('fig-loss').textContent)"


def test_by_mouse_teach_watch_try_see_success(page: Any, studio: Studio) -> None:
    drag(page, *ACROSS)
    grasp = page.evaluate("studio.grasp")
    middle = np.mean(ACROSS, axis=0)
    assert math.hypot(grasp["u"] - middle[0], grasp["v"] - middle[1]) < 1.5
    drawn_yaw = math.degrees(math.atan2(ACROSS[0][1] - ACROSS[1][1], ACROSS[1][0] - ACROSS[0][0]))
    assert abs(math.degrees(wrap_yaw(math.radians(grasp["yaw_deg"] - drawn_yaw)))) < 2
    assert 0.03 < grasp["width"] < 0.06 and page.locator("#marks .jaw").count() == 4

    # A jaw's handle opens it wider, undo takes that back.
    drag(page, ACROSS[1], (227, 343))
    assert page.evaluate("studio.grasp.width") > grasp["width"] + 0.004
    page.get_by_role("button", name="Undo").click()
    assert page.evaluate("studio.grasp") == grasp

    page.get_by_label("Name", exact=True).fill("by_mouse")
    page.get_by_label("Refine even where").check()
    page.get_by_role("button", name="Teach this grasp").click()
    # It is seen to learn: losses one by one, a curve, heat over the picture that changes.
    until(page, SEEN_TO_LEARN)
    page.wait_for_selector("#heat-layer:not([hidden])")
    first = page.get_attribute("#heat-layer", "src")
    page.wait_for_selector("#curve polyline")
    page.wait_for_selector("#cards >> text=by_mouse")
    assert page.get_attribute("#heat-layer", "src") != first
    assert "MiB" in page.text_content("#fig-memory") and " s" in page.text_content("#fig-time")
    skill = Skill.load(saved(studio, "by_mouse"))
    assert skill.method == "static-sgm" and len(skill.taught.report.losses) == Teaching().steps
    lesson = load_lesson(saved(studio, "by_mouse") / "demonstration")
    assert lesson.object_id == "hammer_06" and lesson.part == "handle"
    # Pointed at in a finer picture, taught in pixels as large as those of trials.
    seen, trials = lesson.demonstration.observation.camera, overhead_camera()
    assert page.evaluate("studio.state.picture.height") > seen.height == trials.height
    assert math.isclose(seen.K[0, 0], trials.K[0, 0])

    page.wait_for_selector("#link[data-kind=good]")
    page.get_by_role("spinbutton", name="Trials").fill("2")
    page.get_by_role("button", name="Try it").click()
    page.wait_for_selector("#stage[data-robot=on]")  # the robot is seen at work
    with page.expect_download() as download:
        page.get_by_role("link", name="Download the video").click()
    assert download.value.path().stat().st_size > 10_000
    with page.expect_download() as download:
        page.get_by_role("link", name="Download the report").click()
    report = download.value.path().read_text()
    assert "by_mouse" in report and "<video" in report
    assert page.locator("#strip li").count() == 2
    assert page.locator("#strip li.good").count() >= 1
    for picture in page.locator("#strip img").all():
        picture.scroll_into_view_if_needed()
        handle = picture.element_handle()
        until(page, "image => image.complete && image.naturalWidth == 448", handle)
    score = page.text_content("#scores")
    assert " of 2" in score and "%" in score
    assert "95 % interval" in page.get_attribute("#scores svg", "aria-label")


def test_by_keyboard_alone_teach_and_find(page: Any, studio: Studio) -> None:
    lay_first_scene(page)
    keys = page.keyboard
    for _ in range(40):  # to the picture, from wherever the focus is
        keys.press("Tab")
        if page.evaluate("document.activeElement.id") == "stage":
            break
    assert page.evaluate("document.activeElement.id") == "stage"
    keys.press("ArrowLeft")  # sets the jaws down in the middle
    middle = page.evaluate("studio.grasp")
    assert abs(middle["u"] - 319.5) < 1
    for _ in range(9):
        keys.press("Shift+ArrowLeft")
    for _ in range(7):
        keys.press("Shift+ArrowDown")
    keys.press("ArrowLeft")
    for _ in range(9):
        keys.press("e")
    for _ in range(20):
        keys.press("s")
    grasp = page.evaluate("studio.grasp")
    assert abs(grasp["yaw_deg"] + 45) < 1 and abs(grasp["width"] - 0.04) < 1e-6
    keys.press("Control+z")
    assert page.evaluate("studio.grasp.width") > grasp["width"]
    keys.press("s")
    while page.evaluate("document.activeElement.id") != "name":
        keys.press("Tab")
    keys.press("Control+a")
    keys.type("by_keys")
    keys.press("Enter")
    page.wait_for_selector("#cards >> text=by_keys")
    lesson = load_lesson(saved(studio, "by_keys") / "demonstration")
    assert lesson.object_id == "hammer_06"
    page.wait_for_selector("#link[data-kind=good]")
    while page.evaluate("document.activeElement.id") != "find":
        keys.press("Tab")
    keys.press("Enter")
    page.wait_for_selector("#marks .found")
    assert "confidence" in page.text_content("#hint")


def test_hints_say_too_wide_and_off_the_table(page: Any) -> None:
    lay_first_scene(page)
    drag(page, (200, 320), (330, 320))
    assert "80 mm at most" in page.text_content("#hint")
    assert page.get_by_role("button", name="Teach this grasp").is_disabled()
    drag(page, (30, 200), (60, 200))
    assert "off the table" in page.text_content("#hint")
    drag(page, (145, 140), (175, 140))  # bare table: only the server can tell
    until(page, "document.getElementById('hint').textContent.startsWith('Nothing stands')")


def test_own_picture_dropped_and_taught(page: Any, studio: Studio, tmp_path: Path) -> None:
    shown = demonstration()
    save_demonstration(tmp_path / "mine", Demonstration(table(), shown.grasp))
    names = ("color.png", "depth.png", "camera.json")
    contents = [list((tmp_path / "mine" / name).read_bytes()) for name in names]
    page.evaluate(
        """([names, contents]) => {
            const data = new DataTransfer();
            names.forEach((name, i) =>
                data.items.add(new File([new Uint8Array(contents[i])], name)));
            dispatchEvent(new DragEvent('drop', {dataTransfer: data, cancelable: true}));
        }""",
        [list(names), contents],
    )
    until(page, "studio.state.picture && studio.state.picture.own")
    until(page, "document.body.dataset.picture == String(studio.state.picture.number)")
    drag(page, (128, 96), (128, 127))
    page.get_by_label("Name", exact=True).fill("mine")
    page.locator("#rule").select_option("imprint")
    page.get_by_role("button", name="Teach this grasp").click()
    page.wait_for_selector("#cards >> text=mine")
    skill = Skill.load(saved(studio, "mine"))
    np.testing.assert_allclose(
        skill.demonstration.grasp.center_world[:2], shown.grasp.center_world[:2], atol=0.006
    )
    assert not (saved(studio, "mine") / "demonstration/lesson.json").exists()
    page.locator("#skill-a").select_option("mine")
    assert page.get_by_role("button", name="Try it").is_disabled()
    page.wait_for_selector("#link[data-kind=good]")
    page.get_by_role("button", name="Find it here").click()
    page.wait_for_selector("#marks .found")


TEACH = """(body) => fetch('api/teach', {method: 'POST',
headers: {'Content-Type': 'application/json'}, body: JSON.stringify({...body,
picture: studio.state.picture.number, grasp: studio.grasp})})"""
LEARNING = "studio.state.jobs.some(j => j.status == 'running' && j.losses.length > {})"


def begin_long_teaching(page: Any, name: str) -> None:
    lay_first_scene(page)
    drag(page, *ACROSS)
    page.evaluate(TEACH, {"name": name, "always": True, "steps": 400})
    until(page, LEARNING.format(1))


def test_reload_in_mid_teaching_then_cancel(page: Any, studio: Studio) -> None:
    begin_long_teaching(page, "never")
    page.reload()
    # The page shows the truth: still learning, and everything since the beginning.
    page.wait_for_selector("#learning:not([hidden])")
    until(page, "studio.state.jobs.some(j => j.status == 'running' && j.losses.length > 2)")
    assert page.locator("#queue li").count() == 1
    page.wait_for_selector("#curve polyline")
    before = sorted(path.name for path in studio.library.iterdir())
    page.locator("#cancel").click()
    page.wait_for_selector("#toasts >> text=Cancelled")
    page.wait_for_selector("#link[data-kind=good]")
    assert sorted(path.name for path in studio.library.iterdir()) == before
    assert page.text_content("#fig-phase") == "cancelled"


def test_server_killed_and_restarted(page: Any, studio: Studio) -> None:
    begin_long_teaching(page, "lost")
    studio.kill()
    page.wait_for_selector("#link[data-kind=bad]")
    studio.start()
    page.wait_for_selector("#toasts >> text=started anew")
    ready(page)
    assert page.evaluate("studio.state.picture.object") == "hammer_06"
    assert not (studio.library / "lost").exists()
    assert page.locator("#queue li").count() == 0
    assert not page.evaluate("studio.state.jobs.some(j => j.kind == 'teach')")
    names = page.evaluate("studio.state.skills.map(c => c.name)")
    assert names == sorted(p.parent.name for p in studio.library.glob("*/changed.safetensors"))


def test_cards_rename_delete_undo_export_import(page: Any, studio: Studio, tmp_path: Path) -> None:
    lay_first_scene(page)
    drag(page, *ACROSS)
    page.get_by_label("Name", exact=True).fill("card")
    page.locator("#rule").select_option("imprint")
    page.get_by_role("button", name="Teach this grasp").click()
    page.get_by_role("button", name="Rename card").click()
    page.keyboard.type("ace")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Delete ace").click()
    page.wait_for_selector("#toasts >> text=Deleted ace")
    assert not saved(studio, "ace").exists()
    page.get_by_role("button", name="Undo", exact=True).last.click()
    with page.expect_download() as download:
        page.get_by_role("link", name="Export ace").click()
    file = tmp_path / "ace.skill"
    download.value.save_as(file)
    page.set_input_files("#files", str(file))
    page.wait_for_selector("#cards >> text=ace-2")
    first, second = (Skill.load(saved(studio, name)) for name in ("ace", "ace-2"))
    assert first.card() == second.card()


@pytest.mark.parametrize("width", [1440, 768, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_width_scrolls_sideways_and_text_has_contrast(
    chromium: Any, studio: Studio, width: int, scheme: str
) -> None:
    for page in opened(
        chromium, studio, viewport={"width": width, "height": 844}, color_scheme=scheme
    ):
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        # Every control has a name that a screen reader says.
        unnamed = page.evaluate(UNNAMED)
        assert unnamed == []
        ratios = page.evaluate(CONTRAST)
        assert {k: v for k, v in ratios.items() if v < 4.5} == {}
        if width == 390:
            small = page.evaluate(
                """[...document.querySelectorAll('button, select')].filter(n => n.offsetParent &&
                (n.offsetHeight < 32 || n.offsetWidth < 24)).map(n => n.outerHTML)"""
            )
            assert small == []


UNNAMED = """[...document.querySelectorAll('button, input, select, a, [role=application]')].filter(
    n => !n.closest('[hidden]') && !(n.ariaLabel || n.textContent.trim() || n.labels?.length)
).map(n => n.outerHTML)"""
CONTRAST = """() => {
  const channel = (c) => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  const luminance = ([r, g, b]) =>
    0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
  const parse = (text) => text.match(/[\\d.]+/g).map(Number);
  const ground = (n) => {
    for (; n; n = n.parentElement) {
      const c = parse(getComputedStyle(n).backgroundColor);
      if (c.length < 4 || c[3] > 0) return c;
    }
    return [255, 255, 255];
  };
  const found = {};
  for (const n of document.querySelectorAll('h1, h2, p, label, button, .button, kbd, .status')) {
    if (!n.offsetParent || !n.textContent.trim() || n.disabled) continue;
    const pair = [parse(getComputedStyle(n).color), ground(n)].map(luminance);
    const [a, b] = pair.sort((x, y) => y - x);
    found[(n.id || n.textContent.trim()).slice(0, 30)] = (a + 0.05) / (b + 0.05);
  }
  return found;
}"""


def test_without_motion_no_live_stream_is_asked_for(chromium: Any, studio: Studio) -> None:
    for page in opened(chromium, studio, reduced_motion="reduce"):
        page.wait_for_timeout(1500)
        assert page.evaluate("studio.measured.frames") == 0
        still = json.loads(page.evaluate("JSON.stringify(studio.state.picture)"))
        assert still["width"] == 640
