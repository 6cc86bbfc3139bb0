// Headers that writing refuses.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <span>

#include "format/access_unit.h"
#include "format/header.h"

namespace mvinr::testutil {

struct BadHeader {
  const char* words;  // of the message
  std::function<void(Header&)> spoil;
};

/// `good` is valid, and each case makes it one that writing refuses in its words.
inline void expect_refused(const Header& good, std::span<const BadHeader> cases) {
  ASSERT_TRUE(validate(good));
  for (const BadHeader& bad : cases) {
    Header header = good;
    bad.spoil(header);
    const auto written = write_access_unit(header, {});
    ASSERT_FALSE(written) << bad.words;
    EXPECT_EQ(written.error().code, ErrorCode::invalid_argument) << written.error().message;
    EXPECT_NE(written.error().message.find(bad.words), std::string::npos)
        << written.error().message;
  }
}

}  // namespace mvinr::testutil
