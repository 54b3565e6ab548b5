// All blocks are on the device at once, each with a share of the candidates. A round:
//
//   1. every block publishes the best of its share
//   2. barrier of the grid: the only one of a round
//   3. every block finds the best of all shares, so all agree on the pick without being told, and updates its
//   share
//      against it: a screened product a candidate, then the canonical distance of survivors
//
// A candidate that falls below the threshold leaves: some row outside might beat it.
//
// Two places for what a block publishes alternate: a fast block writes the next one while a slow one still
// reads this one; it cannot write the one after before the next barrier.
//
// Operands are read through the first-level cache, which holds a block's share from one round to the next:
// nothing that a launch reads as an operand is written by it.

#include "cuda/pick.h"

#include <algorithm>

#include "core/tuning.h"
#include "cuda/instructions.h"
#include "cuda/refine.h"

namespace farpoint::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kWarp = 32;
constexpr int kWarps = kThreads / kWarp;
// Candidates of a block, one a thread.
constexpr int kShare = kThreads;

struct Key {
  double value;
  Index index;
  Index place;

  __device__ bool before(const Key& other) const {
    return value > other.value || (value == other.value && index < other.index);
  }
};
__device__ inline Key no_key() {
  return {-kInfinity, 0, -1};
}

struct PickShared {
  double values[kShare];
  Index indices[kShare];
  double self_dots[kShare];
  RowNumbers numbers[kShare];
  float biases[kShare];
  Key warp_keys[kWarps];
  Key best;  // of this share
  Key pick;  // of all
  int survivors[kShare];
  int survived;
};

// The first of the warp's keys in the order, on every lane.
__device__ Key warp_first(Key key) {
#pragma unroll
  for (int width = kWarp / 2; width >= 1; width /= 2) {
    const Key other{__shfl_xor_sync(0xffffffffU, key.value, width),
                    __shfl_xor_sync(0xffffffffU, key.index, width),
                    __shfl_xor_sync(0xffffffffU, key.place, width)};
    key = other.before(key) ? other : key;
  }
  return key;
}

// Codes of a candidate against those of the pick: an upper bound of the packed rows' inner product, less the
// pick's bias (core/bounds.h, step 6). On every lane of the warp; in float64, whose roundings are far below
// step 8's.
__device__ double pair_bound(const CodeOperands& operands, Index index, Index /*place*/,
                             const RowNumbers& numbers, Index pick_index, Index /*pick_place*/) {
  const auto* x = reinterpret_cast<const int*>(operands.rows + index * operands.padded);
  const auto* y = reinterpret_cast<const int*>(operands.rows + pick_index * operands.padded);
  const Index words = operands.padded / 4;
  int dot = 0;
  for (Index w = threadIdx.x % kWarp; w < words; w += kWarp) {
    dot = __dp4a(__ldg(x + w), __ldg(y + w), dot);
  }
#pragma unroll
  for (int width = kWarp / 2; width >= 1; width /= 2) {
    dot += __shfl_xor_sync(0xffffffffU, dot, width);
  }
  const RowNumbers pick = operands.row_numbers[pick_index];
  const auto scale = static_cast<double>(operands.scale);
  return dot * scale * scale + static_cast<double>(numbers.norm) * static_cast<double>(pick.residual) +
         static_cast<double>(numbers.residual) *
             (static_cast<double>(pick.norm) + static_cast<double>(pick.residual)) -
         static_cast<double>(operands.bound.pick_bias(static_cast<double>(pick.squared_norm)));
}
__device__ double pair_bound(const FloatOperands& operands, Index /*index*/, Index place,
                             const RowNumbers& /*numbers*/, Index /*pick_index*/, Index pick_place) {
  const float* x = operands.rows + place * operands.padded;
  const float* y = operands.rows + pick_place * operands.padded;
  float dot = 0;
  for (Index j = threadIdx.x % kWarp; j < operands.padded; j += kWarp) {
    dot = __fmaf_rn(__ldg(x + j), __ldg(y + j), dot);
  }
#pragma unroll
  for (int width = kWarp / 2; width >= 1; width /= 2) {
    dot += __shfl_xor_sync(0xffffffffU, dot, width);
  }
  // The test of step 5 is one float32 subtraction; this one is in float64.
  return static_cast<double>(dot) - static_cast<double>(operands.bound.pick_bias(
                                        static_cast<double>(operands.row_numbers[pick_place].squared_norm)));
}

