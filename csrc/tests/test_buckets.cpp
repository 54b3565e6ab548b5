// Selection by buckets, against the plain loop, on data made to be hard for boxes, bounds and ties.
#include <doctest/doctest.h>

#include <array>

#include <functional>
#include <limits>
#include <string>

#include "cpu/bucket_kernels.h"
#include "cpu/bucket_tree.h"
#include "cpu/buckets.h"
#include "plain.h"

using farpoint::Control;
using farpoint::ElementType;
using farpoint::Index;
using farpoint::SelectResult;
using namespace farpoint::cpu;

namespace {

constexpr std::array<Index, 1> kRowZero = {0};

// Rows of any element type, and what their elements are in float64.
struct Rows {
  Rows(Index n, Index d, ElementType the_type) : exact(n, d), type(the_type) {
    bytes.resize(exact.elements.size() * farpoint::element_size(type));
  }

  // The element nearest to x that the type has; integers are cut off.
  void set(std::size_t i, double x) {
    switch (type) {
      case ElementType::float16:
        put(i, half_bits(x), half_value(half_bits(x)));
        break;
      case ElementType::bfloat16: {
        const auto single = static_cast<float>(x);
        std::uint32_t bits = 0;
        std::memcpy(&bits, &single, sizeof bits);
        bits &= 0xffff0000U;
        float value = 0;
        std::memcpy(&value, &bits, sizeof value);
        put(i, static_cast<std::uint16_t>(bits >> 16), static_cast<double>(value));
        break;
      }
      case ElementType::float32:
        put(i, static_cast<float>(x), static_cast<double>(static_cast<float>(x)));
        break;
      case ElementType::float64:
        put(i, x, x);
        break;
      case ElementType::int8: {
        const auto value = static_cast<std::int8_t>(std::clamp(x, -128.0, 127.0));
        put(i, value, value);
        break;
      }
      case ElementType::uint8: {
        const auto value = static_cast<std::uint8_t>(std::clamp(std::abs(x), 0.0, 255.0));
        put(i, value, value);
        break;
      }
    }
  }

  farpoint::MatrixView view() const {
    return {bytes.data(), exact.rows, exact.columns,
            static_cast<std::ptrdiff_t>(exact.columns * static_cast<Index>(farpoint::element_size(type))),
            type};
  }

  plain::Matrix<double> exact;
  std::vector<std::byte> bytes;
  ElementType type;

