// The emulation of CUDA, against what CUDA's manuals say: the tests of kernels rest on it.
#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <functional>
#include <numeric>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "emulation/device.h"
#include "emulation/sanitizers.h"

using namespace farpoint::cuda;
using farpoint::emulation::Order;
using farpoint::emulation::Settings;
using farpoint::emulation::settings;

namespace {

constexpr unsigned kAll = 0xffffffffU;

// Puts the settings back.
class Restore {
 public:
  Restore() : before_(settings()) {}
  ~Restore() { settings() = before_; }
  Restore(const Restore&) = delete;
  Restore& operator=(const Restore&) = delete;

 private:
  Settings before_;
};

template <class F>
void for_each_order(F&& run) {
  const Restore restore;
  for (const Order order : {Order::rising, Order::falling, Order::shuffled}) {
    for (std::uint64_t seed = 1; seed <= (order == Order::shuffled ? 5 : 1); ++seed) {
      settings().order = order;
      settings().seed = seed;
      CAPTURE(static_cast<int>(order));
      CAPTURE(seed);
      run();
    }
  }
}

// Device memory, read by copying.
template <class T>
class Array {
 public:
  explicit Array(std::size_t size, T value = {}) : Array(std::vector<T>(size, value)) {}
  explicit Array(const std::vector<T>& values) : size_(values.size()) {
    REQUIRE(cudaMalloc(&data_, size_ * sizeof(T)) == cudaSuccess);
    REQUIRE(cudaMemcpy(data_, values.data(), size_ * sizeof(T), cudaMemcpyHostToDevice) == cudaSuccess);
  }
  ~Array() { static_cast<void>(cudaFree(data_)); }
  Array(const Array&) = delete;
  Array& operator=(const Array&) = delete;

  T* data() { return data_; }
  std::vector<T> read() const {
    std::vector<T> result(size_);
    REQUIRE(cudaMemcpy(result.data(), data_, size_ * sizeof(T), cudaMemcpyDeviceToHost) == cudaSuccess);
    return result;
  }

 private:
  T* data_ = nullptr;
  std::size_t size_ = 0;
};

struct Ending {
  std::string message;  // on standard error
  int status;           // waitpid's
};

// Of a process of its own that does `run`.
Ending run_apart(const std::function<void()>& run) {
  std::array<int, 2> ends{};
  REQUIRE(pipe(ends.data()) == 0);
  static_cast<void>(std::fflush(nullptr));
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    // doctest would report the signal.
    static_cast<void>(std::signal(SIGABRT, SIG_DFL));
    dup2(ends[1], STDERR_FILENO);
    run();
    _exit(0);
  }
  close(ends[1]);
  Ending ending{};
  std::array<char, 512> part{};
  for (ssize_t got = 0; (got = read(ends[0], part.data(), part.size())) > 0;) {
    ending.message.append(part.data(), static_cast<std::size_t>(got));
  }
  close(ends[0]);
  waitpid(child, &ending.status, 0);
  return ending;
}

void check_abort(const std::function<void()>& run, std::initializer_list<const char*> parts) {
  const Ending ending = run_apart(run);
  CAPTURE(ending.message);
  CHECK(WIFSIGNALED(ending.status));
  CHECK(WTERMSIG(ending.status) == SIGABRT);
  for (const char* const part : parts) {
    CHECK(ending.message.find(part) != std::string::npos);
  }
}

struct Words {
  unsigned words[1024];
};

// Coordinates and barriers.

__global__ void write_coordinates(unsigned* out) {
  const unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
  out[i] = threadIdx.x + 1000 * blockIdx.x + 100000 * gridDim.x;
}

// The sum over the block's threads, as every thread sees it.
__global__ void sum_by_halves(const unsigned* in, unsigned* out) {
  auto& shared = shared_memory<Words>();
  const unsigned i = threadIdx.x;
  shared.words[i] = in[blockIdx.x * blockDim.x + i];
  __syncthreads();
  for (unsigned half = blockDim.x / 2; half > 0; half /= 2) {
    if (i < half) {
      shared.words[i] += shared.words[i + half];
    }
    __syncthreads();
  }
  out[blockIdx.x * blockDim.x + i] = shared.words[0];
}

__global__ void vote_in_block(int* out) {
  const int i = static_cast<int>(threadIdx.x);
  out[3 * i] = __syncthreads_count(i % 3 == 0 ? 7 : 0);
  out[3 * i + 1] = __syncthreads_or(i == 5 ? 2 : 0);
  out[3 * i + 2] = __syncthreads_and(i != 5 ? 2 : 0);
}

// Each thread reads its neighbour's word; `barrier` is what makes that right.
__global__ void read_neighbour(unsigned* out, bool barrier) {
  auto& shared = shared_memory<Words>();
  shared.words[threadIdx.x] = threadIdx.x;
  if (barrier) {
    __syncthreads();
  }
  out[threadIdx.x] = shared.words[(threadIdx.x + 1) % blockDim.x];
}

__global__ void read_neighbour_in_warp(unsigned* out, bool barrier) {
  auto& shared = shared_memory<Words>();
  shared.words[threadIdx.x] = threadIdx.x;
  if (barrier) {
    __syncwarp();
  }
  out[threadIdx.x] = shared.words[(threadIdx.x & ~31U) + (threadIdx.x + 1) % 32];
}

