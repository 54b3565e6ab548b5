// The rounds. Every round
//
//   1. applies the picks of the round before: down the tree, into every bucket that one of them may change,
//      and on the same way gathers the points at or above a threshold: the candidates      (all threads)
//   2. picks among the candidates as the plain loop does, until the best of them is below the threshold
//
// Exact, because a point that is not a candidate is after the threshold in the order (core/threshold.h)
// once every earlier pick is applied, and stays there: values only fall. So while the best candidate is at
// or before the threshold it is the best point of all: the plain loop's next pick. A pick is applied to a
// bucket only if its lower bound for the bucket's box is below the largest value there; otherwise it
// changes no value in it (the proof is in buckets.inl). The largest value of every bucket and box is kept
// exact, so a box below the threshold holds no candidate. Thresholds, batches and trees decide about
// speed alone.
//
// Candidates far enough from each other are picked in one round, so that threads meet once in many picks
// and a bucket meets several picks at a time.

#include "cpu/buckets.h"

#include <algorithm>
#include <array>
#include <limits>
#include <optional>
#include <vector>

#include "core/tuning.h"
#include "cpu/bucket_tree.h"

namespace farpoint::cpu {
namespace {

std::size_t at(Index i) {
  return static_cast<std::size_t>(i);
}

template <class T>
struct Candidate {
  PointKey key;
  Index tree;
  Slot slot;
  Slot begin;  // of its bucket
  Slot slots;
};

template <class T>
class Rounds {
 public:
  using Tree = BucketTree<T>;
  using Quad = typename Tree::Quad;

  Rounds(const SelectProblem& problem, ThreadTeam& team, Control& control)
      : problem_(problem),
        request_(problem.request),
        dimension_(problem.points.columns),
        kernels_(bucket_kernels<T>(problem.level)),
        update_(kernels_.update[dimension_ - 1]),
        update_labels_(kernels_.update_labels[dimension_ - 1]),
        filter_(kernels_.filter[dimension_ - 1]),
        team_(team),
        control_(control),
        free_rows_(problem.points.rows - static_cast<Index>(problem.selected.size())),
        workers_(at(team.size())),
        batch_(at(tuning::kBucketBatch * kBucketMaxDimension)) {}

  SelectResult run() {
    result_.indices.reserve(at(request_.count));
    result_.values.reserve(at(request_.count));
    Control::Clock::time_point const began = Control::Clock::now();
    make_trees();
    keep_away();
    result_.statistics.seconds_seed = seconds_since(began);
    const auto picking = Control::Clock::now();
    pick_all();
    result_.statistics.seconds_pick = seconds_since(picking);
    if (request_.assign) {
      assign();
    }
    for (const Worker& worker : workers_) {
      result_.statistics.pairs_refined += worker.pairs;
    }
    result_.statistics.pairs_screened = result_.statistics.pairs_refined;
    return std::move(result_);
  }

 private:
  // What a thread needs on its way down a tree, and what it finds.
  struct Worker {
    std::vector<BatchPlace> lists;
    std::vector<Candidate<T>> found;
    Threshold threshold;
    Index pairs = 0;
    Index pairs_at_poll = 0;
    int thread = 0;
  };

  struct Best {
    T value;
    Slot slot;
  };

  static double seconds_since(Control::Clock::time_point then) {
    return std::chrono::duration<double>(Control::Clock::now() - then).count();
  }

  void make_trees() {
    std::vector<bool> taken;
    if (!problem_.selected.empty() || request_.first >= 0) {
      taken.resize(at(problem_.points.rows), false);
      for (const Index row : problem_.selected) {
        taken[at(row)] = true;
      }
      if (request_.first >= 0) {
        taken[at(request_.first)] = true;
      }
    }
    const int trees = team_.size() == 1 ? 1 : tuning::kBucketTreesPerThread * team_.size();
    trees_ = build_bucket_trees<T>(problem_.points, taken, request_.assign, trees, kernels_, team_, control_);
    int depth = 0;
    for (const Tree& tree : trees_) {
      depth = std::max(depth, tree.depth);
    }
    all_.resize(at(tuning::kBucketBatch));
    for (std::size_t i = 0; i < all_.size(); ++i) {
      all_[i] = static_cast<BatchPlace>(i);
    }
    for (std::size_t thread = 0; thread < workers_.size(); ++thread) {
      workers_[thread].thread = static_cast<int>(thread);
      workers_[thread].lists.resize(at(depth) * kQuad * at(tuning::kBucketBatch));
    }
  }

