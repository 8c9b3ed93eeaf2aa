"""From the header to an identity: what is read, what is kept, and what is asked anew."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from shared.errors import Transient
from shared.identity import Identity, NotAuthenticated, Reason, TokenVerifier, UnknownKey, bearer
from shared.identity.signing_keys import KeySet
from tests.support.issuer import (
    DAY,
    MINUTE,
    NOW,
    SECOND,
    claims,
    ec_signer,
    ed25519_signer,
    rsa_signer,
)
from tests.support.key_set import FakeClock, FakeMemory, FakeSource, refusal, running, verifier_of

RSA, EC, ED = rsa_signer(), ec_signer(), ed25519_signer()
LEARNER = Identity("learner-1", operator=False)
EXP = NOW // 1000 + 3600


@pytest.fixture
async def keys() -> AsyncIterator[KeySet]:
    async with running(FakeSource(RSA, EC, ED)) as keys:
        yield keys


@pytest.fixture
def verifier(keys: KeySet) -> TokenVerifier:
    return verifier_of(keys)


class TestTheHeader:
    def test_one_value_is_given_back(self) -> None:
        assert bearer([("ce_type", b"x"), ("authorization", b"Bearer a.b.c")]) == "Bearer a.b.c"

    @pytest.mark.parametrize(
        ("headers", "reason"),
        [
            ([], Reason.ABSENT),
            ([("Authorization", b"Bearer a.b.c")], Reason.ABSENT),
            ([("authorization", b"x"), ("authorization", b"x")], Reason.REPEATED),
            ([("authorization", None), ("authorization", b"x")], Reason.REPEATED),
            ([("authorization", None)], Reason.UNREADABLE),
            ([("authorization", b"Bearer \xff")], Reason.UNREADABLE),
        ],
    )
    def test_absent_repeated_null_or_not_utf8_proves_nobody(
        self, headers: list[tuple[str, bytes | None]], reason: Reason
    ) -> None:
        with pytest.raises(NotAuthenticated) as refused:
            bearer(headers)
        assert refused.value.reason is reason

    @pytest.mark.parametrize("scheme", ["Bearer ", "bearer ", "BEARER  "])
    def test_the_scheme_is_bearer_in_any_case(self, verifier: TokenVerifier, scheme: str) -> None:
        assert verifier.verify(RSA.bearer().replace("Bearer ", scheme), at_ms=NOW) == LEARNER

    @pytest.mark.parametrize(
        "change", ["Basic {}", "{}", "Bearer{}", "Bearer\t{}", " Bearer {}", "Bearer {} ", "Bearer {}\n"]
    )
    def test_anything_but_bearer_and_one_token_is_refused(self, verifier: TokenVerifier, change: str) -> None:
        token = RSA.bearer().removeprefix("Bearer ")
        assert refusal(verifier, change.format(token)) is Reason.MALFORMED

    def test_text_and_bytes_are_the_same(self, verifier: TokenVerifier) -> None:
        assert verifier.verify(RSA.bearer().encode(), at_ms=NOW) == LEARNER

    def test_eight_kibibytes_are_read_and_not_one_byte_more(self, verifier: TokenVerifier) -> None:
        def padded(pad: int) -> str:
            return RSA.bearer().replace("Bearer ", "Bearer" + " " * pad)

        pad = 8192 - len(padded(0))
        assert verifier.verify(padded(pad), at_ms=NOW) == LEARNER
        assert refusal(verifier, padded(pad + 1)) is Reason.TOO_LARGE

    def test_a_token_with_many_claims_is_read(self, verifier: TokenVerifier) -> None:
        assert verifier.verify(RSA.bearer(claims(groups=["g" * 50] * 80), nonce="n" * 600), at_ms=NOW) == LEARNER

    @pytest.mark.parametrize(
        "text", ["Bearer é.é.é", "Bearer \ud800.a.b", "Bearer \u0660.\u0661.\u0662", "Bearer a.b.c\x00"]
    )
    def test_text_beyond_ascii_is_refused(self, verifier: TokenVerifier, text: str) -> None:
        assert refusal(verifier, text) in {Reason.MALFORMED, Reason.UNREADABLE}


class TestTheCache:
    async def test_a_token_seen_before_is_not_verified_again(
        self, verifier: TokenVerifier, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        token = RSA.bearer()
        verifier.verify(token, at_ms=NOW)
        monkeypatch.setattr("shared.identity.verifier.read_token", None)
        assert verifier.verify(token, at_ms=NOW + 1) == LEARNER

    def test_a_refused_token_is_not_kept(self, verifier: TokenVerifier) -> None:
        for _ in range(3):
            refusal(verifier, RSA.bearer(claims(iss="other")))
        assert not verifier._proven

    async def test_no_more_tokens_are_kept_than_it_is_allowed(self, keys: KeySet) -> None:
        verifier = verifier_of(keys, cache_size=2)
        first, second, third = (ED.bearer(claims(sub=name)) for name in "abc")
        for token in (first, second, first, third):
            verifier.verify(token, at_ms=NOW)
        kept = [proven.identity.user_id for proven in verifier._proven.values()]
        assert kept == ["a", "c"]

    def test_a_token_that_expired_is_dropped(self, verifier: TokenVerifier) -> None:
        verifier.verify(RSA.bearer(), at_ms=NOW)
        refusal(verifier, RSA.bearer(), EXP * 1000 + 30 * SECOND)
        assert not verifier._proven

    async def test_when_its_key_leaves_it_verifies_older_records_alone(self) -> None:
        source, clock = FakeSource(RSA, EC), FakeClock()
        async with running(source, clock=clock) as keys:
            verifier, token = verifier_of(keys), RSA.bearer()
            verifier.verify(token, at_ms=NOW)
            clock.move(MINUTE)
            source.publish(EC)
            await keys.refetch_for("unknown")
            assert refusal(verifier, token, clock.now) is Reason.UNKNOWN_KEY
            assert verifier.verify(token, at_ms=clock.now - 1) == LEARNER
            assert refusal(verifier, token, clock.now) is Reason.UNKNOWN_KEY

    async def test_tokens_are_kept_again_after_the_keys_changed(self) -> None:
        source = FakeSource(RSA)
        async with running(source) as keys:
            verifier = verifier_of(keys)
            source.publish(RSA, EC)
            await keys.refetch_for("unknown")
            for token in (RSA.bearer(), EC.bearer()):
                verifier.verify(token, at_ms=NOW)
            assert len(verifier._proven) == 2

    async def test_an_old_record_by_a_left_key_opens_no_door_to_newer_ones(self) -> None:
        source, clock = FakeSource(RSA, EC), FakeClock()
        async with running(source, clock=clock) as keys:
            source.publish(EC)
            await keys.refetch_for("unknown")
            verifier, token = verifier_of(keys), RSA.bearer()
            assert verifier.verify(token, at_ms=NOW - 1) == LEARNER
            assert refusal(verifier, token, NOW) is Reason.UNKNOWN_KEY


class TestAKidUsedAgain:
    async def test_the_new_key_verifies_and_the_old_one_only_older_records(self) -> None:
        old, new = ed25519_signer("k"), ed25519_signer("k")
        source, clock = FakeSource(old), FakeClock()
        async with running(source, clock=clock) as keys:
            source.publish(new)
            clock.move(MINUTE)
            await keys.refetch_for("unknown")
            verifier = verifier_of(keys)
            assert verifier.verify(new.bearer(), at_ms=clock.now) == LEARNER
            assert verifier.verify(old.bearer(), at_ms=clock.now - 1) == LEARNER
            assert refusal(verifier, old.bearer(), clock.now) is Reason.SIGNATURE

    async def test_with_another_algorithm_each_key_keeps_its_own(self) -> None:
        old, new = ec_signer("k"), ed25519_signer("k")
        source = FakeSource(old)
        async with running(source) as keys:
            source.publish(new)
            await keys.refetch_for("unknown")
            verifier = verifier_of(keys)
            assert verifier.verify(old.bearer(), at_ms=NOW - 1) == LEARNER
            assert refusal(verifier, old.bearer(), NOW) is Reason.ALGORITHM
            assert verifier.verify(new.bearer(), at_ms=NOW) == LEARNER


class TestAnUnknownKey:
    async def test_is_looked_for_once_and_then_proves_its_sender(self) -> None:
        source = FakeSource(RSA)
        async with running(source) as keys:
            source.publish(RSA, EC)
            assert await verifier_of(keys).authenticate(EC.bearer(), at_ms=NOW) == LEARNER
            assert source.fetches == 2

    async def test_a_known_key_causes_no_look(self) -> None:
        source = FakeSource(RSA)
        async with running(source) as keys:
            await verifier_of(keys).authenticate(RSA.bearer(), at_ms=NOW)
            with pytest.raises(NotAuthenticated):
                await verifier_of(keys).authenticate(RSA.bearer(claims(sub="")), at_ms=NOW)
            assert source.fetches == 1

    async def test_a_known_key_does_not_wait_for_a_look_that_others_caused(self) -> None:
        source = FakeSource(RSA)
        async with running(source) as keys:
            source.answers.clear()
            looking = asyncio.create_task(keys.refetch_for("unknown"))
            await asyncio.sleep(0)
            assert await verifier_of(keys).authenticate(RSA.bearer(), at_ms=NOW) == LEARNER
            assert not looking.done()
            source.answers.set()
            await looking

    async def test_two_within_ten_seconds_cause_one_look(self) -> None:
        source, clock = FakeSource(RSA), FakeClock()
        async with running(source, clock=clock) as keys:
            verifier = verifier_of(keys)
            for moved, fetches in [(0, 2), (9_999, 2), (1, 3)]:
                clock.move(moved)
                with pytest.raises(UnknownKey):
                    await verifier.authenticate(RSA.bearer(kid=f"unknown-{moved}"), at_ms=NOW)
                assert source.fetches == fetches

    async def test_a_batch_causes_one_look_and_answers_in_order(self) -> None:
        source = FakeSource(RSA)
        async with running(source) as keys:
            source.publish(RSA, EC, ED)
            batch = [RSA.bearer(), EC.bearer(), "Basic x", ED.bearer(kid="?"), ED.bearer(), RSA.bearer(claims(sub="b"))]
            answers = await verifier_of(keys).authenticate_batch([(token, NOW) for token in batch])
            assert source.fetches == 2
        outcomes = [answer.reason if isinstance(answer, NotAuthenticated) else answer.user_id for answer in answers]
        assert outcomes == ["learner-1", "learner-1", Reason.MALFORMED, Reason.UNKNOWN_KEY, "learner-1", "b"]

    async def test_each_record_of_a_batch_is_judged_by_its_own_time(self, verifier: TokenVerifier) -> None:
        token = RSA.bearer()
        before, after = await verifier.authenticate_batch([(token, NOW), (token, NOW + DAY)])
        assert before == LEARNER
        assert isinstance(after, NotAuthenticated)

    async def test_a_long_batch_lets_others_work(self, verifier: TokenVerifier) -> None:
        answers = await verifier.authenticate_batch([(RSA.bearer(), NOW)] * 300)
        assert answers == [LEARNER] * 300

    async def test_before_the_first_set_it_is_no_answer_but_a_wait(self) -> None:
        source = FakeSource(RSA)
        source.failing = True
        async with running(source) as keys:
            with pytest.raises(Transient):
                await verifier_of(keys).authenticate(RSA.bearer(), at_ms=NOW)

    async def test_before_the_memory_was_read_it_may_have_left_and_waits_too(self) -> None:
        source, memory = FakeSource(RSA), FakeMemory()
        memory.failing = True
        async with running(source, memory) as keys:
            assert await verifier_of(keys).authenticate(RSA.bearer(), at_ms=NOW) == LEARNER
            with pytest.raises(Transient):
                await verifier_of(keys).authenticate(EC.bearer(), at_ms=NOW)

    async def test_before_the_first_set_a_token_that_is_none_is_refused_at_once(self) -> None:
        source = FakeSource()
        async with running(source) as keys:
            with pytest.raises(NotAuthenticated):
                await verifier_of(keys).authenticate("Bearer x", at_ms=NOW)
            assert source.fetches == 1
