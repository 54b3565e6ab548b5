// In which order rows are picked where distance alone does not decide: weights, and groups with quotas.
//
//   key(row) = weight x distance, and kClosed for a row that may not be picked any more
//   next pick: the row with the largest key, ties to the lowest row; the end where all keys are kClosed
//
// `distance` is the stored value or its root, `weight` at most 1 (the caller takes a power of two out of all
// of them): one or two operations of float64, each rounded by itself, so that every backend has the same key.
// A row of weight 0 has key 0, as a duplicate has: these come last, in row order.
//
// A row is closed when its value is below the smallest that may be picked, or its group is closed. With m
// picks made of `count`, c_g of them in group g, left = count - m, and unmet the sum over all groups of
// max(0, at_least_g - c_g), group g is open if
//
//     c_g < at_most_g   and   (left > unmet or c_g < at_least_g):
//
// a pick of an open group leaves enough picks for all minima (left - 1 >= what is unmet after it).
//
// Why levels (core/select.h) stay exact with keys in place of values: a key never rises.
//   - Distances to the picks only fall; root and product are monotone, rounded correctly as they are.
//   - A value below the smallest stays below it.
//   - A closed group stays closed. c_g only grows, so a full group stays full. left - unmet never grows: a
//     pick takes 1 from left, and at most 1 from unmet. It is never negative: it is not at the start (or the
//     quotas could not be met, which the caller has refused), and once it is 0 only groups with c_g <
//     at_least_g are open, whose picks take 1 from both. So from then on it is 0, and a group that has its
//     minimum, or gets it, is closed for good.
// So the key of an old value is an upper bound of the present key, and all that the levels use of values
// (upper bounds, that a row below the threshold stays there, a total order by value and row) holds of keys.
#pragma once

#include <cmath>
#include <cstdint>
#include <span>
#include <vector>

#include "core/types.h"

namespace farpoint {

// The key of a row that may not be picked: no threshold of a level admits it.
inline constexpr double kClosed = -kInfinity;

// What the caller asks for. Empty: rows are picked by their values alone.
struct OrderRequest {
  std::span<const double> weights = {};       // NOLINT(readability-redundant-member-init) of each row, 0 to 1
  bool of_roots = false;                      // with weights: distances are the roots of stored values
  std::span<const std::int32_t> groups = {};  // NOLINT(readability-redundant-member-init) of each row
  std::span<const Index> at_least = {};       // NOLINT(readability-redundant-member-init) of each group
  std::span<const Index> at_most = {};        // NOLINT(readability-redundant-member-init)

  bool by_value() const { return weights.empty() && groups.empty(); }

  // The key of a row that may be picked.
  double key(Index row, double value) const {
    if (weights.empty()) {
      return value;
    }
    const double weight = weights[static_cast<std::size_t>(row)];
    // 0 times an infinite value would be no number.
    return weight > 0.0 ? weight * (of_roots ? std::sqrt(value) : value) : 0.0;
  }

  // About the value at which the row has this key; no result depends on it.
  double value_at(Index row, double key) const {
    if (weights.empty()) {
      return key;
    }
    const double weight = weights[static_cast<std::size_t>(row)];
    const double distance = weight > 0.0 ? key / weight : kInfinity;
    return of_roots ? distance * distance : distance;
  }
};

// The order while picks are made: it follows them. Threads that pick together have one each.
class PickOrder {
 public:
  PickOrder(const OrderRequest& request, Index count, double minimum_value)
      : request_(request), minimum_value_(minimum_value), counts_(request.at_least.size(), 0), left_(count) {
    for (const Index least : request.at_least) {
      unmet_ += least;
    }
  }

  double key(Index row, double value) const {
    return value >= minimum_value_ && is_open(row) ? request_.key(row, value) : kClosed;
  }
  double value_at(Index row, double key) const { return request_.value_at(row, key); }

  bool is_open(Index row) const {
    if (request_.groups.empty()) {
      return true;
    }
    const std::size_t g = group(row);
    return counts_[g] < request_.at_most[g] && (left_ > unmet_ || counts_[g] < request_.at_least[g]);
  }

  // Counts a pick. Returns whether it closed a group.
  bool count(Index row) {
    ++followed_;
    if (request_.groups.empty()) {
      return false;
    }
    const std::size_t g = group(row);
    const bool all_were_open = left_ > unmet_;
    --left_;
    unmet_ -= counts_[g] < request_.at_least[g] ? 1 : 0;
    ++counts_[g];
    const bool minima_alone = left_ == unmet_;
    return counts_[g] == request_.at_most[g] ||
           (minima_alone && (all_were_open || counts_[g] == request_.at_least[g]));
  }

  // Counts those of all picks that it has not counted yet.
  void follow(std::span<const Index> picks) {
    while (followed_ < picks.size()) {
      count(picks[followed_]);
    }
  }

 private:
  std::size_t group(Index row) const {
    return static_cast<std::size_t>(request_.groups[static_cast<std::size_t>(row)]);
  }

  OrderRequest request_;
  double minimum_value_;
  std::vector<Index> counts_;  // picks of each group
  Index left_;                 // picks to come
  Index unmet_ = 0;            // those of them that minima ask for
  std::size_t followed_ = 0;   // picks counted
};

}  // namespace farpoint
