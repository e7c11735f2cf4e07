"""Makes the everyday objects in ``sim_assets``: ``python -m sim_assets.generator``."""
