"""Files with metadata, made on the spot."""

import datetime
import io
import struct
from collections.abc import Iterator
from functools import cache

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

TRAINED = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
XMP = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description xmlns:e="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" xmlns:p="http://ns.adobe.com/photoshop/1.0/"'
    ' xmlns:m="http://ns.adobe.com/xap/1.0/" p:Credit="Made with a model">{}</rdf:Description></rdf:RDF></x:xmpmeta>'
)
XMP_TRAINED = XMP.format(f"<e:DigitalSourceType>{TRAINED}</e:DigitalSourceType>").encode()


def picture(side: int = 48) -> Image.Image:
    coarse = np.random.default_rng(0).integers(0, 256, (6, 6, 3), np.uint8)
    return Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC)


def encoded(kind: str = "PNG", **options) -> bytes:
    buffer = io.BytesIO()
    picture().save(buffer, kind, **options)
    return buffer.getvalue()


def png(texts: dict[str, str] | None = None, **options) -> bytes:
    entries = PngInfo()
    for number, (keyword, text) in enumerate((texts or {}).items()):
        (entries.add_text, entries.add_itxt)[number % 2](keyword, text, zip=number % 3 == 0)
    return encoded(pnginfo=entries, **options)


def exif(tags: dict[int, object], comment: bytes = b"") -> bytes:
    content = Image.Exif()
    for tag, value in tags.items():
        content[tag] = value
    if comment:
        content.get_ifd(0x8769)[0x9286] = comment
    return content.tobytes()


def box(kind: bytes, *contents: bytes) -> bytes:
    content = b"".join(contents)
    return struct.pack(">I4s", 8 + len(content), kind) + content


def superbox(kind: bytes, label: str, *contents: bytes) -> bytes:
    identifier = kind + bytes.fromhex("00110010800000aa00389b71")
    return box(b"jumb", box(b"jumd", identifier, b"\3", label.encode(), b"\0"), *contents)


def cbor(value: object) -> bytes:
    if isinstance(value, dict):
        return _head(5, len(value)) + b"".join(cbor(part) for pair in value.items() for part in pair)
    if isinstance(value, list):
        return _head(4, len(value)) + b"".join(map(cbor, value))
    if isinstance(value, str):
        return _head(3, len(value.encode())) + value.encode()
    assert isinstance(value, int)
    return _head(0, value)


def _head(major: int, number: int) -> bytes:
    return bytes([major << 5 | 25]) + number.to_bytes(2, "big")


def manifest(actions: list[dict], generator: str, label: str = "urn:c2pa:1") -> bytes:
    assertions = superbox(b"c2as", "c2pa.assertions", superbox(b"cbor", "c2pa.actions.v2", box(b"cbor", cbor({"actions": actions}))))  # fmt: skip  # noqa: E501
    claim = superbox(b"c2cl", "c2pa.claim.v2", box(b"cbor", cbor({"claim_generator_info": {"name": generator}})))
    return superbox(b"c2ma", label, assertions, claim)


def store(*manifests: bytes) -> bytes:
    return superbox(b"c2pa", "c2pa", *manifests)


def with_boxes(kind: str, boxes: bytes) -> bytes:
    """A file of a format with a manifest store where C2PA puts it; of JPEG in segments of 100 bytes."""
    data = encoded(kind)
    if kind == "PNG":
        return data[:33] + struct.pack(">I", len(boxes)) + b"caBX" + boxes + bytes(4) + data[33:]
    if kind == "WEBP":
        return data + b"C2PA" + struct.pack("<I", len(boxes)) + boxes + bytes(len(boxes) % 2)
    if kind == "AVIF":
        start = struct.unpack_from(">I", data)[0]
        identifier = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")
        return data[:start] + box(b"uuid", identifier, bytes(4), b"manifest\0", bytes(8), boxes) + data[start:]
    parts = [boxes[:100], *(boxes[:8] + boxes[at : at + 92] for at in range(100, len(boxes), 92))]
    segments = [
        b"\xff\xeb" + struct.pack(">H", len(part) + 10) + b"JP" + struct.pack(">HI", 1, number) + part
        for number, part in enumerate(parts, start=1)
    ]
    return data[:2] + b"".join(segments) + data[2:]


