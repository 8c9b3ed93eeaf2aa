"""E-mail by a real SMTP server: waited for while the trouble is ours, given up when the e-mail itself is wrong."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from services.certificates.delivery import OutgoingEmail, SmtpSender
from shared.errors import Fatal, Permanent, Transient

ADDRESS = "ada@example.org"
PASSWORD = "correct horse battery staple"
EMAIL = OutgoingEmail(
    message_id="<0f8b3e5a-1d9c-5f2e-8b3e-5a1d9c7f2e60@learn.example.org>",
    to=ADDRESS,
    subject="Your certificate is ready to download",
    body="Congratulations, Ada!\n\nhttps://learn.example.org/v1/certificates/6f1c/pdf\n",
)


class Mailbox:
    """A mail server's behaviour: answers as told, and keeps what it accepted."""

    def __init__(self) -> None:
        self.answers: dict[str, str] = {}
        self.envelopes: list[Envelope] = []

    @property
    def mails(self) -> list[EmailMessage]:
        contents = [envelope.content for envelope in self.envelopes]
        parsed = [message_from_bytes(content, policy=default) for content in contents if isinstance(content, bytes)]
        return [mail for mail in parsed if isinstance(mail, EmailMessage)]

    async def handle_MAIL(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        envelope.mail_from = address
        return self.answers.get("MAIL", "250 OK")

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        envelope.rcpt_tos.append(address)
        return self.answers.get("RCPT", "250 OK")

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        if "DATA" not in self.answers:
            self.envelopes.append(envelope)
        return self.answers.get("DATA", "250 OK")


@asynccontextmanager
async def serving(mailbox: Mailbox, **options: Any) -> AsyncIterator[int]:
    """A mail server on a free port, for as long as the block lasts."""
    loop = asyncio.get_running_loop()
    implicit = options.pop("implicit", None)
    server = await loop.create_server(
        lambda: SMTP(mailbox, hostname="mail.test", loop=loop, **options), "127.0.0.1", 0, ssl=implicit
    )
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await server.wait_closed()


def sender_to(port: int, **options: Any) -> SmtpSender:
    settings = {"host": "127.0.0.1", "tls": "none", "timeout": 5.0, **options}
    return SmtpSender(port=port, sender="certificates@learn.example.org", **settings)


# What arrives


async def test_an_email_arrives_with_its_text_and_its_address() -> None:
    mailbox = Mailbox()
    async with serving(mailbox) as port:
        await sender_to(port, clock=lambda: 1_795_305_600_000).send(EMAIL)

    (envelope,), (mail,) = mailbox.envelopes, mailbox.mails
    assert (envelope.mail_from, envelope.rcpt_tos) == ("certificates@learn.example.org", [ADDRESS])
    assert mail["From"] == "certificates@learn.example.org"
    assert mail["To"] == ADDRESS
    assert mail["Subject"] == "Your certificate is ready to download"
    assert mail["Date"] == "Sun, 22 Nov 2026 00:00:00 +0000"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail.get_content_type() == "text/plain"
    assert mail.get_content().splitlines() == EMAIL.body.splitlines()


async def test_the_same_notification_has_the_same_message_id_every_time() -> None:
    mailbox = Mailbox()
    async with serving(mailbox) as port:
        for _ in range(2):
            await sender_to(port).send(EMAIL)

    assert [mail["Message-ID"] for mail in mailbox.mails] == [EMAIL.message_id] * 2


async def test_subject_and_body_may_be_in_any_script() -> None:
    mailbox = Mailbox()
    subject = "Поздравляем! Вы завершили курс «Основы анализа данных: от простого к сложному» — 祝贺 🎓"
    async with serving(mailbox) as port:
        await sender_to(port).send(replace(EMAIL, subject=subject, body=subject))

    (mail,) = mailbox.mails
    assert (mail["Subject"], mail.get_content().strip()) == (subject, subject)


async def test_a_line_with_a_single_dot_does_not_end_the_body() -> None:
    mailbox = Mailbox()
    async with serving(mailbox) as port:
        await sender_to(port).send(replace(EMAIL, body="before\n.\nRCPT TO:<eve@example.org>\nafter\n"))

    (envelope,), (mail,) = mailbox.envelopes, mailbox.mails
    assert envelope.rcpt_tos == [ADDRESS]
    assert mail.get_content().splitlines() == ["before", ".", "RCPT TO:<eve@example.org>", "after"]


async def test_an_international_domain_is_written_in_ascii() -> None:
    mailbox = Mailbox()
    async with serving(mailbox) as port:
        await sender_to(port).send(replace(EMAIL, to="ada@bücher.example"))

    assert mailbox.envelopes[0].rcpt_tos == ["ada@xn--bcher-kva.example"]


# Whose trouble it is


@pytest.mark.parametrize("step", ["MAIL", "RCPT", "DATA"])
async def test_a_server_that_asks_to_come_again_is_transient_and_the_email_arrives_later(step: str) -> None:
    mailbox = Mailbox()
    mailbox.answers[step] = "451 greylisted ada@example.org, come again"
    async with serving(mailbox) as port:
        with pytest.raises(Transient) as caught:
            await sender_to(port).send(EMAIL)
        mailbox.answers.clear()
        await sender_to(port).send(EMAIL)

    assert len(mailbox.mails) == 1
    assert tells_nothing(caught.value)
    assert "451" in str(caught.value)


@pytest.mark.parametrize(("step", "answer"), [("RCPT", "550 no such user ada@example.org"), ("DATA", "554 spam")])
async def test_a_refused_recipient_or_content_is_permanent(step: str, answer: str) -> None:
    mailbox = Mailbox()
    mailbox.answers[step] = answer
    async with serving(mailbox) as port:
        with pytest.raises(Permanent, match=answer[:3]) as caught:
            await sender_to(port).send(EMAIL)

    assert mailbox.mails == []
    assert tells_nothing(caught.value)


async def test_a_refused_sender_is_our_configuration_and_loses_no_email() -> None:
    mailbox = Mailbox()
    mailbox.answers["MAIL"] = "550 who are you"
    async with serving(mailbox) as port:
        with pytest.raises(Transient):
            await sender_to(port).send(EMAIL)


async def test_a_server_that_is_away_is_transient() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: whoever connects is refused
        with pytest.raises(Transient) as caught:
            await sender_to(taken.getsockname()[1]).send(EMAIL)

    assert tells_nothing(caught.value)


async def test_a_server_that_says_nothing_is_transient() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(Transient):
        await sender_to(silent.getsockname()[1], timeout=0.1).send(EMAIL)


async def test_a_server_that_hangs_up_in_mid_sentence_is_transient() -> None:
    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.test\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as server:
        with pytest.raises(Transient):
            await sender_to(server.sockets[0].getsockname()[1]).send(EMAIL)


# What is refused before any server hears of it


@pytest.mark.parametrize(
    "wrong",
    [
        replace(EMAIL, subject="Hello\r\nBcc: eve@example.org"),
        replace(EMAIL, subject="Hello\nBcc: eve@example.org"),
        replace(EMAIL, subject="Hello\rBcc: eve@example.org"),
        replace(EMAIL, message_id="<1@example.org>\r\nBcc: eve@example.org"),
        replace(EMAIL, message_id="1@example.org"),
        replace(EMAIL, subject="\ud800"),
        replace(EMAIL, body="\ud800"),
    ],
    ids=["crlf", "lf", "cr", "message id", "bare message id", "surrogate", "surrogate in body"],
)
async def test_a_header_cannot_be_smuggled_in(wrong: OutgoingEmail) -> None:
    await is_refused_unheard(wrong)


@pytest.mark.parametrize(
    "to",
    [
        "",
        "ada",
        "@example.org",
        "ada@",
        "ada@example..org",
        "ada@-example.org",
        "ada lovelace@example.org",
        "Ada <ada@example.org>",
        "ada@example.org, eve@example.org",
        "ada@example.org\r\nRCPT TO:<eve@example.org>",
        "ada@example.org\n",
        " ada@example.org",
        "ada@example.org> NOTIFY=NEVER",
        "ädä@example.org",
        "ada@exam\u200bple.org\x00",
        "a" * 65 + "@example.org",
        "ada@" + "a." * 130 + "org",
    ],
)
async def test_what_is_not_one_plain_address_gets_no_email(to: str) -> None:
    await is_refused_unheard(replace(EMAIL, to=to))


async def is_refused_unheard(email: OutgoingEmail) -> None:
    mailbox = Mailbox()
    async with serving(mailbox) as port:
        with pytest.raises(Permanent) as caught:
            await sender_to(port).send(email)

    assert mailbox.envelopes == []
    assert tells_nothing(caught.value)


def test_a_sender_that_is_no_address_stops_the_start() -> None:
    with pytest.raises(Fatal):
        SmtpSender(host="127.0.0.1", port=25, sender="Certificates <certificates@example.org>")


# Login and encryption


def authenticator(server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
    known = isinstance(data, LoginPassword) and data == LoginPassword(b"lesson-progress", PASSWORD.encode())
    return AuthResult(success=known, handled=False)


@asynccontextmanager
async def asking_for_a_login(mailbox: Mailbox, folder: Path) -> AsyncIterator[int]:
    context = certified(folder)
    async with serving(mailbox, tls_context=context, authenticator=authenticator, auth_required=True) as port:
        yield port


async def test_the_sender_logs_in_where_it_has_a_password(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mailbox = Mailbox()
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "server.pem"))
    async with asking_for_a_login(mailbox, tmp_path) as port:
        await sender_to(port, tls="starttls", username="lesson-progress", password=PASSWORD).send(EMAIL)

    assert len(mailbox.mails) == 1


async def test_a_refused_login_is_our_configuration_and_loses_no_email(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mailbox = Mailbox()
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "server.pem"))
    async with asking_for_a_login(mailbox, tmp_path) as port:
        with pytest.raises(Transient, match="SMTPAuthenticationError, 535") as caught:
            await sender_to(port, tls="starttls", username="lesson-progress", password="wrong-password").send(EMAIL)

    assert "wrong-password" not in str(caught.value)
    assert tells_nothing(caught.value)


