"""The HTTP side of progress: the learner's own progress and next lesson; no rules."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request, Response

from services.progress.handlers import course_progress
from services.progress.ports import ProgressStore
from shared.bearer import caller
from shared.clock import Clock
from shared.contracts.values import Id, Message
from shared.identity import Identity, TokenVerifier

CourseId = Annotated[Id, Path(description="The course; a slash in it is written as %2F.")]


class Progress(Message):
    """A learner's progress in a course."""

    enrollment_id: str
    total: int
    completed: int
    percent: float
    #: In course order, only lessons counted in `total`.
    completed_lesson_ids: list[str]


class NextLesson(Message):
    """Where to go on."""

    lesson_id: str | None


def router(store: ProgressStore, verifier: TokenVerifier, clock: Clock) -> APIRouter:
    """The queries; each needs a token and shows the caller's own records only."""
    routes = APIRouter(prefix="/v1/courses", tags=["progress"])

    async def identity(request: Request) -> Identity:
        return await caller(request, verifier, clock)

    Caller = Annotated[Identity, Depends(identity)]  # noqa: N806 - a type

    @routes.get("/{course_id:path}/progress", summary="How far the caller is in this course")
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

    @routes.get("/{course_id:path}/next-lesson", summary="The first lesson the caller has not completed")
    async def next_lesson(course_id: CourseId, learner: Caller, response: Response) -> NextLesson | None:
        response.headers["Cache-Control"] = "no-store"
        found = await course_progress(learner.user_id, course_id, store)
        return None if found is None else NextLesson(lesson_id=found.next_lesson_id)

    return routes
