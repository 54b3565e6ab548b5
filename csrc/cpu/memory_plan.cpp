#include "cpu/memory_plan.h"

#include <algorithm>

#include "core/tuning.h"
#include "cpu/bucket_tree.h"

namespace farpoint::cpu {
namespace {

constexpr Index kIndex = sizeof(Index);
constexpr Index kFloat = sizeof(float);
constexpr Index kDouble = sizeof(double);
constexpr Index kPickCode = sizeof(PickCode);
constexpr Index kRowCode = sizeof(RowCode);
// Samples, counters and other things whose size hardly depends on the problem.
constexpr Index kSmallThings = Index{1} << 19;
// What a block keeps of a slot beside its elements: row, value, numbers, codes of the whole row.
constexpr Index kSlotBytes = 128;

// What one thread packs at a time, and the pairs of a tile that it looks at again.
Index block_bytes(const Frame& frame, Index rows) {
  const Index lanes = std::max(frame.lanes(), frame.code().lanes);
  const Index group = lanes * frame.dimension() * kFloat;
  const Index slots = std::min(tuning::kMaxBlockGroups, rows / lanes + 1) * lanes;
  const Index panel = std::max(group, std::min(tuning::kBlockBytes, slots * frame.dimension() * kFloat));
  constexpr Index kPair = 2 * kIndex;
  return panel + 2 * group + slots * (kSlotBytes + 2 * kPair * kMaxTilePicks);
}

// The candidates, packed, and what is known of each.
Index candidate_bytes(const SelectProblem& problem, const Frame& frame, int threads) {
  const tuning::Schedule& schedule = tuning::schedule(problem.eager);
  const Index d = frame.dimension();
  const auto bytes = [&](bool coded, Index row_bytes) {
    const Index most = std::min(candidate_capacity(schedule, coded, d, threads), problem.points.rows);
    return (most + Index{kMaxLanes} * threads) * (row_bytes + kSlotBytes);
  };
  return std::max(bytes(false, d * kFloat), bytes(true, padded_columns(d)));
}

// State of a row, and two lists that may hold it.
Index row_bytes(bool labels, Metric metric) {
  return kDouble + kIndex + 2 * kIndex + (labels ? kIndex : 0) + (needs_self_dots(metric) ? kDouble : 0);
}

// Samples and working memory that grow with the columns: the centre, a trial of codes, a packed row a thread.
Index column_bytes(Index columns, int threads) {
  return columns * (3 * kDouble + tuning::kTrialPicks + 2 * kFloat * threads);
}

}  // namespace

Index least_for_levels(const SelectProblem& problem, const Frame& frame, int threads) {
  const Index rows = problem.points.rows;
  const Index picks = list_length(problem);
  // An entry, its place in an order by progress, and of a pick its row and value.
  // Of packed bits how many it has, and the fewest and the most of each 64 picks.
  const Index counts = counts_bits(problem.metric) ? 2 * kDouble : 0;
  const Index pick_bytes = PickList::entry_bytes() + kIndex + kIndex + kDouble + counts;
  return rows * row_bytes(problem.request.assign, problem.metric) + rows / 1024 * kIndex +
         picks * pick_bytes +
         std::max(threads * block_bytes(frame, rows), candidate_bytes(problem, frame, threads)) +
         column_bytes(frame.dimension(), threads) + kSmallThings +
         static_cast<Index>(problem.request.order.at_least.size()) * kIndex * threads;
}

Index memory_for_buckets(const SelectProblem& problem, int threads) {
  const Index rows = problem.points.rows;
  const Index d = problem.points.columns;
  const Index element = problem.points.type == ElementType::float64 ? kDouble : kFloat;
  const bool labels = problem.request.assign;
  // While the trees are built: a record a point, twice.
  constexpr Index kNumber = sizeof(std::uint32_t);
  const Index records = 2 * (d * element + std::max(kNumber, element == kDouble ? kDouble : kNumber));
  // Slots, of which a tenth are padding; boxes and pending picks of half-full buckets, in vectors that grow.
  const Index slot = (d + 1) * element + kNumber + (labels ? kNumber : 0);
  constexpr Index kNode = sizeof(BucketTree<double>::Quad) / kQuad + sizeof(BucketTree<double>::Pending);
  const Index box = 2 * d * element + kNode + 2 * kIndex;
  const Index boxes = 2 * box / (tuning::kBucketPoints / 2) + 1;
  // A candidate is listed by a thread, then by all.
  const Index candidate = 64;
  const Index results = labels ? kIndex + kDouble : 0;
  const Index picks = list_length(problem) + 1;
  return rows * (records + slot + slot / 10 + 1 + boxes + candidate + results) +
         picks * (d * kDouble + kIndex + kDouble + kNumber) + (threads + 1) * kSmallThings;
}

Index least_for_chunks(const DistanceProblem& problem, const Frame& frame, int threads, Index results) {
  const Index self_dots = needs_self_dots(problem.metric) ? kDouble : 0;
  return problem.x.rows * (results + self_dots) + problem.y.rows * self_dots +
         threads * block_bytes(frame, problem.x.rows) + column_bytes(frame.dimension(), threads) +
         kSmallThings;
}

Index least_for_codes(const DistanceProblem& problem, const Frame& frame, int threads, Index results) {
  const Index self_dots = needs_self_dots(problem.metric) ? kDouble : 0;
  return problem.x.rows * (results + row_bytes(true, problem.metric)) +
         problem.y.rows * (self_dots + PickList::entry_bytes() + kIndex) +
         threads * block_bytes(frame, problem.x.rows) + column_bytes(frame.dimension(), threads) +
         kSmallThings;
}

Index memory_for_cells(const SelectState& state) {
  const Index padded = padded_columns(state.points.frame().dimension());
  // Lists grow by doubling.
  constexpr Index kGrowth = 2;
  return state.points.size() *
             (Cells::kNearest * static_cast<Index>(sizeof(std::uint16_t)) + Cells::kRings * kIndex) +
         state.most_picks * (padded + kPickCode + kIndex) * kGrowth +
         tuning::kMaxCells * (padded + kRowCode + kPickCode);
}

Index memory_for_head(const SelectState& state) {
  const Index d = state.points.frame().dimension();
  const Index h = padded_columns(max_head_columns(d));
  const Index prefixes = h / kCodeColumns;
  const Index numbers = kRowCode + kFloat + prefixes * 3 * static_cast<Index>(sizeof(std::uint16_t));
  const Index rows = state.points.size() * (h + numbers + static_cast<Index>(sizeof(std::int32_t))) +
                     kSlabRows * (h + numbers);
  const Index picks = state.most_picks * (h + kIndex + kPickCode * (prefixes + 1));
  // The sample that the basis comes from, its covariance, the basis while it is improved.
  const Index basis = d * kFloat * (tuning::kBasisSample + 2 * d + 4 * h);
  return rows + picks + basis;
}

}  // namespace farpoint::cpu
