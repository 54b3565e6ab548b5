// Certificates: most listed rows have a pick within the threshold, and most of these in one of the few
// cells that are nearest to the row (cells.h). Looking there first takes them off the list.
//
// A pair is looked at once: a row remembers how many picks its cells held when it looked last. It looks at
// all new ones even when it has fallen below the threshold, for a lower value keeps it off later lists too.

#include <algorithm>
#include <limits>

#include "core/tuning.h"
#include "cpu/select.h"

namespace farpoint::cpu {
namespace {

std::size_t at(Index i) {
  return static_cast<std::size_t>(i);
}

// Row i against the new picks of one of its cells.
void look(SelectState& state, Index i, const Cells::List& list, Index from, ScreenCounts& counts) {
  constexpr Index kBatch = 32;
  const CodedRows& codes = *state.codes;
  const RowCode& point = codes.numbers(i);
  const auto squared_norm = static_cast<double>(point.squared_norm);
  double& value = state.values[at(i)];
  float bias = codes.bound().point_bias(squared_norm, state.screened_value(value));
  const auto count = static_cast<Index>(list.picks.size());
  Index place = std::ranges::lower_bound(list.picks, from) - list.picks.begin();
  counts.screened += count - place;
  std::int32_t dots[kBatch];
  for (; place < count; place += kBatch) {
    const Index batch = std::min(kBatch, count - place);
    codes.kernels().dots(codes.codes(i), list.codes.data() + place * codes.padded(), batch, codes.padded(),
                         dots);
    const auto refine = [&](Index b) {
      if (!pair_survives(dots[b], point, bias, list.numbers[at(place + b)])) {
        return;
      }
      ++counts.refined;
      if (state.improve(i, list.picks[at(place + b)])) {
        ++counts.improved;
        bias = codes.bound().point_bias(squared_norm, state.screened_value(value));
      }
    };
    // The likely nearest first: its value keeps most others from refinement.
    Index likely = 0;
    float most = -std::numeric_limits<float>::infinity();
    for (Index b = 0; b < batch; ++b) {
      const PickCode& pick = list.numbers[at(place + b)];
      const float closeness = static_cast<float>(dots[b]) * (point.scale * pick.scale) - pick.bias;
      if (closeness > most) {
        most = closeness;
        likely = b;
      }
    }
    refine(likely);
    for (Index b = 0; b < batch; ++b) {
      if (b != likely) {
        refine(b);
      }
    }
  }
}

}  // namespace

LookUp certify(SelectState& state, const Threshold& threshold) {
  Cells& cells = *state.cells;
  for (Index p = cells.size(); p < state.picks.size(); ++p) {
    cells.append(state.picks.source(p), state.pick_codes(p), state.pick_numbers(p));
  }
  std::vector<ScreenCounts> counts(at(state.team.size()));
  const auto listed = static_cast<Index>(state.listed.size());
  state.team.for_each(listed, tuning::kRowsPerLook, state.control, [&](int thread, Index begin, Index end) {
    ScreenCounts mine;
    for (Index place = begin; place < end; ++place) {
      const Index i = state.listed[at(place)];
      const Index from = std::max(state.progress[at(i)], cells.looked(i));
      for (int which = 0; which < cells.lists(); ++which) {
        look(state, i, cells.list(i, which), from, mine);
      }
      cells.set_looked(i);
    }
    counts[at(thread)] += mine;
  });
  state.control.throw_if_stopped();
  LookUp result;
  for (const ScreenCounts& mine : counts) {
    state.looked_up += mine;
    result.spent += static_cast<double>(mine.screened);
  }
  std::erase_if(state.listed, [&](Index i) {
    const bool settled = !threshold.admits(state.values[at(i)], i);
    if (settled) {
      // Catch-up would have met its near pick half-way through the list, as often as not.
      result.saved += 0.5 * static_cast<double>(state.picks.size() - state.progress[at(i)]);
    }
    return settled;
  });
  return result;
}

}  // namespace farpoint::cpu
