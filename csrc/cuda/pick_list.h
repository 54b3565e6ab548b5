// The picks in their order, on the device: where the raw elements of each lie. Entries first come from what
// the call keeps away from, then they are picks. Twin of cpu/pick_list.h.
#pragma once

#include "cuda/points.h"
#include "cuda/state.h"

namespace farpoint::cuda {

class PickList {
 public:
  // Room for `most` entries. Where the matrix is staged, raw elements of its rows are copied here.
  PickList(Points& points, Index most);

  Index size() const { return size_; }
  PickState state() const { return {size_, {nullptr, 0, pointers_.data()}, self_dots_.data()}; }

  // Rows of the matrix; `indices` in device memory.
  void append_rows(const Index* indices, Index count, Control& control);
  // Rows of the matrix whose raw elements lie at places of a list.
  void append_listed(const Index* indices, const Index* places, Index count, const ListedRows& list);
  // All rows of another matrix, which is resident and lives as long as this.
  void append_others(const Points& others);

 private:
  void append_pointers(const Index* indices, Index count, Rows rows, const double* self_dots);

  Points* points_;
  Index size_ = 0;
  Index stored_ = 0;
  Buffer<const std::byte*> pointers_;
  Buffer<double> self_dots_;
  Buffer<std::byte> store_;
  Buffer<Index> numbers_;  // 0, 1, 2, ...
};

}  // namespace farpoint::cuda
