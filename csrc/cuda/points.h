// The rows of a call on the device: where they lie, how they are packed for the screens.
//
// A matrix of the device's own memory is used where it lies. One of the host's is copied, when it fits;
// otherwise it is "staged": it stays where it is, and rows are brought to the device when the raw elements
// are needed, a chunk at a time.
#pragma once

#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "core/bounds.h"
#include "core/control.h"
#include "core/types.h"
#include "cuda/device.h"
#include "cuda/rows.h"

namespace farpoint::cuda {

// What all matrices of a call share.
class Frame {
 public:
  // The centre is the mean of rows of `sample`, which has rows.
  Frame(const Matrix& sample, Metric metric, double scale, double largest, const Device& device,
        Control& control);

  const Contract& contract() const { return contract_; }
  Packing packing() const { return {contract_, packing_scale_, centre_.data()}; }
  const ScreenBound& float_bound() const { return float_bound_; }
  const ScreenBound& code_bound() const { return code_bound_; }
  Index row_bytes() const { return contract_.dimension * static_cast<Index>(element_size(contract_.type)); }

 private:
  Contract contract_;
  double packing_scale_;
  Buffer<double> centre_;
  ScreenBound float_bound_;
  ScreenBound code_bound_;
};

// Host rows on their way to the device: two pinned parts, one filled while the other is under way.
class Upload {
 public:
  Upload(const Device& device, Index row_bytes);

  // Copies `count` rows to `to`, row after row; row(i) is where row i lies. When it returns, the copies are
  // in the stream.
  void copy(std::byte* to, Index count, const std::function<const std::byte*(Index)>& row, Control& control);

 private:
  const Device* device_;
  Index row_bytes_;
  Index part_rows_;
  PinnedBuffer<std::byte> parts_[2];
  cudaEvent_t done_[2] = {nullptr, nullptr};
  int next_ = 0;

 public:
  ~Upload();
  Upload(const Upload&) = delete;
  Upload& operator=(const Upload&) = delete;
};

enum class Placement { resident, staged };

class Points {
 public:
  // Copies the matrix to the device if it is not there and `placement` says so.
  Points(const Matrix& matrix, const Frame& frame, Placement placement, const Device& device,
         Control& control);

  const Frame& frame() const { return *frame_; }
  const Device& device() const { return *device_; }
  Index size() const { return matrix_.rows; }
  bool staged() const { return staged_; }
  // Of all rows; resident only.
  Rows rows() const { return {data_, stride_, nullptr}; }
  // x.x of each row, for cosine; null otherwise.
  const double* self_dots() const { return self_dots_.data(); }
  // Rows of a chunk, where the matrix is staged; otherwise all may be one chunk.
  Index chunk_rows() const { return chunk_rows_; }

  // Calls visit(rows, begin, end) for all rows, a chunk at a time; rows.row(i - begin) is row i.
  void for_each_chunk(Control& control, const std::function<void(Rows, Index, Index)>& visit);
  // Rows 0, 1, ... and how many: all of them, or the first chunk of a staged matrix.
  std::pair<Rows, Index> some_rows(Control& control);
  // Brings the rows that `indices` names (device memory, at most chunk_rows() of them) to `to`; staged only.
  void fetch(const Index* indices, Index count, std::byte* to, Control& control);
  // Room for chunk_rows() rows; staged only.
  std::byte* chunk() { return chunk_.data(); }

 private:
  Rows load_chunk(Index begin, Index end, Control& control);

  MatrixView matrix_;
  const Frame* frame_;
  const Device* device_;
  bool staged_;
  Buffer<std::byte> copy_;   // of a host matrix that is resident
  Buffer<std::byte> chunk_;  // of one that is staged
  Index chunk_rows_;
  const std::byte* data_ = nullptr;
  std::ptrdiff_t stride_ = 0;
  Buffer<double> self_dots_;
  std::unique_ptr<Upload> upload_;
  std::vector<Index> fetched_;
};

// out[i] = x.x of row i.
void self_dots(const Contract& contract, Rows rows, Index count, double* out, const Device& device);

}  // namespace farpoint::cuda
