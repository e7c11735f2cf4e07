"""One-shot grasp learning: the public API."""
