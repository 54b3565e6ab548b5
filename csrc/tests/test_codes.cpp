// The byte kernels of every usable level against plain loops, to the bit: what a screen must not skip is
// attacked in test_bounds.cpp, but one that lets too much through would pass there.
#include <doctest/doctest.h>

#include <array>
#include <string>

#include "cpu/codes.h"
#include "plain.h"

using farpoint::Index;
using namespace farpoint::cpu;

namespace {

// Rows that reach the ends of the codes: 127 beside 0, -127, and pairs of 64.
enum class Fill { normal, alternating, negative, pairs, sparse };
constexpr std::array kFills = {Fill::normal, Fill::alternating, Fill::negative, Fill::pairs, Fill::sparse};

std::vector<float> make_row(Fill fill, Index d, Index number, std::mt19937_64& random) {
  std::normal_distribution<float> normal;
  std::vector<float> row(static_cast<std::size_t>(d));
  for (std::size_t j = 0; j < row.size(); ++j) {
    const bool even = j % 2 == 0;
    switch (fill) {
      case Fill::normal:
        row[j] = normal(random);
        break;
      case Fill::alternating:
        row[j] = even ? 1.0F : 0.0F;
        break;
      case Fill::negative:
        row[j] = even == (number % 2 == 0) ? -1.0F : 0.0F;
        break;
      case Fill::pairs:
        row[j] = number % 2 == 0 ? -1.0F : 1.0F;
        break;
      case Fill::sparse:
        row[j] = random() % 9 == 0 ? normal(random) : 0.0F;
        break;
    }
  }
  return row;
}

struct Coded {
  Coded(const CodeKernels& kernels, const std::vector<float>& row)
      : codes(static_cast<std::size_t>(padded_columns(static_cast<Index>(row.size()))), 99),
        residuals(codes.size() / kCodeColumns) {
    kernels.encode(row.data(), static_cast<Index>(row.size()), static_cast<Index>(codes.size()), codes.data(),
                   &numbers, residuals.data());
  }

  std::vector<std::int8_t> codes;
  std::vector<float> residuals;  // of the prefixes
  RowCode numbers;
};

std::int32_t plain_dot(const Coded& x, const Coded& y) {
  std::int32_t sum = 0;
  for (std::size_t j = 0; j < x.codes.size(); ++j) {
    sum += x.codes[j] * y.codes[j];
  }
  return sum;
}

void check_level(const CodeKernels& kernels, Fill fill, Index d) {
  std::mt19937_64 random(static_cast<std::uint64_t>(d));
  const Index padded = padded_columns(d);
  std::vector<Coded> points;
  std::vector<const std::int8_t*> rows;
  for (Index l = 0; l < kernels.lanes; ++l) {
    points.emplace_back(kernels, make_row(fill, d, l, random));
  }
  for (const Coded& point : points) {
    rows.push_back(point.codes.data());
  }
  std::vector<std::uint8_t> group(static_cast<std::size_t>(kernels.lanes * padded));
  kernels.interleave(rows.data(), padded, group.data());

  WorkMemory memory;
  CodeTiles tiles(memory, padded);
  std::vector<Coded> picks;
  std::vector<std::int8_t> list;
  const auto bound = farpoint::ScreenBound::of_codes(farpoint::Metric::squared_euclidean, d, 1.0, 0.0);
  for (Index p = 0; p < kCodeTilePicks; ++p) {
    picks.emplace_back(kernels, make_row(fill, d, p + 1, random));
    tiles.append(picks.back().codes.data(), pick_code(picks.back().numbers, bound));
    list.insert(list.end(), picks.back().codes.begin(), picks.back().codes.end());
  }

  std::vector<std::int32_t> products(static_cast<std::size_t>(kernels.lanes * kCodeTilePicks));
  kernels.product_tile(group.data(), tiles.tile(0), tiles.picks(0), padded, products.data());
  std::array<std::int32_t, kCodeTilePicks> dots{};
  std::vector<float> lanes(static_cast<std::size_t>(kernels.lanes) * kLaneNumbers);
  std::vector<std::uint32_t> expected(kCodeTilePicks, 0);
  Index wrong = 0;
  for (Index l = 0; l < kernels.lanes; ++l) {
    const Coded& point = points[static_cast<std::size_t>(l)];
    kernels.dots(point.codes.data(), list.data(), kCodeTilePicks, padded, dots.data());
    // The test falls between the picks: half of them survive it.
    std::vector<float> bounds;
    for (Index p = 0; p < kCodeTilePicks; ++p) {
      const std::int32_t dot = plain_dot(point, picks[static_cast<std::size_t>(p)]);
      wrong += products[static_cast<std::size_t>(p * kernels.lanes + l)] != dot ? 1 : 0;
      wrong += dots[static_cast<std::size_t>(p)] != dot ? 1 : 0;
      bounds.push_back(pair_bound(dot, point.numbers, tiles.pick(p)));
    }
    std::vector<float> sorted = bounds;
    std::ranges::sort(sorted);
    const float bias = 0.5F * (sorted[3] + sorted[4]);
    for (std::size_t p = 0; p < bounds.size(); ++p) {
      expected[p] |= static_cast<std::uint32_t>(bounds[p] > bias) << l;
    }
    const auto at = static_cast<std::size_t>(l);
    const auto stride = static_cast<std::size_t>(kernels.lanes);
    lanes[kLaneBias * stride + at] = bias;
    lanes[kLaneScale * stride + at] = point.numbers.scale;
    lanes[kLaneNorm * stride + at] = point.numbers.norm;
    lanes[kLaneResidual * stride + at] = point.numbers.residual;
    lanes[kLaneTail * stride + at] = point.numbers.tail;
  }
  CHECK(wrong == 0);

  std::array<std::uint32_t, kMaxTilePicks> survivors{};
  kernels.screen_tile(group.data(), lanes.data(), tiles.tile(0), tiles.picks(0), padded, survivors.data());
  for (Index p = 0; p < kCodeTilePicks; ++p) {
    const auto at = static_cast<std::size_t>(p);
    const std::uint32_t row =
        kernels.screen_row(group.data(), lanes.data(), picks[at].codes.data(), tiles.pick(p), padded);
    if (fill == Fill::normal) {  // elsewhere bounds are equal, and kernels may fuse
      CHECK(survivors[at] == expected[at]);
      CHECK(row == expected[at]);
    }
  }
}

}  // namespace

