// farpoint._cpu.Shard and pick_among (cpu/shard.h).
#pragma once

#include <pybind11/pybind11.h>

namespace farpoint::bindings {

void bind_shards(pybind11::module_& m);

}  // namespace farpoint::bindings
