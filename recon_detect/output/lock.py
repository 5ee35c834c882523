"""A lock on an output: of two processes that write the same file, the second one is refused."""

from __future__ import annotations

import errno
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Self

from recon_detect.errors import OutputLocked

if sys.platform == "win32":
    import msvcrt

    def _take(descriptor: int) -> None:
        os.lseek(descriptor, _FAR, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _take(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


# Windows keeps others from reading what is locked: a byte behind the process id that they are shown.
_FAR = 1 << 20
# What systems say of a lock that another process has.
_TAKEN = (errno.EWOULDBLOCK, errno.EACCES, errno.EDEADLK)


class Lock:
    """A lock of the operating system on ``.NAME.lock`` beside an output: it ends with its process, also when killed.

    Some network file systems have no locks: there, nothing is refused.

    Raises:
        OutputLocked: On entering: another process writes this output.
    """

    def __init__(self, output: Path) -> None:
        self._output = output
        self._path = output.with_name(f".{output.name}.lock")
        self._descriptor: int | None = None

    def __enter__(self) -> Self:
        while not self._acquire():
            pass
        return self

    def __exit__(self, *_: object) -> None:
        assert self._descriptor is not None
        if sys.platform == "win32":  # which removes no open file
            os.close(self._descriptor)
        with suppress(OSError):
            self._path.unlink(missing_ok=True)
        if sys.platform != "win32":
            os.close(self._descriptor)
        self._descriptor = None

    def _acquire(self) -> bool:
        """True where the lock is on the file that has its name: its last owner may just have removed that."""
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            _take(descriptor)
        except OSError as error:
            owner = os.pread(descriptor, 20, 0).decode(errors="replace") if hasattr(os, "pread") else ""
            if error.errno in _TAKEN:
                os.close(descriptor)
                who = f"process {owner}" if owner.isdigit() else "another process"
                raise OutputLocked(
                    f"{self._output}: {who} is writing it; wait until it has ended, or choose another output"
                ) from None
        try:
            same = os.path.samestat(os.fstat(descriptor), self._path.stat())
        except FileNotFoundError:
            same = False
        if not same:
            os.close(descriptor)
            return False
        os.ftruncate(descriptor, 0)
        os.write(descriptor, str(os.getpid()).encode())
        self._descriptor = descriptor
        return True