// Words that are read before the next round overwrites them, if the second barrier is there.
__global__ void rotate(unsigned* out, unsigned rounds, bool second_barrier) {
  auto& shared = shared_memory<Words>();
  unsigned value = threadIdx.x;
  for (unsigned r = 0; r < rounds; ++r) {
    shared.words[threadIdx.x] = value;
    __syncthreads();
    value = shared.words[(threadIdx.x + 1) % blockDim.x];
    if (second_barrier) {
      __syncthreads();
    }
  }
  out[threadIdx.x] = value;
}

__global__ void leak_shared(unsigned* out) {
  auto& shared = shared_memory<Words>();
  out[blockIdx.x * blockDim.x + threadIdx.x] = shared.words[threadIdx.x];
  shared.words[threadIdx.x] = 1;
}

}  // namespace

TEST_CASE("threads know where they are") {
  for_each_order([] {
    Array<unsigned> out(std::size_t{5} * 96);
    REQUIRE(launch(write_coordinates, {.blocks = 5, .threads = 96}, out.data()) == cudaSuccess);
    const auto actual = out.read();
    for (unsigned i = 0; i < 5 * 96; ++i) {
      CHECK(actual[i] == i % 96 + 1000 * (i / 96) + 500000);
    }
  });
}

TEST_CASE("barriers order a block's threads") {
  for_each_order([] {
    for (const int threads : {1, 2, 32, 256, 1024}) {
      std::vector<unsigned> in(3 * static_cast<std::size_t>(threads));
      std::iota(in.begin(), in.end(), 7U);
      Array<unsigned> device(in);
      Array<unsigned> out(in.size());
      REQUIRE(launch(sum_by_halves, {.blocks = 3, .threads = threads, .shared_bytes = sizeof(Words)},
                     device.data(), out.data()) == cudaSuccess);
      const auto actual = out.read();
      for (std::size_t i = 0; i < in.size(); ++i) {
        const auto block = in.begin() + static_cast<std::ptrdiff_t>(i) / threads * threads;
        CHECK(actual[i] == std::accumulate(block, block + threads, 0U));
      }
    }
    Array<int> votes(std::size_t{3} * 100);
    REQUIRE(launch(vote_in_block, {.threads = 100}, votes.data()) == cudaSuccess);
    const auto actual = votes.read();
    for (std::size_t i = 0; i < 100; ++i) {
      CHECK(actual[3 * i] == 34);
      CHECK(actual[3 * i + 1] == 1);
      CHECK(actual[3 * i + 2] == 0);
    }
  });
}

namespace {

std::size_t count_results(const std::function<void(unsigned*)>& run) {
  std::set<std::vector<unsigned>> different;
  for_each_order([&] {
    Array<unsigned> out(64);
    run(out.data());
    different.insert(out.read());
  });
  return different.size();
}

void check_race(const std::function<void(unsigned*)>& run) {
#if defined(FARPOINT_INSTRUMENTED_FOR_RACES)
  const Ending ending = run_apart([&] {
    Array<unsigned> out(64);
    run(out.data());
  });
  CAPTURE(ending.message);
  CHECK(ending.message.find("ThreadSanitizer: data race") != std::string::npos);
#else
  CHECK(count_results(run) > 1);
#endif
}

}  // namespace

TEST_CASE("missing barriers show, as results that depend on the order of threads or to ThreadSanitizer") {
  const LaunchShape shape{.threads = 64, .shared_bytes = sizeof(Words)};
  CHECK(count_results([&](unsigned* out) { launch(read_neighbour, shape, out, true); }) == 1);
  CHECK(count_results([&](unsigned* out) { launch(read_neighbour_in_warp, shape, out, true); }) == 1);
  CHECK(count_results([&](unsigned* out) { launch(rotate, shape, out, 5U, true); }) == 1);
  check_race([&](unsigned* out) { launch(read_neighbour, shape, out, false); });
  check_race([&](unsigned* out) { launch(read_neighbour_in_warp, shape, out, false); });
  check_race([&](unsigned* out) { launch(rotate, shape, out, 5U, false); });
}

TEST_CASE("shared memory is garbage when a block begins") {
  Array<unsigned> out(std::size_t{4} * 32);
  for (int repetition = 0; repetition < 2; ++repetition) {
    REQUIRE(launch(leak_shared, {.blocks = 4, .threads = 32, .shared_bytes = sizeof(Words)}, out.data()) ==
            cudaSuccess);
    for (const unsigned word : out.read()) {
      CHECK(word == 0xa5a5a5a5U);
    }
  }
}

// Warps.

