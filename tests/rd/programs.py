"""Finds and runs other programs."""
import dataclasses
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
import time

from errors import RdError, Unavailable


@dataclasses.dataclass
class Times:
    """What a program needed: seconds of wall clock, and of all cores together."""
    wall: float = 0.0
    cpu: float = 0.0

    def __add__(self, other):
        return Times(self.wall + other.wall, self.cpu + other.cpu)


def run(command, env=None, failure=RdError):
    """Runs `command` to its end and returns its Times; a failure shows the end of its messages.
    An interrupt ends the program, too."""
    command = [str(word) for word in command]
    with tempfile.TemporaryFile() as messages:
        start = time.monotonic()
        try:
            child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=messages,
                                     stderr=subprocess.STDOUT, env={**os.environ, **(env or {})})
        except OSError as error:
            raise RdError(f"{command[0]}: {error.strerror}") from None
        try:
            _, status, usage = os.wait4(child.pid, 0)
        except BaseException:
            child.terminate()
            try:
                child.wait(5)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
            raise
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            messages.seek(0, os.SEEK_END)
            messages.seek(max(0, messages.tell() - 3000))
            text = messages.read().decode(errors="replace").strip()
            raise failure(f"{' '.join(command)}\nfailed ({child.returncode}): {text}")
        return Times(time.monotonic() - start, usage.ru_utime + usage.ru_stime)


class Programs:
    """Where programs are: --program NAME=PATH first, then the environment's MVINR_RD_NAME
    (upper case, _ for -), then beside a given program of ours, the build folder, and PATH."""

    def __init__(self, paths=None, build="build"):
        self.paths, self.build = dict(paths or {}), build

    def look(self, name, others=()):
        """The program's path, or None. `others`: further file names that it goes by."""
        for given in (self.paths.get(name),
                      os.environ.get("MVINR_RD_" + name.upper().replace("-", "_"))):
            if given:
                found = shutil.which(given)
                if not found:
                    raise RdError(f"{name}: {given} is not a program")
                return os.path.abspath(found)
        if name.startswith("mvinr-"):  # a program of ours that was given has the others beside it
            for other, path in self.paths.items():
                beside = os.path.join(os.path.dirname(path), name)
                if other.startswith("mvinr-") and os.access(beside, os.X_OK):
                    return os.path.abspath(beside)
        own = os.path.join(self.build, "codec", "tools", name)
        if os.access(own, os.X_OK):
            return os.path.abspath(own)
        for candidate in (name, *others):
            if shutil.which(candidate):
                return shutil.which(candidate)
        return None

    def need(self, name, hint, others=()):
        path = self.look(name, others)
        if not path:
            names = " or ".join((name, *others))
            raise Unavailable(f"program {names} is not found: {hint}, or give its path with "
                              f"--program {name}=PATH")
        return path


_digests = {}


def digest(path):
    """Identifies a file by its bytes: a rebuilt program makes points anew."""
    path = os.path.realpath(path)
    stamp = (path, os.stat(path).st_mtime_ns)
    if stamp not in _digests:
        sha = hashlib.sha256()
        with open(path, "rb") as file:
            while block := file.read(1 << 20):
                sha.update(block)
        _digests[stamp] = sha.hexdigest()[:16]
    return _digests[stamp]


def own_libraries(path):
    """Digests of this project's libraries that a program loads."""
    found = re.findall(r"(libmvinr\S*) => (\S+)", output(["ldd", path]))
    return {name: digest(file) for name, file in found if os.path.exists(file)}


def output(command):
    """All that a program prints, whether it fails or not."""
    try:
        result = subprocess.run([str(word) for word in command], capture_output=True, text=True,
                                errors="replace", stdin=subprocess.DEVNULL, check=False)
    except OSError as error:
        raise RdError(f"{command[0]}: {error.strerror}") from None
    return result.stdout + result.stderr


def first_line(command):
    """The first line that a program prints, for example its version."""
    lines = output(command).strip().splitlines()
    return lines[0] if lines else ""
