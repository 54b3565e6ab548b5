// Every kernel of every usable level, against the plain contract.
#include <doctest/doctest.h>

#include <array>
#include <bit>
#include <string>

#include "cpu/points.h"
#include "plain.h"

using farpoint::ElementType;
using farpoint::Index;
using farpoint::Metric;
using farpoint::cpu::SimdLevel;

namespace {

// Sizes that straddle the 16 accumulators and every vector width.
constexpr std::array<Index, 14> kSizes = {1, 2, 3, 7, 8, 15, 16, 17, 31, 32, 33, 64, 384, 1000};

template <class F>
void for_each_level(F&& run) {
  for (const SimdLevel level : farpoint::cpu::usable_simd_levels()) {
    const std::string name(farpoint::cpu::simd_level_name(level));
    CAPTURE(name);
    run(level);
  }
}

const std::byte* bytes(const void* p) {
  return static_cast<const std::byte*>(p);
}

// float16 by its definition, without bit tricks.
double from_half(std::uint16_t bits) {
  const int exponent = bits >> 10 & 31;
  const double fraction = bits & 1023;
  const double magnitude =
      exponent == 0 ? std::ldexp(fraction, -24) : std::ldexp(1024 + fraction, exponent - 25);
  return (bits & 0x8000) != 0 ? -magnitude : magnitude;
}

// What the float32 screens compute of two packed rows.
float product(const float* x, const float* y, Index d) {
  float sum = 0;
  for (Index j = 0; j < d; ++j) {
    sum += x[j] * y[j];
  }
  return sum;
}
float minus_sum_of_differences(const float* x, const float* y, Index d) {
  float sum = 0;
  for (Index j = 0; j < d; ++j) {
    sum += std::abs(x[j] - y[j]);
  }
  return -sum;
}
float minus_largest_difference(const float* x, const float* y, Index d) {
  float largest = 0;
  for (Index j = 0; j < d; ++j) {
    largest = std::max(largest, std::abs(x[j] - y[j]));
  }
  return -largest;
}

}  // namespace

TEST_CASE("canonical sums are the contract's to the bit") {
  std::mt19937_64 random(1);
  std::normal_distribution<double> normal;
  for (const Index d : kSizes) {
    plain::Matrix<float> singles(2, d);
    plain::Matrix<double> doubles(2, d);
    for (std::size_t i = 0; i < singles.elements.size(); ++i) {
      singles.elements[i] = static_cast<float>(normal(random) * 1e3);
      doubles.elements[i] = normal(random) * 1e-3;
    }
    for_each_level([&](SimdLevel level) {
      const auto& kernels = *farpoint::cpu::kernel_set(level).refine;
      const auto f = static_cast<std::size_t>(ElementType::float32);
      const auto g = static_cast<std::size_t>(ElementType::float64);
      CHECK(kernels.squared_difference[f](bytes(singles.row(0)), bytes(singles.row(1)), d) ==
            plain::squared(singles.row(0), singles.row(1), d));
      CHECK(kernels.dot[f](bytes(singles.row(0)), bytes(singles.row(1)), d) ==
            plain::dot(singles.row(0), singles.row(1), d));
      CHECK(kernels.absolute_difference[f](bytes(singles.row(0)), bytes(singles.row(1)), d) ==
            plain::absolute(singles.row(0), singles.row(1), d));
      CHECK(kernels.largest_difference[f](bytes(singles.row(0)), bytes(singles.row(1)), d) ==
            plain::largest_difference(singles.row(0), singles.row(1), d));
      CHECK(kernels.absolute_difference[g](bytes(doubles.row(0)), bytes(doubles.row(1)), d) ==
            plain::absolute(doubles.row(0), doubles.row(1), d));
      CHECK(kernels.largest_difference[g](bytes(doubles.row(0)), bytes(doubles.row(1)), d) ==
            plain::largest_difference(doubles.row(0), doubles.row(1), d));
      CHECK(kernels.squared_difference[g](bytes(doubles.row(0)), bytes(doubles.row(1)), d) ==
            plain::squared(doubles.row(0), doubles.row(1), d));
      CHECK(kernels.dot[g](bytes(doubles.row(0)), bytes(doubles.row(1)), d) ==
            plain::dot(doubles.row(0), doubles.row(1), d));
    });
  }
}

