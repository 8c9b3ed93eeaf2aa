"""A mail server that accepts everything, and what it was given."""

from collections.abc import Mapping, Sequence
from email import message_from_bytes
from email.message import Message
from typing import Any, Self

from aiosmtpd.controller import Controller

from ops.stacks.ports import Ports
from shared.settings import PREFIX
from tests.support.campus import Learner

_EMAIL = f"{PREFIX}CERTIFICATES__EMAIL__"


class Mailbox:
    """Listens on a free port during its block."""

    def __init__(self) -> None:
        self._received: list[tuple[Sequence[str], bytes]] = []
        self._port = Ports({}).of("mail")
        self._controller = Controller(self, hostname="127.0.0.1", port=self._port)

    async def __aenter__(self) -> Self:
        self._controller.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._controller.stop()

    @property
    def settings(self) -> Mapping[str, str]:
        """The variables with which certificates sends to it."""
        place = {"HOST": "127.0.0.1", "PORT": str(self._port), "TLS": "none", "ENABLED": "true"}
        return {f"{_EMAIL}{name}": value for name, value in place.items()}

    def to(self, learners: Sequence[Learner]) -> list[Message]:
        """What these learners were sent."""
        addresses = {f"{learner.user_id}@example.org" for learner in learners}
        return [message_from_bytes(content) for to, content in self._received if addresses & set(to)]

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802 - the library's name
        """Accept."""
        self._received.append((tuple(envelope.rcpt_tos), bytes(envelope.content)))
        return "250 OK"
