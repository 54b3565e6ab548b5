#include "cpu/stages.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/hash.h"
#include "core/levels.h"

namespace farpoint::cpu {
namespace {

std::size_t at(Index i) {
  return static_cast<std::size_t>(i);
}

// Lists the rows that are `admitted`; returns how many.
template <class Admitted>
Index gather_if(SelectState& state, const Admitted& admitted) {
  constexpr Index kRowsOfTask = 16 * tuning::kRowsPerTask;
  const Index rows = state.points.size();
  // Counted first, so that every task knows where to write.
  std::vector<Index> ends(at(rows / kRowsOfTask + 2), 0);
  state.team.for_each(rows, kRowsOfTask, state.control, [&](int, Index begin, Index end) {
    Index count = 0;
    for (Index i = begin; i < end; ++i) {
      count += admitted(i) ? 1 : 0;
    }
    ends[at(begin / kRowsOfTask + 1)] = count;
  });
  state.control.throw_if_stopped();
  std::partial_sum(ends.begin(), ends.end(), ends.begin());
  state.listed.resize(at(ends.back()));
  state.team.for_each(rows, kRowsOfTask, state.control, [&](int, Index begin, Index end) {
    auto place = at(ends[at(begin / kRowsOfTask)]);
    for (Index i = begin; i < end; ++i) {
      if (admitted(i)) {
        state.listed[place++] = i;
      }
    }
  });
  state.control.throw_if_stopped();
  return ends.back();
}

}  // namespace

Index candidate_capacity(const tuning::Schedule& schedule, bool coded, Index dimension, int threads) {
  const Index row_bytes = coded ? dimension : dimension * static_cast<Index>(sizeof(float));
  const Index thread_bytes =
      coded ? schedule.candidate_code_bytes_per_thread : schedule.candidate_bytes_per_thread;
  return std::clamp(thread_bytes / row_bytes * threads, tuning::kMinCandidates, schedule.max_candidates);
}

SelectState::SelectState(const Points& the_points, ThreadTeam& the_team, Control& the_control,
                         WorkMemory& the_memory, Index the_most_picks, bool assign)
    : points(the_points),
      team(the_team),
      control(the_control),
      memory(the_memory),
      most_picks(the_most_picks),
      free_rows(the_points.size()),
      values(memory, the_points.size(), "the distance of each row", Counted::in_plan),
      progress(memory, the_points.size(), "what each row has seen", Counted::in_plan),
      labels(memory, assign ? the_points.size() : 0, "the nearest pick of each row", Counted::in_plan),
      listed(memory, the_points.size()),
      ordered(memory, the_points.size()) {
  picks.reserve(most_picks);
  std::ranges::fill(values, kInfinity);
  std::ranges::fill(progress, Index{0});
  std::ranges::fill(labels, Index{0});
}

void SelectState::keep_away_from(Index i) {
  picks.append(points.row(i), points.self_dot(i), i);
  values[at(i)] = kTaken;
  --free_rows;
}

void SelectState::take(Index i, Index position, double value) {
  keep_away_from(i);
  // At distance 0 an earlier entry is as near as the row itself and keeps the label.
  if (!labels.empty() && value > 0.0) {
    labels[at(i)] = kept_away + position;
  }
}

CpuStages::CpuStages(const SelectProblem& problem, const Points& points, ThreadTeam& team, Control& control,
                     WorkMemory& memory)
    : state_(points, team, control, memory, list_length(problem), problem.request.assign),
      excluded_(problem.excluded),
      plan_(problem.request.count, tuning::schedule(problem.eager)),
      schedule_(tuning::schedule(problem.eager)) {
  for (const Index i : problem.selected) {
    state_.keep_away_from(i);
  }
  for (Index i = 0; i < problem.anchors.rows; ++i) {
    const std::byte* row = problem.anchors.row(i);
    const double self_dot = needs_self_dots(problem.metric) ? points.frame().self_dot(row) : 0.0;
    state_.picks.append(row, self_dot, -1);
  }
  state_.kept_away = state_.picks.size();
  for (const Index i : excluded_) {
    state_.values[at(i)] = kTaken;
    --state_.free_rows;
  }
  if (const SelectRequest& request = problem.request; !request.order.by_value()) {
    state_.orders.assign(at(team.size()), PickOrder(request.order, request.count, request.minimum_value));
  }
}

void CpuStages::accept(std::span<const Index> rows) {
  for (std::size_t position = 0; position < rows.size(); ++position) {
    state_.take(rows[position], static_cast<Index>(position), kInfinity);
  }
  if (!state_.orders.empty()) {
    state_.orders.front().follow(rows);
  }
}

void CpuStages::seed() {
  state_.team.for_each(state_.points.size(), tuning::kRowsPerTask, state_.control,
                       [&](int, Index begin, Index end) {
                         for (Index i = begin; i < end; ++i) {
                           if (!state_.taken(i)) {
                             state_.values[at(i)] = state_.value(i, 0);
                             state_.progress[at(i)] = 1;
                           }
                         }
                       });
  state_.screened.refined += state_.points.size();
  state_.screened.improved += state_.points.size();
}

std::vector<double> CpuStages::sample_values(Index size) const {
  const Index rows = state_.points.size();
  const Index sample = std::min(rows, size);
  std::vector<double> values;
  values.reserve(at(sample));
  for (Index s = 0; s < sample; ++s) {
    const double place = static_cast<double>(s) + (sample == rows ? 0.0 : unit_hash(s));
    const auto i = static_cast<Index>(place * static_cast<double>(rows) / static_cast<double>(sample));
    // What is taken or may not be picked is below 0.
    const double value = state_.key(std::min(i, rows - 1));
    if (value >= 0.0) {
      values.push_back(value);
    }
  }
  return values;
}

double CpuStages::value_at_rank(Index rank) {
  const Index rows = state_.points.size();
  const double value =
      value_of_rank(sample_values(tuning::kRankSample), rank, std::min(rows, tuning::kRankSample), rows);
  if (value > 0.0) {
    return value;
  }
  return state_.orders.empty() ? largest_value() : largest_key();
}

Index CpuStages::gather(const Threshold& threshold) {
  if (state_.orders.empty()) {
    return gather_if(state_, [&](Index i) {
      const double value = state_.values[at(i)];
      return value != kTaken && threshold.admits(value, i);
    });
  }
  return gather_if(state_, [&](Index i) {
    const double key = state_.key(i);
    return key != kClosed && threshold.admits(key, i);
  });
}

void CpuStages::certify(const Threshold& threshold) {
  plan_.before_level(state_, threshold);
  if (const int rings = plan_.rings_wanted(state_); rings > 0) {
    plan_.judge_rings(cpu::certify(state_, threshold, rings), rings);
  }
}

Index CpuStages::catch_up(Threshold& threshold, Index capacity) {
  plan_.before_catch_up(state_);
  return cpu::catch_up(state_, threshold, capacity);
}

PickEnd CpuStages::pick(const Threshold& threshold, const SelectRequest& request, SelectResult& result) {
  return cpu::pick(state_, threshold, request, result);
}

void CpuStages::order_by_value() {
  state_.orders.clear();
}

void CpuStages::pick_duplicates(const SelectRequest& request, SelectResult& result) {
  pick_at_zero(
      request, state_.points.size(), [this](Index i) { return !state_.taken(i); },
      [this](Index i) {
        // With labels a row stays as it is: assign looks for the earliest entry at distance 0, which need not
        // be the one that was met first, for rounded distances of 0 are not transitive.
        // For the same reason an excluded row may be nearest to this pick, which it therefore meets too.
        if (state_.labels.empty()) {
          state_.values[at(i)] = kTaken;
        } else if (!excluded_.empty()) {
          state_.picks.append(state_.points.row(i), state_.points.self_dot(i), i);
        }
        --state_.free_rows;
      },
      result);
}

void CpuStages::assign(SelectResult& result) {
  // Excluded rows have a nearest pick as all others have. They have met nothing yet.
  for (const Index i : excluded_) {
    state_.values[at(i)] = state_.value(i, 0);
    state_.progress[at(i)] = 1;
  }
  Threshold everything = Threshold::everything();
  gather(everything);
  cpu::catch_up(state_, everything, state_.points.size());
  state_.forget_lists();
  result.labels.resize(at(state_.points.size()));
  result.label_values.resize(result.labels.size());
  for (std::size_t i = 0; i < result.labels.size(); ++i) {
    result.labels[i] = std::max<Index>(state_.labels[i] - state_.kept_away, -1);
    result.label_values[i] = std::max(state_.values[i], 0.0);  // a pick is at 0 from itself
  }
}

Index CpuStages::capacity() const {
  const Frame& frame = state_.points.frame();
  // A column of bits is a byte, as that of codes.
  const bool bytes = state_.codes != nullptr || state_.bytes || counts_bits(frame.metric());
  const Index most = candidate_capacity(schedule_, bytes, frame.dimension(), state_.team.size());
  return std::min(most, std::max<Index>(state_.points.size(), 1));
}

Index CpuStages::free_rows() const {
  return state_.free_rows;
}

SelectStatistics& CpuStages::statistics() {
  SelectStatistics& s = state_.statistics;
  ScreenCounts all = state_.screened;
  all += state_.looked_up;
  s.pairs_screened = all.screened;
  s.pairs_looked_up = state_.looked_up.screened;
  s.pairs_confirmed = all.confirmed;
  s.pairs_refined = all.refined;
  s.pairs_improved = all.improved;
  s.bytes_work = state_.memory.most_held();
  s.bytes_spilled = state_.memory.most_spilled();
  return s;
}

double CpuStages::largest_key() {
  std::vector<double> largest(at(state_.team.size()), kClosed);
  state_.team.for_each(state_.points.size(), 16 * tuning::kRowsPerTask, state_.control,
                       [&](int thread, Index begin, Index end) {
                         double& mine = largest[at(thread)];
                         for (Index i = begin; i < end; ++i) {
                           mine = std::max(mine, state_.key(i));
                         }
                       });
  return *std::ranges::max_element(largest);
}

double CpuStages::largest_value() {
  std::vector<double> largest(at(state_.team.size()), 0.0);
  state_.team.for_each(state_.points.size(), 16 * tuning::kRowsPerTask, state_.control,
                       [&](int thread, Index begin, Index end) {
                         const double* const first = state_.values.begin();
                         largest[at(thread)] =
                             std::max(largest[at(thread)], *std::max_element(first + begin, first + end));
                       });
  return *std::ranges::max_element(largest);
}

}  // namespace farpoint::cpu
