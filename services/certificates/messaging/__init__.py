"""Kafka on one side, certificates' handlers on the other; no rules."""

from services.certificates.messaging.events import in_order
from services.certificates.messaging.incoming import ACCEPTS, CertificateMessages
from services.certificates.messaging.judging import verdicts

__all__ = ["ACCEPTS", "CertificateMessages", "in_order", "verdicts"]
