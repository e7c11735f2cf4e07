"""The studio's parts by themselves: the queue, the library's folder, what the rules cost."""

from __future__ import annotations

import asyncio
import graphlib
import io
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from grasplearn.commands.studio import run as run_studio
from grasplearn.config import Studio
from grasplearn.errors import FileFormatError, GraspLearnError, InvalidValueError
from grasplearn.learning.methods import LEARNED
from grasplearn.library import WEIGHTS
from grasplearn.rules import RULES
from grasplearn.show.notes import COSTS, NOTES
from grasplearn.studio import page
from grasplearn.studio.jobs import MAX_WAITING, Queue, QueueFull
from grasplearn.studio.security import is_loopback
from grasplearn.studio.state import MEMBERS, State, unpack


class Played:
    """A process whose answers the test gives."""

    def __init__(self, heard: Callable[[dict[str, Any]], None]) -> None:
        self.heard, self.sent, self.killed = heard, [], False

    def send(self, order: dict[str, Any]) -> None:
        self.sent.append(order)

    def kill(self) -> None:
        self.killed = True


async def opened() -> tuple[Queue, list[Played], list[dict[str, Any]]]:
    started: list[Played] = []
    told: list[dict[str, Any]] = []

    def start(heard: Callable[[dict[str, Any]], None]) -> Played:
        started.append(Played(heard))
        return started[-1]

    queue = Queue(start, told.append, lambda: None)
    queue.open()
    await says(started[-1], {"say": "ready", "complaints": []})
    return queue, started, told


async def says(process: Played, *messages: dict[str, Any]) -> None:
    for message in messages:
        process.heard(message)
    await asyncio.sleep(0)


def test_one_job_at_a_time_in_order() -> None:
    async def go() -> None:
        queue, (process,), _ = await opened()
        first, second = (queue.add("teach", name, {}) for name in "ab")
        assert [order["job"] for order in process.sent] == [first.number]
        assert (first.status, second.status) == ("running", "queued")
        await says(process, {"say": "done", "job": first.number, "result": {"x": 1}})
        assert first.result == {"x": 1} and second.status == "running"
        await says(process, {"say": "failed", "job": second.number, "error": "no"})
        assert second.status == "failed" and queue.running is None

    asyncio.run(go())


def test_progress_comes_together() -> None:
    async def go() -> None:
        queue, (process,), _ = await opened()
        job = queue.add("teach", "a", {"picture": 7})
        for step, loss in enumerate((3.0, 2.0), 1):
            progress = {"step": step, "loss": loss}
            await says(process, {"say": "progress", "job": job.number, "progress": progress})
        await says(process, {"say": "heat", "job": job.number, "heat": b"png"})
        told = job.told()
        assert told["losses"] == [3.0, 2.0] and told["progress"]["step"] == 2
        assert told["heat"] == 1 and told["picture"] == 7 and job.heat == b"png"

    asyncio.run(go())


def test_cancelling_asks_first_and_then_ends_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("grasplearn.studio.jobs.PATIENCE", 0.05)

    async def go() -> None:
        queue, started, _ = await opened()
        deaf, waiting = queue.add("mesh", "a", {}), queue.add("teach", "b", {})
        queue.cancel(waiting.number)
        assert waiting.status == "cancelled"
        queue.cancel(deaf.number)
        assert started[0].sent[-1] == {"do": "stop", "job": deaf.number}
        assert not started[0].killed and deaf.told()["status"] == "stopping"
        await asyncio.sleep(0.1)
        assert started[0].killed
        await says(started[0], {"say": "ended"})
        assert deaf.status == "cancelled" and len(started) == 2 and not queue.ready
        with pytest.raises(InvalidValueError, match="ended already"):
            queue.cancel(deaf.number)

    asyncio.run(go())


def test_a_process_that_dies_fails_its_job_alone_and_comes_back() -> None:
    async def go() -> None:
        queue, started, _ = await opened()
        lost, next_one = queue.add("try_out", "a", {}), queue.add("teach", "b", {})
        await says(started[0], {"say": "ended"})
        assert lost.status == "failed" and "started anew" in lost.error
        assert next_one.status == "queued" and len(started) == 2
        await says(started[0], {"say": "done", "job": next_one.number, "result": {}})
        assert next_one.status == "queued"  # a dead process has no say any more
        await says(started[1], {"say": "ready", "complaints": []})
        assert next_one.status == "running"

    asyncio.run(go())


def test_a_process_that_never_starts_is_not_started_for_ever() -> None:
    async def go() -> None:
        started: list[Played] = []
        queue = Queue(
            lambda heard: started.append(Played(heard)) or started[-1],  # type: ignore[func-returns-value]
            lambda told: None,
            lambda: None,
        )
        queue.open()
        await says(started[0], {"say": "ended"})
        assert queue.broken and len(started) == 1
        with pytest.raises(InvalidValueError, match="does not start"):
            queue.add("scene", "a", {})

    asyncio.run(go())


