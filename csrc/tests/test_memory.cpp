// Work memory: what is counted, what spills, and that a selection within any limit is the same.
#include <doctest/doctest.h>

#include <array>
#include <filesystem>

#include "cpu/select.h"
#include "cpu/work_memory.h"
#include "plain.h"

using farpoint::byte_text;
using farpoint::Control;
using farpoint::Index;
using farpoint::LimitTooSmall;
using farpoint::OutOfMemory;
using farpoint::SpillFailed;
using namespace farpoint::cpu;

namespace {

const std::string kFolder = std::filesystem::temp_directory_path().string();

}  // namespace

TEST_CASE("sizes are written as people read them") {
  CHECK(byte_text(0) == "0 bytes");
  CHECK(byte_text(999) == "999 bytes");
  CHECK(byte_text(1000) == "1.0 kB");
  CHECK(byte_text(999'949) == "999.9 kB");
  CHECK(byte_text(999'950) == "1.0 MB");
  CHECK(byte_text(3'240'000'000) == "3.2 GB");
  CHECK(byte_text(std::numeric_limits<Index>::max()) == "9.2 EB");
}

TEST_CASE("arrays are in memory while they fit, then in a file, and counted as long as they live") {
  WorkMemory memory({3000, kFolder});
  memory.plan(1000);
  {
    WorkArray<double> small(memory, 200, "a test", Counted::now);
    CHECK(memory.most_held() == 2600);
    CHECK(memory.most_spilled() == 0);
    WorkArray<double> large(memory, 100'000, "a test", Counted::now);
    CHECK(memory.most_held() == 2600);
    CHECK(memory.most_spilled() >= 800'000);
    std::ranges::fill(large, 2.5);
    WorkArray<double> moved = std::move(large);
    CHECK(moved[99'999] == 2.5);
    // Another piece of the file shares nothing with the first.
    WorkArray<double> other(memory, 100'000, "a test", Counted::now);
    std::ranges::fill(other, 1.0);
    CHECK(std::ranges::count(moved, 2.5) == 100'000);
  }
  CHECK(memory.fits(2000));
  CHECK_FALSE(memory.fits(2001));
  memory.leave_free(500);
  CHECK(memory.spills(1501));
  CHECK_FALSE(memory.spills(1500));
  CHECK(memory.fits(2000));
  {
    const Room room(memory, 2000);
    CHECK_FALSE(memory.fits(1));
  }
  CHECK(memory.fits(2000));
}

TEST_CASE("slabs keep what they hold where it is") {
  for (const Index limit : {Index{1000}, MemoryOptions::kUnlimited}) {
    WorkMemory memory({limit, kFolder});
    Slabs<int> slabs(memory, "a test", 3, 8);
    std::vector<int*> places;
    for (Index e = 0; e < 1000; ++e) {
      slabs.grow_to(e + 1);
      places.push_back(slabs.entry(e));
      for (int j = 0; j < 3; ++j) {
        slabs.entry(e)[j] = static_cast<int>(e) * 3 + j;
      }
    }
    slabs.grow_to(5000);
    for (Index e = 0; e < 1000; ++e) {
      CHECK(slabs.entry(e) == places[static_cast<std::size_t>(e)]);
      CHECK(slabs.entry(e)[2] == static_cast<int>(e) * 3 + 2);
    }
    CHECK((memory.most_spilled() > 0) == (limit == 1000));
  }
}

TEST_CASE("what cannot be had is an error that says what") {
  WorkMemory memory({1000, kFolder});
  try {
    memory.plan(1001);
    FAIL("the limit is below the plan");
  } catch (const LimitTooSmall& small) {
    CHECK(small.least() == 1001);
  }
  WorkMemory nowhere({1000, kFolder + "/there/is/no/such/folder"});
  CHECK_THROWS_AS(WorkArray<double>(nowhere, 1000, "a test", Counted::now), SpillFailed);
}

// Sanitizers end a process that asks for so much.
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
TEST_CASE("an allocation that fails says how much was asked for, and for what") {
  WorkMemory memory;
  try {
    WorkArray<double> array(memory, Index{1} << 57, "nothing of use", Counted::in_plan);
    FAIL("no machine has an exabyte");
  } catch (const OutOfMemory& full) {
    CHECK(std::string(full.what()).starts_with("farpoint needs 1.2 EB for nothing of use"));
  }
}
#endif

TEST_CASE("a selection is the same within any limit from the least") {
  std::mt19937_64 random(9);
  std::normal_distribution<double> normal;
  plain::Matrix<float> m(1500, 40);
  for (float& x : m.elements) {
    x = static_cast<float>(normal(random));
  }
  const auto expected = plain::select(m, 700, 5);
  SelectProblem problem;
  problem.points = m.view(farpoint::ElementType::float32);
  problem.largest = m.largest();
  const Index first = 5;
  problem.request = {.count = 700, .prior = std::span(&first, 1), .assign = true};
  problem.level = usable_simd_levels().back();
  problem.eager = true;
  problem.threads = 2;
  problem.memory = {1, kFolder};
  Index least = 0;
  try {
    Control control;
    select(problem, control);
  } catch (const LimitTooSmall& small) {
    least = small.least();
  }
  REQUIRE(least > 1500 * 40);
  Index spilled = 0;
  for (const Index spare : {0, 10'000, 100'000, 300'000, 1'000'000, 10'000'000}) {
    problem.memory.limit = least + spare;
    Control control;
    const auto actual = select(problem, control);
    CHECK(actual.indices == expected.indices);
    CHECK(actual.values == expected.values);
    CHECK(actual.statistics.bytes_work <= least + spare);
    spilled = std::max(spilled, actual.statistics.bytes_spilled);
  }
  CHECK(spilled > 0);
}
