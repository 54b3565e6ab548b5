// farpoint_select: what the caller wants, checked, as a problem of the engine; and what comes of it.

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "c/boundary.h"
#include "c/center.h"
#include "c/constraints.h"
#include "c/farpoint.h"
#include "c/matrices.h"
#include "c/metrics.h"
#include "c/options.h"
#include "c/run.h"
#include "core/tuning.h"
#include "cpu/select.h"

struct farpoint_selection {
  std::vector<std::int64_t> indices;
  std::vector<double> radii;
  double covering_radius = 0.0;
  double upper_bound = 0.0;
  bool assigned = false;
  std::vector<std::int64_t> labels;
  std::vector<double> distances;

  double h_min() const { return radii.empty() ? farpoint::kInfinity : *std::ranges::min_element(radii); }
};

namespace farpoint::c {
namespace {

void check_min_distance(double min_distance) {
  if (!(min_distance >= 0)) {
    refuse("min_distance must be at least 0, not " + std::to_string(min_distance));
  }
}

void check_start(const farpoint_select_options& options, bool keeps_away) {
  if (options.start < FARPOINT_START_DEFAULT || options.start > FARPOINT_START_CENTER) {
    refuse("start = " + std::to_string(options.start) +
           " is not one of FARPOINT_START_DEFAULT, FARPOINT_START_ROW and FARPOINT_START_CENTER");
  }
  if (keeps_away && options.start != FARPOINT_START_DEFAULT) {
    refuse(
        "start has no meaning together with selected or anchors: the first pick is the row farthest from "
        "them");
  }
}

std::unique_ptr<farpoint_selection> selection_of(SelectResult result, const Metric& metric, Unit unit,
                                                 bool farthest_first, bool assign) {
  auto selection = std::make_unique<farpoint_selection>();
  const auto to_distances = [&](std::vector<double>& values) {
    for (double& value : values) {
      value = metric.distance(value, unit);
    }
    return std::move(values);
  };
  selection->indices = std::move(result.indices);
  selection->radii = to_distances(result.values);
  selection->covering_radius = metric.distance(result.next_value, unit);
  selection->upper_bound = farthest_first ? metric.largest_spread(selection->h_min()) : kInfinity;
  selection->assigned = assign;
  selection->labels = std::move(result.labels);
  selection->distances = to_distances(result.label_values);
  return selection;
}

std::unique_ptr<farpoint_selection> select(const farpoint_matrix* points, farpoint_metric metric_name,
                                           Index k, const farpoint_select_options* given_options,
                                           const farpoint_run_options* given_run) {
  const Metric metric(metric_name);
  const auto options = known_options(given_options, "select_options");
  const Run run = check_run(given_run);
  check_min_distance(options.min_distance);
  std::vector<NamedMatrix> matrices = {{check_matrix(points, "points", metric), "points"}};
  if (options.anchors != nullptr) {
    matrices.push_back({check_matrix(options.anchors, "anchors", metric), "anchors"});
    check_same_kind(matrices[0].view, "points", matrices[1].view, "anchors");
  }
  const Constraints constraints(options, matrices[0].view.rows, metric);
  const bool keeps_away = options.anchors != nullptr || !constraints.selected().empty();
  check_start(options, keeps_away);
  const Index count = constraints.check_count(k, options.min_distance);

  Reporter reporter(run, metric, k);
  Control control(reporter.listener(), tuning::kPollPeriod);
  const Frame frame = make_frame(matrices, metric, run, constraints.bytes_held(), control);
  reporter.set_unit(frame.unit);

  Index first = -1;
  if (!keeps_away) {
    const std::vector<bool> may_be = constraints.may_be_first(count);
    if (options.start == FARPOINT_START_ROW) {
      constraints.check_first(options.start_row, may_be);
      first = options.start_row;
    } else if (options.start == FARPOINT_START_CENTER) {
      first = center_row(frame.matrices[0], frame, metric, run.level, may_be, control);
    } else {
      first = constraints.best_first(may_be);
    }
  }

  cpu::SelectProblem problem;
  problem.points = frame.matrices[0];
  problem.metric = metric.kind();
  problem.scale = frame.scale;
  problem.largest = frame.largest;
  problem.selected = constraints.selected();
  problem.excluded = constraints.excluded();
  if (frame.matrices.size() > 1) {
    problem.anchors = frame.matrices[1];
  }
  problem.request.count = count;
  if (first >= 0) {
    problem.request.prior = {&first, 1};
  }
  problem.request.minimum_value =
      metric.smallest_value(options.min_distance, frame.unit, problem.points.type);
  problem.request.assign = options.assign != 0;
  problem.request.order = constraints.order();
  problem.threads = run.threads;
  problem.level = run.level;
  problem.memory = frame.memory;
  SelectResult result =
      frame.within_limit(run, shape_text(problem.points) + " and k = " + std::to_string(count),
                         [&] { return cpu::select(problem, control); });
  return selection_of(std::move(result), metric, frame.unit, constraints.farthest_first(),
                      problem.request.assign);
}

}  // namespace
}  // namespace farpoint::c

farpoint_status farpoint_select(const farpoint_matrix* points, farpoint_metric metric, int64_t k,
                                const farpoint_select_options* options, const farpoint_run_options* run,
                                farpoint_selection** selection) {
  using namespace farpoint::c;
  return guarded([&] {
    if (selection == nullptr) {
      refuse("selection, where the result goes, must not be NULL");
    }
    *selection = nullptr;
    *selection = select(points, metric, k, options, run).release();
  });
}

void farpoint_selection_free(farpoint_selection* selection) {
  const std::unique_ptr<farpoint_selection> owned(selection);
}

int64_t farpoint_selection_size(const farpoint_selection* selection) {
  return selection == nullptr ? 0 : static_cast<int64_t>(selection->indices.size());
}

const int64_t* farpoint_selection_indices(const farpoint_selection* selection) {
  return selection == nullptr ? nullptr : selection->indices.data();
}

const double* farpoint_selection_radii(const farpoint_selection* selection) {
  return selection == nullptr ? nullptr : selection->radii.data();
}

double farpoint_selection_h_min(const farpoint_selection* selection) {
  return selection == nullptr ? std::numeric_limits<double>::quiet_NaN() : selection->h_min();
}

double farpoint_selection_covering_radius(const farpoint_selection* selection) {
  return selection == nullptr ? std::numeric_limits<double>::quiet_NaN() : selection->covering_radius;
}

double farpoint_selection_upper_bound(const farpoint_selection* selection) {
  return selection == nullptr ? std::numeric_limits<double>::quiet_NaN() : selection->upper_bound;
}

const int64_t* farpoint_selection_labels(const farpoint_selection* selection) {
  return selection == nullptr || !selection->assigned ? nullptr : selection->labels.data();
}

const double* farpoint_selection_distances(const farpoint_selection* selection) {
  return selection == nullptr || !selection->assigned ? nullptr : selection->distances.data();
}
