#include <doctest/doctest.h>

#include <atomic>
#include <numeric>
#include <stdexcept>
#include <vector>

#include "core/threshold.h"
#include "cpu/thread_team.h"

using farpoint::Control;
using farpoint::Index;
using farpoint::cpu::Barrier;
using farpoint::cpu::ThreadTeam;

TEST_CASE("every piece is done once") {
  for (const int threads : {1, 2, 7}) {
    ThreadTeam team(threads);
    Control control;
    for (const Index count : {Index{0}, Index{1}, Index{10}, Index{1000}}) {
      std::vector<std::atomic<int>> done(static_cast<std::size_t>(count));
      team.for_each(count, 3, control, [&](int thread, Index begin, Index end) {
        CHECK(thread < threads);
        for (Index i = begin; i < end; ++i) {
          ++done[static_cast<std::size_t>(i)];
        }
      });
      for (const auto& times : done) {
        CHECK(times == 1);
      }
    }
  }
}

TEST_CASE("an exception of any thread reaches the caller, and the team lives on") {
  ThreadTeam team(3);
  for (int round = 0; round < 50; ++round) {
    for (int thrower = 0; thrower < 3; ++thrower) {
      CHECK_THROWS_AS(team.run([&](int thread) {
        if (thread == thrower) {
          throw std::runtime_error("mine");
        }
      }),
                      std::runtime_error);
    }
    std::atomic<int> ran{0};
    team.run([&](int) { ++ran; });
    CHECK(ran == 3);
  }
}

TEST_CASE("a barrier separates rounds") {
  constexpr int kThreads = 3;
  constexpr int kRounds = 5000;
  ThreadTeam team(kThreads);
  Barrier barrier(kThreads);
  std::vector<int> counts(kThreads, 0);
  std::atomic<int> wrong{0};
  team.run([&](int thread) {
    for (int round = 0; round < kRounds; ++round) {
      counts[static_cast<std::size_t>(thread)] = round + 1;
      barrier.wait();
      if (std::accumulate(counts.begin(), counts.end(), 0) != kThreads * (round + 1)) {
        ++wrong;
      }
      barrier.wait();
    }
  });
  CHECK(wrong == 0);
}

TEST_CASE("a threshold cuts ties by row") {
  const farpoint::Threshold cut{{2.0, 7}};
  CHECK(cut.admits(3.0, 100));
  CHECK(cut.admits(2.0, 7));
  CHECK_FALSE(cut.admits(2.0, 8));
  CHECK_FALSE(cut.admits(1.0, 0));
  CHECK(farpoint::PointKey{2.0, 3}.before({2.0, 4}));
  CHECK(farpoint::PointKey{2.5, 9}.before({2.0, 4}));
}
