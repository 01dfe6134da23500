"""``python -m prodigy`` is ``prodigy``."""

import sys

from prodigy.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
