"""Holds CycloneDX documents to their own schema, and their package URLs to the library of package URLs.

    PYTHONPATH=.tools/peers/python python3 scripts/peers/check_cyclonedx.py FILE...

Prints one line of JSON for each file: what is wrong with it, and the package URLs that the library
would write otherwise. Ends with 1 where there is anything.
"""

import json
import sys

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL


def check(path):
    with open(path, encoding="utf-8") as file:
        text = file.read()
    refused = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    purls = [one["purl"] for one in json.loads(text).get("components", []) if "purl" in one]
    others = [purl for purl in purls if PackageURL.from_string(purl).to_string() != purl]
    return {"file": path, "refused": str(refused)[:2000] if refused else None, "purls": others}


found = [check(path) for path in sys.argv[1:]]
for one in found:
    print(json.dumps(one))
sys.exit(any(one["refused"] or one["purls"] for one in found))
