// All blocks are on the device at once, each with a share of the candidates. A round:
//
//   1. every block publishes the best of its share on the board
//   2. every block reads the bests of all, so all agree on the pick without being told: this is the only
//   point of a
//      round where blocks wait for each other
//   3. every block screens its share against the pick, eight lanes a candidate, and
//   4. refines what survives, half a warp a pair
//
// A candidate that falls below the threshold leaves: some row outside might beat it.
//
// The board. A best is a value, a row and a place: 128 bits, published as four words of 32 bits each, with
// the number of the round in the other half. A reader polls the words until they bear its round's number, so
// nothing has to be ordered: no fence, which would empty the first-level cache, no counter, no second trip to
// memory. Two sides of the board alternate: a fast block publishes the next round while a slow one still
// reads this one; it cannot publish the one after before it has read the next from all, the slow one
// included.
//
// Operands of the share stay in shared memory from one round to the next, where they fit.

#include "cuda/pick.h"

#include <algorithm>
#include <cstddef>

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
// Lanes that share the product of a candidate with the pick, 16 bytes each at a time.
constexpr int kTeam = 8;
constexpr int kWordsOfBest = 4;
// Loads of refinement that are under way at a time: here nothing else hides their latency.
constexpr int kPickAhead = 16;

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

struct alignas(16) PickShared {
  double values[kShare];
  Index indices[kShare];
  double self_dots[kShare];
  RowNumbers numbers[kShare];
  float biases[kShare];
  Key share_keys[kWarps];  // of the share
  Key board_keys[kWarps];  // of the board
  int survivors[kShare];
  int survived;
  // Behind it: operands of the pick, then those of the share, where they fit.
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

// The first of a key a warp, on every lane.
__device__ Key first_of_warps(const Key (&keys)[kWarps]) {
  const auto lane = static_cast<int>(threadIdx.x % kWarp);
  return warp_first(lane < kWarps ? keys[lane] : no_key());
}

// Words of a best, as 32-bit halves: the value's two, the row, the place. Rows and places are below 2^31
// (check_sizes).
__device__ inline std::uint32_t half_of(const Key& key, int which) {
  const auto bits = static_cast<unsigned long long>(__double_as_longlong(key.value));
  switch (which) {
    case 0:
      return static_cast<std::uint32_t>(bits);
    case 1:
      return static_cast<std::uint32_t>(bits >> 32);
    case 2:
      return static_cast<std::uint32_t>(key.index);
    default:
      return static_cast<std::uint32_t>(key.place);
  }
}

// By the first lanes of a warp, for a block. Rounds are counted from 1: the board begins as zeros.
__device__ void publish(Word* side, const Key& best, std::uint32_t round) {
  const auto lane = static_cast<int>(threadIdx.x % kWarp);
  if (lane < kWordsOfBest) {
    store_word(side + static_cast<Index>(blockIdx.x) * kWordsOfBest + lane,
               static_cast<Word>(half_of(best, lane)) << 32 | round);
  }
}

// Waits for the best of a block.
__device__ Key read(const Word* side, Index block, std::uint32_t round) {
  Word low[2];
  Word high[2];
  const auto old = [round](Word word) { return static_cast<std::uint32_t>(word) != round; };
  do {
    load_words(side + block * kWordsOfBest, low);
    load_words(side + block * kWordsOfBest + 2, high);
  } while (old(low[0]) || old(low[1]) || old(high[0]) || old(high[1]));
  const Word bits = (low[1] & 0xffffffff00000000ULL) | low[0] >> 32;
  // The place of "none" is -1.
  return {__longlong_as_double(static_cast<long long>(bits)), static_cast<Index>(high[0] >> 32),
          static_cast<Index>(static_cast<std::int32_t>(high[1] >> 32))};
}

// What a screen's operands mean here: entries of 16 bytes, products of two entries, the bound of a pair
// (core/bounds.h). All but the product itself is in float64, whose roundings are far below what the proof
// grants.
__device__ inline Index entries(const CodeOperands& operands) {
  return operands.padded / 16;
}
__device__ inline Index entries(const FloatOperands& operands) {
  return operands.padded / 4;
}
// Codes are found by the row's number, packed rows by its place in the list.
__device__ inline Index entry_of(const CodeOperands& /*operands*/, Index index, Index /*place*/) {
  return index;
}
__device__ inline Index entry_of(const FloatOperands& /*operands*/, Index /*index*/, Index place) {
  return place;
}
__device__ inline int product(const CodeOperands& /*operands*/, const int4& x, const int4& y, int sum) {
  return __dp4a(x.w, y.w, __dp4a(x.z, y.z, __dp4a(x.y, y.y, __dp4a(x.x, y.x, sum))));
}
__device__ inline float product(const FloatOperands& /*operands*/, const int4& x, const int4& y, float sum) {
  sum = __fmaf_rn(__int_as_float(x.x), __int_as_float(y.x), sum);
  sum = __fmaf_rn(__int_as_float(x.y), __int_as_float(y.y), sum);
  sum = __fmaf_rn(__int_as_float(x.z), __int_as_float(y.z), sum);
  return __fmaf_rn(__int_as_float(x.w), __int_as_float(y.w), sum);
}
__device__ inline int no_sum(const CodeOperands& /*operands*/) {
  return 0;
}
__device__ inline float no_sum(const FloatOperands& /*operands*/) {
  return 0.0F;
}
// An upper bound of the packed rows' inner product.
__device__ inline double most(const CodeOperands& operands, int dot, const RowNumbers& row,
                              const RowNumbers& pick) {
  const auto scale = static_cast<double>(operands.scale);
  return dot * scale * scale + static_cast<double>(row.norm) * static_cast<double>(pick.residual) +
         static_cast<double>(row.residual) *
             (static_cast<double>(pick.norm) + static_cast<double>(pick.residual));
}
__device__ inline double most(const FloatOperands& /*operands*/, float dot, const RowNumbers& /*row*/,
                              const RowNumbers& /*pick*/) {
  return static_cast<double>(dot);  // its rounding is in the biases
}

template <class Operands>
__global__ void __launch_bounds__(kThreads, 1)
    pick_kernel(PickTask task, Operands operands, bool share_fits) {
  auto& shared = shared_memory<PickShared>();
  const auto thread = static_cast<int>(threadIdx.x);
  const auto blocks = static_cast<Index>(gridDim.x);
  const auto block = static_cast<Index>(blockIdx.x);
  const Index first_place = task.candidates.count * block / blocks;
  const auto share = static_cast<int>(task.candidates.count * (block + 1) / blocks - first_place);
  const auto row_entries = static_cast<int>(entries(operands));
  const auto* all_operands = reinterpret_cast<const int4*>(operands.rows);
  auto* pick_operands = reinterpret_cast<int4*>(&shared + 1);
  int4* share_operands = pick_operands + row_entries;

  if (thread < share) {
    const Index place = first_place + thread;
    const Index index = task.candidates.indices[place];
    const double value = task.state.values[index];
    shared.indices[thread] = index;
    shared.self_dots[thread] = task.state.self_dot(index);
    shared.values[thread] = value != kTaken && task.threshold.admits(value, index) ? value : kTaken;
    shared.numbers[thread] = operands.row_numbers[entry_of(operands, index, place)];
    shared.biases[thread] =
        operands.bound.point_bias(static_cast<double>(shared.numbers[thread].squared_norm), value);
  }
  __syncthreads();
  if (share_fits) {
    for (int e = thread; e < share * row_entries; e += kThreads) {
      const int c = e / row_entries;
      share_operands[e] = all_operands[entry_of(operands, shared.indices[c], first_place + c) * row_entries +
                                       e % row_entries];
    }
  }

  ScreenCounts counts;
  bool changed = true;  // since the best of the share was found
  Index round = 0;
  LaunchEnd end = LaunchEnd::more;
  Key pick = no_key();
  for (;; ++round) {
    if (changed) {
      Key key = no_key();
      if (thread < share && shared.values[thread] != kTaken) {
        key = {shared.values[thread], shared.indices[thread], first_place + thread};
      }
      key = warp_first(key);
      if (thread % kWarp == 0) {
        shared.share_keys[thread / kWarp] = key;
      }
      __syncthreads();
    }
    Word* side = task.board + round % 2 * blocks * kWordsOfBest;
    const auto number = static_cast<std::uint32_t>(round + 1);
    if (thread < kWarp) {
      publish(side, first_of_warps(shared.share_keys), number);
    }
    Key key = no_key();
    for (Index b = thread; b < blocks; b += kThreads) {
      const Key other = read(side, b, number);
      key = other.before(key) ? other : key;
    }
    key = warp_first(key);
    if (thread % kWarp == 0) {
      shared.board_keys[thread / kWarp] = key;
    }
    __syncthreads();
    // Every thread of every block comes to the same decision from the same numbers.
    pick = first_of_warps(shared.board_keys);
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
    const Index pick_entry = entry_of(operands, pick.index, pick.place);
    for (int e = thread; e < row_entries; e += kThreads) {
      pick_operands[e] = __ldg(all_operands + pick_entry * row_entries + e);
    }
    const RowNumbers pick_numbers = operands.row_numbers[pick_entry];
    const auto pick_bias =
        static_cast<double>(operands.bound.pick_bias(static_cast<double>(pick_numbers.squared_norm)));
    // The block that holds the pick takes it out.
    const bool mine = pick.place >= first_place && pick.place < first_place + share;
    if (thread == 0) {
      shared.survived = 0;
      if (mine) {
        shared.values[pick.place - first_place] = kTaken;
        task.state.values[pick.index] = kTaken;
        // At distance 0 an earlier entry is as near as the row itself and keeps the label.
        if (task.state.labels != nullptr && pick.value > 0.0) {
          task.state.labels[pick.index] = static_cast<std::int32_t>(entry);
        }
      }
    }
    __syncthreads();

    // Which pairs cannot be skipped. All lanes take part in the shuffles, whether their team has a candidate
    // or not.
    const int member = thread % kTeam;
    for (int first = 0; first < share; first += kThreads / kTeam) {
      const int c = first + thread / kTeam;
      const bool living = c < share && shared.values[c] != kTaken;
      auto dot = no_sum(operands);
      if (living) {
        if (share_fits) {
          const int4* x = share_operands + static_cast<std::ptrdiff_t>(c) * row_entries;
          for (int e = member; e < row_entries; e += kTeam) {
            dot = product(operands, x[e], pick_operands[e], dot);
          }
        } else {
          const int4* x = all_operands + entry_of(operands, shared.indices[c], first_place + c) * row_entries;
          for (int e = member; e < row_entries; e += kTeam) {
            dot = product(operands, __ldg(x + e), pick_operands[e], dot);
          }
        }
      }
#pragma unroll
      for (int width = kTeam / 2; width >= 1; width /= 2) {
        dot += __shfl_xor_sync(0xffffffffU, dot, width);
      }
      if (living && member == 0) {
        ++counts.screened;
        if (most(operands, dot, shared.numbers[c], pick_numbers) - pick_bias >
            static_cast<double>(shared.biases[c])) {
          shared.survivors[atomicAdd(&shared.survived, 1)] = c;
        }
      }
    }
    __syncthreads();
    const int survived = shared.survived;

    // Each survivor stands in the list once, so that the first lane of its half-warp may change it.
    bool lowered = false;
    for (int s = thread / kHalfWarp; s < survived; s += kThreads / kHalfWarp) {
      const int c = shared.survivors[s];
      const Index index = shared.indices[c];
      const double value = pair_value<kPickAhead>(
          task.contract, task.candidates.row(index, first_place + c), shared.self_dots[c],
          task.candidates.row(pick.index, pick.place), task.state.self_dot(pick.index));
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
    changed = __syncthreads_or((lowered || mine) ? 1 : 0) != 0;
  }

  // Those left have seen every pick.
  if (thread < share && shared.values[thread] != kTaken) {
    task.state.progress[shared.indices[thread]] = static_cast<std::int32_t>(task.first_entry + round);
  }
  if (block == 0 && thread == 0) {
    *task.report = {round, pick.value > 0.0 ? pick.value : 0.0, end};
  }
  if (counts.screened != 0) {
    atomicAdd(&task.counts->screened, counts.screened);
  }
  if (counts.refined != 0) {
    atomicAdd(&task.counts->refined, counts.refined);
    atomicAdd(&task.counts->improved, counts.improved);
  }
}

Index most_blocks(const DeviceInfo& device) {
  return device.multiprocessors;
}

// Shares of about kPickShare candidates, so that a small level has few blocks to wait for.
Index pick_blocks(Index candidates, const DeviceInfo& device) {
  const Index wanted = (candidates + tuning::kPickShare - 1) / tuning::kPickShare;
  const Index needed = (candidates + kShare - 1) / kShare;
  return std::clamp<Index>(std::max(wanted, needed), 1, most_blocks(device));
}

template <class Operands>
void launch_pick(const PickTask& task, const Operands& operands, Index row_bytes, const Device& device) {
  const Index blocks = pick_blocks(task.candidates.count, device.info());
  const Index share = (task.candidates.count + blocks - 1) / blocks;
  const auto fixed = static_cast<Index>(sizeof(PickShared)) + row_bytes;
  const bool share_fits =
      fixed + share * row_bytes <= static_cast<Index>(device.info().shared_bytes_per_block);
  const auto shared_bytes = static_cast<std::size_t>(fixed + (share_fits ? share * row_bytes : 0));
  if (shared_bytes > device.info().shared_bytes_per_block) {
    throw Error("rows of " + std::to_string(task.contract.dimension) +
                " columns are too long for this device's shared memory");
  }
  check(cudaMemsetAsync(task.board, 0,
                        static_cast<std::size_t>(2 * blocks * kWordsOfBest) * sizeof(unsigned long long),
                        device.stream()),
        "preparing the pick loop");
  check(launch(pick_kernel<Operands>, {blocks, kThreads, shared_bytes, device.stream(), true}, task, operands,
               share_fits),
        "picking");
}

}  // namespace

Index most_candidates(const DeviceInfo& device) {
  return most_blocks(device) * kShare;
}

Index pick_board_words(const DeviceInfo& device) {
  return 2 * most_blocks(device) * kWordsOfBest;
}

void pick(const PickTask& task, const CodeOperands& operands, const Device& device) {
  launch_pick(task, operands, operands.padded, device);
}

void pick(const PickTask& task, const FloatOperands& operands, const Device& device) {
  launch_pick(task, operands, operands.padded * static_cast<Index>(sizeof(float)), device);
}

}  // namespace farpoint::cuda
