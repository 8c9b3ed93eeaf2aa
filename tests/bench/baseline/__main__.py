"""The yardstick: the same three stages by hand on raw aiokafka and PyMongo, without all that makes a product of them.

The same reads, the same writes, the same events and replies with the same ids and bytes; no framework, no tokens, no
validation, no logs, no metrics, no dead letters, no retries. `python -m tests.bench.baseline STAGE` runs one stage
until SIGTERM, or until its parent is gone.
"""

import argparse
import asyncio

import uvloop

from tests.bench.baseline.certificates import Certificates
from tests.bench.baseline.process import MakeStage, run
from tests.bench.baseline.progress import Progress
from tests.bench.baseline.recalculator import Recalculator
from tests.bench.baseline.settings import from_environment

_STAGES: dict[str, MakeStage] = {"progress": Progress, "recalculator": Recalculator, "certificates": Certificates}


def main() -> None:
    """Run the stage that is named, as the environment's settings say."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.baseline", description=__doc__)
    parser.add_argument("stage", choices=_STAGES)
    make = _STAGES[parser.parse_args().stage]
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run(make, from_environment()))


if __name__ == "__main__":
    main()
