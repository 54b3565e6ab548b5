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
  const MemoryPlan plan = plan_memory(problem.x, frame, y.size(), device);
  Points x(problem.x, frame, plan.placement, device, control);
  SelectState state(x, y.size(), plan, true, control);
  state.picks().append_others(y);
  const PickState picks = state.picks().state();
  x.for_each_chunk(control, [&](Rows rows, Index begin, Index end) {
    seed(frame.contract(), rows, begin, end, state.rows(), picks, device);
  });
  state.list(Threshold::everything());
  state.catch_up(Threshold::everything());
  std::vector<std::int32_t> labels(indices.size());
  read(device, std::span(labels), state.rows().labels, control);
  read(device, values, state.rows().values, control);
  std::ranges::copy(labels, indices.begin());
}

}  // namespace farpoint::cuda
