"""Memory that this process may still take: of the machine, of its control groups, of its address space."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import psutil

_GROUPS = Path("/sys/fs/cgroup")
_MEMBERSHIP = Path("/proc/self/cgroup")


def available_memory() -> int:
    """Bytes that can be taken before the system ends the process. Control groups count, which containers use."""
    machine = int(psutil.virtual_memory().available)
    return max(min([machine, *_left_in_groups(), *_left_of_addresses()]), 0)


def _left_in_groups() -> Iterator[int]:
    """Bytes left in each control group of the process and of those above; nothing where there is no limit."""
    try:
        lines = _MEMBERSHIP.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if not controllers:
            yield from _up(_GROUPS, path, "memory.max", "memory.current")
        elif "memory" in controllers.split(","):
            yield from _up(_GROUPS / "memory", path, "memory.limit_in_bytes", "memory.usage_in_bytes")


def _up(root: Path, path: str, limit_file: str, usage_file: str) -> Iterator[int]:
    folder = root / path.strip("/")
    # In a container the path is that of the host, and the root is the group itself.
    folders = [folder, *folder.parents] if folder.is_dir() else [root]
    for group in folders:
        limit, usage = _number(group / limit_file), _number(group / usage_file)
        if limit is not None and usage is not None:
            yield limit - usage + _reclaimable(group / "memory.stat")
        if group == root:
            return


def _number(file: Path) -> int | None:
    try:
        return int(file.read_text())
    except (OSError, ValueError):  # "max" where there is no limit
        return None


def _reclaimable(file: Path) -> int:
    """Pages of files, which the system takes back before it ends a process."""
    try:
        lines = dict(line.split() for line in file.read_text().splitlines())
        return int(lines.get("total_inactive_file", lines.get("inactive_file", 0)))
    except (OSError, ValueError):
        return 0


def _left_of_addresses() -> Iterator[int]:
    if os.name != "posix":
        return
    import resource

    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit != resource.RLIM_INFINITY:
        yield limit - psutil.Process().memory_info().vms
