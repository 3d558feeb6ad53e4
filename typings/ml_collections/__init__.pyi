# A field of a config has the type that its default has, which no checker can know: ours are Any,
# where the package's own stubs are a union of everything.
from typing import Any

from ml_collections.config_dict import ConfigDict as ConfigDict

config_flags: Any
