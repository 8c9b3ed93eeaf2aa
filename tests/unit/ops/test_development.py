"""The development identity: one key per directory, kept private, and tokens that a service believes."""

import json
from pathlib import Path
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

from ops.development import AUDIENCE, ISSUER, KEY_SET_FILE, PRIVATE_KEY_FILE, DevelopmentIdentity, SigningAlgorithm

NOW_MS = 1_700_000_000_000


@pytest.fixture
def identity(tmp_path: Path) -> DevelopmentIdentity:
    return DevelopmentIdentity.create(tmp_path, clock=lambda: NOW_MS)


def claims(token: str, identity: DevelopmentIdentity) -> dict[str, Any]:
    keys = KeySet.import_key_set(json.loads(identity.key_set.read_bytes()))
    return jwt.decode(token, keys, algorithms=list(SigningAlgorithm)).claims


def test_a_token_says_who_for_whom_and_until_when(identity: DevelopmentIdentity) -> None:
    token = identity.mint("ada", lifetime_seconds=60)

    assert claims(token, identity) == {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "ada",
        "iat": NOW_MS // 1000,
        "exp": NOW_MS // 1000 + 60,
        "roles": [],
    }


def test_only_an_operators_token_has_the_role(identity: DevelopmentIdentity) -> None:
    assert claims(identity.mint("grace", operator=True), identity)["roles"] == ["operator"]


def test_a_token_can_be_issued_at_another_moment(identity: DevelopmentIdentity) -> None:
    earlier = claims(identity.mint("ada", issued_at=1_500_000_000_999), identity)

    assert (earlier["iat"], earlier["exp"]) == (1_500_000_000, 1_500_003_600)


def test_a_directory_keeps_its_key(identity: DevelopmentIdentity, tmp_path: Path) -> None:
    token = identity.mint("ada")

    again = DevelopmentIdentity.create(tmp_path, algorithm=SigningAlgorithm.ES256)

    assert claims(token, again) == claims(token, identity)
    assert claims(DevelopmentIdentity.load(tmp_path).mint("ada"), identity)["sub"] == "ada"


def test_es256_is_there_for_many_tokens(tmp_path: Path) -> None:
    identity = DevelopmentIdentity.create(tmp_path, algorithm=SigningAlgorithm.ES256)

    assert claims(identity.mint("ada"), identity)["sub"] == "ada"
    assert json.loads(identity.key_set.read_bytes())["keys"][0]["alg"] == "ES256"


def test_the_private_key_is_its_owners_alone(identity: DevelopmentIdentity, tmp_path: Path) -> None:
    assert (tmp_path / PRIVATE_KEY_FILE).stat().st_mode & 0o777 == 0o600
    (key,) = json.loads((tmp_path / KEY_SET_FILE).read_bytes())["keys"]
    assert not key.keys() & {"d", "p", "q", "dp", "dq", "qi"}
    assert key["kid"]


def test_a_lost_key_set_is_written_again(identity: DevelopmentIdentity, tmp_path: Path) -> None:
    (tmp_path / KEY_SET_FILE).unlink()

    assert DevelopmentIdentity.create(tmp_path).key_set.exists()


def test_an_empty_directory_holds_no_identity(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        DevelopmentIdentity.load(tmp_path)


def test_another_kind_of_key_is_refused(tmp_path: Path) -> None:
    (tmp_path / PRIVATE_KEY_FILE).write_text(
        json.dumps({"kty": "oct", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQ", "alg": "HS256"})
    )

    with pytest.raises(ValueError, match=PRIVATE_KEY_FILE):
        DevelopmentIdentity.load(tmp_path)


def test_a_replaced_file_leaves_nothing_unfinished(identity: DevelopmentIdentity, tmp_path: Path) -> None:
    assert {path.name for path in tmp_path.iterdir()} == {KEY_SET_FILE, PRIVATE_KEY_FILE}


@pytest.mark.parametrize("content", ["", "[]", '"key"', "{}", '{"kty": "OKP", "crv": "Ed25519"}', '{"kty": "oct"}'])
def test_a_file_that_holds_no_development_key_is_refused(content: str, tmp_path: Path) -> None:
    (tmp_path / PRIVATE_KEY_FILE).write_text(content)

    with pytest.raises(ValueError):  # noqa: PT011 - each is refused in its own words
        DevelopmentIdentity.load(tmp_path)


def test_a_public_key_alone_is_no_identity(identity: DevelopmentIdentity, tmp_path: Path) -> None:
    [public] = json.loads(identity.key_set.read_bytes())["keys"]
    (tmp_path / PRIVATE_KEY_FILE).write_text(json.dumps(public))

    with pytest.raises(ValueError, match="holds no key of the development identity"):
        DevelopmentIdentity.load(tmp_path)


def test_what_is_published_elsewhere_is_the_public_key_alone(identity: DevelopmentIdentity, tmp_path: Path) -> None:
    published = identity.publish(tmp_path / "public")

    assert published.read_bytes() == identity.key_set.read_bytes()
    assert [path.name for path in published.parent.iterdir()] == [KEY_SET_FILE]
    assert "d" not in json.loads(published.read_bytes())["keys"][0]
