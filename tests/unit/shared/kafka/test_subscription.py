"""The subscription: how the client is set, and what happens to a running batch when partitions or the process go."""

import asyncio
from collections.abc import MutableMapping, Sequence
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import (
    AuthenticationFailedError,
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    IncompatibleBrokerVersion,
    KafkaError,
    NodeNotReadyError,
    ProducerFenced,
    RequestTimedOutError,
    SaslAuthenticationFailed,
    TopicAuthorizationFailedError,
    UnsupportedSaslMechanismError,
    UnsupportedVersionError,
)
from faststream import AckPolicy
from faststream.kafka import KafkaBroker
from prometheus_client import CollectorRegistry

from services.progress.messaging import ACCEPTS
from shared.contracts.topics import PROGRESS_COMMANDS
from shared.errors import Fatal, Transient
from shared.kafka import subscription as module
from shared.kafka.fetching import IsolatingConsumer
from shared.kafka.records import Outcome
from shared.kafka.subscription import Subscription
from shared.settings import KafkaSettings
from tests.support.builders import command
from tests.support.eventually import eventually
from tests.support.fake_log import FakeLog
from tests.support.key_set import FakeClock
from tests.support.process import Process
from tests.unit.shared.kafka.conftest import Script

P0, P1 = TopicPartition(PROGRESS_COMMANDS, 0), TopicPartition(PROGRESS_COMMANDS, 1)


class Slow(Script):
    """A handler that takes as long as the test wants."""

    def __init__(self) -> None:
        super().__init__()
        self.go = asyncio.Event()
        self.begun = asyncio.Event()

    async def __call__(self, batch: Sequence[Any]) -> list[Outcome]:
        self.begun.set()
        await self.go.wait()
        return await super().__call__(batch)


