"""Whose signature a token bears: the algorithms, the keys and the header parameters that are accepted."""

from collections.abc import AsyncIterator

import orjson
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from joserfc.jwk import RSAKey

from shared.identity import Identity, NotAuthenticated, Reason, TokenVerifier, UnknownKey
from shared.identity.jwks import read_key
from shared.identity.signing_keys import KeySet
from shared.identity.tokens import read_token
from tests.support.issuer import (
    AUDIENCE,
    ISSUER,
    NOW,
    Json,
    Signer,
    b64,
    claims,
    compact,
    ec_signer,
    ed448_signer,
    ed25519_signer,
    hmac_with,
    p384_signer,
    rsa_signer,
)
from tests.support.key_set import FakeSource, refusal, running, verifier_of

RSA, EC, ED = rsa_signer(), ec_signer(), ed25519_signer()
LEARNER = Identity("learner-1", operator=False)

SCALARS: st.SearchStrategy[object] = (
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
)
HEADER_VALUES: st.SearchStrategy[object] = (
    st.sampled_from(["RS256", "ES256", "EdDSA", "none", "rsa", "ec", "ed"]) | SCALARS | st.just([])
)
OPTIONAL_HEADERS: Json = dict.fromkeys(("crit", "jwk", "jku", "x5u", "x5c", "b64", "typ"), HEADER_VALUES)
CLAIM_VALUES: st.SearchStrategy[object] = (
    st.sampled_from([ISSUER, AUDIENCE, [AUDIENCE], ["operator"], {}]) | SCALARS | st.text()
)
OPTIONAL_CLAIMS: Json = dict.fromkeys(("iss", "aud", "sub", "exp", "nbf", "roles"), CLAIM_VALUES)


@pytest.fixture
async def keys() -> AsyncIterator[KeySet]:
    async with running(FakeSource(RSA, EC, ED)) as keys:
        yield keys


@pytest.fixture
def verifier(keys: KeySet) -> TokenVerifier:
    return verifier_of(keys)


