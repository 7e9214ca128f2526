"""``python -m keyscore_plugin.cli`` is the command ``keyscore``."""

import sys

from keyscore_plugin.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
