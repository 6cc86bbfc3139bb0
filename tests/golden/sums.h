// MD5 of the pictures of a stream.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include "mvinr/decoder.h"

namespace mvinr::testutil {

/// "v0 texture frame 3" -> MD5.
using Sums = std::map<std::string, std::string>;

/// All pictures of all access units; base views get pictures drawn from a fixed seed. Fails the
/// test if something cannot be decoded.
Sums decode(const std::vector<std::byte>& bytes, const DecoderOptions& options);

}  // namespace mvinr::testutil
