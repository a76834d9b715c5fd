"""Counts what the reports in a directory say: how many tests passed, by part and together."""

import glob
import os
import sys
from xml.etree import ElementTree

together = 0
for path in sorted(glob.glob(os.path.join(sys.argv[1], "*.xml"))):
    suite = ElementTree.parse(path).getroot().find("testsuite")
    skipped = int(suite.get("skipped"))
    passed = int(suite.get("tests")) - skipped
    part = os.path.basename(path).removesuffix(".xml")
    print(f"{part:14}{passed:6} passed {skipped:4} skipped")
    together += passed
print(f"{'together':14}{together:6} passed")