class TestTheSignature:
    @pytest.mark.parametrize("signer", [RSA, EC, ED], ids=lambda signer: signer.algorithm)
    def test_each_accepted_algorithm_proves_its_sender(self, verifier: TokenVerifier, signer: Signer) -> None:
        assert verifier.verify(signer.bearer(), at_ms=NOW) == LEARNER

    @pytest.mark.parametrize("signer", [RSA, EC, ED], ids=lambda signer: signer.algorithm)
    def test_a_changed_payload_is_refused(self, verifier: TokenVerifier, signer: Signer) -> None:
        header, _, signature = signer.bearer().split(".")
        forged = b64(orjson.dumps(claims(sub="somebody-else")))
        assert refusal(verifier, f"{header}.{forged}.{signature}") is Reason.SIGNATURE

    @pytest.mark.parametrize("signer", [rsa_signer("other"), ec_signer(), ed25519_signer()], ids=lambda s: s.algorithm)
    def test_another_key_under_a_known_kid_is_refused(self, verifier: TokenVerifier, signer: Signer) -> None:
        known = {"RS256": "rsa", "ES256": "ec", "EdDSA": "ed"}[signer.algorithm]
        assert refusal(verifier, signer.bearer(kid=known)) is Reason.SIGNATURE

    def test_an_unsigned_token_is_refused(self, verifier: TokenVerifier) -> None:
        header, payload, _ = RSA.bearer().split(".")
        assert refusal(verifier, f"{header}.{payload}.") is Reason.MALFORMED
        assert refusal(verifier, f"{header}.{payload}") is Reason.MALFORMED

    @pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "", None, 1, ["RS256"], {"RS256": 1}])
    def test_no_algorithm_is_refused(self, verifier: TokenVerifier, algorithm: object) -> None:
        assert refusal(verifier, RSA.bearer(alg=algorithm)) is Reason.ALGORITHM

    def test_a_header_without_an_algorithm_is_refused(self, verifier: TokenVerifier) -> None:
        assert refusal(verifier, compact({"kid": "rsa"}, claims(), RSA.sign)) is Reason.ALGORITHM

    @pytest.mark.parametrize(
        "secret",
        [
            RSAKey.import_key(RSA.jwk).as_pem(),
            RSAKey.import_key(RSA.jwk).as_pem().strip(),
            RSAKey.import_key(RSA.jwk).public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
            orjson.dumps(RSA.jwk),
            b"",
        ],
        ids=["pem", "pem-stripped", "der", "jwk", "empty"],
    )
    @pytest.mark.parametrize("algorithm", ["HS256", "RS256"])
    def test_hmac_with_the_public_key_is_refused(self, verifier: TokenVerifier, secret: bytes, algorithm: str) -> None:
        forged = compact({"alg": algorithm, "kid": "rsa"}, claims(), hmac_with(secret))
        assert refusal(verifier, forged) in {Reason.ALGORITHM, Reason.SIGNATURE}

    @pytest.mark.parametrize(
        "algorithm", ["HS256", "RS384", "RS512", "PS256", "ES384", "ES256K", "Ed25519", "Ed448", "rs256"]
    )
    def test_any_other_algorithm_is_refused(self, verifier: TokenVerifier, algorithm: str) -> None:
        assert refusal(verifier, RSA.bearer(alg=algorithm)) is Reason.ALGORITHM
        assert refusal(verifier, ED.bearer(alg=algorithm)) is Reason.ALGORITHM

    def test_an_algorithm_that_is_not_accepted_is_no_reason_to_look_for_its_key(self, verifier: TokenVerifier) -> None:
        assert refusal(verifier, RSA.bearer(alg="HS256", kid="unknown")) is Reason.ALGORITHM

    def test_a_key_signs_only_by_its_own_algorithm(self) -> None:
        for signer in (RSA, EC, ED):
            token = read_token(signer.bearer().encode())
            signed_by = [key.algorithm for key in map(read_key, (RSA.jwk, EC.jwk, ED.jwk)) if token.is_signed_by(key)]
            assert signed_by == [signer.algorithm]

    @pytest.mark.parametrize(("signer", "kid"), [(EC, "rsa"), (RSA, "ec"), (ED, "ec"), (EC, "ed"), (ED, "rsa")])
    def test_an_algorithm_that_does_not_fit_the_key_is_refused(
        self, verifier: TokenVerifier, signer: Signer, kid: str
    ) -> None:
        assert refusal(verifier, signer.bearer(kid=kid)) is Reason.ALGORITHM

    @pytest.mark.parametrize(
        "weak", [ed448_signer(), p384_signer(), rsa_signer("weak", bits=1024)], ids=lambda s: s.kid
    )
    async def test_a_key_of_a_kind_not_accepted_proves_nobody(self, weak: Signer) -> None:
        async with running(FakeSource(RSA, weak)) as keys:
            assert refusal(verifier_of(keys), weak.bearer()) is Reason.UNKNOWN_KEY

    def test_a_key_that_the_token_brings_is_not_used(self, verifier: TokenVerifier) -> None:
        stranger = rsa_signer("stranger")
        brought: Json = {
            "jwk": stranger.jwk,
            "jku": "https://stranger.example/",
            "x5u": "https://stranger.example/",
            "x5c": ["MII"],
        }
        for name, value in brought.items():
            assert refusal(verifier, stranger.bearer(kid="rsa", **{name: value})) is Reason.SIGNATURE
            assert refusal(verifier, stranger.bearer(**{name: value})) is Reason.UNKNOWN_KEY

    @pytest.mark.parametrize(
        "unneeded", [{"jwk": {}}, {"jku": 5}, {"x5c": None}, {"typ": 1}, {"b64": False}, {"new": [[]]}]
    )
    def test_what_the_header_says_beside_is_ignored(self, verifier: TokenVerifier, unneeded: Json) -> None:
        assert verifier.verify(RSA.bearer(**unneeded), at_ms=NOW) == LEARNER

    @pytest.mark.parametrize("critical", [["b64"], ["exp"], [], None, "b64"])
    def test_a_critical_header_is_refused(self, verifier: TokenVerifier, critical: object) -> None:
        assert refusal(verifier, RSA.bearer(crit=critical, b64=True)) is Reason.CRITICAL_HEADER

    @pytest.mark.parametrize("kid", [None, "", 1, True, ["rsa"], {"rsa": 1}])
    def test_a_kid_that_is_no_text_is_refused(self, verifier: TokenVerifier, kid: object) -> None:
        assert refusal(verifier, RSA.bearer(kid=kid)) is Reason.KEY_ID

    def test_a_token_without_kid_is_refused_even_if_only_one_key_is_known(self, verifier: TokenVerifier) -> None:
        assert refusal(verifier, compact({"alg": "RS256"}, claims(), RSA.sign)) is Reason.KEY_ID

    def test_an_unknown_kid_says_so_to_the_caller(self, verifier: TokenVerifier) -> None:
        with pytest.raises(UnknownKey) as refused:
            verifier.verify(RSA.bearer(kid="new"), at_ms=NOW)
        assert (refused.value.kid, refused.value.reason) == ("new", Reason.UNKNOWN_KEY)

    @pytest.mark.parametrize(
        "header",
        [b"", b"null", b"[]", b'"RS256"', b"\xff", b"\xef\xbb\xbf{}", b'{"alg":"RS256","kid":"\\ud800"}', b"[" * 2000],
        ids=repr,
    )
    def test_a_header_that_is_no_json_object_is_refused(self, verifier: TokenVerifier, header: bytes) -> None:
        assert refusal(verifier, compact(header, claims(), RSA.sign)) is Reason.MALFORMED

    def test_a_header_nested_without_end_is_refused_or_ignored_but_never_a_crash(self, verifier: TokenVerifier) -> None:
        nested = b'{"alg":"RS256","kid":"rsa","x":' + b"[" * 1000 + b"]" * 1000 + b"}"
        assert verifier.verify(compact(nested, claims(), RSA.sign), at_ms=NOW) == LEARNER

    def test_a_signature_in_two_spellings_is_not_two_signatures(self, verifier: TokenVerifier) -> None:
        token = ED.bearer()
        last = "AQgw".index(token[-1])
        assert refusal(verifier, token[:-1] + "BRhx"[last]) is Reason.SIGNATURE


