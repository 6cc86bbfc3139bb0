"""MV-INR: mode implicit by the command-line programs, hybrid and auto by the GStreamer elements."""
import json
import os
import pathlib

import programs
from coders.base import Whole
from errors import RdError, Unavailable


class Mvinr(Whole):
    quality_name = "lambda"

    def qualities(self):
        return self.options.lambdas

    def settings(self):
        o = self.options
        return {"effort": o.effort, "seconds": o.seconds, "profile": o.profile,
                "depth-weight": o.depth_weight}



class Implicit(Mvinr):
    name, title = "mvinr-implicit", "MV-INR implicit"

    def check(self):
        hint = "build this project with LibTorch (--build names the build folder)"
        self.encoder = self.programs.need("mvinr-encode", hint)
        self.decoder = self.programs.need("mvinr-decode", hint)

    def identity(self, clip):
        return {"codec": self.name, **self.settings(), "encoder": programs.digest(self.encoder),
                "decoder": programs.digest(self.decoder), **programs.own_libraries(self.encoder)}

    def command(self, clip, setting, stream, stats):
        o = self.options
        command = [self.encoder, "--mode", "implicit", "--input-dir", clip.raw, "--cameras",
                   clip.raw / "cameras.json", "--views", ",".join(clip.views), "--size", clip.size,
                   "--frames", clip.frames, "--gop", clip.gop, "--lambda", f"{setting:g}",
                   "--depth-weight", f"{o.depth_weight:g}", "--profile", o.profile, "--effort",
                   o.effort, "--stats", stats, "-q", "-o", stream]
        return command + (["--time-budget", f"{o.seconds:g}"] if o.seconds else [])

    def encode(self, clip, part, folder):
        stats = folder / "stats.json"
        times = programs.run(self.command(clip, part.setting, folder / "stream.mvinr", stats))
        stats.unlink()
        return times

    def floor(self, clip, setting, folder):
        """Only encodes; the encoder itself measures on decoded pictures."""
        stats = folder / "stats.json"
        programs.run(self.command(clip, setting, folder / "stream.mvinr", stats))
        with open(stats, encoding="utf-8") as file:
            return json.load(file)["gops"]

    def decode(self, clip, part, folder, out):
        return programs.run([self.decoder, folder / "stream.mvinr", "-q", "-o", out, "--names",
                             ",".join(clip.views)])