 private:
  template <class T>
  void put(std::size_t i, T element, double value) {
    std::memcpy(bytes.data() + i * sizeof(T), &element, sizeof element);
    exact.elements[i] = value;
  }
  // float16 by its definition; truncates, which is near enough.
  static std::uint16_t half_bits(double x) {
    int exponent = 0;
    const double fraction = std::frexp(std::min(std::abs(x), 60000.0), &exponent);
    const int biased = std::max(exponent + 14, 0);
    const auto mantissa = static_cast<int>(std::ldexp(fraction, exponent - std::max(biased, 1) + 25));
    const int bits = biased == 0 ? mantissa : (biased << 10) + (mantissa - 1024);
    return static_cast<std::uint16_t>((x < 0 ? 0x8000 : 0) | bits);
  }
  static double half_value(std::uint16_t bits) {
    const int exponent = bits >> 10 & 31;
    const double fraction = bits & 1023;
    const double magnitude =
        exponent == 0 ? std::ldexp(fraction, -24) : std::ldexp(1024 + fraction, exponent - 25);
    return (bits & 0x8000) != 0 ? -magnitude : magnitude;
  }
};

using Element = std::function<double(Index row, Index column)>;

Rows make(Index n, Index d, ElementType type, const Element& element) {
  Rows rows(n, d, type);
  for (Index i = 0; i < n; ++i) {
    for (Index j = 0; j < d; ++j) {
      rows.set(static_cast<std::size_t>(i * d + j), element(i, j));
    }
  }
  return rows;
}

struct Options {
  std::vector<Index> selected = {};
  const Rows* anchors = nullptr;
  Index first = 0;
  double minimum = 0.0;
  double scale = 1.0;
};

SelectResult plain_select(const Rows& rows, Index k, const Options& options) {
  const plain::Matrix<double>& m = rows.exact;
  const auto n = static_cast<std::size_t>(m.rows);
  SelectResult result;
  std::vector<double> values(n, farpoint::kInfinity);
  std::vector<bool> free(n, true);
  result.labels.assign(n, -1);
  const auto see = [&](const double* y, Index label) {
    for (Index i = 0; i < m.rows; ++i) {
      const auto at = static_cast<std::size_t>(i);
      const double value =
          farpoint::scaled_value(plain::squared(m.row(i), y, m.columns), options.scale, rows.type);
      if (value < values[at]) {
        values[at] = value;
        result.labels[at] = label;
      }
    }
  };
  for (const Index row : options.selected) {
    see(m.row(row), -1);
    free[static_cast<std::size_t>(row)] = false;
  }
  for (Index i = 0; options.anchors != nullptr && i < options.anchors->exact.rows; ++i) {
    see(options.anchors->exact.row(i), -1);
  }
  const bool nothing_before = options.selected.empty() && options.anchors == nullptr;
  Index next = nothing_before ? options.first : -1;
  while (true) {
    if (next < 0) {
      for (Index i = 0; i < m.rows; ++i) {
        const auto at = static_cast<std::size_t>(i);
        if (free[at] && (next < 0 || values[at] > values[static_cast<std::size_t>(next)])) {
          next = i;
        }
      }
    }
    const double value = next < 0 ? 0.0 : values[static_cast<std::size_t>(next)];
    if (next < 0 || static_cast<Index>(result.indices.size()) == k || value < options.minimum) {
      result.next_value = value;
      break;
    }
    free[static_cast<std::size_t>(next)] = false;
    result.indices.push_back(next);
    result.values.push_back(value);
    see(m.row(next), static_cast<Index>(result.indices.size()) - 1);
    next = -1;
  }
  result.label_values = values;
  return result;
}

void compare(const Rows& rows, Index k, const Options& options = {}) {
  const SelectResult expected = plain_select(rows, k, options);
  for (const SimdLevel level : usable_simd_levels()) {
    for (const int threads : {1, 2, 4}) {
      for (const bool assign : {false, true}) {
        const std::string name(simd_level_name(level));
        CAPTURE(name);
        CAPTURE(threads);
        SelectProblem problem;
        problem.points = rows.view();
        problem.selected = options.selected;
        if (options.anchors != nullptr) {
          problem.anchors = options.anchors->view();
        }
        const bool nothing_before = options.selected.empty() && options.anchors == nullptr;
        problem.request = {.count = k, .minimum_value = options.minimum, .assign = assign};
        if (nothing_before) {
          problem.request.prior = std::span(&options.first, 1);
        }
        problem.scale = options.scale;
        problem.largest = rows.exact.largest();
        problem.level = level;
        REQUIRE(buckets_suit(problem));
        Control control;
        ThreadTeam team(threads);
        const SelectResult actual = select_by_buckets(problem, team, control);
        CHECK(actual.indices == expected.indices);
        CHECK(actual.values == expected.values);
        CHECK(actual.next_value == expected.next_value);
        if (assign) {
          CHECK(actual.labels == expected.labels);
          CHECK(actual.label_values == expected.label_values);
        }
      }
    }
  }
}

constexpr ElementType kAllTypes[] = {ElementType::float16, ElementType::bfloat16, ElementType::float32,
                                     ElementType::float64, ElementType::int8,     ElementType::uint8};

}  // namespace

TEST_CASE("buckets: every dimension and element type") {
  std::mt19937_64 random(1);
  std::normal_distribution<double> normal;
  for (const ElementType type : kAllTypes) {
    for (Index d = 1; d <= kBucketMaxDimension; ++d) {
      const Rows rows = make(500, d, type, [&](Index, Index) { return 40 * normal(random); });
      compare(rows, 150, {.first = 3 * d});
    }
  }
}

TEST_CASE("buckets: every number of picks") {
  std::mt19937_64 random(2);
  std::uniform_real_distribution<double> uniform;
  for (const Index n : {1, 2, 7, 8, 9, 97, 500}) {
    const Rows rows = make(n, 3, ElementType::float32, [&](Index, Index) { return uniform(random); });
    for (const Index k : {Index{1}, (n + 1) / 2, n - 1, n}) {
      if (k > 0) {
        compare(rows, k, {.first = n - 1});
      }
    }
  }
}

