// The rounds. Every round
//
//   1. applies the picks of the round before: down the tree, into every bucket that one of them may change,
//      and on the same way gathers the points at or above a threshold: the candidates      (all threads)
//   2. picks among the candidates as the plain loop does, until the best of them is below the threshold
//
// Why it is exact. A point that is not a candidate is after the threshold in the order (core/threshold.h)
// once every earlier pick is applied, and stays there: values only fall. So while the best candidate is at
// or before the threshold it is the best point of all: the plain loop's next pick. A pick is applied to a
// bucket only if its lower bound for the bucket's box is below the largest value there; otherwise it
// changes no value in it (the proof is in buckets.inl). A box whose largest value is below the threshold
// holds no candidate, and need not be exact: picks that may change it are noted with it (pending), and the
// largest value, not lowered, stays an upper bound, which is all that both tests ask for. A box that may hold
// a candidate meets what is pending first, oldest first, so that candidates are exact. Thresholds, batches,
// trees and what is left pending decide about speed alone.
//
// Candidates far enough from each other are picked in one round, so that threads meet once in many picks
// and a bucket meets several picks at a time.

#include "cpu/buckets.h"

#include <algorithm>
#include <array>
#include <limits>
#include <numeric>
#include <utility>
#include <vector>

#include "core/tuning.h"
#include "cpu/bucket_tree.h"

namespace farpoint::cpu {
namespace {

std::size_t at(Index i) {
  return static_cast<std::size_t>(i);
}

// A multiple of kBucketLanes.
Index wanted_candidates(Index rows) {
  return std::clamp(rows / tuning::kBucketRowsPerCandidate, tuning::kBucketMinCandidates,
                    tuning::kBucketMaxCandidates) /
         kBucketLanes * kBucketLanes;
}

template <class T>
struct Candidate {
  PointKey key;
  Slot slot;
  Slot begin;  // of its bucket
  Slot slots;
};

template <class T>
class Rounds {
 public:
  using Tree = BucketTree<T>;
  using Quad = Tree::Quad;
  using Pending = Tree::Pending;

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
        free_rows_(problem.points.rows -
                   static_cast<Index>(problem.selected.size() + problem.excluded.size())),
        workers_(at(team.size())),
        picks_(at(
            (problem.anchors.rows + static_cast<Index>(problem.selected.size()) + problem.request.count + 1) *
            dimension_)),
        wanted_(wanted_candidates(problem.points.rows)),
        panel_(at(2 * wanted_ * dimension_)),
        panel_values_(at(2 * wanted_)) {}

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
  static constexpr std::size_t kQueue = 16;
  static constexpr std::size_t kQueueList = 24;
  // A bucket whose points are on their way from memory, and the picks that it is to meet.
  struct Waiting {
    Slot quad;
    int child;
    std::size_t count;
    std::array<PickNumber, kQueueList> list;
  };

  // What a thread needs on its way down a tree, and what it finds.
  struct Worker {
    std::vector<std::vector<PickNumber>> lists;  // of the children of a quad, a depth
    std::vector<Candidate<T>> found;
    Threshold threshold;
    Index pairs = 0;
    Index pairs_at_poll = 0;
    int thread = 0;
    std::array<Waiting, kQueue> queue;
    std::size_t queued = 0;
    std::vector<std::pair<Slot, int>> visited;  // quads by their parent and place, parents first
  };

  static double seconds_since(Control::Clock::time_point then) {
    return std::chrono::duration<double>(Control::Clock::now() - then).count();
  }

  void make_trees() {
    std::vector<bool> taken;
    if (!problem_.selected.empty() || !problem_.excluded.empty() || !request_.prior.empty()) {
      taken.resize(at(problem_.points.rows), false);
      for (const auto& rows : {problem_.selected, problem_.excluded, request_.prior}) {
        for (const Index row : rows) {
          taken[at(row)] = true;
        }
      }
    }
    const int trees = team_.size() == 1 ? 1 : tuning::kBucketTreesPerThread * team_.size();
    forest_ =
        build_bucket_forest<T>(problem_.points, taken, request_.assign, trees, kernels_, team_, control_);
    int depth = 0;
    for (const Tree& tree : forest_.trees) {
      depth = std::max(depth, tree.depth);
    }
    for (std::size_t thread = 0; thread < workers_.size(); ++thread) {
      workers_[thread].thread = static_cast<int>(thread);
      workers_[thread].lists.resize(at(depth));
    }
  }