__device__ inline Index operand_entry(const CodeOperands& /*operands*/, Index index, Index /*place*/) {
  return index;
}
__device__ inline Index operand_entry(const FloatOperands& /*operands*/, Index /*index*/, Index place) {
  return place;
}

// Finds the first of the share in the order; barriers at both ends.
__device__ void find_best(PickShared& shared, Index first_place, Index share) {
  const int thread = static_cast<int>(threadIdx.x);
  __syncthreads();
  Key key = no_key();
  if (thread < share && shared.values[thread] != kTaken) {
    key = {shared.values[thread], shared.indices[thread], first_place + thread};
  }
  key = warp_first(key);
  if (thread % kWarp == 0) {
    shared.warp_keys[thread / kWarp] = key;
  }
  __syncthreads();
  if (thread < kWarp) {
    key = warp_first(thread < kWarps ? shared.warp_keys[thread] : no_key());
    if (thread == 0) {
      shared.best = key;
    }
  }
  __syncthreads();
}

// Waits until every block has come here `times` times. What threads of a block wrote before is visible to all
// others after: the block's barrier puts it before the release of thread 0, and the acquire of the other
// block's thread 0 before its block's barrier.
__device__ void grid_barrier(unsigned* counter, unsigned times) {
  __syncthreads();
  if (threadIdx.x == 0) {
    __threadfence();
    add_release(counter);
    while (load_acquire(counter) < times * gridDim.x) {
    }
    __threadfence();
  }
  __syncthreads();
}

