// Distances without selection: nearest rows, the closest pair, the covering radius, all pairs.

#include "cpu/distances.h"

#include <algorithm>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include "c/boundary.h"
#include "c/farpoint.h"
#include "c/matrices.h"
#include "c/metrics.h"
#include "c/run.h"
#include "core/tuning.h"

namespace farpoint::c {
namespace {

// Two matrices, or one if the second is not there, as the engine takes them.
class Pair {
 public:
  Pair(const farpoint_matrix* x, const farpoint_matrix* y, bool with_y, farpoint_metric metric,
       const farpoint_run_options* run)
      : metric_(metric),
        run_(check_run(run)),
        reporter_(run_, metric_),
        control_(reporter_.listener(), tuning::kPollPeriod) {
    matrices_.push_back({check_matrix(x, "x", metric_), "x"});
    if (with_y) {
      matrices_.push_back({check_matrix(y, "y", metric_), "y"});
      check_same_kind(matrices_[0].view, "x", matrices_[1].view, "y");
    }
  }
  ~Pair() = default;
  Pair(const Pair&) = delete;
  Pair& operator=(const Pair&) = delete;

  const MatrixView& x() const { return matrices_.front().view; }
  const MatrixView& y() const { return matrices_.back().view; }

  // Looks through the matrices, then does work(problem, control).
  template <class Work>
  auto run(const Work& work) {
    const Frame frame = make_frame(matrices_, metric_, run_, 0, control_);
    unit_ = frame.unit;
    cpu::DistanceProblem problem;
    problem.x = frame.matrices.front();
    problem.y = frame.matrices.back();
    problem.metric = metric_.kind();
    problem.scale = frame.scale;
    problem.largest = frame.largest;
    problem.threads = run_.threads;
    problem.level = run_.level;
    problem.memory = frame.memory;
    const std::string other = matrices_.size() > 1 ? " and " + std::to_string(y().rows) + " rows of y" : "";
    return frame.within_limit(run_, shape_text(x()) + other, [&] { return work(problem, control_); });
  }
  // After run().
  double distance(double value) const { return metric_.distance(value, unit_); }

 private:
  Metric metric_;
  Run run_;
  Reporter reporter_;
  Control control_;
  std::vector<NamedMatrix> matrices_;
  Unit unit_;
};

// Of each row of x: the distance to its nearest row of y, and its number.
struct NearestRows {
  std::vector<double> distances;
  std::vector<Index> indices;
};

NearestRows nearest(const farpoint_matrix* x, const farpoint_matrix* y, farpoint_metric metric,
                    const farpoint_run_options* run) {
  Pair pair(x, y, true, metric, run);
  NearestRows found;
  found.distances.resize(static_cast<std::size_t>(pair.x().rows));
  found.indices.resize(found.distances.size());
  pair.run([&](const cpu::DistanceProblem& problem, Control& control) {
    cpu::nearest(problem, found.distances, found.indices, control);
  });
  for (double& value : found.distances) {
    value = pair.distance(value);
  }
  return found;
}

void pairwise(const farpoint_matrix* x, const farpoint_matrix* y, farpoint_metric metric,
              const farpoint_run_options* run, double* distances) {
  Pair pair(x, y, true, metric, run);
  if (distances == nullptr) {
    refuse("distances, where the result goes, must not be NULL");
  }
  constexpr Index kMost = std::numeric_limits<Index>::max() / static_cast<Index>(sizeof(double));
  if (pair.x().rows > kMost / pair.y().rows) {
    refuse(std::to_string(pair.x().rows) + " x " + std::to_string(pair.y().rows) +
           " distances are more than memory can hold");
  }
  const std::span<double> values(distances, static_cast<std::size_t>(pair.x().rows * pair.y().rows));
  pair.run([&](const cpu::DistanceProblem& problem, Control& control) {
    cpu::pairwise(problem, values, control);
  });
  for (double& value : values) {
    value = pair.distance(value);
  }
}

ClosestPair closest_pair(const farpoint_matrix* x, farpoint_metric metric, const farpoint_run_options* run) {
  Pair pair(x, nullptr, false, metric, run);
  if (pair.x().rows < 2) {
    refuse("x has one row; a pairwise distance needs at least two");
  }
  ClosestPair found = pair.run([](const cpu::DistanceProblem& problem, Control& control) {
    return cpu::closest_pair(problem, control);
  });
  found.value = pair.distance(found.value);
  return found;
}

}  // namespace
}  // namespace farpoint::c

farpoint_status farpoint_nearest(const farpoint_matrix* x, const farpoint_matrix* y, farpoint_metric metric,
                                 const farpoint_run_options* run, double* distances, int64_t* indices) {
  using namespace farpoint::c;
  return guarded([&] {
    const NearestRows found = nearest(x, y, metric, run);
    if (distances != nullptr) {
      std::ranges::copy(found.distances, distances);
    }
    if (indices != nullptr) {
      std::ranges::copy(found.indices, indices);
    }
  });
}

farpoint_status farpoint_closest_pair(const farpoint_matrix* x, farpoint_metric metric,
                                      const farpoint_run_options* run, double* distance, int64_t* i,
                                      int64_t* j) {
  using namespace farpoint::c;
  return guarded([&] {
    const farpoint::ClosestPair found = closest_pair(x, metric, run);
    if (distance != nullptr) {
      *distance = found.value;
    }
    if (i != nullptr) {
      *i = found.i;
    }
    if (j != nullptr) {
      *j = found.j;
    }
  });
}

farpoint_status farpoint_covering_radius(const farpoint_matrix* x, const farpoint_matrix* y,
                                         farpoint_metric metric, const farpoint_run_options* run,
                                         double* radius) {
  using namespace farpoint::c;
  return guarded([&] {
    if (radius == nullptr) {
      refuse("radius, where the result goes, must not be NULL");
    }
    const NearestRows found = nearest(x, y, metric, run);
    *radius = *std::ranges::max_element(found.distances);
  });
}

farpoint_status farpoint_pairwise_distances(const farpoint_matrix* x, const farpoint_matrix* y,
                                            farpoint_metric metric, const farpoint_run_options* run,
                                            double* distances) {
  using namespace farpoint::c;
  return guarded([&] { pairwise(x, y, metric, run, distances); });
}
