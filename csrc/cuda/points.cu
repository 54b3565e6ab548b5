#include "cuda/points.h"

#include <algorithm>
#include <cstring>

#include "core/packing.h"
#include "core/tuning.h"
#include "cuda/refine.h"

namespace farpoint::cuda {
namespace {

constexpr int kThreads = 256;

std::size_t at(Index i) {
  return static_cast<std::size_t>(i);
}

// One half-warp a row.
__global__ void self_dots_kernel(Contract contract, Rows rows, Index count, double* out) {
  const Index i = (static_cast<Index>(blockIdx.x) * kThreads + static_cast<Index>(threadIdx.x)) / kHalfWarp;
  if (i >= count) {
    return;  // the whole half-warp leaves
  }
  const double dot = self_dot(contract, rows.row(i));
  if (threadIdx.x % kHalfWarp == 0) {
    out[i] = dot;
  }
}

// One thread a column: the mean of x_j m.
__global__ void centre_kernel(Contract contract, Rows rows, Index count, const double* row_dots,
                              double* centre) {
  const Index j = static_cast<Index>(blockIdx.x) * kThreads + static_cast<Index>(threadIdx.x);
  if (j >= contract.dimension) {
    return;
  }
  const double sum = with_element_type(contract.type, [&](auto element) {
    using T = decltype(element);
    double total = 0.0;
    for (Index i = 0; i < count; ++i) {
      const double x = widen(reinterpret_cast<const T*>(rows.row(i))[j]);
      total += row_dots != nullptr ? x / sqrt(row_dots[i]) : x;
    }
    return total;
  });
  centre[j] = sum / static_cast<double>(count);
}

Index half_warp_blocks(Index count) {
  return (count * kHalfWarp + kThreads - 1) / kThreads;
}

}  // namespace

void self_dots(const Contract& contract, Rows rows, Index count, double* out, const Device& device) {
  check(launch(self_dots_kernel, {half_warp_blocks(count), kThreads, 0, device.stream()}, contract, rows,
               count, out),
        "computing products of rows with themselves");
}

Frame::Frame(const Matrix& sample, Metric metric, double scale, double largest, const Device& device,
             Control& control)
    : contract_{metric, sample.view.type, sample.view.columns, scale},
      packing_scale_(packing_scale(metric, largest)),
      centre_(sample.view.columns),
      float_bound_(ScreenBound::of_floats(metric, sample.view.columns,
                                          value_to_packed(metric, scale, packing_scale_))),
      code_bound_(ScreenBound::of_codes(metric, sample.view.columns,
                                        value_to_packed(metric, scale, packing_scale_), 0.0)) {
  const MatrixView& view = sample.view;
  const Index count = std::min(view.rows, tuning::kCentreSample);
  const auto sampled = [&](Index s) {
    return view.row(static_cast<Index>(static_cast<double>(s) * static_cast<double>(view.rows) /
                                       static_cast<double>(count)));
  };
  Buffer<std::byte> copies(sample.on_device ? 0 : count * row_bytes());
  std::vector<const std::byte*> pointers;
  pointers.reserve(at(count));
  for (Index s = 0; s < count; ++s) {
    pointers.push_back(sample.on_device ? sampled(s) : copies.data() + s * row_bytes());
  }
  if (!sample.on_device) {
    Upload(device, row_bytes()).copy(copies.data(), count, sampled, control);
  }
  Buffer<const std::byte*> device_pointers(count);
  upload<const std::byte*>(device, device_pointers.data(), pointers);
  const Rows rows{nullptr, 0, device_pointers.data()};
  Buffer<double> dots(metric == Metric::cosine ? count : 0);
  if (metric == Metric::cosine) {
    self_dots(contract_, rows, count, dots.data(), device);
  }
  check(launch(centre_kernel, {(view.columns + kThreads - 1) / kThreads, kThreads, 0, device.stream()},
               contract_, rows, count, static_cast<const double*>(dots.data()), centre_.data()),
        "finding the centre");
  device.synchronise(control);  // what was allocated here goes
}

Upload::Upload(const Device& device, Index row_bytes)
    : device_(&device),
      row_bytes_(row_bytes),
      part_rows_(std::max<Index>(tuning::kUploadBytes / row_bytes, 1)) {}

Upload::~Upload() {
  for (cudaEvent_t event : done_) {
    if (event != nullptr) {
      static_cast<void>(cudaEventSynchronize(event));  // the part is read until then
      static_cast<void>(cudaEventDestroy(event));
    }
  }
}

void Upload::copy(std::byte* to, Index count, const std::function<const std::byte*(Index)>& row,
                  Control& control) {
  for (Index begin = 0; begin < count; begin += part_rows_) {
    if (control.poll()) {
      return;
    }
    const Index rows = std::min(part_rows_, count - begin);
    PinnedBuffer<std::byte>& part = parts_[next_];
    cudaEvent_t& done = done_[next_];
    if (done == nullptr) {
      check(cudaEventCreateWithFlags(&done, cudaEventDisableTiming), "creating an event");
    } else {
      check(cudaEventSynchronize(done), "waiting for a copy");
    }
    if (part.size() < rows * row_bytes_) {
      part = PinnedBuffer<std::byte>(rows * row_bytes_);
    }
    for (Index i = 0; i < rows; ++i) {
      std::memcpy(part.data() + i * row_bytes_, row(begin + i), at(row_bytes_));
    }
    upload<std::byte>(*device_, to + begin * row_bytes_, {part.data(), at(rows * row_bytes_)});
    check(cudaEventRecord(done, device_->stream()), "recording an event");
    next_ = 1 - next_;
  }
}

Points::Points(const Matrix& matrix, const Frame& frame, Placement placement, const Device& device,
               Control& control)
    : matrix_(matrix.view),
      frame_(&frame),
      device_(&device),
      staged_(!matrix.on_device && placement == Placement::staged),
      chunk_rows_(std::max<Index>(matrix.view.rows, 1)) {
  const Index row_bytes = frame.row_bytes();
  if (matrix.on_device) {
    data_ = matrix_.data;
    stride_ = matrix_.row_stride;
  } else {
    upload_ = std::make_unique<Upload>(device, row_bytes);
    stride_ = row_bytes;
    if (staged_) {
      chunk_rows_ = std::clamp<Index>((device.eager() ? Index{1} << 14 : tuning::kStageBytes) / row_bytes, 1,
                                      chunk_rows_);
      chunk_ = Buffer<std::byte>(chunk_rows_ * row_bytes);
    } else {
      copy_ = Buffer<std::byte>(size() * row_bytes);
      upload_->copy(copy_.data(), size(), [&](Index i) { return matrix_.row(i); }, control);
      control.throw_if_stopped();
      data_ = copy_.data();
    }
  }
  if (frame.contract().metric == Metric::cosine) {
    self_dots_ = Buffer<double>(size());
    for_each_chunk(control, [&](Rows rows, Index begin, Index end) {
      cuda::self_dots(frame.contract(), rows, end - begin, self_dots_.data() + begin, device);
    });
  }
}

Rows Points::load_chunk(Index begin, Index end, Control& control) {
  upload_->copy(chunk_.data(), end - begin, [&](Index i) { return matrix_.row(begin + i); }, control);
  control.throw_if_stopped();
  return {chunk_.data(), stride_, nullptr};
}

void Points::for_each_chunk(Control& control, const std::function<void(Rows, Index, Index)>& visit) {
  if (!staged_) {
    visit(rows(), 0, size());
    return;
  }
  for (Index begin = 0; begin < size(); begin += chunk_rows_) {
    const Index end = std::min(begin + chunk_rows_, size());
    visit(load_chunk(begin, end, control), begin, end);
  }
}

std::pair<Rows, Index> Points::some_rows(Control& control) {
  if (!staged_) {
    return {rows(), size()};
  }
  return {load_chunk(0, chunk_rows_, control), chunk_rows_};
}

void Points::fetch(const Index* indices, Index count, std::byte* to, Control& control) {
  fetched_.resize(at(count));
  read(*device_, std::span(fetched_), indices, control);
  upload_->copy(to, count, [&](Index i) { return matrix_.row(fetched_[at(i)]); }, control);
  control.throw_if_stopped();
}

}  // namespace farpoint::cuda
