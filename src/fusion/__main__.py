"""``python -m fusion``."""

from __future__ import annotations

import sys

from fusion.cli import main

if __name__ == "__main__":
    sys.exit(main())
