// Packed bits: the bound against the contract, and the kernels of every level against plain loops.
#include <doctest/doctest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "core/bit_bound.h"
#include "core/contract.h"
#include "cpu/points.h"
#include "cpu/simd_level.h"

using farpoint::bit_bound;
using farpoint::BitBound;
using farpoint::Index;
using farpoint::Metric;
using namespace farpoint::cpu;

namespace {

double value_of(Metric metric, double common, double a, double b) {
  return metric == Metric::hamming ? farpoint::hamming_value(common, a, b)
                                   : farpoint::jaccard_value(common, a, b);
}

// Whether a pair that the bound skips is nearer than `value`; counts those that it skips.
bool wrong(Metric metric, double common, double a, double b, double value, Index& skipped) {
  const BitBound bound = bit_bound(metric, a, value);
  // Fused or not: kernels do either.
  const double plain = bound.factor * b + bound.bias;
  const double fused = std::fma(bound.factor, b, bound.bias);
  const bool skips = !(common > plain) || !(common > fused);
  skipped += skips ? 1 : 0;
  return skips && value_of(metric, common, a, b) < value;
}

// The value itself, its neighbours, and what labels make of it (SelectState::screened_value).
std::vector<double> around(double value) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  return {value, std::nextafter(value, 0.0), std::nextafter(value, kInfinity),
          std::nextafter(value * (1.0 + 0x1p-20), kInfinity)};
}

struct Bytes {
  Bytes(Index rows, Index columns, double density, std::mt19937_64& random)
      : width(columns), bytes(static_cast<std::size_t>(rows * columns)) {
    std::bernoulli_distribution bit(density);
    for (std::byte& byte : bytes) {
      for (unsigned i = 0; i < 8; ++i) {
        byte |= static_cast<std::byte>(static_cast<unsigned>(bit(random)) << i);
      }
    }
  }
  const std::byte* row(Index i) const { return bytes.data() + i * width; }
  bool has(Index i, Index bit) const {
    return (std::to_integer<unsigned>(row(i)[bit / 8]) >> (bit % 8) & 1U) != 0;
  }
  std::vector<std::uint32_t> set(Index i) const {
    std::vector<std::uint32_t> found;
    for (Index bit = 0; bit < width * 8; ++bit) {
      if (has(i, bit)) {
        found.push_back(static_cast<std::uint32_t>(bit));
      }
    }
    return found;
  }
  Index common(Index i, Index j) const {
    Index count = 0;
    for (Index bit = 0; bit < width * 8; ++bit) {
      count += has(i, bit) && has(j, bit) ? 1 : 0;
    }
    return count;
  }

  Index width;
  std::vector<std::byte> bytes;
};

}  // namespace

TEST_CASE("no pair of packed bits that is skipped is nearer: all small counts at all their values") {
  constexpr int kMost = 12;
  for (const Metric metric : {Metric::hamming, Metric::jaccard}) {
    std::vector<double> values = {0.0, std::numeric_limits<double>::infinity(), 0.5, 2.5};
    for (int a = 0; a <= kMost; ++a) {
      for (int b = 0; b <= kMost; ++b) {
        for (int common = 0; common <= std::min(a, b); ++common) {
          std::ranges::copy(around(value_of(metric, common, a, b)), std::back_inserter(values));
        }
      }
    }
    std::ranges::sort(values);
    values.erase(std::ranges::unique(values).begin(), values.end());
    Index skipped = 0;
    Index bad = 0;
    for (int a = 0; a <= kMost; ++a) {
      for (int b = 0; b <= kMost; ++b) {
        for (int common = 0; common <= std::min(a, b); ++common) {
          for (const double value : values) {
            bad += wrong(metric, common, a, b, value, skipped) ? 1 : 0;
          }
        }
      }
    }
    CHECK(bad == 0);
    CHECK(skipped > 1000);
  }
}

TEST_CASE("no pair of packed bits that is skipped is nearer: large counts next to the value") {
  std::mt19937_64 random(11);
  for (const Metric metric : {Metric::hamming, Metric::jaccard}) {
    Index skipped = 0;
    Index bad = 0;
    for (int trial = 0; trial < 200000; ++trial) {
      const auto size = std::uint64_t{1} << (1 + random() % 40);
      const auto a = static_cast<double>(random() % size);
      const auto b = static_cast<double>(random() % size);
      const auto c = static_cast<double>(random() % size);
      const double fewest = std::min(a, b);
      const double common = std::floor(fewest * static_cast<double>(random() % 1000) / 999.0);
      // The value of a third row that is as near, or as near as whole numbers of bits allow.
      const double share = common / std::max(a + b, 1.0);
      const double other = std::min({std::round(share * (a + c)), a, c});
      for (const double value : around(value_of(metric, other, a, c))) {
        bad += wrong(metric, common, a, b, value, skipped) ? 1 : 0;
      }
      for (const double value : around(value_of(metric, common, a, b))) {
        bad += wrong(metric, common, a, b, value, skipped) ? 1 : 0;
      }
    }
    CHECK(bad == 0);
    CHECK(skipped > 100000);
  }
}

