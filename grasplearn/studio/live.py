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

    A page says "look" when it begins to show the live picture, "no" when it no longer does, and
    "drawn" after every frame: only then is it sent another, the newest.
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
        looking, free = asyncio.Event(), asyncio.Event()
        free.set()
        ear = asyncio.create_task(_listen(self._hub, socket, looking, free))
        try:
            await _tell(self._hub, socket, looking, free, ear)
        except (WebSocketDisconnect, RuntimeError):
            pass  # the page was closed in the middle of a message
        finally:
            ear.cancel()
            self._pages.discard(socket)


async def _tell(
    hub: Hub,
    socket: WebSocket,
    looking: asyncio.Event,
    free: asyncio.Event,
    ear: asyncio.Task[None],
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
        elif free.is_set() and hub.frame is not None and hub.frame[0] != frames:
            frames, data = hub.frame
            if looking.is_set() or data[:1] == b"\x02":
                free.clear()
                await socket.send_bytes(data)
        else:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(hub.news.wait(), LOOK_EVERY / 2)


async def _listen(hub: Hub, socket: WebSocket, looking: asyncio.Event, free: asyncio.Event) -> None:
    """Takes the three words of a page; everything else it may say is nothing to us."""
    with contextlib.suppress(WebSocketDisconnect, RuntimeError):
        while True:
            match await socket.receive_text():
                case "look":
                    looking.set()
                case "no":
                    looking.clear()
                case "drawn":
                    free.set()
                    hub.wake()
