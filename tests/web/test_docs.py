"""The guide's commands do what it says."""

import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

GUIDE = Path(__file__).parents[2] / "docs" / "guide" / "serve.md"


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("curl"), reason="needs curl")
def test_curl_examples_run(tmp_path, picture):
    Image.fromarray(picture(256, 256)).save(tmp_path / "picture.png")
    (block,) = re.findall(r"^```curl\n(.*?)^```", GUIDE.read_text(encoding="utf-8"), re.M | re.S)
    serve = [sys.executable, "-m", "recon_detect", "serve", "--port", "0", "--method", "grid"]
    with subprocess.Popen(serve, stderr=subprocess.PIPE, text=True) as process:
        try:
            address = re.search(r"http://\S+(?=/)", process.stderr.readline())[0]
            outputs = []
            for line in block.splitlines():
                command = shlex.split(line.replace("http://127.0.0.1:8000", address))
                outputs.append(subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout)
        finally:
            process.terminate()
    scored, explained, lines = json.loads(outputs[0]), json.loads(outputs[1]), outputs[2].splitlines()
    assert scored["results"][0]["path"] == explained["result"]["path"] == "picture.png"
    assert scored["results"][0]["score"] == explained["result"]["score"] and explained["maps"]
    assert json.loads(lines[-1])["status"] == 200


def test_the_guide_names_all_routes_errors_and_options():
    from typer.main import get_command

    from recon_detect.cli.app import app

    text = GUIDE.read_text(encoding="utf-8")
    options = {name for parameter in get_command(app).commands["serve"].params for name in parameter.opts}
    assert set(re.findall(r"`(--[a-z-]+)", text)) <= options
    assert {"--host", "--allow-name", "--max-bytes", "--max-pixels", "--queue", "--timeout", "--effort"} <= set(
        re.findall(r"`(--[a-z-]+)", text)
    )
