"""Data sets as rows: what they are, where to get them, how they lie on disk.

What is not known from the public documentation of a set is None: no licence, count or checksum is guessed. Numbers of
images are those of the split that is evaluated by default. Nothing is downloaded.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from benchmarks.common.families import SD, SDXL

REAL, GENERATED = "real", "generated"
# Decoders by the names that `benchmarks.common.families` knows; others for what no autoencoder of the registry decodes.
PIXELS, UNKNOWN = "none (pixels)", "unknown"


@dataclass(frozen=True, slots=True)
class Part:
    """Images of one source in a data set.

    Attributes:
        folders: Glob patterns of folders below the root, ``{split}`` filled in; images are searched through below them.
        generator: Their generator; ``"*"`` takes the name of each folder; empty for photographs.
        autoencoder: Its decoder.
        images: Expected number in the default split.
    """

    folders: tuple[str, ...]
    generator: str = ""
    autoencoder: str = ""
    images: int | None = None

    @property
    def label(self) -> str:
        """``real`` or ``generated``."""
        return GENERATED if self.generator else REAL


@dataclass(frozen=True, slots=True)
class Dataset:
    """A data set.

    Attributes:
        name: For the command line.
        title: Title of the set.
        paper: Description.
        licence: Licence of the images as on their page or in the paper; None where neither has one.
        url: Source.
        how: Steps from the download to the expected layout.
        parts: Its parts.
        splits: Names that ``{split}`` may take, the default one first.
        sums: Published checksums of archives by file name, as ``md5:...`` or ``sha256:...``.
        note: Caveats.
    """

    name: str
    title: str
    paper: str
    licence: str | None
    url: str
    how: str
    parts: tuple[Part, ...]
    splits: tuple[str, ...] = ("",)
    sums: Mapping[str, str] = field(default_factory=dict)
    note: str = ""

    @property
    def generators(self) -> tuple[str, ...]:
        """By name; ``*`` where folders name them."""
        return tuple(dict.fromkeys(part.generator for part in self.parts if part.generator))

    def images(self, label: str) -> int | None:
        """Expected number of images of a class; None where it is not known."""
        numbers = [part.images for part in self.parts if part.label == label]
        counted = [number for number in numbers if number is not None]
        return sum(counted) if len(counted) == len(numbers) else None


def _genimage() -> Iterable[Part]:
    for name, archive, decoder, images in (
        ("Midjourney", "imagenet_midjourney", UNKNOWN, 6000),
        ("Stable Diffusion V1.4", "imagenet_ai_0419_sdv4", SD, 6000),
        ("Stable Diffusion V1.5", "imagenet_ai_0424_sdv5", SD, 8000),
        ("ADM", "imagenet_ai_0508_adm", PIXELS, 6000),
        ("GLIDE", "imagenet_glide", PIXELS, 6000),
        ("Wukong", "imagenet_ai_0424_wukong", UNKNOWN, 6000),
        ("VQDM", "imagenet_ai_0419_vqdm", "VQ-VAE (VQDM)", 6000),
        ("BigGAN", "imagenet_ai_0419_biggan", PIXELS, 6000),
    ):
        # Layouts of the paper's page, and of the unpacked archives.
        places = (f"{name}/{{split}}/", f"*/{archive}/{{split}}/", f"{archive}/{{split}}/")
        yield Part(tuple(place + "ai" for place in places), name, decoder, images)
        yield Part(tuple(place + "nature" for place in places), images=images)


def _synthbuster() -> Iterable[Part]:
    for name, decoder in (
        ("dalle2", PIXELS), ("dalle3", UNKNOWN), ("firefly", UNKNOWN), ("glide", PIXELS), ("midjourney-v5", UNKNOWN),
        ("stable-diffusion-1-3", SD), ("stable-diffusion-1-4", SD), ("stable-diffusion-2", SD),
        ("stable-diffusion-xl", SDXL),
    ):  # fmt: skip
        yield Part((name, f"synthbuster/{name}"), name, decoder, 1000)
    yield Part(("RAISE", "raise*", "real*"), images=1000)


def _aeroblade() -> Iterable[Part]:
    for folder, name, decoder in (
        ("CompVis-stable-diffusion-v1-1-ViT-L-14-openai", "Stable Diffusion 1.1", SD),
        ("runwayml-stable-diffusion-v1-5-ViT-L-14-openai", "Stable Diffusion 1.5", SD),
        ("stabilityai-stable-diffusion-2-1-base-ViT-H-14-laion2b_s32b_b79k", "Stable Diffusion 2.1", SD),
        ("kandinsky-community-kandinsky-2-1-ViT-L-14-openai", "Kandinsky 2.1", "MoVQ (Kandinsky 2.1)"),
        ("midjourney-v4", "Midjourney 4", UNKNOWN),
        ("midjourney-v5", "Midjourney 5", UNKNOWN),
        ("midjourney-v5-1", "Midjourney 5.1", UNKNOWN),
    ):
        yield Part((f"data/raw/generated/{folder}", f"raw/generated/{folder}"), name, decoder)
    yield Part(("data/raw/real", "raw/real"))


def _drct() -> Iterable[Part]:
    for name, decoder in (
        ("ldm-text2im-large-256", "kl-f8 (LDM)"),
        *((name, SD) for name in (
            "stable-diffusion-v1-4", "stable-diffusion-v1-5", "stable-diffusion-2-1", "sd-turbo", "lcm-lora-sdv1-5",
            "sd-controlnet-canny", "sd21-controlnet-canny", "stable-diffusion-inpainting",
            "stable-diffusion-2-inpainting")),
        *((name, SDXL) for name in (
            "stable-diffusion-xl-base-1.0", "stable-diffusion-xl-refiner-1.0", "sdxl-turbo", "lcm-lora-sdxl",
            "controlnet-canny-sdxl-1.0", "stable-diffusion-xl-1.0-inpainting-0.1")),
    ):  # fmt: skip
        yield Part((f"{name}/{{split}}", f"DRCT-2M/{name}/{{split}}"), name, decoder, 5000)
    yield Part(("MSCOCO/{split}", "{split}"), images=5000)


_CNNSPOT = ("progan", "stylegan", "stylegan2", "biggan", "cyclegan", "stargan", "gaugan", "crn", "imle", "seeingdark",
            "san", "deepfake", "whichfaceisreal")  # fmt: skip

_ROWS = (
    Dataset(
        "aeroblade", "AEROBLADE: seven latent diffusion models, prompts from LAION", "arXiv:2401.17879",
        None, "https://zenodo.org/doi/10.5281/zenodo.10997234",
        "Unpack; the photographs are URLs in data/raw/real/real_metadata.parquet: fetch them with img2dataset as the "
        "repository's README says (centre crop of 512 px, PNG), and put them into data/raw/real.",
        tuple(_aeroblade()),
        note="Photographs disappear from the web, and came as JPEG before they became PNG: audit before use.",
    ),
    Dataset(
        "genimage", "GenImage: eight generators, classes of ImageNet", "arXiv:2306.08571",
        "CC BY-NC-SA 4.0", "https://github.com/GenImage-Dataset/GenImage",
        "Fetch the split archives from the drive that the repository names, join and unpack them.",
        tuple(_genimage()), ("val", "train"),
        {
            # The last part of each archive; data/checksums.csv of the repository has them all.
            "imagenet_midjourney.zip": "md5:e02e99992e08dd6396ea1114ef89044d",
            "imagenet_ai_0419_sdv4.zip": "md5:531fd92856a9e2857da69c5c9f06fa06",
            "imagenet_ai_0424_sdv5.zip": "md5:922ec20e6a407020c0c8fbe86862b6c4",
            "imagenet_ai_0508_adm.zip": "md5:2cce972c3793ee381b3c93b0efa26513",
            "imagenet_glide.zip": "md5:3479bc2e81af2aacfb3b07e18ad3abad",
            "imagenet_ai_0424_wukong.zip": "md5:f7a6ef7606ccf5dd9433b245bf4107f6",
            "imagenet_ai_0419_vqdm.zip": "md5:373b53891cd7440f0cf0379e6574a466",
            "imagenet_ai_0419_biggan.zip": "md5:03b8a8003ea2be5b9f92b4ee9f18692c",
        },
        note="Photographs are JPEG of many sizes, generated images PNG of one size each: solved by format and by size. "
        "Some files are corrupt (data/corrupted_files of the repository).",
    ),
    Dataset(
        "synthbuster", "Synthbuster: nine generators, prompts from RAISE-1k", "10.1109/OJSP.2023.3337714",
        "CC BY-NC-SA 4.0", "https://zenodo.org/records/10066460",
        "Unpack synthbuster.zip, and put the photographs of RAISE-1k into RAISE beside its folders.",
        tuple(_synthbuster()),
        note="The photographs are a set of their own (raise), TIFF of the cameras' size: match size and format.",
    ),
    Dataset(
        "diffusion-forensics", "DiffusionForensics: LSUN-Bedroom, ImageNet, CelebA-HQ", "arXiv:2303.09295",
        None, "https://github.com/ZhendongWang6/DIRE",
        "Fetch the images from the drive that the repository names, not its recons and dire, and unpack them.",
        (
            Part(("images/{split}/*/[!r]*", "{split}/*/[!r]*"), "*", UNKNOWN),
            Part(("images/{split}/*/real", "{split}/*/real")),
        ),
        ("test", "val", "train"),
        note="Kept in the formats of their sources; DIRE's first figures owe to that (Fake or JPEG, arXiv:2403.17608).",
    ),
    Dataset(
        "universal-fake-detect", "UniversalFakeDetect: LDM, GLIDE, guided diffusion, DALL-E mini", "arXiv:2302.10174",
        None, "https://github.com/WisconsinAIVision/UniversalFakeDetect",
        "Fetch the diffusion data set from the drive that the repository names, and unpack it.",
        (
            *(
                Part((f"{name}/1_fake", f"diffusion_datasets/{name}/1_fake"), name, decoder, 1000)
                for name, decoder in (
                    ("ldm_100", "kl-f8 (LDM)"), ("ldm_200", "kl-f8 (LDM)"), ("ldm_200_cfg", "kl-f8 (LDM)"),
                    ("glide_50_27", PIXELS), ("glide_100_10", PIXELS), ("glide_100_27", PIXELS), ("guided", PIXELS),
                    ("dalle", "VQGAN (DALL-E mini)"),
                )
            ),
            *(Part((f"{n}/0_real", f"diffusion_datasets/{n}/0_real"), images=1000) for n in ("laion", "imagenet")),
        ),
        note="imagenet belongs to guided, laion to the others.",
    ),
    Dataset(
        "forensynths", "ForenSynths (CNNDetection): thirteen GANs and other networks", "arXiv:1912.11035",
        None, "https://github.com/PeterWang512/CNNDetection",
        "Fetch the test set from the drive that the repository names, and unpack it.",
        (
            *(Part((f"{name}/1_fake", f"{name}/*/1_fake"), name, PIXELS) for name in _CNNSPOT),
            *(Part((f"{name}/0_real", f"{name}/*/0_real")) for name in _CNNSPOT),
        ),
        note="No latent diffusion: methods that reconstruct with its autoencoders are not made for it.",
    ),
    Dataset(
        "cifake", "CIFAKE: CIFAR-10 against Stable Diffusion 1.4", "arXiv:2303.14126",
        "MIT", "https://www.kaggle.com/datasets/birdy654/cifake-real-and-ai-generated-synthetic-images",
        "Unpack.",
        (Part(("{split}/FAKE",), "Stable Diffusion 1.4", SD, 10_000), Part(("{split}/REAL",), images=10_000)),
        ("test", "train"),
        note="Images of 32 px, the generated ones reduced from 512: no grain of a decoder is left.",
    ),
    Dataset(
        "drct-2m", "DRCT-2M: sixteen latent diffusion models, prompts from COCO",
        "https://proceedings.mlr.press/v235/chen24ay.html",
        None, "https://modelscope.cn/datasets/BokingChen/DRCT-2M/files",
        "Unpack, and put COCO 2017 into MSCOCO beside the folders of the generators.",
        tuple(_drct()), ("val2017", "train2017"),
        note="The photographs are the JPEG files of COCO: audit before use.",
    ),
    Dataset(
        "elsa-d3", "ELSA D3: four generators, prompts from LAION-400M", "arXiv:2407.20337",
        None, "https://huggingface.co/datasets/elsaEU/ELSA_D3",
        "Save the columns image_gen0 to image_gen3 as files into SPLIT/gen_0 to SPLIT/gen_3, in the format that they "
        "are encoded in, and the photographs behind the column url into SPLIT/real.",
        (
            Part(("{split}/gen_0", "{split}/df_if"), "DeepFloyd IF", PIXELS),
            Part(("{split}/gen_1", "{split}/sd_14"), "Stable Diffusion 1.4", SD),
            Part(("{split}/gen_2", "{split}/sd_21"), "Stable Diffusion 2.1", SD),
            Part(("{split}/gen_3", "{split}/sd_xl"), "Stable Diffusion XL", SDXL),
            Part(("{split}/real",)),
        ),
        ("val", "train"),
        note="2.3 million records; the generated images come as BMP, GIF, JPEG, TIFF and PNG.",
    ),
    Dataset(
        "raise", "RAISE-1k: photographs from raw camera files", "10.1145/2713168.2713194",
        None, "https://loki.disi.unitn.it/RAISE/download.html",
        "Fetch what RAISE_1k.csv lists (TIFF; NEF needs a converter).",
        (Part((".",), images=1000),),
        note="Never compressed, up to 16 megapixels. Terms are on the download page.",
    ),
    Dataset(
        "coco", "COCO 2017: photographs from Flickr", "arXiv:1405.0312",
        "the photographs keep their licences on Flickr; annotations CC BY 4.0", "https://cocodataset.org/#download",
        "Unpack val2017.zip.",
        (Part(("{split}",), images=5000),), ("val2017", "train2017"),
        {
            "val2017.zip": "md5:442b8da7639aecaf257c1dceb8ba8c80",
            "train2017.zip": "md5:cced6f7f71b7629ddf16f17bbcfab6b2",
        },
        note="JPEG, the longer side 640 px: reduced by Flickr.",
    ),
    Dataset(
        "laion", "LAION: photographs and other pictures by URL", "arXiv:2210.08402",
        "the pictures keep their owners' copyright; metadata CC BY 4.0", "https://laion.ai",
        "Fetch with img2dataset from a metadata file, without resizing or re-encoding; its folders are read as they "
        "are.",
        (Part(("[0-9]*",)),),
        note="Not photographs only, and nobody has labelled them.",
    ),
    Dataset(
        "140k-faces", "140k real and fake faces: FFHQ against StyleGAN", "arXiv:1812.04948",
        None, "https://www.kaggle.com/datasets/xhlulu/140k-real-and-fake-faces",
        "Unpack.",
        (
            Part(("real_vs_fake/real-vs-fake/{split}/fake", "{split}/fake"), "StyleGAN", PIXELS, 10_000),
            Part(("real_vs_fake/real-vs-fake/{split}/real", "{split}/real"), images=10_000),
        ),
        ("test", "valid", "train"),
        note="JPEG of 256 px, reduced. FFHQ itself is CC BY-NC-SA 4.0.",
    ),
)  # fmt: skip

DATASETS: dict[str, Dataset] = {row.name: row for row in _ROWS}
