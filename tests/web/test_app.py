"""The routes, through the test client of the framework."""

import json
import os
import tempfile
import threading

import pytest
from fastapi.testclient import TestClient

from recon_detect import load_detector
from recon_detect.answers import without_type
from recon_detect.web.app import Limits, make_app
from recon_detect.web.body import MOST_PICTURES

HERE = "http://localhost"


@pytest.fixture(scope="module")
def client(detector):
    with TestClient(make_app(detector, Limits(max_bytes=1_000_000)), base_url=HERE) as client:
        yield client


def form(*pictures, field="picture"):
    return [(field, (f"{number}.png", data)) for number, data in enumerate(pictures)]


def test_a_body_and_a_form_give_the_score_of_the_detector(client, detector, png):
    data = png(1, 256)
    expected = detector.score(data).scores[0]
    raw = client.post("/v1/score?name=a.png", content=data, headers={"Content-Type": "image/png"})
    assert raw.status_code == 200
    (result,) = raw.json()["results"]
    assert result["score"] == expected and result["path"] == "a.png" and result["run"] == detector.run_info.fingerprint
    assert result["answer"]["kind"] in ("found", "nothing", "undecided") and result["answer"]["headline"]
    results = client.post("/v1/score", files=form(data, png(2, 256))).json()["results"]
    assert [result["path"] for result in results] == ["0.png", "1.png"] and results[0]["score"] == expected


def test_a_broken_picture_is_a_row_with_an_error_and_alone_422_with_its_words(client, detector, png):
    expected = detector.score(b"not an image").rows[0].error
    results = client.post("/v1/score", files=form(png(), b"not an image")).json()["results"]
    assert results[0]["error"] is None and results[1]["error"] == expected
    assert results[1]["answer"]["kind"] == "error"
    for route in ("/v1/score", "/v1/explain"):
        alone = client.post(f"{route}?name=b.png", content=b"not an image")
        assert alone.status_code == 422 and alone.json() == {"detail": f"b.png: {without_type(expected)}"}


def test_pixels_are_limited(client, png):
    answer = client.post("/v1/score", content=png(0, 600))
    assert answer.status_code == 422 and "limit 250,000" in answer.json()["detail"]


def test_explain_has_map_and_settings(client, png):
    answer = client.post("/v1/explain", files=form(png(1, 256))).json()
    assert answer["maps"][0]["image"].startswith("data:image/png;base64,") and answer["maps"][0]["scale"] > 0
    assert answer["html"] is None
    page = client.post("/v1/explain?html=true&name=%3Cimg src=x%3E", content=png(1, 256)).json()["html"]
    assert page.startswith("<!doctype html>") and "&lt;img src=x" in page and "<img src=x" not in page
    assert answer["run"]["run"] == answer["result"]["run"] and answer["run"]["versions"]["torch"]
    assert any("Absence proves nothing" in sentence for sentence in answer["claims"])
    assert "expected one picture; got 2" in client.post("/v1/explain", files=form(png(), png())).json()["detail"]


def test_lines_say_what_goes_on(client, png):
    headers = {"Accept": "application/x-ndjson"}
    lines = [json.loads(line) for line in client.post("/v1/score", content=png(), headers=headers).text.splitlines()]
    assert lines[0]["state"] in ("queued", "scoring")
    assert lines[-1]["state"] == "done" and lines[-1]["status"] == 200 and lines[-1]["results"][0]["error"] is None
    last = json.loads(client.post("/v1/explain", content=b"broken", headers=headers).text.splitlines()[-1])
    assert last["status"] == 422 and last["detail"].startswith("picture: not an image")


@pytest.mark.parametrize("declared", [True, False])
@pytest.mark.parametrize("kind", ["application/octet-stream", "multipart/form-data; boundary=b"])
def test_bytes_are_limited_while_they_come(client, declared, kind):
    sent = []

    def endless():
        yield b'--b\r\nContent-Disposition: form-data; name="p"; filename="p"\r\n\r\n' if "multipart" in kind else b"x"
        for _ in range(200):
            sent.append(1)
            yield bytes(10_000)

    headers = {"Content-Type": kind} | ({"Content-Length": "2000000"} if declared else {})
    answer = client.post("/v1/score", content=endless(), headers=headers)
    assert answer.status_code == 413 and "1,000,000 bytes" in answer.json()["detail"]


def test_requests_that_cannot_be_right(client, png):
    def post(**options):
        answer = client.post("/v1/score", **options)
        return answer.status_code, answer.json()["detail"]

    assert post(content=b"")[0] == 422
    assert post(content=b"{}", headers={"Content-Type": "application/json"})[0] == 415
    assert post(content=b"x", headers={"Content-Type": "multipart/form-data"})[0] == 400
    assert post(content=b"x", headers={"Content-Type": "multipart/form-data; boundary=b"})[0] in (400, 422)
    assert post(data={"picture": "text"}, files={})[0] == 422
    assert post(files=form(*[png()] * (MOST_PICTURES + 1)))[0] == 400
    status, detail = post(content=png(), params={"mode": "sure"})
    assert status == 422 and "best-guess" in detail
    assert client.get("/v1/score").status_code == 405
    assert client.get("/nothing/../etc/passwd").json() == {"detail": "Not Found"}