TEST_CASE("every float16 and bfloat16 widens exactly") {
  // One element a row: the dot product with 1 is the element itself.
  const std::uint16_t half_one = 0x3c00;
  const std::uint16_t bfloat_one = 0x3f80;
  for_each_level([&](SimdLevel level) {
    const auto& kernels = *farpoint::cpu::kernel_set(level).refine;
    const auto half = kernels.dot[static_cast<std::size_t>(ElementType::float16)];
    const auto bfloat = kernels.dot[static_cast<std::size_t>(ElementType::bfloat16)];
    // 16 at a time goes through the vector path, the last through the scalar one.
    std::array<std::uint16_t, 17> ones{};
    std::array<std::uint16_t, 17> values{};
    Index wrong = 0;
    for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
      values.fill(static_cast<std::uint16_t>(bits));
      if ((bits & 0x7c00) != 0x7c00) {
        ones.fill(half_one);
        wrong += half(bytes(values.data()), bytes(ones.data()), 17) != 17 * from_half(values[0]) ? 1 : 0;
      }
      if ((bits & 0x7f80) != 0x7f80) {
        ones.fill(bfloat_one);
        const auto value = std::bit_cast<float>(bits << 16);
        wrong +=
            bfloat(bytes(values.data()), bytes(ones.data()), 17) != 17 * static_cast<double>(value) ? 1 : 0;
      }
    }
    CHECK(wrong == 0);
  });
}

TEST_CASE("small integers") {
  std::array<std::int8_t, 35> x{};
  std::array<std::int8_t, 35> y{};
  std::array<std::uint8_t, 35> u{};
  std::array<std::uint8_t, 35> v{};
  double squared = 0;
  double unsigned_squared = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    x[i] = static_cast<std::int8_t>(i * 37);
    y[i] = static_cast<std::int8_t>(100 - i * 11);
    u[i] = static_cast<std::uint8_t>(i * 37);
    v[i] = static_cast<std::uint8_t>(255 - i * 7);
    squared += std::pow(x[i] - y[i], 2);
    unsigned_squared += std::pow(u[i] - v[i], 2);
  }
  for_each_level([&](SimdLevel level) {
    const auto& kernels = *farpoint::cpu::kernel_set(level).refine;
    CHECK(kernels.squared_difference[static_cast<std::size_t>(ElementType::int8)](
              bytes(x.data()), bytes(y.data()), 35) == squared);
    CHECK(kernels.squared_difference[static_cast<std::size_t>(ElementType::uint8)](
              bytes(u.data()), bytes(v.data()), 35) == unsigned_squared);
  });
}

TEST_CASE("largest magnitude, NaN and infinities wherever they are") {
  for (const Index d : kSizes) {
    for_each_level([&](SimdLevel level) {
      const auto largest = farpoint::cpu::kernel_set(level)
                               .refine->largest_magnitude[static_cast<std::size_t>(ElementType::float32)];
      for (Index at = 0; at < d; at += std::max<Index>(1, d / 19)) {
        std::vector<float> row(static_cast<std::size_t>(d), 0.5F);
        row[static_cast<std::size_t>(at)] = -3.0F;
        CHECK(largest(bytes(row.data()), d) == 3.0);
        for (const float bad :
             {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(),
              -std::numeric_limits<float>::infinity()}) {
          row[static_cast<std::size_t>(at)] = bad;
          CHECK(std::isnan(largest(bytes(row.data()), d)));
        }
      }
    });
  }
}

