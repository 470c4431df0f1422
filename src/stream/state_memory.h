// state_memory.h - where operator state lies: in memory up to a limit, beyond it on local disk.
//
// State is carved from extents of one reserved stretch of addresses. A fresh extent is plain
// memory. When all state together holds more than its limit, the oldest extents are written to a
// scratch file and that part of the file is mapped in their place: addresses stay what they are,
// and from then on their pages can leave (and come back when they are touched). So a row never
// moves, nothing is read or written by hand, and what is hot stays in memory because it returns at
// once. Extents go in turns (first in, first out), those of hash tables more rarely than those of
// rows. Held = plain memory + mapped pages, as the kernel counts them for this process.
#pragma once

#include <atomic>
#include <list>
#include <memory_resource>
#include <mutex>
#include <unordered_map>

#include "base/memory_budget.h"
#include "io/scratch_file.h"

namespace millrace {

struct StateMemoryOptions {
  std::string folder;              // Of the scratch file, which is made when it is needed.
  MemoryBudget* budget = nullptr;  // Gives the limit; null: `limit_bytes` does.
  int64_t limit_bytes = INT64_MAX;
  int64_t extent_bytes = 2 << 20;  // A power of two.
  SystemCallFault fault = nullptr;
};

/// The memory of all operator state of a process.
/// Threads: safe. Throws: Error(kIo) when state cannot be written to disk.
class StateMemory {
 public:
  explicit StateMemory(StateMemoryOptions options = {});
  /// REQUIRES: all arenas are gone.
  ~StateMemory();
  StateMemory(const StateMemory&) = delete;
  StateMemory& operator=(const StateMemory&) = delete;

  struct Usage {
    int64_t memory_bytes = 0;
    int64_t disk_bytes = 0;
  };
  Usage Used() const;

 private:
  friend class StateArena;
  uint8_t* AddressOf(uint32_t extent) const {
    return base_ + static_cast<int64_t>(extent) * options_.extent_bytes;
  }
  /// Neighbouring extents, zeroed.
  uint32_t Take(uint32_t count);
  void GiveBack(uint32_t first, uint32_t count, bool spilled);
  /// Moves extents to the file; the first `used` bytes of them hold something.
  void Spill(uint32_t first, uint32_t count, int64_t used);
  /// What is held beyond the limit; 0 or less: nothing. Sets tight_.
  int64_t Excess();
  int64_t Limit() const;
  /// Pages of files in this process; those of the scratch file.
  int64_t MappedBytes() const;
  int64_t MappedResidentBytes() const;
  /// Finds out how much of the former is none of the latter.
  void Calibrate();

  const StateMemoryOptions options_;
  uint8_t* region_ = nullptr;
  int64_t region_bytes_ = 0;
  uint8_t* base_ = nullptr;  // The first whole extent of the region.
  uint32_t extents_ = 0;
  std::atomic<int64_t> plain_{0};  // Memory that is not mapped from the file.
  std::atomic<int64_t> on_disk_{0};
  std::atomic<int64_t> accounted_{0};      // What the budget knows of.
  std::atomic<bool> tight_{false};         // Something is on disk, or should be.
  std::atomic<int64_t> mapped_before_{0};  // Pages of other files.
  int statm_ = -1;

  mutable std::mutex mutex_;
  uint32_t next_ = 1;                  // Extents from here on were never used; 0 is no address.
  std::map<uint32_t, uint32_t> free_;  // First extent -> count, before next_.
  std::unique_ptr<ScratchFile> file_;
};

/// The part of the state's memory that one dataflow uses.
///
/// Threads: owned by its job. Throws: Error(kIo) when state cannot be written to disk.
class StateArena {
 public:
  enum class Kind : uint8_t { kRows, kIndex };

  explicit StateArena(StateMemory& memory) : memory_(memory) {}
  ~StateArena();
  StateArena(const StateArena&) = delete;
  StateArena& operator=(const StateArena&) = delete;

  static constexpr idx_t kLeastBlock = 4096;
  /// What Allocate really gives for `bytes`.
  idx_t BlockBytes(idx_t bytes) const;
  /// Not zeroed.
  uint8_t* Allocate(idx_t bytes, Kind kind = Kind::kRows);
  /// `bytes` as it was asked for.
  void Free(uint8_t* block, idx_t bytes);
  /// All addresses are within 2^kAddressBits bytes from here.
  const uint8_t* Base() const { return memory_.base_; }
  static constexpr int kAddressBits = 37;
  int64_t Bytes() const { return bytes_; }

  /// All of the block will be read from front to back: brings it into memory in one go.
  void WillRead(const uint8_t* block, idx_t bytes) const;
  /// Between operations, often: takes state out of memory when all state together holds too much.
  void Balance() {
    if (memory_.tight_.load(std::memory_order_relaxed)) Shrink();
  }

 private:
  struct Extent {
    uint32_t first;
    uint32_t count;
    Kind kind;
    uint8_t size_class;  // kWhole: one block that takes all of it.
    bool spilled = false;
    bool open = false;    // Listed in open_.
    uint32_t carved = 0;  // Blocks given out at least once.
    uint32_t live = 0;
    std::vector<uint64_t> free;  // A bit per block that has been given back.
  };
  using ExtentList = std::list<Extent>;
  static constexpr uint8_t kWhole = 255;
  static constexpr int kKinds = 2;
  static constexpr int kClasses = 16;

  idx_t ClassBytes(const Extent& extent) const;
  int64_t UsedBytes(const Extent& extent) const;
  ExtentList::iterator NewExtent(uint32_t count, Kind kind, uint8_t size_class);
  void Release(ExtentList::iterator extent);
  uint8_t* BlockOf(Extent& extent);
  void Shrink();
  void Evict(Extent& extent);

  StateMemory& memory_;
  int64_t bytes_ = 0;
  int64_t full_rounds_ = 0;
  ExtentList turns_[kKinds];  // The next to leave in front.
  std::unordered_map<uint32_t, ExtentList::iterator> by_first_;
  std::vector<ExtentList::iterator> open_[kKinds][kClasses];  // With room for a block.
};

/// An arena as memory of standard containers (through a pool: blocks are big).
class StateResource : public std::pmr::memory_resource {
 public:
  explicit StateResource(StateArena& arena) : arena_(arena) {}

 private:
  void* do_allocate(size_t bytes, size_t) override { return arena_.Allocate(bytes); }
  void do_deallocate(void* block, size_t bytes, size_t) override {
    arena_.Free(static_cast<uint8_t*>(block), bytes);
  }
  bool do_is_equal(const memory_resource& other) const noexcept override { return this == &other; }

  StateArena& arena_;
};

}  // namespace millrace
