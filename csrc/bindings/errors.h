// Errors of the engines as Python's.
#pragma once

#include <pybind11/pybind11.h>

#include <exception>
#include <new>
#include <utility>

#include "core/errors.h"

namespace farpoint::bindings {

// For PYBIND11_MODULE: what else this extension throws is translated as pybind11 does it.
inline void translate_errors() {
  namespace py = pybind11;
  py::register_local_exception_translator([](std::exception_ptr error) {
    try {
      if (error) {
        std::rethrow_exception(std::move(error));
      }
    } catch (const LimitTooSmall& small) {
      // With what was asked for, which Python knows, it becomes a sentence there.
      const py::object type = py::module_::import("farpoint.backends._protocol").attr("LimitTooSmallError");
      PyErr_SetObject(type.ptr(), py::int_(small.least()).ptr());
    } catch (const SpillFailed& failed) {
      PyErr_SetObject(PyExc_OSError, py::make_tuple(failed.code(), failed.what(), failed.folder()).ptr());
    } catch (const OutOfMemory& full) {
      PyErr_SetString(PyExc_MemoryError, full.what());
    } catch (const std::bad_alloc&) {
      PyErr_SetString(
          PyExc_MemoryError,
          "farpoint needs more memory than the system gives; a memory_limit makes it do with less");
    }
  });
}

}  // namespace farpoint::bindings
