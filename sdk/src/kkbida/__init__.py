"""kkbida (必达, "must arrive"): hand over an HTTP callback, and it arrives, or somebody is told.

from kkbida import Client, Task

task_id = Client(url, key_id, secret).call(Task("https://partner.example/callback", body={"order": 42}))
"""

from __future__ import annotations

from kkbida.aio import AsyncClient
from kkbida.aws import LambdaTransport
from kkbida.client import Client
from kkbida.credentials import CallerKey, OperatorSession
from kkbida.errors import (
    Conflict,
    Fault,
    Forbidden,
    IdempotencyConflict,
    InvalidRequest,
    KkbidaError,
    LockedOut,
    NotFinalYet,
    NotFound,
    NotGenuine,
    Problem,
    Refused,
    Unauthorized,
    Unavailable,
    Unintelligible,
    Unreachable,
    Unsendable,
    WrongStatus,
)
from kkbida.rawjson import RawJson
from kkbida.receiver import Delivery, Receiver
from kkbida.talk import Patience
from kkbida.tasks import (
    Attempt,
    Audit,
    BatchResult,
    Changes,
    Expect,
    Filter,
    ListedTask,
    Notice,
    Retry,
    Status,
    Task,
    WholeTask,
)
from kkbida.version import __version__

__all__ = [
    "AsyncClient",
    "Attempt",
    "Audit",
    "BatchResult",
    "CallerKey",
    "Changes",
    "Client",
    "Conflict",
    "Delivery",
    "Expect",
    "Fault",
    "Filter",
    "Forbidden",
    "IdempotencyConflict",
    "InvalidRequest",
    "KkbidaError",
    "LambdaTransport",
    "ListedTask",
    "LockedOut",
    "NotFinalYet",
    "NotFound",
    "NotGenuine",
    "Notice",
    "OperatorSession",
    "Patience",
    "Problem",
    "RawJson",
    "Receiver",
    "Refused",
    "Retry",
    "Status",
    "Task",
    "Unauthorized",
    "Unavailable",
    "Unintelligible",
    "Unreachable",
    "Unsendable",
    "WholeTask",
    "WrongStatus",
    "__version__",
]