class Subscribed:
    """A subscription over a process' loop and consumer; the broker is never reached."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.fatal: list[Fatal] = []
        self.subscription = Subscription(
            service="progress",
            topics=[PROGRESS_COMMANDS, "progress.replays"],
            batch_size=77,
            settings=KafkaSettings(bootstrap_servers="broker-1:9092,broker-2:9092", fetch_max_wait_ms=33),
            loop=process.loop,
            offsets=process.offsets,
            registry=CollectorRegistry(),
            fatal=self.fatal.append,
        )
        self.subscription._subscriber.consumer = process.consumer

    async def batch(self) -> None:
        await self.subscription._on_batch(self.process.consumer.poll())


@pytest.fixture
def slow() -> Slow:
    return Slow()


@pytest.fixture
def subscribed(log: FakeLog, slow: Slow, clock: FakeClock) -> Subscribed:
    return Subscribed(Process(log, accepts=ACCEPTS, handler=slow, clock=clock))


class TestTheClient:
    @pytest.fixture
    async def client(self, subscribed: Subscribed) -> Any:
        """The consumer as it would be made; nothing is opened."""
        await subscribed.subscription._broker.connect()
        subscriber = subscribed.subscription._subscriber
        made = subscriber.builder(
            group_id=subscriber.group_id, client_id=subscriber.client_id, **subscriber._connection_args
        )
        made._closed = True  # so that it does not complain that nobody closed it
        return made

    @pytest.mark.parametrize(
        ("option", "expected"),
        [
            ("_group_id", "progress"),
            ("_enable_auto_commit", False),
            ("_auto_offset_reset", "earliest"),
            ("_isolation_level", "read_committed"),
            ("_session_timeout_ms", 30_000),
            ("_heartbeat_interval_ms", 3_000),
            ("_max_poll_interval_ms", 600_000),
            ("_fetch_max_wait_ms", 33),
            ("_max_partition_fetch_bytes", 4 * 1024 * 1024),
            ("_check_crcs", True),
        ],
    )
    async def test_it_is_set_for_reliability(self, client: Any, option: str, expected: object) -> None:
        assert getattr(client, option) == expected

    async def test_one_unreadable_partition_harms_no_other(self, client: Any) -> None:
        assert isinstance(client, IsolatingConsumer)

    async def test_it_asks_the_brokers_that_were_named_every_thirty_seconds(self, client: Any) -> None:
        assert client._client._bootstrap_servers == ["broker-1:9092", "broker-2:9092"]
        assert client._client._metadata_max_age_ms == 30_000

    async def test_partitions_stick(self, client: Any) -> None:
        [strategy] = client._partition_assignment_strategy
        assert strategy.name == "sticky"

    async def test_only_the_loop_acknowledges_and_nobody_s_reply_to_is_followed(self, subscribed: Subscribed) -> None:
        subscriber = subscribed.subscription._subscriber
        assert subscriber.ack_policy is AckPolicy.MANUAL
        assert subscriber._no_reply
        assert subscriber.max_records == 77

    async def test_no_topic_is_made_on_the_way(self, subscribed: Subscribed) -> None:
        broker = subscribed.subscription._broker
        assert isinstance(broker, KafkaBroker)
        assert not broker.config.broker_config.allow_auto_create_topics
        assert broker.config.broker_config.consumer_only

    async def test_a_record_with_unreadable_headers_is_parsed_all_the_same(self, log: FakeLog) -> None:
        records = tuple(log.add(command(headers=[("x", b"\xff"), ("y", None)], value=None)))
        message = await module._parse(records)
        assert await module._decode(message) is records
        await message.ack()

    async def test_what_the_library_takes_reaches_the_loop_whatever_its_headers_hold(
        self, subscribed: Subscribed, log: FakeLog, slow: Slow
    ) -> None:
        await subscribed.subscription._broker.connect()
        subscriber = subscribed.subscription._subscriber
        subscriber._build_fastdepends_model()
        slow.go.set()
        log.add(command("lesson-1", headers=[("x", b"\xff"), ("y", None)]), command("lesson-2"))

        await subscriber.process_message(tuple(subscribed.process.consumer.poll()))

        assert slow.handled == ["lesson-1", "lesson-2"]


class TestTheEnd:
    async def test_draining_finishes_and_commits_the_running_batch_and_takes_no_other(
        self, subscribed: Subscribed, log: FakeLog, slow: Slow
    ) -> None:
        log.add(command("lesson-1"))
        running = asyncio.create_task(subscribed.batch())
        await slow.begun.wait()
        draining = asyncio.create_task(subscribed.subscription.drain(5))
        await asyncio.sleep(0)
        assert not draining.done()

        slow.go.set()
        await asyncio.gather(running, draining)

        assert log.committed == {P0: 1}
        log.add(command("lesson-2"))
        await subscribed.batch()
        assert slow.handled == ["lesson-1"]

    async def test_a_batch_longer_than_the_grace_period_is_left_to_redelivery(
        self, subscribed: Subscribed, log: FakeLog, slow: Slow
    ) -> None:
        log.add(command("lesson-1"))
        running = asyncio.create_task(subscribed.batch())
        await slow.begun.wait()

        await subscribed.subscription.drain(0.01)

        assert log.commits == []
        running.cancel()
        await asyncio.wait({running})
        assert not subscribed.fatal

    async def test_draining_wakes_no_waiting_partition_any_more(
        self, subscribed: Subscribed, log: FakeLog, slow: Slow
    ) -> None:
        slow.go.set()
        slow.outcomes["lesson-1"] = Outcome("dead_letter", failure=Transient("away"))
        log.add(command("lesson-1"))
        await subscribed.batch()
        await subscribed.subscription.drain(1)
        assert subscribed.process.loop._timers == {}

    @pytest.mark.parametrize(
        ("raised", "said"),
        [(Fatal("the database refuses this user"), "refuses this user"), (MemoryError(), "MemoryError")],
    )
    async def test_a_loop_that_cannot_go_on_ends_the_process_with_nothing_committed(
        self, subscribed: Subscribed, log: FakeLog, raised: Exception, said: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def broken(*_: object) -> None:
            raise raised

        monkeypatch.setattr(subscribed.process.loop, "handle", broken)
        log.add(command("lesson-1"), command("lesson-2"))

        await subscribed.batch()

        [fatal] = subscribed.fatal
        assert said in str(fatal)
        await subscribed.process.offsets.flush(subscribed.process.consumer)
        assert log.commits == []

    async def test_after_that_no_batch_is_taken(self, subscribed: Subscribed, log: FakeLog, slow: Slow) -> None:
        slow.go.set()
        subscribed.subscription._give_up(Fatal("enough"))
        log.add(command("lesson-1"))
        await subscribed.batch()
        assert slow.batches == []


class TestARebalance:
    async def test_what_is_finished_is_committed_before_the_partitions_go(
        self, subscribed: Subscribed, log: FakeLog, slow: Slow
    ) -> None:
        slow.go.set()
        log.add(command("lesson-1"), command("lesson-2", partition=1))
        await subscribed.batch()

        await subscribed.subscription.on_partitions_revoked({P0, P1})

        assert log.committed == {P0: 1, P1: 1}

    async def test_a_running_batch_is_waited_for(self, subscribed: Subscribed, log: FakeLog, slow: Slow) -> None:
        log.add(command("lesson-1"))
        running = asyncio.create_task(subscribed.batch())
        await slow.begun.wait()
        revoking = asyncio.create_task(subscribed.subscription.on_partitions_revoked({P0}))
        await asyncio.sleep(0)

        slow.go.set()
        await asyncio.gather(running, revoking)

        assert log.committed == {P0: 1}

    async def test_but_not_for_ever_and_its_late_finish_is_not_committed(
        self, subscribed: Subscribed, log: FakeLog, slow: Slow, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(module, "_REVOKE_SECONDS", 0.01)
        log.add(command("lesson-1"), command("lesson-2", partition=1))
        running = asyncio.create_task(subscribed.batch())
        await slow.begun.wait()

        await subscribed.subscription.on_partitions_revoked({P0})
        slow.go.set()
        await running
        await subscribed.process.offsets.flush(subscribed.process.consumer)

        assert log.committed == {P1: 1}

    async def test_what_waited_there_is_forgotten_and_not_woken(
        self, subscribed: Subscribed, log: FakeLog, slow: Slow, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("shared.kafka.consume.backoff", lambda _: 60.0)
        slow.go.set()
        slow.outcomes["lesson-1"] = Outcome("dead_letter", failure=Transient("away"))
        log.add(command("lesson-1"))
        await subscribed.batch()
        assert subscribed.process.loop._timers.keys() == {P0}

        await subscribed.subscription.on_partitions_revoked({P0})

        assert subscribed.process.loop._timers == {}

    async def test_what_is_assigned_anew_may_be_committed_again(
        self, subscribed: Subscribed, log: FakeLog, slow: Slow
    ) -> None:
        slow.go.set()
        await subscribed.subscription.on_partitions_revoked({P0, P1})
        await subscribed.subscription.on_partitions_assigned({P0})
        log.add(command("lesson-1"), command("lesson-2", partition=1))
        await subscribed.batch()
        await subscribed.process.offsets.flush(subscribed.process.consumer)
        assert log.committed == {P0: 1}

    async def test_a_commit_that_never_ends_holds_up_neither_a_rebalance_nor_the_end(
        self, subscribed: Subscribed, log: FakeLog, slow: Slow, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert module._COMMIT_SECONDS == 1
        monkeypatch.setattr(module, "_COMMIT_SECONDS", 0.01)

        async def for_ever(_: object) -> None:
            await asyncio.Event().wait()

        monkeypatch.setattr(subscribed.process.consumer, "commit", for_ever)
        slow.go.set()
        log.add(command("lesson-1"), command("lesson-2", partition=1))
        await subscribed.batch()

        await asyncio.wait_for(subscribed.subscription.on_partitions_revoked({P0}), 1)
        assert not subscribed.process.offsets.holds(P0)
        await asyncio.wait_for(subscribed.subscription.drain(0), 1)
        assert log.commits == []


class TestRefusals:
    @pytest.mark.parametrize(
        "refusal",
        [
            GroupAuthorizationFailedError("progress"),
            TopicAuthorizationFailedError(),
            ClusterAuthorizationFailedError(),
            AuthenticationFailedError(),
            SaslAuthenticationFailed(),
            UnsupportedSaslMechanismError(),
            ProducerFenced(),
            UnsupportedVersionError(),
            IncompatibleBrokerVersion(),
        ],
        ids=repr,
    )
    async def test_what_no_waiting_mends_ends_the_process_and_says_why(
        self, subscribed: Subscribed, log: FakeLog, slow: Slow, refusal: KafkaError
    ) -> None:
        subscribed.subscription._on_refusal(refusal)
        [fatal] = subscribed.fatal
        assert type(refusal).__name__ in str(fatal)
        slow.go.set()
        log.add(command("lesson-1"))
        await subscribed.batch()
        assert slow.batches == []

    @pytest.mark.parametrize("trouble", [KafkaError(), NodeNotReadyError(), RequestTimedOutError()], ids=repr)
    async def test_what_may_pass_is_waited_for(self, subscribed: Subscribed, trouble: KafkaError) -> None:
        subscribed.subscription._on_refusal(trouble)
        assert subscribed.fatal == []

    async def test_what_the_client_is_refused_reaches_the_subscription(self, subscribed: Subscribed) -> None:
        await subscribed.subscription._broker.connect()
        client = subscribed.subscription._subscriber.builder(group_id="progress")
        client._closed = True  # so that it does not complain that nobody closed it
        client._refused(GroupAuthorizationFailedError("progress"))
        assert len(subscribed.fatal) == 1

    async def test_a_minute_of_refusals_is_no_life_until_records_come_again(self, subscribed: Subscribed) -> None:
        consumer = subscribed.process.consumer
        consumer.refusals = 11
        assert subscribed.subscription.alive
        consumer.refusals = 12
        assert not subscribed.subscription.alive
        consumer.refusals = 0
        assert subscribed.subscription.alive


class TestLiveness:
    async def test_it_lives_while_batches_pass(self, subscribed: Subscribed, log: FakeLog, slow: Slow) -> None:
        slow.go.set()
        log.add(command("lesson-1"))
        await subscribed.batch()
        assert subscribed.subscription.alive

    async def test_a_batch_stuck_for_five_minutes_is_no_life(
        self, subscribed: Subscribed, log: FakeLog, slow: Slow, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert module._STUCK_SECONDS == 300
        log.add(command("lesson-1"))
        running = asyncio.create_task(subscribed.batch())
        await slow.begun.wait()
        assert subscribed.subscription.alive

        monkeypatch.setattr(module, "_STUCK_SECONDS", -1)

        assert not subscribed.subscription.alive
        slow.go.set()
        await running

    @pytest.mark.parametrize("end", [ZeroDivisionError(), asyncio.CancelledError()])
    async def test_commits_that_ended_are_no_life_and_say_why(
        self,
        end: BaseException,
        subscribed: Subscribed,
        log: FakeLog,
        slow: Slow,
        logged: list[MutableMapping[str, Any]],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        async def started() -> None:
            """The broker is not reached here."""

        monkeypatch.setattr(subscribed.subscription._broker, "start", started)
        monkeypatch.setattr(subscribed.subscription._broker, "stop", started)
        await subscribed.subscription.start()
        subscribed.process.consumer.commit_failures.append(end)
        assert subscribed.subscription.alive

        slow.go.set()
        log.add(command("lesson-1"))
        await subscribed.batch()

        await eventually(lambda: not subscribed.subscription.alive)
        assert "offsets.ended" in [line["event"] for line in logged]
        await subscribed.subscription.stop()

    async def test_a_fetching_task_that_ended_is_no_life(self, subscribed: Subscribed) -> None:
        async def ended() -> None:
            """Nothing fetches any more."""

        task = asyncio.create_task(ended())
        await task
        subscribed.subscription._subscriber.tasks.append(task)
        assert not subscribed.subscription.alive
