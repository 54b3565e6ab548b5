// Nearest rows: a selection's catch-up with every row of y for a pick and no threshold. Twin of
// cpu/nearest.cpp.

#include <algorithm>
#include <vector>

#include "cuda/distances.h"
#include "cuda/passes.h"
#include "cuda/select_state.h"

namespace farpoint::cuda {

void nearest(const DistanceProblem& problem, std::span<double> values, std::span<Index> indices,
             Control& control) {
  check_sizes(problem.x.view.rows, problem.y.view.rows);
  const Device device(problem.options);
  const Frame frame(problem.y, problem.metric, problem.scale, problem.largest, device, control);
  // y is met as a whole, so it must fit; x need not.
  const Points y(problem.y, frame, Placement::resident, device, control);
  const Index pick_bytes = y.size() * (frame.contract().dimension + 64);
  Points x(problem.x, frame, place_matrix(problem.x, frame, pick_bytes, device), device, control);
  SelectState state(x, y.size(), true, control);
  state.picks().append_others(y);
  const PickState picks = state.picks().state();
  x.for_each_chunk(control, [&](Rows rows, Index begin, Index end) {
    seed(frame.contract(), rows, begin, end, state.rows(), picks, device);
  });
  state.list(Threshold::everything());
  state.catch_up(Threshold::everything());
  std::vector<std::int32_t> labels(indices.size());
  download(device, std::span(labels), static_cast<const std::int32_t*>(state.rows().labels));
  download(device, values, static_cast<const double*>(state.rows().values));
  device.synchronise(control);
  std::ranges::copy(labels, indices.begin());
}

}  // namespace farpoint::cuda