TEST_CASE("packing and screening of small integers are exact") {
  // Integer-valued floats: products, differences and sums are exact in float32, so a threshold just below
  // the nearness must let a pair survive, and one at it must not.
  std::mt19937_64 random(2);
  std::uniform_int_distribution<int> digit(-4, 4);
  for (const Index d : {Index{1}, Index{5}, Index{16}, Index{37}}) {
    for_each_level([&](SimdLevel level) {
      const auto& kernels = *farpoint::cpu::kernel_set(level).screen;
      const auto lanes = static_cast<std::size_t>(kernels.lanes);
      const auto picks = static_cast<std::size_t>(kernels.tile_picks);
      plain::Matrix<float> points(kernels.lanes, d);
      plain::Matrix<float> others(kernels.tile_picks, d);
      for (float& x : points.elements) {
        x = static_cast<float>(digit(random));
      }
      for (float& x : others.elements) {
        x = static_cast<float>(digit(random));
      }
      const std::vector<double> centre(static_cast<std::size_t>(d), 1.0);
      std::vector<float> group(lanes * static_cast<std::size_t>(d));
      std::vector<float> packed(group.size(), 0.0F);  // the last row stays zero
      std::vector<const float*> rows;
      std::vector<double> norms(lanes);
      for (std::size_t l = 0; l < lanes; ++l) {
        float* row = packed.data() + l * static_cast<std::size_t>(d);
        if (l + 1 < lanes) {
          norms[l] = kernels.pack_row[static_cast<std::size_t>(ElementType::float32)](
              bytes(points.row(static_cast<Index>(l))), d, 1.0, centre.data(), 0.5, row);
        }
        rows.push_back(row);
      }
      kernels.interleave(rows.data(), d, group.data());
      std::vector<float> tile(picks * static_cast<std::size_t>(d));
      for (std::size_t p = 0; p < picks; ++p) {
        for (Index j = 0; j < d; ++j) {
          tile[static_cast<std::size_t>(j) * picks + p] = others.row(static_cast<Index>(p))[j];
        }
      }
      for (Index l = 0; l < kernels.lanes; ++l) {
        for (Index j = 0; j < d; ++j) {
          const float element = l + 1 < kernels.lanes ? (points.row(l)[j] - 1.0F) * 0.5F : 0.0F;
          CHECK(group[static_cast<std::size_t>(j * kernels.lanes + l)] == element);
        }
      }
      for (const auto& [screen, nearness] :
           {std::pair{kernels.product, &product}, std::pair{kernels.manhattan, &minus_sum_of_differences},
            std::pair{kernels.chebyshev, &minus_largest_difference}}) {
        const std::vector<float> point_bias(lanes, -0.25F);
        std::vector<float> pick_bias(picks);
        std::vector<std::uint32_t> survivors(picks);
        for (const float shift : {-0.125F, 0.25F}) {
          // nearness > -0.25 + (that of lane 0 + shift): survives where it beats that of lane 0 by enough.
          for (std::size_t p = 0; p < picks; ++p) {
            pick_bias[p] = nearness(packed.data(), others.row(static_cast<Index>(p)), d) + shift;
          }
          const bool any = screen.tile(group.data(), tile.data(), d, point_bias.data(), pick_bias.data(),
                                       survivors.data());
          std::uint32_t together = 0;
          for (std::size_t p = 0; p < picks; ++p) {
            const float* pick = others.row(static_cast<Index>(p));
            std::uint32_t expected = 0;
            for (std::size_t l = 0; l < lanes; ++l) {
              const bool survives = nearness(rows[l], pick, d) > point_bias[l] + pick_bias[p];
              expected |= static_cast<std::uint32_t>(survives) << l;
            }
            CHECK(survivors[p] == expected);
            together |= expected;
            CHECK(screen.row(group.data(), pick, d, point_bias.data(), pick_bias[p]) == expected);
          }
          CHECK(any == (together != 0));
        }
      }
      double norm = 0;
      for (Index j = 0; j < d; ++j) {
        norm += std::pow((points.row(0)[j] - 1) * 0.5, 2);
      }
      CHECK(norms[0] == norm);
      CHECK(norms[lanes - 1] == 0);
    });
  }
}

