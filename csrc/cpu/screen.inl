// Screening: float32 inner products of packed rows against a threshold that was proven in core/bounds.h.
//
//   survive[p] bit l  <=>  sum_j tile[j, p] * group[j, l]  >  point_bias[l] + pick_bias[p]
//
// A block of kTilePicks x kLanes sums lives in registers, two vectors wide: 12 x 32 for AVX-512, 6 x 16
// for AVX2, 6 x 8 for the baseline (where a product and a sum are two instructions). A step of j loads
// two vectors and broadcasts kTilePicks scalars for 2 kTilePicks multiply-adds, so loads do not bound it. The
// comparison is the whole epilogue: no product is ever written to memory.
//
// Lanes are points and not picks, because the pick loop has one pick and many points: the same
// packed groups serve both. Compiled with -ffp-contract=fast: the bound holds for any rounding order.
//
// Included by screen_<level>.cpp, which defines FARPOINT_LEVEL, FARPOINT_VECTOR_BYTES and
// FARPOINT_TILE_PICKS.

namespace farpoint::cpu::FARPOINT_LEVEL {
namespace {

#include "cpu/lanes.inl"

constexpr int kGroupVectors = 2;
constexpr int kLanes = kGroupVectors * kFloats;
constexpr int kTilePicks = FARPOINT_TILE_PICKS;
static_assert(kLanes <= kMaxLanes && kTilePicks <= kMaxTilePicks);

#include "cpu/pack.inl"

typedef FloatVector TileSums[kTilePicks][kGroupVectors];

inline void multiply_tile(const float* group, const float* tile, std::int64_t d, TileSums& out) {
  TileSums sums = {};
  for (std::int64_t j = 0; j < d; ++j) {
    const auto point0 = load<FloatVector>(group + j * kLanes);
    const auto point1 = load<FloatVector>(group + j * kLanes + kFloats);
#pragma GCC unroll 16
    for (int p = 0; p < kTilePicks; ++p) {
      const float pick = tile[j * kTilePicks + p];
      sums[p][0] += point0 * pick;
      sums[p][1] += point1 * pick;
    }
  }
  __builtin_memcpy(out, sums, sizeof out);
}

void product_tile(const float* group, const float* tile, std::int64_t d, float* out) {
  TileSums sums;
  multiply_tile(group, tile, d, sums);
  __builtin_memcpy(out, sums, sizeof sums);
}

bool screen_tile(const float* group, const float* tile, std::int64_t d, const float* point_bias,
                 const float* pick_bias, std::uint32_t* survivors) {
  TileSums sums;
  multiply_tile(group, tile, d, sums);
  const auto bias0 = load<FloatVector>(point_bias);
  const auto bias1 = load<FloatVector>(point_bias + kFloats);
  std::uint32_t any = 0;
#pragma GCC unroll 16
  for (int p = 0; p < kTilePicks; ++p) {
    const std::uint32_t mask = greater_mask(sums[p][0], bias0 + pick_bias[p]) |
                               greater_mask(sums[p][1], bias1 + pick_bias[p]) << kFloats;
    survivors[p] = mask;
    any |= mask;
  }
  return any != 0;
}

// One pick: kRowChains independent sums a vector hide the latency of the additions.
constexpr int kRowChains = 4;

std::uint32_t screen_row(const float* group, const float* pick, std::int64_t d, const float* point_bias,
                         float pick_bias) {
  FloatVector sums[kRowChains][kGroupVectors] = {};
  std::int64_t j = 0;
  for (; j + kRowChains <= d; j += kRowChains) {
#pragma GCC unroll 4
    for (int c = 0; c < kRowChains; ++c) {
      const float* point = group + (j + c) * kLanes;
      sums[c][0] += load<FloatVector>(point) * pick[j + c];
      sums[c][1] += load<FloatVector>(point + kFloats) * pick[j + c];
    }
  }
  for (; j < d; ++j) {
    sums[0][0] += load<FloatVector>(group + j * kLanes) * pick[j];
    sums[0][1] += load<FloatVector>(group + j * kLanes + kFloats) * pick[j];
  }
  const FloatVector dot0 = (sums[0][0] + sums[1][0]) + (sums[2][0] + sums[3][0]);
  const FloatVector dot1 = (sums[0][1] + sums[1][1]) + (sums[2][1] + sums[3][1]);
  return greater_mask(dot0, load<FloatVector>(point_bias) + pick_bias) |
         greater_mask(dot1, load<FloatVector>(point_bias + kFloats) + pick_bias) << kFloats;
}

}  // namespace

const ScreenKernels& screen_kernels() {
  static constexpr ScreenKernels kernels = {
      kLanes,
      kTilePicks,
      {pack_row<Float16>, pack_row<BFloat16>, pack_row<float>, pack_row<double>, pack_row<std::int8_t>,
       pack_row<std::uint8_t>},
      interleave,
      screen_tile,
      screen_row,
      product_tile,
  };
  return kernels;
}

}  // namespace farpoint::cpu::FARPOINT_LEVEL
