"""The codecs' adapters against stand-in programs that copy their input: names, options, sample
formats and clear messages, without the programs themselves."""
import pathlib
import tempfile
import unittest

import numpy as np

import coders
import testing
from coders import htm, mvinr, samples
from coders.base import Part
from errors import RdError, Unavailable

# VVenC: 8-bit 4:2:0 input is "coded" as 10 bits; the stream is the samples.
VVENC = """
import sys, numpy as np
a = dict(zip(sys.argv[1::2], sys.argv[2::2]))
assert a['-s'] == '64x48' and a['--qpa'] == '0' and a['-ip'] == '2' and a['-f'] == '2', a
d = np.fromfile(a['-i'], 'u1' if a['-c'] == 'yuv420' else '<u2')
(d.astype('<u2') << 2 if a['-c'] == 'yuv420' else d).tofile(a['-o'])
"""
VVDEC = """
import sys, shutil
a = dict(zip(sys.argv[1::2], sys.argv[2::2]))
shutil.copy(a['-b'], a['-o'])
"""
# HTM: the stream is all layers, one after the other, each with the same number of bytes.
HTM_ENCODER = """
import sys
a = dict(w[2:].split('=', 1) for w in sys.argv[1:] if w.startswith('--'))
configs = [sys.argv[i + 1] for i, w in enumerate(sys.argv) if w == '-c']
text = ''.join(open(c).read() for c in configs)
layers = sum(name.startswith('InputFile_') for name in a)
assert len(a['QP'].split()) == layers and a['IntraPeriod'] == '-1', a
open(a['BitstreamFile'], 'wb').write(bytes([layers]) + b''.join(
    open(a[f'InputFile_{i}'], 'rb').read() for i in range(layers)))
"""
HTM_DECODER = """
import sys
a = dict(zip(sys.argv[1::2], sys.argv[2::2]))
data = open(a['-b'], 'rb').read()
layers, data = data[0], data[1:]
for i in range(layers):
    n = len(data) // layers
    open(a['-o'].replace('.yuv', f'_{i}.yuv'), 'wb').write(data[i * n:(i + 1) * n])
"""
BASE_CFG = """NumberOfLayers : 2
Frame1:     B    8     1     0.442
FrameI_l1:  P    0     3     0.442  1 0 0 -1
Frame1_l1:  B    8     4     0.442  1 0 1 -1
"""


class Fixture(unittest.TestCase):
    def setUp(self):
        self.temporary = tempfile.TemporaryDirectory()
        self.addCleanup(self.temporary.cleanup)
        self.folder = pathlib.Path(self.temporary.name)
        self.bin = self.folder / "bin"
        self.bin.mkdir()
        self.clip = testing.raw_clip(self.folder)


