"""Limits of control groups, as files that a container would show."""

import resource
import subprocess
import sys

import pytest

from recon_detect.engine import available
from recon_detect.engine.available import available_memory


@pytest.fixture
def groups(tmp_path, monkeypatch):
    """Writes the files of control groups; returns what is then available."""
    machine = type("Memory", (), {"available": 8_000})
    monkeypatch.setattr("psutil.virtual_memory", lambda: machine)
    monkeypatch.setattr(available, "_GROUPS", tmp_path)
    monkeypatch.setattr(available, "_MEMBERSHIP", tmp_path / "membership")
    monkeypatch.setattr(available, "_left_of_addresses", lambda: iter(()))

    def write(membership, **files):
        (tmp_path / "membership").write_text(membership)
        for name, content in files.items():
            path = tmp_path / name.replace("__", "/").replace("_dot_", ".")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        return available_memory()

    return write


def test_without_groups_the_machine_decides(groups):
    assert groups("0::/\n") == 8_000


def test_version_two_takes_the_smallest_of_all_groups_and_counts_pages_of_files_as_free(groups):
    files = {
        "a__memory_dot_max": "5000",
        "a__memory_dot_current": "4000",
        "a__b__memory_dot_max": "max",
        "a__b__memory_dot_current": "3000",
        "a__memory_dot_stat": "anon 3000\ninactive_file 700\n",
    }
    assert groups("0::/a/b\n", **files) == 1_700


def test_in_a_container_the_root_is_the_group(groups):
    files = {"memory_dot_max": "900", "memory_dot_current": "650"}
    assert groups("0::/host/path/of/the/container\n", **files) == 250


def test_version_one(groups):
    files = {
        "memory__a__memory_dot_limit_in_bytes": "3000",
        "memory__a__memory_dot_usage_in_bytes": "1000",
        "memory__memory_dot_limit_in_bytes": "9223372036854771712",
        "memory__memory_dot_usage_in_bytes": "5000",
    }
    assert groups("4:memory:/a\n1:cpu:/\n", **files) == 2_000


def test_more_taken_than_allowed_is_nothing_left(groups):
    assert groups("0::/\n", memory_dot_max="900", memory_dot_current="1000") == 0


@pytest.mark.skipif(sys.platform != "linux", reason="limits of address space")
def test_limits_of_address_space_count():
    code = (
        "import resource; resource.setrlimit(resource.RLIMIT_AS, (3 * 10**9, 3 * 10**9))\n"
        "from importlib.util import spec_from_file_location, module_from_spec\n"
        f"spec = spec_from_file_location('available', {available.__file__!r})\n"
        "module = module_from_spec(spec); spec.loader.exec_module(module)\n"
        "print(module.available_memory())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert 0 < int(done.stdout) < 3 * 10**9
    assert resource.getrlimit(resource.RLIMIT_AS)  # of this process: unchanged
