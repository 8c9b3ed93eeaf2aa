"""The course platform of a living world: its documents, and which lessons each course has had."""

from collections import defaultdict
from collections.abc import Collection
from typing import Any

from tests.support.documents import Documents
from tests.support.issuer import DAY, NOW

COURSE, OTHER_COURSE = "course-1", "course-2"
LESSONS = ("lesson-1", "lesson-2")


class Platform:
    """Writes what belongs to the platform; begins with two courses and with learners, of whom the first takes both."""

    def __init__(self, db: Documents, learners: Collection[str]) -> None:
        self._db = db
        #: The lessons of each course, one list after the other as they were changed.
        self.catalogs: defaultdict[str, list[Collection[str]]] = defaultdict(list)
        #: The learners who have an address.
        self.reachable: set[str] = set()
        self.course(COURSE, *LESSONS, previews=("preview-1",))
        self.course(OTHER_COURSE, "lesson-9")
        self.put("lessons", "orphan-1", moduleId="gone", title="Orphan", order=1)
        for number, user_id in enumerate(learners):
            self.learner(user_id, user_id.title())
            self.enroll(user_id, COURSE)
            if number == 0:
                self.enroll(user_id, OTHER_COURSE)

    def put(self, collection: str, document_id: str, **fields: Any) -> None:
        """Write a document as the platform does."""
        self._db[collection].documents[document_id] = {"_id": document_id, **fields}

    def learner(self, user_id: str, name: str, *, email: bool = True) -> None:
        """A learner with this name."""
        address = {"email": f"{user_id}@example.org"} if email else {}
        self.put("users", user_id, name=name, **address)
        if email:
            self.reachable.add(user_id)

    def course(self, course_id: str, *lesson_ids: str, previews: Collection[str] = ()) -> None:
        """Give a course these lessons and no others."""
        module = f"{course_id}/module"
        lessons = self._db["lessons"].documents
        for lesson_id in [i for i, d in lessons.items() if d["moduleId"] == module and not d.get("isPreview")]:
            del lessons[lesson_id]
        self.put("courses", course_id, title=f"All of {course_id}", instructorName="Charles")
        self.put("courseModules", module, courseId=course_id, title="Module", order=1)
        for order, lesson_id in enumerate(lesson_ids):
            self.put("lessons", lesson_id, moduleId=module, title=lesson_id, order=order)
        for lesson_id in previews:
            self.put("lessons", lesson_id, moduleId=module, title=lesson_id, order=0, isPreview=True)
        self.catalogs[course_id].append(lesson_ids)

    def enroll(self, user_id: str, course_id: str) -> str:
        """A learner's place in a course."""
        key = f"{user_id}@{course_id}"
        self.put("enrollments", key, userId=user_id, courseId=course_id, enrolledAt=NOW - DAY)
        return key

    def unforeseen(self) -> tuple[str, str]:
        """A document that the code has not foreseen; answers the lesson and the learner whose way it stands in."""
        self.learner("eve", "Eve")
        self.put("courses", "course-bug", title="Bug")
        self.put("courseModules", "course-bug/module", courseId="course-bug", title="Module", order=1)
        self.put("lessons", "lesson-bug", moduleId="course-bug/module", title="Bug", order=0, isPreview=True)
        self.put("enrollments", "eve@course-bug", userId="eve", courseId="course-bug", enrolledAt="long ago")
        self.catalogs["course-bug"] = [()]
        return "lesson-bug", "eve"
