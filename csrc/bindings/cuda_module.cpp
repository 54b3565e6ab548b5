// farpoint._cuda: the CUDA engine. Unwrap arguments, release the GIL, translate errors and signals. Loading
// it touches no driver; every function but runtime_version does.

#include <cstdint>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <variant>
#include <vector>

#include "bindings/arguments.h"
#include "cuda/device.h"
#include "cuda/distances.h"
#include "cuda/select.h"

namespace {

using namespace farpoint::bindings;
using farpoint::Control;
using farpoint::Index;
using farpoint::cuda::DeviceOptions;
using farpoint::cuda::Matrix;

// A matrix in a device's memory: where its first element is, and how many bytes its rows are apart.
struct DeviceMatrix {
  std::uintptr_t pointer = 0;
  Index rows = 0;
  Index columns = 0;
  std::ptrdiff_t row_stride = 0;
};

// On the host, or on the device of the call.
using MatrixArgument = std::variant<DeviceMatrix, py::array, std::vector<py::array>>;

// The matrix of an argument, and what it borrows; the argument must outlive it.
class AnyMatrix {
 public:
  AnyMatrix(const MatrixArgument& argument, const std::string& dtype) {
    if (const auto* array = std::get_if<py::array>(&argument)) {
      host_.emplace(*array, dtype);
    } else if (const auto* arrays = std::get_if<std::vector<py::array>>(&argument)) {
      host_.emplace(*arrays, dtype);
    } else {
      device_ = view_of(std::get<DeviceMatrix>(argument), dtype);
    }
  }

  Matrix matrix() const { return host_ ? Matrix{host_->view(), false} : Matrix{device_, true}; }

 private:
  static farpoint::MatrixView view_of(const DeviceMatrix& found, const std::string& dtype) {
    const farpoint::ElementType type = element_type(dtype);
    const auto size = static_cast<std::ptrdiff_t>(farpoint::element_size(type));
    if (found.pointer == 0 || found.pointer % static_cast<std::uintptr_t>(size) != 0 || found.rows < 1 ||
        found.columns < 1 || found.row_stride % size != 0) {
      throw std::invalid_argument("expected a device matrix of aligned " + dtype);
    }
    // A device's address, of which no host code reads.
    const auto* data =
        reinterpret_cast<const std::byte*>(found.pointer);  // NOLINT(performance-no-int-to-ptr)
    return {data, found.rows, found.columns, found.row_stride, type};
  }

  std::optional<HostMatrix> host_;
  farpoint::MatrixView device_;
};

DeviceOptions device_options(int device, std::size_t memory_limit, std::uintptr_t ready_after, bool eager) {
  return {device, memory_limit, ready_after, eager, false};
}

// The kernels know these two alone.
farpoint::Metric device_metric(const std::string& name) {
  const farpoint::Metric metric = metric_kind(name);
  if (metric != farpoint::Metric::squared_euclidean && metric != farpoint::Metric::cosine) {
    throw std::invalid_argument("the CUDA engine has no metric kind '" + name + "'");
  }
  return metric;
}

py::dict run_select(const MatrixArgument& points, const std::string& dtype, const std::string& metric,
                    double scale, double largest, Index k, const IndexArray& prior, double prior_value,
                    const IndexArray& selected, const std::optional<MatrixArgument>& anchors,
                    double minimum_value, bool assign, int device, std::size_t memory_limit,
                    std::uintptr_t ready_after, bool eager, const std::optional<py::function>& listener) {
  const AnyMatrix own(points, dtype);
  std::optional<AnyMatrix> others;
  farpoint::cuda::SelectProblem problem;
  problem.points = own.matrix();
  problem.metric = device_metric(metric);
  problem.scale = scale;
  problem.largest = largest;
  problem.selected = index_span(selected);
  if (anchors) {
    problem.anchors = others.emplace(*anchors, dtype).matrix();
    if (problem.anchors.view.columns != problem.points.view.columns) {
      throw std::invalid_argument("anchors and points differ in columns");
    }
  }
  problem.request = {k, index_span(prior), prior_value, minimum_value, assign};
  check_selection(problem.request, problem.points.view.rows, problem.selected, problem.anchors.view.rows);
  problem.options = device_options(device, memory_limit, ready_after, eager);
  return selection_dict(run_released(listener, problem.request.prior.size(), [&](Control& control) {
    return farpoint::cuda::select(problem, control);
  }));
}

farpoint::cuda::DistanceProblem distance_problem(const AnyMatrix& x, const AnyMatrix& y,
                                                 const std::string& metric, double scale, double largest,
                                                 const DeviceOptions& options) {
  farpoint::cuda::DistanceProblem problem;
  problem.x = x.matrix();
  problem.y = y.matrix();
  if (problem.x.view.columns != problem.y.view.columns) {
    throw std::invalid_argument("x and y differ in columns");
  }
  problem.metric = device_metric(metric);
  problem.scale = scale;
  problem.largest = largest;
  problem.options = options;
  return problem;
}

py::tuple nearest(const MatrixArgument& x, const MatrixArgument& y, const std::string& dtype,
                  const std::string& metric, double scale, double largest, int device,
                  std::size_t memory_limit, std::uintptr_t ready_after, bool eager) {
  const AnyMatrix own(x, dtype);
  const AnyMatrix other(y, dtype);
  const auto problem = distance_problem(own, other, metric, scale, largest,
                                        device_options(device, memory_limit, ready_after, eager));
  std::vector<double> values(static_cast<std::size_t>(problem.x.view.rows));
  std::vector<Index> indices(values.size());
  run_released({}, 0, [&](Control& control) { farpoint::cuda::nearest(problem, values, indices, control); });
  return py::make_tuple(to_array(std::move(values)), to_array(std::move(indices)));
}

py::tuple closest_pair(const MatrixArgument& x, const std::string& dtype, const std::string& metric,
                       double scale, double largest, int device, std::size_t memory_limit,
                       std::uintptr_t ready_after, bool eager) {
  const AnyMatrix own(x, dtype);
  const auto problem = distance_problem(own, own, metric, scale, largest,
                                        device_options(device, memory_limit, ready_after, eager));
  if (problem.x.view.rows < 2) {
    throw std::invalid_argument("a pair needs two rows");
  }
  const auto pair =
      run_released({}, 0, [&](Control& control) { return farpoint::cuda::closest_pair(problem, control); });
  return py::make_tuple(pair.value, pair.i, pair.j);
}

py::array_t<double> pairwise(const MatrixArgument& x, const MatrixArgument& y, const std::string& dtype,
                             const std::string& metric, double scale, double largest, int device,
                             std::size_t memory_limit, std::uintptr_t ready_after) {
  const AnyMatrix own(x, dtype);
  const AnyMatrix other(y, dtype);
  const auto problem = distance_problem(own, other, metric, scale, largest,
                                        device_options(device, memory_limit, ready_after, false));
  py::array_t<double> values({problem.x.view.rows, problem.y.view.rows});
  const std::span<double> out(values.mutable_data(), static_cast<std::size_t>(values.size()));
  run_released({}, 0, [&](Control& control) { farpoint::cuda::pairwise(problem, out, control); });
  return values;
}

py::tuple scan(const MatrixArgument& points, const std::string& dtype, int device, std::size_t memory_limit,
               std::uintptr_t ready_after) {
  const AnyMatrix own(points, dtype);
  const DeviceOptions options = device_options(device, memory_limit, ready_after, false);
  const auto found = run_released(
      {}, 0, [&](Control& control) { return farpoint::cuda::scan(own.matrix(), options, control); });
  return py::make_tuple(found.first_bad_row, found.first_zero_row, found.largest, found.smallest_row);
}

py::list devices() {
  py::list found;
  for (const farpoint::cuda::DeviceInfo& device : farpoint::cuda::devices()) {
    found.append(py::dict("name"_a = device.name,
                          "compute"_a = std::to_string(device.major) + "." + std::to_string(device.minor),
                          "memory"_a = device.memory, "multiprocessors"_a = device.multiprocessors));
  }
  return found;
}

}  // namespace