namespace {

enum class Shuffle { index, exclusive_or, down, up };

template <class T>
__global__ void shuffle(T* out, Shuffle kind, int argument, int width) {
  const T mine = static_cast<T>(100 + threadIdx.x);
  T result = 0;
  switch (kind) {
    case Shuffle::index:
      result = __shfl_sync(kAll, mine, argument, width);
      break;
    case Shuffle::exclusive_or:
      result = __shfl_xor_sync(kAll, mine, argument, width);
      break;
    case Shuffle::down:
      result = __shfl_down_sync(kAll, mine, static_cast<unsigned>(argument), width);
      break;
    case Shuffle::up:
      result = __shfl_up_sync(kAll, mine, static_cast<unsigned>(argument), width);
      break;
  }
  out[threadIdx.x] = result;
}

// The programming guide's words.
int shuffle_source(Shuffle kind, int lane, int argument, int width) {
  const int first = lane / width * width;
  const int last = first + width - 1;
  switch (kind) {
    case Shuffle::index:
      return first + (argument % width + width) % width;
    case Shuffle::exclusive_or: {
      const int from = lane ^ argument;
      return from <= last ? from : lane;
    }
    case Shuffle::down:
      return lane + argument <= last ? lane + argument : lane;
    case Shuffle::up:
      return lane - argument >= first ? lane - argument : lane;
  }
  return -1;
}

template <class T>
void check_shuffles() {
  for (const Shuffle kind : {Shuffle::index, Shuffle::exclusive_or, Shuffle::down, Shuffle::up}) {
    for (const int width : {1, 2, 8, 16, 32}) {
      for (int argument = kind == Shuffle::index ? -2 : 0; argument < 32; ++argument) {
        Array<T> out(64);
        REQUIRE(launch(shuffle<T>, {.threads = 64}, out.data(), kind, argument, width) == cudaSuccess);
        const auto actual = out.read();
        for (int i = 0; i < 64; ++i) {
          const int from = i / 32 * 32 + shuffle_source(kind, i % 32, argument, width);
          CHECK(actual[static_cast<std::size_t>(i)] == static_cast<T>(100 + from));
        }
      }
    }
  }
}

// The halves of a warp do different things at the same time, and meet again.
__global__ void part_ways(unsigned* out) {
  unsigned value = threadIdx.x;
  const bool low = threadIdx.x % 32 < 16;
  const unsigned mask = low ? 0x0000ffffU : 0xffff0000U;
  if (low) {
    for (int offset = 8; offset > 0; offset /= 2) {
      value += __shfl_xor_sync(mask, value, offset);
    }
    value += __ballot_sync(mask, threadIdx.x % 2 == 0 ? 1 : 0) << 16;
  } else {
    value = __shfl_sync(mask, value, 3, 16);
    __syncwarp(mask);
    value += __all_sync(mask, 1) == 1 && __any_sync(mask, 0) == 0 ? 1000 : 0;
  }
  __syncwarp();
  out[threadIdx.x] = value + (__all_sync(kAll, low ? 1 : 0) == 0 ? 10000 : 0);
}

__global__ void reduce_lanes(unsigned* sums, int* largest, int* smallest) {
  const unsigned mask = threadIdx.x % 2 == 0 ? 0x55555555U : 0xaaaaaaaaU;
  sums[threadIdx.x] = __reduce_add_sync(mask, 0xf0000000U + threadIdx.x);
  largest[threadIdx.x] = __reduce_max_sync(mask, 5 - static_cast<int>(threadIdx.x));
  smallest[threadIdx.x] = __reduce_min_sync(mask, 5 - static_cast<int>(threadIdx.x));
}

}  // namespace

TEST_CASE("shuffles of every kind, width and distance") {
  check_shuffles<int>();
  check_shuffles<double>();
  const Restore restore;
  settings().order = Order::shuffled;
  check_shuffles<unsigned>();
  check_shuffles<float>();
  check_shuffles<std::int64_t>();
  check_shuffles<unsigned long long>();
}

TEST_CASE("parts of a warp work apart") {
  for_each_order([] {
    Array<unsigned> out(64);
    REQUIRE(launch(part_ways, {.threads = 64}, out.data()) == cudaSuccess);
    const auto actual = out.read();
    for (unsigned i = 0; i < 64; ++i) {
      const unsigned first = i / 32 * 32;
      const unsigned expected = i % 32 < 16 ? 16 * first + 120 + (0x5555U << 16) : first + 16 + 3 + 1000;
      CHECK(actual[i] == expected + 10000);
    }
    Array<unsigned> sums(32);
    Array<int> largest(32);
    Array<int> smallest(32);
    REQUIRE(launch(reduce_lanes, {.threads = 32}, sums.data(), largest.data(), smallest.data()) ==
            cudaSuccess);
    for (std::size_t i = 0; i < 32; ++i) {
      CHECK(sums.read()[i] == (i % 2 == 0 ? 240 : 256));
      CHECK(largest.read()[i] == (i % 2 == 0 ? 5 : 4));
      CHECK(smallest.read()[i] == (i % 2 == 0 ? -25 : -26));
    }
  });
}

// Atomics.

namespace {

struct Counters {
  unsigned sum;
  int least;
  unsigned most;
  unsigned bits;
  unsigned long long large;
  float single;
  double real;
  unsigned lock;
  unsigned guarded;
  unsigned first;
};

__global__ void count(Counters* counters, unsigned* order) {
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  order[atomicAdd(&counters->sum, 1U)] = threadIdx.x;
  atomicMin(&counters->least, -i);
  atomicMax(&counters->most, static_cast<unsigned>(i));
  atomicOr(&counters->bits, 1U << (i % 7));
  atomicAdd(&counters->large, 1ULL << 33);
  atomicAdd(&counters->single, 0.5F);
  atomicAdd(&counters->real, 0.25);
  atomicCAS(&counters->first, 0U, static_cast<unsigned>(i) + 1);
  while (atomicCAS(&counters->lock, 0U, 1U) != 0) {
  }
  __threadfence();
  counters->guarded += 1;
  __threadfence();
  atomicExch(&counters->lock, 0U);
}

}  // namespace

