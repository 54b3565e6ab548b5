// The two screens of the device: tiles of inner products of rows with picks, and which pairs of a tile cannot
// be skipped (core/bounds.h). Device code. A block of kScreenThreads threads takes kTileRows rows against
// kTilePicks picks.
//
//   CodeScreen    int8 codes, on the tensor cores (instructions.h)
//   FloatScreen   packed float32 rows, on the ordinary units: for data that codes are too coarse for
//
// Both are used alike by cuda/catch_up.cu and say which pairs survive as bits of a few words a thread; pair()
// tells which pair a bit stands for. Nothing of the size of a tile is written.
#pragma once

#include <limits>

#include "core/bounds.h"
#include "cuda/codes.h"
#include "cuda/instructions.h"
#include "cuda/operands.h"

namespace farpoint::cuda {

// Whole numbers a for rows and b for picks such that a pair can be skipped when the inner product of its
// codes is at most a + b.
//
// With the scale s shared by all rows, step 6 of core/bounds.h says: skip when
//     s^2 q_x.q_y + a_x r_y + r_x (a_y + r_y) - B <= A.
// Let a_max be at least the block's a_x and R at least the tile's a_y + r_y. Then it suffices that
//     q_x.q_y <= alpha + beta,   alpha = (A - r_x R) / s^2,   beta = (B - a_max r_y) / s^2,
// and, q_x.q_y being whole, that it is <= floor(alpha) + floor(beta). Both are computed in float64, whose
// roundings are far below what step 8 grants, and cut to 2^28 from above, which only lets more survive. Inner
// products are within D = 127^2 * kMostCodeColumns < 2^28; beyond -2^28 - 1, and where a bias is infinite,
// these stand:
//     row survives always     -2^30      with any pick: a + b <= -2^30 + 2^28 < -D
//     row survives never       2^30      with any pick: a + b >= 2^30 - 2^29 > D
//     pick survives always    -2^29      with any row: a + b <= 2^28 - 2^29 < -D
//     no pick                  2^29      with an ordinary row: a + b >= 2^29 - 2^28 - 1 > D; its index is
//     checked too
// No sum or difference of these and an inner product leaves 32 bits: 2^30 + 2^29 + 2^28 < 2^31.
inline constexpr std::int32_t kRowAlways = -(1 << 30);
inline constexpr std::int32_t kRowNever = 1 << 30;
inline constexpr std::int32_t kPickAlways = -(1 << 29);
inline constexpr std::int32_t kNoPick = 1 << 29;

__device__ inline std::int32_t whole_threshold(double x, std::int32_t always) {
  constexpr double kLimit = 0x1p28;
  if (!(x >= -kLimit)) {
    return always;
  }
  return x > kLimit ? 1 << 28 : __double2int_rd(x) - 1;
}

class CodeScreen {
 public:
  using Operands = CodeOperands;
  using Threshold = std::int32_t;
  static constexpr int kTilePicks = 256;
  static constexpr int kWords = 4;
  // Bytes of a stage: 64 columns of the rows, and of the picks.
  static constexpr int kRowBytes = kTileRows * static_cast<int>(kCodeStep);
  static constexpr int kPickBytes = kTilePicks * static_cast<int>(kCodeStep);

  static std::size_t shared_bytes(const Operands& operands) {
    const Index steps = operands.padded / kCodeStep;
    const Index row_stages = operands.resident ? steps : operands.stages;
    return static_cast<std::size_t>(row_stages * kRowBytes + Index{operands.stages} * kPickBytes);
  }