template <class Operands>
__global__ void __launch_bounds__(kThreads, 1) pick_kernel(PickTask task, Operands operands) {
  auto& shared = shared_memory<PickShared>();
  const int thread = static_cast<int>(threadIdx.x);
  const int warp = thread / kWarp;
  const auto blocks = static_cast<Index>(gridDim.x);
  const auto block = static_cast<Index>(blockIdx.x);
  const Index first_place = task.candidates.count * block / blocks;
  const Index share = task.candidates.count * (block + 1) / blocks - first_place;

  if (thread < share) {
    const Index place = first_place + thread;
    const Index index = task.candidates.indices[place];
    const double value = task.state.values[index];
    shared.indices[thread] = index;
    shared.self_dots[thread] = task.state.self_dot(index);
    shared.values[thread] = value != kTaken && task.threshold.admits(value, index) ? value : kTaken;
    shared.numbers[thread] = operands.row_numbers[operand_entry(operands, index, place)];
    shared.biases[thread] =
        operands.bound.point_bias(static_cast<double>(shared.numbers[thread].squared_norm), value);
  }
  find_best(shared, first_place, share);

  ScreenCounts counts;
  Index round = 0;
  LaunchEnd end = LaunchEnd::more;
  for (;; ++round) {
    BlockBest* published = task.bests + round % 2 * blocks;
    if (thread == 0) {
      published[block] = {shared.best.value, shared.best.index, shared.best.place};
    }
    grid_barrier(task.barrier, static_cast<unsigned>(round + 1));
    if (thread < kWarp) {
      Key key = no_key();
      for (Index b = thread; b < blocks; b += kWarp) {
        // Not through the first-level cache, which may hold what lay here two rounds ago.
        const volatile BlockBest& other = published[b];
        const Key found{other.value, other.index, other.place};
        key = found.before(key) ? found : key;
      }
      key = warp_first(key);
      if (thread == 0) {
        shared.pick = key;
        shared.survived = 0;
      }
    }
    __syncthreads();
    // Every block comes to the same decision from the same numbers.
    const Key pick = shared.pick;
    if (pick.value == -kInfinity) {
      end = LaunchEnd::level_exhausted;
      break;
    }
    if (round == task.left) {
      end = LaunchEnd::complete;
      break;
    }
    if (pick.value < task.minimum_value) {
      end = LaunchEnd::below_minimum;
      break;
    }
    if (round == task.most) {
      end = LaunchEnd::more;
      break;
    }
    const Index entry = task.first_entry + round;
    if (block == 0 && thread == 0) {
      task.picked[round] = pick.index;
      task.picked_places[round] = pick.place;
      task.picked_values[round] = pick.value;
    }
    // The block that holds the pick takes it out.
    const bool mine = pick.place >= first_place && pick.place < first_place + share;
    if (mine && thread == 0) {
      shared.values[pick.place - first_place] = kTaken;
      task.state.values[pick.index] = kTaken;
      // At distance 0 an earlier entry is as near as the row itself and keeps the label.
      if (task.state.labels != nullptr && pick.value > 0.0) {
        task.state.labels[pick.index] = static_cast<std::int32_t>(entry);
      }
    }
    __syncthreads();

    // A warp a candidate: which pairs cannot be skipped.
    for (int c = warp; c < share; c += kWarps) {
      if (shared.values[c] == kTaken) {
        continue;  // the same for the whole warp
      }
      const double bound =
          pair_bound(operands, shared.indices[c], first_place + c, shared.numbers[c], pick.index, pick.place);
      if (thread % kWarp == 0) {
        ++counts.screened;
        if (bound > static_cast<double>(shared.biases[c])) {
          shared.survivors[atomicAdd(&shared.survived, 1)] = c;
        }
      }
    }
    __syncthreads();
    const int survived = shared.survived;

    // Half a warp a survivor; each stands in the list once, so that its first lane may change it.
    bool lowered = false;
    for (int s = thread / kHalfWarp; s < survived; s += kThreads / kHalfWarp) {
      const int c = shared.survivors[s];
      const Index index = shared.indices[c];
      const std::byte* pick_row = task.candidates.row(pick.index, pick.place);
      const double value = pair_value(task.contract, task.candidates.row(index, first_place + c),
                                      shared.self_dots[c], pick_row, task.state.self_dot(pick.index));
      if (thread % kHalfWarp == 0) {
        ++counts.refined;
        if (value < shared.values[c]) {
          ++counts.improved;
          lowered = true;
          task.state.values[index] = value;
          if (task.state.labels != nullptr) {
            task.state.labels[index] = static_cast<std::int32_t>(entry);
          }
          if (task.threshold.admits(value, index)) {
            shared.values[c] = value;
            shared.biases[c] =
                operands.bound.point_bias(static_cast<double>(shared.numbers[c].squared_norm), value);
          } else {
            shared.values[c] = kTaken;
            task.state.progress[index] = static_cast<std::int32_t>(entry + 1);
          }
        }
      }
    }
    if (__syncthreads_or((lowered || mine) ? 1 : 0) != 0) {
      find_best(shared, first_place, share);
    }
  }

  // Those left have seen every pick.
  if (thread < share && shared.values[thread] != kTaken) {
    task.state.progress[shared.indices[thread]] = static_cast<std::int32_t>(task.first_entry + round);
  }
  if (block == 0 && thread == 0) {
    *task.report = {round, shared.pick.value > 0.0 ? shared.pick.value : 0.0, end};
  }
  if (counts.screened != 0) {
    atomicAdd(&task.counts->screened, counts.screened);
  }
  if (counts.refined != 0) {
    atomicAdd(&task.counts->refined, counts.refined);
    atomicAdd(&task.counts->improved, counts.improved);
  }
}

// Shares of at least so many candidates, so that a small level has few blocks at its barrier.
Index pick_blocks(Index candidates, const DeviceInfo& device) {
  const Index wanted = (candidates + tuning::kPickShare - 1) / tuning::kPickShare;
  const Index needed = (candidates + kShare - 1) / kShare;
  return std::clamp<Index>(std::max(wanted, needed), 1, most_pick_blocks(device));
}

template <class Operands>
void launch_pick(const PickTask& task, const Operands& operands, const Device& device) {
  check(cudaMemsetAsync(task.barrier, 0, sizeof(unsigned), device.stream()), "preparing the pick loop");
  check(launch(pick_kernel<Operands>,
               {pick_blocks(task.candidates.count, device.info()), kThreads, sizeof(PickShared),
                device.stream(), true},
               task, operands),
        "picking");
}

}  // namespace

Index most_pick_blocks(const DeviceInfo& device) {
  return device.multiprocessors;
}

Index most_candidates(const DeviceInfo& device) {
  return most_pick_blocks(device) * kShare;
}

void pick(const PickTask& task, const CodeOperands& operands, const Device& device) {
  launch_pick(task, operands, device);
}

void pick(const PickTask& task, const FloatOperands& operands, const Device& device) {
  launch_pick(task, operands, device);
}

}  // namespace farpoint::cuda
