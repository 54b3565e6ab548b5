// Arrays that are written before they are read: nothing is zeroed, and large ones ask for large pages.
//
// Random access to tens of megabytes misses the translation buffer at every step with pages of 4 KiB, and
// a page fault for each of them costs as much as filling it. Where the system has no large pages to give,
// nothing else changes.
#pragma once

#include <cstddef>
#include <memory>
#include <new>
#include <type_traits>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace farpoint::cpu {

template <class T>
class LargeArray {
  static_assert(std::is_trivially_copyable_v<T> && std::is_trivially_destructible_v<T>);

 public:
  LargeArray() = default;
  explicit LargeArray(std::size_t size) : size_(size) {
    if (size == 0) {
      return;
    }
    const std::size_t bytes = size * sizeof(T);
    const std::size_t alignment = bytes >= 2 * kLargePage ? kLargePage : kLine;
    data_ = {static_cast<T*>(::operator new(bytes, std::align_val_t(alignment))), Free{alignment}};
#if defined(__linux__)
    if (alignment == kLargePage) {
      // A wish: its failure is of no consequence. The end that does not fill a large page keeps small ones.
      static_cast<void>(::madvise(data_.get(), bytes / kLargePage * kLargePage, MADV_HUGEPAGE));
    }
#endif
  }

  T* data() { return data_.get(); }
  const T* data() const { return data_.get(); }
  std::size_t size() const { return size_; }
  T& operator[](std::size_t i) { return data_[i]; }
  const T& operator[](std::size_t i) const { return data_[i]; }

 private:
  static constexpr std::size_t kLine = 64;
  static constexpr std::size_t kLargePage = std::size_t{1} << 21;
  struct Free {
    std::size_t alignment = kLine;
    void operator()(T* data) const { ::operator delete(data, std::align_val_t(alignment)); }
  };
  std::unique_ptr<T[], Free> data_;
  std::size_t size_ = 0;
};

}  // namespace farpoint::cpu