  // For tiles first_tile .. end_tile - 1 of picks, in this order. `rows` (shared memory): the number of each
  // row of the block, -1 for none; a barrier lies behind its writing.
  __device__ CodeScreen(const Operands& operands, std::byte* shared, const Index* rows, Index /*first_place*/,
                        Index first_tile, Index end_tile)
      : operands_(operands),
        steps_(static_cast<int>(operands.padded / kCodeStep)),
        row_bytes_(reinterpret_cast<std::int8_t*>(shared)),
        pick_bytes_(row_bytes_ + bytes_of(operands.resident ? steps_ : operands.stages, kRowBytes)),
        rows_(rows),
        place_(place(static_cast<int>(threadIdx.x) / 4, static_cast<int>(threadIdx.x) % 4)),
        pick_source_(operands.picks + (first_tile * kTilePicks + threadIdx.x / 4) * operands.padded +
                     static_cast<Index>(threadIdx.x % 4) * 16),
        tiles_to_load_(end_tile - first_tile) {
    for (int s = 0; s + 1 < operands_.stages; ++s) {
      load_next();
    }
  }

  __device__ static Index row_entry(Index row, Index /*place*/) { return row; }
  static constexpr Threshold kNever = kRowNever;
  static constexpr Threshold kNone = kNoPick;
  // What pick_threshold and row_threshold need to know of picks: of this thread's in a tile, and of all of a
  // tile.
  __device__ static RowNumbers pick_numbers(const Operands& operands, Index tile) {
    return operands.pick_numbers[tile * kTilePicks + threadIdx.x];
  }
  __device__ static float reach(const Operands& operands, Index tile) {
    return __uint_as_float(operands.pick_reaches[tile]);
  }

  __device__ static Threshold row_threshold(const Operands& operands, const RowNumbers& numbers, double value,
                                            float reach) {
    const float bias = operands.bound.point_bias(static_cast<double>(numbers.squared_norm), value);
    if (bias > 0 && isinf(bias)) {
      return kRowNever;
    }
    return whole_threshold(
        (static_cast<double>(bias) - static_cast<double>(numbers.residual) * static_cast<double>(reach)) *
            operands.inverse_square,
        kRowAlways);
  }
  __device__ static Threshold pick_threshold(const Operands& operands, const RowNumbers& numbers,
                                             float norm) {
    const float bias = operands.bound.pick_bias(static_cast<double>(numbers.squared_norm));
    return whole_threshold(
        (static_cast<double>(bias) - static_cast<double>(norm) * static_cast<double>(numbers.residual)) *
            operands.inverse_square,
        kPickAlways);
  }

  // The next tile: all threads of the block, tiles by rising number. The thresholds are in shared memory, and
  // a barrier lies behind their writing. Bits of `survivors` say which of this thread's pairs survive;
  // returns whether any does.
  __device__ bool run(const Threshold* row_thresholds, const Threshold* pick_thresholds,
                      std::uint32_t (&survivors)[kWords]) {
    const int lane = static_cast<int>(threadIdx.x % 32);
    const int group = lane / 4;
    const int member = lane % 4;
    // The sums begin at minus the threshold: a pair survives when its sum ends above 0.
    std::int32_t sums[kRowFragments][kPickFragments][4];
#pragma unroll
    for (int i = 0; i < kRowFragments; ++i) {
      const std::int32_t low = row_thresholds[first_row() + 16 * i + group];
      const std::int32_t high = row_thresholds[first_row() + 16 * i + group + 8];
#pragma unroll
      for (int j = 0; j < kPickFragments; ++j) {
        const std::int32_t left = pick_thresholds[first_pick() + 8 * j + 2 * member];
        const std::int32_t right = pick_thresholds[first_pick() + 8 * j + 2 * member + 1];
        sums[i][j][0] = -low - left;
        sums[i][j][1] = -low - right;
        sums[i][j][2] = -high - left;
        sums[i][j][3] = -high - right;
      }
    }
    for (int step = 0; step < steps_; ++step) {
      await_step();
      load_next();
      multiply_step(step, sums);
    }
    std::int32_t largest = 0;
#pragma unroll
    for (int i = 0; i < kRowFragments; ++i) {
      survivors[i] = 0;
#pragma unroll
      for (int j = 0; j < kPickFragments; ++j) {
#pragma unroll
        for (int e = 0; e < 4; ++e) {
          largest = max(largest, sums[i][j][e]);
        }
      }
    }
    if (largest <= 0) {
      return false;
    }
#pragma unroll
    for (int i = 0; i < kRowFragments; ++i) {
#pragma unroll
      for (int j = 0; j < kPickFragments; ++j) {
#pragma unroll
        for (int e = 0; e < 4; ++e) {
          survivors[i] |= sums[i][j][e] > 0 ? 1U << (4 * j + e) : 0U;
        }
      }
    }
    return true;
  }

