"""Images of one kind of answer: which are shown, and whose files are copied or linked into a folder."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from recon_detect.errors import UnknownName, UsageError
from recon_detect.names import short_stem

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

    def check(self) -> None:
        """Makes the folders.

        Raises:
            UsageError: One cannot be made or written.
        """
        from recon_detect.output.checks import check_folder

        for folder in (self.copy_to, self.link_to):
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
        """
        from recon_detect.atomic import replacing

        file = Path(path)
        if kind != ONLY[self.only or "generated"] or not (self.copy_to or self.link_to) or not file.is_file():
            return
        name = f"{short_stem(file.stem, path)}{file.suffix}"
        if self.copy_to:
            with replacing(self.copy_to / name) as temporary:
                shutil.copyfile(file, temporary)
        if self.link_to:
            with replacing(self.link_to / name) as temporary:
                temporary.symlink_to(file.resolve())