class CodersTest(Fixture):
    def round_trip(self, codec, parts):
        codec.check()
        for part in parts:
            streams, out = self.folder / f"s{part.component}", self.folder / "out"
            streams.mkdir()
            out.mkdir(exist_ok=True)
            codec.encode(self.clip, part, streams)
            self.assertTrue(codec.streams(streams))
            codec.decode(self.clip, part, streams, out)
            self.clip.check_decoded(out, part.components)
        left = {p.name for p in out.iterdir()}
        self.assertEqual(left, {self.clip.file(out, v, c).name for v in self.clip.views
                                for c in ("texture", "depth")})
        return out

    def assert_close(self, out, component, bits):
        for view in self.clip.views:
            dtype = "u1" if component == "texture" else "<u2"
            a = np.fromfile(self.clip.original(view, component), dtype).astype(int)
            b = np.fromfile(self.clip.file(out, view, component), dtype).astype(int)
            peak = 255 if component == "texture" else 65535
            self.assertLessEqual(np.abs(a - b).max(), peak / (2 ** bits - 1) / 2 + 0.5)

    def test_sample_formats_keep_both_ends_and_the_nearest_value(self):
        values = np.arange(65536).astype("<u2")
        for bits in (8, 10, 16):
            back = samples.from_bits(samples.to_bits(values, bits), bits)
            self.assertEqual((back[0], back[-1]), (0, 65535))
            worst = np.abs(back.astype(int) - values).max()
            self.assertLessEqual(worst, 65535 / (2 ** bits - 1) / 2 + 0.5)

    def test_vvenc(self):
        testing.script(self.bin / "vvencapp", VVENC)
        testing.script(self.bin / "vvdecapp", VVDEC)
        codec = coders.CODECS["vvenc"](testing.options(self.bin))
        out = self.round_trip(codec, codec.parts(30, -5))
        self.assert_close(out, "texture", 8)
        self.assert_close(out, "depth", 10)

    def htm(self, name, **values):
        testing.script(self.bin / "htm-encoder", HTM_ENCODER)
        testing.script(self.bin / "htm-decoder", HTM_DECODER)
        (self.folder / "base.cfg").write_text(BASE_CFG)
        return coders.CODECS[name](testing.options(self.bin, **values))

    def test_mv_hevc(self):
        codec = self.htm("mv-hevc", mv_hevc_config=str(self.folder / "base.cfg"))
        out = self.round_trip(codec, codec.parts(30, 5))
        self.assert_close(out, "texture", 8)
        self.assert_close(out, "depth", 8)

    def test_3d_hevc(self):
        codec = self.htm("3d-hevc", **{"3d_hevc_config": str(self.folder / "base.cfg")})
        parts = codec.parts(30, 5)
        self.assertEqual(parts, [Part("all", 30, 5)])
        out = self.round_trip(codec, parts)
        self.assert_close(out, "texture", 8)
        self.assert_close(out, "depth", 8)

    def test_mv_hevc_for_more_views_refers_to_the_view_before(self):
        text = htm.several_views(BASE_CFG, 4)
        self.assertIn("NumberOfLayers : 4\n", text)
        self.assertIn("LayerIdsInSet_1 : 0 1 2 3\n", text)
        self.assertIn("DirectRefLayers_3 : 2\n", text)
        self.assertIn("FrameI_l3 :  P    0     3     0.442  1 0 0 -1\n", text)
        with self.assertRaisesRegex(RdError, "no Frame..._l1 lines"):
            htm.several_views("NumberOfLayers : 1", 4)

    def test_htm_without_configuration_says_which_option_is_missing(self):
        with self.assertRaisesRegex(Unavailable, "--mv-hevc-config FILE"):
            self.htm("mv-hevc").check()

    def test_every_codec_names_its_missing_program(self):
        for name, program in (("vvenc", "vvencapp"), ("mv-hevc", "htm-encoder"),
                              ("3d-hevc", "htm-encoder"), ("tmiv", "tmiv-encoder")):
            codec = coders.CODECS[name](testing.options(self.bin))
            if not codec.programs.look(program):
                with self.assertRaisesRegex(Unavailable, f"{program}.*--program {program}=PATH"):
                    codec.check()

    def test_depth_quantisers_end_at_the_codec_s_highest(self):
        codec = coders.CODECS["x265"](testing.options(self.bin))
        self.assertEqual([p.setting for p in codec.parts(42, 10)], [42, 51])


class HybridTest(Fixture):
    """mvinrenc through gst-launch."""

    def hybrid(self, launch):
        testing.script(self.bin / "gst-launch-1.0", launch)
        testing.script(self.bin / "gst-inspect-1.0", "")
        codec = mvinr.Hybrid(testing.options(self.bin, base_views="v0,v1", motion="learned"))
        codec.check()
        return codec

    def test_a_mode_that_is_not_built_is_left_out_with_a_message(self):
        for message in ("mode hybrid (explicit base view) is not built yet; use implicit or auto",
                        'no property \\"base-views\\" in element \\"e\\"'):
            codec = self.hybrid(f"import sys; sys.exit('{message}')")
            with self.assertRaisesRegex(Unavailable, "mode=hybrid is not built yet"):
                codec.encode(self.clip, Part("all", 0.004), self.folder)

    def test_other_failures_are_errors(self):
        codec = self.hybrid("import sys; sys.exit('no element x265enc')")
        with self.assertRaisesRegex(RdError, "no element x265enc"):
            codec.encode(self.clip, Part("all", 0.004), self.folder)

    def test_settings_and_pads_reach_the_element(self):
        codec = self.hybrid(f"import sys\nopen('{self.folder}/line', 'w')"
                            ".write('\\n'.join(sys.argv))")
        codec.encode(self.clip, Part("all", 0.004), self.folder)
        words = (self.folder / "line").read_text().split("\n")
        for word in ("mode=hybrid", "lambda=0.004", "gop-size=2", 'base-views="v0,v1"',
                     "motion=learned",
                     f"cameras={self.clip.raw / 'coded' / 'cameras.json'}", "e.texture_1", "e.depth_1",
                     "format=gray16-le", "format=i420", "framerate=30/1"):
            self.assertIn(word, words)

    def test_rows_lose_the_padding_that_filesink_writes(self):
        clip = testing.raw_clip(self.folder / "odd", size=(18, 17))
        path = clip.file(self.folder, "v0", "texture")
        layout = [(18, 20, 17, 18), (9, 12, 9, 9), (9, 12, 9, 9)]  # width, stride, rows, stored
        stored, packed = b"", b""
        for picture in range(2):
            for width, stride, rows, lines in layout:
                for row in range(lines):
                    data = bytes([(picture * 50 + row) % 251]) * width
                    stored += data + bytes(stride - width)
                    packed += data if row < rows else b""
        path.write_bytes(stored)
        mvinr.remove_padding(clip, "texture", path)
        self.assertEqual(path.read_bytes(), packed)