  // Everything that comes before the first choice: rows and anchors kept away from, and earlier picks.
  void keep_away() {
    const MatrixView& points = problem_.points;
    for (const Index row : problem_.selected) {
      keep_away_from(points.row(row));
    }
    for (Index i = 0; i < problem_.anchors.rows; ++i) {
      keep_away_from(problem_.anchors.row(i));
    }
    kept_away_ = pick_count_;
    for (const Index row : request_.prior) {
      keep_away_from(points.row(row));
    }
    free_rows_ -= static_cast<Index>(request_.prior.size());
    result_.indices.assign(request_.prior.begin(), request_.prior.end());
    result_.values.assign(request_.prior.size(), kInfinity);
  }

  void keep_away_from(const std::byte* row) {
    if (pick_count_ - applied_ == tuning::kBucketBatch) {
      apply(Threshold{{kInfinity, -1}});
    }
    std::array<T, kBucketMaxDimension> x;
    kernels_.widen[at(static_cast<Index>(problem_.points.type))](row, 0, 1, dimension_,
                                                                 reinterpret_cast<std::byte*>(x.data()), 0);
    std::copy_n(x.begin(), dimension_, picks_.data() + pick_count_ * dimension_);
    ++pick_count_;
  }

  void pick_all() {
    Threshold threshold = Threshold::at_value(request_.prior_value);
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
        control_.set_progress(result_.indices, result_.values);
        if (found > wanted_) {
          gap = std::max(gap * 0.7, 1e-12);
        } else if (found < wanted_ / 2) {
          gap = std::min(gap * 1.4, 0.5);
        }
        // Every free point is after threshold_ now.
        threshold = Threshold::at_value(threshold_.last.value * (1 - gap));
      } else {
        threshold = Threshold::at_value(best == kInfinity ? best : best * (1 - gap));
      }
    }
  }

  // Step 1.
  void apply(const Threshold& threshold) {
    all_.resize(at(pick_count_ - applied_));
    std::iota(all_.begin(), all_.end(), static_cast<PickNumber>(applied_));
    for (Worker& worker : workers_) {
      worker.found.clear();
      worker.threshold = threshold;
    }
    team_.for_each(static_cast<Index>(forest_.trees.size()), 1, control_,
                   [&](int thread, Index begin, Index end) {
                     for (Index i = begin; i < end; ++i) {
                       Worker& worker = workers_[at(thread)];
                       Tree& tree = forest_.trees[at(i)];
                       visit(worker, tree, 0, all_.data(), all_.size(), 0);
                       drain(worker, tree);
                       rise(worker, tree);
                     }
                   });
    control_.throw_if_stopped();
    applied_ = pick_count_;
    merge_candidates();
  }

  bool stop(Worker& worker) {
    if (worker.pairs - worker.pairs_at_poll < tuning::kBucketPairsPerPoll) {
      return false;
    }
    worker.pairs_at_poll = worker.pairs;
    return worker.thread == 0 ? control_.poll() : control_.stopped();
  }

