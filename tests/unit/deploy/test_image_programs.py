"""The programs of the image: what is taken from the lock, and whom the health check asks."""

import http.server
import importlib.util
import tomllib
from collections.abc import Iterator
from threading import Thread
from types import ModuleType

import pytest

from tests.support.composed import ROOT


def program(name: str) -> ModuleType:
    """One of the image's programs, which lie in no package."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "deploy" / "docker" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


pinned, ready = program("pinned"), program("ready")

LOCK = """\
alpha==1.0 \\
    --hash=sha256:aa
    # via lesson-progress (pyproject.toml)
beta-b==2.0 ; sys_platform != 'win32' \\
    --hash=sha256:bb \\
    --hash=sha256:b2
    # via
    #   alpha
    #   delta
delta==4.0 \\
    --hash=sha256:dd
    # via lesson-progress (pyproject.toml)
gamma==3.0 \\
    --hash=sha256:cc
    # via beta-b
"""


def test_a_package_brings_what_it_needs_with_every_hash_and_nothing_else() -> None:
    lines = "".join(pinned.needed(pinned.read_lock(LOCK), ["Alpha[extra]>=1"]))

    assert [line.split("==")[0] for line in lines.splitlines() if "==" in line] == ["alpha", "beta-b", "gamma"]
    assert [line.strip(" \\") for line in lines.splitlines() if "--hash" in line] == [
        f"--hash=sha256:{digest}" for digest in ("aa", "bb", "b2", "cc")
    ]


def test_a_package_that_the_lock_does_not_know_is_named() -> None:
    with pytest.raises(SystemExit, match=r"not in the lock: epsilon; .*make lock"):
        list(pinned.needed(pinned.read_lock(LOCK), ["epsilon", "alpha"]))


def test_what_the_product_needs_is_in_the_lock_and_what_only_development_needs_stays_out() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lock = pinned.read_lock((ROOT / "requirements.lock").read_text())

    taken = "".join(pinned.needed(lock, project["dependencies"]))

    names = {pinned.canonical(line) for line in taken.splitlines() if "==" in line}
    assert {pinned.canonical(name) for name in project["dependencies"]} <= names
    extras = [*project["optional-dependencies"]["dev"], *project["optional-dependencies"]["embedded"]]
    assert not names & {pinned.canonical(name) for name in extras}


@pytest.mark.parametrize(
    ("command", "service"),
    [
        (b"tini\0--\0python\0-m\0services.progress\0", "progress"),
        (b"python\0-m\0services.recalculator", "recalculator"),
        (b"tini\0--\0lesson-progress\0audit\0", None),
        (b"tini\0--\0python\0-m\0services.progress.app\0", None),
    ],
)
def test_the_service_is_the_one_that_process_1_starts(command: bytes, service: str | None) -> None:
    assert ready.service_of(command) == service


def test_a_service_that_listens_everywhere_is_asked_on_this_machine() -> None:
    there = {"LESSON_PROGRESS_PROGRESS__HTTP__HOST": "0.0.0.0", "LESSON_PROGRESS_PROGRESS__HTTP__PORT": "81"}  # noqa: S104

    assert ready.address_of("progress", there) == ("127.0.0.1", 81)
    assert ready.address_of("progress", {**there, "LESSON_PROGRESS_PROGRESS__HTTP__HOST": "10.0.0.7"}) == (
        "10.0.0.7",
        81,
    )


class Answering(http.server.BaseHTTPRequestHandler):
    status, body = 200, b'{"status": "ok"}'

    def do_GET(self) -> None:
        self.send_response(self.status if self.path == "/health/ready" else 404)
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.mark.parametrize(
    ("command", "nothing"),
    [
        (b"tini\0--\0lesson-progress\0audit\0", True),
        (b"lesson-progress\0--help\0", True),
        (b"/opt/lesson-progress/bin/python\0/opt/lesson-progress/bin/lesson-progress\0audit\0", True),
        (b"/sbin/docker-init\0--\0tini\0--\0lesson-progress\0audit\0", True),
        (b"tini\0--\0python\0-m\0services.progress\0", False),
        (b"tini\0--\0sh\0-c\0lesson-progress topics apply; python -m services.progress\0", False),
        (b"tini\0--\0sh\0run\0lesson-progress\0", False),
        (b"/opt/lesson-progress/bin/python\0-m\0services.all\0", False),
        (b"/pause\0", False),
        (b"", False),
    ],
)
def test_the_operators_command_alone_has_nothing_to_ask(command: bytes, *, nothing: bool) -> None:
    assert ready.has_nothing_to_ask(command) is nothing


@pytest.fixture
def port() -> Iterator[int]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    thread.join()
    server.server_close()


def test_ready_is_what_the_service_says_and_nothing_else(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ready.ask("127.0.0.1", port) is None

    monkeypatch.setattr(Answering, "status", 503)
    monkeypatch.setattr(Answering, "body", b'{"status": "not ready"}')
    assert ready.ask("127.0.0.1", port) == '{"status": "not ready"}'


def addresses(**ports: int) -> dict[str, str]:
    return {f"LESSON_PROGRESS_{name.upper()}__HTTP__PORT": str(number) for name, number in ports.items()}


@pytest.mark.parametrize("service", ["progress", "recalculator"])
def test_only_the_service_that_runs_is_asked_and_it_must_answer(port: int, service: str) -> None:
    command = f"tini\0--\0python\0-m\0services.{service}\0".encode()

    problems = ready.problems_of(command, addresses(progress=port, recalculator=1))

    expected = [] if service == "progress" else ["nothing answers at 127.0.0.1:1 (ConnectionRefusedError)"]
    assert problems == expected


def test_where_it_cannot_tell_which_service_runs_it_asks_them_all_and_one_must_answer(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    command, silence = b"tini\0--\0sh\0-c\0python -m services.progress\0", "nothing answers at 127.0.0.1:1"

    assert ready.problems_of(command, addresses(certificates=1, progress=port)) == []
    assert ready.problems_of(command, addresses(certificates=1)) == [f"{silence} (ConnectionRefusedError)"]
    assert ready.problems_of(command, {}) == ["no service has an address here"]
    monkeypatch.setattr(Answering, "status", 503)
    monkeypatch.setattr(Answering, "body", b'{"status": "not ready"}')
    assert ready.problems_of(command, addresses(certificates=1, progress=port)) == ['{"status": "not ready"}']


def test_a_service_that_this_image_does_not_know_must_answer_like_any_other(port: int) -> None:
    assert ready.problems_of(b"python\0-m\0services.other\0", addresses(progress=1))
    assert ready.problems_of(b"python\0-m\0services.other\0", addresses(progress=port)) == []


def test_the_operators_command_is_healthy_although_nothing_listens() -> None:
    assert ready.problems_of(b"tini\0--\0lesson-progress\0audit\0", addresses(progress=1)) == []