@pytest.mark.parametrize("username", ["lesson-progress", None])
async def test_a_server_that_cannot_encrypt_gets_neither_password_nor_email(username: str | None) -> None:
    mailbox = Mailbox()
    async with serving(mailbox) as port:
        with pytest.raises(Transient, match="SMTPException"):
            await sender_to(port, tls="starttls", username=username, password=PASSWORD).send(EMAIL)

    assert mailbox.envelopes == []


@pytest.mark.parametrize("tls", ["starttls", "implicit"])
async def test_an_encrypted_server_gets_the_email_if_its_certificate_is_trusted(
    tls: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mailbox, context = Mailbox(), certified(tmp_path)
    encryption = {"implicit": context} if tls == "implicit" else {"tls_context": context, "require_starttls": True}
    async with serving(mailbox, **encryption) as port:
        with pytest.raises(Transient):
            await sender_to(port, tls=tls).send(EMAIL)
        assert mailbox.envelopes == []

        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "server.pem"))
        await sender_to(port, tls=tls).send(EMAIL)

    assert len(mailbox.mails) == 1


def test_neither_password_nor_learner_shows_in_a_repr() -> None:
    shown = repr(sender_to(25, username="lesson-progress", password=PASSWORD)) + repr(EMAIL)

    assert PASSWORD not in shown
    assert ADDRESS not in shown
    assert "Congratulations" not in shown


def tells_nothing(error: Exception) -> bool:
    """Whether neither the error nor what led to it says whom the e-mail is for or what it says."""
    assert error.__cause__ is None
    assert error.__context__ is None or error.__suppress_context__
    return not any(secret in str(error) for secret in ("ada", "eve", "example.org", "Congratulations", PASSWORD))


def certified(folder: Path) -> ssl.SSLContext:
    """A server's side of TLS on 127.0.0.1, with a certificate that nobody else has signed."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    (folder / "server.pem").write_bytes(pem + certificate.public_bytes(serialization.Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem")
    return context
