"""C2PA manifests: by c2pa-python, which verifies signatures, or by a plain reader, which does not.

With c2pa-python all that is reported is what that has verified: another reader might see another manifest in a file
that is made for it. Nothing is fetched: neither manifests on servers nor revocation lists.
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import Any

from recon_detect.claims.claims import BROKEN, INTACT, NOT_VERIFIED, VERIFIED, Manifest
from recon_detect.claims.jumbf import Superbox, read_boxes, read_cbor
from recon_detect.claims.metadata import LONGEST_TEXT
from recon_detect.claims.texts import LONGEST_NAME
from recon_detect.images.heard import printable

# Certificates in PEM whose signatures count as verified, such as the trust list of C2PA.
TRUST_VARIABLE = "RECON_DETECT_C2PA_TRUST"
_MOST_ACTIONS = 20
# Failures that say that the signer is not on the list, and nothing against the signature.
_UNTRUSTED = ("signingCredential.untrusted",)
_NO_LIST = f"anybody can have signed, as {TRUST_VARIABLE} names no list of trusted signers"
_NOT_LISTED = f"the signer is none of those that {TRUST_VARIABLE} trusts"
_NO_LIBRARY = "pip install 'recon-detect[provenance]' to verify it"


def read_manifest(data: bytes, boxes: bytes) -> Manifest:
    """The active manifest of a file.

    Args:
        data: The file.
        boxes: Its JUMBF boxes, for the plain reader.
    """
    if find_spec("c2pa") is None:
        return _plain(boxes, _NO_LIBRARY)
    try:
        return _verified(data)
    except Exception as error:  # a library of its own, on hostile data
        return _plain(boxes, f"c2pa-python cannot read it ({printable(f'{type(error).__name__}: {error}')})")


def _verified(data: bytes) -> Manifest:
    from c2pa import Reader

    trust = os.environ.get(TRUST_VARIABLE)
    with Reader(io.BytesIO(data), context=_context(trust)) as reader:
        store = json.loads(reader.json())
    manifests, label = store["manifests"], store["active_manifest"]
    active, others = manifests[label], [manifest for name, manifest in manifests.items() if name != label]
    signer = active.get("signature_info", {})
    failures = [
        status["code"]
        for status in store.get("validation_results", {}).get("activeManifest", {}).get("failure", [])
        if status["code"] not in _UNTRUSTED
    ]
    state = {"Trusted": VERIFIED, "Valid": INTACT}.get(store.get("validation_state"), BROKEN)
    reasons = {VERIFIED: "", INTACT: _NOT_LISTED if trust else _NO_LIST}
    return _manifest(
        active.get("claim_generator_info") or active.get("claim_generator"),
        _actions(_data([active])),
        _actions(_data(others)),
        state,
        reasons.get(state, ", ".join(failures)),
        signer.get("issuer") or signer.get("common_name"),
    )


def _data(manifests: Iterable[Mapping[str, Any]]) -> Iterable[Any]:
    """Contents of the assertions on actions, as c2pa-python reads them."""
    assertions = (assertion for manifest in manifests for assertion in manifest.get("assertions", ()))
    return (assertion.get("data") for assertion in assertions if assertion["label"].startswith("c2pa.actions"))


@cache
def _context(trust: str | None) -> Any:
    """Settings of c2pa-python: no connections, and the signers that are trusted."""
    from c2pa import Context, Settings

    settings: dict[str, Any] = {"verify": {"remote_manifest_fetch": False, "ocsp_fetch": False}}
    if trust:
        settings["trust"] = {"trust_anchors": Path(trust).read_text(encoding="utf-8")}
    return Context(Settings.from_dict(settings))


def _plain(boxes: bytes, reason: str) -> Manifest:
    """The last manifest of a store, which is the active one."""
    try:
        manifests = [manifest for store in read_boxes(boxes) for manifest in store.boxes]
        claims = [_content(box) for box in manifests[-1].boxes if box.label.startswith("c2pa.claim")]
        claim = next((claim for claim in claims if isinstance(claim, dict)), {})
        return _manifest(
            claim.get("claim_generator_info") or claim.get("claim_generator"),
            _actions(map(_content, _assertions(manifests[-1:]))),
            _actions(map(_content, _assertions(manifests[:-1]))),
            NOT_VERIFIED,
            reason,
        )
    except (ValueError, IndexError, RecursionError):
        return Manifest(None, (), (), (), NOT_VERIFIED, reason="its boxes are broken")


def _assertions(manifests: Iterable[Superbox]) -> Iterable[Superbox]:
    stores = (box for manifest in manifests for box in manifest.boxes if box.label == "c2pa.assertions")
    actions = (box for store in stores for box in store.boxes if box.label.startswith("c2pa.actions"))
    return islice(actions, _MOST_ACTIONS)


def _content(box: Superbox) -> Any:
    if b"cbor" in box.contents:
        return read_cbor(box.contents[b"cbor"])
    text = box.contents.get(b"json", b"null")
    return json.loads(text) if len(text) <= LONGEST_TEXT else None


def _actions(assertions: Iterable[Any]) -> list[Mapping[str, Any]]:
    """The actions of assertions that have some."""
    lists = (content.get("actions") for content in assertions if isinstance(content, dict))
    return [action for actions in lists if isinstance(actions, list) for action in actions if isinstance(action, dict)]


def _manifest(
    generator: Any,
    actions: list[Mapping[str, Any]],
    earlier: list[Mapping[str, Any]],
    signature: str,
    reason: str,
    signer: Any = None,
) -> Manifest:
    return Manifest(
        generator=_line(_generator(generator)),
        actions=_distinct(str(action.get("action", "")).removeprefix("c2pa.") for action in actions),
        source_types=_source_types(actions),
        ingredients=_source_types(earlier),
        signature=signature,
        signer=_line(signer),
        reason=reason,
    )


def _generator(info: Any) -> Any:
    """Name and version of the program: a text, an object, or the first of several."""
    first = info[0] if isinstance(info, list) and info else info
    return f"{first.get('name', '')} {first.get('version', '')}".strip() if isinstance(first, dict) else first


def _source_types(actions: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    return _distinct(str(action.get("digitalSourceType", "")).rstrip("/").rpartition("/")[2] for action in actions)


def _distinct(names: Iterable[str]) -> tuple[str, ...]:
    lines = (printable(name, LONGEST_NAME) for name in names)
    return tuple(dict.fromkeys(filter(None, lines)))[:_MOST_ACTIONS]


def _line(text: Any) -> str | None:
    return printable(text, LONGEST_NAME) or None if isinstance(text, str) else None