def test_the_queue_is_not_endless() -> None:
    async def go() -> None:
        queue, _, _ = await opened()
        for number in range(MAX_WAITING + 1):
            queue.add("teach", str(number), {})
        with pytest.raises(QueueFull, match="waiting already"):
            queue.add("teach", "one more", {})

    asyncio.run(go())


def test_the_token_stays_and_is_the_owners_alone(tmp_path: Path) -> None:
    state = State(tmp_path / "skills")
    token = state.token()
    assert State(tmp_path / "skills").token() == token and len(token) >= 24
    assert (state.hidden / "token").stat().st_mode & 0o077 == 0
    assert State(tmp_path / "other").token() != token
    (state.hidden / "token").write_text("short")
    with pytest.raises(FileFormatError, match="delete it"):
        state.token()


def test_an_exported_skill_holds_known_files_alone(tmp_path: Path) -> None:
    state = State(tmp_path / "skills")
    folder = state.library / "a"
    (folder / "demonstration").mkdir(parents=True)
    for member in (*MEMBERS, "secret.txt"):
        (folder / member).write_bytes(member.encode())
    with zipfile.ZipFile(io.BytesIO(state.export("a"))) as archive:
        assert set(archive.namelist()) == set(MEMBERS)
    (tmp_path / "a.skill").write_bytes(state.export("a"))
    unpack(tmp_path / "a.skill", tmp_path / "out")
    assert (tmp_path / "out" / WEIGHTS).read_bytes() == WEIGHTS.encode()


def test_what_is_no_skill_any_more_is_shown_as_that(tmp_path: Path) -> None:
    state = State(tmp_path / "skills")
    (state.library / "half").mkdir()
    (state.library / "half" / WEIGHTS).write_bytes(b"\xff" * 100)
    assert state.cards() == [{"name": "half", "broken": True, "changed": 0}]


def test_undoing_twice_or_onto_another_is_refused(tmp_path: Path) -> None:
    state = State(tmp_path / "skills")
    folder = state.library / "a"
    folder.mkdir()
    (folder / WEIGHTS).write_bytes(b"first")
    key = state.delete("a")
    folder.mkdir()
    with pytest.raises(InvalidValueError, match="rename that one first"):
        state.restore(key)
    folder.rmdir()
    assert state.restore(key) == "a" and (folder / WEIGHTS).read_bytes() == b"first"
    for wrong in (key, "../..", "1"):
        with pytest.raises(InvalidValueError, match="gone for good"):
            state.restore(wrong)


def test_every_rule_has_its_cost_in_a_line() -> None:
    assert set(COSTS) == set(LEARNED) and set(COSTS) <= set(NOTES)
    for name, make in RULES.items():
        assert f"memory {make().memory}" in COSTS[name], name
        assert len(COSTS[name]) < 90


def test_the_pages_scripts_import_one_way() -> None:
    scripts = {path.name: path.read_text() for path in Path(page.__file__).parent.glob("*.js")}
    export = re.compile(r"^export (?:async )?(?:function|const) ([\w$]+)", re.MULTILINE)
    exports = {name: set(export.findall(text)) for name, text in scripts.items()}
    imports: dict[str, set[str]] = {}
    for name, text in scripts.items():
        taken = re.findall(r'^import (?:{ (.*) } from )?"\./(\w+\.js)";$', text, re.MULTILINE)
        assert len(taken) == text.count("import "), name  # none from outside
        imports[name] = {home for _, home in taken}
        for wanted, home in taken:
            assert not wanted or set(wanted.split(", ")) <= exports[home], (name, home)
    assert set().union(*imports.values()) == set(scripts) - {"studio.js"}
    graphlib.TopologicalSorter(imports).prepare()  # refuses a cycle


@pytest.mark.parametrize(
    ("host", "alone"),
    [("127.0.0.1", True), ("localhost", True), ("::1", True), ("0.0.0.0", False), ("a.b", False)],
)
def test_which_hosts_are_this_machine_alone(host: str, alone: bool) -> None:
    assert is_loopback(host) is alone


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"port": 70000}, "--port must be"),
        ({"host": "203.0.113.7"}, "choose another --port"),
        ({"objects": Path("nowhere")}, "no folder nowhere"),
        ({"weights": "nowhere"}, "nowhere"),
    ],
)
def test_what_cannot_work_is_told_at_once(
    tmp_path: Path, options: dict[str, Any], words: str
) -> None:
    with pytest.raises(GraspLearnError, match=words):
        run_studio(Studio(library=tmp_path / "skills", **options))