TEST_CASE("atomics") {
  for_each_order([] {
    Array<Counters> counters(1);
    Array<unsigned> order(std::size_t{4} * 64);
    REQUIRE(launch(count, {.blocks = 4, .threads = 64}, counters.data(), order.data()) == cudaSuccess);
    const Counters actual = counters.read()[0];
    CHECK(actual.sum == 256);
    CHECK(actual.least == -255);
    CHECK(actual.most == 255);
    CHECK(actual.bits == 127);
    CHECK(actual.large == 256ULL << 33);
    CHECK(actual.single == 128.0F);
    CHECK(actual.real == 64.0);
    CHECK(actual.guarded == 256);
    CHECK(actual.first >= 1);
    CHECK(actual.first <= 256);
    auto threads = order.read();
    std::sort(threads.begin(), threads.end());
    for (unsigned i = 0; i < 256; ++i) {
      CHECK(threads[i] == i / 4);
    }
  });
}

// The instructions.

namespace {

constexpr int kRows = 16;
constexpr int kColumns = 8;
constexpr int kDepth = 32;

// By the layout that cuda/instructions.h documents.
__global__ void multiply(const std::int8_t* a, const std::int8_t* b, std::int32_t* c) {
  const unsigned g = threadIdx.x / 4;
  const unsigned t = threadIdx.x % 4;
  const auto four = [](const std::int8_t* matrix, unsigned row, unsigned first) {
    std::uint32_t word = 0;
    std::memcpy(&word, matrix + row * kDepth + first, 4);
    return word;
  };
  const std::uint32_t rows[4] = {four(a, g, 4 * t), four(a, g + 8, 4 * t), four(a, g, 16 + 4 * t),
                                 four(a, g + 8, 16 + 4 * t)};
  const std::uint32_t columns[2] = {four(b, g, 4 * t), four(b, g, 16 + 4 * t)};
  std::int32_t sums[4];
  const unsigned at[4] = {g * kColumns + 2 * t, g * kColumns + 2 * t + 1, (g + 8) * kColumns + 2 * t,
                          (g + 8) * kColumns + 2 * t + 1};
  for (unsigned i = 0; i < 4; ++i) {
    sums[i] = c[at[i]];
  }
  multiply_int8(sums, rows, columns);
  for (unsigned i = 0; i < 4; ++i) {
    c[at[i]] = sums[i];
  }
}

struct alignas(16) Tiles {
  std::int8_t a[2][kRows * kDepth];
  std::int8_t b[kRows * kDepth];  // two tiles of 8
};

// The way of a real kernel: asynchronous copies, load_matrices, two products. Without waiting the product is
// of garbage.
__global__ void multiply_from_shared(const std::int8_t* a, const std::int8_t* b, std::int32_t* c,
                                     int pending) {
  auto& tiles = shared_memory<Tiles>();
  const unsigned lane = threadIdx.x;
  copy_async(&tiles.a[0][16 * lane], a + 16 * lane);
  copy_async(&tiles.b[16 * lane], b + 16 * lane);
  commit_copies();
  copy_async(&tiles.a[1][16 * lane], a + 16 * lane);
  commit_copies();
  if (pending == 0) {
    await_copies<0>();
  } else if (pending == 1) {
    await_copies<1>();
  } else {
    await_copies<2>();
  }
  __syncthreads();
  std::uint32_t rows[4];
  std::uint32_t columns[4];
  // Matrices 0 and 1: rows 0-7 and 8-15, first half; 2 and 3: second half.
  load_matrices(rows, &tiles.a[pending == 0 ? 1 : 0][lane % 16 * kDepth + lane / 16 * 16]);
  load_matrices(columns, &tiles.b[lane % 16 * kDepth + lane / 16 * 16]);
  std::int32_t left[4] = {};
  std::int32_t right[4] = {};
  multiply_int8(left, rows, {columns[0], columns[2]});
  multiply_int8(right, rows, {columns[1], columns[3]});
  for (unsigned i = 0; i < 4; ++i) {
    const unsigned row = lane / 4 + i / 2 * 8;
    const unsigned column = 2 * (lane % 4) + i % 2;
    c[row * 16 + column] = left[i];
    c[row * 16 + 8 + column] = right[i];
  }
}

std::vector<std::int8_t> random_bytes(std::size_t size, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<std::int8_t> result(size);
  for (auto& x : result) {
    x = static_cast<std::int8_t>(random());
  }
  return result;
}

std::int32_t dot(const std::vector<std::int8_t>& a, std::size_t i, const std::vector<std::int8_t>& b,
                 std::size_t j) {
  return std::inner_product(a.begin() + static_cast<std::ptrdiff_t>(i * kDepth),
                            a.begin() + static_cast<std::ptrdiff_t>((i + 1) * kDepth),
                            b.begin() + static_cast<std::ptrdiff_t>(j * kDepth), 0);
}

}  // namespace

