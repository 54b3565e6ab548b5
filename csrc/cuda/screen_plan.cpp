#include "cuda/screen_plan.h"

#include <algorithm>

#include "core/tuning.h"

namespace farpoint::cuda {
namespace {

Index round_up(Index x, Index step) {
  return (x + step - 1) / step * step;
}

bool codes_suit(const Frame& frame) {
  return frame.contract().dimension <= kMostCodeColumns && frame.code_bound().usable();
}

}  // namespace

Index ScreenPlan::code_bytes(const Frame& frame, Index rows) {
  return codes_suit(frame) ? round_up(rows, kMostTilePicks) * (padded(frame.contract().dimension, kCodeStep) +
                                                               static_cast<Index>(sizeof(RowNumbers)))
                           : 0;
}

ScreenPlan::ScreenPlan(Points& points, Control& control)
    : points_(&points),
      device_(&points.device()),
      code_columns_(padded(points.frame().contract().dimension, kCodeStep)),
      float_columns_(padded(points.frame().contract().dimension, kFloatStep)),
      pick_codes_(*device_),
      pick_code_numbers_(*device_),
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
  if (!codes_suit(points.frame())) {
    return;
  }
  const Index rows = round_up(points.size(), kMostTilePicks);
  try {
    codes_ =
        std::make_unique<Codes>(Codes{choose_code_scale(points, control),
                                      Buffer<std::int8_t>(rows * code_columns_), Buffer<RowNumbers>(rows)});
  } catch (const OutOfMemory&) {
    codes_.reset();  // float32 is slower and needs no room
    return;
  }
  points.for_each_chunk(control, [&](Rows chunk, Index begin, Index end) {
    code_rows(points.frame().packing(), chunk, end - begin,
              points.self_dots() != nullptr ? points.self_dots() + begin : nullptr, codes_->scale,
              codes_->codes.data() + begin * code_columns_, codes_->numbers.data() + begin, *device_);
  });
}

void ScreenPlan::judge(const ScreenCounts& counts, Index picks) {
  if (!uses_codes() || counts.screened == 0) {
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
  operands.rows = codes_->codes.data();
  operands.row_numbers = codes_->numbers.data();
  operands.picks = operands.rows;
  operands.pick_numbers = operands.row_numbers;
  operands.padded = code_columns_;
  operands.scale = codes_->scale;
  operands.bound = points_->frame().code_bound();
  fit_shared_memory(operands, device_->info());
  return operands;
}

CodeOperands ScreenPlan::code_operands(const PickList& picks) {
  const Index entries = round_up(picks.size(), kMostTilePicks);
  pick_codes_.reserve(entries * code_columns_, picks_coded_ * code_columns_);
  pick_code_numbers_.reserve(entries, picks_coded_);
  const PickState state = picks.state();
  code_rows(points_->frame().packing(), {nullptr, 0, state.rows.pointers + picks_coded_},
            picks.size() - picks_coded_,
            state.self_dots != nullptr ? state.self_dots + picks_coded_ : nullptr, codes_->scale,
            pick_codes_.data() + picks_coded_ * code_columns_, pick_code_numbers_.data() + picks_coded_,
            *device_);
  picks_coded_ = picks.size();
  CodeOperands operands = own_code_operands();
  operands.picks = pick_codes_.data();
  operands.pick_numbers = pick_code_numbers_.data();
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
