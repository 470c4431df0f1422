#include "stream/state_memory.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>

#include "base/error.h"

namespace millrace {

namespace {

constexpr int64_t kRegionBytes = int64_t(1) << StateMemory::kAddressBits;
constexpr int64_t kSpared = 16 << 20;     // Taken from other uses of memory: give back this much.
constexpr uint32_t kCalibrateAfter = 64;  // Extents that leave, and four times all there are.
constexpr auto kFromMemory = std::chrono::microseconds(500);  // What bringing an extent takes.

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

uint32_t StateMemory::Take(uint32_t count, bool mapped) {
  if (mapped) File();
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
  uint8_t* at = AddressOf(first);
  int64_t bytes = count * options_.extent_bytes;
  if (mapped) {
    // Bytes of the file that were never written are zero.
    file_->Reserve(at - base_, bytes);
    file_->Map(at, at - base_, bytes);
#ifdef MADV_HUGEPAGE
    ::madvise(at, static_cast<size_t>(bytes), MADV_HUGEPAGE);  // Until it leaves.
#endif
    on_disk_ += bytes;
  } else if (MapPlain(at, bytes, PROT_READ | PROT_WRITE) == MAP_FAILED) {
    Throw(ErrorCode::kIo, "Taking memory for operator state: {}", std::strerror(errno));
  }
  return first;
}

void StateMemory::GiveBack(uint32_t first, uint32_t count, bool mapped) {
  std::lock_guard lock(mutex_);
  int64_t bytes = count * options_.extent_bytes;
  MapPlain(AddressOf(first), bytes, PROT_NONE);
  if (mapped) {
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

ScratchFile& StateMemory::File() {
  std::lock_guard lock(mutex_);
  if (!file_) {
    mapped_before_ = MappedBytes();
    file_ = ScratchFile::Create(options_.folder, options_.fault);
  }
  return *file_;
}

// Whole, whatever is in use: written in one go, the file's pages are as large as the extent.
void StateMemory::Spill(uint32_t first, uint32_t count, int64_t counted) {
  ScratchFile& file = File();
  uint8_t* at = AddressOf(first);
  int64_t bytes = count * options_.extent_bytes;
  file.Reserve(at - base_, bytes);
  file.Write(at - base_, at, bytes);
  file.Map(at, at - base_, bytes);
  ::madvise(at, static_cast<size_t>(bytes), MADV_RANDOM);
  on_disk_ += bytes;
  plain_ -= counted;
  Calibrate(count);
}

void StateMemory::Drop(uint32_t first, uint32_t count, bool fresh) {
  uint8_t* at = AddressOf(first);
  int64_t bytes = count * options_.extent_bytes;
  if (fresh) {
    // What was advised about its pages ends with the mapping: one that is touched alone comes
    // alone, if it is read from the disk.
    file_->Map(at, at - base_, bytes);
    ::madvise(at, static_cast<size_t>(bytes), MADV_RANDOM);
  } else {
    ::madvise(at, static_cast<size_t>(bytes), MADV_DONTNEED);
  }
  Calibrate(count);
}

// For reading: the first write to a page (of whatever size) says that it has to be written out.
bool StateMemory::Bring(uint32_t first, uint32_t count) {
#ifdef MADV_POPULATE_READ
  auto began = std::chrono::steady_clock::now();
  ::madvise(AddressOf(first), count * static_cast<size_t>(options_.extent_bytes),
            MADV_POPULATE_READ);  // Or page by page, as they are touched.
  return std::chrono::steady_clock::now() - began < kFromMemory * count;
#else
  return true;
#endif
}

void StateMemory::Announce(uint32_t first, uint32_t count) {
  ::madvise(AddressOf(first), count * static_cast<size_t>(options_.extent_bytes), MADV_WILLNEED);
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

void StateMemory::Calibrate(uint32_t left) {
  if ((left_ += left) < kCalibrateAfter + 4 * next_) return;
  left_ = 0;
  int pages = ::open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
  if (pages < 0) return;
  constexpr uint64_t kPresentOfFile = uint64_t(5) << 61;
  std::vector<uint64_t> bits(static_cast<size_t>(options_.extent_bytes / PageBytes()));
  size_t bytes = bits.size() * sizeof(uint64_t);
  int64_t resident = 0;
  std::lock_guard lock(mutex_);
  // Other threads bring pages in and drop them meanwhile. What is taken for other files must not
  // grow by that: more state would stay in memory.
  int64_t mapped = MappedBytes();
  for (uint32_t extent = 1; extent < next_; extent++) {
    auto at = reinterpret_cast<intptr_t>(AddressOf(extent)) / PageBytes() * 8;
    if (::pread(pages, bits.data(), bytes, at) != static_cast<ssize_t>(bytes)) continue;
    for (uint64_t page : bits) resident += (page & kPresentOfFile) == kPresentOfFile ? 1 : 0;
  }
  ::close(pages);
  mapped = std::min(mapped, MappedBytes());
  if (mapped != INT64_MAX) mapped_before_ = mapped - resident * PageBytes();
}

int64_t StateMemory::Limit() const {
  return options_.budget ? options_.budget->Share(MemoryBudget::Use::kState) : options_.limit_bytes;
}

int64_t StateMemory::Excess() {
  int64_t held = plain_ + MappedResidentBytes();
  int64_t excess = held - Limit();
  int64_t change = held - accounted_.exchange(held);
  if (options_.budget) {
    bool granted = options_.budget->Add(MemoryBudget::Use::kState, change);
    if (!granted && excess <= 0 && held > kSpared) excess = kSpared;
  }
  tight_ = excess > 0 || on_disk_ > 0;
  return excess;
}

}  // namespace millrace