TEST_CASE("tensor-core products are plain products") {
  for_each_order([] {
    for (std::uint64_t seed = 0; seed < 3; ++seed) {
      const auto a = random_bytes(std::size_t{kRows} * kDepth, 10 + seed);
      const auto b = random_bytes(std::size_t{kColumns} * kDepth, 20 + seed);
      Array<std::int8_t> device_a(a);
      Array<std::int8_t> device_b(b);
      Array<std::int32_t> device_c(std::size_t{kRows} * kColumns, 1000);
      REQUIRE(launch(multiply, {.threads = 32}, device_a.data(), device_b.data(), device_c.data()) ==
              cudaSuccess);
      const auto c = device_c.read();
      for (std::size_t i = 0; i < kRows; ++i) {
        for (std::size_t j = 0; j < kColumns; ++j) {
          CHECK(c[i * kColumns + j] == 1000 + dot(a, i, b, j));
        }
      }
    }
  });
}

TEST_CASE("asynchronous copies arrive when they are waited for, and not before") {
  const auto a = random_bytes(std::size_t{kRows} * kDepth, 1);
  const auto b = random_bytes(std::size_t{kRows} * kDepth, 2);
  for_each_order([&] {
    Array<std::int8_t> device_a(a);
    Array<std::int8_t> device_b(b);
    for (const int pending : {0, 1, 2}) {
      Array<std::int32_t> device_c(std::size_t{kRows} * kRows);
      REQUIRE(launch(multiply_from_shared, {.threads = 32, .shared_bytes = sizeof(Tiles)}, device_a.data(),
                     device_b.data(), device_c.data(), pending) == cudaSuccess);
      std::vector<std::int32_t> expected;
      for (std::size_t i = 0; i < kRows; ++i) {
        for (std::size_t j = 0; j < kRows; ++j) {
          expected.push_back(dot(a, i, b, j));
        }
      }
      CHECK((device_c.read() == expected) == (pending < 2));
    }
  });
}

// Cooperative launches.

namespace {

// Sums over all blocks, round after round; every block waits for all others in each. A block's words of even
// and of odd rounds are apart: the round in the upper half says which one a word is.
__global__ void sum_over_grid(Word* published, Word* out, Word rounds) {
  Word total = 0;
  for (Word r = 0; r < rounds; ++r) {
    if (threadIdx.x == 0) {
      store_word(&published[2 * blockIdx.x + r % 2], (r + 1) << 32 | (r * r + blockIdx.x));
    }
    if (threadIdx.x < gridDim.x) {
      Word words[2];
      do {
        load_words(&published[std::size_t{2} * threadIdx.x], words);
      } while (words[r % 2] >> 32 < r + 1);
      total += words[r % 2] & 0xffffffffU;
    }
    __syncthreads();  // nobody goes on before all words of the round are read
  }
  if (threadIdx.x < gridDim.x) {
    out[blockIdx.x * gridDim.x + threadIdx.x] = total;
  }
}

__global__ void wait_forever(const Word* published) {
  Word words[2];
  do {
    load_words(published, words);
  } while (words[0] == 0);
}

}  // namespace

TEST_CASE("blocks of a cooperative launch wait for each other") {
  for_each_order([] {
    constexpr Word kRounds = 20;
    Array<Word> published(std::size_t{2} * 3);
    Array<Word> out(std::size_t{3} * 3);
    REQUIRE(launch(sum_over_grid, {.blocks = 3, .threads = 64, .cooperative = true}, published.data(),
                   out.data(), kRounds) == cudaSuccess);
    const auto totals = out.read();
    for (std::size_t i = 0; i < totals.size(); ++i) {
      CHECK(totals[i] == (kRounds - 1) * kRounds * (2 * kRounds - 1) / 6 + kRounds * (i % 3));
    }
  });
  Array<Word> word(2, 1);
  CHECK(launch(wait_forever, {.blocks = 4, .cooperative = true}, word.data()) ==
        cudaErrorCooperativeLaunchTooLarge);
  CHECK(cudaGetLastError() == cudaErrorCooperativeLaunchTooLarge);
  CHECK(cudaGetLastError() == cudaSuccess);
  CHECK(launch(wait_forever, {.blocks = 4}, word.data()) == cudaSuccess);
}

// Programs that are wrong.

namespace {

__global__ void half_waits(unsigned /*unused*/) {
  if (threadIdx.x % 2 == 0) {
    __syncthreads();
  }
}
__global__ void waits_apart(unsigned /*unused*/) {
  if (threadIdx.x < 32) {
    __syncthreads();
  } else {
    static_cast<void>(__syncthreads_or(1));
  }
}
__global__ void shuffles_without_itself(unsigned /*unused*/) {
  static_cast<void>(__shfl_sync(0xffff0000U, 1, 0));
}
__global__ void reads_outside_mask(unsigned /*unused*/) {
  if (threadIdx.x < 16) {
    static_cast<void>(__shfl_sync(0xffffU, 1, 20));
  }
}
__global__ void lane_waits_for_barrier(unsigned /*unused*/) {
  if (threadIdx.x == 3) {
    __syncthreads();
  } else {
    __syncwarp();
  }
}
__global__ void lane_has_returned(unsigned /*unused*/) {
  if (threadIdx.x != 3) {
    __syncwarp();
  }
}
__global__ void asks_for_shared(unsigned /*unused*/) {
  shared_memory<Words>().words[0] = 1;
}
__global__ void copies_unaligned(const unsigned* from) {
  copy_async(&shared_memory<Words>().words[1], from);
}
__global__ void touches(unsigned* to) {
  *to = 1;
}

}  // namespace

