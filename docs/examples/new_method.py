"""A method of your own: recon-detect score picture.png --models taesd --method docs/examples/new_method.py:RATIO."""

import sys

from recon_detect import Method, load_detector


def ratio(e):  # error of the first pass over that of the second, (B, K): one column per model
    return e.error() / e.error(passes=2)


RATIO = Method("ratio", "AEDR once more", ratio, False, "l2", ("taesd",), "arXiv:2507.18988")
if __name__ == "__main__":
    for row in load_detector(RATIO).score(sys.argv[1:]):
        print(row.path, row.score)
