"""Prints what files say of themselves, beside the score and never mixed into it.

python docs/examples/claims.py picture.png photograph.jpg
"""

import sys

from recon_detect import read_claims

for path in sys.argv[1:]:
    claims = read_claims(path)
    print(f"{path}: {'says that a model made it' if claims.says_generated else 'does not say that a model made it'}")
    for sentence in claims.sentences:
        print(f"  {sentence}")
