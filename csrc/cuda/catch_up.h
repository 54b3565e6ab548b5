// Catch-up: listed rows against the picks that they have not seen. Twin of cpu/catch_up.cpp.
#pragma once

#include "cuda/device.h"
#include "cuda/operands.h"
#include "cuda/state.h"

namespace farpoint::cuda {

struct CatchUpTask {
  Contract contract;
  ListedRows listed;
  RowState state;
  PickState picks;
  Threshold threshold;
  Index most_tiles = 1;  // of picks, for a block of rows; rows that have not seen all then remain
  ScreenCounts* counts = nullptr;
  // For the closest pair of a set, where picks are the rows themselves: pairs i < j only, and the smallest
  // value that any block has found, as the bits of a float64. Null: neither.
  unsigned long long* shared_best = nullptr;
};

// One launch. Values, labels and progress of the listed rows are brought up to date: a row that the threshold
// no longer admits may stop anywhere, the others see most_tiles tiles more (or all).
void catch_up(const CatchUpTask& task, const CodeOperands& operands, const Device& device);
void catch_up(const CatchUpTask& task, const FloatOperands& operands, const Device& device);

// Sets operands.stages and .resident to what fits the device's shared memory.
void fit_shared_memory(CodeOperands& operands, const DeviceInfo& device);

}  // namespace farpoint::cuda
