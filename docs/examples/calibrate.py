"""Estimates a threshold on photographs, and compares an image with it.

python docs/examples/calibrate.py photographs/ picture.png
"""

import sys
from pathlib import Path

from recon_detect import Calibration, load_detector

*photographs, picture = sys.argv[1:]
detector = load_detector("contrast")
calibration = detector.calibrate(photographs, fpr=0.05, data="what the photographs are")
path = Path(picture).with_suffix(".calibration.json")
calibration.write(path)

judging = detector.with_calibration(Calibration.read(path))
row = judging.score(picture)[0]
print(row.path, row.score, row.verdict)