  // Everything that comes before the first choice: rows and anchors kept away from, or the first pick.
  void keep_away() {
    const MatrixView& points = problem_.points;
    for (const Index row : problem_.selected) {
      keep_away_from(points.row(row));
    }
    for (Index i = 0; i < problem_.anchors.rows; ++i) {
      keep_away_from(problem_.anchors.row(i));
    }
    kept_away_ = first_label_ + batch_size_;
    if (request_.first >= 0) {
      keep_away_from(points.row(request_.first));
      --free_rows_;
      result_.indices.push_back(request_.first);
      result_.values.push_back(kInfinity);
    }
  }

  void keep_away_from(const std::byte* row) {
    if (batch_size_ == tuning::kBucketBatch) {
      apply(std::nullopt);
    }
    std::array<T, kBucketMaxDimension> x;
    kernels_.widen[at(static_cast<Index>(problem_.points.type))](
        row, 0, 1, dimension_, reinterpret_cast<std::byte*>(x.data()), 0);
    std::copy_n(x.begin(), dimension_, batch_.begin() + batch_size_ * kBucketMaxDimension);
    ++batch_size_;
  }

  void pick_all() {
    std::optional<Threshold> threshold;
    double gap = tuning::kBucketFirstGap;
    while (true) {
      apply(threshold);
      const double best = largest();
      if (free_rows_ == 0 || best == 0.0) {
        if (free_rows_ > 0) {
          pick_duplicates();
        }
        return;
      }
      if (!candidates_.empty()) {
        ++result_.statistics.levels;
        const Index found = gathered_;
        if (pick_among_candidates()) {
          return;
        }
        control_.set_progress(static_cast<Index>(result_.indices.size()), request_.count,
                              result_.values.empty() ? kInfinity : result_.values.back());
        if (found > tuning::kBucketCandidates) {
          gap = std::max(gap * 0.7, 1e-12);
        } else if (found < tuning::kBucketCandidates / 2) {
          gap = std::min(gap * 1.4, 0.5);
        }
        threshold = Threshold::at_value(std::min(best, threshold->last.value) * (1 - gap));
      } else {
        threshold = Threshold::at_value(best == kInfinity ? best : best * (1 - gap));
      }
    }
  }

  // Step 1. Without a threshold nothing is gathered.
  void apply(const std::optional<Threshold>& threshold) {
    for (Worker& worker : workers_) {
      worker.found.clear();
      worker.threshold = threshold.value_or(Threshold{{kInfinity, -1}});
    }
    team_.for_each(static_cast<Index>(trees_.size()), 1, control_, [&](int thread, Index begin, Index end) {
      for (Index i = begin; i < end; ++i) {
        Worker& worker = workers_[at(thread)];
        visit(worker, i, 0, all_.data(), at(batch_size_), worker.lists.data());
      }
    });
    control_.throw_if_stopped();
    first_label_ += batch_size_;
    batch_size_ = 0;
    merge_candidates();
  }

  bool stop(Worker& worker) {
    if (worker.pairs - worker.pairs_at_poll < tuning::kBucketPairsPerPoll) {
      return false;
    }
    worker.pairs_at_poll = worker.pairs;
    return worker.thread == 0 ? control_.poll() : control_.stopped();
  }

