"""Quality of views that nobody coded: rendered by the project's own warp (mvinr-warp) from decoded
textures and depths."""
import dataclasses
import pathlib

import clips
import metrics
import programs
from errors import Unavailable


@dataclasses.dataclass(frozen=True)
class Target:
    """A camera half-way between `bases`, or the camera `view`, rendered from `bases`."""
    bases: tuple
    view: str = ""

    @property
    def name(self):
        return self.view or "-".join(self.bases)


def targets(clip):
    """What is rendered: a camera half-way between each pair of coded neighbours, and the cameras
    that were left out of coding, from the two coded views nearest to each."""
    halfway = [Target(pair) for pair in clips.neighbours(clip)]
    return halfway + [Target(tuple(clips.nearest(clip, view)), view) for view in clip.left_out]


class Warp:
    """The only place that knows the options of mvinr-warp."""

    def __init__(self, found):
        self.path = found.look("mvinr-warp")

    def check(self):
        if not self.path:
            raise Unavailable("program mvinr-warp is not found: build this project (--build names "
                              "the build folder), or give its path with --program mvinr-warp=PATH")

    def identity(self):
        return {"warp": programs.digest(self.path), **programs.own_libraries(self.path)}

    def render(self, clip, folder, target, out):
        """Renders `target` from the textures and depths in `folder`; returns the texture's file."""
        programs.run([self.path, "--input-dir", folder, "--cameras", clip.raw / "cameras.json",
                      "--views", ",".join(target.bases), "--target",
                      target.view or ":".join(target.bases), "--texture-format",
                      clips.FORMATS["texture"], "--depth-format", clips.FORMATS["depth"],
                      "--frames", clip.frames, "--no-depth", "-q", "-o", out])
        return clip.file(out, target.name, "texture")


def reference(clip, store, warp, target):
    """What a decoded view is compared with: the real picture, or, where no camera stood, what the
    same renderer makes of uncompressed input (as the 3D-HEVC common test conditions do)."""
    if target.view:
        return clip.original(target.view, "texture")
    key = {"clip": clip.identity(), "target": dataclasses.asdict(target), **warp.identity()}

    def produce(folder):
        path = warp.render(clip, clip.raw, target, folder)
        return {"file": pathlib.Path(path).name}

    folder, result = store.make(f"reference-{target.name}", key, produce)
    return folder / result["file"]


def measure(clip, store, warp, decoded, scratch):
    """Mean Y-PSNR over the half-way cameras and over the cameras left out."""
    figures = {"synthesis_psnr": [], "left_out_psnr": []}
    for target in targets(clip):
        real = reference(clip, store, warp, target)
        rendered = warp.render(clip, decoded, target, scratch)
        quality = metrics.texture_quality(real, rendered, clip.width, clip.height, clip.frames,
                                          with_ssim=False)
        pathlib.Path(rendered).unlink()
        figures["left_out_psnr" if target.view else "synthesis_psnr"].append(quality["y_psnr"])
    return {name: sum(values) / len(values) for name, values in figures.items() if values}
