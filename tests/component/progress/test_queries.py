"""What learners ask over HTTP: how far they are, and where to go on; their own records, and nobody else's."""

import httpx
import pytest

from services.progress.settings import Settings
from shared.service import Service
from tests.support.builders import catalog, completion, enrollment_id, signed_token
from tests.support.fakes_progress import FakeProgressStore
from tests.support.issuer import MINUTE, Signer, rsa_signer
from tests.support.key_set import FakeClock

Headers = dict[str, str]
PROGRESS = "/v1/courses/course-1/progress"
NEXT = "/v1/courses/course-1/next-lesson"
QUERIES = ["progress", "next-lesson"]


def done(store: FakeProgressStore, *lessons: str, user_id: str = "learner-1") -> None:
    for lesson in lessons:
        store.facts[user_id, lesson] = completion(user_id, lesson)


class TestProgress:
    async def test_half_of_ten_lessons_are_fifty_percent(
        self, http: httpx.AsyncClient, store: FakeProgressStore, learner: Headers
    ) -> None:
        done(store, "lesson-5", "lesson-1", "lesson-3", "lesson-2", "lesson-4")

        answer = await http.get(PROGRESS, headers=learner)

        assert answer.status_code == 200
        assert answer.json() == {
            "enrollmentId": enrollment_id("learner-1"),
            "total": 10,
            "completed": 5,
            "percent": 50,
            "completedLessonIds": ["lesson-1", "lesson-2", "lesson-3", "lesson-4", "lesson-5"],
        }

    async def test_before_the_first_lesson_it_is_zero(self, http: httpx.AsyncClient, learner: Headers) -> None:
        answer = (await http.get(PROGRESS, headers=learner)).json()
        assert (answer["total"], answer["completed"], answer["percent"], answer["completedLessonIds"]) == (10, 0, 0, [])

    async def test_records_of_lessons_that_no_longer_count_are_not_shown(
        self, http: httpx.AsyncClient, store: FakeProgressStore, learner: Headers
    ) -> None:
        done(store, "lesson-1", "lesson-2")
        store.counted["course-1"] = ["lesson-2", "lesson-3"]

        answer = (await http.get(PROGRESS, headers=learner)).json()

        assert (answer["total"], answer["completed"], answer["completedLessonIds"]) == (2, 1, ["lesson-2"])

    async def test_a_course_without_lessons_is_zero_of_zero(
        self, http: httpx.AsyncClient, store: FakeProgressStore, learner: Headers
    ) -> None:
        store.counted["course-1"] = []
        answer = (await http.get(PROGRESS, headers=learner)).json()
        assert (answer["total"], answer["completed"], answer["percent"]) == (0, 0, 0)


class TestNextLesson:
    @pytest.mark.parametrize(
        ("completed", "following"),
        [("", "lesson-1"), ("1", "lesson-2"), ("2", "lesson-1"), ("13", "lesson-2")],
    )
    async def test_it_is_the_first_without_a_record(
        self, http: httpx.AsyncClient, store: FakeProgressStore, learner: Headers, completed: str, following: str
    ) -> None:
        done(store, *(f"lesson-{number}" for number in completed))
        assert (await http.get(NEXT, headers=learner)).json() == {"lessonId": following}

    async def test_when_all_are_done_it_is_the_first_for_review(
        self, http: httpx.AsyncClient, store: FakeProgressStore, learner: Headers
    ) -> None:
        done(store, *store.counted["course-1"])
        assert (await http.get(NEXT, headers=learner)).json() == {"lessonId": "lesson-1"}

    async def test_a_course_without_lessons_has_none(
        self, http: httpx.AsyncClient, store: FakeProgressStore, learner: Headers
    ) -> None:
        store.counted["course-1"] = []
        answer = await http.get(NEXT, headers=learner)
        assert answer.content == b'{"lessonId":null}'