  // The pair of bit `bit` of word `word`: word i holds row fragment i, four bits a pick fragment.
  __device__ static TilePair pair(int word, int bit) {
    const int lane = static_cast<int>(threadIdx.x % 32);
    const int element = bit % 4;
    return {first_row() + 16 * word + lane / 4 + 8 * (element / 2),
            first_pick() + 8 * (bit / 4) + 2 * (lane % 4) + element % 2};
  }

  // Waits for copies still under way, so that nothing writes to shared memory any more.
  __device__ static void finish() { await_copies<0>(); }

 private:
  // Two rows of four warps; a warp takes 64 rows against 64 picks, as 4 x 8 fragments of 16 x 8.
  static constexpr int kRowFragments = 4;
  static constexpr int kPickFragments = 8;

  __device__ static int first_row() { return static_cast<int>(threadIdx.x / 128) * 64; }
  __device__ static int first_pick() { return static_cast<int>(threadIdx.x / 32 % 4) * 64; }

  // Offsets within shared memory, which 32 bits hold.
  __device__ static int bytes_of(int count, int bytes) { return count * bytes; }

  // A stage holds 64 bytes of each row, in four chunks of 16. Chunk c of row r lies at place c ^ (r / 2 % 4),
  // so that the eight rows that ldmatrix reads at a time lie in all 32 banks: rows r and r + 1 fill one line
  // of 128 bytes, and the four pairs of rows differ in their place.
  __device__ static int place(int row, int chunk) {
    return row * static_cast<int>(kCodeStep) + ((chunk ^ (row / 2 % 4)) * 16);
  }

  // Starts the copies of the next step, if there is one, and ends a group in any case: await_step counts
  // groups. It writes the stage that the step before was multiplied from; the barrier of await_step lies
  // between. A thread copies chunk thread % 4 of rows thread / 4, and of those 64 below: places 64 rows apart
  // are 64 * 64 bytes apart, for the order of chunks repeats every 8 rows.
  __device__ void load_next() {
    constexpr int kApart = kScreenThreads / 4;
    constexpr int kBytesApart = kApart * static_cast<int>(kCodeStep);
    if (tiles_to_load_ > 0) {
      if (rows_to_load_) {
        std::int8_t* stage =
            row_bytes_ + bytes_of(operands_.resident ? load_step_ : load_stage_, kRowBytes) + place_;
#pragma unroll
        for (int i = 0; i < kTileRows / kApart; ++i) {
          const Index row = rows_[threadIdx.x / 4 + static_cast<unsigned>(i * kApart)];
          copy_async(stage + bytes_of(i, kBytesApart),
                     operands_.rows + (row < 0 ? 0 : row) * operands_.padded + load_step_ * kCodeStep +
                         static_cast<Index>(threadIdx.x % 4) * 16);
        }
      }
      std::int8_t* stage = pick_bytes_ + bytes_of(load_stage_, kPickBytes) + place_;
      const Index apart = operands_.padded * kApart;
#pragma unroll
      for (int i = 0; i < kTilePicks / kApart; ++i) {
        copy_async(stage + bytes_of(i, kBytesApart), pick_source_ + i * apart);
      }
      load_stage_ = load_stage_ + 1 == operands_.stages ? 0 : load_stage_ + 1;
      pick_source_ += kCodeStep;
      if (++load_step_ == steps_) {
        load_step_ = 0;
        --tiles_to_load_;
        rows_to_load_ = !operands_.resident;
        pick_source_ += (kTilePicks - 1) * operands_.padded;  // from the end of a row to the next tile
      }
    }
    commit_copies();
  }

