import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
import unittest

import programs
import testing
from errors import RdError, Unavailable


class ProgramsTest(unittest.TestCase):
    def setUp(self):
        self.temporary = tempfile.TemporaryDirectory()
        self.addCleanup(self.temporary.cleanup)
        self.folder = pathlib.Path(self.temporary.name)

    def test_a_missing_program_is_named_with_the_option_that_gives_it(self):
        found = programs.Programs({}, str(self.folder))
        with self.assertRaisesRegex(Unavailable, "vvenc-no-such is not found: build it, or give "
                                    "its path with --program vvenc-no-such=PATH"):
            found.need("vvenc-no-such", "build it")

    def test_a_given_path_that_is_no_program_is_an_error(self):
        found = programs.Programs({"vvencapp": str(self.folder / "nothing")}, "")
        with self.assertRaisesRegex(RdError, "vvencapp: .*nothing is not a program"):
            found.look("vvencapp")

    def test_order_is_option_environment_build_folder_path(self):
        (self.folder / "codec" / "tools").mkdir(parents=True)
        own = testing.script(self.folder / "codec" / "tools" / "sh", "")
        other = testing.script(self.folder / "other", "")
        os.environ["MVINR_RD_SH"] = str(other)
        try:
            self.assertEqual(programs.Programs({}, self.folder).look("sh"), str(other))
            given = programs.Programs({"sh": str(own)}, self.folder)
            self.assertEqual(given.look("sh"), str(own))
        finally:
            del os.environ["MVINR_RD_SH"]
        self.assertEqual(programs.Programs({}, self.folder).look("sh"), str(own))
        self.assertTrue(programs.Programs({}, "none").look("sh").endswith("/sh"))

    def test_a_program_of_ours_is_also_looked_for_beside_another_one_that_was_given(self):
        encoder = testing.script(self.folder / "mvinr-encode", "")
        decoder = testing.script(self.folder / "mvinr-decode", "")
        found = programs.Programs({"mvinr-encode": str(encoder)}, "none")
        self.assertEqual(found.look("mvinr-decode"), str(decoder))

    def test_a_failure_shows_command_status_and_messages(self):
        path = testing.script(self.folder / "fails", "import sys; sys.exit('no room on the disk')")
        with self.assertRaisesRegex(RdError, r"fails --x\nfailed \(1\): no room on the disk"):
            programs.run([path, "--x"])

    def test_times_are_those_of_the_program(self):
        path = testing.script(self.folder / "sleeps", "import time; time.sleep(0.2)")
        times = programs.run([path])
        self.assertGreater(times.wall, 0.2)
        self.assertLess(times.cpu, times.wall)

    def test_an_interrupt_ends_the_program_and_rd_keeps_what_is_finished(self):
        # In a process of its own: the signal goes to rd.py alone, as from a supervisor.
        path = testing.script(self.folder / "runs", "import os, time\n"
                              f"open('{self.folder}/pid', 'w').write(str(os.getpid()))\n"
                              "time.sleep(60)")
        here = os.path.dirname(os.path.abspath(__file__))
        child = subprocess.Popen(
            [sys.executable, "-c", f"import sys; sys.path.insert(0, {here!r})\n"
             f"import programs; programs.run([{str(path)!r}])"], stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 20
        while not (pid := self.read("pid")) and time.monotonic() < deadline:
            time.sleep(0.05)
        child.send_signal(signal.SIGINT)
        child.wait(20)
        with self.assertRaises(ProcessLookupError):
            os.kill(int(pid), 0)

    def read(self, name):
        path = self.folder / name
        return path.read_text() if path.exists() else ""

    def test_a_rebuilt_program_has_another_digest(self):
        path = testing.script(self.folder / "p", "a")
        before = programs.digest(path)
        path.write_text("b")
        os.utime(path, ns=(1, 1))
        self.assertNotEqual(before, programs.digest(path))