TEST_CASE("programs that hardware would hang on end with a message") {
  const LaunchShape shape{.blocks = 2, .threads = 64};
  check_abort([&] { launch(half_waits, shape, 0U); },
              {"block 0, thread 1 returns", "wait for it in __syncthreads at", "test_emulation.cpp"});
  check_abort(
      [&] { launch(waits_apart, shape, 0U); },
      {"thread 32 waits in __syncthreads_or at", "other threads of its block wait in __syncthreads at"});
  check_abort([&] { launch(shuffles_without_itself, shape, 0U); },
              {"thread 0 waits in __shfl_sync at", "with mask 0xffff0000, which it is not in"});
  check_abort([&] { launch(reads_outside_mask, shape, 0U); }, {"reads lane 20", "__shfl_sync"});
  check_abort([&] { launch(lane_waits_for_barrier, {.threads = 32}, 0U); },
              {"waits for what cannot come", "1 of 32 threads are in __syncthreads at",
               "in warp 0, lanes 0xfffffff7 of 0xffffffff are in __syncwarp at"});
  check_abort([&] { launch(lane_has_returned, {.threads = 32}, 0U); }, {"thread 3 returns", "__syncwarp"});
  check_abort([&] { launch(asks_for_shared, shape, 0U); }, {"asks for 4096 bytes of shared memory"});
  check_abort([&] { launch(touches, shape, reinterpret_cast<unsigned*>(&settings())); },
              {"pointer to memory that is not the device's"});
  Array<unsigned> word(8);
  Array<Word> zeros(2);
  check_abort([&] { launch(copies_unaligned, {.shared_bytes = sizeof(Words)}, word.data()); },
              {"copy_async with an end that is not 16-byte aligned"});
  check_abort(
      [&] {
        settings().spin_limit = 1000;
        launch(wait_forever, {.blocks = 3, .threads = 32, .cooperative = true}, zeros.data());
      },
      {"waits in load_words", "nothing changed in 1000 rounds"});
}

// Arithmetic.

TEST_CASE("arithmetic as CUDA has it") {
  CHECK(min(3, -4) == -4);
  CHECK(max(3U, 4U) == 4U);
  CHECK(max(-1, 4U) == 0xffffffffU);
  CHECK(min(1.5F, 2.5) == 1.5);
  CHECK(min(std::numeric_limits<float>::quiet_NaN(), 2.0F) == 2.0F);
  CHECK(min(std::int64_t{1} << 40, std::int64_t{2}) == 2);
  CHECK(__double2float_rn(1.0 + std::ldexp(1.0, -24)) == 1.0F);
  CHECK(__double2float_ru(1.0 + std::ldexp(1.0, -40)) == std::nextafter(1.0F, 2.0F));
  CHECK(__double2float_rd(-1.0 - std::ldexp(1.0, -40)) == std::nextafter(-1.0F, -2.0F));
  CHECK(__float2int_rn(2.5F) == 2);
  CHECK(__float2int_rn(-3.5F) == -4);
  CHECK(__float2int_rn(1e20F) == std::numeric_limits<int>::max());
  CHECK(__float2int_rn(-std::numeric_limits<float>::infinity()) == std::numeric_limits<int>::min());
  CHECK(__float2int_rn(std::numeric_limits<float>::quiet_NaN()) == 0);
  CHECK(__float2int_rd(-0.25F) == -1);
  CHECK(__double2int_rd(2147483646.75) == 2147483646);
  CHECK(__double2int_rd(2147483648.0) == std::numeric_limits<int>::max());
  CHECK(__float_as_uint(1.0F) == 0x3f800000U);
  CHECK(__uint_as_float(0x40000000U) == 2.0F);
  CHECK(__int_as_float(__float_as_int(-0.75F)) == -0.75F);
  CHECK(__longlong_as_double(__double_as_longlong(1e300)) == 1e300);
  CHECK(__dp4a(0x7f80ff01, 0x7f80017f, 5) == 5 + 127 * 127 + 128 * 128 - 1 + 127);
  CHECK(__popc(0xf0f0U) == 8);
  CHECK(__popcll(~0ULL) == 64);
  CHECK(__ffs(0) == 0);
  CHECK(__ffs(8) == 4);
  CHECK(__clz(0) == 32);
  CHECK(__clz(1) == 31);
  CHECK(__brev(1U) == 0x80000000U);
  CHECK(__byte_perm(0x33221100U, 0x77665544U, 0x7410U) == 0x77441100U);
  CHECK(__fmaf_rn(1.0F + 0x1p-12F, 1.0F + 0x1p-12F, -1.0F) == 0x1p-11F + 0x1p-24F);
  CHECK(sizeof(float4) == 16);
  CHECK(alignof(int4) == 16);
}

// The host's side.

