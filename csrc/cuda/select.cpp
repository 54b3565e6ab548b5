#include "cuda/select.h"

#include <algorithm>
#include <vector>

#include "core/levels.h"
#include "core/tuning.h"
#include "cuda/passes.h"
#include "cuda/pick.h"
#include "cuda/select_state.h"

namespace farpoint::cuda {
namespace {

std::size_t at(Index i) {
  return static_cast<std::size_t>(i);
}

class DeviceStages final : public Stages {
 public:
  DeviceStages(const SelectProblem& problem, Points& points, const Points* anchors, const MemoryPlan& plan,
               Control& control)
      : control_(&control),
        kept_away_(static_cast<Index>(problem.selected.size()) + problem.anchors.view.rows),
        free_rows_(points.size() - static_cast<Index>(problem.selected.size())),
        state_(points, kept_away_ + problem.request.count, plan, problem.request.assign, control),
        capacity_(candidate_capacity(points)),
        picked_(tuning::kPicksPerLaunch),
        picked_places_(tuning::kPicksPerLaunch),
        picked_values_(tuning::kPicksPerLaunch),
        report_(1),
        board_(pick_board_words(points.device().info())),
        sample_(std::min(points.size(), tuning::kRankSample)),
        candidate_store_(points.staged() ? capacity_ * points.frame().row_bytes() : 0) {
    if (!problem.selected.empty()) {
      Buffer<Index> selected(static_cast<Index>(problem.selected.size()));
      upload(device(), selected.data(), problem.selected);
      state_.picks().append_rows(selected.data(), selected.size(), control);
      take_rows(selected.data(), selected.size(), state_.rows(), -1, device());
    }
    if (anchors != nullptr) {
      state_.picks().append_others(*anchors);
    }
    device().synchronise(control);  // before what was copied from goes
  }

  void accept(std::span<const Index> rows) override {
    Buffer<Index> accepted(static_cast<Index>(rows.size()));
    upload(device(), accepted.data(), rows);
    state_.picks().append_rows(accepted.data(), accepted.size(), *control_);
    take_rows(accepted.data(), accepted.size(), state_.rows(), kept_away_, device());
    free_rows_ -= accepted.size();
    device().synchronise(*control_);  // before what was copied from goes
  }

  void seed() override {
    const PickState picks = state_.picks().state();
    Points& points = state_.points();
    points.for_each_chunk(*control_, [&](Rows rows, Index begin, Index end) {
      cuda::seed(points.frame().contract(), rows, begin, end, state_.rows(), picks, device());
    });
    device().synchronise(*control_);
    seeded_ = points.size();
  }

  double value_at_rank(Index rank) override {
    const Index rows = state_.points().size();
    const Index sample = sample_.size();
    sample_values(state_.rows().values, rows, sample, sample_.data(), device());
    std::vector<double> values(at(sample));
    read(device(), std::span(values), sample_.data(), *control_);
    std::erase(values, kTaken);
    const double value = value_of_rank(std::move(values), rank, sample, rows);
    return value > 0.0 ? value
                       : std::max(state_.primitives().largest(state_.rows().values, rows, *control_), 0.0);
  }

  Index gather(const Threshold& threshold) override { return state_.list(threshold); }

  // Looking among likely near picks first saves products, which cost a device little.
  void certify(const Threshold& /*threshold*/) override {}

  Index catch_up(Threshold& threshold, Index capacity) override {
    state_.catch_up(threshold);
    if (state_.listed_count() > capacity) {
      keep_first(threshold, capacity);
    }
    return state_.listed_count();
  }

  PickEnd pick(const Threshold& threshold, const SelectRequest& request, SelectResult& result) override {
    if (state_.listed_count() == 0) {
      return PickEnd::level_exhausted;
    }
    PickTask task;
    task.contract = state_.points().frame().contract();
    task.candidates = state_.bring(state_.listed(), state_.listed_count(), candidate_store_.data());
    task.state = state_.rows();
    task.threshold = threshold;
    task.minimum_value = request.minimum_value;
    task.most = tuning::kPicksPerLaunch;
    task.picked = picked_.data();
    task.picked_places = picked_places_.data();
    task.picked_values = picked_values_.data();
    task.report = report_.data();
    task.board = board_.data();
    task.counts = state_.counts();
    // The operands of the candidates do not change while picks are added.
    const bool codes = state_.plan().uses_codes();
    const CodeOperands code_operands = codes ? state_.plan().own_code_operands() : CodeOperands();
    const FloatOperands float_operands =
        codes ? FloatOperands() : state_.plan().float_operands(state_.picks(), task.candidates);
    for (;;) {
      task.first_entry = state_.picks().size();
      task.left = request.count - static_cast<Index>(result.indices.size());
      if (codes) {
        cuda::pick(task, code_operands, device());
      } else {
        cuda::pick(task, float_operands, device());
      }
      const PickReport report = record(task, result);
      if (report.end != LaunchEnd::more) {
        result.next_value = report.next_value;
        return pick_end(report.end);
      }
    }
  }

  void pick_duplicates(const SelectRequest& request, SelectResult& result) override {
    const std::vector<double> values = read_values();
    std::vector<Index> rows;
    pick_at_zero(
        request, state_.points().size(), [&](Index i) { return values[at(i)] != kTaken; },
        [&](Index i) { rows.push_back(i); }, result);
    free_rows_ -= static_cast<Index>(rows.size());
    Buffer<Index> taken(static_cast<Index>(rows.size()));
    upload<Index>(device(), taken.data(), rows);
    take_rows(taken.data(), taken.size(), state_.rows(), -1, device());
    device().synchronise(*control_);
  }