class Hybrid(Mvinr):
    name, title, mode = "mvinr-hybrid", "MV-INR hybrid", "hybrid"

    def check(self):
        hint = "install the package gstreamer1.0-tools"
        self.launch = self.programs.need("gst-launch-1.0", hint)
        inspect = self.programs.need("gst-inspect-1.0", hint)
        for element in ("mvinrenc", "mvinrparse", "mvinrdec", "rawvideoparse"):
            try:
                programs.run([inspect, element], self.environment())
            except RdError:
                raise Unavailable(f"GStreamer has no element {element}: build this project with "
                                  "LibTorch and GStreamer (--build names the build folder)"
                                  ) from None

    # --no-fault below: a crash ends gst-launch, which otherwise waits for a debugger for ever.

    def environment(self):
        plugins = [os.path.abspath(os.path.join(self.options.build, "gst", name))
                   for name in ("mvinr", "mvinrenc")]
        inherited = os.environ.get("GST_PLUGIN_PATH")
        return {"GST_PLUGIN_PATH": ":".join(plugins + ([inherited] if inherited else []))}

    def identity(self, clip):
        found = {"codec": self.name, **self.settings(), "base-views": self.options.base_views,
                 "base-encoder": self.options.base_encoder, **self.plugins()}
        if self.options.motion:
            found["motion"] = self.options.motion
        return found

    def plugins(self):
        """Digests of the elements and libraries: a rebuilt codec makes the points anew."""
        found = {}
        for path in self.environment()["GST_PLUGIN_PATH"].split(":"):
            for plugin in pathlib.Path(path).glob("libgstmvinr*.so"):
                found.update({plugin.name: programs.digest(plugin),
                              **programs.own_libraries(plugin)})
        return found

    def encode(self, clip, part, folder):
        o = self.options
        properties = [f"mode={self.mode}", f"lambda={part.setting:g}", f"gop-size={clip.gop}",
                      f"profile={o.profile}", f"depth-weight={o.depth_weight:g}",
                      f"effort={o.effort}", f"cameras={clip.raw / 'coded' / 'cameras.json'}"]
        if o.seconds:
            properties.append(f"time-budget={o.seconds:g}")
        if o.motion:
            properties.append(f"motion={o.motion}")
        if o.base_views:
            # gst-launch takes a comma in a value for a separator unless it is quoted.
            properties.append(f'base-views="{o.base_views}"')
        if o.base_encoder:
            properties.append(f'base-encoder="{o.base_encoder}"')
        command = [self.launch, "--no-fault", "-e", "-q", "mvinrenc", "name=e", *properties, "!",
                   "mvinrparse", "!", "filesink", f"location={folder / 'stream.mvinr'}"]
        for number, view in enumerate(clip.views):
            for component in ("texture", "depth"):
                command += ["filesrc", f"location={clip.original(view, component)}", "!",
                            *raw_video(clip, component), "!", "queue", "!",
                            f"e.{component}_{number}"]
        try:
            return programs.run(command, self.environment())
        except RdError as error:
            for sign in ("not built yet", "no property \"base-"):
                if sign in str(error):
                    raise Unavailable(f"mvinrenc answers that mode={self.mode} is not built yet"
                                      ) from None
            raise

    def decode(self, clip, part, folder, out):
        command = [self.launch, "--no-fault", "-q", "filesrc",
                   f"location={folder / 'stream.mvinr'}", "!", "mvinrparse", "!", "mvinrdec", "name=d"]
        for number, view in enumerate(clip.views):
            for component in ("texture", "depth"):
                command += [f"d.{component}_{number}", "!", "queue", "!", "filesink",
                            f"location={clip.file(out, view, component)}"]
        times = programs.run(command, self.environment())
        for view in clip.views:
            for component in ("texture", "depth"):
                remove_padding(clip, component, clip.file(out, view, component))
        return times


class Auto(Hybrid):
    name, title, mode = "mvinr-auto", "MV-INR auto", "auto"


def planes(clip, component):
    """(width in bytes, GStreamer's default stride, rows) of each plane."""
    w, h = clip.width, clip.height
    if component == "depth":
        return [(2 * w, (2 * w + 3) & ~3, h)]
    chroma = ((w + 1) // 2, (((w + 1) & ~1) // 2 + 3) & ~3, (h + 1) // 2)
    return [(w, (w + 3) & ~3, h), chroma, chroma]


def raw_video(clip, component):
    """rawvideoparse for files without padding."""
    layout = planes(clip, component)
    offsets = [sum(w * rows for w, _, rows in layout[:i]) for i in range(len(layout))]
    rate = f"{round(clip.fps * 1001)}/1001" if clip.fps % 1 else f"{clip.fps:g}/1"
    return ["rawvideoparse", "format=" + ("gray16-le" if component == "depth" else "i420"),
            f"width={clip.width}", f"height={clip.height}", f"framerate={rate}",
            "plane-strides=<" + ",".join(str(w) for w, _, _ in layout) + ">",
            "plane-offsets=<" + ",".join(map(str, offsets)) + ">",
            f"frame-size={sum(w * rows for w, _, rows in layout)}"]


def remove_padding(clip, component, path):
    """filesink writes rows as they lie in memory."""
    layout = planes(clip, component)
    # I420 of an odd height: GStreamer keeps an even number of luma rows.
    rows = [h + (h & 1 if component == "texture" and i == 0 else 0)
            for i, (_, _, h) in enumerate(layout)]
    padded = sum(stride * r for (_, stride, _), r in zip(layout, rows))
    if path.stat().st_size != clip.frames * padded:
        return  # without padding, or damaged: the caller checks the size
    packed = path.with_suffix(".packed")
    with open(path, "rb") as read, open(packed, "wb") as write:
        while data := read.read(padded):
            start = 0
            for (width, stride, height), stored in zip(layout, rows):
                for row in range(height):
                    write.write(data[start + row * stride:start + row * stride + width])
                start += stride * stored
    os.replace(packed, path)
