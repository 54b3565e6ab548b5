// The metrics of the public interface: what the engine computes for each, and how its stored values become
// distances, and back. The twin of python/farpoint/_metrics.py, to the bit.
#pragma once

#include "c/farpoint.h"
#include "core/types.h"

namespace farpoint::c {

// How stored values relate to distances: value * 2^exponent. Even for squared distances.
struct Unit {
  int exponent = 0;
};

class Metric {
 public:
  // Refuses a number that is no metric.
  explicit Metric(farpoint_metric name);

  farpoint::Metric kind() const { return kind_; }
  // Values are multiplied by c^degree where all elements are multiplied by c.
  int degree() const;
  bool is_euclidean() const { return name_ == FARPOINT_EUCLIDEAN; }
  bool of_bits() const { return counts_bits(kind_); }
  // What values of rows of that type are rounded to; 64-bit values are not rounded further.
  bool stores_double(ElementType type) const { return type == ElementType::float64 || of_bits(); }

  // Infinite where float64 does not hold it.
  double distance(double value, Unit unit) const;
  // The smallest stored value whose distance is at least `distance`: a comparison with this one decides as a
  // comparison of distances would.
  double smallest_value(double distance, Unit unit, ElementType type) const;
  // No two points within that covering radius of one centre are farther apart.
  double largest_spread(double radius) const;

 private:
  template <class Stored>
  double smallest_stored(double distance, Unit unit) const;

  farpoint_metric name_;
  farpoint::Metric kind_;
};

}  // namespace farpoint::c
