"""Hand certificates out, and tell of them by e-mail."""

from contextlib import suppress

from services.certificates.domain import Certificate
from services.certificates.ports import CertificateStore, EmailSender, NotificationStore
from shared.clock import Clock
from shared.errors import Permanent, Transient

#: How often a PDF that was replaced while it was asked for is looked up again.
_LOOKS = 3
#: For how long an e-mail is one replica's to send, and how soon one that was not accepted is tried again (ms).
EMAIL_LEASE_MS = 300_000


async def download(certificate_id: str, store: CertificateStore) -> tuple[Certificate | None, bytes | None]:
    """A certificate, and its PDF where there is one that anyone who knows the id may have.

    Raises:
        Transient: it should be there and is not.
    """
    for _ in range(_LOOKS):
        certificate = await store.certificate(certificate_id)
        if certificate is None or certificate.file_id is None or certificate.status != "issued":
            return certificate, None
        if (pdf := await store.pdf(certificate.file_id)) is not None:
            return certificate, pdf
    raise Transient("the certificate's file is not there")


async def send_due_emails(store: NotificationStore, sender: EmailSender, clock: Clock) -> None:
    """Send every e-mail that is due, at least once; one that cannot be sent, for good, is given up.

    Raises:
        Transient: the mail server does not take it; it comes again when its lease is over.
    """
    while (due := await store.next_email(clock(), clock() + EMAIL_LEASE_MS)) is not None:
        notification, address = due
        accepted_at = None
        with suppress(Permanent):
            if address is not None:
                await sender.send(notification, address)
                accepted_at = clock()
        await store.emailed(notification.notification_id, accepted_at)
