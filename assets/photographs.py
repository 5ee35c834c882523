r"""The photographs that the shipped null distributions come from: crops of openly licensed pictures of Debian packages.

    apt-get download mate-backgrounds lomiri-wallpapers-16.04 lomiri-wallpapers-20.04 plasma-workspace-wallpapers \
        lxqt-themes forensics-samples-files
    for p in *.deb; do dpkg-deb -x $p ${p%%_*}; done
    python -m assets.photographs --packages . --output photographs/

Chosen by eye: photographs only, none that is in a benchmark's data set. Each is reduced to a longer side of 1024, 1280
or 1600 px and cropped at random on the 32-px grid; or with `--whole`, reduced and not cropped.
"""

from __future__ import annotations

import argparse
import hashlib
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.common.data import write_manifest

CROP = 512
SIDES = (1024, 1280, 1600)
_KDE = "usr/share/wallpapers/{}/contents/images/2560x1440.jpg"
_FORENSICS = "usr/share/forensics-samples/original-files/pic{}"

# By package, in the order in which the random crops are drawn.
PHOTOGRAPHS: dict[str, list[str]] = {
    "mate-backgrounds": [
        f"usr/share/backgrounds/mate/nature/{name}.jpg"
        for name in ("Aqua", "Blinds", "Dune", "FreshFlower", "Garden", "GreenMeadow", "LadyBird", "RainDrops", "Storm",
                     "TwoWings", "Wood", "YellowFlower")
    ],
    "lomiri-wallpapers-16.04": [
        f"usr/share/backgrounds/{name}.jpg"
        for name in ("Bridge_by_Sander_Klootwijk", "Dragonfly_by_Bolly", "Picture_0B_by_freespace",
                     "Picture_1A_by_freespace", "aitzgorri_by_Aitzol_Berasategi", "greentock_by_Peter_Nerlich",
                     "life_by_Aitzol_Berasategi", "picosdeeuropa_by_Aitzol_Berasategi",
                     "seeding_by_Clements_Engelhardt", "sunset_by_Aitzol_Berasategi")
    ],
    "lomiri-wallpapers-20.04": ["usr/share/backgrounds/Kleiber_by_Lukas_Baubkus.jpg"],
    "plasma-workspace-wallpapers": [
        _KDE.format(name)
        for name in ("EveningGlow", "Grey", "FallenLeaf", "Path", "DarkestHour", "summer_1am", "Kite", "ColdRipple",
                     "BytheWater", "OneStandsOut")
    ],
    "lxqt-themes": [
        "usr/share/lxqt/themes/silver/beam.png",
        *(f"usr/share/lxqt/wallpapers/{name}"
          for name in ("Butterfly-Kenneth-Wimer.jpg", "Valendas.png", "after-the-rain.jpg", "appleflower.png",
                       "butterfly.png", "cloud.png", "drop.png", "flowers.png", "fog.jpg", "this-is-not-windows.jpg")),
    ],
    "forensics-samples-files": [
        *(f"{_FORENSICS.format(1)}/{name}" for name in ("IMG-20191006-WA0002.jpg", "IMG_1054.JPG",
                                                        "IMG_20200827_231612.jpg")),
        *(f"{_FORENSICS.format(2)}/{name}" for name in ("IMG_20191224_234846.jpg", "IMG_20200124_231153.jpg",
                                                        "IMG_20200608_111614.jpg")),
    ],
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--packages", type=Path, required=True, help="folder with one folder a package, unpacked")
    parser.add_argument("--output", type=Path, required=True, help="folder for the crops and their manifest.csv")
    parser.add_argument("--whole", action="store_true", help="whole pictures, not crops")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    Image.MAX_IMAGE_PIXELS = None  # known files
    generator = np.random.default_rng(0)
    rows: list[dict[str, object]] = []
    for package, names in PHOTOGRAPHS.items():
        for name in names:
            image = Image.open(options.packages / package / name).convert("RGB")
            scale = min(int(generator.choice(SIDES)) / max(image.size), 1)
            size = (round(image.width * scale), round(image.height * scale))
            image = image.resize(size, Image.Resampling.LANCZOS) if scale < 1 else image
            if min(image.size) < CROP:
                continue
            # Two are drawn and the first is kept: more of one picture would count it more.
            (left, top), _ = (
                [int(generator.integers(0, (side - CROP) // 32 + 1)) * 32 for side in image.size] for _ in range(2)
            )
            path = options.output / f"{package}-{len(rows):02}.png"
            part = image if options.whole else image.crop((left, top, left + CROP, top + CROP))
            part.save(path)
            sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
            rows.append(
                {"path": path.name, "label": "real", "width": part.width, "height": part.height, "sha256": sha256}
            )
    write_manifest(options.output, rows)
    print(f"{len(rows)} pictures in {options.output}")


if __name__ == "__main__":
    main()
