// Screening: how near packed rows are in float32, against a threshold that was proven in core/bounds.h
// (products) or core/difference_bound.h (manhattan, chebyshev).
//
//   survive[p] bit l  <=>  nearness(tile[., p], group[., l])  >  point_bias[l] + pick_bias[p]
//   nearness               sum_j x_j y_j,  -sum_j |x_j - y_j|  or  -max_j |x_j - y_j|
//
// A block of kTilePicks x kLanes sums lives in registers, two vectors wide: 12 x 32 for AVX-512, 6 x 16
// for AVX2, 6 x 8 for the baseline (where a product and a sum are two instructions). A step of j loads
// two vectors and broadcasts kTilePicks scalars for 2 kTilePicks multiply-adds, so loads do not bound it. The
// comparison is the whole epilogue: no sum is ever written to memory. A term of manhattan or chebyshev is
// three instructions where a multiply-add is one: half the speed, measured with AVX2. sum min(x_j, y_j) would
// do for manhattan with two, at the same speed there, but its error is that of the rows and not of the
// distance, so near pairs among far ones would all survive.
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

struct Product {
  static FloatVector add(FloatVector sum, FloatVector point, float pick) { return sum + point * pick; }
  static FloatVector join(FloatVector a, FloatVector b) { return a + b; }
  static FloatVector nearness(FloatVector sum) { return sum; }
};
struct AbsoluteDifference {
  static FloatVector add(FloatVector sum, FloatVector point, float pick) {
    return sum + absolute(point - pick);
  }
  static FloatVector join(FloatVector a, FloatVector b) { return a + b; }
  static FloatVector nearness(FloatVector sum) { return -sum; }
};
struct LargestDifference {
  static FloatVector add(FloatVector largest, FloatVector point, float pick) {
    return join(absolute(point - pick), largest);
  }
  static FloatVector join(FloatVector a, FloatVector b) { return a > b ? a : b; }
  static FloatVector nearness(FloatVector largest) { return -largest; }
};

template <class Term>
inline void add_tile(const float* group, const float* tile, std::int64_t d, TileSums& out) {
  TileSums sums = {};
  for (std::int64_t j = 0; j < d; ++j) {
    const auto point0 = load<FloatVector>(group + j * kLanes);
    const auto point1 = load<FloatVector>(group + j * kLanes + kFloats);
#pragma GCC unroll 16
    for (int p = 0; p < kTilePicks; ++p) {
      const float pick = tile[j * kTilePicks + p];
      sums[p][0] = Term::add(sums[p][0], point0, pick);
      sums[p][1] = Term::add(sums[p][1], point1, pick);
    }
  }
  __builtin_memcpy(out, sums, sizeof out);
}

void product_tile(const float* group, const float* tile, std::int64_t d, float* out) {
  TileSums sums;
  add_tile<Product>(group, tile, d, sums);
  __builtin_memcpy(out, sums, sizeof sums);
}

template <class Term>
bool screen_tile(const float* group, const float* tile, std::int64_t d, const float* point_bias,
                 const float* pick_bias, std::uint32_t* survivors) {
  TileSums sums;
  add_tile<Term>(group, tile, d, sums);
  const auto bias0 = load<FloatVector>(point_bias);
  const auto bias1 = load<FloatVector>(point_bias + kFloats);
  std::uint32_t any = 0;
#pragma GCC unroll 16
  for (int p = 0; p < kTilePicks; ++p) {
    const std::uint32_t mask = greater_mask(Term::nearness(sums[p][0]), bias0 + pick_bias[p]) |
                               greater_mask(Term::nearness(sums[p][1]), bias1 + pick_bias[p]) << kFloats;
    survivors[p] = mask;
    any |= mask;
  }
  return any != 0;
}

// One pick: kRowChains independent sums a vector hide the latency of the additions.
constexpr int kRowChains = 4;

template <class Term>
std::uint32_t screen_row(const float* group, const float* pick, std::int64_t d, const float* point_bias,
                         float pick_bias) {
  FloatVector sums[kRowChains][kGroupVectors] = {};
  std::int64_t j = 0;
  for (; j + kRowChains <= d; j += kRowChains) {
#pragma GCC unroll 4
    for (int c = 0; c < kRowChains; ++c) {
      const float* point = group + (j + c) * kLanes;
      sums[c][0] = Term::add(sums[c][0], load<FloatVector>(point), pick[j + c]);
      sums[c][1] = Term::add(sums[c][1], load<FloatVector>(point + kFloats), pick[j + c]);
    }
  }
  for (; j < d; ++j) {
    sums[0][0] = Term::add(sums[0][0], load<FloatVector>(group + j * kLanes), pick[j]);
    sums[0][1] = Term::add(sums[0][1], load<FloatVector>(group + j * kLanes + kFloats), pick[j]);
  }
  std::uint32_t mask = 0;
#pragma GCC unroll 2
  for (int v = 0; v < kGroupVectors; ++v) {
    const FloatVector sum =
        Term::join(Term::join(sums[0][v], sums[1][v]), Term::join(sums[2][v], sums[3][v]));
    mask |= greater_mask(Term::nearness(sum),
                         load<FloatVector>(point_bias + std::ptrdiff_t{v} * kFloats) + pick_bias)
            << v * kFloats;
  }
  return mask;
}

}  // namespace

const ScreenKernels& screen_kernels() {
  static constexpr ScreenKernels kernels = {
      kLanes,
      kTilePicks,
      {pack_row<Float16>, pack_row<BFloat16>, pack_row<float>, pack_row<double>, pack_row<std::int8_t>,
       pack_row<std::uint8_t>},
      interleave,
      {screen_tile<Product>, screen_row<Product>},
      {screen_tile<AbsoluteDifference>, screen_row<AbsoluteDifference>},
      {screen_tile<LargestDifference>, screen_row<LargestDifference>},
      product_tile,
  };
  return kernels;
}

}  // namespace farpoint::cpu::FARPOINT_LEVEL