  void assign(SelectResult& result) override {
    // Picks are taken, so that this lists the rest; a pick's own label and value are known.
    state_.list(Threshold::everything());
    state_.catch_up(Threshold::everything());
    std::vector<std::int32_t> labels(at(state_.points().size()));
    read(device(), std::span(labels), state_.rows().labels, *control_);
    result.label_values = read_values();
    result.labels.resize(labels.size());
    for (std::size_t i = 0; i < labels.size(); ++i) {
      result.labels[i] = std::max<Index>(labels[i] - kept_away_, -1);
      result.label_values[i] = std::max(result.label_values[i], 0.0);  // a pick is at 0 from itself
    }
  }

  Index capacity() const override { return capacity_; }
  Index free_rows() const override { return free_rows_; }

  SelectStatistics& statistics() override {
    const ScreenCounts counts = state_.read_counts();
    statistics_.pairs_screened = static_cast<Index>(counts.screened);
    statistics_.pairs_refined = seeded_ + static_cast<Index>(counts.refined);
    statistics_.pairs_improved = seeded_ + static_cast<Index>(counts.improved);
    return statistics_;
  }

 private:
  const Device& device() const { return state_.device(); }

  static PickEnd pick_end(LaunchEnd end) {
    if (end == LaunchEnd::complete) {
      return PickEnd::complete;
    }
    return end == LaunchEnd::below_minimum ? PickEnd::below_minimum : PickEnd::level_exhausted;
  }

  static Index candidate_capacity(const Points& points) {
    const tuning::Schedule& schedule = tuning::schedule(points.device().eager());
    const Index wanted = points.device().eager() ? schedule.max_candidates : tuning::kDeviceCandidates;
    return std::max<Index>(1, std::min({wanted, most_candidates(points.device().info()), points.size(),
                                        points.staged() ? points.chunk_rows() : wanted}));
  }

  std::vector<double> read_values() {
    std::vector<double> values(at(state_.points().size()));
    read(device(), std::span(values), state_.rows().values, *control_);
    return values;
  }

  // Of the listed rows the first `capacity` in the order; the threshold is raised to the last of them.
  void keep_first(Threshold& threshold, Index capacity) {
    const Index count = state_.listed_count();
    Buffer<double> gathered(count);
    gather_values(state_.listed(), count, state_.rows().values, gathered.data(), device());
    std::vector<Index> rows(at(count));
    std::vector<double> values(at(count));
    read(device(), std::span(rows), state_.listed(), *control_);
    read(device(), std::span(values), gathered.data(), *control_);
    std::vector<PointKey> keys;
    keys.reserve(rows.size());
    for (std::size_t i = 0; i < rows.size(); ++i) {
      keys.push_back({values[i], rows[i]});
    }
    const auto last = keys.begin() + static_cast<std::ptrdiff_t>(capacity - 1);
    std::nth_element(keys.begin(), last, keys.end(),
                     [](const PointKey& a, const PointKey& b) { return a.before(b); });
    threshold.last = *last;
    rows.clear();
    std::transform(keys.begin(), last + 1, std::back_inserter(rows),
                   [](const PointKey& key) { return key.row; });
    state_.set_list(rows);
    device().synchronise(*control_);  // before `rows` goes
  }

  // Takes over what a launch picked.
  PickReport record(const PickTask& task, SelectResult& result) {
    PickReport report;
    read(device(), std::span(&report, 1), report_.data(), *control_);
    const std::size_t before = result.indices.size();
    result.indices.resize(before + at(report.picked));
    result.values.resize(before + at(report.picked));
    free_rows_ -= report.picked;
    state_.picks().append_listed(picked_.data(), picked_places_.data(), report.picked, task.candidates);
    read(device(), std::span(result.indices).subspan(before), picked_.data(), *control_);
    read(device(), std::span(result.values).subspan(before), picked_values_.data(), *control_);
    if (report.picked > 0) {
      control_->set_progress(result.indices, result.values);
    }
    return report;
  }

  Control* control_;
  Index kept_away_;
  Index free_rows_;
  SelectState state_;
  Index capacity_;
  Buffer<Index> picked_;
  Buffer<Index> picked_places_;
  Buffer<double> picked_values_;
  Buffer<PickReport> report_;
  Buffer<unsigned long long> board_;
  Buffer<double> sample_;
  Buffer<std::byte> candidate_store_;
  Index seeded_ = 0;
  SelectStatistics statistics_;
};

}  // namespace

SelectResult select(const SelectProblem& problem, Control& control) {
  const Index picks =
      static_cast<Index>(problem.selected.size()) + problem.anchors.view.rows + problem.request.count;
  check_sizes(problem.points.view.rows, picks);
  const Device device(problem.options);
  const Frame frame(problem.points, problem.metric, problem.scale, problem.largest, device, control);
  std::unique_ptr<Points> anchors;
  if (problem.anchors.view.rows > 0) {
    anchors = std::make_unique<Points>(problem.anchors, frame, Placement::resident, device, control);
  }
  const MemoryPlan plan = plan_memory(problem.points, frame, picks, device);
  Points points(problem.points, frame, plan.placement, device, control);
  DeviceStages stages(problem, points, anchors.get(), plan, control);
  return run_select(problem.request, stages, control);
}

}  // namespace farpoint::cuda
