// How a call runs: farpoint_run_options, checked; and the engine's progress as the caller's function hears
// it.
#pragma once

#include "c/farpoint.h"
#include "c/metrics.h"
#include "core/control.h"
#include "cpu/simd_level.h"
#include "cpu/work_memory.h"

namespace farpoint::c {

struct Run {
  int threads = 1;
  cpu::SimdLevel level = cpu::SimdLevel::baseline;
  cpu::MemoryOptions memory;
  farpoint_progress_function progress = nullptr;
  void* context = nullptr;
};

Run check_run(const farpoint_run_options* given);

// What the progress function hears. The unit is known only after the matrices were looked through, when
// there are no picks yet.
class Reporter {
 public:
  explicit Reporter(const Run& run, const Metric& metric, Index total = 0)
      : run_(run), metric_(metric), total_(total) {}

  void set_unit(Unit unit) { unit_ = unit; }
  // May be called once; the reporter must outlive what it returns.
  Control::Listener listener() const;

 private:
  const Run& run_;
  const Metric& metric_;
  Index total_;
  Unit unit_;
};

}  // namespace farpoint::c
