#include "cpu/work_memory.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <system_error>

namespace farpoint::cpu {
namespace {

[[noreturn]] void throw_spill_error(const std::string& what, const std::string& folder, int error) {
  throw SpillFailed(what + " (" + std::generic_category().message(error) + ")", error, folder);
}

// A file without a name in `folder`, or -1 and errno.
int open_unnamed(const std::string& folder) {
#if defined(O_TMPFILE)
  const int unnamed = ::open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC | O_EXCL, 0600);
  if (unnamed >= 0) {
    return unnamed;
  }
#endif
  // Not every file system knows of such files.
  std::string path = folder + "/farpoint-XXXXXX";
  const int named = ::mkstemp(path.data());
  if (named >= 0) {
    static_cast<void>(::unlink(path.c_str()));
    static_cast<void>(::fcntl(named, F_SETFD, FD_CLOEXEC));
  }
  return named;
}

// Claims space in a file; 0, or the error.
int claim(int file, Index offset, Index bytes) {
#if defined(__linux__)
  return ::posix_fallocate(file, offset, bytes);
#else
  const std::vector<char> zeros(std::size_t{1} << 16, 0);
  for (const Index end = offset + bytes; offset < end;) {
    const auto count = static_cast<std::size_t>(std::min<Index>(end - offset, std::ssize(zeros)));
    const ssize_t written = ::pwrite(file, zeros.data(), count, offset);
    if (written < 0 && errno != EINTR) {
      return errno;
    }
    offset += std::max<ssize_t>(written, 0);
  }
  return 0;
#endif
}

}  // namespace

class SpillFile {
 public:
  explicit SpillFile(std::string folder) : folder_(std::move(folder)), file_(open_unnamed(folder_)) {
    if (file_ < 0) {
      throw_spill_error("farpoint cannot make a temporary file for work memory", folder_, errno);
    }
  }
  ~SpillFile() { static_cast<void>(::close(file_)); }
  SpillFile(const SpillFile&) = delete;
  SpillFile& operator=(const SpillFile&) = delete;

  // The next `bytes` of the file, mapped; `bytes` becomes whole pages.
  void* map(Index& bytes, Index& offset, const std::string& purpose) {
    const auto page = static_cast<Index>(::sysconf(_SC_PAGESIZE));
    bytes = (bytes + page - 1) / page * page;
    offset = end_;
    int error = EINTR;
    while (error == EINTR) {
      error = claim(file_, offset, bytes);
    }
    if (error != 0) {
      throw_spill_error("farpoint cannot write " + byte_text(bytes) + " for " + purpose +
                            ", which memory_limit leaves no room for, to a temporary file; set spill_folder "
                            "to a place with more room, or raise memory_limit",
                        folder_, error);
    }
    void* data =
        ::mmap(nullptr, static_cast<std::size_t>(bytes), PROT_READ | PROT_WRITE, MAP_SHARED, file_, offset);
    if (data == MAP_FAILED) {
      throw OutOfMemory(bytes, "mapping the temporary file with " + purpose);
    }
    end_ += bytes;
    return data;
  }

  void unmap(void* data, Index bytes, Index offset) const {
    static_cast<void>(::munmap(data, static_cast<std::size_t>(bytes)));
#if defined(__linux__)
    // Gives the space back; where the file system cannot, it is given back at the end of the call.
    static_cast<void>(::fallocate(file_, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, bytes));
#else
    static_cast<void>(offset);
#endif
  }

 private:
  std::string folder_;
  int file_;
  Index end_ = 0;
};

WorkMemory::WorkMemory(MemoryOptions options) : options_(std::move(options)) {}

WorkMemory::~WorkMemory() = default;

void WorkMemory::plan(Index bytes) {
  if (!fits(bytes)) {
    throw LimitTooSmall(held_ + bytes);
  }
  held_ += bytes;
  most_held_ = std::max(most_held_, held_);
}

Room::Room(WorkMemory& memory, Index bytes) : memory_(&memory), bytes_(bytes) {
  memory.held_ += bytes;
  memory.most_held_ = std::max(memory.most_held_, memory.held_);
}

void Room::release() {
  if (memory_ != nullptr) {
    memory_->held_ -= bytes_;
    memory_ = nullptr;
  }
}

Spilled::Spilled(WorkMemory& memory, Index bytes, const std::string& purpose) : bytes_(bytes) {
  if (!memory.file_) {
    memory.file_ = std::make_unique<SpillFile>(memory.options_.spill_folder);
  }
  data_ = memory.file_->map(bytes_, offset_, purpose);
  memory_ = &memory;
  memory.spilled_ += bytes_;
  memory.most_spilled_ = std::max(memory.most_spilled_, memory.spilled_);
}

void Spilled::release() {
  if (memory_ != nullptr) {
    memory_->file_->unmap(data_, bytes_, offset_);
    memory_->spilled_ -= bytes_;
    memory_ = nullptr;
  }
}

}  // namespace farpoint::cpu
