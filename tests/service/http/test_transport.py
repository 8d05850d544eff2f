"""What is written in one turn of the event loop goes out in one write, and nothing is lost at the
end.
"""

import asyncio
from typing import cast

from service.http.transport import CoalescingTransport


class Transport:
    """Notes what is done to it."""

    def __init__(self) -> None:
        self.done: list[bytes | str] = []

    def write(self, data: bytes) -> None:
        self.done.append(data)

    def close(self) -> None:
        self.done.append("closed")

    def is_closing(self) -> bool:
        return "closed" in self.done


def test_one_turn_is_one_write_and_the_next_turn_another() -> None:
    async def write() -> list[bytes | str]:
        transport = Transport()
        gathered = CoalescingTransport(
            cast(asyncio.Transport, transport), asyncio.get_running_loop()
        )
        gathered.write(b"head ")
        gathered.write(b"body")
        await asyncio.sleep(0)
        gathered.write(b"more")
        await asyncio.sleep(0)
        return transport.done

    assert asyncio.run(write()) == [b"head body", b"more"]


def test_what_was_written_goes_out_before_the_end() -> None:
    async def write() -> list[bytes | str]:
        transport = Transport()
        gathered = CoalescingTransport(
            cast(asyncio.Transport, transport), asyncio.get_running_loop()
        )
        gathered.write(b"last words")
        gathered.close()
        assert gathered.is_closing()
        await asyncio.sleep(0)
        return transport.done

    assert asyncio.run(write()) == [b"last words", "closed"]
