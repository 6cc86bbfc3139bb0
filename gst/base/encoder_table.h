// The 2D encoders whose settings we know.
#pragma once

#include <limits>
#include <string>
#include <vector>

#include "gst_ptr.h"
#include "mvinr/types.h"

namespace mvinr::gst {

inline constexpr int kMaxQuantiser = 51;
inline constexpr int kDefaultQuantiser = 27;  // of an automatic choice

/// Names of the encoders that an automatic choice may take, the preferred first.
std::vector<std::string> known_base_encoders();

/// "x265enc speed-preset=slower …": the first known encoder that is installed. `time`: microseconds
/// that it may take per sample of a base view, on one core; an encoder whose speed we know how to
/// set gets a preset that usually keeps to it. `unsupported` names the preferred encoder and its
/// package.
Result<std::string> automatic_base_encoder(double time = std::numeric_limits<double>::infinity());

/// Pictures for the encoder in `element` must have a width that is a multiple of this: 2, or more
/// where an encoder is known to need it.
int width_multiple(GstElement* element);

/// An element made of `fragment`, with one sink and one source pad and the quantiser set (-1: not).
/// Errors as BaseEncoder::create.
Result<GstPtr<GstElement>> make_base_encoder(const std::string& fragment, int quantiser);

}  // namespace mvinr::gst
