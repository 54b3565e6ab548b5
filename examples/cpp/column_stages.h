// Selection from points that are stored by columns, as data frames are: farpoint's algorithm (core/levels.h)
// over storage of one's own. The stages are as simple as they can be; each may be replaced by a faster one
// that bounds distances, uses threads or asks a database.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "core/contract.h"
#include "core/levels.h"
#include "core/select.h"

using farpoint::Index;

struct Columns {
  Index rows;
  std::vector<std::vector<double>> columns;

  // Squared distance to the bit of the contract: element j goes to accumulator j mod 16.
  double squared_distance(Index i, Index j) const {
    double sums[farpoint::kAccumulators] = {};
    for (std::size_t c = 0; c < columns.size(); ++c) {
      const double difference =
          columns[c][static_cast<std::size_t>(i)] - columns[c][static_cast<std::size_t>(j)];
      sums[c % farpoint::kAccumulators] += difference * difference;
    }
    return farpoint::scaled_value(farpoint::halving_sum(sums), 1.0, farpoint::ElementType::float64);
  }
};

class ColumnStages : public farpoint::Stages {
 public:
  explicit ColumnStages(const Columns& points)
      : points_(points), rows_(static_cast<std::size_t>(points.rows)), free_(points.rows) {}

  void accept(std::span<const Index> rows) override {
    for (const Index i : rows) {
      take(i);
    }
  }
  void seed() override {
    for (Row& row : rows_) {
      see(row, 1);
    }
  }
  double value_at_rank(Index rank) override {
    std::vector<double> values;
    for (const Row& row : rows_) {
      if (!row.taken) {
        values.push_back(row.value);
      }
    }
    const double largest = values.empty() ? 0.0 : *std::ranges::max_element(values);
    const double value = farpoint::value_of_rank(std::move(values), rank, points_.rows, points_.rows);
    return value > 0.0 ? value : largest;
  }
  Index gather(const farpoint::Threshold& threshold) override {
    listed_.clear();
    for (Index i = 0; i < points_.rows; ++i) {
      if (!row(i).taken && threshold.admits(row(i).value, i)) {
        listed_.push_back(i);
      }
    }
    return static_cast<Index>(listed_.size());
  }
  void certify(const farpoint::Threshold&) override {}  // nothing here knows where near picks are likely
  Index catch_up(farpoint::Threshold& threshold, Index capacity) override {
    std::erase_if(listed_, [&](Index i) {
      while (row(i).seen < picks_.size() && threshold.admits(row(i).value, i)) {
        see(row(i), row(i).seen + 1);
      }
      return !threshold.admits(row(i).value, i);
    });
    if (static_cast<Index>(listed_.size()) > capacity) {
      std::ranges::sort(listed_, [&](Index i, Index j) { return key(i).before(key(j)); });
      listed_.resize(static_cast<std::size_t>(capacity));
      threshold.last = key(listed_.back());
    }
    return static_cast<Index>(listed_.size());
  }
  farpoint::PickEnd pick(const farpoint::Threshold& threshold, const farpoint::SelectRequest& request,
                         farpoint::SelectResult& result) override {
    while (true) {
      std::erase_if(listed_, [&](Index i) { return row(i).taken || !threshold.admits(row(i).value, i); });
      if (listed_.empty()) {
        return farpoint::PickEnd::level_exhausted;
      }
      const Index best =
          *std::ranges::min_element(listed_, [&](Index i, Index j) { return key(i).before(key(j)); });
      result.next_value = row(best).value;
      if (static_cast<Index>(result.indices.size()) == request.count) {
        return farpoint::PickEnd::complete;
      }
      if (row(best).value < request.minimum_value) {
        return farpoint::PickEnd::below_minimum;
      }
      result.indices.push_back(best);
      result.values.push_back(row(best).value);
      take(best);
      for (const Index i : listed_) {
        see(row(i), picks_.size());
      }
    }
  }
  void pick_duplicates(const farpoint::SelectRequest& request, farpoint::SelectResult& result) override {
    farpoint::pick_at_zero(
        request, points_.rows, [&](Index i) { return !row(i).taken; }, [&](Index i) { take(i); }, result);
  }
  void assign(farpoint::SelectResult&) override {}  // SelectRequest::assign is not asked for here
  Index capacity() const override { return 256; }
  Index free_rows() const override { return free_; }
  farpoint::SelectStatistics& statistics() override { return statistics_; }

 private:
  struct Row {
    double value = farpoint::kInfinity;  // to the nearest of the first `seen` picks
    std::size_t seen = 0;
    bool taken = false;
  };

  Row& row(Index i) { return rows_[static_cast<std::size_t>(i)]; }
  farpoint::PointKey key(Index i) { return {row(i).value, i}; }
  void take(Index i) {
    row(i).taken = true;
    picks_.push_back(i);
    --free_;
  }
  // Brings a row up to date with the first `count` picks.
  void see(Row& row, std::size_t count) {
    const Index i = &row - rows_.data();
    for (; row.seen < count; ++row.seen) {
      row.value = std::min(row.value, points_.squared_distance(i, picks_[row.seen]));
      ++statistics_.pairs_refined;
    }
  }

  const Columns& points_;
  std::vector<Row> rows_;
  std::vector<Index> picks_;
  std::vector<Index> listed_;
  Index free_;
  farpoint::SelectStatistics statistics_;
};
