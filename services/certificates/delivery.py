"""Notifications as e-mail over SMTP; off unless the settings turn it on.

At least once: a crash between the server's yes and our note of it sends the e-mail again, with the same Message-ID.
No address, no text and no password gets into an exception or a repr.
"""

import asyncio
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from typing import Final, Literal

from aiosmtplib import SMTP, SMTPDataError, SMTPException, SMTPRecipientsRefused

from services.certificates.domain import Notification
from services.certificates.handlers import send_due_emails
from services.certificates.ports import EmailSender, NotificationStore
from services.certificates.settings import EmailSettings
from shared.clock import Clock, system_clock
from shared.errors import Fatal, Permanent, Transient

_ATOM: Final = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL: Final = r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_MAILBOX: Final = re.compile(rf"(?=.{{1,64}}@){_ATOM}(\.{_ATOM})*@{_LABEL}(\.{_LABEL})*")  # RFC 5321, no quoted forms
_MESSAGE_ID: Final = re.compile(rf"<{_ATOM}(\.{_ATOM})*@{_ATOM}(\.{_ATOM})*>")  # RFC 5322, section 3.6.4
_LONGEST_MAILBOX: Final = 254
#: How often to look for e-mails that are due.
_EMAIL_SECONDS = 1.0
_FOR_GOOD: Final = 500  # reply codes from here on are permanent refusals (RFC 5321, section 4.2.1)


class Mailing:
    """The mail server, as handlers see it."""

    def __init__(self, settings: EmailSettings, clock: Clock) -> None:
        self._domain = settings.sender.rpartition("@")[2]
        self._smtp = SmtpSender(
            host=settings.host,
            port=settings.port,
            sender=settings.sender,
            username=settings.username or None,
            password=settings.password.get_secret_value() or None,
            tls=settings.tls,
            clock=clock,
        )

    async def send(self, notification: Notification, address: str) -> None:
        """Hand the e-mail over."""
        await self._smtp.send(
            OutgoingEmail(
                message_id=f"<{notification.notification_id}@{self._domain}>",
                to=address,
                subject=notification.title,
                body=f"{notification.body}\n\n{notification.link}\n",
            )
        )


async def send_emails(store: NotificationStore, sender: EmailSender, clock: Clock) -> None:
    """One round of e-mails, beside the consume loop: a slow mail server holds no record up."""
    await send_due_emails(store, sender, clock)
    await asyncio.sleep(_EMAIL_SECONDS)


@dataclass(frozen=True, slots=True)
class OutgoingEmail:
    """One e-mail in plain text. The same notification always has the same `message_id`, angle brackets included."""

    message_id: str
    to: str = field(repr=False)
    subject: str = field(repr=False)
    body: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class SmtpSender:
    """Hands e-mails to one SMTP server, a connection each. `timeout` in seconds, for every step of the dialogue.

    Raises:
        Fatal: when the sender is not a plain ASCII address.
    """

    host: str
    port: int
    sender: str
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: Literal["starttls", "implicit", "none"] = "starttls"
    timeout: float = 30.0
    clock: Clock = system_clock

    def __post_init__(self) -> None:
        if _mailbox(self.sender) != self.sender:
            raise Fatal("The sender of e-mails is not a plain ASCII address like certificates@example.org.")

    async def send(self, message: OutgoingEmail) -> None:
        """Hand the e-mail over; returns when the server has accepted it.

        Raises:
            Transient: the server is away, slow, full, refuses us or asks to come again: the e-mail is still wanted.
            Permanent: this e-mail cannot be written or addressed, or the server refuses its recipient or content.
        """
        to = _mailbox(message.to)
        if to is None:
            raise Permanent("The recipient of an e-mail is not a plain address.")
        mail = self._written(message, to)
        try:
            async with self._server() as server:
                await server.send_message(mail, sender=self.sender, recipients=[to])
        except (SMTPException, OSError) as error:
            raise _verdict(error) from None

    def _written(self, message: OutgoingEmail, to: str) -> EmailMessage:
        mail = EmailMessage(policy=SMTP_POLICY)
        if not _MESSAGE_ID.fullmatch(message.message_id):
            raise Permanent("The Message-ID of an e-mail is not one.")
        try:
            mail["Date"] = datetime.fromtimestamp(self.clock() / 1000, UTC)
            mail["From"] = self.sender
            mail["To"] = to
            mail["Subject"] = message.subject
            mail["Message-ID"] = message.message_id
            mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office note may answer it
            mail.set_content(message.body, cte="quoted-printable")
        except ValueError:  # a line break in a header, or a surrogate
            raise Permanent("The subject or body of an e-mail cannot be written.") from None
        return mail

    def _server(self) -> SMTP:
        return SMTP(
            hostname=self.host,
            port=self.port,
            local_hostname=self.sender.rpartition("@")[2],
            timeout=self.timeout,
            use_tls=self.tls == "implicit",
            start_tls=self.tls == "starttls",
            username=self.username or None,
            password=self.password,
        )


def _mailbox(address: str) -> str | None:
    """The address as it goes over the wire, the domain in ASCII; None when it is not exactly one plain address."""
    local, _, domain = address.rpartition("@")
    try:
        mailbox = f"{local}@{domain.encode('idna').decode('ascii')}"
    except UnicodeError:
        return None
    return mailbox if len(mailbox) <= _LONGEST_MAILBOX and _MAILBOX.fullmatch(mailbox) else None


def _verdict(error: SMTPException | OSError) -> Transient | Permanent:
    """Whether the e-mail itself is refused for good (5yz to its recipient or content), or it may be sent later.

    A refused login, sender or encryption is a matter of configuration: the e-mails wait until it is put right.
    """
    refusal = error.recipients[0] if isinstance(error, SMTPRecipientsRefused) else error
    code = getattr(refusal, "code", None)
    if isinstance(error, SMTPRecipientsRefused | SMTPDataError) and code is not None and code >= _FOR_GOOD:
        return Permanent(f"The mail server refuses this e-mail for good ({code}).")
    return Transient(f"The mail server did not take the e-mail ({type(refusal).__name__}, {code or 'no answer'}).")
