"""One audit of the whole system: each service's own rules, one after the other."""

from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass

from ops.repair.findings import Finding, of_certificate, of_progress
from ops.target import Target
from ops.unreadable import OnUnreadable, Sieve
from services.certificates.inspection import Auditor as CertificateAuditor
from services.recalculator.inspection import Auditor as ProgressAuditor

#: Hears which part of the audit has looked at how many enrollments, of about how many.
OnProgress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Audit:
    """Finds whatever does not follow from the facts; it only reads."""

    progress: ProgressAuditor
    certificates: CertificateAuditor
    #: Whether failed certificates are to be made again, whatever the cause.
    try_all: bool = False

    async def findings(self, on_progress: OnProgress = lambda *_: None) -> AsyncIterator[Finding]:
        """Everything that is not as it ought to be, nothing in a healthy system.

        Raises:
            Transient: the database does not answer.
        """
        async for difference in self.progress.differences(lambda n, of: on_progress("percentages", n, of)):
            yield of_progress(difference)
        async for lacking in self.certificates.lacks(lambda n, of: on_progress("certificates", n, of)):
            yield of_certificate(lacking, try_all=self.try_all)

    async def among(self, enrollment_ids: Collection[str]) -> list[Finding]:
        """What is not as it ought to be with these at this moment.

        Raises:
            Transient: the database does not answer.
        """
        found = [of_progress(difference) for difference in await self.progress.among(enrollment_ids)]
        lacks = await self.certificates.among(enrollment_ids)
        return found + [of_certificate(lacking, try_all=self.try_all) for lacking in lacks]


@asynccontextmanager
async def auditing(
    target: Target, *, try_all: bool = False, on_unreadable: OnUnreadable = lambda *_: None
) -> AsyncIterator[Audit]:
    """An audit of this system; documents that cannot be read are passed over, and `on_unreadable` hears of them.

    Raises:
        OperatorError: the database does not answer, or fails in the block.
    """
    sieve = Sieve(on_unreadable)
    async with target.auditor(sieve) as progress, target.certificate_auditor(sieve) as certificates:
        yield Audit(progress, certificates, try_all)
