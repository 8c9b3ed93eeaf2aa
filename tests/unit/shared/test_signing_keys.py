"""The key set over time: fresh, remembered, and never worse than the last good one."""

import asyncio
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from shared.errors import Fatal, Transient
from shared.identity.jwks import read_key
from shared.identity.key_memory import REMEMBERED_MS, RememberedKey, settle
from shared.identity.key_sources import FileSource
from shared.identity.signing_keys import REFETCH_MS, RETRY_SECONDS, KeySet
from tests.support.issuer import DAY, MINUTE, NOW, ec_signer, ed25519_signer, rsa_signer
from tests.support.key_set import FakeClock, FakeMemory, FakeSleep, FakeSource, running

A, B, C = ed25519_signer("a"), ed25519_signer("b"), ec_signer("c")


def names(keys: KeySet, at_ms: int = NOW, kids: str = "abc") -> str:
    """The kids that verify a record of this time."""
    return "".join(kid for kid in kids if keys.find(kid, at_ms))


class TestSettling:
    a, b, c = (read_key(signer.jwk) for signer in (A, B, C))

    def test_a_key_in_the_set_has_not_left_whatever_was_remembered(self) -> None:
        assert settle([self.a], {self.a: 5}, {self.a: 7}, now_ms=NOW) == {self.a: None}

    def test_a_key_missed_for_the_first_time_leaves_now(self) -> None:
        assert settle([], {self.a: None}, now_ms=NOW) == {self.a: NOW}

    def test_of_several_memories_the_earliest_moment_holds(self) -> None:
        memories = [{self.a: NOW - 1, self.b: None}, {self.a: NOW - 2, self.b: NOW - 3, self.c: None}]
        assert settle([], *memories, now_ms=NOW) == {self.a: NOW - 2, self.b: NOW - 3, self.c: NOW}

    def test_a_key_is_remembered_for_seven_days(self) -> None:
        left = {self.a: NOW - 7 * DAY + 1, self.b: NOW - 7 * DAY}
        assert settle([], left, now_ms=NOW) == {self.a: NOW - 7 * DAY + 1}

    def test_a_key_that_left_verifies_only_what_is_older(self) -> None:
        assert RememberedKey(self.a, None).verifies(NOW)
        assert RememberedKey(self.a, NOW).verifies(NOW - 1)
        assert not RememberedKey(self.a, NOW).verifies(NOW)


class TestTheStart:
    async def test_with_a_set_is_ready(self) -> None:
        async with running(FakeSource(A, B)) as keys:
            await keys.wait_ready()
            assert keys.ready
            assert names(keys) == "ab"

    async def test_without_an_answer_is_not_ready_and_tries_again(self) -> None:
        source, sleep = FakeSource(A), FakeSleep()
        source.failing = True
        with capture_logs() as logs:
            async with running(source, sleep=sleep) as keys:
                waiting = asyncio.create_task(keys.wait_ready())
                await sleep.pass_by()
                assert not keys.ready
                assert not waiting.done()
                source.failing = False
                await sleep.pass_by()
                await waiting
                assert keys.ready
                assert sleep.asked == [RETRY_SECONDS, RETRY_SECONDS, 300]
        assert [(entry["event"], entry["reason"]) for entry in logs] == [
            ("signing_keys.unavailable", "it does not answer")
        ] * 2

    @pytest.mark.parametrize(
        "document", [b"<html>", b'{"keys": []}', b'{"keys": [{"kty": "oct", "k": "AA", "kid": "a"}]}']
    )
    async def test_with_no_usable_set_at_the_address_is_not_ready_and_says_so(self, document: bytes) -> None:
        source = FakeSource()
        source.document = document
        with capture_logs() as logs:
            async with running(source) as keys:
                assert not keys.ready
        assert "signing_keys.unavailable" in {entry["event"] for entry in logs}

    async def test_without_its_file_is_fatal_in_one_sentence(self, tmp_path: Path) -> None:
        keys = KeySet(FileSource(tmp_path / "jwks.json"), FakeMemory())
        with pytest.raises(Fatal, match=r"the key set file .*jwks\.json cannot be used: it cannot be read"):
            await keys.start()
        assert not keys.ready

    async def test_with_a_file_that_is_no_key_set_is_fatal(self, tmp_path: Path) -> None:
        path = tmp_path / "jwks.json"
        path.write_text("-----BEGIN PUBLIC KEY-----")
        with pytest.raises(Fatal, match="holds no JSON Web Key Set"):
            await KeySet(FileSource(path), FakeMemory()).start()

    async def test_must_come_before_waiting(self) -> None:
        with pytest.raises(RuntimeError, match="start"):
            await KeySet(FakeSource(A), FakeMemory()).wait_ready()

    async def test_a_bug_that_ends_the_refresher_is_not_hidden(self) -> None:
        async def broken(_: float) -> None:
            raise ZeroDivisionError

        source = FakeSource(A)
        source.failing = True
        keys = KeySet(source, FakeMemory(), clock=FakeClock(), sleep=broken)
        await keys.start()
        with pytest.raises(ZeroDivisionError):
            await keys.wait_ready()
        source.failing = False
        await keys.refetch_for("a")
        assert names(keys) == "a"
        assert not keys.ready
        with pytest.raises(ZeroDivisionError):
            await keys.stop()


