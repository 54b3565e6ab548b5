#include "c/run.h"

#include <algorithm>
#include <filesystem>
#include <string>
#include <system_error>
#include <thread>

#if defined(__linux__)
#include <sched.h>
#endif

#include "c/boundary.h"
#include "c/options.h"

namespace farpoint::c {
namespace {

constexpr int kMostThreads = 1024;

// That this process may use: fewer than there are, in a container or under taskset.
int processors() {
#if defined(__linux__)
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) == 0) {
    return std::max(CPU_COUNT(&set), 1);
  }
#endif
  return std::max(static_cast<int>(std::thread::hardware_concurrency()), 1);
}

std::string spill_folder(const char* given) {
  std::error_code error;
  if (given == nullptr) {
    const std::filesystem::path folder = std::filesystem::temp_directory_path(error);
    return error ? "/tmp" : folder.string();
  }
  if (!std::filesystem::is_directory(given, error)) {
    refuse("spill_folder = \"" + std::string(given) + "\" is not a folder");
  }
  return given;
}

}  // namespace

Run check_run(const farpoint_run_options* given) {
  const auto options = known_options(given, "run_options");
  Run run;
  if (options.threads < 0) {
    refuse("threads must be at least 1, not " + std::to_string(options.threads) + "; 0 uses all processors");
  }
  if (options.reserved != 0) {
    refuse("reserved must be 0, not " + std::to_string(options.reserved));
  }
  if (options.memory_limit < 0) {
    refuse("memory_limit must be at least 1 byte, not " + std::to_string(options.memory_limit) +
           "; 0 sets no limit");
  }
  run.threads = std::min(options.threads == 0 ? processors() : options.threads, kMostThreads);
  run.level = cpu::choose_simd_level(options.simd_level == nullptr ? "" : options.simd_level);
  if (options.memory_limit > 0) {
    run.memory.limit = options.memory_limit;
    run.memory.spill_folder = spill_folder(options.spill_folder);
  } else if (options.spill_folder != nullptr) {
    run.memory.spill_folder = spill_folder(options.spill_folder);
  }
  run.progress = options.progress;
  run.context = options.context;
  return run;
}

Control::Listener Reporter::listener() const {
  if (run_.progress == nullptr) {
    return {};
  }
  return [this](const Control::Progress& now) {
    const double radius = now.values.empty() ? kInfinity : metric_.distance(now.values.back(), unit_);
    return run_.progress(run_.context, static_cast<Index>(now.picks.size()), total_, radius) == 0;
  };
}

}  // namespace farpoint::c
