#include "c/boundary.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <new>
#include <stdexcept>

#include "core/control.h"
#include "core/errors.h"

namespace farpoint::c {
namespace {

// Of a fixed size, so that an error of memory has room for its message, and trivially destroyed, so that the
// library can be unloaded.
thread_local std::array<char, 1024> last_message{};

void keep(const char* message) {
  std::size_t length = std::min(std::strlen(message), last_message.size() - 1);
  // No character of UTF-8 is cut: what continues one begins with the bits 10.
  while (length > 0 && (static_cast<unsigned char>(message[length]) & 0xC0U) == 0x80U) {
    --length;
  }
  std::memcpy(last_message.data(), message, length);
  last_message[length] = '\0';
}

}  // namespace

void refuse(const std::string& message) {
  throw std::invalid_argument(message);
}

farpoint_status keep_error() noexcept {
  try {
    throw;
  } catch (const Interrupted&) {
    keep("cancelled by the progress function");
    return FARPOINT_CANCELLED;
  } catch (const std::invalid_argument& error) {
    keep(error.what());
    return FARPOINT_INVALID_ARGUMENT;
  } catch (const TooLittleMemory& error) {
    keep(error.what());
    return FARPOINT_LIMIT_TOO_SMALL;
  } catch (const SpillFailed& error) {
    keep(error.what());
    return FARPOINT_SPILL_FAILED;
  } catch (const OutOfMemory& error) {
    keep(error.what());
    return FARPOINT_OUT_OF_MEMORY;
  } catch (const std::bad_alloc&) {
    keep("farpoint needs more memory than the system gives; a memory_limit makes it do with less");
    return FARPOINT_OUT_OF_MEMORY;
  } catch (const std::length_error&) {
    keep("farpoint needs more memory than there can be; a memory_limit makes it do with less");
    return FARPOINT_OUT_OF_MEMORY;
  } catch (const std::exception& error) {
    keep(error.what());
    return FARPOINT_INTERNAL_ERROR;
  } catch (...) {
    keep("an exception that is not one of the C++ library's");
    return FARPOINT_INTERNAL_ERROR;
  }
}

}  // namespace farpoint::c

const char* farpoint_last_error_message(void) {
  return farpoint::c::last_message.data();
}
