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

}  // namespace
}  // namespace mvinr
