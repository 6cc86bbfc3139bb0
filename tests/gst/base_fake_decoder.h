// Decoders that GStreamer finds in the registry, for formats that nobody else decodes.
#pragma once

namespace mvinr::gst_test {

/// Registers, for video/x-test-hang: a decoder that takes everything, the end included, and puts
/// out nothing. For video/x-test-broken and, with rank NONE, for video/x-h265: one that does not
/// start.
void register_fake_decoders();
inline constexpr char kBrokenH265Decoder[] = "mvinrtestbrokenh265";

}  // namespace mvinr::gst_test
