"""A method of your own: one formula over evidence, in a file outside the package.

python docs/examples/new_method.py picture.png
recon-detect score picture.png --method docs/examples/new_method.py:RATIO --models taesd
"""

import sys

from recon_detect import Method, load_detector


def ratio(e):
    """Error of the first pass over error of the second: AEDR (arXiv:2507.18988). (B, K), one column per model."""
    return e.error() / e.error(passes=2)


RATIO = Method("ratio", "first over second pass", ratio, False, "l2", ("taesd",), "arXiv:2507.18988")

if __name__ == "__main__":
    for row in load_detector(RATIO).score(sys.argv[1:]):
        print(row.path, row.score)