class TestUnusableKeys:
    async def test_are_passed_over_and_named_once(self) -> None:
        source, sleep = FakeSource(A, rsa_signer("weak", bits=1024)), FakeSleep()
        with capture_logs() as logs:
            async with running(source, sleep=sleep) as keys:
                await sleep.pass_by()
                assert not keys.find("weak", NOW)
        warnings = [entry for entry in logs if entry["event"] == "signing_keys.skipped"]
        assert [(entry["kid"], entry["log_level"]) for entry in warnings] == [("weak", "warning")]


class TestTheRefresh:
    async def test_notices_new_keys_and_keys_that_left(self) -> None:
        source, sleep, clock = FakeSource(A, B), FakeSleep(), FakeClock()
        async with running(source, clock=clock, sleep=sleep) as keys:
            source.publish(B, C)
            clock.move(MINUTE)
            await sleep.pass_by()
            assert names(keys, clock.now) == "bc"
            assert names(keys, clock.now - 1) == "abc"
            assert sleep.asked == [300, 300]

    async def test_that_fails_keeps_the_last_good_set(self) -> None:
        source, sleep = FakeSource(A), FakeSleep()
        async with running(source, sleep=sleep) as keys:
            for failing, document in [(True, b""), (False, b"<html>"), (False, b'{"keys": {}}')]:
                source.failing, source.document = failing, document
                with capture_logs() as logs:
                    await sleep.pass_by()
                assert [entry["log_level"] for entry in logs] == ["error"]
                assert (keys.ready, names(keys)) == (True, "a")

    async def test_that_finds_the_set_empty_takes_it_at_its_word(self) -> None:
        source, sleep = FakeSource(A), FakeSleep()
        async with running(source, sleep=sleep) as keys:
            source.publish()
            with capture_logs() as logs:
                await sleep.pass_by()
            assert [entry["reason"] for entry in logs] == ["it holds no usable key"]
            assert (names(keys, NOW), names(keys, NOW - 1)) == ("", "a")

    async def test_changes_the_version_only_when_the_keys_change(self) -> None:
        source, sleep = FakeSource(A), FakeSleep()
        async with running(source, sleep=sleep) as keys:
            first = keys.version
            await sleep.pass_by()
            assert keys.version == first
            source.publish(A, B)
            await sleep.pass_by()
            assert keys.version != first

    async def test_takes_back_a_key_that_came_back(self) -> None:
        source, memory, sleep = FakeSource(A, B), FakeMemory(), FakeSleep()
        async with running(source, memory, sleep=sleep) as keys:
            source.publish(B)
            await sleep.pass_by()
            assert names(keys) == "b"
            source.publish(A, B)
            await sleep.pass_by()
            assert names(keys) == "ab"
            assert set(memory.left_at.values()) == {None}

    @pytest.mark.parametrize("failing", [False, True])
    async def test_forgets_a_key_seven_days_after_it_left(self, failing: bool) -> None:  # noqa: FBT001 - a parameter
        source, memory, clock, sleep = FakeSource(A, B), FakeMemory(), FakeClock(), FakeSleep()
        async with running(source, memory, clock=clock, sleep=sleep) as keys:
            source.publish(B)
            await sleep.pass_by()
            source.failing = failing
            clock.move(REMEMBERED_MS - 1)
            await sleep.pass_by()
            assert names(keys, NOW - 1) == "ab"
            clock.move(1)
            await sleep.pass_by()
            assert names(keys, NOW - 1) == "b"
            assert len(memory.left_at) == (2 if failing else 1)