TEST_CASE("rows without a common bit are skipped once a row is at distance 1") {
  Index skipped = 0;
  CHECK_FALSE(wrong(Metric::jaccard, 0, 5, 7, 1.0, skipped));
  CHECK(skipped == 1);
}

TEST_CASE("kernels of packed bits count what plain loops count") {
  std::mt19937_64 random(12);
  for (const SimdLevel level : usable_simd_levels()) {
    const BitKernels& kernels = *kernel_set(level).bits;
    for (const Index width : {Index{1}, Index{7}, Index{8}, Index{33}, Index{256}, Index{272}}) {
      for (const double density : {0.0, 0.03, 0.5, 1.0}) {
        CAPTURE(static_cast<int>(level));
        CAPTURE(width);
        CAPTURE(density);
        const Index picks = kBlockPicks - 5;
        const Bytes m(picks + 1, width, density, random);
        const auto set = m.set(picks);
        const auto n = static_cast<Index>(set.size());

        std::vector<std::uint32_t> listed(static_cast<std::size_t>(width * 8 + kListSlack));
        const Index count = kernels.list_bits(m.row(picks), width, listed.data());
        listed.resize(static_cast<std::size_t>(count));
        CHECK(listed == set);
        CHECK(kernels.common(m.row(0), m.row(picks), width) == m.common(0, picks));

        std::vector<std::uint64_t> block(static_cast<std::size_t>(width * 8 * kBlockWords));
        std::vector<Index> common;
        for (Index p = 0; p < picks; ++p) {
          for (const std::uint32_t bit : m.set(p)) {
            block[std::size_t{bit} * kBlockWords + static_cast<std::size_t>(p / 64)] |= std::uint64_t{1}
                                                                                        << (p % 64);
          }
          common.push_back(m.common(p, picks));
        }
        std::uint64_t least[kBlockWords];
        for (std::uint64_t& bound : least) {
          bound = random() % (static_cast<std::uint64_t>(n) + 2);
        }
        std::uint64_t planes[kBitPlanes * kBlockWords];
        std::uint64_t survivors[kBlockWords];
        const int ends = kernels.screen_block(set.data(), n, block.data(), least, planes, survivors);
        bool any = false;
        for (Index p = 0; p < kBlockPicks; ++p) {
          const auto w = static_cast<std::size_t>(p / 64);
          const bool survives = (survivors[w] >> (p % 64) & 1) != 0;
          const Index number = p < picks ? common[static_cast<std::size_t>(p)] : 0;
          any = any || survives;
          CHECK(survives == (static_cast<std::uint64_t>(number) >= least[w]));
          for (int i = 0; survives && i < ends; ++i) {
            const std::uint64_t bit = planes[static_cast<std::size_t>(i) * kBlockWords + w] >> (p % 64) & 1;
            CHECK(bit == (static_cast<std::uint64_t>(number) >> i & 1));
          }
        }
        CHECK((ends > 0) == any);
      }
    }
  }
}

TEST_CASE("the pick loop's kernel for packed bits lets through what its bound says") {
  std::mt19937_64 random(13);
  for (const SimdLevel level : usable_simd_levels()) {
    const BitKernels& kernels = *kernel_set(level).bits;
    const Index lanes = kernels.lanes;
    for (const Index words : {Index{1}, Index{4}, Index{31}, Index{32}, Index{65}}) {
      for (const Metric metric : {Metric::hamming, Metric::jaccard}) {
        const Bytes m(lanes + 1, words * 8, 0.2, random);
        std::vector<std::uint64_t> group(static_cast<std::size_t>(words * lanes));
        std::vector<double> numbers(static_cast<std::size_t>(lanes * kBitNumbers));
        std::uint32_t expected = 0;
        const auto pick_bits = static_cast<double>(m.common(lanes, lanes));
        for (Index l = 0; l < lanes; ++l) {
          const auto at = static_cast<std::size_t>(l);
          const auto lane_count = static_cast<std::size_t>(lanes);
          for (Index w = 0; w < words; ++w) {
            std::memcpy(&group[static_cast<std::size_t>(w * lanes + l)], m.row(l) + w * 8, 8);
          }
          const auto bits = static_cast<double>(m.common(l, l));
          const auto common = static_cast<double>(m.common(l, lanes));
          // Around the pair's own value, so that one half survives.
          const double own = value_of(metric, common, bits, pick_bits);
          const BitBound bound = bit_bound(metric, bits, l % 2 == 0 ? own * 1.01 + 1e-3 : own * 0.99);
          numbers[kBitFactor * lane_count + at] = bound.factor;
          numbers[kBitBias * lane_count + at] = bound.bias;
          numbers[kBitCount * lane_count + at] = bits;
          expected |= common > bound.factor * pick_bits + bound.bias ? 1U << l : 0U;
        }
        std::vector<std::uint64_t> pick(static_cast<std::size_t>(words));
        std::memcpy(pick.data(), m.row(lanes), static_cast<std::size_t>(words * 8));
        CHECK(kernels.screen_row(group.data(), numbers.data(), pick.data(), pick_bits, words) == expected);
        CHECK(expected != 0);
      }
    }
  }
}