TEST_CASE("device memory is limited, and copies see what is device memory") {
  const Restore restore;
  const std::size_t before = farpoint::emulation::live_allocations();
  settings().memory = farpoint::emulation::device_bytes() + 1000;
  void* first = nullptr;
  void* second = nullptr;
  REQUIRE(cudaMalloc(&first, 900) == cudaSuccess);
  CHECK(cudaMalloc(&second, 101) == cudaErrorMemoryAllocation);
  CHECK(second == nullptr);
  std::size_t free = 0;
  std::size_t total = 0;
  CHECK(cudaMemGetInfo(&free, &total) == cudaSuccess);
  CHECK(free == 100);
  CHECK(cudaMalloc(&second, 100) == cudaSuccess);
  CHECK(farpoint::emulation::live_allocations() == before + 2);

  std::vector<unsigned char> host(1000, 1);
  CHECK(cudaMemcpy(host.data(), first, 900, cudaMemcpyDeviceToHost) == cudaSuccess);
  CHECK(host[0] == 0xa5);
  CHECK(cudaMemcpy(host.data(), first, 901, cudaMemcpyDeviceToHost) == cudaErrorInvalidValue);
  CHECK(cudaMemcpy(first, host.data(), 900, cudaMemcpyDeviceToHost) == cudaErrorInvalidValue);
  CHECK(cudaMemcpy(host.data(), host.data() + 500, 100, cudaMemcpyHostToDevice) == cudaErrorInvalidValue);
  CHECK(cudaMemcpy(second, first, 100, cudaMemcpyDeviceToDevice) == cudaSuccess);
  CHECK(cudaMemset(second, 3, 100) == cudaSuccess);
  CHECK(cudaMemcpy(host.data(), second, 100, cudaMemcpyDefault) == cudaSuccess);
  CHECK(host[99] == 3);
  CHECK(cudaMemset(host.data(), 3, 100) == cudaErrorInvalidValue);

  cudaPointerAttributes attributes{};
  CHECK(cudaPointerGetAttributes(&attributes, static_cast<unsigned char*>(first) + 17) == cudaSuccess);
  CHECK(attributes.type == cudaMemoryTypeDevice);
  CHECK(cudaPointerGetAttributes(&attributes, host.data()) == cudaSuccess);
  CHECK(attributes.type == cudaMemoryTypeUnregistered);

  CHECK(cudaFree(first) == cudaSuccess);
  CHECK(cudaFree(first) == cudaErrorInvalidValue);
  CHECK(cudaFree(second) == cudaSuccess);
  CHECK(cudaFree(nullptr) == cudaSuccess);
  CHECK(farpoint::emulation::live_allocations() == before);
  static_cast<void>(cudaGetLastError());
}

#if defined(FARPOINT_ADDRESS_SANITIZER)
TEST_CASE("AddressSanitizer sees the host in device memory, and kernels beyond an allocation") {
  Array<unsigned> word(1);
  const Ending host = run_apart([&] { *word.data() = 1; });
  CHECK(host.message.find("AddressSanitizer: use-after-poison") != std::string::npos);
  const Ending device = run_apart([&] { launch(touches, {}, word.data() + 1); });
  CHECK(device.message.find("AddressSanitizer: heap-buffer-overflow") != std::string::npos);
  CHECK(launch(touches, {}, word.data()) == cudaSuccess);
  CHECK(word.read()[0] == 1);
}
#endif

TEST_CASE("two-dimensional copies") {
  Array<unsigned char> device(100);
  std::vector<unsigned char> host(60);
  std::iota(host.begin(), host.end(), static_cast<unsigned char>(1));
  CHECK(cudaMemcpy2DAsync(device.data(), 25, host.data(), 20, 10, 3, cudaMemcpyHostToDevice) == cudaSuccess);
  const auto actual = device.read();
  for (std::size_t i = 0; i < 100; ++i) {
    CHECK(actual[i] == (i % 25 < 10 && i < 75 ? host[i / 25 * 20 + i % 25] : 0));
  }
  CHECK(cudaMemcpy2DAsync(device.data(), 50, host.data(), 20, 10, 3, cudaMemcpyHostToDevice) ==
        cudaErrorInvalidValue);
  static_cast<void>(cudaGetLastError());
}

