"""For `make mutants`: log lines of failures with plain tracebacks, because coloured ones cost more than the tests.

A module that mutmut has changed holds every change there is, some of them thousands of lines, and Rich reads all of it
for each traceback it draws: a change that makes a handler raise would run into the time-out before a test can fail.
"""

import structlog
from structlog.dev import ConsoleRenderer, plain_traceback

for _processor in structlog.get_config()["processors"]:
    if isinstance(_processor, ConsoleRenderer):
        _processor.exception_formatter = plain_traceback
