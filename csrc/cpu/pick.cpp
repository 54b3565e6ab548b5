// The pick loop: the plain loop of the contract, over the candidates only.
//
// Each thread owns a share of the candidates, packed once a level. A round:
//
//   1. every thread publishes the best of its share                     (its own cache line)
//   2. barrier: the only one of a round
//   3. every thread finds the best of all shares, so all agree on the pick without being told, and
//      updates its share against it: one screened product, then the canonical distance of survivors
//
// A candidate that falls below the threshold leaves: some point outside might beat it.
//
// With weights or groups (core/pick_order.h) the best is that of the largest key. Every thread counts every
// pick in an order of its own, from the same picks, so all of them close the same groups at the same pick;
// candidates of these leave before they meet it.

#include <algorithm>
#include <bit>
#include <memory>
#include <optional>

#include "core/tuning.h"
#include "cpu/bit_screen.h"
#include "cpu/screens.h"

namespace farpoint::cpu {
namespace {

std::size_t at(Index i) {
  return static_cast<std::size_t>(i);
}

// What a thread tells the others in a round. Two alternate: a fast thread writes the next one while a
// slow one still reads this one; it cannot write the one after before the next barrier.
struct alignas(64) Report {
  PointKey best[2];
  bool stop[2] = {false, false};
};

// Orders that candidates can have: of their values, and of keys that follow the picks.
struct ByValue {
  static constexpr bool kIsByValue = true;
  static double key(Index /*row*/, double value) { return value; }
};
struct ByKey {
  static constexpr bool kIsByValue = false;
  double key(Index row, double value) const { return order->key(row, value); }

  PickOrder* order;
};

template <class Screen, class Order>
class Share {
 public:
  Share(SelectState& state, const Screen& screen, Order order, const Threshold& threshold,
        std::span<const Index> rows)
      : state_(state),
        order_(order),
        threshold_(threshold),
        lanes_(screen.lanes()),
        block_(screen.make_block((static_cast<Index>(rows.size()) + lanes_ - 1) / lanes_)),
        pick_(screen),
        values_(at(block_.capacity()), kTaken),
        group_best_(at(block_.capacity() / lanes_)) {
    block_.pack(rows);
    for (std::size_t slot = 0; slot < rows.size(); ++slot) {
      values_[slot] = state.values[at(rows[slot])];
      block_.set_value(static_cast<Index>(slot), values_[slot]);
    }
    rank_groups();
  }

  PointKey best() const {
    PointKey best{-kInfinity, 0};
    for (Index g = 0; g < block_.groups(); ++g) {
      const PointKey& key = group_best_[at(g)].key;
      if (key.before(best)) {
        best = key;
      }
    }
    return best;
  }

  // Makes ready for the pick, entry `place` of the pick list, and takes it out of this share if it is here.
  void take(const PointKey& pick, Index place) {
    take_out(pick);
    if constexpr (!Order::kIsByValue) {
      if (order_.order->count(pick.row)) {
        drop_closed(place);
      }
    }
    pick_.load(pick.row);
  }

  // Distances of this share to the pick of take().
  void update(const PointKey& pick, Index place) {
    const std::byte* pick_row = state_.points.row(pick.row);
    const double pick_self_dot = state_.points.self_dot(pick.row);
    for (Index g = 0; g < block_.groups(); ++g) {
      bool changed = false;
      for (std::uint32_t mask = pick_.screen(block_, g); mask != 0; mask &= mask - 1) {
        changed |= meet(g * lanes_ + std::countr_zero(mask), pick_row, pick_self_dot, place);
      }
      if (changed) {
        rank_group(g);
      }
    }
    counts.screened += block_.living();
    if (block_.living() <= block_.groups() * lanes_ / 2 && block_.groups() > 1) {
      compact();
    }
  }

  // The survivors have seen every pick.
  void finish() {
    for (Index slot = 0; slot < block_.groups() * lanes_; ++slot) {
      const Index row = block_.row(slot);
      if (row >= 0) {
        state_.progress[at(row)] = state_.picks.size();
      }
    }
  }

  ScreenCounts counts;

 private:
  struct GroupBest {
    PointKey key;
    Index slot = 0;
  };

  void take_out(const PointKey& pick) {
    for (Index g = 0; g < block_.groups(); ++g) {
      const GroupBest& best = group_best_[at(g)];
      if (best.key.row == pick.row && best.key.value > -kInfinity) {
        drop(best.slot);
        rank_group(g);
        return;
      }
    }
  }