class TestRefetching:
    async def test_finds_a_key_that_was_published_since(self) -> None:
        source = FakeSource(A)
        async with running(source) as keys:
            source.publish(A, B)
            await keys.refetch_for("b")
            assert names(keys) == "ab"

    async def test_happens_once_in_ten_seconds_whoever_asks(self) -> None:
        source, clock = FakeSource(A), FakeClock()
        async with running(source, clock=clock) as keys:
            await keys.refetch_for("x")
            clock.move(REFETCH_MS - 1)
            await keys.refetch_for("y")
            assert source.fetches == 2
            clock.move(1)
            await keys.refetch_for("y")
            assert source.fetches == 3

    async def test_happens_once_for_all_who_ask_at_the_same_time(self) -> None:
        source = FakeSource(A)
        async with running(source) as keys:
            source.publish(A, B)

            async def known_after_asking(kid: str) -> str:
                await keys.refetch_for(kid)
                return names(keys)

            assert await asyncio.gather(*map(known_after_asking, "bbxyb")) == ["ab"] * 5
            assert source.fetches == 2

    async def test_never_overlaps_the_refresh_so_that_no_older_answer_replaces_a_newer_one(self) -> None:
        source, sleep = FakeSource(A), FakeSleep()
        async with running(source, sleep=sleep) as keys:
            source.answers.clear()
            both = asyncio.gather(keys.refetch_for("x"), sleep.pass_by())
            for _ in range(10):
                await asyncio.sleep(0)
            source.answers.set()
            await both
        assert (source.fetches, source.most_at_once) == (3, 1)

    async def test_never_overlaps_the_start(self) -> None:
        source = FakeSource(A)
        keys = KeySet(source, FakeMemory(), clock=FakeClock(), sleep=FakeSleep())
        await asyncio.gather(keys.start(), keys.refetch_for("x"))
        await keys.stop()
        assert (source.fetches, source.most_at_once) == (2, 1)

    async def test_of_a_known_key_does_not_use_up_the_turn(self) -> None:
        source = FakeSource(A)
        async with running(source) as keys:
            await keys.refetch_for("a")
            assert source.fetches == 1
            await keys.refetch_for("a", "x")
            assert source.fetches == 2

    async def test_looks_for_a_key_that_left_as_it_may_be_back(self) -> None:
        source, clock = FakeSource(A, B), FakeClock()
        async with running(source, clock=clock) as keys:
            source.publish(B)
            await keys.refetch_for("x")
            source.publish(A, B)
            clock.move(REFETCH_MS)
            await keys.refetch_for("a")
            assert names(keys, clock.now) == "ab"

    async def test_that_fails_keeps_the_set_and_uses_up_the_turn(self) -> None:
        source = FakeSource(A)
        async with running(source) as keys:
            source.failing = True
            await keys.refetch_for("x")
            await keys.refetch_for("y")
            assert source.fetches == 2
            assert names(keys) == "a"

    async def test_does_not_wait_for_a_clock_that_was_set_back(self) -> None:
        source, clock = FakeSource(A), FakeClock()
        async with running(source, clock=clock) as keys:
            await keys.refetch_for("x")
            clock.move(-DAY)
            await keys.refetch_for("x")
            assert source.fetches == 3


