"""Whatever is sent: a sentence and a status, no trace, no hang, nothing outside the library."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import socket
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import websockets
from studio_kit import (
    PATIENCE_S,
    Studio,
    half_upload,
    wait_for,
    wait_for_job,
    wait_for_picture,
)
from teaching_kit import demonstration

from grasplearn.files import save_demonstration
from grasplearn.studio import page

pytestmark = pytest.mark.timeout(600)
REQUESTS = 200
NAMES = ("../out", "..", "a/b", "..\\out", ".studio", "/etc/x", "a\0b", "", "x" * 300, "\n", "-rf")


@pytest.fixture(scope="module")
def client(tiny_studio: Studio) -> Iterator[httpx.Client]:
    with tiny_studio.client() as client:
        wait_for_picture(client)
        yield client


@pytest.fixture(autouse=True)
def harmless(tiny_studio: Studio, client: httpx.Client) -> Iterator[None]:
    """After every test: it still answers, and nothing lies where nothing should."""
    yield
    assert client.get("/api/state").json()["simulator"] == "ready"
    around = {path.name for path in tiny_studio.home.iterdir()}
    assert around == {"log.txt", "skills"}
    inside = {path.name for path in (tiny_studio.library / ".studio").iterdir()}
    assert inside <= {"token", "last.json", "runs", "drops", "trash"}
    assert "Traceback" not in tiny_studio.log()


def refused(response: httpx.Response, status: int | None = None) -> str:
    """The sentence of a refusal: no server fault, no trace, no path of this machine."""
    assert 400 <= response.status_code < 500, (response.status_code, response.text)
    assert status is None or response.status_code == status, response.text
    text = response.text
    assert "Traceback" not in text and 'File "' not in text and "site-packages" not in text
    assert 0 < len(text) < 1000
    return text


def good_grasp() -> dict[str, float]:
    return {"u": 209.0, "v": 324.5, "yaw_deg": -46.0, "width": 0.045}


def teach_body(client: httpx.Client, name: str, **changes: Any) -> dict[str, Any]:
    picture = client.get("/api/state").json()["picture"]["number"]
    return {"picture": picture, "grasp": good_grasp(), "name": name, **changes}


# -- who may ask -------------------------------------------------------------------------------


def test_without_the_token_nothing_is_told(tiny_studio: Studio) -> None:
    with httpx.Client(base_url=tiny_studio.base) as stranger:
        parts = ("/studio.js", "/stage.js", "/studio.css")
        for path in ("/", "/api/state", *parts, "/?token=", "/?token=wrong", "/api/choices"):
            assert "token" in refused(stranger.get(path), 403)
        for token in ("x" * 32, tiny_studio.token[:-1], tiny_studio.token + "x"):
            stranger.cookies.set(f"grasplearn_studio_{tiny_studio.port}", token)
            refused(stranger.get("/api/state"), 403)
            stranger.cookies.clear()


@pytest.mark.parametrize(
    "host",
    ["evil.example", "localhost.evil.example", "127.0.0.1", "127.0.0.1:1", "", "a@127.0.0.1"],
)
def test_a_foreign_host_is_refused(client: httpx.Client, tiny_studio: Studio, host: str) -> None:
    if host.startswith("a@"):
        host += f":{tiny_studio.port}"
    refused(client.get("/api/state", headers={"Host": host}), 421)


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://127.0.0.1", "http://127.0.0.1:1", "file://"]
)
def test_a_foreign_origin_is_refused(client: httpx.Client, origin: str) -> None:
    body = {"object": "mug_06", "tier": "same"}
    refused(client.post("/api/scene", json=body, headers={"Origin": origin}), 403)
    refused(client.get("/api/state", headers={"Origin": origin}), 403)


def test_another_sites_request_is_refused_though_it_brings_the_cookie(client: httpx.Client) -> None:
    refused(client.post("/api/drops", headers={"Sec-Fetch-Site": "cross-site"}), 403)


def test_the_cookie_is_kept_from_scripts_and_other_sites(tiny_studio: Studio) -> None:
    answer = httpx.get(tiny_studio.address)
    assert answer.status_code == 303 and answer.headers["location"] == "/"
    told = answer.headers["set-cookie"]
    assert "HttpOnly" in told and "SameSite=Strict" in told
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy


def test_live_connections_need_origin_and_cookie(tiny_studio: Studio, client: httpx.Client) -> None:
    cookie = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
    address = tiny_studio.base.replace("http", "ws") + "/api/live"

    async def state(headers: dict[str, str]) -> dict[str, Any]:
        async with websockets.connect(address, additional_headers=headers) as live:
            first = await live.recv()
            await live.send("x" * 5000)  # far too long a word
            return dict(json.loads(first))

    good = {"Cookie": cookie, "Origin": tiny_studio.base}
    assert asyncio.run(state(good))["say"] == "state"
    for headers in (
        {},
        {"Cookie": cookie},
        {"Origin": tiny_studio.base},
        {**good, "Origin": "http://evil.example"},
    ):
        with pytest.raises(websockets.exceptions.InvalidStatus) as error:
            asyncio.run(state(headers))
        assert error.value.response.status_code == 403


def test_of_the_pages_folder_its_parts_alone_are_told(client: httpx.Client) -> None:
    for script in Path(page.__file__).parent.glob("*.js"):
        answer = client.get(f"/{script.name}")
        assert answer.status_code == 200 and answer.text == script.read_text()
        assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
    for path in (
        "/index.html",
        "/__init__.py",
        "/studio.py",
        "/page.js",
        "/..%2fserver.js",
        "/.js",
    ):
        refused(client.get(path), 404)


# -- what is sent ------------------------------------------------------------------------------


def test_names_cannot_leave_the_library(client: httpx.Client) -> None:
    for name in NAMES:
        refused(client.post("/api/teach", json=teach_body(client, name)))
        refused(client.post("/api/try", json={"skills": [name]}))
        quoted = "".join(f"%{byte:02x}" for byte in name.encode())
        for method, path in (
            ("GET", f"/api/skills/{quoted}/export"),
            ("DELETE", f"/api/skills/{quoted}"),
            ("GET", f"/api/runs/1/{quoted}"),
            ("POST", f"/api/trash/{quoted}/restore"),
            ("PUT", f"/api/drops/{quoted}/color.png"),
        ):
            refused(client.request(method, path))


def test_files_with_odd_names_or_endings_are_refused(client: httpx.Client) -> None:
    key = client.post("/api/drops").json()["drop"]
    for name in (
        "evil.pkl",
        "evil.py",
        ".hidden.png",
        "a%2fb.png",
        "..%2f..%2fb.png",
        "%00.png",
        "x.pt",
    ):
        refused(client.put(f"/api/drops/{key}/{name}", content=b"x"))
    refused(client.post(f"/api/drops/{key}/open", json={}))


@pytest.mark.parametrize(
    "value", ["NaN", "Infinity", "-Infinity", "1e999", '"12"', "null", "[]", "true", "1e300"]
)
@pytest.mark.parametrize("field", ["u", "yaw_deg", "width"])
def test_a_grasp_that_is_no_number_is_refused(client: httpx.Client, field: str, value: str) -> None:
    body = teach_body(client, "nan")
    body["grasp"][field] = "HERE"
    text = json.dumps(body).replace('"HERE"', value)
    headers = {"Content-Type": "application/json"}
    for path in ("/api/teach", "/api/check"):
        refused(client.post(path, content=text, headers=headers))


def test_grasps_off_everything_end_in_a_sentence(client: httpx.Client) -> None:
    for change, word in (
        ({"u": 5.0, "v": 5.0}, "workspace"),
        ({"u": -500.0}, "outside the picture"),
        ({"u": 160.0, "v": 140.0}, "stands"),
    ):
        body = teach_body(client, "off")
        body["grasp"] |= change
        job = wait_for_job(client, client.post("/api/teach", json=body).json()["number"])
        assert job["status"] == "failed" and word in job["error"], job


def test_a_gigabyte_is_refused_at_once(client: httpx.Client, tiny_studio: Studio) -> None:
    key = client.post("/api/drops").json()["drop"]
    cookie = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
    head = f"PUT /api/drops/{key}/big.png HTTP/1.1\r\nHost: 127.0.0.1:{tiny_studio.port}\r\n"
    with socket.create_connection(("127.0.0.1", tiny_studio.port), timeout=PATIENCE_S) as raw:
        told = f"{head}Cookie: {cookie}\r\nContent-Length: {2**30}\r\n\r\n"
        raw.sendall(told.encode())
        assert b" 413 " in raw.recv(4096)  # though not a byte of it has been sent

    def endless() -> Iterator[bytes]:
        for _ in range(1024):
            yield bytes(2**20)

    # Without a length, it is cut off where the limit is.
    # (Or the connection is closed while the rest is still being sent.)
    with contextlib.suppress(httpx.TransportError):
        refused(client.put(f"/api/drops/{key}/big.png", content=endless()), 413)
    folder = tiny_studio.library / ".studio/drops" / key
    wait_for(lambda: not list(folder.iterdir()), "the rest of it to be gone")
    refused(client.post("/api/check", content=b" " * 10**6), 413)


def test_an_upload_that_breaks_off_is_forgotten(client: httpx.Client, tiny_studio: Studio) -> None:
    key = client.post("/api/drops").json()["drop"]
    folder = tiny_studio.library / ".studio/drops" / key
    with half_upload(tiny_studio, client, key):
        wait_for(lambda: list(folder.iterdir()), "the first of it to arrive")
    wait_for(lambda: not list(folder.iterdir()), "what came of it to be gone")
    refused(client.post(f"/api/drops/{key}/open", json={}))


def test_pickles_bombs_and_rubbish_are_no_files(
    client: httpx.Client, tiny_studio: Studio, tmp_path: Path
) -> None:
    class Evil:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.write_text, (tmp_path / "evil", "ran"))

    pickled = io.BytesIO()
    np.save(pickled, np.array([Evil()], dtype=object), allow_pickle=True)
    save_demonstration(tmp_path / "mine", demonstration())
    good = {f.name: f.read_bytes() for f in (tmp_path / "mine").iterdir()}
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("changed.safetensors", bytes(2**28))
    slip = io.BytesIO()
    with zipfile.ZipFile(slip, "w") as archive:
        archive.writestr("../../slip", b"out")
        archive.writestr("changed.safetensors", b"x")
    picture = {name: good[name] for name in ("color.png", "camera.json")}
    for files, word in (
        ({**picture, "depth.npy": pickled.getvalue()}, "depth.npy"),
        ({**picture, "depth.png": b"\x89PNG\r\n\x1a\n" + bytes(50)}, "depth.png"),
        (picture, "depth picture"),
        ({**good, "camera.json": b"[" * 100_000}, "camera.json"),
        ({"bomb.skill": bomb.getvalue()}, "far more than a skill"),
        ({"slip.skill": slip.getvalue()}, "no skill has"),
        ({"half.skill": b"PK\x03\x04half"}, "no whole .skill"),
        ({"mesh.obj": b"v 1 2\nf 1 2 9\n"}, "mesh"),
        ({"robot.urdf": b'<robot><link><visual><geometry><mesh filename="../../token"/>'}, "robot"),
    ):
        key = client.post("/api/drops").json()["drop"]
        for name, data in files.items():
            assert client.put(f"/api/drops/{key}/{name}", content=data).status_code == 200
        answer = client.post(f"/api/drops/{key}/open", json={})
        job = wait_for_job(client, answer.json()["number"])
        assert job["status"] == "failed" and word in job["error"], (job["status"], job["error"])
        assert "Traceback" not in job["error"] and str(tiny_studio.home) not in job["error"]
    assert not (tmp_path / "evil").exists()


def test_two_tabs_teach_at_once_one_after_the_other(
    client: httpx.Client, tiny_studio: Studio
) -> None:
    with tiny_studio.client() as other:
        mine = client.post("/api/teach", json=teach_body(client, "tab", always=True)).json()
        theirs = other.post("/api/teach", json=teach_body(other, "tab", always=True)).json()
        third = other.post("/api/teach", json=teach_body(other, "third", rule="imprint")).json()
        jobs = client.get("/api/state").json()["jobs"]
        assert sum(job["status"] == "running" for job in jobs) <= 1
        ended = [wait_for_job(client, job["number"]) for job in (mine, theirs, third)]
    assert [job["status"] for job in ended] == ["done", "failed", "done"]
    assert "'tab' already" in ended[1]["error"]


def test_the_queue_has_an_end(client: httpx.Client) -> None:
    answers = [
        client.post("/api/teach", json=teach_body(client, f"many{n}", always=True))
        for n in range(14)
    ]
    assert [a for a in answers if a.status_code == 429]
    taken = [a.json()["number"] for a in answers if a.status_code == 200]
    for number in reversed(taken):
        client.post(f"/api/jobs/{number}/cancel")
    ended = [wait_for_job(client, number)["status"] for number in taken[-4:]]
    assert set(ended) <= {"cancelled", "done"}
    refused(client.post(f"/api/jobs/{taken[-1]}/cancel"), 400)


def test_a_deleted_skill_is_told_and_comes_back(client: httpx.Client, tiny_studio: Studio) -> None:
    body = teach_body(client, "fleeting", rule="imprint")
    assert (
        wait_for_job(client, client.post("/api/teach", json=body).json()["number"])["status"]
        == "done"
    )
    key = client.delete("/api/skills/fleeting").json()["undo"]
    refused(client.post("/api/try", json={"skills": ["fleeting"]}))
    refused(client.get("/api/skills/fleeting/thumbnail.png"))
    refused(client.delete("/api/skills/fleeting"))
    assert client.post(f"/api/trash/{key}/restore").json() == {"name": "fleeting"}
    refused(client.post(f"/api/trash/{key}/restore"), 400)
    assert client.get("/api/skills/fleeting/thumbnail.png").status_code == 200
    names = [card["name"] for card in client.get("/api/state").json()["skills"]]
    assert "fleeting" in names


def test_random_requests(client: httpx.Client) -> None:
    rng = np.random.default_rng(0)
    paths = [
        *("/api/scene", "/api/check", "/api/teach", "/api/try", "/api/find", "/api/drops/x/open"),
        *("/api/jobs/1/cancel", "/api/jobs/-1/heat.png", "/api/pictures/0/color.webp", "/nowhere"),
        *("/api/skills/x", "/api/skills/../../x/export", "/api/runs/1/../../token", "/studio.py"),
        *("/api/drops/0123456789abcdef/x.png", "/api/trash/1/restore", "/api/pictures/a/b"),
    ]
    bodies: list[bytes] = [
        *(
            b"",
            b"{",
            b"[]",
            b"null",
            b"NaN",
            b"{}",
            b"\xff\xfe\x00",
            b"[" * 50_000,
            b'"x"',
            b"1e999",
        ),
        *(b'{"picture": 1e400}', b'{"object": {"$ne": 1}, "tier": "same"}', b'{"skills": []}'),
        *(
            b'{"skills": ["' + b"a" * 5000 + b'"]}',
            b'{"object": "mug_06", "tier": "same", "seed": -1}',
        ),
        *(b'{"__proto__": 1}', b'{"skills": ["x"], "trials": 1000000}', b"\0" * 1000),
    ]
    for _ in range(REQUESTS):  # one that hangs ends in the client's timeout
        method = str(rng.choice(["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"]))
        path, body = str(rng.choice(paths)), bodies[int(rng.integers(len(bodies)))]
        kind = str(rng.choice(["application/json", "text/plain", "multipart/form-data", "\x7f"]))
        answer = client.request(method, path, content=body, headers={"Content-Type": kind})
        refused(answer)


def test_a_good_mesh_lies_on_the_table(client: httpx.Client, tiny_studio: Studio) -> None:
    """The same way in, for what is not hostile: a box of 3 x 10 x 3 cm."""
    corners = [(x, y, z) for x in (0, 0.03) for y in (0, 0.10) for z in (0, 0.03)]
    quads = ((1, 2, 4, 3), (5, 7, 8, 6), (1, 5, 6, 2), (3, 4, 8, 7), (1, 3, 7, 5), (2, 6, 8, 4))
    lines = [f"v {x} {y} {z}" for x, y, z in corners]
    lines += [f"f {' '.join(map(str, quad))}" for quad in quads]
    key = client.post("/api/drops").json()["drop"]
    client.put(f"/api/drops/{key}/my_box.obj", content="\n".join(lines).encode())
    laid = wait_for_job(client, client.post(f"/api/drops/{key}/open", json={}).json()["number"])
    assert laid["status"] == "done", laid["error"]
    picture = client.get("/api/state").json()["picture"]
    assert picture["object"] == "my_box" and not picture["own"]
    assert {"id": "my_box", "split": "user"} in client.get("/api/choices").json()["objects"]

    # A URDF is called as its file is, and the table can be laid again as it was.
    part = '<visual><geometry><mesh filename="my_box.obj"/></geometry></visual>'
    urdf = (
        f'<robot name="x"><link name="a">{part}{part.replace("visual", "collision")}</link></robot>'
    )
    key = client.post("/api/drops").json()["drop"]
    client.put(f"/api/drops/{key}/my_box.obj", content="\n".join(lines).encode())
    client.put(f"/api/drops/{key}/crate.urdf", content=urdf.encode())
    laid = wait_for_job(client, client.post(f"/api/drops/{key}/open", json={}).json()["number"])
    assert laid["status"] == "done", laid["error"]
    assert client.get("/api/state").json()["picture"]["object"] == "crate"
