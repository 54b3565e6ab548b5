// The CUDA backend against the plain loop: on a device, or emulated (csrc/emulation/). There threads run in
// several orders: a result that depends on the order has a barrier too few.
#include <doctest/doctest.h>

#include <array>

#include <atomic>
#include <functional>
#include <thread>

#include "cuda/distances.h"
#include "cuda/select.h"
#include "plain.h"
#if defined(FARPOINT_EMULATE_CUDA)
#include "emulation/settings.h"
#endif

using farpoint::Control;
using farpoint::ElementType;
using farpoint::Index;
using farpoint::Metric;
using namespace farpoint::cuda;

namespace {

constexpr std::array<Index, 1> kRowZero = {0};

// Where a matrix may lie, and how the engine may work on it.
enum class Place { host, device, staged };
struct Variant {
  Place place = Place::host;
  bool eager = false;
};

#if defined(FARPOINT_EMULATE_CUDA)
using farpoint::emulation::Order;

void nothing_is_left() {
  CHECK(farpoint::emulation::live_allocations() == 0);
  CHECK(farpoint::emulation::live_streams() == 0);
  CHECK(farpoint::emulation::live_events() == 0);
}
#endif

// Runs the test for every place, eager and not, and (emulated) in every order of threads; not all of each
// with all of the others.
void for_each_variant(const std::function<void(const Variant&)>& test) {
#if defined(FARPOINT_EMULATE_CUDA)
  const std::pair<Order, Variant> variants[] = {{Order::rising, {Place::host, false}},
                                                {Order::falling, {Place::device, false}},
                                                {Order::shuffled, {Place::host, true}},
                                                {Order::falling, {Place::staged, true}},
                                                {Order::rising, {Place::device, true}}};
  for (const auto& [order, variant] : variants) {
#if defined(FARPOINT_INSTRUMENTED_FOR_RACES)
    // Races show in any order, and this is slow.
    if (variant.eager) {
      continue;
    }
#endif
    farpoint::emulation::settings().order = order;
    CAPTURE(static_cast<int>(order));
    CAPTURE(static_cast<int>(variant.place));
    CAPTURE(variant.eager);
    test(variant);
    nothing_is_left();
  }
  farpoint::emulation::settings().order = Order::rising;
#else
  for (const Variant& variant :
       {Variant{Place::host, false}, Variant{Place::device, false}, Variant{Place::host, true},
        Variant{Place::staged, true}, Variant{Place::device, true}}) {
    CAPTURE(static_cast<int>(variant.place));
    CAPTURE(variant.eager);
    test(variant);
  }
#endif
}

template <class T>
class Placed {
 public:
  Placed(const plain::Matrix<T>& m, Place place) : view_(m.view(plain::type_of<T>())), place_(place) {
    if (place == Place::device) {
      copy_ = Buffer<T>(m.rows * m.columns);
      check(
          cudaMemcpy(copy_.data(), m.elements.data(), m.elements.size() * sizeof(T), cudaMemcpyHostToDevice),
          "copying");
      view_.data = reinterpret_cast<const std::byte*>(copy_.data());
    }
  }
  Matrix matrix() const { return {view_, place_ == Place::device}; }

