#!/usr/bin/env python3
"""Counts the GoogleTest cases of the last `meson test` and the checks of tests/builds.sh; prints
"N passed, N failed[, N skipped]". Fails if anything failed or nothing passed."""
import json
import pathlib
import sys
import xml.etree.ElementTree as xml

build = pathlib.Path(sys.argv[1])
passed = failed = skipped = 0
blamed = set()  # programs with a case that failed
for suite in xml.parse(build / "meson-logs/testlog.junit.xml").getroot().iter("testsuite"):
    for case in suite.iter("testcase"):
        if case.find("failure") is not None or case.find("error") is not None:
            failed += 1
            blamed |= {case.get("name"), *suite.get("name").split(".")}
            print(f"failed: {suite.get('name')} {case.get('name')}")
        elif case.find("skipped") is not None:
            skipped += 1
        else:
            passed += 1

# A program may fail although all its cases passed: a leak that a sanitizer reports at exit.
with open(build / "meson-logs/testlog.json", encoding="utf-8") as log:
    for test in map(json.loads, log):
        if test["result"] not in ("OK", "SKIP") and test["name"].split()[-1] not in blamed:
            failed += 1
            print(f"failed: program {test['name']}: {test['result']}")

for line in (build / "builds.log").read_text(encoding="utf-8").splitlines():
    passed += line.startswith("ok ")
    failed += line.startswith("not ok ")

print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
sys.exit(1 if failed or not passed else 0)
