"""Combines two methods, names the decoder family, and tests whether the images are like the photographs.

python docs/examples/combine.py photographs/ generated/ inbox/
"""

import sys

from recon_detect import load_detector

photographs, generated, inbox = sys.argv[1:]
detector = load_detector(["contrast", "aedr"], models="taesd")
calibration = detector.calibrate(photographs, generated, fpr=0.1, combine="cauchy", probability="isotonic")

result = detector.with_calibration(calibration).score(inbox)
for row in result:
    print(row.path, row.verdict)
print(result.drift.warnings if result.drift else "too few images to compare")
