"""Many clients of a real process: answers or refusals, in bounded memory."""

import asyncio
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx2 as httpx
import psutil
import pytest

pytestmark = pytest.mark.slow

CLIENTS, QUEUE = 200, 32


def test_200_clients_get_200_or_429_in_bounded_memory_and_a_signal_ends_the_server(method_file, png):
    command = [sys.executable, "-m", "recon_detect", "serve", "--method", f"{method_file}:METHOD", "--port", "0"]
    with subprocess.Popen([*command, "--queue", str(QUEUE)], stderr=subprocess.PIPE, text=True) as process:
        address = re.search(r"http://\S+/", process.stderr.readline())[0]
        data = png(0, 256) + bytes(1_000_000)  # what follows the picture is ignored

        async def main():
            limits = httpx.Limits(max_connections=None)
            async with httpx.AsyncClient(base_url=address, limits=limits, timeout=120, trust_env=False) as client:
                await client.post("/v1/score", content=data)
                before = memory(process.pid)
                requests = [client.post("/v1/score", content=data) for _ in range(CLIENTS)]
                answers = await asyncio.gather(*requests)
                return answers, before, memory(process.pid), (await client.get("/health")).json()

        answers, before, after, health = asyncio.run(main())
        process.send_signal(signal.SIGTERM)
        start = time.monotonic()
        process.wait(timeout=60)
        print(f"{CLIENTS} clients: {[a.status_code for a in answers].count(200)} answered; {before} to {after} MB")
    assert process.returncode == 0 and time.monotonic() - start < 30
    assert {answer.status_code for answer in answers} == {200, 429}
    assert all(int(answer.headers["Retry-After"]) >= 1 for answer in answers if answer.status_code == 429)
    assert all(answer.json()["results"][0]["error"] is None for answer in answers if answer.status_code == 200)
    # Twice the bytes of those that wait: the chunks of a body, and the body.
    assert after - before < 2 * QUEUE * len(data) / 1e6 + 50
    assert health["waiting"] == health["running"] == 0


def memory(pid):
    """Peak of the resident memory of a process, in MB; where the system does not know it, the present one."""
    try:
        with Path(f"/proc/{pid}/status").open() as file:
            return int(re.search(r"VmHWM:\s+(\d+) kB", file.read())[1]) // 1000
    except OSError:
        return psutil.Process(pid).memory_info().rss // 1_000_000
