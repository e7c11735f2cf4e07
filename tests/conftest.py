"""For all tests: workers that share the cores do not fight for them."""

import os

# Read by numerical libraries when they are first imported.
for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(name, "1")
