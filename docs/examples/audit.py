"""Says what separates two folders of images without looking at what they show, before and after matching.

python docs/examples/audit.py photographs/ generated/ matched/
"""

import sys
from dataclasses import replace
from pathlib import Path

from recon_detect import find_sources
from recon_detect.audit import Audit, audit, measured
from recon_detect.audit.matching import match, write_manifest

photographs, generated, folder = sys.argv[1:]
labels = {"real": photographs, "generated": generated}
sources = [replace(source, label=label) for label, path in labels.items() for source in find_sources([path])]

rows = list(measured(sources))
found = Audit.of(rows)
print(found.verdict)

matched = match(rows, found)
write_manifest(matched, matched.sources, Path(folder), written=False)
print(f"{folder}: {matched.transform}")
print(audit(matched.sources, transform=matched.transform).verdict)
