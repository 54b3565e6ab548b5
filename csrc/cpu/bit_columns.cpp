#include "cpu/bit_columns.h"

#include "core/tuning.h"

namespace farpoint::cpu {

BitColumns::BitColumns(WorkMemory& memory, const Frame& frame)
    : frame_(&frame),
      list_(frame),
      line_(frame.dimension() * 8 * kBlockWords),
      columns_(memory, "columns of picks", line_,
               tuning::kPickSlabBytes / (line_ * static_cast<Index>(sizeof(std::uint64_t)))) {}

void BitColumns::append(const std::byte* row) {
  const Index block = size_ / kBlockPicks;
  const Index place = size_ % kBlockPicks;
  const auto word = static_cast<std::size_t>(place / 64);
  if (place == 0) {
    columns_.grow_to(block + 1);
    std::fill_n(columns_.entry(block), line_, std::uint64_t{0});
    counts_.emplace_back();
  }
  const SetBits set = list_.only(row);
  std::uint64_t* const columns = columns_.entry(block) + word;
  for (const std::uint32_t bit : set) {
    columns[static_cast<Index>(bit) * kBlockWords] |= std::uint64_t{1} << (place % 64);
  }
  Counts& counts = counts_.back();
  const auto count = static_cast<double>(set.size());
  counts.of[static_cast<std::size_t>(place)] = count;
  counts.least[word] = place % 64 == 0 ? count : std::min(counts.least[word], count);
  counts.most[word] = std::max(counts.most[word], count);
  ++size_;
}

}  // namespace farpoint::cpu
