// A list of rows in an array that is as large as the list can become, so that it never grows.
#pragma once

#include <algorithm>
#include <utility>

#include "cpu/work_memory.h"

namespace farpoint::cpu {

class RowList {
 public:
  RowList(WorkMemory& memory, Index most) : rows_(memory, most, "the rows of a level", Counted::in_plan) {}

  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  Index* begin() { return rows_.begin(); }
  const Index* begin() const { return rows_.begin(); }
  Index* end() { return rows_.begin() + size_; }
  const Index* end() const { return rows_.begin() + size_; }
  Index& operator[](std::size_t place) { return rows_[place]; }
  const Index& operator[](std::size_t place) const { return rows_[place]; }

  // New rows are whatever was there before.
  void resize(std::size_t size) { size_ = size; }
  template <class Predicate>
  void erase_if(const Predicate& predicate) {
    size_ = static_cast<std::size_t>(std::remove_if(begin(), end(), predicate) - begin());
  }
  void swap(RowList& other) noexcept {
    std::swap(rows_, other.rows_);
    std::swap(size_, other.size_);
  }

 private:
  WorkArray<Index> rows_;
  std::size_t size_ = 0;
};

}  // namespace farpoint::cpu
