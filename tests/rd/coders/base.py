"""What every codec offers to curve.py."""
import dataclasses
import pathlib

import programs
from coders import samples


@dataclasses.dataclass(frozen=True)
class Part:
    """Pictures that one setting codes together: all textures, all depths, or both."""
    component: str  # texture, depth or all
    setting: float  # quantiser or lambda
    offset: float = 0  # of the depth's quantiser, where one run codes both

    @property
    def components(self):
        return ("texture", "depth") if self.component == "all" else (self.component,)


class Codec:
    """encode() writes bitstreams into a folder and says which; decode() makes raw files of them.

    Both return programs.Times of the codec's own programs; conversions of ours do not count."""
    name = ""             # in tables and for --codecs
    title = ""            # in plots
    quality_name = ""     # what `quality` is
    depth_offsets = (0,)  # to choose the depth quantiser from

    def __init__(self, options):
        self.options = options
        self.programs = options.programs

    def check(self):
        """Raises Unavailable, which names what is missing."""

    def qualities(self):
        """The settings of the points of a curve."""
        raise NotImplementedError

    def identity(self, clip):
        """All that decides the bytes besides clip and Part."""
        raise NotImplementedError

    def parts(self, quality, offset):
        """The Parts that make up one point."""
        raise NotImplementedError

    def encode(self, clip, part, folder):
        raise NotImplementedError

    def decode(self, clip, part, folder, out):
        raise NotImplementedError

    def streams(self, folder):
        """Everything that a decoder needs; their sizes are the rate."""
        return sorted(p for p in pathlib.Path(folder).iterdir()
                      if p.is_file() and p.name != "result.json")


class Whole(Codec):
    """A codec that codes textures and depths of all views into one stream."""

    def parts(self, quality, offset):
        return [Part("all", quality, offset)]


class Simulcast(Codec):
    """An ordinary video codec: every texture and every depth is a stream of its own."""
    depth_offsets = (-5, 0, 5, 10)
    highest = 51
    suffix = ""

    def parts(self, quality, offset):
        return [Part("texture", quality), Part("depth", min(quality + offset, self.highest))]

    def encode_video(self, clip, source, component, setting, stream):
        raise NotImplementedError

    def decode_video(self, clip, stream, component, out):
        """Writes 8-bit 4:2:0 texture or 10-bit monochrome depth."""
        raise NotImplementedError

    def encode(self, clip, part, folder):
        times = programs.Times()
        for view in clip.views:
            source = clip.original(view, part.component)
            if part.component == "depth":
                ten = folder / "depth10.yuv"
                samples.depth_to_bits(source, ten, clip, 10)
                source = ten
            times += self.encode_video(clip, source, part.component, part.setting,
                                       folder / f"{view}{self.suffix}")
        (folder / "depth10.yuv").unlink(missing_ok=True)
        return times

    def decode(self, clip, part, folder, out):
        times = programs.Times()
        for view in clip.views:
            target = clip.file(out, view, part.component)
            stream = folder / f"{view}{self.suffix}"
            if part.component == "depth":
                ten = out / "depth10.yuv"
                times += self.decode_video(clip, stream, "depth", ten)
                samples.depth_from_bits(ten, target, clip, 10)
                ten.unlink()
            else:
                times += self.decode_video(clip, stream, "texture", target)
        return times
