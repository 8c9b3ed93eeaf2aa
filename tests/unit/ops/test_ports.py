"""Ports for programs that run side by side: what is free, never one that the system may give away meanwhile."""

import socket

import pytest

from ops.stacks import ports
from ops.stacks.ports import HOST, Ports


def test_a_port_is_the_same_whenever_it_is_asked_for_and_the_fixed_one_where_it_is_fixed() -> None:
    given = Ports({"broker": 9092})

    assert given.of("broker") == 9092
    assert given.of("database") == given.of("database") != 9092


def test_a_row_is_ports_that_follow_each_other_and_the_same_whenever_it_is_asked_for() -> None:
    given = Ports({})

    row = given.row("progress", 3)

    assert list(row) == list(range(row[0], row[0] + 3))
    assert given.row("progress", 3) == row


def test_nobody_is_given_a_port_of_anothers_row_nor_one_that_somebody_listens_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = Ports({}).row("found", 6)[0]
    monkeypatch.setattr(ports, "_RANGE", range(first, first + 6))
    given = Ports({})
    with socket.create_server((HOST, first + 2)):
        assert list(given.row("progress", 3)) == [first + 3, first + 4, first + 5]
        assert {given.of("broker"), given.of("database")} == {first, first + 1}
        with pytest.raises(OSError, match=f"no 1 ports from {first} to {first + 5}"):
            given.of("mail")


def test_no_port_is_one_that_the_system_gives_to_outgoing_connections() -> None:
    assert ports._RANGE[0] > 1024
    assert ports._RANGE[-1] < 32_768


def test_whoever_has_ports_of_his_own_is_given_no_other() -> None:
    given = Ports({"broker": 9092}, among=range(12_000, 12_050))

    assert given.of("database") in range(12_000, 12_050)
    assert set(given.row("progress", 3)) <= set(range(12_000, 12_050))
    assert given.of("broker") == 9092