TEST_CASE("buckets: grids, where nearly everything ties") {
  for (const ElementType type : {ElementType::float32, ElementType::float64, ElementType::int8}) {
    std::mt19937_64 random(3);
    for (const auto& [d, side, n] :
         {std::tuple<Index, std::uint64_t, Index>{1, 50, 900}, {2, 30, 1500}, {3, 7, 2500}, {8, 2, 1200}}) {
      const Rows rows = make(n, d, type, [&](Index, Index) { return static_cast<double>(random() % side); });
      compare(rows, n / 3);
      compare(rows, n);
    }
  }
}

TEST_CASE("buckets: more ties than candidates are kept") {
  // A sphere of lattice points around the first pick: all at one distance from it, and half of them again
  // from the next.
  std::vector<std::array<double, 3>> lattice = {{0, 0, 0}};
  for (int x = -60; x <= 60; ++x) {
    for (int y = -60; y <= 60; ++y) {
      for (int z = -60; z <= 60; ++z) {
        if (x * x + y * y + z * z == 3434) {
          lattice.push_back({static_cast<double>(x), static_cast<double>(y), static_cast<double>(z)});
        }
      }
    }
  }
  REQUIRE(lattice.size() > 300);
  const auto n = static_cast<Index>(lattice.size());
  const Rows rows = make(n * 5, 3, ElementType::float32, [&](Index i, Index j) {
    return lattice[static_cast<std::size_t>(i * 7 % n)][static_cast<std::size_t>(j)];
  });
  compare(rows, 900);
}

TEST_CASE("buckets: equal rows and duplicates") {
  const Rows equal = make(1000, 4, ElementType::float32, [](Index, Index) { return 0.3; });
  compare(equal, 1000, {.first = 500});
  compare(equal, 3, {.first = 999});
  const Rows zero = make(300, 2, ElementType::uint8, [](Index, Index) { return 0.0; });
  compare(zero, 300);
  std::mt19937_64 random(4);
  std::vector<double> pool(200);
  std::uniform_real_distribution<double> uniform;
  std::ranges::generate(pool, [&] { return uniform(random); });
  Index chosen = 0;
  const Rows repeated = make(1500, 3, ElementType::float32, [&](Index, Index j) {
    chosen = j == 0 ? static_cast<Index>(random() % 66) : chosen;
    return pool[static_cast<std::size_t>(3 * chosen + j)];
  });
  compare(repeated, 1500);
  compare(repeated, 60);
  // One point far away from a thousand equal ones: the sample of a split sees only the equal ones.
  const Rows lonely =
      make(3000, 3, ElementType::float32, [](Index i, Index) { return i == 1234 ? 5.0 : 1.0; });
  compare(lonely, 10, {.first = 7});
}

TEST_CASE("buckets: lines, clusters, offsets and scales") {
  std::mt19937_64 random(5);
  std::normal_distribution<double> normal;
  std::uniform_real_distribution<double> uniform;
  for (const ElementType type : {ElementType::float32, ElementType::float64}) {
    double along = 0;
    compare(make(1200, 3, type,
                 [&](Index, Index j) {
                   along = j == 0 ? uniform(random) : along;
                   return along * static_cast<double>(j + 1);
                 }),
            300);
    compare(make(1200, 3, type,
                 [&](Index i, Index j) {
                   return 1e4 * static_cast<double>(i % 5 * (j + 1)) + 1e-3 * normal(random);
                 }),
            300);
    compare(make(1200, 3, type, [&](Index, Index) { return 1e6 + normal(random); }), 400);
    compare(make(900, 2, type, [&](Index, Index) { return std::pow(uniform(random), 20.0); }), 300);
    // Each coordinate a power of two: splits are as uneven as they can be.
    compare(make(900, 3, type,
                 [&](Index, Index) { return std::ldexp(1.0, static_cast<int>(random() % 60) - 30); }),
            400);
    compare(make(600, 3, type, [&](Index, Index) { return 1e-40 * normal(random); }), 200,
            {.scale = 0x1p+240});
    compare(make(600, 3, type, [&](Index, Index) { return 1e30 * normal(random); }), 200, {.scale = 0x1p-90});
  }
}

