"""Make certificates: claim, typeset, store, issue, tell."""

import secrets
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from services.certificates.domain import (
    KINDS,
    RENDER_FAILED,
    Certificate,
    Enrollment,
    Failure,
    Links,
    Making,
    Notification,
    PdfFile,
    certificate_ready,
    course_completed,
    making,
    new_certificate,
)
from services.certificates.handlers.revoking import ChangedMeanwhile
from services.certificates.ports import Change, Claim, NewId, Store, Typesetter
from shared.clock import Clock
from shared.contracts.ids import notification_id
from shared.errors import Transient


def new_certificate_id() -> str:
    """128 random bits that can be read aloud, typed, and put into an address."""
    return secrets.token_hex(16)


class EndsWorkers(Transient):
    """This page, alone, ended its worker, and the next worker works: after a few of these the page is to blame."""


@dataclass(frozen=True, slots=True)
class Made:
    """What one completed enrollment has now, as it is stored, and what this handling did about it."""

    certificate: Certificate
    notifications: Sequence[Notification]
    completed_at: int
    #: Issued, or failed, or begun once more, in this handling.
    issued: bool = False
    failed: bool = False
    retried: bool = False
    #: Why it must be handled again.
    waits: Transient | None = None


@dataclass(frozen=True, slots=True)
class CertificateIssuer:
    """Makes certificates in batches, in a fixed number of round trips; every step can be repeated after a crash.

    Without a typesetter certificates are issued without a PDF.
    """

    store: Store
    typesetter: Typesetter | None
    links: Links
    clock: Clock
    new_id: NewId
    #: Whether the certificate's notification goes into the learner's mailbox too.
    emails: bool = False

    async def issue(self, enrollment_ids: Collection[str], again: Collection[str] = ()) -> dict[str, Made]:
        """Give each of these enrollments its one certificate and notifications, those of `again` made afresh.

        Answers by enrollment id; an enrollment that is unknown or not completed has no answer. A certificate that
        failed waits for `again`; one that was revoked stays so.

        Raises:
            Transient: the database does not answer; what was stored so far is found at the next try.
        """
        started = self.clock()
        completed = await self.store.completed(enrollment_ids)
        if not completed:
            return {}
        told, claims, makings = await self._claim(completed, again)
        certificates = {key: makings[key].before if key in makings else c.certificate for key, c in claims.items()}
        advanced, waits = await self._make(makings)
        certificates |= advanced
        certificates |= await self._issue(certificates.values())
        told |= await self._announce(certificates.values())
        return {
            key: Made(
                certificate,
                [told[n] for kind in KINDS if (n := notification_id(kind, key)) in told],
                completed[key].completed_at,
                issued=claims[key].certificate.issued_at is None and (certificate.issued_at or 0) >= started,
                failed=certificate.failure is not None and (claims[key].new or key in makings),
                retried=key in makings and not claims[key].new,
                waits=waits.get(key),
            )
            for key, certificate in certificates.items()
        }

    async def _claim(
        self, completed: Mapping[str, Enrollment], again: Collection[str]
    ) -> tuple[dict[str, Notification], Mapping[str, Claim], dict[str, Making]]:
        """Congratulate, give each enrollment its certificate, and see what is to be made."""
        enrollments = list(completed.values())
        particulars = await self.store.particulars(enrollments)
        now = self.clock()
        told = await self.store.tell(
            [course_completed(e, particulars[e.enrollment_id].course_title, self.links, now) for e in enrollments]
        )
        claims = await self.store.claim(
            [new_certificate(self.new_id(), e, particulars[e.enrollment_id]) for e in enrollments]
        )
        makings = {}
        for key, claim in claims.items():
            at, remake = completed[key].completed_at, key in again
            if todo := making(claim.certificate, particulars[key], at, new=claim.new, again=remake):
                makings[key] = todo
        await self.store.begin_again([m.before.certificate_id for key, m in makings.items() if not claims[key].new])
        return dict(told), claims, makings

    async def _make(self, makings: Mapping[str, Making]) -> tuple[Mapping[str, Certificate], dict[str, Transient]]:
        """Take each as far as it goes: rendered, or failed, or with a reason to wait. By enrollment id."""
        drafts = {key: m for key, m in makings.items() if m.draft.failure is None}
        pages = dict(zip(drafts, await self._pages(list(drafts.values())), strict=True))
        await self.store.keep([page for page in pages.values() if isinstance(page, PdfFile)])
        now = self.clock()
        after = {key: m.draft for key, m in makings.items() if m.draft.failure is not None}
        after |= {key: drafts[key].made(page, now) for key, page in pages.items() if not isinstance(page, Transient)}
        changes = [Change(makings[key].before, made) for key, made in after.items() if made != makings[key].before]
        ended = [makings[key].before for key, page in pages.items() if isinstance(page, EndsWorkers)]
        changes += [Change(before, before.ended_worker()) for before in ended]
        stored = await self.store.advance(changes)
        waits = {key: page for key, page in pages.items() if isinstance(page, Transient)}
        remade = {key: one for key, one in after.items() if makings[key].again}
        return stored, waits | await self._tidy(remade, stored)

    async def _pages(self, makings: Sequence[Making]) -> list[PdfFile | Failure | Transient | None]:
        if self.typesetter is None:
            return [None] * len(makings)
        pages: list[PdfFile | Failure | Transient | None] = []
        for one, page in zip(makings, await _typeset(makings, self.typesetter), strict=True):
            to_blame = isinstance(page, EndsWorkers) and one.last_chance
            made = PdfFile.of(one.draft, page) if isinstance(page, bytes) else page
            pages.append(Failure(RENDER_FAILED) if to_blame else made)
        return pages

    async def _tidy(self, remade: Mapping[str, Certificate], stored: Mapping[str, Certificate]) -> dict[str, Transient]:
        """Remove the files that were replaced; answers who was overtaken by another replica and must look again."""
        now = {key: stored.get(key, intended) for key, intended in remade.items()}
        overtaken = {key for key, c in now.items() if c.content != remade[key].content and c.status != "revoked"}
        replaced = {key: c.replaced_file_id for key, c in now.items() if c.replaced_file_id not in {None, c.file_id}}
        if replaced:
            await self.store.discard([file_id for file_id in replaced.values() if file_id is not None])
            # Made again with the former words in the meantime, it would point at the file that is gone.
            latest = await self.store.certificates(replaced)
            overtaken |= {key for key, certificate in latest.items() if certificate.file_id == replaced[key]}
        return {key: ChangedMeanwhile() for key in overtaken}

    async def _issue(self, certificates: Collection[Certificate]) -> Mapping[str, Certificate]:
        now = self.clock()
        rendered = [certificate for certificate in certificates if certificate.status == "rendered"]
        return await self.store.advance([Change(certificate, certificate.issued(now)) for certificate in rendered])

    async def _announce(self, certificates: Collection[Certificate]) -> Mapping[str, Notification]:
        """Tell whose certificate is issued; of a revoked one nobody hears anew, but what was told is repeated."""
        ready = [certificate_ready(c, self.links) for c in certificates if c.status == "issued"]
        withdrawn = [c.enrollment_id for c in certificates if c.status == "revoked"]
        told = await self.store.told([notification_id("certificate_ready", key) for key in withdrawn])
        return {**told, **await self.store.tell(ready, email_due=self.clock() if self.emails else None)}


async def _typeset(makings: Sequence[Making], typesetter: Typesetter) -> list[bytes | Failure | Transient]:
    """Make the pages; when a worker died, each alone, so that only a page that ends workers is to blame."""
    with suppress(Transient):
        return list(await typesetter.typeset(makings))
    pages: list[bytes | Failure | Transient] = []
    for one in makings:
        try:
            pages += await typesetter.typeset([one])
        except Transient:
            try:
                await typesetter.recover()
            except Transient as away:
                return [*pages, *[away] * (len(makings) - len(pages))]
            pages.append(EndsWorkers())
    return pages