  // Candidates of groups that are closed now leave; they have met all before entry `place`.
  void drop_closed(Index place) {
    for (Index g = 0; g < block_.groups(); ++g) {
      bool changed = false;
      for (Index slot = g * lanes_; slot < (g + 1) * lanes_; ++slot) {
        const Index row = block_.row(slot);
        if (row >= 0 && !order_.order->is_open(row)) {
          state_.progress[at(row)] = place;
          drop(slot);
          changed = true;
        }
      }
      if (changed) {
        rank_group(g);
      }
    }
  }

  // A pair that the screen let through; true when the value changed. Picks come in their order here, so
  // an equal value changes no label.
  bool meet(Index slot, const std::byte* pick_row, double pick_self_dot, Index place) {
    const Index row = block_.row(slot);
    if constexpr (Screen::kTwoSteps) {
      ++counts.confirmed;
      if (!pick_.confirm(block_, slot)) {
        return false;
      }
    }
    ++counts.refined;
    const double value = state_.points.frame().value(state_.points.row(row), state_.points.self_dot(row),
                                                     pick_row, pick_self_dot);
    if (value >= values_[at(slot)]) {
      return false;
    }
    ++counts.improved;
    values_[at(slot)] = value;
    state_.values[at(row)] = value;
    if (!state_.labels.empty()) {
      state_.labels[at(row)] = place;
    }
    if (threshold_.admits(order_.key(row, value), row)) {
      block_.set_value(slot, value);
    } else {
      state_.progress[at(row)] = place + 1;
      drop(slot);
    }
    return true;
  }

  void drop(Index slot) {
    block_.remove(slot);
    values_[at(slot)] = kTaken;
  }

  void compact() {
    block_.compact();
    for (Index slot = 0; slot < block_.groups() * lanes_; ++slot) {
      const Index row = block_.row(slot);
      values_[at(slot)] = row >= 0 ? state_.values[at(row)] : kTaken;
    }
    rank_groups();
  }

  void rank_groups() {
    for (Index g = 0; g < block_.groups(); ++g) {
      rank_group(g);
    }
  }

  void rank_group(Index g) {
    GroupBest best{{-kInfinity, 0}, 0};
    for (Index slot = g * lanes_; slot < (g + 1) * lanes_; ++slot) {
      if (values_[at(slot)] == kTaken) {
        continue;
      }
      const Index row = block_.row(slot);
      const PointKey key{order_.key(row, values_[at(slot)]), row};
      if (key.before(best.key)) {
        best = {key, slot};
      }
    }
    group_best_[at(g)] = best;
  }

  SelectState& state_;
  const Order order_;
  const Threshold threshold_;
  const Index lanes_;
  Screen::Block block_;
  Screen::Pick pick_;
  std::vector<double> values_;  // of each slot, kTaken where there is no candidate
  std::vector<GroupBest> group_best_;
};

template <class Screen, class Order>
class PickLoop {
 public:
  PickLoop(SelectState& state, const Screen& screen, const Threshold& threshold, const SelectRequest& request,
           SelectResult& result)
      : state_(state),
        screen_(screen),
        threshold_(threshold),
        request_(request),
        result_(result),
        first_position_(static_cast<Index>(result.indices.size())),
        first_place_(state.picks.size()),
        shares_(at(useful_shares(state, screen))),
        reports_(shares_.size()),
        barrier_(static_cast<int>(shares_.size())) {}

  PickEnd run() {
    // Everything that a thread can fail to get is got before the rounds: a thread that left the rounds
    // alone would leave the others at the barrier.
    run_on_shares([this](int thread) { make_share(thread); });
    run_on_shares([this](int thread) { run_rounds(thread); });
    if (failure_) {
      std::rethrow_exception(failure_);
    }
    for (const auto& share : shares_) {
      state_.screened += share->counts;
    }
    return end_;
  }

 private:
  // Sharing a pick among threads costs a barrier: worth it from some work on.
  static Index useful_shares(const SelectState& state, const Screen& screen) {
    const Index bytes = static_cast<Index>(state.listed.size()) * screen.row_bytes();
    return std::clamp<Index>(bytes / tuning::kPickBytesPerThread, 1, state.team.size());
  }

