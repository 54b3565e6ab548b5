#include "cuda/pick_list.h"

#include <numeric>

#include "cuda/passes.h"

namespace farpoint::cuda {

PickList::PickList(Points& points, Index most)
    : points_(&points),
      pointers_(most),
      self_dots_(points.self_dots() != nullptr ? most : 0),
      store_(points.staged() ? most * points.frame().row_bytes() : 0),
      numbers_(most) {
  std::vector<Index> numbers(static_cast<std::size_t>(most));
  std::iota(numbers.begin(), numbers.end(), Index{0});
  upload<Index>(points.device(), numbers_.data(), numbers);
}

void PickList::append_pointers(const Index* indices, Index count, Rows rows, const double* self_dots) {
  point_at_rows(indices, count, rows, self_dots, pointers_.data() + size_,
                self_dots != nullptr ? self_dots_.data() + size_ : nullptr, points_->device());
  size_ += count;
}

void PickList::append_rows(const Index* indices, Index count, Control& control) {
  if (!points_->staged()) {
    append_pointers(indices, count, points_->rows(), points_->self_dots());
    return;
  }
  for (Index begin = 0; begin < count; begin += points_->chunk_rows()) {
    const Index part = std::min(points_->chunk_rows(), count - begin);
    points_->fetch(indices + begin, part, points_->chunk(), control);
    append_listed(indices + begin, numbers_.data(), part,
                  {part, indices + begin, {points_->chunk(), points_->frame().row_bytes(), nullptr}, true});
  }
}

void PickList::append_listed(const Index* indices, const Index* places, Index count, const ListedRows& list) {
  if (!list.by_place) {
    append_pointers(indices, count, list.rows, points_->self_dots());
    return;
  }
  const Index row_bytes = points_->frame().row_bytes();
  copy_rows(list.rows, places, count, store_.data() + stored_ * row_bytes, row_bytes, points_->device());
  const Index entry = size_;
  append_pointers(numbers_.data() + stored_, count, {store_.data(), row_bytes, nullptr}, nullptr);
  if (points_->self_dots() != nullptr) {
    gather_values(indices, count, points_->self_dots(), self_dots_.data() + entry, points_->device());
  }
  stored_ += count;
}

void PickList::append_others(const Points& others) {
  append_pointers(numbers_.data(), others.size(), others.rows(), others.self_dots());
}

}  // namespace farpoint::cuda
