#!/usr/bin/env python3
"""Runs the unit tests of this folder. --tap: one line of TAP for every test, for meson.
Without numpy the tests are skipped: exit status 77, or a skipped line of TAP."""
import importlib.util
import os
import subprocess
import sys
import unittest

DEBIAN = "/usr/bin/python3"


class Tap(unittest.TestResult):
    def __init__(self, count):
        super().__init__()
        self.number = 0
        print(f"1..{count}", flush=True)

    def line(self, test, good, note="", details=""):
        self.number += 1
        name = test.id() if hasattr(test, "id") else str(test)
        print(f"{'ok' if good else 'not ok'} {self.number} - {name}{note}", flush=True)
        for text in details.splitlines():
            print(f"# {text}", flush=True)

    def addSuccess(self, test):
        super().addSuccess(test)
        self.line(test, True)

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.line(test, True, f" # SKIP {reason}")

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self.line(test, False, details=self.failures[-1][1])

    def addError(self, test, err):
        super().addError(test, err)
        self.line(test, False, details=self.errors[-1][1])


def main():
    tap = "--tap" in sys.argv
    if not importlib.util.find_spec("numpy"):
        # The first python3 in PATH need not be the one that Debian's packages serve.
        if sys.executable != DEBIAN and os.path.exists(DEBIAN) and subprocess.run(
                [DEBIAN, "-c", "import numpy"], stderr=subprocess.DEVNULL).returncode == 0:
            os.execv(DEBIAN, [DEBIAN, *sys.argv])
        print("1..1\nok 1 - rd # SKIP numpy is missing (scripts/install-deps.sh)" if tap else
              "skipped: numpy is missing (scripts/install-deps.sh)")
        sys.exit(0 if tap else 77)
    folder = os.path.dirname(os.path.abspath(__file__))
    sys.path.insert(0, folder)
    suite = unittest.defaultTestLoader.discover(folder, "test_*.py")
    result = Tap(suite.countTestCases()) if tap else unittest.TextTestRunner(verbosity=1)
    if tap:
        suite.run(result)
    else:
        result = result.run(suite)
    sys.exit(0 if result.wasSuccessful() or tap else 1)


if __name__ == "__main__":
    main()