  // Down from a quad: what may hold a candidate meets the picks that may change it; the rest notes them.
  // As deep as the tree: a dozen calls, a thousand if every split is as uneven as float64 allows.
  // NOLINTNEXTLINE(misc-no-recursion)
  void visit(Worker& worker, Tree& tree, Slot q, const PickNumber* list, std::size_t count,
             std::size_t depth) {
    Quad& quad = tree.quads[q];
    std::array<PickNumber*, kQuad> out = {};
    std::array<std::size_t, kQuad> counts = {};
    // Room for what is pending in front of what is new: a list is rising, for labels.
    const std::size_t room = count + tuning::kBucketPending;
    std::vector<PickNumber>& lists = worker.lists[depth];
    if (lists.size() < room * kQuad) {
      lists.resize(room * kQuad);
    }
    for (std::size_t c = 0; c < kQuad; ++c) {
      out[c] = lists.data() + c * room + tuning::kBucketPending;
    }
    if (count > 0) {
      filter_(tree.boxes_of(q, dimension_), quad.largest, picks_.data(), list, count, problem_.scale,
              out.data(), counts.data());
    }
    std::array<int, kQuad> inner = {};
    int inner_count = 0;
    for (int c = 0; c < kQuad; ++c) {
      const bool admitted = admits(worker, quad, c);
      if (counts[at(c)] == 0 && !admitted) {
        continue;
      }
      Pending& pending = tree.pending[std::size_t{q} * kQuad + at(c)];
      if (!admitted && pending.count + counts[at(c)] <= tuning::kBucketPending) {
        std::copy_n(out[at(c)], counts[at(c)], pending.picks + pending.count);
        pending.count += static_cast<std::uint32_t>(counts[at(c)]);
        continue;
      }
      out[at(c)] -= pending.count;
      counts[at(c)] += pending.count;
      std::copy_n(pending.picks, pending.count, out[at(c)]);
      pending.count = 0;
      if (quad.slots[c] > 0) {
        enqueue(worker, tree, q, c, out[at(c)], counts[at(c)]);
      } else {
        __builtin_prefetch(&tree.quads[quad.begin[c]]);
        __builtin_prefetch(tree.boxes_of(quad.begin[c], dimension_));
        inner[at(inner_count++)] = c;
      }
    }
    for (int i = 0; i < inner_count && !stop(worker); ++i) {
      const int c = inner[at(i)];
      worker.visited.push_back({q, c});
      visit(worker, tree, quad.begin[c], out[at(c)], counts[at(c)], depth + 1);
    }
  }

  // Buckets wait in a queue while their points are fetched from memory.
  void enqueue(Worker& worker, Tree& tree, Slot q, int c, const PickNumber* list, std::size_t count) {
    const Quad& quad = tree.quads[q];
    const Slot begin = quad.begin[c];
    const Slot slots = quad.slots[c];
    if (count > kQueueList) {
      visit_bucket(worker, tree, q, c, list, count);
      return;
    }
    prefetch(forest_.values.data() + begin, slots * sizeof(T));
    if (count > 0) {
      prefetch(forest_.coordinates_of(begin), slots * sizeof(T) * at(dimension_));
    }
    Waiting& waiting = worker.queue[worker.queued % kQueue];
    if (worker.queued >= kQueue) {
      visit_bucket(worker, tree, waiting.quad, waiting.child, waiting.list.data(), waiting.count);
    }
    waiting.quad = q;
    waiting.child = c;
    waiting.count = count;
    std::copy_n(list, count, waiting.list.begin());
    ++worker.queued;
  }

  void drain(Worker& worker, Tree& tree) {
    for (std::size_t i = worker.queued - std::min(worker.queued, kQueue); i < worker.queued; ++i) {
      const Waiting& waiting = worker.queue[i % kQueue];
      visit_bucket(worker, tree, waiting.quad, waiting.child, waiting.list.data(), waiting.count);
    }
    worker.queued = 0;
  }

  static void prefetch(const T* data, std::size_t bytes) {
    const char* line = reinterpret_cast<const char*>(data);
    for (std::size_t i = 0; i < bytes; i += 64) {
      __builtin_prefetch(line + i);
    }
  }

  void visit_bucket(Worker& worker, Tree& tree, Slot q, int c, const PickNumber* list, std::size_t count) {
    Quad& quad = tree.quads[q];
    if (count > 0) {
      update(worker, quad, c, list, count);
    }
    if (!everything_ && admits(worker, quad, c)) {
      gather(worker, quad.begin[c], quad.slots[c]);
    }
  }

  // The largest values of the visited quads, from the buckets up.
  void rise(Worker& worker, Tree& tree) {
    for (std::size_t i = worker.visited.size(); i-- > 0;) {
      const auto [q, c] = worker.visited[i];
      Quad& quad = tree.quads[q];
      const Quad& below = tree.quads[quad.begin[c]];
      int best = 0;
      for (int other = 1; other < kQuad; ++other) {
        if (below.largest[other] > below.largest[best] ||
            (below.largest[other] == below.largest[best] &&
             forest_.rows[below.slot[other]] < forest_.rows[below.slot[best]])) {
          best = other;
        }
      }
      quad.largest[c] = below.largest[best];
      quad.slot[c] = below.slot[best];
    }
    worker.visited.clear();
  }