@pytest.mark.parametrize("query", QUERIES)
class TestWhoMayAsk:
    @pytest.mark.parametrize("course_id", ["nowhere", "course-3"])
    async def test_not_enrolled_or_unknown_is_null(
        self, http: httpx.AsyncClient, learner: Headers, query: str, course_id: str
    ) -> None:
        answer = await http.get(f"/v1/courses/{course_id}/{query}", headers=learner)
        assert (answer.status_code, answer.content) == (200, b"null")
        assert answer.headers["cache-control"] == "no-store"

    async def test_another_learner_s_course_is_null(
        self, http: httpx.AsyncClient, store: FakeProgressStore, issuer: Signer, query: str
    ) -> None:
        done(store, "lesson-1")
        stranger = {"authorization": signed_token(issuer, "stranger").decode()}
        assert (await http.get(f"/v1/courses/course-1/{query}", headers=stranger)).content == b"null"

    async def test_another_learner_s_records_do_not_count(
        self, http: httpx.AsyncClient, store: FakeProgressStore, learner: Headers, query: str
    ) -> None:
        before = (await http.get(f"/v1/courses/course-1/{query}", headers=learner)).content
        done(store, "lesson-1", "lesson-2", user_id="learner-2")
        assert (await http.get(f"/v1/courses/course-1/{query}", headers=learner)).content == before

    @pytest.mark.parametrize("smuggled", ["?userId=learner-2", "?user_id=learner-2&sub=learner-2"])
    async def test_nobody_is_named_in_the_query_string(
        self, http: httpx.AsyncClient, store: FakeProgressStore, learner: Headers, query: str, smuggled: str
    ) -> None:
        done(store, "lesson-1", user_id="learner-2")
        asked = await http.get(f"/v1/courses/course-1/{query}{smuggled}", headers=learner)
        assert asked.content == (await http.get(f"/v1/courses/course-1/{query}", headers=learner)).content

    async def test_a_personal_answer_is_not_stored(self, http: httpx.AsyncClient, learner: Headers, query: str) -> None:
        answer = await http.get(f"/v1/courses/course-1/{query}", headers=learner)
        assert answer.headers["cache-control"] == "no-store"

    @pytest.mark.parametrize(
        "tokens",
        [[], [""], ["Bearer nonsense"], ["Basic bGVhcm5lcjpsZWFybmVy"], ["Bearer a.b.c"], ["Bearer \xff"]],
        ids=repr,
    )
    async def test_without_a_good_token_the_answer_is_401(
        self, http: httpx.AsyncClient, query: str, tokens: list[str]
    ) -> None:
        headers = [(b"authorization", token.encode("latin-1")) for token in tokens]
        check_401(await http.get(f"/v1/courses/course-1/{query}", headers=headers))

    async def test_two_tokens_are_none(self, http: httpx.AsyncClient, learner: Headers, query: str) -> None:
        twice = [("authorization", learner["authorization"])] * 2
        check_401(await http.get(f"/v1/courses/course-1/{query}", headers=twice))

    async def test_a_token_of_another_issuer_s_key_is_none(self, http: httpx.AsyncClient, query: str) -> None:
        forged = {"authorization": rsa_signer("other").bearer(kid="rsa")}
        check_401(await http.get(f"/v1/courses/course-1/{query}", headers=forged))

    async def test_expiry_is_judged_against_the_clock(
        self, http: httpx.AsyncClient, learner: Headers, clock: FakeClock, query: str
    ) -> None:
        clock.move(61 * MINUTE)
        check_401(await http.get(f"/v1/courses/course-1/{query}", headers=learner))


def check_401(answer: httpx.Response) -> None:
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json() == {
        "type": "about:blank",
        "title": "Unauthorized",
        "status": 401,
        "detail": "Not authenticated",
    }


HOSTILE = {
    "$ne": "%24ne",
    "$where: 1": "%24where%3A%201",
    "a.b.c": "a.b.c",
    "..": "%2E%2E",
    "a/b": "a%2Fb",
    "/": "%2F",
    "x/progress": "x%2Fprogress",
    "x/next-lesson": "x%2Fnext-lesson",
    '{"$gt":""}': "%7B%22%24gt%22%3A%22%22%7D",
    "курс 课程 🎓": "%D0%BA%D1%83%D1%80%D1%81%20%E8%AF%BE%E7%A8%8B%20%F0%9F%8E%93",
    "é" * 255: "%C3%A9" * 255,
    "100%": "100%25",
    "a?b#c": "a%3Fb%23c",
    " ": "%20",
}


@pytest.mark.parametrize(("course_id", "written"), HOSTILE.items())
@pytest.mark.parametrize("query", QUERIES)
async def test_a_hostile_course_id_is_only_an_id(
    http: httpx.AsyncClient, store: FakeProgressStore, learner: Headers, query: str, course_id: str, written: str
) -> None:
    assert (await http.get(f"/v1/courses/{written}/{query}", headers=learner)).content == b"null"

    strange = catalog({course_id: ["lesson-1"]})
    store.enrolled |= strange.enrolled
    store.counted |= strange.counted
    answer = await http.get(f"/v1/courses/{written}/{query}", headers=learner)
    assert answer.json() == (
        {"lessonId": "lesson-1"}
        if query == "next-lesson"
        else {
            "enrollmentId": enrollment_id("learner-1", course_id),
            "total": 1,
            "completed": 0,
            "percent": 0,
            "completedLessonIds": [],
        }
    )


