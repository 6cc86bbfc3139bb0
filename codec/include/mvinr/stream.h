// What an access unit says about itself, and how to find access units in a byte stream.
// The format is defined in docs/bitstream.md.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "mvinr/types.h"

namespace mvinr {

inline constexpr int kBitstreamVersion = 4;
inline constexpr int kMaxViews = 64;
inline constexpr int kMaxPictureSize = 8192;  // width and height
inline constexpr int kMaxBaseViews = 16;
inline constexpr int kMaxGopFrames = 256;
inline constexpr uint32_t kMaxAccessUnitBytes = 256u << 20;
inline constexpr size_t kAccessUnitPrefixBytes = 16;  // enough for find_access_unit to give a size

/// One perspective camera in MIV conventions (OMAF axes: x forward, y left, z up).
struct Camera {
  std::array<float, 2> focal{};            // pixels: horizontal, vertical
  std::array<float, 2> principal_point{};  // pixels, centres of pixels at +0.5
  std::array<float, 2> depth_range{};      // metres: near, far
  std::array<float, 3> position{};         // metres
  std::array<float, 3> rotation{};         // degrees: yaw, pitch, roll
  bool operator==(const Camera&) const = default;
};

/// Where a moving camera is at one instant: the last two fields of Camera.
struct Pose {
  std::array<float, 3> position{};  // metres
  std::array<float, 3> rotation{};  // degrees: yaw, pitch, roll
  bool operator==(const Pose&) const = default;
};

struct ViewInfo {
  int width = 0;  // 1..kMaxPictureSize, texture and depth alike
  int height = 0;
  SampleFormat texture = SampleFormat::none;  // yuv420_8 or yuv420_10
  SampleFormat depth = SampleFormat::none;    // none, gray_8, gray_10 or gray_16
  std::optional<Camera> camera;
  /// The camera moves: its position and rotation are 0 here, and every access unit has a pose for
  /// each of its frames (read_cameras, Encoder::add_pose). Without meaning if there is no camera.
  bool moving = false;
  bool operator==(const ViewInfo&) const = default;
};

struct Fraction {
  uint32_t num = 0;
  uint32_t den = 1;
  bool operator==(const Fraction&) const = default;
};

/// What stays the same over a sequence: the views and the frame rate.
struct SequenceInfo {
  Fraction frame_rate{30, 1};
  std::vector<ViewInfo> views;  // 1..kMaxViews
  bool operator==(const SequenceInfo&) const = default;
};

/// Hybrid mode: what turns the base views' pictures into a prediction of another view.
enum class Motion : uint8_t {
  geometry = 0,  // cameras and the base views' depth
  learned = 1,   // displacements that the network yields: neither cameras nor depth are needed
  refined = 2,   // geometry, whose result the network's displacements then move
};

/// What one access unit (one GOP of all views) holds.
struct GopInfo {
  SequenceInfo sequence;
  uint64_t first_frame = 0;  // index in the sequence of the GOP's frame 0
  int frames = 0;            // 1..kMaxGopFrames
  uint32_t bytes = 0;        // of the whole access unit
  // Hybrid mode: the views whose pictures another codec has coded, in rising order, at most
  // kMaxBaseViews; if these are all views, there is no network. Empty: implicit mode.
  std::vector<int> base_views;
  Motion motion = Motion::geometry;  // hybrid mode
};

/// `invalid_argument` names the view and the field that is out of range.
MVINR_API Status validate(const SequenceInfo& sequence);

/// Reads the header of the access unit that starts at data[0]; checks magic, version, sizes and the
/// header's CRC, not the units behind it. `truncated`: ask again with more bytes. `corrupt`: no
/// access unit starts here. `unsupported`: it is of another version (the message names it).
MVINR_API Result<GopInfo> read_gop_info(Bytes data);

/// The cameras of all frames and views of an access unit, [frame][view]; none where a view has no
/// camera. Poses of moving cameras are those that decoding works with, which the encoder has
/// rounded to at most 1/32 of a pixel. Errors: those of read_gop_info; `corrupt` or `truncated` if
/// the unit of the moving cameras is damaged or missing.
using FrameCameras = std::vector<std::optional<Camera>>;
MVINR_API Result<std::vector<FrameCameras>> read_cameras(Bytes access_unit);

/// Size in bytes of the access unit that starts at data[0], from its first kAccessUnitPrefixBytes.
MVINR_API Result<uint32_t> access_unit_bytes(Bytes data);

/// Offset of the next byte at or after `from` where an access unit may start (the magic, or a
/// beginning of it at the end of data); data.size() if there is none.
MVINR_API size_t find_access_unit(Bytes data, size_t from = 0);

/// A unit of an access unit (docs/bitstream.md 4) by its place in the bytes.
struct UnitInfo {
  int type = 0;         // 1 network, 2 shared grids, 3 grids of one view, 4 base, 5 cameras;
                        // others are to be kept
  int index = 0;        // of type 3: the view; of type 4: 2 x view + component
  size_t offset = 0;    // of the unit's own header
  size_t bytes = 0;     // with its header
  bool intact = false;  // all bytes are there and the CRC is right
};

/// The units of the access unit that starts at data[0], in order. They lie one behind the other
/// from the end of the header on; what runs past the end of `data` is a last unit that is not
/// intact. Errors: those of read_gop_info, `corrupt` if there are too many.
MVINR_API Result<std::vector<UnitInfo>> list_units(Bytes data);

/// What an access unit still has of a view.
enum class ViewState : uint8_t {
  there,
  left_out,  // not in the access unit, nor damaged: somebody dropped it on purpose or in transport
  damaged,   // its unit, or that of a view that it refers to; hybrid mode: BASE units too
};

/// The state of every view. `corrupt`: no view can be decoded, because the network or the shared
/// grids are damaged or missing. Other errors: those of list_units.
MVINR_API Result<std::vector<ViewState>> view_states(Bytes access_unit);

/// The access unit with these views only, and the views that they refer to (always lower ones) or
/// are predicted from (hybrid mode: all base views, unless only base views are asked for). Nothing
/// is decoded or encoded anew; the header stays, so that view numbers do, and decoders report the
/// other views as left out. Units of other types are kept, and so are damaged ones. Errors: those
/// of list_units; `invalid_argument` if the stream has no such view.
MVINR_API Result<std::vector<std::byte>> filter_access_unit(Bytes access_unit,
                                                            std::span<const int> views);

/// The beginning of an access unit (prefix and header; what follows is ignored), with `units`
/// behind it: units of that access unit, each whole. Sizes and CRC are made to fit.
/// Errors: those of read_gop_info, `limit_exceeded`.
MVINR_API Result<std::vector<std::byte>> join_access_unit(Bytes beginning, Bytes units);

struct CameraFileEntry {
  std::string name;  // "v0"
  int width = 0, height = 0;
  int texture_bits = 8, depth_bits = 16;
  Camera camera;
};
struct CameraFile {
  std::string content_name;
  double fps = 0;  // 0 if absent
  int frames = 0;  // 0 if absent
  std::vector<CameraFileEntry> cameras;
  /// Moving cameras: [frame][camera], the camera with its position and rotation at that frame;
  /// empty if the cameras stand still.
  std::vector<std::vector<Camera>> poses;
};
/// Reads a MIV-style cameras.json and, if it says "Moving_cameras": true, the poses.json beside it:
/// "frames"[camera][frame] = 4x4 camera-to-world matrix in OpenCV axes (x right, y down, z
/// forward), metres. Every error names the file, the frame, the camera and the field.
MVINR_API Result<CameraFile> read_camera_file(const std::string& path);

/// The camera for pictures of width x height: focal lengths and principal point are scaled when the
/// file's resolution differs; `invalid_argument` if its aspect ratio differs by more than 1 %.
MVINR_API Result<Camera> camera_for_size(const CameraFileEntry& entry, int width, int height);

/// The payload of a BASE unit: the pictures of one component of one base view, coded by an ordinary
/// 2D codec. One closed GOP: it decodes without any other to as many pictures as the GOP has
/// frames.
struct BasePayload {
  std::string caps;            // of the packets, a GStreamer caps string: "video/x-h265, …"
  std::vector<Bytes> packets;  // in decoding order, none empty; the first is a sync point
};
inline constexpr size_t kMaxBaseCapsBytes = 4096;
inline constexpr size_t kMaxBasePackets = 1024;

/// The packets point into `payload`. `corrupt` if anything does not fit exactly.
MVINR_API Result<BasePayload> read_base_payload(Bytes payload);

/// `invalid_argument`: no packet, an empty one, or something above the limits.
MVINR_API Result<std::vector<std::byte>> write_base_payload(const std::string& caps,
                                                            std::span<const Bytes> packets);

/// geometry if every view has a camera and every base view depth, else learned.
MVINR_API Motion automatic_motion(const SequenceInfo& sequence, std::span<const int> base_views);

/// A human-readable account of an access unit: every header field, and where the bytes went.
MVINR_API Result<std::string> describe_access_unit(Bytes data);

}  // namespace mvinr
