// The engine without Python, against the plain loop.
#include <doctest/doctest.h>

#include "cpu/distances.h"
#include "cpu/scan.h"
#include "cpu/select.h"
#include "plain.h"

using farpoint::Control;
using farpoint::Index;
using farpoint::Metric;
using namespace farpoint::cpu;

namespace {

template <class T>
void compare(const plain::Matrix<T>& m, Index k, Index first) {
  const auto expected = plain::select(m, k, first);
  for (const SimdLevel level : usable_simd_levels()) {
    for (const int threads : {1, 2, 4}) {
      SelectProblem problem;
      problem.points = m.view(plain::type_of<T>());
      problem.largest = m.largest();
      problem.request = {.count = k, .prior = std::span(&first, 1), .assign = true};
      problem.threads = threads;
      problem.level = level;
      Control control;
      const auto actual = farpoint::cpu::select(problem, control);
      CHECK(actual.indices == expected.indices);
      CHECK(actual.values == expected.values);
      CHECK(actual.next_value == expected.next_value);
      CHECK(static_cast<Index>(actual.labels.size()) == m.rows);
    }
  }
}

}  // namespace

TEST_CASE("selection equals the plain loop") {
  std::mt19937_64 random(4);
  std::normal_distribution<double> normal;
  for (const Index n : {Index{1}, Index{2}, Index{40}, Index{900}}) {
    for (const Index d : {Index{1}, Index{4}, Index{33}}) {
      plain::Matrix<float> m(n, d);
      for (float& x : m.elements) {
        x = static_cast<float>(normal(random));
      }
      compare(m, n, n / 2);
      compare(m, (n + 1) / 2, 0);
    }
  }
}

TEST_CASE("more candidates than fit, and nothing but ties") {
  // 12,000 points of a grid with ten values: every level is cut somewhere inside a tie.
  std::mt19937_64 random(5);
  plain::Matrix<float> m(12000, 3);
  for (float& x : m.elements) {
    x = static_cast<float>(random() % 10);
  }
  compare(m, 1500, 7);
}

TEST_CASE("float64 values are not rounded") {
  std::mt19937_64 random(6);
  std::normal_distribution<double> normal;
  plain::Matrix<double> m(500, 19);
  for (double& x : m.elements) {
    x = 1.0 + 1e-9 * normal(random);  // distances that float32 could not tell apart
  }
  compare(m, 200, 3);
}

TEST_CASE("a stop is obeyed") {
  plain::Matrix<float> m(20000, 64);
  std::mt19937_64 random(7);
  for (float& x : m.elements) {
    x = static_cast<float>(random() % 1000);
  }
  for (const int threads : {1, 3}) {
    int calls = 0;
    Control control([&](const Control::Progress&) { return ++calls < 3; }, std::chrono::milliseconds(1));
    SelectProblem problem;
    problem.points = m.view(farpoint::ElementType::float32);
    problem.largest = m.largest();
    const Index first = 0;
    problem.request = {.count = 20000, .prior = std::span(&first, 1), .assign = true};
    problem.threads = threads;
    CHECK_THROWS_AS(farpoint::cpu::select(problem, control), farpoint::Interrupted);
    CHECK(calls == 3);

    // What the listener throws comes out of the call, from wherever it was: at no barrier do others wait.
    for (int last = 1; last < 20; ++last) {
      calls = 0;
      Control thrown(
          [&](const Control::Progress&) -> bool {
            return ++calls < last ? true : throw std::runtime_error("listener");
          },
          std::chrono::microseconds(300));
      CHECK_THROWS_WITH(farpoint::cpu::select(problem, thrown), "listener");
      CHECK(calls == last);
    }
  }
}

