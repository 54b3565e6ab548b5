#include "cpu/select.h"

#include <algorithm>

#include "core/levels.h"
#include "core/tuning.h"
#include "cpu/buckets.h"
#include "cpu/memory_plan.h"
#include "cpu/stages.h"

namespace farpoint::cpu {
namespace {

double work_of(const SelectProblem& problem) {
  return static_cast<double>(problem.points.rows) * static_cast<double>(problem.points.columns) *
         static_cast<double>(list_length(problem));
}

}  // namespace

SelectResult select(const SelectProblem& problem, Control& control) {
  WorkMemory memory(problem.memory);
  Index least = MemoryOptions::kUnlimited;
  // Tests of the levels' own schedule ask for it by name.
  if (!problem.eager && buckets_suit(problem)) {
    const int threads = bucket_threads(problem);
    least = memory_for_buckets(problem, threads);
    if (memory.fits(least)) {
      memory.plan(least);
      ThreadTeam team(threads);
      try {
        SelectResult result = select_by_buckets(problem, team, control);
        result.statistics.bytes_work = memory.most_held();
        return result;
      } catch (const std::bad_alloc&) {
        throw OutOfMemory(least, "buckets of the points");
      }
    }
  }
  ThreadTeam team(useful_threads(work_of(problem), problem.threads));
  const Frame frame(problem.points, problem.metric, problem.scale, problem.largest, problem.level);
  memory.plan(std::min(least, least_for_levels(problem, frame, team.size())));
  const Points points(problem.points, frame, memory, team, control);
  control.throw_if_stopped();
  CpuStages stages(problem, points, team, control, memory);
  return run_select(problem.request, stages, control);
}

}  // namespace farpoint::cpu