TEST_CASE("pinned memory shows copies that nobody waited for") {
  const Restore restore;
  Array<unsigned char> device(64, 7);
  cudaStream_t stream = nullptr;
  REQUIRE(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking) == cudaSuccess);
  unsigned char* pinned = nullptr;
  REQUIRE(cudaMallocHost(&pinned, 64) == cudaSuccess);
  const auto download = [&] {
    CHECK(cudaMemcpyAsync(pinned, device.data(), 64, cudaMemcpyDeviceToHost, stream) == cudaSuccess);
    CHECK(pinned[5] == 0xa5);
  };
  download();
  CHECK(cudaStreamSynchronize(stream) == cudaSuccess);
  CHECK(pinned[5] == 7);
  download();
  CHECK(cudaStreamQuery(stream) == cudaErrorNotReady);
  CHECK(pinned[5] == 0xa5);
  CHECK(cudaStreamQuery(stream) == cudaSuccess);
  CHECK(pinned[5] == 7);

  download();
  cudaEvent_t event = nullptr;
  REQUIRE(cudaEventCreateWithFlags(&event, cudaEventDisableTiming) == cudaSuccess);
  CHECK(cudaEventRecord(event, stream) == cudaSuccess);
  cudaStream_t other = nullptr;
  REQUIRE(cudaStreamCreateWithFlags(&other, cudaStreamNonBlocking) == cudaSuccess);
  CHECK(cudaStreamSynchronize(other) == cudaSuccess);
  CHECK(pinned[5] == 0xa5);
  CHECK(cudaStreamWaitEvent(other, event) == cudaSuccess);
  CHECK(cudaStreamSynchronize(other) == cudaSuccess);
  CHECK(pinned[5] == 7);

  check_abort(
      [&] {
        static_cast<void>(cudaMemcpyAsync(device.data(), pinned, 64, cudaMemcpyHostToDevice, stream));
        pinned[5] = 9;
        static_cast<void>(cudaStreamSynchronize(stream));
      },
      {"changed before its upload"});

  CHECK(cudaEventDestroy(event) == cudaSuccess);
  CHECK(cudaStreamDestroy(other) == cudaSuccess);
  CHECK(cudaStreamDestroy(other) == cudaErrorInvalidResourceHandle);
  static_cast<void>(cudaGetLastError());
  download();
  CHECK(cudaFreeHost(pinned) == cudaSuccess);
  CHECK(cudaStreamSynchronize(stream) == cudaSuccess);
  CHECK(cudaStreamDestroy(stream) == cudaSuccess);
  CHECK(farpoint::emulation::live_streams() == 0);
  CHECK(farpoint::emulation::live_events() == 0);
}

TEST_CASE("the device describes itself") {
  const Restore restore;
  settings().multiprocessors = 5;
  cudaDeviceProp properties{};
  REQUIRE(cudaGetDeviceProperties(&properties, 0) == cudaSuccess);
  CHECK(std::string(properties.name) == "emulated device");
  CHECK(properties.major == 9);
  CHECK(properties.multiProcessorCount == 5);
  CHECK(properties.sharedMemPerBlockOptin == 200 * 1024);
  int value = 0;
  CHECK(cudaDeviceGetAttribute(&value, cudaDevAttrMultiProcessorCount, 0) == cudaSuccess);
  CHECK(value == 5);
  CHECK(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&value, touches, 256, 0) == cudaSuccess);
  CHECK(value == 1);
  CHECK(cudaSetDevice(1) == cudaErrorInvalidDevice);
  CHECK(std::string(cudaGetErrorName(cudaGetLastError())) == "cudaErrorInvalidDevice");
  settings().devices = 0;
  CHECK(cudaGetDeviceCount(&value) == cudaErrorNoDevice);
  CHECK(value == 0);
  static_cast<void>(cudaGetLastError());
}

TEST_CASE("calls fail when they are told to") {
  farpoint::emulation::fail_call(1, cudaErrorUnknown);
  void* address = nullptr;
  CHECK(cudaMalloc(&address, 4) == cudaSuccess);
  CHECK(cudaMemset(address, 0, 4) == cudaErrorUnknown);
  CHECK(cudaMemset(address, 0, 4) == cudaSuccess);
  farpoint::emulation::fail_call(0, cudaErrorLaunchFailure);
  CHECK(launch(touches, {}, static_cast<unsigned*>(address)) == cudaErrorLaunchFailure);
  farpoint::emulation::fail_call(0, cudaErrorUnknown);
  CHECK(cudaFree(address) == cudaSuccess);
  farpoint::emulation::fail_call(-1, cudaSuccess);
  CHECK(cudaDeviceSynchronize() == cudaSuccess);
  static_cast<void>(cudaGetLastError());
}

TEST_CASE("kernels are checked like CUDA checks them") {
  Array<unsigned> word(1);
  CHECK(launch(touches, {.threads = 1025}, word.data()) == cudaErrorInvalidConfiguration);
  CHECK(launch(touches, {.shared_bytes = 201 * 1024}, word.data()) == cudaErrorInvalidValue);
  CHECK(launch(touches, {.blocks = 0}, word.data()) == cudaSuccess);
  CHECK(word.read()[0] == 0);
  static_cast<void>(cudaGetLastError());
}

TEST_CASE("several threads launch at the same time") {
  std::vector<unsigned> in(256);
  std::iota(in.begin(), in.end(), 0U);
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  threads.reserve(4);
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int repetition = 0; repetition < 20; ++repetition) {
        unsigned* device = nullptr;
        std::vector<unsigned> out(512);
        static_cast<void>(cudaMalloc(&device, 2048));
        static_cast<void>(cudaMemcpy(device, in.data(), 1024, cudaMemcpyHostToDevice));
        static_cast<void>(
            launch(sum_by_halves, {.threads = 256, .shared_bytes = sizeof(Words)}, device, device + 256));
        static_cast<void>(cudaMemcpy(out.data(), device, 2048, cudaMemcpyDeviceToHost));
        static_cast<void>(cudaFree(device));
        if (std::count(out.begin() + 256, out.end(), 255U * 128) != 256) {
          ++wrong;
        }
      }
    });
  }
  for (auto& thread : threads) {
    thread.join();
  }
  CHECK(wrong == 0);
}
