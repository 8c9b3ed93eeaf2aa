"""Withdraw certificates."""

from collections.abc import Mapping
from dataclasses import dataclass

from services.certificates.domain import Certificate, Revocation
from services.certificates.ports import CertificateStore, Change
from shared.errors import Transient


class ChangedMeanwhile(Transient):
    """Another replica was at the same certificate; what it wrote is to be read first."""


@dataclass(frozen=True, slots=True)
class Revoked:
    """A withdrawn certificate as it is stored; `now` when this handling withdrew it."""

    certificate: Certificate
    now: bool
    waits: Transient | None


async def revoke(revocations: Mapping[str, Revocation], store: CertificateStore) -> dict[str, Revoked]:
    """Withdraw the certificates of these enrollments; one without a certificate has no answer."""
    found = await store.certificates(revocations)
    changes = [Change(c, c.revoked(revocations[key])) for key, c in found.items() if c.status != "revoked"]
    stored = await store.advance(changes)
    return {
        key: Revoked(
            now := stored.get(key, before),
            now=key in stored and now.status == "revoked",
            waits=None if now.status == "revoked" else ChangedMeanwhile(),
        )
        for key, before in found.items()
    }
