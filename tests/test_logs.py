"""What reaches the log: names from a list, no numbers of persons, no texts of exceptions."""

from __future__ import annotations

import ast
import io
import logging
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
import structlog

import gateway
from gateway.logs import configure

EVENTS = """
    message_accepted message_refused message_repeated receiver_excluded
    delivery_settled delivery_failed delivery_expired worker_waits
    partner_left_alone bus_queue_full bus_queue_missing bus_connection_lost bus_queue_lost delivery_not_packed
    crl_unreadable certificates_unusable handshake_refused document_not_read
    request request_failed foreign_log folder_waits taken_file_differs
""".split()  # noqa: SIM905 (a list of words reads best as words)
"""Every event the gateway logs; free text is never the name of one."""

LEVELS = {"debug", "info", "warning", "error", "critical", "exception"}
SOURCE = Path(gateway.__file__).parent


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """Where the log goes, and everything as it was afterwards."""
    handlers = logging.getLogger().handlers[:]
    configure(stream := io.StringIO())
    yield stream
    structlog.reset_defaults()
    logging.getLogger().handlers[:] = handlers


def lines(stream: io.StringIO) -> list[dict[str, object]]:
    return [orjson.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_is_one_json_object_with_level_and_time(stream: io.StringIO) -> None:
    structlog.get_logger().info("message_accepted", message="m", kind="bekendheidsverzoek")
    (line,) = lines(stream)
    assert line.items() >= {"event": "message_accepted", "level": "info", "message": "m"}.items()
    assert str(line["timestamp"]).endswith("Z")


@pytest.mark.parametrize("value", ["999990342", "bsn 999990342.", 999990342, ["999990342"]])
def test_what_may_be_a_bsn_is_struck_out(stream: io.StringIO, value: object) -> None:
    structlog.get_logger().info("message_accepted", message=value)
    assert "999990342" not in stream.getvalue()


def test_ids_and_oins_stay_readable(stream: io.StringIO) -> None:
    ids = {"message": "0190aaaa-bbbb-7ccc-8ddd-a123456789ef", "partner": "00000099000000001000"}
    structlog.get_logger().info("message_accepted", **ids)
    assert lines(stream)[0].items() >= ids.items()


def test_of_an_exception_only_the_class_is_told(stream: io.StringIO) -> None:
    try:
        raise ValueError("Jan Testpersoon")
    except ValueError as error:
        structlog.get_logger().error("delivery_failed", exc_info=True)
        structlog.get_logger().error("delivery_failed", exc_info=error)
    assert [line["error"] for line in lines(stream)] == ["ValueError"] * 2
    assert "Testpersoon" not in stream.getvalue()


def test_of_a_library_only_name_and_level_are_told(stream: io.StringIO) -> None:
    logging.getLogger("bibliotheek").error("Jan Testpersoon %s", "999990342", stack_info=True)
    logging.getLogger("bibliotheek").info("praatje")
    (line,) = lines(stream)
    assert line.items() >= {"event": "foreign_log", "logger": "bibliotheek"}.items()
    assert "Testpersoon" not in stream.getvalue()


def test_every_event_is_a_constant_from_the_list() -> None:
    used = set()
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
                continue
            owner = node.func.value
            if getattr(owner, "id", "") == "log" and node.func.attr in LEVELS:
                assert isinstance(node.args[0], ast.Constant), f"{path.name}:{node.lineno}"
                used.add(node.args[0].value)
    assert used <= set(EVENTS)
