"""HTM, the reference software of MV-HEVC and 3D-HEVC.

Both need a configuration file of HTM's cfg folder. Depth is coded with 8 bits, as in the 3D-HEVC
test conditions, in 4:2:0 with grey chroma."""
import re

import programs
from coders import samples
from coders.base import Simulcast, Whole
from errors import RdError, Unavailable

ENCODER = ("htm-encoder", ("TAppEncoderStatic", "TAppEncoder"))
DECODER = ("htm-decoder", ("TAppDecoderStatic", "TAppDecoder"))
HINT = "build HTM 16 (hevc.hhi.fraunhofer.de)"


def several_views(text, views):
    """Overrides that make MV-HEVC's configuration of two views one of `views`: each view refers to
    the one before it (I-P-P-...), with the coding structure that the file gives for view 1."""
    lines = re.findall(r"^Frame(\w+)_l1\s*:(.*)$", text, re.MULTILINE)
    if not lines:
        raise RdError("the configuration of MV-HEVC has no Frame..._l1 lines: give HTM's "
                      "cfg/MV-HEVC/baseCfg_2view.cfg")
    numbers = list(range(views))
    last = " ".join(map(str, numbers))
    result = [f"NumberOfLayers : {views}", f"ViewOrderIndex : {last}", f"ViewId : {last}",
              f"DimensionIdLen : {max(3, (views - 1).bit_length())}", "VpsNumLayerSets : 2", "LayerIdsInSet_0 : 0",
              f"LayerIdsInSet_1 : {last}", "OutputLayerSetIdx : 1",
              f"LayerIdsInAddOutputLayerSet_0 : {last}", "ProfileTierLevelIdx_0 : 1"]
    levels = " ".join(["1"] + ["2"] * (views - 1))
    result += [f"ProfileTierLevelIdx_{i} : {levels}" for i in (1, 2)]
    for n in numbers[1:]:
        result += [f"DirectRefLayers_{n} : {n - 1}", f"DependencyTypes_{n} : 2"]
        result += [f"Frame{name}_l{n} :{values}" for name, values in lines]
    return "\n".join(result) + "\n"


class Htm:
    """What MV-HEVC and 3D-HEVC have in common."""
    config = None

    def check(self):
        self.encoder = self.programs.need(ENCODER[0], HINT, ENCODER[1])
        self.decoder = self.programs.need(DECODER[0], HINT, DECODER[1])
        if not self.config:
            raise Unavailable(f"no configuration: give HTM's with --{self.name}-config FILE")

    def qualities(self):
        return self.options.qps

    def identity(self, clip):
        return {"codec": self.name, "encoder": programs.digest(self.encoder),
                "decoder": programs.digest(self.decoder), "config": programs.digest(self.config)}

    def run_encoder(self, clip, configs, inputs, qps, stream):
        if clip.gop % 8 and clip.gop != clip.frames:
            raise Unavailable("HTM's configurations need a GOP of a multiple of 8 frames")
        period = -1 if clip.gop == clip.frames else clip.gop
        command = [self.encoder]
        for config in configs:
            command += ["-c", config]
        for layer, path in enumerate(inputs):
            command += [f"--InputFile_{layer}={path}", f"--ReconFile_{layer}=/dev/null"]
        return programs.run(command + [
            f"--BitstreamFile={stream}", f"--SourceWidth={clip.width}",
            f"--SourceHeight={clip.height}", f"--FrameRate={round(clip.fps)}",
            f"--FramesToBeEncoded={clip.frames}", "--InputBitDepth=8", f"--IntraPeriod={period}",
            "--QP=" + " ".join(f"{qp:g}" for qp in qps)])

    def run_decoder(self, stream, out, layers):
        """The decoder appends _LAYER to the name."""
        times = programs.run([self.decoder, "-b", stream, "-o", out / "layer.yuv", "-d", "8"])
        files = [out / f"layer_{layer}.yuv" for layer in range(layers)]
        for path in files:
            if not path.exists():
                raise RdError(f"{self.decoder} wrote no {path.name}")
        return times, files


class MvHevc(Htm, Simulcast):
    """All textures in one stream, all depths in another."""
    name, title, quality_name = "mv-hevc", "MV-HEVC (HTM)", "qp"

    def __init__(self, options):
        super().__init__(options)
        self.config = options.mv_hevc_config

    def encode(self, clip, part, folder):
        inputs, temporary = [], []
        for view in clip.views:
            path = clip.original(view, part.component)
            if part.component == "depth":
                source, path = path, folder / f"{view}.yuv"
                samples.depth_to_bits(source, path, clip, 8, chroma=True)
                temporary.append(path)
            inputs.append(path)
        with open(self.config, encoding="utf-8", errors="replace") as file:
            text = several_views(file.read(), len(clip.views))
        views = folder / "views.cfg"
        views.write_text(text, encoding="utf-8")
        times = self.run_encoder(clip, [self.config, views], inputs,
                                 [part.setting] * len(inputs), folder / "stream.bit")
        for path in temporary + [views]:
            path.unlink()
        return times

    def decode(self, clip, part, folder, out):
        times, files = self.run_decoder(folder / "stream.bit", out, len(clip.views))
        for view, path in zip(clip.views, files):
            target = clip.file(out, view, part.component)
            if part.component == "depth":
                samples.depth_from_bits(path, target, clip, 8, chroma=True)
                path.unlink()
            else:
                path.rename(target)
        return times


class ThreeDHevc(Htm, Whole):
    """Textures and depths in one stream. Its camera model knows rectified rows of cameras only, so
    the configuration, for exactly the coded views and with their camera file, is the user's."""
    name, title, quality_name = "3d-hevc", "3D-HEVC (HTM)", "qp"
    depth_offsets = (-5, 0, 5, 10)

    def __init__(self, options):
        super().__init__(options)
        self.config = getattr(options, "3d_hevc_config")

    def encode(self, clip, part, folder):
        inputs, temporary = [], []
        for view in clip.views:
            depth = folder / f"{view}.yuv"
            samples.depth_to_bits(clip.original(view, "depth"), depth, clip, 8, chroma=True)
            temporary.append(depth)
            inputs += [clip.original(view, "texture"), depth]
        qps = [part.setting, min(part.setting + part.offset, 51)] * len(clip.views)
        times = self.run_encoder(clip, [self.config], inputs, qps, folder / "stream.bit")
        for path in temporary:
            path.unlink()
        return times

    def decode(self, clip, part, folder, out):
        times, files = self.run_decoder(folder / "stream.bit", out, 2 * len(clip.views))
        for i, view in enumerate(clip.views):
            files[2 * i].rename(clip.file(out, view, "texture"))
            samples.depth_from_bits(files[2 * i + 1], clip.file(out, view, "depth"), clip, 8,
                                    chroma=True)
            files[2 * i + 1].unlink()
        return times