  template <class Job>
  void run_on_shares(const Job& job) {
    if (shares_.size() == 1) {
      job(0);
      return;
    }
    state_.team.run([&](int thread) {
      if (at(thread) < shares_.size()) {
        job(thread);
      }
    });
  }

  void make_share(int thread) {
    const auto threads = static_cast<Index>(shares_.size());
    const Index lanes = screen_.lanes();
    const auto candidates = static_cast<Index>(state_.listed.size());
    // Whole groups to each thread.
    const Index groups = (candidates + lanes - 1) / lanes;
    const auto edge = [&](Index t) { return std::min(groups * t / threads * lanes, candidates); };
    const auto rows =
        std::span<const Index>(state_.listed).subspan(at(edge(thread)), at(edge(thread + 1) - edge(thread)));
    shares_[at(thread)] =
        std::make_unique<Share<Screen, Order>>(state_, screen_, make_order(thread), threshold_, rows);
  }

  // Threads that had no share in the levels before have picks to count.
  Order make_order(int thread) {
    if constexpr (Order::kIsByValue) {
      return {};
    } else {
      PickOrder& order = state_.orders[at(thread)];
      order.follow(result_.indices);
      return {&order};
    }
  }

  void run_rounds(int thread) {
    Share<Screen, Order>& share = *shares_[at(thread)];
    for (Index round = 0;; ++round) {
      const std::size_t side = at(round % 2);
      reports_[at(thread)].best[side] = share.best();
      if (thread == 0) {
        reports_[0].stop[side] = failure_ != nullptr || state_.control.poll();
      }
      barrier_.wait();
      PointKey best{-kInfinity, 0};
      for (const Report& report : reports_) {
        if (report.best[side].before(best)) {
          best = report.best[side];
        }
      }
      // Every thread comes to the same decision from the same numbers.
      const Index position = first_position_ + round;
      if (const auto end = reason_to_end(best, position); end || reports_[0].stop[side]) {
        if (thread == 0) {
          end_ = end.value_or(PickEnd::level_exhausted);
          result_.next_value = std::max(best.value, 0.0);
        }
        break;
      }
      share.take(best, first_place_ + round);
      if (thread == 0) {
        record(best, position);
      }
      share.update(best, first_place_ + round);
    }
    share.finish();  // thread 0 appended its last pick before the last barrier
  }

  std::optional<PickEnd> reason_to_end(const PointKey& best, Index position) const {
    if (best.value == -kInfinity) {
      return PickEnd::level_exhausted;
    }
    if (position == request_.count) {
      return PickEnd::complete;
    }
    // A key is of a row that may be picked.
    if (Order::kIsByValue && best.value < request_.minimum_value) {
      return PickEnd::below_minimum;
    }
    return std::nullopt;
  }

  // Thread 0 only: the others read neither the pick list nor the result.
  void record(const PointKey& pick, Index position) {
    try {
      // The thread that has the row wrote its value before the barrier, and nobody writes it after.
      const double value = Order::kIsByValue ? pick.value : state_.values[at(pick.row)];
      state_.take(pick.row, position, value);
      result_.indices.push_back(pick.row);
      result_.values.push_back(value);
    } catch (...) {
      failure_ = std::current_exception();  // ends the next round for every thread
    }
    state_.control.set_progress(result_.indices, result_.values);
  }

  SelectState& state_;
  const Screen& screen_;
  const Threshold threshold_;
  const SelectRequest& request_;
  SelectResult& result_;
  const Index first_position_;
  const Index first_place_;
  std::vector<std::unique_ptr<Share<Screen, Order>>> shares_;
  std::vector<Report> reports_;
  Barrier barrier_;
  std::exception_ptr failure_;  // thread 0 only, until the rounds have ended
  PickEnd end_ = PickEnd::level_exhausted;
};

}  // namespace

PickEnd pick(SelectState& state, const Threshold& threshold, const SelectRequest& request,
             SelectResult& result) {
  const auto run = [&]<class Screen>(const Screen& screen) {
    if (state.orders.empty()) {
      return PickLoop<Screen, ByValue>(state, screen, threshold, request, result).run();
    }
    return PickLoop<Screen, ByKey>(state, screen, threshold, request, result).run();
  };
  if (state.codes) {
    return run(CodeScreen(state));
  }
  if (state.bytes) {
    return run(ByteScreen(state));
  }
  if (counts_bits(state.points.frame().metric())) {
    return run(BitScreen(state.points));
  }
  return run(FloatScreen(state));
}

}  // namespace farpoint::cpu