@cache
def certificates() -> tuple[bytes, bytes, bytes]:
    """Chain, key and root of a signer, in PEM."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    def name(text: str) -> x509.Name:
        names = ((x509.NameOID.COMMON_NAME, text), (x509.NameOID.ORGANIZATION_NAME, text))
        return x509.Name([x509.NameAttribute(*pair) for pair in names])

    def certificate(subject: str, key, extensions):
        builder = (
            x509.CertificateBuilder(name("Test root"), name(subject), key.public_key(), x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=30))
        )
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical)
        return builder.sign(root_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    def usage(**allowed: bool) -> x509.KeyUsage:
        names = ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
                 "key_cert_sign", "crl_sign", "encipher_only", "decipher_only")  # fmt: skip
        return x509.KeyUsage(**(dict.fromkeys(names, False) | allowed))

    now = datetime.datetime.now(datetime.UTC)
    root_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    root_id = x509.SubjectKeyIdentifier.from_public_key(root_key.public_key())
    root = certificate("Test root", root_key, [
        (x509.BasicConstraints(True, None), True), (usage(key_cert_sign=True, crl_sign=True), True), (root_id, False),
    ])  # fmt: skip
    signer = certificate("Test signer", key, [
        (x509.BasicConstraints(False, None), True),
        (usage(digital_signature=True), True),
        (x509.ExtendedKeyUsage([x509.ExtendedKeyUsageOID.EMAIL_PROTECTION]), False),
        (x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False),
        (x509.AuthorityKeyIdentifier.from_issuer_public_key(root_key.public_key()), False),
    ])  # fmt: skip
    encoding = serialization.Encoding.PEM
    private = key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return signer + root, private, root


@cache
def signed(kind: str) -> bytes:
    """A file of a format that c2pa-python has signed, without a thumbnail."""
    import c2pa

    chain, key, _ = certificates()
    actions = {"actions": [{"action": "c2pa.created", "digitalSourceType": TRAINED}]}
    builder = c2pa.Builder({
        "claim_generator_info": [{"name": "Generator", "version": "1"}],
        "assertions": [{"label": "c2pa.actions.v2", "data": actions}],
    })  # fmt: skip
    signer = c2pa.Signer.from_info(c2pa.C2paSignerInfo(c2pa.C2paSigningAlg.ES256, chain, key, None))
    output = io.BytesIO()
    builder.sign(signer, f"image/{kind.lower()}", io.BytesIO(encoded(kind)), output)
    return output.getvalue()


def seeds() -> Iterator[bytes]:
    """Whole files with all kinds of metadata."""
    graph = '{"1": {"class_type": "KSampler", "inputs": {"positive": ["2", 0]}}, "2": {"inputs": {"text": "a cat"}}}'
    texts = {"prompt": graph, "parameters": "a cat\nSteps: 2, Model: m", "XML:com.adobe.xmp": XMP_TRAINED.decode()}
    tags = exif(
        {0x010F: "Maker", 0x0110: "Camera", 0x0131: "Software"}, b"UNICODE\0" + "a\nSteps: 1".encode("utf-16-be")
    )
    boxes = store(manifest([{"action": "c2pa.created", "digitalSourceType": TRAINED}], "Generator"))
    yield png(texts, exif=tags)
    yield encoded("JPEG", exif=tags, xmp=XMP_TRAINED, comment=b"comment")
    yield encoded("WEBP", exif=tags, xmp=XMP_TRAINED)
    yield encoded("AVIF", exif=tags, xmp=XMP_TRAINED, speed=10)
    yield encoded("TIFF", tiffinfo={0x010F: "Maker", 700: XMP_TRAINED})
    yield from (with_boxes(kind, boxes) for kind in ("PNG", "JPEG", "WEBP", "AVIF"))
