"""The recalculator's use cases, one function each, over ports."""

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Mapping

from services.recalculator.domain import (
    Difference,
    Enrollment,
    Examined,
    Recalculated,
    Sweep,
    countable,
    examined,
    recalculate,
)
from services.recalculator.ports import Publish, RecalculatorStore
from shared.errors import Transient

_ROUNDS = 10


class Overtaken(Transient):
    """Others kept changing the same enrollments; the whole batch is tried again later."""


async def recalculate_enrollments(
    enrollment_ids: Collection[str], store: RecalculatorStore, *, changed_at: int | None = None
) -> Mapping[str, Recalculated]:
    """Bring enrollments to the state that their facts give, in a fixed number of round trips, whatever their number.

    Those that do not exist are not in the answer. The enrollments are read before the facts: whoever stored a newer
    state in between raised the revision, so an older view of the facts is never stored over a newer one. Lessons,
    unlike facts, come and go: after a change of the course (`changed_at`, epoch ms) the enrollments are marked before
    anything is read, so that who saw the lessons of before stores nothing, even where this run has nothing to change.

    Raises:
        Transient: the database does not answer, or others kept changing the same enrollments.
    """
    if changed_at is not None:
        await store.mark(enrollment_ids)
    found: dict[str, Enrollment] = {}
    for _ in range(_ROUNDS):
        stored = await store.enrollments(enrollment_ids)
        found = {**stored, **found}
        recalculated = await _recalculated(stored.values(), store, changed_at)
        changes = [r for r in recalculated if r.changed]
        if not changes or await store.save(changes):
            after = {r.after.enrollment_id: r.after for r in recalculated}
            return {enrollment_id: Recalculated(found[enrollment_id], after[enrollment_id]) for enrollment_id in after}
    raise Overtaken(f"{len(enrollment_ids)} enrollments were changed by others {_ROUNDS} times")


async def _recalculated(
    enrollments: Collection[Enrollment], store: RecalculatorStore, changed_at: int | None = None
) -> list[Recalculated]:
    if not enrollments:
        return []
    counted = countable(await store.lessons({e.course_id for e in enrollments}))
    lesson_ids = frozenset[str]().union(*counted.values())
    facts = await store.facts({e.user_id for e in enrollments}, lesson_ids)
    none = frozenset[str]()
    return [
        Recalculated(e, recalculate(e, counted.get(e.course_id, none), facts.get(e.user_id, ()), changed_at=changed_at))
        for e in enrollments
    ]


async def request_sweeps(changes: Iterable[tuple[str, int]], store: RecalculatorStore) -> None:
    """Store that courses changed, as (course id, record time in epoch ms); of one course the latest change counts."""
    latest: dict[str, int] = {}
    for course_id, at in changes:
        latest[course_id] = max(at, latest.get(course_id, at))
    if latest:
        await store.request_sweeps(latest)


async def sweep_page(
    sweep: Sweep, store: RecalculatorStore, publish: Publish, *, page: int, now: int
) -> Collection[Recalculated]:
    """Recalculate the next `page` enrollments of a changed course; answers them.

    The cursor moves only after everything is published, so a crash repeats the page; the page after the last one
    finishes the sweep at `now` (epoch ms). Overlap with another replica, or with a newer change, is harmless.

    Raises:
        Transient: the database or the broker does not answer; the cursor has not moved.
    """
    enrollments = await store.enrollments_after(sweep.cursor, page, course_id=sweep.course_id)
    ids = [e.enrollment_id for e in enrollments]
    recalculated = await recalculate_enrollments(ids, store, changed_at=sweep.requested_at) if ids else {}
    if recalculated:
        await publish(recalculated.values())
    finished = len(ids) < page
    await store.advance_sweep(sweep, ids[-1] if ids else sweep.cursor, now if finished else None)
    return recalculated.values()


async def audit_page(enrollments: Collection[Enrollment], store: RecalculatorStore) -> list[Difference]:
    """Compare stored enrollments with their facts; nothing is changed."""
    return [
        Difference(r.before.enrollment_id, r.before.progress, r.after.progress)
        for r in await _recalculated(enrollments, store)
        if r.drifted
    ]


async def differences(
    store: RecalculatorStore,
    *,
    page: int,
    settle: Callable[[], Awaitable[None]],
    on_progress: Callable[[int, int], None] = lambda *_: None,
) -> AsyncIterator[Difference]:
    """Every enrollment that is not what its facts say; none in a healthy system.

    A completion on its way is no difference: what is found is looked at again after `settle`, whenever there is a
    `page` of them, so what is held does not grow with what is wrong. `on_progress` hears how many enrollments have been
    compared, of about how many.
    """
    suspects: dict[str, Enrollment] = {}
    compared, last = 0, None
    total = await store.enrollment_count()
    while enrollments := await store.enrollments_after(last, page):
        suspects |= await suspected(enrollments, store)
        compared, last = compared + len(enrollments), enrollments[-1].enrollment_id
        on_progress(compared, max(compared, total))
        if len(suspects) >= page:
            for difference in await settled(suspects, store, settle):
                yield difference
            suspects = {}
    for difference in await settled(suspects, store, settle):
        yield difference


async def suspected(enrollments: Collection[Enrollment], store: RecalculatorStore) -> dict[str, Enrollment]:
    """Those that differ from their facts at this moment, by id; perhaps something is only on its way."""
    differing = {difference.enrollment_id for difference in await audit_page(enrollments, store)}
    return {e.enrollment_id: e for e in enrollments if e.enrollment_id in differing}


async def settled(
    suspects: Mapping[str, Enrollment], store: RecalculatorStore, settle: Callable[[], Awaitable[None]]
) -> list[Difference]:
    """Those of the suspects that are still as they were, and still wrong, after `settle`."""
    if not suspects:
        return []
    await settle()
    again = (await store.enrollments(list(suspects))).values()
    return await audit_page([e for e in again if e == suspects[e.enrollment_id]], store)


async def examine(enrollments: Collection[Enrollment], store: RecalculatorStore) -> list[Examined]:
    """Compare enrollments with their facts, in a fixed number of round trips; nothing is changed."""
    if not enrollments:
        return []
    courses = {e.course_id for e in enrollments}
    counted = countable(await store.lessons(courses))
    facts = await store.facts({e.user_id for e in enrollments}, frozenset[str]().union(*counted.values()))
    changes = await store.changes(courses)
    none = frozenset[str]()
    return [
        examined(e, counted.get(e.course_id, none), facts.get(e.user_id, ()), changes.get(e.course_id))
        for e in enrollments
    ]
