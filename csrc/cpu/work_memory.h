// What a call keeps while it works, counted against the limit that it was given.
//
// A call first plans what it cannot do without (memory_plan.h); a limit below that is refused before any
// work. Everything else is in memory while it fits. What does not fit goes to a temporary file, or is done
// without where it only saves time (cells, heads). The file has no name: the system removes it, whatever
// ends the process. It is mapped, so that the system keeps of it in memory what it has room for; its space is
// claimed before it is written, so that a full disk is an error at once and not a signal later.
//
// Arrays are made and destroyed by the calling thread alone.
#pragma once

#include <algorithm>
#include <bit>
#include <limits>
#include <memory>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include "core/errors.h"
#include "core/types.h"
#include "cpu/large_array.h"

namespace farpoint::cpu {

struct MemoryOptions {
  static constexpr Index kUnlimited = std::numeric_limits<Index>::max();

  Index limit = kUnlimited;
  std::string spill_folder;  // where the temporary file is made
};

class SpillFile;

class WorkMemory {
 public:
  explicit WorkMemory(MemoryOptions options = {});
  ~WorkMemory();
  WorkMemory(const WorkMemory&) = delete;
  WorkMemory& operator=(const WorkMemory&) = delete;

  // Counts what the call cannot do without. Throws LimitTooSmall.
  void plan(Index bytes);
  bool fits(Index bytes) const { return bytes <= options_.limit - held_; }
  // From now on arrays that may spill do so rather than take the last so many bytes.
  void leave_free(Index bytes) { left_free_ = bytes; }
  bool spills(Index bytes) const { return options_.limit - held_ - bytes < left_free_; }

  // At most, over the call.
  Index most_held() const { return most_held_; }
  Index most_spilled() const { return most_spilled_; }

 private:
  friend class Room;
  friend class Spilled;

  MemoryOptions options_;
  Index held_ = 0;
  Index left_free_ = 0;
  Index most_held_ = 0;
  Index spilled_ = 0;
  Index most_spilled_ = 0;
  std::unique_ptr<SpillFile> file_;  // made when it is needed first
};

// So many bytes of memory are counted while this lives.
class Room {
 public:
  Room() = default;
  Room(WorkMemory& memory, Index bytes);
  ~Room() { release(); }
  Room(Room&& other) noexcept : memory_(std::exchange(other.memory_, nullptr)), bytes_(other.bytes_) {}
  Room& operator=(Room&& other) noexcept {
    release();
    memory_ = std::exchange(other.memory_, nullptr);
    bytes_ = other.bytes_;
    return *this;
  }
  Room(const Room&) = delete;
  Room& operator=(const Room&) = delete;

 private:
  void release();

  WorkMemory* memory_ = nullptr;
  Index bytes_ = 0;
};

// A piece of the temporary file, mapped.
class Spilled {
 public:
  Spilled() = default;
  Spilled(WorkMemory& memory, Index bytes, const std::string& purpose);
  ~Spilled() { release(); }
  Spilled(Spilled&& other) noexcept
      : memory_(std::exchange(other.memory_, nullptr)),
        data_(other.data_),
        bytes_(other.bytes_),
        offset_(other.offset_) {}
  Spilled& operator=(Spilled&& other) noexcept {
    release();
    memory_ = std::exchange(other.memory_, nullptr);
    data_ = other.data_;
    bytes_ = other.bytes_;
    offset_ = other.offset_;
    return *this;
  }
  Spilled(const Spilled&) = delete;
  Spilled& operator=(const Spilled&) = delete;

  void* data() const { return data_; }

 private:
  void release();

  WorkMemory* memory_ = nullptr;
  void* data_ = nullptr;
  Index bytes_ = 0;
  Index offset_ = 0;
};

// How an array is counted: in the call's plan already, or now, and spilled where it does not fit.
enum class Counted { in_plan, now };

// An array of a fixed size; its elements are written before they are read.
template <class T>
class WorkArray {
 public:
  WorkArray() = default;
  // `purpose` completes "... bytes for".
  WorkArray(WorkMemory& memory, Index size, const char* purpose, Counted counted) : size_(size) {
    const Index bytes = size * static_cast<Index>(sizeof(T));
    if (counted == Counted::now && memory.spills(bytes)) {
      spilled_ = Spilled(memory, bytes, purpose);
      data_ = static_cast<T*>(spilled_.data());
      return;
    }
    try {
      memory_ = LargeArray<T>(static_cast<std::size_t>(size));
    } catch (const std::bad_alloc&) {
      throw OutOfMemory(bytes, purpose);
    }
    data_ = memory_.data();
    if (counted == Counted::now) {
      room_ = Room(memory, bytes);
    }
  }

  T* data() { return data_; }
  const T* data() const { return data_; }
  T* begin() { return data_; }
  const T* begin() const { return data_; }
  T* end() { return data_ + size_; }
  const T* end() const { return data_ + size_; }
  std::size_t size() const { return static_cast<std::size_t>(size_); }
  bool empty() const { return size_ == 0; }
  T& operator[](std::size_t i) { return data_[i]; }
  const T& operator[](std::size_t i) const { return data_[i]; }

 private:
  T* data_ = nullptr;
  Index size_ = 0;
  LargeArray<T> memory_;
  Room room_;
  Spilled spilled_;
};

// A growing array of entries, each so many elements, whose places never change: growing one array would copy
// everything and hold it twice.
template <class T>
class Slabs {
 public:
  // `slab_entries` is rounded down to a power of two, and up to 1.
  Slabs(WorkMemory& memory, const char* purpose, Index entry_elements, Index slab_entries)
      : memory_(&memory),
        purpose_(purpose),
        entry_elements_(entry_elements),
        shift_(static_cast<int>(std::bit_width(static_cast<std::uint64_t>(slab_entries) | 1)) - 1) {}

  // Makes room for so many entries in all.
  void grow_to(Index entries) {
    const Index slab_entries = Index{1} << shift_;
    const Index wanted = (entries + slab_entries - 1) >> shift_;
    const Index missing = wanted - static_cast<Index>(slabs_.size());
    if (missing > 0) {
      const Index slab_elements = entry_elements_ << shift_;
      arrays_.emplace_back(*memory_, missing * slab_elements, purpose_, Counted::now);
      for (Index s = 0; s < missing; ++s) {
        slabs_.push_back(arrays_.back().data() + s * slab_elements);
      }
    }
  }
  T* entry(Index e) { return slab(e) + (e & mask()) * entry_elements_; }
  const T* entry(Index e) const { return slab(e) + (e & mask()) * entry_elements_; }

 private:
  T* slab(Index e) const { return slabs_[static_cast<std::size_t>(e >> shift_)]; }
  Index mask() const { return (Index{1} << shift_) - 1; }

  WorkMemory* memory_;
  const char* purpose_;
  Index entry_elements_;
  int shift_;
  std::vector<WorkArray<T>> arrays_;
  std::vector<T*> slabs_;
};

}  // namespace farpoint::cpu
