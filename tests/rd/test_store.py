import os
import pathlib
import tempfile
import unittest

from cache import Store


class Caching(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.store = Store(pathlib.Path(self.folder.name, "work"))
        self.calls = 0

    def produce(self, folder):
        self.calls += 1
        (folder / "stream").write_bytes(b"12345")
        return {"bytes": 5, "times": [1.5, 2]}

    def test_a_finished_point_is_not_made_again(self):
        first = self.store.make("x", {"crf": 27}, self.produce)
        second = Store(self.store.root).make("x", {"crf": 27}, self.produce)
        self.assertEqual(first, second)
        self.assertEqual(self.calls, 1)
        self.assertEqual((second[0] / "stream").read_bytes(), b"12345")

    def test_every_setting_is_part_of_the_key(self):
        for key in ({"crf": 27}, {"crf": 32}, {"crf": 27, "preset": "slow"}):
            self.store.make("x", key, self.produce)
        self.assertEqual(self.calls, 3)

    def test_an_interrupted_point_leaves_nothing_and_is_made_by_the_next_run(self):
        def interrupted(folder):
            self.produce(folder)
            raise KeyboardInterrupt

        with self.assertRaises(KeyboardInterrupt):
            self.store.make("x", {}, interrupted)
        self.assertEqual(os.listdir(self.store.root), [])
        self.store.make("x", {}, self.produce)
        self.assertEqual(self.calls, 2)

    def test_a_damaged_result_is_made_again(self):
        folder, _ = self.store.make("x", {}, self.produce)
        (folder / "result.json").write_text("{\"key\": {}, \"resu")
        self.assertIsNone(self.store.get("x", {}))
        self.assertEqual(self.store.make("x", {}, self.produce)[1]["bytes"], 5)
        self.assertEqual(self.calls, 2)
