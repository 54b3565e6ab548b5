// The screen's certificate, attacked: no pair that it skips may have a canonical value below the
// point's own. The thresholds are put on the canonical value itself and one step above it, where any
// error of the bound would show.
#include <doctest/doctest.h>

#include <bit>
#include <functional>
#include <numeric>
#include <string>

#include "cpu/screen_plan.h"
#include "cpu/screens.h"
#include "plain.h"

using farpoint::Control;
using farpoint::Index;
using farpoint::Metric;
using namespace farpoint::cpu;

namespace {

template <class T>
struct Case {
  std::string name;
  std::function<T(std::mt19937_64&, Index row, Index column)> element;
};

// A scale such as _preparing.py would choose; any power of two is allowed that leaves values in float32's
// range.
double scale_for(Metric metric, double largest) {
  int degree = 1;
  if (metric == Metric::cosine || metric == Metric::squared_euclidean) {
    degree = metric == Metric::cosine ? 0 : 2;
  }
  return std::ldexp(1.0, -degree * std::ilogb(largest > 0 ? largest : 1.0));
}

enum class Kind { floats, bytes, codes, heads };

// Every point's value so far is one step above its canonical value to one pick: that pair must survive.
template <class T, class Screen>
Index attack_with(const Screen& screen, SelectState& state, Index& skipped) {
  const Points& rows = state.points;
  std::vector<Index> all(static_cast<std::size_t>(rows.size()));
  std::iota(all.begin(), all.end(), Index{0});
  auto block = screen.make_block((rows.size() + screen.lanes() - 1) / screen.lanes());
  block.pack(all);
  Index wrong = 0;
  for (Index target = 0; target < rows.size(); ++target) {
    std::vector<double> above(all.size());
    for (Index i = 0; i < rows.size(); ++i) {
      const double value = state.value(i, target);
      above[static_cast<std::size_t>(i)] =
          sizeof(T) == 8 ? std::nextafter(value, farpoint::kInfinity)
                         : static_cast<double>(std::nextafter(static_cast<float>(value),
                                                              std::numeric_limits<float>::infinity()));
      block.set_value(i, above[static_cast<std::size_t>(i)]);
    }
    std::vector<bool> survived(all.size(), false);
    std::vector<bool> survived_row(all.size(), false);
    Index survivors = 0;
    typename Screen::Pick pick(screen);
    pick.load(target);
    for (Index g = 0; g < block.groups(); ++g) {
      screen_pairs(screen, block, g, target / screen.tile_picks(), [&](Index slot, Index p) {
        survivors += 1;
        if (p == target && screen.confirm(block, slot, p)) {
          survived[static_cast<std::size_t>(block.row(slot))] = true;
        }
      });
      for (std::uint32_t mask = pick.screen(block, g); mask != 0; mask &= mask - 1) {
        const Index slot = g * screen.lanes() + std::countr_zero(mask);
        const Index row = block.row(slot);
        if (row >= 0 && pick.confirm(block, slot)) {
          survived_row[static_cast<std::size_t>(row)] = true;
        }
      }
    }
    skipped += rows.size() * screen.tile_picks() - survivors;
    wrong += std::count(survived.begin(), survived.end(), false);
    wrong += std::count(survived_row.begin(), survived_row.end(), false);
  }
  return wrong;
}

template <class T>
Index attack(const plain::Matrix<T>& points, Metric metric, SimdLevel level, Kind kind, Index& skipped) {
  Control control;
  ThreadTeam team(1);
  const double scale = sizeof(T) == 8 ? 1.0 : scale_for(metric, points.largest());
  const Frame frame(points.view(plain::type_of<T>()), metric, scale, points.largest(), level);
  WorkMemory memory;
  const Points rows(points.view(plain::type_of<T>()), frame, memory, team, control);
  SelectState state(rows, team, control, memory, rows.size(), false);
  for (Index j = 0; j < rows.size(); ++j) {
    state.picks.append(rows.row(j), rows.self_dot(j), j);
  }
  if (kind == Kind::floats) {
    return attack_with<T>(FloatScreen(state), state, skipped);
  }
  if (kind == Kind::bytes) {
    state.byte_coder = std::make_unique<ByteCoder>(rows);
    return state.byte_coder->usable() ? attack_with<T>(ByteScreen(state), state, skipped) : 0;
  }
  state.codes = std::make_unique<CodedRows>(code_all_rows(rows, memory, team, control));
  if (kind == Kind::codes) {
    return attack_with<T>(CodeScreen(state), state, skipped);
  }
  // Every prefix, and the whole head: 130 columns have heads of 32, 64 and 96 (65 and padding).
  const Index columns = std::max<Index>(1, points.columns / 2);
  add_head_of(state, find_basis(rows, columns, memory, team, control), columns);
  Index wrong = 0;
  for (state.prefix = kCodeColumns; state.prefix <= state.head->padded(); state.prefix += kCodeColumns) {
    wrong += attack_with<T>(CodeScreen(state), state, skipped);
  }
  return wrong;
}

template <class T>
std::vector<Case<T>> cases() {
  std::vector<Case<T>> list;
  const auto normal = [](std::mt19937_64& random) { return std::normal_distribution<double>()(random); };
  list.push_back({"normal", [=](auto& r, Index, Index) { return static_cast<T>(normal(r)); }});
  list.push_back({"all rows equal",
                  [=](auto&, Index, Index j) { return static_cast<T>(0.1 * static_cast<double>(j) + 0.3); }});
  list.push_back(
      {"constant rows", [=](auto&, Index i, Index) { return static_cast<T>(static_cast<double>(i) / 3.0); }});
  list.push_back({"offset", [=](auto& r, Index, Index) { return static_cast<T>(1e6 + normal(r)); }});
  list.push_back({"tight cluster", [=](auto& r, Index, Index j) {
                    return static_cast<T>(static_cast<double>(j % 7) + 1e-6 * normal(r));
                  }});
  list.push_back({"one huge element a row", [=](auto& r, Index i, Index j) {
                    return static_cast<T>(i % 11 == j % 11 ? 1e7 * normal(r) : normal(r));
                  }});
  // Elements on the rounding edges of float32: odd multiples of half an ulp away from the centre.
  list.push_back({"rounding edges", [=](auto& r, Index, Index) {
                    return static_cast<T>(1.0 + static_cast<double>(r() % 64) * 0x1p-24 +
                                          (r() % 2 != 0U ? 0x1p-25 : 0.0));
                  }});
  // float64 data are brought to a safe range before they come here (_preparing.py); this is its end.
  const double tiny = sizeof(T) == 8 ? 0x1p-299 : static_cast<double>(std::numeric_limits<T>::denorm_min());
  list.push_back({"subnormals", [=](auto& r, Index, Index) { return static_cast<T>(normal(r) * tiny * 9); }});
  list.push_back(
      {"signs only", [=](auto& r, Index, Index) { return static_cast<T>(r() % 2 != 0U ? 1 : -1); }});
  // Between odd and even rows a float32 sum of differences goes from 1 in steps of a little more than half an
  // ulp, each of which is rounded up to a whole one: nearly all that gamma allows.
  list.push_back({"sums that round up", [=](auto&, Index i, Index j) {
                    const double step = j == 0 ? 1.0 : 1.01 * 0x1p-24;
                    return static_cast<T>(static_cast<double>(i % 2) * step);
                  }});
  list.push_back({"huge", [=](auto& r, Index, Index) { return static_cast<T>(normal(r) * 1e37); }});
  return list;
}

template <class T>
void attack_all() {
  std::mt19937_64 random(3);
  for (const auto& test : cases<T>()) {
    for (const Index d : {Index{1}, Index{3}, Index{17}, Index{130}}) {
      plain::Matrix<T> points(50, d);
      for (Index i = 0; i < 50; ++i) {
        for (Index j = 0; j < d; ++j) {
          points.row(i)[j] = test.element(random, i, j);
        }
      }
      for (const SimdLevel level : usable_simd_levels()) {
        for (const Metric metric :
             {Metric::squared_euclidean, Metric::cosine, Metric::manhattan, Metric::chebyshev}) {
          const bool products = metric == Metric::squared_euclidean || metric == Metric::cosine;
          if (metric == Metric::cosine && (test.name == "subnormals" || test.name == "constant rows" ||
                                           test.name == "sums that round up")) {
            continue;  // zero rows, which validation refuses
          }
          CAPTURE(test.name);
          CAPTURE(d);
          CAPTURE(static_cast<int>(level));
          CAPTURE(static_cast<int>(metric));
          for (const Kind kind : {Kind::floats, Kind::bytes, Kind::codes, Kind::heads}) {
            CAPTURE(static_cast<int>(kind));
            if (kind != Kind::floats && (kind == Kind::bytes) == products) {
              continue;  // rows are coded as bytes for differences, and otherwise for products
            }
            Index skipped = 0;
            CHECK(attack(points, metric, level, kind, skipped) == 0);
            if (test.name == "normal" && d > 3) {
              // A screen that skips nothing would pass the attack.
              CHECK(skipped > 50 * 50);
            }
          }
        }
      }
    }
  }
}

}  // namespace

TEST_CASE("no pair that matters is skipped: float32") {
  attack_all<float>();
}
TEST_CASE("no pair that matters is skipped: float64") {
  attack_all<double>();
}

TEST_CASE("biases at the ends") {
  const auto bound = farpoint::ScreenBound::of_floats(Metric::squared_euclidean, 100, 1.0);
  CHECK(bound.point_bias(1.0, farpoint::kInfinity) == -std::numeric_limits<float>::infinity());
  CHECK(bound.point_bias(1.0, 0.0) == std::numeric_limits<float>::infinity());
  CHECK(bound.point_bias(1.0, 0.5) < 0.25F);
  const auto wide = farpoint::ScreenBound::of_floats(Metric::squared_euclidean, Index{1} << 23, 1.0);
  CHECK(wide.point_bias(1.0, 0.5) == -std::numeric_limits<float>::infinity());
}
