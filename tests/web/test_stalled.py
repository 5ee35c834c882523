"""Clients that send slowly or go away, over real sockets."""

import contextlib
import json
import socket
import threading
import time

import pytest
from fastapi.testclient import TestClient

from recon_detect import load_detector
from recon_detect.web import body
from recon_detect.web.app import Limits, make_app

uvicorn = pytest.importorskip("uvicorn", reason="needs the extra 'web'")

PATIENCE = 1.0


@contextlib.contextmanager
def serving(app):
    """A server in a thread; gives the port."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = uvicorn.Server(uvicorn.Config(app, log_level="error"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            yield listening.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join()


@pytest.fixture
def app(method_file):
    return make_app(load_detector(f"{method_file}:METHOD"), Limits(queue=1, timeout=60, patience=PATIENCE))


def opened(port, declared):
    """A connection that has sent the head of a request, and a byte of its body."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=30)
    head = (
        f"POST /v1/score HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\nContent-Length: {declared}\r\n\r\n"
    )
    connection.sendall(f"{head}x".encode())
    return connection


def answer_of(connection):
    """Status and detail of the answer, which ends the connection."""
    with connection, connection.makefile("rb") as file:
        head, _, content = file.read().partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(content)["detail"]


def test_a_body_that_stops_gets_408_and_its_place_is_free_again(app, png):
    data = png()
    with serving(app) as port:
        status, detail = answer_of(opened(port, 1000))
        assert (status, detail[:14]) == (408, "1 bytes came i") and "pause of 1 s" in detail
        assert app.state.line.waiting == 0
        with opened(port, 1 + len(data)) as connection:
            connection.sendall(data)
            assert connection.recv(100).split()[1] == b"422"  # the byte before is of no PNG


def test_a_body_that_drips_gets_408_though_it_never_pauses(app):
    with serving(app) as port, opened(port, 10_000) as connection:
        connection.settimeout(PATIENCE / 10)
        answer, sent = b"", 1
        while not answer and sent < 1000:
            with contextlib.suppress(TimeoutError):
                answer = connection.recv(100)
                break
            connection.sendall(b"x")
            sent += 1
        assert b" 408 " in answer and sent > 1


def test_a_body_that_is_slow_but_steady_is_read(app, png, monkeypatch):
    monkeypatch.setattr(body, "_LEAST_RATE", 1)
    data = png()
    with serving(app) as port, opened(port, 1 + len(data)) as connection:
        for place in range(12):
            time.sleep(PATIENCE / 10)
            connection.sendall(data[place : place + 1] if place < 11 else data[place:])
        assert connection.recv(100).split()[1] == b"422"


def test_work_that_nobody_waits_for_is_in_health_and_metrics(method_file, png):
    gate, detector = threading.Event(), load_detector(f"{method_file}:METHOD")
    stream = detector.stream
    detector.stream = lambda images: (gate.wait(60), stream(images))[1]
    with TestClient(make_app(detector, Limits(timeout=0.5)), base_url="http://localhost") as client:
        assert client.post("/v1/score", content=png()).status_code == 504
        health = client.get("/health").json()
        assert (health["abandoned"], health["running"]) == (1, 0)
        assert "recon_detect_abandoned 1.0" in client.get("/metrics").text
        gate.set()
        while client.get("/health").json()["abandoned"]:
            time.sleep(0.01)
        assert "recon_detect_abandoned 0.0" in client.get("/metrics").text
