// Values of all pairs: refinement without a screen. Twin of cpu/pairwise.cpp.

#include <algorithm>

#include "core/tuning.h"
#include "cuda/distances.h"
#include "cuda/passes.h"
#include "cuda/points.h"

namespace farpoint::cuda {

void pairwise(const DistanceProblem& problem, std::span<double> values, Control& control) {
  const Device device(problem.options);
  const Frame frame(problem.x, problem.metric, problem.scale, problem.largest, device, control);
  const Points y(problem.y, frame, Placement::resident, device, control);
  const Points x(problem.x, frame, Placement::resident, device, control);
  // So many rows of x at a time that their values fit a buffer, at least one.
  const Index most =
      std::max<Index>(tuning::kStageBytes / (y.size() * static_cast<Index>(sizeof(double))), 1);
  Buffer<double> out(std::min(most, x.size()) * y.size());
  for (Index begin = 0; begin < x.size(); begin += most) {
    const Index count = std::min(most, x.size() - begin);
    Rows rows = x.rows();
    rows.base += begin * rows.stride;
    all_pairs(frame.contract(), rows, count, x.self_dots() != nullptr ? x.self_dots() + begin : nullptr,
              y.rows(), y.size(), y.self_dots(), out.data(), device);
    read(device,
         values.subspan(static_cast<std::size_t>(begin * y.size()),
                        static_cast<std::size_t>(count * y.size())),
         out.data(), control);
  }
}

}  // namespace farpoint::cuda
