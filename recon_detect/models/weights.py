"""Location of the weights of a model: a folder, the hub's cache or the hub, in this order."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from recon_detect.errors import HubUnreachable, UnknownName, WeightsCorrupt, WeightsMissing
from recon_detect.models import hub
from recon_detect.models.checkpoints import check_safetensors
from recon_detect.models.registry import MODEL_SETS, MODELS, AutoencoderRow, BackboneRow, HubFile, is_embedded

if TYPE_CHECKING:
    from recon_detect.models.own import EncoderDecoder

log = logging.getLogger("recon_detect")

WEIGHTS_VARIABLE = "RECON_DETECT_WEIGHTS"
SHARED_VARIABLE = "RECON_DETECT_SHARED"

# Weights that are part of the package.
EMBEDDED = Path(__file__).parent / "embedded"

_FILENAMES = (
    "diffusion_pytorch_model.safetensors",
    "diffusion_pytorch_model.fp16.safetensors",
    "model.safetensors",  # what transformers writes
)
# The format of the authors of tiny autoencoders: no configuration, and names of tensors by layer.
RELEASE = ("encoder.safetensors", "decoder.safetensors")
_SUBFOLDERS = ("", "vae", "movq", "vqgan")
# owner/name[:subfolder][@revision]
_HUB_ID = re.compile(r"(?P<repo>[\w.-]+/[\w.-]+)(?::(?P<subfolder>[\w./-]+))?(?:@(?P<revision>[\w./-]+))?")


@dataclass(frozen=True, slots=True)
class Weights:
    """Weights that are on this machine.

    Attributes:
        name: Name of the row, or the folder or hub id as the user wrote it.
        folder: Folder with ``config.json`` and the weights.
        filename: The safetensors file in it; the encoder's where the decoder has a file of its own (`RELEASE`).
        origin: ``"package"``, ``"folder"``, ``"cache"``, ``"hub"`` (fetched just now) or ``"module"``.
        sha256: Of the safetensors file; of two, of the one after the other; of a module, see there.
        repo: Hub repository, where it came from one.
        revision: Commit in that repository.
        module: The network itself, where a user gave one; then there are no files.
    """

    name: str
    folder: Path
    filename: str
    origin: str
    sha256: str
    repo: str | None = None
    revision: str | None = None
    module: EncoderDecoder | None = None

    @property
    def configs(self) -> tuple[Path, ...]:
        """The configuration; none where the tensors alone decide what is computed."""
        return () if self.filename == RELEASE[0] or self.module else (self.folder / "config.json",)


@dataclass(frozen=True, slots=True)
class Lookup:
    """Folders and networks that names of models lead to, for a process that works elsewhere.

    Attributes:
        start: Folder that relative ones begin at.
        folders: `search_folders`, as absolute paths.
        modules: Networks that a user gave, by name.
    """

    start: Path
    folders: tuple[Path, ...]
    modules: Mapping[str, EncoderDecoder] = field(default_factory=dict)


_lookup: ContextVar[Lookup | None] = ContextVar("lookup", default=None)


def current_lookup() -> Lookup:
    """The lookup of this process."""
    return _lookup.get() or Lookup(Path.cwd(), tuple(folder.absolute() for folder in search_folders()))


@contextmanager
def looking_in(lookup: Lookup) -> Iterator[None]:
    """Looks there first, and then where this process looks."""
    token = _lookup.set(lookup)
    try:
        yield
    finally:
        _lookup.reset(token)


@contextmanager
def looking_among(modules: Mapping[str, EncoderDecoder]) -> Iterator[None]:
    """Finds networks that a user gave by their names inside the block."""
    if not modules:
        yield
        return
    with looking_in(replace(current_lookup(), modules=modules)):
        yield


def module_of(model: str) -> EncoderDecoder | None:
    """The network that a user gave under a name; None if there is none."""
    lookup = _lookup.get()
    return lookup.modules.get(model) if lookup else None


def folder_of(model: str) -> Path:
    """The folder that the name of a model means, if it means one."""
    folder = Path(model).expanduser()
    there = lookup.start / folder if (lookup := _lookup.get()) else folder
    return there if there.is_dir() else folder


def search_folders() -> list[Path]:
    """Folders that are looked into first: RECON_DETECT_WEIGHTS, or else ``weights`` in RECON_DETECT_SHARED."""
    if lookup := _lookup.get():
        return [*lookup.folders, *_own_folders()]
    return _own_folders()


def _own_folders() -> list[Path]:
    if listed := os.environ.get(WEIGHTS_VARIABLE):
        return [Path(part).expanduser() for part in listed.split(os.pathsep) if part]
    return [Path(os.environ.get(SHARED_VARIABLE, "../shared")) / "weights"]


def find_weights(model: str, *, fetch: bool = True) -> Weights:
    """Finds the weights of a model by row name, folder or hub id (``owner/name[:subfolder][@revision]``).

    Args:
        model: The model.
        fetch: Ask the hub for files that are not on this machine.

    Raises:
        UnknownName: Neither a row, nor a folder, nor of the form of a hub id.
        WeightsMissing: Neither on this machine nor on the hub; names the places that were searched and what to do.
        WeightsCorrupt: A file that does not have the checksum of its row, or is no safetensors file.
    """
    if model in MODELS:
        return _find_row(MODELS[model], fetch)
    if module := module_of(model):
        return Weights(model, Path(), "", "module", module.sha256, module=module)
    if (folder := folder_of(model)).is_dir():
        return _in_folder(model, folder)
    if match := _hub_id(model):
        return _find_hub_id(model, match, fetch)
    raise _unknown_model(model)


def check_name(model: str) -> None:
    """Checks that a model is a row, a folder or has the form of a hub id, before anything is loaded.

    Raises:
        UnknownName: It is none of these.
    """
    if not (model in MODELS or module_of(model) or folder_of(model).is_dir() or _hub_id(model)):
        raise _unknown_model(model)


def _unknown_model(model: str) -> UnknownName:
    """The error of a name that is no model."""
    return UnknownName("model", model, [*MODELS, *MODEL_SETS, "a folder", "a hub id owner/name"])


def find_component(model: str, component: str, filenames: tuple[str, ...]) -> Path:
    """The folder of one part of a diffusers pipeline, such as its ``unet``, fetched where it is not on this machine.

    Args:
        model: Name of a row whose autoencoder comes from a pipeline, folder of a pipeline, or hub id.
        component: Folder in the pipeline.
        filenames: The files that are needed of it.

    Raises:
        WeightsMissing: No such pipeline, or a file is missing in it.
        UnknownName: Neither a row, nor a folder, nor of the form of a hub id.
    """
    if (folder := folder_of(model)).is_dir() and model not in MODELS:
        if missing := [name for name in filenames if not (folder / component / name).is_file()]:
            raise WeightsMissing(f"{folder}: expected {component}/{missing[0]}, as in a pipeline of diffusers")
        return folder / component
    if model in MODELS:
        files = [file for file in MODELS[model].files if file.subfolder == "vae"]
    elif match := _hub_id(model):
        files = [HubFile(match["repo"], match["revision"])]
    else:
        raise UnknownName("model", model, [*MODELS, "a folder", "a hub id owner/name"])
    if not files:
        raise WeightsMissing(f"{model}: an autoencoder without a diffusion model; use one of a whole pipeline")
    part = HubFile(files[0].repo, files[0].revision, subfolder=component)
    paths = [hub.in_cache(part, name) or hub.download(part, name)[0] for name in filenames]
    return paths[0].parent


def _hub_id(model: str) -> re.Match[str] | None:
    """The parts of a hub id; None of a text that is none, such as a folder that does not exist."""
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils._validators import validate_repo_id

    if match := _HUB_ID.fullmatch(model):
        try:
            validate_repo_id(match["repo"])
        except HFValidationError:
            return None
    return match


def _find_row(row: AutoencoderRow | BackboneRow, fetch: bool) -> Weights:
    accepted = frozenset(filter(None, (*(file.sha256 for file in row.files), *row.local_sha256)))
    # Weights of the package are nowhere else.
    folders = [EMBEDDED] if is_embedded(row) else search_folders()
    for root in folders:
        if any((root / row.name / name).is_file() for name in ("config.json", RELEASE[0])):
            weights = _in_folder(row.name, root / row.name)
            if is_embedded(row):
                weights = replace(weights, origin="package")
            if accepted and weights.sha256 not in accepted:
                raise WeightsCorrupt(
                    f"{weights.folder / weights.filename}: sha256 {weights.sha256} is none of the known files of "
                    f"{row.name!r}. To use weights of your own, pass the folder itself: models=['{weights.folder}']"
                )
            return weights
    if is_embedded(row):
        raise WeightsMissing(f"{EMBEDDED}: no folder {row.name}, which comes with the package: install it again")
    for file in row.files:
        if cached := _in_cache(row.name, file, accepted):
            return cached
    problems = [f"{root}: no folder {row.name}" for root in folders]
    if not row.files:
        reasons = "\n  ".join(problems)
        raise WeightsMissing(
            f"no weights for {row.name!r}, and no copy on the hub is known:\n  {reasons}\nSave the tensors of "
            f"{row.published} as {' and '.join(RELEASE)} in a folder, and pass the folder: models=['FOLDER']"
        )
    return _fetch_first(row.name, row.files, accepted if fetch else None, problems)


def _find_hub_id(model: str, match: re.Match[str], fetch: bool) -> Weights:
    subfolders = (match["subfolder"],) if match["subfolder"] else _SUBFOLDERS
    files = (
        *(HubFile(match["repo"], match["revision"], subfolder=sub) for sub in subfolders),
        HubFile(match["repo"], match["revision"], subfolder=match["subfolder"] or "", filename="model.safetensors"),
    )
    for file in files:
        if cached := _in_cache(model, file, frozenset()):
            return cached
    return _fetch_first(model, files, frozenset() if fetch else None, [])


def _in_folder(name: str, folder: Path) -> Weights:
    """A diffusers folder, or a pipeline's folder with the autoencoder in a subfolder."""
    for subfolder in _SUBFOLDERS:
        for filename in _FILENAMES:
            path = folder / subfolder / filename
            if path.is_file() and (path.parent / "config.json").is_file():
                check_safetensors(path)
                return Weights(name, path.parent, filename, "folder", hub.sha256_of(path))
    release = [folder / filename for filename in RELEASE]
    if all(path.is_file() for path in release):
        for path in release:
            check_safetensors(path)
        return Weights(name, folder, RELEASE[0], "folder", hub.sha256_of(*release))
    raise WeightsMissing(
        f"{folder}: expected config.json and one of {', '.join(_FILENAMES)} in it or in {', '.join(_SUBFOLDERS[1:])}; "
        "pickled weights (.bin, .pt) are not read: convert them with safetensors"
    )