class TestAnyBytes:
    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300, deadline=None)
    @given(
        value=st.one_of(st.binary(), st.text(), st.text(alphabet=st.characters()).map(lambda text: f"Bearer {text}"))
    )
    def test_prove_nobody_and_raise_nothing_else(self, verifier: TokenVerifier, value: str | bytes) -> None:
        with pytest.raises(NotAuthenticated):
            verifier.verify(value, at_ms=NOW)

    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300, deadline=None)
    @given(header=st.binary(), payload=st.binary(), signature=st.binary(min_size=1))
    def test_in_three_parts_prove_nobody(
        self, verifier: TokenVerifier, header: bytes, payload: bytes, signature: bytes
    ) -> None:
        with pytest.raises(NotAuthenticated):
            verifier.verify(compact(header, payload, lambda _: signature), at_ms=NOW)

    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300, deadline=None)
    @given(
        header=st.fixed_dictionaries({"alg": HEADER_VALUES, "kid": HEADER_VALUES}, optional=OPTIONAL_HEADERS),
        signature=st.binary(min_size=1, max_size=300),
    )
    def test_under_a_likely_header_prove_nobody(self, verifier: TokenVerifier, header: Json, signature: bytes) -> None:
        with pytest.raises(NotAuthenticated):
            verifier.verify(compact(header, claims(), lambda _: signature), at_ms=NOW)

    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300, deadline=None)
    @given(changed=st.fixed_dictionaries({}, optional=OPTIONAL_CLAIMS))
    def test_signed_claims_of_any_shape_prove_somebody_or_nobody(self, verifier: TokenVerifier, changed: Json) -> None:
        try:
            proven = verifier.verify(ED.bearer(claims(**changed)), at_ms=NOW)
        except NotAuthenticated:
            return
        assert 1 <= len(proven.user_id) <= 255