  void update(Worker& worker, Quad& quad, int c, const PickNumber* list, std::size_t count) {
    const Slot begin = quad.begin[c];
    const Slot slots = quad.slots[c];
    const T* coordinates = forest_.coordinates_of(begin);
    T* values = forest_.values.data() + begin;
    const BucketBest<T> best =
        request_.assign ? update_labels_(coordinates, values, forest_.labels.data() + begin, slots,
                                         picks_.data(), list, count, problem_.scale)
                        : update_(coordinates, values, slots, picks_.data(), list, count, problem_.scale);
    quad.largest[c] = best.value;
    quad.slot[c] = begin + best.slot;
    worker.pairs += static_cast<Index>(slots) * static_cast<Index>(count);
  }

  bool admits(const Worker& worker, const Quad& quad, int c) const {
    const auto value = static_cast<double>(quad.largest[c]);
    if (everything_) {
      return value >= 0;
    }
    const PointKey& last = worker.threshold.last;
    return value > last.value ||
           (value == last.value && static_cast<Index>(forest_.rows[quad.slot[c]]) <= last.row);
  }

  void gather(Worker& worker, Slot begin, Slot slots) {
    const T* values = forest_.values.data() + begin;
    const auto limit = static_cast<T>(worker.threshold.last.value);
    for (Slot s = 0; s < slots; ++s) {
      if (values[s] >= limit) {
        const PointKey key = {static_cast<double>(values[s]), static_cast<Index>(forest_.rows[begin + s])};
        if (worker.threshold.admits(key.value, key.row)) {
          worker.found.push_back({key, begin + s, begin, slots});
        }
      }
    }
    // On a grid any number of points tie: the first in the order are enough.
    if (static_cast<Index>(worker.found.size()) >= 4 * wanted_) {
      keep_first(worker.found, worker.threshold);
    }
  }