@pytest.mark.parametrize("written", ["a" * 256, "a" * 300, "%C3%A9" * 256, "a%00b", "a%09b", "%7F", "%C2%85"])
@pytest.mark.parametrize("query", QUERIES)
async def test_what_is_no_id_cannot_be_read(
    http: httpx.AsyncClient, store: FakeProgressStore, learner: Headers, query: str, written: str
) -> None:
    answer = await http.get(f"/v1/courses/{written}/{query}", headers=learner)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["detail"] == "cannot be read: path.course_id"
    assert store.calls == []


@pytest.mark.parametrize(
    "path",
    [
        "/v1/courses",
        "/v1/courses/a%0Ab/progress",
        "/v1/courses/course-1",
        "/v1/courses//progress",
        "/",
        "/v2/courses/c/progress",
    ],
)
async def test_other_paths_are_problems_too(http: httpx.AsyncClient, learner: Headers, path: str) -> None:
    answer = await http.get(path, headers=learner)
    assert answer.status_code in {404, 422}
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
async def test_nothing_is_written_over_http(http: httpx.AsyncClient, learner: Headers, method: str) -> None:
    answer = await http.request(method, PROGRESS, headers=learner)
    assert answer.status_code == 405
    assert answer.headers["content-type"] == "application/problem+json"


async def test_while_the_database_is_away_the_answer_is_503(
    http: httpx.AsyncClient, store: FakeProgressStore, learner: Headers
) -> None:
    store.away = True
    answer = await http.get(PROGRESS, headers=learner)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_bug_is_a_problem_that_says_nothing_of_itself(
    http: httpx.AsyncClient, store: FakeProgressStore, learner: Headers
) -> None:
    store.failures = [ZeroDivisionError("with a secret")]
    answer = await http.get(PROGRESS, headers=learner)
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert "secret" not in answer.text


class TestOperations:
    async def test_it_lives_before_it_consumes_and_is_not_ready(self, http: httpx.AsyncClient) -> None:
        assert (await http.get("/health/live")).json() == {"status": "ok"}
        ready = await http.get("/health/ready")
        assert ready.status_code == 503
        assert ready.json()["checks"]["broker"] == "BrokerAway"
        assert ready.json()["checks"]["keys"] == "ok"

    async def test_its_description_holds_the_two_queries(self, http: httpx.AsyncClient) -> None:
        description = (await http.get("/openapi.json")).json()
        assert set(description["paths"]) == {
            "/v1/courses/{course_id}/progress",
            "/v1/courses/{course_id}/next-lesson",
            "/health/live",
            "/health/ready",
            "/metrics",
        }

    async def test_no_page_of_documentation_is_served(self, http: httpx.AsyncClient) -> None:
        assert [(await http.get(path)).status_code for path in ("/docs", "/redoc")] == [404, 404]

    @pytest.mark.parametrize(
        "metric",
        [
            'lesson_progress_commands_total{outcome="recorded"} 0.0',
            'lesson_progress_commands_total{outcome="not_enrolled"} 0.0',
            "lesson_progress_lesson_completion_age_seconds_bucket",
            'lesson_progress_propagation_seconds_bucket{le="0.005",stage="recorded"}',
        ],
    )
    async def test_its_metrics_are_there_from_the_start(self, http: httpx.AsyncClient, metric: str) -> None:
        assert metric in (await http.get("/metrics")).text

    def test_its_default_port_is_8081(self) -> None:
        assert Settings().progress.http.port == 8081

    async def test_its_consuming_side_starts_after_database_and_keys(self, service: Service) -> None:
        assert len(service.resources) == 2
        assert service.consuming is not None


async def test_the_answer_agrees_with_what_was_just_recorded(
    http: httpx.AsyncClient, store: FakeProgressStore, learner: Headers
) -> None:
    for number, lesson in enumerate(store.counted["course-1"], start=1):
        done(store, lesson)
        progress = (await http.get(PROGRESS, headers=learner)).json()
        following = (await http.get(NEXT, headers=learner)).json()
        assert progress["percent"] == number * 10
        assert following["lessonId"] == (f"lesson-{number + 1}" if number < 10 else "lesson-1")
