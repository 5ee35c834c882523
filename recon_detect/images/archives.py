"""Images inside of archives: ZIP and tar, as WebDataset has it; read where they are, in order, never unpacked."""

from __future__ import annotations

import lzma
import tarfile
import weakref
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, Self

from recon_detect.errors import ImageTooLarge, InputError, UnreadableImage
from recon_detect.images.folders import image_suffixes, is_of_system
from recon_detect.images.heard import printable
from recon_detect.settings import DEFAULTS

if TYPE_CHECKING:
    from recon_detect.settings import Settings

_TAR = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
_ZIP = (".zip",)
# Of the flags of a member of a ZIP archive.
_ENCRYPTED = 1
# What libraries raise on damaged archives; RuntimeError of a password, NotImplementedError of a compression.
_DAMAGED = (
    *(tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, OSError, EOFError, ValueError, LookupError),
    *(RuntimeError, NotImplementedError, OverflowError),
)
# Names of members and what goes with them; tarfile would hold a header of any size in memory.
_LONGEST_HEADER = 1 << 20

# Raised at the end mark; tarfile takes damage for the end as well.
_END: type[Exception] = tarfile.EOFHeaderError  # type: ignore[attr-defined]
# Of a file with holes, whose size is that of the holes too.
_SPARSE = UnreadableImage("a sparse file in a tar archive, which is not read: pack it again without --sparse")

# Opens an archive; called again where a part of it is read by itself.
Opener = Callable[[], IO[bytes]]


@dataclass(frozen=True, slots=True)
class Member:
    """An encoded image inside of an archive, which is read when it is opened.

    Attributes:
        size: Bytes that the archive declares; 0 where it declares none.
        fetch: Reads the bytes, at most so many.
    """

    size: int
    fetch: Callable[[int], bytes] = field(repr=False)

    def read(self, settings: Settings = DEFAULTS) -> bytes:
        """The bytes of the image.

        Raises:
            UnreadableImage: The archive is damaged here, encrypted, or compressed in a way that is not read.
            ImageTooLarge: More bytes than the settings allow, as declared or as they come.
        """
        if self.size <= settings.max_bytes:
            try:
                data = self.fetch(settings.max_bytes + 1)
            except _DAMAGED as error:
                raise UnreadableImage(f"cannot be read from its archive: {_reason(error)}") from error
            if len(data) < min(self.size, settings.max_bytes):
                raise UnreadableImage(f"cut off: the archive has {len(data):,} of its {self.size:,} bytes")
            if len(data) <= settings.max_bytes:
                return data
        size = f"{self.size:,}" if self.size > settings.max_bytes else f"more than {settings.max_bytes:,}"
        raise ImageTooLarge(f"{size} bytes in its archive, limit {settings.max_bytes:,}; raise max_bytes to read it")


# Name inside of an archive, and the image or what is wrong with it.
Listed = tuple[str, Member | InputError]


def open_file(path: Path) -> IO[bytes]:
    """Opens a file of this machine, as an `Opener` does."""
    return path.open("rb")


def is_archive(name: str) -> bool:
    """True for names of archives that `members` reads."""
    return name.lower().endswith((*_TAR, *_ZIP))


