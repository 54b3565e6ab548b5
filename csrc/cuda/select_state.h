// What the stages of a selection work on, on the device, and catch-up, which nearest rows and the closest
// pair use too. Twin of SelectState in cpu/select.h and of cpu/catch_up.cpp's driver.
#pragma once

#include "core/select.h"
#include "cuda/catch_up.h"
#include "cuda/pick_list.h"
#include "cuda/primitives.h"
#include "cuda/screen_plan.h"

namespace farpoint::cuda {

// Rows and entries of the pick list are numbered in 32 bits on the device; throws when there are more.
void check_sizes(Index rows, Index picks);

class SelectState {
 public:
  // Room for `most_picks` entries of the pick list. `labels`: keep the entry that gave each value.
  SelectState(Points& points, Index most_picks, const MemoryPlan& plan, bool labels, Control& control);

  Points& points() { return *points_; }
  const Device& device() const { return *device_; }
  PickList& picks() { return picks_; }
  ScreenPlan& plan() { return plan_; }
  Primitives& primitives() { return primitives_; }
  RowState rows();
  ScreenCounts* counts() { return counts_.data(); }
  ScreenCounts read_counts() const;

  // Rows of the level, then the candidates among them.
  const Index* listed() const { return listed_.data(); }
  Index listed_count() const { return listed_count_; }
  // Lists the rows that the threshold admits and are not taken, rising; returns how many.
  Index list(const Threshold& threshold);
  // Replaces the list.
  void set_list(std::span<const Index> rows);
  // Where kernels find the raw elements of rows: in the matrix, or fetched to `store` where that is staged.
  ListedRows bring(const Index* rows, Index count, std::byte* store);

  // Brings the listed rows up to date; those that the threshold still admits stay listed, in no particular
  // order.
  void catch_up(const Threshold& threshold);
  // For the closest pair: all rows against the rows after them. The pick list holds all rows, in their order;
  // `best` (device memory) the bits of the value of some pair.
  void meet_later_rows(unsigned long long* best);

 private:
  // One launch for so many rows.
  void meet(const Index* rows, Index count, const Threshold& threshold, Index most_tiles,
            unsigned long long* best);
  // Launches for all of them, in chunks.
  void meet_all(const Index* rows, Index count, const Threshold& threshold, Index most_tiles,
                unsigned long long* best);
  void judge(bool trial);

  Points* points_;
  const Device* device_;
  Control* control_;
  Buffer<double> values_;
  Buffer<std::int32_t> progress_;
  Buffer<std::int32_t> labels_;
  PickList picks_;
  ScreenPlan plan_;
  Primitives primitives_;
  Buffer<Index> listed_;
  Buffer<Index> candidates_;
  Buffer<Index> behind_;  // listed rows that have not seen all picks
  Index listed_count_ = 0;
  Buffer<ScreenCounts> counts_;
  ScreenCounts judged_;
};

}  // namespace farpoint::cuda
