"""Progress: a learner's command becomes one record, one event, one reply."""
