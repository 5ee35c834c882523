"""Scores the images named on the command line, with the models of the package.

python docs/examples/score_files.py picture.png folder/
"""

import sys

from recon_detect import load_detector

detector = load_detector()
result = detector.score(sys.argv[1:])

for row in result:
    print(f"{row.score:8.4f}  {row.path}  {row.error or ''}")
print(f"Run {result.run.fingerprint}: {', '.join(f'{model.name} {model.sha256[:12]}' for model in result.run.models)}")
