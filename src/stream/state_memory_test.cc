// Goal: state that does not fit goes to disk and nothing else changes; what is held stays near the
// limit; a full disk is an Error; nothing is left behind. Method: the same random operations under
// limits from 0 up, against models in std containers; system calls that fail.
#include "stream/state_memory.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <filesystem>
#include <random>
#include <set>

#include "base/error.h"
#include "stream/packed_rows.h"
#include "stream/row_heap.h"

namespace millrace {

namespace {

/// A folder that is gone afterwards.
struct ScratchFolder {
  ScratchFolder()
      : path(std::filesystem::temp_directory_path() /
             ("millrace-state-" + std::to_string(::getpid()))) {
    std::filesystem::create_directories(path);
  }
  ~ScratchFolder() { std::filesystem::remove_all(path); }
  StateMemoryOptions Options(int64_t limit, SystemCallFault fault = nullptr) const {
    return {.folder = path, .limit_bytes = limit, .extent_bytes = 64 << 10, .fault = fault};
  }
  std::filesystem::path path;
};

std::string RandomText(std::mt19937& random) {
  constexpr idx_t kSizes[] = {0, 5, 12, 13, 40, 511, 513, 5000, 40000, 200000};
  idx_t size = kSizes[random() % (random() % 50 == 0 ? 10 : 6)];
  return std::string(size, static_cast<char>('a' + random() % 26));
}

}  // namespace

TEST_CASE("Blocks keep their bytes, whatever leaves memory in between") {
  ScratchFolder folder;
  for (int64_t limit : {int64_t(0), int64_t(300'000), INT64_MAX}) {
    CAPTURE(limit);
    StateMemory memory(folder.Options(limit));
    StateArena arena(memory);
    std::mt19937 random(11);
    struct Block {
      uint8_t* data;
      idx_t bytes;
      uint8_t mark;
    };
    std::vector<Block> blocks;
    auto check = [&](const Block& block) {
      return std::all_of(block.data, block.data + block.bytes,
                         [&](uint8_t byte) { return byte == block.mark; });
    };
    for (int i = 0; i < 3000; i++) {
      if (!blocks.empty() && random() % 100 < 45) {
        idx_t at = random() % blocks.size();
        REQUIRE(check(blocks[at]));
        arena.Free(blocks[at].data, blocks[at].bytes);
        blocks[at] = blocks.back();
        blocks.pop_back();
      } else {
        idx_t bytes = 1 + random() % (random() % 20 == 0 ? 200'000 : 10'000);
        auto kind = random() % 3 ? StateArena::Kind::kRows : StateArena::Kind::kIndex;
        Block block = {arena.Allocate(bytes, kind), bytes, static_cast<uint8_t>(random())};
        memset(block.data, block.mark, bytes);
        blocks.push_back(block);
      }
      if (random() % 10 == 0) arena.Balance();
    }
    for (const Block& block : blocks) CHECK(check(block));
    CHECK((memory.Used().disk_bytes > 0) == (limit != INT64_MAX));
    CHECK(std::filesystem::is_empty(folder.path));  // The file has no name.
    for (const Block& block : blocks) arena.Free(block.data, block.bytes);
    CHECK(arena.Bytes() == 0);
  }
}

TEST_CASE("What is held stays near the limit, and goes back") {
  ScratchFolder folder;
  constexpr int64_t kLimit = 8 << 20, kBlock = 256 << 10;
  StateMemory memory(
      {.folder = folder.path, .limit_bytes = kLimit, .extent_bytes = 1 << 20});
  {
    StateArena arena(memory);
    std::vector<uint8_t*> blocks;
    for (int i = 0; i < 256; i++) {
      blocks.push_back(arena.Allocate(kBlock));
      memset(blocks.back(), i, kBlock);
      for (int k = 0; k <= i; k += 16) CHECK(blocks[k][i * 64] == k);  // Brings pages back.
      arena.Balance();
      CHECK(memory.Used().memory_bytes < kLimit + (4 << 20));
    }
    CHECK(memory.Used().disk_bytes > (256 * kBlock) / 2);
    for (int i = 0; i < 256; i++) CHECK(blocks[i][kBlock - 1] == i);
  }
  CHECK(memory.Used().disk_bytes == 0);
  CHECK(memory.Used().memory_bytes == 0);
}

TEST_CASE("A full disk is an error that names the folder and the way out") {
  ScratchFolder folder;
  for (const char* call : {"open", "fallocate", "pwrite", "mmap"}) {
    CAPTURE(call);
    StateMemory memory(folder.Options(
        100'000, [&](std::string_view name, const std::string&) { return name == call; }));
    StateArena arena(memory);
    std::vector<uint8_t*> blocks;
    try {
      for (int i = 0; i < 100; i++) {
        blocks.push_back(arena.Allocate(16 << 10));
        memset(blocks.back(), i, 16 << 10);
      }
      FAIL("must throw");
    } catch (const Error& error) {
      CHECK(error.code() == ErrorCode::kIo);
      CHECK(error.text().find(folder.path.string()) != std::string::npos);
      CHECK(error.text().find("memory limit") != std::string::npos);
    }
    for (idx_t i = 0; i < blocks.size(); i++) CHECK(blocks[i][100] == i);
  }
}

TEST_CASE("A table of rows is a map, in memory and on disk") {
  ScratchFolder folder;
  for (int64_t limit : {INT64_MAX, int64_t(0)}) {
    for (bool scoped : {false, true}) {
      CAPTURE(limit);
      CAPTURE(scoped);
      StateMemory memory(folder.Options(limit));
      StateArena arena(memory);
      RowTable table(arena, RowLayout({LogicalType::BIGINT, LogicalType::VARCHAR}),
                     2 * sizeof(int64_t), scoped);
      std::map<std::pair<int64_t, std::string>, int64_t> model;
      std::mt19937 random(5);
      DataChunk chunk;
      chunk.Initialize(duckdb::Allocator::DefaultAllocator(), table.Layout().Types());
      RowBatch batch;
      static const int kScopes[2] = {};
      for (int i = 0; i < 20'000; i++) {
        int64_t number = random() % 3000;
        std::string text = number % 5 ? "t" + std::to_string(number) : RandomText(random);
        chunk.Reset();
        chunk.SetValue(0, 0, Value::BIGINT(number));
        chunk.SetValue(1, 0, Value(text));
        chunk.SetCardinality(1);
        batch.Fill(table.Layout(), chunk, nullptr, true);
        int scope_index = static_cast<int>(random() % 2);
        const void* scope = scoped ? &kScopes[scope_index] : nullptr;
        auto key = std::make_pair(number + (scoped ? scope_index * 10'000 : 0), text);
        if (random() % 3 == 0) {
          uint8_t* row = table.Find(batch.Row(0), batch.HashOf(0), scope);
          REQUIRE((row != nullptr) == (model.count(key) > 0));
          if (row) table.Erase(row);
          model.erase(key);
        } else {
          bool created;
          uint8_t* row = table.FindOrCreate(batch.Row(0), batch.HashOf(0), created, scope);
          REQUIRE(created == (model.count(key) == 0));
          int64_t& value = *reinterpret_cast<int64_t*>(row + table.Layout().Width() + 8);
          REQUIRE(value == model[key]);
          value = model[key] = i;
        }
        if (i % 500 == 0) arena.Balance();
        if (i % 7000 == 6999) {
          table.Clear();
          model.clear();
        }
      }
      CHECK(table.Size() == model.size());
      idx_t visited = 0;
      table.ForEach([&](uint8_t*) { visited++; });
      CHECK(visited == model.size());
    }
  }
}

TEST_CASE("Segments of a large table split alone and lose nothing") {
  ScratchFolder folder;
  StateMemory memory({.folder = folder.path, .limit_bytes = 8 << 20});
  StateArena arena(memory);
  constexpr int64_t kRows = 600'000;
  RowTable table(arena, RowLayout({LogicalType::BIGINT}), sizeof(int64_t));
  DataChunk chunk;
  chunk.Initialize(duckdb::Allocator::DefaultAllocator(), table.Layout().Types());
  RowBatch batch;
  std::vector<uint8_t*> found(kChunkRows);
  auto fill = [&](int64_t first) {
    auto data = duckdb::FlatVector::GetData<int64_t>(chunk.data[0]);
    for (idx_t i = 0; i < kChunkRows; i++) data[i] = first + static_cast<int64_t>(i);
    chunk.SetCardinality(kChunkRows);
    batch.Fill(table.Layout(), chunk, nullptr, true);
  };
  for (int64_t first = 0; first < kRows; first += kChunkRows) {
    fill(first);
    table.FindOrCreateAll(batch, kChunkRows, found.data());
    for (idx_t i = 0; i < kChunkRows; i++) {
      table.Payload<int64_t>(found[i]) = -first - static_cast<int64_t>(i);
    }
    arena.Balance();
  }
  CHECK(table.Size() >= kRows);
  CHECK(memory.Used().disk_bytes > 0);
  CHECK(memory.Used().memory_bytes < 16 << 20);
  int64_t wrong = 0;
  for (int64_t first = 0; first < kRows; first += kChunkRows) {
    fill(first);
    for (idx_t i = 0; i < kChunkRows; i++) {
      uint8_t* row = table.Find(batch.Row(i), batch.HashOf(i));
      if (!row || table.Payload<int64_t>(row) != -first - static_cast<int64_t>(i)) wrong++;
      if (row && i % 3) table.Erase(row);
    }
    arena.Balance();
  }
  CHECK(wrong == 0);
  idx_t left = 0;
  table.ForEach([&](uint8_t*) { left++; });
  CHECK(left == table.Size());
  table.Clear();
  CHECK(table.Size() == 0);
}

TEST_CASE("A table that is filled at once is one that was filled row by row") {
  ScratchFolder folder;
  for (int64_t limit : {INT64_MAX, int64_t(4) << 20}) {
    // None, one segment that grows, and many: as many as fit exactly, and one more.
    for (idx_t rows : {0, 1, 383, 385, 5000, 98'304, 98'305, 600'000}) {
      CAPTURE(limit);
      CAPTURE(rows);
      StateMemory memory(folder.Options(limit));
      StateArena arena(memory);
      RowTable table(arena, RowLayout({LogicalType::BIGINT, LogicalType::VARCHAR}), 8);
      const RowLayout& layout = table.Layout();
      std::vector<uint8_t> row(layout.Width());
      RowLayout::MarkLive(row.data());
      std::string text;
      auto pack = [&](idx_t i) {
        text = (i % 3 ? "short" : "a text longer than twelve bytes ") + std::to_string(i);
        string_t packed(text.data(), static_cast<uint32_t>(text.size()));
        memcpy(const_cast<uint8_t*>(layout.ValueAt(row.data(), 0)), &i, sizeof(i));
        memcpy(const_cast<uint8_t*>(layout.ValueAt(row.data(), 1)), &packed, sizeof(packed));
        return layout.Hash(row.data());
      };
      {
        RowTable::Filler filler(table);
        for (idx_t i = 0; i < rows; i++) {
          uint64_t hash = pack(i);
          table.Payload<idx_t>(filler.Add(row.data(), hash)) = i + 7;
          if (i % 1000 == 0) arena.Balance();
        }
        filler.Finish();
      }
      CHECK(table.Size() == rows);
      int64_t wrong = 0;
      for (idx_t i = 0; i < rows + rows / 2; i++) {
        uint64_t hash = pack(i);
        uint8_t* found = table.Find(row.data(), hash);
        if (i < rows && (!found || table.Payload<idx_t>(found) != i + 7)) wrong++;
        if (i >= rows && found) wrong++;
        bool created;
        table.FindOrCreate(row.data(), hash, created);  // It grows on.
        if (created != (i >= rows)) wrong++;
        if (found && i % 2) table.Erase(found);
      }
      CHECK(wrong == 0);
      CHECK(table.Size() == rows);  // Half as many have come as were there, and as many gone.
    }
  }
}

TEST_CASE("A heap of rows gives the best one, whatever leaves in between") {
  struct Node {
    int value;
    HeapLinks links;
  };
  auto links = [](uint8_t* row) -> HeapLinks& { return reinterpret_cast<Node*>(row)->links; };
  auto above = [](const uint8_t* a, const uint8_t* b) {
    return reinterpret_cast<const Node*>(a)->value < reinterpret_cast<const Node*>(b)->value;
  };
  RowHeap heap(links, above);
  std::mt19937 random(3);
  std::deque<Node> nodes(500);
  std::vector<Node*> out, in;
  for (Node& node : nodes) out.push_back(&node);
  std::multiset<int> model;
  uint8_t* top = nullptr;
  for (int i = 0; i < 20'000; i++) {
    if (!out.empty() && (in.empty() || random() % 100 < 50)) {
      Node* node = out.back();
      out.pop_back();
      node->value = static_cast<int>(random() % 1000);
      heap.Insert(top, reinterpret_cast<uint8_t*>(node));
      in.push_back(node);
      model.insert(node->value);
    } else {
      idx_t at = random() % in.size();
      if (random() % 3 == 0) {
        at = static_cast<idx_t>(std::find(in.begin(), in.end(), reinterpret_cast<Node*>(top)) -
                                in.begin());
      }
      heap.Remove(top, reinterpret_cast<uint8_t*>(in[at]));
      model.erase(model.find(in[at]->value));
      out.push_back(in[at]);
      in[at] = in.back();
      in.pop_back();
    }
    REQUIRE((top == nullptr) == model.empty());
    if (top) REQUIRE(reinterpret_cast<Node*>(top)->value == *model.begin());
  }
}

}  // namespace millrace
