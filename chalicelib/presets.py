"""Retry presets: the waits (seconds) that well-known platforms use between tries.

After the n-th failed try, wait the n-th number; `max_attempts` is one more than the number of waits,
unless said. Sources: the public notes of each platform or product.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

PRESETS: Mapping[str, Mapping[str, Any]] = {
    # The predecessor: every minute, until max_attempts.
    "kkbida": {"backoff": "fixed", "initial": 60, "jitter": 0},
    # The reply must be the seven characters `success`.
    "alipay": {"schedule": [240, 600, 600, 3600, 7200, 21600, 54000], "expect": {"equals": "success"}},
    "wechatpay": {"schedule": [15, 15, 30, 180, 600, 1200, 1800, 1800, 1800, 3600, 10800, 10800, 10800, 21600, 21600]},
    "standard-webhooks": {"schedule": [5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400], "jitter": 0.1},
    "svix": {"schedule": [5, 300, 1800, 7200, 18000, 36000, 36000], "jitter": 0.2},
}
