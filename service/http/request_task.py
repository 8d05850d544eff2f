"""The task that answers a request, bound to the connection that it came on."""

import asyncio
from typing import Any

SCOPE_KEY = "fovea.request_task"
"""The key of a scope under which the request's `RequestTask` is."""


class RequestTask:
    """Who answers a connection's requests; cancelled when the client disconnects."""

    __slots__ = ("disconnected", "task")

    def __init__(self) -> None:
        self.task: asyncio.Task[Any] | None = None
        self.disconnected = False

    def cancel(self) -> None:
        """Cancel the task: the client is gone, and nobody is left to answer."""
        self.disconnected = True
        if self.task is not None:
            self.task.cancel()
