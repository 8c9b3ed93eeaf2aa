"""Addresses are shown without what only their owner may know."""

import pytest

from ops.addresses import hosts_of, without_secrets


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("mongodb://127.0.0.1:27017/?directConnection=true", "mongodb://127.0.0.1:27017/?directConnection=true"),
        ("mongodb://maya:s%40cret@a,b/db?replicaSet=rs0", "mongodb://a,b/db?replicaSet=rs0"),
        ("mongodb+srv://maya:not@escaped/s@host/", "mongodb+srv://host/"),
        ("mongodb://h/?tlsCertificateKeyFilePassword=s&w=1", "mongodb://h/?tlsCertificateKeyFilePassword=***&w=1"),
        ("mongodb://h/?authMechanismProperties=AWS_SESSION_TOKEN:s", "mongodb://h/?authMechanismProperties=***"),
    ],
)
def test_a_connection_string_is_shown_without_its_secrets(uri: str, shown: str) -> None:
    assert without_secrets(uri) == shown


@pytest.mark.parametrize(
    ("uri", "hosts"),
    [
        ("mongodb://127.0.0.1:27017/?directConnection=true", "127.0.0.1:27017"),
        ("mongodb://maya:s%40cret@a:1,b:2/db?replicaSet=rs0", "a:1,b:2"),
        ("mongodb+srv://maya:not@escaped/s@host?w=1", "host"),
    ],
)
def test_of_a_connection_string_the_hosts_alone(uri: str, hosts: str) -> None:
    assert hosts_of(uri) == hosts
