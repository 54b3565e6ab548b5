#include "c/constraints.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <sstream>
#include <string>

#include "c/boundary.h"

namespace farpoint::c {
namespace {

// No weight but 0 is smaller than this share of the largest: no product with a distance becomes 0, but where
// the distance itself is at the end of float64.
constexpr int kSmallestExponent = -300;

std::size_t at(Index i) {
  return static_cast<std::size_t>(i);
}

std::string text(double x) {
  std::ostringstream written;
  written.precision(std::numeric_limits<double>::max_digits10);
  written << x;
  return written.str();
}

// Such as "at_least[3] = 5".
std::string element_text(std::string name, const std::vector<Index>& numbers, std::size_t place) {
  name += '[';
  name += std::to_string(place);
  name += "] = ";
  name += std::to_string(numbers[place]);
  return name;
}

// Row numbers, each of which is one; marked in `taken`.
std::vector<Index> check_rows(const Index* given, Index count, const std::string& name,
                              std::vector<bool>& taken, bool may_repeat) {
  if (count < 0) {
    refuse(name + "_count must be at least 0, not " + std::to_string(count));
  }
  if (count > 0 && given == nullptr) {
    refuse(name + " must not be NULL where " + name + "_count is " + std::to_string(count));
  }
  std::vector<Index> rows;
  for (Index i = 0; i < count; ++i) {
    const Index row = given[i];
    const auto all = static_cast<Index>(taken.size());
    if (row < 0 || row >= all) {
      refuse(name + " holds row " + std::to_string(row) + "; rows are 0 to " + std::to_string(all - 1));
    }
    if (!taken[at(row)]) {
      taken[at(row)] = true;
      rows.push_back(row);
    } else if (!may_repeat) {
      refuse(name + " holds row " + std::to_string(row) + " more than once");
    }
  }
  return rows;
}

// Of quotas that were checked: no more than there are rows.
Index sum(const std::vector<Index>& numbers) {
  return std::accumulate(numbers.begin(), numbers.end(), Index{0});
}

}  // namespace

Constraints::Constraints(const farpoint_select_options& options, Index rows, const Metric& metric)
    : rows_(rows) {
  std::vector<bool> taken(at(rows), false);
  selected_ = check_rows(options.selected, options.selected_count, "selected", taken, false);
  excluded_ = check_rows(options.excluded, options.excluded_count, "excluded", taken, true);
  if (options.weights != nullptr) {
    take_weights(options.weights, metric);
  }
  take_groups(options);
}

Index Constraints::free_rows() const {
  return rows_ - static_cast<Index>(selected_.size() + excluded_.size());
}

Index Constraints::most() const {
  return has_groups_ ? sum(at_most_) : free_rows();
}

Index Constraints::bytes_held() const {
  return static_cast<Index>((selected_.size() + excluded_.size() + at_least_.size() + at_most_.size()) *
                                sizeof(Index) +
                            weights_.size() * sizeof(double));
}

void Constraints::take_weights(const double* weights, const Metric& metric) {
  const std::span<const double> given(weights, at(rows_));
  for (std::size_t row = 0; row < given.size(); ++row) {
    if (!std::isfinite(given[row]) || given[row] < 0) {
      const char* rule = std::isfinite(given[row]) ? "at least 0 (a row of weight 0 comes last)" : "finite";
      refuse(std::string("weights must be ") + rule + ": that of row " + std::to_string(row) + " is " +
             text(given[row]));
    }
  }
  const double largest = *std::ranges::max_element(given);
  if (largest == 0.0) {
    refuse("weights are all 0; at least one must be larger");
  }
  if (std::ranges::all_of(given, [largest](double weight) { return weight == largest; })) {
    return;
  }
  int exponent = 0;
  std::frexp(largest, &exponent);
  const double smallest = std::ldexp(largest, kSmallestExponent);
  weights_.resize(given.size());
  for (std::size_t row = 0; row < given.size(); ++row) {
    if (given[row] > 0 && given[row] < smallest) {
      refuse("weights must be 0 or at least 2**" + std::to_string(kSmallestExponent) + " of the largest, " +
             text(largest) + ": that of row " + std::to_string(row) + " is " + text(given[row]));
    }
    weights_[row] = std::ldexp(given[row], -exponent);
  }
  order_.weights = weights_;
  order_.of_roots = metric.is_euclidean();
}

void Constraints::take_groups(const farpoint_select_options& options) {
  has_groups_ = options.groups != nullptr;
  if (!has_groups_) {
    if (options.group_count != 0 || options.at_least != nullptr || options.at_most != nullptr) {
      refuse("group_count, at_least and at_most need groups: the group of each row");
    }
    return;
  }
  const Index count = options.group_count;
  if (count < 1) {
    refuse("group_count must be at least 1, not " + std::to_string(count));
  }
  if (options.at_least == nullptr && options.at_most == nullptr) {
    refuse("groups needs at_least or at_most: how many rows of each group");
  }
  groups_ = {options.groups, at(rows_)};
  for (std::size_t row = 0; row < groups_.size(); ++row) {
    if (groups_[row] < 0 || groups_[row] >= count) {
      refuse("groups holds " + std::to_string(groups_[row]) + " for row " + std::to_string(row) +
             "; groups are 0 to " + std::to_string(count - 1));
    }
  }
  at_least_.assign(at(count), 0);
  at_most_.assign(at(count), std::numeric_limits<Index>::max());
  if (options.at_least != nullptr) {
    std::copy_n(options.at_least, count, at_least_.begin());
  }
  if (options.at_most != nullptr) {
    std::copy_n(options.at_most, count, at_most_.begin());
  }
  std::vector<Index> available(at(count), 0);
  for (const std::int32_t group : groups_) {
    ++available[at(group)];
  }
  for (const auto& barred : {selected(), excluded()}) {
    for (const Index row : barred) {
      --available[at(groups_[at(row)])];
    }
  }
  check_quotas(available);
  // Quotas that close no group decide nothing.
  if (sum(at_least_) != 0 || at_most_ != available) {
    order_.groups = groups_;
    order_.at_least = at_least_;
    order_.at_most = at_most_;
  }
}

void Constraints::check_quotas(const std::vector<Index>& available) {
  for (std::size_t g = 0; g < available.size(); ++g) {
    if (at_least_[g] < 0 || at_most_[g] < 0) {
      refuse(
          (at_least_[g] < 0 ? element_text("at_least", at_least_, g) : element_text("at_most", at_most_, g)) +
          " must not be negative");
    }
    if (at_least_[g] > at_most_[g]) {
      refuse(element_text("at_least", at_least_, g) + " is more than " +
             element_text("at_most", at_most_, g));
    }
    if (at_least_[g] > available[g]) {
      refuse(element_text("at_least", at_least_, g) + ", but " + std::to_string(available[g]) +
             " rows of that group may be picked");
    }
    at_most_[g] = std::min(at_most_[g], available[g]);
  }
}

Index Constraints::check_count(Index k, double min_distance) const {
  const Index free = free_rows();
  if (k < 0) {
    refuse("k must be at least 1, not " + std::to_string(k) +
           "; 0 takes as many rows as min_distance allows");
  }
  if (k == 0 && min_distance == 0.0) {
    refuse("give k (how many rows), min_distance (how far apart), or both");
  }
  if (k > free) {
    const std::string without =
        free == rows_ ? "" : " that are not in selected or excluded (of " + std::to_string(rows_) + ")";
    refuse("k = " + std::to_string(k) + " is more than the " + std::to_string(free) + " rows" + without);
  }
  const Index count = k == 0 ? std::min(free, most()) : k;
  if (sum(at_least_) > count) {
    refuse("at_least asks for " + std::to_string(sum(at_least_)) +
           " rows, which is more than k = " + std::to_string(count));
  }
  if (most() < count) {
    refuse("at_most allows " + std::to_string(most()) +
           " rows, which is less than k = " + std::to_string(count));
  }
  return count;
}

std::vector<bool> Constraints::may_be_first(Index count) const {
  const PickOrder order(order_, count, 0.0);
  std::vector<bool> may_be(at(rows_), false);
  bool any = false;
  std::vector<bool> barred(at(rows_), false);
  for (const auto& listed : {selected(), excluded()}) {
    for (const Index row : listed) {
      barred[at(row)] = true;
    }
  }
  for (Index row = 0; row < rows_; ++row) {
    may_be[at(row)] = !barred[at(row)] && order.is_open(row);
    any = any || may_be[at(row)];
  }
  if (!any) {
    refuse("excluded and quotas leave no row that may be picked");
  }
  return may_be;
}

Index Constraints::best_first(const std::vector<bool>& may_be) const {
  Index best = -1;
  for (Index row = 0; row < rows_; ++row) {
    if (may_be[at(row)] && (best < 0 || (!weights_.empty() && weights_[at(row)] > weights_[at(best)]))) {
      best = row;
    }
  }
  return best;
}

void Constraints::check_first(Index row, const std::vector<bool>& may_be) const {
  if (row < 0 || row >= rows_) {
    refuse("start_row = " + std::to_string(row) + " is not a row; rows are 0 to " +
           std::to_string(rows_ - 1));
  }
  if (!may_be[at(row)]) {
    const bool is_excluded = std::ranges::find(excluded_, row) != excluded_.end();
    refuse("start_row = " + std::to_string(row) + " cannot be the first pick: " +
           (is_excluded ? "it is in excluded"
                        : "the quotas leave no pick for its group, " + std::to_string(groups_[at(row)])) +
           "; give another row, or FARPOINT_START_DEFAULT");
  }
}

}  // namespace farpoint::c
