// state_memory.h - where operator state lies: in memory up to a limit, beyond it on local disk.
//
// State is carved from extents of one reserved stretch of addresses. While there is room a fresh
// extent is plain memory. When all state together holds more than its limit, extents are written to
// a scratch file and that part of the file is mapped in their place: addresses stay what they are,
// and from then on their pages can leave (and come back when they are touched). Further extents are
// mapped from the file at once. So a row never moves, and nothing is read or written by hand. An
// extent is as large as a large page and lies at its boundary, in the file too: where the file
// system has pages of that size, one fault brings all of it. Which of them leave: state_arena.h.
// Held = plain memory + mapped pages, as the kernel counts them for this process.
#pragma once

#include <atomic>
#include <map>
#include <mutex>

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
  /// All addresses of state are within 2^kAddressBits bytes.
  static constexpr int kAddressBits = 37;

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
  friend class StateTurns;
  uint8_t* AddressOf(uint32_t extent) const {
    return base_ + static_cast<int64_t>(extent) * options_.extent_bytes;
  }
  /// Neighbouring extents, zeroed: plain memory, or `mapped` from the file.
  uint32_t Take(uint32_t count, bool mapped);
  void GiveBack(uint32_t first, uint32_t count, bool mapped);
  /// Moves plain extents to the file; `counted` of their bytes are in plain_.
  void Spill(uint32_t first, uint32_t count, int64_t counted);
  /// Takes the pages of mapped extents out of memory. `fresh`: for the first time.
  void Drop(uint32_t first, uint32_t count, bool fresh);
  /// Brings mapped extents into memory in one go. False when that took long: not from memory.
  bool Bring(uint32_t first, uint32_t count);
  /// Says that they will be brought in soon.
  void Announce(uint32_t first, uint32_t count);
  ScratchFile& File();
  /// That much more plain memory is in use. Many sections together may fill the first extents that
  /// they have for long: a look at what is held must not wait for the next ones.
  void AddPlain(int64_t bytes) {
    int64_t plain = plain_ += bytes;
    if (!tight_ && plain - accounted_ > options_.extent_bytes) (void)Excess();
  }
  /// What is held beyond the limit; 0 or less: nothing. Sets tight_.
  int64_t Excess();
  int64_t Limit() const;
  /// Pages of files in this process; those of the scratch file.
  int64_t MappedBytes() const;
  int64_t MappedResidentBytes() const;
  /// Now and then finds out how much of the former is none of the latter: `left` more extents have
  /// left memory.
  void Calibrate(uint32_t left);

  const StateMemoryOptions options_;
  uint8_t* region_ = nullptr;
  int64_t region_bytes_ = 0;
  uint8_t* base_ = nullptr;  // The first whole extent of the region.
  uint32_t extents_ = 0;
  std::atomic<int64_t> plain_{0};  // Memory that is not mapped from the file.
  std::atomic<int64_t> on_disk_{0};
  std::atomic<int64_t> accounted_{0};      // What was held at the last Excess; the budget knows it.
  std::atomic<int64_t> turns_{0};          // Of how many dataflows (StateTurns).
  std::atomic<bool> tight_{false};         // Something is on disk, or should be.
  std::atomic<uint32_t> left_{0};          // Extents that have left since Calibrate.
  std::atomic<int64_t> mapped_before_{0};  // Pages of other files.
  int statm_ = -1;

  mutable std::mutex mutex_;
  std::atomic<uint32_t> next_{1};      // Extents from here on were never used; 0 is no address.
  std::map<uint32_t, uint32_t> free_;  // First extent -> count, before next_.
  std::unique_ptr<ScratchFile> file_;
};

}  // namespace millrace