  // Keeps the first 2 wanted_ in the order, if there are more, and raises the threshold to the last.
  void keep_first(std::vector<Candidate<T>>& found, Threshold& threshold) const {
    const Index keep = 2 * wanted_;
    if (static_cast<Index>(found.size()) > keep) {
      const auto last = found.begin() + (keep - 1);
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
    for (const Tree& tree : forest_.trees) {
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
        update_(panel_.data(), panel_values_.data(), panel_slots_, picks_.data(), nullptr, 0, problem_.scale);
    Index until_compaction = tuning::kBucketPicksPerCompaction;
    while (pick_count_ - applied_ < tuning::kBucketBatch) {
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
      const auto number = static_cast<PickNumber>(pick_count_ - 1);
      best = update_(panel_.data(), panel_values_.data(), panel_slots_, picks_.data(), &number, 1,
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
    forest_.values[candidate.slot] = T{kTakenSlot};
    if (request_.assign && value > 0.0) {
      forest_.labels[candidate.slot] = static_cast<PickNumber>(pick_count_);
    }
    double* pick = picks_.data() + pick_count_ * dimension_;
    for (Index j = 0; j < dimension_; ++j) {
      pick[j] = static_cast<double>(panel_.data()[at(j) * panel_slots_ + place]);
    }
    panel_values_.data()[place] = T{kTakenSlot};
    ++pick_count_;
    --free_rows_;
    result_.indices.push_back(candidate.key.row);
    result_.values.push_back(value);
  }

  void pack_candidates() {
    const std::size_t count = candidates_.size();
    panel_slots_ = (count + kBucketLanes - 1) / kBucketLanes * kBucketLanes;
    for (std::size_t i = 0; i < panel_slots_; ++i) {
      const Candidate<T>& c = candidates_[std::min(i, count - 1)];
      const T* from = forest_.coordinates_of(c.begin) + (c.slot - c.begin);
      for (Index j = 0; j < dimension_; ++j) {
        panel_.data()[at(j) * panel_slots_ + i] = from[j * static_cast<Index>(c.slots)];
      }
      panel_values_.data()[i] = i < count ? static_cast<T>(c.key.value) : T{kTakenSlot};
    }
  }

  // Those below the threshold leave. Returns the new place of `followed`.
  std::uint32_t compact_candidates(std::uint32_t followed) {
    std::size_t kept = 0;
    std::uint32_t place = 0;
    for (std::size_t i = 0; i < candidates_.size(); ++i) {
      const T value = panel_values_.data()[i];
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
    std::vector<bool> free(at(problem_.points.rows), false);
    for (std::size_t slot = 0; slot < forest_.rows.size(); ++slot) {
      if (forest_.values[slot] >= 0) {
        free[forest_.rows[slot]] = true;
      }
    }
    // Nothing looks at the trees after this but assign, for which the rows stay as they are.
    pick_at_zero(request_, problem_.points.rows, [&](Index i) { return free[at(i)]; }, [](Index) {}, result_);
  }

  void assign() {
    const auto began = Control::Clock::now();
    everything_ = true;
    apply(Threshold::everything());
    result_.labels.resize(at(problem_.points.rows));
    result_.label_values.resize(result_.labels.size());
    for (std::size_t slot = 0; slot < forest_.rows.size(); ++slot) {
      const std::size_t row = forest_.rows[slot];
      if (row != kNoRow) {
        result_.labels[row] = std::max<Index>(static_cast<Index>(forest_.labels[slot]) - kept_away_, -1);
        // A pick is at 0 from itself.
        result_.label_values[row] = std::max(static_cast<double>(forest_.values[slot]), 0.0);
      }
    }
    for (std::size_t position = 0; position < request_.prior.size(); ++position) {
      result_.labels[at(request_.prior[position])] = static_cast<Index>(position);
    }
    result_.statistics.seconds_assign = seconds_since(began);
  }

  const SelectProblem& problem_;
  const SelectRequest& request_;
  const Index dimension_;
  const BucketKernels<T>& kernels_;
  const BucketKernels<T>::Update update_;
  const BucketKernels<T>::UpdateLabels update_labels_;
  const BucketKernels<T>::Filter filter_;
  ThreadTeam& team_;
  Control& control_;
  SelectResult result_;
  Index free_rows_;
  Index kept_away_ = 0;  // how many were seen before the first pick
  BucketForest<T> forest_;
  std::vector<Worker> workers_;

  LargeArray<double> picks_;  // all that points are compared with, in order
  Index pick_count_ = 0;
  Index applied_ = 0;            // how many of them are in the trees, met or pending
  std::vector<PickNumber> all_;  // the others
  bool everything_ = false;      // every bucket is to meet what is pending

  std::vector<Candidate<T>> candidates_;  // rows rising
  Threshold threshold_;                   // admits them and no other free point
  Index gathered_ = 0;                    // how many there were before the last cut
  const Index wanted_;                    // how many candidates a round should have
  LargeArray<T> panel_;                   // their coordinates and values, laid out as a bucket
  LargeArray<T> panel_values_;
  std::size_t panel_slots_ = 0;
};

}  // namespace

bool buckets_suit(const SelectProblem& problem) {
  // Slots and picks have 32-bit numbers, and a bucket may need a few slots more than it has points.
  constexpr Index kMost = std::numeric_limits<std::uint32_t>::max() / 8;
  // Boxes know the largest value in them, not the largest key; and what is taken from the start has no label.
  if (!problem.request.order.by_value() || (problem.request.assign && !problem.excluded.empty())) {
    return false;
  }
  return problem.metric == Metric::squared_euclidean && problem.points.columns >= 1 &&
         problem.points.columns <= kBucketMaxDimension && problem.points.rows >= 1 &&
         problem.points.rows + problem.anchors.rows <= kMost;
}

int bucket_threads(const SelectProblem& problem) {
  return useful_threads(tuning::kBucketWorkPerElement * static_cast<double>(problem.points.rows) *
                            static_cast<double>(problem.points.columns),
                        problem.threads);
}

SelectResult select_by_buckets(const SelectProblem& problem, ThreadTeam& team, Control& control) {
  if (problem.points.type == ElementType::float64) {
    return Rounds<double>(problem, team, control).run();
  }
  return Rounds<float>(problem, team, control).run();
}

}  // namespace farpoint::cpu
