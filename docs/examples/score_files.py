"""Scores the images named on the command line.

python docs/examples/score_files.py picture.png folder/
"""

import sys

from recon_detect import load_detector

detector = load_detector("aeroblade", models="taesd")
result = detector.score(sys.argv[1:])

for row in result:
    print(f"{row.score:8.4f}  {row.path}  {row.error or ''}")
print(f"Reproduce with run {result.run.fingerprint}: {result.run.models[0].name} {result.run.models[0].sha256[:12]}")
