"""Images of one kind of answer: which are shown, and whose files are copied or linked into a folder."""

from __future__ import annotations

import errno
import logging
import os
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from recon_detect.errors import UnknownName, UsageError
from recon_detect.names import short_stem

log = logging.getLogger("recon_detect")

# Of no picture format; what is longer is part of the name.
_LONGEST_SUFFIX = 16
# Nothing more can be written after these.
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO)
# Kinds of answers (`answers.KINDS`) by the words of --only.
ONLY = {"generated": "found", "nothing": "nothing", "undecided": "undecided", "failed": "error"}


@dataclass(frozen=True, slots=True)
class Hits:
    """Images of one kind of answer.

    Attributes:
        only: Word of `ONLY` for the images that are shown; None shows all.
        copy_to: Folder for copies of the files of those images, of generated ones where all are shown.
        link_to: Folder for symbolic links to the same.

    Raises:
        UnknownName: Another word.
    """

    only: str | None = None
    copy_to: Path | None = None
    link_to: Path | None = None

    def __post_init__(self) -> None:
        if self.only not in (None, *ONLY):
            raise UnknownName("answer of --only", str(self.only), ONLY)

    def check(self, paths: Iterable[str]) -> None:
        """Makes the folders; `paths` are those of the images.

        Raises:
            UsageError: One cannot be made or written, or is among the images.
        """
        from recon_detect.output.checks import check_apart, check_folder

        for folder in (self.copy_to, self.link_to):
            check_apart(paths, folder)
            check_folder(folder)

    def check_complete(self, output: Path) -> None:
        """Checks that nothing is asked for of results that are complete: their images are not looked at again.

        Raises:
            UsageError: Something is.
        """
        if self.only or self.copy_to or self.link_to:
            raise UsageError(
                f"{output}: complete, and --only, --copy-to and --link-to belong to the run that scores; score again "
                "with --overwrite, or leave them out"
            )

    def shows(self, kind: str) -> bool:
        """True for images with a kind of answer that are shown."""
        return self.only is None or ONLY[self.only] == kind

    def take(self, path: str, kind: str) -> None:
        """Copies and links the file of an image, if its answer is of the kind. Images inside of archives are left.

        The name is that of the file and a hash of its path, so that files of one name from two folders are kept apart.
        What cannot be copied is reported.

        Raises:
            OSError: The disk is full or cannot be written any more.
        """
        # Path raises on names that are too long or have a null character.
        if kind != ONLY[self.only or "generated"] or not os.path.isfile(path):  # noqa: PTH113
            return
        file = Path(path)
        stem, suffix = (file.stem, file.suffix) if len(file.suffix) <= _LONGEST_SUFFIX else (file.name, "")
        name = f"{short_stem(stem, path)}{suffix}"
        for folder, make in ((self.copy_to, shutil.copyfile), (self.link_to, _link)):
            if folder:
                _place(file, folder / name, make)


def _place(file: Path, place: Path, make: Callable[[Path, Path], object]) -> None:
    from recon_detect.atomic import replacing

    try:
        with replacing(place) as temporary:
            make(file, temporary)
    except OSError as error:
        if error.errno in _FULL:
            raise OSError(error.errno, error.strerror, str(place.parent)) from error
        log.warning("%s: not copied to %s (%s)", file, place, error.strerror or error)


def _link(file: Path, place: Path) -> None:
    place.symlink_to(file.resolve())
