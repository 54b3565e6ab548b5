// What every extension does with its arguments and results: names become types, arrays become views, signals
// and progress reach Python. Arguments were checked in Python; what is checked again here is
// what would crash.
#pragma once

#include <pybind11/functional.h>
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "core/control.h"
#include "core/select.h"
#include "core/tuning.h"
#include "core/types.h"

namespace farpoint::bindings {

namespace py = pybind11;
using namespace pybind11::literals;

using IndexArray = py::array_t<std::int64_t, py::array::c_style>;
using GroupArray = py::array_t<std::int32_t, py::array::c_style>;
using ValueArray = py::array_t<double, py::array::c_style>;

inline ElementType element_type(const std::string& name) {
  const std::pair<const char*, ElementType> known[] = {
      {"float16", ElementType::float16}, {"bfloat16", ElementType::bfloat16},
      {"float32", ElementType::float32}, {"float64", ElementType::float64},
      {"int8", ElementType::int8},       {"uint8", ElementType::uint8}};
  for (const auto& [text, type] : known) {
    if (name == text) {
      return type;
    }
  }
  throw std::invalid_argument("unknown element type '" + name + "'");
}

inline Metric metric_kind(const std::string& name) {
  const std::pair<const char*, Metric> known[] = {
      {"squared", Metric::squared_euclidean}, {"cosine", Metric::cosine},   {"manhattan", Metric::manhattan},
      {"chebyshev", Metric::chebyshev},       {"hamming", Metric::hamming}, {"jaccard", Metric::jaccard}};
  for (const auto& [text, metric] : known) {
    if (name == text) {
      return metric;
    }
  }
  throw std::invalid_argument("unknown metric kind '" + name + "'");
}

// A matrix on the host: an array, or arrays whose rows follow each other.
using HostMatrixArgument = std::variant<py::array, std::vector<py::array>>;

// Its view, and what the view borrows; the arrays must outlive it.
class HostMatrix {
 public:
  HostMatrix(const HostMatrixArgument& argument, const std::string& dtype) {
    if (const auto* array = std::get_if<py::array>(&argument)) {
      view_ = view_of(*array, dtype);
      return;
    }
    for (const py::array& array : std::get<std::vector<py::array>>(argument)) {
      const MatrixView part = view_of(array, dtype);
      if (part.rows == 0 || (!parts_.empty() && part.columns != view_.columns)) {
        throw std::invalid_argument("expected parts with rows, and of the same columns");
      }
      parts_.push_back({part.data, view_.rows, part.row_stride});
      view_.rows += part.rows;
      view_.columns = part.columns;
      view_.type = part.type;
    }
    if (parts_.empty()) {
      throw std::invalid_argument("expected at least one part");
    }
  }

  MatrixView view() const {
    MatrixView view = view_;
    view.parts = parts_;
    return view;
  }

 private:
  static MatrixView view_of(const py::array& array, const std::string& dtype) {
    const ElementType type = element_type(dtype);
    const auto size = static_cast<py::ssize_t>(element_size(type));
    if (array.ndim() != 2 || array.itemsize() != size || (array.shape(1) > 1 && array.strides(1) != size)) {
      throw std::invalid_argument("expected a 2-D array of " + dtype + " with contiguous rows");
    }
    return {static_cast<const std::byte*>(array.data()), array.shape(0), array.shape(1), array.strides(0),
            type};
  }

