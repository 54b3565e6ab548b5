// The C interface from C++: what is made is freed, also where calls fail, and threads do not meet. What it
// returns is compared in tests/test_c_interface.py.
#include <doctest/doctest.h>

#include <farpoint.h>

#include <algorithm>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "plain.h"

namespace {

plain::Matrix<float> some_rows(farpoint::Index n, farpoint::Index d) {
  std::mt19937_64 random(9);
  plain::Matrix<float> made(n, d);
  for (float& x : made.elements) {
    x = static_cast<float>(random() % 1000);
  }
  return made;
}

farpoint_matrix described(const plain::Matrix<float>& m) {
  return {m.elements.data(), m.rows, m.columns, 0, FARPOINT_FLOAT32};
}

}  // namespace

TEST_CASE("a selection of the C interface is the plain one") {
  const auto m = some_rows(700, 5);
  const farpoint_matrix points = described(m);
  const auto expected = plain::select(m, 60, 3);
  auto options = farpoint_default_select_options();
  options.start = FARPOINT_START_ROW;
  options.start_row = 3;
  options.assign = 1;
  farpoint_selection* selection = nullptr;
  REQUIRE(farpoint_select(&points, FARPOINT_SQEUCLIDEAN, 60, &options, nullptr, &selection) == FARPOINT_OK);
  REQUIRE(farpoint_selection_size(selection) == 60);
  CHECK(std::equal(expected.indices.begin(), expected.indices.end(), farpoint_selection_indices(selection)));
  // Whole numbers below 2^24: no unit rounds them.
  CHECK(std::equal(expected.values.begin(), expected.values.end(), farpoint_selection_radii(selection)));
  CHECK(farpoint_selection_covering_radius(selection) == expected.next_value);
  CHECK(farpoint_selection_h_min(selection) == expected.values.back());
  CHECK(farpoint_selection_labels(selection)[3] == 0);
  CHECK(farpoint_selection_distances(selection)[3] == 0.0);
  farpoint_selection_free(selection);
}

TEST_CASE("errors and exceptions end at the boundary, and leave nothing behind") {
  auto m = some_rows(3000, 33);
  const farpoint_matrix points = described(m);
  auto* selection = reinterpret_cast<farpoint_selection*>(&m);
  CHECK(farpoint_select(&points, FARPOINT_EUCLIDEAN, 3001, nullptr, nullptr, &selection) ==
        FARPOINT_INVALID_ARGUMENT);
  CHECK(selection == nullptr);
  CHECK(std::string(farpoint_last_error_message()) == "k = 3001 is more than the 3000 rows");

  auto run = farpoint_default_run_options();
  run.memory_limit = 10;
  CHECK(farpoint_select(&points, FARPOINT_EUCLIDEAN, 9, nullptr, &run, &selection) ==
        FARPOINT_LIMIT_TOO_SMALL);

  run.memory_limit = 0;
  run.threads = 3;
  int left = 2;
  run.context = &left;
  run.progress = [](void* context, std::int64_t, std::int64_t, double) -> std::int32_t {
    return --*static_cast<int*>(context) == 0 ? 1 : 0;
  };
  const auto large = some_rows(30000, 64);
  const farpoint_matrix many = described(large);
  CHECK(farpoint_select(&many, FARPOINT_EUCLIDEAN, 30000, nullptr, &run, &selection) == FARPOINT_CANCELLED);
  CHECK(left == 0);

  // It must not throw, but if it does the process lives and no thread waits for another.
  run.progress = [](void*, std::int64_t, std::int64_t, double) -> std::int32_t {
    throw 7;  // NOLINT(misc-throw-by-value-catch-by-reference)
  };
  CHECK(farpoint_select(&many, FARPOINT_EUCLIDEAN, 30000, nullptr, &run, &selection) ==
        FARPOINT_INTERNAL_ERROR);
  CHECK(selection == nullptr);
}

TEST_CASE("calls on several threads do not meet") {
  const auto m = some_rows(4000, 40);
  const auto expected = plain::select(m, 50, 0);
  std::vector<std::thread> threads;
  std::vector<int> right(4, 0);
  for (std::size_t t = 0; t < right.size(); ++t) {
    threads.emplace_back([&, t] {
      const farpoint_matrix points = described(m);
      auto run = farpoint_default_run_options();
      run.threads = 2;
      farpoint_selection* selection = nullptr;
      const auto k = t % 2 == 0 ? 50 : 4001;
      const auto status = farpoint_select(&points, FARPOINT_EUCLIDEAN, k, nullptr, &run, &selection);
      if (t % 2 == 0) {
        right[t] = status == FARPOINT_OK && std::equal(expected.indices.begin(), expected.indices.end(),
                                                       farpoint_selection_indices(selection))
                       ? 1
                       : 0;
      } else {
        right[t] = std::string(farpoint_last_error_message()).starts_with("k = 4001") ? 1 : 0;
      }
      farpoint_selection_free(selection);
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  CHECK(std::ranges::count(right, 1) == 4);
}