 private:
  farpoint::MatrixView view_;
  Place place_;
  Buffer<T> copy_;
};

struct Case {
  Index k = 1;
  Index first = 0;
  std::vector<Index> selected;
  Index anchors = 0;  // the last rows of the matrix are anchors instead
  double minimum_value = 0;
  Metric metric = Metric::squared_euclidean;
};

template <class T>
double value_of(const plain::Matrix<T>& m, Metric metric, Index i, Index j) {
  if (metric == Metric::squared_euclidean) {
    return plain::value(m, i, j);
  }
  const auto dot = [&](Index a, Index b) { return plain::dot(m.row(a), m.row(b), m.columns); };
  return farpoint::cosine_value(dot(i, j), dot(i, i), dot(j, j), plain::type_of<T>());
}

// The contract's loop with all that a request may hold.
template <class T>
farpoint::SelectResult plain_select(const plain::Matrix<T>& m, const Case& c) {
  const Index n = m.rows - c.anchors;
  farpoint::SelectResult result;
  std::vector<double> values(static_cast<std::size_t>(n), farpoint::kInfinity);
  std::vector<Index> labels(values.size(), -1);
  std::vector<bool> free(values.size(), true);
  const auto meet = [&](Index row, Index label) {
    for (Index i = 0; i < n; ++i) {
      const auto at = static_cast<std::size_t>(i);
      const double value = value_of(m, c.metric, i, row);
      if (value < values[at] || (label == 0 && values[at] == farpoint::kInfinity)) {
        values[at] = value;
        labels[at] = label;
      }
    }
  };
  for (const Index row : c.selected) {
    free[static_cast<std::size_t>(row)] = false;
    meet(row, -1);
  }
  for (Index i = n; i < m.rows; ++i) {
    meet(i, -1);
  }
  bool begun = !c.selected.empty() || c.anchors > 0;
  for (;;) {
    Index best = begun ? -1 : c.first;
    for (Index i = 0; begun && i < n; ++i) {
      const auto at = static_cast<std::size_t>(i);
      if (free[at] && (best < 0 || values[at] > values[static_cast<std::size_t>(best)])) {
        best = i;
      }
    }
    begun = true;
    result.next_value = best < 0 ? 0.0 : values[static_cast<std::size_t>(best)];
    if (best < 0 || static_cast<Index>(result.indices.size()) == c.k || result.next_value < c.minimum_value) {
      break;
    }
    result.indices.push_back(best);
    result.values.push_back(result.next_value);
    free[static_cast<std::size_t>(best)] = false;
    meet(best, static_cast<Index>(result.indices.size()) - 1);
  }
  result.labels = labels;
  result.label_values = values;
  return result;
}

template <class T>
void compare(const plain::Matrix<T>& m, const Case& c) {
  const auto expected = plain_select(m, c);
  for_each_variant([&](const Variant& variant) {
    const Placed<T> placed(m, variant.place);
    SelectProblem problem;
    problem.points = problem.anchors = placed.matrix();
    problem.points.view.rows = m.rows - c.anchors;
    problem.anchors.view.rows = c.anchors;
    problem.anchors.view.data = problem.points.view.row(problem.points.view.rows);
    problem.metric = c.metric;
    problem.largest = m.largest();
    problem.selected = c.selected;
    problem.request = {.count = c.k, .minimum_value = c.minimum_value, .assign = true};
    if (c.selected.empty() && c.anchors == 0) {
      problem.request.prior = std::span(&c.first, 1);
    }
    problem.options.eager = variant.eager;
    problem.options.stage = variant.place == Place::staged;
    Control control;
    const auto actual = farpoint::cuda::select(problem, control);
    CHECK(actual.indices == expected.indices);
    CHECK(actual.values == expected.values);
    CHECK(actual.next_value == expected.next_value);
    CHECK(actual.labels == expected.labels);
    CHECK(actual.label_values == expected.label_values);
  });
}

template <class T = float>
plain::Matrix<T> normal_matrix(Index n, Index d, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::normal_distribution<double> normal;
  plain::Matrix<T> m(n, d);
  for (T& x : m.elements) {
    x = static_cast<T>(normal(random));
  }
  return m;
}

}  // namespace

TEST_CASE("selection on a device equals the plain loop") {
  for (const auto& [n, d] : {std::pair<Index, Index>{1, 1}, {2, 3}, {40, 33}, {300, 130}, {520, 64}}) {
    const auto m = normal_matrix(n, d, 4);
    CAPTURE(n);
    CAPTURE(d);
    Case c;
    c.k = n;
    c.first = n / 2;
    compare(m, c);
    c.k = (n + 1) / 2;
    c.first = 0;
    compare(m, c);
  }
}

TEST_CASE("selected rows, anchors, a smallest distance and the cosine distance on a device") {
  const auto m = normal_matrix(260, 70, 5);
  for (const Metric metric : {Metric::squared_euclidean, Metric::cosine}) {
    Case c;
    c.metric = metric;
    c.k = 60;
    c.first = 17;
    compare(m, c);
    c.selected = {3, 200, 44};
    compare(m, c);
    c.anchors = 12;
    c.minimum_value = metric == Metric::cosine ? 0.8 : 110.0;
    compare(m, c);
    c.selected.clear();
    c.minimum_value = 0;
    c.k = 248;
    compare(m, c);
  }
}

TEST_CASE("nothing but ties on a device") {
  std::mt19937_64 random(6);
  plain::Matrix<float> m(700, 3);
  for (float& x : m.elements) {
    x = static_cast<float>(random() % 5);
  }
  Case c;
  c.k = 700;
  c.first = 9;
  compare(m, c);
  std::ranges::fill(m.elements, 0.3F);
  compare(m, c);
}