def members(name: str, opener: Opener, left_out: Counter[str], *, streamed: bool = False) -> Iterator[Listed]:
    """Images of an archive in its order, by their names inside of it; each name once.

    What is no image by its suffix is left out, as in folders. An archive that is damaged ends with an error under an
    empty name, after the images before the damage.

    Args:
        name: Name of the archive, whose suffix says its kind.
        opener: Opens it.
        left_out: Counts what is left out, by suffix.
        streamed: Read a tar archive in one pass, as from a store where each opening costs. Its images are then held in
            memory from their place on.
    """
    if name.lower().endswith(_ZIP):
        listed, kind = _zip_members(opener), "a ZIP archive"
    elif name.lower().endswith(".tar") and not streamed:
        listed, kind = _tar_members(opener), "a tar archive"
    else:
        listed, kind = _stream_members(opener), "a tar archive"
    suffixes, times = image_suffixes(), Counter[str]()
    try:
        with closing(listed):
            for path, member in listed:
                inside = _inside(path)
                if is_of_system(inside.parts):
                    left_out["hidden"] += 1
                elif inside.suffix.lower() not in suffixes:
                    left_out[inside.suffix.lower() or "without suffix"] += 1
                else:
                    times[text := inside.as_posix()] += 1
                    yield text if times[text] == 1 else f"{text} ({times[text]})", member
    except _DAMAGED as error:
        yield "", UnreadableImage(f"expected {kind}; it is damaged or something else: {_reason(error)}")


def _inside(name: str) -> PurePosixPath:
    """A name inside of an archive without what would lead out of it."""
    return PurePosixPath(*(part for part in PurePosixPath(name).parts if part not in ("/", "//", "..")))


def _zip_members(opener: Opener) -> Generator[Listed, None, None]:
    file = opener()
    try:
        archive = zipfile.ZipFile(file)
    except BaseException:
        file.close()
        raise
    weakref.finalize(archive, file.close)  # open as long as one of its members may be read
    for info in archive.infolist():
        if not info.is_dir():
            yield info.filename, Member(info.file_size, partial(_from_zip, archive, info))


def _from_zip(archive: zipfile.ZipFile, info: zipfile.ZipInfo, limit: int) -> bytes:
    if info.flag_bits & _ENCRYPTED:
        raise RuntimeError("it is encrypted; unpack it with its password")
    with archive.open(info) as file:
        return file.read(limit)


class _Header(tarfile.TarInfo):
    """A header that says no more about its member than fits into memory; nothing but the end mark ends an archive."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        try:
            return super().frombuf(buf, encoding, errors)
        except tarfile.HeaderError as error:
            if isinstance(error, _END):
                raise
            raise tarfile.ReadError(f"{error}, before the end mark of the archive") from error

    def _proc_member(self, archive: tarfile.TarFile) -> tarfile.TarInfo:
        if not self.isreg() and self.size > _LONGEST_HEADER:
            raise tarfile.ReadError(f"a header of {self.size:,} bytes, limit {_LONGEST_HEADER:,}")
        return super()._proc_member(archive)  # type: ignore[misc,no-any-return]


def _headers(archive: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """Files of a tar archive in order, of which none is remembered; links and devices are passed over."""
    while (header := archive.next()) is not None:
        archive.members = []  # type: ignore[attr-defined]
        if header.isreg():
            yield header


def _tar_members(opener: Opener) -> Generator[Listed, None, None]:
    """Members that are read by their place: only headers are read in order."""
    with opener() as file, tarfile.open(fileobj=file, mode="r:", tarinfo=_Header) as archive:
        for header in _headers(archive):
            fetch = partial(_from_place, opener, header.offset_data, header.size)
            yield header.name, _SPARSE if header.issparse() else Member(header.size, fetch)


def _from_place(opener: Opener, offset: int, size: int, limit: int) -> bytes:
    with opener() as file:
        file.seek(offset)
        return file.read(min(size, limit))


def _stream_members(opener: Opener) -> Generator[Listed, None, None]:
    """Members that are read as they come: there is no way back in a compressed stream."""
    with opener() as file, tarfile.open(fileobj=file, mode="r|*", tarinfo=_Header) as archive:
        for header in _headers(archive):
            whole = not header.issparse() and header.size <= DEFAULTS.max_bytes
            content = archive.extractfile(header) if whole else None
            data = content.read() if content else b""
            yield header.name, _SPARSE if header.issparse() else Member(header.size, partial(_first, data))


def _first(data: bytes, limit: int) -> bytes:
    return data[:limit]


def _reason(error: BaseException) -> str:
    return printable(str(error) or type(error).__name__)
