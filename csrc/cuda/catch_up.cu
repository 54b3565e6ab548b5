// A block of threads owns kTileRows listed rows and meets the pick list tile by tile:
//
//   thresholds   a number a row and a number a pick, from the rows' present values       (barrier)
//   screen       the tile's inner products; survivors are bits in registers              (screens.h)
//   queue        survivors go to a list in shared memory, as many as fit                 (barrier)
//
// and when kRefineAt survivors wait, when one does not fit, and after the last tile:
//
//   refine       half a warp a pair: canonical values, next to the list                  (barrier)
//   lower        a thread a row: the best of the list's values for it                    (barrier)
//
// A row's value is written by one thread alone, so nothing depends on the order of blocks or of pairs: the
// smallest value stays, and of equal ones the earliest pick. A survivor is dropped only after it was refined;
// a pair that was screened against a value that has fallen since survives more often, never less.
//
// The block stops when none of its rows reaches the threshold. Rows with much the same progress come
// together, since the list is ordered by it; a row that is ahead of its block sees some picks again, which
// changes nothing.
//
// Why refine inside the screen's block, and not from a list in device memory: the list could overflow, the
// next tiles would be screened against old values, and about ten pairs a row survive in all. Why not after
// every tile: a tile mostly has a few survivors, and a refinement takes the time of two products of 16
// columns however few they are.

#include "cuda/catch_up.h"

#include "cuda/refine.h"
#include "cuda/screens.h"

