"""Who may ask: Host, Origin, the token, and how much may be sent. One layer before all routes.

A page on the same machine must not be driven by another site in the same browser: a foreign name
that resolves here fails by its Host, a foreign page's request by its Origin and by the cookie,
which browsers send to no other site's requests (SameSite=Strict); a neighbour on the machine or in
the network lacks the token.
"""

from __future__ import annotations

import hmac
import ipaddress
import socket
from collections.abc import Awaitable, Callable, MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs, urlsplit

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

MAX_UPLOAD = 64 * 2**20
# Everything but files is a few numbers and names.
MAX_JSON = 64 * 2**10
MAX_URL = 4096
HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' blob: data:; media-src 'self' blob:; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}
CLOSED = 1008


class Refused(Exception):
    """A request that is not let in: the status and a sentence."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


class TooLarge(Exception):
    """A body went on beyond its limit."""


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches a server that binds to ``host``."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Guard:
    """Lets in who may ask.

    Args:
        app: what is guarded. token: the secret. host: what the server binds to; port: its port.
    """

    def __init__(self, app: App, token: str, host: str, port: int) -> None:
        self.app, self.token, self.host, self.port = app, token, host, port

    @property
    def cookie(self) -> str:
        # Cookies do not tell ports apart; names do.
        return f"grasplearn_studio_{self.port}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        try:
            new = self._check(scope)
            limited = self._limited(scope, receive)
        except Refused as refused:
            await _refuse(scope, receive, send, refused)
            return
        if new:
            await _send(send, 303, b"", {"location": "/", "set-cookie": self._set_cookie()})
            return
        await self.app(scope, limited, _with_headers(send))

    def _check(self, scope: Scope) -> bool:
        """Whether the request brings the token for the first time.

        Raises:
            Refused: it may not come in.
        """
        headers = {k.decode("latin-1").lower(): v.decode("latin-1") for k, v in scope["headers"]}
        if len(scope.get("raw_path") or b"") + len(scope.get("query_string", b"")) > MAX_URL:
            raise Refused(414, "the address is too long")
        host = headers.get("host", "")
        if not self._is_mine(host):
            raise Refused(421, "this studio is not at that address; open the one it was started at")
        origin = headers.get("origin")
        if origin is not None and not _same(origin, host):
            raise Refused(403, "another site's page may not use this studio")
        if scope["type"] == "websocket" and origin is None:
            raise Refused(403, "a live connection must say whence it comes")
        if headers.get("sec-fetch-site") == "cross-site":
            raise Refused(403, "another site's page may not use this studio")
        if self._is_known(headers.get("cookie", "")):
            return self._brings_token(scope)
        if self._brings_token(scope):
            return True
        raise Refused(
            403, "this page needs its token; open the address that 'grasplearn studio' shows"
        )

    def _is_mine(self, host: str) -> bool:
        try:
            parts = urlsplit(f"//{host}")
            name, port = (parts.hostname or "").rstrip("."), parts.port or 80
        except ValueError:
            return False
        if port != self.port or "@" in host or parts.path or parts.query:
            return False
        if name == self.host or (is_loopback(self.host) and is_loopback(name)):
            return True
        if self.host not in ("0.0.0.0", "::"):
            return False
        # Every address of this machine; a name that somebody points here could be anybody's.
        if name in ("localhost", socket.gethostname().lower()):
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True

    def _is_known(self, cookies: str) -> bool:
        try:
            morsel = SimpleCookie(cookies).get(self.cookie)
        except CookieError:
            return False
        return morsel is not None and self._is_token(morsel.value)

    def _brings_token(self, scope: Scope) -> bool:
        if scope["type"] != "http" or scope["method"] != "GET" or scope["path"] != "/":
            return False
        given = parse_qs(scope.get("query_string", b"").decode("latin-1")).get("token", [])
        return len(given) == 1 and self._is_token(given[0])

    def _is_token(self, given: str) -> bool:
        return hmac.compare_digest(given.encode(), self.token.encode())

    def _set_cookie(self) -> str:
        return f"{self.cookie}={self.token}; HttpOnly; SameSite=Strict; Path=/"

    def _limited(self, scope: Scope, receive: Receive) -> Receive:
        """A ``receive`` that ends a body beyond its limit.

        Raises:
            Refused: the body says itself that it is too large.
        """
        if scope["type"] != "http":
            return receive
        limit = MAX_UPLOAD if scope["method"] == "PUT" else MAX_JSON
        lengths = [v for k, v in scope["headers"] if k.lower() == b"content-length"]
        if lengths and (not lengths[0].isdigit() or int(lengths[0]) > limit):
            raise Refused(413, f"that is too much at once; the limit is {limit // 1024} KiB")
        came = 0

        async def limited() -> MutableMapping[str, Any]:
            nonlocal came
            message = await receive()
            came += len(message.get("body", b""))
            if came > limit:
                raise TooLarge
            return message

        return limited


def _same(origin: str, host: str) -> bool:
    parts = urlsplit(origin)
    return parts.scheme in ("http", "https") and parts.netloc.lower() == host.lower()


def _with_headers(send: Send) -> Send:
    async def sending(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            own = {k.lower() for k, _ in message.get("headers", [])}
            more = [(k.encode(), v.encode()) for k, v in HEADERS.items() if k.encode() not in own]
            message = {**message, "headers": [*message.get("headers", []), *more]}
        await send(message)

    return sending


async def _refuse(scope: Scope, receive: Receive, send: Send, refused: Refused) -> None:
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": CLOSED, "reason": str(refused)})
        return
    body = str(refused).encode()
    await _send(send, refused.status, body, {"content-type": "text/plain; charset=utf-8"})


async def _send(send: Send, status: int, body: bytes, headers: dict[str, str]) -> None:
    told = {**HEADERS, **headers, "content-length": str(len(body))}
    if status >= 400:  # what is still being sent is not waited for
        told["connection"] = "close"
    pairs = [(k.encode(), v.encode()) for k, v in told.items()]
    await send({"type": "http.response.start", "status": status, "headers": pairs})
    await send({"type": "http.response.body", "body": body})
