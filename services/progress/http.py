"""The HTTP side of progress: the learner's own progress and next lesson; no rules."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request, Response

from services.progress.handlers import course_progress
from services.progress.ports import ProgressStore
from shared.bearer import caller
from shared.clock import Clock
from shared.contracts.values import Id, Message
from shared.identity import Identity, TokenVerifier
from shared.openapi import BEARER, header, problems

CourseId = Annotated[Id, Path(description="The course; a slash in it is written as %2F.")]
_ERRORS = problems(unauthorized="Not authenticated", unprocessable_entity="cannot be read: path.course_id")


class Progress(Message):
    """A learner's progress in a course."""

    enrollment_id: str
    """The caller's enrollment in the course."""
    total: int
    """How many lessons count now: those of the course's modules that are no previews."""
    completed: int
    """How many of them the caller has completed."""
    percent: float
    """`completed / total * 100` in percent, not rounded; 0 when `total` is 0."""
    completed_lesson_ids: list[str]
    """In course order, only lessons counted in `total`."""


class NextLesson(Message):
    """Where to go on."""

    lesson_id: str | None
    """The first lesson without a record; the first of all when every one has one; null in a course without lessons."""


_EXAMPLE = Progress(
    enrollment_id="enrollment-4", total=2, completed=1, percent=50.0, completed_lesson_ids=["bread-basics-1"]
)
_NEXT = NextLesson(lesson_id="bread-basics-2")


def _answer(description: str, example: Message) -> dict[str, Any]:
    """What a route answers when all is well."""
    shown = {"application/json": {"example": example.model_dump(by_alias=True)}}
    personal = {"Cache-Control": header("Always `no-store`: the answer is personal.")}
    return {"description": description, "content": shown, "headers": personal}


def router(store: ProgressStore, verifier: TokenVerifier, clock: Clock) -> APIRouter:
    """The queries; each needs a token and shows the caller's own records only."""
    routes = APIRouter(prefix="/v1/courses", tags=["progress"], dependencies=[Depends(BEARER)], responses=_ERRORS)

    async def identity(request: Request) -> Identity:
        return await caller(request, verifier, clock)

    Caller = Annotated[Identity, Depends(identity)]  # noqa: N806 - a type

    @routes.get(
        "/{course_id:path}/progress",
        operation_id="getProgress",
        summary="How far the caller is in this course",
        responses={
            200: _answer("The caller's progress; `null` when not enrolled, or the course is unknown.", _EXAMPLE)
        },
    )
    async def progress(course_id: CourseId, learner: Caller, response: Response) -> Progress | None:
        response.headers["Cache-Control"] = "no-store"
        found = await course_progress(learner.user_id, course_id, store)
        if found is None:
            return None
        done = found.completed_lesson_ids
        return Progress(
            enrollment_id=found.enrollment_id,
            total=len(found.lesson_ids),
            completed=len(done),
            percent=found.percent,
            completed_lesson_ids=done,
        )

    @routes.get(
        "/{course_id:path}/next-lesson",
        operation_id="getNextLesson",
        summary="The first lesson the caller has not completed",
        responses={200: _answer("Where to go on; `null` when not enrolled, or the course is unknown.", _NEXT)},
    )
    async def next_lesson(course_id: CourseId, learner: Caller, response: Response) -> NextLesson | None:
        response.headers["Cache-Control"] = "no-store"
        found = await course_progress(learner.user_id, course_id, store)
        return None if found is None else NextLesson(lesson_id=found.next_lesson_id)

    return routes
