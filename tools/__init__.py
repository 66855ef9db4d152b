"""Commands of the maintainer: edit, execute and publish the notebooks of the book."""

import sys

# Whatever reads a notebook imports jsonschema, which would load a grammar of international web addresses for more than a
# second in every process. No notebook has such an address in a place that is held to the grammar; without it jsonschema does the rest.
sys.modules.setdefault("rfc3987_syntax", None)
