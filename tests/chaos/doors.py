"""A TCP proxy of our own between clients and brokers: a door a broker, that can be shut, slow, or let through one way only."""

import asyncio
import threading
from collections.abc import Coroutine
from enum import StrEnum
from typing import Any, Self

CHUNK_BYTES = 64 * 1024
DELAY_S = 0.3
START_WITHIN_S = 10.0


class State(StrEnum):
    """What happens to who passes. DEAF: what clients say arrives, no answer comes back."""

    OPEN = "open"
    SHUT = "shut"
    SLOW = "slow"
    DEAF = "deaf"


class Doors:
    """Doors that listen on `ports`, each before the port of the same place in `behind`. Runs in a thread of its own."""

    def __init__(self, ports: tuple[int, ...], behind: tuple[int, ...]) -> None:
        self._pairs = tuple(zip(ports, behind, strict=True))
        self.states = [State.OPEN] * len(ports)
        self._writers: list[set[asyncio.StreamWriter]] = [set() for _ in ports]
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="doors", daemon=True)

    def __enter__(self) -> Self:
        """Listen."""
        self._thread.start()
        self._run(self._listen())
        return self

    def __exit__(self, *_: object) -> None:
        """Cut everything."""
        self._run(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def set(self, number: int, state: State) -> None:
        """From now on. Connections that have lost bytes, or may not be, are cut."""
        before, self.states[number] = self.states[number], state
        if State.SHUT in (before, state) or State.DEAF in (before, state):
            self._run(self._cut(number))

    def _run(self, what: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(what, self._loop).result(START_WITHIN_S)

    async def _listen(self) -> None:
        self._servers = []
        for number, (port, target) in enumerate(self._pairs):

            async def serve(
                reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int = number, target: int = target
            ) -> None:
                await self._serve(number, target, reader, writer)

            self._servers.append(await asyncio.start_server(serve, "127.0.0.1", port))

    async def _close(self) -> None:
        for server in self._servers:
            server.close()
        for number in range(len(self._pairs)):
            await self._cut(number)
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _cut(self, number: int) -> None:
        for writer in self._writers[number]:
            writer.transport.abort()

    async def _serve(
        self, number: int, target: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._writers[number].add(writer)
        try:
            if self.states[number] is State.SHUT:
                return
            inside, outside = await asyncio.open_connection("127.0.0.1", target)
            self._writers[number].add(outside)
            try:
                there = asyncio.create_task(self._pump(number, reader, outside, answers=False))
                back = asyncio.create_task(self._pump(number, inside, writer, answers=True))
                _, left = await asyncio.wait({there, back}, return_when=asyncio.FIRST_COMPLETED)
                for task in left:
                    task.cancel()
            finally:
                self._writers[number].discard(outside)
                outside.transport.abort()
        except (OSError, asyncio.CancelledError):
            return  # the broker is away: so is its door; or all is over
        finally:
            self._writers[number].discard(writer)
            writer.transport.abort()

    async def _pump(
        self, number: int, source: asyncio.StreamReader, target: asyncio.StreamWriter, *, answers: bool
    ) -> None:
        try:
            while chunk := await source.read(CHUNK_BYTES):
                if self.states[number] is State.SLOW:
                    await asyncio.sleep(DELAY_S)
                if answers and self.states[number] is State.DEAF:
                    continue
                target.write(chunk)
                await target.drain()
        except OSError:
            return
