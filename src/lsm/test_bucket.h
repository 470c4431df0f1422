// test_bucket.h - one bucket over a memory disk beside a naive model of it, for tests.
#pragma once

#include <map>
#include <random>

#include "duckdb/main/database.hpp"
#include "format/test_values.h"
#include "io/manual_clock.h"
#include "io/memory_file_system.h"
#include "lsm/compaction.h"
#include "lsm/merge_reader.h"
#include "lsm/write_buffer.h"

namespace millrace {

inline duckdb::DatabaseInstance& TestDatabase() {
  // Never destroyed: at exit the engine's thread locals are gone before it.
  static auto* database = new duckdb::DuckDB(nullptr);
  return *database->instance;
}

using TestRow = std::vector<Value>;

/// Orders keys by DuckDB's values, independently of normalised keys.
struct KeyLess {
  bool operator()(const TestRow& a, const TestRow& b) const {
    for (size_t i = 0; i < a.size(); i++) {
      if (a[i] < b[i]) return true;
      if (b[i] < a[i]) return false;
    }
    return false;
  }
};

inline KeyValueLayout MakeLayout(const std::vector<std::string>& types, std::vector<idx_t> key) {
  KeyValueLayout layout;
  for (const std::string& text : types) {
    DataField field;
    field.id = static_cast<int>(layout.fields.size());
    field.name = "f" + std::to_string(field.id);
    field.type = ParseDataType(text);
    layout.fields.push_back(field);
  }
  for (idx_t index : key) layout.fields[index].type = layout.fields[index].type.NotNull();
  layout.key = std::move(key);
  return layout;
}

inline std::vector<TestRow> ToRows(DataChunk& chunk) {
  std::vector<TestRow> rows(chunk.size());
  for (idx_t i = 0; i < chunk.size(); i++) {
    for (idx_t c = 0; c < chunk.ColumnCount(); c++) rows[i].push_back(chunk.GetValue(c, i));
  }
  return rows;
}

inline bool SameRow(const TestRow& a, const TestRow& b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); i++) {
    if (!Value::NotDistinctFrom(a[i], b[i])) return false;
  }
  return true;
}

/// Writes, flushes and compacts a bucket; `model` holds what must be in it.
struct TestBucket {
  MemoryFileSystem files;
  ManualClock clock{1'700'000'000'000};
  Random names_random{7};
  LsmContext context{files, clock, TestDatabase()};
  KeyValueLayout layout;
  DataFileNames names{names_random};
  KeyOrder order;
  Levels levels;
  std::mt19937_64 random;
  WriteBuffer buffer;
  int64_t domain;
  std::map<TestRow, TestRow, KeyLess> model;

  TestBucket(KeyValueLayout bucket_layout, uint64_t seed, int64_t key_domain,
             WriteBufferOptions options = {})
      : layout(std::move(bucket_layout)),
        order(layout.KeyTypes()),
        levels(order, {}, 4),
        random(seed),
        buffer(layout, 0, options),
        domain(key_domain) {}

  TestRow KeyOf(const TestRow& row) const {
    TestRow key;
    for (idx_t index : layout.key) key.push_back(row[index]);
    return key;
  }

  /// Adds `count` random changes, in chunks of random size, through random selections.
  void WriteRandom(idx_t count, double delete_share) {
    while (count > 0) {
      idx_t size = std::min<idx_t>(count, 1 + random() % 700);
      count -= size;
      ChangeChunk chunk;
      chunk.Initialize(layout.ValueTypes());
      for (idx_t i = 0; i < size; i++) {
        for (idx_t c = 0; c < layout.fields.size(); c++) {
          chunk.rows.SetValue(c, i, RandomValue(random, layout.fields[c].type, domain));
        }
        bool deleted = static_cast<double>(random() % 1000) < delete_share * 1000;
        chunk.kinds.push_back(deleted        ? RowKind::kDelete
                              : random() % 2 ? RowKind::kInsert
                                             : RowKind::kUpdateAfter);
      }
      chunk.rows.SetCardinality(size);
      SelectionVector order_of(size);
      for (idx_t i = 0; i < size; i++) order_of.set_index(i, i);
      if (random() % 2) std::shuffle(order_of.data(), order_of.data() + size, random);
      std::vector<TestRow> rows = ToRows(chunk.rows);
      for (idx_t i = 0; i < size; i++) {
        idx_t at = order_of.get_index(i);
        Apply(rows[at], chunk.kinds[at]);
      }
      buffer.Add(chunk, order_of, size);
    }
  }

  void Apply(const TestRow& row, RowKind kind) {
    if (IsAdd(kind)) {
      model[KeyOf(row)] = row;
    } else {
      model.erase(KeyOf(row));
    }
  }

  std::vector<DataFileMeta> Flush(int64_t target = 128 << 20) {
    RunFileWriter writer(context, layout, names, {.folder = "/b", .target_file_bytes = target});
    buffer.Flush([&](DataChunk& chunk) { writer.Write(chunk); });
    std::vector<DataFileMeta> flushed = writer.Finish();
    for (const DataFileMeta& file : flushed) levels.AddLevel0(file);
    return flushed;
  }

  CompactResult CompactUnitNow(const CompactUnit& unit, int64_t target = 128 << 20) {
    CompactOptions options;
    options.drop_deletes = MayDropDeletes(levels, unit);
    options.max_level = levels.MaxLevel();
    options.write.folder = "/b";
    options.write.target_file_bytes = target;
    CompactResult result = Compact(context, layout, order, unit, names, options);
    levels.Replace(result.before, result.after);
    return result;
  }

  std::vector<TestRow> Read(MergeReadOptions options) {
    MergeReader reader(context, layout, "/b", levels.Files(), std::move(options));
    DataChunk chunk;
    chunk.Initialize(duckdb::Allocator::DefaultAllocator(), reader.Types());
    std::vector<TestRow> rows;
    while (reader.Next(chunk)) {
      for (TestRow& row : ToRows(chunk)) rows.push_back(std::move(row));
    }
    return rows;
  }
};

}  // namespace millrace
