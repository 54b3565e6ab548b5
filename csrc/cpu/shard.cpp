#include "cpu/shard.h"

#include <algorithm>
#include <cstring>

#include "core/tuning.h"
#include "cpu/memory_plan.h"

namespace farpoint::cpu {
namespace {

std::size_t at(Index i) {
  return static_cast<std::size_t>(i);
}

double work_of(const MatrixView& points, Index partners) {
  return static_cast<double>(points.rows) * static_cast<double>(points.columns) *
         static_cast<double>(partners);
}

// Whether codes tell candidates apart at their present values, tried on pairs of them.
bool codes_suit(const Points& points, std::span<const double> values, const std::vector<Index>& listed,
                const tuning::Schedule& schedule, ThreadTeam& team, WorkMemory& memory, Control& control) {
  const Frame& frame = points.frame();
  if (frame.dimension() < schedule.min_code_columns || !frame.code_bound(0.0).usable() || listed.empty()) {
    return false;
  }
  SelectState trial(points, team, control, memory, tuning::kTrialPicks, false);
  std::ranges::copy(values, trial.values.begin());
  trial.listed.resize(listed.size());
  std::ranges::copy(listed, trial.listed.begin());
  const auto count = static_cast<Index>(listed.size());
  const Index picks = std::min(tuning::kTrialPicks, count);
  for (Index s = 0; s < picks; ++s) {
    const Index row = listed[at(s * count / picks)];
    trial.picks.append(points.row(row), points.self_dot(row), row);
  }
  return share_in_vain(trial, kInfinity) < schedule.max_in_vain_at_trial;
}

WorkMemory& planned(WorkMemory& memory, const SelectProblem& problem, const Frame& frame, int threads) {
  memory.plan(least_for_levels(problem, frame, threads));
  return memory;
}

}  // namespace

class Shard::Call {
 public:
  Call(Shard& shard, Control& control) : shard_(&shard) { shard.outer_ = &control; }
  ~Call() { shard_->outer_ = nullptr; }
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;

 private:
  Shard* shard_;
};

Shard::Shard(const SelectProblem& problem, Control& control)
    : outer_(&control),
      control_([this](const Control::Progress&) { return outer_ == nullptr || !outer_->poll(); },
               Control::Clock::duration::zero()),
      memory_(problem.memory),
      team_(useful_threads(work_of(problem.points, problem.request.count), problem.threads)),
      frame_(problem.points, problem.metric, problem.scale, problem.largest, problem.level),
      points_(problem.points, frame_, planned(memory_, problem, frame_, team_.size()), team_, control_),
      stages_(problem, points_, team_, control_, memory_),
      state_(stages_.state()) {
  outer_ = nullptr;
  control_.throw_if_stopped();
}

void Shard::see(const MatrixView& rows, std::span<const Index> own, std::span<const double> values,
                Control& control) {
  const Call call(*this, control);
  const std::size_t row_bytes = at(columns()) * element_size(rows.type);
  const auto others = static_cast<std::size_t>(std::ranges::count_if(own, [](Index i) { return i < 0; }));
  others_.emplace_back(memory_, static_cast<Index>(others * row_bytes), "picks of other shards",
                       Counted::now);
  std::byte* next = others_.back().data();
  for (Index entry = 0; entry < rows.rows; ++entry) {
    const Index i = own[at(entry)];
    if (i < 0) {
      std::memcpy(next, rows.row(entry), row_bytes);
      state_.picks.append(next, needs_self_dots(frame_.metric()) ? frame_.self_dot(next) : 0.0, -1);
      next += row_bytes;
    } else if (values.empty()) {
      state_.keep_away_from(i);
    } else {
      state_.take(i, entries() - state_.kept_away, values[at(entry)]);
    }
  }
  if (values.empty()) {
    state_.kept_away = entries();
  }
  if (state_.codes) {
    code_anchors(state_);
  }
}

Shard::Level Shard::level(double value, Index capacity, Control& control) {
  const Call call(*this, control);
  if (!seeded_) {
    stages_.seed();
    control_.throw_if_stopped();
    seeded_ = true;
  }
  Level level{Threshold::at_value(value), {}, {}};
  ++state_.statistics.levels;
  stages_.gather(level.threshold);
  stages_.certify(level.threshold);
  stages_.catch_up(level.threshold, capacity);
  control_.throw_if_stopped();
  level.rows.assign(state_.listed.begin(), state_.listed.end());
  level.values.reserve(level.rows.size());
  for (const Index row : level.rows) {
    level.values.push_back(state_.values[at(row)]);
  }
  return level;
}

double Shard::largest(Control& control) {
  const Call call(*this, control);
  return stages_.largest_value();
}

SelectResult Shard::assign(Control& control) {
  const Call call(*this, control);
  SelectResult result;
  stages_.assign(result);
  control_.throw_if_stopped();
  return result;
}

PickedCandidates pick_among(const CandidateProblem& problem, Control& control) {
  ThreadTeam team(useful_threads(work_of(problem.points, problem.count), problem.threads));
  const Frame frame(problem.points, problem.metric, problem.scale, problem.largest, problem.level);
  WorkMemory memory;
  const Points points(problem.points, frame, memory, team, control);
  SelectState state(points, team, control, memory, problem.count, false);
  std::ranges::copy(problem.values, state.values.begin());
  std::vector<Index> listed;
  for (Index i = 0; i < points.size(); ++i) {
    if (problem.threshold.admits(problem.values[at(i)], i)) {
      listed.push_back(i);
    }
  }
  state.listed.resize(listed.size());
  std::ranges::copy(listed, state.listed.begin());
  if (codes_suit(points, problem.values, listed, tuning::schedule(problem.eager), team, memory, control)) {
    add_codes(state);
  }
  SelectResult result;
  result.indices.reserve(at(points.size()));
  result.values.reserve(at(points.size()));
  const SelectRequest request{.count = problem.count, .minimum_value = problem.minimum_value};
  const PickEnd end = pick(state, problem.threshold, request, result);
  control.throw_if_stopped();
  PickedCandidates picked{std::move(result.indices), std::move(result.values), std::nullopt};
  if (end != PickEnd::level_exhausted) {
    picked.next_value = result.next_value;
  }
  return picked;
}

}  // namespace farpoint::cpu