def test_names_of_files_reach_no_file(client, tmp_path):
    secret = tmp_path / "secret.png"
    secret.write_bytes(b"secret")
    for name in (str(secret), "../../etc/passwd", "file:///etc/passwd", "C:\\x", "a\x1b]0;x", "<img src=x>", "\udcff"):
        answer = client.post("/v1/score", params={"name": name.encode(errors="replace")}, content=b"not an image")
        assert answer.status_code == 422 and "first bytes: 6e 6f 74" in answer.json()["detail"]


def test_nothing_is_written_to_the_disk(detector, png, monkeypatch):
    def refuse(*arguments, **options):
        raise AssertionError("a temporary file")

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    monkeypatch.setattr(tempfile, "NamedTemporaryFile", refuse)
    monkeypatch.setattr(os, "mkdir", refuse)
    with TestClient(make_app(detector), base_url=HERE) as client:
        large = png() + bytes(3_000_000)
        answer = client.post("/v1/score", files=form(large))
    assert answer.status_code == 200 and answer.json()["results"][0]["file_bytes"] == len(large)


def test_other_sites_are_refused(client, png):
    def status(**headers):
        return client.post("/v1/score", content=png(), headers=headers).status_code

    assert status(Origin=HERE) == status(Host="127.0.0.1:80") == status(Host="[::1]:80") == 200
    assert status(Origin="http://evil.example") == status(Origin="null") == 403
    assert status(Origin="http://localhost:81") == 403
    for host in ("evil.example", "evil.example:80", "localhost.evil.example", "a@localhost", "[::1", "localhost/x", ""):
        assert status(Host=host) == 400, host
    named = TestClient(make_app(client.app.state.detector, names=["pictures.example"]), base_url=HERE)
    assert named.get("/health", headers={"Host": "Pictures.example:8000"}).status_code == 200


def test_every_answer_has_the_headers_that_bind_a_page(client):
    for path in ("/", "/app.js", "/health", "/nothing"):
        headers = client.get(path).headers
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert "unsafe" not in headers["Content-Security-Policy"]
        assert headers["X-Content-Type-Options"] == "nosniff" and headers["Referrer-Policy"] == "no-referrer"


def test_the_page_names_no_other_host_and_its_files_are_there(client):
    page = client.get("/")
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "<script>" not in page.text and "style=" not in page.text and " onclick" not in page.text
    for name in ("app.js", "style.css", "page.css", "icon.svg", "openapi.json"):
        answer = client.get(f"/{name}")
        assert answer.status_code == 200 and name in page.text
        assert "//" not in answer.text.replace("http://www.w3.org/2000/svg", "").replace("// ", "")


def test_health_and_metrics(client, png):
    client.post("/v1/score", content=png())
    client.get("/some/path")
    state = client.get("/health").json()
    assert state["status"] == "ok" and state["queue"] == 32 and state["max_pixels"] == 250_000
    assert state["waiting"] == state["running"] == 0
    text = client.get("/metrics").text
    assert 'recon_detect_requests_total{method="POST",route="/v1/score",status="200"}' in text
    assert 'route="none",status="404"' in text and "/some/path" not in text
    assert "recon_detect_queue_length 0.0" in text and 'recon_detect_pictures_total{kind="' in text


def test_a_full_line_and_late_answers(method_file, png):
    gate = threading.Event()
    detector = load_detector(f"{method_file}:METHOD")
    stream = detector.stream
    detector.stream = lambda images: (gate.wait(30), stream(images))[1]
    statuses = []
    with TestClient(make_app(detector, Limits(queue=1, timeout=2)), base_url=HERE) as client:

        def post():
            statuses.append(client.post("/v1/score", content=png()).status_code)

        threads = [threading.Thread(target=post) for _ in range(6)]
        for thread in threads:
            thread.start()
            while thread is threads[0] and not client.get("/health").json()["running"]:
                pass
        for thread in threads:
            thread.join()
        refused = statuses.count(429)
        assert refused == 4 and statuses.count(504) == 2
        gate.set()


def test_faults_are_500_and_say_nothing_of_the_inside(method_file, png):
    detector = load_detector(f"{method_file}:METHOD")
    detector.stream = lambda images: 1 / 0
    with TestClient(make_app(detector), base_url=HERE, raise_server_exceptions=False) as client:
        answer = client.post("/v1/score", content=png())
        lines = client.post("/v1/score", content=png(), headers={"Accept": "application/x-ndjson"}).text.splitlines()
    assert answer.status_code == 500 and "division" not in answer.text
    assert json.loads(lines[-1])["status"] == 500 and "division" not in lines[-1]


def test_openapi_describes_bodies_and_errors(client):
    description = client.get("/openapi.json").json()
    for path in ("/v1/score", "/v1/explain"):
        operation = description["paths"][path]["post"]
        assert {"multipart/form-data", "image/*"} <= set(operation["requestBody"]["content"])
        for status in ("400", "403", "413", "415", "422", "429", "504"):
            schema = operation["responses"][status]["content"]["application/json"]["schema"]
            assert schema == {"$ref": "#/components/schemas/Problem"}
    assert set(description["paths"]) == {"/v1/score", "/v1/explain", "/health", "/metrics"}
