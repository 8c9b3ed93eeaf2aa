"""Give certificates back that a restored database lacks, with the ids that learners have."""

from collections.abc import Mapping
from dataclasses import dataclass

from services.certificates.domain import Certificate, LostCertificate
from services.certificates.handlers.revoking import revoke
from services.certificates.ports import Store
from shared.errors import Transient


@dataclass(frozen=True, slots=True)
class Restored:
    """The certificate that the enrollment has now."""

    certificate: Certificate
    #: The enrollment has another certificate than the one that was lost; it stays.
    other: bool
    waits: Transient | None = None


async def restore(lost: Mapping[str, LostCertificate], store: Store) -> dict[str, Restored]:
    """Write each lost certificate unless its enrollment has one, and withdraw it where it was; by enrollment id.

    Its page is made by whoever issues certificates, from names and titles as they are now.

    Raises:
        Transient: the database does not answer; the next try finds what was stored.
    """
    particulars = await store.particulars([one.enrollment for one in lost.values()])
    claims = await store.claim([one.restored(particulars[key]) for key, one in lost.items()])
    same = {key: c for key, c in claims.items() if c.certificate.certificate_id == lost[key].certificate_id}
    withdrawn = await revoke(
        {key: revocation for key in same if (revocation := lost[key].revocation) is not None}, store
    )
    restored = {key: Restored(claim.certificate, other=key not in same) for key, claim in claims.items()}
    for key, revoked in withdrawn.items():
        restored[key] = Restored(revoked.certificate, other=False, waits=revoked.waits)
    return restored