  Best visit(Worker& worker, Index tree_number, std::size_t q, const BatchPlace* list, std::size_t count,
             BatchPlace* lists) {
    Tree& tree = trees_[at(tree_number)];
    Quad& quad = tree.quads[q];
    std::array<BatchPlace*, kQuad> out = {};
    std::array<std::size_t, kQuad> counts = {};
    if (count > 0) {
      for (int c = 0; c < kQuad; ++c) {
        out[at(c)] = lists + c * static_cast<Index>(count);
      }
      filter_(tree.boxes_of(q, dimension_), quad.largest, batch_.data(), list, count, problem_.scale,
              out.data(), counts.data());
    }
    for (int c = 0; c < kQuad; ++c) {
      if (counts[at(c)] > 0 && quad.slots[c] > 0) {
        __builtin_prefetch(tree.coordinates_of(quad.begin[c], dimension_));
        __builtin_prefetch(tree.values_of(quad.begin[c]));
      }
    }
    Best best = {T{kTakenSlot}, 0};
    for (int c = 0; c < kQuad; ++c) {
      const std::size_t some = counts[at(c)];
      if (quad.slots[c] > 0) {
        if (some > 0) {
          update(worker, tree, quad, c, out[at(c)], some);
        }
        if (admits(worker, tree, quad, c)) {
          gather(worker, tree_number, quad.begin[c], quad.slots[c]);
        }
      } else if (some > 0 || admits(worker, tree, quad, c)) {
        if (stop(worker)) {
          return best;
        }
        const Best below = visit(worker, tree_number, quad.begin[c], out[at(c)], some,
                                 lists + kQuad * static_cast<Index>(count));
        quad.largest[c] = below.value;
        quad.slot[c] = below.slot;
      }
      if (quad.largest[c] > best.value ||
          (quad.largest[c] == best.value && tree.rows[quad.slot[c]] < tree.rows[best.slot])) {
        best = {quad.largest[c], quad.slot[c]};
      }
    }
    return best;
  }

  void update(Worker& worker, Tree& tree, Quad& quad, int c, const BatchPlace* list, std::size_t count) {
    const Slot begin = quad.begin[c];
    const Slot slots = quad.slots[c];
    const T* coordinates = tree.coordinates_of(begin, dimension_);
    T* values = tree.values_of(begin);
    const BucketBest<T> best =
        request_.assign ? update_labels_(coordinates, values, tree.labels.data() + begin, slots,
                                         batch_.data(), list, count, problem_.scale,
                                         static_cast<std::uint32_t>(first_label_))
                        : update_(coordinates, values, slots, batch_.data(), list, count, problem_.scale);
    quad.largest[c] = best.value;
    quad.slot[c] = begin + best.slot;
    worker.pairs += static_cast<Index>(slots) * static_cast<Index>(count);
  }

  static bool admits(const Worker& worker, const Tree& tree, const Quad& quad, int c) {
    const auto value = static_cast<double>(quad.largest[c]);
    const PointKey& last = worker.threshold.last;
    return value > last.value || (value == last.value && static_cast<Index>(tree.rows[quad.slot[c]]) <= last.row);
  }

  void gather(Worker& worker, Index tree_number, Slot begin, Slot slots) {
    Tree& tree = trees_[at(tree_number)];
    const T* values = tree.values_of(begin);
    const auto limit = static_cast<T>(worker.threshold.last.value);
    for (Slot s = 0; s < slots; ++s) {
      if (values[s] >= limit) {
        const PointKey key = {static_cast<double>(values[s]), static_cast<Index>(tree.rows[begin + s])};
        if (worker.threshold.admits(key.value, key.row)) {
          worker.found.push_back({key, tree_number, begin + s, begin, slots});
        }
      }
    }
    // On a grid any number of points tie: the first in the order are enough.
    if (static_cast<Index>(worker.found.size()) >= 4 * tuning::kBucketCandidates) {
      keep_first(worker.found, worker.threshold);
    }
  }

  // Keeps the first 2 kBucketCandidates in the order, if there are more, and raises the threshold to the last.
  static void keep_first(std::vector<Candidate<T>>& found, Threshold& threshold) {
    constexpr Index kKeep = 2 * tuning::kBucketCandidates;
    if (static_cast<Index>(found.size()) > kKeep) {
      const auto last = found.begin() + (kKeep - 1);
      std::nth_element(found.begin(), last, found.end(),
                       [](const auto& a, const auto& b) { return a.key.before(b.key); });
      threshold = {last->key};
      found.erase(last + 1, found.end());
    }
  }

