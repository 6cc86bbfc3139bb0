import json
import pathlib
import tempfile
import unittest

import clips
import synthesis
import testing
from errors import RdError


class Clips(unittest.TestCase):
    def setUp(self):
        self.temporary = tempfile.TemporaryDirectory()
        self.addCleanup(self.temporary.cleanup)
        self.folder = pathlib.Path(self.temporary.name)

    def clip(self, positions, **options):
        return clips.Clip(testing.write_clip(self.folder / "clip", positions), **options)

    def test_half_way_cameras_of_a_row_lie_between_consecutive_cameras(self):
        clip = self.clip([(0, -0.14 * i, 0) for i in range(4)])
        self.assertEqual(clips.neighbours(clip), [("v0", "v1"), ("v1", "v2"), ("v2", "v3")])
        self.assertEqual([t.name for t in synthesis.targets(clip)], ["v0-v1", "v1-v2", "v2-v3"])

    def test_half_way_cameras_of_a_grid_connect_all_cameras_by_the_shortest_pairs(self):
        # 3 columns 0.14 apart, 2 rows 0.12 apart: the 3 vertical pairs and 2 horizontal ones.
        clip = self.clip([(0, -0.14 * (i % 3), -0.12 * (i // 3)) for i in range(6)])
        pairs = clips.neighbours(clip)
        self.assertEqual(len(pairs), 5)
        for pair in (("v0", "v3"), ("v1", "v4"), ("v2", "v5")):
            self.assertIn(pair, pairs)

    def test_a_left_out_camera_is_rendered_from_the_coded_ones_beside_it(self):
        clip = self.clip([(0, -0.14 * i, 0) for i in range(5)], left_out=["v1", "v3"])
        self.assertEqual(clip.views, ["v0", "v2", "v4"])
        self.assertEqual(clips.nearest(clip, "v3"), ["v2", "v4"])
        self.assertEqual(synthesis.targets(clip)[-2:],
                         [synthesis.Target(("v0", "v2"), "v1"),
                          synthesis.Target(("v2", "v4"), "v3")])

    def test_one_view_has_no_half_way_camera(self):
        self.assertEqual(synthesis.targets(self.clip([(0, 0, 0)])), [])

    def test_cameras_scale_with_the_pictures(self):
        clip = self.clip([(0, 0, 0)])
        camera = clips.scaled_cameras(clip.cameras, 32, 12)["cameras"][0]
        self.assertEqual((camera["Resolution"], camera["Focal"], camera["Principle_point"]),
                         ([32, 12], [30, 15], [16, 6]))
        self.assertEqual(clip.camera("v0")["Resolution"], [64, 48])

    def test_poses_have_pixel_centres_at_whole_numbers(self):
        poses = clips.scaled_poses({"K": [[[60, 0, 31.5], [0, 60, 23.5], [0, 0, 1]]]}, (64, 48),
                                   (32, 24))
        self.assertEqual(poses["K"][0], [[30, 0, 15.5], [0, 30, 11.5], [0, 0, 1]])

    def test_cameras_of_the_coded_views_are_written_with_their_poses(self):
        poses = {"K": [[[60, 0, v], [0, 60, 0], [0, 0, 1]] for v in range(3)],
                 "frames": [[[[f, v]] for f in range(4)] for v in range(3)]}
        folder = testing.write_clip(self.folder / "clip", [(0, -v, 0) for v in range(3)])
        (folder / "poses.json").write_text(json.dumps(poses))
        clip = clips.Clip(folder, views=["v2", "v0"])
        clip.write_cameras(self.folder)
        for place, order in ((self.folder, [0, 1, 2]), (self.folder / "coded", [2, 0])):
            cameras = json.loads((place / "cameras.json").read_text())
            self.assertEqual([c["Name"] for c in cameras["cameras"]], [f"v{v}" for v in order])
            read = json.loads((place / "poses.json").read_text())
            self.assertEqual(read["frames"], [[[[f, v]] for f in range(4)] for v in order])
            self.assertEqual([k[0][2] for k in read["K"]], order)

    def test_the_number_of_views_or_their_names_can_be_given(self):
        self.assertEqual(self.clip([(0, 0, 0)] * 3, views=2).views, ["v0", "v1"])
        self.assertEqual(self.clip([(0, 0, 0)] * 3, views=["v2", "v0"]).views, ["v2", "v0"])

    def test_what_is_missing_is_named(self):
        with self.assertRaisesRegex(RdError, "cameras.json: No such file"):
            clips.Clip(self.folder / "nowhere")
        with self.assertRaisesRegex(RdError, "has no view v7; it has v0, v1"):
            self.clip([(0, 0, 0)] * 2, views=["v7"])
        with self.assertRaisesRegex(RdError, "has 2 frames, not 9"):
            self.clip([(0, 0, 0)], frames=9)
        with self.assertRaisesRegex(RdError, "either coded or left out"):
            self.clip([(0, 0, 0)] * 2, views=["v0"], left_out=["v0"])
        folder = testing.write_clip(self.folder / "clip", [(0, 0, 0)])
        (folder / "v0_depth.mkv").unlink()
        with self.assertRaisesRegex(RdError, "v0_depth.mkv is not there"):
            clips.Clip(folder)
        (folder / "cameras.json").write_text("{")
        with self.assertRaisesRegex(RdError, "cameras.json"):
            clips.Clip(folder)
        (folder / "cameras.json").write_text(json.dumps({"cameras": []}))
        with self.assertRaisesRegex(RdError, "has no v0_texture.mkv"):
            clips.Clip(folder)

    def test_a_decoder_that_gives_too_few_pictures_is_an_error(self):
        clip = testing.raw_clip(self.folder)
        clip.check_decoded(clip.raw)
        with open(clip.original("v1", "depth"), "r+b") as file:
            file.truncate(100)
        with self.assertRaisesRegex(RdError, "v1_depth_64x48_gray16le.yuv: 100, expected"):
            clip.check_decoded(clip.raw)

    def test_other_pictures_have_another_identity(self):
        clip = self.clip([(0, 0, 0)])
        before = clip.identity()
        self.assertEqual(before, self.clip([(0, 0, 0)]).identity())
        (clip.folder / "v0_texture.mkv").write_bytes(b"x")
        self.assertNotEqual(before, self.clip([(0, 0, 0)]).identity())
