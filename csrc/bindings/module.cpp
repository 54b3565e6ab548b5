// farpoint._cpu: unwrap arguments, release the GIL, translate errors and signals. Arguments were checked by
// farpoint/_validation.py; what is checked again here is what would crash.

#include <pybind11/functional.h>
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "core/control.h"
#include "core/tuning.h"
#include "cpu/distances.h"
#include "cpu/scan.h"
#include "cpu/select.h"
#include "cpu/simd_level.h"

namespace py = pybind11;
using namespace pybind11::literals;

namespace {

using farpoint::Control;
using farpoint::ElementType;
using farpoint::Index;
using farpoint::MatrixView;
using farpoint::Metric;
using farpoint::cpu::SimdLevel;

using IndexArray = py::array_t<std::int64_t, py::array::c_style>;

ElementType element_type(const std::string& name) {
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

Metric metric_kind(const std::string& name) {
  if (name == "squared") {
    return Metric::squared_euclidean;
  }
  if (name == "cosine") {
    return Metric::cosine;
  }
  throw std::invalid_argument("unknown metric kind '" + name + "'");
}

MatrixView matrix_view(const py::array& array, const std::string& dtype) {
  const ElementType type = element_type(dtype);
  const auto size = static_cast<py::ssize_t>(farpoint::element_size(type));
  if (array.ndim() != 2 || array.itemsize() != size || (array.shape(1) > 1 && array.strides(1) != size)) {
    throw std::invalid_argument("expected a 2-D array of " + dtype + " with contiguous rows");
  }
  return {static_cast<const std::byte*>(array.data()), array.shape(0), array.shape(1), array.strides(0),
          type};
}

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

// Runs `work(control)` without the GIL. Every poll period the GIL is taken to report progress and to look
// for signals; a Python error raised there ends the work and is raised to the caller.
template <class Work>
auto run_released(const std::optional<py::function>& progress, const Work& work) {
  std::optional<py::error_already_set> error;
  Control control(
      [&](const Control::Progress& now) {
        const py::gil_scoped_acquire acquire;
        try {
          if (PyErr_CheckSignals() != 0) {
            throw py::error_already_set();
          }
          if (progress) {
            (*progress)(now.done, now.total, now.value);
          }
          return true;
        } catch (py::error_already_set& raised) {
          error.emplace(std::move(raised));
          return false;
        }
      },
      farpoint::tuning::kPollPeriod);
  try {
    const py::gil_scoped_release release;
    return work(control);
  } catch (const farpoint::Interrupted&) {
    if (error) {
      throw std::move(*error);
    }
    throw;
  }
}

py::dict run_select(const py::array& points, const std::string& dtype, const std::string& metric,
                    double scale, double largest, Index k, Index first, const IndexArray& selected,
                    const std::optional<py::array>& anchors, double minimum_value, bool assign, int threads,
                    const std::string& simd, bool eager, const std::optional<py::function>& progress) {
  farpoint::cpu::SelectProblem problem;
  problem.eager = eager;
  problem.points = matrix_view(points, dtype);
  problem.metric = metric_kind(metric);
  problem.scale = scale;
  problem.largest = largest;
  problem.selected = std::span(selected.data(), static_cast<std::size_t>(selected.size()));
  if (anchors) {
    problem.anchors = matrix_view(*anchors, dtype);
    if (problem.anchors.columns != problem.points.columns) {
      throw std::invalid_argument("anchors and points differ in columns");
    }
  }
  std::vector<bool> taken(static_cast<std::size_t>(problem.points.rows), false);
  for (const Index row : problem.selected) {
    if (row < 0 || row >= problem.points.rows || taken[static_cast<std::size_t>(row)]) {
      throw std::out_of_range("selected holds a row out of range or twice");
    }
    taken[static_cast<std::size_t>(row)] = true;
  }
  if (k < 0 || k > problem.points.rows - static_cast<Index>(problem.selected.size())) {
    throw std::invalid_argument("k is not between 0 and the number of free rows");
  }
  const bool nothing_before = selected.size() == 0 && problem.anchors.rows == 0;
  if (first >= problem.points.rows || (first < 0) == nothing_before) {
    throw std::invalid_argument("a first row is needed exactly when nothing is kept away from");
  }
  problem.request = {k, first, minimum_value, assign};
  problem.threads = threads;
  problem.level = farpoint::cpu::choose_simd_level(simd);

  farpoint::SelectResult result =
      run_released(progress, [&](Control& control) { return farpoint::cpu::select(problem, control); });
  const farpoint::SelectStatistics& s = result.statistics;
  return py::dict("indices"_a = to_array(std::move(result.indices)),
                  "values"_a = to_array(std::move(result.values)), "next_value"_a = result.next_value,
                  "labels"_a = to_array(std::move(result.labels)),
                  "label_values"_a = to_array(std::move(result.label_values)), "levels"_a = s.levels,
                  "pairs_screened"_a = s.pairs_screened, "pairs_looked_up"_a = s.pairs_looked_up,
                  "pairs_confirmed"_a = s.pairs_confirmed, "pairs_refined"_a = s.pairs_refined,
                  "pairs_improved"_a = s.pairs_improved, "seconds_seed"_a = s.seconds_seed,
                  "seconds_certify"_a = s.seconds_certify, "seconds_catch_up"_a = s.seconds_catch_up,
                  "seconds_pick"_a = s.seconds_pick, "seconds_assign"_a = s.seconds_assign);
}

farpoint::cpu::DistanceProblem distance_problem(const py::array& x, const py::array& y,
                                                const std::string& dtype, const std::string& metric,
                                                double scale, double largest, int threads,
                                                const std::string& simd, bool eager) {
  farpoint::cpu::DistanceProblem problem;
  problem.eager = eager;
  problem.x = matrix_view(x, dtype);
  problem.y = matrix_view(y, dtype);
  if (problem.x.columns != problem.y.columns) {
    throw std::invalid_argument("x and y differ in columns");
  }
  problem.metric = metric_kind(metric);
  problem.scale = scale;
  problem.largest = largest;
  problem.threads = threads;
  problem.level = farpoint::cpu::choose_simd_level(simd);
  return problem;
}

py::tuple nearest(const py::array& x, const py::array& y, const std::string& dtype, const std::string& metric,
                  double scale, double largest, int threads, const std::string& simd, bool eager) {
  const auto problem = distance_problem(x, y, dtype, metric, scale, largest, threads, simd, eager);
  std::vector<double> values(static_cast<std::size_t>(problem.x.rows));
  std::vector<Index> indices(values.size());
  run_released({}, [&](Control& control) { farpoint::cpu::nearest(problem, values, indices, control); });
  return py::make_tuple(to_array(std::move(values)), to_array(std::move(indices)));
}

py::tuple closest_pair(const py::array& x, const std::string& dtype, const std::string& metric, double scale,
                       double largest, int threads, const std::string& simd, bool eager) {
  const auto problem = distance_problem(x, x, dtype, metric, scale, largest, threads, simd, eager);
  if (problem.x.rows < 2) {
    throw std::invalid_argument("a pair needs two rows");
  }
  const auto pair =
      run_released({}, [&](Control& control) { return farpoint::cpu::closest_pair(problem, control); });
  return py::make_tuple(pair.value, pair.i, pair.j);
}

py::array_t<double> pairwise(const py::array& x, const py::array& y, const std::string& dtype,
                             const std::string& metric, double scale, double largest, int threads,
                             const std::string& simd) {
  const auto problem = distance_problem(x, y, dtype, metric, scale, largest, threads, simd, false);
  py::array_t<double> values({problem.x.rows, problem.y.rows});
  const std::span<double> out(values.mutable_data(), static_cast<std::size_t>(values.size()));
  run_released({}, [&](Control& control) { farpoint::cpu::pairwise(problem, out, control); });
  return values;
}

py::tuple scan(const py::array& points, const std::string& dtype, int threads, const std::string& simd) {
  const MatrixView view = matrix_view(points, dtype);
  const SimdLevel level = farpoint::cpu::choose_simd_level(simd);
  const auto found =
      run_released({}, [&](Control& control) { return farpoint::cpu::scan(view, threads, level, control); });
  return py::make_tuple(found.first_bad_row, found.first_zero_row, found.largest, found.smallest_row);
}

std::vector<std::string> simd_levels() {
  std::vector<std::string> names;
  for (const SimdLevel level : farpoint::cpu::usable_simd_levels()) {
    names.emplace_back(farpoint::cpu::simd_level_name(level));
  }
  return names;
}

std::string simd_level(const std::string& name) {
  return std::string(farpoint::cpu::simd_level_name(farpoint::cpu::choose_simd_level(name)));
}

}  // namespace

PYBIND11_MODULE(_cpu, m) {
  m.doc() = "farpoint's CPU engine. Private: the public interface is the package farpoint.";
  m.attr("compiler") = FARPOINT_COMPILER;
  m.attr("version") = FARPOINT_VERSION;

  m.def("simd_levels", &simd_levels, "Usable SIMD levels, rising.");
  m.def("simd_level", &simd_level, "name"_a,
        "The level that `name` (empty: the best) stands for; ValueError if it cannot be used.");
  m.def("scan", &scan, "points"_a, "dtype"_a, "threads"_a, "simd"_a,
        "(first row with NaN or infinity or -1, first zero row or -1, largest |element|, smallest "
        "non-zero row maximum).");
  m.def("select", &run_select, "points"_a, "dtype"_a, "metric"_a, "scale"_a, "largest"_a, "k"_a, "first"_a,
        "selected"_a, "anchors"_a, "minimum_value"_a, "assign"_a, "threads"_a, "simd"_a, "eager"_a,
        "progress"_a, "Farthest-point selection; stored values, not distances.");
  m.def("nearest", &nearest, "x"_a, "y"_a, "dtype"_a, "metric"_a, "scale"_a, "largest"_a, "threads"_a,
        "simd"_a, "eager"_a, "(stored values, rows of y): nearest row of y for each row of x.");
  m.def("closest_pair", &closest_pair, "x"_a, "dtype"_a, "metric"_a, "scale"_a, "largest"_a, "threads"_a,
        "simd"_a, "eager"_a, "(stored value, i, j): the closest two rows.");
  m.def("pairwise", &pairwise, "x"_a, "y"_a, "dtype"_a, "metric"_a, "scale"_a, "largest"_a, "threads"_a,
        "simd"_a, "Stored values of all pairs.");
}
