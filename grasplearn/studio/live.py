"""What open pages are told, by a websocket each."""

from __future__ import annotations

import asyncio
import contextlib
import json

from fastapi import WebSocket, WebSocketDisconnect

from grasplearn.studio.hub import Hub

MAX_PAGES = 16
# While a page looks at the live picture, the simulator is told so this often, s.
LOOK_EVERY = 1.0


class Live:
    """Tells every page everything after each change, and shows it the newest frame.

    A page says "look" while it shows the live picture, and anything else when it no longer does.
    """

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._pages: set[WebSocket] = set()

    async def __call__(self, socket: WebSocket) -> None:
        """Serves a page until it goes."""
        await socket.accept()
        if len(self._pages) >= MAX_PAGES:
            await socket.close(1013, "too many pages are open; close one")
            return
        self._pages.add(socket)
        self._hub.refresh()
        looking = asyncio.Event()
        ear = asyncio.create_task(_listen(socket, looking))
        try:
            await _tell(self._hub, socket, looking, ear)
        except (WebSocketDisconnect, RuntimeError):
            pass  # the page was closed in the middle of a message
        finally:
            ear.cancel()
            self._pages.discard(socket)


async def _tell(
    hub: Hub, socket: WebSocket, looking: asyncio.Event, ear: asyncio.Task[None]
) -> None:
    """Sends everything after every change, and the newest frame, until the page has gone."""
    loop = asyncio.get_running_loop()
    count, frames, asked = -1, hub.frames, 0.0
    while not ear.done():
        if looking.is_set() and loop.time() - asked > LOOK_EVERY:
            asked = loop.time()
            hub.queue.watch()
        if hub.count != count:
            count = hub.count
            await socket.send_text(json.dumps(hub.told()))
        elif hub.frame is not None and hub.frame[0] != frames:
            frames, data = hub.frame
            if looking.is_set() or data[:1] == b"\x02":
                await socket.send_bytes(data)
        else:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(hub.news(), LOOK_EVERY / 2)


async def _listen(socket: WebSocket, looking: asyncio.Event) -> None:
    """The page says whether it shows the live picture; nothing else is taken from it."""
    with contextlib.suppress(WebSocketDisconnect, RuntimeError):
        while True:
            if (await socket.receive_text()) == "look":
                looking.set()
            else:
                looking.clear()