  void merge_candidates() {
    candidates_.clear();
    threshold_ = workers_[0].threshold;
    for (const Worker& worker : workers_) {
      candidates_.insert(candidates_.end(), worker.found.begin(), worker.found.end());
      if (worker.threshold.last.before(threshold_.last)) {
        threshold_ = worker.threshold;
      }
    }
    std::erase_if(candidates_, [&](const auto& c) { return !threshold_.admits(c.key.value, c.key.row); });
    gathered_ = static_cast<Index>(candidates_.size());
    keep_first(candidates_, threshold_);
    // Rows rising, so that the first of equal values is the lowest row.
    std::ranges::sort(candidates_, [](const auto& a, const auto& b) { return a.key.row < b.key.row; });
  }

  double largest() const {
    double best = kTaken;
    for (const Tree& tree : trees_) {
      for (const T value : tree.quads.front().largest) {
        best = std::max(best, static_cast<double>(value));
      }
    }
    return best;
  }

  // Step 2. True when the selection has ended.
  bool pick_among_candidates() {
    pack_candidates();
    BucketBest<T> best =
        update_(panel_.data()->of, panel_values_.data()->of, panel_slots_, batch_.data(), nullptr, 0, problem_.scale);
    Index until_compaction = tuning::kBucketPicksPerCompaction;
    while (batch_size_ < tuning::kBucketBatch) {
      const auto value = static_cast<double>(best.value);
      if (best.value < 0) {
        return false;
      }
      const Candidate<T>& candidate = candidates_[best.slot];
      if (!threshold_.admits(value, candidate.key.row)) {
        return false;
      }
      if (static_cast<Index>(result_.indices.size()) == request_.count || value < request_.minimum_value) {
        result_.next_value = value;
        return true;
      }
      take(candidate, best.slot, value);
      const auto place = static_cast<BatchPlace>(batch_size_ - 1);
      best = update_(panel_.data()->of, panel_values_.data()->of, panel_slots_, batch_.data(), &place, 1,
                     problem_.scale);
      if (--until_compaction == 0) {
        until_compaction = tuning::kBucketPicksPerCompaction;
        if (best.value >= 0) {
          best.slot = compact_candidates(best.slot);
        }
      }
    }
    return false;
  }

  void take(const Candidate<T>& candidate, std::size_t place, double value) {
    Tree& tree = trees_[at(candidate.tree)];
    tree.values_of(0)[candidate.slot] = T{kTakenSlot};
    if (request_.assign && value > 0.0) {
      tree.labels[candidate.slot] = static_cast<std::uint32_t>(first_label_ + batch_size_);
    }
    double* pick = batch_.data() + batch_size_ * kBucketMaxDimension;
    for (Index j = 0; j < dimension_; ++j) {
      pick[j] = static_cast<double>(panel_.data()->of[at(j) * panel_slots_ + place]);
    }
    panel_values_.data()->of[place] = T{kTakenSlot};
    ++batch_size_;
    --free_rows_;
    result_.indices.push_back(candidate.key.row);
    result_.values.push_back(value);
  }

  void pack_candidates() {
    const std::size_t count = candidates_.size();
    panel_slots_ = (count + kBucketLanes - 1) / kBucketLanes * kBucketLanes;
    panel_.resize(panel_slots_ * at(dimension_) / kBucketLanes);
    panel_values_.resize(panel_slots_ / kBucketLanes);
    for (std::size_t i = 0; i < panel_slots_; ++i) {
      const Candidate<T>& c = candidates_[std::min(i, count - 1)];
      const T* from = trees_[at(c.tree)].coordinates_of(c.begin, dimension_) + (c.slot - c.begin);
      for (Index j = 0; j < dimension_; ++j) {
        panel_.data()->of[at(j) * panel_slots_ + i] = from[j * static_cast<Index>(c.slots)];
      }
      panel_values_.data()->of[i] = i < count ? static_cast<T>(c.key.value) : T{kTakenSlot};
    }
  }

  // Those below the threshold leave. Returns the new place of `followed`.
  std::uint32_t compact_candidates(std::uint32_t followed) {
    std::size_t kept = 0;
    std::uint32_t place = 0;
    for (std::size_t i = 0; i < candidates_.size(); ++i) {
      const T value = panel_values_.data()->of[i];
      if (i == followed) {
        place = static_cast<std::uint32_t>(kept);
      }
      if (i == followed || threshold_.admits(static_cast<double>(value), candidates_[i].key.row)) {
        candidates_[kept] = candidates_[i];
        candidates_[kept].key.value = static_cast<double>(value);
        ++kept;
      }
    }
    candidates_.resize(kept);
    pack_candidates();
    return place;
  }

