"""`python -m mclf_jax.cli`: the `mclf` command where it is not on the path."""

import sys

from mclf_jax.cli.main import main

sys.exit(main())
