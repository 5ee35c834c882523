"""Reports what separates two folders of images besides their content, before and after matching.

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
before = Audit.of(rows)
print(before.verdict)

matched = match(rows, before)
write_manifest(matched, matched.sources, Path(folder), written=False)
print(f"{folder}: {matched.transform}")
print(audit(matched.sources, transform=matched.transform).verdict)