  // Waits until the step that is multiplied next has come, for all threads: when s steps have been
  // multiplied, s + stages - 1 groups have been committed, of which the latest stages - 2 may still be under
  // way.
  __device__ void await_step() const {
    if (operands_.stages == 4) {
      await_copies<2>();
    } else if (operands_.stages == 3) {
      await_copies<1>();
    } else {
      await_copies<0>();
    }
    __syncthreads();
  }

  __device__ void multiply_step(int step, std::int32_t (&sums)[kRowFragments][kPickFragments][4]) {
    const int lane = static_cast<int>(threadIdx.x % 32);
    const int matrix = lane / 8;
    const std::int8_t* rows = row_bytes_ + bytes_of(operands_.resident ? step : stage_, kRowBytes);
    const std::int8_t* picks = pick_bytes_ + bytes_of(stage_, kPickBytes);
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      // Matrices of A: rows 0-7 and 8-15 of columns 0-15, then of columns 16-31 (instructions.h).
      std::uint32_t a[kRowFragments][4];
#pragma unroll
      for (int i = 0; i < kRowFragments; ++i) {
        const int row = first_row() + 16 * i + matrix % 2 * 8 + lane % 8;
        load_matrices(a[i], rows + place(row, 2 * half + matrix / 2));
      }
#pragma unroll
      for (int j = 0; j < kPickFragments; j += 2) {
        // Two fragments of B: columns 0-15 and 16-31 of picks 0-7, then of picks 8-15.
        std::uint32_t b[4];
        const int pick = first_pick() + 8 * j + matrix / 2 * 8 + lane % 8;
        load_matrices(b, picks + place(pick, 2 * half + matrix % 2));
        const std::uint32_t first[2] = {b[0], b[1]};
        const std::uint32_t second[2] = {b[2], b[3]};
#pragma unroll
        for (int i = 0; i < kRowFragments; ++i) {
          multiply_int8(sums[i][j], a[i], first);
          multiply_int8(sums[i][j + 1], a[i], second);
        }
      }
    }
    stage_ = stage_ + 1 == operands_.stages ? 0 : stage_ + 1;
  }

  const Operands& operands_;
  const int steps_;
  std::int8_t* row_bytes_;
  std::int8_t* pick_bytes_;
  const Index* rows_;
  const int place_;  // of this thread's chunk in a stage
  const std::int8_t* pick_source_;
  Index tiles_to_load_;
  bool rows_to_load_ = true;
  int load_step_ = 0;
  int load_stage_ = 0;
  int stage_ = 0;
};

class FloatScreen {
 public:
  using Operands = FloatOperands;
  using Threshold = float;
  static constexpr int kTilePicks = 128;
  static constexpr int kWords = 2;

  static std::size_t shared_bytes(const Operands& /*operands*/) {
    return std::size_t{2} * kPanelFloats * sizeof(float);
  }

  __device__ FloatScreen(const Operands& operands, std::byte* shared, const Index* /*rows*/,
                         Index first_place, Index first_tile, Index /*end_tile*/)
      : operands_(operands),
        rows_(reinterpret_cast<float*>(shared)),
        picks_(rows_ + kPanelFloats),
        first_place_(first_place),
        tile_(first_tile) {}

  __device__ static Index row_entry(Index /*row*/, Index place) { return place; }
  static constexpr Threshold kNever = std::numeric_limits<float>::infinity();
  static constexpr Threshold kNone = std::numeric_limits<float>::infinity();
  __device__ static RowNumbers pick_numbers(const Operands& operands, Index tile) {
    return threadIdx.x < kTilePicks ? operands.pick_numbers[tile * kTilePicks + threadIdx.x] : RowNumbers{};
  }
  __device__ static float reach(const Operands& /*operands*/, Index /*tile*/) { return 0.0F; }

