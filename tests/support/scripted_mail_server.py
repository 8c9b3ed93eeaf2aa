"""A mail server that accepts, or breaks off."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from aiosmtplib import SMTPServerDisconnected

from tests.support.lives import reach

if TYPE_CHECKING:
    from tests.support.outside import Outside

MAIL_SERVER_AWAY = SMTPServerDisconnected("the connection is gone")


class ScriptedMailServer:
    """aiosmtplib's client: a dialogue that accepts, or breaks off."""

    def __init__(self, outside: Outside) -> None:
        self._outside = outside

    async def __aenter__(self) -> Self:
        await reach("before the mail server greets")
        if self._outside.mail_failures:
            raise self._outside.mail_failures.pop(0)
        return self

    async def __aexit__(self, *_: object) -> None:
        await reach("before the mail server is left")

    async def send_message(self, mail: Any, **_addresses: Any) -> None:
        await reach("before an e-mail is handed over")
        self._outside.mailed.append(mail["Message-ID"])
        await reach("after an e-mail was handed over")
