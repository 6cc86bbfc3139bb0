// The GELU table as 16-byte pieces for byte shuffles, where no 128-entry shuffle exists.
//
// gelu(-x) = gelu(x) - x, so G(i) = min(2 max(i, 0) + H(|i|), 255) with H(a) = G(-a), and H is
// constant from a = 95 on. H(a) for a < 96 is looked up in six pieces of 16 entries: piece k
// answers (with H_k xor H_{k-1}) for every a >= 16 k, because a shuffle returns 0 where the index
// a - 16 k is negative; the xor of all answers is H_{a / 16}(a % 16).
#pragma once

#include "kernels/tables.inc"

namespace mvinr {
namespace {

constexpr int kLadderPieces = 6;
constexpr int kLadderLast = 16 * kLadderPieces - 1;

struct GeluLadder {
  alignas(16) uint8_t piece[kLadderPieces][16];
};

constexpr GeluLadder make_gelu_ladder() {
  GeluLadder ladder{};
  for (int a = 0; a < 16 * kLadderPieces; ++a) {
    const int before = a < 16 ? 0 : kGeluTable[128 - (a - 16)];
    ladder.piece[a / 16][a % 16] = static_cast<uint8_t>(kGeluTable[128 - a] ^ before);
  }
  return ladder;
}

constexpr bool ladder_equals_table() {
  for (int i = -128; i < 128; ++i) {
    const int a = (i < 0 ? -i : i) > kLadderLast ? kLadderLast : (i < 0 ? -i : i);
    const int value = (i > 0 ? 2 * i : 0) + kGeluTable[128 - a];
    if ((value > 255 ? 255 : value) != kGeluTable[i + 128]) return false;
  }
  return true;
}
static_assert(ladder_equals_table());

constexpr GeluLadder kGeluLadder = make_gelu_ladder();

// Where a blend by a bit is cheap: two values of four bits to a byte. Entry k has those of a = 2k,
// lower, and of a = 2k - 1, xor kGeluFar, which is H of all a from 95 on. Piece p answers for every
// k < 16 (p + 1), with what the pieces above it do not say.
constexpr int kPairPieces = 3;
constexpr int kGeluFar = kGeluTable[0];

struct GeluPairs {
  alignas(16) uint8_t piece[kPairPieces][16];
};

constexpr int gelu_pair(int k) {  // 0 behind the last
  const int even = kGeluTable[128 - 2 * k], odd = k > 0 ? kGeluTable[128 - (2 * k - 1)] : even;
  return k < 16 * kPairPieces ? (even ^ kGeluFar) | (odd ^ kGeluFar) << 4 : 0;
}

constexpr GeluPairs make_gelu_pairs() {
  GeluPairs pairs{};
  for (int k = 0; k < 16 * kPairPieces; ++k) {
    int above = 0;  // what the pieces above answer for k: theirs of the same lower bits
    for (int p = k / 16 + 1; p < kPairPieces; ++p) {
      const int here = 16 * p + k % 16;
      above ^= gelu_pair(here) ^ (p + 1 < kPairPieces ? gelu_pair(here + 16) : 0);
    }
    pairs.piece[k / 16][k % 16] = static_cast<uint8_t>(gelu_pair(k) ^ above);
  }
  return pairs;
}

constexpr GeluPairs kGeluPairs = make_gelu_pairs();

constexpr bool pairs_equal_table() {
  for (int a = 0; a <= 128; ++a) {
    const int k = (a + 1) / 2;
    int both = 0;
    for (int p = k / 16; p < kPairPieces; ++p) both ^= kGeluPairs.piece[p][k % 16];
    if (((a % 2 ? both >> 4 : both & 15) ^ kGeluFar) != kGeluTable[128 - a]) return false;
  }
  return true;
}
static_assert(pairs_equal_table());

}  // namespace
}  // namespace mvinr