TEST_CASE("float64 values are not rounded on a device") {
  auto m = normal_matrix<double>(260, 19, 7);
  for (double& x : m.elements) {
    x = 1.0 + 1e-9 * x;  // distances that float32, and codes, cannot tell apart
  }
  Case c;
  c.k = 130;
  c.first = 3;
  compare(m, c);
}

TEST_CASE("more survivors than the queue of a block holds") {
  // Two lumps far apart: codes, and float32 in the larger offset, cannot tell the rows of a lump apart.
  for (const double offset : {1e2, 1e6}) {
    auto m = normal_matrix(500, 40, 8);
    for (Index i = 0; i < 250; ++i) {
      m.row(i)[0] += static_cast<float>(offset);
    }
    Case c;
    c.k = 150;
    compare(m, c);
  }
}

TEST_CASE("a stop is obeyed on a device") {
  const auto m = normal_matrix(400, 20, 9);
  int calls = 0;
  Control control([&](const Control::Progress&) { return ++calls < 3; }, std::chrono::milliseconds(0));
  SelectProblem problem;
  problem.points = {m.view(ElementType::float32), false};
  problem.largest = m.largest();
  problem.request = {.count = 400, .prior = kRowZero, .assign = true};
  CHECK_THROWS_AS(farpoint::cuda::select(problem, control), farpoint::Interrupted);
  CHECK(calls == 3);
}

TEST_CASE("nearest rows, closest pair and all pairs on a device") {
  std::mt19937_64 random(8);
  for (const Index d : {Index{3}, Index{70}}) {
    plain::Matrix<float> m(420, d);
    for (float& x : m.elements) {
      x = static_cast<float>(random() % (d == 3 ? 25 : 1000));  // ties everywhere, or nowhere
    }
    farpoint::ClosestPair expected;
    for (Index i = 0; i < m.rows; ++i) {
      for (Index j = i + 1; j < m.rows; ++j) {
        if (plain::value(m, i, j) < expected.value) {
          expected = {plain::value(m, i, j), i, j};
        }
      }
    }
    for_each_variant([&](const Variant& variant) {
      const Placed<float> placed(m, variant.place);
      DistanceProblem problem;
      problem.x = problem.y = placed.matrix();
      problem.y.view.rows = 390;
      problem.largest = m.largest();
      problem.options.eager = variant.eager;
      problem.options.stage = variant.place == Place::staged;
      Control control;
      const auto pair = closest_pair(problem, control);
      CHECK(pair.value == expected.value);
      CHECK(pair.i == expected.i);
      CHECK(pair.j == expected.j);

      std::vector<double> all(420 * 390);
      pairwise(problem, all, control);
      std::vector<double> values(420);
      std::vector<Index> indices(420);
      nearest(problem, values, indices, control);
      for (Index i = 0; i < 420; ++i) {
        const auto row = all.begin() + i * 390;
        const auto best = std::min_element(row, row + 390);
        CHECK(values[static_cast<std::size_t>(i)] == *best);
        CHECK(indices[static_cast<std::size_t>(i)] == best - row);
        CHECK(row[(i * 7) % 390] == plain::value(m, i, (i * 7) % 390));
      }
    });
  }
}

TEST_CASE("a scan on a device finds the first bad row, the first zero row and the sizes") {
  plain::Matrix<float> m(500, 5);
  for (std::size_t i = 0; i < m.elements.size(); ++i) {
    m.elements[i] = 1.0F + static_cast<float>(i % 3);
  }
  std::fill_n(m.row(400), 5, 0.0F);
  std::fill_n(m.row(300), 5, 0.0F);
  m.row(17)[2] = -9.5F;
  plain::Matrix<float> bad = m;
  bad.row(450)[4] = std::numeric_limits<float>::quiet_NaN();
  bad.row(250)[0] = std::numeric_limits<float>::infinity();
  for_each_variant([&](const Variant& variant) {
    Control control;
    const Placed<float> placed(m, variant.place);
    auto found = scan(placed.matrix(), {}, control);
    CHECK(found.first_bad_row == -1);
    CHECK(found.first_zero_row == 300);
    CHECK(found.largest == 9.5);
    CHECK(found.smallest_row == 3.0);
    const Placed<float> placed_bad(bad, variant.place);
    found = scan(placed_bad.matrix(), {}, control);
    CHECK(found.first_bad_row == 250);
  });
}

