#include "cpu/screen_plan.h"

#include <algorithm>
#include <bit>

#include "core/tuning.h"
#include "cpu/memory_plan.h"

namespace farpoint::cpu {
namespace {

std::size_t at(Index i) {
  return static_cast<std::size_t>(i);
}

}  // namespace

void ScreenPlan::before_level(SelectState& state, const Threshold& threshold) {
  if (state.codes || state.bytes) {
    drop_what_lets_too_much_through(state);
  } else if (worth_coding(state, threshold)) {
    if (state.byte_coder) {
      state.bytes = true;
      state.float_tiles.reset();
    } else {
      add_codes(state);
    }
    last_ = state.screened;
  }
  if (state.codes) {
    add_cells(state);
  }
}

void ScreenPlan::before_catch_up(SelectState& state) {
  if (state.codes) {
    add_head(state);
  }
}

Index ScreenPlan::picks_left(const SelectState& state) const {
  const auto listed = static_cast<Index>(state.listed.size());
  const Index sample = std::min(listed, tuning::kTrialRows);
  Index seen = 0;
  for (Index s = 0; s < sample; ++s) {
    seen += state.progress[at(state.listed[at(s * listed / sample)])];
  }
  return state.kept_away + count_ - (sample == 0 ? state.picks.size() : seen / sample);
}

bool ScreenPlan::worth_coding(SelectState& state, const Threshold& threshold) const {
  const Frame& frame = state.points.frame();
  const Index left = picks_left(state);
  const double work = static_cast<double>(state.points.size()) * static_cast<double>(left) *
                      static_cast<double>(frame.dimension());
  if (state.picks.size() < trial_at_ || frame.dimension() < schedule_.min_code_columns ||
      work < schedule_.min_code_work || state.listed.empty()) {
    return false;
  }
  const double level = threshold.last.value;
  if (frame.differences()) {
    if (!state.byte_coder) {
      state.byte_coder = std::make_unique<ByteCoder>(state.points);
    }
    return state.byte_coder->usable() &&
           share_of_bytes_in_vain(state, level) < schedule_.max_in_vain_at_trial;
  }
  return frame.code_bound(0.0).usable() && share_in_vain(state, level) < schedule_.max_in_vain_at_trial;
}

double share_of_bytes_in_vain(const SelectState& state, double level) {
  const ByteCoder& coder = *state.byte_coder;
  const auto listed = static_cast<Index>(state.listed.size());
  const Index rows = std::min(tuning::kTrialRows, listed);
  const Index picks = std::min(tuning::kTrialPicks, state.picks.size());
  std::vector<Index> sample(at(rows));
  for (Index r = 0; r < rows; ++r) {
    sample[at(r)] = state.listed[at(r * listed / rows)];
  }
  ByteBlock block(state.points, coder, (rows + coder.lanes() - 1) / coder.lanes());
  block.pack(sample);
  const auto value = [&](Index r) {
    const Index row = sample[at(r)];
    return std::min(state.values[at(row)], state.value_at(row, level));
  };
  for (Index r = 0; r < rows; ++r) {
    block.set_value(r, value(r));
  }
  std::vector<float> packed;
  std::vector<std::uint64_t> words(at(coder.words()));
  Index in_vain = 0;
  for (Index s = 0; s < picks; ++s) {
    const Index p = s * state.picks.size() / picks;
    const float bias = coder.bound().pick_bias(coder.code(state.picks.row(p), packed, words.data()));
    for (Index g = 0; g < block.groups(); ++g) {
      std::uint32_t mask =
          coder.screen().row(block.group(g), words.data(), coder.words(), block.bias(g), bias);
      for (; mask != 0; mask &= mask - 1) {
        const Index r = g * coder.lanes() + std::countr_zero(mask);
        in_vain += state.value(sample[at(r)], p) >= value(r) ? 1 : 0;
      }
    }
  }
  return static_cast<double>(in_vain) / static_cast<double>(rows * picks);
}

double share_in_vain(const SelectState& state, double level) {
  const Points& points = state.points;
  const Frame& frame = points.frame();
  const ScreenBound bound = frame.code_bound(0.0);
  const Index padded = padded_columns(frame.dimension());
  const auto listed = static_cast<Index>(state.listed.size());
  const Index rows = std::min(tuning::kTrialRows, listed);
  const Index picks = std::min(tuning::kTrialPicks, state.picks.size());
  std::vector<float> packed;
  std::vector<std::int8_t> pick_codes(at(picks * padded));
  std::vector<PickCode> pick_numbers(at(picks));
  const auto pick_at = [&](Index s) { return s * state.picks.size() / picks; };
  for (Index s = 0; s < picks; ++s) {
    const Index p = pick_at(s);
    pick_numbers[at(s)] = pick_code(
        code_row(frame, state.picks.row(p), state.picks.self_dot(p), packed, pick_codes.data() + s * padded),
        bound);
  }
  std::vector<std::int8_t> codes(at(padded));
  std::vector<std::int32_t> dots(at(picks));
  Index in_vain = 0;
  for (Index r = 0; r < rows; ++r) {
    const Index i = state.listed[at(r * listed / rows)];
    const double value = std::min(state.values[at(i)], state.value_at(i, level));
    const RowCode numbers = code_row(frame, points.row(i), points.self_dot(i), packed, codes.data());
    const float bias = bound.point_bias(static_cast<double>(numbers.squared_norm), value);
    frame.code().dots(codes.data(), pick_codes.data(), picks, padded, dots.data());
    for (Index s = 0; s < picks; ++s) {
      if (pair_survives(dots[at(s)], numbers, bias, pick_numbers[at(s)]) &&
          state.value(i, pick_at(s)) >= value) {
        ++in_vain;
      }
    }
  }
  return static_cast<double>(in_vain) / static_cast<double>(rows * picks);
}

void add_codes(SelectState& state) {
  const Frame& frame = state.points.frame();
  // Codes of a temporary file are nearly as good as those in memory, as long as the system keeps them there:
  // cells and heads, which cannot spill, come first.
  state.memory.leave_free(memory_for_cells(state) + memory_for_head(state));
  state.codes =
      std::make_unique<CodedRows>(code_all_rows(state.points, state.memory, state.team, state.control));
  state.memory.leave_free(0);
  state.anchor_codes =
      std::make_unique<CodedRows>(state.memory, frame.code(), frame.dimension(), frame.code_bound(0.0));
  code_anchors(state);
  state.float_tiles.reset();
}

void code_anchors(SelectState& state) {
  const Frame& frame = state.points.frame();
  // Entry p of anchor_codes is entry p of the pick list, so those before an anchor have room too.
  CodedRows& anchors = *state.anchor_codes;
  const Index first = anchors.size();
  Index end = state.picks.size();
  while (end > first && state.picks.source(end - 1) >= 0) {
    --end;
  }
  if (end == first) {
    return;
  }
  anchors.grow(end - first);
  state.team.for_each(end - first, tuning::kRowsPerTask, state.control, [&](int, Index begin, Index stop) {
    std::vector<float> packed;
    for (Index p = first + begin; p < first + stop; ++p) {
      if (state.picks.source(p) < 0) {
        anchors.entry_numbers().whole(p) =
            code_row(frame, state.picks.row(p), state.picks.self_dot(p), packed, anchors.entry_codes(p));
      }
    }
  });
  state.control.throw_if_stopped();
}

void make_cells(SelectState& state, Index count) {
  const Index bytes = memory_for_cells(state);
  if (state.memory.fits(bytes)) {
    state.cells = std::make_unique<Cells>(*state.codes, state.points.size(), count, Room(state.memory, bytes),
                                          state.memory, state.team, state.control);
    state.control.throw_if_stopped();
  }
}

void add_head_of(SelectState& state, const Basis& basis, Index columns) {
  state.head = std::make_unique<Head>(state.points, basis, columns, state.memory);
  if (!state.head->rows().bound().usable()) {
    state.head.reset();  // a basis that is far from orthonormal proves nothing
    return;
  }
  state.prefix = state.head->padded();
}

void ScreenPlan::drop_what_lets_too_much_through(SelectState& state) {
  // Cells hold pairs that are near, of which any screen lets many through: they are not judged.
  const ScreenCounts& now = state.screened;
  const auto screened = static_cast<double>(now.screened - last_.screened);
  if (screened < tuning::kPairsToJudge) {
    return;
  }
  const auto confirmed = static_cast<double>(now.confirmed - last_.confirmed);
  const auto in_vain = static_cast<double>((now.refined - now.improved) - (last_.refined - last_.improved));
  last_ = now;
  if (in_vain > tuning::kMaxRefinedShare * screened) {
    state.bytes = false;
    state.byte_tiles.reset();
    state.cells.reset();
    state.head.reset();
    state.whole_picks.reset();
    state.code_tiles.reset();
    state.codes.reset();
    state.anchor_codes.reset();
    trial_at_ = 2 * state.picks.size();
  } else if (state.head && confirmed > tuning::kMaxConfirmedShare * screened) {
    state.head.reset();
    state.whole_picks.reset();
    heads_wanted_ = false;
  }
}

int ScreenPlan::rings_wanted(const SelectState& state) {
  int rings = 0;
  if (state.cells) {
    while (rings < Cells::kRings && rests_[static_cast<std::size_t>(rings)].levels_left == 0) {
      ++rings;
    }
    if (rings < Cells::kRings) {
      --rests_[static_cast<std::size_t>(rings)].levels_left;
    }
  }
  return rings;
}

void ScreenPlan::judge_rings(const LookUps& results, int rings) {
  for (std::size_t ring = 0; ring < static_cast<std::size_t>(rings); ++ring) {
    Rest& rest = rests_[ring];
    const bool paid = results[ring].saved >= tuning::kLookUpCost * results[ring].spent;
    rest.length = paid ? 0 : std::min(2 * rest.length + 1, tuning::kLongestRest);
    rest.levels_left = rest.length;
  }
}

void ScreenPlan::add_cells(SelectState& state) const {
  const Index picks = state.picks.size();
  const Index left = picks_left(state);
  const Index cells = std::min(
      std::clamp((state.kept_away + count_) / tuning::kPicksPerCell, tuning::kMinCells, tuning::kMaxCells),
      state.points.size() / 4);
  if (state.cells || picks < schedule_.picks_before_cells || cells == 0 || left < cells) {
    return;
  }
  make_cells(state, cells);
}

void ScreenPlan::add_head(SelectState& state) {
  const Index picks = state.picks.size();
  const Index left = picks_left(state);
  const double work = schedule_.share_screened * static_cast<double>(state.points.size()) *
                      static_cast<double>(left) * static_cast<double>(state.points.frame().dimension());
  if (state.head || !heads_wanted_ ||
      picks < std::max(schedule_.picks_before_heads, tuning::kHeadsAgain * head_at_) || left < picks / 4 ||
      (basis_.rows == 0 && !basis_pays(state.points, work)) || !state.memory.fits(memory_for_head(state))) {
    return;
  }
  head_at_ = picks;
  if (basis_.rows == 0) {
    basis_ = find_basis(state.points, max_head_columns(state.points.frame().dimension()), state.memory,
                        state.team, state.control);
  }
  const Index columns = best_head_columns(state.points, basis_, state.picks, state.listed, state.values,
                                          schedule_.head_worth, state.memory, state.team, state.control);
  if (columns == 0) {
    return;
  }
  add_head_of(state, basis_, columns);
  basis_ = {};
  state.code_tiles.reset();
}

}  // namespace farpoint::cpu