namespace farpoint::cuda {
namespace {

constexpr int kQueue = 512;
constexpr int kRefineAt = 128;
constexpr int kWarps = kScreenThreads / 32;

struct QueuedPair {
  std::int32_t row;   // of the block
  std::int32_t pick;  // of the list
};

template <class Screen>
struct alignas(16) CatchUpShared {
  double values[kTileRows];
  Index rows[kTileRows];  // numbers of the block's rows; -1: none
  double found[kQueue];
  RowNumbers numbers[kTileRows];
  std::int32_t labels[kTileRows];
  QueuedPair queue[kQueue];
  Screen::Threshold row_thresholds[kTileRows];
  Screen::Threshold pick_thresholds[kMostTilePicks];
  float warp_largest[kWarps];
  Index begin;  // the least progress of a row
  int queued;
  // Behind it: Screen::shared_bytes().
};

// The largest over the block, on every thread. A barrier lies behind its end and before its beginning.
template <class Shared>
__device__ float block_max(Shared& shared, float x) {
#pragma unroll
  for (int width = 16; width >= 1; width /= 2) {
    x = fmaxf(x, __shfl_xor_sync(0xffffffffU, x, width));
  }
  __syncthreads();
  if (threadIdx.x % 32 == 0) {
    shared.warp_largest[threadIdx.x / 32] = x;
  }
  __syncthreads();
  float largest = shared.warp_largest[0];
  for (int w = 1; w < kWarps; ++w) {
    largest = fmaxf(largest, shared.warp_largest[w]);
  }
  return largest;
}

// The value that a row must get below. In a search for the closest pair an equal value elsewhere matters too,
// for the pair may come earlier; a few units in the last place more do no harm.
__device__ double value_to_beat(const CatchUpTask& task, double value) {
  if (task.shared_best == nullptr) {
    return value;
  }
  const double best = __longlong_as_double(
      static_cast<long long>(*static_cast<volatile unsigned long long*>(task.shared_best)));
  return min(value, best * (1.0 + 0x1p-20) + 0x1p-1040);
}

// Puts this thread's survivors into the queue; those that find no room stay in `survivors`, and the result is
// true.
template <class Screen>
__device__ bool enqueue(CatchUpShared<Screen>& shared, Index first_pick, Index picks, bool pairs,
                        std::uint32_t (&survivors)[Screen::kWords]) {
  bool waiting = false;
#pragma unroll
  for (int word = 0; word < Screen::kWords; ++word) {
    std::uint32_t rest = 0;
    for (std::uint32_t bits = survivors[word]; bits != 0; bits &= bits - 1) {
      const TilePair pair = Screen::pair(word, __ffs(static_cast<int>(bits)) - 1);
      const Index j = first_pick + pair.pick;
      if (j >= picks || shared.rows[pair.row] < 0 || (pairs && j <= shared.rows[pair.row])) {
        continue;
      }
      const int entry = atomicAdd(&shared.queued, 1);
      if (entry < kQueue) {
        shared.queue[entry] = {pair.row, static_cast<std::int32_t>(j)};
      } else {
        rest |= bits & (~bits + 1);
        waiting = true;
      }
    }
    survivors[word] = rest;
  }
  return waiting;
}

// Refines what is in the queue and lowers values; then it is empty. A barrier lies before its beginning and
// its end.
template <class Screen>
__device__ ScreenCounts work_off(CatchUpShared<Screen>& shared, const CatchUpTask& task, Index first_place,
                                 bool has_row) {
  const int thread = static_cast<int>(threadIdx.x);
  const int queued = min(shared.queued, kQueue);
  for (unsigned entry = threadIdx.x / kHalfWarp; entry < static_cast<unsigned>(queued);
       entry += kScreenThreads / kHalfWarp) {
    const QueuedPair pair = shared.queue[entry];
    const Index row = shared.rows[pair.row];
    const double value =
        pair_value(task.contract, task.listed.row(row, first_place + pair.row), task.state.self_dot(row),
                   task.picks.rows.row(pair.pick), task.picks.self_dot(pair.pick));
    if (thread % kHalfWarp == 0) {
      shared.found[entry] = value;
    }
  }
  __syncthreads();
  ScreenCounts counts;
  if (has_row) {
    double value = shared.values[thread];
    std::int32_t label = shared.labels[thread];
    bool improved = false;
    for (int entry = 0; entry < queued; ++entry) {
      if (shared.queue[entry].row == thread) {
        const std::int32_t j = shared.queue[entry].pick;
        const double found = shared.found[entry];
        if (found < value || (found == value && j < label)) {
          counts.improved += found < value ? 1ULL : 0ULL;
          value = found;
          label = j;
          improved = true;
        }
      }
    }
    if (improved) {
      shared.values[thread] = value;
      shared.labels[thread] = label;
      if (task.shared_best != nullptr) {
        atomicMin(task.shared_best, static_cast<unsigned long long>(__double_as_longlong(value)));
      }
    }
  }
  if (thread == 0) {
    counts.refined = static_cast<unsigned long long>(queued);
    shared.queued = 0;
  }
  __syncthreads();
  return counts;
}

template <class Screen>
__global__ void __launch_bounds__(kScreenThreads, 1)
    catch_up_kernel(CatchUpTask task, typename Screen::Operands operands) {
  auto& shared = shared_memory<CatchUpShared<Screen>>();
  const int thread = static_cast<int>(threadIdx.x);
  const Index first_place = static_cast<Index>(blockIdx.x) * kTileRows;
  const Index place = first_place + thread;  // of this thread's row, for thread < kTileRows
  const bool has_row = thread < kTileRows && place < task.listed.count;
  const bool pairs = task.shared_best != nullptr;

  if (thread == 0) {
    shared.begin = task.picks.count;
    shared.queued = 0;
  }
  __syncthreads();
  Index progress = task.picks.count;
  bool alive = false;
  if (thread < kTileRows) {
    const Index row = has_row ? task.listed.indices[place] : -1;
    shared.rows[thread] = row;
    if (has_row) {
      shared.values[thread] = task.state.values[row];
      shared.labels[thread] = task.state.labels != nullptr ? task.state.labels[row] : 0;
      shared.numbers[thread] = operands.row_numbers[Screen::row_entry(row, place)];
      progress = pairs ? row + 1 : static_cast<Index>(task.state.progress[row]);
      alive = progress < task.picks.count && task.threshold.admits(shared.values[thread], row);
      if (alive) {
        // One word of two would do on the device; the smaller of two is all that matters.
        atomicMin(reinterpret_cast<unsigned long long*>(&shared.begin),
                  static_cast<unsigned long long>(progress));
      }
    } else {
      shared.values[thread] = 0.0;
      shared.numbers[thread] = RowNumbers{};
    }
  }
  __syncthreads();
  Index tile = shared.begin / Screen::kTilePicks;
  const Index all_tiles = (task.picks.count + Screen::kTilePicks - 1) / Screen::kTilePicks;
  const Index end_tile = min(all_tiles, tile + task.most_tiles);
  const float norm = block_max(shared, has_row ? shared.numbers[thread].norm : 0.0F);

  Screen screen(operands, reinterpret_cast<std::byte*>(&shared + 1), shared.rows, first_place, tile,
                end_tile);
  RowNumbers next_numbers{};
  float next_reach = 0;
  if (tile < end_tile) {
    next_numbers = Screen::pick_numbers(operands, tile);
    next_reach = Screen::reach(operands, tile);
  }
  ScreenCounts counts;
  int living = __syncthreads_count(alive ? 1 : 0);
  for (; tile < end_tile && living > 0; ++tile) {
    const Index first_pick = tile * Screen::kTilePicks;
    const bool has_pick = thread < Screen::kTilePicks && first_pick + thread < task.picks.count;
    const RowNumbers numbers = next_numbers;
    const float reach = next_reach;
    if (thread < kTileRows) {
      shared.row_thresholds[thread] =
          alive ? Screen::row_threshold(operands, shared.numbers[thread],
                                        value_to_beat(task, shared.values[thread]), reach)
                : Screen::kNever;
    }
    if (thread < Screen::kTilePicks) {
      shared.pick_thresholds[thread] =
          has_pick ? Screen::pick_threshold(operands, numbers, norm) : Screen::kNone;
    }
    __syncthreads();
    if (tile + 1 < end_tile) {  // while the product runs
      next_numbers = Screen::pick_numbers(operands, tile + 1);
      next_reach = Screen::reach(operands, tile + 1);
    }

    std::uint32_t survivors[Screen::kWords];
    bool waiting = screen.run(shared.row_thresholds, shared.pick_thresholds, survivors);
    const Index tile_picks = min(static_cast<Index>(Screen::kTilePicks), task.picks.count - first_pick);
    counts.screened += thread == 0 ? static_cast<unsigned long long>(living * tile_picks) : 0ULL;

    int any_waiting = __syncthreads_or(waiting ? 1 : 0);
    bool lowered = false;
    while (any_waiting != 0) {
      if (waiting) {
        waiting = enqueue<Screen>(shared, first_pick, task.picks.count, pairs, survivors);
      }
      any_waiting = __syncthreads_or(waiting ? 1 : 0);
      if (any_waiting != 0 || shared.queued >= kRefineAt) {
        counts += work_off(shared, task, first_place, has_row);
        lowered = any_waiting == 0;
      }
    }
    if (tile + 1 == end_tile && shared.queued > 0) {
      counts += work_off(shared, task, first_place, has_row);
      lowered = true;
    }
    if (lowered) {
      // Nothing waits: rows have seen every pick of this tile and of those before.
      if (alive && !task.threshold.admits(shared.values[thread], shared.rows[thread])) {
        alive = false;
        progress = max(progress, min(first_pick + Screen::kTilePicks, task.picks.count));
      }
      living = __syncthreads_count(alive ? 1 : 0);
    }
  }
  screen.finish();

  if (has_row) {
    const Index row = shared.rows[thread];
    task.state.values[row] = shared.values[thread];
    if (task.state.labels != nullptr) {
      task.state.labels[row] = shared.labels[thread];
    }
    if (alive) {
      progress = max(progress, min(end_tile * Screen::kTilePicks, task.picks.count));
    }
    if (!pairs) {
      task.state.progress[row] = static_cast<std::int32_t>(progress);
    }
  }
  if (counts.improved != 0) {
    atomicAdd(&task.counts->improved, counts.improved);
  }
  if (thread == 0) {
    atomicAdd(&task.counts->screened, counts.screened);
    atomicAdd(&task.counts->refined, counts.refined);
  }
}

template <class Screen>
std::size_t shared_bytes(const typename Screen::Operands& operands) {
  return sizeof(CatchUpShared<Screen>) + Screen::shared_bytes(operands);
}

template <class Screen>
void launch_catch_up(const CatchUpTask& task, const typename Screen::Operands& operands,
                     const Device& device) {
  check(launch(catch_up_kernel<Screen>,
               {(task.listed.count + kTileRows - 1) / kTileRows, kScreenThreads,
                shared_bytes<Screen>(operands), device.stream()},
               task, operands),
        "bringing rows up to date");
}

}  // namespace

void catch_up(const CatchUpTask& task, const CodeOperands& operands, const Device& device) {
  launch_catch_up<CodeScreen>(task, operands, device);
}

void catch_up(const CatchUpTask& task, const FloatOperands& operands, const Device& device) {
  launch_catch_up<FloatScreen>(task, operands, device);
}

void fit_shared_memory(CodeOperands& operands, const DeviceInfo& device) {
  for (const bool resident : {true, false}) {
    for (const int stages : {4, 3, 2}) {
      operands.resident = resident;
      operands.stages = stages;
      if (shared_bytes<CodeScreen>(operands) <= device.shared_bytes_per_block) {
        return;
      }
    }
  }
  throw Error("the device's shared memory is too small for the screen");
}

}  // namespace farpoint::cuda
