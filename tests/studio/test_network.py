"""A studio that others in the network reach: it says so, and lets in nobody without the token."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from studio_kit import Studio, wait_for

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def studio_for_all(
    tmp_path_factory: pytest.TempPathFactory, weights_file: Path, cache: None
) -> Iterator[Studio]:
    home = tmp_path_factory.mktemp("network")
    studio = Studio(home, f"--weights={weights_file}", "--host=0.0.0.0")
    studio.start()
    yield studio
    studio.stop()


def test_it_says_what_it_means(studio_for_all: Studio, tiny_studio: Studio) -> None:
    wait_for(studio_for_all.log, "the warning")
    told = studio_for_all.log()
    for word in ("--host 0.0.0.0", "other machines", "unencrypted", "token"):
        assert word in told
    name = socket.gethostname().lower()
    assert re.fullmatch(rf"http://{re.escape(name)}:\d+/\?token=[\w-]+", studio_for_all.address)
    assert tiny_studio.log() == ""  # one for this machine alone has nothing to warn of


def test_another_address_of_the_machine_answers_and_asks_for_the_token(
    studio_for_all: Studio, tiny_studio: Studio
) -> None:
    answer = httpx.get(f"http://127.0.0.2:{studio_for_all.port}/api/state")
    assert answer.status_code == 403 and "token" in answer.text
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://127.0.0.2:{tiny_studio.port}/api/state")


def test_with_the_token_every_address_of_the_machine_works(studio_for_all: Studio) -> None:
    port = studio_for_all.port
    for name in ("127.0.0.1", "127.0.0.2", "localhost"):
        base = f"http://{name}:{port}"
        answer = httpx.get(f"{base}/", params={"token": studio_for_all.token})
        assert answer.status_code == 303 and "HttpOnly" in answer.headers["set-cookie"]
        with httpx.Client(base_url=base, cookies=answer.cookies) as client:
            assert client.get("/api/state").json()["say"] == "state"
            assert client.post("/api/drops", headers={"Origin": base}).status_code == 200
            for origin in (f"http://evil.example:{port}", f"http://127.0.0.9:{port}"):
                assert client.post("/api/drops", headers={"Origin": origin}).status_code == 403
    assert httpx.get(f"http://127.0.0.1:{port}/?token={'x' * 32}").status_code == 403


@pytest.mark.parametrize(
    "name", ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "0", ""]
)
def test_a_name_that_somebody_points_here_is_refused(studio_for_all: Studio, name: str) -> None:
    """However well the token: a page of that name could drive this studio (DNS rebinding)."""
    base = f"http://127.0.0.1:{studio_for_all.port}"
    token = {"token": studio_for_all.token}
    answer = httpx.get(base, params=token, headers={"Host": f"{name}:{studio_for_all.port}"})
    assert answer.status_code == 421 and "set-cookie" not in answer.headers
    here = {"Host": f"{socket.gethostname()}:{studio_for_all.port}"}
    assert httpx.get(base, params=token, headers=here).status_code == 303
    other_port = {"Host": "127.0.0.1:1"}
    assert httpx.get(base, params=token, headers=other_port).status_code == 421
