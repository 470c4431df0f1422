// state_arena.h - one shard's part of the state's memory (state_memory.h), and who leaves it when
// it is tight.
//
// An arena has sections, one for each level of its dataflow (sharded_run.h), with extents of their
// own: what is worked at together lies together. Extents give blocks of powers of two. The arenas
// of a dataflow take turns: before a section is worked at, room is made for it and it is brought in
// at once, front to back. Out go sections that nobody works at, the last finished first: all come
// again in the same order, and those that have waited longest are needed soonest. So what fits
// stays, and the rest is moved once a round, however many rows ask for it.
#pragma once

#include <condition_variable>
#include <memory_resource>
#include <unordered_map>

#include "stream/state_memory.h"

namespace millrace {

class StateTurns;

/// Threads: one at a time. Throws: Error(kIo) when state cannot be written to disk.
class StateArena {
 public:
  enum class Kind : uint8_t { kRows, kIndex };

  explicit StateArena(StateMemory& memory) : memory_(memory), sections_(1) {}
  ~StateArena();
  StateArena(const StateArena&) = delete;
  StateArena& operator=(const StateArena&) = delete;

  static constexpr idx_t kLeastBlock = 4096;
  /// What Allocate really gives for `bytes`.
  idx_t BlockBytes(idx_t bytes) const;
  /// Not zeroed. In the section that was last entered, the first at first.
  uint8_t* Allocate(idx_t bytes, Kind kind = Kind::kRows);
  /// `bytes` as it was asked for.
  void Free(uint8_t* block, idx_t bytes);
  /// All addresses are within 2^kAddressBits bytes from here.
  const uint8_t* Base() const { return memory_.base_; }
  static constexpr int kAddressBits = StateMemory::kAddressBits;
  int64_t Bytes() const { return bytes_; }
  StateMemory& Memory() const { return memory_; }

  /// What follows works at this section.
  void Enter(uint8_t section) {
    if (section != section_ || sections_[section].HasLeft()) Change(section);
  }
  /// All of the block will be read from front to back: brings it into memory in one go.
  void WillRead(const uint8_t* block, idx_t bytes) const;
  /// Between operations, often: takes state out of memory when all state together holds too much.
  void Balance() {
    if (memory_.tight_.load(std::memory_order_relaxed)) Shrink();
  }

 private:
  friend class StateTurns;
  static constexpr int kKinds = 2;
  static constexpr int kClasses = 16;  // Blocks of kLeastBlock << class.
  static constexpr uint8_t kNone = 255;

  struct Extent {
    uint32_t first = 0;
    uint32_t count = 0;
    Kind kind = Kind::kRows;
    uint8_t section = 0;
    bool mapped = false;         // From the file.
    bool fresh = false;          // And has not left memory yet.
    bool whole = false;          // One block that takes all of it.
    uint8_t largest = kNone;     // Class of the largest block that is free; kNone: none.
    uint32_t place = 0;          // In the list of those.
    uint32_t live = 0;           // Pages (of kLeastBlock) in use.
    uint32_t counted = 0;        // Those that were ever.
    std::vector<uint64_t> free;  // A bit for each page.
    std::vector<uint64_t> used;
  };
  struct Section {
    std::vector<Extent*> extents[kKinds];  // A ring: the next to leave is at `hand`.
    size_t hand[kKinds] = {};
    size_t left[kKinds] = {};  // How many before it have left since the section was entered.
    uint32_t turn = 0;
    uint64_t ended = 0;                           // When work at it last did.
    std::vector<Extent*> open[kKinds][kClasses];  // By their largest free block.

    size_t Size() const { return extents[0].size() + extents[1].size(); }
    size_t HasLeft() const { return left[0] + left[1]; }
  };

  uint32_t PagesOf(const Extent& extent) const;
  void Change(uint8_t section);
  Extent& NewExtent(uint32_t count, Kind kind, bool whole);
  void Release(Extent& extent);
  uint8_t* TakeBlock(Extent& extent, uint8_t size_class);
  /// Lists the extent by what is free in it now.
  void List(Extent& extent);
  void Unlist(Extent& extent);
  void Shrink();
  /// The next of the section's extents leaves memory.
  void EvictNext(Section& section);
  void Evict(Extent& extent);
  /// Brings all of a section into memory.
  void Bring(const Section& section);

  StateMemory& memory_;
  StateTurns* turns_ = nullptr;
  bool taken_ = false;  // Of turns_: somebody works at it, or takes it out of memory.
  uint8_t section_ = 0;
  int64_t bytes_ = 0;
  int64_t mapped_ = 0;  // Extents.
  std::vector<Section> sections_;
  std::unordered_map<uint32_t, std::unique_ptr<Extent>> by_first_;
};

/// The arenas of one dataflow.
/// Threads: Begin and End from any, one at a time for an arena. Throws: as StateArena.
class StateTurns {
 public:
  /// The arenas outlive it.
  explicit StateTurns(std::vector<StateArena*> arenas);
  ~StateTurns();
  StateTurns(const StateTurns&) = delete;
  StateTurns& operator=(const StateTurns&) = delete;

  /// Work of so many rows at a section of an arena; until the Turn goes, it stays in memory if it
  /// can.
  class Turn {
   public:
    Turn(StateTurns& turns, StateArena& arena, uint8_t section, idx_t rows)
        : turns_(turns), arena_(arena) {
      turns.Begin(arena, section, rows);
    }
    ~Turn() { turns_.End(arena_); }
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;

   private:
    StateTurns& turns_;
    StateArena& arena_;
  };

  /// Extents that are not in plain memory.
  int64_t MappedExtents() const;
  /// What all state may hold; this dataflow's even part of it.
  int64_t Limit() const { return memory_.Limit(); }
  int64_t EvenPart() const { return Limit() / std::max<int64_t>(memory_.turns_, 1); }
  /// Beside the one of the state; null where that has no folder.
  std::unique_ptr<ScratchFile> MakeFile() const;
  /// So much of that is for other things from here on, instead of what was set aside before.
  void SetAside(int64_t bytes);

 private:
  friend class StateArena;
  void Begin(StateArena& arena, uint8_t section, idx_t rows);
  void End(StateArena& arena);
  /// Takes out what nobody works at until there is room for so many bytes; what is still missing.
  int64_t MakeRoom(int64_t bytes);
  /// An arena that nobody works at (which is taken then) and its next section to leave.
  std::pair<StateArena*, StateArena::Section*> Claim();

  const std::vector<StateArena*> arenas_;
  StateMemory& memory_;
  std::mutex mutex_;  // Guards taken_ of the arenas and what follows.
  std::condition_variable changed_;
  std::atomic<int64_t> working_{0};
  uint64_t clock_ = 0;
  int64_t set_aside_ = 0;
  size_t next_ = 0;  // Of all sections: where to go on when nobody works.
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
