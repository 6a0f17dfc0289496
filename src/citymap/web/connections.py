"""HTTP connections that do not wait for ever for a request to be spelt out (slow loris)."""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.h11_impl import H11Protocol

HEADERS_S = 15.0  # from the first byte (or the connection) to the end of the headers
OPEN_CONNECTIONS = 2000  # and running requests of one process; above it the answer is 503


class GuardedHttp(H11Protocol):
    """uvicorn's protocol with a limit on the time that a request's head may take."""

    _too_slow: asyncio.TimerHandle | None = None

    def _in_request(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _arm(self) -> None:
        if self._too_slow is None:
            self._too_slow = self.loop.call_later(HEADERS_S, self._give_up)

    def _disarm(self) -> None:
        if self._too_slow is not None:
            self._too_slow.cancel()
            self._too_slow = None

    def _give_up(self) -> None:
        self._too_slow = None
        if not self._in_request() and not self.transport.is_closing():
            self.transport.close()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A connection that says nothing is closed."""
        super().connection_made(transport)
        self._arm()

    def data_received(self, data: bytes) -> None:
        """Bytes of a request: its head must end in time."""
        super().data_received(data)
        if self._in_request():
            self._disarm()
        elif not self.transport.is_closing():
            self._arm()

    def handle_websocket_upgrade(self, event: object) -> None:
        """The connection is a WebSocket's from now on."""
        self._disarm()
        super().handle_websocket_upgrade(event)  # type: ignore[arg-type]
        self._arm = lambda: None  # type: ignore[method-assign]

    def connection_lost(self, exc: Exception | None) -> None:
        """Gone."""
        self._disarm()
        super().connection_lost(exc)
