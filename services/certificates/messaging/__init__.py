"""Kafka on one side, certificates' handlers on the other; no rules."""

from services.certificates.messaging.incoming import ACCEPTS, CertificateMessages

__all__ = ["ACCEPTS", "CertificateMessages"]
