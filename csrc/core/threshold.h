// The total order in which points are picked, and a cut through it.
//
// Point (value, row) comes before another if its value is larger, or equal with a lower row. With weights or
// groups the key (core/pick_order.h) takes the place of the value. A Threshold is a place in that order;
// points at or above it may be candidates. Ordering by rows as well lets any number of equal values be cut
// anywhere: on an integer grid a whole plane ties.
#pragma once

#include "core/types.h"

namespace farpoint {

struct PointKey {
  double value = -kInfinity;
  Index row = 0;

  FARPOINT_HOST_DEVICE bool before(const PointKey& other) const {
    return value > other.value || (value == other.value && row < other.row);
  }
};

struct Threshold {
  PointKey last;  // the last place that still belongs to the level

  FARPOINT_HOST_DEVICE bool admits(double value, Index row) const {
    return value > last.value || (value == last.value && row <= last.row);
  }
  bool admits_all() const { return last.value == -kInfinity; }
  // Everything with a value >= `value`.
  static Threshold at_value(double value) { return {{value, std::numeric_limits<Index>::max()}}; }
  static Threshold everything() { return at_value(-kInfinity); }
};

}  // namespace farpoint
