"""VVenC and VVdeC simulcast."""
import programs
from coders import samples
from coders.base import Simulcast


class Vvc(Simulcast):
    name, title, quality_name = "vvenc", "VVenC, simulcast", "qp"
    highest, suffix = 63, ".266"

    def check(self):
        hint = "build github.com/fraunhoferhhi/{}"
        self.encoder = self.programs.need("vvencapp", hint.format("vvenc"))
        self.decoder = self.programs.need("vvdecapp", hint.format("vvdec"))

    def qualities(self):
        return self.options.qps

    def identity(self, clip):
        return {"codec": self.name, "program": programs.digest(self.encoder),
                "decoder": programs.digest(self.decoder), "preset": self.options.vvenc_preset}

    def encode_video(self, clip, source, component, setting, stream):
        return programs.run([
            self.encoder, "-v", "1", "-i", source, "-s", clip.size, "-c",
            "yuv400_10" if component == "depth" else "yuv420", "--fps", fraction(clip.fps), "-f",
            clip.frames, "--preset", self.options.vvenc_preset, "-q", f"{setting:g}", "--qpa", 0,
            "-ip", clip.gop, "-o", stream])

    def decode_video(self, clip, stream, component, out):
        """vvencapp codes 8-bit input with 10 bits; vvdecapp writes what it decodes: 10 bits."""
        if component == "depth":
            return programs.run([self.decoder, "-v", "1", "-b", stream, "-o", out])
        ten = out.with_suffix(".10")
        times = programs.run([self.decoder, "-v", "1", "-b", stream, "-o", ten])
        samples.texture_from_10_bits(ten, out)
        ten.unlink()
        return times


def fraction(fps):
    """30 as "30", 29.97 as "30000/1001"."""
    if abs(fps - round(fps)) < 1e-6:
        return f"{round(fps)}"
    return f"{round(fps * 1.001) * 1000}/1001"