  __device__ static Threshold row_threshold(const Operands& operands, const RowNumbers& numbers, double value,
                                            float /*reach*/) {
    return operands.bound.point_bias(static_cast<double>(numbers.squared_norm), value);
  }
  __device__ static Threshold pick_threshold(const Operands& operands, const RowNumbers& numbers,
                                             float /*norm*/) {
    return operands.bound.pick_bias(static_cast<double>(numbers.squared_norm));
  }

  __device__ bool run(const Threshold* row_thresholds, const Threshold* pick_thresholds,
                      std::uint32_t (&survivors)[kWords]) {
    float sums[kSide][kSide] = {};
    for (Index column = 0; column < operands_.padded; column += kFloatStep) {
      load(rows_, operands_.rows + first_place_ * operands_.padded + column);
      load(picks_, operands_.picks + tile_ * kTilePicks * operands_.padded + column);
      __syncthreads();
#pragma unroll
      for (int s = 0; s < kFloatStep; ++s) {
        float x[kSide];
        float y[kSide];
#pragma unroll
        for (int i = 0; i < kSide; ++i) {
          x[i] = rows_[s * kPitch + row_of(i)];
          y[i] = picks_[s * kPitch + pick_of(i)];
        }
#pragma unroll
        for (int i = 0; i < kSide; ++i) {
#pragma unroll
          for (int j = 0; j < kSide; ++j) {
            sums[i][j] = __fmaf_rn(x[i], y[j], sums[i][j]);
          }
        }
      }
      __syncthreads();  // before the panels are written again
    }
    ++tile_;
    std::uint32_t any = 0;
#pragma unroll
    for (int w = 0; w < kWords; ++w) {
      survivors[w] = 0;
#pragma unroll
      for (int i = 0; i < kSide / kWords; ++i) {
        const float row = row_thresholds[row_of(w * (kSide / kWords) + i)];
#pragma unroll
        for (int j = 0; j < kSide; ++j) {
          const bool survives = sums[w * (kSide / kWords) + i][j] > row + pick_thresholds[pick_of(j)];
          survivors[w] |= survives ? 1U << (i * kSide + j) : 0U;
        }
      }
      any |= survivors[w];
    }
    return any != 0;
  }

  __device__ static TilePair pair(int word, int bit) {
    return {row_of(word * (kSide / kWords) + bit / kSide), pick_of(bit % kSide)};
  }

  __device__ static void finish() {}

 private:
  // 16 x 16 threads, each with 8 x 8 pairs: rows and picks 16 apart, so that neighbours read neighbours.
  static constexpr int kSide = 8;
  static constexpr int kPitch = kTileRows + 1;
  static constexpr int kPanelFloats = static_cast<int>(kFloatStep) * kPitch;

  __device__ static int row_of(int i) { return static_cast<int>(threadIdx.x) / 16 + 16 * i; }
  __device__ static int pick_of(int j) { return static_cast<int>(threadIdx.x) % 16 + 16 * j; }

  // kFloatStep columns of 128 rows, one row after the other in device memory, column by column in shared
  // memory. The pitch of 129 keeps the 16 columns that a half-warp writes in different banks.
  __device__ void load(float* panel, const float* from) const {
    for (int e = static_cast<int>(threadIdx.x); e < kTileRows * static_cast<int>(kFloatStep);
         e += kScreenThreads) {
      const int row = e / static_cast<int>(kFloatStep);
      const int column = e % static_cast<int>(kFloatStep);
      panel[column * kPitch + row] = from[row * operands_.padded + column];
    }
  }

  const Operands& operands_;
  float* rows_;
  float* picks_;
  Index first_place_;
  Index tile_;
};

}  // namespace farpoint::cuda
