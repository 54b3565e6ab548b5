// farpoint._cpu: the CPU engine. Unwrap arguments, release the GIL, translate errors and signals.

#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "bindings/arguments.h"
#include "bindings/errors.h"
#include "bindings/memory_options.h"
#include "bindings/shard.h"
#include "cpu/distances.h"
#include "cpu/scan.h"
#include "cpu/select.h"
#include "cpu/simd_level.h"

namespace {

using namespace farpoint::bindings;
using farpoint::Control;
using farpoint::Index;
using farpoint::cpu::SimdLevel;

py::dict run_select(const HostMatrixArgument& points, const std::string& dtype, const std::string& metric,
                    double scale, double largest, Index k, const IndexArray& prior, double prior_value,
                    const IndexArray& selected, const IndexArray& excluded,
                    const std::optional<HostMatrixArgument>& anchors, const ValueArray& weights,
                    bool of_roots, const GroupArray& groups, const IndexArray& at_least,
                    const IndexArray& at_most, double minimum_value, bool assign, int threads,
                    const std::string& simd, bool eager, const std::optional<Index>& memory_limit,
                    const std::string& spill_folder, const std::optional<py::function>& listener) {
  const HostMatrix matrix(points, dtype);
  std::optional<HostMatrix> others;
  farpoint::cpu::SelectProblem problem;
  problem.memory = memory_options(memory_limit, spill_folder);
  problem.eager = eager;
  problem.points = matrix.view();
  problem.metric = metric_kind(metric);
  problem.scale = scale;
  problem.largest = largest;
  problem.selected = index_span(selected);
  problem.excluded = index_span(excluded);
  if (anchors) {
    problem.anchors = others.emplace(*anchors, dtype).view();
    if (problem.anchors.columns != problem.points.columns) {
      throw std::invalid_argument("anchors and points differ in columns");
    }
  }
  problem.request = {k, index_span(prior), prior_value, minimum_value, assign};
  problem.request.order = {{weights.data(), static_cast<std::size_t>(weights.size())},
                           of_roots,
                           {groups.data(), static_cast<std::size_t>(groups.size())},
                           index_span(at_least),
                           index_span(at_most)};
  check_selection(problem.request, problem.points.rows, problem.selected, problem.anchors.rows,
                  problem.excluded);
  check_order(problem.request.order, problem.points.rows);
  problem.threads = threads;
  problem.level = farpoint::cpu::choose_simd_level(simd);

  return selection_dict(run_released(listener, problem.request.prior.size(), [&](Control& control) {
    return farpoint::cpu::select(problem, control);
  }));
}

farpoint::cpu::DistanceProblem distance_problem(const HostMatrix& x, const HostMatrix& y,
                                                const std::string& metric, double scale, double largest,
                                                int threads, const std::string& simd, bool eager) {
  farpoint::cpu::DistanceProblem problem;
  problem.eager = eager;
  problem.x = x.view();
  problem.y = y.view();
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

py::tuple nearest(const HostMatrixArgument& x, const HostMatrixArgument& y, const std::string& dtype,
                  const std::string& metric, double scale, double largest, int threads,
                  const std::string& simd, bool eager, const std::optional<Index>& memory_limit,
                  const std::string& spill_folder) {
  const HostMatrix own(x, dtype);
  const HostMatrix other(y, dtype);
  auto problem = distance_problem(own, other, metric, scale, largest, threads, simd, eager);
  problem.memory = memory_options(memory_limit, spill_folder);
  std::vector<double> values(static_cast<std::size_t>(problem.x.rows));
  std::vector<Index> indices(values.size());
  run_released({}, 0, [&](Control& control) { farpoint::cpu::nearest(problem, values, indices, control); });
  return py::make_tuple(to_array(std::move(values)), to_array(std::move(indices)));
}

py::tuple closest_pair(const HostMatrixArgument& x, const std::string& dtype, const std::string& metric,
                       double scale, double largest, int threads, const std::string& simd, bool eager,
                       const std::optional<Index>& memory_limit, const std::string& spill_folder) {
  const HostMatrix own(x, dtype);
  auto problem = distance_problem(own, own, metric, scale, largest, threads, simd, eager);
  problem.memory = memory_options(memory_limit, spill_folder);
  if (problem.x.rows < 2) {
    throw std::invalid_argument("a pair needs two rows");
  }
  const auto pair =
      run_released({}, 0, [&](Control& control) { return farpoint::cpu::closest_pair(problem, control); });
  return py::make_tuple(pair.value, pair.i, pair.j);
}

py::array_t<double> pairwise(const HostMatrixArgument& x, const HostMatrixArgument& y,
                             const std::string& dtype, const std::string& metric, double scale,
                             double largest, int threads, const std::string& simd) {
  const HostMatrix own(x, dtype);
  const HostMatrix other(y, dtype);
  const auto problem = distance_problem(own, other, metric, scale, largest, threads, simd, false);
  py::array_t<double> values({problem.x.rows, problem.y.rows});
  const std::span<double> out(values.mutable_data(), static_cast<std::size_t>(values.size()));
  run_released({}, 0, [&](Control& control) { farpoint::cpu::pairwise(problem, out, control); });
  return values;
}

py::tuple scan(const HostMatrixArgument& points, const std::string& dtype, int threads,
               const std::string& simd) {
  const HostMatrix matrix(points, dtype);
  const SimdLevel level = farpoint::cpu::choose_simd_level(simd);
  const auto found = run_released(
      {}, 0, [&](Control& control) { return farpoint::cpu::scan(matrix.view(), threads, level, control); });
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
  translate_errors();

  m.def("simd_levels", &simd_levels, "Usable SIMD levels, rising.");
  m.def("simd_level", &simd_level, "name"_a,
        "The level that `name` (empty: the best) stands for; ValueError if it cannot be used.");
  m.def("scan", &scan, "points"_a, "dtype"_a, "threads"_a, "simd"_a,
        "(first row with NaN or infinity or -1, first zero row or -1, largest |element|, smallest "
        "non-zero row maximum).");
  m.def("select", &run_select, "points"_a, "dtype"_a, "metric"_a, "scale"_a, "largest"_a, "k"_a, "prior"_a,
        "prior_value"_a, "selected"_a, "excluded"_a, "anchors"_a, "weights"_a, "of_roots"_a, "groups"_a,
        "at_least"_a, "at_most"_a, "minimum_value"_a, "assign"_a, "threads"_a, "simd"_a, "eager"_a,
        "memory_limit"_a, "spill_folder"_a, "listener"_a,
        "Farthest-point selection; stored values, not distances.");
  farpoint::bindings::bind_shards(m);
  m.def("nearest", &nearest, "x"_a, "y"_a, "dtype"_a, "metric"_a, "scale"_a, "largest"_a, "threads"_a,
        "simd"_a, "eager"_a, "memory_limit"_a, "spill_folder"_a,
        "(stored values, rows of y): nearest row of y for each row of x.");
  m.def("closest_pair", &closest_pair, "x"_a, "dtype"_a, "metric"_a, "scale"_a, "largest"_a, "threads"_a,
        "simd"_a, "eager"_a, "memory_limit"_a, "spill_folder"_a,
        "(stored value, i, j): the closest two rows.");
  m.def("pairwise", &pairwise, "x"_a, "y"_a, "dtype"_a, "metric"_a, "scale"_a, "largest"_a, "threads"_a,
        "simd"_a, "Stored values of all pairs.");
}
