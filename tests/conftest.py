"""What holds for all tests."""

from __future__ import annotations

import signal

# A shell without job control starts what it puts into the background with SIGINT ignored, and children inherit that.
# Ctrl-C is part of what is tested here.
signal.signal(signal.SIGINT, signal.default_int_handler)
