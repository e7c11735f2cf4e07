"""Where the package's own objects and tables lie."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from grasplearn.errors import AssetError


def assets_root() -> Path:
    """The folder with ``manifest.toml``, ``objects/`` and ``tables/``.

    In a wheel it is installed inside the package; in an editable checkout it stands beside it.

    Raises:
        AssetError: neither is there, so the installation is broken.
    """
    package = Path(str(resources.files("grasplearn")))
    for folder in (package / "sim_assets", package.parent / "sim_assets"):
        if (folder / "manifest.toml").is_file():
            return folder
    raise AssetError(
        f"no sim_assets/manifest.toml in or beside {package}; install grasplearn again, or in a "
        "checkout run: python -m sim_assets.generator"
    )
