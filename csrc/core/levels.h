// The program of a selection: which stages of core/select.h run when, and with which thresholds.
#pragma once

#include <algorithm>
#include <chrono>
#include <functional>
#include <vector>

#include "core/control.h"
#include "core/select.h"
#include "core/tuning.h"

namespace farpoint {
namespace levels {

class Stopwatch {
 public:
  // Seconds since construction or the last lap.
  double lap() {
    const auto now = Control::Clock::now();
    const double seconds = std::chrono::duration<double>(now - last_).count();
    last_ = now;
    return seconds;
  }

 private:
  Control::Clock::time_point last_ = Control::Clock::now();
};

// How many points a level looks at. The aim is to end with about as many candidates as fit; the share
// of points that survive catch-up changes slowly, so the rank follows it.
class RankController {
 public:
  RankController(Index capacity, Index rows) : rows_(rows), rank_(capacity) {}

  Index rank() const { return std::clamp(rank_, Index{1}, rows_); }

  void observe(Index gathered, Index candidates, Index capacity) {
    const double target = 0.75 * static_cast<double>(capacity);
    const double wanted =
        static_cast<double>(gathered) * target / static_cast<double>(std::max(candidates, Index{1}));
    const auto now = static_cast<double>(rank());
    rank_ = static_cast<Index>(std::clamp(wanted, tuning::kRankShrink * now, tuning::kRankGrowth * now));
    rank_ = std::clamp(rank_, capacity / 4 + 1, std::max(rows_, capacity));
  }

 private:
  Index rows_;
  Index rank_;
};

// Levels until all picks of the request are made, or no row is left that may be picked. No free row's key is
// above `bound`, if that is finite.
inline void run_levels(const SelectRequest& request, Stages& stages, double bound, Control const& control,
                       Stopwatch& stopwatch, SelectResult& result) {
  SelectStatistics& statistics = stages.statistics();
  RankController ranks(stages.capacity(), stages.free_rows());
  PickEnd end = PickEnd::level_exhausted;
  while (end == PickEnd::level_exhausted && stages.free_rows() > 0) {
    control.throw_if_stopped();
    // The values of a selection that goes on say nothing yet: all rows are looked at once.
    const bool goes_on = bound < kInfinity;
    const double level_value = goes_on ? bound : stages.value_at_rank(ranks.rank());
    bound = kInfinity;
    if (level_value == kClosed) {
      break;
    }
    // Rows with key 0 need not be at distance 0: they are picked as others are, after their rows.
    if (level_value == 0.0 && request.order.by_value()) {
      stages.pick_duplicates(request, result);
      break;
    }
    ++statistics.levels;
    Threshold threshold = Threshold::at_value(level_value);
    const Index gathered = stages.gather(threshold);
    stages.certify(threshold);
    statistics.seconds_certify += stopwatch.lap();
    const Index capacity = stages.capacity();
    const Index candidates = stages.catch_up(threshold, capacity);
    if (!goes_on) {
      ranks.observe(gathered, candidates, capacity);
    }
    statistics.seconds_catch_up += stopwatch.lap();
    control.throw_if_stopped();
    end = stages.pick(threshold, request, result);
    statistics.seconds_pick += stopwatch.lap();
  }
  control.throw_if_stopped();
}

// The key of the last pick of `prior`, above which no row's is; infinity where nothing is known.
inline double first_bound(const SelectRequest& request) {
  if (request.prior_value == kInfinity || request.prior.empty()) {
    return request.prior_value;
  }
  const double bound = request.order.key(request.prior.back(), request.prior_value);
  return bound > 0.0 ? bound : kInfinity;
}

}  // namespace levels

// The value that about `rank` of all `rows` rows reach, estimated from those values of `sampled` evenly
// chosen rows that are not taken; 0 where there are none. For implementations of Stages::value_at_rank.
inline double value_of_rank(std::vector<double> values, Index rank, Index sampled, Index rows) {
  if (values.empty()) {
    return 0.0;
  }
  const auto place = static_cast<Index>(static_cast<double>(rank) * static_cast<double>(sampled) /
                                        static_cast<double>(rows));
  const Index last = static_cast<Index>(values.size()) - 1;
  const auto nth = values.begin() + std::clamp<Index>(place - 1, 0, last);
  std::nth_element(values.begin(), nth, values.end(), std::greater<>());
  return *nth;
}

// Runs the levels. On return `result.next_value` is the largest value of a free row, so that the covering
// radius is known.
inline SelectResult run_select(const SelectRequest& request, Stages& stages, Control const& control) {
  SelectResult result;
  result.indices.reserve(static_cast<std::size_t>(request.count));
  result.values.reserve(static_cast<std::size_t>(request.count));
  SelectStatistics& statistics = stages.statistics();
  levels::Stopwatch stopwatch;

  if (!request.prior.empty()) {
    stages.accept(request.prior);
    result.indices.assign(request.prior.begin(), request.prior.end());
    result.values.assign(request.prior.size(), kInfinity);
  }
  stages.seed();
  statistics.seconds_seed = stopwatch.lap();

  levels::run_levels(request, stages, levels::first_bound(request), control, stopwatch, result);
  if (!request.order.by_value()) {
    // The covering radius is that of all free rows, whether they may be picked or not: the value at which one
    // more would be picked by distance alone.
    stages.order_by_value();
    SelectRequest following = request;
    following.count = static_cast<Index>(result.indices.size());
    following.minimum_value = 0;
    following.order = {};
    result.next_value = 0.0;
    levels::run_levels(following, stages, kInfinity, control, stopwatch, result);
  }

  if (request.assign) {
    stages.assign(result);
    control.throw_if_stopped();
    statistics.seconds_assign = stopwatch.lap();
  }
  result.statistics = stages.statistics();
  return result;
}

}  // namespace farpoint