def _in_cache(name: str, file: HubFile, accepted: frozenset[str]) -> Weights | None:
    config, path = hub.in_cache(file, "config.json"), hub.in_cache(file, file.filename)
    if not (config and path and config.parent == path.parent):
        return None
    sha256 = hub.sha256_of(path)
    # Without a sum of ours, the cache's own: it names large files by the sum that the hub declared.
    stored_as = path.resolve().name
    named = {stored_as} if hub.SHA256.fullmatch(stored_as) else {sha256}
    if sha256 not in (accepted if accepted and file.sha256 else named):
        log.warning("%s in the hub's cache has sha256 %s, which is not its own: passed over", path, sha256)
        return None
    return Weights(name, path.parent, path.name, "cache", sha256, file.repo, hub.commit_of(path))


def _fetch_first(
    name: str, files: tuple[HubFile, ...], accepted: frozenset[str] | None, problems: list[str]
) -> Weights:
    """Fetches from the first place that has it. `accepted` None means that the hub may not be asked."""
    unreachable = False
    if accepted is not None:
        for file in files:
            try:
                path, commit = hub.download(file, file.filename, accepted if file.sha256 else frozenset())
                hub.download(replace(file, revision=commit), "config.json")
            except HubUnreachable as error:
                problems.append(str(error))
                unreachable = True
                break  # the mirrors are on the same hub
            except WeightsMissing as error:
                problems.append(str(error))
                continue
            if file.revision is None:
                log.warning("%s: no pinned revision of %s is known; took commit %s", name, file.repo, commit)
            return Weights(name, path.parent, path.name, "hub", hub.sha256_of(path), file.repo, commit)
    reasons = "\n  ".join(problems)
    raise (HubUnreachable if unreachable else WeightsMissing)(
        f"no weights for {name!r}:\n  {reasons}\n"
        f"Fetch them where the hub is reachable with 'recon-detect models download {name}', or put config.json and "
        f"{files[0].filename} into a folder {name} and set {WEIGHTS_VARIABLE} to its parent"
    )
