// What decides which rows are picked beside their distances: rows that are given, weights, and groups with
// quotas. The twin of python/farpoint/_constraints.py.
#pragma once

#include <span>
#include <vector>

#include "c/farpoint.h"
#include "c/metrics.h"
#include "core/pick_order.h"
#include "core/types.h"

namespace farpoint::c {

class Constraints {
 public:
  // Refuses what `options` cannot ask for of so many rows.
  Constraints(const farpoint_select_options& options, Index rows, const Metric& metric);

  std::span<const Index> selected() const { return selected_; }
  // None of them is in selected().
  std::span<const Index> excluded() const { return excluded_; }
  // Rows that may be picked at all, and how many picks there can be.
  Index free_rows() const;
  Index most() const;
  // Whether distance alone decides which of the rows is picked next.
  bool farthest_first() const { return order_.by_value(); }
  // What the engine is asked for; borrows from this.
  const OrderRequest& order() const { return order_; }
  // Bytes that are kept of the arguments.
  Index bytes_held() const;

  // The number of picks to make. Refuses what rows and quotas cannot give.
  Index check_count(Index k, double min_distance) const;
  // Of each row whether it can be the first of so many picks. Refuses where none can.
  std::vector<bool> may_be_first(Index count) const;
  // The row of the largest weight among these; the lowest of several.
  Index best_first(const std::vector<bool>& may_be) const;
  void check_first(Index row, const std::vector<bool>& may_be) const;

 private:
  void take_weights(const double* weights, const Metric& metric);
  void take_groups(const farpoint_select_options& options);
  void check_quotas(const std::vector<Index>& available);

  Index rows_;
  std::vector<Index> selected_;
  std::vector<Index> excluded_;
  std::vector<double> weights_;  // none where all are equal; the largest is in [1/2, 1)
  bool has_groups_ = false;
  std::span<const std::int32_t> groups_;
  std::vector<Index> at_least_;
  std::vector<Index> at_most_;  // no more than may be picked
  OrderRequest order_;
};

}  // namespace farpoint::c
