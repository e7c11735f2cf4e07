"""``grasplearn studio``: the teaching page, until Ctrl-C."""

from __future__ import annotations

import asyncio
import logging
import socket
import sys
import threading
import webbrowser

from grasplearn.config import Studio
from grasplearn.errors import GraspLearnError, InvalidValueError, refusal
from grasplearn.policies.learned import SHIPPED

WARNING = (
    "warning: --host {host} lets other machines in the network reach this page, unencrypted. "
    "Whoever has the address below, its token included, can teach, delete skills and keep this "
    "machine busy; give it only to people you trust, and leave --host out otherwise"
)


def run(options: Studio) -> None:
    try:
        import uvicorn

        from grasplearn.studio.hub import Hub
        from grasplearn.studio.security import is_loopback
        from grasplearn.studio.server import make_app
        from grasplearn.studio.settings import Settings
        from grasplearn.studio.state import State
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("grasplearn"):
            raise
        raise GraspLearnError(
            f"the studio needs {error.name}; install it: pip install 'grasplearn[studio]'"
        ) from error
    if not 0 <= options.port <= 65535:
        raise InvalidValueError(f"--port must be 0 (any free one) to 65535, got {options.port}")
    if options.objects is not None and not options.objects.is_dir():
        raise InvalidValueError(f"no folder {options.objects}; give one with your meshes")
    if options.weights != SHIPPED:
        from grasplearn.policies.learned import weights_digest

        weights_digest(["imprint"], options.weights)
    try:
        state = State(options.library.absolute())
    except OSError as error:
        raise InvalidValueError(refusal(error, error.filename or options.library)) from error
    place = _bound(options.host, options.port)
    port = place.getsockname()[1]
    settings = Settings(state.library, state.runs, options.weights, options.objects)
    token = state.token()
    app = make_app(Hub(settings, state), token, options.host, port)
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            log_level="error",
            access_log=False,
            server_header=False,
            date_header=False,
            ws_max_size=1024,
            ws_ping_interval=10,
            limit_concurrency=128,
            timeout_graceful_shutdown=2,
        )
    )
    logging.getLogger("uvicorn.error").addFilter(lambda r: not server.should_exit or _is_fault(r))
    if not is_loopback(options.host):
        print(WARNING.format(host=options.host), file=sys.stderr)
    shown = _shown(options.host)
    address = f"http://{shown}:{port}/?token={token}"
    print(f"studio: {address}\nCtrl-C ends it; skills are in {options.library}", flush=True)
    if options.open:
        threading.Timer(1.0, webbrowser.open, [address]).start()
    server.run(sockets=[place])


def _is_fault(record: logging.LogRecord) -> bool:
    """Whether a record of a server that ends tells of more than what Ctrl-C has cut off."""
    error = record.exc_info[1] if record.exc_info else None
    return error is not None and not isinstance(error, asyncio.CancelledError)


def _bound(host: str, port: int) -> socket.socket:
    """A socket that listens there.

    Raises:
        InvalidValueError: the port is taken, or the address is none of this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except (OSError, OverflowError) as error:
        raise InvalidValueError(
            f"cannot listen at {host}:{port} ({error}); choose another --port (0 takes any free "
            "one), and as --host an address of this machine"
        ) from error


def _shown(host: str) -> str:
    """The host in an address that a browser opens."""
    if host in ("0.0.0.0", "::"):
        return socket.gethostname().lower()
    return f"[{host}]" if ":" in host else host
