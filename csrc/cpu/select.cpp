#include "cpu/select.h"

#include "core/tuning.h"
#include "cpu/buckets.h"
#include "cpu/stages.h"

namespace farpoint::cpu {
namespace {

double work_of(const SelectProblem& problem) {
  return static_cast<double>(problem.points.rows) * static_cast<double>(problem.points.columns) *
         static_cast<double>(problem.request.count + problem.anchors.rows +
                             static_cast<Index>(problem.selected.size()));
}

}  // namespace

SelectResult select(const SelectProblem& problem, Control& control) {
  // Tests of the levels' own schedule ask for it by name.
  if (!problem.eager && buckets_suit(problem)) {
    ThreadTeam team(bucket_threads(problem));
    return select_by_buckets(problem, team, control);
  }
  ThreadTeam team(useful_threads(work_of(problem), problem.threads));
  const Frame frame(problem.points, problem.metric, problem.scale, problem.largest, problem.level);
  const Points points(problem.points, frame, team, control);
  control.throw_if_stopped();
  CpuStages stages(problem, points, team, control);
  return run_select(problem.request, stages, control);
}

}  // namespace farpoint::cpu
