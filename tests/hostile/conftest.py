from __future__ import annotations

from channel.conftest import _no_thread_stays, _quick_retries, brisk, keys, transport

__all__ = ["_no_thread_stays", "_quick_retries", "brisk", "keys", "transport"]
