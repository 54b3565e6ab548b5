// Selects from points that are stored by columns, by farpoint's core, and from a copy by rows, by farpoint's
// engine. Both are the same to the bit; exits with 1 if they are not.

#include <farpoint.h>

#include <algorithm>
#include <cmath>
#include <iostream>
#include <memory>
#include <random>

#include "column_stages.h"

namespace {

constexpr Index kRows = 4000;
constexpr Index kColumns = 37;
constexpr Index kPicks = 400;

using Selection = std::unique_ptr<farpoint_selection, decltype(&farpoint_selection_free)>;

Selection select_rows(const std::vector<double>& rows) {
  const farpoint_matrix points = {rows.data(), kRows, kColumns, 0, FARPOINT_FLOAT64};
  farpoint_selection* selection = nullptr;
  if (farpoint_select(&points, FARPOINT_SQEUCLIDEAN, kPicks, nullptr, nullptr, &selection) != FARPOINT_OK) {
    std::cerr << farpoint_last_error_message() << '\n';
    std::exit(1);
  }
  return {selection, &farpoint_selection_free};
}

farpoint::SelectResult select_columns(const Columns& points) {
  ColumnStages stages(points);
  const Index first = 0;
  farpoint::SelectRequest request;
  request.count = kPicks;
  request.prior = {&first, 1};
  return farpoint::run_select(request, stages, farpoint::Control());
}

}  // namespace

int main() {
  std::mt19937_64 random(1);
  std::normal_distribution<double> normal;
  Columns columns{kRows, std::vector(kColumns, std::vector<double>(kRows))};
  std::vector<double> rows;
  for (std::size_t i = 0; i < kRows; ++i) {
    for (std::vector<double>& column : columns.columns) {
      column[i] = normal(random);
      rows.push_back(column[i]);
    }
  }

  const Selection expected = select_rows(rows);
  const farpoint::SelectResult found = select_columns(columns);
  const bool same =
      std::ranges::equal(found.indices, std::span(farpoint_selection_indices(expected.get()), kPicks)) &&
      std::ranges::equal(found.values, std::span(farpoint_selection_radii(expected.get()), kPicks)) &&
      found.next_value == farpoint_selection_covering_radius(expected.get());
  std::cout << kPicks << " of " << kRows << " points by columns: h_min " << std::sqrt(found.values.back())
            << ", " << 100 * found.statistics.pairs_refined / (kRows * kPicks)
            << " % of the pairs evaluated; " << (same ? "the engine's bits" : "NOT the engine's bits")
            << '\n';
  return same ? 0 : 1;
}
