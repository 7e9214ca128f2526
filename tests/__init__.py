"""The tests. What has to be set before torch is imported is set here."""

import os

# OpenMP's threads spin while they wait unless this is set: on two busy cores that costs some tests
# six times their CPU. The number of threads stays, so what runs in parallel is still tested.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