TEST_CASE("buckets: what is kept away from") {
  std::mt19937_64 random(6);
  std::normal_distribution<double> normal;
  for (const ElementType type : kAllTypes) {
    const Rows rows = make(800, 3, type, [&](Index, Index) { return 30 * normal(random); });
    const Rows few = make(5, 3, type, [&](Index, Index) { return 30 * normal(random); });
    const Rows many = make(1500, 3, type, [&](Index, Index) { return 30 * normal(random); });
    std::vector<Index> every_third;
    for (Index i = 1; i < 800; i += 3) {
      every_third.push_back(i);
    }
    compare(rows, 100, {.selected = {5, 799, 0}});
    compare(rows, 100, {.anchors = &few});
    compare(rows, 50, {.anchors = &many});
    compare(rows, 533, {.selected = every_third, .anchors = &few});
    compare(rows, 200, {.selected = {9}, .minimum = 900.0});
    compare(rows, 200, {.minimum = 900.0});
    compare(rows, 200, {.selected = {9}, .minimum = 1e9});
  }
}

TEST_CASE("buckets: the bound of a box is never above a value in it") {
  // Points on the faces and corners of their box, where the bound has no room, and picks all around.
  std::mt19937_64 random(7);
  std::normal_distribution<double> normal;
  for (const SimdLevel level : usable_simd_levels()) {
    const auto& kernels = bucket_kernels<float>(level);
    for (Index d = 1; d <= kBucketMaxDimension; ++d) {
      const auto columns = static_cast<std::size_t>(d);
      for (int trial = 0; trial < 200; ++trial) {
        const double offset = trial % 2 == 0 ? 0.0 : 1e5;
        std::vector<float> boxes(2 * columns * kQuad);
        std::vector<float> limits(kQuad);
        std::vector<double> pick(columns);
        std::vector<std::vector<float>> corners(kQuad, std::vector<float>(columns));
        for (std::size_t j = 0; j < columns; ++j) {
          pick[j] = static_cast<double>(static_cast<float>(offset + normal(random)));
          for (std::size_t c = 0; c < kQuad; ++c) {
            const auto a = static_cast<float>(offset + normal(random));
            const auto b = static_cast<float>(offset + normal(random));
            boxes[j * kQuad + c] = std::min(a, b);
            boxes[(columns + j) * kQuad + c] = std::max(a, b);
            const auto on_face = std::clamp(static_cast<float>(pick[j]), std::min(a, b), std::max(a, b));
            corners[c][j] = on_face;
          }
        }
        for (std::size_t c = 0; c < kQuad; ++c) {
          std::vector<double> corner(corners[c].begin(), corners[c].end());
          const double value = plain::squared(corner.data(), pick.data(), d);
          // The nearest point of the box has exactly the bound for its distance.
          limits[c] = static_cast<float>(value);
        }
        const auto survivors = [&] {
          const PickNumber list = 0;
          std::array<std::array<PickNumber, 1>, kQuad> out = {};
          std::array<PickNumber*, kQuad> to = {out[0].data(), out[1].data(), out[2].data(), out[3].data()};
          std::array<std::size_t, kQuad> counts = {};
          kernels.filter[d - 1](boxes.data(), limits.data(), pick.data(), &list, 1, 1.0, to.data(),
                                counts.data());
          return counts;
        };
        const std::vector<float> nearest = limits;
        for (float& limit : limits) {
          limit = std::nextafter(limit, std::numeric_limits<float>::infinity());
        }
        for (const std::size_t count : survivors()) {
          CHECK(count == 1);  // a point of the box is nearer than the limit
        }
        for (std::size_t c = 0; c < kQuad; ++c) {
          limits[c] = nearest[c] * 0.999F;
        }
        const auto counts = survivors();
        for (std::size_t c = 0; c < kQuad; ++c) {
          CHECK(counts[c] == 0);  // none is
        }
      }
    }
  }
}

TEST_CASE("buckets: a stop is obeyed") {
  std::mt19937_64 random(8);
  std::uniform_real_distribution<double> uniform;
  const Rows rows = make(200000, 3, ElementType::float32, [&](Index, Index) { return uniform(random); });
  for (const int threads : {1, 3}) {
    int calls = 0;
    Control control([&](const Control::Progress&) { return ++calls < 3; }, std::chrono::milliseconds(1));
    SelectProblem problem;
    problem.points = rows.view();
    problem.largest = 1.0;
    problem.request = {.count = 200000, .prior = kRowZero, .assign = true};
    ThreadTeam team(threads);
    CHECK_THROWS_AS(select_by_buckets(problem, team, control), farpoint::Interrupted);
    CHECK(calls == 3);
  }
}
