"""Whether the service takes work: the one thing about it that changes while it runs."""

from dataclasses import dataclass


@dataclass
class Health:
    """`draining` after the signal to stop; `in_flight` counts requests that are being answered, health checks aside."""

    draining: bool = False
    in_flight: int = 0
