"""Kafka on one side, the recalculator's handlers on the other; no rules."""

from services.recalculator.messaging.events import enrollment_events
from services.recalculator.messaging.incoming import ACCEPTS, RecalculatorMessages
from services.recalculator.messaging.judging import verdicts
from services.recalculator.messaging.sweeping import Sweeps

__all__ = ["ACCEPTS", "RecalculatorMessages", "Sweeps", "enrollment_events", "verdicts"]