PYBIND11_MODULE(_cuda, m) {
  m.doc() = "farpoint's CUDA engine. Private: the public interface is the package farpoint.";
  m.attr("architectures") = FARPOINT_CUDA_ARCHITECTURES;
  m.attr("compiler") = FARPOINT_CUDA_COMPILER;
  m.attr("version") = FARPOINT_VERSION;

  // Device errors are RuntimeError, as every std::runtime_error is.
  py::register_local_exception_translator([](std::exception_ptr error) {
    try {
      if (error) {
        std::rethrow_exception(std::move(error));
      }
    } catch (const farpoint::cuda::OutOfMemory& full) {
      PyErr_SetString(PyExc_MemoryError, full.what());
    }
  });

  py::class_<DeviceMatrix>(m, "DeviceMatrix",
                           "A matrix in a device's memory: address, rows, columns, bytes from row to row.")
      .def(py::init([](std::uintptr_t pointer, Index rows, Index columns, std::ptrdiff_t row_stride) {
             return DeviceMatrix{pointer, rows, columns, row_stride};
           }),
           "pointer"_a, "rows"_a, "columns"_a, "row_stride"_a);

  m.def("unavailable", &farpoint::cuda::unavailable_reason,
        "Why no device can be used here, in one sentence; empty: there is at least one.");
  m.def("devices", &devices, "Name, compute capability, bytes of memory and multiprocessors of each device.");
  m.def("runtime_version", &farpoint::cuda::runtime_version, "Of the CUDA runtime that was compiled in.");
  m.def("driver_version", &farpoint::cuda::driver_version,
        "The newest CUDA that the driver supports; \"none\" without a driver.");
  m.def("scan", &scan, "points"_a, "dtype"_a, "device"_a, "memory_limit"_a, "ready_after"_a,
        "(first row with NaN or infinity or -1, first zero row or -1, largest |element|, smallest "
        "non-zero row maximum).");
  m.def("select", &run_select, "points"_a, "dtype"_a, "metric"_a, "scale"_a, "largest"_a, "k"_a, "prior"_a,
        "prior_value"_a, "selected"_a, "anchors"_a, "minimum_value"_a, "assign"_a, "device"_a,
        "memory_limit"_a, "ready_after"_a, "eager"_a, "listener"_a,
        "Farthest-point selection; stored values, not distances.");
  m.def("nearest", &nearest, "x"_a, "y"_a, "dtype"_a, "metric"_a, "scale"_a, "largest"_a, "device"_a,
        "memory_limit"_a, "ready_after"_a, "eager"_a,
        "(stored values, rows of y): nearest row of y for each row of x.");
  m.def("closest_pair", &closest_pair, "x"_a, "dtype"_a, "metric"_a, "scale"_a, "largest"_a, "device"_a,
        "memory_limit"_a, "ready_after"_a, "eager"_a, "(stored value, i, j): the closest two rows.");
  m.def("pairwise", &pairwise, "x"_a, "y"_a, "dtype"_a, "metric"_a, "scale"_a, "largest"_a, "device"_a,
        "memory_limit"_a, "ready_after"_a, "Stored values of all pairs.");
}
