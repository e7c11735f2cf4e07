"""The routes. Who may ask ``security`` decides; what is asked for the hub's queue does."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator
from importlib.resources import files
from pathlib import Path
from typing import Any

from fastapi import APIRouter, FastAPI, Request, WebSocket
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from grasplearn.errors import GraspLearnError, InvalidValueError, UnknownNameError
from grasplearn.learning.methods import LEARNED
from grasplearn.library import HEATMAP, THUMBNAIL, find_skill, skill_folder
from grasplearn.show.notes import COSTS, NOTES
from grasplearn.studio.dropped import MESHES
from grasplearn.studio.hub import Hub
from grasplearn.studio.jobs import QueueFull
from grasplearn.studio.live import Live
from grasplearn.studio.messages import (
    CheckBody,
    FindBody,
    OpenBody,
    RenameBody,
    SceneBody,
    TeachBody,
    TryBody,
)
from grasplearn.studio.security import MAX_UPLOAD, Guard, TooLarge
from grasplearn.tiers import TIERS
from grasplearn.types import MAX_WIDTH

PAGE = files("grasplearn.studio.page")
# What the page asks for beside itself: its looks, its scripts, its sign.
PARTS = {part.name for part in PAGE.iterdir() if part.name.endswith((".css", ".js", ".svg"))}
TYPES = {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
RUN_FILES = re.compile(r"trial-\d{2,3}-[12]\.webp|trials\.mp4|report\.html")
DOWNLOADS = (".mp4", ".html")


def make_app(hub: Hub, token: str, host: str, port: int) -> Guard:
    """The whole application, guarded.

    Args:
        token: the secret; host, port: what the server binds to.
    """

    @contextlib.asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[None]:
        hub.queue.open()
        yield
        hub.queue.close()

    app = FastAPI(lifespan=life, docs_url=None, redoc_url=None, openapi_url=None)
    app.include_router(_routes(hub))

    @app.exception_handler(GraspLearnError)
    async def refused(request: Request, error: GraspLearnError) -> JSONResponse:
        status = 404 if isinstance(error, UnknownNameError) else 400
        return _error(429 if isinstance(error, QueueFull) else status, str(error))

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"][1:]) or "the request"
        return _error(422, f"{where[:80]}: {first['msg'][0].lower()}{first['msg'][1:]}")

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> JSONResponse:
        return _error(error.status_code, str(error.detail))

    @app.exception_handler(TooLarge)
    async def too_large(request: Request, error: TooLarge) -> JSONResponse:
        return _error(413, "that is too much at once")

    @app.exception_handler(ClientDisconnect)
    async def gone(request: Request, error: ClientDisconnect) -> JSONResponse:
        return _error(400, "the rest of it did not come")  # nobody is left to read it

    @app.exception_handler(Exception)
    async def broken(request: Request, error: Exception) -> JSONResponse:
        return _error(500, "something in the studio broke; the terminal tells more")

    return Guard(app, token, host, port)


def _routes(hub: Hub) -> APIRouter:
    routes = APIRouter()
    state, queue = hub.state, hub.queue

    @routes.get("/")
    async def page() -> Response:
        return _page_file("index.html")

    @routes.get("/{name}.{ending}")
    async def part(name: str, ending: str) -> Response:
        if f"{name}.{ending}" not in PARTS:
            raise HTTPException(404, "there is nothing here")
        return _page_file(f"{name}.{ending}")

    @routes.get("/api/state")
    async def told() -> dict[str, Any]:
        return hub.told()

    @routes.get("/api/choices")
    async def choices() -> dict[str, Any]:
        return {
            "objects": hub.objects,
            "tiers": [{"name": name, "note": tier.summary} for name, tier in TIERS.items()],
            "rules": [{"name": n, "note": NOTES[n], "cost": COSTS[n]} for n in LEARNED],
            "max_width": MAX_WIDTH,
            "max_upload": MAX_UPLOAD,
        }

    @routes.get("/api/pictures/{number}/{layer}")
    async def picture(number: int, layer: str) -> Response:
        shown = hub.picture(number)
        if layer == "depth.bin":
            return Response(shown.depth, media_type="application/octet-stream")
        layers = {"color.webp": shown.color, "depth.webp": shown.depth_view}
        if layer not in layers:
            raise HTTPException(404, "there is nothing here")
        return Response(layers[layer], media_type="image/webp")

    @routes.post("/api/scene")
    async def scene(body: SceneBody) -> dict[str, Any]:
        _known("tier", body.tier, TIERS)
        _known("object", body.object, [row["id"] for row in hub.objects])
        told = {"object_id": body.object, "tier": body.tier, "seed": body.seed}
        return hub.add("scene", f"new scene, {body.object}", told).told()

    @routes.post("/api/check")
    async def check(body: CheckBody) -> dict[str, str]:
        grasp = body.grasp
        numbers = (grasp.u, grasp.v, grasp.yaw_deg, grasp.width)
        return {"hint": await asyncio.to_thread(hub.check, body.picture, *numbers)}

    @routes.post("/api/teach")
    async def teach(body: TeachBody) -> dict[str, Any]:
        hub.picture(body.picture)
        _known("rule", body.rule, LEARNED)
        folder = skill_folder(state.library, body.name)
        if folder.exists() and not body.replace:
            raise InvalidValueError(f"there is a skill '{body.name}' already; choose another name")
        return hub.add("teach", f"teach {body.name}", body.model_dump()).told()

    @routes.post("/api/find")
    async def find(body: FindBody) -> dict[str, Any]:
        hub.picture(body.picture)
        find_skill(state.library, body.skill)
        return hub.add("find", f"find {body.skill}", body.model_dump()).told()

    @routes.post("/api/try")
    async def try_out(body: TryBody) -> dict[str, Any]:
        _known("tier", body.tier, TIERS)
        for name in body.skills:
            find_skill(state.library, name)
        if len(set(body.skills)) < len(body.skills):
            raise InvalidValueError("choose two different skills to compare")
        return hub.add("try_out", f"try {' and '.join(body.skills)}", body.model_dump()).told()

    @routes.post("/api/jobs/{number}/cancel")
    async def cancel(number: int) -> dict[str, Any]:
        return queue.cancel(number).told()

    @routes.get("/api/jobs/{number}/heat.png")
    async def heat(number: int) -> Response:
        job = queue.jobs.get(number)
        if job is None or not job.heat:
            raise HTTPException(404, "there is no heat picture of that job")
        return Response(job.heat, media_type="image/png")

    @routes.get("/api/runs/{number}/{name}")
    async def run_file(number: int, name: str) -> Response:
        path = state.runs / str(number) / name
        if number < 0 or not RUN_FILES.fullmatch(name) or not path.is_file():
            raise HTTPException(404, "that run is gone; try it again")
        return FileResponse(path)

    @routes.post("/api/drops")
    async def new_drop() -> dict[str, str]:
        return {"drop": state.new_drop()}

    @routes.put("/api/drops/{key}/{name}")
    async def put(key: str, name: str, request: Request) -> dict[str, str]:
        path = state.file_in_drop(key, name)
        partial = path.with_name(f".{path.name}")
        try:
            with partial.open("wb") as stream:
                async for piece in request.stream():
                    stream.write(piece)
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
        return {"name": name}

    @routes.post("/api/drops/{key}/open")
    async def open_drop(key: str, body: OpenBody) -> dict[str, Any]:
        folder = state.drop(key)
        names = sorted(p.name for p in folder.iterdir() if not p.name.startswith("."))
        endings = {Path(name).suffix.lower() for name in names}
        if endings == {".skill"} and len(names) == 1:
            told: dict[str, Any] = {"folder": str(folder), "name": None}
            return hub.add("take_in", f"import {names[0]}", told).told()
        if endings & set(MESHES):
            _known("tier", body.tier, TIERS)
            told = {"folder": str(folder), "tier": body.tier, "seed": body.seed}
            return hub.add("mesh", f"your object {names[0]}", told).told()
        if not names:
            raise InvalidValueError("no file came; drop a picture, a mesh or a .skill")
        return hub.add("picture", "your picture", {"folder": str(folder)}).told()

    @routes.get("/api/skills/{name}/{part}")
    async def skill_part(name: str, part: str) -> Response:
        folder = find_skill(state.library, name)
        if part == "export":
            packed = await asyncio.to_thread(state.export, name)
            plain = re.sub(r"[^\w.-]", "_", name, flags=re.ASCII)
            told = {"content-disposition": f'attachment; filename="{plain}.skill"'}
            return Response(packed, media_type="application/zip", headers=told)
        if part not in (THUMBNAIL, HEATMAP) or not (folder / part).is_file():
            raise HTTPException(404, "there is nothing here")
        return FileResponse(folder / part)

    @routes.patch("/api/skills/{name}")
    async def rename(name: str, body: RenameBody) -> dict[str, str]:
        state.rename(name, body.name)
        hub.refresh()
        return {"name": body.name}

    @routes.delete("/api/skills/{name}")
    async def delete(name: str) -> dict[str, str]:
        key = state.delete(name)
        hub.refresh()
        return {"undo": key}

    @routes.post("/api/trash/{key}/restore")
    async def restore(key: str) -> dict[str, str]:
        name = state.restore(key)
        hub.refresh()
        return {"name": name}

    live = Live(hub)

    @routes.websocket("/api/live")
    async def pages(socket: WebSocket) -> None:
        await live(socket)

    return routes


def _page_file(name: str) -> Response:
    kind = TYPES[name.rsplit(".", 1)[1]]
    return Response((PAGE / name).read_bytes(), media_type=f"{kind}; charset=utf-8")


def _known(kind: str, name: str, known: Any) -> None:
    if name not in known:
        raise UnknownNameError(kind, name[:100], known)


def _error(status: int, sentence: str) -> JSONResponse:
    return JSONResponse({"error": sentence}, status)
