"""Which keys of a published set may verify tokens."""

import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

from shared.errors import Transient
from shared.identity.jwks import SkippedKey, UnusableKey, read_key, read_key_set
from tests.support.issuer import Json, Signer, b64, ec_signer, ed448_signer, ed25519_signer, p384_signer, rsa_signer

RSA, EC, ED = rsa_signer(), ec_signer(), ed25519_signer()
PURPOSES: list[Json] = [
    {},
    {"use": "sig"},
    {"key_ops": ["verify"]},
    {"use": "sig", "key_ops": ["sign", "verify"]},
    {"x5t": "c", "x5c": [], "x5u": 5, "new": [[]]},
]
OTHER_PURPOSES: list[Json] = [
    {"alg": "RS512"},
    {"alg": "PS256"},
    {"alg": "Ed25519"},
    {"alg": None},
    {"use": "enc"},
    {"use": ["sig"]},
    {"key_ops": []},
    {"key_ops": ["encrypt"]},
    {"key_ops": "verify"},
    {"key_ops": None},
]
signers = pytest.mark.parametrize("signer", [RSA, EC, ED], ids=lambda signer: signer.algorithm)


def key_set(*jwks: object) -> bytes:
    return orjson.dumps({"keys": jwks})


class TestOneKey:
    @signers
    @pytest.mark.parametrize("purpose", PURPOSES, ids=str)
    def test_is_usable_by_the_one_algorithm_it_fits(self, signer: Signer, purpose: Json) -> None:
        key = read_key({**signer.jwk, **purpose})
        assert (key.kid, key.algorithm) == (signer.kid, signer.algorithm)
        assert read_key({**signer.jwk, "alg": signer.algorithm}) == key

    @signers
    @pytest.mark.parametrize("purpose", OTHER_PURPOSES, ids=str)
    def test_meant_for_something_else_is_not_usable(self, signer: Signer, purpose: Json) -> None:
        with pytest.raises(UnusableKey):
            read_key({**signer.jwk, **purpose})

    @signers
    @pytest.mark.parametrize("kid", [None, "", 1, ["rsa"]])
    def test_without_a_name_is_not_usable(self, signer: Signer, kid: object) -> None:
        with pytest.raises(UnusableKey, match="no kid"):
            read_key({**signer.jwk, "kid": kid})

    @pytest.mark.parametrize(
        "secret", [RSAKey.generate_key(2048), ECKey.generate_key(), OKPKey.generate_key()], ids=lambda key: key.key_type
    )
    def test_that_is_private_is_not_usable(self, secret: RSAKey | ECKey | OKPKey) -> None:
        with pytest.raises(UnusableKey, match="private or symmetric"):
            read_key({**secret.as_dict(private=True), "kid": "secret"})

    def test_that_is_symmetric_is_not_usable(self) -> None:
        with pytest.raises(UnusableKey, match="private or symmetric"):
            read_key({**OctKey.generate_key(256).as_dict(private=True), "kid": "secret"})
        with pytest.raises(UnusableKey, match="type"):
            read_key({"kty": "oct", "kid": "secret"})

    @pytest.mark.parametrize(
        ("weak", "why"),
        [
            (rsa_signer("weak", bits=1024), "2048 bits"),
            (rsa_signer("weak", bits=2040), "2048 bits"),
            (p384_signer(), "P-256"),
            (ec_signer(curve=ec.SECP256K1(), name="secp256k1"), "P-256"),
            (ed448_signer(), "Ed25519"),
        ],
        ids=["rsa-1024", "rsa-2040", "p-384", "secp256k1", "ed448"],
    )
    def test_that_is_weak_or_of_another_curve_is_not_usable(self, weak: Signer, why: str) -> None:
        with pytest.raises(UnusableKey, match=why):
            read_key(weak.jwk)

    @pytest.mark.parametrize(
        "jwk",
        [
            None,
            [],
            "rsa",
            {"kid": "k"},
            {"kid": "k", "kty": ["RSA"]},
            {"kid": "k", "kty": "RSA"},
            {**RSA.jwk, "n": 5},
            {**RSA.jwk, "n": ["AQAB"]},
            {**EC.jwk, "y": {"y": 1}},
            {**RSA.jwk, "n": ""},
            {**RSA.jwk, "n": RSA.jwk["n"] + "="},
            {**RSA.jwk, "e": "AA"},
            {**RSA.jwk, "e": b64(1)},
            {**EC.jwk, "x": ED.jwk["x"]},
            {**EC.jwk, "x": "é"},
            {**EC.jwk, "crv": "P-384"},
            {**EC.jwk, "crv": ["P-256"]},
            {**ED.jwk, "x": "AAAA"},
            {**ED.jwk, "crv": "X25519"},
        ],
    )
    def test_that_is_malformed_is_not_usable(self, jwk: object) -> None:
        with pytest.raises(UnusableKey):
            read_key(jwk)

    def test_is_the_same_in_any_spelling(self) -> None:
        padded = b64(b"\x00\x01\x00\x01")
        assert read_key({**RSA.jwk, "e": padded, "use": "sig"}) == read_key(RSA.jwk)

    def test_is_another_under_another_name_or_with_other_numbers(self) -> None:
        assert read_key({**RSA.jwk, "kid": "other"}) != read_key(RSA.jwk)
        assert read_key(ed25519_signer().jwk) != read_key(ED.jwk)

    @signers
    def test_survives_being_stored(self, signer: Signer) -> None:
        key = read_key({**signer.jwk, "x5c": ["MII"]})
        assert key.public_jwk() == signer.jwk
        assert read_key(key.public_jwk()) == key

    def test_has_the_thumbprint_of_rfc_7638(self) -> None:
        n = (
            "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknj"
            "hMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQ"
            "vRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzK"
            "nqDKgw"
        )
        key = read_key({"kty": "RSA", "n": n, "e": "AQAB", "alg": "RS256", "kid": "2011-04-29"})
        assert key.thumbprint == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"


