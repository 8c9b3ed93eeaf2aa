"""The metrics of the consume loop, the same in every service."""

from prometheus_client import CollectorRegistry, Counter, Gauge


class LoopMetrics:
    """Every metric of the consume loop, on an injected registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.replies_dropped = Counter(
            "lesson_progress_replies_dropped",
            "Replies that were not delivered: topic refused, absent, or no acknowledgement in time.",
            ["reason"],
            registry=registry,
        )
        self.dead_letters = Counter(
            "lesson_progress_dead_letters",
            "Records that could not be handled, by the topic they came from and the class of error.",
            ["topic", "error"],
            registry=registry,
        )
        self.dead_letters_truncated = Counter(
            "lesson_progress_dead_letters_truncated",
            "Dead letters too large even for their topic: key and headers kept, the value named by its digest.",
            registry=registry,
        )
        self.lag_records = Gauge(
            "lesson_progress_consumer_lag_records",
            "Records behind the end of the partition.",
            ["topic", "partition"],
            registry=registry,
        )
        self.lag_seconds = Gauge(
            "lesson_progress_consumer_lag_seconds",
            "How long ago, at most, the oldest record that is still to be handled was written; 0 where there is none.",
            ["topic"],
            registry=registry,
        )
        self.retries = Counter(
            "lesson_progress_retries",
            "Records that wait to be tried again, by class of error.",
            ["error"],
            registry=registry,
        )
        self.breaker_open = Gauge(
            "lesson_progress_breaker_open",
            "1 when the service has stopped because too many records died of unknown causes.",
            registry=registry,
        )