TEST_CASE("rows as bytes: codes, what they leave over, and the distances between codes") {
  std::mt19937_64 random(3);
  std::normal_distribution<double> normal;
  const float step = 0.02F;
  for (const Index d : {Index{1}, Index{7}, Index{8}, Index{9}, Index{40}, Index{515}}) {
    for_each_level([&](SimdLevel level) {
      const auto& kernels = *farpoint::cpu::kernel_set(level).bytes;
      const auto words = (d + 7) / 8;
      const auto code_all = [&](const auto& screen, Index count, bool interleaved, Index stride,
                                std::vector<std::uint64_t>& laid_out) {
        std::vector<std::vector<std::uint8_t>> codes;
        for (Index r = 0; r < count; ++r) {
          std::vector<float> row(static_cast<std::size_t>(d));
          for (float& x : row) {
            x = static_cast<float>(normal(random));  // a few beyond the largest code
          }
          std::vector<std::uint8_t>& bytes =
              codes.emplace_back(static_cast<std::size_t>(words * 8), std::uint8_t{0});
          const double rest = screen.encode(row.data(), d, step, bytes.data());
          double sum = 0;
          double largest = 0;
          for (Index j = 0; j < d; ++j) {
            const auto k = static_cast<std::size_t>(j);
            const double left = std::abs(row[k] - static_cast<double>(step) * (bytes[k] - 128));
            sum += left;
            largest = std::max(largest, left);
            if (std::abs(row[k]) < 126 * step) {
              CHECK(left < 0.5001 * step);
            }
          }
          CHECK(rest == doctest::Approx(&screen == &kernels.manhattan ? sum : largest).epsilon(1e-12));
          for (Index c = 0; c < words; ++c) {
            const Index place = interleaved ? farpoint::cpu::byte_place(r, kernels.lanes) : r;
            std::memcpy(&laid_out[static_cast<std::size_t>(c * stride + place)], bytes.data() + c * 8, 8);
          }
        }
        return codes;
      };
      for (const auto* screen : {&kernels.manhattan, &kernels.chebyshev}) {
        std::vector<std::uint64_t> group(static_cast<std::size_t>(words * kernels.lanes));
        std::vector<std::uint64_t> tile(static_cast<std::size_t>(words * kernels.tile_picks));
        const auto points = code_all(*screen, kernels.lanes, true, kernels.lanes, group);
        const auto picks = code_all(*screen, kernels.tile_picks, false, kernels.tile_picks, tile);
        const auto distance = [&](const std::vector<std::uint8_t>& x, const std::vector<std::uint8_t>& y) {
          int sum = 0;
          int largest = 0;
          for (std::size_t j = 0; j < x.size(); ++j) {
            sum += std::abs(x[j] - y[j]);
            largest = std::max(largest, std::abs(x[j] - y[j]));
          }
          return static_cast<float>(screen == &kernels.manhattan ? sum : largest);
        };
        // At the distance itself a pair is skipped, a little above it survives.
        for (const float shift : {0.0F, -0.5F}) {
          const std::vector<float> point_bias(static_cast<std::size_t>(kernels.lanes), shift);
          std::vector<float> pick_bias;
          for (const auto& pick : picks) {
            pick_bias.push_back(-distance(points[1], pick));
          }
          std::vector<std::uint32_t> survivors(picks.size());
          const bool any = screen->tile(group.data(), tile.data(), words, point_bias.data(), pick_bias.data(),
                                        survivors.data());
          std::uint32_t together = 0;
          for (std::size_t p = 0; p < picks.size(); ++p) {
            std::uint32_t expected = 0;
            for (std::size_t l = 0; l < points.size(); ++l) {
              const bool survives = -distance(points[l], picks[p]) > shift + pick_bias[p];
              expected |= static_cast<std::uint32_t>(survives) << l;
            }
            CHECK(survivors[p] == expected);
            CHECK((expected >> 1 & 1U) == (shift < 0 ? 1U : 0U));
            together |= expected;
            std::vector<std::uint64_t> pick(static_cast<std::size_t>(words));
            std::memcpy(pick.data(), picks[p].data(), picks[p].size());
            CHECK(screen->row(group.data(), pick.data(), words, point_bias.data(), pick_bias[p]) == expected);
          }
          CHECK(any == (together != 0));
        }
      }
    });
  }
}
