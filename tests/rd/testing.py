"""Stand-ins that several tests share."""
import json
import os
import pathlib
import stat
import sys
import types

import numpy as np

import clips
from programs import Programs


def camera(name, position, size=(64, 48)):
    return {"Name": name, "Position": list(position), "Rotation": [0, 0, 0],
            "Resolution": list(size), "Projection": "Perspective", "Focal": [60.0, 60.0],
            "Principle_point": [size[0] / 2, size[1] / 2], "Depth_range": [1.0, 10.0],
            "BitDepthColor": 8, "BitDepthDepth": 16, "ColorSpace": "YUV420",
            "DepthColorSpace": "YUV400"}


def write_clip(folder, positions, frames=2, size=(64, 48)):
    """A clip folder whose .mkv files are empty: good for everything but extraction."""
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    cameras = [camera(f"v{i}", p, size) for i, p in enumerate(positions)]
    (folder / "cameras.json").write_text(json.dumps(
        {"Version": "4.0", "Fps": 30, "Frames_number": frames, "cameras": cameras}))
    for i in range(len(positions)):
        for component in ("texture", "depth"):
            (folder / f"v{i}_{component}.mkv").touch()
    return folder


def fill(clip, seed=1):
    """Raw files of smooth random pictures in clip.raw."""
    generator = np.random.default_rng(seed)
    clip.raw.mkdir(parents=True, exist_ok=True)
    for view in clip.views + clip.left_out:
        for component, dtype, peak in (("texture", "u1", 255), ("depth", "<u2", 65535)):
            samples = clips.picture_bytes(component, clip.width, clip.height) // np.dtype(
                dtype).itemsize * clip.frames
            values = peak * (0.5 + 0.4 * np.sin(np.arange(samples) / generator.uniform(5, 9)))
            values.astype(dtype).tofile(clip.original(view, component))
    clip.write_cameras(clip.raw)


def raw_clip(folder, positions=((0, 0, 0), (0, -0.1, 0)), size=(64, 48), frames=2, **options):
    """A Clip whose raw files are there."""
    folder = pathlib.Path(folder)
    clip = clips.Clip(write_clip(folder / "clip", positions, frames, size), **options)
    clip.raw = folder / "raw"
    fill(clip)
    return clip


def script(path, text):
    """An executable Python program."""
    path = pathlib.Path(path)
    path.write_text(f"#!{sys.executable}\n" + text)  # the Python that has numpy
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def options(folder, **values):
    """Options of rd.py, with programs from `folder` only."""
    result = {"crfs": [27.0, 32.0], "qps": [30.0], "lambdas": [0.004], "vvenc_preset": "medium",
              "x265_preset": "ultrafast", "x265_info": 0, "effort": 1, "seconds": 0,
              "profile": "auto", "depth_weight": 1, "build": str(folder), "base_views": "",
              "motion": "", "base_encoder": "", "mv_hevc_config": None, "3d_hevc_config": None,
              "tmiv_config": None}
    names = {name: str(pathlib.Path(folder) / name) for name in os.listdir(folder)
             if os.access(pathlib.Path(folder) / name, os.X_OK)}
    return types.SimpleNamespace(**{**result, **values,
                                    "programs": Programs(names, str(folder))})
