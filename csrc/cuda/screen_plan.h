// Which screen a level uses, and its operands, brought up to date. Twin of cpu/screen_plan.h.
//
// Codes are made once, for all rows, where they fit the device. Whether they are fine enough is tried on the
// first rows of a level and judged by what they let through in vain: work that counts, so that a trial costs
// nothing. Where they are too coarse the level goes on with packed float32 rows, and codes are tried again
// when there are twice as many picks.
#pragma once

#include <algorithm>
#include <memory>

#include "cuda/catch_up.h"
#include "cuda/codes.h"
#include "cuda/pick_list.h"

namespace farpoint::cuda {

// Where a matrix of the host is put, and whether its rows are coded: what the device's memory allows.
struct MemoryPlan {
  Placement placement = Placement::resident;
  bool codes = true;
};
// For a call with so many entries in the pick list. Throws OutOfMemory where nothing fits.
MemoryPlan plan_memory(const Matrix& matrix, const Frame& frame, Index picks, const Device& device);

// Device memory that grows and keeps what it holds.
template <class T>
class GrowingBuffer {
 public:
  explicit GrowingBuffer(const Device& device) : device_(&device) {}

  T* data() { return buffer_.data(); }
  const T* data() const { return buffer_.data(); }
  // Room for `size` elements, of which the first `used` are kept.
  void reserve(Index size, Index used) {
    if (size <= buffer_.size()) {
      return;
    }
    Buffer<T> larger(std::max(size, buffer_.size() + buffer_.size() / 2));
    if (used > 0) {
      check(cudaMemcpyAsync(larger.data(), buffer_.data(), static_cast<std::size_t>(used) * sizeof(T),
                            cudaMemcpyDeviceToDevice, device_->stream()),
            "making room");
    }
    check(cudaStreamSynchronize(device_->stream()), "making room");  // the old memory is read until then
    buffer_ = std::move(larger);
  }

 private:
  const Device* device_;
  Buffer<T> buffer_;
};

class ScreenPlan {
 public:
  // Codes all rows if `codes` says so and the number of columns allows it.
  ScreenPlan(Points& points, Index most_picks, bool codes, Control& control);

  bool uses_codes() const { return codes_ && fine_enough_; }
  // Whether the next rows should be a trial of codes, and how it went.
  bool wants_trial(Index picks) const { return codes_ && !fine_enough_ && picks >= trial_at_; }
  void begin_trial() { fine_enough_ = true; }
  // What the screen in use did since the last call. `trial`: it has to show that it is fine enough.
  void judge(const ScreenCounts& counts, Index picks, bool trial);

  // Rows that are packed at a time.
  Index chunk_rows() const { return chunk_rows_; }
  // Operands against the whole pick list; the screen in use decides which of the two to ask for.
  CodeOperands code_operands(const PickList& picks);
  FloatOperands float_operands(const PickList& picks, const ListedRows& listed);
  // Where picks are the rows of the matrix themselves, and codes are used.
  CodeOperands own_code_operands() const;

 private:
  // Codes of a growing list of rows.
  struct Codes {
    Codes(const Device& device, Index most);

    void append(const Packing& packing, Rows rows, Index more, const double* self_dots, float scale,
                const Device& device);

    Index count = 0;
    GrowingBuffer<std::int8_t> codes;
    GrowingBuffer<RowNumbers> numbers;
    Buffer<std::uint32_t> reaches;
  };

  FloatOperands row_operands(const ListedRows& listed);

  Points* points_;
  const Device* device_;
  Index float_columns_;
  Index chunk_rows_;
  float scale_ = 1.0F;
  std::unique_ptr<Codes> codes_;  // of all rows
  std::unique_ptr<Codes> pick_codes_;
  bool fine_enough_ = false;
  Index trial_at_ = 1;
  Index picks_packed_ = 0;
  GrowingBuffer<float> packed_picks_;
  GrowingBuffer<RowNumbers> packed_pick_numbers_;
  // Of the rows of a chunk.
  GrowingBuffer<float> packed_rows_;
  GrowingBuffer<RowNumbers> packed_row_numbers_;
};

}  // namespace farpoint::cuda
