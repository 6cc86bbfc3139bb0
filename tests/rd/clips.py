"""A multi-view clip: v{i}_texture.mkv, v{i}_depth.mkv and cameras.json (MPEG Immersive Video
style), for moving cameras also poses.json. Made into raw files of the wanted size and length."""
import copy
import json
import os
import pathlib

import programs
from errors import RdError

FORMATS = {"texture": "yuv420p", "depth": "gray16le"}
SAMPLE_BYTES = {"texture": 1, "depth": 2}


def picture_bytes(component, width, height):
    chroma = 2 * ((width + 1) // 2) * ((height + 1) // 2) if component == "texture" else 0
    return (width * height + chroma) * SAMPLE_BYTES[component]


def scaled_cameras(cameras, width, height):
    """cameras.json for pictures of another size: focal lengths and principal point scale with it
    (pixel centres are at +0.5, so nothing else changes)."""
    result = copy.deepcopy(cameras)
    for camera in result["cameras"]:
        from_width, from_height = camera["Resolution"]
        for name in ("Focal", "Principle_point"):
            x, y = camera[name]
            camera[name] = [x * width / from_width, y * height / from_height]
        camera["Resolution"] = [width, height]
    return result


def scaled_poses(poses, from_size, to_size):
    """poses.json holds matrices with pixel centres at whole numbers (OpenCV)."""
    result = copy.deepcopy(poses)
    sx, sy = to_size[0] / from_size[0], to_size[1] / from_size[1]
    for k in result.get("K", []):
        k[0][0], k[1][1] = k[0][0] * sx, k[1][1] * sy
        k[0][2], k[1][2] = (k[0][2] + 0.5) * sx - 0.5, (k[1][2] + 0.5) * sy - 0.5
    return result


class Clip:
    """`views` are coded (names), `left_out` only compared; both are names of cameras.json."""

    def __init__(self, folder, size=None, frames=0, views=None, left_out=(), gop=32):
        self.folder = pathlib.Path(folder)
        self.name = self.folder.resolve().name
        try:
            with open(self.folder / "cameras.json", encoding="utf-8") as file:
                self.cameras = json.load(file)
            names = [camera["Name"] for camera in self.cameras["cameras"]
                     if os.path.exists(self.source(camera["Name"], "texture"))]
            first = self.camera(names[0]) if names else None
            self.native = tuple(first["Resolution"]) if names else None
            self.fps = float(self.cameras.get("Fps", 30))
            available = int(self.cameras.get("Frames_number", 0))
        except OSError as error:
            raise RdError(f"{error.filename}: {error.strerror} (a clip folder has cameras.json and "
                          "v0_texture.mkv, v0_depth.mkv, ...)") from None
        except (json.JSONDecodeError, KeyError, IndexError, TypeError, ValueError) as error:
            raise RdError(f"{self.folder}/cameras.json: {error!r}") from None
        if not names:
            raise RdError(f"{self.folder} has no v0_texture.mkv for its cameras.json")
        self.left_out = list(left_out)
        if isinstance(views, int):
            views = names[:views] if views else None
        self.views = list(views or [name for name in names if name not in self.left_out])
        for name in self.views + self.left_out:
            if name not in names:
                raise RdError(f"{self.folder} has no view {name}; it has {', '.join(names)}")
        if not self.views or set(self.views) & set(self.left_out):
            raise RdError("a view is either coded or left out, and at least one is coded")
        for name in self.views:
            if not os.path.exists(self.source(name, "depth")):
                raise RdError(f"{self.source(name, 'depth')} is not there")
        self.width, self.height = size or self.native
        self.frames = frames or available
        if self.frames <= 0:
            raise RdError(f"{self.folder}/cameras.json has no Frames_number: give --frames")
        if available and self.frames > available:
            raise RdError(f"{self.folder} has {available} frames, not {self.frames}")
        self.gop = min(gop, self.frames)
        self.raw = None

    def source(self, view, component):
        return self.folder / f"{view}_{component}.mkv"

    def camera(self, view, cameras=None):
        return next(c for c in (cameras or self.cameras)["cameras"] if c["Name"] == view)

    @property
    def size(self):
        return f"{self.width}x{self.height}"

    def file(self, folder, view, component):
        """Its name in a folder of raw files: the naming of MPEG Immersive Video."""
        return pathlib.Path(folder) / f"{view}_{component}_{self.size}_{FORMATS[component]}.yuv"

    def original(self, view, component):
        return self.file(self.raw, view, component)

    def identity(self):
        """Says exactly which pictures are coded, for the keys of the store."""
        sources = {}
        for view in self.views + self.left_out:
            for component in FORMATS:
                path = self.source(view, component)
                if path.exists():
                    sources[path.name] = programs.digest(path)
        cameras = {path.name: programs.digest(path) for path in
                   (self.folder / "cameras.json", self.folder / "poses.json") if path.exists()}
        return {"name": self.name, "sources": sources, "cameras": cameras, "size": self.size,
                "frames": self.frames, "views": self.views, "gop": self.gop}

    def extract(self, store):
        """Raw files of all views, with the cameras of their size."""
        key = {**self.identity(), "left out": self.left_out, "kind": "raw"}
        folder, _ = store.make("raw", key, self._extract)
        self.raw = folder

    def _extract(self, folder):
        for view in self.views + self.left_out:
            for component, pixels in FORMATS.items():
                if not self.source(view, component).exists():
                    continue
                target = self.file(folder, view, component)
                scale = ([] if (self.width, self.height) == self.native else
                         ["-vf", f"scale={self.width}:{self.height}:flags=area"])
                programs.run(["ffmpeg", "-v", "error", "-y", "-i", self.source(view, component),
                              *scale, "-frames:v", self.frames, "-f", "rawvideo", "-pix_fmt",
                              pixels, target])
                wanted = self.frames * picture_bytes(component, self.width, self.height)
                if target.stat().st_size != wanted:
                    raise RdError(f"{self.source(view, component)}: {target.stat().st_size} bytes "
                                  f"of raw pictures, not {wanted}: wrong size or too few frames")
        self.write_cameras(folder)
        return {"frames": self.frames}

    def write_cameras(self, folder):
        """cameras.json (and poses.json) of all views, and in coded/ of those that are coded."""
        cameras = scaled_cameras(self.cameras, self.width, self.height)
        names = [camera["Name"] for camera in cameras["cameras"]]
        coded = [names.index(view) for view in self.views]
        poses = None
        if (self.folder / "poses.json").exists():
            with open(self.folder / "poses.json", encoding="utf-8") as file:
                poses = scaled_poses(json.load(file), self.native, (self.width, self.height))
        (folder / "coded").mkdir()
        for place, numbers in ((folder, range(len(names))), (folder / "coded", coded)):
            content = {**cameras, "cameras": [cameras["cameras"][i] for i in numbers]}
            (place / "cameras.json").write_text(json.dumps(content, indent=1), encoding="utf-8")
            if poses:
                content = {**poses, "K": [poses["K"][i] for i in numbers],
                           "frames": [poses["frames"][i] for i in numbers]}
                (place / "poses.json").write_text(json.dumps(content), encoding="utf-8")

    def check_decoded(self, folder, components=("texture", "depth")):
        """A decoder that gave too few pictures is an error, not a bad PSNR."""
        for component in components:
            for view in self.views:
                path = self.file(folder, view, component)
                wanted = self.frames * picture_bytes(component, self.width, self.height)
                if not path.exists() or path.stat().st_size != wanted:
                    size = path.stat().st_size if path.exists() else "no file"
                    raise RdError(f"decoded {path.name}: {size}, expected {wanted} bytes")


def distance(a, b):
    return sum((x - y) ** 2 for x, y in zip(a["Position"], b["Position"])) ** 0.5


def neighbours(clip):
    """Pairs of coded views whose half-way cameras are judged: the edges of the minimum spanning
    tree over the camera positions. In a row of cameras these are the consecutive pairs."""
    views = clip.views
    edges = sorted((round(distance(clip.camera(a), clip.camera(b)), 6), i, j)
                   for i, a in enumerate(views) for j, b in enumerate(views) if i < j)
    group, pairs = list(range(len(views))), []
    for _, i, j in edges:
        if group[i] != group[j]:
            old, new = group[j], group[i]
            group = [new if g == old else g for g in group]
            pairs.append((views[i], views[j]))
    return sorted(pairs, key=lambda pair: (views.index(pair[0]), views.index(pair[1])))


def nearest(clip, view, count=2):
    """The coded views nearest to a view that is not coded."""
    target = clip.camera(view)
    order = sorted(clip.views, key=lambda v: (round(distance(clip.camera(v), target), 6),
                                              clip.views.index(v)))
    return order[:count]
