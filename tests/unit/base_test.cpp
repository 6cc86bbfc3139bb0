#include <gtest/gtest.h>

#include <atomic>
#include <numeric>
#include <string_view>
#include <thread>

#include "base/byte_io.h"
#include "base/crc32.h"
#include "base/thread_pool.h"
#include "base/try.h"

namespace mvinr {
namespace {

Bytes bytes_of(std::string_view text) { return std::as_bytes(std::span(text)); }

/// The definition, bit by bit.
uint32_t slow_crc(Bytes data) {
  uint32_t crc = 0xFFFFFFFFu;
  for (std::byte b : data) {
    crc ^= std::to_integer<uint32_t>(b);
    for (int i = 0; i < 8; ++i) crc = (crc >> 1) ^ (crc & 1 ? 0xEDB88320u : 0);
  }
  return ~crc;
}

TEST(Crc32, HasTheCheckValueOfIeee8023) {
  EXPECT_EQ(crc32(bytes_of("123456789")), 0xCBF43926u);
  EXPECT_EQ(crc32({}), 0u);
}

TEST(Crc32, EqualsItsDefinitionAtEveryLengthAndAlignmentAndGoesOnWhereItStopped) {
  std::vector<std::byte> data(100);
  for (size_t i = 0; i < data.size(); ++i) data[i] = static_cast<std::byte>(i * 37 + (i >> 3));
  for (size_t begin = 0; begin < 9; ++begin)
    for (size_t length = 0; begin + length <= data.size(); ++length) {
      const Bytes part = Bytes(data).subspan(begin, length);
      ASSERT_EQ(crc32(part), slow_crc(part)) << begin << " " << length;
      ASSERT_EQ(crc32(part.subspan(length / 3), crc32(part.first(length / 3))), slow_crc(part));
    }
}

TEST(ByteIo, ReadsWhatWasWrittenLittleEndian) {
  ByteWriter out;
  out.unsigned_integer(0x0102, 2);
  out.unsigned_integer(0x1122334455667788, 8);
  out.append(bytes_of("xyz"));
  ASSERT_EQ(out.size(), 13u);
  EXPECT_EQ(out.bytes()[0], std::byte{2});
  ByteReader in(out.bytes());
  EXPECT_EQ(*in.unsigned_integer(2), 0x0102u);
  EXPECT_EQ(*in.unsigned_integer(8), 0x1122334455667788u);
  EXPECT_EQ(in.offset(), 10u);
  EXPECT_EQ((*in.take(3))[2], std::byte{'z'});
  EXPECT_EQ(in.remaining(), 0u);
}

TEST(ByteIo, ReadingPastTheEndIsTruncatedAndMovesNothing) {
  const Bytes data = bytes_of("abc");
  ByteReader in(data);
  const auto value = in.unsigned_integer(4);
  ASSERT_FALSE(value);
  EXPECT_EQ(value.error().code, ErrorCode::truncated);
  EXPECT_EQ(in.take(SIZE_MAX).error().code, ErrorCode::truncated);
  EXPECT_EQ(in.offset(), 0u);
  EXPECT_EQ(in.take(3)->size(), 3u);
}

Result<int> half(int x) {
  if (x % 2 != 0) return Error{ErrorCode::invalid_argument, "odd"};
  return x / 2;
}
Result<int> quarter(int x) {
  MVINR_ASSIGN(const int h, half(x));
  MVINR_TRY(half(h));
  return h / 2;
}

TEST(Result, EarlyReturnPassesTheErrorOn) {
  EXPECT_EQ(*quarter(8), 2);
  EXPECT_EQ(quarter(6).error().message, "odd");
  EXPECT_EQ(quarter(7).error().code, ErrorCode::invalid_argument);
}

TEST(ErrorCode, EveryCodeHasItsName) {
  EXPECT_STREQ(to_string(ErrorCode::invalid_argument), "invalid_argument");
  EXPECT_STREQ(to_string(ErrorCode::truncated), "truncated");
  EXPECT_STREQ(to_string(ErrorCode::corrupt), "corrupt");
  EXPECT_STREQ(to_string(ErrorCode::unsupported), "unsupported");
  EXPECT_STREQ(to_string(ErrorCode::limit_exceeded), "limit_exceeded");
  EXPECT_STREQ(to_string(ErrorCode::no_device), "no_device");
  EXPECT_STREQ(to_string(ErrorCode::cancelled), "cancelled");
  EXPECT_STREQ(to_string(ErrorCode::internal), "internal");
}

TEST(ThreadPool, CallsEveryIndexOnceWithWorkerNumbersInRange) {
  for (int threads : {1, 2, 5}) {
    ThreadPool pool(threads);
    EXPECT_EQ(pool.workers(), threads);
    for (int count : {0, 1, 2, 7, 1000}) {
      std::vector<std::atomic<int>> calls(count);
      std::atomic<int> bad_workers = 0;
      pool.parallel_for(count, [&](int index, int worker) {
        ++calls[index];
        if (worker < 0 || worker >= threads) ++bad_workers;
      });
      for (const auto& c : calls) ASSERT_EQ(c, 1);
      EXPECT_EQ(bad_workers, 0);
    }
  }
}

TEST(ThreadPool, ManyShortLoopsNeverMixTheirWork) {
  ThreadPool pool(4);
  for (int loop = 0; loop < 5000; ++loop) {
    int values[5] = {};  // dead before the next loop: a late worker would be seen by ASan
    pool.parallel_for(5, [&](int index, int) {
      std::this_thread::yield();  // so that the others wake up in time, or just too late
      values[index] += index + loop;
    });
    ASSERT_EQ(std::accumulate(values, values + 5, 0), 10 + 5 * loop);
  }
}

TEST(ThreadPool, NoTwoCallsAtOnceHaveTheSameWorkerNumber) {
  ThreadPool pool(4);
  std::atomic<int> busy[4] = {};
  std::atomic<int> collisions = 0;
  pool.parallel_for(200, [&](int, int worker) {
    if (busy[worker].exchange(1) != 0) ++collisions;
    std::this_thread::yield();
    busy[worker] = 0;
  });
  EXPECT_EQ(collisions, 0);
}

TEST(ThreadPool, InnerLoopsRunOnTheirThread) {
  ThreadPool pool(3);
  std::atomic<int> sum = 0, moved = 0;
  pool.parallel_for(8, [&](int, int outer) {
    pool.parallel_for(10, [&](int index, int worker) {
      sum += index;
      if (worker != outer) ++moved;
    });
  });
  EXPECT_EQ(sum, 8 * 45);
  EXPECT_EQ(moved, 0);
}

TEST(ThreadPool, LoopsOfTwoCallersAreBothDone) {
  ThreadPool pool(2);
  std::atomic<int> sum = 0;
  const auto caller = [&] {
    for (int i = 0; i < 200; ++i) pool.parallel_for(10, [&](int, int) { ++sum; });
  };
  std::thread other(caller);
  caller();
  other.join();
  EXPECT_EQ(sum, 4000);
}

}  // namespace
}  // namespace mvinr
