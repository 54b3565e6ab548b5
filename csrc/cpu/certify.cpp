// Certificates: most listed rows have a pick within the threshold, and most of these in one of the few
// cells that are nearest to the row (cells.h). Looking there first takes them off the list.
//
// A pair is looked at once: a row remembers how many picks its cells held when it looked last. It looks at
// all new ones even when it has fallen below the threshold, for a lower value keeps it off later lists too.

#include <algorithm>
#include <numeric>
#include <vector>

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
  // At most the newest kMostLookUps: where all picks are in one cell, looking at all is what catch-up does
  // better.
  Index place = std::max<Index>(std::ranges::lower_bound(list.picks, from) - list.picks.begin(),
                                count - tuning::kMostLookUps);
  counts.screened += count - place;
  std::int32_t dots[kBatch];
  float bounds[kBatch];
  for (; place < count; place += kBatch) {
    const Index batch = std::min(kBatch, count - place);
    codes.kernels().dots(codes.codes(i), list.codes.data() + place * codes.padded(), batch, codes.padded(),
                         dots);
    // The likely nearest first: its value keeps most others from refinement.
    Index likely = 0;
    for (Index b = 0; b < batch; ++b) {
      bounds[b] = pair_bound(dots[b], point, list.numbers[at(place + b)]);
      likely = bounds[b] > bounds[likely] ? b : likely;
    }
    const auto refine = [&](Index b) {
      ++counts.refined;
      if (state.improve(i, list.picks[at(place + b)])) {
        ++counts.improved;
        bias = codes.bound().point_bias(squared_norm, state.screened_value(value));
      }
    };
    if (!(bounds[likely] > bias)) {
      continue;  // it was the largest
    }
    refine(likely);
    for (Index b = 0; b < batch; ++b) {
      if (b != likely && bounds[b] > bias) {
        refine(b);
      }
    }
  }
}

// Rows of one cell look into much the same lists, one after the other while these are in the cache.
void order_by_cell(SelectState& state) {
  const Cells& cells = *state.cells;
  std::vector<std::size_t> ends(at(cells.cells() + 1), 0);
  for (const Index i : state.listed) {
    ++ends[at(cells.cell(i) + 1)];
  }
  std::partial_sum(ends.begin(), ends.end(), ends.begin());
  state.ordered.resize(state.listed.size());
  for (const Index i : state.listed) {
    state.ordered[ends[at(cells.cell(i))]++] = i;
  }
  state.listed.swap(state.ordered);
}

}  // namespace

LookUps certify(SelectState& state, const Threshold& threshold, int rings) {
  Cells& cells = *state.cells;
  for (Index p = cells.size(); p < state.picks.size(); ++p) {
    cells.append(state.picks.source(p), state.pick_codes(p), state.pick_numbers(p));
    if (p % tuning::kRowsPerLook == 0 && state.control.poll()) {
      break;  // an anchor looks at every centre
    }
  }
  state.control.throw_if_stopped();
  order_by_cell(state);
  struct Mine {
    ScreenCounts counts;
    LookUps look_ups;
  };
  std::vector<Mine> threads(at(state.team.size()));
  const auto listed = static_cast<Index>(state.listed.size());
  state.team.for_each(listed, tuning::kRowsPerLook, state.control, [&](int thread, Index begin, Index end) {
    Mine mine;
    for (Index place = begin; place < end; ++place) {
      const Index i = state.listed[at(place)];
      for (int ring = 0; ring < rings && threshold.admits(state.key(i), i); ++ring) {
        const Index before = mine.counts.screened;
        const Index from = std::max(state.progress[at(i)], cells.looked(i, ring));
        const int end_list = std::min(Cells::kRingEnds[static_cast<std::size_t>(ring) + 1], cells.lists());
        for (int which = Cells::kRingEnds[static_cast<std::size_t>(ring)]; which < end_list; ++which) {
          look(state, i, cells.list(i, which), from, mine.counts);
        }
        cells.set_looked(i, ring);
        LookUp& result = mine.look_ups[static_cast<std::size_t>(ring)];
        result.spent += static_cast<double>(mine.counts.screened - before);
        if (!threshold.admits(state.key(i), i)) {
          // Catch-up would have met its near pick half-way through the list, as often as not.
          result.saved += 0.5 * static_cast<double>(state.picks.size() - state.progress[at(i)]);
        }
      }
    }
    Mine& sum = threads[at(thread)];
    sum.counts += mine.counts;
    for (std::size_t ring = 0; ring < sum.look_ups.size(); ++ring) {
      sum.look_ups[ring].spent += mine.look_ups[ring].spent;
      sum.look_ups[ring].saved += mine.look_ups[ring].saved;
    }
  });
  state.control.throw_if_stopped();
  LookUps result{};
  for (const Mine& mine : threads) {
    state.looked_up += mine.counts;
    for (std::size_t ring = 0; ring < result.size(); ++ring) {
      result[ring].spent += mine.look_ups[ring].spent;
      result[ring].saved += mine.look_ups[ring].saved;
    }
  }
  state.listed.erase_if([&](Index i) { return !threshold.admits(state.key(i), i); });
  return result;
}

}  // namespace farpoint::cpu
