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


def test_a_service_that_does_not_listen_is_not_ready(port: int) -> None:
    nobody = ready.ask("127.0.0.1", 1)

    assert nobody is not None
    assert nobody.startswith("nothing answers at 127.0.0.1:1")
