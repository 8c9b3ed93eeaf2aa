"""What a broker refuses for good: no waiting mends it, and whoever is refused must stop and say so."""

from aiokafka.errors import (
    AuthenticationFailedError,
    AuthenticationMethodNotSupported,
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    IllegalSaslStateError,
    IncompatibleBrokerVersion,
    InvalidGroupIdError,
    InvalidSessionTimeoutError,
    KafkaError,
    ProducerFenced,
    SaslAuthenticationFailed,
    SecurityDisabled,
    TopicAuthorizationFailedError,
    UnrecognizedBrokerVersion,
    UnsupportedSaslMechanismError,
    UnsupportedVersionError,
)

from shared.errors import Fatal

_FOR_GOOD = (
    # authorization
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    TopicAuthorizationFailedError,
    # authentication
    AuthenticationFailedError,
    AuthenticationMethodNotSupported,
    IllegalSaslStateError,
    SaslAuthenticationFailed,
    SecurityDisabled,
    UnsupportedSaslMechanismError,
    # fenced
    ProducerFenced,
    # unsupported
    IncompatibleBrokerVersion,
    InvalidGroupIdError,
    InvalidSessionTimeoutError,
    UnrecognizedBrokerVersion,
    UnsupportedVersionError,
)


def refusal_for_good(failure: KafkaError) -> Fatal | None:
    """The sentence to stop with, or None where the broker may think better of it."""
    if not isinstance(failure, _FOR_GOOD):
        return None
    return Fatal(
        f"the broker refuses this service ({type(failure).__name__}); check its address, version, credentials and the "
        "service's rights on its topics and its group"
    )
