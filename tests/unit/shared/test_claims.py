"""What the claims of a signed token must say, and at which moments."""

from collections.abc import AsyncIterator

import orjson
import pytest

from shared.identity import Identity, Reason, TokenVerifier
from shared.identity.signing_keys import KeySet
from tests.support.issuer import (
    AUDIENCE,
    ISSUER,
    NOW,
    SECOND,
    claims,
    rsa_signer,
)
from tests.support.key_set import FakeSource, refusal, running, verifier_of

RSA = rsa_signer()
LEARNER = Identity("learner-1", operator=False)
EXP = NOW // 1000 + 3600


@pytest.fixture
async def keys() -> AsyncIterator[KeySet]:
    async with running(FakeSource(RSA)) as keys:
        yield keys


@pytest.fixture
def verifier(keys: KeySet) -> TokenVerifier:
    return verifier_of(keys)


class TestTheClaims:
    @pytest.mark.parametrize(
        "issuer", ["https://other.example/", ISSUER.rstrip("/"), ISSUER.upper(), "", None, [ISSUER], 1]
    )
    def test_a_wrong_issuer_is_refused(self, verifier: TokenVerifier, issuer: object) -> None:
        assert refusal(verifier, RSA.bearer(claims(iss=issuer))) is Reason.ISSUER

    @pytest.mark.parametrize("audience", [AUDIENCE, [AUDIENCE], ["others", AUDIENCE]])
    def test_the_audience_is_text_or_a_list(self, verifier: TokenVerifier, audience: object) -> None:
        assert verifier.verify(RSA.bearer(claims(aud=audience)), at_ms=NOW) == LEARNER

    @pytest.mark.parametrize(
        "audience",
        [
            "others",
            f"{AUDIENCE} others",
            AUDIENCE[:-1],
            "",
            [],
            ["others"],
            [[AUDIENCE]],
            [AUDIENCE, 1],
            {AUDIENCE: 1},
            None,
        ],
    )
    def test_an_audience_without_us_is_refused(self, verifier: TokenVerifier, audience: object) -> None:
        assert refusal(verifier, RSA.bearer(claims(aud=audience))) is Reason.AUDIENCE

    @pytest.mark.parametrize(
        ("name", "reason"),
        [("iss", Reason.ISSUER), ("aud", Reason.AUDIENCE), ("sub", Reason.SUBJECT), ("exp", Reason.CLAIMS)],
    )
    def test_a_missing_claim_is_refused(self, verifier: TokenVerifier, name: str, reason: Reason) -> None:
        assert refusal(verifier, RSA.bearer(claims(name))) is reason

    @pytest.mark.parametrize("subject", ["a", "x" * 255, "😀" * 255, "a b:c/é", "\u200b"])
    def test_a_subject_of_up_to_255_characters_is_the_user(self, verifier: TokenVerifier, subject: str) -> None:
        assert verifier.verify(RSA.bearer(claims(sub=subject)), at_ms=NOW).user_id == subject

    @pytest.mark.parametrize(
        "subject", ["", "x" * 256, "a\x00", "a\n", "\x7f", "a\x85b", None, 1, True, ["a"], {"a": 1}]
    )
    def test_any_other_subject_is_refused(self, verifier: TokenVerifier, subject: object) -> None:
        assert refusal(verifier, RSA.bearer(claims(sub=subject))) is Reason.SUBJECT

    def test_a_subject_of_half_a_character_is_refused(self, verifier: TokenVerifier) -> None:
        payload = orjson.dumps(claims()).replace(b"learner-1", b"\\ud83d")
        assert refusal(verifier, RSA.bearer(payload)) is Reason.CLAIMS

    @pytest.mark.parametrize("payload", [b"", b"null", b"[1]", b'"text"', b"\xff", b"{", b"[" * 2000], ids=repr)
    def test_claims_that_are_no_json_object_are_refused(self, verifier: TokenVerifier, payload: bytes) -> None:
        assert refusal(verifier, RSA.bearer(payload)) in {Reason.CLAIMS, Reason.MALFORMED}

    @pytest.mark.parametrize("name", ["exp", "nbf"])
    @pytest.mark.parametrize("moment", [str(EXP), True, False, None, [EXP], {"s": EXP}, "", "never"])
    def test_a_moment_that_is_no_number_is_refused(self, verifier: TokenVerifier, name: str, moment: object) -> None:
        assert refusal(verifier, RSA.bearer(claims(**{name: moment}))) is Reason.CLAIMS

    @pytest.mark.parametrize("moment", [b"NaN", b"Infinity", b"-Infinity", b"1e999"])
    def test_a_moment_that_no_clock_can_show_is_refused(self, verifier: TokenVerifier, moment: bytes) -> None:
        payload = orjson.dumps(claims()).replace(str(EXP).encode(), moment)
        assert refusal(verifier, RSA.bearer(payload)) is Reason.CLAIMS

    @pytest.mark.parametrize("exp", [EXP, float(EXP), EXP - 0.5, 1e300, 10**40])
    def test_exp_may_be_any_json_number(self, verifier: TokenVerifier, exp: float) -> None:
        payload = orjson.dumps(claims()).replace(str(EXP).encode(), repr(exp).encode())
        assert verifier.verify(RSA.bearer(payload), at_ms=NOW) == LEARNER

    @pytest.mark.parametrize("exp", [0, -1, -1e300])
    def test_exp_long_ago_is_expired(self, verifier: TokenVerifier, exp: float) -> None:
        assert refusal(verifier, RSA.bearer(claims(exp=exp))) is Reason.EXPIRED

    def test_a_token_expires_thirty_seconds_after_exp_by_the_records_time(self, verifier: TokenVerifier) -> None:
        token, end = RSA.bearer(), EXP * 1000 + 30 * SECOND
        assert verifier.verify(token, at_ms=end - 1) == LEARNER
        assert refusal(verifier, token, end) is Reason.EXPIRED
        assert verifier.verify(token, at_ms=end - 1) == LEARNER

    def test_a_fraction_of_a_second_counts(self, verifier: TokenVerifier) -> None:
        token, end = RSA.bearer(claims(exp=EXP + 0.5)), EXP * 1000 + 500 + 30 * SECOND
        assert verifier.verify(token, at_ms=end - 1) == LEARNER
        assert refusal(verifier, token, end) is Reason.EXPIRED

    def test_a_token_is_valid_from_thirty_seconds_before_nbf(self, verifier: TokenVerifier) -> None:
        token, begin = RSA.bearer(claims(nbf=NOW // 1000 + 60)), NOW + 60 * SECOND - 30 * SECOND
        assert refusal(verifier, token, begin - 1) is Reason.NOT_YET_VALID
        assert verifier.verify(token, at_ms=begin) == LEARNER
        assert refusal(verifier, token, begin - 1) is Reason.NOT_YET_VALID

    def test_an_old_record_is_judged_by_its_own_time(self, verifier: TokenVerifier) -> None:
        expired_long_ago = RSA.bearer(claims(exp=NOW // 1000 - 3600))
        assert refusal(verifier, expired_long_ago) is Reason.EXPIRED
        assert verifier.verify(expired_long_ago, at_ms=NOW - 2 * 3600 * SECOND) == LEARNER


class TestTheOperator:
    def test_the_role_in_the_list_makes_an_operator(self, verifier: TokenVerifier) -> None:
        identity = verifier.verify(RSA.bearer(claims(roles=["learner", "operator"])), at_ms=NOW)
        assert identity == Identity("learner-1", operator=True)

    @pytest.mark.parametrize(
        "roles", [[], ["Operator"], ["cooperator"], [["operator"]], "operator", {"operator": 1}, None, True]
    )
    def test_nothing_else_does(self, verifier: TokenVerifier, roles: object) -> None:
        assert verifier.verify(RSA.bearer(claims(roles=roles)), at_ms=NOW) == LEARNER

    async def test_claim_and_role_have_the_names_of_the_settings(self, keys: KeySet) -> None:
        verifier = verifier_of(keys, roles_claim="groups", operator_role="staff")
        assert verifier.verify(RSA.bearer(claims(groups=["staff"])), at_ms=NOW).operator
        assert not verifier.verify(RSA.bearer(claims(roles=["operator"], groups=["operator"])), at_ms=NOW).operator
