#include "cuda/select_state.h"

#include <algorithm>
#include <limits>
#include <string>

#include "core/tuning.h"
#include "cuda/passes.h"

namespace farpoint::cuda {
void check_sizes(Index rows, Index picks) {
  // The last tile of picks may end beyond the last of them.
  constexpr Index kMost = std::numeric_limits<std::int32_t>::max() - 1024;
  if (rows > kMost || picks > kMost) {
    throw Error("the CUDA backend takes at most " + std::to_string(kMost) + " rows and as many picks");
  }
}

SelectState::SelectState(Points& points, Index most_picks, const MemoryPlan& plan, bool labels,
                         Control& control)
    : points_(&points),
      device_(&points.device()),
      control_(&control),
      values_(points.size()),
      progress_(points.size()),
      labels_(labels ? points.size() : 0),
      picks_(points, most_picks),
      plan_(points, most_picks, plan.codes, control),
      primitives_(*device_),
      listed_(points.size()),
      candidates_(points.size()),
      behind_(points.size()),
      counts_(1) {
  check(cudaMemsetAsync(counts_.data(), 0, sizeof(ScreenCounts), device_->stream()), "preparing counts");
  reset(rows(), points.size(), *device_);
}

RowState SelectState::rows() {
  return {values_.data(), progress_.data(), labels_.data(), points_->self_dots()};
}

ScreenCounts SelectState::read_counts() const {
  ScreenCounts counts;
  read(*device_, std::span(&counts, 1), counts_.data(), *control_);
  return counts;
}

Index SelectState::list(const Threshold& threshold) {
  listed_count_ = primitives_.admitted(values_.data(), points_->size(), threshold, listed_.data(), *control_);
  return listed_count_;
}

void SelectState::set_list(std::span<const Index> rows) {
  listed_count_ = static_cast<Index>(rows.size());
  upload(*device_, listed_.data(), rows);
}

ListedRows SelectState::bring(const Index* rows, Index count, std::byte* store) {
  if (!points_->staged()) {
    return {count, rows, points_->rows(), false};
  }
  points_->fetch(rows, count, store, *control_);
  return {count, rows, {store, points_->frame().row_bytes(), nullptr}, true};
}

void SelectState::meet(const Index* rows, Index count, const Threshold& threshold, Index most_tiles,
                       unsigned long long* best) {
  CatchUpTask task;
  task.contract = points_->frame().contract();
  task.listed = bring(rows, count, points_->chunk());
  task.state = this->rows();
  task.picks = picks_.state();
  task.threshold = threshold;
  task.most_tiles = most_tiles;
  task.counts = counts_.data();
  task.shared_best = best;
  if (!plan_.uses_codes()) {
    cuda::catch_up(task, plan_.float_operands(picks_, task.listed), *device_);
  } else {
    cuda::catch_up(task, best != nullptr ? plan_.own_code_operands() : plan_.code_operands(picks_), *device_);
  }
}

void SelectState::judge(bool trial) {
  const ScreenCounts now = read_counts();
  plan_.judge(
      {now.screened - judged_.screened, now.refined - judged_.refined, now.improved - judged_.improved},
      picks_.size(), trial);
  judged_ = now;
}

void SelectState::meet_all(const Index* rows, Index count, const Threshold& threshold, Index most_tiles,
                           unsigned long long* best) {
  for (Index begin = 0; begin < count;) {
    const bool trial = plan_.wants_trial(picks_.size());
    if (trial) {
      judge(false);  // what came before is not its work
      plan_.begin_trial();
    }
    Index chunk = count - begin;
    if (points_->staged() || !plan_.uses_codes()) {
      chunk = std::min(chunk, plan_.chunk_rows());
    }
    if (trial) {
      chunk = std::min(chunk, tuning::kDeviceTrialRows);
    }
    meet(rows + begin, chunk, threshold, most_tiles, best);
    if (trial) {
      judge(true);
    } else {
      device_->synchronise(*control_);  // so that the call can be stopped between chunks
    }
    begin += chunk;
  }
}

void SelectState::catch_up(const Threshold& threshold) {
  const auto filter = [&](const Buffer<Index>& from, Index count, Keep keep, Index* to) {
    return primitives_.filter(from.data(), count, rows(), threshold, picks_.size(), keep, to, *control_);
  };
  Index candidates = filter(listed_, listed_count_, Keep::current, candidates_.data());
  Index behind = filter(listed_, listed_count_, Keep::behind, behind_.data());
  // Rows that are left keep their order, so that it goes on rising.
  primitives_.order_by_progress(behind_.data(), behind, progress_.data(), picks_.size());
  for (Index tiles = tuning::kTilesPerLaunch; behind > 0;
       tiles = std::min(2 * tiles, tuning::kMostTilesPerLaunch)) {
    meet_all(behind_.data(), behind, threshold, tiles, nullptr);
    candidates += filter(behind_, behind, Keep::current, candidates_.data() + candidates);
    behind = filter(behind_, behind, Keep::behind, listed_.data());
    std::swap(behind_, listed_);
  }
  std::swap(listed_, candidates_);
  listed_count_ = candidates;
  judge(false);
}

void SelectState::meet_later_rows(unsigned long long* best) {
  list(Threshold::everything());
  // A launch that looks at all pairs of a large matrix takes seconds: rows come in parts, so that the call
  // can be stopped between them.
  const Index part = std::max<Index>(
      kTileRows, static_cast<Index>(tuning::kPairsPerLaunch / static_cast<double>(points_->size())));
  for (Index begin = 0; begin < listed_count_; begin += part) {
    meet_all(listed_.data() + begin, std::min(part, listed_count_ - begin), Threshold::everything(),
             std::numeric_limits<std::int32_t>::max(), best);
    judge(false);
  }
}

}  // namespace farpoint::cuda
