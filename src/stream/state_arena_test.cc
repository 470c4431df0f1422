// Goal: blocks of all sizes fit into extents without touching each other; sections that several
// threads work at in turns keep their bytes while most of them are on disk; what is held stays near
// the limit, and a failure leaves nobody waiting. Method: random operations (seeds fixed) on blocks
// filled with marks, against a model.
#include "stream/state_arena.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <map>
#include <random>

#include "base/error.h"
#include "io/executor.h"
#include "io/worker_pool.h"

namespace millrace {

namespace {

constexpr int64_t kExtent = 64 << 10;

struct ScratchFolder {
  ScratchFolder()
      : path(std::filesystem::temp_directory_path() /
             ("millrace-arena-" + std::to_string(::getpid()))) {
    std::filesystem::create_directories(path);
  }
  ~ScratchFolder() { std::filesystem::remove_all(path); }
  StateMemoryOptions Options(int64_t limit, SystemCallFault fault = nullptr) const {
    return {.folder = path, .limit_bytes = limit, .extent_bytes = kExtent, .fault = fault};
  }
  std::filesystem::path path;
};

struct Block {
  uint8_t* data;
  idx_t bytes;
  uint8_t mark;

  bool Holds() const {
    return std::all_of(data, data + bytes, [this](uint8_t byte) { return byte == mark; });
  }
  void Fill(uint8_t with) {
    mark = with;
    memset(data, with, bytes);
  }
};

/// What lies in one section.
struct Part {
  StateArena* arena;
  uint8_t section;
  std::vector<Block> blocks;

