"""SVT-AV1 and dav1d simulcast, through ffmpeg."""
import programs
from coders import samples
from coders.base import Simulcast
from errors import Unavailable


class Av1(Simulcast):
    name, title, quality_name = "av1", "SVT-AV1, simulcast", "crf"
    highest, suffix = 63, ".obu"

    def check(self):
        self.ffmpeg = self.programs.need("ffmpeg", "install the package ffmpeg")
        for kind, name in (("encoder", "libsvtav1"), ("decoder", "libdav1d")):
            if name not in programs.output([self.ffmpeg, "-hide_banner", "-v", "0", f"-{kind}s"]):
                raise Unavailable(f"{self.ffmpeg} was built without {name}")

    def qualities(self):
        return self.options.crfs

    def identity(self, clip):
        return {"codec": self.name, "version": programs.first_line([self.ffmpeg, "-version"]),
                "preset": self.options.av1_preset}

    def encode_video(self, clip, source, component, setting, stream):
        """SVT-AV1 has no monochrome: depth gets grey chroma."""
        pixels = "yuv420p"
        if component == "depth":
            pixels, with_chroma = "yuv420p10le", stream.with_suffix(".420")
            samples.add_grey_chroma(source, with_chroma, clip)
            source = with_chroma
        times = programs.run([
            self.ffmpeg, "-v", "error", "-y", "-f", "rawvideo", "-s", clip.size, "-r",
            f"{clip.fps:g}", "-pix_fmt", pixels, "-i", source, "-c:v", "libsvtav1", "-preset",
            self.options.av1_preset, "-crf", f"{setting:g}", "-g", clip.gop, "-f", "obu", stream])
        stream.with_suffix(".420").unlink(missing_ok=True)
        return times

    def decode_video(self, clip, stream, component, out):
        # Depth as it is: a conversion to grey would stretch its range.
        pixels, target = ("yuv420p10le", out.with_suffix(".420")) if component == "depth" else (
            "yuv420p", out)
        times = programs.run([self.ffmpeg, "-v", "error", "-y", "-c:v", "libdav1d", "-i", stream,
                              "-vsync", "0", "-pix_fmt", pixels, "-f", "rawvideo", target])
        if component == "depth":
            samples.drop_chroma(target, out, clip)
            target.unlink()
        return times
