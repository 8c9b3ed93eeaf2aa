"""Look for completed enrollments that have not all they ought to have; nothing is changed."""

from collections.abc import AsyncIterator, Awaitable, Callable, Collection

from services.certificates.domain import KINDS, Enrollment, Lacking, lacking
from services.certificates.ports import AuditStore
from shared.contracts.ids import notification_id


async def audit_enrollments(enrollments: Collection[Enrollment], store: AuditStore) -> list[Lacking]:
    """What these completed enrollments have not, in a fixed number of round trips."""
    if not enrollments:
        return []
    ids = [enrollment.enrollment_id for enrollment in enrollments]
    certificates = await store.certificates(ids)
    failed = {key for key, certificate in certificates.items() if certificate.status == "failed"}
    particulars = await store.particulars([e for e in enrollments if e.enrollment_id in failed])
    files = await store.filed([c.file_id for c in certificates.values() if c.file_id is not None])
    told = await store.told([notification_id(kind, key) for key in ids for kind in KINDS])
    return [
        one for key in ids for one in lacking(key, certificates.get(key), particulars.get(key), files=files, told=told)
    ]


async def lacks(
    store: AuditStore,
    *,
    page: int,
    settle: Callable[[], Awaitable[None]],
    on_progress: Callable[[int, int], None] = lambda *_: None,
) -> AsyncIterator[Lacking]:
    """Everything that a completed enrollment ought to have and has not; nothing in a healthy system.

    What is on its way is looked at again after `settle`, whenever there are a `page` of suspects. `on_progress` hears
    how many enrollments were looked at, of about how many.
    """
    suspects: set[Lacking] = set()
    seen, last = 0, None
    total = await store.certificate_count()
    while enrollments := await store.completed_after(last, page):
        suspects.update(await audit_enrollments(enrollments, store))
        seen, last = seen + len(enrollments), enrollments[-1].enrollment_id
        on_progress(seen, max(seen, total))
        if len(suspects) >= page:
            for one in await _settled(suspects, store, settle):
                yield one
            suspects = set()
    for one in await _settled(suspects, store, settle):
        yield one


async def _settled(
    suspects: Collection[Lacking], store: AuditStore, settle: Callable[[], Awaitable[None]]
) -> list[Lacking]:
    """Those of the suspects that are still so after `settle`."""
    if not suspects:
        return []
    await settle()
    completed = await store.completed({one.enrollment_id for one in suspects})
    again = await audit_enrollments(sorted(completed.values(), key=lambda e: e.enrollment_id), store)
    return [one for one in again if one in suspects]