  /// Changes, takes and frees blocks; false when one does not hold what was put into it.
  bool Work(std::mt19937& random, idx_t most) {
    bool holds = true;
    for (Block& block : blocks) holds = holds && block.Holds();
    for (int i = 0; i < 20; i++) {
      if (!blocks.empty() && (blocks.size() >= most || random() % 3 == 0)) {
        idx_t at = random() % blocks.size();
        arena->Free(blocks[at].data, blocks[at].bytes);
        blocks[at] = blocks.back();
        blocks.pop_back();
        continue;
      }
      idx_t bytes = 1 + random() % (random() % 20 == 0 ? 3 * kExtent : kExtent / 4);
      auto kind = random() % 3 ? StateArena::Kind::kRows : StateArena::Kind::kIndex;
      blocks.push_back({arena->Allocate(bytes, kind), bytes, 0});
      blocks.back().Fill(static_cast<uint8_t>(random()));
      if (random() % 4 == 0) arena->Balance();
    }
    for (Block& block : blocks) {
      if (random() % 4 == 0) block.Fill(static_cast<uint8_t>(random()));
    }
    return holds;
  }
};

}  // namespace

TEST_CASE("Sections that threads work at in turns keep their bytes, and what is held its limit") {
  ScratchFolder folder;
  constexpr int64_t kLimit = 4 << 20;
  constexpr idx_t kArenas = 8, kSections = 3;
  for (idx_t threads : {1, 4}) {
    CAPTURE(threads);
    StateMemory memory(folder.Options(kLimit));
    auto executor = MakeThreadExecutor();
    WorkerPool workers(*executor, "worker", threads - 1);
    std::vector<std::unique_ptr<StateArena>> arenas;
    std::vector<StateArena*> all;
    std::vector<Part> parts;
    for (idx_t i = 0; i < kArenas; i++) {
      all.push_back(arenas.emplace_back(std::make_unique<StateArena>(memory)).get());
    }
    for (idx_t s = 0; s < kSections; s++) {
      for (StateArena* arena : all) parts.push_back({arena, static_cast<uint8_t>(s), {}});
    }
    {
      StateTurns turns(all);
      std::mt19937 seeds(7);
      std::atomic<int64_t> wrong{0};
      int64_t most = 0;
      for (int round = 0; round < 30; round++) {
        for (idx_t s = 0; s < kSections; s++) {
          std::vector<uint32_t> seed(kArenas);
          for (uint32_t& one : seed) one = static_cast<uint32_t>(seeds());
          workers.Run(kArenas, threads, [&](size_t i) {
            Part& part = parts[s * kArenas + i];
            std::mt19937 random(seed[i]);
            // Few rows and many: brought in as they are touched, or at once.
            StateTurns::Turn turn(turns, *part.arena, part.section, seed[i] % 2 ? 1 : 100'000);
            if (!part.Work(random, 60)) wrong++;
          });
          most = std::max(most, memory.Used().memory_bytes);
        }
        // Between the turns the owner works everywhere, as small steps do.
        for (Part& part : parts) {
          if (seeds() % 8) continue;
          std::mt19937 random(static_cast<uint32_t>(seeds()));
          part.arena->Enter(part.section);
          if (!part.Work(random, 60)) wrong++;
          part.arena->Balance();
        }
      }
      CHECK(wrong == 0);
      CHECK(memory.Used().disk_bytes > 4 * kLimit);
      CHECK(turns.MappedExtents() * kExtent >= memory.Used().disk_bytes / 4);
      // Each thread's section may be larger than its part of the limit.
      CHECK(most < kLimit + static_cast<int64_t>(threads) * (3 << 20));
    }
    for (Part& part : parts) {
      for (Block& block : part.blocks) part.arena->Free(block.data, block.bytes);
    }
    for (StateArena* arena : all) CHECK(arena->Bytes() == 0);
    arenas.clear();
    CHECK(memory.Used().disk_bytes == 0);
    CHECK(memory.Used().memory_bytes == 0);
  }
}

TEST_CASE("A section that had to leave while it was worked at leaves again for the next one") {
  constexpr int64_t kLimit = 8 * kExtent;
  ScratchFolder folder;
  StateMemory memory(folder.Options(kLimit));
  StateArena first(memory), second(memory), third(memory);
  StateTurns turns({&first, &second, &third});
  std::map<StateArena*, std::vector<Block>> blocks;
  // Each is as large as four times the limit: it leaves while it grows, and comes back.
  auto work = [&](StateArena& arena) {
    StateTurns::Turn turn(turns, arena, 0, 1);
    for (int i = 0; i < 32; i++) {
      blocks[&arena].push_back({arena.Allocate(kExtent), kExtent, 0});
      for (Block& block : blocks[&arena]) block.Fill(static_cast<uint8_t>(i));
    }
  };
  work(first);
  work(second);
  work(third);
  // The last one's is there, the others' is not.
  CHECK(memory.Used().memory_bytes < 32 * kExtent + kLimit);
  for (auto& [arena, all] : blocks) {
    for (const Block& block : all) CHECK(block.Holds());
  }
}

TEST_CASE("Extents are filled with blocks of all sizes before there is another") {
  ScratchFolder folder;
  StateMemory memory(folder.Options(INT64_MAX));
  StateArena arena(memory);
  std::set<uint64_t> extents;
  auto note = [&](uint8_t* block) {
    extents.insert(static_cast<uint64_t>(block - arena.Base()) / kExtent);
    return block;
  };
  // 4 + 4 + 8 + 16 + 32 KB are one extent, in whatever order they come.
  uint8_t* small = note(arena.Allocate(4 << 10));
  note(arena.Allocate(32 << 10));
  note(arena.Allocate(16 << 10));
  note(arena.Allocate(8 << 10));
  note(arena.Allocate(4 << 10));
  CHECK(extents.size() == 1);
  note(arena.Allocate(1));
  CHECK(extents.size() == 2);
  // Rows and entries of tables, and other sections, are apart.
  note(arena.Allocate(1, StateArena::Kind::kIndex));
  CHECK(extents.size() == 3);
  arena.Enter(1);
  note(arena.Allocate(1));
  CHECK(extents.size() == 4);
  // What is freed goes back to its own section.
  arena.Free(small, 4 << 10);
  arena.Enter(0);
  CHECK(arena.Allocate(4 << 10) == small);
}

TEST_CASE("A full disk ends a turn and leaves the others free") {
  ScratchFolder folder;
  std::atomic<bool> full{false};
  StateMemory memory(folder.Options(10 * kExtent, [&](std::string_view call, const std::string&) {
    return full && (call == "fallocate" || call == "pwrite");
  }));
  StateArena first(memory), second(memory);
  StateTurns turns({&first, &second});
  std::vector<Block> blocks;
  auto fill = [&](StateArena& arena, int count) {
    StateTurns::Turn turn(turns, arena, 0, 1000);
    for (int i = 0; i < count; i++) {
      blocks.push_back({arena.Allocate(kExtent / 2), kExtent / 2, 0});
      blocks.back().Fill(static_cast<uint8_t>(i));
    }
  };
  fill(first, 12);
  full = true;
  CHECK_THROWS_AS(fill(second, 30), Error);
  full = false;
  fill(second, 30);
  fill(first, 30);
  CHECK(memory.Used().disk_bytes > 0);
  for (const Block& block : blocks) CHECK(block.Holds());
}

}  // namespace millrace