class TestTheMemory:
    async def test_tells_after_a_restart_that_a_key_left_in_between(self) -> None:
        source, memory = FakeSource(A, B), FakeMemory()
        async with running(source, memory):
            pass
        source.publish(B)
        async with running(source, memory, clock=FakeClock(NOW + DAY)) as keys:
            assert names(keys, NOW + DAY) == "b"
            assert names(keys, NOW + DAY - 1) == "ab"

    async def test_keeps_the_moment_a_key_left_over_restarts(self) -> None:
        source, memory, sleep = FakeSource(A, B), FakeMemory(), FakeSleep()
        async with running(source, memory, sleep=sleep):
            source.publish(B)
            await sleep.pass_by()
        async with running(source, memory, clock=FakeClock(NOW + DAY)) as keys:
            assert names(keys, NOW) == "b"
            assert names(keys, NOW - 1) == "ab"

    async def test_is_shared_by_replicas_that_notice_at_different_times(self) -> None:
        source, memory, early, late = FakeSource(A, B), FakeMemory(), FakeSleep(), FakeSleep()
        async with (
            running(source, memory, sleep=early),
            running(source, memory, clock=FakeClock(NOW + MINUTE), sleep=late) as second,
        ):
            source.publish(B)
            await early.pass_by()
            await late.pass_by()
            assert names(second, NOW) == "b"

    async def test_keeps_both_keys_of_a_kid_that_was_used_again(self) -> None:
        source, memory, sleep = FakeSource(A), FakeMemory(), FakeSleep()
        async with running(source, memory, sleep=sleep) as keys:
            source.publish(ed25519_signer("a"))
            await sleep.pass_by()
            assert [key.left_at for key in keys.find("a", NOW - 1)] == [None, NOW]
            assert [key.left_at for key in keys.find("a", NOW)] == [None]
            assert len(memory.left_at) == 2

    async def test_is_written_only_when_something_changed(self) -> None:
        memory, sleep = FakeMemory(), FakeSleep()
        async with running(FakeSource(A), memory, sleep=sleep):
            await sleep.pass_by()
            await sleep.pass_by()
        assert memory.saves == 1

    async def test_that_is_away_stops_no_verification_and_is_written_later(self) -> None:
        source, memory, clock, sleep = FakeSource(A, B), FakeMemory(), FakeClock(), FakeSleep()
        async with running(source, memory, clock=clock, sleep=sleep) as keys:
            memory.failing = True
            source.publish(B, C)
            with capture_logs() as logs:
                await sleep.pass_by()
            assert [entry["event"] for entry in logs] == ["signing_keys.memory_unavailable"]
            assert (keys.ready, names(keys)) == (True, "bc")
            memory.failing = False
            clock.move(MINUTE)
            await sleep.pass_by()
        assert {key.kid: left_at for key, left_at in memory.left_at.items()} == {"a": NOW, "b": None, "c": None}

    async def test_that_cannot_be_written_is_written_later(self) -> None:
        class ReadOnly(FakeMemory):
            full = True

            async def save(self, *change: object) -> None:
                if self.full:
                    raise Transient("the database is away")
                await super().save(*change)  # type: ignore[arg-type]

        memory, sleep = ReadOnly(), FakeSleep()
        async with running(FakeSource(A), memory, sleep=sleep) as keys:
            assert keys.ready
            memory.full = False
            await sleep.pass_by()
        assert len(memory.left_at) == 1

    async def test_must_be_read_once_before_the_set_is_ready(self) -> None:
        memory, sleep = FakeMemory(), FakeSleep()
        memory.failing = True
        async with running(FakeSource(A), memory, sleep=sleep) as keys:
            assert (keys.ready, names(keys)) == (False, "a")
            memory.failing = False
            await sleep.pass_by()
            assert keys.ready