class TestASet:
    def test_gives_its_usable_keys_by_name_and_says_what_it_passed_over(self) -> None:
        keys, skipped = read_key_set(key_set(RSA.jwk, EC.jwk, {**ED.jwk, "use": "enc"}, {"kty": "RSA"}, 5))
        assert list(keys) == ["rsa", "ec"]
        assert [key.kid for key in skipped] == ["ed", None, None]

    def test_trusts_no_key_whose_name_another_key_has_too(self) -> None:
        keys, skipped = read_key_set(key_set(RSA.jwk, {**EC.jwk, "kid": "rsa"}, ED.jwk))
        assert list(keys) == ["ed"]
        assert skipped == [SkippedKey("rsa", "different keys share its kid")]

    def test_may_hold_the_same_key_twice(self) -> None:
        keys, skipped = read_key_set(key_set(RSA.jwk, {**RSA.jwk, "use": "sig"}))
        assert list(keys) == ["rsa"]
        assert not skipped

    def test_may_be_empty(self) -> None:
        assert read_key_set(b'{"keys": []}') == ({}, [])

    @pytest.mark.parametrize(
        "document",
        [
            b"",
            b"{",
            b"[]",
            b"[5]",
            b'"keys"',
            b"5",
            b"null",
            b"{}",
            b'{"keys": {}}',
            b'{"keys": null}',
            b"<html>",
            b"\xff",
            orjson.dumps(RSA.jwk),
        ],
    )
    def test_is_an_object_with_a_list_of_keys(self, document: bytes) -> None:
        with pytest.raises(Transient, match="no JSON Web Key Set"):
            read_key_set(document)

    @settings(max_examples=300, deadline=None)
    @given(
        jwk=st.sampled_from([RSA.jwk, EC.jwk, ED.jwk]),
        changed=st.dictionaries(
            st.sampled_from(["kty", "n", "e", "crv", "x", "y", "kid", "use", "alg", "key_ops"]),
            st.none() | st.integers(-5, 5) | st.text(max_size=8) | st.sampled_from(["RSA", "EC", "OKP", "AQAB", []]),
            min_size=1,
        ),
    )
    def test_with_keys_of_any_shape_is_read_without_a_crash(self, jwk: Json, changed: Json) -> None:
        keys, skipped = read_key_set(key_set({**jwk, **changed}))
        assert len(keys) + len(skipped) == 1
