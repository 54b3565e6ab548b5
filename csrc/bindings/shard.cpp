#include "bindings/shard.h"

#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>

#include "bindings/arguments.h"
#include "bindings/memory_options.h"
#include "cpu/shard.h"
#include "cpu/simd_level.h"

namespace farpoint::bindings {
namespace {

// A shard, and the arrays that it reads.
class ShardObject {
 public:
  ShardObject(HostMatrixArgument points, const std::string& dtype, const std::string& metric, double scale,
              double largest, Index entries, bool assign, int threads, const std::string& simd, bool eager,
              const std::optional<Index>& memory_limit, const std::string& spill_folder)
      : points_(std::move(points)), matrix_(points_, dtype), dtype_(dtype) {
    cpu::SelectProblem problem;
    problem.points = matrix_.view();
    problem.metric = metric_kind(metric);
    problem.scale = scale;
    problem.largest = largest;
    problem.request = {.count = entries, .assign = assign};
    problem.threads = threads;
    problem.level = cpu::choose_simd_level(simd);
    problem.eager = eager;
    problem.memory = memory_options(memory_limit, spill_folder);
    shard_ =
        run_released({}, 0, [&](Control& control) { return std::make_unique<cpu::Shard>(problem, control); });
  }

  Index free_rows() const { return shard_->free_rows(); }

  void see(const HostMatrixArgument& rows, const IndexArray& own, const std::optional<ValueArray>& values) {
    const HostMatrix matrix(rows, dtype_);
    const MatrixView view = matrix.view();
    const std::span<const Index> own_rows = index_span(own);
    const std::span<const double> at =
        values ? std::span(values->data(), static_cast<std::size_t>(values->size()))
               : std::span<const double>();
    if (view.columns != shard_->columns() || own.size() != view.rows ||
        (values && values->size() != view.rows)) {
      throw std::invalid_argument("rows, own and values differ in size, or rows and shard in columns");
    }
    std::vector<bool> taken(static_cast<std::size_t>(shard_->rows()), false);
    for (const Index row : own_rows) {
      if (row >= shard_->rows() ||
          (row >= 0 && (!shard_->is_free(row) || taken[static_cast<std::size_t>(row)]))) {
        throw std::out_of_range("own holds a row out of range, or one that is not free");
      }
      if (row >= 0) {
        taken[static_cast<std::size_t>(row)] = true;
      }
    }
    if (!values) {
      if (picked_) {
        throw std::invalid_argument("what is kept away from comes before all picks");
      }
    }
    if (view.rows == 0) {
      return;
    }
    picked_ = picked_ || values.has_value();
    run_released({}, 0, [&](Control& control) { shard_->see(view, own_rows, at, control); });
  }

  py::tuple level(double value, Index capacity) {
    need_entries();
    if (capacity < 1) {
      throw std::invalid_argument("capacity must be at least 1");
    }
    auto found =
        run_released({}, 0, [&](Control& control) { return shard_->level(value, capacity, control); });
    return py::make_tuple(to_array(std::move(found.rows)), to_array(std::move(found.values)),
                          found.threshold.last.value, found.threshold.last.row);
  }

  py::tuple sample(Index size) {
    const double largest = run_released({}, 0, [&](Control& control) { return shard_->largest(control); });
    return py::make_tuple(to_array(shard_->sample(size)), largest);
  }

  py::tuple assign() {
    need_entries();
    auto found = run_released({}, 0, [&](Control& control) { return shard_->assign(control); });
    return py::make_tuple(to_array(std::move(found.labels)), to_array(std::move(found.label_values)));
  }

  py::dict statistics() {
    SelectResult result;
    result.statistics = shard_->statistics();
    py::dict found = selection_dict(std::move(result));
    found["codes"] = shard_->uses_codes();
    return found;
  }

 private:
  void need_entries() const {
    if (shard_->entries() == 0) {
      throw std::invalid_argument("nothing has been seen yet");
    }
  }

  HostMatrixArgument points_;
  HostMatrix matrix_;
  std::string dtype_;
  std::unique_ptr<cpu::Shard> shard_;
  bool picked_ = false;
};

py::tuple pick_among(const HostMatrixArgument& points, const std::string& dtype, const std::string& metric,
                     double scale, double largest, const ValueArray& values, Index k, double last_value,
                     Index last_row, double minimum_value, int threads, const std::string& simd, bool eager) {
  cpu::CandidateProblem problem;
  const HostMatrix matrix(points, dtype);
  problem.points = matrix.view();
  problem.metric = metric_kind(metric);
  problem.scale = scale;
  problem.largest = largest;
  problem.values = {values.data(), static_cast<std::size_t>(values.size())};
  problem.count = k;
  problem.threshold = {{last_value, last_row}};
  problem.minimum_value = minimum_value;
  problem.threads = threads;
  problem.level = cpu::choose_simd_level(simd);
  problem.eager = eager;
  if (values.size() != problem.points.rows || k < 0) {
    throw std::invalid_argument("points and values differ in size, or k is negative");
  }
  auto found = run_released({}, 0, [&](Control& control) { return cpu::pick_among(problem, control); });
  return py::make_tuple(to_array(std::move(found.rows)), to_array(std::move(found.values)), found.next_value);
}

}  // namespace

void bind_shards(py::module_& m) {
  py::class_<ShardObject>(m, "Shard", "One shard of a selection that is spread over several engines.")
      .def(py::init<HostMatrixArgument, const std::string&, const std::string&, double, double, Index, bool,
                    int, const std::string&, bool, const std::optional<Index>&, const std::string&>(),
           "points"_a, "dtype"_a, "metric"_a, "scale"_a, "largest"_a, "entries"_a, "assign"_a, "threads"_a,
           "simd"_a, "eager"_a, "memory_limit"_a, "spill_folder"_a)
      .def_property_readonly("free_rows", &ShardObject::free_rows)
      .def("see", &ShardObject::see, "rows"_a, "own"_a, "values"_a,
           "Append entries: picks at `values`, or what is kept away from.")
      .def("level", &ShardObject::level, "value"_a, "capacity"_a,
           "(rows, stored values, last value, last row): the candidates of a level.")
      .def("sample", &ShardObject::sample, "size"_a, "(upper bounds of sampled rows, of all rows).")
      .def("assign", &ShardObject::assign, "(labels, stored values) of all rows.")
      .def("statistics", &ShardObject::statistics, "As `select` returns them, and whether codes are used.");
  m.def("pick_among", &pick_among, "points"_a, "dtype"_a, "metric"_a, "scale"_a, "largest"_a, "values"_a,
        "k"_a, "last_value"_a, "last_row"_a, "minimum_value"_a, "threads"_a, "simd"_a, "eager"_a,
        "(rows, stored values, value of the next or None): picks among candidates alone.");
}

}  // namespace farpoint::bindings
