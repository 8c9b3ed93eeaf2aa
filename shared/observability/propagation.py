"""How long a fact takes to arrive: the buckets every stage is measured with."""

#: Seconds from the command's record time; fine where screens live, coarse where backlogs do.
PROPAGATION_BUCKETS = (0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.2, 0.3, 0.5, 1, 2, 5, 10, 30, 60, 300, 1800, 7200)
