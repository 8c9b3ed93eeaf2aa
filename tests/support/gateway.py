"""An upstream gateway and the live screens behind it, for tests through the broker."""

import asyncio
import json
import secrets
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Self

import httpx
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition

from ops.development import DevelopmentIdentity
from shared.contracts import topics

Predicate = Callable[["Seen"], bool]
_OUTPUTS = (
    topics.PROGRESS_REPLIES,
    topics.LESSON_COMPLETED,
    topics.ENROLLMENT_PROGRESSED,
    topics.COURSE_COMPLETED,
    topics.CERTIFICATE_ISSUED,
    topics.NOTIFICATION_CREATED,
    *(topics.dead_letters_of(service) for service in topics.SERVICES),
)


@dataclass(frozen=True, slots=True)
class Seen:
    """One record that came out of the system."""

    topic: str
    key: bytes | None
    raw: bytes | None
    headers: Mapping[str, bytes | None]
    record: ConsumerRecord[bytes, bytes] = field(repr=False)

    @property
    def type(self) -> str:
        return (self.headers.get("ce_type") or b"").decode("utf-8", "replace")

    @property
    def data(self) -> Any:
        return json.loads(self.raw or b"null")


class Gateway:
    """Sends commands, sees everything that comes out, asks the services over HTTP."""

    def __init__(
        self, bootstrap_servers: str, identity: DevelopmentIdentity, urls: Callable[[str], str], *, fetch_ms: int = 50
    ) -> None:
        self.identity = identity
        self._urls = urls
        self._seen: list[Seen] = []
        #: The offset after the last that was seen.
        self._reached: dict[TopicPartition, int] = {}
        self._news = asyncio.Condition()
        #: Where each command was put, by its correlation id: topic, partition, offset.
        self.placed: dict[str, tuple[str, int, int]] = {}
        self._producer = AIOKafkaProducer(
            bootstrap_servers=bootstrap_servers, acks="all", max_request_size=8 * 1024 * 1024
        )
        self._consumer = AIOKafkaConsumer(
            *_OUTPUTS,
            bootstrap_servers=bootstrap_servers,
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            fetch_max_wait_ms=fetch_ms,
            max_partition_fetch_bytes=8 * 1024 * 1024,
            metadata_max_age_ms=5_000,  # partitions may be added
        )
        self._following: asyncio.Task[None] | None = None
        self.http = httpx.AsyncClient(timeout=20)

    async def __aenter__(self) -> Self:
        await self._producer.start()
        await self._consumer.start()
        self._following = asyncio.create_task(self._follow())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._following is not None:
            self._following.cancel()
            with suppress(asyncio.CancelledError):
                await self._following
        await self._consumer.stop()
        await self._producer.stop()
        await self.http.aclose()

    async def _follow(self) -> None:
        while True:
            batches = await self._consumer.getmany(timeout_ms=500)
            async with self._news:
                for partition, records in batches.items():
                    self._seen += [Seen(r.topic, r.key, r.value, dict(r.headers), r) for r in records]
                    if records:
                        self._reached[partition] = records[-1].offset + 1
                self._news.notify_all()

    # -- sending ---------------------------------------------------------------------------------------------------

    def token(self, user_id: str, **claims: Any) -> str:
        return self.identity.mint(user_id, **claims)

    async def send(
        self,
        topic: str,
        value: bytes | None,
        *,
        key: bytes | None = b"key",
        headers: list[tuple[str, bytes | None]] | None = None,
        partition: int | None = None,
    ) -> tuple[str, int, int]:
        """Send a record; answers its topic, partition and offset."""
        put = await self._producer.send_and_wait(topic, value, key, partition=partition, headers=headers or [])
        return put.topic, put.partition, put.offset

    async def command(
        self,
        kind: str,
        data: Any,
        *,
        token: str | None,
        topic: str = topics.PROGRESS_COMMANDS,
        key: str = "key",
        partition: int | None = None,
        reply_to: str = topics.PROGRESS_REPLIES,
        extra: list[tuple[str, bytes | None]] | None = None,
    ) -> str:
        """Send a command; answers the correlation id its reply will carry."""
        correlation = secrets.token_hex(8)
        headers: list[tuple[str, bytes | None]] = [
            ("ce_specversion", b"1.0"),
            ("ce_id", correlation.encode()),
            ("ce_type", kind.encode()),
            ("reply-to", reply_to.encode()),
            ("correlation-id", correlation.encode()),
            *(extra or []),
        ]
        if token is not None:
            headers.append(("authorization", b"Bearer " + token.encode()))
        value = data if isinstance(data, bytes) else json.dumps(data).encode()
        self.placed[correlation] = await self.send(topic, value, key=key.encode(), headers=headers, partition=partition)
        return correlation

    async def complete(self, user_id: str, lesson_id: str, **options: Any) -> Seen:
        """Mark a lesson complete and wait for the reply."""
        options.setdefault("token", self.token(user_id))
        correlation = await self.command("lesson.complete.v1", {"lessonId": lesson_id}, key=user_id, **options)
        return await self.reply(correlation)

    async def operate(self, kind: str, data: Mapping[str, str], topic: str) -> Seen:
        """Send an operator's command and wait for the reply."""
        token = self.token("operator", operator=True)
        return await self.reply(await self.command(kind, data, token=token, topic=topic))

    # -- seeing ----------------------------------------------------------------------------------------------------

    def seen(self, topic: str, where: Predicate = lambda _: True) -> list[Seen]:
        """What has come out on a topic so far."""
        return [s for s in self._seen if s.topic == topic and where(s)]

    async def wait_for(self, topic: str, where: Predicate, *, count: int = 1, seconds: float = 60) -> list[Seen]:
        """Wait until so many records of a topic fulfil a condition."""
        try:
            async with asyncio.timeout(seconds), self._news:
                await self._news.wait_for(lambda: len(self.seen(topic, where)) >= count)
        except TimeoutError:
            found = len(self.seen(topic, where))
            raise AssertionError(f"{found} of {count} records on {topic} after {seconds} s") from None
        return self.seen(topic, where)

    async def caught_up(self, *names: str, seconds: float = 60) -> None:
        """Wait until everything that is on these topics now has been seen; on all of them, where none is named.

        Before it is said that something did not come out: what has only not been fetched yet would not be missed.
        """
        partitions = [
            TopicPartition(topic, number)
            for topic in names or _OUTPUTS
            for number in self._consumer.partitions_for_topic(topic) or ()
        ]
        ends = await self._consumer.end_offsets(partitions)
        try:
            async with asyncio.timeout(seconds), self._news:
                await self._news.wait_for(lambda: not self._unseen(ends))
        except TimeoutError:
            raise AssertionError(f"not seen within {seconds} s: {self._unseen(ends)}") from None

    def _unseen(self, ends: Mapping[TopicPartition, int]) -> dict[TopicPartition, int]:
        return {p: end - reached for p, end in ends.items() if (reached := self._reached.get(p, 0)) < end}

    async def reply(self, correlation: str, *, seconds: float = 60) -> Seen:
        """The reply with this correlation id."""
        wanted = correlation.encode()
        return (
            await self.wait_for(
                topics.PROGRESS_REPLIES, lambda s: s.headers.get("correlation-id") == wanted, seconds=seconds
            )
        )[0]

    async def progressed(self, enrollment_id: str, *, completed: int, total: int | None = None) -> Any:
        """The state of an enrollment in which so many lessons are completed."""
        found = await self.wait_for(
            topics.ENROLLMENT_PROGRESSED,
            lambda s: (
                s.key == enrollment_id.encode()
                and s.data["completed"] == completed
                and (total is None or s.data["total"] == total)
            ),
        )
        return max((s.data for s in found), key=lambda d: d["revision"])

    async def certificate(self, enrollment_id: str) -> Any:
        """The certificate that was issued for an enrollment."""
        found = await self.wait_for(topics.CERTIFICATE_ISSUED, lambda s: s.key == enrollment_id.encode())
        return found[0].data

    async def dead_letter(self, service: str, where: Predicate) -> Seen:
        """The dead letter that fulfils a condition."""
        return (await self.wait_for(topics.dead_letters_of(service), where))[0]

    # -- asking ----------------------------------------------------------------------------------------------------

    async def get(self, service: str, path: str, *, user_id: str | None = None) -> httpx.Response:
        headers = {"authorization": f"Bearer {self.token(user_id)}"} if user_id else {}
        return await self.http.get(self._urls(service) + path, headers=headers)

    async def progress(self, user_id: str, course_id: str) -> Any:
        return (await self.get("progress", f"/v1/courses/{course_id}/progress", user_id=user_id)).json()

    async def next_lesson(self, user_id: str, course_id: str) -> Any:
        return (await self.get("progress", f"/v1/courses/{course_id}/next-lesson", user_id=user_id)).json()

    async def metric(self, service: str, sample: str) -> float:
        """The value of one sample, e.g. `name_total{outcome="x"}`; 0 when it is not there."""
        text = (await self.get(service, "/metrics")).text
        return next((float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.startswith(sample + " ")), 0.0)

    async def metrics(self, service: str, name: str) -> list[float]:
        """The values of all samples of one metric, whatever their labels."""
        text = (await self.get(service, "/metrics")).text
        return [
            float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.startswith((f"{name}{{", f"{name} "))
        ]

    async def partitions(self, topic: str) -> set[int]:
        """The partitions of a topic that the producer knows of, after asking the broker."""
        await self._producer.client.force_metadata_update()
        return set(await self._producer.partitions_for(topic))
