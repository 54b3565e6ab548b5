// Weights and groups: keys never rise, and the engine picks by them whatever the threads.
#include <doctest/doctest.h>

#include <limits>
#include <numeric>
#include <random>
#include <vector>

#include "core/pick_order.h"
#include "cpu/select.h"
#include "plain.h"

using farpoint::Index;
using farpoint::kClosed;
using farpoint::OrderRequest;
using farpoint::PickOrder;
using namespace farpoint::cpu;

namespace {

std::size_t at(Index i) {
  return static_cast<std::size_t>(i);
}

// Groups of rows and quotas that so many picks can meet.
struct Instance {
  std::vector<std::int32_t> groups;
  std::vector<Index> at_least;
  std::vector<Index> at_most;
  Index count = 0;

  Instance(Index rows, Index group_count, std::mt19937_64& random) {
    const auto below = [&](Index n) { return static_cast<Index>(random() % static_cast<std::uint64_t>(n)); };
    std::vector<Index> available(at(group_count), 0);
    for (Index i = 0; i < rows; ++i) {
      groups.push_back(static_cast<std::int32_t>(below(group_count)));
      ++available[at(groups.back())];
    }
    for (const Index there : available) {
      at_least.push_back(below(3) == 0 ? below(there + 1) : 0);
      at_most.push_back(below(2) == 0 ? at_least.back() + below(there - at_least.back() + 1) : there);
    }
    const Index least = std::accumulate(at_least.begin(), at_least.end(), Index{0});
    const Index most = std::accumulate(at_most.begin(), at_most.end(), Index{0});
    count = least + below(most - least + 1);
  }

  OrderRequest request() const { return {.groups = groups, .at_least = at_least, .at_most = at_most}; }
};

// The next picks by the definition: all rows are asked, again and again.
std::vector<Index> plain_picks(const plain::Matrix<float>& m, const OrderRequest& request, Index count,
                               Index first) {
  PickOrder order(request, count, 0.0);
  std::vector<double> values(at(m.rows), farpoint::kInfinity);
  std::vector<bool> taken(at(m.rows), false);
  std::vector<Index> picks;
  Index next = first;
  while (next >= 0) {
    picks.push_back(next);
    taken[at(next)] = true;
    order.count(next);
    for (Index i = 0; i < m.rows; ++i) {
      const double value = plain::squared(m.row(i), m.row(next), m.columns);
      values[at(i)] = std::min(values[at(i)], static_cast<double>(static_cast<float>(value)));
    }
    next = -1;
    double best = kClosed;
    for (Index i = 0; i < m.rows && static_cast<Index>(picks.size()) < count; ++i) {
      if (!taken[at(i)] && order.key(i, values[at(i)]) > best) {
        best = order.key(i, values[at(i)]);
        next = i;
      }
    }
  }
  return picks;
}

}  // namespace

TEST_CASE("a closed group stays closed, and all quotas are met whichever open rows are picked") {
  std::mt19937_64 random(1);
  for (int trial = 0; trial < 3000; ++trial) {
    const Index rows = 1 + static_cast<Index>(random() % 30);
    const Instance instance(rows, 1 + static_cast<Index>(random() % 8), random);
    PickOrder order(instance.request(), instance.count, 0.0);
    std::vector<bool> taken(at(rows), false);
    std::vector<bool> open(at(rows));
    std::vector<Index> counts(instance.at_least.size(), 0);
    for (Index i = 0; i < rows; ++i) {
      open[at(i)] = order.is_open(i);
    }
    for (Index made = 0; made < instance.count; ++made) {
      // Any open row, not the best alone: the proof does not ask which.
      std::vector<Index> may;
      for (Index i = 0; i < rows; ++i) {
        if (!taken[at(i)] && order.is_open(i)) {
          may.push_back(i);
        }
      }
      REQUIRE_FALSE(may.empty());
      const Index pick = may[random() % may.size()];
      taken[at(pick)] = true;
      ++counts[at(instance.groups[at(pick)])];
      const bool closed_some = order.count(pick);
      bool is_changed = false;
      for (Index i = 0; i < rows; ++i) {
        REQUIRE((open[at(i)] || !order.is_open(i)));
        is_changed = is_changed || open[at(i)] != order.is_open(i);
        open[at(i)] = order.is_open(i);
      }
      // Whoever is not told of a change would keep rows that may not be picked.
      REQUIRE((closed_some || !is_changed));
    }
    for (std::size_t g = 0; g < counts.size(); ++g) {
      REQUIRE(counts[g] >= instance.at_least[g]);
      REQUIRE(counts[g] <= instance.at_most[g]);
    }
  }
}

TEST_CASE("a key never rises as values fall, at the ends of float64 too") {
  std::mt19937_64 random(2);
  std::uniform_real_distribution<double> exponents(-1074, 1000);
  for (int trial = 0; trial < 20000; ++trial) {
    const double weight =
        trial % 10 == 0 ? 0.0 : std::exp2(-300 * std::generate_canonical<double, 53>(random));
    const double value = trial % 7 == 0 ? 0.0 : std::exp2(exponents(random));
    const double above = std::nextafter(value, farpoint::kInfinity);
    for (const bool of_roots : {false, true}) {
      const OrderRequest request{.weights = {&weight, 1}, .of_roots = of_roots};
      const double key = request.key(0, value);
      REQUIRE(key >= 0.0);
      REQUIRE(key <= request.key(0, above));
      REQUIRE(request.key(0, above) <= request.key(0, farpoint::kInfinity));
      const PickOrder order(request, 1, above);
      REQUIRE(order.key(0, value) == kClosed);
      REQUIRE(order.key(0, above) == request.key(0, above));
    }
  }
}

TEST_CASE("weights and groups: the plain loop's picks whatever the threads") {
  std::mt19937_64 random(3);
  std::normal_distribution<float> normal;
  // Rows long enough for several threads to share the candidates.
  plain::Matrix<float> m(3000, 600);
  for (float& x : m.elements) {
    x = normal(random);
  }
  std::vector<double> weights(at(m.rows));
  for (double& weight : weights) {
    weight = 0.25 + 0.75 * std::generate_canonical<double, 53>(random);
  }
  std::vector<std::int32_t> groups(at(m.rows));
  for (std::int32_t& group : groups) {
    group = static_cast<std::int32_t>(random() % 60);
  }
  const std::vector<Index> at_least(60, 2);
  const std::vector<Index> at_most(60, 4);
  const OrderRequest request{
      .weights = weights, .of_roots = true, .groups = groups, .at_least = at_least, .at_most = at_most};
  const Index first = 5;
  const auto expected = plain_picks(m, request, 180, first);
  for (const bool eager : {false, true}) {
    for (const int threads : {1, 2, 4}) {
      SelectProblem problem;
      problem.points = m.view(farpoint::ElementType::float32);
      problem.largest = m.largest();
      problem.request = {.count = 180, .prior = std::span(&first, 1), .order = request};
      problem.threads = threads;
      problem.eager = eager;
      farpoint::Control control;
      CHECK(farpoint::cpu::select(problem, control).indices == expected);
    }
  }
}
