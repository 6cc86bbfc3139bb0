"""TMIV, the test model of MPEG Immersive Video, in its anchor configuration, with VVenC for the
atlases (TMIV's manual, "Instructions for CTC conditions")."""
import json
import pathlib
import re

import programs
from coders import samples
from coders.base import Whole
from coders.vvc import fraction
from errors import RdError, Unavailable

CONTENT = "clip"


class Tmiv(Whole):
    name, title, quality_name = "tmiv", "TMIV + VVenC", "qp"
    depth_offsets = (-5, 0, 5, 10)

    def check(self):
        hint = "build gitlab.com/mpeg-i-visual/tmiv"
        self.encoder = self.programs.need("tmiv-encoder", hint, ("TmivEncoder",))
        self.decoder = self.programs.need("tmiv-decoder", hint, ("TmivDecoder",))
        self.vvenc = self.programs.need("vvencapp", "build github.com/fraunhoferhhi/vvenc")
        self.vvdec = self.programs.need("vvdecapp", "build github.com/fraunhoferhhi/vvdec")
        if not self.options.tmiv_config:
            raise Unavailable("no configuration: give TMIV's config folder with --tmiv-config DIR")
        self.config = pathlib.Path(self.options.tmiv_config)
        for name in ("A_1_TMIV_encode.json", "A_4_TMIV_decode.json"):
            if not (self.config / "ctc" / "miv_anchor" / name).exists():
                raise Unavailable(f"{self.config} has no ctc/miv_anchor/{name}")

    def qualities(self):
        return self.options.qps

    def identity(self, clip):
        return {"codec": self.name, "preset": self.options.vvenc_preset,
                **{f.name: programs.digest(f) for f in
                   map(pathlib.Path, (self.encoder, self.decoder, self.vvenc, self.vvdec))},
                **{f.name: programs.digest(f) for f in
                   (self.config / "ctc" / "miv_anchor").glob("*.json")}}

    def sequence(self, clip, folder):
        """TMIV wants some fields more than other users of cameras.json."""
        with open(clip.raw / "coded" / "cameras.json", encoding="utf-8") as file:
            cameras = json.load(file)
        cameras.update({"BoundingBox_center": [0, 0, 0], "lengthsInMeters": True,
                        "sourceCameraNames": clip.views})
        path = folder / "sequence.json"
        path.write_text(json.dumps(cameras), encoding="utf-8")
        return path

    def common(self, clip, step):
        return ["-n", clip.frames, "-s", CONTENT, "-c",
                self.config / "ctc" / "miv_anchor" / step, "-p", "configDirectory", self.config]

    def encode(self, clip, part, folder):
        sequence = self.sequence(clip, folder)
        command = [self.encoder, *self.common(clip, "A_1_TMIV_encode.json"), "-f", 0]
        for name, value in (("inputDirectory", clip.raw), ("outputDirectory", folder),
                            ("inputSequenceConfigPathFmt", sequence),
                            ("inputTexturePathFmt", f"{{3}}_texture_{clip.size}_yuv420p.yuv"),
                            ("inputGeometryPathFmt", f"{{3}}_depth_{clip.size}_gray16le.yuv"),
                            ("outputBitstreamPathFmt", "miv.bit"),
                            ("outputTextureVideoDataPathFmt", "tex_c{3:02}_{4}x{5}.yuv"),
                            ("outputGeometryVideoDataPathFmt", "geo_c{3:02}_{4}x{5}.yuv"),
                            ("intraPeriod", clip.gop)):
            command += ["-p", name, value]
        times = programs.run(command)
        sequence.unlink()
        # Common test conditions: the geometry's QP as a function of the texture's.
        geometry = max(round(0.8 * part.setting - 14.2) + part.offset, 1)
        for atlas in sorted(folder.glob("*_c*.yuv")):
            kind, size = re.match(r"(tex|geo)_c\d+_(\d+x\d+)", atlas.name).groups()
            times += programs.run([
                self.vvenc, "-v", "1", "-i", atlas, "-s", size, "-c", "yuv420_10", "--fps",
                fraction(clip.fps), "-f", clip.frames, "--preset", self.options.vvenc_preset, "-q",
                f"{part.setting if kind == 'tex' else geometry:g}", "--qpa", 0, "-ip", clip.gop,
                "-o", atlas.with_suffix(".266")])
            atlas.unlink()
        return times

    def decode(self, clip, part, folder, out):
        times = programs.Times()
        for stream in sorted(folder.glob("*.266")):
            times += programs.run([self.vvdec, "-v", "1", "-b", stream, "-o",
                                   out / stream.with_suffix(".yuv").name])
        command = [self.decoder, *self.common(clip, "A_4_TMIV_decode.json"), "-N", clip.frames,
                   "-r", "R"]
        for view in clip.views:
            command += ["-v", view]
        for name, value in (("inputDirectory", out), ("outputDirectory", out),
                            ("inputBitstreamPathFmt", folder / "miv.bit"),
                            ("inputTextureVideoFramePathFmt", "tex_c{3:02}_{4}x{5}.yuv"),
                            ("inputGeometryVideoFramePathFmt", "geo_c{3:02}_{4}x{5}.yuv"),
                            ("outputViewportTexturePathFmt", "view_{3}_tex_{6}.yuv"),
                            ("outputViewportGeometryPathFmt", "view_{3}_geo_{6}.yuv")):
            command += ["-p", name, value]
        times += programs.run(command)
        for view in clip.views:
            self.rendered(clip, out, view, "tex", "texture")
            self.rendered(clip, out, view, "geo", "depth")
        for path in list(out.glob("*_c*.yuv")):
            path.unlink()
        return times

    @staticmethod
    def rendered(clip, out, view, kind, component):
        """The view's file, whatever format it was written in, in ours."""
        found = list(out.glob(f"view_{view}_{kind}_*.yuv"))
        if len(found) != 1:
            raise RdError(f"TMIV's decoder wrote {len(found)} files view_{view}_{kind}_*.yuv")
        pixels, target = found[0].stem.split("_")[-1], clip.file(out, view, component)
        if component == "texture":
            if pixels == "yuv420p10le":
                samples.texture_from_10_bits(found[0], target)
                found[0].unlink()
            else:
                found[0].rename(target)
            return
        bits = int(re.search(r"(\d+)le$", pixels)[1]) if pixels.endswith("le") else 8
        samples.depth_from_bits(found[0], target, clip, bits, chroma=pixels.startswith("yuv"))
        found[0].unlink()
