"""`python -m libs.client`."""

import sys

from libs.client.cli import main

if __name__ == "__main__":
    sys.exit(main())