  MatrixView view_;
  std::vector<MatrixPart> parts_;
};

// Gives a vector's memory to numpy without a copy.
template <class T>
py::array_t<T> to_array(std::vector<T> values, std::vector<py::ssize_t> shape = {}) {
  auto owner = std::make_unique<std::vector<T>>(std::move(values));
  if (shape.empty()) {
    shape.push_back(static_cast<py::ssize_t>(owner->size()));
  }
  T* data = owner->data();
  py::capsule const guard(owner.release(), [](void* p) {
    const std::unique_ptr<std::vector<T>> owned(static_cast<std::vector<T>*>(p));
  });
  return py::array_t<T>(shape, data, guard);
}

template <class T>
py::array_t<T> copy_of(std::span<const T> values) {
  return py::array_t<T>(static_cast<py::ssize_t>(values.size()), values.data());
}

// Runs `work(control)` without the GIL. Every poll period the GIL is taken to hand new picks to `listener`,
// as arrays of rows and of stored values, and to look for signals; a Python error raised there ends the work
// and is raised to the caller. The first `known` picks are not new.
template <class Work>
auto run_released(const std::optional<py::function>& listener, std::size_t known, const Work& work) {
  std::optional<py::error_already_set> error;
  Control control(
      [&](const Control::Progress& now) {
        const py::gil_scoped_acquire acquire;
        try {
          if (listener && now.picks.size() > known) {
            (*listener)(copy_of(now.picks.subspan(known)), copy_of(now.values.subspan(known)));
            known = now.picks.size();
          }
          // After the picks were handed over: an interrupt must not lose them.
          if (PyErr_CheckSignals() != 0) {
            throw py::error_already_set();
          }
          return true;
        } catch (py::error_already_set& raised) {
          error.emplace(std::move(raised));
          return false;
        }
      },
      tuning::kPollPeriod);
  try {
    const py::gil_scoped_release release;
    return work(control);
  } catch (const Interrupted&) {
    if (error) {
      throw std::move(*error);
    }
    throw;
  }
}

// Throws where a selection of `points` would touch rows that are not there, or write a row twice.
inline void check_selection(const SelectRequest& request, Index rows, std::span<const Index> selected,
                            Index anchor_rows, std::span<const Index> excluded = {}) {
  std::vector<bool> taken(static_cast<std::size_t>(rows), false);
  for (const auto& listed : {selected, excluded, request.prior}) {
    for (const Index row : listed) {
      if (row < 0 || row >= rows || taken[static_cast<std::size_t>(row)]) {
        throw std::out_of_range(
            "selected, excluded or prior holds a row out of range, or one is in them twice");
      }
      taken[static_cast<std::size_t>(row)] = true;
    }
  }
  if (request.count < static_cast<Index>(request.prior.size()) ||
      request.count > rows - static_cast<Index>(selected.size() + excluded.size())) {
    throw std::invalid_argument("k is not between the number of prior picks and the number of free rows");
  }
  if (request.prior.empty() && selected.empty() && anchor_rows == 0) {
    throw std::invalid_argument("a first pick is needed where nothing is kept away from");
  }
}

// Throws where weights and groups of a selection are not of all rows, or name groups that are not there.
inline void check_order(const OrderRequest& order, Index rows) {
  const auto of_all_rows = [rows](std::size_t size) { return size == 0 || static_cast<Index>(size) == rows; };
  if (!of_all_rows(order.weights.size()) || !of_all_rows(order.groups.size()) ||
      order.at_least.size() != order.at_most.size()) {
    throw std::invalid_argument("weights or groups are not of all rows, or minima of not all groups");
  }
  for (const std::int32_t group : order.groups) {
    if (group < 0 || static_cast<std::size_t>(group) >= order.at_least.size()) {
      throw std::out_of_range("a group is out of range");
    }
  }
}

inline std::span<const Index> index_span(const IndexArray& array) {
  return {array.data(), static_cast<std::size_t>(array.size())};
}

inline py::dict selection_dict(SelectResult result) {
  const SelectStatistics& s = result.statistics;
  return py::dict("indices"_a = to_array(std::move(result.indices)),
                  "values"_a = to_array(std::move(result.values)), "next_value"_a = result.next_value,
                  "labels"_a = to_array(std::move(result.labels)),
                  "label_values"_a = to_array(std::move(result.label_values)), "levels"_a = s.levels,
                  "pairs_screened"_a = s.pairs_screened, "pairs_looked_up"_a = s.pairs_looked_up,
                  "pairs_confirmed"_a = s.pairs_confirmed, "pairs_refined"_a = s.pairs_refined,
                  "pairs_improved"_a = s.pairs_improved, "bytes_work"_a = s.bytes_work,
                  "bytes_spilled"_a = s.bytes_spilled, "seconds_seed"_a = s.seconds_seed,
                  "seconds_certify"_a = s.seconds_certify, "seconds_catch_up"_a = s.seconds_catch_up,
                  "seconds_pick"_a = s.seconds_pick, "seconds_assign"_a = s.seconds_assign);
}

}  // namespace farpoint::bindings
