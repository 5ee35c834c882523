"""Scores any number of images with bounded memory, and stops after the first ten.

python docs/examples/stream.py folder/
"""

import sys
from itertools import islice

from recon_detect import find_sources, load_detector

detector = load_detector("aeroblade", models="taesd")
for row in islice(detector.stream(find_sources(sys.argv[1:])), 10):
    print(row.index, row.score, row.path)
