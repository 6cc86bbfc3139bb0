"""Finished work, kept in a folder: each entry is a folder named by a hash of all its settings.

An entry is made in a folder of its own that is renamed when it is complete, so an interrupted run
leaves no half entry, and two runs in one work folder do not disturb each other."""
import hashlib
import json
import os
import pathlib
import shutil
import tempfile
import time


def key_hash(key):
    return hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:16]


class Store:
    def __init__(self, root):
        self.root = pathlib.Path(root)
        self.root.mkdir(parents=True, exist_ok=True)
        self.made = 0  # entries that had to be made
        # What a killed run left behind; younger folders may belong to a run beside this one.
        for path in [*self.root.glob(".partial-*"), *self.root.glob(".decoded-*")]:
            if time.time() - path.stat().st_mtime > 2 * 86400:
                shutil.rmtree(path, ignore_errors=True)

    def folder(self, label, key):
        return self.root / f"{label}-{key_hash(key)}"

    def get(self, label, key):
        """The entry's result, or None."""
        try:
            with open(self.folder(label, key) / "result.json", encoding="utf-8") as file:
                entry = json.load(file)
        except (FileNotFoundError, NotADirectoryError, json.JSONDecodeError):
            return None
        return entry["result"] if entry["key"] == json.loads(json.dumps(key)) else None

    def make(self, label, key, produce):
        """The entry's folder and result; `produce(folder)` makes them if they are not there."""
        result = self.get(label, key)
        final = self.folder(label, key)
        if result is not None:
            return final, result
        self.made += 1
        partial = pathlib.Path(tempfile.mkdtemp(prefix=".partial-", dir=self.root))
        try:
            result = produce(partial)
            with open(partial / "result.json", "w", encoding="utf-8") as file:
                json.dump({"key": key, "result": result}, file, indent=1)
            if final.exists():  # damaged, or another run was faster
                shutil.rmtree(final, ignore_errors=True)
            os.chmod(partial, 0o755)
            os.replace(partial, final)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        return final, json.loads(json.dumps(result))
