"""x265 simulcast, through ffmpeg."""
import programs
from coders.base import Simulcast
from errors import Unavailable


class X265(Simulcast):
    name, title, quality_name = "x265", "x265 slow, simulcast", "crf"
    highest, suffix = 51, ".hevc"

    def check(self):
        self.ffmpeg = self.programs.need("ffmpeg", "install the package ffmpeg")
        if "x265" not in programs.output([self.ffmpeg, "-hide_banner", "-h", "encoder=libx265"]):
            raise Unavailable(f"{self.ffmpeg} was built without libx265")

    def qualities(self):
        return self.options.crfs

    def identity(self, clip):
        return {"codec": self.name, "version": programs.first_line([self.ffmpeg, "-version"]),
                "preset": self.options.x265_preset, "tune": "psnr", "info": self.options.x265_info}

    def encode_video(self, clip, source, component, setting, stream):
        pixels = "gray10le" if component == "depth" else "yuv420p"
        params = (f"crf={setting:g}:keyint={clip.gop}:min-keyint={clip.gop}:scenecut=0:"
                  f"info={self.options.x265_info}:log-level=error")
        return programs.run([
            self.ffmpeg, "-v", "error", "-y", "-f", "rawvideo", "-s", clip.size, "-r",
            f"{clip.fps:g}", "-pix_fmt", pixels, "-i", source, "-c:v", "libx265", "-preset",
            self.options.x265_preset, "-tune", "psnr", "-x265-params", params, "-f", "hevc",
            stream])

    def decode_video(self, clip, stream, component, out):
        pixels = "gray10le" if component == "depth" else "yuv420p"
        return programs.run([self.ffmpeg, "-v", "error", "-y", "-i", stream, "-vsync", "0",
                             "-pix_fmt", pixels, "-f", "rawvideo", out])
