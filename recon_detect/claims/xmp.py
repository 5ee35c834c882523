"""Properties of an XMP packet, read without building it: no entities, bounded depth and size."""

from __future__ import annotations

from xml.parsers import expat

_DEEPEST, _LONGEST = 64, 4096
_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_RESOURCE = f"{_RDF} resource"
# Names by namespace and local part; IPTC wrote the second of DigitalSourceType's spellings before 2012.
PROPERTIES = {
    "http://iptc.org/std/Iptc4xmpExt/2008-02-29/ DigitalSourceType": "source_type",
    "http://iptc.org/std/Iptc4xmpExt/2008-02-29/ DigitalSourcetype": "source_type",
    "http://iptc.org/std/Iptc4xmpExt/2008-02-29/ AISystemUsed": "ai_system",
    "http://ns.adobe.com/xap/1.0/ CreatorTool": "creator_tool",
    "http://ns.adobe.com/photoshop/1.0/ Credit": "credit",
}


class _Reader:
    """Handlers of expat that collect `PROPERTIES`, as attributes, text, or resources of elements."""

    def __init__(self) -> None:
        self.properties: dict[str, str] = {}
        self._depth = 0
        self._open: tuple[str, int] | None = None
        self._text: list[str] = []

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise ValueError("XMP is nested too deep")
        for attribute, value in attributes.items():
            if attribute in PROPERTIES:
                self._add(PROPERTIES[attribute], value)
        if name in PROPERTIES and self._open is None:
            self._open = (PROPERTIES[name], self._depth)
            self._text = [attributes[_RESOURCE]] if _RESOURCE in attributes else []

    def end(self, name: str) -> None:
        if self._open and self._open[1] == self._depth:
            self._add(self._open[0], "".join(self._text))
            self._open = None
        self._depth -= 1

    def text(self, text: str) -> None:
        if self._open and len(self._text) < _LONGEST:
            self._text.append(text)

    def _add(self, name: str, value: str) -> None:
        if value.strip():
            self.properties.setdefault(name, value.strip()[:_LONGEST])


def _refuse(*_: object) -> None:
    raise ValueError("XMP has no document type")


def read_xmp(packet: bytes) -> dict[str, str]:
    """The `PROPERTIES` of a packet, by name.

    Raises:
        ValueError: Not XML, a document type (which entities need), or nested too deep.
    """
    reader = _Reader()
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartElementHandler, parser.EndElementHandler = reader.start, reader.end
    parser.CharacterDataHandler = reader.text
    parser.StartDoctypeDeclHandler = _refuse
    try:
        parser.Parse(packet.rstrip(b"\0 \r\n"), True)
    except (expat.ExpatError, LookupError) as error:
        raise ValueError(f"XMP is not XML: {error}") from error
    return reader.properties
