#include "cuda/screen_plan.h"

#include <algorithm>
#include <string>

#include "core/tuning.h"

namespace farpoint::cuda {
namespace {

Index round_up(Index x, Index step) {
  return (x + step - 1) / step * step;
}

bool codes_suit(const Frame& frame) {
  return frame.contract().dimension <= kMostCodeColumns && frame.code_bound().usable();
}

std::string gibibytes(Index bytes) {
  const auto tenths = static_cast<Index>(static_cast<double>(bytes) / 0x1p30 * 10.0 + 0.999);
  return std::to_string(tenths / 10) + "." + std::to_string(tenths % 10) + " GiB";
}

// Bytes that a call takes at most, but for small things.
Index bytes_needed(const Matrix& matrix, const Frame& frame, Index picks, const MemoryPlan& plan) {
  // State and lists of a row, and what ordering them takes.
  constexpr Index kBytesPerRow = 64;
  // Address, product with itself and number of an entry of the pick list.
  constexpr Index kBytesPerPick = 24;
  const Index dimension = frame.contract().dimension;
  const auto numbers = static_cast<Index>(sizeof(RowNumbers));
  const Index code_bytes = plan.codes ? padded(dimension, kCodeStep) + numbers : 0;
  const Index packed_bytes = padded(dimension, kFloatStep) * static_cast<Index>(sizeof(float)) + numbers;
  const Index rows = matrix.view.rows;
  const bool staged = plan.placement == Placement::staged;
  // Arrays that grow by half are there twice while they do.
  Index bytes =
      rows * (kBytesPerRow + code_bytes) +
      picks * (kBytesPerPick + (code_bytes + packed_bytes) * 5 / 2 + (staged ? frame.row_bytes() : 0));
  bytes += 4 * std::min(tuning::kStageBytes, rows * packed_bytes);
  if (!staged && !matrix.on_device) {
    bytes += rows * frame.row_bytes();
  }
  return bytes;
}

}  // namespace

MemoryPlan plan_memory(const Matrix& matrix, const Frame& frame, Index picks, const Device& device) {
  const auto free = static_cast<Index>(static_cast<double>(device.free_memory()) * tuning::kUsableMemory);
  Index least = 0;
  for (const bool codes : {true, false}) {
    for (const Placement placement : {Placement::resident, Placement::staged}) {
      const MemoryPlan plan{placement, codes && codes_suit(frame)};
      if (matrix.on_device ? placement == Placement::staged
                           : placement == Placement::resident && device.stage()) {
        continue;
      }
      least = bytes_needed(matrix, frame, picks, plan);
      if (least <= free) {
        return plan;
      }
    }
  }
  throw OutOfMemory("the CUDA device has too little memory: this call needs at least " + gibibytes(least) +
                    ", " + gibibytes(free) + " can be used");
}

ScreenPlan::Codes::Codes(const Device& device, Index most)
    : codes(device), numbers(device), reaches(most / kMostTilePicks + 1) {
  check(cudaMemsetAsync(reaches.data(), 0, static_cast<std::size_t>(reaches.size()) * sizeof(std::uint32_t),
                        device.stream()),
        "preparing codes");
}

void ScreenPlan::Codes::append(const Packing& packing, Rows rows, Index more, const double* self_dots,
                               float scale, const Device& device) {
  const Index columns = padded(packing.contract.dimension, kCodeStep);
  const Index entries = round_up(count + more, kMostTilePicks);
  codes.reserve(entries * columns, count * columns);
  numbers.reserve(entries, count);
  code_rows(packing, rows, more, self_dots, scale, {codes.data(), numbers.data(), reaches.data(), count},
            device);
  count += more;
}

ScreenPlan::ScreenPlan(Points& points, Index most_picks, bool codes, Control& control)
    : points_(&points),
      device_(&points.device()),
      float_columns_(padded(points.frame().contract().dimension, kFloatStep)),
      packed_picks_(*device_),
      packed_pick_numbers_(*device_),
      packed_rows_(*device_),
      packed_row_numbers_(*device_) {
  const Index row_bytes = float_columns_ * static_cast<Index>(sizeof(float));
  const Index wanted = (device_->eager() ? Index{1} << 16 : tuning::kStageBytes) / row_bytes;
  chunk_rows_ = std::min(round_up(std::max<Index>(wanted, 1), kTileRows), round_up(points.size(), kTileRows));
  if (points.staged()) {
    chunk_rows_ = std::min(chunk_rows_, points.chunk_rows());
  }
  if (!codes || !codes_suit(points.frame())) {
    return;
  }
  scale_ = choose_code_scale(points, control);
  codes_ = std::make_unique<Codes>(*device_, points.size());
  pick_codes_ = std::make_unique<Codes>(*device_, most_picks);
  const Packing packing = points.frame().packing();
  codes_->codes.reserve(
      round_up(points.size(), kMostTilePicks) * padded(packing.contract.dimension, kCodeStep), 0);
  codes_->numbers.reserve(round_up(points.size(), kMostTilePicks), 0);
  points.for_each_chunk(control, [&](Rows chunk, Index begin, Index end) {
    codes_->append(packing, chunk, end - begin,
                   points.self_dots() != nullptr ? points.self_dots() + begin : nullptr, scale_, *device_);
  });
}

void ScreenPlan::judge(const ScreenCounts& counts, Index picks, bool trial) {
  if (!uses_codes()) {
    return;
  }
  if (counts.screened == 0) {
    fine_enough_ = !trial;  // nothing was shown: the next rows are the trial
    return;
  }
  const auto in_vain = static_cast<double>(counts.refined - std::min(counts.improved, counts.refined));
  if (in_vain > tuning::kMaxRefinedShare * static_cast<double>(counts.screened)) {
    fine_enough_ = false;
    trial_at_ = 2 * picks;
  }
}

CodeOperands ScreenPlan::own_code_operands() const {
  CodeOperands operands;
  operands.rows = operands.picks = codes_->codes.data();
  operands.row_numbers = operands.pick_numbers = codes_->numbers.data();
  operands.pick_reaches = codes_->reaches.data();
  operands.padded = padded(points_->frame().contract().dimension, kCodeStep);
  operands.scale = scale_;
  operands.inverse_square = 1.0 / (static_cast<double>(scale_) * static_cast<double>(scale_));
  operands.bound = points_->frame().code_bound();
  fit_shared_memory(operands, device_->info());
  return operands;
}

CodeOperands ScreenPlan::code_operands(const PickList& picks) {
  const PickState state = picks.state();
  const Index coded = pick_codes_->count;
  pick_codes_->append(points_->frame().packing(), {nullptr, 0, state.rows.pointers + coded},
                      picks.size() - coded, state.self_dots != nullptr ? state.self_dots + coded : nullptr,
                      scale_, *device_);
  CodeOperands operands = own_code_operands();
  operands.picks = pick_codes_->codes.data();
  operands.pick_numbers = pick_codes_->numbers.data();
  operands.pick_reaches = pick_codes_->reaches.data();
  return operands;
}

FloatOperands ScreenPlan::row_operands(const ListedRows& listed) {
  const Index rows = round_up(listed.count, kTileRows);
  packed_rows_.reserve(rows * float_columns_, 0);
  packed_row_numbers_.reserve(rows, 0);
  pack_listed(points_->frame().packing(), listed, points_->self_dots(), packed_rows_.data(),
              packed_row_numbers_.data(), *device_);
  FloatOperands operands;
  operands.rows = packed_rows_.data();
  operands.row_numbers = packed_row_numbers_.data();
  operands.padded = float_columns_;
  operands.bound = points_->frame().float_bound();
  return operands;
}

FloatOperands ScreenPlan::float_operands(const PickList& picks, const ListedRows& listed) {
  const Index entries = round_up(picks.size(), kMostTilePicks);
  packed_picks_.reserve(entries * float_columns_, picks_packed_ * float_columns_);
  packed_pick_numbers_.reserve(entries, picks_packed_);
  const PickState state = picks.state();
  pack_rows(points_->frame().packing(), {nullptr, 0, state.rows.pointers + picks_packed_},
            picks.size() - picks_packed_,
            state.self_dots != nullptr ? state.self_dots + picks_packed_ : nullptr,
            packed_picks_.data() + picks_packed_ * float_columns_,
            packed_pick_numbers_.data() + picks_packed_, *device_);
  picks_packed_ = picks.size();
  FloatOperands operands = row_operands(listed);
  operands.picks = packed_picks_.data();
  operands.pick_numbers = packed_pick_numbers_.data();
  return operands;
}

}  // namespace farpoint::cuda
