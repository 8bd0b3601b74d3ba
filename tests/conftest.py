"""What holds for all tests."""

from __future__ import annotations

import signal

from hypothesis import HealthCheck, settings

# A shell without job control starts what it puts into the background with SIGINT ignored, and children inherit that.
# Ctrl-C is part of what is tested here.
signal.signal(signal.SIGINT, signal.default_int_handler)

# How long an example takes is the machine's business.
settings.register_profile("fusion", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("fusion")
