#include "stream/state_memory.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "base/error.h"

namespace millrace {

namespace {

constexpr int64_t kRegionBytes = int64_t(1) << StateArena::kAddressBits;
constexpr int64_t kSpared = 16 << 20;  // Taken from other uses of memory: give back this much.
constexpr int kBatch = 16;             // Extents that leave between two looks at what is held.
constexpr int kIndexEvery = 8;         // One of so many is of a hash table.
constexpr idx_t kReadAtOnce = 64 << 10;
constexpr int kCalibrateEvery = 64;  // Rounds in which everything left.
constexpr int64_t kMuch = 64 << 20;  // From here on whole extents in memory are not too much.

int64_t PageBytes() {
  static const int64_t bytes = ::sysconf(_SC_PAGESIZE);
  return bytes;
}

void* MapPlain(void* at, int64_t bytes, int protection) {
  return ::mmap(at, static_cast<size_t>(bytes), protection,
                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | (at ? MAP_FIXED : 0), -1, 0);
}

}  // namespace

StateMemory::StateMemory(StateMemoryOptions options) : options_(std::move(options)) {
  MILLRACE_CHECK(std::has_single_bit(static_cast<uint64_t>(options_.extent_bytes)));
  // Addresses only; where they are scarce (a limit on them, sanitizers), fewer will do.
  void* region = MAP_FAILED;
  for (region_bytes_ = kRegionBytes; region == MAP_FAILED; region_bytes_ /= 2) {
    if (region_bytes_ < 64 * options_.extent_bytes) {
      Throw(ErrorCode::kIo, "Reserving addresses for operator state: {}", std::strerror(errno));
    }
    region = MapPlain(nullptr, region_bytes_, PROT_NONE);
    if (region != MAP_FAILED) break;
  }
  region_ = static_cast<uint8_t*>(region);
  auto address = reinterpret_cast<uintptr_t>(region_);
  auto extent = static_cast<uintptr_t>(options_.extent_bytes);
  base_ = reinterpret_cast<uint8_t*>((address + extent - 1) / extent * extent);
  extents_ = static_cast<uint32_t>((region_ + region_bytes_ - base_) / options_.extent_bytes);
  statm_ = ::open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
}

StateMemory::~StateMemory() {
  ::munmap(region_, static_cast<size_t>(region_bytes_));
  if (statm_ >= 0) ::close(statm_);
  if (options_.budget) options_.budget->Add(MemoryBudget::Use::kState, -accounted_);
}

StateMemory::Usage StateMemory::Used() const {
  return {plain_ + MappedResidentBytes(), on_disk_};
}

uint32_t StateMemory::Take(uint32_t count) {
  std::lock_guard lock(mutex_);
  uint32_t first = next_;
  auto found = std::find_if(free_.begin(), free_.end(),
                            [&](const auto& span) { return span.second >= count; });
  if (found != free_.end()) {
    first = found->first;
    if (found->second > count) free_[first + count] = found->second - count;
    free_.erase(first);
  } else {
    if (extents_ - next_ < count) {
      Throw(ErrorCode::kIo, "Taking memory for operator state: all {} GB of addresses are in use",
            region_bytes_ >> 30);
    }
    next_ += count;
  }
  if (MapPlain(AddressOf(first), count * options_.extent_bytes, PROT_READ | PROT_WRITE) ==
      MAP_FAILED) {
    Throw(ErrorCode::kIo, "Taking memory for operator state: {}", std::strerror(errno));
  }
  return first;
}

void StateMemory::GiveBack(uint32_t first, uint32_t count, bool spilled) {
  std::lock_guard lock(mutex_);
  int64_t bytes = count * options_.extent_bytes;
  MapPlain(AddressOf(first), bytes, PROT_NONE);
  if (spilled) {
    file_->Release(AddressOf(first) - base_, bytes);
    on_disk_ -= bytes;
  }
  auto next = free_.lower_bound(first);
  if (next != free_.end() && next->first == first + count) {
    count += next->second;
    next = free_.erase(next);
  }
  if (next != free_.begin()) {
    auto before = std::prev(next);
    if (before->first + before->second == first) {
      first = before->first;
      count += before->second;
    }
  }
  free_[first] = count;
}

void StateMemory::Spill(uint32_t first, uint32_t count, int64_t used) {
  ScratchFile* file;
  {
    std::lock_guard lock(mutex_);
    if (!file_) {
      mapped_before_ = MappedBytes();
      file_ = ScratchFile::Create(options_.folder, options_.fault);
    }
    file = file_.get();
  }
  uint8_t* at = AddressOf(first);
  int64_t bytes = count * options_.extent_bytes;
  file->Reserve(at - base_, bytes);
  file->Write(at - base_, at, used);
  file->Map(at, at - base_, bytes);
  ::madvise(at, static_cast<size_t>(bytes), MADV_RANDOM);
  on_disk_ += bytes;
  plain_ -= used;
}

int64_t StateMemory::MappedBytes() const {
  char text[128];
  ssize_t length = statm_ < 0 ? 0 : ::pread(statm_, text, sizeof(text) - 1, 0);
  text[std::max<ssize_t>(length, 0)] = 0;
  int64_t size = 0, resident = 0, shared = 0;
  if (std::sscanf(text, "%ld %ld %ld", &size, &resident, &shared) != 3) return INT64_MAX;
  return shared * PageBytes();
}

int64_t StateMemory::MappedResidentBytes() const {
  if (on_disk_ == 0) return 0;
  int64_t mapped = MappedBytes();
  if (mapped == INT64_MAX) return on_disk_;  // Nobody can tell: all of it may be there.
  return std::max<int64_t>(mapped - mapped_before_, 0);
}

void StateMemory::Calibrate() {
  int pages = ::open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
  if (pages < 0) return;
  constexpr uint64_t kPresentOfFile = uint64_t(5) << 61;
  std::vector<uint64_t> bits(static_cast<size_t>(options_.extent_bytes / PageBytes()));
  size_t bytes = bits.size() * sizeof(uint64_t);
  int64_t resident = 0;
  std::lock_guard lock(mutex_);
  for (uint32_t extent = 1; extent < next_; extent++) {
    auto at = reinterpret_cast<intptr_t>(AddressOf(extent)) / PageBytes() * 8;
    if (::pread(pages, bits.data(), bytes, at) != static_cast<ssize_t>(bytes)) continue;
    for (uint64_t page : bits) resident += (page & kPresentOfFile) == kPresentOfFile ? 1 : 0;
  }
  ::close(pages);
  int64_t mapped = MappedBytes();
  if (mapped != INT64_MAX) mapped_before_ = mapped - resident * PageBytes();
}

int64_t StateMemory::Limit() const {
  return options_.budget ? options_.budget->Share(MemoryBudget::Use::kState) : options_.limit_bytes;
}

int64_t StateMemory::Excess() {
  int64_t held = plain_ + MappedResidentBytes();
  int64_t excess = held - Limit();
  if (options_.budget) {
    int64_t change = held - accounted_.exchange(held);
    bool granted = options_.budget->Add(MemoryBudget::Use::kState, change);
    if (!granted && excess <= 0 && held > kSpared) excess = kSpared;
  }
  tight_ = excess > 0 || on_disk_ > 0;
  return excess;
}

StateArena::~StateArena() {
  for (auto& turns : turns_) {
    while (!turns.empty()) Release(turns.begin());
  }
}

idx_t StateArena::BlockBytes(idx_t bytes) const {
  auto extent = static_cast<idx_t>(memory_.options_.extent_bytes);
  if (bytes <= extent / 2) return std::bit_ceil(std::max(bytes, kLeastBlock));
  return (bytes + extent - 1) / extent * extent;
}

idx_t StateArena::ClassBytes(const Extent& extent) const {
  if (extent.size_class == kWhole) {
    return extent.count * static_cast<idx_t>(memory_.options_.extent_bytes);
  }
  return kLeastBlock << extent.size_class;
}

int64_t StateArena::UsedBytes(const Extent& extent) const {
  return static_cast<int64_t>(extent.carved * ClassBytes(extent));
}

StateArena::ExtentList::iterator StateArena::NewExtent(uint32_t count, Kind kind,
                                                       uint8_t size_class) {
  if (memory_.Excess() > 0) Shrink();
  auto& turns = turns_[static_cast<int>(kind)];
  Extent made{memory_.Take(count), count, kind, size_class, false, false, 0, 0, {}};
#ifdef MADV_HUGEPAGE
  if (bytes_ > kMuch) {  // Large pages: fewer faults when tables are filled, fewer misses later.
    ::madvise(memory_.AddressOf(made.first), count * memory_.options_.extent_bytes, MADV_HUGEPAGE);
  }
#endif
  auto extent = turns.insert(turns.end(), std::move(made));
  by_first_[extent->first] = extent;
  return extent;
}

uint8_t* StateArena::BlockOf(Extent& extent) {
  idx_t bytes = ClassBytes(extent);
  idx_t index = extent.carved;
  extent.live++;
  for (idx_t word = 0; word < extent.free.size(); word++) {
    if (extent.free[word] == 0) continue;
    int bit = std::countr_zero(extent.free[word]);
    extent.free[word] &= extent.free[word] - 1;
    return memory_.AddressOf(extent.first) + (word * 64 + static_cast<idx_t>(bit)) * bytes;
  }
  extent.carved++;
  if (!extent.spilled) memory_.plain_ += static_cast<int64_t>(bytes);
  return memory_.AddressOf(extent.first) + index * bytes;
}

uint8_t* StateArena::Allocate(idx_t bytes, Kind kind) {
  idx_t block = BlockBytes(bytes);
  bytes_ += static_cast<int64_t>(block);
  auto extent_bytes = static_cast<idx_t>(memory_.options_.extent_bytes);
  if (block >= extent_bytes) {
    auto extent = NewExtent(static_cast<uint32_t>(block / extent_bytes), kind, kWhole);
    return BlockOf(*extent);
  }
  auto size_class = static_cast<uint8_t>(std::countr_zero(block / kLeastBlock));
  auto& open = open_[static_cast<int>(kind)][size_class];
  if (open.empty()) {
    auto extent = NewExtent(1, kind, size_class);
    extent->open = true;
    open.push_back(extent);
  }
  Extent& extent = *open.back();
  uint8_t* made = BlockOf(extent);
  if (extent.live == extent_bytes / block) {
    extent.open = false;
    open.pop_back();
  }
  return made;
}

void StateArena::Free(uint8_t* block, idx_t bytes) {
  bytes_ -= static_cast<int64_t>(BlockBytes(bytes));
  auto offset = static_cast<idx_t>(block - memory_.base_);
  auto extent_bytes = static_cast<idx_t>(memory_.options_.extent_bytes);
  auto extent = by_first_.at(static_cast<uint32_t>(offset / extent_bytes));
  if (extent->size_class == kWhole) return Release(extent);
  idx_t index = offset % extent_bytes / ClassBytes(*extent);
  if (extent->free.empty()) extent->free.resize(extent_bytes / ClassBytes(*extent) / 64 + 1);
  extent->free[index / 64] |= uint64_t(1) << (index % 64);
  extent->live--;
  auto& open = open_[static_cast<int>(extent->kind)][extent->size_class];
  if (!extent->open) {
    extent->open = true;
    open.insert(open.begin(), extent);
  }
  // The last one stays: a table that fills and empties in each step would map it again and again.
  if (extent->live == 0 && open.size() > 1) Release(extent);
}

void StateArena::Release(ExtentList::iterator extent) {
  if (extent->open) {
    auto& open = open_[static_cast<int>(extent->kind)][extent->size_class];
    open.erase(std::find(open.begin(), open.end(), extent));
  }
  if (!extent->spilled) memory_.plain_ -= UsedBytes(*extent);
  memory_.GiveBack(extent->first, extent->count, extent->spilled);
  by_first_.erase(extent->first);
  turns_[static_cast<int>(extent->kind)].erase(extent);
}

void StateArena::WillRead(const uint8_t* block, idx_t bytes) const {
#ifdef MADV_POPULATE_READ
  if (memory_.on_disk_ == 0 || bytes < kReadAtOnce) return;
  ::madvise(const_cast<uint8_t*>(block), bytes, MADV_POPULATE_READ);  // Or page by page.
#endif
}

void StateArena::Evict(Extent& extent) {
  if (!extent.spilled) {
    memory_.Spill(extent.first, extent.count, UsedBytes(extent));
    extent.spilled = true;
    return;
  }
  ::madvise(memory_.AddressOf(extent.first), extent.count * memory_.options_.extent_bytes,
            MADV_DONTNEED);
}

void StateArena::Shrink() {
  int64_t excess = memory_.Excess();
  if (excess <= 0) return;
  excess += memory_.Limit() / 16;  // So that it lasts for a while.
  idx_t left[kKinds] = {turns_[0].size(), turns_[1].size()};
  for (int turn = 1; excess > 0 && left[0] + left[1] > 0; turn++) {
    int kind = left[0] == 0 || (left[1] > 0 && turn % kIndexEvery == 0) ? 1 : 0;
    auto& turns = turns_[kind];
    Evict(turns.front());
    turns.splice(turns.end(), turns, turns.begin());
    left[kind]--;
    if (turn % kBatch == 0) excess = memory_.Excess() + memory_.Limit() / 16;
  }
  // All of it has left, so that what is still counted belongs to other files (code, for one).
  if (left[0] + left[1] == 0 && full_rounds_++ % kCalibrateEvery == 0) memory_.Calibrate();
}

}  // namespace millrace