  // The free rows, once every one of them is known to be at distance 0, in row order.
  void pick_duplicates() {
    if (request_.minimum_value > 0.0) {
      return;
    }
    std::vector<bool> free(at(problem_.points.rows), false);
    for (Tree& tree : trees_) {
      const T* values = tree.values_of(0);
      for (std::size_t slot = 0; slot < tree.rows.size(); ++slot) {
        if (values[slot] >= 0) {
          free[tree.rows[slot]] = true;
        }
      }
    }
    for (Index i = 0; static_cast<Index>(result_.indices.size()) < request_.count; ++i) {
      if (free[at(i)]) {
        result_.indices.push_back(i);
        result_.values.push_back(0.0);
      }
    }
  }

  void assign() {
    const auto began = Control::Clock::now();
    apply(std::nullopt);
    result_.labels.resize(at(problem_.points.rows));
    result_.label_values.resize(result_.labels.size());
    for (const Index row : problem_.selected) {
      result_.labels[at(row)] = -1;
    }
    for (Tree& tree : trees_) {
      const T* values = tree.values_of(0);
      for (const Quad& quad : tree.quads) {
        for (int c = 0; c < kQuad; ++c) {
          for (Slot slot = quad.begin[c]; slot < quad.begin[c] + quad.slots[c]; ++slot) {
            write_label(tree, slot, values[slot]);
          }
        }
      }
    }
    result_.statistics.seconds_assign = seconds_since(began);
  }

  void write_label(const Tree& tree, Slot slot, T value) {
    const std::size_t row = tree.rows[slot];
    if (row == kNoRow) {
      return;
    }
    const auto label = static_cast<Index>(tree.labels[slot]);
    result_.labels[row] = std::max<Index>(label - kept_away_, -1);
    result_.label_values[row] = std::max(static_cast<double>(value), 0.0);  // a pick is at 0 from itself
  }

  const SelectProblem& problem_;
  const SelectRequest& request_;
  const Index dimension_;
  const BucketKernels<T>& kernels_;
  const typename BucketKernels<T>::Update update_;
  const typename BucketKernels<T>::UpdateLabels update_labels_;
  const typename BucketKernels<T>::Filter filter_;
  ThreadTeam& team_;
  Control& control_;
  SelectResult result_;
  Index free_rows_;
  Index kept_away_ = 0;  // how many were seen before the first pick
  std::vector<Tree> trees_;
  std::vector<Worker> workers_;

  std::vector<double> batch_;      // picks not yet applied, kBucketMaxDimension doubles each
  std::vector<BatchPlace> all_;    // 0, 1, 2, ...: the list of all of them
  Index batch_size_ = 0;
  Index first_label_ = 0;          // how many were applied before them

  std::vector<Candidate<T>> candidates_;  // rows rising
  Threshold threshold_;                   // admits them and no other free point
  Index gathered_ = 0;                    // how many there were before the last cut
  std::vector<typename Tree::Lanes> panel_;  // their coordinates and values, laid out as a bucket
  std::vector<typename Tree::Lanes> panel_values_;
  std::size_t panel_slots_ = 0;
};

}  // namespace

bool buckets_suit(const SelectProblem& problem) {
  return problem.metric == Metric::squared_euclidean && problem.points.columns <= kBucketMaxDimension &&
         problem.points.columns > 0 && problem.points.rows >= tuning::kBucketMinRows &&
         problem.points.rows + problem.anchors.rows < std::numeric_limits<std::uint32_t>::max() / 2;
}

SelectResult select_by_buckets(const SelectProblem& problem, Control& control) {
  const double work = static_cast<double>(problem.points.rows) * static_cast<double>(problem.points.columns) * tuning::kBucketWorkPerElement;
  ThreadTeam team(useful_threads(work, problem.threads));
  if (problem.points.type == ElementType::float64) {
    return Rounds<double>(problem, team, control).run();
  }
  return Rounds<float>(problem, team, control).run();
}

}  // namespace farpoint::cpu
