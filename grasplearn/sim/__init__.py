"""The simulator: the only place that imports pybullet; knows nothing of networks."""