TEST_CASE("byte products are exact, and the test is the formula") {
  for (const SimdLevel level : usable_simd_levels()) {
    const std::string name(simd_level_name(level));
    CAPTURE(name);
    const CodeKernels& kernels = *kernel_set(level).code;
    for (const Index d : {Index{1}, Index{2}, Index{31}, Index{32}, Index{33}, Index{100}, Index{384},
                          farpoint::ScreenBound::kMaxCodeColumns}) {
      for (const Fill fill : kFills) {
        CAPTURE(d);
        CAPTURE(static_cast<int>(fill));
        check_level(kernels, fill, d);
      }
    }
  }
}

TEST_CASE("codes keep within what the kernels can add, and their numbers are true") {
  std::mt19937_64 random(12);
  for (const SimdLevel level : usable_simd_levels()) {
    const CodeKernels& kernels = *kernel_set(level).code;
    for (const Index d : {Index{1}, Index{7}, Index{64}, Index{385}}) {
      for (const double size : {1.0, 1e-20, 1e-37, 1e-42, 1e30, 0.0}) {
        for (const Fill fill : kFills) {
          std::vector<float> row = make_row(fill, d, 3, random);
          for (float& x : row) {
            x = static_cast<float>(static_cast<double>(x) * size);
          }
          const Coded coded(kernels, row);
          double norm = 0;
          double residual = 0;
          Index wrong = 0;
          for (std::size_t j = 0; j < coded.codes.size(); ++j) {
            const double part = static_cast<double>(coded.numbers.scale) * coded.codes[j];
            const double rest = (j < row.size() ? static_cast<double>(row[j]) : 0.0) - part;
            norm += part * part;
            residual += rest * rest;
            wrong += std::abs(coded.codes[j]) > 127 || (j >= row.size() && coded.codes[j] != 0) ? 1 : 0;
            if (j % 2 == 1) {
              wrong += std::abs(coded.codes[j - 1]) + std::abs(coded.codes[j]) > 128 ? 1 : 0;
            }
            if ((j + 1) % kCodeColumns == 0) {
              const auto kept = static_cast<double>(coded.residuals[j / kCodeColumns]);
              wrong += kept < std::sqrt(residual) || kept > std::sqrt(residual) * 1.0001 + 1e-40 ? 1 : 0;
            }
          }
          CHECK(wrong == 0);
          CHECK(static_cast<double>(coded.numbers.norm) >= std::sqrt(norm));
          CHECK(static_cast<double>(coded.numbers.residual) >= std::sqrt(residual));
          CHECK(static_cast<double>(coded.numbers.residual) <= std::sqrt(residual) * 1.0001 + 1e-40);
        }
      }
    }
  }
}

TEST_CASE("numbers of prefixes are kept rounded up, by little") {
  std::mt19937_64 random(4);
  std::uniform_real_distribution<float> uniform;
  constexpr Index kRows = 50;
  constexpr std::size_t kShorter = 5;
  for (const float size : {1.0F, 0.0F, 1e-38F, 1e-44F, 1e18F}) {
    WorkMemory memory;
    RowNumbers numbers(memory, kShorter + 1);
    numbers.grow_to(kRows);
    for (Index row = 0; row < kRows; ++row) {
      numbers.whole(row).scale = 0.25F;
      numbers.whole(row).offset = 77;
      std::vector<PrefixCode> codes(kShorter);
      float largest = 0;
      for (PrefixCode& code : codes) {
        code = {uniform(random) * size, uniform(random) * size * 0.01F, uniform(random) * size};
        largest = std::max({largest, code.norm, code.tail});
      }
      numbers.set_shorter(row, codes);
      const float slack = largest * 0x1p-15F + 0x1p-109F;
      for (std::size_t s = 0; s < kShorter; ++s) {
        const RowCode kept = numbers.prefix(row, static_cast<Index>(s));
        CHECK(kept.scale == 0.25F);
        CHECK(kept.norm >= codes[s].norm);
        CHECK(kept.residual >= codes[s].residual);
        CHECK(kept.tail >= codes[s].tail);
        CHECK(kept.norm <= codes[s].norm + slack);
        CHECK(kept.residual <= codes[s].residual + slack);
        CHECK(kept.tail <= codes[s].tail + slack);
      }
      CHECK(numbers.prefix(row, kShorter).offset == 77);
    }
  }
}
