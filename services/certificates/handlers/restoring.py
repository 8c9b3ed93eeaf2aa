"""Give certificates back that a restored database lacks, with the ids that learners have."""

from collections.abc import Mapping
from dataclasses import dataclass

from services.certificates.domain import Certificate, LostCertificate
from services.certificates.handlers.revoking import revoke
from services.certificates.ports import Store
from shared.errors import Transient


@dataclass(frozen=True, slots=True)
class Restored:
    """The certificate that the enrollment has now, the one that was lost or another."""

    #: None where the id that was asked for belongs to the certificate of another enrollment.
    certificate: Certificate | None
    waits: Transient | None = None

    def holds(self, certificate_id: str) -> bool:
        """Whether this is the enrollment's certificate."""
        return self.certificate is not None and self.certificate.certificate_id == certificate_id


async def restore(lost: Mapping[str, LostCertificate], store: Store) -> dict[str, Restored]:
    """Write each lost certificate unless its enrollment has one, and withdraw it where it was; by enrollment id.

    Its page is made by whoever issues certificates, from names and titles as they are now. An id that the certificate
    of another enrollment has is not written: no waiting would make it free.

    Raises:
        Transient: the database does not answer; the next try finds what was stored.
    """
    holders = await store.certificates_by_id({one.certificate_id for one in lost.values()})
    taken = {key for key, one in lost.items() if _is_taken(one, holders.get(one.certificate_id))}
    wanted = {key: one for key, one in lost.items() if key not in taken}
    particulars = await store.particulars([one.enrollment for one in wanted.values()])
    claims = await store.claim([one.restored(particulars[key]) for key, one in wanted.items()])
    restored = {key: Restored(None) for key in taken} | {key: Restored(c.certificate) for key, c in claims.items()}
    same = [key for key, one in wanted.items() if restored[key].holds(one.certificate_id)]
    withdrawn = await revoke(
        {key: revocation for key in same if (revocation := lost[key].revocation) is not None}, store
    )
    return restored | {key: Restored(revoked.certificate, revoked.waits) for key, revoked in withdrawn.items()}


def _is_taken(lost: LostCertificate, holder: Certificate | None) -> bool:
    return holder is not None and holder.enrollment_id != lost.enrollment_id