TEST_CASE("nearest rows, closest pair and all pairs") {
  std::mt19937_64 random(8);
  plain::Matrix<float> m(700, 3);
  for (float& x : m.elements) {
    x = static_cast<float>(random() % 25);  // ties everywhere
  }
  farpoint::ClosestPair expected;
  for (Index i = 0; i < m.rows; ++i) {
    for (Index j = i + 1; j < m.rows; ++j) {
      if (plain::value(m, i, j) < expected.value) {
        expected = {plain::value(m, i, j), i, j};
      }
    }
  }
  for (const SimdLevel level : usable_simd_levels()) {
    for (const int threads : {1, 2, 5}) {
      DistanceProblem problem;
      problem.x = problem.y = m.view(farpoint::ElementType::float32);
      problem.y.rows = 650;
      problem.largest = m.largest();
      problem.threads = threads;
      problem.level = level;
      Control control;
      const farpoint::ClosestPair pair = closest_pair(problem, control);
      CHECK(pair.value == expected.value);
      CHECK(pair.i == expected.i);
      CHECK(pair.j == expected.j);

      std::vector<double> all(700 * 650);
      pairwise(problem, all, control);
      std::vector<double> values(700);
      std::vector<Index> indices(700);
      nearest(problem, values, indices, control);
      for (Index i = 0; i < 700; ++i) {
        const auto row = all.begin() + i * 650;
        const auto best = std::min_element(row, row + 650);
        CHECK(values[static_cast<std::size_t>(i)] == *best);
        CHECK(indices[static_cast<std::size_t>(i)] == best - row);
        CHECK(row[(i * 7) % 650] == plain::value(m, i, (i * 7) % 650));
      }
    }
  }
}

TEST_CASE("rows of several pieces are those of one") {
  const plain::Matrix<float> m = [] {
    std::mt19937_64 random(7);
    plain::Matrix<float> made(700, 5);
    for (float& x : made.elements) {
      x = static_cast<float>(random() % 50);
    }
    return made;
  }();
  // Copies of rows begin to end, every second one with rows further apart.
  std::vector<plain::Matrix<float>> copies;
  std::vector<farpoint::MatrixPart> parts;
  const std::vector<Index> begins = {0, 1, 2, 300, 301, 699};
  for (std::size_t p = 0; p < begins.size(); ++p) {
    const Index begin = begins[p];
    const Index end = p + 1 < begins.size() ? begins[p + 1] : m.rows;
    plain::Matrix<float>& copy = copies.emplace_back(end - begin, p % 2 == 0 ? m.columns : m.columns + 3);
    for (Index i = begin; i < end; ++i) {
      std::copy_n(m.row(i), m.columns, copy.row(i - begin));
    }
    const auto view = copy.view(farpoint::ElementType::float32);
    parts.push_back({view.data, begin, view.row_stride});
  }
  farpoint::MatrixView view;
  view.rows = m.rows;
  view.columns = m.columns;
  view.parts = parts;
  for (Index i = 0; i < m.rows; ++i) {
    CHECK(std::memcmp(view.row(i), m.row(i), sizeof(float) * 5) == 0);
  }
  for (const auto& [begin, end] :
       {std::pair<Index, Index>{0, 700}, {1, 2}, {2, 301}, {299, 299}, {300, 700}}) {
    Index next = begin;
    view.for_each_run(begin, end, [&](Index first, Index last, std::ptrdiff_t row_stride) {
      CHECK(first == next);
      for (Index i = first; i < last; ++i) {
        CHECK(view.row(first) + (i - first) * row_stride == view.row(i));
      }
      next = last;
    });
    CHECK(next == end);
  }
  SelectProblem problem;
  problem.points = view;
  problem.largest = m.largest();
  const Index first = 3;
  problem.request = {.count = 200, .prior = std::span(&first, 1)};
  Control control;
  CHECK(farpoint::cpu::select(problem, control).indices == plain::select(m, 200, 3).indices);
}

TEST_CASE("a scan finds the first bad row, the first zero row and the sizes") {
  plain::Matrix<float> m(5000, 5);
  for (std::size_t i = 0; i < m.elements.size(); ++i) {
    m.elements[i] = 1.0F + static_cast<float>(i % 3);
  }
  std::fill_n(m.row(4000), 5, 0.0F);
  std::fill_n(m.row(3000), 5, 0.0F);
  m.row(17)[2] = -9.5F;
  for (const int threads : {1, 3}) {
    Control control;
    const auto view = m.view(farpoint::ElementType::float32);
    auto found = scan(view, threads, SimdLevel::baseline, control);
    CHECK(found.first_bad_row == -1);
    CHECK(found.first_zero_row == 3000);
    CHECK(found.largest == 9.5);
    CHECK(found.smallest_row == 3.0);
    plain::Matrix<float> bad = m;
    bad.row(4500)[4] = std::numeric_limits<float>::quiet_NaN();
    bad.row(2500)[0] = std::numeric_limits<float>::infinity();
    found = scan(bad.view(farpoint::ElementType::float32), threads, SimdLevel::baseline, control);
    CHECK(found.first_bad_row == 2500);
  }
}
