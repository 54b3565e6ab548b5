// All pairs, canonical: no screen can skip any.

#include "cpu/sweep.h"

namespace farpoint::cpu {

void pairwise(const DistanceProblem& problem, std::span<double> values, Control& control) {
  ThreadTeam team(useful_threads(work_of(problem), problem.threads));
  const Frame frame(problem.y, problem.metric, problem.scale, problem.largest, problem.level);
  WorkMemory memory(problem.memory);
  const Points x(problem.x, frame, memory, team, control);
  const Points y(problem.y, frame, memory, team, control);
  const Index columns = y.size();
  // A square of rows whose elements stay in the first-level cache.
  constexpr Index kSquare = 8;
  team.for_each(x.size(), kSquare, control, [&](int thread, Index begin, Index end) {
    for (Index j0 = 0; j0 < columns; j0 += kSquare) {
      if (j0 % 1024 == 0 && stop_requested(control, thread)) {
        return;
      }
      const Index j1 = std::min(j0 + kSquare, columns);
      for (Index i = begin; i < end; ++i) {
        for (Index j = j0; j < j1; ++j) {
          values[static_cast<std::size_t>(i * columns + j)] =
              frame.value(x.row(i), x.self_dot(i), y.row(j), y.self_dot(j));
        }
      }
    }
  });
  control.throw_if_stopped();
}

}  // namespace farpoint::cpu
