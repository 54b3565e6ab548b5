// The CUDA backend against the plain loop: on a device, or emulated (csrc/emulation/). There threads run in several
// orders: a result that depends on the order has a barrier too few.
#include <doctest/doctest.h>

#include <functional>

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

// Runs the test in every order of threads that there is.
void in_every_order(const std::function<void()>& test) {
#if defined(FARPOINT_EMULATE_CUDA)
  using farpoint::emulation::Order;
  for (const Order order : {Order::rising, Order::falling, Order::shuffled}) {
    farpoint::emulation::settings().order = order;
    CAPTURE(static_cast<int>(order));
    test();
  }
  farpoint::emulation::settings().order = Order::rising;
  CHECK(farpoint::emulation::live_allocations() == 0);
  CHECK(farpoint::emulation::live_streams() == 0);
  CHECK(farpoint::emulation::live_events() == 0);
#else
  test();
#endif
}

// Where a matrix may lie.
enum class Place { host, device };

template <class T>
class Placed {
 public:
  Placed(const plain::Matrix<T>& m, Place place) : view_(m.view(plain::type_of<T>())), place_(place) {
    if (place == Place::device) {
      copy_ = Buffer<T>(m.rows * m.columns);
      check(cudaMemcpy(copy_.data(), m.elements.data(), m.elements.size() * sizeof(T), cudaMemcpyHostToDevice),
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

template <class T>
void compare(const plain::Matrix<T>& m, Index k, Index first) {
  const auto expected = plain::select(m, k, first);
  in_every_order([&] {
    for (const Place place : {Place::host, Place::device}) {
      for (const bool eager : {false, true}) {
        const Placed<T> placed(m, place);
        SelectProblem problem;
        problem.points = placed.matrix();
        problem.largest = m.largest();
        problem.request = {k, first, 0.0, true};
        problem.options.eager = eager;
        Control control;
        const auto actual = farpoint::cuda::select(problem, control);
        CHECK(actual.indices == expected.indices);
        CHECK(actual.values == expected.values);
        CHECK(actual.next_value == expected.next_value);
        REQUIRE(static_cast<Index>(actual.labels.size()) == m.rows);
        for (Index i = 0; i < m.rows; ++i) {
          const auto at = static_cast<std::size_t>(i);
          Index label = 0;
          for (Index p = 1; p < static_cast<Index>(expected.indices.size()); ++p) {
            if (plain::value(m, i, expected.indices[static_cast<std::size_t>(p)]) <
                plain::value(m, i, expected.indices[static_cast<std::size_t>(label)])) {
              label = p;
            }
          }
          CHECK(actual.labels[at] == label);
          CHECK(actual.label_values[at] == plain::value(m, i, expected.indices[static_cast<std::size_t>(label)]));
        }
      }
    }
  });
}

}  // namespace

TEST_CASE("selection equals the plain loop") {
  std::mt19937_64 random(4);
  std::normal_distribution<double> normal;
  for (const Index n : {Index{1}, Index{2}, Index{40}, Index{700}}) {
    for (const Index d : {Index{1}, Index{33}, Index{130}}) {
      plain::Matrix<float> m(n, d);
      for (float& x : m.elements) {
        x = static_cast<float>(normal(random));
      }
      compare(m, n, n / 2);
      compare(m, (n + 1) / 2, 0);
    }
  }
}
