"""Shows where an image is reconstructed badly: the error map as an array and as a picture.

python docs/examples/error_map.py picture.png maps/
"""

import sys
from pathlib import Path

from recon_detect import load_detector
from recon_detect.output import save_heatmap

result = load_detector("aeroblade", models="taesd").score(sys.argv[1], maps=True).raise_for_errors()
error = result.maps[0]
print(f"error map {error.shape}, mean {error.mean():.4f}, score {result.scores[0]:.4f}")
print(save_heatmap(result[0], Path(sys.argv[2])))
