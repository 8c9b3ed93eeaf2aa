"""A made-up platform: courses of as many lessons as are asked for, and learners in them."""

from collections.abc import Iterable, Sequence

from ops.platform.documents import Course, CourseModule, Enrollment, Lesson, Platform, User
from services.progress.domain import Completion
from shared.contracts.ids import progress_id
from shared.mongo.client import Database

#: When every learner enrolled, epoch ms.
ENROLLED_AT = 1_700_000_000_000
_LESSONS_IN_A_MODULE = 10
_AT_ONCE = 2000


def course_id(lessons: int, number: int = 0) -> str:
    """The name of a course of so many lessons."""
    return f"course-{lessons}-{number}"


def lesson_ids(course: str, lessons: int) -> list[str]:
    """The lessons of a course, in course order."""
    return [f"{course}-lesson-{place:04}" for place in range(lessons)]


def enrollment_id(user: str, course: str) -> str:
    """The name of a learner's enrollment."""
    return f"{course}:{user}"


def school(courses: Iterable[tuple[str, int]], users: Sequence[str]) -> Platform:
    """Courses, given by name and number of lessons, with every learner enrolled in each."""
    courses = list(courses)
    return Platform(
        users=tuple(User(id=user, name=f"Learner {user}", email=f"{user}@example.org") for user in users),
        courses=tuple(Course(id=course, title=f"Course {course}") for course, _ in courses),
        modules=tuple(
            CourseModule(id=_module(course, place), course_id=course, title=f"Module {place}", order=place)
            for course, lessons in courses
            for place in range(0, lessons, _LESSONS_IN_A_MODULE)
        ),
        lessons=tuple(
            Lesson(
                id=lesson,
                module_id=_module(course, place - place % _LESSONS_IN_A_MODULE),
                title=f"Lesson {place}",
                order=place,
            )
            for course, lessons in courses
            for place, lesson in enumerate(lesson_ids(course, lessons))
        ),
        enrollments=tuple(
            Enrollment(id=enrollment_id(user, course), user_id=user, course_id=course, enrolled_at=ENROLLED_AT)
            for course, _ in courses
            for user in users
        ),
    )


def completions(user: str, course: str, lessons: Iterable[str]) -> list[Completion]:
    """The facts of a learner who finished these lessons, a second apart."""
    return [
        Completion(
            progress_id(user, lesson), user, lesson, course, enrollment_id(user, course), ENROLLED_AT + 1000 * place
        )
        for place, lesson in enumerate(lessons, start=1)
    ]


async def store(db: Database, facts: Sequence[Completion]) -> None:
    """Store facts as progress would."""
    for start in range(0, len(facts), _AT_ONCE):
        documents = [
            {
                "_id": fact.progress_id,
                "userId": fact.user_id,
                "lessonId": fact.lesson_id,
                "courseId": fact.course_id,
                "enrollmentId": fact.enrollment_id,
                "completedAt": fact.completed_at,
            }
            for fact in facts[start : start + _AT_ONCE]
        ]
        await db["lessonProgress"].insert_many(documents, ordered=False)


def _module(course: str, place: int) -> str:
    return f"{course}-module-{place:04}"
