"""``python -m recon_detect``."""

from recon_detect.cli import main

if __name__ == "__main__":
    main()