#if defined(FARPOINT_EMULATE_CUDA)
TEST_CASE("whatever call fails, the error is reported and nothing is left behind") {
  const auto m = normal_matrix(90, 40, 10);
  SelectProblem problem;
  problem.points = {m.view(ElementType::float32), false};
  problem.largest = m.largest();
  problem.request = {.count = 30, .prior = kRowZero, .assign = true};
  // The call that fails is further on every time, until it lies behind the end. Some may fail unnoticed:
  // those that wait for memory which is freed anyway.
  int failures = 0;
  int successes_in_a_row = 0;
  for (int call = 0; successes_in_a_row < 100; ++call) {
    for (const cudaError_t error : {cudaErrorMemoryAllocation, cudaErrorUnknown}) {
      farpoint::emulation::fail_call(call, error);
      Control control;
      ++successes_in_a_row;
      try {
        farpoint::cuda::select(problem, control);
      } catch (const Error& raised) {
        successes_in_a_row = 0;
        ++failures;
        CHECK((dynamic_cast<const OutOfMemory*>(&raised) != nullptr) == (error == cudaErrorMemoryAllocation));
      }
      farpoint::emulation::fail_call(-1, 0);
      nothing_is_left();
    }
    REQUIRE(call < 10000);
  }
  CHECK(failures > 200);
}

TEST_CASE("why no device can be used is one sentence") {
  auto& settings = farpoint::emulation::settings();
  const auto before = settings;
  CHECK(unavailable_reason().empty());
  settings.initialization_error = cudaErrorNoDevice;
  CHECK(unavailable_reason() == "there is no CUDA device");
  CHECK(devices().empty());
  settings.initialization_error = cudaErrorInsufficientDriver;
  settings.driver_version = 0;
  CHECK(unavailable_reason() == "no NVIDIA driver is installed");
  CHECK(driver_version() == "none");
  settings.driver_version = 11080;
  CHECK(unavailable_reason().find("too old: it supports CUDA 11.8") != std::string::npos);
  settings.initialization_error = cudaErrorUnknown;
  CHECK(unavailable_reason().find("cannot be used") != std::string::npos);
  settings = before;

  DeviceOptions options;
  options.device = 3;
  CHECK_THROWS_WITH_AS(Device{options}, "CUDA device 3 does not exist; there are 1", Error);
}

TEST_CASE("calls of several threads do not disturb each other") {
  std::vector<std::thread> threads;
  std::atomic<int> same = 0;
  for (const Index d : {Index{20}, Index{200}, Index{700}}) {
    threads.emplace_back([&same, d] {
      const auto m = normal_matrix(200, d, 12);
      Case c;
      c.k = 50;
      const auto expected = plain_select(m, c);
      for (int repetition = 0; repetition < 3; ++repetition) {
        SelectProblem problem;
        problem.points = {m.view(ElementType::float32), false};
        problem.largest = m.largest();
        problem.request = {.count = 50, .prior = kRowZero};
        Control control;
        const auto actual = farpoint::cuda::select(problem, control);
        same += actual.indices == expected.indices && actual.values == expected.values ? 1 : 0;
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  CHECK(same == 9);
}

TEST_CASE("too little memory: staged, then float32, then an error that says how much is needed") {
  const auto m = normal_matrix(2000, 600, 11);
  Case c;
  c.k = 40;
  const auto expected = plain_select(m, c);
  SelectProblem problem;
  problem.points = {m.view(ElementType::float32), false};
  problem.largest = m.largest();
  problem.request = {.count = 40, .prior = kRowZero};
  problem.options.eager = true;
  bool fits = true;
  bool refused = false;
  for (std::size_t mebibytes = 24; mebibytes > 0; mebibytes -= 2) {
    problem.options.memory_limit = mebibytes << 20;
    Control control;
    try {
      const auto actual = farpoint::cuda::select(problem, control);
      CHECK(fits);  // more memory never fits less
      CHECK(actual.indices == expected.indices);
      CHECK(actual.values == expected.values);
    } catch (const OutOfMemory& error) {
      fits = false;
      refused = true;
      CHECK(std::string(error.what()).find("GiB") != std::string::npos);
    }
  }
  CHECK(refused);
}
#endif
