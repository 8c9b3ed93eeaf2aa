"""Topics as code: from their cards to the broker, and what differs between the two."""

from shared.kafka.provisioning.applying import Applied, CannotApply, apply, create_missing
from shared.kafka.provisioning.differences import Asked, Drift
from shared.kafka.provisioning.reading import drift
from shared.kafka.provisioning.starting import check_topics

__all__ = ["Applied", "Asked", "CannotApply", "Drift", "apply", "check_topics", "create_missing", "drift"]
